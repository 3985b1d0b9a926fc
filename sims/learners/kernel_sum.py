"""An unnormalised kernel sum: F is linear in the weights, so that everything this project tells apart coincides."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy
from numpy.typing import ArrayLike

from sims.learners.shared import checks
from sims.learners.shared.representation import short_repr
from theory.response import Array

__all__ = ["KernelSum"]


@dataclass(frozen=True, eq=False)
class KernelSum:
    """F_m(w) = (1/N) sum_i w_i y_i exp(-||x_q - x_i||^2 / (2 bandwidth^2)), in the units of y; the same for every seed.

    beta = LOO = D(w) for every p and w (T5: F is affine). X (N, d), y (N,), X_query (M, d).

    >>> learner = KernelSum([[0.0], [0.0]], [1.0, 3.0], [[0.0]])
    >>> learner.respond([[1.0, 1.0], [1.0, 0.0]], seeds=[0]).ravel().tolist()
    [2.0, 0.5]
    """

    X: Array = field(repr=False)
    y: Array = field(repr=False)
    X_query: Array = field(repr=False)
    bandwidth: float = 1.0

    __repr__ = short_repr

    def __post_init__(self) -> None:
        X = checks.as_design(self.X)
        checks.store(self, X=X, y=checks.as_targets(self.y, len(X)), X_query=checks.as_queries(self.X_query, X.shape[1]))
        checks.store(self, bandwidth=checks.as_positive("bandwidth", self.bandwidth))

    @property
    def n_points(self) -> int:
        return len(self.X)

    @property
    def n_outputs(self) -> int:
        return len(self.X_query)

    @cached_property
    def _effects(self) -> Array:
        """dF_m/dw_i: (M, N)."""
        squared = scipy.spatial.distance.cdist(self.X_query, self.X, "sqeuclidean")
        return np.exp(-0.5 * squared / self.bandwidth**2) * self.y / self.n_points

    def respond(self, weights: ArrayLike, seeds: Sequence[int]) -> Array:
        """F (B, R, M); a row gives the same bits whatever the batch."""
        values, n_seeds = checks.as_weights(weights, self.n_points), len(checks.as_seeds(seeds))
        return np.repeat(np.einsum("bn,mn->bm", np.ascontiguousarray(values), self._effects)[:, None], n_seeds, axis=1)

    def weight_jacobian(self, weights: ArrayLike, seeds: Sequence[int]) -> Array:
        """dF/dw (B, R, M, N), the same everywhere."""
        values, n_seeds = checks.as_weights(weights, self.n_points), len(checks.as_seeds(seeds))
        return np.tile(self._effects, (len(values), n_seeds, 1, 1))


LEARNER = KernelSum
