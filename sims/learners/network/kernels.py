"""Define compiled loops for a small network, its derivatives and its training, for many replicas at once.

Arrays are in C order, and replicas are their last axis: row p of parameters (P, R) is parameter p of all R replicas. Each layer
has W (in, out) in row-major order, then b (out). The loops visit one point after the other. The arrays of the current point have
one row per unit, first the hidden layers in order and then the output:

    values    a = act(z) of the hidden units, and f
    tangents  the derivatives of the values along a direction in the parameters
    deltas    d phi / d z
    pulls     d phi / d a
    moved     the derivatives of the deltas along the direction

phi is the point's term of the objective, a function of f. These few rows stay in the fastest cache. Every replica goes through
the same operations in the same order, whichever other replicas are computed with it.

Functions get row numbers instead of slices, because making a slice costs more than the work on one row.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from theory.compiled import compiled, inner
from theory.response import Array

__all__ = [
    "ACTIVATIONS",
    "LOSSES",
    "Codes",
    "Job",
    "Widths",
    "curvatures",
    "descend",
    "evaluate",
    "patterns",
    "products",
    "pull",
    "push",
    "slopes",
]

Widths = NDArray[np.int64]
"""The widths of the layers, (d, h_1, .., 1)."""

Codes = NDArray[np.uint64]
"""Hashes of activation patterns, one per replica; equal patterns have equal hashes, others do with probability 2^-64."""

Rows = tuple[Array, Array, Array, Array, Array]
"""The values, deltas, pulls, tangents and moved of one point; the next point overwrites them."""

ACTIVATIONS = ("tanh", "softplus", "relu", "identity")
"""The activations; `_activate`, `_times_slope` and `_add_bend` use their positions. The derivative of relu at 0 is 0 here."""

LOSSES = ("logistic", "squared")
"""The losses; `_loss_slope` and `_loss_curvature` use their positions."""


@compiled
def evaluate(widths: Widths, activation: int, X: Array, params: Array, f: Array, values: Array, deltas: Array) -> None:
    """Compute f (n, R) at inputs X (n, d), and the values and deltas of phi = f (n, units, R) unless these have no rows."""
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
    """Write dl/df into out (n, R), for f (n, R) and targets y (n,)."""
    for i in range(len(f)):
        _loss_slope(loss, f[i], y[i], out[i])


@compiled
def curvatures(loss: int, slope: Array, out: Array) -> None:
    """Write d^2l/df^2 into out (n, R), for dl/df (n, R)."""
    for i in range(len(slope)):
        _loss_curvature(loss, slope[i], out[i])


@compiled
def products(
    widths: Widths,
    activation: int,
    X: Array,
    params: Array,
    slope: Array,
    curvature: Array,
    directions: Array,
    gradient: Array,
    along: Array,
) -> None:
    """Compute the gradient (P, R) of sum_i phi_i(f_i), and write its Hessian times K directions (K, P, R) into `along`.

    phi_i' = slope (n, R), and phi_i'' = curvature (n, R).
    """
    rows, df, none = _rows(widths, params), np.empty((len(directions), params.shape[1])), np.empty(0)
    values, deltas, pulls, _, _ = rows
    _zero(gradient, 0, len(gradient))
    for k in range(len(directions)):
        _zero(along[k], 0, len(gradient))
    for i in range(len(X)):
        _forward(widths, activation, X[i], params, values)
        _copy(slope, i, deltas, len(deltas) - 1, 1)
        _backward(widths, activation, X[i], params, values, deltas, pulls, gradient)
        _along(widths, activation, X[i], params, rows, curvature[i], -1, none, directions, along, df)


# --- training -------------------------------------------------------------------------------------------------------------


class Job(NamedTuple):
    """The training of R replicas on N points.

    Step t uses batch t mod K of epoch t // K, K = len(sizes). For replica r this batch contains the points i with
    numbers[epoch, i, seeds[r]] = t mod K; each has the factor w_i / sizes[t mod K]. After the last epoch comes the first.
    """

    widths: Widths
    activation: int
    loss: int
    X: Array  # (N, d)
    y: Array  # (N,)
    weights: Array  # (N, R)
    numbers: NDArray[np.integer]  # (epochs, N, S)
    seeds: NDArray[np.int64]  # (R,)
    sizes: NDArray[np.int64]  # (K,)
    momentum: float
    l2: float


@compiled
def descend(job: Job, rates: Array, first: int, params: Array, velocity: Array, trail: Array, codes: Codes) -> None:
    """Do steps first, first + 1, .. with these rates, on parameters and velocity (P, R) in place.

    The parameters before step first + k are written to trail[k] (P, R), if `trail` has rows. If `codes` (R,) has entries, the
    hash of the activation pattern is updated: which hidden units were on, step by step, for every point that took part.
    """
    values, deltas, pulls, _, _ = _rows(job.widths, params)
    gradient, share, slope = np.empty(params.shape), np.empty(params.shape[1]), np.empty(params.shape[1])
    for k in range(len(rates)):
        if len(trail):
            _copy(params, 0, trail[k], 0, len(params))
        _scale(params, job.l2, gradient)
        for i in range(len(job.X)):
            _share(job, first + k, i, share)
            for r in range(len(share)):
                share[r] *= job.weights[i, r]
            if _any(share):
                _forward(job.widths, job.activation, job.X[i], params, values)
                if len(codes):
                    _add_pattern(values, share, codes)
                _loss_slope(job.loss, values[len(values) - 1], job.y[i], slope)
                for r in range(len(share)):
                    deltas[len(deltas) - 1, r] = slope[r] * share[r]
                _backward(job.widths, job.activation, job.X[i], params, values, deltas, pulls, gradient)
        _step(params, velocity, gradient, rates[k], job.momentum)


@compiled
def patterns(widths: Widths, activation: int, X: Array, params: Array, codes: Codes) -> None:
    """Update the hashes (R,) by the activation pattern at inputs X (n, d) for parameters (P, R)."""
    values, ones = np.empty((widths[1:].sum(), params.shape[1])), np.ones(params.shape[1])
    for i in range(len(X)):
        _forward(widths, activation, X[i], params, values)
        _add_pattern(values, ones, codes)


@compiled
def push(
    job: Job, rates: Array, first: int, params: Array, velocity: Array, tangents: Array, speeds: Array, of_weights: int
) -> None:
    """Do the steps of `descend`, and update the derivatives of parameters and velocity along K directions (K, P, R) in place.

    The first `of_weights` directions are the weights of the first points: direction i is d / d w_i.
    """
    rows, R = _rows(job.widths, params), params.shape[1]
    gradient, along, df = np.empty(params.shape), np.empty(tangents.shape), np.empty((len(tangents), R))
    share, slope, curvature = np.empty(R), np.empty(R), np.empty(R)
    for k in range(len(rates)):
        _scale(params, job.l2, gradient)
        for d in range(len(tangents)):
            _scale(tangents[d], job.l2, along[d])
        for i in range(len(job.X)):
            _share(job, first + k, i, share)
            own = i if i < of_weights else -1
            _visit(job, i, own, params, tangents, share, slope, curvature, rows, gradient, along, df)
        for d in range(len(tangents)):
            _step(tangents[d], speeds[d], along[d], rates[k], job.momentum)
        _step(params, velocity, gradient, rates[k], job.momentum)


@compiled
def pull(job: Job, rates: Array, first: int, trail: Array, adjoint: Array, velocity: Array, result: Array) -> None:
    """Go through the steps of `descend` backwards, from the last to step `first`, and update the adjoints in place.

    trail[k] (P, R) holds the parameters before step first + k. `adjoint` and `velocity` (K, P, R) are the adjoints of K functions
    in the parameters and the velocity. The functions' derivatives in the weights are added to result (K, N, R).
    """
    rows, R = _rows(job.widths, trail[0]), trail.shape[2]
    gradient, df = np.empty(trail[0].shape), np.empty((len(adjoint), R))
    share, slope, curvature = np.empty(R), np.empty(R), np.empty(R)
    for k in range(len(rates) - 1, -1, -1):
        for d in range(len(adjoint)):
            for p in range(len(gradient)):
                for r in range(R):
                    velocity[d, p, r] = job.momentum * velocity[d, p, r] - rates[k] * adjoint[d, p, r]
                    adjoint[d, p, r] += job.l2 * velocity[d, p, r]
        for i in range(len(job.X)):
            _share(job, first + k, i, share)
            if _any(share):
                _visit(job, i, len(adjoint), trail[k], velocity, share, slope, curvature, rows, gradient, adjoint, df)
                for d in range(len(adjoint)):
                    for r in range(R):
                        result[d, i, r] += df[d, r] * slope[r]


@inner
def _visit(
    job: Job,
    i: int,
    own: int,
    params: Array,
    directions: Array,
    share: Array,
    slope: Array,
    curvature: Array,
    rows: Rows,
    gradient: Array,
    along: Array,
    df: Array,
) -> None:
    """Add the terms of point i to the gradient and to `along`, its derivatives; write share times dl/df into slope.

    `own` is the number of the direction that also moves the weight of point i, or -1 if there is none; then a point of weight 0
    is skipped. A number beyond the last direction means that there is none, but that df is needed at every point.
    """
    values, deltas, pulls, _, _ = rows
    if own < 0:
        for r in range(len(share)):
            curvature[r] = share[r] * job.weights[i, r]
        if not _any(curvature):
            return
    _forward(job.widths, job.activation, job.X[i], params, values)
    _loss_slope(job.loss, values[len(values) - 1], job.y[i], slope)
    _loss_curvature(job.loss, slope, curvature)
    for r in range(len(share)):
        slope[r] *= share[r]
        curvature[r] *= share[r] * job.weights[i, r]
        deltas[len(deltas) - 1, r] = slope[r] * job.weights[i, r]
    _backward(job.widths, job.activation, job.X[i], params, values, deltas, pulls, gradient)
    _along(job.widths, job.activation, job.X[i], params, rows, curvature, own, slope, directions, along, df)


@inner
def _share(job: Job, t: int, i: int, out: Array) -> None:
    """Write 1 / |batch| for the replicas that have point i in the batch of step t, and 0 for the others."""
    epoch, number = divmod(t, len(job.sizes))
    part, row = 1.0 / job.sizes[number], job.numbers[epoch % len(job.numbers), i]
    for r in range(len(out)):
        out[r] = part if row[job.seeds[r]] == number else 0.0


@inner
def _step(params: Array, velocity: Array, gradient: Array, rate: float, momentum: float) -> None:
    """Do one step with momentum on parameters and velocity in place."""
    for p in range(params.shape[0]):
        for r in range(params.shape[1]):
            velocity[p, r] = momentum * velocity[p, r] + gradient[p, r]
            params[p, r] -= rate * velocity[p, r]


# --- one point ------------------------------------------------------------------------------------------------------------


@inner
def _forward(widths: Widths, activation: int, x: Array, params: Array, values: Array) -> None:
    """Compute the values of all units from the inputs x of one point."""
    first = below = here = 0  # first rows of this layer's parameters, of the values below it, and of its own values
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
    """Compute the derivative of `_forward` along the direction."""
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
def _along(
    widths: Widths,
    activation: int,
    x: Array,
    params: Array,
    rows: Rows,
    curvature: Array,
    own: int,
    change: Array,
    directions: Array,
    along: Array,
    df: Array,
) -> None:
    """Add the derivatives of the point's gradient along K directions to `along` (K, P, R), and write those of f into df (K, R).

    It must follow `_backward` with the output's delta = phi'. phi'' = curvature (R,). Direction `own` also changes phi' itself,
    by change (R,).
    """
    values, deltas, pulls, tangents, moved = rows
    top = len(moved) - 1
    for k in range(len(directions)):
        _forward_along(widths, activation, x, params, values, directions[k], tangents)
        _copy(tangents, top, df, k, 1)
        for r in range(df.shape[1]):
            moved[top, r] = df[k, r] * curvature[r]
        if k == own:
            for r in range(df.shape[1]):
                moved[top, r] += change[r]
        _backward_along(widths, activation, x, params, values, deltas, pulls, directions[k], tangents, moved, along[k])


@inner
def _backward(
    widths: Widths, activation: int, x: Array, params: Array, values: Array, deltas: Array, pulls: Array, gradient: Array
) -> None:
    """Compute all other deltas from the delta of the output, and add the point's term to the gradient."""
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
    """Compute the derivative of `_backward` along the direction, and add it to `along`."""
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
def _rows(widths: Widths, params: Array) -> Rows:
    shape = (widths[1:].sum(), params.shape[1])
    return np.empty(shape), np.empty(shape), np.empty(shape), np.empty(shape), np.empty(shape)


@inner
def _add_pattern(values: Array, share: Array, codes: Codes) -> None:
    """Update the hashes by which hidden units are on; a replica without a share in the point counts as all off."""
    for j in range(len(values) - 1):
        for r in range(len(codes)):
            on = np.uint64(1 if values[j, r] > 0.0 and share[r] != 0.0 else 0)
            codes[r] = (codes[r] ^ (codes[r] >> np.uint64(29)) ^ on) * _MIX + np.uint64(1)


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
def _scale(a: Array, factor: float, out: Array) -> None:
    for j in range(a.shape[0]):
        for r in range(a.shape[1]):
            out[j, r] = factor * a[j, r]


@inner
def _any(a: Array) -> bool:
    some = False
    for r in range(len(a)):
        some |= a[r] != 0.0
    return some


@inner
def _add_inputs(params: Array, x: Array, z: Array, n_out: int) -> None:
    """Add W^T x to z, for the first layer."""
    for i in range(len(x)):
        for j in range(n_out):
            p = i * n_out + j
            for r in range(z.shape[1]):
                z[j, r] += params[p, r] * x[i]


@inner
def _add_layer(params: Array, first: int, n_in: int, values: Array, below: int, here: int, n_out: int) -> None:
    """Add W^T a to z."""
    for i in range(n_in):
        for j in range(n_out):
            p = first + i * n_out + j
            for r in range(values.shape[1]):
                values[here + j, r] += params[p, r] * values[below + i, r]


@inner
def _add_layer_along(
    params: Array, direction: Array, first: int, n_in: int, values: Array, tangents: Array, below: int, here: int, n_out: int
) -> None:
    """Add W'^T a + W^T a' to z', in one pass over the rows."""
    for i in range(n_in):
        for j in range(n_out):
            p = first + i * n_out + j
            for r in range(values.shape[1]):
                tangents[here + j, r] += direction[p, r] * values[below + i, r] + params[p, r] * tangents[below + i, r]


@inner
def _add_bias(gradient: Array, bias: int, delta: Array, here: int, n_out: int) -> None:
    """Add delta to the gradient in b."""
    for j in range(n_out):
        for r in range(delta.shape[1]):
            gradient[bias + j, r] += delta[here + j, r]


@inner
def _add_inputs_outer(gradient: Array, x: Array, delta: Array, n_out: int) -> None:
    """Add x delta^T to the gradient in W, for the first layer."""
    for i in range(len(x)):
        for j in range(n_out):
            p = i * n_out + j
            for r in range(delta.shape[1]):
                gradient[p, r] += x[i] * delta[j, r]


@inner
def _add_outer(gradient: Array, first: int, n_in: int, a: Array, below: int, delta: Array, here: int, n_out: int) -> None:
    """Add a delta^T to the gradient in W."""
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
    """Add a delta'^T + a' delta^T to the derivative of the gradient in W."""
    for i in range(n_in):
        for j in range(n_out):
            p = first + i * n_out + j
            for r in range(values.shape[1]):
                along[p, r] += values[below + i, r] * moved[here + j, r] + tangents[below + i, r] * deltas[here + j, r]


@inner
def _add_down(params: Array, first: int, n_in: int, pull: Array, below: int, delta: Array, here: int, n_out: int) -> None:
    """Add W delta to the pull."""
    for i in range(n_in):
        for j in range(n_out):
            p = first + i * n_out + j
            for r in range(delta.shape[1]):
                pull[below + i, r] += params[p, r] * delta[here + j, r]


@inner
def _add_down_along(
    params: Array, direction: Array, first: int, n_in: int, below: int, deltas: Array, moved: Array, here: int, n_out: int
) -> None:
    """Add W delta' + W' delta to the derivative of the pull."""
    for i in range(n_in):
        for j in range(n_out):
            p = first + i * n_out + j
            for r in range(deltas.shape[1]):
                moved[below + i, r] += params[p, r] * moved[here + j, r] + direction[p, r] * deltas[here + j, r]


# --- activations and losses -----------------------------------------------------------------------------------------------


@inner
def _activate(activation: int, z: Array) -> None:
    """Replace the rows z by a = act(z)."""
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
    """Multiply the rows `out` by da/dz, expressed by the values a."""
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
    """Add pull * d^2a/dz^2 * dz to the rows `out`, where the tangents are da/dz * dz.

    The factor (d^2a/dz^2) / (da/dz) is expressed by the values a.
    """
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
    """Write dl/df into out."""
    if loss == 0:
        sign = 2.0 * y - 1.0
        for r in range(len(f)):
            power, rest = _exponential(min(max(sign * f[r], -700.0), 700.0))
            out[r] = -sign / (1.0 + (power * rest + power))
    else:
        for r in range(len(f)):
            out[r] = f[r] - y


@inner
def _loss_curvature(loss: int, slope: Array, out: Array) -> None:
    """Write d^2l/df^2, expressed by dl/df, into out."""
    if loss == 0:
        for r in range(len(slope)):
            out[r] = abs(slope[r]) - slope[r] * slope[r]
    else:
        for r in range(len(slope)):
            out[r] = 1.0


@inner
def _exponential(x: float) -> tuple[float, float]:
    """Compute exp x = 2^k (1 + rest) for |x| <= 700; return (2^k, rest) with |rest| < 0.42.

    `rest` is correct to 2e-16, both absolutely and relative to itself. x = k log 2 + u with |u| <= log(2) / 2, and
    rest = u + u^2 (1/2! + u/3! + .. + u^11/13!), whose terms are summed in pairs (Estrin).
    """
    shifted = x * _PER_LOG_2 + _ROUND  # the last bits of this number are the integer k
    k = shifted - _ROUND
    u = (x - k * _LOG_2_HIGH) - k * _LOG_2_LOW
    v = u * u
    w = v * v
    low = (_T[0] + _T[1] * u) + (_T[2] + _T[3] * u) * v
    middle = (_T[4] + _T[5] * u) + (_T[6] + _T[7] * u) * v
    high = (_T[8] + _T[9] * u) + (_T[10] + _T[11] * u) * v
    bits = (np.float64(shifted).view(np.int64) << np.int64(52)) + np.int64(1023 << 52)
    return np.int64(bits).view(np.float64), u + v * (low + w * (middle + w * high))


_MIX = np.uint64(0xBF58476D1CE4E5B9)  # an odd number, from the generator SplitMix64
_T = tuple(1.0 / math.factorial(k) for k in range(2, 14))
_ROUND = 1.5 * 2.0**52
_PER_LOG_2 = 1.0 / math.log(2.0)
_LOG_2_HIGH = float.fromhex("0x1.62e42feep-1")  # 32 bits of log 2, so that k times it is exact
_LOG_2_LOW = float.fromhex("0x1.a39ef35793c76p-33")
