"""Compiled: a small network, its derivatives and its training, for many replicas at once.

Arrays are replica-last and in C order: row p of parameters (P, R) is parameter p of all R replicas; per layer W (in, out)
row-major, then b (out). Points come one after the other, and what belongs to the point at hand has one row per unit, hidden
layers in order and then the output:

    values    a = act(z) of the hidden units, and f
    tangents  their derivatives along a direction in the parameters
    deltas    d phi / d z
    pulls     d phi / d a
    moved     the derivatives of the deltas along the direction

phi is the objective's term of the point, a function of f. These few rows stay in the fastest cache. A replica sees
the same operations in the same order, whichever replicas are beside it.

Loops run over rows that are named by their numbers: a slice, an array of its own, costs more than a row.
"""

import math

import numpy as np
from numpy.typing import NDArray

from theory.compiled import compiled, inner
from theory.response import Array

__all__ = ["ACTIVATIONS", "LOSSES", "Widths", "descend", "evaluate", "products", "slopes", "step"]

Widths = NDArray[np.int64]
"""(d, h_1, .., 1)."""

ACTIVATIONS = ("tanh", "softplus", "relu", "identity")
"""By number, as `_activate`, `_times_slope` and `_add_bend` know them. The derivative of relu at 0 is taken as 0."""

LOSSES = ("logistic", "squared")
"""By number, as `_loss_slope` knows them: l = log(1 + exp(-(2y - 1) f)) for labels y in {0, 1}, and l = (f - y)^2 / 2."""


@compiled
def evaluate(widths: Widths, activation: int, X: Array, params: Array, f: Array, values: Array, deltas: Array) -> None:
    """f (n, R) at inputs X (n, d); values and deltas of phi = f (n, units, R), unless they have no rows."""
    units, R = widths[1:].sum(), params.shape[1]
    some, back, pulls, gradient = np.empty((units, R)), np.empty((units, R)), np.empty((units, R)), np.empty(params.shape)
    for i in range(len(X)):
        _forward(widths, activation, X[i], params, some)
        _copy(some, units - 1, f, i, 1)
        if len(values):
            for r in range(R):
                back[units - 1, r] = 1.0
            _backward(widths, activation, X[i], params, some, back, pulls, gradient)
            _copy(some, 0, values[i], 0, units)
            _copy(back, 0, deltas[i], 0, units)


@compiled
def slopes(loss: int, f: Array, y: Array, out: Array) -> None:
    """dl/df into out (n, R), for f (n, R) and targets y (n,)."""
    for i in range(len(f)):
        _loss_slope(loss, f[i], y[i], out[i])


@compiled
def descend(
    widths: Widths,
    activation: int,
    loss: int,
    X: Array,
    y: Array,
    weights: Array,
    numbers: NDArray[np.integer],
    seeds: NDArray[np.int64],
    sizes: NDArray[np.int64],
    rates: Array,
    first: int,
    momentum: float,
    l2: float,
    params: Array,
    velocity: Array,
    trail: Array,
) -> None:
    """Steps `first`, first + 1, .. of training at the rates that are given, in place.

    Step t is on batch t mod K of epoch t // K, K = len(sizes): the points i of replica r with
    numbers[epoch, i, seeds[r]] = t mod K, which count w_i / sizes[t mod K]. Parameters before step first + k go to trail[k]
    (P, R) while it has rows.
    """
    units, R = widths[1:].sum(), params.shape[1]
    values, deltas, pulls, gradient = np.empty((units, R)), np.empty((units, R)), np.empty((units, R)), np.empty(params.shape)
    share, slope = np.empty(R), np.empty(R)
    for k in range(len(rates)):
        epoch, number = divmod(first + k, len(sizes))
        if k < len(trail):
            _copy(params, 0, trail[k], 0, len(params))
        for p in range(len(params)):
            for r in range(R):
                gradient[p, r] = l2 * params[p, r]
        for i in range(len(X)):
            if _share(weights[i], numbers[epoch % len(numbers), i], seeds, number, sizes[number], share):
                _forward(widths, activation, X[i], params, values)
                _loss_slope(loss, values[units - 1], y[i], slope)
                for r in range(R):
                    deltas[units - 1, r] = slope[r] * share[r]
                _backward(widths, activation, X[i], params, values, deltas, pulls, gradient)
        _step(params, velocity, gradient, rates[k], momentum)


@compiled
def step(params: Array, velocity: Array, gradient: Array, rate: float, momentum: float) -> None:
    """A step in place, of arrays (P, R)."""
    _step(params, velocity, gradient, rate, momentum)


@compiled
def products(
    widths: Widths,
    activation: int,
    X: Array,
    params: Array,
    slope: Array,
    curvature: Array,
    own: Array,
    directions: Array,
    everywhere: bool,
    gradient: Array,
    along: Array,
    df: Array,
) -> None:
    """Of sum_i phi_i(f_i): the gradient (P, R), and what K directions (K, P, R) make of it: along (K, P, R), df (K, n, R).

    For phi' = slope (n, R) and phi'' = curvature (n, R): the Hessian times the directions, and the derivatives of f. Direction k
    moves phi'_k as well, by own[k] (R,), for the first points. Points with phi' = phi'' = 0 are passed over, but for these and
    if df is wanted `everywhere`. df is 0 there.
    """
    units, R = widths[1:].sum(), params.shape[1]
    values, deltas, pulls = np.empty((units, R)), np.empty((units, R)), np.empty((units, R))
    tangents, moved = np.empty((units, R)), np.empty((units, R))
    _zero(gradient, 0, len(gradient))
    for k in range(len(directions)):
        _zero(along[k], 0, len(gradient))
        _zero(df[k], 0, len(X))
    for i in range(len(X)):
        if not (everywhere or i < len(own) or _any(slope[i]) or _any(curvature[i])):
            continue
        _forward(widths, activation, X[i], params, values)
        _copy(slope, i, deltas, units - 1, 1)
        _backward(widths, activation, X[i], params, values, deltas, pulls, gradient)
        for k in range(len(directions)):
            _forward_along(widths, activation, X[i], params, values, directions[k], tangents)
            itself = i == k and k < len(own)
            for r in range(R):
                df[k, i, r] = tangents[units - 1, r]
                moved[units - 1, r] = tangents[units - 1, r] * curvature[i, r]
                if itself:
                    moved[units - 1, r] += own[k, r]
            _backward_along(widths, activation, X[i], params, values, deltas, pulls, directions[k], tangents, moved, along[k])


# --- one point ------------------------------------------------------------------------------------------------------------


@inner
def _forward(widths: Widths, activation: int, x: Array, params: Array, values: Array) -> None:
    first = below = here = 0  # rows: of this layer's parameters, of the values below, of its values
    for layer in range(1, len(widths)):
        n_in, n_out = widths[layer - 1], widths[layer]
        _copy(params, first + n_in * n_out, values, here, n_out)
        if layer == 1:
            _add_inputs(params, x, values, n_out)
        else:
            _add_layer(params, first, n_in, values, below, here, n_out)
        if layer + 1 < len(widths):
            _activate(activation, values[here : here + n_out])
        first, below, here = first + (n_in + 1) * n_out, here, here + n_out


@inner
def _forward_along(
    widths: Widths, activation: int, x: Array, params: Array, values: Array, direction: Array, tangents: Array
) -> None:
    first = below = here = 0
    for layer in range(1, len(widths)):
        n_in, n_out = widths[layer - 1], widths[layer]
        _copy(direction, first + n_in * n_out, tangents, here, n_out)
        if layer == 1:
            _add_inputs(direction, x, tangents, n_out)
        else:
            _add_layer_along(params, direction, first, n_in, values, tangents, below, here, n_out)
        if layer + 1 < len(widths):
            _times_slope(activation, values[here : here + n_out], tangents[here : here + n_out])
        first, below, here = first + (n_in + 1) * n_out, here, here + n_out


@inner
def _backward(
    widths: Widths, activation: int, x: Array, params: Array, values: Array, deltas: Array, pulls: Array, gradient: Array
) -> None:
    """From the delta of the output to all others; adds to the gradient."""
    first, here = len(params), len(values)
    for layer in range(len(widths) - 1, 0, -1):
        n_in, n_out = widths[layer - 1], widths[layer]
        first, here = first - (n_in + 1) * n_out, here - n_out
        _add_bias(gradient, first + n_in * n_out, deltas, here, n_out)
        if layer == 1:
            _add_inputs_outer(gradient, x, deltas, n_out)
        else:
            below = here - n_in
            _add_outer(gradient, first, n_in, values, below, deltas, here, n_out)
            _zero(pulls, below, n_in)
            _add_down(params, first, n_in, pulls, below, deltas, here, n_out)
            _copy(pulls, below, deltas, below, n_in)
            _times_slope(activation, values[below:here], deltas[below:here])


@inner
def _backward_along(
    widths: Widths,
    activation: int,
    x: Array,
    params: Array,
    values: Array,
    deltas: Array,
    pulls: Array,
    direction: Array,
    tangents: Array,
    moved: Array,
    along: Array,
) -> None:
    """The derivative of `_backward` along the direction; adds to that of the gradient."""
    first, here = len(params), len(values)
    for layer in range(len(widths) - 1, 0, -1):
        n_in, n_out = widths[layer - 1], widths[layer]
        first, here = first - (n_in + 1) * n_out, here - n_out
        _add_bias(along, first + n_in * n_out, moved, here, n_out)
        if layer == 1:
            _add_inputs_outer(along, x, moved, n_out)
        else:
            below = here - n_in
            _add_outer_along(along, first, n_in, values, tangents, below, deltas, moved, here, n_out)
            _zero(moved, below, n_in)
            _add_down_along(params, direction, first, n_in, below, deltas, moved, here, n_out)
            _times_slope(activation, values[below:here], moved[below:here])
            _add_bend(activation, values[below:here], tangents[below:here], pulls[below:here], moved[below:here])


# --- one layer: n_in units from row `below` (or the inputs x), n_out from row `here`, W from row `first` -----------------------


@inner
def _copy(a: Array, of: int, out: Array, to: int, rows: int) -> None:
    for j in range(rows):
        for r in range(a.shape[1]):
            out[to + j, r] = a[of + j, r]


@inner
def _zero(out: Array, of: int, rows: int) -> None:
    for j in range(rows):
        for r in range(out.shape[1]):
            out[of + j, r] = 0.0


@inner
def _step(params: Array, velocity: Array, gradient: Array, rate: float, momentum: float) -> None:
    for p in range(params.shape[0]):
        for r in range(params.shape[1]):
            velocity[p, r] = momentum * velocity[p, r] + gradient[p, r]
            params[p, r] -= rate * velocity[p, r]


@inner
def _any(a: Array) -> bool:
    some = False
    for r in range(len(a)):
        some |= a[r] != 0.0
    return some


@inner
def _add_inputs(params: Array, x: Array, z: Array, n_out: int) -> None:
    """z += W^T x: of the first layer."""
    for i in range(len(x)):
        for j in range(n_out):
            p = i * n_out + j
            for r in range(z.shape[1]):
                z[j, r] += params[p, r] * x[i]


@inner
def _add_layer(params: Array, first: int, n_in: int, values: Array, below: int, here: int, n_out: int) -> None:
    """z += W^T a."""
    for i in range(n_in):
        for j in range(n_out):
            p = first + i * n_out + j
            for r in range(values.shape[1]):
                values[here + j, r] += params[p, r] * values[below + i, r]


@inner
def _add_layer_along(
    params: Array, direction: Array, first: int, n_in: int, values: Array, tangents: Array, below: int, here: int, n_out: int
) -> None:
    """z' += W'^T a + W^T a', in one pass over the rows."""
    for i in range(n_in):
        for j in range(n_out):
            p = first + i * n_out + j
            for r in range(values.shape[1]):
                tangents[here + j, r] += direction[p, r] * values[below + i, r] + params[p, r] * tangents[below + i, r]


@inner
def _add_bias(gradient: Array, bias: int, delta: Array, here: int, n_out: int) -> None:
    """gradient += delta, of b."""
    for j in range(n_out):
        for r in range(delta.shape[1]):
            gradient[bias + j, r] += delta[here + j, r]


@inner
def _add_inputs_outer(gradient: Array, x: Array, delta: Array, n_out: int) -> None:
    """gradient += x delta^T: of the first layer."""
    for i in range(len(x)):
        for j in range(n_out):
            p = i * n_out + j
            for r in range(delta.shape[1]):
                gradient[p, r] += x[i] * delta[j, r]


@inner
def _add_outer(gradient: Array, first: int, n_in: int, a: Array, below: int, delta: Array, here: int, n_out: int) -> None:
    """gradient += a delta^T, of W."""
    for i in range(n_in):
        for j in range(n_out):
            p = first + i * n_out + j
            for r in range(delta.shape[1]):
                gradient[p, r] += a[below + i, r] * delta[here + j, r]


@inner
def _add_outer_along(
    along: Array,
    first: int,
    n_in: int,
    values: Array,
    tangents: Array,
    below: int,
    deltas: Array,
    moved: Array,
    here: int,
    n_out: int,
) -> None:
    """gradient' += a delta'^T + a' delta^T."""
    for i in range(n_in):
        for j in range(n_out):
            p = first + i * n_out + j
            for r in range(values.shape[1]):
                along[p, r] += values[below + i, r] * moved[here + j, r] + tangents[below + i, r] * deltas[here + j, r]


@inner
def _add_down(params: Array, first: int, n_in: int, pull: Array, below: int, delta: Array, here: int, n_out: int) -> None:
    """pull += W delta."""
    for i in range(n_in):
        for j in range(n_out):
            p = first + i * n_out + j
            for r in range(delta.shape[1]):
                pull[below + i, r] += params[p, r] * delta[here + j, r]


@inner
def _add_down_along(
    params: Array, direction: Array, first: int, n_in: int, below: int, deltas: Array, moved: Array, here: int, n_out: int
) -> None:
    """pull' += W delta' + W' delta."""
    for i in range(n_in):
        for j in range(n_out):
            p = first + i * n_out + j
            for r in range(deltas.shape[1]):
                moved[below + i, r] += params[p, r] * moved[here + j, r] + direction[p, r] * deltas[here + j, r]


# --- activations and losses -----------------------------------------------------------------------------------------------


@inner
def _activate(activation: int, z: Array) -> None:
    """a = act(z) in place, for rows z."""
    a = z.reshape(-1)
    if activation == 0:
        for r in range(len(a)):
            power, rest = _exponential(2.0 * min(max(a[r], -20.0), 20.0))  # tanh 20 is 1 to the last bit
            minus_1 = power * rest + (power - 1.0)
            a[r] = minus_1 / (minus_1 + 2.0)
    elif activation == 1:
        for r in range(len(a)):
            power, rest = _exponential(max(-abs(a[r]), -700.0))
            a[r] = max(a[r], 0.0) + math.log1p(power * rest + power)
    elif activation == 2:
        for r in range(len(a)):
            a[r] = max(a[r], 0.0)


@inner
def _times_slope(activation: int, values: Array, out: Array) -> None:
    """out *= da/dz, written in the values a; rows."""
    a, flat = values.reshape(-1), out.reshape(-1)
    if activation == 0:
        for r in range(len(a)):
            flat[r] *= 1.0 - a[r] * a[r]
    elif activation == 1:
        for r in range(len(a)):
            power, rest = _exponential(max(-a[r], -700.0))
            flat[r] *= (1.0 - power) - power * rest
    elif activation == 2:
        for r in range(len(a)):
            flat[r] *= 1.0 if a[r] > 0.0 else 0.0


@inner
def _add_bend(activation: int, values: Array, tangents: Array, pulls: Array, out: Array) -> None:
    """out += pull d^2a/dz^2 dz, for tangents da/dz dz: with (d^2a/dz^2) / (da/dz) written in the values a; rows."""
    a, tangent, pull, flat = values.reshape(-1), tangents.reshape(-1), pulls.reshape(-1), out.reshape(-1)
    if activation == 0:
        for r in range(len(a)):
            flat[r] -= 2.0 * a[r] * tangent[r] * pull[r]
    elif activation == 1:
        for r in range(len(a)):
            power, rest = _exponential(max(-a[r], -700.0))
            flat[r] += (power * rest + power) * tangent[r] * pull[r]


@inner
def _loss_slope(loss: int, f: Array, y: float, out: Array) -> None:
    """out = dl/df."""
    if loss == 0:
        sign = 2.0 * y - 1.0
        for r in range(len(f)):
            power, rest = _exponential(min(max(sign * f[r], -700.0), 700.0))
            out[r] = -sign / (1.0 + (power * rest + power))
    else:
        for r in range(len(f)):
            out[r] = f[r] - y


@inner
def _exponential(x: float) -> tuple[float, float]:
    """exp x = 2^k (1 + rest) for |x| <= 700, as (2^k, rest) with |rest| < 0.42, correct to 2e-16 beside 1 and relative to itself.

    x = k log 2 + u, |u| <= log(2) / 2, and rest = u + u^2 (1/2! + u/3! + .. + u^11/13!), its terms summed in pairs (Estrin).
    """
    shifted = x * _PER_LOG_2 + _ROUND  # its last bits are the integer k
    k = shifted - _ROUND
    u = (x - k * _LOG_2_HIGH) - k * _LOG_2_LOW
    v = u * u
    w = v * v
    low = (_T[0] + _T[1] * u) + (_T[2] + _T[3] * u) * v
    middle = (_T[4] + _T[5] * u) + (_T[6] + _T[7] * u) * v
    high = (_T[8] + _T[9] * u) + (_T[10] + _T[11] * u) * v
    bits = (np.float64(shifted).view(np.int64) << np.int64(52)) + np.int64(1023 << 52)
    return np.int64(bits).view(np.float64), u + v * (low + w * (middle + w * high))


@inner
def _share(weights: Array, numbers: NDArray[np.integer], seeds: NDArray[np.int64], number: int, size: int, out: Array) -> bool:
    """out = w / size of the replicas that have the point in this batch, 0 of the others; is any of it not 0?"""
    for r in range(len(out)):
        out[r] = weights[r] / size if numbers[seeds[r]] == number else 0.0
    return _any(out)


_T = tuple(1.0 / math.factorial(k) for k in range(2, 14))
_ROUND = 1.5 * 2.0**52
_PER_LOG_2 = 1.0 / math.log(2.0)
_LOG_2_HIGH = float.fromhex("0x1.62e42feep-1")  # 32 bits of log 2, so that k times it is exact
_LOG_2_LOW = float.fromhex("0x1.a39ef35793c76p-33")
