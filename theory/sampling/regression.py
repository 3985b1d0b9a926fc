"""Fit responses to subsets by least squares, with errors that allow for unequal and dependent residuals.

Row r is a subset with its response and has weight omega_r (mean 1). With x and y centred at their weighted means and scaled by
sqrt(omega), G = x^T x and A = x G^-1,

    beta = A^T y,   e = y - x beta,   H = sqrt(omega) sqrt(omega)^T / m + A x^T   (H includes the mean).

The error of beta is A^T times the residuals, corrected for the pull of each row on its own fit: (I - H_gg)^-1 e_g, the residuals
of group g in a fit without it, or (I - H_gg)^-1/2 e_g. A group has the rows that may depend on each other; independent rows are
groups of one.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from theory.response import Array

__all__ = [
    "Rows",
    "Solution",
    "centred",
    "error_covariance",
    "group_scores",
    "groups_by_size",
    "least_squares",
    "mean_rank",
    "mean_square",
    "score_covariance",
    "without_own_row",
]


@dataclass(frozen=True)
class Rows:
    """Rows are subsets x (m, N) and responses y (m, M) minus their weighted means, scaled by root = sqrt(omega) (m,)."""

    x: Array
    y: Array
    root: Array
    x_mean: Array  # (N,)
    y_mean: Array  # (M,)


@dataclass(frozen=True)
class Solution:
    """A solution has beta (N, M), the residuals e (m, M) of the scaled rows, and A (m, N) with beta = A^T y."""

    coefficients: Array
    residuals: Array
    operator: Array


def centred(masks: Array, responses: Array, omega: Array) -> Rows:
    """Subtract the weighted means from the rows and scale them, for omega (m,) of mean 1."""
    x_mean, y_mean = omega @ masks / len(masks), omega @ responses / len(masks)
    root = np.sqrt(omega)
    return Rows(root[:, None] * (masks - x_mean), root[:, None] * (responses - y_mean), root, x_mean, y_mean)


def least_squares(rows: Rows, *, singular_along_one: bool) -> Solution:
    """Return argmin ||y - x beta||, by Cholesky of G and one refinement (Bjoerck 1987: as accurate as QR unless G is singular).

    Subsets of one size have x 1 = 0: `singular_along_one` adds a multiple of 1 1^T to G, which picks the beta with sum 0 (T7).
    LinAlgError, with the rank as its message, if x is otherwise rank-deficient.
    """
    x, n = rows.x, rows.x.shape[1]
    gram = x.T @ x
    if singular_along_one:
        gram += np.trace(gram) / n**2
    values = np.linalg.eigvalsh(gram)
    rank = int((values > _SINGULAR * values[-1]).sum())
    if rank < n:
        raise np.linalg.LinAlgError(f"rank {rank - singular_along_one + 1} of {n - singular_along_one + 1}")
    factor = scipy.linalg.cho_factor(gram)
    operator = np.asarray(scipy.linalg.cho_solve(factor, x.T), dtype=np.float64).T
    beta = operator.T @ rows.y
    beta += operator.T @ (rows.y - x @ beta)
    return Solution(beta, rows.y - x @ beta, operator)


def group_scores(rows: Rows, solution: Solution, groups: NDArray[np.intp] | None, power: float = -1.0) -> Iterator[Array]:
    """Yield A_g^T (I - H_gg)^power e_g for all groups, in arrays (groups, N, M); NaN where I - H_gg is singular.

    The sum of their squares estimates the variance of beta. Power -1: HC3 for single rows (MacKinnon & White 1985), and up to the
    factor (G - 1)/G the jackknife over G groups (CR3): beta minus beta without the group, exactly. Power -1/2: HC2 and CR2
    (Bell & McCaffrey 2002), unbiased where residuals are independent with equal variances.
    """
    for chosen, adjusted in _adjusted_residuals(rows, solution, groups, power):
        yield solution.operator[chosen].swapaxes(1, 2) @ adjusted


def mean_square(rows: Rows, solution: Solution, groups: NDArray[np.intp]) -> Array:
    """Return the mean of |(I - H_gg)^-1/2 e_g|^2 over rows (M,): unbiased for equal variances; NaN if some I - H_gg is singular.

    For dependent rows sum e^2 / (m - number of coefficients) is biased: the fit follows some combinations of a group's rows more
    closely than others, as the difference F(S) - F(complement) of a pair.
    """
    parts = _adjusted_residuals(rows, solution, groups, -0.5)
    return np.sum([np.square(adjusted).sum(axis=(0, 1)) for _, adjusted in parts], axis=0) / len(rows.x)


def _adjusted_residuals(
    rows: Rows, solution: Solution, groups: NDArray[np.intp] | None, power: float
) -> Iterator[tuple[NDArray[np.intp], Array]]:
    """Yield row numbers (groups, size) and their (I - H_gg)^power e_g, (groups, size, M)."""
    for members in groups_by_size(groups, len(rows.x)):
        step = max(1, _ENTRIES // (members.shape[1] * rows.x.shape[1] + rows.x.shape[1] * rows.y.shape[1]))
        for start in range(0, len(members), step):
            chosen = members[start : start + step]
            operator, root = solution.operator[chosen], rows.root[chosen]
            hat = operator @ rows.x[chosen].swapaxes(1, 2) + root[:, :, None] * root[:, None] / len(rows.x)
            values, vectors = np.linalg.eigh(np.eye(chosen.shape[1]) - 0.5 * (hat + hat.swapaxes(1, 2)))
            values = np.where(values[:, :1] > _SATURATED, values, np.nan)
            adjusted = values[:, :, None] ** power * (vectors.swapaxes(1, 2) @ solution.residuals[chosen])
            yield chosen, vectors @ adjusted


def without_own_row(rows: Rows, solution: Solution, power: float = -1.0) -> Array:
    """Return e_r (1 - H_rr)^power (m, M), by default the residual of every row in the fit without it; NaN where H_rr = 1."""
    left = 1.0 - np.einsum("ri,ri->r", solution.operator, rows.x) - rows.root**2 / len(rows.x)
    return solution.residuals * (np.where(left > _SATURATED, left, np.nan) ** power)[:, None]


def error_covariance(
    rows: Rows, solution: Solution, groups: NDArray[np.intp] | None, power: float = -1.0, *, full: bool
) -> Array:
    """Return sum_g s_g s_g^T over `group_scores`: (M, N, N) if `full`, else its diagonal (N, M).

    Independent rows take one matrix product per output: A^T diag(u^2) A with u from `without_own_row`.
    """
    if groups is not None:
        return score_covariance(group_scores(rows, solution, groups, power), full=full)
    squares, operator = without_own_row(rows, solution, power) ** 2, solution.operator
    if full:
        return np.stack([operator.T @ (u[:, None] * operator) for u in squares.T])
    return (operator**2).T @ squares


def score_covariance(scores: Iterator[Array], *, full: bool) -> Array:
    """Return sum_g s_g s_g^T over scores (groups, N, M): shape (M, N, N) if `full`, else its diagonal (N, M)."""
    if full:
        return np.sum([np.einsum("gim,gjm->mij", s, s, optimize=True) for s in scores], axis=0)
    return np.sum([np.einsum("gim,gim->im", s, s) for s in scores], axis=0)


def groups_by_size(groups: NDArray[np.intp] | None, n_rows: int) -> list[NDArray[np.intp]]:
    """Return the row numbers of every group, one array (groups, size) per group size; groups=None: every row is a group."""
    if groups is None:
        return [np.arange(n_rows, dtype=np.intp)[:, None]]
    order, counts = np.argsort(groups, kind="stable"), np.unique(groups, return_counts=True)[1]
    members = np.split(order, np.cumsum(counts)[:-1])
    return [np.array([rows for rows in members if len(rows) == size]) for size in np.unique(counts)]


def mean_rank(x: Array, groups: NDArray[np.intp]) -> float:
    """Return the mean over groups of the rank of their rows of x: how many directions of beta a group determines."""
    ranks = [np.linalg.matrix_rank(x[members]) for members in groups_by_size(groups, len(x))]
    return float(np.concatenate(ranks).mean())


_SINGULAR = 1e-11
_SATURATED = 1e-9
_ENTRIES = 2**22
