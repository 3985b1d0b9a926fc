"""Minimum-norm least squares on random features: interpolation once there are as many features as points (T11)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from sims.learners.least_squares import LeastSquares
from sims.learners.shared import checks
from sims.learners.shared.representation import short_repr
from theory.response import Array, Linearization, stacked
from theory.streams import stream

__all__ = ["Interpolator"]


@dataclass(frozen=True, eq=False)
class Interpolator:
    """`LeastSquares(phi(X), y, phi(X_query), l2, undefined="min_norm")` on phi(x) = sqrt(2/width) cos(omega x / bandwidth + b).

    omega (width, d) is standard normal, b uniform on (0, 2 pi), by seed (random Fourier features: Rahimi & Recht 2007). With
    width >= N and l2 = 0 every point of positive weight is fitted exactly: theta(w) depends on which weights are positive only,
    D(1) = 0 while beta and leave-one-out are not 0; and averaging over seeds does not change that. Rounding leaves |D_i(1)| below
    (N + width) eps cond(phi(X)) ||y|| ||phi(X)^+T phi(x_q)||: about 1e-14 at condition 1e2, 1e-12 at 1e3.

    >>> learner = Interpolator([[0.0], [1.0]], [1.0, 2.0], [[1.0]], width=8)
    >>> learner.respond([[1.0, 1.0], [5.0, 0.1]], seeds=[0]).ravel().round(9).tolist()  # fitted, whatever the weights
    [2.0, 2.0]
    >>> bool((abs(learner.weight_jacobian([[1.0, 1.0]], seeds=[0])) < 1e-12).all())  # D(1) = 0
    True
    """

    X: Array = field(repr=False)
    y: Array = field(repr=False)
    X_query: Array = field(repr=False)
    width: int = 32
    l2: float = 0.0
    bandwidth: float = 1.0

    block_rows = 64

    __repr__ = short_repr

    def __post_init__(self) -> None:
        X = checks.as_design(self.X)
        checks.store(self, X=X, y=checks.as_targets(self.y, len(X)), X_query=checks.as_queries(self.X_query, X.shape[1]))
        checks.store(self, width=checks.as_count("width", self.width), l2=checks.as_penalty(self.l2))
        checks.store(self, bandwidth=checks.as_positive("bandwidth", self.bandwidth))

    @property
    def n_points(self) -> int:
        return len(self.X)

    @property
    def n_outputs(self) -> int:
        return len(self.X_query)

    def respond(self, weights: ArrayLike, seeds: Sequence[int]) -> Array:
        """Predictions (B, R, M)."""
        return np.concatenate([self._model(seed).respond(weights, (seed,)) for seed in checks.as_seeds(seeds)], axis=1)

    def weight_jacobian(self, weights: ArrayLike, seeds: Sequence[int]) -> Array:
        """d prediction / d w (B, R, M, N); NaN at w_i = 0 where F jumps, as in `LeastSquares`."""
        return np.concatenate([self._model(seed).weight_jacobian(weights, (seed,)) for seed in checks.as_seeds(seeds)], axis=1)

    def linearize(self, weights: ArrayLike, seeds: Sequence[int]) -> Linearization:
        """Gradients and Hessian of L in the width parameters, per seed."""
        return stacked([self._model(seed).linearize(weights, (seed,)) for seed in checks.as_seeds(seeds)])

    def _model(self, seed: int) -> LeastSquares:
        omega, shift = _frequencies(seed, self.width, self.X.shape[1])
        features, queries = (
            np.sqrt(2.0 / self.width) * np.cos(points @ omega.T / self.bandwidth + shift) for points in (self.X, self.X_query)
        )
        return LeastSquares(features, self.y, queries, l2=self.l2, undefined="min_norm")


@lru_cache(maxsize=1024)
def _frequencies(seed: int, width: int, columns: int) -> tuple[Array, Array]:
    rng = stream("Interpolator features", seed)
    return rng.standard_normal((width, columns)), rng.uniform(0.0, 2.0 * np.pi, width)


LEARNER = Interpolator
