"""Train one replica, and carry adjoints back through its training, with vector instructions over points.

`training` and `derivatives` take vectors of replicas, and their loops cost as much for 1 as for 16. For one replica these loops
are several times as fast. Every operation and the order of every sum are the same, and so are the bits.
"""

import numpy as np
from numpy.typing import NDArray

from sims.learners.network.kernels.arrays import copy
from sims.learners.network.kernels.losses import SOFTMAX, loss_of_point
from sims.learners.network.kernels.optimizers import SGD, adam_back, adam_slopes, adam_step, sgd_step
from sims.learners.network.kernels.points import Rows, extra_rows
from sims.learners.network.kernels.single_passes import add_single_gradient, single_along, single_down, single_forward
from sims.learners.network.kernels.training import Job, write_share
from theory.compiled import compiled, inner
from theory.response import Array

__all__ = ["descend_single", "pull_single"]


@compiled
def descend_single(job: Job, rates: Array, first: int, params: Array, memory: Array, trail: Array) -> None:
    """Do what `descend` does, for one replica: parameters are (P, 1)."""
    P, widths, line = len(params), job.widths, params.reshape(1, -1)
    moments, gradient = memory.reshape(-1, P), np.empty((1, P))
    points, shares, X = _places(job)
    rows, slopes, curvatures = _buffers(job, X.shape[2], 0)
    count, top = 0, len(rows.values) - len(slopes)
    for k in range(len(rates)):
        if k == 0 or len(job.sizes) > 1:
            count = _gather(job, first + k, True, points, shares, X)
        if len(trail):
            copy(params, 0, trail[k], 0, P)
        for p in range(P):
            gradient[0, p] = job.rule.l2 * params[p, 0]
        for part in range(0, count, X.shape[2]):
            here, size = X[part // X.shape[2]], min(X.shape[2], count - part)
            single_forward(widths, job.activation, here, line[0], rows.values, rows.extra)
            _losses(job, points, part, size, rows.values, slopes, curvatures)
            for c in range(len(slopes)):
                for n in range(size):
                    rows.deltas[top + c, n] = slopes[c, n] * shares[part + n]
            single_down(widths, job.activation, line[0], rows.values, rows.deltas, rows.pulls, rows.extra)
            add_single_gradient(widths, here, rows.values, rows.deltas, size, gradient[0])
        if job.rule.optimizer == SGD:
            sgd_step(line, moments, gradient, rates[k], job.rule.momentum)
        else:
            adam_step(job.rule, first + k, rates[k], line, moments, gradient)
            if len(trail):
                kept = trail[k].reshape(-1, P)
                copy(gradient, 0, kept, 1, 1)
                copy(moments, 0, kept, 2, 2)


@compiled
def pull_single(job: Job, rates: Array, first: int, trail: Array, adjoint: Array, memories: Array, result: Array) -> None:
    """Do what `pull` does, for one replica: adjoints are (K, P, 1)."""
    K, P, widths, adaptive = len(adjoint), adjoint.shape[1], job.widths, job.rule.optimizer != SGD
    adjoints, moments = adjoint.reshape(K, 1, P), memories.reshape(K, -1, P)
    size, turn = np.empty((1 if adaptive else 0, P)), np.empty((1 if adaptive else 0, P))
    directions = np.empty((K, 1, P)) if adaptive else moments  # the adjoints of the gradient, up to a factor for sgd
    points, shares, X = _places(job)
    rows, slopes, curvatures = _buffers(job, X.shape[2], K)
    outputs, lines, adjoint_lines = len(slopes), directions.reshape(K, P), adjoint.reshape(K, P)
    df, count, top = np.empty((K * outputs, X.shape[2])), 0, len(rows.values) - outputs
    scaled = 0 if len(curvatures) == 1 else len(curvatures) - 2
    for k in range(len(rates) - 1, -1, -1):
        if k == len(rates) - 1 or len(job.sizes) > 1:
            count = _gather(job, first + k, False, points, shares, X)
        kept = trail[k].reshape(-1, P)
        if adaptive:
            adam_slopes(job.rule, first + k, kept, 2, size, turn)
        for d in range(K):
            if adaptive:
                adam_back(job.rule, first + k, rates[k], adjoints[d], moments[d], kept, directions[d], size, turn)
            else:
                for p in range(P):
                    moments[d, 0, p] = job.rule.momentum * moments[d, 0, p] - rates[k] * adjoints[d, 0, p]
            for p in range(P):
                adjoints[d, 0, p] += job.rule.l2 * directions[d, 0, p]
        for part in range(0, count, X.shape[2]):
            here, width = X[part // X.shape[2]], min(X.shape[2], count - part)
            single_forward(widths, job.activation, here, kept[0], rows.values, rows.extra)
            _losses(job, points, part, width, rows.values, slopes, curvatures)
            for c in range(len(slopes)):
                for n in range(width):
                    slopes[c, n] *= shares[part + n]
                    rows.deltas[top + c, n] = slopes[c, n] * job.weights[points[part + n], 0]
            for n in range(width):
                curvatures[scaled, n] *= shares[part + n] * job.weights[points[part + n], 0]
            single_down(widths, job.activation, kept[0], rows.values, rows.deltas, rows.pulls, rows.extra)
            single_along(widths, job.activation, here, kept[0], rows, curvatures, width, lines, adjoint_lines, df)
            for d in range(K):
                for c in range(outputs):
                    for n in range(width):
                        result[d, points[part + n], 0] += df[d * outputs + c, n] * slopes[c, n]


@inner
def _places(job: Job) -> tuple[NDArray[np.int64], Array, Array]:
    """Make the numbers (N,) and shares (N,) of the points of a step, and their inputs (parts, d, L)."""
    N, width = len(job.X), min(_LARGEST, -(-len(job.X) // _AT_ONCE) * _AT_ONCE)
    return np.zeros(N, np.int64), np.zeros(N), np.zeros((-(-N // width), job.X.shape[1], width))


@inner
def _gather(job: Job, t: int, weighted: bool, points: NDArray[np.int64], shares: Array, X: Array) -> int:
    """Write numbers, shares and inputs of the points with a share in step t, and return how many they are.

    The share is 1 / |batch|, times the weight if `weighted`.
    """
    count, share, width = 0, np.empty(1), X.shape[2]
    for i in range(len(job.X)):
        write_share(job.numbers, job.seeds, job.sizes, t, i, share)
        if weighted:
            share[0] *= job.weights[i, 0]
        if share[0] != 0.0:
            points[count], shares[count] = i, share[0]
            for d in range(X.shape[1]):
                X[count // width, d, count % width] = job.X[i, d]
            count += 1
    return count


@inner
def _buffers(job: Job, width: int, directions: int) -> tuple[Rows, Array, Array]:
    """Make the rows of L = `width` points, their slopes (C, L), and with K directions their curvatures (1 or C + 2, L)."""
    outputs, units, extra = job.widths[-1], job.widths[1:].sum(), extra_rows(job.activation, 1)
    terms = outputs + 2 if job.loss == SOFTMAX else 1
    rows = Rows(
        np.empty((units, width)),
        np.zeros((units, width)),  # those of the outputs of empty places are never written
        np.empty((units, width)),
        np.empty((directions * units, width)),
        np.empty((directions * units, width)),
        np.empty(((2 + directions) * units if extra else 0, width)),
    )
    return rows, np.zeros((outputs, width)), np.zeros((terms if directions else 0, width))


@inner
def _losses(job: Job, points: NDArray[np.int64], part: int, count: int, values: Array, slopes: Array, curvatures: Array) -> None:
    """Write dl/df and what `loss_of_point` says of phi'' for `count` points from number `part`."""
    outputs, top = len(slopes), len(values) - len(slopes)
    f, slope, curvature = np.empty((outputs, 1)), np.empty((outputs, 1)), np.empty((len(curvatures), 1))
    for n in range(count):
        for c in range(outputs):
            f[c, 0] = values[top + c, n]
        i = int(points[part + n])
        loss_of_point(job.loss, f, job.y[i], slope, curvature)
        for c in range(outputs):
            slopes[c, n] = slope[c, 0]
        for c in range(len(curvatures)):
            curvatures[c, n] = curvature[c, 0]


_AT_ONCE = 16  # points that a loop takes at once
_LARGEST = 32  # points, so that their rows stay in the fastest cache
