"""The experiment removes k points at once and compares predictions of the change with retraining.

The predictions are summed influence, one Newton step, the datamodel's own and its summed coefficients, among others.
"""

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import xarray as xr

from sims.experiments.shared.conditioning import with_conditioning
from sims.experiments.shared.digits import CONVERGED, NETWORK, SOFTMAX_DIGITS, SOFTMAX_IRIS, YOUNG
from sims.experiments.shared.drawn_removal import DrawnRemovalConfig, run_drawn
from sims.experiments.shared.effects import linearizations, references, scores_or_undefined
from sims.experiments.shared.experiment import Config, Experiment, Retrain, in_memory
from sims.experiments.shared.labels import Measured, Variables, labelled, measured, table
from sims.experiments.shared.memory import require_per_subset
from sims.experiments.shared.problem import Problem
from sims.experiments.shared.user_cases import CONVEX, why_not_enumerable
from theory.datamodel import Datamodel, optimal_datamodel
from theory.influence import newton_change
from theory.laws import Bernoulli, FixedSize
from theory.metrics import jackknife, lds, relative_error, slope
from theory.response import Array
from theory.subsets import all_masks, sizes

__all__ = ["EXPERIMENT", "GroupRemovalConfig", "run"]


@dataclass(frozen=True)
class GroupRemovalConfig:
    """A config sets the learner and the number of seeds (1 for a learner without randomness)."""

    problem: Problem
    n_seeds: int = 1


def run(config: GroupRemovalConfig | DrawnRemovalConfig, *, retrain: Retrain = in_memory, progress: bool = False) -> xr.Dataset:
    """Measure how well each method predicts F(1) - F(1_S) over every subset S without k points, k = 1 .. N - 1.

    A datamodel g predicts F(1_S) by g(1_S), intercept included, and so the change by F(1) - g(1_S): the estimate "datamodel". Its
    coefficients alone, "beta, summed", predict g(1) - g(1_S): the change is then 0 without a removal. "best of its size" is the
    datamodel of the subsets without k points alone, and "rescaled influence" adds up one Newton step for every point. Measures
    are slope, relative error and LDS within the groups of k points; `ratio` is the relative error divided by that of summed D(1).
    All subsets are used, so only the seeds are sampled; standard errors over seeds come from the jackknife (NaN for one seed). A
    Newton step is undefined (NaN) at a k for which the Hessian of some group is singular. With a `DrawnRemovalConfig`, subsets
    are drawn: see `run_drawn`.
    """
    if isinstance(config, DrawnRemovalConfig):
        return run_drawn(config, retrain=retrain, progress=progress)
    learner = config.problem.build()
    seeds, n = tuple(range(config.n_seeds)), learner.n_points
    require_per_subset(learner, _TABLES * learner.n_outputs * len(seeds), "group_removal")
    samples = retrain(learner, seeds).samples
    (exact,) = references(learner, seeds, samples)
    (at,) = linearizations(learner, seeds)
    absent, removed = 1.0 - all_masks(n), n - sizes(n)
    near = [optimal_datamodel(table, Bernoulli(0.9)) for table in samples]
    summed = {
        "influence, summed": scores_or_undefined(at),
        "rescaled influence, summed": scores_or_undefined(at, "newton"),
        "D(1), summed": exact["D(1)"],
        "LOO, summed": exact["LOO"],
        "beta, summed": exact["beta"],
        "beta (p = 0.9), summed": np.stack([model.coefficients for model in near]),
    }
    own = {"datamodel": [optimal_datamodel(table) for table in samples], "datamodel (p = 0.9)": near}

    @cache
    def of_size(k: int) -> list[Datamodel]:
        """Return the best linear predictor for subsets without k points, of every seed."""
        return [optimal_datamodel(table, FixedSize(n - k)) for table in samples]

    def change(k: int, estimate: str) -> Array:
        chosen = removed == k
        if estimate in summed:
            return absent[chosen] @ summed[estimate]
        if estimate == BEST:
            return samples[:, -1:] - np.stack([best.predict(1.0 - absent[chosen]) for best in of_size(k)])
        if estimate in own:
            return samples[:, -1:] - np.stack([model.predict(1.0 - absent[chosen]) for model in own[estimate]])
        try:
            return -newton_change(at, 1.0 - absent[chosen])
        except np.linalg.LinAlgError:
            return np.full_like(samples[:, chosen], np.nan)

    def predicted_change(k: int, estimate: str) -> Measured:
        predicted, rival, actual = change(k, estimate), change(k, "D(1), summed"), samples[:, -1:] - samples[:, removed == k]
        ratio = _ratio(predicted, rival, actual).rename(value="ratio", error="ratio_error")
        return _quality(predicted, actual).merge(ratio)

    found = table(predicted_change, removed=range(1, n), estimate=(*summed, *own, BEST, "Newton step"))
    ratios = found[["ratio", "ratio_error"]].rename(ratio="value", ratio_error="error")
    variables: Variables = {
        "measured": (found[["value", "error"]], "predicted against retrained change, over all groups of that size"),
        "ratio": (ratios, "relative error / relative error of D(1), summed"),
    }
    result = labelled("group_removal", config, variables).assign_attrs(n_seeds=config.n_seeds)
    return with_conditioning(result, [learner], seeds)


BEST = "best of its size"
"""The estimate by the optimal datamodel for subsets without exactly k points: no linear predictor is better there."""

_QUALITIES = ("slope", "relative_error", "lds")


def _quality(predicted: Array, actual: Array) -> Measured:
    """Measure how close the seed averages of two changes (R, groups, M) are; return NaN if the prediction is undefined."""

    def qualities(p: Array, a: Array) -> list[float]:
        return [slope(p, a), relative_error(p, a), lds(p, a)]

    if not np.isfinite(predicted).all():
        return measured([np.nan] * 3, [np.nan] * 3, measure=_QUALITIES)
    value = qualities(predicted.mean(axis=0), actual.mean(axis=0))
    return measured(value, jackknife(qualities, predicted, actual), measure=_QUALITIES)


def _ratio(predicted: Array, rival: Array, actual: Array) -> Measured:
    """Divide the relative error of one predicted change (R, groups, M) by that of another; return NaN where one is undefined."""

    def ratio(p: Array, q: Array, a: Array) -> float:
        return float(np.divide(relative_error(p, a), relative_error(q, a)))

    if not (np.isfinite(predicted).all() and np.isfinite(rival).all()):
        return measured(np.nan, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):  # a rival without error
        means = (x.mean(axis=0) for x in (predicted, rival, actual))
        return measured(ratio(*means), jackknife(ratio, predicted, rival, actual))


_NETWORK: dict[str, Any] = {"hidden": (4,), "l2": 0.01, "learning_rate": 0.5}


_MOST = 14
"""Most points of a convex learner for which every group of points is removed."""


def _user_case(problem: Problem, small: bool) -> Config:
    n, convex = problem.n_points or 0, problem.learner in CONVEX
    steps, n_seeds = (1000, 4) if small else (10000, 16)
    if not why_not_enumerable(problem, _MOST if convex else None):
        return GroupRemovalConfig(problem) if convex else GroupRemovalConfig(problem.changed(steps=steps), n_seeds)
    removed = tuple(sorted({1, 2, *(round(n * share) for share in (0.1, 0.25, 0.5))}))
    if convex:
        return DrawnRemovalConfig(problem, removed, draws=max(5 * n, min(20_000, (10 if small else 100) * n)))
    trained = problem.changed(steps=100 if small else 500)
    return DrawnRemovalConfig(trained, removed, draws=(20 if small else 40) * n, groups=60, n_seeds=4)


_TABLES = 7
"""Peak of memory in tables of all subsets, seeds and outputs, measured with one seed at 2^14 and 2^16 subsets."""

EXPERIMENT = Experiment(
    name="group_removal",
    question="How many points may be removed before summed influence, a Newton step or a datamodel fails?",
    cases=(
        GroupRemovalConfig(Problem("spector", "logistic", l2=0.1, n_points=12)),
        GroupRemovalConfig(Problem("longley", "least_squares", l2=0.1, n_points=12)),
        GroupRemovalConfig(Problem("xor", "mlp", **_NETWORK, steps=10000), n_seeds=16),
        *(
            GroupRemovalConfig(problem, n_seeds=16)
            for seed in (0, 1)  # 1: the same on other points
            for problem in (
                Problem("xor", "mlp", **_NETWORK, steps=30, data_seed=seed),
                Problem("two_moons", "interpolator", n_points=8, data_seed=seed),
            )
        ),
        GroupRemovalConfig(replace(SOFTMAX_DIGITS, n_points=12)),
        GroupRemovalConfig(SOFTMAX_IRIS),
        *(GroupRemovalConfig(replace(NETWORK, n_points=8).changed(steps=steps), n_seeds=8) for steps in (YOUNG, CONVERGED)),
    ),
    small=(
        GroupRemovalConfig(Problem("spector", "logistic", l2=0.1, n_points=8)),
        GroupRemovalConfig(Problem("xor", "mlp", **_NETWORK, steps=1000, n_points=5), n_seeds=3),
    ),
    run=run,
    user_case=_user_case,
)
