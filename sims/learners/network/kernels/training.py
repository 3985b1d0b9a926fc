"""Train the network for many replicas at once."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sims.learners.network.kernels.activations import Activation
from sims.learners.network.kernels.arrays import Codes, Widths, any_nonzero, copy, scale
from sims.learners.network.kernels.losses import loss_of_point
from sims.learners.network.kernels.optimizers import SGD, Rule, adam_step, sgd_step
from sims.learners.network.kernels.points import (
    add_gradient,
    add_gradients,
    add_pattern,
    down,
    extra_rows,
    first_layer,
    first_layers,
    later_layers,
)
from theory.compiled import compiled, inner
from theory.response import Array

__all__ = ["Job", "descend", "write_share"]


class Job(NamedTuple):
    """The training of R replicas on N points.

    Step t uses batch t mod K of epoch t // K, K = len(sizes). For replica r this batch contains the points i with
    numbers[epoch, i, seeds[r]] = t mod K; each has the factor w_i / sizes[t mod K]. After the last epoch comes the first.
    """

    widths: Widths
    activation: Activation
    loss: int
    X: Array  # (N, d)
    y: Array  # (N,)
    weights: Array  # (N, R)
    numbers: NDArray[np.integer]  # (epochs, N, S)
    seeds: NDArray[np.int64]  # (R,)
    sizes: NDArray[np.int64]  # (K,)
    rule: Rule


@compiled
def descend(job: Job, rates: Array, first: int, params: Array, memory: Array, trail: Array, codes: Codes) -> None:
    """Do steps first, first + 1, .. with these rates, on parameters (P, R) and the optimiser's memory in place.

    The memory is the velocity (P, R) of sgd, or the first and the second moments (2 P, R) of adam and adamw. If `trail` has rows,
    trail[k] gets what `pull` needs of step first + k: the parameters before it (P, R); for adam and adamw then the gradient and
    the memory after it, (4 P, R). If `codes` (R,) has entries, the hash of the activation pattern is updated: which hidden units
    were on, step by step, for every point that took part.
    """
    P, R, widths, activation, X = len(params), params.shape[1], job.widths, job.activation, job.X
    at_once, units = 4 if P * R > _WIDE else 1, widths[1:].sum()
    values, deltas, pulls = np.empty((at_once, units, R)), np.empty((at_once, units, R)), np.empty((at_once, units, R))
    extra = np.empty((at_once, extra_rows(activation, units), R))
    points, shares, count = np.empty(at_once, np.int64), np.empty((at_once, R)), 0
    gradient, slope = np.empty((P, R)), np.empty((widths[-1], R))
    for k in range(len(rates)):
        if len(trail):
            copy(params, 0, trail[k], 0, P)
        scale(params, job.rule.l2, gradient)
        for i in range(len(X)):
            share = shares[count]
            write_share(job.numbers, job.seeds, job.sizes, first + k, i, share)
            for r in range(R):
                share[r] *= job.weights[i, r]
            if any_nonzero(share):
                points[count] = i
                count += 1
            if count < at_once and i + 1 < len(X):
                continue
            together = count == 4
            if together:
                first_layers(widths, X, points, params, values)
            for b in range(count):
                n = int(points[b])
                if not together:
                    first_layer(widths, X[n], params, values[b])
                _fill(
                    widths,
                    activation,
                    job.loss,
                    job.y[n],
                    shares[b],
                    params,
                    values[b],
                    deltas[b],
                    pulls[b],
                    extra[b],
                    slope,
                    codes,
                )
                if not together:
                    add_gradient(widths, X[n], values[b], deltas[b], gradient)
            if together:
                add_gradients(widths, X, points, values, deltas, gradient)
            count = 0
        if job.rule.optimizer == SGD:
            sgd_step(params, memory, gradient, rates[k], job.rule.momentum)
        else:
            adam_step(job.rule, first + k, rates[k], params, memory, gradient)
            if len(trail):
                copy(gradient, 0, trail[k], P, P)
                copy(memory, 0, trail[k], 2 * P, 2 * P)


@inner
def _fill(
    widths: Widths,
    activation: Activation,
    loss: int,
    y: float,
    share: Array,
    params: Array,
    values: Array,
    deltas: Array,
    pulls: Array,
    extra: Array,
    slope: Array,
    codes: Codes,
) -> None:
    """Compute the values and deltas of one point from what the first layer passes on, and update the hashes of the pattern."""
    top = len(values) - len(slope)
    later_layers(widths, activation, params, values, extra)
    if len(codes):
        add_pattern(values, top, share, codes)
    loss_of_point(loss, values, y, slope, slope[:0])
    for c in range(len(slope)):
        for r in range(len(share)):
            deltas[top + c, r] = slope[c, r] * share[r]
    down(widths, activation, params, values, deltas, pulls, extra)


@inner
def write_share(
    numbers: NDArray[np.integer], seeds: NDArray[np.int64], sizes: NDArray[np.int64], t: int, i: int, out: Array
) -> None:
    """Write 1 / |batch| for the replicas that have point i in the batch of step t, and 0 for the others."""
    epoch, number = divmod(t, len(sizes))
    part, row = 1.0 / sizes[number], numbers[epoch % len(numbers), i]
    for r in range(len(out)):
        out[r] = part if row[seeds[r]] == number else 0.0


_WIDE = 2**14  # numbers of parameters times replicas beyond which it pays to visit four points in one pass
