"""The experiment splits the difference between the datamodel coefficient and the derivative at w = 1 into terms."""

import json
from dataclasses import dataclass, replace

import numpy as np
import scipy
import xarray as xr

from sims.experiments.shared.digits import SOFTMAX_DIGITS, SOFTMAX_IRIS
from sims.experiments.shared.experiment import Experiment, Retrain, in_memory
from sims.experiments.shared.labels import Variables, array, effect_coords, labelled
from sims.experiments.shared.memory import require_per_subset
from sims.experiments.shared.problem import AnyProblem, Problem
from sims.experiments.shared.user_cases import CONVEX, user_case
from theory.datamodel import optimal_datamodel
from theory.laws import Bernoulli
from theory.metrics import relative_error
from theory.response import Array, DifferentiableLearner, Learner, mean_response, weight_derivative
from theory.subsets import sizes
from theory.transforms import degree_mass, difference_sums, split, sum_by_size, walsh
from theory.values import leave_one_out

__all__ = ["EXPERIMENT", "ExpansionConfig", "run"]


@dataclass(frozen=True)
class ExpansionConfig:
    """A config sets the problem, the inclusion probabilities, the Gauss nodes on the path w_i: 1 -> 0, and the seeds.

    Without nodes no derivatives are taken.
    """

    problem: AnyProblem
    probabilities: tuple[float, ...] = (0.5, 0.75, 0.9, 0.99)
    nodes: int = 40
    seeds: tuple[int, ...] = (0,)


def run(config: ExpansionConfig, *, retrain: Retrain = in_memory, progress: bool = False) -> xr.Dataset:
    """Compute the terms of T3 (beta^(p) from leave-one-out) and of T5 (beta - D(1)), and the relations of T4 and T8.

    T5 says that at p = 1/2, beta = D(1) - interaction - curvature. Here interaction_i = 2 sum_{A with i, |A| >= 2} Fhat(A) comes
    from the Walsh coefficients of the table, and curvature_i = int_0^1 (1 - t) d_i^2 F(1 - t e_i) dt = D_i(1) - int_0^1 D_i(1 - t
    e_i) dt comes from derivatives. Each is computed without the other. What needs derivatives is left out, and the attribute
    `left_out` gives the reason, where the learner has none or F jumps as a weight leaves 0: T4 and T5 need F smooth on the path.
    """
    learner, seeds, p_values = config.problem.build(), config.seeds, config.probabilities
    n = learner.n_points
    require_per_subset(learner, _TABLES * learner.n_outputs * len(seeds), "expansion")
    table = retrain(learner, seeds).mean
    models = [optimal_datamodel(table, Bernoulli(p)) for p in p_values]
    orders = difference_sums(table)  # (N, order, M)
    truncation = np.empty((len(p_values), n))
    for row, (p, model) in enumerate(zip(p_values, models, strict=True)):
        partial = np.cumsum((-(1.0 - p)) ** np.arange(n)[:, None] * orders, axis=1)
        truncation[row] = [relative_error(partial[:, k], model.coefficients) for k in range(n)]
    mass, left_out = degree_mass(table), dict[str, str]()
    russo_margulis = [_russo_margulis(table, p) for p in p_values]
    effect = effect_coords(models[0].coefficients)
    output = effect["output"]
    variables: Variables = {
        "beta": (array(optimal_datamodel(table).coefficients, **effect), "optimal datamodel coefficient, p = 1/2"),
        **_on_the_path(learner, config, table, left_out),
        "leave_one_out": (array(leave_one_out(table), **effect), "F(1) - F(1 - e_i)"),
        "interaction": (array(_interaction(table), **effect), "2 sum of Fhat(A), A with i, |A| >= 2"),
        "truncation_error": (array(truncation, p=p_values, order=range(n)), "||sum of T3 up to an order - beta|| / ||beta||"),
        "r_squared": (array([m.r_squared for m in models], p=p_values, output=output), "R^2 of the optimal linear datamodel"),
        "degree_mass": (array(mass, degree=range(n + 1), output=output), "B_k: Fourier mass of degree k, p = 1/2"),
        "parseval_error": (array(_parseval(table, mass)), "|sum of B_k / Var F - 1|"),
        "russo_margulis_error": (array(russo_margulis, p=p_values), "|sum of beta_i / (d/dp E F) - 1|"),
    }
    result = labelled("expansion", config, variables)
    return result.assign_attrs(left_out=json.dumps(left_out)) if left_out else result


def _on_the_path(learner: Learner, config: ExpansionConfig, table: Array, left_out: dict[str, str]) -> Variables:
    """Compute what needs derivatives on the paths w_i: 1 -> 0, or say in `left_out` why that cannot be had."""
    seeds, n = config.seeds, learner.n_points
    names = ("derivative", "curvature", "node_change")
    if not isinstance(learner, DifferentiableLearner):
        left_out |= dict.fromkeys(names, f"{type(learner).__name__} has no weight_jacobian")
        return {}
    if not config.nodes:
        left_out |= dict.fromkeys(names, "no derivatives on the paths were asked for: they would take too long")
        return {}
    removed = table[(1 << n) - 1 - (1 << np.arange(n))]
    leap = np.abs(mean_response(learner, 1.0 - (1.0 - _NEARLY_REMOVED) * np.eye(n), seeds) - removed).max()
    if leap > 1e-3 * np.ptp(table, axis=0).max():
        left_out |= dict.fromkeys(names, f"F jumps by {leap:.2g} as a weight leaves 0, and T4 and T5 need F smooth on the path")
        return {}
    derivative = weight_derivative(learner, np.ones(n), seeds)
    half, mean_on_path = (_mean_derivative_to_removal(learner, seeds, k) for k in (config.nodes // 2, config.nodes))
    effect = effect_coords(derivative)
    return {
        "derivative": (array(derivative, **effect), "D(1): dF/dw at w = 1"),
        "curvature": (array(derivative - mean_on_path, **effect), "D(1) - mean of D_i on w_i: 1 -> 0"),
        "node_change": (array(relative_error(half, mean_on_path)), "relative change of that mean from half the nodes to all"),
    }


_NEARLY_REMOVED = 1e-9


def _parseval(table: Array, mass: Array) -> float:
    """Return |sum of B_k / Var F - 1|, the largest over the outputs that vary over subsets; NaN (undefined) if none does."""
    varies = np.ptp(table, axis=0) > 1e-12 * np.abs(table).max(axis=0)
    return float(np.abs(mass[1:, varies].sum(axis=0) / table[:, varies].var(axis=0) - 1.0).max()) if varies.any() else np.nan


def _interaction(table: Array) -> Array:
    """Compute 2 sum_{A contains i, |A| >= 2} Fhat(A) for every point i: (N, M)."""
    higher = np.where(sizes(len(table).bit_length() - 1)[:, None] >= 2, walsh(table), 0.0)
    return np.stack([2.0 * split(higher, i)[1].sum(axis=0) for i in range(len(table).bit_length() - 1)])


def _mean_derivative_to_removal(learner: DifferentiableLearner, seeds: tuple[int, ...], nodes: int) -> Array:
    """Compute int_0^1 D_i(1 - t e_i) dt by Gauss-Legendre quadrature: (N, M). By T4 it equals leave-one-out."""
    x, weights = scipy.special.roots_legendre(nodes)
    n = learner.n_points
    paths = np.ones((n, nodes, n))
    paths[np.arange(n), :, np.arange(n)] = 0.5 * (1.0 - x)
    derivative = learner.weight_jacobian(paths.reshape(-1, n), seeds).mean(axis=1).reshape(n, nodes, -1, n)
    along = derivative[np.arange(n), :, :, np.arange(n)]  # (N, nodes, M)
    return np.asarray(np.tensordot(0.5 * weights, along, axes=(0, 1)), dtype=np.float64)


def _russo_margulis(table: Array, p: float) -> float:
    """Return the largest error of sum_i beta_i^(p) against d/dp E_p F, relative to the largest |d/dp E_p F| over outputs.

    E_p F = sum_k p^k (1-p)^(N-k) sum_{|S|=k} F(S) is a Bernstein polynomial in p. It is NaN (undefined) where both are 0 but for
    rounding: effects that cancel.
    """
    n = len(table).bit_length() - 1
    k = np.arange(n + 1)[:, None]
    bernstein = k * p ** np.maximum(k - 1, 0) * (1 - p) ** (n - k) - (n - k) * p**k * (1 - p) ** np.maximum(n - k - 1, 0)
    slope = (bernstein * sum_by_size(table)).sum(axis=0)
    beta = optimal_datamodel(table, Bernoulli(p)).coefficients
    total, size = beta.sum(axis=0), np.abs(slope).max()
    return float(np.abs(total - slope).max() / size) if size > 1e-6 * np.abs(beta).sum(axis=0).max() else np.nan


_SPECTOR = Problem("spector", "logistic", l2=0.1)
_LONGLEY = Problem("longley", "least_squares", l2=0.1)

_TABLES = 8
"""Peak of memory in tables of all subsets, seeds and outputs, measured with one seed at 2^14 and 2^16 subsets."""

EXPERIMENT = Experiment(
    name="expansion",
    question="What lies between the datamodel coefficient and the derivative at w = 1, term by term?",
    cases=tuple(map(ExpansionConfig, (_SPECTOR, _LONGLEY, SOFTMAX_DIGITS, SOFTMAX_IRIS))),
    small=(ExpansionConfig(replace(_SPECTOR, n_points=8)), ExpansionConfig(replace(_LONGLEY, n_points=8))),
    run=run,
    user_case=user_case(lambda problem, small: ExpansionConfig(problem), learners=CONVEX),
)
