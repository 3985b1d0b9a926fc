"""The module lists the publications that claims cite, and turns a citation "Author Year, place" into the full reference."""

import difflib
import re
from dataclasses import dataclass

__all__ = ["SOURCES", "Source", "cited", "reference"]


@dataclass(frozen=True)
class Source:
    """A publication: `link` is a DOI, an arXiv id or an address; it is empty where none is known."""

    authors: str
    year: int
    title: str
    venue: str
    link: str = ""

    def __str__(self) -> str:
        return f"{self.authors} ({self.year}). {self.title}. {self.venue}." + (f" {self.link}" if self.link else "")


SOURCES = {
    "Agarwal et al. 2017": Source(
        "N. Agarwal, B. Bullins & E. Hazan",
        2017,
        "Second-Order Stochastic Optimization for Machine Learning in Linear Time",
        "Journal of Machine Learning Research 18",
        "arXiv:1602.03943",
    ),
    "Bae et al. 2022": Source(
        "J. Bae, N. Ng, A. Lo, M. Ghassemi & R. B. Grosse",
        2022,
        "If Influence Functions Are the Answer, Then What Is the Question?",
        "NeurIPS 35",
        "arXiv:2209.05364",
    ),
    "Bae et al. 2024": Source(
        "J. Bae, W. Lin, J. Lorraine & R. Grosse",
        2024,
        "Training Data Attribution via Approximate Unrolled Differentiation",
        "NeurIPS",
        "arXiv:2405.12186",
    ),
    "Basu et al. 2021": Source(
        "S. Basu, P. Pope & S. Feizi",
        2021,
        "Influence Functions in Deep Learning Are Fragile",
        "ICLR",
        "arXiv:2006.14651",
    ),
    "Bolte & Pauwels 2020": Source(
        "J. Bolte & E. Pauwels",
        2020,
        "A Mathematical Model for Automatic Differentiation in Machine Learning",
        "NeurIPS 33",
        "https://proceedings.neurips.cc/paper_files/paper/2020/hash/7a674153c63cff1ad7f0e261c369ab2c-Abstract.html",
    ),
    "Cook 1977": Source(
        "R. D. Cook",
        1977,
        "Detection of Influential Observation in Linear Regression",
        "Technometrics 19, 15-18",
        "doi:10.1080/00401706.1977.10489493",
    ),
    "Dubey, Neyman & Weber 1981": Source(
        "P. Dubey, A. Neyman & R. J. Weber",
        1981,
        "Value Theory Without Efficiency",
        "Mathematics of Operations Research 6, 122-128",
        "doi:10.1287/moor.6.1.122",
    ),
    "Efron & Stein 1981": Source(
        "B. Efron & C. Stein",
        1981,
        "The Jackknife Estimate of Variance",
        "Annals of Statistics 9, 586-596",
        "doi:10.1214/aos/1176345462",
    ),
    "Fair 1978": Source(
        "R. C. Fair",
        1978,
        "A Theory of Extramarital Affairs",
        "Journal of Political Economy 86, 45-61",
        "doi:10.1086/260629",
    ),
    "Filippov 1988": Source(
        "A. F. Filippov",
        1988,
        "Differential Equations with Discontinuous Righthand Sides",
        "Kluwer Academic Publishers, Mathematics and Its Applications 18",
        "doi:10.1007/978-94-015-7793-9",
    ),
    "Folland 1999": Source(
        "G. B. Folland",
        1999,
        "Real Analysis: Modern Techniques and Their Applications, second edition",
        "Wiley",
    ),
    "Ghorbani & Zou 2019": Source(
        "A. Ghorbani & J. Zou",
        2019,
        "Data Shapley: Equitable Valuation of Data for Machine Learning",
        "ICML, PMLR 97, 2242-2251",
        "arXiv:1904.02868",
    ),
    "Glasserman 2004": Source(
        "P. Glasserman",
        2004,
        "Monte Carlo Methods in Financial Engineering",
        "Springer, New York",
        "doi:10.1007/978-0-387-21617-1",
    ),
    "Goldstein & Reinert 1997": Source(
        "L. Goldstein & G. Reinert",
        1997,
        "Stein's Method and the Zero Bias Transformation with Application to Simple Random Sampling",
        "Annals of Applied Probability 7, 935-952",
        "doi:10.1214/aoap/1043862419",
    ),
    "Grabisch & Roubens 1999": Source(
        "M. Grabisch & M. Roubens",
        1999,
        "An Axiomatic Approach to the Concept of Interaction Among Players in Cooperative Games",
        "International Journal of Game Theory 28, 547-565",
        "doi:10.1007/s001820050125",
    ),
    "Grosse et al. 2023": Source(
        "R. Grosse, J. Bae, C. Anil et al.",
        2023,
        "Studying Large Language Model Generalization with Influence Functions",
        "arXiv",
        "arXiv:2308.03296",
    ),
    "Gu et al. 2017": Source(
        "T. Gu, B. Dolan-Gavitt & S. Garg",
        2017,
        "BadNets: Identifying Vulnerabilities in the Machine Learning Model Supply Chain",
        "arXiv preprint",
        "arXiv:1708.06733",
    ),
    "Hammer & Holzman 1992": Source(
        "P. L. Hammer & R. Holzman",
        1992,
        "Approximations of Pseudo-Boolean Functions; Applications to Game Theory",
        "Zeitschrift für Operations Research 36, 3-21",
    ),
    "Hampel 1974": Source(
        "F. R. Hampel",
        1974,
        "The Influence Curve and Its Role in Robust Estimation",
        "Journal of the American Statistical Association 69, 383-393",
        "doi:10.1080/01621459.1974.10482962",
    ),
    "Hastie et al. 2022": Source(
        "T. Hastie, A. Montanari, S. Rosset & R. J. Tibshirani",
        2022,
        "Surprises in High-Dimensional Ridgeless Least Squares Interpolation",
        "Annals of Statistics 50, 949-986",
        "arXiv:1903.08560",
    ),
    "Ilyas & Engstrom 2025": Source(
        "A. Ilyas & L. Engstrom",
        2025,
        "MAGIC: Near-Optimal Data Attribution for Deep Learning",
        "arXiv preprint",
        "arXiv:2504.16430",
    ),
    "Ilyas et al. 2022": Source(
        "A. Ilyas, S. M. Park, L. Engstrom, G. Leclerc & A. Madry",
        2022,
        "Datamodels: Predicting Predictions from Training Data",
        "ICML, PMLR 162",
        "arXiv:2202.00622",
    ),
    "Jaeckel 1972": Source("L. A. Jaeckel", 1972, "The Infinitesimal Jackknife", "Bell Laboratories memorandum MM 72-1215-11"),
    "Karchmer 2025": Source("Karchmer", 2025, "The essay that this project judges", "January 2025"),
    "Koh & Liang 2017": Source(
        "P. W. Koh & P. Liang",
        2017,
        "Understanding Black-box Predictions via Influence Functions",
        "ICML, PMLR 70, 1885-1894",
        "arXiv:1703.04730",
    ),
    "Koh et al. 2019": Source(
        "P. W. Koh, K.-S. Ang, H. H. K. Teo & P. Liang",
        2019,
        "On the Accuracy of Influence Functions for Measuring Group Effects",
        "NeurIPS 32",
        "arXiv:1905.13289",
    ),
    "Kong et al. 2024": Source(
        "N. J. Kong, J. J. Payne, J. Zhu & A. M. Johnson",
        2024,
        "Saltation Matrices: The Essential Tool for Linearizing Hybrid Dynamical Systems",
        "Proceedings of the IEEE 112, 585-608",
        "arXiv:2306.06862",
    ),
    "Kwon & Zou 2022": Source(
        "Y. Kwon & J. Zou",
        2022,
        "Beta Shapley: a Unified and Noise-reduced Data Valuation Framework for Machine Learning",
        "AISTATS, PMLR 151",
        "arXiv:2110.14049",
    ),
    "Li & Yu 2023": Source(
        "W. Li & Y. Yu",
        2023,
        "Robust Data Valuation with Weighted Banzhaf Values",
        "NeurIPS 36",
        "https://papers.nips.cc/paper_files/paper/2023/hash/bdb0596d13cfccf2db6f0cc5280d2a3f-Abstract-Conference.html",
    ),
    "Marichal & Mathonet 2011": Source(
        "J.-L. Marichal & P. Mathonet",
        2011,
        "Weighted Banzhaf Power and Interaction Indexes Through Weighted Approximations of Games",
        "European Journal of Operational Research 211, 352-358",
        "arXiv:1001.3052",
    ),
    "Mlodozeniec et al. 2025": Source(
        "B. Mlodozeniec, I. Reid, S. Power, D. Krueger, M. Erdogdu, R. E. Turner & R. Grosse",
        2025,
        "Distributional Training Data Attribution: What do Influence Functions Sample?",
        "NeurIPS",
        "arXiv:2506.12965",
    ),
    "O'Donnell 2014": Source("R. O'Donnell", 2014, "Analysis of Boolean Functions", "Cambridge University Press"),
    "Owen 1972": Source(
        "G. Owen", 1972, "Multilinear Extensions of Games", "Management Science 18, 64-79", "doi:10.1287/mnsc.18.5.64"
    ),
    "Park et al. 2023": Source(
        "S. M. Park, K. Georgiev, A. Ilyas, G. Leclerc & A. Madry",
        2023,
        "TRAK: Attributing Model Behavior at Scale",
        "ICML, PMLR 202",
        "arXiv:2303.14186",
    ),
    "Plackett & Burman 1946": Source(
        "R. L. Plackett & J. P. Burman",
        1946,
        "The Design of Optimum Multifactorial Experiments",
        "Biometrika 33, 305-325",
        "doi:10.1093/biomet/33.4.305",
    ),
    "Pregibon 1981": Source("D. Pregibon", 1981, "Logistic Regression Diagnostics", "Annals of Statistics 9, 705-724"),
    "Rubinstein & Hopkins 2025": Source(
        "I. Rubinstein & S. B. Hopkins",
        2025,
        "Rescaled Influence Functions: Accurate Data Attribution in High Dimension",
        "NeurIPS",
        "arXiv:2506.06656",
    ),
    "Russo 1981": Source(
        "L. Russo",
        1981,
        "On the Critical Percolation Probabilities",
        "Zeitschrift für Wahrscheinlichkeitstheorie und verwandte Gebiete 56, 229-237",
    ),
    "Saunshi et al. 2022": Source(
        "N. Saunshi, A. Gupta, M. Braverman & S. Arora",
        2022,
        "Understanding Influence Functions and Datamodels via Harmonic Analysis",
        "arXiv, then ICLR 2023",
        "arXiv:2210.01072",
    ),
    "Schioppa et al. 2023": Source(
        "A. Schioppa, K. Filippova, I. Titov & P. Zablotskaia",
        2023,
        "Theoretical and Practical Perspectives on what Influence Functions Do",
        "NeurIPS 36",
        "arXiv:2305.16971",
    ),
    "Wang & Jia 2023": Source(
        "J. T. Wang & R. Jia",
        2023,
        "Data Banzhaf: A Robust Data Valuation Framework for Machine Learning",
        "AISTATS, PMLR 206, 6388-6421",
        "https://proceedings.mlr.press/v206/wang23e.html",
    ),
}
"""The key of a publication is what a claim cites: its authors as in the text, and the year."""

OWN = "own derivation"


def reference(citation: str) -> str:
    """Return the full reference of "Author Year", "Author Year, place" or "Author Year (remark)", the place at its end.

    A text that begins with "own derivation" is returned as it is. Raises ValueError for an author and year that are not in
    `SOURCES`; the message names the keys that are close.

    >>> reference("O'Donnell 2014, chapter 1")
    "R. O'Donnell (2014). Analysis of Boolean Functions. Cambridge University Press. Here: chapter 1"
    >>> reference("own derivation from T2")
    'own derivation from T2'
    """
    if citation.startswith(OWN):
        return citation
    source, place = cited(citation)
    return f"{source} Here: {place}" if place else str(source)


def cited(citation: str) -> tuple[Source, str]:
    """Return the publication that a text cites, and the place or remark after it; see `reference`."""
    found = re.fullmatch(r"(?P<key>[^;]*?\b\d{4})(?:, (?P<place>.+)| \((?P<remark>.+)\))?", citation)
    if found is None:
        raise ValueError(f"source {citation!r}: expected 'Author Year', 'Author Year, place' or 'Author Year (remark)'")
    key = found["key"]
    if key not in SOURCES:
        close = difflib.get_close_matches(key, SOURCES, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(map(repr, close))}?" if close else "no key is close."
        raise ValueError(f"source {key!r} is not in SOURCES of theory/claims/sources.py: {hint}")
    return SOURCES[key], found["place"] or found["remark"] or ""
