"""The experiment goes from leave-one-out to influence in networks by the stages of Bae et al. 2022.

It complements the error budget of `budget`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from sims.experiments.shared.conditioning import with_conditioning
from sims.experiments.shared.effects import accuracy, derivatives, linearizations, measured_step
from sims.experiments.shared.experiment import Experiment, Retrain, in_memory
from sims.experiments.shared.labels import Measured, Variables, array, labelled, table
from sims.experiments.shared.problem import Problem
from sims.experiments.shared.user_cases import NETWORKS, user_case
from sims.learners.mlp import MLP
from sims.learners.network.proximal import proximal_responses
from theory.datamodel import optimal_datamodel
from theory.influence import influence
from theory.influence.budget import Budget, error_budget
from theory.response import Array

__all__ = ["EXPERIMENT", "STAGES", "STEPS", "ProximalConfig", "run"]

STAGES = ("beta", "LOO", "warm start", "proximity", "PBRF", "damped GN", "damped GN by CG")
"""Effects of a point, from the exact datamodel to the practical score; see `proximal_responses` for their objectives."""

STEPS = ("interactions", "warm-start gap", "proximity gap", "non-convergence gap", "linearisation gap", "solver gap")
"""Differences between successive `STAGES`; the last five are the gaps of Bae et al. 2022, in their order."""


@dataclass(frozen=True)
class ProximalConfig:
    """A config sets the network, the training times, the seeds, the damping of the proximity term and the solver's iterations."""

    problem: Problem
    times: tuple[int, ...] = (1, 10, 100, 1000, 10000)
    n_seeds: int = 8
    damping: float = 1e-2
    iterations: int = 3


def run(config: ProximalConfig, *, retrain: Retrain = in_memory, progress: bool = False) -> xr.Dataset:
    """Compute the chain of `STAGES` for all points, for training that ends at each of the times.

    Every stage between is found by exact optimisation. `explained` compares damped Gauss-Newton influence with D(1) and with each
    of the first five stages.
    """
    seeds = tuple(range(config.n_seeds))
    learners, budgets = {time: config.problem.build(steps=time) for time in config.times}, dict[int, Budget]()
    exact, scores, largest = dict[int, dict[str, Array]](), dict[int, Array](), list[list[float]]()
    for time, learner in learners.items():
        assert isinstance(learner, MLP), "the stages are those of a network"
        samples = retrain(learner, seeds, part=f"steps={time}").samples
        found = proximal_responses(learner, seeds, damping=config.damping, progress=progress)
        (at,) = linearizations(learner, seeds)
        solved = influence(
            at, "conjugate_gradients", curvature="gauss_newton", damping=config.damping, iterations=config.iterations
        ).scores
        beta = np.stack([optimal_datamodel(responses).coefficients for responses in samples])
        effects = (beta, found.cold, found.warm, found.proximal, found.pbrf, found.linearised, solved)
        budgets[time] = error_budget(dict(zip(STAGES, effects, strict=True)))
        (derivative,) = derivatives(learner, np.ones(learner.n_points), seeds)
        exact[time], scores[time] = {"D(1)": derivative, **dict(zip(STAGES[:5], effects[:5], strict=True))}, found.linearised
        largest.append([float(found.gradient_norms[name].max()) for name in _SEARCHES])

    def step_of_budget(time: int, step: str) -> Measured:
        return measured_step(budgets[time].steps[STEPS.index(step)])

    def explained(time: int, stage: str) -> Measured:
        return accuracy(scores[time], exact[time][stage])

    closures = array([budget.closure for budget in budgets.values()], time=config.times)
    gradients = array(largest, time=config.times, search=_SEARCHES)
    variables: Variables = {
        "budget": (table(step_of_budget, time=config.times, step=STEPS), "one stage after the other, relative to ||beta||"),
        "closure": (closures, "||sum of the steps - (first - last)|| / ||beta||"),
        "explained": (
            table(explained, time=config.times, stage=("D(1)", *STAGES[:5])),
            "damped Gauss-Newton influence against the stage",
        ),
        "gradient": (gradients, "largest ||grad|| of an objective where training or its search ended"),
    }
    result = labelled("proximal", config, variables)
    return with_conditioning(result, list(learners.values()), seeds).assign_attrs(n_seeds=config.n_seeds)


_SEARCHES = ("trained", "warm", "proximal", "pbrf")
_NETWORK: dict[str, Any] = {"hidden": (4,), "l2": 0.01, "learning_rate": 0.5}


def _user_case(problem: Problem, small: bool) -> ProximalConfig:
    return ProximalConfig(problem, times=(1, 1000), n_seeds=4) if small else ProximalConfig(problem)


EXPERIMENT = Experiment(
    name="proximal",
    question="Which of the five gaps of Bae et al. between leave-one-out and influence is the largest?",
    cases=(
        ProximalConfig(Problem("xor", "mlp", **_NETWORK)),
        ProximalConfig(Problem("two_moons", "mlp", **_NETWORK, n_points=8)),
    ),
    small=(ProximalConfig(Problem("xor", "mlp", **_NETWORK, n_points=5), times=(1, 1000), n_seeds=3),),
    run=run,
    user_case=user_case(_user_case, learners=NETWORKS),
    varies={"steps": "times"},
)
