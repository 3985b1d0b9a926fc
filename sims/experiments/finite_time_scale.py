"""The experiment measures how the factor between beta and D(1) grows with training time, from 1 to 1/p (T6)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from sims.experiments.shared.conditioning import conditioning, with_rounding_warning
from sims.experiments.shared.effects import accuracy, split_by_time
from sims.experiments.shared.experiment import Experiment, Retrain, in_memory
from sims.experiments.shared.labels import Variables, array, labelled, table
from sims.experiments.shared.problem import Problem
from sims.experiments.shared.user_cases import NETWORKS, user_case
from sims.learners.mlp import MLP
from theory.datamodel import optimal_datamodel
from theory.laws import Bernoulli
from theory.response import Array

__all__ = ["EXPERIMENT", "FiniteTimeConfig", "run"]


@dataclass(frozen=True)
class FiniteTimeConfig:
    """A config sets the learner, the inclusion probabilities, the training times and the number of seeds.

    The learner has no penalty and takes small steps. p t must be a whole number for every probability p and time t.
    """

    problem: Problem
    probabilities: tuple[float, ...] = (0.25, 0.5, 0.75)
    times: tuple[int, ...] = (4, 16, 64, 256, 1024, 4096)
    n_seeds: int = 16


def run(config: FiniteTimeConfig, *, retrain: Retrain = in_memory, progress: bool = False) -> xr.Dataset:
    """Measure the slope of beta^(p) at time t on D(1) at time t, and on (1/p) D(1) at time p t.

    Without penalty, gradient flow has F(c w; t) = F(w; c t), so that D(p 1; t) = (1/p) D(1; p t). Gradient descent has this up to
    O(learning rate), which `flow_error` measures. beta^(p) differs from D(p 1; t) by interactions only. Standard errors are those
    of the mean over seeds (jackknife). Raises ValueError if some p t is not a whole number.
    """
    wanted = sorted({round(p * t) for t in config.times for p in (1.0, *config.probabilities)})
    if any(abs(p * t - round(p * t)) > 1e-9 for t in config.times for p in config.probabilities):
        raise ValueError(f"times {config.times} with probabilities {config.probabilities}: expected p t to be whole numbers")
    learner = config.problem.build(snapshots=tuple(wanted), steps=max(wanted))
    assert isinstance(learner, MLP)
    seeds, ones, times = tuple(range(config.n_seeds)), np.ones(learner.n_points), config.times
    samples, grid = retrain(learner, seeds).samples, {"p": config.probabilities, "time": times}

    def by_time(effects: Array) -> dict[int, Array]:
        return dict(zip(wanted, split_by_time(effects, len(wanted)), strict=True))

    def derivative(scale: float) -> Array:
        return learner.weight_jacobian(scale * ones[None], seeds)[0].swapaxes(1, 2)  # (R, N, K M)

    def datamodels(p: float) -> Array:
        return np.stack([optimal_datamodel(responses, Bernoulli(p)).coefficients for responses in samples])

    full = derivative(1.0)
    at_one, at_p = by_time(full), {p: by_time(derivative(p)) for p in config.probabilities}
    beta = {p: by_time(datamodels(p)) for p in config.probabilities}

    def law(p: float, time: int) -> Array:
        return at_one[round(p * time)] / p

    on_derivative = table(lambda p, t: accuracy(beta[p][t], at_one[t]), **grid)
    on_law = table(lambda p, t: accuracy(beta[p][t], law(p, t)), **grid)
    of_flow = table(lambda p, t: accuracy(at_p[p][t], law(p, t)), **grid)
    centre = table(lambda p, t: accuracy(at_p[p][t], at_one[t]), **grid)
    of_law, flow_error = (found.sel(measure="relative_error", drop=True) for found in (on_law, of_flow))
    eta_t = array(config.problem.number("learning_rate") * np.array(times), time=times)
    variables: Variables = {
        "slope": (on_derivative.sel(measure="slope", drop=True), "slope of beta on D(1)"),
        "flow_slope": (on_law.sel(measure="slope", drop=True), "slope of beta at time t on (1/p) D(1) at time p t"),
        "centre_slope": (
            centre.sel(measure="slope", drop=True),
            "slope of D(p 1) on D(1), both at time t: beta without interactions",
        ),
        "interaction": (of_law, "||beta(t) - (1/p) D(1; p t)|| / ||(1/p) D(1; p t)||"),
        "flow_error": (flow_error, "||D(p 1; t) - (1/p) D(1; p t)|| / ||(1/p) D(1; p t)||"),
        "eta_t": (eta_t, "eta T"),
        **conditioning(learner, seeds, samples, full, times=times),
    }
    return with_rounding_warning(labelled("finite_time_scale", config, variables).assign_attrs(n_seeds=config.n_seeds))


_LINEAR: dict[str, Any] = {"hidden": (), "loss": "squared", "learning_rate": 0.02}
_NETWORK: dict[str, Any] = {"hidden": (4,), "learning_rate": 0.02}


def _user_case(problem: Problem, small: bool) -> FiniteTimeConfig:
    """Make a case without penalty and with small steps."""
    free = problem.changed("l2", learning_rate=0.02)
    if small:
        return FiniteTimeConfig(free, times=(4, 64, 1024), n_seeds=4)
    return FiniteTimeConfig(free, times=(4, 16, 64, 256, 1024))


EXPERIMENT = Experiment(
    name="finite_time_scale",
    question="How does the factor between beta and D(1) grow from 1 (one step) to 1/p (convergence)?",
    cases=(
        FiniteTimeConfig(Problem("noisy_line", "mlp", **_LINEAR, n_points=12), times=(4, 16, 64, 256, 1024), n_seeds=8),
        FiniteTimeConfig(Problem("xor", "mlp", **_NETWORK), times=(4, 16, 64, 256, 1024)),
        FiniteTimeConfig(
            Problem("noisy_line", "mlp", **_LINEAR, n_points=12, data_seed=1), times=(4, 16, 64, 256, 1024), n_seeds=4
        ),
        FiniteTimeConfig(Problem("xor", "mlp", **_NETWORK, data_seed=1), times=(4, 16, 64, 256, 1024), n_seeds=4),
    ),
    small=(FiniteTimeConfig(Problem("noisy_line", "mlp", **_LINEAR, n_points=8), times=(4, 64, 1024), n_seeds=4),),
    run=run,
    user_case=user_case(_user_case, learners=NETWORKS),
    varies={"steps": "times", "snapshots": "times"},
)
