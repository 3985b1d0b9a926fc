"""The experiment measures what each approximation of practical influence adds to the error of exact influence."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from sims.experiments.shared.digits import NETWORK, SOFTMAX_DIGITS, SOFTMAX_IRIS
from sims.experiments.shared.effects import accuracy, derivatives, linearizations, scores_or_undefined
from sims.experiments.shared.experiment import Experiment, Retrain, in_memory
from sims.experiments.shared.labels import Measured, Variables, array, labelled, measured, table
from sims.experiments.shared.problem import Problem
from sims.experiments.shared.scores import PRACTICE, Practice
from sims.experiments.shared.user_cases import CONVEX, user_case
from sims.learners.mlp import MLP
from theory.metrics import jackknife, relative_error
from theory.response import Array, Linearization

__all__ = ["APPROXIMATIONS", "EXPERIMENT", "ApproximationsConfig", "run"]


@dataclass(frozen=True)
class ApproximationsConfig:
    """A config sets the learner, its seeds, the practice, and other dampings and numbers of products with the Hessian."""

    problem: Problem
    n_seeds: int = 1
    practice: Practice = PRACTICE
    dampings: tuple[float, ...] = (1e-4, 1e-3, 1e-2, 1e-1)
    products: tuple[int, ...] = (1, 3, 10, 30, 100)


Approximation = Callable[[Linearization, float, int], Array]
APPROXIMATIONS: Mapping[str, Approximation] = {
    "damping": lambda at, d, k: scores_or_undefined(at, "damped", damping=d),
    "Gauss-Newton": lambda at, d, k: scores_or_undefined(at, "gauss_newton"),
    "conjugate gradients": lambda at, d, k: scores_or_undefined(at, "conjugate_gradients", iterations=k),
    "LiSSA": lambda at, d, k: scores_or_undefined(at, "lissa", depth=k, scale=_largest(at)),
    "all together": lambda at, d, k: scores_or_undefined(
        at, "conjugate_gradients", curvature="gauss_newton", damping=d, iterations=k
    ),
}
"""Each name has a function of the model, the damping and the number of products; all but the last change one thing only."""


def run(config: ApproximationsConfig, *, retrain: Retrain = in_memory, progress: bool = False) -> xr.Dataset:
    """Subtract the error of exact influence against D(1) from that of every approximation, alone and together.

    Errors are those of seed averages, with standard errors by the jackknife over seeds. `by_damping` and `by_products` have the
    same for other settings. Nothing is trained but the full data set, so there are no tables.
    """
    learner, seeds = config.problem.build(), tuple(range(config.n_seeds))
    (at,), (derivative,) = linearizations(learner, seeds), derivatives(learner, np.ones(learner.n_points), seeds)
    exact, (damping, steps) = scores_or_undefined(at), (config.practice.damping, config.practice.iterations)

    def added(name: str, d: float = damping, k: int = steps) -> Measured:
        return _added(APPROXIMATIONS[name](at, d, k), exact, derivative)

    def scored(name: str) -> Measured:
        return accuracy(APPROXIMATIONS[name](at, damping, steps), derivative)

    solvers = ("conjugate gradients", "LiSSA")
    variables: Variables = {
        "added": (table(added, approximation=APPROXIMATIONS), "error against D(1) beyond that of exact influence"),
        "measured": (table(scored, approximation=APPROXIMATIONS), "approximation against D(1)"),
        "exact": (accuracy(exact, derivative), "exact influence against D(1)"),
        "by_damping": (table(lambda d: added("damping", d), damping=config.dampings), "error that damping adds"),
        "by_products": (
            table(lambda name, k: added(name, damping, k), approximation=solvers, products=config.products),
            "error that few products with the Hessian add",
        ),
        "condition": (array(np.linalg.cond(at.hessian), seed=seeds), "condition number of the Hessian"),
    }
    linear = not isinstance(learner, MLP) or not learner.hidden
    return labelled("approximations", config, _renamed(variables)).assign_attrs(n_seeds=config.n_seeds, linear=linear)


def _renamed(variables: Variables) -> Variables:
    """Give the solvers of `by_products` a dimension of their own, since one result has one coordinate of each name."""
    found, text = variables["by_products"]
    assert isinstance(found, xr.Dataset)
    return {**variables, "by_products": (found.rename(approximation="solver"), text)}


def _added(scores: Array, exact: Array, derivative: Array) -> Measured:
    """Return the error of the mean scores minus that of the mean exact influence, and its standard error; NaN if undefined."""
    if not (np.isfinite(scores).all() and np.isfinite(exact).all()):
        return measured(np.nan, np.nan)

    def difference(a: Array, b: Array, d: Array) -> float:
        return relative_error(a, d) - relative_error(b, d)

    value = difference(*(x.mean(axis=0) for x in (scores, exact, derivative)))
    return measured(value, float(jackknife(difference, scores, exact, derivative)))


def _largest(at: Linearization) -> float:
    return float(np.linalg.eigvalsh(at.hessian).max())


def _network(loss: str, rate: float) -> dict[str, Any]:
    return {"hidden": (4,), "loss": loss, "l2": 0.01, "learning_rate": rate, "momentum": 0.9, "steps": 2000}


def _user_case(problem: Problem, small: bool) -> ApproximationsConfig:
    if problem.learner in CONVEX:
        return ApproximationsConfig(problem)
    return ApproximationsConfig(problem.changed(momentum=0.9, steps=500 if small else 2000), n_seeds=4 if small else 16)


EXPERIMENT = Experiment(
    name="approximations",
    question="How much error does each approximation of practical influence add, alone and together?",
    cases=(
        ApproximationsConfig(Problem("spector", "logistic", l2=0.1, n_points=12)),
        ApproximationsConfig(Problem("spector", "logistic", l2=0.01, n_points=12)),
        ApproximationsConfig(Problem("longley", "least_squares", l2=0.1, n_points=12)),
        ApproximationsConfig(SOFTMAX_DIGITS),
        ApproximationsConfig(SOFTMAX_IRIS),
        ApproximationsConfig(NETWORK.changed(steps=5000), n_seeds=8),
        ApproximationsConfig(Problem("xor", "mlp", **_network("logistic", 0.5)), n_seeds=16),
        ApproximationsConfig(Problem("two_moons", "mlp", **_network("logistic", 0.5), n_points=8), n_seeds=16),
        ApproximationsConfig(Problem("spector", "mlp", **_network("logistic", 0.5), n_points=8), n_seeds=16),
        ApproximationsConfig(Problem("xor", "mlp", **_network("logistic", 0.5), data_seed=1), n_seeds=16),
        ApproximationsConfig(Problem("two_moons", "mlp", **_network("logistic", 0.5), n_points=8, data_seed=1), n_seeds=16),
    ),
    small=(
        ApproximationsConfig(Problem("spector", "logistic", l2=0.1, n_points=8)),
        ApproximationsConfig(Problem("two_moons", "mlp", **_network("logistic", 0.5), n_points=6), n_seeds=8),
    ),
    run=run,
    user_case=user_case(_user_case, at_most=64),
    most_points=lambda config: None,
)
