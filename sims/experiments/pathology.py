"""The experiment asks whether averaging over seeds helps more where training is pathological than in a benign twin."""

from dataclasses import dataclass, field, replace
from typing import Any

import xarray as xr

from sims.experiments.shared.experiment import Experiment, Retrain, in_memory
from sims.experiments.shared.gains import gain
from sims.experiments.shared.labels import Measured, Variables, labelled, table
from sims.experiments.shared.memory import require_per_subset
from sims.experiments.shared.problem import Option, Problem

__all__ = ["EXPERIMENT", "KINDS", "PathologyConfig", "run"]

KINDS = ("pathological", "benign")


@dataclass(frozen=True)
class PathologyConfig:
    """A config sets a pathological problem, what is pathological, its benign twin, and the number of seeds of either."""

    problem: Problem
    pathology: str = field(metadata={"fixed": True})
    benign: Problem
    n_seeds: int = 64


def run(config: PathologyConfig, *, retrain: Retrain = in_memory, progress: bool = False) -> xr.Dataset:
    """Measure how much easier the average over all seeds is to predict than one seed, for a problem and for its twin.

    Both are retrained on all subsets. Their seeds differ, so that the two gains are independent.
    """
    learners = {"pathological": config.problem.build(), "benign": config.benign.build()}
    seeds = {"pathological": range(config.n_seeds), "benign": range(config.n_seeds, 2 * config.n_seeds)}
    for learner in learners.values():
        require_per_subset(learner, 6 * config.n_seeds * learner.n_outputs, "pathology")

    def of_kind(kind: str) -> Measured:
        return gain(retrain(learners[kind], tuple(seeds[kind]), part=kind).samples)

    variables: Variables = {"gain": (table(of_kind, kind=KINDS), "of beta on all subsets, one seed against the average")}
    facts = {"pathology": config.pathology, "benign": config.benign.name, "n_seeds": config.n_seeds}
    return labelled("pathology", config, variables).assign_attrs(facts)


_NETWORK: dict[str, Option] = {"hidden": (4,), "l2": 0.01, "learning_rate": 0.5, "steps": 300}
_WELLS: dict[str, Option] = {"steps": 400, "learning_rate": 0.05}


def _problem(data: str, learner: str, n_points: int, **options: Any) -> Problem:
    return Problem(data, learner, **options, n_points=n_points)


def _cases(n_points: int, n_seeds: int) -> tuple[PathologyConfig, ...]:
    """Return a pair of every kind: two wells, a moving threshold, a chaotic learning rate, mislabelled points, a trigger.

    The wells' twin has a penalty that leaves one well, and the threshold's twin the sum whose sign the threshold takes, or one
    like it. At a learning rate of 8 two starts that differ by rounding end in different models.
    """
    wells, line = _problem("xor", "bistable", 6, **_WELLS), _problem("xor", "kernel_sum", n_points)
    moons = _problem("two_moons", "mlp", n_points, **_NETWORK)
    pairs = (
        (wells, "two wells", wells.changed(l2=1.5)),
        (_problem("xor", "moving_jump", n_points), "a moving threshold", line),
        (moons.changed(learning_rate=8.0), "a chaotic learning rate", moons),
        (replace(moons, data="mislabelled_moons"), "mislabelled points", moons),
        (replace(moons, data="triggered_moons"), "a planted trigger", moons),
    )
    return tuple(PathologyConfig(problem, pathology, benign, n_seeds) for problem, pathology, benign in pairs)


def _redrawn(config: PathologyConfig) -> PathologyConfig:
    """Return the same pair on data of seed 1."""
    return replace(config, problem=replace(config.problem, data_seed=1), benign=replace(config.benign, data_seed=1))


EXPERIMENT = Experiment(
    name="pathology",
    question="Does averaging over seeds help more in pathological cases than in benign ones?",
    cases=(*_cases(8, 64), *map(_redrawn, _cases(8, 64)[1:])),
    small=_cases(6, 16),
    run=run,
)
