"""The module computes effects of every seed at every training time, and measures how close estimates are to them."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sims.experiments.shared.labels import MEASURES, Measured, measured, table
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
    "accuracies",
    "accuracy",
    "derivatives",
    "linearizations",
    "measured_step",
    "prediction",
    "prediction_quality",
    "references",
    "scores_or_undefined",
    "split_by_time",
    "target_rows",
]

REFERENCES = ("D(1)", "LOO", "beta")
"""Effects that an influence score is compared with: the derivative that it estimates, and two effects of retraining."""

PREDICTED = ("lds", "relative_error", "slope")
"""Measures of predicted against retrained responses of subsets."""

COLUMNS = ("size", "share", *MEASURES)
"""Values for a step of a budget: ||step|| / ||first effect||; its signed share of the whole gap; `MEASURES` of its end against
its start."""

TARGETS = ("all subsets", "1 or 2 removed")
"""Kinds of subsets whose responses are predicted; `target_rows` finds their rows in a table."""

Rows = NDArray[np.bool_]
"""Selected subsets of a table: (2**N,)."""


def split_by_time(effects: Array, n_times: int) -> list[Array]:
    """Split effects (R, N, K M), which hold the M outputs of K snapshots in turn, into one array (R, N, M) for each snapshot."""
    by_time = effects.reshape(*effects.shape[:2], n_times, -1)
    return [by_time[:, :, k] for k in range(n_times)]


def derivatives(learner: ParametricLearner, weights: Array, seeds: Sequence[int], n_times: int = 1) -> list[Array]:
    """Compute D(w) of every seed: one array (R, N, M) for each snapshot."""
    return split_by_time(learner.weight_jacobian(weights[None], seeds)[0].swapaxes(1, 2), n_times)


def references(learner: ParametricLearner, seeds: Sequence[int], samples: Array, n_times: int = 1) -> list[dict[str, Array]]:
    """Compute the `REFERENCES` of every seed, (R, N, M), for each snapshot, from the tables `samples` (R, 2**N, K M)."""
    effects = (
        derivatives(learner, np.ones(learner.n_points), seeds, n_times),
        split_by_time(np.stack([leave_one_out(table) for table in samples]), n_times),
        split_by_time(np.stack([optimal_datamodel(table).coefficients for table in samples]), n_times),
    )
    return [dict(zip(REFERENCES, at_time, strict=True)) for at_time in zip(*effects, strict=True)]


def linearizations(learner: ParametricLearner, seeds: Sequence[int]) -> tuple[Linearization, ...]:
    """Linearise the learner at w = 1: once for each snapshot of a network, or once for any other learner."""
    ones = np.ones(learner.n_points)
    return learner.linearizations(ones, seeds) if isinstance(learner, MLP) else (learner.linearize(ones, seeds),)


def scores_or_undefined(at: Linearization, method: str = "exact", **options: Any) -> Array:
    """Compute influence scores (R, N, M); return NaN for all of them if the curvature of some seed is singular."""
    try:
        return influence(at, method, **options).scores
    except np.linalg.LinAlgError:
        return np.full((*at.point_gradients.shape[:2], at.output_gradients.shape[1]), np.nan)


def accuracy(estimate: Array, reference: Array) -> Measured:
    """Measure by `MEASURES` how close the seed averages of two effects (R, N, M) are; return NaN if the estimate is undefined."""
    value = errors = [np.nan] * len(MEASURES)
    if np.isfinite(estimate).all():
        value = astuple(compare(estimate.mean(axis=0), reference.mean(axis=0)))
        errors = astuple(jackknife_errors(estimate, reference))
    return measured(value, errors, measure=MEASURES)


def accuracies(estimate: Array, exact: Mapping[str, Array]) -> Measured:
    """Measure how close an estimate is to every reference: dimensions (reference, measure)."""
    return table(lambda name: accuracy(estimate, exact[name]), reference=exact)


def measured_step(step: Step | None) -> Measured:
    """Return the labelled values `COLUMNS` of a step; return NaN for a step that a budget does not have."""
    if step is None:
        return measured([np.nan] * len(COLUMNS), [np.nan] * len(COLUMNS), column=COLUMNS)
    values = (step.size, step.share, *astuple(step.measured))
    return measured(values, (step.size_error, step.share_error, *astuple(step.measured_error)), column=COLUMNS)


def target_rows(n: int) -> dict[str, Rows]:
    """Find the rows of each of `TARGETS` in a table of all subsets of n points."""
    return dict(zip(TARGETS, (sizes(n) >= 0, sizes(n) >= n - 2), strict=True))


def prediction(effects: Array, samples: Array, target: str) -> Measured:
    """Measure how well the seed average of effects (R, N, M) predicts that of samples (R, 2**N, M).

    Values are NaN if the effects are undefined.
    """
    value = errors = [np.nan] * len(PREDICTED)
    if np.isfinite(effects).all():
        quality = partial(prediction_quality, rows=target_rows(effects.shape[1])[target])
        value, errors = quality(effects.mean(axis=0), samples.mean(axis=0)), jackknife(quality, effects, samples)
    return measured(value, errors, quality=PREDICTED)


def prediction_quality(effect: Array, responses: Array, rows: Rows) -> list[float]:
    """Compute the measures `PREDICTED` of an effect (N, M) on some rows of a table of all subsets (2**N, M).

    The prediction is F(1) - F(S) = sum of the effects of the points not in S. Slope and relative error use differences from the
    mean over the rows, so that the intercept of a method does not matter.
    """
    predicted, actual = -((1.0 - all_masks(len(effect)))[rows] @ effect), responses[rows]
    centred = predicted - predicted.mean(axis=0), actual - actual.mean(axis=0)
    return [lds(predicted, actual), relative_error(*centred), slope(*centred)]
