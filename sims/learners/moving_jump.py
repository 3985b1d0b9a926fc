"""Define a threshold that moves with the weights: for each seed the response is flat, but its mean over seeds is not (T9)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy
from numpy.typing import ArrayLike

from sims.learners.shared import checks
from sims.learners.shared.representation import short_repr
from theory.response import Array
from theory.streams import normals

__all__ = ["MovingJump"]


@dataclass(frozen=True, eq=False)
class MovingJump:
    """A threshold f_m = sign(r + a_m . w) with a_mi = y_i (x_i . x_qm) / N and sign(0) = 1.

    The seed draws r, which is init_scale times standard normal. For a given seed the derivative in w is 0 wherever it exists. But
    F(w) = E_r f = 2 Phi(a_m . w / init_scale) - 1 has dF/dw_i = 2 phi(a_m . w / init_scale) a_mi / init_scale; all of it is the
    boundary term of T9.

    >>> learner = MovingJump([[1.0]], [1.0], [[1.0]])
    >>> sorted(set(learner.respond([[0.0]], seeds=range(8)).ravel().tolist())), learner.expected_response([[0.0]]).tolist()
    ([-1.0, 1.0], [[0.0]])
    >>> learner.weight_jacobian([[0.0]], seeds=[0]).ravel().tolist(), learner.expected_derivative([0.0]).round(6).tolist()
    ([0.0], [[0.797885]])
    """

    X: Array = field(repr=False)
    y: Array = field(repr=False)
    X_query: Array = field(repr=False)
    init_scale: float = 1.0

    __repr__ = short_repr

    def __post_init__(self) -> None:
        X = checks.as_design(self.X)
        checks.store(self, X=X, y=checks.as_targets(self.y, len(X)), X_query=checks.as_queries(self.X_query, X.shape[1]))
        checks.store(self, init_scale=checks.as_positive("init_scale", self.init_scale))

    @property
    def n_points(self) -> int:
        return len(self.X)

    @property
    def n_outputs(self) -> int:
        return len(self.X_query)

    def respond(self, weights: ArrayLike, seeds: Sequence[int]) -> Array:
        """Compute f, which is -1 or 1, shape (B, R, M)."""
        values = checks.as_weights(weights, self.n_points)
        start = self.init_scale * normals("MovingJump threshold", checks.as_seeds(seeds))
        shift = np.einsum("bn,mn->bm", np.ascontiguousarray(values), self._slopes)
        return np.where(start[:, None] + shift[:, None] >= 0.0, 1.0, -1.0)

    def weight_jacobian(self, weights: ArrayLike, seeds: Sequence[int]) -> Array:
        """Return the derivative for given seeds, which is 0; shape (B, R, M, N)."""
        values = checks.as_weights(weights, self.n_points)
        return np.zeros((len(values), len(checks.as_seeds(seeds)), self.n_outputs, self.n_points))

    def expected_response(self, weights: ArrayLike) -> Array:
        """Compute F(w), the mean of f over all starts r, for weights (B, N); shape (B, M)."""
        values = checks.as_weights(weights, self.n_points)
        at = np.einsum("bn,mn->bm", values, self._slopes) / self.init_scale
        return np.asarray(2.0 * scipy.special.ndtr(at) - 1.0, dtype=np.float64)

    def expected_derivative(self, weights: ArrayLike) -> Array:
        """Compute dF/dw at weights (N,), where F is the mean over all starts r; shape (N, M)."""
        at = self._slopes @ checks.as_weight_vector(weights, self.n_points) / self.init_scale
        density = np.exp(-0.5 * at**2) / np.sqrt(2.0 * np.pi)
        return (2.0 * density[:, None] * self._slopes / self.init_scale).T

    @cached_property
    def _slopes(self) -> Array:
        """Compute a, shape (M, N)."""
        return np.einsum("md,nd->mn", self.X_query, self.X) * self.y / self.n_points


LEARNER = MovingJump
