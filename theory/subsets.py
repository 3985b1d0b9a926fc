"""Subsets of N training points: the one place where the bit convention is defined.

A subset S of {0, .., N-1} is the integer mask sum_{i in S} 2^i: bit i of the mask is point i, mask 0 is the empty set
and mask 2^N - 1 the full set. Row r of every table over subsets is the subset with mask r, as a 0/1 weight vector 1_S.
"""

from collections.abc import Iterable
from operator import index

import numpy as np
from numpy.typing import NDArray

from theory.memory import require_memory

__all__ = ["all_masks", "mask_of", "mask_rows", "name_subset", "points_of", "sizes"]

Array = NDArray[np.float64]


def all_masks(n: int) -> Array:
    """All 2^n subsets as 0/1 weights, shape (2**n, n): entry [r, i] is bit i of r.

    >>> all_masks(2)
    array([[0., 0.],
           [1., 0.],
           [0., 1.],
           [1., 1.]])
    """
    check_n_points(n)
    require_memory(8 * n * 2**n, f"the list of all subsets of {n} points", "read it in blocks with mask_rows")
    return mask_rows(0, 2**n, n)


def mask_rows(start: int, stop: int, n: int) -> Array:
    """Rows start, .., stop - 1 of `all_masks(n)`, shape (stop - start, n), without making the others.

    >>> mask_rows(2, 4, 2)
    array([[0., 1.],
           [1., 1.]])
    """
    check_n_points(n)
    if not 0 <= start <= stop <= 2**n:
        raise ValueError(f"rows {start}..{stop} asked for, expected 0 <= start <= stop <= 2**{n} = {2**n}")
    masks = np.arange(start, stop, dtype=np.int64)
    columns = np.empty((n, len(masks)))  # one point after the other, as learners compute
    for i in range(n):
        columns[i] = masks >> i & 1
    return columns.T


def sizes(n: int) -> NDArray[np.int64]:
    """|S| for every mask, shape (2**n,).

    >>> sizes(3)
    array([0, 1, 1, 2, 1, 2, 2, 3])
    """
    check_n_points(n)
    require_memory(16 * 2**n, f"the sizes of all subsets of {n} points", "take fewer points")
    size = np.zeros(1, dtype=np.int64)
    for _ in range(n):
        size = np.concatenate([size, size + 1])
    return size


def mask_of(points: Iterable[int]) -> int:
    """The mask of a set of points.

    >>> mask_of([0, 3])
    9
    """
    chosen = [index(i) for i in points]
    if len(set(chosen)) != len(chosen) or any(i < 0 for i in chosen):
        raise ValueError(f"points {chosen} are not a set of indices: expected distinct integers >= 0")
    return sum(1 << i for i in chosen)


def points_of(mask: int) -> tuple[int, ...]:
    """The points of a mask, ascending.

    >>> points_of(9)
    (0, 3)
    """
    mask = index(mask)
    if mask < 0:
        raise ValueError(f"mask = {mask}, expected an integer >= 0")
    return tuple(i for i in range(mask.bit_length()) if mask >> i & 1)


def name_subset(weights: Array) -> str:
    """A subset or weight vector (N,) as an error message should show it: 0/1 weights by points and mask.

    >>> name_subset(np.array([1.0, 0.0, 1.0]))
    'subset {0, 2} (mask 5)'
    """
    if np.isin(weights, (0.0, 1.0)).all():
        points = [int(i) for i in np.flatnonzero(weights)]
        return f"subset {{{', '.join(map(str, points))}}} (mask {mask_of(points)})"
    return f"weights {np.array2string(weights, precision=4, threshold=24, separator=', ')}"


def check_n_points(n: int) -> None:
    """Refuse an n that is not a count of training points for which masks fit 63 bits."""
    if not 1 <= n <= 62:
        raise ValueError(f"n = {n} training points, expected 1 to 62: a subset is one 64-bit mask")
