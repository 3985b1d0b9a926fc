"""The experiment compares leave-one-out with its linear approximation in the parameters, and with a bound (T12)."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from sims.experiments.shared.experiment import Experiment, Retrain, in_memory
from sims.experiments.shared.labels import Variables, array, labelled, progress_bar
from sims.experiments.shared.problem import ParametricLearner, Problem
from sims.experiments.shared.user_cases import ONE_OUTPUT, user_case
from theory.memory import require_memory
from theory.response import Array, Fit, Linearization

__all__ = ["EXPERIMENT", "ConvexBoundConfig", "run"]


@dataclass(frozen=True)
class ConvexBoundConfig:
    """A config sets the problem and the number of nodes at which the constants of the bound are taken on each path."""

    problem: Problem
    nodes: int = 17


def run(config: ConvexBoundConfig, *, retrain: Retrain = in_memory, progress: bool = False) -> xr.Dataset:
    """Compare ||theta_LOO - theta_IJ|| with b G / mu^2 + L3 G^2 / (2 mu^3), for every point.

    theta_IJ = theta(1) + H^-1 grad l_i, the derivative's prediction of removal. On the path w_i = 1 - t, t from 0 to 1, and for
    the objective sum_j w_j l_j + (N l2/2) ||theta||^2: mu is the least eigenvalue of its Hessian, G the largest ||grad l_i||, b
    the largest eigenvalue of Hess l_i, and L3 bounds |D^3[u, v, v]| for unit u and v. For l_j = l(x_j . theta), L3 is the largest
    eigenvalue of sum_j w_j |l'''_j| ||x_j|| x_j x_j^T. Constants are maxima over the nodes; `bound_change` is the share by
    which bounds grow from every other node to all.
    """
    learner, kind = config.problem.build(), config.problem.learner
    if kind not in ONE_OUTPUT:
        raise ValueError(f"{config.problem.name} has no third derivatives here, expected the learner {' or '.join(ONE_OUTPUT)}")
    n = learner.n_points
    width = learner.linearize(np.ones(n), (0,)).params.shape[1]
    require_memory(8 * config.nodes * (width * (n + 2 * width) + n), f"paths of {n} points", "take fewer training points")
    show = progress_bar("convex bound", progress)
    found = [_for_point(learner, i, config.nodes, kind) for i in show(range(n))]
    names = {
        "gap": "||theta_LOO - theta_IJ||",
        "bound": "b G / mu^2 + L3 G^2 / (2 mu^3), constants on the path",
        "bound_change": "share by which the bound grows from every other node to all",
        "effect": "||theta_LOO - theta(1)||",
        "output_share": "largest |F_LOO - F_IJ| / (||grad F|| bound) over outputs",
    }
    variables: Variables = {name: (array([at[name] for at in found], point=range(n)), text) for name, text in names.items()}
    return labelled("convex_bound", config, variables).assign_attrs(l2=config.problem.number("l2"))


def _for_point(learner: ParametricLearner, i: int, nodes: int, kind: str) -> dict[str, float]:
    """Return the numbers of `run` for the removal of point i."""
    n = learner.n_points
    path = [learner.linearize(_without(n, i, t), (0,)) for t in np.linspace(0.0, 1.0, nodes)]
    start, end = path[0], path[-1]
    step: Array = np.asarray(np.linalg.solve(n * start.hessian[0], start.point_gradients[0, i]), dtype=np.float64)
    gap: Array = end.params[0] - (start.params[0] + step)
    constants = np.array([_constants(at, i, kind) for at in path])
    bound, coarser = _bound(constants), _bound(constants[::2])
    gradients = start.output_gradients[0]  # outputs are linear in theta
    shares = np.abs(gradients @ gap) / (np.linalg.norm(gradients, axis=1) * bound)
    return {
        "gap": float(np.linalg.norm(gap)),
        "bound": bound,
        "bound_change": bound / coarser - 1.0,
        "effect": float(np.linalg.norm(end.params[0] - start.params[0])),
        "output_share": float(shares.max()),
    }


def _without(n: int, i: int, share: float) -> Array:
    """Return weights 1, and 1 - share for point i."""
    weights = np.ones(n)
    weights[i] -= share
    return weights


def _constants(at: Linearization, i: int, kind: str) -> tuple[float, float, float, float]:
    """Return mu, G, b and L3 at one node, for the objective with sums instead of means."""
    fit = at.fit
    assert isinstance(fit, Fit)
    x, curvatures = fit.gradients[0], fit.curvatures[0]
    lengths = np.linalg.norm(x, axis=1)
    mu = len(x) * np.linalg.eigvalsh(at.hessian[0])[0]
    thirds = np.abs(_thirds(curvatures, kind)) * fit.weights * lengths
    third = np.linalg.eigvalsh(x.T @ (thirds[:, None] * x))[-1]
    return mu, float(np.linalg.norm(at.point_gradients[0, i])), curvatures[i] * lengths[i] ** 2, third


def _thirds(curvatures: Array, kind: str) -> Array:
    """Return |l'''| from c = l'': c |1 - 2 p| = c sqrt(1 - 4 c) for logistic loss, c = p (1 - p), and 0 for squared loss."""
    if kind == "least_squares":
        return np.zeros_like(curvatures)
    return curvatures * np.sqrt(np.maximum(1.0 - 4.0 * curvatures, 0.0))


def _bound(constants: Array) -> float:
    """Return b G / mu^2 + L3 G^2 / (2 mu^3) from rows (mu, G, b, L3), the worst of each."""
    mu, (g, b, third) = constants[:, 0].min(), constants[:, 1:].max(axis=0)
    return float(b * g / mu**2 + third * g**2 / (2.0 * mu**3))


def _user_case(problem: Problem, small: bool) -> ConvexBoundConfig:
    return ConvexBoundConfig(problem, nodes=9 if small else 17)


EXPERIMENT = Experiment(
    name="convex_bound",
    question="How far is leave-one-out from its linear approximation, and what does convexity prove about it?",
    cases=(
        ConvexBoundConfig(Problem("spector", "logistic", l2=0.1)),
        ConvexBoundConfig(Problem("spector", "logistic", l2=0.01)),
        ConvexBoundConfig(Problem("longley", "least_squares", l2=0.1)),
        ConvexBoundConfig(Problem("noisy_line", "least_squares", l2=0.0, n_points=64)),
        ConvexBoundConfig(Problem("noisy_line", "least_squares", l2=0.0, n_points=64, data_seed=1)),
    ),
    small=(ConvexBoundConfig(Problem("spector", "logistic", l2=0.1, n_points=8), nodes=9),),
    run=run,
    user_case=user_case(_user_case, learners=ONE_OUTPUT, at_most=128),
    most_points=lambda config: None,
)
