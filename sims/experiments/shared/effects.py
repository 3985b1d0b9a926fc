"""What experiments on influence share: effects of every seed at every training time, and how estimates compare with them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sims.experiments.shared.labels import MEASURES
from sims.experiments.shared.problem import ParametricLearner
from sims.learners.mlp import MLP
from theory.datamodel import optimal_datamodel
from theory.influence import influence
from theory.influence.budget import Step
from theory.metrics import compare, jackknife, jackknife_errors, lds, relative_error, slope
from theory.response import Array, Linearization
from theory.subsets import all_masks, sizes
from theory.values import leave_one_out

__all__ = [
    "COLUMNS",
    "PREDICTED",
    "REFERENCES",
    "TARGETS",
    "Rows",
    "against",
    "by_time",
    "cell",
    "columns",
    "derivatives",
    "group_rows",
    "linearizations",
    "predictions",
    "references",
    "scores_or_undefined",
]

REFERENCES = ("D(1)", "LOO", "beta")
"""What an influence score may be taken for: what it estimates by construction, and the two effects of retraining."""

PREDICTED = ("lds", "relative_error", "slope")
"""How predicted responses of subsets compare with retraining."""

COLUMNS = ("size", "share", *MEASURES)
"""Of a step of a budget: ||step|| / ||first effect||, its signed share of the whole gap; after against before."""

TARGETS = ("all subsets", "1 or 2 removed")
"""Which responses are predicted: `group_rows` has the subsets."""

Rows = NDArray[np.bool_]
"""Which subsets: (2**N,)."""

Measured = tuple[list[float], list[float]]
"""Values, and their standard errors over seeds."""


def by_time(effects: Array, n_times: int) -> Array:
    """(R, N, K M) as (R, K, N, M): outputs of K snapshots stand one after the other."""
    return effects.reshape(*effects.shape[:2], n_times, -1).swapaxes(1, 2)


def derivatives(learner: ParametricLearner, weights: Array, seeds: Sequence[int], n_times: int = 1) -> Array:
    """D(w) of every seed at every snapshot: (R, K, N, M)."""
    return by_time(learner.weight_jacobian(weights[None], seeds)[0].swapaxes(1, 2), n_times)


def references(learner: ParametricLearner, seeds: Sequence[int], samples: Array, n_times: int = 1) -> dict[str, Array]:
    """`REFERENCES` of every seed at every snapshot, each (R, K, N, M), from the table of all subsets `samples` (R, 2**N, K M)."""
    return {
        "D(1)": derivatives(learner, np.ones(learner.n_points), seeds, n_times),
        "LOO": by_time(np.stack([leave_one_out(table) for table in samples]), n_times),
        "beta": by_time(np.stack([optimal_datamodel(table).coefficients for table in samples]), n_times),
    }


def linearizations(learner: ParametricLearner, seeds: Sequence[int]) -> tuple[Linearization, ...]:
    """At w = 1: one for every snapshot of a network, one otherwise."""
    ones = np.ones(learner.n_points)
    return learner.linearizations(ones, seeds) if isinstance(learner, MLP) else (learner.linearize(ones, seeds),)


def scores_or_undefined(at: Linearization, method: str = "exact", **options: Any) -> Array:
    """Influence scores (R, N, M), NaN throughout where the curvature of some seed is singular."""
    try:
        return influence(at, method, **options).scores
    except np.linalg.LinAlgError:
        return np.full((*at.point_gradients.shape[:2], at.output_gradients.shape[1]), np.nan)


def against(estimate: Array, reference: Array) -> Measured:
    """`MEASURES` of the means over seeds of (R, N, M), and their standard errors; NaN where the estimate is undefined."""
    if not np.isfinite(estimate).all():
        return [np.nan] * len(MEASURES), [np.nan] * len(MEASURES)
    measured, errors = compare(estimate.mean(axis=0), reference.mean(axis=0)), jackknife_errors(estimate, reference)
    return [getattr(measured, m) for m in MEASURES], [getattr(errors, m) for m in MEASURES]


def cell(estimate: Array, exact: Mapping[str, Array]) -> Array:
    """`MEASURES` against every reference, and their standard errors: (2, references, MEASURES). One cell of a map."""
    return np.array([against(estimate, reference) for reference in exact.values()]).swapaxes(0, 1)


def columns(step: Step | None) -> Array:
    """`COLUMNS` of a step and their standard errors, (2, COLUMNS); NaN for a step that a budget does not have."""
    if step is None:
        return np.full((2, len(COLUMNS)), np.nan)
    values, errors = ([getattr(part, name) for name in MEASURES] for part in (step.measured, step.measured_error))
    return np.array([[step.size, step.share, *values], [step.size_error, step.share_error, *errors]])


def group_rows(n: int) -> dict[str, Rows]:
    """`TARGETS`: rows of a table of all subsets of n points."""
    return dict(zip(TARGETS, (sizes(n) >= 0, sizes(n) >= n - 2), strict=True))


def predictions(effects: Array, samples: Array, subsets: Mapping[str, Rows]) -> tuple[list[list[float]], list[list[float]]]:
    """`PREDICTED` for every group of rows in `subsets`, with standard errors over seeds.

    An effect (R, N, M) predicts F(1) - F(S) = sum of the effects of the points not in S; samples (R, 2**N, M) hold F. Slope and
    relative error are of the differences from the mean over the group, so that no method is judged by its intercept.
    """
    absent, values, errors = 1.0 - all_masks(effects.shape[1]), list[list[float]](), list[list[float]]()
    for rows in subsets.values():

        def measures(effect: Array, table: Array, rows: Rows = rows) -> list[float]:
            predicted, actual = -(absent[rows] @ effect), table[rows]
            centred = predicted - predicted.mean(axis=0), actual - actual.mean(axis=0)
            return [lds(predicted, actual), relative_error(*centred), slope(*centred)]

        defined = bool(np.isfinite(effects).all())
        values.append(measures(effects.mean(axis=0), samples.mean(axis=0)) if defined else [np.nan] * len(PREDICTED))
        errors.append(jackknife(measures, effects, samples).tolist() if defined else [np.nan] * len(PREDICTED))
    return values, errors
