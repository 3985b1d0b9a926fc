"""From leave-one-out to influence in networks by the stages of Bae et al. 2022, beside the project's own budget."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from sims.experiments.shared.conditioning import with_conditioning
from sims.experiments.shared.effects import COLUMNS, cell, columns, derivatives, linearizations
from sims.experiments.shared.experiment import Experiment, Retrain, in_memory
from sims.experiments.shared.labels import MEASURES, Variables, labelled
from sims.experiments.shared.problem import Problem
from sims.experiments.shared.user_cases import NETWORKS, user_case
from sims.learners.mlp import MLP
from sims.learners.network.proximal import proximal_responses
from theory.datamodel import optimal_datamodel
from theory.influence import influence
from theory.influence.budget import error_budget

__all__ = ["EXPERIMENT", "STAGES", "STEPS", "ProximalConfig", "run"]

STAGES = ("beta", "LOO", "warm start", "proximity", "PBRF", "damped GN", "damped GN by CG")
"""Effects of a point, from the exact datamodel to the practical score; `proximal_responses` says what most minimise."""

STEPS = ("interactions", "warm-start gap", "proximity gap", "non-convergence gap", "linearisation gap", "solver gap")
"""What is between them: the last five are those of Bae et al. 2022, in their order."""


@dataclass(frozen=True)
class ProximalConfig:
    """A network, when its training ends, how many seeds, the damping of the proximity term, iterations of the solver."""

    problem: Problem
    times: tuple[int, ...] = (1, 10, 100, 1000, 10000)
    n_seeds: int = 8
    damping: float = 1e-2
    iterations: int = 3


def run(config: ProximalConfig, *, retrain: Retrain = in_memory, progress: bool = False) -> xr.Dataset:
    """The chain of `STAGES` for training that ends at each of the times; every stage by exact optimisation, all points.

    `explained` says what the practical end of the chain, damped Gauss-Newton influence, is close to: each earlier stage and D(1).
    """
    seeds = tuple(range(config.n_seeds))
    budgets, closures, explained, largest = list[Any](), list[float](), list[Any](), list[list[float]]()
    learners = [config.problem.build(steps=time) for time in config.times]
    for time, learner in zip(config.times, learners, strict=True):
        assert isinstance(learner, MLP), "the stages are those of a network"
        samples = retrain(learner, seeds, part=f"steps={time}").samples
        found = proximal_responses(learner, seeds, damping=config.damping, progress=progress)
        (at,) = linearizations(learner, seeds)
        solved = influence(
            at, "conjugate_gradients", curvature="gauss_newton", damping=config.damping, iterations=config.iterations
        ).scores
        beta = np.stack([optimal_datamodel(table).coefficients for table in samples])
        effects = (beta, found.cold, found.warm, found.proximal, found.pbrf, found.linearised, solved)
        budget = error_budget(dict(zip(STAGES, effects, strict=True)))
        budgets.append([columns(step) for step in budget.steps])
        closures.append(budget.closure)
        D = derivatives(learner, np.ones(learner.n_points), seeds)[:, 0]
        exact = {"D(1)": D, **dict(zip(STAGES, effects[:5], strict=False))}
        explained.append(cell(found.linearised, exact))
        largest.append([float(found.gradient_norms[name].max()) for name in _SEARCHES])
    parts, cells = np.array(budgets), np.array(explained)  # values and errors: (time, step, 2, ..), (time, 2, stage, ..)
    variables: Variables = {
        "budget": (("time", "step", "column"), parts[:, :, 0], "one stage after the other, relative to ||beta||"),
        "budget_error": (("time", "step", "column"), parts[:, :, 1], "its standard error over seeds"),
        "closure": (("time",), closures, "||sum of the steps - (first - last)|| / ||beta||"),
        "explained": (("time", "stage", "measure"), cells[:, 0], "damped Gauss-Newton influence against the stage"),
        "explained_error": (("time", "stage", "measure"), cells[:, 1], "its standard error over seeds"),
        "gradient": (("time", "search"), largest, "largest ||grad|| of an objective where training or its search ended"),
    }
    coords = {
        "time": config.times,
        "step": STEPS,
        "column": COLUMNS,
        "stage": ("D(1)", *STAGES[:5]),
        "measure": MEASURES,
        "search": _SEARCHES,
    }
    return with_conditioning(labelled("proximal", config, coords, variables), learners, seeds).assign_attrs(
        n_seeds=config.n_seeds
    )


_SEARCHES = ("trained", "warm", "proximal", "pbrf")
_NETWORK = (("hidden", (4,)), ("l2", 0.01), ("learning_rate", 0.5))


def _user_case(problem: Problem, small: bool) -> ProximalConfig:
    return ProximalConfig(problem, times=(1, 1000), n_seeds=4) if small else ProximalConfig(problem)


EXPERIMENT = Experiment(
    name="proximal",
    question="Which of the five gaps of Bae et al. between leave-one-out and influence is the largest?",
    cases=(
        ProximalConfig(Problem("xor", "mlp", _NETWORK)),
        ProximalConfig(Problem("two_moons", "mlp", _NETWORK, n_points=8)),
    ),
    small=(ProximalConfig(Problem("xor", "mlp", _NETWORK, n_points=5), times=(1, 1000), n_seeds=3),),
    run=run,
    user_case=user_case(_user_case, learners=NETWORKS),
)
