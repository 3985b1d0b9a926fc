"""One to three hidden layers: does influence get worse with depth, as Basu et al. 2021 found?"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from sims.experiments.shared.conditioning import with_conditioning
from sims.experiments.shared.effects import REFERENCES, cell, linearizations, references, scores_or_undefined
from sims.experiments.shared.experiment import Experiment, Retrain, in_memory
from sims.experiments.shared.labels import MEASURES, Variables, labelled
from sims.experiments.shared.problem import Problem
from sims.experiments.shared.user_cases import NETWORKS, user_case
from sims.experiments.width_map import METHODS

__all__ = ["EXPERIMENT", "DepthConfig", "run"]


@dataclass(frozen=True)
class DepthConfig:
    """A network, the width of its layers, how many of them, how many seeds."""

    problem: Problem
    width: int = 4
    depths: tuple[int, ...] = (0, 1, 2, 3)
    n_seeds: int = 16


def run(config: DepthConfig, *, retrain: Retrain = in_memory, progress: bool = False) -> xr.Dataset:
    """Influence against D(1), leave-one-out and beta for networks of every depth, after the same number of steps.

    `single_seed` is the mean over seeds of the same measures within one seed: what a user with one trained model sees.
    """
    seeds, cells, singles, norms = tuple(range(config.n_seeds)), list[Any](), list[Any](), list[Any]()
    learners = [config.problem.build(hidden=(config.width,) * depth) for depth in config.depths]
    for depth, learner in zip(config.depths, learners, strict=True):
        samples = retrain(learner, seeds, part=f"depth={depth}").samples
        exact = {name: effect[:, 0] for name, effect in references(learner, seeds, samples).items()}
        (at,) = linearizations(learner, seeds)
        scores = [scores_or_undefined(at, **options) for options in METHODS.values()]
        cells.append([cell(score, exact) for score in scores])
        singles.append([_within_seeds(score, exact) for score in scores])
        norms.append(at.gradient_norm)
    table, alone = np.array(cells), np.array(singles)  # (depth, method, 2, reference, measure)
    dims = ("depth", "estimate", "reference", "measure")
    variables: Variables = {
        "measured": (dims, table[:, :, 0], "influence against the reference, both averaged over seeds"),
        "measured_error": (dims, table[:, :, 1], "its standard error over seeds"),
        "single_seed": (dims, alone[:, :, 0], "the same within one seed, mean over seeds"),
        "single_seed_error": (dims, alone[:, :, 1], "its standard error"),
        "gradient_norm": (("depth", "seed"), norms, "||grad L|| at w = 1"),
    }
    coords = {
        "depth": config.depths,
        "estimate": tuple(METHODS),
        "reference": REFERENCES,
        "measure": MEASURES,
        "seed": seeds,
    }
    return with_conditioning(labelled("depth", config, coords, variables), learners, seeds).assign_attrs(n_seeds=config.n_seeds)


def _within_seeds(scores: np.ndarray, exact: dict[str, np.ndarray]) -> np.ndarray:
    """Mean and standard error over seeds of the cells of single seeds: (2, REFERENCES, MEASURES)."""
    each = np.array([cell(scores[r : r + 1], {n: e[r : r + 1] for n, e in exact.items()})[0] for r in range(len(scores))])
    return np.stack([each.mean(axis=0), each.std(axis=0, ddof=1) / np.sqrt(len(each))])


_TRAINED = (("l2", 0.01), ("learning_rate", 0.2), ("steps", 7500))  # at 0.3 three hidden layers on Spector are chaotic


def _user_case(problem: Problem, small: bool) -> DepthConfig:
    trained = problem.changed("hidden", steps=300 if small else 5000)
    return DepthConfig(trained, depths=(0, 2), n_seeds=4) if small else DepthConfig(trained)


EXPERIMENT = Experiment(
    name="depth",
    question="Does influence get worse with depth?",
    cases=(
        DepthConfig(Problem("two_moons", "mlp", _TRAINED, n_points=8)),
        DepthConfig(Problem("spector", "mlp", _TRAINED, n_points=8)),
    ),
    small=(
        DepthConfig(
            Problem("two_moons", "mlp", (("l2", 0.01), ("learning_rate", 0.3), ("steps", 300)), n_points=6),
            depths=(0, 2),
            n_seeds=3,
        ),
    ),
    run=run,
    user_case=user_case(_user_case, learners=NETWORKS),
)
