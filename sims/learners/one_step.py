"""Define a linear model after one step of gradient descent; its F is affine in the weights for every start."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import scipy
from numpy.typing import ArrayLike

from sims.learners.shared import checks
from sims.learners.shared.representation import short_repr
from theory.response import Array
from theory.streams import stream

__all__ = ["OneStep"]

LOSSES = ("logistic", "squared")


@dataclass(frozen=True, eq=False)
class OneStep:
    """A linear model f = x_q . theta after one step on L = (1/N) sum_i w_i l_i + (l2/2) ||theta||^2 from a random theta_0.

    The step gives theta = theta_0 (1 - eta l2) - (eta/N) sum_i w_i l'_i x_i with eta = learning_rate. Here
    l'_i = sigmoid(x_i . theta_0) - y_i for labels 0 and 1 (`loss="logistic"`), or l'_i = x_i . theta_0 - y_i ("squared"). The
    seed draws theta_0, which is init_scale times standard normal / sqrt(d). F is affine, so that beta = LOO = D(w) for every p
    and w (T5). X (N, d) is used as given.

    >>> learner = OneStep([[1.0], [2.0]], [1.0, 0.0], [[1.0]], loss="squared", learning_rate=0.5)
    >>> one, two, both, none = learner.respond([[1, 0], [0, 1], [1, 1], [0, 0]], seeds=[3]).ravel()
    >>> bool(abs(both - one - two + none) < 1e-15)  # affine in the weights
    True
    """

    X: Array = field(repr=False)
    y: Array = field(repr=False)
    X_query: Array = field(repr=False)
    loss: str = "logistic"
    learning_rate: float = 0.5
    l2: float = 0.0
    init_scale: float = 1.0

    __repr__ = short_repr

    def __post_init__(self) -> None:
        X = checks.as_design(self.X)
        checks.one_of("loss", self.loss, LOSSES)
        y = checks.as_labels(self.y, len(X)) if self.loss == "logistic" else checks.as_targets(self.y, len(X))
        checks.store(self, X=X, y=y, X_query=checks.as_queries(self.X_query, X.shape[1]), l2=checks.as_penalty(self.l2))
        checks.store(self, learning_rate=checks.as_positive("learning_rate", self.learning_rate))
        checks.store(self, init_scale=checks.as_positive("init_scale", self.init_scale))

    @property
    def n_points(self) -> int:
        return len(self.X)

    @property
    def n_outputs(self) -> int:
        return len(self.X_query)

    def initial_params(self, seeds: Sequence[int]) -> Array:
        """Draw theta_0 for every seed, shape (R, d)."""
        values = checks.as_seeds(seeds)
        draws = np.empty((len(values), self.X.shape[1]))
        for row, seed in zip(draws, values, strict=True):
            stream("OneStep initial parameters", seed).standard_normal(out=row)
        return self.init_scale * draws / np.sqrt(draws.shape[1])

    def respond(self, weights: ArrayLike, seeds: Sequence[int]) -> Array:
        """Compute f (B, R, M); the bits of a row do not depend on the other rows of the batch."""
        values, start = checks.as_weights(weights, self.n_points), self.initial_params(seeds)
        at_start = np.einsum("rd,md->rm", (1.0 - self.learning_rate * self.l2) * start, self.X_query)
        return at_start + np.einsum("bn,rmn->brm", np.ascontiguousarray(values), self._effects(start))

    def weight_jacobian(self, weights: ArrayLike, seeds: Sequence[int]) -> Array:
        """Return df/dw (B, R, M, N), which is the same for all weights."""
        values = checks.as_weights(weights, self.n_points)
        return np.tile(self._effects(self.initial_params(seeds)), (len(values), 1, 1, 1))

    def _effects(self, start: Array) -> Array:
        """Compute -(eta/N) l'_i x_q . x_i, shape (R, M, N)."""
        f = np.einsum("rd,nd->rn", start, self.X)
        fitted = np.asarray(scipy.special.expit(f), dtype=np.float64) if self.loss == "logistic" else f
        return (-self.learning_rate / self.n_points) * (fitted - self.y)[:, None] * np.einsum("md,nd->mn", self.X_query, self.X)


LEARNER = OneStep
