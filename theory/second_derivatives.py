"""Compute second derivatives of the response in the weights of two points, and their averages over a sampling law."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.answers import require_learner
from theory.datamodel import grid_rows
from theory.inputs import as_count, as_number, as_seeds, shown
from theory.laws import ProductLaw, TwoLevelLaw
from theory.memory import require_memory
from theory.response import (
    BLOCK,
    Array,
    DifferentiableLearner,
    as_weight_rows,
    weight_jacobian_column,
    weight_second_derivative,
)
from theory.streams import stream
from theory.transforms import product_probabilities

__all__ = ["SecondDifference", "average_second_derivative", "second_difference"]

Progress = Callable[[Iterable[int]], Iterable[int]]


def average_second_derivative(
    learner: DifferentiableLearner,
    law: ProductLaw,
    seeds: Sequence[int],
    nodes: int | None = None,
    *,
    tolerance: float = 1e-9,
    progress: Progress = iter,
) -> Array:
    """Compute the mixed second derivative averaged over a law, E[ d_i d_j F(w_1, .., w_i*, .., w_j*, .., w_N) ], (N, N, M).

    w_i* and w_j* follow the zero-bias law, and the other weights the law itself. For every F whose derivative d_i F is absolutely
    continuous in w_j, this is the pair coefficient of the optimal pair datamodel (T17): E[(w - m) g(w)] = s^2 E g'(w*), applied
    to w_i and to w_j, turns E[F (w_i - m) (w_j - m)] / s^4 into it. The diagonal is 0, since there are pairs of different points
    only. The rows sum to the derivative of beta in p: d beta_i^(p) / dp = sum_j of the result, for Bernoulli(p).

    Second derivatives are the learner's own where it has `weight_second_derivative` or `weight_hessian`, else differences of its
    first ones (`second_difference`). Both integrals use `nodes` Gauss nodes. With K points per coordinate the cost is about
    N^2/2 K^(N-2) nodes^2 derivatives. Without `nodes`, their number grows until the integrals over some drawn pairs have settled
    to `tolerance`, for laws with two levels. ArithmeticError says where they do not, or where differences do not converge.
    `progress` wraps the loop over pairs.
    Source: Goldstein & Reinert 1997 for the zero-bias law; the identity for datamodels is this project's.

    >>> from sims.learners import LeastSquares
    >>> from theory.laws import Bernoulli
    >>> learner = LeastSquares([[1.0], [1.0]], [1.0, 1.0], [[1.0]], l2=0.5)  # F(w) = s / (s + 1) with s = w_0 + w_1
    >>> average_second_derivative(learner, Bernoulli(0.5), [0], nodes=12)[0, 1].round(9).tolist()  # F(2) - 2 F(1) + F(0)
    [-0.333333333]
    """
    require_learner(learner)
    if not isinstance(learner, DifferentiableLearner):
        raise TypeError(f"{type(learner).__name__} has no weight_jacobian, expected a learner with derivatives")
    if not isinstance(law, ProductLaw) or isinstance(law, type):
        raise TypeError(f"law = {shown(law)}, expected a product law: Bernoulli, TwoPoint, Gaussian or Poisson")
    tolerance = as_number("tolerance", tolerance, "a number > 0 and < 1", above=0.0, below=1.0)
    average = _Average(learner, law, as_seeds(seeds))
    if nodes is not None:
        return average.over_all(as_count("nodes", nodes), progress)
    if not isinstance(law, TwoLevelLaw):
        raise ValueError(f"nodes is missing, expected a number of them for {law}: only laws with two levels find it themselves")
    return average.over_all(average.settled_nodes(tolerance), progress)


@dataclass(frozen=True)
class _Average:
    """The average of second derivatives of one learner under one law."""

    learner: DifferentiableLearner
    law: ProductLaw
    seeds: tuple[int, ...]

    def over_all(self, nodes: int, progress: Progress) -> Array:
        """Compute the average for every pair, (N, N, M)."""
        n, levels = self.learner.n_points, self.law.quadrature(nodes)
        count = len(levels.points) ** max(n - 2, 0)
        require_memory(16 * count, f"a grid of {count} weight vectors", "take fewer nodes or training points")
        probabilities = product_probabilities(np.tile(levels.probabilities, (n - 2, 1))) if n > 2 else np.ones(1)
        average = np.zeros((n, n, self.learner.n_outputs))
        step = max(1, BLOCK // len(self.law.zero_bias_quadrature(nodes).points) ** 2)
        pairs = list(combinations(range(n), 2))
        for k in progress(range(len(pairs))):
            i, j = pairs[k]
            total = np.zeros(self.learner.n_outputs)
            for start in range(0, count, step):
                stop = min(start + step, count)
                rest = grid_rows(levels.points, start, stop, n - 2) if n > 2 else np.empty((1, 0))
                total += probabilities[start:stop] @ self.over_two(rest, (i, j), nodes)
            average[i, j] = average[j, i] = total
        return average

    def settled_nodes(self, tolerance: float) -> int:
        """Return a number of nodes after which more of them change integrals over drawn pairs by at most the tolerance."""
        n, rng = self.learner.n_points, stream("drawn pairs", 0)
        if n < 2:
            return 1
        levels, pairs = self.law.quadrature(2).points, list(combinations(range(n), 2))
        chosen: NDArray[np.int64] = rng.permutation(len(pairs))[:_DRAWN_PAIRS]
        drawn = [pairs[int(k)] for k in chosen]
        rest = [levels[rng.integers(0, 2, (_DRAWN_OTHERS, n - 2))] for _ in drawn]
        before, change = np.empty(0), np.inf
        for fewer, nodes in pairwise((0, *_NODES)):
            now = np.concatenate([self.over_two(rows, pair, nodes) for rows, pair in zip(rest, drawn, strict=True)])
            if fewer:
                size = np.linalg.norm(now)
                change = float(np.linalg.norm(now - before) / size) if size else 0.0
                if change <= tolerance:
                    return nodes
            before = now
        raise ArithmeticError(
            f"the average second derivative still changes by {change:.1g} at {_NODES[-1]} nodes, expected {tolerance:g}: F may "
            "have kinks or jumps between subsets; pass nodes= for the value that this many nodes give"
        )

    def over_two(self, rest: Array, pair: tuple[int, int], nodes: int) -> Array:
        """Compute E[d_i d_j F] over w_i* and w_j*, for every row of the other weights `rest` (B, N - 2); shape (B, M)."""
        along = self.law.zero_bias_quadrature(nodes)
        k, (i, j) = len(along.points), pair
        rows = np.repeat(rest, k * k, axis=0)
        own = np.tile(np.repeat(along.points, k), len(rest)), np.tile(np.tile(along.points, k), len(rest))
        weights = np.insert(np.insert(rows, i, own[0], axis=1), j, own[1], axis=1)  # i < j
        values = np.concatenate(
            [self._second(weights[start : start + BLOCK], i, j) for start in range(0, len(weights), BLOCK)]
        ).reshape(len(rest), k * k, -1)
        joint = np.multiply.outer(along.probabilities, along.probabilities).ravel()
        return np.asarray(np.tensordot(joint, values, axes=(0, 1)), dtype=np.float64)

    def _second(self, weights: Array, i: int, j: int) -> Array:
        exact = weight_second_derivative(self.learner, weights, self.seeds, i, j)
        if exact is not None:
            return exact.mean(axis=1)
        found = second_difference(self.learner, weights, self.seeds, i, j)
        size, error = float(np.linalg.norm(found.derivative)), float(np.linalg.norm(found.error))
        first = weight_jacobian_column(self.learner, weights, self.seeds, i)
        if error > _CONVERGED * size and error > _ROUNDING * float(np.linalg.norm(first)):
            raise ArithmeticError(
                f"differences of the weight_jacobian of {type(self.learner).__name__} have an error of about {error:.1g}, where "
                f"second derivatives measure {size:.1g}: give the learner a method weight_second_derivative"
            )
        return found.derivative


@dataclass(frozen=True)
class SecondDifference:
    """A numerical second derivative with an estimate of its own error."""

    derivative: Array  # (B, M), d^2F / dw_point dw_other
    error: Array  # (B, M), the estimate of the absolute error


def second_difference(
    learner: DifferentiableLearner, weights: ArrayLike, seeds: Sequence[int], point: int, other: int
) -> SecondDifference:
    """Estimate d^2F / dw_point dw_other at weights (B, N) by extrapolated differences of the exact first derivative D_point.

    The differences have steps h, h/2, h/4, .. in w_other from h = 1/4, or less so that the weight stays positive. At weight 0
    they are one-sided. Richardson's extrapolation removes the errors of order h^2, h^4, .. (h, h^2, .. if one-sided). For every
    entry the extrapolated value is taken that differs least from its neighbours in the scheme, and this difference is its error
    (Ridders 1982).

    >>> from sims.learners import LeastSquares
    >>> learner = LeastSquares([[1.0]], [1.0], [[1.0]], l2=1.0)  # F(w) = w / (w + 1), d^2F/dw^2 = -2 / (w + 1)^3
    >>> second_difference(learner, [[1.0], [0.0]], [0], 0, 0).derivative.round(7).tolist()
    [[-0.25], [-2.0]]
    """
    rows, given = as_weight_rows(learner, weights), as_seeds(seeds)
    point, other = (_as_point(name, k, learner.n_points) for name, k in (("point", point), ("other", other)))
    inside = rows[:, other] > 0.0
    widest = np.where(inside, np.minimum(_WIDEST, 0.9 * rows[:, other]), _WIDEST)
    order = np.where(inside, 4.0, 2.0)[:, None]

    def slope(steps: Array) -> Array:
        moved = rows.copy()
        moved[:, other] += steps
        return weight_jacobian_column(learner, moved, given, point).mean(axis=1)

    best, error, before = np.empty(0), np.empty(0), list[Array]()
    for halvings in range(_HALVINGS):
        step = widest / 2.0**halvings
        now = [(slope(step) - slope(np.where(inside, -step, 0.0))) / np.where(inside, 2.0 * step, step)[:, None]]
        for k, coarser in enumerate(before, 1):
            now.append(now[-1] + (now[-1] - coarser) / (order**k - 1.0))
            doubt = np.maximum(np.abs(now[-1] - now[-2]), np.abs(now[-1] - coarser))
            if not error.size:
                best, error = now[-1], doubt
            best, error = np.where(doubt < error, now[-1], best), np.minimum(doubt, error)
        before = now
    return SecondDifference(best, error)


def _as_point(name: str, value: int, n_points: int) -> int:
    """Return the number of a training point; raise ValueError unless it is a whole number from 0 to N - 1."""
    point = as_count(name, value, f", a training point, 0 to {n_points - 1}", least=0)
    if point >= n_points:
        raise ValueError(f"{name} = {point}, expected a training point, 0 to {n_points - 1}")
    return point


_NODES = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48)
_DRAWN_PAIRS, _DRAWN_OTHERS = 6, 4
_WIDEST, _HALVINGS = 0.25, 8
_CONVERGED = 1e-6  # error of differences relative to the second derivatives
_ROUNDING = 1e-9  # the same relative to the first ones: the least step, 1/512, divides their rounding
