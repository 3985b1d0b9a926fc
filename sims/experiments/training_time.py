"""The experiment asks when in training, from one step to convergence, the essay's identity and Hessian influence are right."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from sims.experiments.shared.conditioning import conditioning, with_rounding_warning
from sims.experiments.shared.digits import BY_ADAM, CONVERGED, NETWORK
from sims.experiments.shared.effects import accuracy, derivatives, references, scores_or_undefined
from sims.experiments.shared.experiment import Experiment, Retrain, in_memory
from sims.experiments.shared.labels import Measured, Variables, array, effect_coords, labelled, measured, table
from sims.experiments.shared.problem import Problem
from sims.experiments.shared.settings import setting
from sims.experiments.shared.user_cases import NETWORKS, user_case
from sims.learners.mlp import MLP
from theory.influence import influence, null_space_sizes
from theory.metrics import relative_error
from theory.response import Array

__all__ = ["EXPERIMENT", "TrainingTimeConfig", "run"]


@dataclass(frozen=True)
class TrainingTimeConfig:
    """A config sets the network, the training times, the seeds, the cut-offs of the pseudo-inverse, and the jitter.

    `jitter` is the move of the start from which `conditioning` measures rounding.
    """

    problem: Problem
    times: tuple[int, ...] = (1, 3, 10, 30, 100, 300, 1000, 3000, 10000)
    n_seeds: int = 32
    cutoffs: tuple[float, ...] = (1e-8, 1e-6, 1e-4, 1e-2)
    jitter: float = setting("relative move of the start from which rounding is measured", 2.0**-40, within="(0, 1)")


PAIRS = (
    ("beta", "derivative"),
    ("beta", "derivative_at_half"),
    ("beta", "leave_one_out"),
    ("leave_one_out", "derivative"),
    ("influence", "derivative"),
    ("influence", "beta"),
    ("influence", "leave_one_out"),
)
"""The estimate and the reference of every comparison."""


def run(config: TrainingTimeConfig, *, retrain: Retrain = in_memory, progress: bool = False) -> xr.Dataset:
    """Compare beta, D(1), D(1/2), leave-one-out and exact-Hessian influence at several times of one training run.

    The learner is retrained on all subsets. Standard errors are those of the mean over seeds, by the jackknife for measures. If
    the Hessian of some seed is singular, influence and its measures are NaN (undefined). `rounding` is the relative change of F,
    D(1) and beta that rounding alone can make.
    """
    learner = config.problem.build(snapshots=config.times, steps=max(config.times))
    assert isinstance(learner, MLP)
    seeds, ones = tuple(range(config.n_seeds)), np.ones(learner.n_points)
    samples = retrain(learner, seeds).samples

    times, at = config.times, dict(zip(config.times, learner.linearizations(ones, seeds), strict=True))
    derivative = learner.weight_jacobian(ones[None], seeds)[0].swapaxes(1, 2)  # outputs of all times in one axis
    exact = dict(zip(times, references(learner, seeds, samples, len(times)), strict=True))
    at_half = dict(zip(times, derivatives(learner, 0.5 * ones, seeds, len(times)), strict=True))
    effects = {
        "beta": {t: exact[t]["beta"] for t in times},
        "derivative": {t: exact[t]["D(1)"] for t in times},
        "derivative_at_half": at_half,
        "leave_one_out": {t: exact[t]["LOO"] for t in times},
        "influence": {t: scores_or_undefined(at[t]) for t in times},
    }
    pairs = {f"{_NAMES[a]} on {_NAMES[b]}": (effects[a], effects[b]) for a, b in PAIRS}

    def of_pair(time: int, pair: str) -> Measured:
        estimate, reference = pairs[pair]
        return accuracy(estimate[time], reference[time])

    def of_cutoff(time: int, cutoff: float) -> xr.Dataset:
        scores, derivative = influence(at[time], "pseudo_inverse", cutoff=cutoff).scores, effects["derivative"][time]
        error = relative_error(scores.mean(axis=0), derivative.mean(axis=0))
        return xr.Dataset({"null_space": array(null_space_sizes(at[time], cutoff), seed=seeds), "error": array(error)})

    cutoffs = table(of_cutoff, time=times, cutoff=config.cutoffs)
    eigenvalues = array([np.linalg.eigvalsh(at[t].hessian)[:, 0] for t in times], time=times, seed=seeds)
    variables: Variables = {
        **{
            name: (table(lambda t, values=values: _mean(values[t]), time=times), f"{_NAMES[name]}, mean over seeds")
            for name, values in effects.items()
        },
        "measured": (table(of_pair, time=times, pair=pairs), "estimate against reference"),
        "gradient_norm": (array([at[t].gradient_norm for t in times], time=times, seed=seeds), "||grad L|| at w = 1"),
        "least_eigenvalue": (eigenvalues, "least eigenvalue of the Hessian of L at w = 1"),
        "null_space": (cutoffs["null_space"], "eigenvalues at most the cut-off times the largest"),
        "cutoff_error": (cutoffs["error"], "||pseudo-inverse influence - D(1)|| / ||D(1)||"),
        **conditioning(learner, seeds, samples, derivative, times=times, jitter=config.jitter),
    }
    return with_rounding_warning(labelled("training_time", config, variables))


_NAMES = {
    "beta": "beta",
    "derivative": "D(1)",
    "derivative_at_half": "D(1/2)",
    "leave_one_out": "LOO",
    "influence": "Hessian influence",
}


def _mean(effects: Array) -> Measured:
    """Return the mean of effects (R, N, M) over seeds and its standard error, with named axes."""
    mean, error = effects.mean(axis=0), effects.std(axis=0, ddof=1) / np.sqrt(len(effects))
    return measured(mean, error, **effect_coords(mean))


_NETWORK: dict[str, Any] = {"hidden": (4,), "l2": 0.01, "learning_rate": 0.5}
_WIDE: dict[str, Any] = {"hidden": (8,), "loss": "squared", "l2": 0.0, "learning_rate": 0.2}  # more parameters than points
_OF_DIGITS = (1, 2, 3, 5, 10, 20, 30, 100, CONVERGED)
_SHORT = (1, 3, 10, 30, 100, 300, 1000, 3000)


def _user_case(problem: Problem, small: bool) -> TrainingTimeConfig:
    return TrainingTimeConfig(problem, times=_SHORT, n_seeds=8) if small else TrainingTimeConfig(problem)


EXPERIMENT = Experiment(
    name="training_time",
    question="Is the essay's identity right early in training, and Hessian influence at convergence?",
    cases=(
        TrainingTimeConfig(Problem("xor", "mlp", **_NETWORK)),
        TrainingTimeConfig(Problem("two_moons", "mlp", **_NETWORK, n_points=8)),
        TrainingTimeConfig(Problem("spector", "mlp", **_NETWORK, n_points=8)),
        TrainingTimeConfig(Problem("xor", "mlp", **_WIDE)),
        TrainingTimeConfig(NETWORK, times=_OF_DIGITS, n_seeds=8),
        TrainingTimeConfig(BY_ADAM, times=_OF_DIGITS, n_seeds=8),
    ),
    small=(TrainingTimeConfig(Problem("xor", "mlp", **_NETWORK, n_points=6), times=_SHORT, n_seeds=8),),
    run=run,
    user_case=user_case(_user_case, learners=NETWORKS),
    varies={"steps": "times", "snapshots": "times"},
)
