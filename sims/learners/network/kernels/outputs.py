"""Compute outputs, deltas, activation patterns and Hessian products at fixed parameters."""

import numpy as np

from sims.learners.network.kernels.activations import Activation
from sims.learners.network.kernels.arrays import Codes, Widths, copy, zero
from sims.learners.network.kernels.points import add_pattern, along_directions, backward, forward, make_rows
from theory.compiled import compiled
from theory.response import Array

__all__ = ["evaluate", "patterns", "products"]


@compiled
def evaluate(
    widths: Widths, activation: Activation, X: Array, params: Array, f: Array, seeds: Array, values: Array, deltas: Array
) -> None:
    """Compute f (n, C, R) at inputs X (n, d), and values and deltas (n, units, R) unless these have no rows.

    The deltas are those of phi with d phi / d f = seeds (n, C, R).
    """
    rows, gradient, top = make_rows(widths, activation, params.shape[1]), np.empty(params.shape), widths[1:-1].sum()
    for i in range(len(X)):
        forward(widths, activation, X[i], params, rows.values, rows.extra)
        copy(rows.values, top, f[i], 0, widths[-1])
        if len(values):
            copy(seeds[i], 0, rows.deltas, top, widths[-1])
            backward(widths, activation, X[i], params, rows.values, rows.deltas, rows.pulls, rows.extra, gradient)
            copy(rows.values, 0, values[i], 0, len(rows.values))
            copy(rows.deltas, 0, deltas[i], 0, len(rows.values))


@compiled
def products(
    widths: Widths,
    activation: Activation,
    X: Array,
    params: Array,
    slope: Array,
    curvature: Array,
    directions: Array,
    gradient: Array,
    along: Array,
) -> None:
    """Compute the gradient (P, R) of sum_i phi_i(f_i), and write its Hessian times K directions (K, P, R) into `along`.

    phi_i' = slope (n, C, R). phi_i'' = curvature (n, 1, R) for one output; `bend_loss` says what it is for more.
    """
    rows, none = make_rows(widths, activation, params.shape[1]), np.empty((0, 0))
    df, top = np.empty((len(directions) * widths[-1], params.shape[1])), widths[1:-1].sum()
    zero(gradient, 0, len(gradient))
    for k in range(len(directions)):
        zero(along[k], 0, len(gradient))
    for i in range(len(X)):
        forward(widths, activation, X[i], params, rows.values, rows.extra)
        copy(slope[i], 0, rows.deltas, top, widths[-1])
        backward(widths, activation, X[i], params, rows.values, rows.deltas, rows.pulls, rows.extra, gradient)
        along_directions(widths, activation, X[i], params, rows, curvature[i], -1, none, directions, along, df)


@compiled
def patterns(widths: Widths, activation: Activation, X: Array, params: Array, codes: Codes) -> None:
    """Update the hashes (R,) by the activation pattern at inputs X (n, d) for parameters (P, R)."""
    rows, ones = make_rows(widths, activation, params.shape[1]), np.ones(params.shape[1])
    for i in range(len(X)):
        forward(widths, activation, X[i], params, rows.values, rows.extra)
        add_pattern(rows.values, len(rows.values) - widths[-1], ones, codes)
