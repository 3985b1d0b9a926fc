"""The module judges the essay's claims about what predicts the response to other training sets."""

import numpy as np

from theory.claims.registry import Claim, Results, claim
from theory.claims.verdict import Evidence, Verdict

__all__: list[str] = []


@claim(
    "C11",
    "counterfactuals of the seed average are easier to predict than those of one trained model",
    experiments=("seeds",),
    measure="relative error of beta with one seed - with many averaged, other seeds predicted, mildest case (must exceed)",
    tolerance=0.0,
    essay="Counterfactuals of the output averaged over the randomness of training are easier to predict than those of one "
    "trained model.",
    idea="With one seed F_r = F + e_r, and what seed r adds to each subset is unknown to any predictor from other seeds: the "
    "expected squared error is that of predicting F plus Var e_r. Averaging R independent seeds divides the variance by R. So "
    "the gain is what seeds disagree on, much or nothing. beta is linear in F: beta of the average is the average of the betas.",
    sources=(
        "Karchmer 2025",
        "Ilyas et al. 2022",
        "Mlodozeniec et al. 2025",
    ),
)
def averages_are_easier(this: Claim, results: Results) -> Verdict:
    """Compare the relative error over all subsets of beta for R = 1 with that for the largest R that has a standard error.

    beta is fitted to R seeds and tested on R other seeds. A standard error needs at least two pairs of groups of R seeds.
    """
    evidence: list[Evidence] = []
    notes: list[str] = []
    for ds in results["seeds"]:
        at = {"estimate": "beta", "pairing": "other seeds", "target": "all subsets"}
        error, spread = (v.sel(quality="relative_error", **at) for v in (ds.prediction, ds.prediction_error))
        known = np.flatnonzero(np.isfinite(spread))[[0, -1]]
        error, spread, ranks = error[known], spread[known], ds.prediction.sel(quality="lds", **at)[known]
        evidence.append(Evidence(ds.attrs["case"], float(error[0] - error[1]), 2.0 * float(np.linalg.norm(spread))))
        notes.append(
            f"{float(error[0]):.3f} -> {float(error[1]):.3f} with {int(error.averaged[1])} seeds, "
            f"LDS {float(ranks[0]):.3f} -> {float(ranks[1]):.3f}, "
            f"noise of one seed {float(ds.noise[0]):.1g}"
        )
    condition = f"by as much as seeds differ: {'; '.join(notes)}"
    return this.decide(evidence, must_exceed=True, condition=condition)
