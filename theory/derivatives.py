"""Compute derivatives of the response in the weights: averages over a sampling law, and finite differences."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from theory.answers import require_learner
from theory.datamodel import grid_rows
from theory.inputs import as_count, as_number, as_numbers, as_seeds, shown
from theory.laws import ProductLaw, TwoLevelLaw
from theory.memory import require_memory
from theory.response import (
    BLOCK,
    Array,
    DifferentiableLearner,
    Learner,
    as_weight_rows,
    mean_response,
    weight_jacobian_column,
)
from theory.streams import stream
from theory.transforms import product_probabilities

__all__ = [
    "FiniteDifference",
    "SettledAverage",
    "average_derivative",
    "average_derivatives",
    "finite_difference",
    "settled_average_derivatives",
]

Progress = Callable[[Iterable[int]], Iterable[int]]


def average_derivative(learner: DifferentiableLearner, law: ProductLaw, seeds: Sequence[int], nodes: int | None = None) -> Array:
    """Compute the derivative averaged over a law, E[ D_i(w_1, .., w_i*, .., w_N) ], shape (N, M).

    w_i* follows the zero-bias law, and the other weights follow the law itself. This is the right-hand side of T2. It equals the
    optimal datamodel coefficient beta_i(law) for every F that is absolutely continuous in w_i, because
    beta_i = Cov(F, w_i)/s^2 and E[(w - m) g(w)] = s^2 E g'(w*). For Bernoulli(p) it is
    int_0^1 E_{S not i} D_i(1_S with w_i = t) dt: the derivative is averaged over the training sets of the datamodel, and is not
    taken at w = 1.

    The integral over w_i* uses `nodes` Gauss nodes; where F is analytic, its error falls geometrically in `nodes`. The other
    coordinates are enumerated (two-level laws) or lie on the tensor grid of `law.quadrature(nodes)`. With K points per
    coordinate, the cost is about N * K^(N-1) * nodes weight Jacobians. Without `nodes`, their number grows until the result has
    settled to 1e-7 (`settled_average_derivatives`, for laws with two levels); ArithmeticError says where it does not, and why.
    Source: Goldstein & Reinert 1997 for the zero-bias law; the identity for datamodels is this project's.

    >>> from sims.learners import LeastSquares
    >>> from theory.laws import Bernoulli
    >>> learner = LeastSquares([[1.0]], [1.0], [[1.0]], l2=1.0)  # F(w) = w / (w + 1)
    >>> average_derivative(learner, Bernoulli(0.5), [0], nodes=8).round(9).tolist()  # beta = F(1) - F(0), while D(1) = 1/4
    [[0.5]]
    """
    if nodes is not None:
        return average_derivatives(learner, (law,), seeds, nodes)[0]
    _require_derivatives(learner, (law,))
    if not isinstance(law, TwoLevelLaw):
        raise ValueError(f"nodes is missing, expected a number of them for {law}: only laws with two levels find it themselves")
    settled = settled_average_derivatives(learner, (law,), seeds)
    if settled.average is None:
        raise ArithmeticError(f"{settled.reason}; theory.edges.decompose_edges finds jumps, and takes edges apart")
    return settled.average[0]


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
    >>> from theory.laws import Bernoulli
    >>> learner = LeastSquares([[1.0]], [1.0], [[1.0]], l2=1.0)  # F(w) = w / (w + 1)
    >>> average_derivatives(learner, [Bernoulli(0.5), Bernoulli(0.9)], [0], nodes=8).round(9).tolist()  # no other points
    [[[0.5]], [[0.5]]]
    """
    _require_derivatives(learner, laws)
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


@dataclass(frozen=True)
class SettledAverage:
    """The average derivative of L laws with as many nodes as it needs, or the reason why there is none.

    `change` estimates the relative error of the quadrature: the root mean square over edges, so that errors of different edges
    don't cancel.
    """

    average: Array | None  # (L, N, M), or None where it has not converged
    nodes: int
    change: float
    reason: str  # empty if it has converged


def settled_average_derivatives(
    learner: DifferentiableLearner,
    laws: Sequence[ProductLaw],
    seeds: Sequence[int],
    *,
    tolerance: float = 1e-7,
    most_derivatives: int = 2**24,
    progress: Progress = iter,
) -> SettledAverage:
    """Compute `average_derivatives` with the fewest nodes after which more nodes would change it by no more than `tolerance`.

    The number of nodes is found on at most 96 edges, drawn at random: it grows by a half until the integrals along these edges
    change by less than the tolerance. One pass over all edges follows. It does not converge where F jumps inside an edge (see
    `theory.edges`), and is not begun where it would take more than `most_derivatives` derivatives: the number of edges times
    that of nodes. The laws need two levels, since others have no edges.

    >>> from sims.learners import LeastSquares
    >>> from theory.laws import Bernoulli
    >>> learner = LeastSquares([[1.0]], [1.0], [[1.0]], l2=1.0)  # F(w) = w / (w + 1)
    >>> settled = settled_average_derivatives(learner, [Bernoulli(0.5)], [0])
    >>> settled.nodes, settled.average.round(7).tolist(), settled.reason
    (6, [[[0.5]]], '')
    """
    tolerance = as_number("tolerance", tolerance, "a number > 0 and < 1", above=0.0, below=1.0)
    most, seeds = as_count("most_derivatives", most_derivatives), as_seeds(seeds)
    n, edges = learner.n_points, learner.n_points * 2 ** (learner.n_points - 1)
    change, nodes, before = np.inf, 0, None
    for more in _NODES:
        if edges * max(more, 1) > most * 3 // 2:
            reason = f"{n} points have {edges} edges, and {more} nodes on each are more than {most} derivatives"
            break
        integrals = _on_drawn_edges(learner, laws[0], seeds, more)
        if before is not None:
            size = np.linalg.norm(integrals)
            change = float(np.linalg.norm(integrals - before) / size) if size else 0.0
            if change <= tolerance:
                average = average_derivatives(learner, laws, seeds, nodes, progress=progress)
                return SettledAverage(average, nodes, change, "")
        nodes, before = more, integrals
    else:
        reason = f"{_NODES[-1]} nodes are the limit"
    return SettledAverage(
        None, nodes, change, f"the quadrature of the average derivative still changes by {change:.1g}: {reason}"
    )


_NODES = (4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384)


def _on_drawn_edges(learner: DifferentiableLearner, law: ProductLaw, seeds: tuple[int, ...], nodes: int) -> Array:
    """Compute E[D_i] along at most 96 edges, spread evenly over the points, and always the same ones; shape (E, M)."""
    levels, along = law.quadrature(2).points, law.zero_bias_quadrature(nodes)
    n, rng = learner.n_points, stream("drawn edges", 0)
    count = min(2 ** (n - 1), max(2, 96 // n))
    parts: list[Array] = []
    for i in range(n):
        chosen: NDArray[np.int64] = np.sort(rng.permutation(2 ** (n - 1))[:count])
        rest = levels[((chosen[:, None] >> np.arange(n - 1)) & 1)] if n > 1 else np.empty((1, 0))
        parts.append(_integrate_along(learner, seeds, rest, i, along.points, along.probabilities))
    return np.concatenate(parts)


def _require_derivatives(learner: Learner, laws: Sequence[ProductLaw]) -> None:
    """Raise TypeError unless the learner has derivatives and the laws are product laws."""
    require_learner(learner)
    if not isinstance(learner, DifferentiableLearner):
        raise TypeError(
            f"{type(learner).__name__} has no weight_jacobian, expected a learner with derivatives: the average derivative needs "
            "the exact derivative of respond"
        )
    wrong = [law for law in laws if not isinstance(law, ProductLaw) or isinstance(law, type)]
    if wrong or not laws:
        raise TypeError(f"laws is {shown(laws)}, expected one or more product laws (Bernoulli, TwoPoint, Gaussian, Poisson)")


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
