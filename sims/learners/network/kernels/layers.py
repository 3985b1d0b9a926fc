"""Do the loops over one layer, for all replicas.

A layer has n_in units below it, from row `below` (or the inputs x of a point), and n_out of its own, from row `here`. Its W
(in, out) is in row-major order from row `first` of the parameters, followed by b (out).
"""

import numpy as np
from numpy.typing import NDArray

from theory.compiled import inner
from theory.response import Array

__all__ = [
    "add_bias",
    "add_down",
    "add_down_along",
    "add_inputs",
    "add_inputs_of_two",
    "add_inputs_outer",
    "add_inputs_outers",
    "add_layer",
    "add_layer_along",
    "add_outer",
    "add_outer_along",
    "add_outers",
]


@inner
def add_inputs(params: Array, x: Array, z: Array, n_out: int) -> None:
    """Add W^T x to z, for the first layer."""
    for i in range(len(x)):
        for j in range(n_out):
            p = i * n_out + j
            for r in range(z.shape[1]):
                z[j, r] += params[p, r] * x[i]


@inner
def add_inputs_of_two(params: Array, x: Array, y: Array, z: Array, w: Array, n_out: int) -> None:
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
def add_layer(params: Array, first: int, n_in: int, values: Array, below: int, here: int, n_out: int) -> None:
    """Add W^T a to z."""
    for i in range(n_in):
        for j in range(n_out):
            p = first + i * n_out + j
            for r in range(values.shape[1]):
                values[here + j, r] += params[p, r] * values[below + i, r]


@inner
def add_layer_along(
    params: Array, direction: Array, first: int, n_in: int, values: Array, tangents: Array, below: int, here: int, n_out: int
) -> None:
    """Add W'^T a + W^T a' to z', in one pass over the rows."""
    for i in range(n_in):
        for j in range(n_out):
            p = first + i * n_out + j
            for r in range(values.shape[1]):
                tangents[here + j, r] += direction[p, r] * values[below + i, r] + params[p, r] * tangents[below + i, r]


@inner
def add_bias(gradient: Array, bias: int, delta: Array, here: int, n_out: int) -> None:
    """Add delta to the gradient in b."""
    for j in range(n_out):
        for r in range(delta.shape[1]):
            gradient[bias + j, r] += delta[here + j, r]


@inner
def add_inputs_outer(gradient: Array, x: Array, delta: Array, n_out: int) -> None:
    """Add x delta^T to the gradient in W, for the first layer."""
    for i in range(len(x)):
        for j in range(n_out):
            p = i * n_out + j
            for r in range(delta.shape[1]):
                gradient[p, r] += x[i] * delta[j, r]


@inner
def add_outer(gradient: Array, first: int, n_in: int, a: Array, below: int, delta: Array, here: int, n_out: int) -> None:
    """Add a delta^T to the gradient in W."""
    for i in range(n_in):
        for j in range(n_out):
            p = first + i * n_out + j
            for r in range(delta.shape[1]):
                gradient[p, r] += a[below + i, r] * delta[here + j, r]


@inner
def add_inputs_outers(gradient: Array, X: Array, points: NDArray[np.int64], deltas: Array, n_out: int) -> None:
    """Do `add_inputs_outer` for four points with deltas (4, units, R), one after the other, in one pass."""
    a, b, c, d = deltas[0], deltas[1], deltas[2], deltas[3]
    for i in range(X.shape[1]):
        x_0, x_1, x_2, x_3 = X[points[0], i], X[points[1], i], X[points[2], i], X[points[3], i]
        for j in range(n_out):
            p = i * n_out + j
            for r in range(gradient.shape[1]):
                gradient[p, r] = gradient[p, r] + x_0 * a[j, r] + x_1 * b[j, r] + x_2 * c[j, r] + x_3 * d[j, r]


@inner
def add_outers(gradient: Array, first: int, n_in: int, values: Array, below: int, deltas: Array, here: int, n_out: int) -> None:
    """Do `add_outer` for four points with values and deltas (4, units, R), one after the other, in one pass."""
    a, b, c, d = deltas[0], deltas[1], deltas[2], deltas[3]
    u, v, w, x = values[0], values[1], values[2], values[3]
    for i in range(n_in):
        k = below + i
        for j in range(n_out):
            p, m = first + i * n_out + j, here + j
            for r in range(gradient.shape[1]):
                half = gradient[p, r] + u[k, r] * a[m, r] + v[k, r] * b[m, r]
                gradient[p, r] = half + w[k, r] * c[m, r] + x[k, r] * d[m, r]


@inner
def add_outer_along(
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
def add_down(params: Array, first: int, n_in: int, pull: Array, below: int, delta: Array, here: int, n_out: int) -> None:
    """Add W delta to the pull."""
    for i in range(n_in):
        for j in range(n_out):
            p = first + i * n_out + j
            for r in range(delta.shape[1]):
                pull[below + i, r] += params[p, r] * delta[here + j, r]


@inner
def add_down_along(
    params: Array, direction: Array, first: int, n_in: int, below: int, deltas: Array, moved: Array, here: int, n_out: int
) -> None:
    """Add W delta' + W' delta to the derivative of the pull."""
    for i in range(n_in):
        for j in range(n_out):
            p = first + i * n_out + j
            for r in range(deltas.shape[1]):
                moved[below + i, r] += params[p, r] * moved[here + j, r] + direction[p, r] * deltas[here + j, r]
