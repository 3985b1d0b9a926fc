"""The module judges the laws of scale (T6): the factor 1/p between beta and D(1), without and with a penalty."""

from functools import partial

import numpy as np
import xarray as xr

from theory.claims.registry import Claim, OtherMeasure, Results, claim
from theory.claims.verdict import ROUNDING, Evidence, NothingToJudgeError, Status, Verdict

__all__: list[str] = []

COLUMNS_PER_POINT = 0.05
"""Largest number of columns per point, d/N, at which the law 1/p is tested; it holds to leading order in it."""

NORMAL_95 = 1.96
"""Half-width of a 95% interval in standard errors, for errors from thousands of drawn subsets."""


def _law_of_scale(this: Claim, results: Results, *, figure: str, error: str) -> Verdict:
    """Judge one figure, by law and output, in the cases without penalty that have few columns per point."""
    cases = [ds for ds in results["scale"] if _is_leading(ds)]
    if not cases:
        raise NothingToJudgeError("scale has no case without penalty (l2 = 0) that has 20 points or more per column")
    evidence: list[Evidence] = []
    for ds in cases:
        figures, errors = (np.abs(ds.slope / ds.predicted - 1.0), ds.standard_error / ds.predicted)
        if figure != "slope":
            figures, errors = ds[figure], ds[error]
        for law in ds.law.values:
            at = figures.sel(law=law)
            worst = int(at.values.argmax())
            doubt = NORMAL_95 * float(errors.sel(law=law)[worst])
            evidence.append(Evidence(f"{ds.attrs['case']} {law}", float(at[worst]), doubt))
    half = ", ".join(
        f"{float(s):.3f} +- {NORMAL_95 * float(e):.3f}"
        for ds in cases
        for s, e in zip(ds.slope.sel(law="Bernoulli(0.5)"), ds.standard_error.sel(law="Bernoulli(0.5)"), strict=True)
    )
    others = ", ".join(
        f"{float(ds.slope.sel(law='Bernoulli(0.5)').mean()):.2f} ({ds.attrs['case']})"
        for ds in results["scale"]
        if not _is_leading(ds)
    )
    return this.decide(
        evidence,
        holds=Status.HOLDS_WHEN,
        condition=f"d/N small and no penalty: slope {half} at p = 1/2"
        + (f"; with a penalty or d/N not small it is {others}" if others else ""),
    )


def _is_leading(ds: xr.Dataset) -> bool:
    """Return whether a case has no penalty and so few columns per point that the law 1/p holds to leading order."""
    return float(ds.columns_per_point) <= COLUMNS_PER_POINT and float(ds.attrs["l2"]) == 0.0


@claim(
    "T6",
    "without penalty beta is about 1/p times D(1); weights of mean 1 remove the factor",
    plain="without a penalty beta is about D(1)/p",
    experiments=("scale",),
    measure="|slope of beta on D(1) / predicted - 1|, largest over laws and outputs",
    tolerance=0.1,
    essay="Most of the essay's gap (C6): a datamodel of random halves has weights of mean 1/2, and the derivative there is "
    "twice as large.",
    idea="Without penalty the optimum does not change when all weights are multiplied by c: F(c w) = F(w), so D(c w) = D(w) / "
    "c. T2 averages D about p 1, where it is D(1) / p; to second order p beta_i = D_i(1) + ((1 - 2p) / 2p) d_i^2 F(1) + ((1 - "
    "p) / 2p) sum_j d_i d_j^2 F(1), sum over j != i, and the corrections fall as 1/N. Weights 0 or 2 and Poisson(1) have mean "
    "1: no factor.",
    sources=("own derivation from T2 and Euler's theorem on homogeneous functions",),
    other_measures=(
        OtherMeasure(
            "||beta - predicted D(1)||^2 / ||predicted D(1)||^2, less what errors of beta add",
            0.01,
            partial(_law_of_scale, figure="miss", error="miss_error"),
        ),
    ),
)
def scale_is_one_over_p(this: Claim, results: Results) -> Verdict:
    """Compare the slope of beta on D(1) with the predicted slope: their ratio should be 1 + O(1/N).

    Only cases without penalty and with at most d/N = 0.05 columns per point count.
    """
    return _law_of_scale(this, results, figure="slope", error="standard_error")


@claim(
    "T6 penalty",
    "with a penalty, D(p1; l2) = (1/p) D(1; l2/p): the derivative at the centre carries the factor",
    plain="D at p 1 is exactly D(1; l2/p)/p",
    experiments=("scale",),
    measure="||D(p1; l2) - (1/p) D(1; l2/p)|| / ||D(p1; l2)||",
    tolerance=ROUNDING,
    essay="As T6 where there is a penalty: fewer points for the same penalty are as many points for a larger one.",
    idea="The objective with weights p 1, divided by p, is the one with weights 1 and penalty l2/p: the same optimum. So F(c w; "
    "l2) = F(w; l2/c), and the derivative in w_i is c D_i(c w; l2) = D_i(w; l2/c). With c = p and w = 1 that is the claim.",
    sources=("own derivation",),
    kind="identity",
)
def penalty_scales_with_p(this: Claim, results: Results) -> Verdict:
    """Compare both sides of the law, which is exact for every p.

    How close beta is to it depends on interactions; the condition gives the slope.
    """
    evidence = [Evidence(ds.attrs["case"], float(ds.rescaling_error.max())) for ds in results["scale"]]
    slopes = ", ".join(
        f"{float(ds.slope_at_mean.sel(law='Bernoulli(0.5)').mean()):.2f} ({ds.attrs['case']})" for ds in results["scale"]
    )
    return this.decide(
        evidence,
        condition=f"mean slope of beta on it at p = 1/2: {slopes}",
    )
