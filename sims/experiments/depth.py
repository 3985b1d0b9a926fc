"""The experiment asks whether influence gets worse with the number of hidden layers (0 to 3), as Basu et al. 2021 found."""

from dataclasses import astuple, dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from sims.experiments.shared.conditioning import with_conditioning
from sims.experiments.shared.digits import CONVERGED, NETWORK
from sims.experiments.shared.effects import REFERENCES, accuracies, linearizations, references, scores_or_undefined
from sims.experiments.shared.experiment import Experiment, Retrain, in_memory
from sims.experiments.shared.labels import MEASURES, Measured, Variables, array, labelled, measured, table
from sims.experiments.shared.problem import Problem
from sims.experiments.shared.settings import setting
from sims.experiments.shared.user_cases import NETWORKS, user_case
from sims.experiments.width_map import METHODS
from theory.metrics import compare
from theory.response import Array

__all__ = ["EXPERIMENT", "DepthConfig", "run"]


@dataclass(frozen=True)
class DepthConfig:
    """A config sets the network, the width of its hidden layers, the numbers of hidden layers, and the number of seeds."""

    problem: Problem
    width: int = setting("width of every hidden layer", 4, within="[1, inf)")
    depths: tuple[int, ...] = setting("numbers of hidden layers", (0, 1, 2, 3), within="[0, inf)")
    n_seeds: int = 16


def run(config: DepthConfig, *, retrain: Retrain = in_memory, progress: bool = False) -> xr.Dataset:
    """Compare influence with D(1), leave-one-out and beta for networks of every depth, after the same number of steps.

    `measured` compares averages over seeds. `single_seed` applies the same measures within one seed and averages them over seeds:
    this is what a user with one trained model sees.
    """
    seeds = tuple(range(config.n_seeds))
    learners = {depth: config.problem.build(hidden=(config.width,) * depth) for depth in config.depths}
    exact, scores, norms = dict[int, dict[str, Array]](), dict[int, dict[str, Array]](), list[Array]()
    for depth, learner in learners.items():
        (exact[depth],) = references(learner, seeds, retrain(learner, seeds, part=f"depth={depth}").samples)
        (at,) = linearizations(learner, seeds)
        scores[depth] = {name: scores_or_undefined(at, **options) for name, options in METHODS.items()}
        norms.append(at.gradient_norm)

    def of_average(depth: int, estimate: str) -> Measured:
        return accuracies(scores[depth][estimate], exact[depth])

    def of_single_seeds(depth: int, estimate: str, reference: str) -> Measured:
        return _within_seeds(scores[depth][estimate], exact[depth][reference])

    variables: Variables = {
        "measured": (
            table(of_average, depth=config.depths, estimate=METHODS),
            "influence against the reference, both averaged over seeds",
        ),
        "single_seed": (
            table(of_single_seeds, depth=config.depths, estimate=METHODS, reference=REFERENCES),
            "the same within one seed, mean over seeds",
        ),
        "gradient_norm": (array(norms, depth=config.depths, seed=seeds), "||grad L|| at w = 1"),
    }
    result = labelled("depth", config, variables)
    return with_conditioning(result, list(learners.values()), seeds).assign_attrs(n_seeds=config.n_seeds)


def _within_seeds(scores: Array, reference: Array) -> Measured:
    """Measure how close scores and reference, both (R, N, M), are within one seed; return the mean over seeds."""
    each = np.array([astuple(compare(*pair)) for pair in zip(scores, reference, strict=True)])
    return measured(each.mean(axis=0), each.std(axis=0, ddof=1) / np.sqrt(len(each)), measure=MEASURES)


_TRAINED: dict[str, Any] = {"l2": 0.01, "learning_rate": 0.2, "steps": 7500}  # at 0.3 three hidden layers on Spector are chaotic


def _user_case(problem: Problem, small: bool) -> DepthConfig:
    trained = problem.changed("hidden", steps=300 if small else 5000)
    return DepthConfig(trained, depths=(0, 2), n_seeds=4) if small else DepthConfig(trained)


EXPERIMENT = Experiment(
    name="depth",
    question="Does influence get worse with depth?",
    cases=(
        DepthConfig(Problem("two_moons", "mlp", **_TRAINED, n_points=8)),
        DepthConfig(Problem("spector", "mlp", **_TRAINED, n_points=8)),
        DepthConfig(replace(NETWORK, n_points=9).changed("hidden", steps=CONVERGED), width=8, n_seeds=8),
    ),
    small=(
        DepthConfig(
            Problem("two_moons", "mlp", l2=0.01, learning_rate=0.3, steps=300, n_points=6),
            depths=(0, 2),
            n_seeds=3,
        ),
    ),
    run=run,
    user_case=user_case(_user_case, learners=NETWORKS),
    varies={"hidden": "depths"},
)
