"""The factor between beta and D(1) grows with training time from 1 to 1/p (T6)."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from sims.experiments.shared.conditioning import CONDITIONED, conditioning, with_rounding_warning
from sims.experiments.shared.experiment import Experiment, Retrain, in_memory
from sims.experiments.shared.labels import Variables, labelled
from sims.experiments.shared.problem import Problem
from sims.experiments.shared.user_cases import NETWORKS, user_case
from sims.learners.mlp import MLP
from theory.datamodel import optimal_datamodel
from theory.laws import Bernoulli
from theory.metrics import compare, jackknife_errors
from theory.response import Array

__all__ = ["EXPERIMENT", "FiniteTimeConfig", "run"]


@dataclass(frozen=True)
class FiniteTimeConfig:
    """A learner without penalty, trained with small steps; inclusion probabilities; times t for which p t is whole."""

    problem: Problem
    probabilities: tuple[float, ...] = (0.25, 0.5, 0.75)
    times: tuple[int, ...] = (4, 16, 64, 256, 1024, 4096)
    n_seeds: int = 16


def run(config: FiniteTimeConfig, *, retrain: Retrain = in_memory, progress: bool = False) -> xr.Dataset:
    """Slope of beta^(p) at time t on D(1) at time t, and on (1/p) D(1) at time p t, the law of gradient flow.

    Without penalty F(c w; t) = F(w; c t) for gradient flow, so that D(p 1; t) = (1/p) D(1; p t) up to O(learning rate):
    `flow_error`. beta^(p) differs from it by interactions only. Standard errors are those of the mean over seeds (jackknife).
    """
    wanted = sorted({round(p * t) for t in config.times for p in (1.0, *config.probabilities)})
    if any(abs(p * t - round(p * t)) > 1e-9 for t in config.times for p in config.probabilities):
        raise ValueError(f"times {config.times} with probabilities {config.probabilities}: expected p t to be whole numbers")
    learner = config.problem.build(snapshots=tuple(wanted), steps=max(wanted))
    assert isinstance(learner, MLP)
    seeds, ones, n_queries = tuple(range(config.n_seeds)), np.ones(learner.n_points), learner.n_outputs // len(wanted)
    samples = retrain(learner, seeds).samples

    def at(effects: Array, time: float) -> Array:
        start = wanted.index(round(time)) * n_queries
        return effects[..., start : start + n_queries]

    def derivative(scale: float) -> Array:
        return learner.weight_jacobian(scale * ones[None], seeds)[0].swapaxes(1, 2)  # (R, N, K M)

    full, dims = derivative(1.0), ("p", "time")
    slopes, slope_errors, flow_slopes, flow_slope_errors, flow_errors, errors = (list[list[float]]() for _ in range(6))
    for p in config.probabilities:
        beta = np.stack([optimal_datamodel(table, Bernoulli(p)).coefficients for table in samples])
        centre = derivative(p)
        pairs = [(at(beta, t), at(full, t), at(full, p * t) / p, at(centre, t)) for t in config.times]
        slopes.append([compare(b.mean(axis=0), d.mean(axis=0)).slope for b, d, _, _ in pairs])
        slope_errors.append([jackknife_errors(b, d).slope for b, d, _, _ in pairs])
        flow_slopes.append([compare(b.mean(axis=0), f.mean(axis=0)).slope for b, _, f, _ in pairs])
        flow_slope_errors.append([jackknife_errors(b, f).slope for b, _, f, _ in pairs])
        errors.append([compare(b.mean(axis=0), f.mean(axis=0)).relative_error for b, _, f, _ in pairs])
        flow_errors.append([compare(c.mean(axis=0), f.mean(axis=0)).relative_error for _, _, f, c in pairs])
    variables: Variables = {
        "slope": (dims, slopes, "slope of beta on D(1)"),
        "slope_error": (dims, slope_errors, "its standard error over seeds"),
        "flow_slope": (dims, flow_slopes, "slope of beta at time t on (1/p) D(1) at time p t"),
        "flow_slope_error": (dims, flow_slope_errors, "its standard error over seeds"),
        "interaction": (dims, errors, "||beta(t) - (1/p) D(1; p t)|| / ||(1/p) D(1; p t)||"),
        "flow_error": (dims, flow_errors, "||D(p 1; t) - (1/p) D(1; p t)|| / ||(1/p) D(1; p t)||"),
        "eta_t": (("time",), config.problem.number("learning_rate") * np.array(config.times), "eta T"),
        **conditioning(learner, seeds, samples, full, times=config.times),
    }
    coords = {"p": config.probabilities, "time": config.times, "seed": seeds, "of": CONDITIONED}
    return with_rounding_warning(labelled("finite_time_scale", config, coords, variables).assign_attrs(n_seeds=config.n_seeds))


_LINEAR = (("hidden", ()), ("loss", "squared"), ("learning_rate", 0.02))
_NETWORK = (("hidden", (4,)), ("learning_rate", 0.02))


def _user_case(problem: Problem, small: bool) -> FiniteTimeConfig:
    """Without penalty, and with small steps."""
    free = problem.changed("l2", learning_rate=0.02)
    if small:
        return FiniteTimeConfig(free, times=(4, 64, 1024), n_seeds=4)
    return FiniteTimeConfig(free, times=(4, 16, 64, 256, 1024))


EXPERIMENT = Experiment(
    name="finite_time_scale",
    question="How does the factor between beta and D(1) grow from 1 (one step) to 1/p (convergence)?",
    cases=(
        FiniteTimeConfig(Problem("noisy_line", "mlp", _LINEAR, n_points=12), times=(4, 16, 64, 256, 1024), n_seeds=8),
        FiniteTimeConfig(Problem("xor", "mlp", _NETWORK), times=(4, 16, 64, 256, 1024)),
    ),
    small=(FiniteTimeConfig(Problem("noisy_line", "mlp", _LINEAR, n_points=8), times=(4, 64, 1024), n_seeds=4),),
    run=run,
    user_case=user_case(_user_case, learners=NETWORKS),
)
