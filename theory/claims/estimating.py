"""The module judges whether retraining without derivatives gives D(1) itself, with honest errors."""

import math

import xarray as xr

from theory.claims.registry import Claim, Judgement, OtherMeasure, Results, claim
from theory.claims.verdict import Evidence, Status, Verdict
from theory.intervals import half_width

__all__: list[str] = []

_RECOMMENDED = "fold-over, two scales"
_ONE_BY_ONE = ("one point at a time, one scale", "one point at a time, two scales")
_SUBSETS = ("subsets, times p", "subsets, l2 p, times p", "subsets of two p, l2 p")
_MIDDLE, _HALF = 0.94, 0.04
"""Coverage must be between 0.90 and 0.98."""


def _ratio(ds: xr.Dataset) -> tuple[float, float]:
    """Return the error of the recommended way / that of the best way with subsets, with most retrainings, and its doubt."""
    value, error = (ds[name].sel(quality="error").isel(m=-1) for name in ("influence", "influence_error"))
    best = min(_SUBSETS, key=lambda way: float(value.sel(way=way)))
    ratio = float(value.sel(way=_RECOMMENDED) / value.sel(way=best))
    first, second = (float(error.sel(way=way) / value.sel(way=way)) for way in (_RECOMMENDED, best))
    relative = math.hypot(first, second)
    return ratio, half_width(ratio * relative, int(ds.attrs["repetitions"]) - 1)


def _coverage(ds: xr.Dataset) -> tuple[float, float]:
    """Return |coverage - 0.94| / 0.04 and its doubt; coverage is the mean over numbers of retrainings, which share designs."""
    value, error = (float(ds[name].sel(quality="coverage", way=_RECOMMENDED).mean()) for name in ("influence", "influence_error"))
    return abs(value - _MIDDLE) / _HALF, half_width(error / _HALF, int(ds.attrs["repetitions"]) - 1)


def _judgement(*, of_ratio: bool = True, of_coverage: bool = True) -> Judgement:
    """Return the judgement of T20 by the larger of the parts that are asked for."""

    def judged(this: Claim, results: Results) -> Verdict:
        cases = results["estimating_influence"]
        parts = [part for part, asked in ((_ratio, of_ratio), (_coverage, of_coverage)) if asked]
        evidence = [Evidence(ds.attrs["case"], *max((part(ds) for part in parts), key=lambda x: x[0] + x[1])) for ds in cases]
        notes = "; ".join(f"{ds.attrs['case']}, m = {int(ds.m[-1])}: {_errors(ds)}" for ds in cases)
        return this.decide(
            evidence,
            holds=Status.HOLDS_WHEN,
            condition="F is smooth in the weights on the scale s. One point at a time can be nearer, but shows no error where "
            "seeds stay the same, and where every retraining has noise of its own it needs N times as many. Relative errors: "
            f"{notes}",
        )

    return judged


def _errors(ds: xr.Dataset) -> str:
    """Describe the errors with most retrainings: of the recommended way, of subsets at best, and of one point at a time."""
    error = ds.influence.sel(quality="error").isel(m=-1)
    subsets, single = (min(float(error.sel(way=way)) for way in ways) for ways in (_SUBSETS, _ONE_BY_ONE))
    recommended = float(error.sel(way=_RECOMMENDED))
    return f"{recommended:.2g}, subsets at best {subsets:.2g}, one point at a time at best {single:.2g}"


@claim(
    "T20",
    "retraining on the design of for_influence gives D(1) to within its 95% intervals, and nearer than subsets do",
    plain="retraining near w = 1 gives D(1) and sound intervals",
    experiments=("estimating_influence",),
    measure="the larger of |coverage - 0.94| / 0.04 and error / error of the best way with subsets",
    tolerance=1.0,
    essay="The essay says that datamodels estimate dF/dw at w = 1. Retraining can, if weights stay near 1; subsets are too far "
    "away.",
    idea="beta of {1 - s, 1 + s} is D(1) + O(s^2) (T2), and (4 beta(s/2) - beta(s)) / 3 is D(1) + O(s^4). A fold-over design "
    "makes slopes orthogonal to each other and to even degrees. What odd degrees add is random, as columns and signs are, and "
    "shows in the spread between groups. p beta^(p) of subsets misses D(1) by terms of T6 that more retrainings do not remove.",
    sources=("Goldstein & Reinert 1997", "Plackett & Burman 1946", "own derivation from T2 and T6"),
    other_measures=(
        OtherMeasure("|coverage - 0.94| / 0.04 alone", 1.0, _judgement(of_ratio=False)),
        OtherMeasure("ratio of the errors alone", 1.0, _judgement(of_coverage=False)),
    ),
    too_small="ten designs do not tell a coverage of 0.94 from one of 0.90",
)
def retraining_gives_the_derivative(this: Claim, results: Results) -> Verdict:
    """Compare the recommended design with the best of three ways with subsets, and its intervals with D(1), in every case.

    Errors are relative, root mean squares over designs, with equal numbers of retrainings; the best way with subsets is chosen in
    hindsight, case by case. Coverage must lie between 0.90 and 0.98. D(1) is exact. Where F jumps and every group has new seeds
    it is measured with many others, and intervals are widened by its error.
    """
    return _judgement()(this, results)
