"""Define the product laws, by which training weights are drawn independently, and their zero-bias laws.

The zero-bias law of a weight w with mean m and variance s^2 is the law of w* for which

    E[(w - m) g(w)] = s^2 E[g'(w*)]        for every absolutely continuous g

(Goldstein & Reinert 1997, eq. 1.2; theirs is centred at 0). Its density is k(t) = E[(w - m) 1{w > t}] / s^2. Averaged under
this law, the derivative of F is the optimal datamodel coefficient: see `theory.derivatives.average_derivative`.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import scipy

from theory.inputs import as_count, as_number
from theory.laws.checks import draw_shape, keep
from theory.laws.sizes import EdgeLaw, binomial_sizes
from theory.response import Array

__all__ = ["Bernoulli", "Gaussian", "Poisson", "ProductLaw", "Quadrature", "TwoLevelLaw", "TwoPoint", "uniform_quadrature"]


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
class TwoLevelLaw(ProductLaw, EdgeLaw, Protocol):
    """A two-level law gives each weight one of two values: a table over subsets (bit 1 = upper value) is its whole support."""


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
        keep(self, p=as_number("p", self.p, f"0 < p < 1: {why}", above=0.0, below=1.0))

    @property
    def mean(self) -> float:
        return self.p

    @property
    def variance(self) -> float:
        return self.p * (1.0 - self.p)

    @property
    def levels(self) -> tuple[float, float]:
        return (0.0, 1.0)

    def size_probabilities(self, n_points: int) -> Array:
        return binomial_sizes(self.p, n_points)

    def quadrature(self, nodes: int) -> Quadrature:
        return Quadrature(np.array(self.levels), np.array([1.0 - self.p, self.p]))

    def zero_bias_quadrature(self, nodes: int) -> Quadrature:
        return uniform_quadrature(*self.levels, nodes)

    def draw(self, *, n_subsets: int, n_points: int, rng: np.random.Generator) -> Array:
        return (rng.random(draw_shape(n_subsets, n_points, rng)) < self.p).astype(np.float64)


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
        keep(self, scale=as_number("scale", self.scale, expected, above=0.0, most=1.0))

    @property
    def mean(self) -> float:
        return 1.0

    @property
    def variance(self) -> float:
        return self.scale**2

    @property
    def levels(self) -> tuple[float, float]:
        return (1.0 - self.scale, 1.0 + self.scale)

    def size_probabilities(self, n_points: int) -> Array:
        return binomial_sizes(0.5, n_points)

    def quadrature(self, nodes: int) -> Quadrature:
        return Quadrature(np.array(self.levels), np.array([0.5, 0.5]))

    def zero_bias_quadrature(self, nodes: int) -> Quadrature:
        return uniform_quadrature(*self.levels, nodes)

    def draw(self, *, n_subsets: int, n_points: int, rng: np.random.Generator) -> Array:
        return np.where(rng.random(draw_shape(n_subsets, n_points, rng)) < 0.5, *self.levels)


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
        keep(self, sigma=as_number("sigma", self.sigma, "a finite number > 0", above=0.0))

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
        return 1.0 + self.sigma * rng.standard_normal(draw_shape(n_subsets, n_points, rng))


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
        count, step = self.quadrature(nodes), uniform_quadrature(0.0, 1.0, nodes)
        points = np.add.outer(count.points, step.points).ravel()
        return Quadrature(points, np.multiply.outer(count.probabilities, step.probabilities).ravel())

    def draw(self, *, n_subsets: int, n_points: int, rng: np.random.Generator) -> Array:
        return rng.poisson(1.0, draw_shape(n_subsets, n_points, rng)).astype(np.float64)


def _nodes(nodes: int) -> int:
    """Return a number of Gauss nodes; raise ValueError unless it is a whole number from 1 to 4096."""
    if as_count("nodes", nodes) > MOST_NODES:
        raise ValueError(f"nodes = {nodes}, expected at most {MOST_NODES}: take fewer")
    return int(nodes)


def uniform_quadrature(low: float, high: float, nodes: int) -> Quadrature:
    """Return the Gauss-Legendre rule for the uniform law on [low, high]."""
    nodes = _nodes(nodes)
    x, weights = scipy.special.roots_legendre(nodes)
    return Quadrature(low + (high - low) * 0.5 * (x + 1.0), weights / weights.sum())


MOST_NODES = 4096
