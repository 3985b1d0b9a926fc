"""What the mathematics accepts from outside: learners, their linearisation, and tables of responses.

The response of a learner Phi to weights w is F(w) = E_r f(Phi(r; w)), the mean over the given seeds r of M scalar outputs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cached_property
from types import MemberDescriptorType
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "BLOCK",
    "Array",
    "DifferentiableLearner",
    "Fit",
    "Layer",
    "Learner",
    "LinearizableLearner",
    "Linearization",
    "TwiceDifferentiableLearner",
    "WeightHessian",
    "as_table",
    "attributes_of",
    "block_rows_of",
    "deciding_values",
    "has_own_bias",
    "mean_response",
    "normalization_of",
    "stacked",
    "takes_masks_only",
    "weight_derivative",
    "weight_jacobian_column",
]

Array = NDArray[np.float64]

BLOCK = 4096
"""Weight vectors given to a learner at once: enough to vectorise, few enough for the cache."""


@runtime_checkable
class Learner(Protocol):
    """Anything that can be retrained on weighted points. Weight 0 IS deletion; the same seeds give the same bits.

    A learner may also have some of these attributes. Each is read by one function of this module, which has its default:

    | attribute | read by | used in |
    | --- | --- | --- |
    | block_rows | `block_rows_of` | sims.retrain, sims.testing |
    | masks_only | `takes_masks_only` | sims.testing, sims.experiments |
    | normalization | `normalization_of` | sims.testing |
    | has_bias | `has_own_bias` | sims.experiments |
    | weight_jacobian_column(weights, seeds, point) | `weight_jacobian_column` | theory.derivatives, sims.testing |
    | fingerprint() | `deciding_values` | sims.retrain |
    """

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
class WeightHessian:
    """Q_ij = d^2F / dw_i dw_j for M outputs in factors: Q = L R^T + R L^T, of rank 2K at most."""

    left: Array  # L (M, N, K)
    right: Array  # R (N, K)

    @property
    def dense(self) -> Array:
        """Q, shape (M, N, N)."""
        half = self.left @ self.right.T
        return half + half.swapaxes(1, 2)

    @property
    def diagonal(self) -> Array:
        """Q_ii, shape (N, M)."""
        return 2.0 * (self.left * self.right).sum(axis=2).T

    def times(self, direction: Array) -> Array:
        """sum_j Q_ij v_j for v (N,): shape (N, M)."""
        return (self.left @ (self.right.T @ direction)).T + self.right @ (direction @ self.left).T

    def form(self, directions: Array) -> Array:
        """v^T Q v for v (B, N): shape (B, M)."""
        seen = directions @ self.right
        return 2.0 * np.stack([np.einsum("bk,bk->b", directions @ left, seen) for left in self.left], axis=1)


@runtime_checkable
class TwiceDifferentiableLearner(DifferentiableLearner, Protocol):
    """A learner that knows the second derivative as well, in closed form."""

    def weight_hessian(self, weights: ArrayLike, seeds: Sequence[int]) -> WeightHessian:
        """d^2F / dw_i dw_j at one weight vector (N,), F the mean over the seeds."""
        ...


@dataclass(frozen=True)
class Layer:
    """One layer's part of grad f_i: the outer product inputs_i deltas_i^T, in the order of its parameters W (in, out)."""

    inputs: Array  # (R, N, in), with the 1 that a bias multiplies
    deltas: Array  # (R, N, out), df_i/dz at what leaves the layer before its activation


@dataclass(frozen=True)
class Fit:
    """A model at its own training points, f_i = f(x_i; theta) and l_i = l(f_i, y_i): what curvature models are made of.

    grad l_i = slopes_i grad f_i,        Hess l_i = curvatures_i grad f_i grad f_i^T + slopes_i Hess f_i.
    """

    gradients: Array  # (R, N, P), grad f_i
    slopes: Array  # (R, N), dl/df
    curvatures: Array  # (R, N), d^2l/df^2
    fisher: Array  # (R, N), E (dl/df)^2 over targets drawn from the model
    layers: tuple[Layer, ...]  # in the order of their parameters
    weights: Array  # (N,), at which the model was trained
    penalty: float  # what the objective's Hessian has of the identity: l2 where L is the project's own


@dataclass(frozen=True)
class Linearization:
    """First and second order of a trained model at one weight vector; R seeds, P parameters, N points, M outputs.

    hessian is that of L(theta; w) = (1/N) sum_i w_i l_i(theta) + (l2/2) ||theta||^2; point_gradients are those of the
    unweighted losses l_i; gradient_norm is ||grad L||, which tells how far training was from a stationary point. `fit` is
    asked for by methods that replace the Hessian; a learner that leaves it out is refused by these only.
    """

    params: Array  # (R, P)
    hessian: Array  # (R, P, P)
    point_gradients: Array  # (R, N, P)
    output_gradients: Array  # (R, M, P)
    gradient_norm: Array  # (R,)
    fit: Fit | None = None


def stacked(parts: Sequence[Linearization]) -> Linearization:
    """Linearizations of some seeds each, put together; `fit` is dropped where one of them has none."""
    fits = [part.fit for part in parts if part.fit is not None]

    def along_seeds(of: Sequence[Any], leave_out: tuple[str, ...] = ()) -> dict[str, Array]:
        names = [f.name for f in fields(of[0]) if f.name not in leave_out]
        return {name: np.concatenate([getattr(one, name) for one in of]) for name in names}

    fit = None
    if len(fits) == len(parts):
        layers = tuple(Layer(**along_seeds(layer)) for layer in zip(*(one.layers for one in fits), strict=True))
        fit = replace(fits[0], layers=layers, **along_seeds(fits, ("layers", "weights", "penalty")))
    return Linearization(**along_seeds(parts, ("fit",)), fit=fit)


@runtime_checkable
class LinearizableLearner(Learner, Protocol):
    """A learner with parameters, seen through their derivatives."""

    def linearize(self, weights: ArrayLike, seeds: Sequence[int]) -> Linearization:
        """The linearisation at the model trained with weights (N,), one per seed."""
        ...


# --- what a learner may have beside the methods of its protocol ---------------------------------------------------------------


def block_rows_of(learner: Learner) -> int:
    """`block_rows`: how many subsets the retraining engine gives to `respond` at once, a power of two; 2^14 by default.

    Slow learners have fewer: a block is what an interrupted run loses, and what one worker does alone.
    """
    return int(getattr(learner, "block_rows", 2**14))


def takes_masks_only(learner: Learner) -> bool:
    """`masks_only`: whether weights other than 0 and 1 have no meaning for the learner; False by default."""
    return bool(getattr(learner, "masks_only", False))


def normalization_of(learner: Learner) -> str:
    """`normalization`: what divides sum_i w_i l_i in the objective; "n_points" by default, the fixed N.

    The others are "sum" (1 divides it), "weight_sum" (sum_i w_i) and "support" (the number of points with w_i > 0).
    """
    return str(getattr(learner, "normalization", "n_points"))


def has_own_bias(learner: Learner | type) -> bool:
    """`has_bias`: whether a learner, or a class of them, adds an intercept, so that X needs no column of ones; default False."""
    return bool(getattr(learner, "has_bias", False))


def weight_jacobian_column(learner: DifferentiableLearner, weights: ArrayLike, seeds: Sequence[int], point: int) -> Array:
    """d f / d w_point for weights (B, N) and seeds (R,), shape (B, R, M), by the learner's method of this name if it has one.

    Networks have one: it takes one direction through training, not N. By default it is a column of `weight_jacobian`.
    """
    own = getattr(learner, "weight_jacobian_column", None)
    return learner.weight_jacobian(weights, seeds)[..., point] if own is None else own(weights, seeds, point)


def deciding_values(learner: Any) -> Mapping[str, Any]:
    """`fingerprint()`: the values that decide every bit of the answers, by name; by default all fields and attributes."""
    if hasattr(learner, "fingerprint"):
        return learner.fingerprint()
    named = {f.name: getattr(learner, f.name) for f in fields(learner)} if is_dataclass(learner) else {}
    return {**named, **attributes_of(learner)}


def attributes_of(value: Any) -> dict[str, Any]:
    """What an object itself holds, in slots too, by name; not what a `cached_property` keeps of it."""
    of_classes = [(name, attribute) for kind in type(value).__mro__ for name, attribute in vars(kind).items()]
    slots = {name for name, attribute in of_classes if isinstance(attribute, MemberDescriptorType)}
    kept = {name for name, attribute in of_classes if isinstance(attribute, cached_property)}
    found = {name: getattr(value, name) for name in slots if hasattr(value, name)}
    found |= {name: held for name, held in getattr(value, "__dict__", {}).items() if name not in kept}
    return dict(sorted(found.items()))


# --- means over seeds, and tables ---------------------------------------------------------------------------------------------


def mean_response(learner: Learner, weights: ArrayLike, seeds: Sequence[int]) -> Array:
    """F(w) = mean over seeds of f(Phi(r; w)) for weights (B, N): shape (B, M).

    >>> from sims.learners import LeastSquares
    >>> learner = LeastSquares([[1.0]], [1.0], [[1.0]], l2=1.0)  # F(w) = w / (w + 1)
    >>> mean_response(learner, [[0.0], [1.0]], [0]).tolist()
    [[0.0], [0.5]]
    """
    return learner.respond(weights, seeds).mean(axis=1)


def weight_derivative(learner: DifferentiableLearner, weights: ArrayLike, seeds: Sequence[int]) -> Array:
    """D_i(w) = dF/dw_i at one weight vector (N,): shape (N, M), like every effect in this project.

    >>> from sims.learners import LeastSquares
    >>> learner = LeastSquares([[1.0]], [1.0], [[1.0]], l2=1.0)  # F(w) = w / (w + 1)
    >>> weight_derivative(learner, [1.0], [0]).tolist()
    [[0.25]]
    """
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
