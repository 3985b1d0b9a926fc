"""Define compiled loops for a small network, its derivatives and its training, for many replicas at once.

Arrays are in C order, and replicas are their last axis: row p of parameters (P, R) is parameter p of all R replicas. Each layer
has W (in, out) in row-major order, then b (out). The loops visit one point after the other. The arrays of the current point
(`Rows`) have one row per unit, first the hidden layers in order and then the C outputs f. phi is the point's term of the
objective, a function of f. These few rows stay in the fastest cache. Every replica goes through the same operations in the same
order, whichever other replicas are computed with it.

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
    "OPTIMIZERS",
    "READOUTS",
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
    "readouts",
    "slopes",
    "softmax",
]

Widths = NDArray[np.int64]
"""The widths of the layers, (d, h_1, .., C)."""

Codes = NDArray[np.uint64]
"""Hashes of activation patterns, one per replica; equal patterns have equal hashes, others do with probability 2^-64."""


class Rows(NamedTuple):
    """The arrays (units, R) of one point; the next point overwrites them.

    `extra` has rows only for gelu: da/dz, then d^2a/dz^2, then the derivative of da/dz along the direction, (3 units, R). The
    derivatives of the other activations are expressed by the values.
    """

    values: Array  # a = act(z) of the hidden units, and f
    deltas: Array  # d phi / d z
    pulls: Array  # d phi / d a
    tangents: Array  # the derivatives of the values along a direction in the parameters
    moved: Array  # the derivatives of the deltas along the direction
    extra: Array


Blocks = tuple[Rows, Rows, Rows, Rows]
"""The arrays of four points."""

ACTIVATIONS = ("tanh", "softplus", "relu", "identity", "gelu")
"""The activations; `_activate`, `_times_slope` and `_add_bend` use their positions. The derivative of relu at 0 is 0 here."""

_GELU = ACTIVATIONS.index("gelu")

LOSSES = ("logistic", "squared", "softmax")
"""The losses; `_loss_slope` and `_loss_curvature` use the positions of those of one output."""

_SOFTMAX = LOSSES.index("softmax")

OPTIMIZERS = ("sgd", "adam", "adamw")
"""The optimisers; the last two take the same steps, and differ in what `Job.l2` and `Job.decay` are."""

_SGD = OPTIMIZERS.index("sgd")

READOUTS = ("logit", "margin", "log_probability")
"""What a query asks of its outputs f (C,), for its class c: f_c, f_c - log sum_{k != c} exp f_k, or f_c - log sum_k exp f_k."""

_LOGIT, _MARGIN = READOUTS.index("logit"), READOUTS.index("margin")


@compiled
def evaluate(
    widths: Widths, activation: int, X: Array, params: Array, f: Array, seeds: Array, values: Array, deltas: Array
) -> None:
    """Compute f (n, C, R) at inputs X (n, d), and values and deltas (n, units, R) unless these have no rows.

    The deltas are those of phi with d phi / d f = seeds (n, C, R).
    """
    rows, gradient, top = _rows(widths, activation, params), np.empty(params.shape), widths[1:-1].sum()
    for i in range(len(X)):
        _forward(widths, activation, X[i], params, rows.values, rows.extra)
        _copy(rows.values, top, f[i], 0, widths[-1])
        if len(values):
            _copy(seeds[i], 0, rows.deltas, top, widths[-1])
            _backward(widths, activation, X[i], params, rows.values, rows.deltas, rows.pulls, rows.extra, gradient)
            _copy(rows.values, 0, values[i], 0, len(rows.values))
            _copy(rows.deltas, 0, deltas[i], 0, len(rows.values))


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
def softmax(f: Array, y: Array, slope: Array, curvature: Array) -> None:
    """Write dl/df into slope (n, C, R), and the other arrays of `_softmax` into curvature (n, C + 2, R), for f (n, C, R)."""
    for i in range(len(f)):
        _softmax(f[i], 0, int(y[i]), slope[i], curvature[i])


@compiled
def readouts(readout: int, f: Array, classes: NDArray[np.int64], out: Array, slope: Array) -> None:
    """Write what the queries ask into out (n, R), and its derivative in f into slope (n, C, R), for f (n, C, R)."""
    for i in range(len(f)):
        _read(readout, f[i], classes[i], out[i], slope[i])


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

    phi_i' = slope (n, C, R). phi_i'' = curvature (n, 1, R) for one output; `_bend_loss` says what it is for more.
    """
    rows, none = _rows(widths, activation, params), np.empty((0, 0))
    df, top = np.empty((len(directions) * widths[-1], params.shape[1])), widths[1:-1].sum()
    _zero(gradient, 0, len(gradient))
    for k in range(len(directions)):
        _zero(along[k], 0, len(gradient))
    for i in range(len(X)):
        _forward(widths, activation, X[i], params, rows.values, rows.extra)
        _copy(slope[i], 0, rows.deltas, top, widths[-1])
        _backward(widths, activation, X[i], params, rows.values, rows.deltas, rows.pulls, rows.extra, gradient)
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
    l2: float  # of the penalty, which is part of the gradient
    decay: float  # theta shrinks by rate * decay in every step, beside what the gradient does
    optimizer: int
    momentum: float
    betas: tuple[float, float]
    eps: float


@compiled
def descend(job: Job, rates: Array, first: int, params: Array, memory: Array, trail: Array, codes: Codes) -> None:
    """Do steps first, first + 1, .. with these rates, on parameters (P, R) and the optimiser's memory in place.

    The memory is the velocity (P, R) of sgd, or the first and the second moments (2 P, R) of adam and adamw. If `trail` has rows,
    trail[k] gets what `pull` needs of step first + k: the parameters before it (P, R); for adam and adamw then the gradient and
    the memory after it, (4 P, R). If `codes` (R,) has entries, the hash of the activation pattern is updated: which hidden units
    were on, step by step, for every point that took part.
    """
    P, R, widths = len(params), params.shape[1], job.widths
    blocks = (
        _rows(widths, job.activation, params),
        _rows(widths, job.activation, params),
        _rows(widths, job.activation, params),
        _rows(widths, job.activation, params),
    )
    values, deltas, pulls, _, _, extra = blocks[0]
    wide, top, none = P * R > _WIDE, widths[1:-1].sum(), np.empty((0, 0))
    points, shares, share = np.empty(len(blocks), np.int64), np.empty((len(blocks), R)), np.empty(R)
    gradient, slope = np.empty((P, R)), np.empty((widths[-1], R))
    for k in range(len(rates)):
        if len(trail):
            _copy(params, 0, trail[k], 0, P)
        _scale(params, job.l2, gradient)
        count = 0
        for i in range(len(job.X)):
            _share(job, first + k, i, share)
            for r in range(R):
                share[r] *= job.weights[i, r]
            if _any(share):
                if wide:
                    points[count] = i
                    for r in range(R):
                        shares[count, r] = share[r]
                    count += 1
                    if count == len(blocks):
                        _add_four_points(job, points, shares, params, blocks, slope, codes, gradient)
                        count = 0
                    continue
                _forward(widths, job.activation, job.X[i], params, values, extra)
                if len(codes):
                    _add_pattern(values, top, share, codes)
                _loss(job.loss, values, job.y[i], slope, none)
                for c in range(len(slope)):
                    for r in range(R):
                        deltas[top + c, r] = slope[c, r] * share[r]
                _backward(widths, job.activation, job.X[i], params, values, deltas, pulls, extra, gradient)
        for b in range(count):
            i, rows = int(points[b]), blocks[b]
            _first_layer(widths, job.X[i], params, rows.values)
            _fill(job, i, shares[b], params, rows, slope, codes)
            _add_gradient(widths, job.X[i], rows.values, rows.deltas, gradient)
        if job.optimizer == _SGD:
            _step(params, memory, gradient, rates[k], job.momentum)
        else:
            _adam(job, first + k, rates[k], params, memory, gradient)
            if len(trail):
                _copy(gradient, 0, trail[k], P, P)
                _copy(memory, 0, trail[k], 2 * P, 2 * P)


@inner
def _add_four_points(
    job: Job,
    points: NDArray[np.int64],
    shares: Array,
    params: Array,
    blocks: Blocks,
    slope: Array,
    codes: Codes,
    gradient: Array,
) -> None:
    """Add the terms of four points, with their shares (4, R), to the gradient: what one after the other does, in fewer passes."""
    _first_layers(job.widths, job.X, points, params, blocks)
    for b in range(len(blocks)):
        _fill(job, int(points[b]), shares[b], params, blocks[b], slope, codes)
    _add_gradients(job.widths, job.X, points, blocks, gradient)


@inner
def _fill(job: Job, i: int, share: Array, params: Array, rows: Rows, slope: Array, codes: Codes) -> None:
    """Compute the values and deltas of point i from what the first layer passes on, and update the hashes of the pattern."""
    top = len(rows.values) - len(slope)
    _later_layers(job.widths, job.activation, params, rows.values, rows.extra)
    if len(codes):
        _add_pattern(rows.values, top, share, codes)
    _loss(job.loss, rows.values, job.y[i], slope, slope[:0])
    for c in range(len(slope)):
        for r in range(len(share)):
            rows.deltas[top + c, r] = slope[c, r] * share[r]
    _down(job.widths, job.activation, params, rows.values, rows.deltas, rows.pulls, rows.extra)


@compiled
def patterns(widths: Widths, activation: int, X: Array, params: Array, codes: Codes) -> None:
    """Update the hashes (R,) by the activation pattern at inputs X (n, d) for parameters (P, R)."""
    rows, ones = _rows(widths, activation, params), np.ones(params.shape[1])
    for i in range(len(X)):
        _forward(widths, activation, X[i], params, rows.values, rows.extra)
        _add_pattern(rows.values, len(rows.values) - widths[-1], ones, codes)


@compiled
def push(
    job: Job, rates: Array, first: int, params: Array, memory: Array, tangents: Array, memories: Array, of_weights: int
) -> None:
    """Do the steps of `descend`, and update the derivatives of parameters and memory along K directions in place.

    They have shapes (K, P, R) and (K, P or 2 P, R). The first `of_weights` directions are the weights of the first points:
    direction i is d / d w_i.
    """
    work, rows = _work(job, params), _rows(job.widths, job.activation, params)
    along, df = np.empty(tangents.shape), np.empty((len(tangents) * job.widths[-1], params.shape[1]))
    for k in range(len(rates)):
        _scale(params, job.l2, work.gradient)
        for d in range(len(tangents)):
            _scale(tangents[d], job.l2, along[d])
        for i in range(len(job.X)):
            _share(job, first + k, i, work.share)
            _visit(job, i, i if i < of_weights else -1, params, tangents, work, rows, along, df)
        if job.optimizer == _SGD:
            for d in range(len(tangents)):
                _step(tangents[d], memories[d], along[d], rates[k], job.momentum)
            _step(params, memory, work.gradient, rates[k], job.momentum)
        else:
            _adam(job, first + k, rates[k], params, memory, work.gradient)
            _adam_slopes(job, first + k, memory, 0, work.size, work.turn)
            for d in range(len(tangents)):
                _adam_along(job, first + k, rates[k], tangents[d], memories[d], along[d], work)


@compiled
def pull(job: Job, rates: Array, first: int, trail: Array, adjoint: Array, memories: Array, result: Array) -> None:
    """Go through the steps of `descend` backwards, from the last to step `first`, and update the adjoints in place.

    `trail` is what `descend` wrote. `adjoint` (K, P, R) and `memories` (K, P or 2 P, R) are the adjoints of K functions in the
    parameters and the memory. The functions' derivatives in the weights are added to result (K, N, R).
    """
    P, R = adjoint.shape[1], adjoint.shape[2]
    work, rows = _work(job, adjoint[0]), _rows(job.widths, job.activation, adjoint[0])
    df, adaptive = np.empty((len(adjoint) * job.widths[-1], R)), job.optimizer != _SGD
    directions = np.empty(adjoint.shape) if adaptive else memories  # the adjoints of the gradient, up to a factor for sgd
    for k in range(len(rates) - 1, -1, -1):
        params = trail[k][:P]
        if adaptive:
            _adam_slopes(job, first + k, trail[k], 2 * P, work.size, work.turn)
        for d in range(len(adjoint)):
            if adaptive:
                _adam_back(job, first + k, rates[k], adjoint[d], memories[d], trail[k], directions[d], work)
            else:
                for p in range(P):
                    for r in range(R):
                        memories[d, p, r] = job.momentum * memories[d, p, r] - rates[k] * adjoint[d, p, r]
            for p in range(P):
                for r in range(R):
                    adjoint[d, p, r] += job.l2 * directions[d, p, r]
        for i in range(len(job.X)):
            _share(job, first + k, i, work.share)
            if _any(work.share):
                _visit(job, i, len(adjoint), params, directions, work, rows, adjoint, df)
                for d in range(len(adjoint)):
                    for c in range(len(work.slope)):
                        row = d * len(work.slope) + c
                        for r in range(R):
                            result[d, i, r] += df[row, r] * work.slope[c, r]


class _Work(NamedTuple):
    """The arrays of the current step and point in `push` and `pull`."""

    gradient: Array  # (P, R)
    share: Array  # (R,)
    slope: Array  # (C, R)
    curvature: Array  # (1 or C + 2, R)
    size: Array  # (P, R) for adam and adamw, otherwise no rows
    turn: Array  # likewise


@inner
def _work(job: Job, params: Array) -> _Work:
    R, outputs = params.shape[1], job.widths[-1]
    moments = 0 if job.optimizer == _SGD else len(params)
    return _Work(
        np.empty(params.shape),
        np.empty(R),
        np.empty((outputs, R)),
        np.empty((outputs + 2 if job.loss == _SOFTMAX else 1, R)),
        np.empty((moments, R)),
        np.empty((moments, R)),
    )


@inner
def _visit(
    job: Job, i: int, own: int, params: Array, directions: Array, work: _Work, rows: Rows, along: Array, df: Array
) -> None:
    """Add the terms of point i to the gradient and to `along`, its derivatives; write share times dl/df into work.slope.

    `own` is the number of the direction that also moves the weight of point i, or -1 if there is none; then a point of weight 0
    is skipped. A number beyond the last direction means that there is none, but that df is needed at every point.
    """
    share, slope, curvature, last = work.share, work.slope, work.curvature, len(work.curvature) - 1
    values, deltas, pulls, _, _, extra = rows
    top = len(values) - len(slope)
    if own < 0:
        for r in range(len(share)):
            curvature[0, r] = share[r] * job.weights[i, r]
        if not _any(curvature[0]):
            return
    _forward(job.widths, job.activation, job.X[i], params, values, extra)
    _loss(job.loss, values, job.y[i], slope, curvature)
    scaled = 0 if last == 0 else last - 1
    for r in range(len(share)):
        curvature[scaled, r] *= share[r] * job.weights[i, r]
    for c in range(len(slope)):
        for r in range(len(share)):
            slope[c, r] *= share[r]
            deltas[top + c, r] = slope[c, r] * job.weights[i, r]
    _backward(job.widths, job.activation, job.X[i], params, values, deltas, pulls, extra, work.gradient)
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


# Adam at step t = 0, 1, .., with m and v the moments after it and g the gradient (Kingma & Ba 2015):
#
#     m = beta_1 m + (1 - beta_1) g,   v = beta_2 v + (1 - beta_2) g^2,   s = sqrt(v / (1 - beta_2^(t+1))),
#     theta = (1 - rate decay) theta - rate / (1 - beta_1^(t+1)) m / (s + eps).
#
# `size` is 1 / (s + eps), the derivative of m / (s + eps) in m, and `turn` is that in v. Where v = 0, all gradients so far were 0
# and m = 0: there m / (s + eps) has the derivative dm / eps along every direction, because s moves by O(h) and m s by O(h^2).


@inner
def _adam(job: Job, t: int, rate: float, params: Array, memory: Array, gradient: Array) -> None:
    """Do one step of adam on parameters and moments in place."""
    P, (beta, gamma) = len(params), job.betas
    step, shrink, share = rate / (1.0 - beta ** (t + 1)), 1.0 - rate * job.decay, 1.0 / math.sqrt(1.0 - gamma ** (t + 1))
    for p in range(P):
        q = P + p
        for r in range(params.shape[1]):
            g = gradient[p, r]
            m, v = beta * memory[p, r] + (1.0 - beta) * g, gamma * memory[q, r] + (1.0 - gamma) * g * g
            memory[p, r], memory[q, r] = m, v
            params[p, r] = shrink * params[p, r] - step * m / (math.sqrt(v) * share + job.eps)


@inner
def _adam_slopes(job: Job, t: int, memory: Array, first: int, size: Array, turn: Array) -> None:
    """Write `size` and `turn` after step t, for the moments in the rows of `memory` from row `first`."""
    share = 1.0 / math.sqrt(1.0 - job.betas[1] ** (t + 1))
    for p in range(len(size)):
        m, v = first + p, first + len(size) + p
        for r in range(size.shape[1]):
            root = math.sqrt(memory[v, r])
            part = 1.0 / (root * share + job.eps)
            size[p, r] = part
            turn[p, r] = -0.5 * share * memory[m, r] * part * part / root if root > 0.0 else 0.0


@inner
def _adam_along(job: Job, t: int, rate: float, tangents: Array, memories: Array, along: Array, work: _Work) -> None:
    """Do the derivative of `_adam` along a direction, where `along` is that of the gradient."""
    P, (beta, gamma), gradient, size, turn = len(tangents), job.betas, work.gradient, work.size, work.turn
    step, shrink = rate / (1.0 - beta ** (t + 1)), 1.0 - rate * job.decay
    for p in range(P):
        q = P + p
        for r in range(tangents.shape[1]):
            m = beta * memories[p, r] + (1.0 - beta) * along[p, r]
            v = gamma * memories[q, r] + (1.0 - gamma) * 2.0 * gradient[p, r] * along[p, r]
            memories[p, r], memories[q, r] = m, v
            tangents[p, r] = shrink * tangents[p, r] - step * (m * size[p, r] + v * turn[p, r])


@inner
def _adam_back(
    job: Job, t: int, rate: float, adjoint: Array, memories: Array, trail: Array, direction: Array, work: _Work
) -> None:
    """Do the transpose of `_adam_along`: update the adjoints, and write that of the gradient into `direction`."""
    P, (beta, gamma), size, turn = len(adjoint), job.betas, work.size, work.turn
    step, shrink = rate / (1.0 - beta ** (t + 1)), 1.0 - rate * job.decay
    for p in range(P):
        q = P + p
        for r in range(adjoint.shape[1]):
            m, v = memories[p, r] - step * adjoint[p, r] * size[p, r], memories[q, r] - step * adjoint[p, r] * turn[p, r]
            direction[p, r] = (1.0 - beta) * m + (1.0 - gamma) * 2.0 * trail[q, r] * v
            memories[p, r], memories[q, r] = beta * m, gamma * v
            adjoint[p, r] *= shrink


# --- one point ------------------------------------------------------------------------------------------------------------


@inner
def _forward(widths: Widths, activation: int, x: Array, params: Array, values: Array, extra: Array) -> None:
    """Compute the values of all units from the inputs x of one point."""
    _first_layer(widths, x, params, values)
    _later_layers(widths, activation, params, values, extra)


@inner
def _first_layer(widths: Widths, x: Array, params: Array, values: Array) -> None:
    """Compute what the first layer passes on, before its activation."""
    _copy(params, widths[0] * widths[1], values, 0, widths[1])
    _add_inputs(params, x, values, widths[1])


@inner
def _first_layers(widths: Widths, X: Array, points: NDArray[np.int64], params: Array, blocks: Blocks) -> None:
    """Do `_first_layer` for four points, in two passes over the parameters."""
    n_in, n_out = widths[0], widths[1]
    for b in range(0, len(blocks), 2):
        one, two = blocks[b].values, blocks[b + 1].values
        _copy(params, n_in * n_out, one, 0, n_out)
        _copy(params, n_in * n_out, two, 0, n_out)
        _add_inputs_of_two(params, X[points[b]], X[points[b + 1]], one, two, n_out)


@inner
def _later_layers(widths: Widths, activation: int, params: Array, values: Array, extra: Array) -> None:
    """Compute the values of all units from what the first layer passes on."""
    first = below = here = 0  # first rows of this layer's parameters, of the values below it, and of its own values
    for layer in range(1, len(widths)):
        n_in, n_out = widths[layer - 1], widths[layer]
        if layer > 1:
            _copy(params, first + n_in * n_out, values, here, n_out)
            _add_layer(params, first, n_in, values, below, here, n_out)
        if layer + 1 < len(widths):
            if activation == _GELU:
                _gelu(values, extra, here, n_out)
            else:
                _activate(activation, values[here : here + n_out])
        first, below, here = first + (n_in + 1) * n_out, here, here + n_out


@inner
def _forward_along(widths: Widths, activation: int, x: Array, params: Array, rows: Rows, direction: Array) -> None:
    """Compute the derivative of `_forward` along the direction."""
    values, tangents = rows.values, rows.tangents
    first = below = here = 0
    for layer in range(1, len(widths)):
        n_in, n_out = widths[layer - 1], widths[layer]
        _copy(direction, first + n_in * n_out, tangents, here, n_out)
        if layer == 1:
            _add_inputs(direction, x, tangents, n_out)
        else:
            _add_layer_along(params, direction, first, n_in, values, tangents, below, here, n_out)
        if layer + 1 < len(widths):
            if activation == _GELU:
                units = len(values)
                _copy(tangents, here, rows.extra, 2 * units + here, n_out)
                _multiply(rows.extra, units + here, rows.extra, 2 * units + here, n_out)
                _multiply(rows.extra, here, tangents, here, n_out)
            else:
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
    """Add the derivatives of the point's gradient along K directions to `along` (K, P, R), and write those of f into df (K C, R).

    It must follow `_backward` with the outputs' deltas = phi'. phi'' is given by `curvature`, as in `_bend_loss`. Direction `own`
    also changes phi' itself, by change (C, R).
    """
    outputs = widths[-1]
    top = len(rows.moved) - outputs
    for k in range(len(directions)):
        _forward_along(widths, activation, x, params, rows, directions[k])
        _copy(rows.tangents, top, df, k * outputs, outputs)
        _bend_loss(curvature, df, k * outputs, rows.moved, top)
        if k == own:
            for c in range(outputs):
                for r in range(df.shape[1]):
                    rows.moved[top + c, r] += change[c, r]
        _backward_along(widths, activation, x, params, rows, directions[k], along[k])


@inner
def _backward(
    widths: Widths,
    activation: int,
    x: Array,
    params: Array,
    values: Array,
    deltas: Array,
    pulls: Array,
    extra: Array,
    gradient: Array,
) -> None:
    """Compute all other deltas from those of the outputs, and add the point's term to the gradient."""
    _down(widths, activation, params, values, deltas, pulls, extra)
    _add_gradient(widths, x, values, deltas, gradient)


@inner
def _down(widths: Widths, activation: int, params: Array, values: Array, deltas: Array, pulls: Array, extra: Array) -> None:
    """Compute all other deltas from those of the outputs."""
    first, here = len(params), len(values)
    for layer in range(len(widths) - 1, 1, -1):
        n_in, n_out = widths[layer - 1], widths[layer]
        first, here = first - (n_in + 1) * n_out, here - n_out
        below = here - n_in
        _zero(pulls, below, n_in)
        _add_down(params, first, n_in, pulls, below, deltas, here, n_out)
        _copy(pulls, below, deltas, below, n_in)
        if activation == _GELU:
            _multiply(extra, below, deltas, below, n_in)
        else:
            _times_slope(activation, values[below:here], deltas[below:here])


@inner
def _add_gradient(widths: Widths, x: Array, values: Array, deltas: Array, gradient: Array) -> None:
    """Add the point's term to the gradient, from its values and deltas."""
    first = below = here = 0
    for layer in range(1, len(widths)):
        n_in, n_out = widths[layer - 1], widths[layer]
        _add_bias(gradient, first + n_in * n_out, deltas, here, n_out)
        if layer == 1:
            _add_inputs_outer(gradient, x, deltas, n_out)
        else:
            _add_outer(gradient, first, n_in, values, below, deltas, here, n_out)
        first, below, here = first + (n_in + 1) * n_out, here, here + n_out


@inner
def _add_gradients(widths: Widths, X: Array, points: NDArray[np.int64], blocks: Blocks, gradient: Array) -> None:
    """Do `_add_gradient` for four points, one after the other, in one pass."""
    first = below = here = 0
    for layer in range(1, len(widths)):
        n_in, n_out = widths[layer - 1], widths[layer]
        for block in blocks:
            _add_bias(gradient, first + n_in * n_out, block.deltas, here, n_out)
        if layer == 1:
            _add_inputs_outers(gradient, X, points, blocks, n_out)
        else:
            _add_outers(gradient, first, n_in, blocks, below, here, n_out)
        first, below, here = first + (n_in + 1) * n_out, here, here + n_out


@inner
def _backward_along(widths: Widths, activation: int, x: Array, params: Array, rows: Rows, direction: Array, along: Array) -> None:
    """Compute the derivative of `_backward` along the direction, and add it to `along`."""
    values, deltas, tangents, moved = rows.values, rows.deltas, rows.tangents, rows.moved
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
            if activation == _GELU:
                _multiply(rows.extra, below, moved, below, n_in)
                _add_product(rows.extra, 2 * len(values) + below, rows.pulls, moved, below, n_in)
            else:
                _times_slope(activation, values[below:here], moved[below:here])
                _add_bend(activation, values[below:here], tangents[below:here], rows.pulls[below:here], moved[below:here])


# --- one layer: n_in units from row `below` (or the inputs x), n_out from row `here`, W from row `first` -----------------------


@inner
def _rows(widths: Widths, activation: int, params: Array) -> Rows:
    shape = (widths[1:].sum(), params.shape[1])
    more = (3 * shape[0] if activation == _GELU else 0, shape[1])
    return Rows(
        np.empty(shape),
        np.empty(shape),
        np.empty(shape),
        np.empty(shape),
        np.empty(shape),
        np.empty(more),
    )


@inner
def _add_pattern(values: Array, hidden: int, share: Array, codes: Codes) -> None:
    """Update the hashes by which hidden units are on; a replica without a share in the point counts as all off."""
    for j in range(hidden):
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
def _multiply(factor: Array, of: int, out: Array, to: int, rows: int) -> None:
    for j in range(rows):
        for r in range(out.shape[1]):
            out[to + j, r] *= factor[of + j, r]


@inner
def _add_product(a: Array, of: int, b: Array, out: Array, here: int, rows: int) -> None:
    for j in range(rows):
        for r in range(out.shape[1]):
            out[here + j, r] += a[of + j, r] * b[here + j, r]


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
def _add_inputs_of_two(params: Array, x: Array, y: Array, z: Array, w: Array, n_out: int) -> None:
    """Add W^T x to z and W^T y to w, for the first layer of two points, two inputs in one pass."""
    pairs = len(x) - len(x) % 2
    for i in range(0, pairs, 2):
        x_0, x_1, y_0, y_1 = x[i], x[i + 1], y[i], y[i + 1]
        for j in range(n_out):
            p = i * n_out + j
            q = p + n_out
            for r in range(z.shape[1]):
                z[j, r] = z[j, r] + params[p, r] * x_0 + params[q, r] * x_1
                w[j, r] = w[j, r] + params[p, r] * y_0 + params[q, r] * y_1
    for i in range(pairs, len(x)):
        for j in range(n_out):
            p = i * n_out + j
            for r in range(z.shape[1]):
                z[j, r] += params[p, r] * x[i]
                w[j, r] += params[p, r] * y[i]


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
def _add_inputs_outers(gradient: Array, X: Array, points: NDArray[np.int64], blocks: Blocks, n_out: int) -> None:
    """Do `_add_inputs_outer` for four points, one after the other, in one pass."""
    a, b, c, d = blocks[0].deltas, blocks[1].deltas, blocks[2].deltas, blocks[3].deltas
    for i in range(X.shape[1]):
        x_0, x_1, x_2, x_3 = X[points[0], i], X[points[1], i], X[points[2], i], X[points[3], i]
        for j in range(n_out):
            p = i * n_out + j
            for r in range(gradient.shape[1]):
                gradient[p, r] = gradient[p, r] + x_0 * a[j, r] + x_1 * b[j, r] + x_2 * c[j, r] + x_3 * d[j, r]


@inner
def _add_outers(gradient: Array, first: int, n_in: int, blocks: Blocks, below: int, here: int, n_out: int) -> None:
    """Do `_add_outer` for four points, one after the other, in one pass."""
    a, b, c, d = blocks[0].deltas, blocks[1].deltas, blocks[2].deltas, blocks[3].deltas
    u, v, w, x = blocks[0].values, blocks[1].values, blocks[2].values, blocks[3].values
    for i in range(n_in):
        k = below + i
        for j in range(n_out):
            p, m = first + i * n_out + j, here + j
            for r in range(gradient.shape[1]):
                half = gradient[p, r] + u[k, r] * a[m, r] + v[k, r] * b[m, r]
                gradient[p, r] = half + w[k, r] * c[m, r] + x[k, r] * d[m, r]


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
def _gelu(values: Array, extra: Array, here: int, rows: int) -> None:
    """Replace the rows z by a = z Phi(z), Phi the normal distribution, and write da/dz and d^2a/dz^2 into `extra`."""
    for j in range(here, here + rows):
        second = len(values) + j
        for r in range(values.shape[1]):
            z = min(max(values[j, r], -40.0), 40.0)  # beyond, Phi is 0 or 1 to the last bit
            power, rest = _exponential(max(-0.5 * z * z, -700.0))
            density, below = (power * rest + power) * _PER_ROOT_2_PI, 0.5 * math.erfc(-z * _ROOT_HALF)
            values[j, r] = max(values[j, r], -40.0) * below
            extra[j, r] = below + z * density
            extra[second, r] = (2.0 - z * z) * density


@inner
def _loss(loss: int, values: Array, y: float, slope: Array, curvature: Array) -> None:
    """Write dl/df into slope (C, R) for the outputs in the last rows, and phi'' as in `_bend_loss` if `curvature` has rows."""
    top = len(values) - len(slope)
    if loss == _SOFTMAX:
        _softmax(values, top, int(y), slope, curvature)
    else:
        _loss_slope(loss, values[top], y, slope[0])
        if len(curvature):
            _loss_curvature(loss, slope[0], curvature[0])


@inner
def _softmax(values: Array, top: int, label: int, slope: Array, curvature: Array) -> None:
    """Write dl/df = p - e_label into slope (C, R), and p and a row of ones into curvature (C + 2, R), if that has rows.

    l = -log p_label, and p_c = exp f_c / sum_k exp f_k. The label's own slope is -sum_{c != label} p_c, without cancellation.
    """
    outputs = len(slope)
    for r in range(slope.shape[1]):
        most, total, others = values[top, r], 0.0, 0.0
        for c in range(1, outputs):
            most = max(most, values[top + c, r])
        for c in range(outputs):
            power, rest = _exponential(max(values[top + c, r] - most, -700.0))
            term = power * rest + power
            slope[c, r] = term
            total += term
            others += 0.0 if c == label else term
        part = 1.0 / total
        if len(curvature):
            curvature[outputs, r] = 1.0
            for c in range(outputs):
                curvature[c, r] = slope[c, r] * part
        for c in range(outputs):
            slope[c, r] = -others * part if c == label else slope[c, r] * part


@inner
def _bend_loss(curvature: Array, df: Array, first: int, moved: Array, top: int) -> None:
    """Write phi'' df into the rows of `moved` from row `top`, for the outputs' tangents in the rows of df from row `first`.

    For one output phi'' is curvature (1, R). For C outputs of a softmax it is s (diag(p) - p p^T), with p and s in the rows of
    curvature (C + 2, R); the last row gets p . df.
    """
    if len(curvature) == 1:
        for r in range(df.shape[1]):
            moved[top, r] = df[first, r] * curvature[0, r]
        return
    outputs = len(curvature) - 2
    for r in range(df.shape[1]):
        curvature[outputs + 1, r] = 0.0
    for c in range(outputs):
        for r in range(df.shape[1]):
            curvature[outputs + 1, r] += curvature[c, r] * df[first + c, r]
    for c in range(outputs):
        for r in range(df.shape[1]):
            moved[top + c, r] = curvature[outputs, r] * (curvature[c, r] * (df[first + c, r] - curvature[outputs + 1, r]))


@inner
def _read(readout: int, f: Array, label: int, out: Array, slope: Array) -> None:
    """Write what a query of this class asks into out (R,), and its derivative in f (C, R) into slope (C, R)."""
    outputs = len(f)
    for r in range(len(out)):
        if readout == _LOGIT:
            out[r] = f[label, r]
            for c in range(outputs):
                slope[c, r] = 1.0 if c == label else 0.0
        else:
            other = 1 if label == 0 else 0
            most, total = f[other, r], 0.0
            for c in range(outputs):
                most = most if c == label else max(most, f[c, r])
            for c in range(outputs):
                power, rest = _exponential(min(max(f[c, r] - most, -700.0), 0.0))
                slope[c, r] = 0.0 if c == label else power * rest + power
                total += slope[c, r]
            margin = f[label, r] - (most + math.log(total))
            power, rest = _exponential(max(-abs(margin), -700.0))
            small = power * rest + power
            wrong = (small if margin > 0.0 else 1.0) / (1.0 + small)  # the probability of the other classes together
            factor = 1.0 if readout == _MARGIN else wrong
            out[r] = margin if readout == _MARGIN else min(margin, 0.0) - math.log1p(small)
            for c in range(outputs):
                slope[c, r] = factor if c == label else -factor * slope[c, r] / total


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


_WIDE = 2**14  # numbers of parameters times replicas beyond which it pays to visit four points in one pass
_MIX = np.uint64(0xBF58476D1CE4E5B9)  # an odd number, from the generator SplitMix64
_T = tuple(1.0 / math.factorial(k) for k in range(2, 14))
_ROUND = 1.5 * 2.0**52
_ROOT_HALF = math.sqrt(0.5)
_PER_ROOT_2_PI = 1.0 / math.sqrt(2.0 * math.pi)
_PER_LOG_2 = 1.0 / math.log(2.0)
_LOG_2_HIGH = float.fromhex("0x1.62e42feep-1")  # 32 bits of log 2, so that k times it is exact
_LOG_2_LOW = float.fromhex("0x1.a39ef35793c76p-33")
