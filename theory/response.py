"""Define the inputs of the mathematics: learners, their linearisations, and tables of responses.

The response of a learner Phi to weights w is F(w) = E_r f(Phi(r; w)): M scalar outputs, each averaged over the given seeds r.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cached_property
from types import MemberDescriptorType
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.answers import answer_of, called, checked, require_learner
from theory.inputs import as_count, as_numbers, as_seeds

__all__ = [
    "BLOCK",
    "Array",
    "Branches",
    "Classes",
    "DifferentiableLearner",
    "Fit",
    "Layer",
    "Learner",
    "LinearizableLearner",
    "Linearization",
    "TwiceDifferentiableLearner",
    "WeightHessian",
    "as_table",
    "as_weight_rows",
    "attributes_of",
    "block_rows_of",
    "branch_of",
    "deciding_values",
    "has_own_bias",
    "mean_response",
    "normalization_of",
    "stacked",
    "takes_masks_only",
    "weight_derivative",
    "weight_jacobian_column",
    "weight_second_derivative",
]

Array = NDArray[np.float64]
Branches = NDArray[np.int64]

BLOCK = 4096
"""The number of weight vectors that a learner gets at once: enough to vectorise, and few enough for the cache."""


@runtime_checkable
class Learner(Protocol):
    """A learner can be retrained on weighted points: weight 0 must be deletion, and the same seeds must give the same bits.

    A learner may also have some of these attributes. One function of this module reads each of them and defines its default:

    | attribute | function that reads it | used in |
    | --- | --- | --- |
    | block_rows | `block_rows_of` | sims.retrain, sims.testing |
    | masks_only | `takes_masks_only` | sims.testing, sims.experiments |
    | normalization | `normalization_of` | sims.testing |
    | has_bias | `has_own_bias` | sims.experiments |
    | weight_jacobian_column(weights, seeds, point) | `weight_jacobian_column` | theory.derivatives, sims.testing |
    | weight_second_derivative(weights, seeds, point, other) | `weight_second_derivative` | theory.second_derivatives |
    | branch(weights, seeds) | `branch_of` | theory.edges |
    | fingerprint() | `deciding_values` | sims.retrain |
    """

    @property
    def n_points(self) -> int:
        """Return N, the number of training points."""
        ...

    @property
    def n_outputs(self) -> int:
        """Return M, the number of scalar outputs (one per query)."""
        ...

    def respond(self, weights: ArrayLike, seeds: Sequence[int]) -> Array:
        """Return f(Phi(r; w)) for weights (B, N) and seeds (R,), shape (B, R, M)."""
        ...


@runtime_checkable
class DifferentiableLearner(Learner, Protocol):
    """A learner that knows the exact derivative of what `respond` computes."""

    def weight_jacobian(self, weights: ArrayLike, seeds: Sequence[int]) -> Array:
        """Return d f(Phi(r; w)) / d w for weights (B, N) and seeds (R,), shape (B, R, M, N)."""
        ...


@dataclass(frozen=True)
class WeightHessian:
    """The matrices Q_ij = d^2F / dw_i dw_j of M outputs, stored as factors: Q = L R^T + R L^T, of rank at most 2K."""

    left: Array  # L (M, N, K)
    right: Array  # R (N, K)

    @property
    def dense(self) -> Array:
        """Return Q, shape (M, N, N)."""
        half = self.left @ self.right.T
        return half + half.swapaxes(1, 2)

    @property
    def diagonal(self) -> Array:
        """Return Q_ii, shape (N, M)."""
        return 2.0 * (self.left * self.right).sum(axis=2).T

    def entry(self, i: int, j: int) -> Array:
        """Return Q_ij, shape (M,)."""
        return self.left[:, i] @ self.right[j] + self.left[:, j] @ self.right[i]

    def times(self, direction: Array) -> Array:
        """Compute sum_j Q_ij v_j for v (N,), shape (N, M)."""
        return (self.left @ (self.right.T @ direction)).T + self.right @ (direction @ self.left).T

    def form(self, directions: Array) -> Array:
        """Compute v^T Q v for v (B, N), shape (B, M)."""
        projected = directions @ self.right
        return 2.0 * np.stack([np.einsum("bk,bk->b", directions @ left, projected) for left in self.left], axis=1)


@runtime_checkable
class TwiceDifferentiableLearner(DifferentiableLearner, Protocol):
    """A learner that also knows the second derivative in closed form."""

    def weight_hessian(self, weights: ArrayLike, seeds: Sequence[int]) -> WeightHessian:
        """Return d^2F / dw_i dw_j at one weight vector (N,), where F is the mean over the seeds."""
        ...


@dataclass(frozen=True)
class Layer:
    """One layer's part of grad f_i, the outer product inputs_i deltas_i^T, in the order of its parameters W (in, out)."""

    inputs: Array  # (R, N, in), including the constant 1 that multiplies the bias
    deltas: Array  # (R, N, out), df_i/dz, where z is the output of the layer before its activation


@dataclass(frozen=True)
class Fit:
    """The derivatives of a trained model at its training points; `theory.influence.curvature` builds curvatures from them.

    With f_i = f(x_i; theta) and l_i = l(f_i, y_i),

        grad l_i = slopes_i grad f_i,        Hess l_i = curvatures_i grad f_i grad f_i^T + slopes_i Hess f_i.
    """

    gradients: Array  # (R, N, P), grad f_i
    slopes: Array  # (R, N), dl/df
    curvatures: Array  # (R, N), d^2l/df^2
    fisher: Array  # (R, N), E (dl/df)^2 over targets drawn from the model
    layers: tuple[Layer, ...]  # in the order of their parameters
    weights: Array  # (N,), the weights with which the model was trained
    penalty: float  # the multiple of the identity in the objective's Hessian; it is l2 for the project's own L
    classes: "Classes | None" = None  # of a model with one output per class, whose f_i is the margin log p_y / (1 - p_y)

    def curvature_rows(self) -> tuple[Array, Array]:
        """Return vectors (R, N, K, P) and coefficients (R, N, K) of the Gauss-Newton terms sum_k c_ik v_ik v_ik^T of Hess l_i.

        With one output K = 1: c_i and grad f_i. With C classes K = C: p_c and grad log p_c, which linearises all C outputs.
        """
        if self.classes is None:
            return self.gradients[:, :, None], self.curvatures[:, :, None]
        return self.classes.gradients, self.classes.probabilities


@dataclass(frozen=True)
class Classes:
    """The derivatives of the log probabilities of C classes at the training points.

    Gauss-Newton and Fisher are the same here: E grad log p_c grad log p_c^T over classes c drawn from the model.
    """

    probabilities: Array  # (R, N, C)
    gradients: Array  # (R, N, C, P), grad log p_c
    layers: tuple[Layer, ...]  # with deltas (R, N, C, out), d log p_c / dz


@dataclass(frozen=True)
class Linearization:
    """The derivatives in the parameters, up to second order, of a model trained at one weight vector.

    There are R seeds, P parameters, N points and M outputs. `hessian` is the Hessian of
    L(theta; w) = (1/N) sum_i w_i l_i(theta) + (l2/2) ||theta||^2. `point_gradients` are the gradients of the unweighted losses
    l_i. `gradient_norm` is ||grad L||, which is 0 at a stationary point. Only methods that replace the Hessian need `fit`; only
    they refuse a learner that leaves it out.
    """

    params: Array  # (R, P)
    hessian: Array  # (R, P, P)
    point_gradients: Array  # (R, N, P)
    output_gradients: Array  # (R, M, P)
    gradient_norm: Array  # (R,)
    fit: Fit | None = None


def stacked(parts: Sequence[Linearization]) -> Linearization:
    """Concatenate linearizations along their seeds; the result has a `fit` only if all of them have one."""
    fits = [part.fit for part in parts if part.fit is not None]

    def along_seeds(pieces: Sequence[Any], leave_out: tuple[str, ...] = ()) -> dict[str, Any]:
        names = [f.name for f in fields(pieces[0]) if f.name not in leave_out]
        return {name: np.concatenate([getattr(piece, name) for piece in pieces]) for name in names}

    def layers_of(pieces: Sequence[Any]) -> tuple[Layer, ...]:
        return tuple(Layer(**along_seeds(layer)) for layer in zip(*(piece.layers for piece in pieces), strict=True))

    fit = None
    if len(fits) == len(parts):
        by_class = [piece.classes for piece in fits if piece.classes is not None]
        classes = Classes(layers=layers_of(by_class), **along_seeds(by_class, ("layers",))) if by_class else None
        common = along_seeds(fits, ("layers", "weights", "penalty", "classes"))
        fit = replace(fits[0], layers=layers_of(fits), classes=classes, **common)
    return Linearization(**along_seeds(parts, ("fit",)), fit=fit)


@runtime_checkable
class LinearizableLearner(Learner, Protocol):
    """A learner with parameters that returns the derivatives in them."""

    def linearize(self, weights: ArrayLike, seeds: Sequence[int]) -> Linearization:
        """Return the linearisation at the models trained with weights (N,), one model per seed."""
        ...


# --- optional attributes of a learner ------------------------------------------------------------------------------------------


def block_rows_of(learner: Learner) -> int:
    """Return `block_rows`, the number of subsets that the retraining engine gives to `respond` at once; 2^14 by default.

    It is a power of two. Slow learners should set fewer, because one worker computes a whole block, and an interrupted run loses
    its unfinished block.
    """
    name = f"{type(learner).__name__}.block_rows"
    rows = as_count(name, getattr(learner, "block_rows", 2**14), ", a power of two")
    if rows & (rows - 1):
        raise ValueError(f"{name} is {rows}, expected a power of two: blocks share their high bits")
    return rows


def takes_masks_only(learner: Learner) -> bool:
    """Return `masks_only`, which is True if the learner accepts only weights 0 and 1; False by default."""
    return bool(getattr(learner, "masks_only", False))


def normalization_of(learner: Learner) -> str:
    """Return `normalization`, the name of the number that divides sum_i w_i l_i in the objective; "n_points" by default.

    "n_points" is the fixed N, "sum" is 1, "weight_sum" is sum_i w_i, and "support" is the number of points with w_i > 0.
    """
    return str(getattr(learner, "normalization", "n_points"))


def has_own_bias(learner: Learner | type) -> bool:
    """Return `has_bias`, which is True if a learner or its class adds an intercept; False by default.

    X then needs no column of ones.
    """
    return bool(getattr(learner, "has_bias", False))


def weight_jacobian_column(learner: DifferentiableLearner, weights: ArrayLike, seeds: Sequence[int], point: int) -> Array:
    """Compute d f / d w_point for weights (B, N) and seeds (R,), shape (B, R, M).

    If the learner has a method of this name, that method is called. Networks have one, because it differentiates training in one
    direction instead of N. Otherwise the result is a column of `weight_jacobian`.
    """
    rows = as_weight_rows(learner, weights)
    if not hasattr(learner, "weight_jacobian_column"):
        return answer_of(learner, rows, as_seeds(seeds), "weight_jacobian")[..., point]
    column = called(learner, "weight_jacobian_column", rows, seeds, point)
    return as_numbers(f"the answer of {type(learner).__name__}.weight_jacobian_column", column)


def weight_second_derivative(
    learner: DifferentiableLearner, weights: ArrayLike, seeds: Sequence[int], point: int, other: int
) -> Array | None:
    """Return d^2 f / dw_point dw_other for weights (B, N) and seeds (R,), shape (B, R, M); None if the learner doesn't know it.

    If the learner has a method of this name, that method is called: the exact second derivative of what `respond` computes, the
    same for (point, other) and (other, point). Otherwise it is an entry of `weight_hessian`, one weight vector after the other.
    """
    rows, given = as_weight_rows(learner, weights), as_seeds(seeds)
    if hasattr(learner, "weight_second_derivative"):
        found = called(learner, "weight_second_derivative", rows, given, point, other)
        return checked(learner, found, rows, given, "weight_second_derivative")
    if not isinstance(learner, TwiceDifferentiableLearner):
        return None
    each = [[learner.weight_hessian(row, (seed,)).entry(point, other) for seed in given] for row in rows]
    return np.array(each, dtype=np.float64).reshape(len(rows), len(given), learner.n_outputs)


def branch_of(learner: Learner, weights: ArrayLike, seeds: Sequence[int]) -> Branches | None:
    """Return `branch(weights, seeds)`, integers (B, R, K) that say which branch training took, or None without such a method.

    Where two weight vectors on a line have equal integers, so should all between them, and the response should be smooth there;
    where the integers change, the response can jump. Examples are the activation pattern of a relu network, the number of steps
    of a fit that stops by itself, and the number of the nearest neighbour. `theory.edges` counts a move of the response as a jump
    only where the integers change, too; what they miss it does not explain, and says so.
    """
    rows = as_weight_rows(learner, weights)
    if not hasattr(learner, "branch"):
        return None
    answer = np.asarray(called(learner, "branch", rows, as_seeds(seeds)))
    expected = (len(rows), len(as_seeds(seeds)))
    if answer.ndim != 3 or answer.shape[:2] != expected or answer.dtype.kind not in "biu":
        raise ValueError(
            f"{type(learner).__name__}.branch returned shape {answer.shape} of {answer.dtype}, expected integers "
            f"(subsets, seeds, K) = ({expected[0]}, {expected[1]}, K)"
        )
    return answer.astype(np.int64, copy=False)


def deciding_values(learner: Any) -> Mapping[str, Any]:
    """Return `fingerprint()`, the values by name that decide every bit of the answers; by default all fields and attributes."""
    if hasattr(learner, "fingerprint"):
        return learner.fingerprint()
    named = {f.name: getattr(learner, f.name) for f in fields(learner)} if is_dataclass(learner) else {}
    return {**named, **attributes_of(learner)}


def attributes_of(value: Any) -> dict[str, Any]:
    """Return what an object itself holds by name, also in slots, without what a `cached_property` keeps of it."""
    of_classes = [(name, attribute) for kind in type(value).__mro__ for name, attribute in vars(kind).items()]
    slots = {name for name, attribute in of_classes if isinstance(attribute, MemberDescriptorType)}
    kept = {name for name, attribute in of_classes if isinstance(attribute, cached_property)}
    found = {name: getattr(value, name) for name in slots if hasattr(value, name)}
    found |= {name: held for name, held in getattr(value, "__dict__", {}).items() if name not in kept}
    return dict(sorted(found.items()))


# --- means over seeds, and tables ---------------------------------------------------------------------------------------------


def mean_response(learner: Learner, weights: ArrayLike, seeds: Sequence[int]) -> Array:
    """Compute F(w), the mean over seeds of f(Phi(r; w)), for weights (B, N); shape (B, M).

    >>> from sims.learners import LeastSquares
    >>> learner = LeastSquares([[1.0]], [1.0], [[1.0]], l2=1.0)  # F(w) = w / (w + 1)
    >>> mean_response(learner, [[0.0], [1.0]], [0]).tolist()
    [[0.0], [0.5]]
    """
    return answer_of(learner, as_weight_rows(learner, weights), as_seeds(seeds)).mean(axis=1)


def weight_derivative(learner: DifferentiableLearner, weights: ArrayLike, seeds: Sequence[int]) -> Array:
    """Compute D_i(w) = dF/dw_i at one weight vector (N,); shape (N, M), like every effect in this project.

    >>> from sims.learners import LeastSquares
    >>> learner = LeastSquares([[1.0]], [1.0], [[1.0]], l2=1.0)  # F(w) = w / (w + 1)
    >>> weight_derivative(learner, [1.0], [0]).tolist()
    [[0.25]]
    """
    rows = as_weight_rows(learner, as_numbers("weights", weights)[None], "(N,)")
    if not hasattr(learner, "weight_jacobian"):
        raise TypeError(
            f"{type(learner).__name__} has no weight_jacobian, expected a learner with derivatives: use finite_difference"
        )
    return answer_of(learner, rows, as_seeds(seeds), "weight_jacobian")[0].mean(axis=0).T


def as_weight_rows(learner: Learner, weights: ArrayLike, expected: str = "(B, N)") -> Array:
    """Return weights (B, N) as float64; raise ValueError for another shape, or an entry that is not finite and >= 0."""
    require_learner(learner)
    rows = as_numbers("weights", weights, f"{expected}, one weight per training point")
    if rows.ndim != 2 or rows.shape[1] != learner.n_points:
        shape = rows.shape[1:] if expected == "(N,)" else rows.shape
        wanted = expected.replace("N", str(learner.n_points))
        raise ValueError(f"weights has shape {shape}, expected {wanted}: one weight per training point")
    if not (np.isfinite(rows) & (rows >= 0.0)).all():
        row, point = (int(k) for k in np.argwhere(~(np.isfinite(rows) & (rows >= 0.0)))[0])
        where = f"{point}" if expected == "(N,)" else f"{row}, {point}"
        raise ValueError(f"weights[{where}] is {rows[row, point]:g}, expected a finite number >= 0: weight 0 is deletion")
    return rows


def as_table(table: ArrayLike, *, check_finite: bool = True) -> tuple[Array, int]:
    """Return a response table (2**N, M) as float64, and N; raise ValueError for another shape or a value that is not finite.

    Callers that check the values while they read them pass `check_finite=False`, so that a large table is read only once.
    """
    values = as_numbers("table", table, "one row per subset in mask order, one column per output")
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
