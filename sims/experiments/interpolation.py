"""Models that fit every point exactly: the derivative in the weights is 0, the effect of a removal is not (T11)."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from sims.experiments.shared.experiment import Experiment, Retrain, in_memory
from sims.experiments.shared.labels import Variables, labelled
from sims.experiments.shared.problem import Problem
from theory.datamodel import optimal_datamodel
from theory.metrics import jackknife
from theory.response import Array, DifferentiableLearner
from theory.values import leave_one_out

__all__ = ["EXPERIMENT", "InterpolationConfig", "run"]


@dataclass(frozen=True)
class InterpolationConfig:
    """Random features on a data set: widths without penalty, and penalties at the largest width."""

    problem: Problem
    widths: tuple[int, ...] = (2, 4, 8, 16, 32)
    penalties: tuple[float, ...] = (1.0, 1e-1, 1e-2, 1e-4, 1e-6, 1e-8)
    n_seeds: int = 8


def run(config: InterpolationConfig, *, retrain: Retrain = in_memory, progress: bool = False) -> xr.Dataset:
    """||D(1)||, ||beta|| and ||leave-one-out|| of the seed average against width (l2 = 0) and against l2 (largest width).

    Every learner has a table of its own. All exact for the given seeds; `_error` is the standard error over seeds of the norm, by
    jackknife.
    """
    seeds = tuple(range(config.n_seeds))
    widest = config.widths[-1]

    def sizes(width: int, l2: float) -> Array:
        learner = config.problem.build(width=width, l2=l2)
        return _sizes(learner, seeds, retrain(learner, seeds, part=f"width={width} l2={l2:g}").samples)

    by_width = np.stack([sizes(width, 0.0) for width in config.widths])  # (widths, 3, 2)
    by_penalty = np.stack([sizes(widest, l2) for l2 in config.penalties])
    variables: Variables = {
        "size": (("width", "effect"), by_width[..., 0], "||effect|| without penalty, Euclidean over points and outputs"),
        "size_error": (("width", "effect"), by_width[..., 1], "its standard error over seeds"),
        "penalised_size": (("l2", "effect"), by_penalty[..., 0], "||effect|| at the largest width"),
        "penalised_size_error": (("l2", "effect"), by_penalty[..., 1], "its standard error over seeds"),
    }
    coords = {"width": config.widths, "l2": config.penalties, "effect": ("D(1)", "beta", "LOO")}
    return labelled("interpolation", config, coords, variables)


def _sizes(learner: DifferentiableLearner, seeds: tuple[int, ...], samples: Array) -> Array:
    """Norm of the seed average and its jackknife error, for D(1), beta and leave-one-out: (3, 2)."""
    jacobian = learner.weight_jacobian(np.ones((1, learner.n_points)), seeds)[0].swapaxes(1, 2)
    effects = (jacobian, [optimal_datamodel(t).coefficients for t in samples], [leave_one_out(t) for t in samples])
    return np.array([_norm(np.asarray(effect)) for effect in effects])


def _norm(effects: Array) -> tuple[float, float]:
    return float(np.linalg.norm(effects.mean(axis=0))), float(jackknife(np.linalg.norm, effects))


EXPERIMENT = Experiment(
    name="interpolation",
    question="What is left of D(1), beta and leave-one-out when a model fits every point exactly?",
    cases=(InterpolationConfig(Problem("two_moons", "interpolator", n_points=8)),),
    small=(
        InterpolationConfig(Problem("two_moons", "interpolator", n_points=6), widths=(2, 8), penalties=(1e-2, 1e-8), n_seeds=4),
    ),
    run=run,
)
