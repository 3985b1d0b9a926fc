"""What an approximate solve costs, by how many products it may take and how ill-with_conditioning the Hessian is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from sims.experiments.shared.effects import REFERENCES, cell, linearizations, references
from sims.experiments.shared.experiment import Experiment, Retrain, in_memory
from sims.experiments.shared.labels import MEASURES, Variables, labelled
from sims.experiments.shared.problem import Problem
from sims.experiments.shared.user_cases import CONVEX, user_case
from theory.influence import influence
from theory.response import Linearization

__all__ = ["EXPERIMENT", "SolverMapConfig", "run"]


def _largest(at: Linearization) -> float:
    return float(np.linalg.eigvalsh(at.hessian).max())


SOLVERS: Mapping[str, Callable[[int, Linearization], dict[str, Any]]] = {
    "conjugate_gradients": lambda k, at: {"iterations": k},
    "lissa": lambda k, at: {"depth": k, "scale": _largest(at)},
    "low_rank": lambda k, at: {"rank": min(k, at.params.shape[1])},
    "nystroem": lambda k, at: {"rank": min(k, at.params.shape[1])},
}
"""Options of a solver that may take k products with the Hessian (low rank: k directions, at most all)."""


@dataclass(frozen=True)
class SolverMapConfig:
    """A penalised linear learner, its penalties (which set the condition number), numbers of products."""

    problem: Problem
    penalties: tuple[float, ...] = (1.0, 1e-1, 1e-2, 1e-3, 1e-4)
    products: tuple[int, ...] = (1, 2, 3, 4, 5, 7, 10, 100, 1000)


def run(config: SolverMapConfig, *, retrain: Retrain = in_memory, progress: bool = False) -> xr.Dataset:
    """Influence by every solver against D(1), leave-one-out and beta. Everything is exact: there is one seed and no error bar."""
    cells, residuals, conditions = list[Any](), list[Any](), list[float]()
    for l2 in config.penalties:
        learner = config.problem.build(l2=l2)
        samples = retrain(learner, (0,), part=f"l2={l2:g}").samples
        exact = {name: effect[:, 0] for name, effect in references(learner, (0,), samples).items()}
        (at,) = linearizations(learner, (0,))
        conditions.append(float(np.linalg.cond(at.hessian[0])))
        found = [[influence(at, name, **options(k, at)) for k in config.products] for name, options in SOLVERS.items()]
        cells.append([[cell(one.scores, exact)[0] for one in row] for row in found])
        residuals.append([[float(one.diagnostics["residual"][0]) for one in row] for row in found])
    variables: Variables = {
        "measured": (("l2", "solver", "products", "reference", "measure"), cells, "influence against the reference"),
        "residual": (("l2", "solver", "products"), residuals, "||H x - grad f|| / ||grad f||"),
        "condition": (("l2",), conditions, "condition number of the Hessian"),
    }
    coords = {
        "l2": config.penalties,
        "solver": tuple(SOLVERS),
        "products": config.products,
        "reference": REFERENCES,
        "measure": MEASURES,
    }
    return labelled("solver_map", config, coords, variables)


EXPERIMENT = Experiment(
    name="solver_map",
    question="How many products with the Hessian does a solver need, and what does it return before?",
    cases=(
        SolverMapConfig(Problem("longley", "least_squares", n_points=12)),
        SolverMapConfig(Problem("spector", "logistic", (("l2", 0.1),), n_points=12)),
    ),
    small=(SolverMapConfig(Problem("longley", "least_squares", n_points=8), penalties=(1.0, 1e-3), products=(1, 3, 7, 100)),),
    run=run,
    user_case=user_case(lambda problem, small: SolverMapConfig(problem.changed("l2")), learners=CONVEX, at_most=14),
)
