"""Where the essay's identity and Hessian influence are right as training goes on: from one step to convergence."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from sims.experiments.shared.conditioning import CONDITIONED, conditioning, with_rounding_warning
from sims.experiments.shared.effects import against, derivatives, references, scores_or_undefined
from sims.experiments.shared.experiment import Experiment, Retrain, in_memory
from sims.experiments.shared.labels import MEASURES, Variables, effect_coords, labelled
from sims.experiments.shared.problem import Problem
from sims.experiments.shared.user_cases import NETWORKS, user_case
from sims.learners.mlp import MLP
from theory.influence import influence, null_space_sizes
from theory.metrics import relative_error
from theory.response import Array

__all__ = ["EXPERIMENT", "TrainingTimeConfig", "run"]


@dataclass(frozen=True)
class TrainingTimeConfig:
    """A network on a data set, when to look, how many seeds, cut-offs of the pseudo-inverse."""

    problem: Problem
    times: tuple[int, ...] = (1, 3, 10, 30, 100, 300, 1000, 3000, 10000)
    n_seeds: int = 32
    cutoffs: tuple[float, ...] = (1e-8, 1e-6, 1e-4, 1e-2)
    jitter: float = 2.0**-40


PAIRS = (
    ("beta", "derivative"),
    ("beta", "derivative_at_half"),
    ("leave_one_out", "derivative"),
    ("influence", "derivative"),
    ("influence", "beta"),
    ("influence", "leave_one_out"),
)
"""Estimate and reference of every comparison."""


def run(config: TrainingTimeConfig, *, retrain: Retrain = in_memory, progress: bool = False) -> xr.Dataset:
    """beta, D(1), D(1/2), leave-one-out and exact-Hessian influence at several training times of one run, on all subsets.

    Standard errors are those of the mean over seeds: the jackknife for measures. Where a seed's Hessian is singular the
    influence and its measures are NaN (undefined). `rounding` is what rounding alone can move F, D(1) and beta by, relative.
    """
    learner = config.problem.build(snapshots=config.times, steps=max(config.times))
    assert isinstance(learner, MLP)
    seeds, ones = tuple(range(config.n_seeds)), np.ones(learner.n_points)
    samples = retrain(learner, seeds).samples

    n_times, at_times = len(config.times), learner.linearizations(ones, seeds)
    exact = references(learner, seeds, samples, n_times)
    effects = {
        "beta": exact["beta"],
        "derivative": exact["D(1)"],
        "derivative_at_half": derivatives(learner, 0.5 * ones, seeds, n_times),
        "leave_one_out": exact["LOO"],
        "influence": np.stack([scores_or_undefined(at) for at in at_times], axis=1),
    }
    derivative = exact["D(1)"].swapaxes(1, 2).reshape(config.n_seeds, len(ones), -1)  # outputs of all times in one axis
    eigenvalues = np.stack([np.linalg.eigvalsh(at.hessian)[:, 0] for at in at_times])
    cutoffs = [
        [_error(influence(at, "pseudo_inverse", cutoff=c).scores, effects["derivative"][:, k]) for c in config.cutoffs]
        for k, at in enumerate(at_times)
    ]
    dims = ("time", "point", "output")
    variables: Variables = {
        name: (dims, values.mean(axis=0), f"{_NAMES[name]}, mean over seeds") for name, values in effects.items()
    }
    for name, values in effects.items():
        spread = values.std(axis=0, ddof=1) / np.sqrt(config.n_seeds)
        variables[f"{name}_error"] = (dims, spread, f"standard error over seeds of {_NAMES[name]}")
    measured = [[against(effects[a][:, k], effects[b][:, k]) for a, b in PAIRS] for k in range(n_times)]
    variables |= {
        "measured": (("time", "pair", "measure"), [[m[0] for m in row] for row in measured], "estimate against reference"),
        "measured_error": (
            ("time", "pair", "measure"),
            [[m[1] for m in row] for row in measured],
            "its standard error over seeds",
        ),
        "gradient_norm": (("time", "seed"), [at.gradient_norm for at in at_times], "||grad L|| at w = 1"),
        "least_eigenvalue": (("time", "seed"), eigenvalues, "least eigenvalue of the Hessian of L at w = 1"),
        "null_space": (
            ("time", "cutoff", "seed"),
            [[null_space_sizes(at, c) for c in config.cutoffs] for at in at_times],
            "eigenvalues at most the cut-off times the largest",
        ),
        "cutoff_error": (("time", "cutoff"), cutoffs, "||pseudo-inverse influence - D(1)|| / ||D(1)||"),
        **conditioning(learner, seeds, samples, derivative, times=config.times, jitter=config.jitter),
    }
    coords = {
        "time": config.times,
        "seed": seeds,
        "pair": [f"{_NAMES[a]} on {_NAMES[b]}" for a, b in PAIRS],
        "measure": MEASURES,
        "cutoff": config.cutoffs,
        "of": CONDITIONED,
        **effect_coords(effects["beta"][0, 0]),
    }
    return with_rounding_warning(labelled("training_time", config, coords, variables))


_NAMES = {
    "beta": "beta",
    "derivative": "D(1)",
    "derivative_at_half": "D(1/2)",
    "leave_one_out": "LOO",
    "influence": "Hessian influence",
}


def _error(estimate: Array, reference: Array) -> float:
    return relative_error(estimate.mean(axis=0), reference.mean(axis=0))


_NETWORK = (("hidden", (4,)), ("l2", 0.01), ("learning_rate", 0.5))
_WIDE = (("hidden", (8,)), ("loss", "squared"), ("l2", 0.0), ("learning_rate", 0.2))  # more parameters than points
_SHORT = (1, 3, 10, 30, 100, 300, 1000, 3000)


def _user_case(problem: Problem, small: bool) -> TrainingTimeConfig:
    return TrainingTimeConfig(problem, times=_SHORT, n_seeds=8) if small else TrainingTimeConfig(problem)


EXPERIMENT = Experiment(
    name="training_time",
    question="Which is right when: the essay's identity early in training, Hessian influence at convergence?",
    cases=(
        TrainingTimeConfig(Problem("xor", "mlp", _NETWORK)),
        TrainingTimeConfig(Problem("two_moons", "mlp", _NETWORK, n_points=8)),
        TrainingTimeConfig(Problem("spector", "mlp", _NETWORK, n_points=8)),
        TrainingTimeConfig(Problem("xor", "mlp", _WIDE)),
    ),
    small=(TrainingTimeConfig(Problem("xor", "mlp", _NETWORK, n_points=6), times=_SHORT, n_seeds=8),),
    run=run,
    user_case=user_case(_user_case, learners=NETWORKS),
)
