"""Solve small symmetric systems, one per replica, for all replicas of a block at once.

A replica is one weight vector. Replicas are the last, contiguous axis of every array, and all inner loops run over it. A
symmetric d x d matrix is packed as its lower triangle, column by column (by symmetry, in the order of `np.triu_indices(d)`).
Every function works in float32 and in float64.
"""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from theory.compiled import compiled
from theory.response import Array

__all__ = ["add_to_diagonal", "condition_bound", "diagonal", "factor", "packed_outer_products", "solve"]

AnyFloat = NDArray[np.floating[Any]]
Floats = TypeVar("Floats", bound=AnyFloat)


def packed_outer_products(X: Array) -> Array:
    """Compute the packed x x^T of every row x of X (N, d), shape (d (d + 1) / 2, N).

    `result @ w` is then the packed X^T diag(w) X.
    """
    row, column = np.triu_indices(X.shape[1])
    return np.ascontiguousarray((X[:, row] * X[:, column]).T)


def add_to_diagonal(packed: AnyFloat, amount: AnyFloat) -> None:
    """Add amount I to A in place, for packed A (d (d + 1) / 2, B) and amount (B,)."""
    for k in _diagonal(_order(packed)):
        packed[k] += amount


def diagonal(packed: Array) -> Array:
    """Return a copy of the diagonals of packed matrices, shape (d, B)."""
    return packed[_diagonal(_order(packed))]


def factor(packed: Floats) -> Floats:
    """Factor A = L D L^T in place of A, with D on the diagonal and the unit triangular L below it; return `packed`.

    There is no error for a singular A; `condition_bound` finds it. Source: Golub & Van Loan 2013, alg. 4.1.2.
    """
    _factor(packed, _columns(packed))
    return packed


def solve(factored: AnyFloat, right: Floats) -> Floats:
    """Compute A^-1 right in place of `right`, shape (d, B) or (d, K, B), from `factor(A)`; return `right`.

    `right` may have a wider float type than the factor.
    """
    _solve(factored, _columns(factored), right if right.ndim == 3 else right[:, None])
    return right


def condition_bound(factored: Array, diagonal: Array) -> Array:
    """Compute an upper bound of the condition number of A, scaled to unit diagonal; shape (B,).

    The bound is inf where A is singular or not positive definite. The d eigenvalues of the scaled A sum to d, and their product
    is det = prod_j D_j / A_jj. Therefore the least is at least det / e, and the condition number is at most e d / det.
    `diagonal` (d, B) is the diagonal of A.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        pivots = factored[_diagonal(_order(factored))] / diagonal
        bound = np.e * len(diagonal) / pivots.prod(axis=0)
    return np.where((pivots > 0.0).all(axis=0), bound, np.inf)


def _order(packed: AnyFloat) -> int:
    """Return d of packed d x d matrices."""
    return int((np.sqrt(8 * len(packed) + 1) - 1) / 2)


def _diagonal(d: int) -> list[int]:
    """Return the rows of a packed matrix that hold its diagonal."""
    return [j * d - j * (j - 1) // 2 for j in range(d)]


def _columns(packed: AnyFloat) -> NDArray[np.int64]:
    """Return the rows where the columns start: A_ij with i >= j is in row columns[j] + i - j."""
    return np.array(_diagonal(_order(packed)), dtype=np.int64)


@compiled
def _factor(packed: AnyFloat, columns: NDArray[np.int64]) -> None:
    """Do the work of `factor`."""
    d, replicas = len(columns), packed.shape[1]
    ratio = np.empty(replicas, packed.dtype)
    for j in range(d - 1):
        pivot = columns[j]
        for k in range(j + 1, d):  # A_ik -= (A_kj / D_j) A_ij for i >= k
            below = pivot + k - j
            for r in range(replicas):
                ratio[r] = packed[below, r] / packed[pivot, r]
            for i in range(k, d):
                here, left = columns[k] + i - k, pivot + i - j
                for r in range(replicas):
                    packed[here, r] -= ratio[r] * packed[left, r]
            for r in range(replicas):
                packed[below, r] = ratio[r]


@compiled
def _solve(factored: AnyFloat, columns: NDArray[np.int64], right: AnyFloat) -> None:
    """Do the work of `solve`, for right sides (d, K, B)."""
    d, sides, replicas = right.shape
    for side in range(sides):
        for j in range(d - 1):
            for i in range(j + 1, d):
                row = columns[j] + i - j
                for r in range(replicas):
                    right[i, side, r] -= factored[row, r] * right[j, side, r]
        for j in range(d - 1, -1, -1):
            pivot = columns[j]
            for r in range(replicas):
                right[j, side, r] /= factored[pivot, r]
            for i in range(j + 1, d):
                row = pivot + i - j
                for r in range(replicas):
                    right[j, side, r] -= factored[row, r] * right[i, side, r]
