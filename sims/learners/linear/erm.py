"""Define the objective of learners with a linear predictor and a quadratic penalty, and its implicit derivatives.

Up to a positive factor every objective here is

    sum_i w_i l_i(theta) + c(w) (l2 / 2) ||theta||^2,

where l_i is a function of x_i . theta. The four normalisations of the data term differ only in c(w) (T10).
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
import scipy

from theory.inputs import shown
from theory.response import Array, Fit, Layer, Linearization, WeightHessian

__all__ = [
    "Normalization",
    "as_normalization",
    "implicit_jacobian",
    "in_blocks",
    "linearization",
    "penalty_scale",
    "penalty_slope",
    "second_derivative",
    "weight_hessian",
]

Normalization = Literal["n_points", "sum", "weight_sum", "support"]
"""The names of what divides sum_i w_i l_i: the fixed N (as in the project's objective), 1, sum_i w_i, or the number of points
with w_i > 0.
"""

NORMALIZATIONS: tuple[Normalization, ...] = ("n_points", "sum", "weight_sum", "support")


def as_normalization(name: str) -> Normalization:
    """Return the name; raise ValueError unless it is one of the four."""
    if not isinstance(name, str) or name not in NORMALIZATIONS:
        raise ValueError(f"normalization {shown(name)} is unknown, expected one of {NORMALIZATIONS}")
    return name


def penalty_scale(normalization: Normalization, weights: Array) -> Array:
    """Compute c(w) for weights (N, B), shape (B,).

    The empty subset has no data term, so that every c > 0 gives theta = 0; c = 1 is used.
    """
    n, batch = weights.shape
    scale = {
        "n_points": lambda: np.full(batch, float(n)),
        "sum": lambda: np.ones(batch),
        "weight_sum": lambda: weights.sum(axis=0),
        "support": lambda: np.count_nonzero(weights, axis=0).astype(np.float64),
    }[normalization]()
    return np.where(scale > 0.0, scale, 1.0)


def penalty_slope(l2: float, normalization: Normalization, weights: Array) -> Array:
    """Compute l2 dc/dw_i for weights (N, B), shape (N, B); it is NaN where l2 c jumps.

    Under "support" it jumps at w_i = 0, and under "weight_sum" at w = 0. A single point has the same c = 1 as no point, so that
    under "support" nothing jumps at w = 0.
    """
    slope = np.zeros_like(weights)
    if l2 == 0.0:
        return slope
    occupied = weights.any(axis=0)
    if normalization == "weight_sum":
        slope[:] = np.where(occupied, l2, np.nan)
    if normalization == "support":
        slope[(weights == 0.0) & occupied] = np.nan
    return slope


def implicit_jacobian(X: Array, adjoint: Array, residuals: Array, theta: Array, penalty_slope: Array) -> Array:
    """Compute d(x_q . theta)/dw_i = -(H^-1 x_q)^T (a_i x_i + c'_i l2 theta), shape (N, M, B).

    Here grad l_i = a_i x_i and H = sum_i w_i Hess l_i + c l2 I. The formula is exact at a stationary point (implicit function
    theorem). `adjoint` (d, M, B) is H^-1 x_q for every query, `residuals` (N, B) are the a_i, theta is (d, B), and
    `penalty_slope` (N, B) is c'_i l2.
    """
    jacobian = (X @ adjoint.reshape(len(adjoint), -1)).reshape(len(X), *adjoint.shape[1:])
    jacobian *= -residuals[:, None]
    if penalty_slope.any():
        jacobian -= np.einsum("dmb,db->mb", adjoint, theta) * penalty_slope[:, None]
    return jacobian


def weight_hessian(
    X: Array,
    X_query: Array,
    theta: Array,
    hessian: Array,
    *,
    slopes: Array,
    curvatures: Array,
    thirds: Array,
    weights: Array,
    penalty_slope: Array,
) -> WeightHessian:
    """Compute d^2 (x_q . theta) / dw_i dw_j at a stationary point, for one weight vector, as factors with K = d columns.

    theta_i = dtheta/dw_i solves H theta_i = -(l'_i x_i + c'_i l2 theta). Differentiated once more in w_j, with c linear in w,

        -H theta_ij = l''_i x_i (x_i . theta_j) + l''_j x_j (x_j . theta_i) + l2 (c'_i theta_j + c'_j theta_i)
                      + sum_k w_k l'''_k x_k (x_k . theta_i) (x_k . theta_j).

    `hessian` (d, d) is H = sum_k w_k l''_k x_k x_k^T + c l2 I. `slopes`, `curvatures` and `thirds` (N,) are l', l'' and l''' at
    x_k . theta. `penalty_slope` (N,) is c'_i l2.
    """
    inverse = np.asarray(scipy.linalg.inv(hessian), dtype=np.float64)
    along = -(X * slopes[:, None] + np.multiply.outer(penalty_slope, theta)) @ inverse  # (N, d), dtheta/dw
    adjoint = X_query @ inverse  # (M, d)
    seen = adjoint @ X.T  # (M, N)
    bend = X.T @ ((weights * thirds * seen)[:, :, None] * X)  # (M, d, d)
    left: Array = (seen * curvatures)[:, :, None] * X + penalty_slope[:, None] * adjoint[:, None] + 0.5 * along @ bend
    return WeightHessian(-left, along)


def second_derivative(
    X: Array,
    X_query: Array,
    theta: Array,
    *,
    solve: Callable[[Array], Array],
    slopes: Array,
    curvatures: Array,
    thirds: Array,
    weights: Array,
    penalty_slope: Array,
    points: tuple[int, int],
) -> Array:
    """Compute d^2 (x_q . theta) / dw_i dw_j, shape (M, B), at stationary points theta (d, B) for many weight vectors at once.

    The formula is that of `weight_hessian`. `solve` computes H^-1 v for vectors v (d, B). The other arrays are (N, B): l', l''
    and l''' of the points, their weights, and c'_i l2.
    """
    i, j = points
    along = [-solve(X[k][:, None] * slopes[k] + theta * penalty_slope[k]) for k in points]  # (d, B), dtheta/dw
    moved = [X @ direction for direction in along]  # (N, B), derivatives of x_k . theta
    bend = X.T @ (weights * thirds * moved[0] * moved[1])
    bend += X[i][:, None] * (curvatures[i] * moved[1][i]) + X[j][:, None] * (curvatures[j] * moved[0][j])
    bend += penalty_slope[i] * along[1] + penalty_slope[j] * along[0]
    return -(X_query @ solve(bend))


def linearization(
    X: Array,
    X_query: Array,
    theta: Array,
    gradient: Array,
    packed_hessian: Array,
    *,
    slopes: Array,
    curvatures: Array,
    weights: Array,
    penalty: float,
    n_seeds: int,
) -> Linearization:
    """Make the `Linearization` of one fit, repeated for every seed.

    The arguments are theta (d,), the gradient (d,) and the packed Hessian of L, and `slopes` and `curvatures` (N,), which are l'
    and l'' of the points. For both losses here the mean of l'^2 over targets drawn from the model is l'' itself.
    """
    row, column = np.triu_indices(len(theta))
    hessian = np.empty((len(theta), len(theta)))
    hessian[row, column] = hessian[column, row] = packed_hessian

    def per_seed(values: Array) -> Array:
        return np.repeat(values[None], n_seeds, axis=0)

    return Linearization(
        params=per_seed(theta),
        hessian=per_seed(hessian),
        point_gradients=per_seed(slopes[:, None] * X),
        output_gradients=per_seed(X_query),
        gradient_norm=np.full(n_seeds, float(np.linalg.norm(gradient))),
        fit=Fit(
            gradients=per_seed(X),
            slopes=per_seed(slopes),
            curvatures=per_seed(curvatures),
            fisher=per_seed(curvatures),
            layers=(Layer(inputs=per_seed(X), deltas=np.ones((n_seeds, len(X), 1))),),
            weights=weights,
            penalty=penalty,
        ),
    )


def in_blocks(kernel: Callable[[Array], Array], weights: Array, n_seeds: int, shape: tuple[int, ...], work: int = 0) -> Array:
    """Apply a kernel (N, B') -> (*shape, B') to blocks of the rows of weights (B, N); shape (B, R, *reversed(shape)).

    The blocks are small enough for the kernel's result to stay in the cache, and the `work` numbers that it holds per row. These
    learners use no randomness, so the answer is repeated for every seed.
    """
    outputs = np.empty((*shape, len(weights)))
    step = max(64, min(_KERNEL_ROWS, _CACHE_ENTRIES // max(work, int(np.prod(shape)))))
    for start in range(0, len(weights), step):
        outputs[..., start : start + step] = kernel(np.ascontiguousarray(weights[start : start + step].T))
    one_seed = outputs.T[:, None]
    return one_seed if n_seeds == 1 else np.repeat(one_seed, n_seeds, axis=1)


_KERNEL_ROWS = 2**13
_CACHE_ENTRIES = 2**19
