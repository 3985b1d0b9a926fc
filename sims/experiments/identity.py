"""Is the optimal datamodel coefficient the derivative of the response in the data weights?"""

from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from sims.experiments.base import (
    MEASURES,
    Experiment,
    Problem,
    Retrain,
    Variables,
    bar,
    effect_coords,
    in_memory,
    labelled,
    measures,
    with_points,
)
from sims.experiments.own import CONVEX, own_case
from theory.datamodel import Datamodel, optimal_datamodel, quadrature_datamodel
from theory.derivatives import average_derivatives, average_jumps, finite_difference
from theory.influence import hessian_influence
from theory.laws import Bernoulli, TwoPoint
from theory.metrics import relative_error
from theory.response import Array, weight_derivative
from theory.subsets import all_masks
from theory.transforms import product_probabilities
from theory.values import leave_one_out

__all__ = ["EXPERIMENT", "IdentityConfig", "run"]


@dataclass(frozen=True)
class IdentityConfig:
    """A problem; p of the datamodels; Gauss nodes of the average derivative (none: left out); local scales."""

    problem: Problem
    probabilities: tuple[float, ...] = (0.2, 0.5, 0.8, 0.9, 0.99)
    nodes: tuple[int, ...] = ()
    scales: tuple[float, ...] = (0.5, 0.25, 0.125, 0.0625, 0.03125)
    seeds: tuple[int, ...] = (0,)


def run(config: IdentityConfig, *, retrain: Retrain = in_memory, progress: bool = False) -> xr.Dataset:
    """Retrain on all subsets; beta^(p) beside D(1), D(p1), LOO, Hessian influence and the average derivative, for every p.

    Effects have dims (.., point, output), in the unit of the output per unit of weight. Nothing is sampled and nothing has a
    standard error: `optimality`, `finite_difference_error` and `average_derivative_error` say how exact the numbers are.
    """
    learner, seeds, p_values = config.problem.build(), config.seeds, config.probabilities
    ones = np.ones(learner.n_points)
    table = retrain(learner, seeds).mean
    models = [optimal_datamodel(table, Bernoulli(p)) for p in p_values]
    beta = np.stack([model.coefficients for model in models])
    derivative, loo = weight_derivative(learner, ones, seeds), leave_one_out(table)
    at_p = np.stack([weight_derivative(learner, p * ones, seeds) for p in p_values])
    averages = [
        average_derivatives(
            learner, [Bernoulli(p) for p in p_values], seeds, k, progress=bar(f"average derivative, {k} nodes", progress)
        )
        for k in config.nodes
    ]
    local = np.stack([quadrature_datamodel(learner, TwoPoint(s), seeds, nodes=2).coefficients for s in config.scales])
    numerical, linearization = finite_difference(learner, ones, seeds), learner.linearize(ones, seeds)
    references = {"D(1)": np.broadcast_to(derivative, beta.shape), "D(p1)": at_p, "LOO": np.broadcast_to(loo, beta.shape)}
    if averages:
        references["average derivative"] = averages[-1]
    against = [measures(b, {name: values[k] for name, values in references.items()}) for k, b in enumerate(beta)]
    effect = ("point", "output")
    variables: Variables = {
        "beta": (("p", *effect), beta, "optimal datamodel coefficient, Bernoulli(p) subsets"),
        "derivative": (effect, derivative, "D(1): dF/dw at w = 1"),
        "derivative_at_p": (("p", *effect), at_p, "D(p1): dF/dw at w = p1"),
        "leave_one_out": (effect, loo, "F(1) - F(1 - e_i)"),
        "hessian_influence": (effect, hessian_influence(linearization), "-(1/N) grad f^T H^-1 grad l_i at w = 1"),
        "finite_difference": (effect, numerical.derivative, "dF/dw at w = 1 by extrapolated differences"),
        "finite_difference_error": (effect, numerical.error, "its own estimate of its error"),
        "local_beta": (("scale", *effect), local, "optimal datamodel coefficient, weights 1 - s or 1 + s"),
        "beta_against": (("p", "reference", "measure"), against, "beta measured against each reference"),
        "r_squared": (("p", "output"), [m.r_squared for m in models], "R^2 of the optimal linear datamodel"),
        "optimality": (
            ("p",),
            [_optimality(table, m, p) for m, p in zip(models, p_values, strict=True)],
            "largest normal equation / sd F",
        ),
        "local_error": (("scale",), [relative_error(b, derivative) for b in local], "||local beta - D(1)|| / ||D(1)||"),
        "least_eigenvalue": ((), np.linalg.eigvalsh(linearization.hessian).min(), "least eigenvalue of the Hessian at w = 1"),
        "gradient_norm": ((), linearization.gradient_norm.max(), "||grad L|| at w = 1"),
    }
    coords = {"p": p_values, "scale": config.scales, "reference": tuple(references), "measure": MEASURES}
    if averages:
        coords["nodes"] = config.nodes
        errors = [[relative_error(a, b) for a, b in zip(average, beta, strict=True)] for average in averages]
        jumps = average_jumps(learner, [Bernoulli(p) for p in p_values], table, seeds)
        variables["average_jump"] = (("p", *effect), jumps, "E[F(w_i = 0+) - F(w_i = 0)], 0 where F is continuous")
        variables["average_derivative"] = (("p", *effect), averages[-1], "E D_i, w_i of the zero-bias law, with the most nodes")
        variables["node_change"] = (
            ("p",),
            [relative_error(coarse, fine) for coarse, fine in zip(averages[-2], averages[-1], strict=True)]
            if len(averages) > 1
            else [np.inf] * len(p_values),
            "relative change of the average derivative from the last but one to the last number of nodes",
        )
        variables["average_derivative_error"] = (("nodes", "p"), errors, "||average derivative - beta|| / ||beta||")
    return labelled("identity", config, {**coords, **effect_coords(loo)}, variables)


def _optimality(table: Array, model: Datamodel, p: float) -> float:
    """Largest |E[residual]| and |E[residual (w_i - p)]| / sd(w_i), relative to sd(F): 0 at the optimal linear predictor."""
    masks = all_masks(len(model.coefficients))
    probabilities = product_probabilities(np.tile([1.0 - p, p], (masks.shape[1], 1)))
    weighted = probabilities[:, None] * (table - model.predict(masks))
    spread = np.sqrt(probabilities @ (table - probabilities @ table) ** 2)
    equations = np.vstack([weighted.sum(axis=0), (masks - p).T @ weighted / np.sqrt(p * (1.0 - p))])
    return float((np.abs(equations) / spread).max())


def _resized(config: IdentityConfig, n_points: int) -> IdentityConfig:
    """Above 16 points without the average derivative, about N 2^(N-1) weight Jacobians per node, and with one local scale."""
    cheap = config if n_points <= 16 else replace(config, nodes=(), scales=config.scales[-1:])
    return with_points(cheap, n_points)


_MIN_NORM = ("longley", "least_squares", (("l2", 0.0), ("undefined", "min_norm")))
_SPECTOR, _LONGLEY = ("spector", "logistic", (("l2", 0.1),)), ("longley", "least_squares", (("l2", 0.1),))
_ONE_POINT = IdentityConfig(Problem("one_point", "least_squares", (("l2", 1.0),)), nodes=(8, 16))
_JUMPS = IdentityConfig(Problem(*_MIN_NORM, n_points=8), nodes=(64, 128))


def _own(problem: Problem, small: bool) -> IdentityConfig:
    """Scales small enough for the order of any problem's local error; as many nodes as take a minute or so."""
    n, n_columns = problem.load().X.shape
    cost = n * 2 ** (n - 1) * n_columns**2
    nodes = (8, 16) if cost <= 1e6 else (4, 8) if cost <= 4e6 else ()
    return IdentityConfig(problem, nodes=nodes, scales=(0.25, 1 / 16, 1 / 64, 1 / 256))


EXPERIMENT = Experiment(
    name="identity",
    question="Is the optimal datamodel coefficient the derivative of the response in the data weights?",
    cases=(
        IdentityConfig(Problem(*_SPECTOR), nodes=(2, 5)),
        IdentityConfig(Problem(*_LONGLEY), nodes=(3, 12)),
        IdentityConfig(Problem(*_MIN_NORM), nodes=()),  # near-collinear subsets: the average derivative needs too many nodes
        _JUMPS,
        _ONE_POINT,
    ),
    small=(
        IdentityConfig(Problem(*_SPECTOR, n_points=8), nodes=(5, 10)),
        IdentityConfig(Problem(*_LONGLEY, n_points=8), nodes=(10, 20)),
        _JUMPS,
        _ONE_POINT,
    ),
    run=run,
    resize=_resized,
    own=own_case(_own, learners=CONVEX, at_most=20),
)
