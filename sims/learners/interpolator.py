"""Define minimum-norm least squares on random features; it interpolates if there are as many features as points (T11)."""

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
    """Minimum-norm least squares on the random features phi(x) = sqrt(2/width) cos(omega x / bandwidth + b).

    The model is `LeastSquares(phi(X), y, phi(X_query), l2, undefined="min_norm")`. The seed draws omega (width, d), which is
    standard normal, and b (width,), which is uniform on (0, 2 pi). Source of these random Fourier features: Rahimi & Recht 2007.

    With width >= N and l2 = 0 every point of positive weight is fitted exactly. Then theta(w) depends only on which weights are
    positive, and D(1) = 0 although beta and leave-one-out are not 0. Averaging over seeds does not change this. Rounding leaves
    |D_i(1)| below (N + width) eps cond(phi(X)) ||y|| ||phi(X)^+T phi(x_q)||: about 1e-14 at condition 1e2, and 1e-12 at 1e3.

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
        """Compute the predictions (B, R, M) for weights (B, N)."""
        return np.concatenate([self._model(seed).respond(weights, (seed,)) for seed in checks.as_seeds(seeds)], axis=1)

    def weight_jacobian(self, weights: ArrayLike, seeds: Sequence[int]) -> Array:
        """Compute d prediction / d w (B, R, M, N); it is NaN at w_i = 0 where F jumps, as in `LeastSquares`."""
        return np.concatenate([self._model(seed).weight_jacobian(weights, (seed,)) for seed in checks.as_seeds(seeds)], axis=1)

    def linearize(self, weights: ArrayLike, seeds: Sequence[int]) -> Linearization:
        """Compute the gradients and the Hessian of L in the `width` parameters, for every seed."""
        return stacked([self._model(seed).linearize(weights, (seed,)) for seed in checks.as_seeds(seeds)])

    def _model(self, seed: int) -> LeastSquares:
        """Return the least-squares problem on the features of one seed."""
        omega, shift = _frequencies(seed, self.width, self.X.shape[1])
        features, queries = (
            np.sqrt(2.0 / self.width) * np.cos(points @ omega.T / self.bandwidth + shift) for points in (self.X, self.X_query)
        )
        return LeastSquares(features, self.y, queries, l2=self.l2, undefined="min_norm")


@lru_cache(maxsize=1024)
def _frequencies(seed: int, width: int, columns: int) -> tuple[Array, Array]:
    """Draw omega (width, columns) and b (width,) of one seed."""
    rng = stream("Interpolator features", seed)
    return rng.standard_normal((width, columns)), rng.uniform(0.0, 2.0 * np.pi, width)


LEARNER = Interpolator
