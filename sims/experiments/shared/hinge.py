"""The module trains a linear model on the hinge loss, and has the derivative that differentiation through training misses.

The hinge has its kink in the output: with margins m_i = n_i . theta, n_i = y_i x_i and y_i = +-1, the gradient of

    L(theta; w) = (1/N) sum_i w_i max(0, 1 - m_i) + (l2/2) ||theta||^2

jumps by (w_i/N) n_i where m_i passes 1. This is the crossing of a relu unit with normal n_i (`sims.learners.network.crossings`),
but its jump never has the other sign: no crossing is accelerated, and kappa > 0. Training with a penalty ends on the kinks of its
support vectors S, where it slides: 0 < a_i < 1 is the share of steps in which point i of S is below its margin. Differentiation
step by step then ends at the terms of the representer theorem,

    d_i = a_i n_i / (N l2),    sum_i w_i d_i = theta,    with a_i = 1 below the margin and 0 above it,

and not at the derivative of the optimum, which is its projection on the complement of the normals of S: while w changes a little,
support vectors stay at their margins. In particular, theta does not depend on the weight of a support vector.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from theory.response import Array

__all__ = ["HingeDescent"]

_LAST = 0.2
"""The share of all steps, the last ones, in which a point of S is seen to change its side of the kink."""


@dataclass(frozen=True, eq=False)
class HingeDescent:
    """Subgradient descent from theta = 0 on the hinge loss of a linear model f = x . theta, which has no randomness.

    One point x = y = 1 with l2 = 1/2 ends at theta = min(1, w / l2): at w = 1 it does not depend on w.

    >>> line = HingeDescent(np.ones((1, 1)), np.ones(1), np.ones((1, 1)), steps=8000, learning_rate=0.005, l2=0.5)
    >>> line.respond([[1.0], [1.1], [0.25]], [0]).round(2).ravel().tolist()
    [1.0, 1.0, 0.5]
    >>> [float(abs(D.round(2)).item()) for D in line.derivatives()]  # a / l2 with a = l2 / w, and its projection
    [1.0, 0.0]
    """

    X: Array  # (N, d)
    y: Array  # (N,), +1 or -1
    X_query: Array  # (M, d)
    steps: int
    learning_rate: float
    l2: float

    @property
    def n_points(self) -> int:
        return len(self.X)

    @property
    def n_outputs(self) -> int:
        return len(self.X_query)

    def respond(self, weights: ArrayLike, seeds: Sequence[int]) -> Array:
        """Compute f at the queries (B, R, M) after training with weights (B, N), the same for all seeds."""
        normals, shares = self.X * self.y[:, None], np.asarray(weights, dtype=np.float64) / len(self.X)
        theta = np.zeros((len(shares), self.X.shape[1]))
        for _ in range(self.steps):
            theta = self._kept * theta + self.learning_rate * ((shares * (theta @ normals.T < 1.0)) @ normals)
        return np.repeat((theta @ self.X_query.T)[:, None], len(seeds), axis=1)

    def derivatives(self) -> tuple[Array, Array]:
        """Compute dF/dw at w = 1 by differentiating every step, and its projection, (M, N) each."""
        (n, d), normals = self.X.shape, self.X * self.y[:, None]
        theta, tangents, sides = np.zeros(d), np.zeros((d, n)), np.zeros((self.steps, n), dtype=np.bool_)
        for t in range(self.steps):
            sides[t] = normals @ theta < 1.0
            theta = self._kept * theta + self.learning_rate * (sides[t] @ normals) / n
            tangents = self._kept * tangents + self.learning_rate * (normals * sides[t][:, None]).T / n
        last = sides[-max(2, int(_LAST * self.steps)) :]
        held = normals[last.any(axis=0) & ~last.all(axis=0)]  # (|S|, d)
        projected = tangents - np.linalg.pinv(held) @ (held @ tangents)
        return self.X_query @ tangents, self.X_query @ projected

    @property
    def _kept(self) -> float:
        return 1.0 - self.learning_rate * self.l2
