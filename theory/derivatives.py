"""Compute derivatives of the response in the weights: averages over a sampling law, and finite differences."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from theory.answers import require_learner
from theory.datamodel import grid_rows
from theory.inputs import as_count, as_number, as_numbers, as_seeds, shown
from theory.laws import EdgeLaw, FixedSize, ProductLaw, Quadrature
from theory.laws.product import uniform_quadrature
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
from theory.subsets import mask_rows
from theory.transforms import product_probabilities

__all__ = [
    "FiniteDifference",
    "SettledAverage",
    "average_derivative",
    "average_derivatives",
    "finite_difference",
    "levels_of",
    "settled_average_derivatives",
]

Progress = Callable[[Iterable[int]], Iterable[int]]


def average_derivative(
    learner: DifferentiableLearner, law: ProductLaw | EdgeLaw | FixedSize, seeds: Sequence[int], nodes: int | None = None
) -> Array:
    """Compute the derivative averaged over a law, E[ D_i(w_1, .., w_i*, .., w_N) ], shape (N, M).

    Product laws (T2): w_i* follows the zero-bias law, and the other weights follow the law itself. The average equals the
    optimal datamodel coefficient beta_i(law) for every F that is absolutely continuous in w_i, because beta_i = Cov(F, w_i)/s^2
    and E[(w - m) g(w)] = s^2 E g'(w*). For Bernoulli(p) it is int_0^1 E_{S not i} D_i(1_S with w_i = t) dt: the derivative is
    averaged over the training sets of the datamodel, and is not taken at w = 1.

    Semivalues (T13): w_i* is Uniform(0, 1), and the set of other points has the law's size. The average equals
    `theory.values.semivalue(table, law)`: Shapley, Beta Shapley and leave-one-out are averages of the same derivative.

    FixedSize(k): beta_i of the optimal datamodel is determined up to a constant (T7). The one with sum_i beta_i = 0 is an average
    of D_i minus an average of the other D_j: see `FixedSize.edge_weights`.

    The integral over w_i* uses `nodes` Gauss nodes; where F is analytic, its error falls geometrically in `nodes`. The other
    coordinates are enumerated (two-level laws and semivalues) or lie on the tensor grid of `law.quadrature(nodes)`. With K points
    per coordinate, the cost is about N * K^(N-1) * nodes weight Jacobians, less where a law leaves out sizes: N * nodes for
    leave-one-out. Without `nodes`, their number grows until the result has settled to 1e-7 (`settled_average_derivatives`, for
    laws with two levels); ArithmeticError says where it does not, and why.
    Source: Goldstein & Reinert 1997 for the zero-bias law; the identity for datamodels is this project's.

    >>> from sims.learners import LeastSquares
    >>> from theory.laws import Bernoulli, LeaveOneOut
    >>> learner = LeastSquares([[1.0]], [1.0], [[1.0]], l2=1.0)  # F(w) = w / (w + 1)
    >>> average_derivative(learner, Bernoulli(0.5), [0], nodes=8).round(9).tolist()  # beta = F(1) - F(0), while D(1) = 1/4
    [[0.5]]
    >>> two = LeastSquares([[1.0], [1.0]], [1.0, 1.0], [[1.0]], l2=1.0)  # F(w) = (w_0 + w_1) / (w_0 + w_1 + 2)
    >>> average_derivative(two, LeaveOneOut(), [0], nodes=8).round(9).tolist()  # 1/2 - 1/3
    [[0.166666667], [0.166666667]]
    """
    if nodes is not None:
        return average_derivatives(learner, (law,), seeds, nodes)[0]
    _require_derivatives(learner, (law,))
    if not isinstance(law, EdgeLaw | FixedSize):
        raise ValueError(f"nodes is missing, expected a number of them for {law}: only laws with two levels find it themselves")
    settled = settled_average_derivatives(learner, (law,), seeds)
    if settled.average is None:
        raise ArithmeticError(f"{settled.reason}; theory.edges.decompose_edges finds jumps, and takes edges apart")
    return settled.average[0]


def average_derivatives(
    learner: DifferentiableLearner,
    laws: Sequence[ProductLaw | EdgeLaw | FixedSize],
    seeds: Sequence[int],
    nodes: int,
    *,
    progress: Progress = iter,
) -> Array:
    """Compute `average_derivative` for L laws that share their quadrature points, shape (L, N, M).

    Bernoulli(p) for many p, semivalues and FixedSize are such laws. Each derivative is evaluated once and weighted once per law.
    `progress` wraps the loop over training points.

    >>> from sims.learners import LeastSquares
    >>> from theory.laws import Bernoulli
    >>> learner = LeastSquares([[1.0]], [1.0], [[1.0]], l2=1.0)  # F(w) = w / (w + 1)
    >>> average_derivatives(learner, [Bernoulli(0.5), Bernoulli(0.9)], [0], nodes=8).round(9).tolist()  # no other points
    [[[0.5]], [[0.5]]]
    """
    _require_derivatives(learner, laws)
    seeds, nodes = as_seeds(seeds), as_count("nodes", nodes)
    n = learner.n_points
    grid = _grid(laws, n, nodes)
    step = max(1, BLOCK // len(grid.along.points))
    average = np.zeros((len(laws), n, learner.n_outputs))
    for i in progress(range(n)):
        for start in range(0, grid.n_rows, step):
            rows = slice(start, min(start + step, grid.n_rows))
            rest = grid.rest(rows)
            slope = _integrate_along(learner, seeds, rest, i, grid.along)
            for k, law in enumerate(laws):
                if isinstance(law, FixedSize):
                    average[k] += law.edge_weights(np.full(len(rest), i), np.insert(rest, i, 0.0, axis=1)) @ slope
                else:
                    average[k, i] += grid.probabilities[k, rows] @ slope
    return average


@dataclass(frozen=True)
class _Grid:
    """The weights of the other N - 1 points, row by row, with their probabilities (L, rows), and the rule along w_i*."""

    n_rows: int
    rest: Callable[[slice], Array]  # rows -> (B, N - 1)
    probabilities: Array
    along: Quadrature


def _grid(laws: Sequence[ProductLaw | EdgeLaw | FixedSize], n: int, nodes: int) -> _Grid:
    """Return the grid that all laws share; raise ValueError if they do not share one."""
    edges = [law for law in laws if isinstance(law, EdgeLaw | FixedSize)]
    if len(edges) == len(laws):
        return _edge_grid(edges, n, nodes)
    products = [law for law in laws if isinstance(law, ProductLaw)]
    rules = [(law.quadrature(nodes), law.zero_bias_quadrature(nodes)) for law in products]
    (others, along), first = rules[0], products[0]
    for law, (quadrature, zero_bias) in zip(products, rules, strict=True):
        if not np.array_equal(quadrature.points, others.points) or not all(map(np.array_equal, zero_bias, along)):
            raise ValueError(f"{law} and {first} do not share their points and zero-bias law: average them one by one")
    if len(products) < len(laws):
        raise ValueError(f"{first} and {laws[-1]} do not share their points: average them one by one")
    k, n_laws = len(others.points), len(laws)
    require_memory(
        8 * (n_laws + 1) * k ** (n - 1), f"a grid of {k}**{n - 1} weight vectors", "take fewer nodes or training points"
    )
    probabilities = [product_probabilities(np.tile(quadrature.probabilities, (n - 1, 1))) for quadrature, _ in rules]
    return _Grid(
        k ** (n - 1), lambda rows: grid_rows(others.points, rows.start, rows.stop, n - 1), np.stack(probabilities), along
    )


def _edge_grid(laws: Sequence[EdgeLaw | FixedSize], n: int, nodes: int) -> _Grid:
    """Return the sets of other points that at least one of the laws counts, in mask order, and the uniform law along an edge."""
    (low, high), by_size = levels_of(laws), np.stack([_size_probabilities(law, n) for law in laws])
    used = np.flatnonzero(by_size.any(axis=0)).tolist()
    count = sum(math.comb(n - 1, k) for k in used)
    require_memory(8 * (n + 2 * len(laws) + 2) * count, f"{count} sets of other points", "take fewer training points")
    if len(used) == n:
        bits = mask_rows(0, 2 ** (n - 1), n - 1) if n > 1 else np.empty((1, 0))
    else:
        bits = np.array(
            [np.isin(np.arange(n - 1), chosen) for k in used for chosen in combinations(range(n - 1), k)], dtype=float
        )
    per_set = by_size / np.array([math.comb(n - 1, k) if k in used else 1 for k in range(n)], dtype=np.float64)
    sizes = bits.sum(axis=1).astype(np.int64)
    return _Grid(count, lambda rows: low + (high - low) * bits[rows], per_set[:, sizes], uniform_quadrature(low, high, nodes))


def levels_of(laws: Sequence[EdgeLaw | FixedSize]) -> tuple[float, float]:
    """Return the two levels of all laws; raise TypeError for a law without levels, and ValueError if they differ."""
    wrong = [law for law in laws if not isinstance(law, EdgeLaw | FixedSize) or isinstance(law, type)]
    if wrong or not laws:
        raise TypeError(_unknown(wrong, "Bernoulli(p), TwoPoint(scale), FixedSize(k), " + _BY_SIZE))
    of_law = [(0.0, 1.0) if isinstance(law, FixedSize) else law.levels for law in laws]
    for law, levels in zip(laws, of_law, strict=True):
        if levels != of_law[0]:
            raise ValueError(f"{law} and {laws[0]} do not share their points and zero-bias law: average them one by one")
    return of_law[0]


def _size_probabilities(law: EdgeLaw | FixedSize, n: int) -> Array:
    """Return the probabilities (N,) of the number of other points; FixedSize(k) has k - 1 of them."""
    if not isinstance(law, FixedSize):
        return law.size_probabilities(n)
    law.check(n)
    return np.eye(n)[law.k - 1]


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
    laws: Sequence[EdgeLaw | FixedSize],
    seeds: Sequence[int],
    *,
    tolerance: float = 1e-7,
    most_derivatives: int = 2**24,
    progress: Progress = iter,
) -> SettledAverage:
    """Compute `average_derivatives` with the fewest nodes after which more nodes would change it by no more than `tolerance`.

    The number of nodes is found on at most 96 edges, drawn at random: it grows by a half until the integrals along these edges
    change by less than the tolerance. One pass over all edges follows. It does not converge where F jumps inside an edge (see
    `theory.edges`), and is not begun where it would take more than `most_derivatives` derivatives: the number of edges that the
    laws count times that of nodes. The laws need two levels, since others have no edges.

    >>> from sims.learners import LeastSquares
    >>> from theory.laws import Bernoulli
    >>> learner = LeastSquares([[1.0]], [1.0], [[1.0]], l2=1.0)  # F(w) = w / (w + 1)
    >>> settled = settled_average_derivatives(learner, [Bernoulli(0.5)], [0])
    >>> settled.nodes, settled.average.round(7).tolist(), settled.reason
    (6, [[[0.5]]], '')
    """
    tolerance = as_number("tolerance", tolerance, "a number > 0 and < 1", above=0.0, below=1.0)
    most, seeds = as_count("most_derivatives", most_derivatives), as_seeds(seeds)
    _require_derivatives(learner, laws)
    levels_of(laws)
    n = learner.n_points
    sizes = np.flatnonzero(np.any([_size_probabilities(law, n) for law in laws], axis=0)).tolist()
    edges = n * sum(math.comb(n - 1, k) for k in sizes)
    change, nodes, before = np.inf, 0, None
    for more in _NODES:
        if edges * max(more, 1) > most * 3 // 2:
            reason = f"{edges} edges of {n} points, with {more} nodes on each, are more than {most} derivatives"
            break
        integrals = _on_drawn_edges(learner, laws, seeds, more)
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


def _on_drawn_edges(
    learner: DifferentiableLearner, laws: Sequence[EdgeLaw | FixedSize], seeds: tuple[int, ...], nodes: int
) -> Array:
    """Compute E[D_i] along at most 96 edges, spread evenly over the points, and always the same ones; shape (E, M)."""
    n, rng, grid = learner.n_points, stream("drawn edges", 0), _edge_grid(laws, learner.n_points, nodes)
    count = min(grid.n_rows, max(2, 96 // n))
    parts: list[Array] = []
    for i in range(n):
        chosen: NDArray[np.int64] = np.sort(rng.permutation(grid.n_rows)[:count])
        rest = np.concatenate([grid.rest(slice(row, row + 1)) for row in chosen.tolist()])
        parts.append(_integrate_along(learner, seeds, rest, i, grid.along))
    return np.concatenate(parts)


def _require_derivatives(learner: Learner, laws: Sequence[ProductLaw | EdgeLaw | FixedSize]) -> None:
    """Raise TypeError unless the learner has derivatives, and every law says where to average them."""
    require_learner(learner)
    if not isinstance(learner, DifferentiableLearner):
        raise TypeError(
            f"{type(learner).__name__} has no weight_jacobian, expected a learner with derivatives: the average derivative needs "
            "the exact derivative of respond"
        )
    wrong = [law for law in laws if not isinstance(law, ProductLaw | EdgeLaw | FixedSize) or isinstance(law, type)]
    if wrong or not laws:
        every = "Bernoulli(p), TwoPoint(scale), Gaussian(sigma), Poisson(), FixedSize(k), " + _BY_SIZE
        raise TypeError(_unknown(wrong, every))


_BY_SIZE = "Shapley(), BetaShapley(a, b), LeaveOneOut() or Semivalue(size_probabilities)"


def _unknown(wrong: Sequence[object], expected: str) -> str:
    """Return the message for laws that are none, or for no law at all."""
    return f"{f'law = {shown(wrong[0])}' if wrong else 'laws is empty'}, expected one or more laws: {expected}"


def _integrate_along(learner: DifferentiableLearner, seeds: Sequence[int], rest: Array, i: int, along: Quadrature) -> Array:
    """Compute E[D_i] over w_i, which follows the rule `along`, for every row of `rest`; shape (B, M).

    `rest` (B, N-1) holds the weights of the other points.
    """
    points, probabilities = along
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
