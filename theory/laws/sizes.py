"""Define laws that go by the size of a subset: semivalues (Shapley, Beta Shapley, leave-one-out), and subsets of one size.

A semivalue averages F(S + i) - F(S) over the sets S of other points, and the weight of S depends on its size alone (Dubey, Neyman
& Weber 1981). Since F(S + i) - F(S) is the integral of dF/dw_i as w_i goes from 0 to 1, every semivalue is an average of the same
derivative, along edges of the cube of weights (T13). Semivalues differ only in `size_probabilities`: in where they look.
"""

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.inputs import as_count, as_number, as_numbers, shown
from theory.laws.checks import draw_shape, keep
from theory.response import Array
from theory.subsets import check_n_points

__all__ = ["BetaShapley", "EdgeLaw", "FixedSize", "LeaveOneOut", "Semivalue", "Shapley", "binomial_sizes"]


@runtime_checkable
class EdgeLaw(Protocol):
    """An edge law says on which edges of the cube of weights the derivative in w_i is averaged, by the size of the rest."""

    @property
    def levels(self) -> tuple[float, float]:
        """Return the weight of an absent point and the weight of a present point: the two ends of an edge."""
        ...

    def size_probabilities(self, n_points: int) -> Array:
        """Return P_0..P_{N-1}: the probability that k of the other N - 1 points are present; all such sets are equally likely."""
        ...


@dataclass(frozen=True)
class Shapley:
    """The number of other points that are present is uniform on 0..N-1: the law of the Shapley value (Shapley 1953).

    It is the mixture of Bernoulli(p) with p ~ Uniform(0, 1): the derivative is averaged along the diagonal of the cube (Owen
    1972).

    >>> Shapley().size_probabilities(4).tolist()
    [0.25, 0.25, 0.25, 0.25]
    """

    @property
    def levels(self) -> tuple[float, float]:
        return (0.0, 1.0)

    def size_probabilities(self, n_points: int) -> Array:
        check_n_points(n_points)
        return np.full(n_points, 1.0 / n_points)


@dataclass(frozen=True)
class BetaShapley:
    """The number of other points that are present is beta-binomial: the law of Beta Shapley(a, b) (Kwon & Zou 2022).

    It is the mixture of Bernoulli(p) with p ~ Beta(b, a), so that a > b looks at small subsets, and a = b = 1 is Shapley. With
    the rising factorial x^(k) = x (x + 1) .. (x + k - 1),

        P_k = binom(N - 1, k) b^(k) a^(N - 1 - k) / (a + b)^(N - 1).

    >>> BetaShapley(4, 1).size_probabilities(3).round(12).tolist()  # 20/30, 8/30 and 2/30
    [0.666666666667, 0.266666666667, 0.066666666667]
    """

    a: float
    b: float

    def __post_init__(self) -> None:
        for name in ("a", "b"):
            expected = f"a finite number > 0 and <= {_MOST_SHAPE:g}"
            keep(self, **{name: as_number(name, getattr(self, name), expected, above=0.0, most=_MOST_SHAPE)})

    @property
    def levels(self) -> tuple[float, float]:
        return (0.0, 1.0)

    def size_probabilities(self, n_points: int) -> Array:
        check_n_points(n_points)
        a, b, others = self.a, self.b, n_points - 1
        drawn = [math.prod((b + j) / (a + b + j) for j in range(k)) for k in range(n_points)]  # the first k present ..
        rest = [math.prod((a + j) / (a + b + k + j) for j in range(others - k)) for k in range(n_points)]  # .. the others not
        return np.array([math.comb(others, k) * drawn[k] * rest[k] for k in range(n_points)])


@dataclass(frozen=True)
class LeaveOneOut:
    """All other points are present: the law of leave-one-out, F(1) - F(1 - e_i) (Cook 1977).

    It is the limit of Bernoulli(p) for p -> 1: the derivative is averaged along the edge from 1 - e_i to 1.

    >>> LeaveOneOut().size_probabilities(3).tolist()
    [0.0, 0.0, 1.0]
    """

    @property
    def levels(self) -> tuple[float, float]:
        return (0.0, 1.0)

    def size_probabilities(self, n_points: int) -> Array:
        found = np.zeros(as_count("n_points", n_points))
        found[-1] = 1.0
        return found


@dataclass(frozen=True, repr=False)
class Semivalue:
    """Any semivalue: k of the N - 1 other points are present with the given probability P_k, k = 0..N-1.

    Every mixture of Bernoulli(p) laws is one: P_k is the mean of binom(N - 1, k) p^k (1 - p)^(N - 1 - k) over p (Dubey, Neyman &
    Weber 1981).

    >>> Semivalue([0.25, 0.5, 0.25])  # the Banzhaf value of three points
    Semivalue(size_probabilities=(0.25, 0.5, 0.25))
    """

    probabilities: tuple[float, ...]

    def __init__(self, size_probabilities: ArrayLike) -> None:
        found = as_numbers("size_probabilities", size_probabilities, "P_0..P_{N-1}, one per size 0..N-1")
        if found.ndim != 1 or not len(found):
            raise ValueError(f"size_probabilities has shape {found.shape}, expected (N,): P_0..P_{{N-1}}, one per size 0..N-1")
        if not (found >= 0.0).all() or not math.isclose(found.sum(), 1.0, rel_tol=1e-12):
            raise ValueError(
                f"size_probabilities sum to {found.sum():.15g} with least entry {found.min():g}, expected non-negative numbers "
                "with sum 1: divide them by their sum"
            )
        object.__setattr__(self, "probabilities", tuple(found.tolist()))

    def __repr__(self) -> str:
        return f"Semivalue(size_probabilities={self.probabilities})"

    @property
    def levels(self) -> tuple[float, float]:
        return (0.0, 1.0)

    def size_probabilities(self, n_points: int) -> Array:
        if n_points != len(self.probabilities):
            raise ValueError(
                f"size_probabilities has shape ({len(self.probabilities)},), expected ({n_points},): one per size 0..N-1 of "
                "the set of other points"
            )
        return np.array(self.probabilities)


@dataclass(frozen=True)
class FixedSize:
    """Every subset of exactly k points is equally likely (Ilyas et al. 2022). It is no product law, as sum_i w_i = k.

    >>> FixedSize(2).draw(n_subsets=3, n_points=5, rng=np.random.default_rng(0)).sum(axis=1)
    array([2., 2., 2.])
    """

    k: int

    def __post_init__(self) -> None:
        if isinstance(self.k, bool) or not isinstance(self.k, (int, np.integer)) or self.k < 1:
            raise ValueError(
                f"k = {shown(self.k)}, expected an integer with 1 <= k <= N - 1, the number of points in every subset"
            )

    def check(self, n_points: int) -> None:
        """Raise ValueError if k >= N, where at most one subset has k points."""
        if not self.k <= n_points - 1:
            raise ValueError(f"k = {self.k} with N = {n_points} points, expected 1 <= k <= N - 1 = {n_points - 1}")

    def edge_weights(self, points: NDArray[np.int64], subsets: Array) -> Array:
        """Return the weight of E edges in the coefficient of each point, shape (N, E).

        Edge e moves the weight of `points[e]` from 0 to 1, with the set T of `subsets[e]` (N,) present. Only differences of
        coefficients are identified (T7); those with sum 0 are

            beta_i = (N - 1)/N ( mean_T int D_i(1_T + t e_i) dt - mean_{j, T} int D_j(1_T + t e_j) dt ),

        where T has k - 1 points, without i in the first mean; in the second j != i, and T contains neither i nor j. Proof: for
        i != j, beta_i - beta_j = mean of F(T + i) - F(T + j) over T without i and j.
        """
        n = subsets.shape[1]
        self.check(n)
        own = np.eye(n)[:, points]
        absent: Array = (1.0 - subsets.T) * (1.0 - own)
        share: Array = (subsets.sum(axis=1) == self.k - 1) / math.comb(n - 1, self.k - 1)
        return (n - 1) / n * share * (own - absent / (n - self.k))

    def draw(self, *, n_subsets: int, n_points: int, rng: np.random.Generator) -> Array:
        self.check(n_points)
        order = rng.random(draw_shape(n_subsets, n_points, rng)).argsort(axis=1)
        return (order < self.k).astype(np.float64)


def binomial_sizes(p: float, n_points: int) -> Array:
    """Return P_k = binom(N - 1, k) p^k (1 - p)^(N - 1 - k), k = 0..N-1: the sizes of Bernoulli(p) subsets of the other points.

    >>> binomial_sizes(0.5, 3).tolist()
    [0.25, 0.5, 0.25]
    """
    check_n_points(n_points)
    sizes = range(n_points)
    return np.array([math.comb(n_points - 1, k) * p**k * (1.0 - p) ** (n_points - 1 - k) for k in sizes])


_MOST_SHAPE = 1e300
"""Largest a and b of Beta Shapley, so that a + b does not overflow."""
