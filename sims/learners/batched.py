"""Small symmetric systems, one per replica, solved for all replicas of a block at once.

Arrays are replica-last: the batch is the last, contiguous axis, so that every line below is one vectorised operation over it. A
symmetric d x d matrix is packed as its lower triangle, row by row: entry (i, j), j <= i, at i (i + 1) / 2 + j.
"""

import numpy as np

from theory.response import Array

__all__ = ["add_to_diagonal", "condition_bound", "diagonal", "factor", "packed_outer_products", "solve"]


def packed_outer_products(X: Array) -> Array:
    """Packed x x^T of every row x of X (N, d): shape (d (d + 1) / 2, N), so that `result @ w` packs X^T diag(w) X."""
    row, column = np.tril_indices(X.shape[1])
    return np.ascontiguousarray((X[:, row] * X[:, column]).T)


def add_to_diagonal(packed: Array, amount: Array) -> None:
    """A += amount I in place, for packed (d (d + 1) / 2, B) and amount (B,)."""
    packed[_diagonal(_order(packed))] += amount


def diagonal(packed: Array) -> Array:
    """The diagonals of packed matrices: shape (d, B), a copy."""
    return packed[_diagonal(_order(packed))]


def factor(packed: Array) -> Array:
    """A = L D L^T in place of A (Golub & Van Loan 2013, alg. 4.1.2): D on the diagonal, unit L below it. Returns packed."""
    d = _order(packed)
    scratch = np.empty((d, packed.shape[1]))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # a singular A shows in its pivots
        for j in range(d):
            for k in range(j):
                np.multiply(packed[_at(j, k)], packed[_at(k, k)], out=scratch[k])
                packed[_at(j, j)] -= packed[_at(j, k)] * scratch[k]
            for i in range(j + 1, d):
                entry = packed[_at(i, j)]
                for k in range(j):
                    entry -= packed[_at(i, k)] * scratch[k]
                entry /= packed[_at(j, j)]
    return packed


def solve(factored: Array, right: Array) -> Array:
    """A^-1 right in place of right, shape (d, B) or (d, K, B), from `factor(A)`. Returns right."""
    d = _order(factored)
    for i in range(d):
        for k in range(i):
            right[i] -= factored[_at(i, k)] * right[k]
    for i in reversed(range(d)):
        right[i] /= factored[_at(i, i)]
        for k in range(i + 1, d):
            right[i] -= factored[_at(k, i)] * right[k]
    return right


def condition_bound(factored: Array, diagonal: Array) -> Array:
    """A bound of the condition number of A scaled to unit diagonal, shape (B,); inf where A is singular or not positive.

    Its d eigenvalues sum to d and multiply to det = prod_j D_j / A_jj, so that the least is at least det / e and the condition
    number at most e d / det. `diagonal` (d, B) is that of A.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        pivots = factored[_diagonal(_order(factored))] / diagonal
        bound = np.e * len(diagonal) / pivots.prod(axis=0)
    return np.where((pivots > 0.0).all(axis=0), bound, np.inf)


def _at(i: int, j: int) -> int:
    return i * (i + 1) // 2 + j


def _order(packed: Array) -> int:
    return int((np.sqrt(8 * len(packed) + 1) - 1) / 2)


def _diagonal(d: int) -> list[int]:
    return [_at(j, j) for j in range(d)]
