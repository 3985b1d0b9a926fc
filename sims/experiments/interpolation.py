"""The experiment studies models that fit every point exactly.

Their derivative in the weights is 0, but the effect of removing a point is not (T11).
"""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from sims.experiments.shared.effects import references
from sims.experiments.shared.experiment import Experiment, Retrain, in_memory
from sims.experiments.shared.labels import Measured, Variables, labelled, measured, table
from sims.experiments.shared.problem import Problem
from theory.metrics import jackknife
from theory.response import Array

__all__ = ["EXPERIMENT", "InterpolationConfig", "run"]


@dataclass(frozen=True)
class InterpolationConfig:
    """A config sets random features on a data set, widths without penalty, penalties at the largest width, and the seeds."""

    problem: Problem
    widths: tuple[int, ...] = (2, 4, 8, 16, 32)
    penalties: tuple[float, ...] = (1.0, 1e-1, 1e-2, 1e-4, 1e-6, 1e-8)
    n_seeds: int = 8


def run(config: InterpolationConfig, *, retrain: Retrain = in_memory, progress: bool = False) -> xr.Dataset:
    """Compute ||D(1)||, ||beta|| and ||leave-one-out|| of the seed average, by width (l2 = 0) and by l2 (largest width).

    Every learner has its own table of all subsets, so the norms are exact for the given seeds. Variables that end in `_error` are
    the standard errors of the norms over seeds, by the jackknife.
    """
    seeds = tuple(range(config.n_seeds))

    def sizes(width: int, l2: float) -> Measured:
        learner = config.problem.build(width=width, l2=l2)
        (effects,) = references(learner, seeds, retrain(learner, seeds, part=f"width={width} l2={l2:g}").samples)
        return table(lambda name: _norm(effects[name]), effect=("D(1)", "beta", "LOO"))

    by_width = table(lambda width: sizes(width, 0.0), width=config.widths)
    by_penalty = table(lambda l2: sizes(config.widths[-1], l2), l2=config.penalties)
    variables: Variables = {
        "size": (by_width, "||effect|| without penalty, Euclidean over points and outputs"),
        "penalised_size": (by_penalty, "||effect|| at the largest width"),
    }
    return labelled("interpolation", config, variables).assign_attrs(n_seeds=config.n_seeds)


def _norm(effects: Array) -> Measured:
    """Measure the norm of the mean of effects (R, N, M) over seeds."""
    return measured(np.linalg.norm(effects.mean(axis=0)), jackknife(np.linalg.norm, effects))


EXPERIMENT = Experiment(
    name="interpolation",
    question="What is left of D(1), beta and leave-one-out when a model fits every point exactly?",
    cases=(InterpolationConfig(Problem("two_moons", "interpolator", n_points=8)),),
    small=(
        InterpolationConfig(Problem("two_moons", "interpolator", n_points=6), widths=(2, 8), penalties=(1e-2, 1e-8), n_seeds=4),
    ),
    run=run,
    varies={"width": "widths", "l2": "penalties"},
)
