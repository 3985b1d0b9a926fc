"""The module judges whether what beta has beyond (1/p) D(1; l2/p) falls as 1/N on real data (T6 at size)."""

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from theory.claims.registry import Claim, Judgement, OtherMeasure, Results, claim
from theory.claims.verdict import Evidence, Verdict
from theory.response import Array

__all__ = ["fitted_exponent", "leading_exponent"]

NEXT_RATE = 0.5
"""Distance from the exponent -1 of 1/N to that of the next rates, N^(-1/2) and N^(-3/2)."""


def fitted_exponent(sizes: Array, excess: Array) -> tuple[float, float]:
    """Fit log excess = a + k log N by least squares with weights N; return k and half the width of its 95% interval.

    An excess at size N is a mean over N rows, so that the variance of its logarithm falls as 1/N. The interval has the t quantile
    with two degrees of freedom less than there are sizes; it covers if rows at different sizes are independent. Both are NaN
    for fewer than three sizes or an excess that is not positive.

    >>> k, half_width = fitted_exponent(np.array([100.0, 200.0, 400.0]), np.array([0.4, 0.1, 0.025]))
    >>> round(k, 9), half_width < 1e-6
    (-2.0, True)
    """
    return _exponent_beside(sizes, excess, np.ones((len(sizes), 1)))


def leading_exponent(sizes: Array, excess: Array) -> tuple[float, float]:
    """Fit log excess = a + k log N + c/N, which leaves room for the next order; return k and half its 95% interval.

    Both are NaN for fewer than four sizes or an excess that is not positive.
    """
    return _exponent_beside(sizes, excess, np.column_stack([np.ones(len(sizes)), sizes[0] / sizes]))


def _exponent_beside(sizes: Array, excess: Array, others: Array) -> tuple[float, float]:
    """Return the coefficient of log N beside other terms (sizes, terms), and half its 95% interval."""
    if len(sizes) < others.shape[1] + 2 or not (excess > 0.0).all():
        return np.nan, np.nan
    models: Any = importlib.import_module("statsmodels.api")  # only now: it takes as long as all other imports together
    fit = models.WLS(np.log(excess), np.column_stack([np.log(sizes), others]), weights=sizes).fit()
    low, high = fit.conf_int(0.05)[0]
    return float(fit.params[0]), float(high - low) / 2.0


def _of_slope(ds: xr.Dataset) -> xr.DataArray:
    """Return the excess of the slope, and NaN where it is within two standard errors of 0: it has no logarithm there."""
    return ds.excess.where(ds.excess > 2.0 * ds.excess_error)


def _of_relative_error(ds: xr.Dataset) -> xr.DataArray:
    """Return ||beta - D(p1)|| / ||D(p1)|| from the slope s and the share u of ||beta||^2 that s D(p1) leaves."""
    left = ds.unexplained.clip(min=0.0)
    return np.sqrt(ds.excess**2 + (1.0 + ds.excess) ** 2 * left / (1.0 - left))


Fit = Callable[[Array, Array], tuple[float, float]]


def _exponents(ds: xr.Dataset, excess: xr.DataArray, fit: Fit = fitted_exponent) -> list[tuple[float, float, float]]:
    """Return p, the exponent and half the width of its interval, for every p."""
    sizes = ds.sample_size.values.astype(np.float64)
    return [(float(p), *fit(sizes, excess.sel(p=p).values)) for p in ds.p.values]


def _in_half_widths(results: Results, fit: Fit) -> list[Evidence]:
    """Return |k + 1| in half-widths of the interval of k; an interval as wide as the distance to N^(-1/2) says nothing."""
    return [
        Evidence(f"{ds.attrs['case']} p={p:g}", abs(k + 1.0) / half if half < NEXT_RATE else np.nan)
        for ds in results["scale_by_size"]
        for p, k, half in _exponents(ds, _of_slope(ds), fit)
    ]


def _with_next_order(this: Claim, results: Results) -> Verdict:
    """Judge the exponent that is fitted beside a term c/N, which the next order adds to log excess."""
    return this.decide(_in_half_widths(results, leading_exponent), condition="")


def _by_exponent(of: Callable[[xr.Dataset], xr.DataArray]) -> Judgement:
    """Return the judgement of |k + 1| itself, with its interval as doubt; k is the exponent of the given excess."""

    def judgement(this: Claim, results: Results) -> Verdict:
        evidence = [
            Evidence(f"{ds.attrs['case']} p={p:g}", abs(k + 1.0), half)
            for ds in results["scale_by_size"]
            for p, k, half in _exponents(ds, of(ds))
        ]
        return this.decide(evidence, condition="")

    return judgement


@claim(
    "T6 at size",
    "on real data beta^(p) is (1/p) D(1; l2/p) up to O(1/N), with and without a penalty",
    plain="beta is D(1; l2/p)/p up to O(1/N), on real data",
    experiments=("scale_by_size",),
    measure="|k + 1| in half-widths of the 95% interval of k, the exponent in N of the excess of the slope of beta on "
    "(1/p) D(1; l2/p) over 1, for every p",
    tolerance=1.0,
    essay="T6 on data of realistic size, where beta can only be estimated: does the essay's gap go away with many points? It "
    "does not.",
    idea="T2 averages D about p 1, where it is (1/p) D(1; l2/p) (T6 penalty). What the average adds begins with the "
    "second-order terms of T6, of relative order d/(pN), the columns per point of a subset: at fixed p and d it falls as 1/N, "
    "the factor 1/p stays.",
    sources=("own derivation from T6", "Fair 1978 (data)"),
    other_measures=(
        OtherMeasure("k in log excess = a + k log N + c/N, in half-widths", 1.0, _with_next_order),
        OtherMeasure("|k + 1|, half-way to the next rate", NEXT_RATE / 2.0, _by_exponent(_of_slope)),
        OtherMeasure(
            "|k + 1| for the relative error of beta in the place of the excess of the slope",
            NEXT_RATE / 2.0,
            _by_exponent(_of_relative_error),
        ),
    ),
    too_small="from four sizes up to N = 200 the exponent is too uncertain",
)
def scale_at_size(this: Claim, results: Results) -> Verdict:
    """Fit the exponent k of excess ~ N^k at every p, with its 95% interval; the claim holds if every interval has -1 in it.

    The rule is strict: terms of order 1/N^2 bend the line, and intervals that are narrow enough leave -1 out although the
    excess is O(1/N). So the sensitivity also tries a fit with a term for the next order, and |k + 1| itself. Training rows are
    drawn anew for every size, since nested rows give intervals that are too narrow. The excess is the mean over outputs.
    """
    evidence = _in_half_widths(results, fitted_exponent)
    fits = [
        f"{k:.2f} +- {half:.2f} ({ds.attrs['data']}, l2 = {float(ds.attrs['l2']):g}, p = {p:g})"
        for ds in results["scale_by_size"]
        for p, k, half in _exponents(ds, _of_slope(ds))
    ]
    last = [ds.isel(sample_size=-1) for ds in results["scale_by_size"]]
    ends = ", ".join(f"{float(ds.excess.min()):.3f} to {float(ds.excess.max()):.3f}" for ds in last)
    left = max(float(np.abs(ds.excess - ds.second_order).max()) for ds in last)
    return this.decide(
        evidence,
        condition=f"exponents {', '.join(fits)}; excess at the largest N {ends}, "
        f"all of it predicted at second order but {left:.4f}",
    )
