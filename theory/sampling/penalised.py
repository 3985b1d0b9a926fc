"""Fit ridge or LASSO to responses on subsets, for all outputs and strengths at once, and choose the strength.

With the m centred rows x, y of `regression` (the intercept is not penalised), G = x^T x and strength alpha,

    ridge: argmin ||y - x beta||^2 / (2m) + (alpha/2) ||beta||^2,      LASSO: argmin ||y - x beta||^2 / (2m) + alpha ||beta||_1,

as scikit-learn's Lasso, and as its Ridge with alpha m for alpha. Presence columns have similar variances: they are not
standardised.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from theory.response import Array
from theory.sampling.regression import Rows, centred

__all__ = ["choose_strength", "cross_validated", "lasso", "lasso_strengths", "ridge", "ridge_strengths"]

Path = Callable[[Rows, Array], Array]
"""A function of rows and strengths (A, M), one per output, that returns coefficients (A, N, M)."""


def ridge(rows: Rows, strengths: Array) -> Array:
    """Return (G/m + alpha I)^-1 x^T y / m for strengths (A, M): shape (A, N, M). Source: Hoerl & Kennard 1970."""
    values, vectors = np.linalg.eigh(rows.x.T @ rows.x / len(rows.x))
    target = vectors.T @ (rows.x.T @ rows.y / len(rows.x))
    return vectors @ (target / (values.clip(0.0)[:, None] + strengths[:, None]))


def ridge_strengths(rows: Rows) -> Array:
    """Return strengths (A, M) from 1e-6 to 1e3 times the mean variance of a column."""
    unit = (rows.x**2).mean()
    return np.tile(unit * np.logspace(-6.0, 3.0, 37)[:, None], rows.y.shape[1])


def lasso(rows: Rows, strengths: Array, *, tolerance: float = 1e-4) -> Array:
    """Fit the LASSO (Tibshirani 1996) for strengths (A, M): shape (A, N, M).

    Accelerated proximal gradient steps on G, restarted where they overshoot (Beck & Teboulle 2009; O'Donoghue & Candes 2015), all
    columns at once, until the optimality conditions |x_j^T e / m - alpha sign(beta_j)| = 0, |x_j^T e| / m <= alpha hold to
    `tolerance` times max_j |x_j^T y| / m. ArithmeticError if that takes more than 20,000 steps.
    """
    n, m = rows.x.shape[1], rows.y.shape[1]
    gram, target = rows.x.T @ rows.x / len(rows.x), rows.x.T @ rows.y / len(rows.x)
    wanted, alpha = np.tile(target, len(strengths)), strengths.ravel()
    limit = tolerance * np.tile(np.abs(target).max(axis=0), len(strengths))
    step = 1.0 / np.linalg.eigvalsh(gram)[-1]
    beta = np.zeros_like(wanted)
    active, now = np.arange(len(alpha)), np.zeros_like(wanted)
    ahead, momentum = now, np.ones(len(alpha))
    for iteration in range(_STEPS):
        if iteration % _CHECKED_EVERY == 0:
            slope = wanted[:, active] - gram @ now
            broken = np.where(now != 0.0, np.abs(slope - alpha[active] * np.sign(now)), np.abs(slope) - alpha[active])
            beta[:, active] = now
            going = broken.max(axis=0) > limit[active]
            active, now, ahead, momentum = active[going], now[:, going], ahead[:, going], momentum[going]
            if not active.size:
                return beta.reshape(n, len(strengths), m).transpose(1, 0, 2)
        moved = ahead + step * (wanted[:, active] - gram @ ahead)
        after = np.sign(moved) * (np.abs(moved) - step * alpha[active]).clip(0.0)
        overshoot = ((ahead - after) * (after - now)).sum(axis=0) > 0.0
        following = np.where(overshoot, 1.0, 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * momentum**2)))
        ahead = after + np.where(overshoot, 0.0, (momentum - 1.0) / following) * (after - now)
        now, momentum = after, following
    raise ArithmeticError(
        f"{len(active)} of {len(alpha)} LASSO fits did not reach their optimum in {_STEPS} steps: use a larger penalty or ridge"
    )


def lasso_strengths(rows: Rows) -> Array:
    """Return strengths (A, M) from max_j |x_j^T y| / m, at which every coefficient is 0, down to 1e-3 of it."""
    largest = np.abs(rows.x.T @ rows.y / len(rows.x)).max(axis=0)
    return np.where(largest > 0.0, largest, 1.0) * np.logspace(0.0, -3.0, 31)[:, None]


def choose_strength(strengths: Array, errors: Array) -> tuple[Array, Array]:
    """Return the strength of least cross-validated error for every output (M,), and that error (M,)."""
    best = errors.argmin(axis=0)[None]
    return np.take_along_axis(strengths, best, axis=0)[0], np.take_along_axis(errors, best, axis=0)[0]


def cross_validated(path: Path, strengths: Array, masks: Array, responses: Array, omega: Array, folds: NDArray[np.intp]) -> Array:
    """Return the mean squared error (A, M) on the rows left out, in units of responses^2, for every strength (A, M)."""
    total = np.zeros_like(strengths)
    for fold in np.unique(folds):
        out = folds == fold
        kept = centred(masks[~out], responses[~out], omega[~out] / omega[~out].mean())
        predicted = kept.y_mean + (masks[out] - kept.x_mean) @ path(kept, strengths)
        total += (omega[out, None] * (responses[out] - predicted) ** 2).sum(axis=1)
    return total / omega.sum()


_STEPS = 20_000
_CHECKED_EVERY = 5
