"""Define the laws by which training weights are drawn, and their zero-bias laws.

The zero-bias law of a weight w with mean m and variance s^2 is the law of w* for which

    E[(w - m) g(w)] = s^2 E[g'(w*)]        for every absolutely continuous g

(Goldstein & Reinert 1997, eq. 1.2; theirs is centred at 0). Its density is k(t) = E[(w - m) 1{w > t}] / s^2. Averaged under
this law, the derivative of F is the optimal datamodel coefficient: see `theory.derivatives.average_derivative`.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import scipy

from theory.inputs import as_count, as_number, shown
from theory.memory import require_memory
from theory.response import Array

__all__ = ["Bernoulli", "FixedSize", "Gaussian", "Poisson", "ProductLaw", "Quadrature", "TwoLevelLaw", "TwoPoint"]


class Quadrature(NamedTuple):
    """A quadrature rule approximates E g(w) by sum_k probabilities[k] g(points[k]); the probabilities sum to 1."""

    points: Array  # (K,)
    probabilities: Array  # (K,)


@runtime_checkable
class ProductLaw(Protocol):
    """A product law draws the weights independently, each from the same law."""

    @property
    def mean(self) -> float:
        """Return m = E w_i."""
        ...

    @property
    def variance(self) -> float:
        """Return s^2 = Var w_i > 0."""
        ...

    def quadrature(self, nodes: int) -> Quadrature:
        """Return a rule for E g(w_i): the support itself where it has two points, else `nodes` Gauss nodes."""
        ...

    def zero_bias_quadrature(self, nodes: int) -> Quadrature:
        """Return a Gauss rule for E g(w_i*), where w_i* has the zero-bias law."""
        ...

    def draw(self, *, n_subsets: int, n_points: int, rng: np.random.Generator) -> Array:
        """Draw independent weight vectors, shape (n_subsets, n_points)."""
        ...


@runtime_checkable
class TwoLevelLaw(ProductLaw, Protocol):
    """A two-level law gives each weight one of two values: a table over subsets (bit 1 = upper value) is its whole support."""

    @property
    def levels(self) -> tuple[float, float]:
        """Return the weight of an absent point and the weight of a present point."""
        ...


@dataclass(frozen=True)
class Bernoulli:
    """Each point is in the training set (w_i = 1) with probability p, else left out (w_i = 0). w_i* is Uniform(0, 1).

    >>> law = Bernoulli(0.25)
    >>> law.mean, law.variance, law.levels
    (0.25, 0.1875, (0.0, 1.0))
    >>> law.draw(n_subsets=3, n_points=4, rng=np.random.default_rng(0)).shape
    (3, 4)
    """

    p: float = 0.5

    def __post_init__(self) -> None:
        why = "at p = 0 or 1 only one training set is possible, and no coefficient is identified; use values.leave_one_out"
        _keep(self, p=as_number("p", self.p, f"0 < p < 1: {why}", above=0.0, below=1.0))

    @property
    def mean(self) -> float:
        return self.p

    @property
    def variance(self) -> float:
        return self.p * (1.0 - self.p)

    @property
    def levels(self) -> tuple[float, float]:
        return (0.0, 1.0)

    def quadrature(self, nodes: int) -> Quadrature:
        return Quadrature(np.array(self.levels), np.array([1.0 - self.p, self.p]))

    def zero_bias_quadrature(self, nodes: int) -> Quadrature:
        return _uniform(*self.levels, nodes)

    def draw(self, *, n_subsets: int, n_points: int, rng: np.random.Generator) -> Array:
        return (rng.random(_sizes(n_subsets, n_points, rng)) < self.p).astype(np.float64)


@dataclass(frozen=True)
class TwoPoint:
    """Each weight is 1 - scale or 1 + scale with equal probability. w_i* is uniform between them.

    >>> law = TwoPoint(0.5)
    >>> law.mean, law.variance, law.levels
    (1.0, 0.25, (0.5, 1.5))
    """

    scale: float

    def __post_init__(self) -> None:
        expected = "0 < scale <= 1: the weight 1 - scale must not be negative"
        _keep(self, scale=as_number("scale", self.scale, expected, above=0.0, most=1.0))

    @property
    def mean(self) -> float:
        return 1.0

    @property
    def variance(self) -> float:
        return self.scale**2

    @property
    def levels(self) -> tuple[float, float]:
        return (1.0 - self.scale, 1.0 + self.scale)

    def quadrature(self, nodes: int) -> Quadrature:
        return Quadrature(np.array(self.levels), np.array([0.5, 0.5]))

    def zero_bias_quadrature(self, nodes: int) -> Quadrature:
        return _uniform(*self.levels, nodes)

    def draw(self, *, n_subsets: int, n_points: int, rng: np.random.Generator) -> Array:
        return np.where(rng.random(_sizes(n_subsets, n_points, rng)) < 0.5, *self.levels)


@dataclass(frozen=True)
class Gaussian:
    """Each weight is w_i = 1 + sigma z_i, where z_i is standard normal. w_i* has the same law (Stein 1972).

    A weight is negative with probability Phi(-1/sigma), and learners reject negative weights: keep sigma well below 1/6.

    >>> rule = Gaussian(0.1).zero_bias_quadrature(8)
    >>> float((rule.points**2 @ rule.probabilities).round(12))  # E w*^2 = 1 + sigma^2
    1.01
    """

    sigma: float

    def __post_init__(self) -> None:
        _keep(self, sigma=as_number("sigma", self.sigma, "a finite number > 0", above=0.0))

    @property
    def mean(self) -> float:
        return 1.0

    @property
    def variance(self) -> float:
        return self.sigma**2

    def quadrature(self, nodes: int) -> Quadrature:
        nodes = _nodes(nodes)
        z, weights = scipy.special.roots_hermitenorm(nodes)
        points = 1.0 + self.sigma * z
        if points.min() < 0.0:
            raise ValueError(
                f"Gaussian(sigma={self.sigma}) with {nodes} nodes has a node at {points.min():.3g}, expected a training weight "
                ">= 0: use fewer nodes or a smaller sigma"
            )
        return Quadrature(points, weights / weights.sum())

    def zero_bias_quadrature(self, nodes: int) -> Quadrature:
        return self.quadrature(nodes)

    def draw(self, *, n_subsets: int, n_points: int, rng: np.random.Generator) -> Array:
        return 1.0 + self.sigma * rng.standard_normal(_sizes(n_subsets, n_points, rng))


@dataclass(frozen=True)
class Poisson:
    """Each weight is Poisson(1), the number of times that a bootstrap sample of large N contains the point.

    w_i* = w_i + Uniform(0, 1), where the two terms are independent.

    Proof: for t in [j, j+1), E[(w - 1) 1{w > t}] = e^-1 sum_{k > j} (1/(k-1)! - 1/k!) = e^-1 / j! = P(w = j), and s^2 = 1.

    >>> rule = Poisson().zero_bias_quadrature(8)
    >>> float((rule.points @ rule.probabilities).round(12))  # E w* = E w + 1/2
    1.5
    """

    @property
    def mean(self) -> float:
        return 1.0

    @property
    def variance(self) -> float:
        return 1.0

    def quadrature(self, nodes: int) -> Quadrature:
        """Return the Gauss-Charlier rule (Golub & Welsch 1969), from the recurrence a_k = k + 1, b_k = k (DLMF 18.22)."""
        nodes = _nodes(nodes)
        k = np.arange(nodes, dtype=np.float64)
        points, vectors = scipy.linalg.eigh_tridiagonal(k + 1.0, np.sqrt(k[1:]))
        return Quadrature(np.asarray(points, dtype=np.float64).clip(0.0), np.asarray(vectors, dtype=np.float64)[0] ** 2)

    def zero_bias_quadrature(self, nodes: int) -> Quadrature:
        count, step = self.quadrature(nodes), _uniform(0.0, 1.0, nodes)
        points = np.add.outer(count.points, step.points).ravel()
        return Quadrature(points, np.multiply.outer(count.probabilities, step.probabilities).ravel())

    def draw(self, *, n_subsets: int, n_points: int, rng: np.random.Generator) -> Array:
        return rng.poisson(1.0, _sizes(n_subsets, n_points, rng)).astype(np.float64)


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

    def draw(self, *, n_subsets: int, n_points: int, rng: np.random.Generator) -> Array:
        self.check(n_points)
        order = rng.random(_sizes(n_subsets, n_points, rng)).argsort(axis=1)
        return (order < self.k).astype(np.float64)


def _keep(law: object, **values: float) -> None:
    """Set checked fields of a frozen law."""
    for name, value in values.items():
        object.__setattr__(law, name, value)


def _sizes(n_subsets: int, n_points: int, rng: np.random.Generator) -> tuple[int, int]:
    """Return the shape of a draw; raise ValueError unless both sizes are whole numbers >= 1, and rng is a generator."""
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng is a {type(rng).__name__}, expected a generator: np.random.default_rng(seed)")
    rows, columns = as_count("n_subsets", n_subsets), as_count("n_points", n_points)
    require_memory(16 * rows * columns, f"a draw of n_subsets = {rows} of n_points = {columns}", "take fewer subsets")
    return rows, columns


def _nodes(nodes: int) -> int:
    """Return a number of Gauss nodes; raise ValueError unless it is a whole number from 1 to 4096."""
    if as_count("nodes", nodes) > MOST_NODES:
        raise ValueError(f"nodes = {nodes}, expected at most {MOST_NODES}: take fewer")
    return int(nodes)


def _uniform(low: float, high: float, nodes: int) -> Quadrature:
    """Return the Gauss-Legendre rule for the uniform law on [low, high]."""
    nodes = _nodes(nodes)
    x, weights = scipy.special.roots_legendre(nodes)
    return Quadrature(low + (high - low) * 0.5 * (x + 1.0), weights / weights.sum())


MOST_NODES = 4096
