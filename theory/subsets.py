"""Define how a subset of N training points is written as an integer, its mask.

The mask of a subset S of {0, .., N-1} is sum_{i in S} 2^i: bit i stands for point i, mask 0 is the empty set and mask 2^N - 1 is
the full set. Row r of every table over subsets belongs to the subset with mask r, whose 0/1 weight vector is 1_S.
"""

from collections.abc import Iterable
from operator import index

import numpy as np
from numpy.typing import NDArray

from theory.inputs import shown
from theory.memory import require_memory

__all__ = ["all_masks", "mask_of", "mask_rows", "name_subset", "points_of", "sizes"]

Array = NDArray[np.float64]


def all_masks(n: int) -> Array:
    """Return all 2^n subsets as 0/1 weights, shape (2**n, n): entry [r, i] is bit i of r.

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
    """Return rows start, .., stop - 1 of `all_masks(n)`, shape (stop - start, n), without computing the other rows.

    >>> mask_rows(2, 4, 2)
    array([[0., 1.],
           [1., 1.]])
    """
    check_n_points(n)
    if not 0 <= start <= stop <= 2**n:
        raise ValueError(f"rows {start}..{stop} asked for, expected 0 <= start <= stop <= 2**{n} = {2**n}")
    masks = np.arange(start, stop, dtype=np.int64)
    columns = np.empty((n, len(masks)))  # the weights of one point are contiguous, as learners read them
    for i in range(n):
        columns[i] = masks >> i & 1
    return columns.T


def sizes(n: int) -> NDArray[np.int64]:
    """Return the size |S| of every subset, in mask order, shape (2**n,).

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
    """Return the mask of a set of points.

    >>> mask_of([0, 3])
    9
    """
    chosen = [index(i) for i in points]
    if len(set(chosen)) != len(chosen) or any(i < 0 for i in chosen):
        raise ValueError(f"points {chosen} are not a set of indices: expected distinct integers >= 0")
    return sum(1 << i for i in chosen)


def points_of(mask: int) -> tuple[int, ...]:
    """Return the points of a mask in ascending order.

    >>> points_of(9)
    (0, 3)
    """
    mask = index(mask)
    if mask < 0:
        raise ValueError(f"mask = {mask}, expected an integer >= 0")
    return tuple(i for i in range(mask.bit_length()) if mask >> i & 1)


def name_subset(weights: Array) -> str:
    """Describe a weight vector (N,) for an error message: 0/1 weights by their points and mask, others by their values.

    >>> name_subset(np.array([1.0, 0.0, 1.0]))
    'subset {0, 2} (mask 5)'
    """
    if np.isin(weights, (0.0, 1.0)).all():
        points = [int(i) for i in np.flatnonzero(weights)]
        return f"subset {{{', '.join(map(str, points))}}} (mask {mask_of(points)})"
    return f"weights {np.array2string(weights, precision=4, threshold=24, separator=', ')}"


def check_n_points(n: int) -> None:
    """Raise ValueError unless n is a whole number with 1 <= n <= 62, so that every mask fits a signed 64-bit integer."""
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or not 1 <= n <= 62:
        raise ValueError(f"n = {shown(n)} training points, expected 1 to 62: a subset is one 64-bit mask")
