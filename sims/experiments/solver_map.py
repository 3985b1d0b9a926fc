"""The experiment measures the error of an approximate solver, by its number of Hessian products and the condition number."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from sims.experiments.shared.digits import SOFTMAX_DIGITS, SOFTMAX_IRIS
from sims.experiments.shared.effects import accuracies, linearizations, references
from sims.experiments.shared.experiment import Experiment, Retrain, in_memory
from sims.experiments.shared.labels import Variables, array, labelled, table
from sims.experiments.shared.problem import Problem
from sims.experiments.shared.user_cases import CONVEX, user_case
from theory.influence import influence
from theory.response import Array, Linearization

__all__ = ["EXPERIMENT", "SolverMapConfig", "run"]


def _largest_eigenvalue(at: Linearization) -> float:
    return float(np.linalg.eigvalsh(at.hessian).max())


SOLVERS: Mapping[str, Callable[[int, Linearization], dict[str, Any]]] = {
    "conjugate_gradients": lambda k, at: {"iterations": k},
    "lissa": lambda k, at: {"depth": k, "scale": _largest_eigenvalue(at)},
    "low_rank": lambda k, at: {"rank": min(k, at.params.shape[1])},
    "nystroem": lambda k, at: {"rank": min(k, at.params.shape[1])},
}
"""Options with which a solver takes k products with the Hessian (low-rank solvers: k directions, at most all)."""


@dataclass(frozen=True)
class SolverMapConfig:
    """A config sets a linear learner, its penalties (which decide the condition number) and the numbers of products."""

    problem: Problem
    penalties: tuple[float, ...] = (1.0, 1e-1, 1e-2, 1e-3, 1e-4)
    products: tuple[int, ...] = (1, 2, 3, 4, 5, 7, 10, 100, 1000)


def run(config: SolverMapConfig, *, retrain: Retrain = in_memory, progress: bool = False) -> xr.Dataset:
    """Compare influence by every solver with D(1), leave-one-out and beta; with one seed, no value has a standard error."""
    exact, at = dict[float, dict[str, Array]](), dict[float, Linearization]()
    for l2 in config.penalties:
        learner = config.problem.build(l2=l2)
        (exact[l2],) = references(learner, (0,), retrain(learner, (0,), part=f"l2={l2:g}").samples)
        (at[l2],) = linearizations(learner, (0,))

    def solved(l2: float, solver: str, products: int) -> xr.Dataset:
        found = influence(at[l2], solver, **SOLVERS[solver](products, at[l2]))
        return xr.Dataset(
            {"measured": accuracies(found.scores, exact[l2])["value"], "residual": array(found.diagnostics["residual"][0])}
        )

    found = table(solved, l2=config.penalties, solver=SOLVERS, products=config.products)
    conditions = [np.linalg.cond(at[l2].hessian[0]) for l2 in config.penalties]
    variables: Variables = {
        "measured": (found["measured"], "influence against the reference"),
        "residual": (found["residual"], "||H x - grad f|| / ||grad f||"),
        "condition": (array(conditions, l2=config.penalties), "condition number of the Hessian"),
    }
    return labelled("solver_map", config, variables)


_SHORT: dict[str, Any] = {"penalties": (1.0, 1e-3), "products": (1, 3, 7, 100)}


def _user_case(problem: Problem, small: bool) -> SolverMapConfig:
    return SolverMapConfig(problem.changed("l2"), **(_SHORT if small else {}))


EXPERIMENT = Experiment(
    name="solver_map",
    question="How many products with the Hessian does a solver need, and how large is its error with fewer?",
    cases=(
        SolverMapConfig(Problem("longley", "least_squares", n_points=12)),
        SolverMapConfig(Problem("spector", "logistic", l2=0.1, n_points=12)),
        *(SolverMapConfig(replace(problem, n_points=12)) for problem in (SOFTMAX_DIGITS, SOFTMAX_IRIS)),
    ),
    small=(SolverMapConfig(Problem("longley", "least_squares", n_points=8), **_SHORT),),
    run=run,
    user_case=user_case(_user_case, learners=CONVEX, at_most=14),
    varies={"l2": "penalties"},
)
