"""Define the problems on which `check_attribution` asks an attribution method for scores: small convex models, solved exactly."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from theory.response import Array
from theory.streams import stream

__all__ = ["PROBLEMS", "AttributionProblem", "problem"]


@dataclass(frozen=True, eq=False)
class AttributionProblem:
    """A linear model f = X theta trained to the optimum of L = (1/N) sum_i w_i l_i(theta) + (l2/2) ||theta||^2.

    The loss is "logistic", l = log(1 + exp(-(2y - 1) f)), or "squared", l = (f - y)^2 / 2. Wanted are the effects dF/dw_i (N, M)
    of the N points on the outputs f at X_query: positive where a point raises the output. X has a column of ones, so the model
    has no other bias. `weight` (1, d) is theta as PyTorch's Linear holds it. `batch_size` is how many points to go through at
    once, None for all; it must not matter. All arrays have the type of X, float64 or float32.
    """

    loss: str
    X: Array  # (N, d)
    y: Array  # (N,)
    X_query: Array  # (M, d)
    y_query: Array  # (M,)
    l2: float
    weights: Array  # (N,)
    theta: Array  # (d,)
    batch_size: int | None = None

    @property
    def weight(self) -> Array:
        return self.theta[None]

    @property
    def n_points(self) -> int:
        return len(self.X)

    @property
    def learner(self) -> Any:
        """Return the learner of this project that has this optimum."""
        from sims.learners import LeastSquares, Logistic

        make = Logistic if self.loss == "logistic" else LeastSquares
        return make(self.X, self.y, self.X_query, l2=self.l2)

    def exact(self) -> Array:
        """Compute dF/dw (N, M) at the problem's weights."""
        return self.learner.weight_jacobian(self.weights[None], (0,))[0, 0].T

    def changed(self, **fields: Any) -> "AttributionProblem":
        """Return the problem with some fields changed, trained anew."""
        found = replace(self, **fields)
        return replace(found, theta=found.learner.linearize(found.weights, (0,)).params[0])

    def rows(self, order: Any) -> "AttributionProblem":
        """Return the problem on some rows of its points, in an order, with the weight of each; N is their number."""
        return self.changed(X=self.X[order], y=self.y[order], weights=self.weights[order])

    def single(self) -> "AttributionProblem":
        """Return the same trained model with arrays in single precision."""
        names = ("X", "y", "X_query", "y_query", "weights", "theta")
        return replace(self, **{name: getattr(self, name).astype(np.float32) for name in names})


PROBLEMS = ("logistic", "squared")
"""The losses of the problems."""


def problem(loss: str) -> AttributionProblem:
    """Return the problem with this loss: 12 points, 3 columns, 5 queries, l2 = 0.1.

    >>> problem("logistic").exact().shape
    (12, 5)
    """
    draw = stream(f"check_attribution {loss}", 0).standard_normal
    n, m, d = 12, 5, 3
    X, X_query = (np.column_stack([np.ones(rows), draw((rows, d - 1))]) for rows in (n, m))
    scores, asked = X @ np.arange(1.0, d + 1.0) - 0.5 + 0.5 * draw(n), draw(m)
    y, y_query = ((values > 0.0).astype(np.float64) if loss == "logistic" else values for values in (scores, asked))
    return AttributionProblem(loss, X, y, X_query, y_query, 0.1, np.ones(n), np.zeros(d)).changed()
