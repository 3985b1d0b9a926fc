"""Give the formula behind each finding, computed by numpy from a truth: what a library's scores are, to rounding.

All formulas have the gradients g of the losses of points and queries, and a matrix A: scores g_i^T A^-1 g_q. They are (N, M).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sims.referee import Truth
from sims.referee.losses import LOSSES
from sims.referee.truth import Target
from theory.response import Array

__all__ = ["Layer", "batched", "bilinear", "kronecker", "layers", "point_gradients", "query_gradients", "sum_of_hessians"]


def point_gradients(truth: Truth) -> Array:
    """Return the gradients of the points' losses (N, P), without the penalty."""
    assert truth.model is not None
    return truth.model.point_gradients[0]


def query_gradients(truth: Truth, target: Target) -> Array:
    """Return the gradients of the queries' margins or losses (M, P)."""
    assert truth.model is not None
    gradients = truth.model.output_gradients[0]
    return gradients if target == "margin" else _slopes(truth)[:, None] * gradients


def _slopes(truth: Truth) -> Array:
    """Return the derivatives of the queries' losses in their margins (M,)."""
    assert truth.y_query is not None
    return LOSSES[truth.loss_function].slope(truth.margin_by_seed[0], truth.y_query)


def bilinear(truth: Truth, target: Target, matrix: Array | None = None) -> Array:
    """Compute g_i^T A^-1 g_q (N, M), with A = I by default."""
    right = query_gradients(truth, target).T
    return point_gradients(truth) @ (right if matrix is None else np.linalg.solve(matrix, right))


def sum_of_hessians(truth: Truth, penalty: float) -> Array:
    """Compute sum_i H_i + penalty I, the H_i without our penalty."""
    return _hessians(truth).sum(axis=0) + penalty * np.eye(_hessians(truth).shape[1])


def batched(truth: Truth, target: Target, size: int, penalty: float) -> Array:
    """Compute sum_b g_i^T (H_b + penalty I)^-1 g_q over batches b of consecutive points, H_b the mean over the batch."""
    each, unit = _hessians(truth), np.eye(_hessians(truth).shape[1])
    parts = [each[k : k + size].mean(axis=0) + penalty * unit for k in range(0, truth.n_points, size)]
    return np.sum([bilinear(truth, target, part) for part in parts], axis=0)


def _hessians(truth: Truth) -> Array:
    assert truth.model is not None
    assert truth.model.point_hessians is not None
    return truth.model.point_hessians[0]


# --- by layers ------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer's inputs, with a 1 where it has a bias, and the derivatives of losses or margins in its outputs."""

    inputs: Array  # (N, in), of the points
    slopes: Array  # (N, out)
    query_inputs: Array  # (M, in)
    query_slopes: Array  # (M, out)
    bias: bool

    @property
    def gradients(self) -> tuple[Array, Array]:
        """The gradients in (W, b), (N, out, in) and (M, out, in)."""
        return (
            self.slopes[:, :, None] * self.inputs[:, None],
            self.query_slopes[:, :, None] * self.query_inputs[:, None],
        )


def layers(truth: Truth, target: Target, *, of_points: Target = "loss") -> list[Layer]:
    """Return the layers of a network with one output, tanh between them; slopes of the points are of losses or margins."""
    assert truth.model is not None
    n_layers = sum(name.startswith("weight_") for name in truth.model.layers)
    weights = [truth.model.layers[f"weight_{k + 1}"][0] for k in range(n_layers)]
    biases = [truth.model.layers.get(f"bias_{k + 1}") for k in range(n_layers)]

    def passed(X: Array, slope: Callable[[Array], Array]) -> list[tuple[Array, Array]]:
        inputs, x = list[Array](), X
        for weight, bias in zip(weights, biases, strict=True):
            x = np.tanh(x) if inputs else x
            inputs.append(x if bias is None else np.column_stack([x, np.ones(len(x))]))
            x = x @ weight.T + (0.0 if bias is None else bias[0])
        slopes, found = slope(x[:, 0])[:, None], list[tuple[Array, Array]]()
        for at in range(len(weights) - 1, -1, -1):
            found.insert(0, (inputs[at], slopes))
            slopes = slopes @ weights[at] * (1.0 - inputs[at][:, : weights[at].shape[1]] ** 2)
        return found

    logistic = LOSSES[truth.loss_function].slope
    points = passed(truth.X, lambda f: np.ones_like(f) if of_points == "margin" else logistic(f, truth.y))
    queries = passed(truth.X_query, lambda f: np.ones_like(f) if target == "margin" else _slopes(truth))
    return [Layer(*p, *q, b is not None) for p, q, b in zip(points, queries, biases, strict=True)]


def kronecker(
    layer: Layer, damping: float, slopes: Array | None = None, *, corrected: bool = True, transposed: Sequence[int] | None = None
) -> Array:
    """Compute sum over entries of G_i (U_s (U_s^T G_q U_a) / (lambda + damping) U_a^T) of one layer, (N, M).

    U_a and U_s are the eigenvectors of the second moments of the inputs and of `slopes` (by default the layer's own, which gives
    the empirical Fisher matrix). lambda are products of the eigenvalues (K-FAC), or, `corrected`, mean squares of U_s^T G U_a
    (E-K-FAC). `transposed` gives U_s and U_a^T the place of their transposes; then the signs of the eigenvectors matter, and it
    lists the signs of the columns of U_a and U_s.
    """
    slopes = layer.slopes if slopes is None else slopes
    n = len(slopes)
    (of_inputs, u_a), (of_slopes, u_s) = (np.linalg.eigh(v.T @ v / n) for v in (layer.inputs, slopes))
    left, right = layer.gradients
    fitted = slopes[:, :, None] * layer.inputs[:, None]
    if transposed is not None:
        signs = np.asarray(transposed, np.float64)
        u_a, u_s = (u_a * signs[: len(u_a)]).T, (u_s * signs[len(u_a) :]).T
        if layer.bias:  # flatten(W) and then b, read as rows of one more entry
            right = np.concatenate([right[:, :, :-1].reshape(len(right), -1), right[:, :, -1]], axis=1).reshape(right.shape)
    values = np.square(u_s.T @ fitted @ u_a).mean(axis=0) if corrected else np.outer(of_slopes, of_inputs)
    solved = u_s @ ((u_s.T @ right @ u_a) / (values + damping)) @ u_a.T
    if transposed is not None and layer.bias:
        left = np.concatenate([left[:, :, :-1].reshape(len(left), -1), left[:, :, -1]], axis=1).reshape(left.shape)
    return np.einsum("nij,mij->nm", left, solved)
