"""Hold pieces of edges as arrays, cut them, and keep what was found on them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from theory.edges.line import END, Bundle, Indices
from theory.response import Array

__all__ = ["MARKS", "Findings", "Pieces", "Scale", "at_marks"]

MARKS = 4
"""The number of equal intervals of every edge, fixed in advance, on which the integral and the jumps are held against F."""


@dataclass(frozen=True)
class Pieces:
    """B pieces of edges: from place `low` to place `high` of edge `edge`, with the responses (B, M) at both ends."""

    edge: Indices
    low: Indices
    high: Indices
    f_low: Array
    f_high: Array

    def __len__(self) -> int:
        return len(self.edge)

    @property
    def width(self) -> Array:
        """Return the widths in t."""
        return (self.high - self.low) / END

    @property
    def mark(self) -> Indices:
        """Return which of the fixed intervals each piece is in."""
        return self.low // (END // MARKS)

    @property
    def change(self) -> Array:
        """Return F at the high end minus F at the low end, (B, M)."""
        return self.f_high - self.f_low

    def take(self, which: Indices | NDArray[np.bool_]) -> "Pieces":
        """Return some of the pieces."""
        return Pieces(self.edge[which], self.low[which], self.high[which], self.f_low[which], self.f_high[which])

    def joined(self, *others: "Pieces") -> "Pieces":
        """Return these pieces and others, without those of no width."""
        parts = (self, *others)
        whole = Pieces(
            np.concatenate([part.edge for part in parts]),
            np.concatenate([part.low for part in parts]),
            np.concatenate([part.high for part in parts]),
            np.concatenate([part.f_low for part in parts]),
            np.concatenate([part.f_high for part in parts]),
        )
        return whole.take(whole.high > whole.low)

    def without(self, owner: Indices, place: Indices, before: Array, after: Array) -> "Pieces":
        """Cut the gaps (place, place + 1) out of the pieces that own them; F is `before` and `after` at their two ends."""
        all_owners = np.concatenate([np.arange(len(self)), owner])
        low, high = np.concatenate([self.low, place + 1]), np.concatenate([self.high, place])
        f_low, f_high = np.concatenate([self.f_low, after]), np.concatenate([self.f_high, before])
        starts, ends = np.lexsort((low, all_owners)), np.lexsort((high, all_owners))
        parts = Pieces(self.edge[all_owners[starts]], low[starts], high[ends], f_low[starts], f_high[ends])
        return parts.take(parts.high > parts.low)


@dataclass(frozen=True)
class Scale:
    """What is large and what is small, per output (M,): the range of F on the edges, and how far rounding moves F.

    An output with less than a thousandth of the largest range counts by that, and F that moves by rounding only by 10^6 of it.
    """

    size: Array
    noise: Array

    def relative(self, values: Array) -> Array:
        """Return the largest of |values| (B, M) over outputs, in units of the range; shape (B,)."""
        return (np.abs(values) / self.size).max(axis=1)

    @property
    def rounding(self) -> float:
        """Return the noise in units of the range."""
        return float((self.noise / self.size).max())


@dataclass
class Findings:
    """What was found on E edges, by fixed interval: the integral of the derivative and the sum of jumps, (E, MARKS, M)."""

    change: Array
    integral: Array
    jumps: Array
    noise: Array  # (E, M), how far F moves right beside its jumps: rounding of the learner, which the sum cannot be better than
    unfinished: NDArray[np.bool_]  # (E,), True where the trainings did not suffice
    jump_edges: list[Indices]
    jump_places: list[Indices]
    jump_sizes: list[Array]

    def integrate(self, pieces: Pieces, values: Array) -> None:
        """Add integrals (B, M) over pieces."""
        np.add.at(self.integral, (pieces.edge, pieces.mark), values)

    def jump(self, edge: Indices, place: Indices, size: Array, clear: NDArray[np.bool_]) -> None:
        """Add jumps (B, M) between place and place + 1; only the clear ones are listed."""
        np.add.at(self.jumps, (edge, place // (END // MARKS)), size)
        self.jump_edges.append(edge[clear])
        self.jump_places.append(place[clear])
        self.jump_sizes.append(size[clear])


_GOLDEN, _ROW = 0.3819660112501051, 8
"""Where in its interval a row of floats begins, and how many floats it has."""


def at_marks(bundle: Bundle) -> tuple[Pieces, Scale, Findings]:
    """Return the fixed intervals of every edge as pieces, the scale, and findings that are still empty.

    The noise is how far F moves from one float to the next: the most in a row of floats in every interval, and at least the
    rounding of F. Long training amplifies rounding, at some floats much more than at others. The rows do not begin at round
    numbers, at which a learner may well jump.
    """
    n_edges, m = len(bundle.points), bundle.n_outputs
    places = np.arange(MARKS + 1) * (END // MARKS)
    edge = np.repeat(np.arange(n_edges), MARKS + 1)
    f = bundle.respond(edge, np.tile(places, n_edges)).reshape(n_edges, MARKS + 1, m)
    inside = np.repeat(np.arange(n_edges), MARKS * _ROW)
    row = (places[:-1] + int(_GOLDEN * (END // MARKS)))[:, None] + np.arange(_ROW)
    beside = bundle.respond(inside, np.tile(row.ravel(), n_edges)).reshape(n_edges, MARKS, _ROW, m)
    least = 8.0 * np.finfo(np.float64).eps * np.abs(f).max(axis=(0, 1))
    noise = np.maximum(np.abs(np.diff(beside, axis=2)).max(axis=(0, 1, 2)), least)
    ranges = np.ptp(f, axis=(0, 1))
    size = np.maximum(ranges, max(1e-3 * ranges.max(), 1e6 * noise.max()))
    scale = Scale(np.where(size > 0.0, size, 1.0), noise)
    pieces = Pieces(
        np.repeat(np.arange(n_edges), MARKS),
        np.tile(places[:-1], n_edges),
        np.tile(places[1:], n_edges),
        f[:, :-1].reshape(-1, m),
        f[:, 1:].reshape(-1, m),
    )
    zeros = np.zeros((n_edges, MARKS, m))
    return (
        pieces,
        scale,
        Findings(np.diff(f, axis=1), zeros, zeros.copy(), np.zeros((n_edges, m)), np.zeros(n_edges, np.bool_), [], [], []),
    )
