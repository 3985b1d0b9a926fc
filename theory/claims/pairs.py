"""The module judges what pairs of points are in a datamodel (T17), and what they say about leave-one-out (T18)."""

import numpy as np
import xarray as xr

from theory.claims.registry import Claim, OtherMeasure, Results, claim
from theory.claims.verdict import Evidence, NothingToJudgeError, Status, Verdict
from theory.intervals import half_width

__all__: list[str] = []

_NEAR = 0.9
"""The least p that counts as near the full set; it was fixed before any result was seen."""


@claim(
    "T17",
    "a pair coefficient is the mixed second derivative averaged over the datamodel's law, and its row sums are d beta/dp",
    plain="pair coefficients are average second derivatives",
    experiments=("pairs",),
    measure="relative error of either, all p",
    tolerance=1e-8,
    essay="Not in the essay: what a datamodel with pairs estimates, and how a linear one depends on the size of its subsets.",
    idea="The best quadratic predictor on subsets of law Bernoulli(p) has in (w_i - p) (w_j - p) the coefficient E[F (w_i - p) "
    "(w_j - p)] / s^4 = E over the others of F(+i+j) - F(+i) - F(+j) + F(), the integral of d_i d_j F over w_i "
    "and w_j from 0 to 1, their zero-bias law. Since beta_i^(p) = d_i Ftilde(p 1), its derivative in p is the sum over j of d_i "
    "d_j Ftilde(p 1), and Ftilde has no second derivative in one coordinate.",
    sources=(
        "Grabisch & Roubens 1999",
        "Marichal & Mathonet 2011 (other p)",
        "Goldstein & Reinert 1997 (zero-bias law)",
        "own derivation from T2 and T3",
    ),
    kind="identity",
)
def pairs_are_average_second_derivatives(this: Claim, results: Results) -> Verdict:
    """Compare pairs from the table with averaged exact second derivatives, and their row sums with T3's polynomial in p.

    Neither reference uses the pairs. A network with kinks is a control: differentiating its training twice does not see what the
    gradient's jumps at kinks add.
    """
    cases = results["pairs"]
    averaged = [ds for ds in cases if "average_error" in ds]
    additive = [ds.attrs["case"] for ds in cases if not bool(np.isfinite(ds.row_sum_error).any())]
    if len(additive) == len(cases):
        raise NothingToJudgeError(f"F has no interactions on {', '.join(additive)}: pairs and d beta/dp are 0 but for rounding")
    evidence = [
        Evidence(f"{ds.attrs['case']}: row sums", float(ds.row_sum_error.max()))
        for ds in cases
        if bool(np.isfinite(ds.row_sum_error).any())
    ]
    evidence += [
        Evidence(f"{ds.attrs['case']}: second derivatives", float(ds.average_error.max()), control=bool(ds.attrs["kinks"]))
        for ds in averaged
    ]
    kinks = ", ".join(f"{float(ds.average_error.max()):.2g}" for ds in averaged if ds.attrs["kinks"])
    return this.decide(
        evidence,
        condition=f"F with an absolutely continuous derivative between subsets ({len(averaged)} of {len(cases)} cases averaged)"
        + (f"; a network with kinks misses {kinks} of the pairs" if kinks else ""),
    )


def _ratios(ds: xr.Dataset, least: float) -> list[Evidence]:
    """Return error with pairs / error of beta at every p from `least` on, but where beta has no error."""
    return [
        Evidence(
            f"{ds.attrs['case']}, p = {float(p):g}",
            float(ds.leave_one_out_ratio.sel(p=p)),
            half_width(float(ds.leave_one_out_ratio_error.sel(p=p)), ds.attrs["n_seeds"] - 1),
        )
        for p in ds.p.values
        if p >= least and bool(np.isfinite(ds.leave_one_out_ratio.sel(p=p)))
    ]


def _at_every_p(this: Claim, results: Results) -> Verdict:
    evidence = [item for ds in results["pairs"] for item in _ratios(ds, 0.0)]
    return this.decide(evidence, holds=Status.HOLDS_WHEN, condition="every p")


def _at_a_half(this: Claim, results: Results) -> Verdict:
    evidence = [item for ds in results["pairs"] for item in _ratios(ds.sel(p=[0.5]), 0.5)]
    return this.decide(evidence, holds=Status.HOLDS_WHEN, condition="uniform subsets", deciding="most")


@claim(
    "T18",
    "near the full set (p >= 0.9), beta + (1 - p) sum_j beta_ij is nearer to leave-one-out than beta",
    plain="pairs bring beta nearer to leave-one-out, p >= 0.9",
    experiments=("pairs",),
    measure="error of beta with row sums / error of beta, both against leave-one-out, p >= 0.9",
    tolerance=1.0,
    essay="The essay reads leave-one-out off a linear datamodel; with pairs, the same retrainings give a better estimate of it.",
    idea="LOO_i = d_i Ftilde(1), and beta_i = d_i Ftilde(p 1). Taylor's polynomial from p 1 to 1 is exact: LOO_i = sum_k (1 - "
    "p)^k times the sum over sets T of k other points of d_{T+i} Ftilde(p 1). Its first term is beta_i, its second (1 - p) sum_j "
    "beta_ij. What is left is of order (1 - p)^2 instead of 1 - p, times sums over interactions of three points that nothing "
    "bounds: the step from p = 1/2 to 1 can be too large for two terms.",
    sources=("Owen 1972", "own derivation from T1 and T3"),
    other_measures=(
        OtherMeasure("the same at every p of the cases", 1.0, _at_every_p),
        OtherMeasure("the same for uniform subsets, most cases", 1.0, _at_a_half),
        OtherMeasure("the same, half the error", 0.5, lambda this, results: _near_the_full_set(this, results)),
    ),
)
def pairs_give_leave_one_out(this: Claim, results: Results) -> Verdict:
    """Divide the error of beta + (1 - p) sum_j beta_ij against leave-one-out by that of beta, in every case and for p >= 0.9.

    Intervals are over seeds (jackknife). The condition says from which p on pairs help in every case, and where they do not.
    """
    return _near_the_full_set(this, results)


def _near_the_full_set(this: Claim, results: Results) -> Verdict:
    cases = [ds for ds in results["pairs"] if _ratios(ds, _NEAR)]
    if not cases:
        raise NothingToJudgeError("pairs: beta is leave-one-out but for rounding, F has no interactions near the full set")
    least = max(cases, key=lambda ds: float(ds.helps_from))
    below = [item for ds in cases for item in _ratios(ds, 0.0) if item.figure > 1.0]
    worse = ", ".join(f"{item.figure:.2f} times the error on {item.case}" for item in below) or "nowhere in these cases"
    errors = [ds.leave_one_out_error.sel(p=[p for p in ds.p.values if p >= _NEAR]) for ds in cases]
    largest = np.max([error.values.reshape(-1, 2).max(axis=0) for error in errors], axis=0)
    return this.decide(
        [item for ds in cases for item in _ratios(ds, _NEAR)],
        holds=Status.HOLDS_WHEN,
        condition=f"p >= {float(least.helps_from):g} (the last of the cases that pairs begin to help is {least.attrs['case']}); "
        f"worse: {worse}. Largest relative error at p >= {_NEAR:g}: {largest[0]:.2g} of beta, {largest[1]:.2g} with pairs",
    )
