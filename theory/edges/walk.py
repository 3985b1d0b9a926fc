"""Walk along the edges of a bundle: find every jump between neighbouring floats, and integrate the derivative between jumps.

A piece of an edge is done when the Gauss integral of the derivative equals the difference of F at its ends. Else it is cut:

1. where the learner says that training took another branch, by bisection of the branch to neighbouring floats;
2. where the integral has settled and F still disagrees, by bisection of what the integral leaves unexplained. What is found
   counts as a jump only if F moves between these two floats far more than to their neighbours on either side. If it is spread
   over the piece, the derivative is not that of F: the integral stays as it is, and the gap shows;
3. in the middle, where the integral has not settled.

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
    before: Array | None = None
    for n in ORDERS:
        rule = integrate(bundle, pieces.edge, pieces.low, pieces.high, n)
        integral = rule.integral
        left = scale.relative(pieces.change - integral)
        done = left <= np.maximum(tolerance * np.maximum(pieces.width, 1.0 / 256), 16.0 * scale.rounding)
        found.integrate(pieces.take(done), integral[done])
        settled = np.zeros(len(pieces), np.bool_) if before is None else scale.relative(integral - before) <= left / 8.0
        if (stuck := np.flatnonzero(settled & ~done)).size:
            cut.append(_cut_at_jump(bundle, pieces.take(stuck), rule.take(stuck), scale, found, left[stuck]))
        rest = np.flatnonzero(~done & ~settled)
        pieces, before = pieces.take(rest), integral[rest]
        if not len(pieces):
            break
    narrow = pieces.high - pieces.low <= 1
    if narrow.any():  # two neighbouring floats: a jump, or nothing that can be resolved
        ends = pieces.take(narrow)
        counts = _jumps(bundle, ends.edge, ends.low, ends.f_low, ends.f_high, scale)
        sure = ends.take(counts)
        found.jump(sure.edge, sure.low, sure.change, np.ones(len(sure), np.bool_))
    if (~narrow).any():
        halves = pieces.take(~narrow).halves(bundle)
        cut.append(_cut_at_branches(bundle, halves, scale, found, most))
    return pieces.take(np.empty(0, np.int64)).joined(*cut)


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


# --- where the response disagrees with a settled integral -------------------------------------------------------------------------


def _cut_at_jump(bundle: Bundle, pieces: Pieces, rule: Rule, scale: Scale, found: Findings, left: Array) -> Pieces:
    """Find where F leaves the settled integral in each piece, and cut there; `left` (B,) is what the integral leaves unexplained.

    If that is a jump, it is counted, and the pieces on both sides are returned. If it is a steep stretch, which the nodes missed,
    this stretch and both sides are returned. If it is spread over the piece, the derivative is not that of F: the piece keeps its
    integral and is done.
    """
    (low, high), (core_low, core_high), spread = _bisect_unexplained(bundle, pieces, rule, scale, left)
    before, after = bundle.respond(pieces.edge, low), bundle.respond(pieces.edge, high)
    jumps = (high - low <= 1) & ~spread
    jumps[jumps] = _jumps(bundle, *(x[jumps] for x in (pieces.edge, low, before, after)), scale)
    found.jump(pieces.edge[jumps], low[jumps], (after - before)[jumps], np.ones(jumps.sum(), np.bool_))
    steep = ~jumps & ~spread & (core_high - core_low > 1)
    low, high = np.where(steep, core_low, low), np.where(steep, core_high, high)
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


def _jumps(bundle: Bundle, edge: Indices, place: Indices, before: Array, after: Array, scale: Scale) -> NDArray[np.bool_]:
    """Return whether F jumps between place and place + 1: it moves 8 times as far as to the next floats, and above rounding."""
    size = scale.relative(after - before)
    below = bundle.respond(edge, np.maximum(place - 1, 0))
    above = bundle.respond(edge, np.minimum(place + 2, END))
    around = np.maximum(scale.relative(before - below), scale.relative(above - after))
    return size > np.maximum(8.0 * around, 16.0 * scale.rounding)
