"""Influence from gradients and a Hessian at one trained model, and how far it can be from leave-one-out.

Convention: every score estimates D_i(1) = dF/dw_i at w = 1. It is positive when including the point raises the output, and
carries the 1/N of the objective; the predicted effect of removing point i is minus the score.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import linalg

from theory.response import Array, Linearization

__all__ = ["hessian_influence", "hessian_influences", "loo_gap_bound", "null_space_sizes"]


def hessian_influence(linearization: Linearization, method: str = "exact", **options: float) -> Array:
    """I_i = -(1/N) grad f^T H^-1 grad l_i, averaged over seeds: shape (N, M).

    Equals D_i(1) at a nondegenerate stationary point (implicit function theorem), and only there. Methods: "exact" solves for H
    densely and refuses a Hessian that is singular to working precision; "pseudo_inverse" leaves out the eigenvalues that are not
    larger than `cutoff` (default 1e-10) times the largest, in absolute value. Sources: Hampel 1974; Cook & Weisberg 1982; Koh &
    Liang 2017, eq. 2 (theirs is the derivative in eps of an upweighting eps l_i: N times ours; removal is eps = -1/N).
    """
    return hessian_influences(linearization, method, **options).mean(axis=0)


def hessian_influences(linearization: Linearization, method: str = "exact", **options: float) -> Array:
    """The same for every seed: (R, N, M)."""
    if method not in _METHODS:
        raise ValueError(f"method {method!r} is unknown, expected one of {sorted(_METHODS)}")
    n_points = linearization.point_gradients.shape[1]
    scores = [
        -(1.0 / n_points) * point_gradients @ _METHODS[method](hessian, output_gradients.T, **options)
        for hessian, point_gradients, output_gradients in zip(
            linearization.hessian, linearization.point_gradients, linearization.output_gradients, strict=True
        )
    ]
    return np.stack(scores)


def null_space_sizes(linearization: Linearization, cutoff: float = 1e-10) -> NDArray[np.int64]:
    """How many eigenvalues of each seed's Hessian are at most `cutoff` times the largest, in absolute value: (R,)."""
    sizes = np.abs(np.linalg.eigvalsh(linearization.hessian))
    return (sizes <= cutoff * sizes.max(axis=1, keepdims=True)).sum(axis=1)


def loo_gap_bound(strong_convexity: ArrayLike, gradient: ArrayLike, hessian: ArrayLike, third: ArrayLike) -> Array:
    """b G / mu^2 + L3 G^2 / (2 mu^3) >= ||theta(1 - e_i) - theta(1) + d theta/d w_i||, all for the sum-scaled objective (T12).

    mu: strong convexity along the path w_i: 1 -> 0; G >= ||grad l_i|| and b >= ||Hess l_i|| on it; L3: Lipschitz constant of the
    whole objective's Hessian. Proof: theta'' along the path is at most 2 b G / mu^2 + L3 G^2 / mu^3; integrate (1 - t) theta''.
    Source: own, in the manner of Rubinstein & Hopkins 2025.
    """
    mu, g, b, lipschitz = (np.asarray(x, dtype=np.float64) for x in (strong_convexity, gradient, hessian, third))
    if not (mu > 0.0).all():
        raise ValueError(
            f"strong_convexity is {mu.min():g}, expected > 0: the bound needs a strongly convex objective on the path"
        )
    return b * g / mu**2 + lipschitz * g**2 / (2.0 * mu**3)


def _solve_exactly(hessian: Array, right: Array) -> Array:
    eigenvalues = linalg.eigvalsh(hessian)
    cutoff = len(hessian) * np.finfo(np.float64).eps * np.abs(eigenvalues).max()
    null = int((np.abs(eigenvalues) <= cutoff).sum())
    if null:
        raise np.linalg.LinAlgError(
            f"the Hessian is singular: {null} of its {len(hessian)} eigenvalues are zero to working precision, so the "
            "influence is not defined; add an l2 penalty or remove collinear columns"
        )
    return np.asarray(linalg.solve(hessian, right, assume_a="sym"))


def _solve_pseudo_inversely(hessian: Array, right: Array, cutoff: float = 1e-10) -> Array:
    values, vectors = np.linalg.eigh(hessian)
    kept = np.abs(values) > cutoff * np.abs(values).max()
    inverse = np.where(kept, 1.0 / np.where(kept, values, 1.0), 0.0)
    return vectors @ (inverse[:, None] * (vectors.T @ right))


_METHODS: dict[str, Callable[..., Array]] = {"exact": _solve_exactly, "pseudo_inverse": _solve_pseudo_inversely}
