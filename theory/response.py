"""What the mathematics accepts from outside: learners, their linearisation, and tables of responses.

The response of a learner Phi to weights w is F(w) = E_r f(Phi(r; w)), the mean over the given seeds r of M scalar outputs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "BLOCK",
    "Array",
    "DifferentiableLearner",
    "Learner",
    "LinearizableLearner",
    "Linearization",
    "as_table",
    "mean_response",
    "weight_derivative",
]

Array = NDArray[np.float64]

BLOCK = 4096
"""Weight vectors given to a learner at once: enough to vectorise, few enough for the cache."""


@runtime_checkable
class Learner(Protocol):
    """Anything that can be retrained on weighted points. Weight 0 IS deletion; the same seeds give the same bits."""

    @property
    def n_points(self) -> int:
        """N, the number of training points."""
        ...

    @property
    def n_outputs(self) -> int:
        """M, the number of scalar outputs (one per query)."""
        ...

    def respond(self, weights: ArrayLike, seeds: Sequence[int]) -> Array:
        """f(Phi(r; w)) for weights (B, N) and seeds (R,): shape (B, R, M)."""
        ...


@runtime_checkable
class DifferentiableLearner(Learner, Protocol):
    """A learner that knows the exact derivative of what `respond` computes."""

    def weight_jacobian(self, weights: ArrayLike, seeds: Sequence[int]) -> Array:
        """d f(Phi(r; w)) / d w for weights (B, N) and seeds (R,): shape (B, R, M, N)."""
        ...


@dataclass(frozen=True)
class Linearization:
    """First and second order of a trained model at one weight vector; R seeds, P parameters, N points, M outputs.

    hessian is that of L(theta; w) = (1/N) sum_i w_i l_i(theta) + (l2/2) ||theta||^2; point_gradients are those of the
    unweighted losses l_i; gradient_norm is ||grad L||, which tells how far training was from a stationary point.
    """

    params: Array  # (R, P)
    hessian: Array  # (R, P, P)
    point_gradients: Array  # (R, N, P)
    output_gradients: Array  # (R, M, P)
    gradient_norm: Array  # (R,)


@runtime_checkable
class LinearizableLearner(Learner, Protocol):
    """A learner with parameters, seen through their derivatives."""

    def linearize(self, weights: ArrayLike, seeds: Sequence[int]) -> Linearization:
        """The linearisation at the model trained with weights (N,), one per seed."""
        ...


def mean_response(learner: Learner, weights: ArrayLike, seeds: Sequence[int]) -> Array:
    """F(w) = mean over seeds of f(Phi(r; w)) for weights (B, N): shape (B, M)."""
    return learner.respond(weights, seeds).mean(axis=1)


def weight_derivative(learner: DifferentiableLearner, weights: ArrayLike, seeds: Sequence[int]) -> Array:
    """D_i(w) = dF/dw_i at one weight vector (N,): shape (N, M), like every effect in this project."""
    return learner.weight_jacobian(np.asarray(weights, dtype=np.float64)[None], seeds)[0].mean(axis=0).T


def as_table(table: ArrayLike, *, check_finite: bool = True) -> tuple[Array, int]:
    """A response table (2**N, M) as float64, and N; refuses every other shape and every value that is not finite.

    `check_finite=False` is for callers that check while they read, so that a large table is read once.
    """
    values = np.asarray(table, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] == 0:
        raise ValueError(
            f"table has shape {values.shape}, expected (2**N, M): one row per subset in mask order, one column per output"
        )
    n = values.shape[0].bit_length() - 1
    if n < 1 or values.shape[0] != 2**n:
        raise ValueError(
            f"table has {values.shape[0]} rows, expected 2**N with N >= 1: one row per subset, the empty one included"
        )
    if check_finite and not np.isfinite(values).all():
        row, column = (int(k) for k in np.argwhere(~np.isfinite(values))[0])
        raise ValueError(
            f"table[{row}, {column}] is {values[row, column]}, expected a finite response (the row is the mask of the subset)"
        )
    return values, n
