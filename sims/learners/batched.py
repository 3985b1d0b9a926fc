"""Small symmetric systems, one per replica, solved for all replicas of a block at once.

Arrays are replica-last: the batch is the last, contiguous axis, so that every line below is one vectorised operation over it. A
symmetric d x d matrix is packed as its lower triangle, column by column (`np.triu_indices(d)` by symmetry), so that what one
column does to the next is one operation too. Everything here works in float32 as in float64.
"""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from theory.response import Array

__all__ = ["add_to_diagonal", "condition_bound", "diagonal", "factor", "packed_outer_products", "solve"]

AnyFloat = NDArray[np.floating[Any]]
Floats = TypeVar("Floats", bound=AnyFloat)


def packed_outer_products(X: Array) -> Array:
    """Packed x x^T of every row x of X (N, d): shape (d (d + 1) / 2, N), so that `result @ w` packs X^T diag(w) X."""
    row, column = np.triu_indices(X.shape[1])
    return np.ascontiguousarray((X[:, row] * X[:, column]).T)


def add_to_diagonal(packed: AnyFloat, amount: AnyFloat) -> None:
    """A += amount I in place, for packed (d (d + 1) / 2, B) and amount (B,)."""
    for k in _diagonal(_order(packed)):
        packed[k] += amount


def diagonal(packed: Array) -> Array:
    """The diagonals of packed matrices: shape (d, B), a copy."""
    return packed[_diagonal(_order(packed))]


def factor(packed: Floats) -> Floats:
    """A = L D L^T in place of A (Golub & Van Loan 2013, alg. 4.1.2): D on the diagonal, unit L below it. Returns packed."""
    d = _order(packed)
    scratch = np.empty((d, packed.shape[1]), packed.dtype)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # a singular A shows in its pivots
        for j in range(d - 1):
            pivot, below = packed[_at(j, j, d)], packed[_at(j + 1, j, d) : _at(j + 1, j + 1, d)]
            for k in range(j + 1, d):  # A_ik -= (A_kj / D_j) A_ij for i >= k
                product = scratch[: d - k]
                ratio = np.divide(below[k - j - 1], pivot, out=scratch[d - 1])
                if k == d - 1:
                    ratio *= below[-1]
                    packed[_at(k, k, d)] -= ratio
                else:
                    np.multiply(below[k - j - 1 :], ratio, out=product)
                    packed[_at(k, k, d) : _at(k, k, d) + d - k] -= product
            below /= pivot
    return packed


def solve(factored: AnyFloat, right: Floats) -> Floats:
    """A^-1 right in place of right, shape (d, B) or (d, K, B), from `factor(A)`. Returns right; it may be the wider type."""
    d = _order(factored)
    scratch = np.empty_like(right)
    middle = (slice(None), *[None] * (right.ndim - 2))
    for j in range(d - 1):
        below = factored[_at(j + 1, j, d) : _at(j + 1, j + 1, d)][middle]
        right[j + 1 :] -= np.multiply(below, right[j], out=scratch[j + 1 :])
    for j, k in enumerate(_diagonal(d)):
        right[j] /= factored[k]
    for j in reversed(range(d - 1)):
        below = factored[_at(j + 1, j, d) : _at(j + 1, j + 1, d)][middle]
        for product in np.multiply(below, right[j + 1 :], out=scratch[j + 1 :]):
            right[j] -= product
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


def _at(i: int, j: int, d: int) -> int:
    return j * d - j * (j - 1) // 2 + i - j


def _order(packed: AnyFloat) -> int:
    return int((np.sqrt(8 * len(packed) + 1) - 1) / 2)


def _diagonal(d: int) -> list[int]:
    return [_at(j, j, d) for j in range(d)]
