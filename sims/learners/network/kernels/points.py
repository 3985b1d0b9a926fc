"""Pass forwards and backwards through the network at one point, and along a direction in the parameters.

The arrays of the current point (`Rows`) have one row per unit, first the hidden layers in order and then the C outputs f. phi is
the point's term of the objective, a function of f. These few rows stay in the fastest cache.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sims.learners.network.kernels.activations import GELU, Activation, activate, add_bend, gelu, times_slope
from sims.learners.network.kernels.arrays import Codes, Widths, add_product, copy, multiply, zero
from sims.learners.network.kernels.layers import (
    add_bias,
    add_down,
    add_down_along,
    add_inputs,
    add_inputs_of_two,
    add_inputs_outer,
    add_inputs_outers,
    add_layer,
    add_layer_along,
    add_outer,
    add_outer_along,
    add_outers,
)
from sims.learners.network.kernels.losses import bend_loss
from theory.compiled import inner
from theory.response import Array

__all__ = [
    "Rows",
    "add_gradient",
    "add_gradients",
    "add_pattern",
    "along_directions",
    "backward",
    "down",
    "extra_rows",
    "first_layer",
    "first_layers",
    "forward",
    "later_layers",
    "make_rows",
]


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


@inner
def make_rows(widths: Widths, activation: Activation, replicas: int) -> Rows:
    """Make the rows of one point, which have no values yet."""
    shape = (widths[1:].sum(), replicas)
    more = (extra_rows(activation, shape[0]), shape[1])
    return Rows(
        np.empty(shape),
        np.empty(shape),
        np.empty(shape),
        np.empty(shape),
        np.empty(shape),
        np.empty(more),
    )


@inner
def forward(widths: Widths, activation: Activation, x: Array, params: Array, values: Array, extra: Array) -> None:
    """Compute the values of all units from the inputs x of one point."""
    first_layer(widths, x, params, values)
    later_layers(widths, activation, params, values, extra)


@inner
def first_layer(widths: Widths, x: Array, params: Array, values: Array) -> None:
    """Compute what the first layer passes on, before its activation."""
    copy(params, widths[0] * widths[1], values, 0, widths[1])
    add_inputs(params, x, values, widths[1])


@inner
def first_layers(widths: Widths, X: Array, points: NDArray[np.int64], params: Array, values: Array) -> None:
    """Do `first_layer` for four points with values (4, units, R), in two passes over the parameters."""
    n_in, n_out = widths[0], widths[1]
    for b in range(0, len(values), 2):
        one, two = values[b], values[b + 1]
        copy(params, n_in * n_out, one, 0, n_out)
        copy(params, n_in * n_out, two, 0, n_out)
        add_inputs_of_two(params, X[points[b]], X[points[b + 1]], one, two, n_out)


@inner
def later_layers(widths: Widths, activation: Activation, params: Array, values: Array, extra: Array) -> None:
    """Compute the values of all units from what the first layer passes on."""
    first = below = here = 0  # first rows of this layer's parameters, of the values below it, and of its own values
    for layer in range(1, len(widths)):
        n_in, n_out = widths[layer - 1], widths[layer]
        if layer > 1:
            copy(params, first + n_in * n_out, values, here, n_out)
            add_layer(params, first, n_in, values, below, here, n_out)
        if layer + 1 < len(widths):
            if activation.kind == GELU:
                gelu(values, extra, here, n_out)
            else:
                activate(activation, values[here : here + n_out].reshape(-1))
        first, below, here = first + (n_in + 1) * n_out, here, here + n_out


@inner
def backward(
    widths: Widths,
    activation: Activation,
    x: Array,
    params: Array,
    values: Array,
    deltas: Array,
    pulls: Array,
    extra: Array,
    gradient: Array,
) -> None:
    """Compute all other deltas from those of the outputs, and add the point's term to the gradient."""
    down(widths, activation, params, values, deltas, pulls, extra)
    add_gradient(widths, x, values, deltas, gradient)


@inner
def down(widths: Widths, activation: Activation, params: Array, values: Array, deltas: Array, pulls: Array, extra: Array) -> None:
    """Compute all other deltas from those of the outputs."""
    first, here = len(params), len(values)
    for layer in range(len(widths) - 1, 1, -1):
        n_in, n_out = widths[layer - 1], widths[layer]
        first, here = first - (n_in + 1) * n_out, here - n_out
        below = here - n_in
        zero(pulls, below, n_in)
        add_down(params, first, n_in, pulls, below, deltas, here, n_out)
        copy(pulls, below, deltas, below, n_in)
        if activation.kind == GELU:
            multiply(extra, below, deltas, below, n_in)
        else:
            times_slope(activation, values[below:here].reshape(-1), deltas[below:here].reshape(-1))


@inner
def add_gradient(widths: Widths, x: Array, values: Array, deltas: Array, gradient: Array) -> None:
    """Add the point's term to the gradient, from its values and deltas."""
    first = below = here = 0
    for layer in range(1, len(widths)):
        n_in, n_out = widths[layer - 1], widths[layer]
        add_bias(gradient, first + n_in * n_out, deltas, here, n_out)
        if layer == 1:
            add_inputs_outer(gradient, x, deltas, n_out)
        else:
            add_outer(gradient, first, n_in, values, below, deltas, here, n_out)
        first, below, here = first + (n_in + 1) * n_out, here, here + n_out


@inner
def add_gradients(widths: Widths, X: Array, points: NDArray[np.int64], values: Array, deltas: Array, gradient: Array) -> None:
    """Do `add_gradient` for four points with values and deltas (4, units, R), one after the other, in one pass."""
    first = below = here = 0
    for layer in range(1, len(widths)):
        n_in, n_out = widths[layer - 1], widths[layer]
        for b in range(len(deltas)):
            add_bias(gradient, first + n_in * n_out, deltas[b], here, n_out)
        if layer == 1:
            add_inputs_outers(gradient, X, points, deltas, n_out)
        else:
            add_outers(gradient, first, n_in, values, below, deltas, here, n_out)
        first, below, here = first + (n_in + 1) * n_out, here, here + n_out


@inner
def along_directions(
    widths: Widths,
    activation: Activation,
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

    It must follow `backward` with the outputs' deltas = phi'. phi'' is given by `curvature`, as in `bend_loss`. Direction `own`
    also changes phi' itself, by change (C, R).
    """
    outputs = widths[-1]
    top = len(rows.moved) - outputs
    for k in range(len(directions)):
        _forward_along(widths, activation, x, params, rows, directions[k])
        copy(rows.tangents, top, df, k * outputs, outputs)
        bend_loss(curvature, df, k * outputs, rows.moved, top)
        if k == own:
            for c in range(outputs):
                for r in range(df.shape[1]):
                    rows.moved[top + c, r] += change[c, r]
        _backward_along(widths, activation, x, params, rows, directions[k], along[k])


@inner
def _forward_along(widths: Widths, activation: Activation, x: Array, params: Array, rows: Rows, direction: Array) -> None:
    """Compute the derivative of `forward` along the direction."""
    values, tangents = rows.values, rows.tangents
    first = below = here = 0
    for layer in range(1, len(widths)):
        n_in, n_out = widths[layer - 1], widths[layer]
        copy(direction, first + n_in * n_out, tangents, here, n_out)
        if layer == 1:
            add_inputs(direction, x, tangents, n_out)
        else:
            add_layer_along(params, direction, first, n_in, values, tangents, below, here, n_out)
        if layer + 1 < len(widths):
            if activation.kind == GELU:
                units = len(values)
                copy(tangents, here, rows.extra, 2 * units + here, n_out)
                multiply(rows.extra, units + here, rows.extra, 2 * units + here, n_out)
                multiply(rows.extra, here, tangents, here, n_out)
            else:
                times_slope(activation, values[here : here + n_out].reshape(-1), tangents[here : here + n_out].reshape(-1))
        first, below, here = first + (n_in + 1) * n_out, here, here + n_out


@inner
def _backward_along(
    widths: Widths, activation: Activation, x: Array, params: Array, rows: Rows, direction: Array, along: Array
) -> None:
    """Compute the derivative of `backward` along the direction, and add it to `along`."""
    values, deltas, tangents, moved = rows.values, rows.deltas, rows.tangents, rows.moved
    first, here = len(params), len(values)
    for layer in range(len(widths) - 1, 0, -1):
        n_in, n_out = widths[layer - 1], widths[layer]
        first, here = first - (n_in + 1) * n_out, here - n_out
        add_bias(along, first + n_in * n_out, moved, here, n_out)
        if layer == 1:
            add_inputs_outer(along, x, moved, n_out)
        else:
            below = here - n_in
            add_outer_along(along, first, n_in, values, tangents, below, deltas, moved, here, n_out)
            zero(moved, below, n_in)
            add_down_along(params, direction, first, n_in, below, deltas, moved, here, n_out)
            if activation.kind == GELU:
                multiply(rows.extra, below, moved, below, n_in)
                add_product(rows.extra, 2 * len(values) + below, rows.pulls, moved, below, n_in)
            else:
                a, out = values[below:here].reshape(-1), moved[below:here].reshape(-1)
                times_slope(activation, a, out)
                add_bend(activation, a, tangents[below:here].reshape(-1), rows.pulls[below:here].reshape(-1), out)


@inner
def add_pattern(values: Array, hidden: int, share: Array, codes: Codes) -> None:
    """Update the hashes by which hidden units are on; a replica without a share in the point counts as all off."""
    for j in range(hidden):
        for r in range(len(codes)):
            on = np.uint64(1 if values[j, r] > 0.0 and share[r] != 0.0 else 0)
            codes[r] = (codes[r] ^ (codes[r] >> np.uint64(29)) ^ on) * _MIX + np.uint64(1)


@inner
def extra_rows(activation: Activation, units: int) -> int:
    """Return the number of rows of `Rows.extra`."""
    return 3 * units if activation.kind == GELU else 0


_MIX = np.uint64(0xBF58476D1CE4E5B9)  # an odd number, from the generator SplitMix64
