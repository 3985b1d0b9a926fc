"""Correct the derivative of training where a relu unit changes between on and off: the term that differentiation leaves out.

The gradient g of the objective jumps where the preactivation z of a hidden unit at a training point i changes its sign: by c n,
where n = grad z is the gradient in all parameters of the layers up to the unit, and c = (w_i / |batch|) dl_i/da with the unit's
value a = max(z, 0). The Hessian of the objective has the term c delta(z) n n^T there. Differentiation step by step drops it,
because no step lies exactly on a kink.

Let training go on with a small step eta. Then z moves by dz from one gradient at this point to the next. Where its sign changes
in between, delta(z) adds up to 1 / |dz|, and the derivative d of the parameters in a weight obeys

    d <- d - min(kappa, 1) n (n . d) / ||n||^2,        kappa = eta c ||n||^2 / |dz|.

With |dz| = eta |rate of z|, this is the saltation matrix I + (f_after - f_before) n^T / (n . f_before) of the flow that follows
f = -g (Kong et al. 2024). If kappa < 1, the flow crosses the kink. If kappa >= 1, the gradients of both sides push
back to the kink: the flow slides along it (Filippov 1988), training steps to and fro, and n . d = 0. If kappa < 0, the kink
makes the crossing faster. With momentum, eta is rate / (1 - momentum), the length of a step of the flow, and the derivative of
the velocity is projected, too, where training slides.

With one hidden layer and full batches two more things are known, and without them the error would not fall with the step:
- While training slides along some kinks, it steps to and fro along their normals, and only the rest of a step is movement of the
  flow. So n and dz above are freed of these normals. With momentum dz is freed of the steps before, too: it is that of the last
  gradient, (dz - momentum dz before) / (1 - momentum). A sign that changes against this movement takes back the last correction.
- A unit that slides is projected at every step, changed or not, until the rest of a step leads it away from the kink.

The corrected derivative is that of the flow up to an error of the order of eta. The one without the correction is not: as eta
falls there are as many crossings, with the same terms. Three things are not in it. With more layers or minibatches, crossings
while other units slide are not freed of the steps to and fro: the error of some seeds does not fall with eta, that of the mean is
small. Where a kink with kappa < 0 is hardly reached, |dz| is small, and the derivative of that seed is large. And the flow itself
can jump in the weights, where it leaves a kink to one side or the other: no derivative of a single seed sees that (T9).
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sims.learners.network import kernels
from sims.learners.network.passes import Network, contiguous
from theory.compiled import compiled, inner
from theory.response import Array

__all__ = ["Crossings", "Watch"]

Integers = NDArray[np.int64]


class Crossings(NamedTuple):
    """The crossings E between two gradients, in the order in which derivatives are corrected."""

    replicas: Integers  # (E,)
    normals: Array  # n (E, P)
    squares: Array  # ||n||^2 (E,)
    kappas: Array  # (E,)

    def correct(self, vectors: Array, memories: Array, *, backwards: bool = False) -> None:
        """Multiply vectors (K, P, R) by I - min(kappa, 1) n n^T / ||n||^2 in place, for one crossing after the other.

        The memories (K, P, R), of velocities, are projected where training slides. The matrices are symmetric: adjoints only go
        through them `backwards`.
        """
        if not len(self.replicas):
            return
        shares = np.where(self.squares > 0.0, np.minimum(self.kappas, 1.0) / np.maximum(self.squares, 1e-300), 0.0)
        sliding = np.where(self.kappas >= 1.0, shares, 0.0)
        order = slice(None, None, -1 if backwards else 1)
        replicas, normals = np.ascontiguousarray(self.replicas[order]), np.ascontiguousarray(self.normals[order])
        shares, sliding = np.ascontiguousarray(shares[order]), np.ascontiguousarray(sliding[order])
        _correct(replicas, normals, shares, sliding, vectors, memories)


@dataclass(eq=False)
class Watch:
    """A watch holds the preactivations of all hidden units at all training points when their gradients were last taken."""

    network: Network
    X: Array  # (N, d)
    y: Array  # (N,)
    loss: str
    weights: Array  # (N, R)
    last: Array = field(init=False)  # z (N, units, R)
    seen: NDArray[np.bool_] = field(init=False)  # (N, R): whether there was a gradient
    bands: Array = field(init=False)  # (N, units, R): where training slides, the |z| that it reaches, else 0
    passed: Array = field(init=False)  # (N, units, R): the kappa of the last crossing, or 0
    moves: Array = field(init=False)  # (N, units, R): the last dz

    def __post_init__(self) -> None:
        (n, replicas), units = self.weights.shape, sum(self.network.widths[1:-1])
        self.last, self.bands, self.passed, self.moves = (np.zeros((n, units, replicas)) for _ in range(4))
        self.seen = np.zeros((n, replicas), dtype=np.bool_)

    def copy(self) -> "Watch":
        """Return a watch that goes on from here by itself."""
        other = Watch(self.network, self.X, self.y, self.loss, self.weights)
        other.last, other.bands, other.passed = self.last.copy(), self.bands.copy(), self.passed.copy()
        other.moves, other.seen = self.moves.copy(), self.seen.copy()
        return other

    def crossings(self, params: Array, shares: Array, rate: float, momentum: float) -> Crossings:
        """Find the units that changed since the last gradients at the points whose gradients are taken now.

        `shares` (N, R) are 1 / |batch| for these points, else 0.
        """
        job = (self.network.code[0], kernels.LOSSES.index(self.loss), contiguous(self.X), contiguous(self.y), params)
        flow = len(self.network.widths) == 3 and bool((shares > 0.0).all())
        room = _ROOM
        while True:
            places, normals, numbers = np.empty((room, 3), np.int64), np.empty((room, len(params))), np.empty((4, room))
            state = self.last, self.seen, self.bands, self.passed, self.moves
            count = _find(*job, shares, self.weights, rate / (1.0 - momentum), momentum, flow, *state, places, normals, numbers)
            if count <= room:
                order = np.argsort(numbers[2, :count], kind="stable")
                return Crossings(places[order, 2], normals[order], *numbers[:2, order])
            room = count


_ROOM = 64
"""Crossings before one step that are looked for in one pass; if there are more, a second one follows."""

_DEPENDENT = 1e-8
"""Below this share of its square, a normal depends on those that it was made orthogonal to."""


@compiled
def _find(
    widths: kernels.Widths,
    loss: int,
    X: Array,
    y: Array,
    params: Array,
    shares: Array,
    weights: Array,
    rate: float,
    momentum: float,
    flow: bool,
    last: Array,
    seen: NDArray[np.bool_],
    bands: Array,
    passed: Array,
    moves: Array,
    places: Integers,
    normals: Array,
    numbers: Array,
) -> int:
    """Write point, unit and replica, n, ||n||^2, kappa, time and band of every crossing, if there is room; return their number.

    The time is 0 at the last gradient and 1 at this one, with z a straight line. `flow` says whether n and dz are freed of the
    kinks that training slides along. The state of the `Watch` is updated, if there is room for all.
    """
    n, units, R = last.shape
    z, f, count = np.empty((n, units, R)), np.empty((n, widths[-1], R)), 0
    dz, kept = np.empty((n, units, R)), momentum if flow else 0.0
    for i in range(n):
        _forward(widths, X[i], params, z[i], f[i])
        for u in range(units):
            for r in range(R):
                dz[i, u, r] = (z[i, u, r] - last[i, u, r] - kept * moves[i, u, r]) / (1.0 - kept)
                turns = (z[i, u, r] > 0.0) != (last[i, u, r] > 0.0)
                if shares[i, r] > 0.0 and seen[i, r] and (turns or (flow and bands[i, u, r] > 0.0)):
                    if count < len(places):
                        places[count, 0], places[count, 1], places[count, 2] = i, u, r
                    count += 1
    if count > len(places):
        return count
    slope, pulls = np.empty(widths[-1]), np.empty(units)
    for e in range(count):
        i, u, r = places[e]
        _slopes(loss, f[i], float(y[i]), r, slope)
        _backward(widths, params, z[i], slope, r, pulls)
        square, moved = _free(widths, X, params, z, dz, bands, i, u, r, normals[e], flow)
        away = moved if z[i, u, r] > 0.0 else -moved
        jump, kappa, time = rate * shares[i, r] * weights[i, r] * pulls[u] * square, 0.0, 0.0
        if (z[i, u, r] > 0.0) == (last[i, u, r] > 0.0):  # it slides, as long as it is pushed back
            kappa, jump = (1.0, bands[i, u, r]) if away < 0.0 else (0.0, 0.0)
            time = 1.0 + abs(z[i, u, r]) / (abs(z[i, u, r]) + abs(last[i, u, r]))
        else:
            time = last[i, u, r] / (last[i, u, r] - z[i, u, r])
            if away > 0.0:
                kappa = jump / away
            elif bands[i, u, r] > 0.0:
                kappa = 1.0
            else:  # against the movement of the flow: the last correction is taken back
                kappa = -passed[i, u, r] / (1.0 - passed[i, u, r])
            passed[i, u, r] = kappa if away > 0.0 and kappa < 1.0 else 0.0
        numbers[0, e], numbers[1, e], numbers[2, e], numbers[3, e] = square, kappa, time, jump if kappa >= 1.0 else 0.0
    for e in range(count):
        bands[places[e, 0], places[e, 1], places[e, 2]] = numbers[3, e]
    for i in range(n):
        for r in range(R):
            if shares[i, r] > 0.0:
                for u in range(units):
                    moves[i, u, r] = z[i, u, r] - last[i, u, r] if seen[i, r] else 0.0
                    last[i, u, r] = z[i, u, r]
                    if abs(z[i, u, r]) > bands[i, u, r]:
                        bands[i, u, r] = 0.0
                seen[i, r] = True
    return count


@inner
def _free(
    widths: kernels.Widths,
    X: Array,
    params: Array,
    z: Array,
    dz: Array,
    bands: Array,
    point: int,
    unit: int,
    r: int,
    normal: Array,
    flow: bool,
) -> tuple[float, float]:
    """Write n without its parts along the normals of other kinks that training slides along; return its ||n||^2 and dz.

    They are those of the same unit: in the first layer, the normals of different units are orthogonal.
    """
    n, P, held = len(X), len(params), 0
    for k in range(n if flow else 0):
        held += bands[k, unit, r] > 0.0
    basis, squares, moves = np.empty((held, P)), np.empty(held), np.empty(held)
    held = 0
    for k in range(n if flow else 0):
        if bands[k, unit, r] > 0.0 and k != point:
            _normal(widths, X[k], params, z[k], unit, r, basis[held])
            squares[held], moves[held] = _orthogonal(basis[held], dz[k, unit, r], basis[:held], squares[:held], moves[:held])
            held += squares[held] > 0.0
    _normal(widths, X[point], params, z[point], unit, r, normal)
    return _orthogonal(normal, dz[point, unit, r], basis[:held], squares[:held], moves[:held])


@inner
def _orthogonal(vector: Array, move: float, basis: Array, squares: Array, moves: Array) -> tuple[float, float]:
    """Subtract from a vector its parts along an orthogonal basis, in place; return ||vector||^2, 0 if it depends on the basis."""
    before = after = 0.0
    for p in range(len(vector)):
        before += vector[p] ** 2
    for b in range(len(basis)):
        along = 0.0
        for p in range(len(vector)):
            along += vector[p] * basis[b, p]
        along /= squares[b]
        for p in range(len(vector)):
            vector[p] -= along * basis[b, p]
        move -= along * moves[b]
    for p in range(len(vector)):
        after += vector[p] ** 2
    return (after if after > _DEPENDENT * before else 0.0), move


@inner
def _forward(widths: kernels.Widths, x: Array, params: Array, z: Array, f: Array) -> None:
    """Compute the preactivations z (units, R) and the outputs f (C, R) at one point."""
    first = below = here = 0
    R, layers = params.shape[1], len(widths) - 1
    for layer in range(layers):
        n_in, n_out = widths[layer], widths[layer + 1]
        out = f if layer == layers - 1 else z[here : here + n_out]
        for j in range(n_out):
            for r in range(R):
                out[j, r] = params[first + n_in * n_out + j, r]
        for k in range(n_in):
            for j in range(n_out):
                p = first + k * n_out + j
                for r in range(R):
                    out[j, r] += params[p, r] * (x[k] if layer == 0 else max(z[below + k, r], 0.0))
        first, below, here = first + (n_in + 1) * n_out, here, here + n_out


@inner
def _slopes(loss: int, f: Array, y: float, r: int, slope: Array) -> None:
    """Compute dl/df (C,) of replica r."""
    if loss == 0:
        slope[0] = 1.0 / (1.0 + np.exp(-f[0, r])) - y
    elif loss == 1:
        slope[0] = f[0, r] - y
    else:
        top, total = -np.inf, 0.0
        for c in range(len(f)):
            top = max(top, f[c, r])
        for c in range(len(f)):
            slope[c] = np.exp(f[c, r] - top)
            total += slope[c]
        for c in range(len(f)):
            slope[c] = slope[c] / total - (1.0 if c == int(y) else 0.0)


@inner
def _backward(widths: kernels.Widths, params: Array, z: Array, slope: Array, r: int, pulls: Array) -> None:
    """Compute dl/da (units,) of replica r."""
    first, here = len(params), len(z)
    for layer in range(len(widths) - 1, 1, -1):
        n_in, n_out = widths[layer - 1], widths[layer]
        first -= (n_in + 1) * n_out
        below = here - n_in
        for k in range(n_in):
            total = 0.0
            for j in range(n_out):
                if layer == len(widths) - 1:
                    total += params[first + k * n_out + j, r] * slope[j]
                elif z[here + j, r] > 0.0:
                    total += params[first + k * n_out + j, r] * pulls[here + j]
            pulls[below + k] = total
        here = below


@inner
def _normal(widths: kernels.Widths, x: Array, params: Array, z: Array, unit: int, r: int, normal: Array) -> None:
    """Compute the gradient (P,) of the preactivation of a unit, in all parameters."""
    normal[:] = 0.0
    first = here = layer = 0
    while unit >= here + widths[layer + 1]:
        first, here, layer = first + (widths[layer] + 1) * widths[layer + 1], here + widths[layer + 1], layer + 1
    delta = np.zeros(widths[layer + 1])
    delta[unit - here] = 1.0
    while True:
        n_in, n_out = widths[layer], widths[layer + 1]
        below = here - n_in
        for j in range(n_out):
            if delta[j] != 0.0:
                for k in range(n_in):
                    normal[first + k * n_out + j] = delta[j] * (x[k] if layer == 0 else max(z[below + k, r], 0.0))
                normal[first + n_in * n_out + j] = delta[j]
        if layer == 0:
            return
        lower = np.zeros(n_in)
        for k in range(n_in):
            if z[below + k, r] > 0.0:
                for j in range(n_out):
                    lower[k] += params[first + k * n_out + j, r] * delta[j]
        delta, here, layer = lower, below, layer - 1
        first -= (widths[layer] + 1) * widths[layer + 1]


@compiled
def _correct(replicas: Integers, normals: Array, shares: Array, sliding: Array, vectors: Array, memories: Array) -> None:
    """Subtract shares[e] n_e (n_e . v) from vectors v of replica replicas[e], and from memories, one e after the other."""
    for e in range(len(replicas)):
        for k in range(len(vectors)):
            _project(normals[e], shares[e], vectors[k], replicas[e])
            if sliding[e] > 0.0:
                _project(normals[e], sliding[e], memories[k], replicas[e])


@inner
def _project(normal: Array, share: float, vector: Array, r: int) -> None:
    along = 0.0
    for p in range(len(normal)):
        along += normal[p] * vector[p, r]
    for p in range(len(normal)):
        vector[p, r] -= share * along * normal[p]
