"""The module judges what a datamodel on subsets of one size identifies (T7)."""

from theory.claims.registry import Claim, OtherMeasure, Results, claim
from theory.claims.verdict import ROUNDING, Evidence, Verdict

__all__: list[str] = []


def _by_predictions(this: Claim, results: Results) -> Verdict:
    """Judge how much predictions change if all coefficients grow by 1 and the intercept falls by k."""
    evidence = [Evidence(ds.attrs["case"], float(ds.shift_error.max())) for ds in results["fixed_size"]]
    return this.decide(evidence, condition="")


@claim(
    "T7",
    "on subsets of one size only differences of coefficients are identified, as the design is singular along 1",
    plain="subsets of one size fix only differences of beta",
    experiments=("fixed_size",),
    measure="largest of ||differences by least squares - T7's|| / ||T7's|| and ||Cov 1_S - v N/(N - 1) (I - 11^T/N)|| / "
    "||Cov 1_S||",
    tolerance=ROUNDING,
    essay="The datamodels that the essay cites are fitted on subsets of one size, where a coefficient alone means nothing: C6 "
    "can be asked of differences between points only.",
    idea="With |S| = k, Var 1_i = v = k (N - k)/N^2 and Cov(1_i, 1_j) = -v/(N - 1), since sum_i 1_i is constant: Cov 1_S = v "
    "N/(N - 1) (I - 11^T/N), with null direction 1. The normal equations give beta_i = (N - 1)/(N v) Cov(F, 1_i) + c, c free; "
    "Cov(F, 1_i) = v (E[F | i in S] - E[F | i not in S]).",
    sources=("Ilyas et al. 2022", "own derivation"),
    kind="identity",
    other_measures=(OtherMeasure("change of predictions by (beta + 1, b - k) / sd F", ROUNDING, _by_predictions),),
)
def differences_are_identified(this: Claim, results: Results) -> Verdict:
    """Fit the minimum-norm least squares solution on all subsets of size k, and compare what all solutions share with T7: the
    differences of coefficients are (N - 1)/N times those of E[F | i in S] - E[F | i not in S].

    Sizes at which no point has an effect are left out. The condition says how far these differences are from those of subsets
    that take every point with probability k/N.
    """
    cases = results["fixed_size"]
    evidence = [
        Evidence(ds.attrs["case"], max(float(ds[name].max()) for name in ("swap_error", "covariance_error"))) for ds in cases
    ]
    gaps = ", ".join(
        f"{float(ds.bernoulli_gap.min()):.3f} to {float(ds.bernoulli_gap.max()):.3f} ({ds.attrs['case']})" for ds in cases
    )
    return this.decide(
        evidence,
        condition=f"any learner; its differences and those of subsets with p = k/N are {gaps} apart, relative to the latter",
    )
