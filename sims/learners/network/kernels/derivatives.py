"""Differentiate the training exactly: tangents go forwards with its steps, adjoints go backwards through them."""

import numpy as np

from sims.learners.network.kernels.activations import Activation
from sims.learners.network.kernels.arrays import Widths, any_nonzero, scale
from sims.learners.network.kernels.losses import SOFTMAX, loss_of_point
from sims.learners.network.kernels.optimizers import SGD, adam_along, adam_back, adam_slopes, adam_step, sgd_step
from sims.learners.network.kernels.points import Rows, along_directions, backward, forward, make_rows
from sims.learners.network.kernels.training import Job, write_share
from theory.compiled import compiled, inner
from theory.response import Array

__all__ = ["pull", "push"]


@compiled
def push(
    job: Job,
    rates: Array,
    first: int,
    params: Array,
    memory: Array,
    tangents: Array,
    memories: Array,
    of_weights: int,
    lanes: Array,
) -> None:
    """Do the steps of `descend`, and update the derivatives of parameters and memory along K directions in place.

    They have shapes (K, P, R) and (K, P or 2 P, R). The first `of_weights` directions are the weights of the first points:
    direction i is d / d w_i. If `lanes` (N, R) has rows there is one direction, K = 1, along which the weights of replica r move
    by lanes[:, r].
    """
    P, R, widths, adaptive = len(params), params.shape[1], job.widths, job.rule.optimizer != SGD
    gradient, share, slope, curvature = _buffers(job.loss, widths, P, R)
    size, turn = np.empty((P if adaptive else 0, R)), np.empty((P if adaptive else 0, R))
    rows = make_rows(widths, job.activation, R)
    along, df = np.empty(tangents.shape), np.empty((len(tangents) * widths[-1], R))
    for k in range(len(rates)):
        scale(params, job.rule.l2, gradient)
        for d in range(len(tangents)):
            scale(tangents[d], job.rule.l2, along[d])
        for i in range(len(job.X)):
            write_share(job.numbers, job.seeds, job.sizes, first + k, i, share)
            own, moves = i if i < of_weights else -1, lanes[:0]
            if len(lanes):
                own, moves = 0, lanes[i : i + 1]
            _visit(
                widths,
                job.activation,
                job.loss,
                job.X[i],
                job.y[i],
                job.weights[i],
                own,
                moves,
                params,
                tangents,
                share,
                slope,
                curvature,
                rows,
                gradient,
                along,
                df,
            )
        if adaptive:
            adam_step(job.rule, first + k, rates[k], params, memory, gradient)
            adam_slopes(job.rule, first + k, memory, 0, size, turn)
        for d in range(len(tangents)):
            if adaptive:
                adam_along(job.rule, first + k, rates[k], tangents[d], memories[d], along[d], gradient, size, turn)
            else:
                sgd_step(tangents[d], memories[d], along[d], rates[k], job.rule.momentum)
        if not adaptive:
            sgd_step(params, memory, gradient, rates[k], job.rule.momentum)


@compiled
def pull(job: Job, rates: Array, first: int, trail: Array, adjoint: Array, memories: Array, result: Array) -> None:
    """Go through the steps of `descend` backwards, from the last to step `first`, and update the adjoints in place.

    `trail` is what `descend` wrote. `adjoint` (K, P, R) and `memories` (K, P or 2 P, R) are the adjoints of K functions in the
    parameters and the memory. The functions' derivatives in the weights are added to result (K, N, R).
    """
    P, R, widths, adaptive = adjoint.shape[1], adjoint.shape[2], job.widths, job.rule.optimizer != SGD
    gradient, share, slope, curvature = _buffers(job.loss, widths, P, R)
    size, turn = np.empty((P if adaptive else 0, R)), np.empty((P if adaptive else 0, R))
    rows, df = make_rows(widths, job.activation, R), np.empty((len(adjoint) * widths[-1], R))
    directions = np.empty(adjoint.shape) if adaptive else memories  # the adjoints of the gradient, up to a factor for sgd
    for k in range(len(rates) - 1, -1, -1):
        params = trail[k][:P]
        if adaptive:
            adam_slopes(job.rule, first + k, trail[k], 2 * P, size, turn)
        for d in range(len(adjoint)):
            if adaptive:
                adam_back(job.rule, first + k, rates[k], adjoint[d], memories[d], trail[k], directions[d], size, turn)
            else:
                for p in range(P):
                    for r in range(R):
                        memories[d, p, r] = job.rule.momentum * memories[d, p, r] - rates[k] * adjoint[d, p, r]
            for p in range(P):
                for r in range(R):
                    adjoint[d, p, r] += job.rule.l2 * directions[d, p, r]
        for i in range(len(job.X)):
            write_share(job.numbers, job.seeds, job.sizes, first + k, i, share)
            if any_nonzero(share):
                _visit(
                    widths,
                    job.activation,
                    job.loss,
                    job.X[i],
                    job.y[i],
                    job.weights[i],
                    len(adjoint),
                    share.reshape(1, R)[:0],
                    params,
                    directions,
                    share,
                    slope,
                    curvature,
                    rows,
                    gradient,
                    adjoint,
                    df,
                )
                for d in range(len(adjoint)):
                    for c in range(len(slope)):
                        row = d * len(slope) + c
                        for r in range(R):
                            result[d, i, r] += df[row, r] * slope[c, r]


@inner
def _buffers(loss: int, widths: Widths, P: int, R: int) -> tuple[Array, Array, Array, Array]:
    """Make the gradient (P, R), the share (R,), and the slopes (C, R) and curvatures (1 or C + 2, R) of a point."""
    outputs = widths[-1]
    terms = outputs + 2 if loss == SOFTMAX else 1
    return np.empty((P, R)), np.empty(R), np.empty((outputs, R)), np.empty((terms, R))


@inner
def _visit(
    widths: Widths,
    activation: Activation,
    loss: int,
    x: Array,
    y: float,
    weight: Array,
    own: int,
    moves: Array,
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
    """Add the terms of one point to the gradient and to `along`, its derivatives; write share times dl/df into `slope`.

    `own` is the number of the direction that also moves the weight of the point, by moves (1, R) or by 1 if `moves` has no rows;
    it is -1 if there is none, and then a point of weight 0 is skipped. A number beyond the last direction means that there is
    none, but that df is needed at every point.
    """
    last, values, deltas = len(curvature) - 1, rows.values, rows.deltas
    top = len(values) - len(slope)
    if own < 0:
        for r in range(len(share)):
            curvature[0, r] = share[r] * weight[r]
        if not any_nonzero(curvature[0]):
            return
    forward(widths, activation, x, params, values, rows.extra)
    loss_of_point(loss, values, y, slope, curvature)
    scaled = 0 if last == 0 else last - 1
    for r in range(len(share)):
        curvature[scaled, r] *= share[r] * weight[r]
    for c in range(len(slope)):
        for r in range(len(share)):
            slope[c, r] *= share[r]
            deltas[top + c, r] = slope[c, r] * weight[r]
    if len(moves):
        for c in range(len(slope)):
            for r in range(len(share)):
                slope[c, r] *= moves[0, r]
    backward(widths, activation, x, params, values, deltas, rows.pulls, rows.extra, gradient)
    along_directions(widths, activation, x, params, rows, curvature, own, slope, directions, along, df)
