"""The module judges statements of the field on groups of removed points and on subsets: P1 to P3.

P1 and P3 are judged under the conditions of their papers, as far as they could be read; P2 is what a ranking by one LDS assumes.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import xarray as xr

from theory.claims.registry import Claim, OtherMeasure, Results, claim
from theory.claims.verdict import CLOSE, Evidence, NothingToJudgeError, Status, Verdict
from theory.intervals import half_width

__all__: list[str] = []

DERIVATIVE, BEST = "D(1), summed", "best of its size"
INFLUENCE, RESCALED = "influence, summed", "rescaled influence, summed"
CONVEX = ("least_squares", "logistic", "softmax_regression")


def _removals(results: Results, needed: Sequence[str]) -> list[xr.Dataset]:
    """Return the cases of `group_removal` on all groups that have the estimates."""
    cases = [ds for ds in results["group_removal"] if set(needed) <= set(map(str, ds.estimate.values))]
    if not cases:
        raise NothingToJudgeError(f"no case predicts all groups of points by {' and '.join(needed)}")
    return cases


def _few(ds: xr.Dataset) -> list[int]:
    """Return the numbers of removed points that are few: one and two."""
    return [int(k) for k in ds.removed.values if k <= 2]


def _shortfall(ds: xr.Dataset, k: int, measure: str) -> tuple[float, float]:
    """Return how far summed D(1) is from the best linear predictor in removals of k points, and half its 95% interval."""
    at = ds.measured.sel(removed=k, measure=measure)
    error = ds.measured_error.sel(removed=k, measure=measure)
    own, best = float(at.sel(estimate=DERIVATIVE)), float(at.sel(estimate=BEST))
    doubt = half_width(float(np.nan_to_num(error.sel(estimate=DERIVATIVE))), max(int(ds.attrs["n_seeds"]) - 1, 1))
    return (1.0 - own / best, doubt / abs(best)) if measure == "lds" else (own, doubt)


def _nearly_optimal(this: Claim, results: Results, measure: str = "lds") -> Verdict:
    cases = _removals(results, (DERIVATIVE, BEST))
    evidence = [
        max(
            (Evidence(ds.attrs["case"], *_shortfall(ds, k, measure), ds.attrs["learner"] == "interpolator") for k in _few(ds)),
            key=_figure,
        )
        for ds in cases
    ]
    half = [f"{1.0 - _shortfall(ds, int(ds.removed.max() + 1) // 2, 'lds')[0]:.3f}" for ds in cases]
    errors = [f"{max(_shortfall(ds, k, 'relative_error')[0] for k in _few(ds)):.2g}" for ds in cases]
    condition = (
        f"one or two points are removed. With half of them the ratio of LDS is {', '.join(half)}; the relative error of D(1) for "
        f"one or two is {', '.join(errors)}, in the order of the cases"
    )
    worst = [Evidence(f"{ds.attrs['case']}, relative error of D(1)", *_worst_error(ds), control=True) for ds in cases]
    return this.decide([*evidence, *worst], holds=Status.HOLDS_WHEN, condition=condition)


def _worst_error(ds: xr.Dataset) -> tuple[float, float]:
    """Return the larger relative error of D(1) for one and two points, and its doubt."""
    return max((_shortfall(ds, k, "relative_error") for k in _few(ds)), key=lambda found: found[0])


def _figure(item: Evidence) -> float:
    return item.figure


@claim(
    "P1",
    "exact derivatives of training with respect to the weights of points, D(1), predict removals of few points nearly as well as "
    "any linear predictor",
    plain="D(1) is nearly optimal for removals of few points",
    experiments=("group_removal",),
    measure="1 - LDS of D(1) / LDS of the best linear predictor for groups of this size, the larger of one and two points",
    tolerance=CLOSE,
    essay="The essay compares datamodels with the same derivative; here it is the derivative that is said to be nearly optimal.",
    idea="A removal is a step of -1 in a weight. D(1) sees its first order, and the best linear predictor for one point is "
    "leave-one-out itself, with an LDS of 1. They differ by the curvature of F along the removal, which ranks may hide and "
    "relative errors do not.",
    sources=("Ilyas & Engstrom 2025",),
    other_measures=(
        OtherMeasure(
            "relative error of D(1) on the same removals",
            CLOSE,
            lambda this, results: _nearly_optimal(this, results, "relative_error"),
        ),
    ),
)
def exact_derivatives_are_nearly_optimal(this: Claim, results: Results) -> Verdict:
    """Compare the LDS of summed D(1) with that of the optimal datamodel for subsets without k points, k = 1 and 2.

    All groups of k points are removed, so that only seeds are sampled; the doubt is that of the LDS of D(1).
    """
    return _nearly_optimal(this, results)


_PAIR = (0.5, 0.9)
_SEEN = 0.01
"""A difference of LDS that is smaller is not seen where two digits are reported."""


def _lds(ds: xr.Dataset, p: float) -> tuple[dict[str, float], dict[str, float]]:
    """Return the LDS of every attribution at p, and half of its 95% interval; the best linear predictor is none of them."""
    at, error = (values.sel(p=p, quality="lds") for values in (ds.measured, ds.measured_error))
    names = [
        str(name) for name in ds.estimate.values if str(name) != _CEILING and np.isfinite(ds.measured.sel(estimate=name)).all()
    ]
    seeds = max(int(ds.attrs["n_seeds"]) - 1, 1)
    doubts = {name: half_width(float(np.nan_to_num(error.sel(estimate=name))), seeds) for name in names}
    return {name: float(at.sel(estimate=name)) for name in names}, doubts


_CEILING = "best linear predictor"


def _reversed(ds: xr.Dataset, first: float, second: float) -> tuple[int, list[str]]:
    """Count the pairs of scores that are clearly ordered at two p, and name those whose orders are opposite."""
    (here, doubt), (there, other) = (_lds(ds, p) for p in (first, second))
    sure, turned = 0, list[str]()
    for a, b in combinations(here, 2):
        gaps = here[a] - here[b], there[a] - there[b]
        limits = np.hypot(doubt[a], doubt[b]), np.hypot(other[a], other[b])
        if all(abs(gap) > limit + _SEEN for gap, limit in zip(gaps, limits, strict=True)):
            sure += 1
            turned += [f"{a} and {b}"] if gaps[0] * gaps[1] < 0.0 else []
    return sure, turned


def _lost(ds: xr.Dataset, first: float, second: float) -> float:
    """Return the LDS that is lost by choosing the best score at the other p."""
    here, there = (_lds(ds, p)[0] for p in (first, second))
    return max(max(x.values()) - x[max(y, key=lambda name: y[name])] for x, y in ((here, there), (there, here)))


def _by_law(this: Claim, results: Results, *, lost: bool = False) -> Verdict:
    evidence, notes = list[Evidence](), list[str]()
    for ds in results["lds_by_law"]:
        sure, turned = _reversed(ds, *_PAIR)
        if sure:
            evidence.append(Evidence(ds.attrs["case"], _lost(ds, *_PAIR) if lost else len(turned) / sure))
            shown = f" ({turned[0]})" if turned else ""
            notes.append(f"{len(turned)} of {sure}{shown}, {_lost(ds, *_PAIR):.3f}")
    if not evidence:
        raise NothingToJudgeError("no two scores are clearly ordered at both inclusion probabilities")
    condition = f"pairs reversed, and LDS lost by choosing the best score at the other p, by case: {'; '.join(notes)}"
    return this.decide(evidence, condition=condition)


@claim(
    "P2",
    "the order of attribution methods by LDS does not depend on the law of the subsets",
    plain="the order by LDS does not depend on the subsets",
    experiments=("lds_by_law",),
    measure="share of the pairs of scores, clearly ordered at p = 0.5 and at p = 0.9, that have opposite orders",
    tolerance=CLOSE,
    essay="Not the essay's, but assumed wherever methods are ranked by one LDS; the essay has one law of subsets, too.",
    idea="A score that predicts F near the full set is near D(1) or leave-one-out, one that predicts random halves near their "
    "datamodel. These are averages of the same derivative at different places, so that each is best in its own place.",
    sources=("Park et al. 2023", "own derivation from T13"),
    other_measures=(
        OtherMeasure(
            "LDS that is lost by choosing the best score at the other p",
            CLOSE,
            lambda this, results: _by_law(this, results, lost=True),
        ),
    ),
)
def order_by_lds_is_one(this: Claim, results: Results) -> Verdict:
    """Count pairs of scores whose difference in exact LDS has one sign at p = 0.5 and the other at p = 0.9.

    A pair counts if both differences exceed 0.01 by more than their 95% intervals over seeds. All subsets are used, each with its
    probability.
    """
    return _by_law(this, results)


def _underestimates(this: Claim, results: Results) -> Verdict:
    cases = [ds for ds in _removals(results, (INFLUENCE, RESCALED)) if ds.attrs["learner"] in CONVEX]
    if not cases:
        raise NothingToJudgeError("no case is convex: the statement is about convex losses")
    evidence, notes = list[Evidence](), list[str]()
    for ds in cases:
        few = ds.sel(removed=[k for k in ds.removed.values if 2 * k <= ds.removed.max() + 1])
        slopes = few.measured.sel(estimate=INFLUENCE, measure="slope").values
        errors = [few.measured.sel(estimate=name, measure="relative_error").values for name in (RESCALED, INFLUENCE)]
        repaired = errors[0] / errors[1]
        evidence.append(Evidence(f"{ds.attrs['case']}: slope of influence", float(slopes.max())))
        evidence.append(Evidence(f"{ds.attrs['case']}: error of rescaled over plain influence", float(repaired.max())))
        best, shown = few.removed.values[int(np.argmin(repaired))], f"{errors[0].min():.2g} to {errors[0].max():.2g}"
        notes.append(f"{repaired.min():.2g} at {best} points, errors of the rescaled {shown}")
    return this.decide(evidence, condition=f"up to half of the points are removed. Smallest ratio by case: {'; '.join(notes)}")


@claim(
    "P3",
    "influence underestimates the effect of removing a group of points from a convex model, and influence rescaled by leverages "
    "predicts it better",
    plain="influence underestimates groups, rescaling repairs",
    experiments=("group_removal",),
    measure="slope of summed influence on the retrained change, and error of rescaled over that of plain influence: the largest "
    "for groups of up to half of the points",
    tolerance=1.0,
    essay="Not the essay's: it is about D(1) itself, as a prediction of removals.",
    idea="A removed point no longer holds its own prediction back: its influence is divided by 1 - h_i, one Newton step, "
    "which is exact for least squares and one point. The sum over a group leaves out how the points of a group hold each other.",
    sources=("Rubinstein & Hopkins 2025", "Koh et al. 2019"),
)
def influence_underestimates_groups(this: Claim, results: Results) -> Verdict:
    """Compare summed influence, and the sum of single Newton steps, with retraining without every group of up to N/2 points."""
    return _underestimates(this, results)
