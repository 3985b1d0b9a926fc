"""Compare scores with what they could be, up to a factor, in another order, or with an unknown damping.

`mismatch` is the relative error that is left after the best factor, sqrt(1 - cos^2) of the angle between two arrays.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sims.referee.candidates import Candidate, Damped
from theory.response import Array

__all__ = ["Mask", "Match", "best", "best_damping", "factor", "matched", "mismatch", "reordered", "with_factors"]


Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Match:
    """Scores that are `factor` times a candidate, up to the relative error `mismatch`."""

    candidate: Candidate
    factor: float
    mismatch: float


def factor(scores: Array, reference: Array) -> float:
    """Compute <scores, reference> / <reference, reference>; 0 for a reference that is 0.

    >>> factor(np.array([2.0, 4.0]), np.array([1.0, 2.0]))
    2.0
    """
    return float((scores * reference).sum() / ((reference * reference).sum() or 1.0))


def mismatch(scores: Array, reference: Array) -> float:
    """Compute ||scores - c reference|| / ||scores|| with the best factor c: 0 where they are proportional, 1 where orthogonal.

    >>> mismatch(np.array([2.0, 4.0]), np.array([-1.0, -2.0])), mismatch(np.array([0.0, 1.0]), np.array([3.0, 0.0]))
    (0.0, 1.0)
    """
    return float(np.linalg.norm(scores - factor(scores, reference) * reference) / (np.linalg.norm(scores) or 1.0))


def matched(scores: Array, candidate: Candidate, kept: Mask) -> Match:
    """Compare scores with a candidate on the entries `kept`, a boolean array (N, M)."""
    s, r = scores[kept], candidate.scores[kept]
    return Match(candidate, factor(s, r), mismatch(s, r))


def best(matches: Iterable[Match], tolerance: float) -> Match | None:
    """Return the first match within the tolerance, or None."""
    return next((match for match in matches if match.mismatch <= tolerance), None)


def with_factors(scores: Array, reference: Array, kept: Mask, axis: int) -> float:
    """Compute the relative error after the best factor for each query (axis 0) or each point (axis 1)."""
    s, r = np.where(kept, scores, 0.0), np.where(kept, reference, 0.0)
    norms = (r * r).sum(axis=axis, keepdims=True)
    each = (s * r).sum(axis=axis, keepdims=True) / np.where(norms > 0.0, norms, 1.0)
    return float(np.linalg.norm(s - each * r) / (np.linalg.norm(s) or 1.0))


def reordered(scores: Array, reference: Array, axis: int) -> tuple[NDArray[np.intp], float]:
    """Find the order of queries (axis 1) or points (axis 0) of the reference that is most like the scores, and the mismatch.

    It maximises the sum of squared cosines of the pairs, an assignment problem (Kuhn 1955; Crouse 2016).
    """
    from scipy.optimize import linear_sum_assignment  # imported where it is used: it takes longer than all else here

    s, r = (scores, reference) if axis == 1 else (scores.T, reference.T)
    norms = np.linalg.norm(s, axis=0)[:, None] * np.linalg.norm(r, axis=0)
    likeness = (s.T @ r) / np.where(norms > 0.0, norms, 1.0)
    order = linear_sum_assignment(likeness * np.sign(factor(s.sum(axis=1), r.sum(axis=1)) or 1.0), maximize=True)[1]
    other = linear_sum_assignment(likeness**2, maximize=True)[1]
    return min(((found, mismatch(s, r[:, found])) for found in (order, other)), key=lambda pair: pair[1])


def best_damping(scores: Array, candidate: Damped, kept: Mask) -> tuple[float, float]:
    """Find the damping whose influence is nearest to the scores up to a factor: the damping and the mismatch.

    Numbers of one digit are tried first, because people choose them. Then a grid of ratios is searched, above the least damping
    that makes the matrices positive, and its best place is refined. Between the poles of an indefinite matrix, a damping of more
    digits may be missed.
    """
    from scipy.optimize import minimize_scalar

    def missed(damping: float) -> float:
        found = candidate.scores(damping)
        return mismatch(scores[kept], found[kept]) if np.isfinite(found[kept]).all() else 1.0

    def above(logarithm: float) -> float:
        return missed(candidate.least + float(np.exp(logarithm)))

    round_numbers = [digit * 10.0**power for power in range(-8, 4) for digit in range(1, 10)]
    first = min(round_numbers, key=missed)
    grid = np.log(candidate.unit) + np.linspace(-20.0, 12.0, 129)
    start = int(np.argmin([above(x) for x in grid]))
    bounds = grid[max(start - 1, 0)], grid[min(start + 1, len(grid) - 1)]
    found = minimize_scalar(above, bounds=bounds, method="bounded", options={"xatol": 1e-12})
    places = [(first, missed(first)), (candidate.least + float(np.exp(found.x)), float(found.fun))]
    return min(places, key=lambda place: place[1])
