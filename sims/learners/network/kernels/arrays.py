"""Do the loops over some rows of arrays whose last axis is the replicas.

Functions get row numbers instead of slices, because making a slice costs more than the work on one row.
"""

import numpy as np
from numpy.typing import NDArray

from theory.compiled import inner
from theory.response import Array

__all__ = ["Codes", "Widths", "add_product", "any_nonzero", "copy", "multiply", "scale", "zero"]

Widths = NDArray[np.int64]
"""The widths of the layers, (d, h_1, .., C)."""

Codes = NDArray[np.uint64]
"""Hashes of activation patterns, one per replica; equal patterns have equal hashes, others do with probability 2^-64."""


@inner
def copy(a: Array, of: int, out: Array, to: int, rows: int) -> None:
    """Copy rows of `a` from row `of` to the rows of `out` from row `to`."""
    for j in range(rows):
        for r in range(a.shape[1]):
            out[to + j, r] = a[of + j, r]


@inner
def zero(out: Array, of: int, rows: int) -> None:
    """Set rows to 0 from row `of`."""
    for j in range(rows):
        for r in range(out.shape[1]):
            out[of + j, r] = 0.0


@inner
def scale(a: Array, factor: float, out: Array) -> None:
    """Write factor times `a` into `out`."""
    for j in range(a.shape[0]):
        for r in range(a.shape[1]):
            out[j, r] = factor * a[j, r]


@inner
def multiply(factor: Array, of: int, out: Array, to: int, rows: int) -> None:
    """Multiply the rows of `out` from row `to` by those of `factor` from row `of`."""
    for j in range(rows):
        for r in range(out.shape[1]):
            out[to + j, r] *= factor[of + j, r]


@inner
def add_product(a: Array, of: int, b: Array, out: Array, here: int, rows: int) -> None:
    """Add the product of rows of `a` and of `b` to the rows of `out` from row `here`."""
    for j in range(rows):
        for r in range(out.shape[1]):
            out[here + j, r] += a[of + j, r] * b[here + j, r]


@inner
def any_nonzero(a: Array) -> bool:
    """Say whether an entry of `a` (R,) is not 0."""
    some = False
    for r in range(len(a)):
        some |= a[r] != 0.0
    return some
