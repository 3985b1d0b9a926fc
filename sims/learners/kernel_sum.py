"""Define an unnormalised kernel sum; its F is linear in the weights, so that leave-one-out, D(w) and datamodels coincide."""

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
    """A kernel sum F_m(w) = (1/N) sum_i w_i y_i exp(-||x_q - x_i||^2 / (2 bandwidth^2)), in the units of y.

    Here x_q is row m of X_query (M, d); X is (N, d) and y (N,). There is no randomness: every seed gives the same answer. F is
    affine, so that beta = LOO = D(w) for every p and w (T5).

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
        """Compute dF_m/dw_i, shape (M, N)."""
        squared = scipy.spatial.distance.cdist(self.X_query, self.X, "sqeuclidean")
        return np.exp(-0.5 * squared / self.bandwidth**2) * self.y / self.n_points

    def respond(self, weights: ArrayLike, seeds: Sequence[int]) -> Array:
        """Compute F (B, R, M); the bits of a row do not depend on the other rows of the batch."""
        values, n_seeds = checks.as_weights(weights, self.n_points), len(checks.as_seeds(seeds))
        return np.repeat(np.einsum("bn,mn->bm", np.ascontiguousarray(values), self._effects)[:, None], n_seeds, axis=1)

    def weight_jacobian(self, weights: ArrayLike, seeds: Sequence[int]) -> Array:
        """Return dF/dw (B, R, M, N), which is the same for all weights."""
        values, n_seeds = checks.as_weights(weights, self.n_points), len(checks.as_seeds(seeds))
        return np.tile(self._effects, (len(values), n_seeds, 1, 1))


LEARNER = KernelSum
