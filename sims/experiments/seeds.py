"""The experiment asks whether the average over seeds is easier to predict than one trained model.

It varies the number of seeds that are averaged, and predicts models with the same and with other seeds.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sims.experiments.shared.conditioning import with_conditioning
from sims.experiments.shared.digits import CONVERGED, NETWORK, YOUNG
from sims.experiments.shared.effects import PREDICTED, TARGETS, derivatives, prediction_quality, target_rows
from sims.experiments.shared.experiment import Experiment, Retrain, in_memory
from sims.experiments.shared.gains import gain
from sims.experiments.shared.labels import Measured, Variables, array, labelled, measured, table
from sims.experiments.shared.problem import Problem
from sims.experiments.shared.settings import setting
from sims.experiments.shared.user_cases import NETWORKS, user_case
from theory.datamodel import optimal_datamodel
from theory.response import Array
from theory.values import leave_one_out

__all__ = ["EXPERIMENT", "SeedsConfig", "run"]

ESTIMATES = ("beta", "LOO", "D(1)")
PAIRINGS = ("same seeds", "other seeds")
"""Models that are predicted: those that the effects were computed from, or as many models with other seeds."""


@dataclass(frozen=True)
class SeedsConfig:
    """A config sets the learner, the number of seeds, and the numbers of seeds that are averaged.

    Every number in `averaged` must divide half the number of seeds.
    """

    problem: Problem
    n_seeds: int = 64
    averaged: tuple[int, ...] = setting(
        "numbers of seeds that are averaged; each divides half of all seeds", (1, 2, 4, 8, 16, 32), within="[1, inf)"
    )


def run(config: SeedsConfig, *, retrain: Retrain = in_memory, progress: bool = False) -> xr.Dataset:
    """Measure how well the effects of R averaged seeds predict the average of the same R models, and of R other models.

    The predictions are for the subsets of each target. For every R the seeds fall into disjoint groups; for `other seeds` the
    groups are paired, and the two groups of a pair predict each other. Values are means over groups. Standard errors are over
    independent observations: groups, or pairs of groups (NaN if there is only one). `noise` is the share of a group's variance
    over subsets that another group does not have: the effects of one group cannot predict it in the other. `gain` compares single
    seeds with the average over all seeds, and its errors are over all of them. Raises ValueError if
    some number in `averaged` does not divide half the seeds.
    """
    half = config.n_seeds // 2
    bad = [count for count in config.averaged if half % count]
    if config.n_seeds % 2 or bad:
        raise ValueError(f"averaged = {config.averaged}, expected divisors of {half}, half of the {config.n_seeds} seeds")
    learner, seeds = config.problem.build(), tuple(range(config.n_seeds))
    samples = retrain(learner, seeds).samples
    effects = {
        "beta": np.stack([optimal_datamodel(table).coefficients for table in samples]),
        "LOO": np.stack([leave_one_out(table) for table in samples]),
        "D(1)": derivatives(learner, np.ones(learner.n_points), seeds)[0],
    }
    targets = {count: _averages(samples, count) for count in config.averaged}

    def of_groups(averaged: int, estimate: str, pairing: str) -> Measured:
        order = _orders(len(targets[averaged]))[pairing]
        return _mean_over_groups(_averages(effects[estimate], averaged), targets[averaged], order)

    variables: Variables = {
        "gain": (gain(samples), "of beta on all subsets, one seed against the average over all seeds"),
        "prediction": (
            table(of_groups, averaged=config.averaged, estimate=ESTIMATES, pairing=PAIRINGS),
            "of the response over subsets, mean over groups of seeds",
        ),
        "noise": (
            array([_noise(targets[count]) for count in config.averaged], averaged=config.averaged),
            "share of the variance over subsets that another group of seeds does not have",
        ),
    }
    return with_conditioning(labelled("seeds", config, variables), [learner], seeds).assign_attrs(n_seeds=config.n_seeds)


def _averages(values: Array, count: int) -> Array:
    """Average values (R, ..) over consecutive groups of `count`: (R / count, ..)."""
    return values.reshape(-1, count, *values.shape[1:]).mean(axis=1)


def _orders(groups: int) -> dict[str, NDArray[np.int64]]:
    """Return for each of `PAIRINGS` the group that every group predicts: itself, or the group half the number of groups away."""
    every = np.arange(groups, dtype=np.int64)
    return dict(zip(PAIRINGS, (every, (every + groups // 2) % groups), strict=True))


def _mean_over_groups(effects: Array, targets: Array, order: NDArray[np.int64]) -> Measured:
    """Measure how well the effects of each group g predict group order[g], averaged over g: dimensions (target, quality)."""
    rows = target_rows(effects.shape[1]).values()
    each = np.array([[prediction_quality(e, t, r) for r in rows] for e, t in zip(effects, targets[order], strict=True)])
    partner_first = order < np.arange(len(order))
    independent = 0.5 * (each + each[order])[~partner_first]  # two groups that predict each other are one observation
    spread = independent.std(axis=0, ddof=1) if len(independent) > 1 else np.full(each.shape[1:], np.nan)
    error = spread / np.sqrt(len(independent))
    return measured(each.mean(axis=0), error, errors_over="groups of seeds", target=TARGETS, quality=PREDICTED)


def _noise(targets: Array) -> float:
    """Return 1 - Cov(F_a, F_b) / Var F over all subsets, pooled over outputs and over pairs of groups a, b."""
    centred = targets - targets.mean(axis=1, keepdims=True)
    partner = centred[_orders(len(centred))["other seeds"]]
    return float(1.0 - (centred * partner).sum() / (centred**2).sum())


_NETWORK: dict[str, Any] = {"hidden": (4,), "l2": 0.01, "learning_rate": 0.5}
_WELLS: dict[str, Any] = {"steps": 400, "learning_rate": 0.05}


def _user_case(problem: Problem, small: bool) -> SeedsConfig:
    if small:
        return SeedsConfig(problem.changed(steps=100), n_seeds=8, averaged=(1, 2, 4))
    return SeedsConfig(problem.changed(steps=1000))


EXPERIMENT = Experiment(
    name="seeds",
    question="Are counterfactuals of the seed average easier to predict than those of one trained model?",
    cases=(
        SeedsConfig(Problem("xor", "mlp", **_NETWORK, steps=1000)),
        SeedsConfig(Problem("two_moons", "mlp", **_NETWORK, steps=1000, n_points=8)),
        SeedsConfig(Problem("two_moons", "mlp", **_NETWORK, steps=10, n_points=8)),
        *(SeedsConfig(replace(NETWORK, n_points=9).changed(steps=steps)) for steps in (YOUNG, CONVERGED)),
        SeedsConfig(Problem("xor", "bistable", **_WELLS, n_points=6), n_seeds=256, averaged=(1, 4, 16, 64, 128)),
        SeedsConfig(Problem("xor", "mlp", **_NETWORK, steps=1000, data_seed=1), averaged=(1, 32)),
        SeedsConfig(Problem("two_moons", "mlp", **_NETWORK, steps=10, n_points=8, data_seed=1), averaged=(1, 32)),
    ),
    small=(SeedsConfig(Problem("xor", "mlp", **_NETWORK, steps=100, n_points=5), n_seeds=8, averaged=(1, 2, 4)),),
    run=run,
    user_case=user_case(_user_case, learners=NETWORKS),
)
