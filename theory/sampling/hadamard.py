"""Construct Hadamard matrices: rows of -1 and 1 that are orthogonal to each other, for two-level designs."""

import numpy as np
import scipy
from numpy.typing import NDArray

from theory.response import Array

__all__ = ["hadamard", "hadamard_orders"]


def hadamard_orders(largest: int) -> list[int]:
    """Return the orders up to `largest` that `hadamard` constructs: 2^a (q + 1), q = 0 or a prime of the form 4k + 3."""
    bases = {1} | {q + 1 for q in range(3, largest, 4) if _is_prime(q)}
    return sorted({base << a for base in bases for a in range(largest.bit_length()) if base << a <= largest})


def hadamard(order: int) -> Array:
    """Return a matrix (n, n) of -1 and 1 with orthogonal rows: Paley's (1933) of order q + 1, doubled by Sylvester (1867)."""
    if order not in hadamard_orders(max(order, 1)):
        raise ValueError(f"order = {order}, expected 2^a (q + 1) with q = 0 or a prime 3, 7, 11, 19, .. of the form 4k + 3")
    doublings = 0
    while order & (order - 1) and not _is_prime(order - 1):
        order, doublings = order // 2, doublings + 1
    base = scipy.linalg.hadamard(order) if order & (order - 1) == 0 else _paley(order - 1)
    return np.kron(scipy.linalg.hadamard(2**doublings), base).astype(np.float64)


def _paley(q: int) -> NDArray[np.int64]:
    """Return I + S, S the skew conference matrix of the quadratic residues of a prime q = 3 mod 4."""
    residue = np.full(q, -1, dtype=np.int64)
    residue[np.arange(q) ** 2 % q] = 1
    residue[0] = 0
    skew = np.zeros((q + 1, q + 1), dtype=np.int64)
    skew[0, 1:], skew[1:, 0] = 1, -1
    skew[1:, 1:] = residue[np.subtract.outer(np.arange(q), np.arange(q)) % q]
    return skew + np.eye(q + 1, dtype=np.int64)


def _is_prime(q: int) -> bool:
    return q > 1 and all(q % k for k in range(2, int(q**0.5) + 1))
