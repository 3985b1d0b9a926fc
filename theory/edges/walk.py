"""Walk along the edges of a bundle: find every jump between neighbouring floats, and integrate the derivative between jumps.

A piece of an edge is done when the Gauss integral of the derivative equals the difference of F at its ends. Else it is cut:

1. where the learner says that training took another branch, by bisection of the branch to neighbouring floats;
2. where the integral has settled and F still disagrees, by bisection of what the integral leaves unexplained. What is found
   counts as a jump only if F moves between these two floats far more than to their neighbours on either side. If it is spread
   over the piece, the derivative is not that of F: the integral stays as it is, and the gap shows;
3. around the largest change of the derivative, where the integral does not settle.

Nothing is ever counted as a jump because it is left over.
"""

import numpy as np
from numpy.typing import NDArray

from theory.edges.gauss import Rule, integrate
from theory.edges.line import END, Bundle, Indices
from theory.edges.pieces import Findings, Pieces, Scale, at_marks
from theory.response import Array, Branches

__all__ = ["walk"]

ORDERS = (4, 8, 16)
"""The numbers of Gauss nodes on a piece, before it is cut."""

FLICKER = 16
"""Where a threshold is crossed, rounding can take it back and forth over some floats: a jump may be spread over twice as many."""


def walk(bundle: Bundle, *, tolerance: float, most: int) -> Findings:
    """Take the edges of a bundle apart with about `most` trainings; `tolerance` is the allowed error as a share of F's range.

    A piece may have the share of the tolerance that its width is of the edge, or that of 1/256 of the edge, and never less than
    rounding.
    """
    pieces, scale, found = at_marks(bundle)
    pieces = _cut_at_branches(bundle, pieces, scale, found, most)
    while len(pieces):
        if bundle.meter.spent >= most:
            found.unfinished[pieces.edge] = True
            found.integrate(pieces, integrate(bundle, pieces.edge, pieces.low, pieces.high, ORDERS[0]).integral)
            break
        pieces = _settle(bundle, pieces, scale, found, tolerance, most)
    return found


def _settle(bundle: Bundle, pieces: Pieces, scale: Scale, found: Findings, tolerance: float, most: int) -> Pieces:
    """Integrate over pieces with more and more nodes; return the parts of those that are not done."""
    cut: list[Pieces] = []
    before, left_before = None, None
    for n in ORDERS:
        rule = integrate(bundle, pieces.edge, pieces.low, pieces.high, n)
        integral = rule.integral
        left = scale.relative(pieces.change - integral)
        done = left <= np.maximum(tolerance * np.maximum(pieces.width, 1.0 / 256), 16.0 * scale.rounding)
        found.integrate(pieces.take(done), integral[done])
        settled, stalled = np.zeros(len(pieces), np.bool_), np.full(len(pieces), n == ORDERS[-1])
        if before is not None and left_before is not None:
            settled, stalled = scale.relative(integral - before) <= left / 8.0, stalled | (left > left_before / 16.0)
        if (stuck := np.flatnonzero(settled & ~done)).size:
            cut.append(_cut_at_jump(bundle, pieces.take(stuck), rule.take(stuck), scale, found, left[stuck]))
        if (kinked := np.flatnonzero(stalled & ~settled & ~done)).size:
            parts = _cut_at_kink(bundle, pieces.take(kinked), rule.take(kinked), scale, found)
            cut.append(_cut_at_branches(bundle, parts, scale, found, most))
        rest = np.flatnonzero(~stalled & ~settled & ~done)
        pieces, before, left_before = pieces.take(rest), integral[rest], left[rest]
        if not len(pieces):
            break
    return pieces.joined(*cut)


def _cut_at_kink(bundle: Bundle, pieces: Pieces, rule: Rule, scale: Scale, found: Findings) -> Pieces:
    """Cut pieces whose integral does not settle at the two nodes between which the derivative changes most.

    Two neighbouring floats cannot be cut: F jumps between them, or it does nothing there that can be resolved.
    """
    narrow = pieces.high - pieces.low <= 1
    ends = pieces.take(narrow)
    sure = ends.take(_jumps(bundle, ends.edge, ends.low, ends.high, ends.f_low, ends.f_high, scale)[0])
    found.jump(sure.edge, sure.low, sure.change, np.ones(len(sure), np.bool_))
    pieces, rule = pieces.take(~narrow), rule.take(np.flatnonzero(~narrow))
    change = (np.abs(np.diff(rule.slopes, axis=0)) / scale.size).max(axis=2)  # (n - 1, B)
    places = np.concatenate([np.zeros((1, len(pieces))), rule.shares[:, None] * np.ones(len(pieces)), np.ones((1, len(pieces)))])
    k = change.argmax(axis=0) + 1
    width, who = pieces.high - pieces.low, np.arange(len(pieces))
    first = pieces.low + (places[k, who] * width).astype(np.int64)
    last = np.minimum(pieces.low + (places[k + 1, who] * width).astype(np.int64) + 1, pieces.high)
    middle = (pieces.low + pieces.high) // 2
    stuck = (first <= pieces.low) & (last >= pieces.high)
    first = np.where(stuck, middle, first)
    f_first, f_last = bundle.respond(pieces.edge, first), bundle.respond(pieces.edge, last)
    inside = Pieces(pieces.edge, first, last, f_first, f_last)
    after = Pieces(pieces.edge, last, pieces.high, f_last, pieces.f_high)
    return Pieces(pieces.edge, pieces.low, first, pieces.f_low, f_first).joined(inside, after)


# --- where training takes another branch --------------------------------------------------------------------------------------


def _cut_at_branches(bundle: Bundle, pieces: Pieces, scale: Scale, found: Findings, most: int) -> Pieces:
    """Find every change of the branch between two sampled places, to neighbouring floats; return the pieces between them."""
    low_code = bundle.branch(pieces.edge, pieces.low)
    if low_code is None:
        return pieces
    high_code = bundle.branch(pieces.edge, pieces.high)
    assert high_code is not None
    owner, place = _bisect_branches(bundle, pieces, low_code, high_code, most)
    edge = pieces.edge[owner]
    before, after = bundle.respond(edge, place), bundle.respond(edge, place + 1)
    found.jump(edge, place, after - before, scale.relative(after - before) > 16.0 * scale.rounding)
    return pieces.without(owner, place, before, after)


def _bisect_branches(
    bundle: Bundle, pieces: Pieces, low_code: Branches, high_code: Branches, most: int
) -> tuple[Indices, Indices]:
    """Return pieces (J,) and places (J,) such that the branches at place and place + 1 differ.

    What is still wide when the trainings are used up is left out; the integral will not agree there.
    """
    owner, low, high = np.arange(len(pieces)), pieces.low, pieces.high
    found: list[tuple[Indices, Indices]] = []
    while True:
        differ = (low_code != high_code).any(axis=1)
        owner, low, high, low_code, high_code = (x[differ] for x in (owner, low, high, low_code, high_code))
        narrow = high - low <= 1
        found.append((owner[narrow], low[narrow]))
        owner, low, high, low_code, high_code = (x[~narrow] for x in (owner, low, high, low_code, high_code))
        if not len(owner) or bundle.meter.spent >= most:
            return np.concatenate([o for o, _ in found]), np.concatenate([place for _, place in found])
        middle = (low + high) // 2
        code = bundle.branch(pieces.edge[owner], middle)
        assert code is not None
        owner, low, high = np.tile(owner, 2), np.concatenate([low, middle]), np.concatenate([middle, high])
        low_code, high_code = np.concatenate([low_code, code]), np.concatenate([code, high_code])


# --- where the response disagrees with a settled integral ---------------------------------------------------------------------


def _cut_at_jump(bundle: Bundle, pieces: Pieces, rule: Rule, scale: Scale, found: Findings, left: Array) -> Pieces:
    """Find where F leaves the settled integral in each piece, and cut there; `left` (B,) is what the integral leaves unexplained.

    If that is a jump, it is counted, and the pieces on both sides are returned. If it is a steep stretch, which the nodes missed,
    this stretch and both sides are returned. If it is spread over the piece, the derivative is not that of F: the piece keeps its
    integral and is done.
    """
    (low, high), core, spread = _bisect_unexplained(bundle, pieces, rule, scale, left)
    before, after = bundle.respond(pieces.edge, low), bundle.respond(pieces.edge, high)
    jumps = np.zeros(len(pieces), np.bool_)
    for reach in (0, FLICKER):
        (open_,) = np.nonzero((high - low <= 1) & ~spread & ~jumps)
        some = pieces.take(open_)
        near, far = np.maximum(low[open_] - reach, some.low), np.minimum(high[open_] + reach, some.high)
        f_near, f_far = bundle.respond(some.edge, near), bundle.respond(some.edge, far)
        counts, around = _jumps(bundle, some.edge, near, far, f_near, f_far, scale)
        np.add.at(found.noise, some.edge[counts], around[counts, None] * scale.size)
        yes = open_[counts]
        jumps[yes], low[yes], high[yes], before[yes], after[yes] = True, *(x[counts] for x in (near, far, f_near, f_far))
    found.jump(pieces.edge[jumps], low[jumps], (after - before)[jumps], np.ones(int(jumps.sum()), np.bool_))
    steep = ~jumps & ~spread & (core[1] - core[0] > 1)
    low, high = np.where(steep, core[0], low), np.where(steep, core[1], high)
    before[steep], after[steep] = (bundle.respond(pieces.edge[steep], x[steep]) for x in (low, high))
    wrong = ~jumps & ~steep
    found.integrate(pieces.take(wrong), rule.integral[wrong])
    first = Pieces(pieces.edge, pieces.low, low, pieces.f_low, before)
    last = Pieces(pieces.edge, high, pieces.high, after, pieces.f_high)
    stretch = Pieces(pieces.edge, low, high, before, after)
    return first.take(~wrong).joined(stretch.take(steep), last.take(~wrong))


def _bisect_unexplained(
    bundle: Bundle, pieces: Pieces, rule: Rule, scale: Scale, left: Array
) -> tuple[tuple[Indices, Indices], tuple[Indices, Indices], NDArray[np.bool_]]:
    """Halve each piece towards the larger change of G(t) = F(t) - F(low) - int_low^t D.

    It ends at neighbouring floats, or where the change of G is below 2^-12 of `left` or near rounding. Return the ends (B,), the
    ends of the last stretch that held half of `left`, and whether the change fell with the width all the way: then it is spread.
    """
    low, high = pieces.low.copy(), pieces.high.copy()
    g_low, g_high, kept = np.zeros_like(pieces.f_low), pieces.change - rule.integral, left.copy()
    enough = np.maximum(left / 2.0**12, 4.0 * scale.rounding)
    core_low, core_high = low.copy(), high.copy()
    active = np.flatnonzero(high - low > 1)
    while active.size:
        middle = (low[active] + high[active]) // 2
        share = (middle - pieces.low[active]) / (pieces.high - pieces.low)[active]
        f = bundle.respond(pieces.edge[active], middle)
        g = f - pieces.f_low[active] - rule.take(active).up_to(share)
        first, second = scale.relative(g - g_low[active]), scale.relative(g_high[active] - g)
        to_left = first >= second
        went, stayed = active[to_left], active[~to_left]
        high[went], g_high[went] = middle[to_left], g[to_left]
        low[stayed], g_low[stayed] = middle[~to_left], g[~to_left]
        kept[active] = np.maximum(first, second)
        core = active[(kept > left / 2.0)[active] | (core_high - core_low == pieces.high - pieces.low)[active]]
        core_low[core], core_high[core] = low[core], high[core]
        active = active[(high - low > 1)[active] & (kept > enough)[active]]
    narrowed = (high - low) / (pieces.high - pieces.low)
    return (low, high), (core_low, core_high), narrowed > kept / left / 4.0


def _jumps(
    bundle: Bundle, edge: Indices, low: Indices, high: Indices, before: Array, after: Array, scale: Scale
) -> tuple[NDArray[np.bool_], Array]:
    """Return whether F jumps between two places, and how far it moves beside them, as shares of its range; (B,) each.

    At a jump F moves 8 times as far as beside it, and far above rounding, and training takes another branch, where the learner
    says which one. Without another branch it is rounding that long training has amplified.
    """
    around, unit = np.zeros(len(edge)), np.maximum(high - low, 1) // 2 + 1
    for step in (1, 2, 5):
        below = bundle.respond(edge, np.maximum(low - step * unit, 0))
        above = bundle.respond(edge, np.minimum(high + step * unit, END))
        around = np.maximum(around, np.maximum(scale.relative(before - below), scale.relative(above - after)))
    far = scale.relative(after - before) > np.maximum(8.0 * around, 16.0 * scale.rounding)
    if far.any() and (code := bundle.branch(edge[far], low[far])) is not None:
        other = bundle.branch(edge[far], high[far])
        assert other is not None
        far[far] = (code != other).any(axis=1)
    return far, around
