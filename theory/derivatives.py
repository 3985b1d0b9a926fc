"""Compute derivatives of the response in the weights: averages over a sampling law, and finite differences."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike

from theory.answers import require_learner
from theory.datamodel import grid_rows
from theory.inputs import as_count, as_number, as_numbers, as_seeds, shown
from theory.laws import Bernoulli, ProductLaw
from theory.memory import require_memory
from theory.response import (
    BLOCK,
    Array,
    DifferentiableLearner,
    Learner,
    as_table,
    as_weight_rows,
    mean_response,
    weight_jacobian_column,
)
from theory.subsets import mask_rows
from theory.transforms import product_probabilities, split

__all__ = ["FiniteDifference", "average_derivative", "average_derivatives", "average_jumps", "finite_difference"]

Progress = Callable[[Iterable[int]], Iterable[int]]


def average_derivative(learner: DifferentiableLearner, law: ProductLaw, seeds: Sequence[int], nodes: int) -> Array:
    """Compute the derivative averaged over a law, E[ D_i(w_1, .., w_i*, .., w_N) ], shape (N, M).

    w_i* follows the zero-bias law, and the other weights follow the law itself. This is the right-hand side of T2. It equals the
    optimal datamodel coefficient beta_i(law) for every F that is absolutely continuous in w_i, because
    beta_i = Cov(F, w_i)/s^2 and E[(w - m) g(w)] = s^2 E g'(w*). For Bernoulli(p) it is
    int_0^1 E_{S not i} D_i(1_S with w_i = t) dt: the derivative is averaged over the training sets of the datamodel, and is not
    taken at w = 1.

    The integral over w_i* uses `nodes` Gauss nodes; where F is analytic, its error falls geometrically in `nodes`. The other
    coordinates are enumerated (two-level laws) or lie on the tensor grid of `law.quadrature(nodes)`. With K points per
    coordinate, the cost is about N * K^(N-1) * nodes weight Jacobians.
    Source: Goldstein & Reinert 1997 for the zero-bias law; the identity for datamodels is this project's.

    >>> from sims.learners import LeastSquares
    >>> learner = LeastSquares([[1.0]], [1.0], [[1.0]], l2=1.0)  # F(w) = w / (w + 1)
    >>> average_derivative(learner, Bernoulli(0.5), [0], nodes=8).round(9).tolist()  # beta = F(1) - F(0), while D(1) = 1/4
    [[0.5]]
    """
    return average_derivatives(learner, (law,), seeds, nodes)[0]


def average_derivatives(
    learner: DifferentiableLearner,
    laws: Sequence[ProductLaw],
    seeds: Sequence[int],
    nodes: int,
    *,
    progress: Progress = iter,
) -> Array:
    """Compute `average_derivative` for L laws that share their quadrature points, shape (L, N, M).

    Bernoulli(p) for many p are such laws. Each derivative is evaluated once and weighted once per law. `progress` wraps the loop
    over training points.

    >>> from sims.learners import LeastSquares
    >>> learner = LeastSquares([[1.0]], [1.0], [[1.0]], l2=1.0)  # F(w) = w / (w + 1)
    >>> average_derivatives(learner, [Bernoulli(0.5), Bernoulli(0.9)], [0], nodes=8).round(9).tolist()  # no other points
    [[[0.5]], [[0.5]]]
    """
    require_learner(learner)
    if not isinstance(learner, DifferentiableLearner):
        raise TypeError(
            f"{type(learner).__name__} has no weight_jacobian, expected a learner with derivatives: the average derivative needs "
            "the exact derivative of respond"
        )
    wrong = [law for law in laws if not isinstance(law, ProductLaw) or isinstance(law, type)]
    if wrong or not laws:
        raise TypeError(f"laws is {shown(laws)}, expected one or more product laws (Bernoulli, TwoPoint, Gaussian, Poisson)")
    seeds, nodes = as_seeds(seeds), as_count("nodes", nodes)
    others, along = laws[0].quadrature(nodes), laws[0].zero_bias_quadrature(nodes)
    for law in laws[1:]:
        alike = np.array_equal(law.quadrature(nodes).points, others.points)
        if not alike or not all(map(np.array_equal, law.zero_bias_quadrature(nodes), along)):
            raise ValueError(f"{law} and {laws[0]} do not share their points and zero-bias law: average them one by one")
    n, k = learner.n_points, len(others.points)
    require_memory(
        8 * (len(laws) + 1) * k ** (n - 1), f"a grid of {k}**{n - 1} weight vectors", "take fewer nodes or training points"
    )
    probabilities = np.stack([product_probabilities(np.tile(law.quadrature(nodes).probabilities, (n - 1, 1))) for law in laws])
    step = max(1, BLOCK // len(along.points))
    average = np.zeros((len(laws), n, learner.n_outputs))
    for i in progress(range(n)):
        for start in range(0, k ** (n - 1), step):
            rows = slice(start, min(start + step, k ** (n - 1)))
            rest = grid_rows(others.points, rows.start, rows.stop, n - 1)
            slope = _integrate_along(learner, seeds, rest, i, along.points, along.probabilities)
            average[:, i] += probabilities[:, rows] @ slope
    return average


def average_jumps(learner: Learner, laws: Sequence[Bernoulli], table: ArrayLike, seeds: Sequence[int]) -> Array:
    """Compute the average jump at w_i = 0, E[F(1_S with w_i = 0+) - F(1_S)] over S not containing i, shape (L, N, M).

    The L laws are Bernoulli laws, `table` (2**N, M) holds F(1_S), and 0+ stands for w_i = 1e-9. Where F is not continuous at
    w_i = 0 (for example, a minimum-norm interpolator gains a direction), T2 lacks exactly this term:
    beta_i = average derivative + average jump.

    >>> from sims.learners import LeastSquares
    >>> learner = LeastSquares([[1.0]], [1.0], [[1.0]], undefined="min_norm")  # F(0) = 0, else 1
    >>> average_jumps(learner, [Bernoulli(0.5)], [[0.0], [1.0]], [0]).tolist()
    [[[1.0]]]
    """
    (values, n), seeds = as_table(table), as_seeds(seeds)
    probabilities = np.stack([product_probabilities(np.tile(law.quadrature(2).probabilities, (n - 1, 1))) for law in laws])
    jumps = np.empty((len(laws), n, values.shape[1]))
    for i in range(n):
        jump = -split(values, i)[0]
        for start in range(0, len(jump), BLOCK):
            rest = mask_rows(start, min(start + BLOCK, len(jump)), n - 1) if n > 1 else np.empty((1, 0))
            jump[start : start + BLOCK] += mean_response(learner, np.insert(rest, i, 1e-9, axis=1), seeds)
        jumps[:, i] = probabilities @ jump
    return jumps


def _integrate_along(
    learner: DifferentiableLearner, seeds: Sequence[int], rest: Array, i: int, points: Array, probabilities: Array
) -> Array:
    """Compute E[D_i] over w_i, which takes `points` with `probabilities`, for every row of `rest`; shape (B, M).

    `rest` (B, N-1) holds the weights of the other points.
    """
    weights = np.insert(np.repeat(rest, len(points), axis=0), i, np.tile(points, len(rest)), axis=1)
    derivative = weight_jacobian_column(learner, weights, seeds, i).mean(axis=1)
    return np.asarray(np.tensordot(probabilities, derivative.reshape(len(rest), len(points), -1), axes=(0, 1)), dtype=np.float64)


@dataclass(frozen=True)
class FiniteDifference:
    """A numerical derivative with an estimate of its own error."""

    derivative: Array  # (N, M)
    error: Array  # (N, M), the estimate of the absolute error
    converged: bool  # True if every entry met the requested tolerance


def finite_difference(
    learner: Learner,
    weights: ArrayLike,
    seeds: Sequence[int],
    *,
    rtol: float = 1e-10,
    atol: float = 1e-12,
    initial_step: float = 0.25,
) -> FiniteDifference:
    """Estimate D(w) = dF/dw at weights (N,) from responses only, by extrapolated differences of order 8.

    The differences are those of `scipy.differentiate`. The step starts at `initial_step`, or less so that no weight becomes
    negative, and is halved until two estimates agree. Their difference is the reported error. At w_i = 0 the derivative is
    one-sided, from above.

    >>> from sims.learners import LeastSquares
    >>> learner = LeastSquares([[1.0]], [1.0], [[1.0]], l2=1.0)  # F(w) = w / (w + 1)
    >>> result = finite_difference(learner, [1.0], [0])
    >>> result.derivative.round(9).tolist(), result.converged
    ([[0.25]], True)
    """
    at, seeds = as_weight_rows(learner, as_numbers("weights", weights)[None], "(N,)")[0], as_seeds(seeds)
    rtol, atol = (as_number(n, v, "a finite number >= 0", least=0.0) for n, v in (("rtol", rtol), ("atol", atol)))
    initial_step = as_number("initial_step", initial_step, "a finite number > 0", above=0.0)

    def response(points: Array) -> Array:  # (N, ...) -> (M, ...), as scipy requires
        rows = np.moveaxis(points, 0, -1)
        outputs = mean_response(learner, rows.reshape(-1, len(at)), seeds)
        return np.moveaxis(outputs.reshape(*rows.shape[:-1], -1), -1, 0)

    step = np.where(at > 0.0, np.minimum(initial_step, 0.9 * at), initial_step)
    result = scipy.differentiate.jacobian(
        response,
        at,
        tolerances={"rtol": rtol, "atol": atol},
        maxiter=12,
        initial_step=step,
        step_direction=np.where(at > 0.0, 0, 1),
    )
    return FiniteDifference(np.asarray(result.df).T, np.asarray(result.error).T, bool(np.all(result.success)))
