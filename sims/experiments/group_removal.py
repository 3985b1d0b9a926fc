"""The experiment removes k points at once and compares predictions of the change with retraining.

The predictions are summed influence, one Newton step and summed datamodel coefficients, among others.
"""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from sims.experiments.shared.conditioning import with_conditioning
from sims.experiments.shared.effects import linearizations, references, scores_or_undefined
from sims.experiments.shared.experiment import Experiment, Retrain, in_memory
from sims.experiments.shared.labels import Measured, labelled, measured, table
from sims.experiments.shared.memory import require_per_subset
from sims.experiments.shared.problem import Problem
from sims.experiments.shared.user_cases import CONVEX, why_not_enumerable
from theory.datamodel import optimal_datamodel
from theory.influence import newton_change
from theory.laws import Bernoulli
from theory.metrics import jackknife, lds, relative_error, slope
from theory.response import Array
from theory.subsets import all_masks, sizes

__all__ = ["EXPERIMENT", "GroupRemovalConfig", "run"]


@dataclass(frozen=True)
class GroupRemovalConfig:
    """A config sets the learner and the number of seeds (1 for a learner without randomness)."""

    problem: Problem
    n_seeds: int = 1


def run(config: GroupRemovalConfig, *, retrain: Retrain = in_memory, progress: bool = False) -> xr.Dataset:
    """Measure how well each method predicts F(1) - F(1_S) over every subset S without k points, k = 1 .. N - 1.

    The measures are slope, relative error and LDS within the groups of k points. All subsets are used, so only the seeds are
    sampled; standard errors over seeds come from the jackknife (NaN for one seed). A Newton step is undefined (NaN) at a k for
    which the Hessian of some group is singular.
    """
    learner = config.problem.build()
    seeds, n = tuple(range(config.n_seeds)), learner.n_points
    require_per_subset(learner, _TABLES * learner.n_outputs * len(seeds), "group_removal")
    samples = retrain(learner, seeds).samples
    (exact,) = references(learner, seeds, samples)
    (at,) = linearizations(learner, seeds)
    absent, removed = 1.0 - all_masks(n), n - sizes(n)
    summed = {
        "influence, summed": scores_or_undefined(at),
        "D(1), summed": exact["D(1)"],
        "LOO, summed": exact["LOO"],
        "beta, summed": exact["beta"],
        "beta (p = 0.9), summed": np.stack([optimal_datamodel(table, Bernoulli(0.9)).coefficients for table in samples]),
    }

    def predicted_change(k: int, estimate: str) -> Measured:
        chosen = removed == k
        actual = samples[:, -1:] - samples[:, chosen]
        if estimate in summed:
            return _quality(absent[chosen] @ summed[estimate], actual)
        try:
            return _quality(-newton_change(at, 1.0 - absent[chosen]), actual)
        except np.linalg.LinAlgError:
            return _quality(np.full_like(actual, np.nan), actual)

    found = table(predicted_change, removed=range(1, n), estimate=(*summed, "Newton step"))
    text = "predicted against retrained change, over all groups of that size"
    return with_conditioning(labelled("group_removal", config, {"measured": (found, text)}), [learner], seeds)


_QUALITIES = ("slope", "relative_error", "lds")


def _quality(predicted: Array, actual: Array) -> Measured:
    """Measure how close the seed averages of two changes (R, groups, M) are; return NaN if the prediction is undefined."""

    def qualities(p: Array, a: Array) -> list[float]:
        return [slope(p, a), relative_error(p, a), lds(p, a)]

    if not np.isfinite(predicted).all():
        return measured([np.nan] * 3, [np.nan] * 3, measure=_QUALITIES)
    value = qualities(predicted.mean(axis=0), actual.mean(axis=0))
    return measured(value, jackknife(qualities, predicted, actual), measure=_QUALITIES)


_NETWORK = (("hidden", (4,)), ("l2", 0.01), ("learning_rate", 0.5), ("steps", 10000))


def _user_case(problem: Problem, small: bool) -> GroupRemovalConfig | str:
    if problem.learner in CONVEX:
        return why_not_enumerable(problem, 14) or GroupRemovalConfig(problem)
    steps, n_seeds = (1000, 4) if small else (10000, 16)
    return why_not_enumerable(problem) or GroupRemovalConfig(problem.changed(steps=steps), n_seeds)


_TABLES = 7
"""Peak of memory in tables of all subsets, seeds and outputs, measured with one seed at 2^14 and 2^16 subsets."""

EXPERIMENT = Experiment(
    name="group_removal",
    question="How many points may be removed before summed influence, a Newton step or a datamodel fails?",
    cases=(
        GroupRemovalConfig(Problem("spector", "logistic", (("l2", 0.1),), n_points=12)),
        GroupRemovalConfig(Problem("longley", "least_squares", (("l2", 0.1),), n_points=12)),
        GroupRemovalConfig(Problem("xor", "mlp", _NETWORK), n_seeds=16),
    ),
    small=(
        GroupRemovalConfig(Problem("spector", "logistic", (("l2", 0.1),), n_points=8)),
        GroupRemovalConfig(Problem("xor", "mlp", (*_NETWORK[:3], ("steps", 1000)), n_points=5), n_seeds=3),
    ),
    run=run,
    user_case=_user_case,
)
