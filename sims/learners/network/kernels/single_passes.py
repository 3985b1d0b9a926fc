"""Pass forwards and backwards through the network of one replica, at several points at once.

Points are the last axis here, where the other modules have replicas: rows (units, L) hold L points, of which the last ones may
be empty. A parameter is one number for all of them. Each point goes through the same operations in the same order as in `points`,
and sums over points are done in their order, so that the results have the same bits.
"""

from sims.learners.network.kernels.activations import GELU, activate, add_bend, gelu, times_slope
from sims.learners.network.kernels.arrays import Widths, add_product, copy, multiply, zero
from sims.learners.network.kernels.losses import bend_loss
from sims.learners.network.kernels.points import Rows
from theory.compiled import inner
from theory.response import Array

__all__ = ["add_single_gradient", "single_along", "single_down", "single_forward"]


@inner
def single_forward(widths: Widths, activation: int, X: Array, params: Array, values: Array, extra: Array) -> None:
    """Compute the values of all units from the inputs X (d, L)."""
    first = below = here = 0
    for layer in range(1, len(widths)):
        n_in, n_out = widths[layer - 1], widths[layer]
        _fill(params, first + n_in * n_out, values, here, n_out)
        if layer == 1:
            _add_inputs(params, X, values, n_out)
        else:
            _add_layer(params, first, n_in, values, below, here, n_out)
        if layer + 1 < len(widths):
            if activation == GELU:
                gelu(values, extra, here, n_out)
            else:
                activate(activation, values[here : here + n_out])
        first, below, here = first + (n_in + 1) * n_out, here, here + n_out


@inner
def single_down(widths: Widths, activation: int, params: Array, rows: Rows) -> None:
    """Compute all other deltas from those of the outputs."""
    values, deltas, pulls = rows.values, rows.deltas, rows.pulls
    first, here = len(params), len(values)
    for layer in range(len(widths) - 1, 1, -1):
        n_in, n_out = widths[layer - 1], widths[layer]
        first, here = first - (n_in + 1) * n_out, here - n_out
        below = here - n_in
        zero(pulls, below, n_in)
        for i in range(n_in):
            for j in range(n_out):
                weight = params[first + i * n_out + j]
                for n in range(deltas.shape[1]):
                    pulls[below + i, n] += weight * deltas[here + j, n]
        copy(pulls, below, deltas, below, n_in)
        if activation == GELU:
            multiply(rows.extra, below, deltas, below, n_in)
        else:
            times_slope(activation, values[below:here], deltas[below:here])


@inner
def add_single_gradient(widths: Widths, X: Array, values: Array, deltas: Array, count: int, gradient: Array) -> None:
    """Add the terms of the first `count` points to the gradient (P,), one after the other."""
    first = below = here = 0
    for layer in range(1, len(widths)):
        n_in, n_out = widths[layer - 1], widths[layer]
        _add_biases(gradient, first + n_in * n_out, deltas, here, n_out, count)
        if layer == 1:
            _add_outers(gradient, first, n_in, X, below, deltas, here, n_out, count)
        else:
            _add_outers(gradient, first, n_in, values, below, deltas, here, n_out, count)
        first, below, here = first + (n_in + 1) * n_out, here, here + n_out


@inner
def single_along(
    widths: Widths,
    activation: int,
    X: Array,
    params: Array,
    rows: Rows,
    curvature: Array,
    count: int,
    direction: Array,
    along: Array,
    df: Array,
) -> None:
    """Add the derivative of the gradient of `count` points along the direction (P,) to `along` (P,), and write that of f into df.

    It must follow `single_down`. phi'' is given by `curvature`, as in `bend_loss`, and df is (C, L).
    """
    top = len(rows.moved) - len(df)
    _forward_along(widths, activation, X, params, rows, direction)
    copy(rows.tangents, top, df, 0, len(df))
    bend_loss(curvature, df, 0, rows.moved, top)
    _backward_along(widths, activation, X, params, rows, count, direction, along)


@inner
def _forward_along(widths: Widths, activation: int, X: Array, params: Array, rows: Rows, direction: Array) -> None:
    """Compute the derivative of `single_forward` along the direction."""
    values, tangents = rows.values, rows.tangents
    first = below = here = 0
    for layer in range(1, len(widths)):
        n_in, n_out = widths[layer - 1], widths[layer]
        _fill(direction, first + n_in * n_out, tangents, here, n_out)
        if layer == 1:
            _add_inputs(direction, X, tangents, n_out)
        else:
            _add_layer_along(params, direction, first, n_in, values, tangents, below, here, n_out)
        if layer + 1 < len(widths):
            if activation == GELU:
                units = len(values)
                copy(tangents, here, rows.extra, 2 * units + here, n_out)
                multiply(rows.extra, units + here, rows.extra, 2 * units + here, n_out)
                multiply(rows.extra, here, tangents, here, n_out)
            else:
                times_slope(activation, values[here : here + n_out], tangents[here : here + n_out])
        first, below, here = first + (n_in + 1) * n_out, here, here + n_out


@inner
def _backward_along(
    widths: Widths, activation: int, X: Array, params: Array, rows: Rows, count: int, direction: Array, along: Array
) -> None:
    """Compute the derivative of `single_down` and of the gradient along the direction, and add the latter to `along`."""
    values, deltas, tangents, moved = rows.values, rows.deltas, rows.tangents, rows.moved
    first, here = len(params), len(values)
    for layer in range(len(widths) - 1, 0, -1):
        n_in, n_out = widths[layer - 1], widths[layer]
        first, here = first - (n_in + 1) * n_out, here - n_out
        _add_biases(along, first + n_in * n_out, moved, here, n_out, count)
        if layer == 1:
            _add_outers(along, first, n_in, X, 0, moved, here, n_out, count)
        else:
            below = here - n_in
            _add_outers_along(along, first, n_in, values, tangents, below, deltas, moved, here, n_out, count)
            zero(moved, below, n_in)
            _add_down_along(params, direction, first, n_in, below, deltas, moved, here, n_out)
            if activation == GELU:
                multiply(rows.extra, below, moved, below, n_in)
                add_product(rows.extra, 2 * len(values) + below, rows.pulls, moved, below, n_in)
            else:
                times_slope(activation, values[below:here], moved[below:here])
                add_bend(activation, values[below:here], tangents[below:here], rows.pulls[below:here], moved[below:here])


@inner
def _fill(params: Array, bias: int, out: Array, here: int, rows: int) -> None:
    """Write b into the rows of every point."""
    for j in range(rows):
        value = params[bias + j]
        for n in range(out.shape[1]):
            out[here + j, n] = value


@inner
def _add_inputs(params: Array, X: Array, z: Array, n_out: int) -> None:
    """Add W^T x to z, for the first layer."""
    for i in range(X.shape[0]):
        for j in range(n_out):
            weight = params[i * n_out + j]
            for n in range(z.shape[1]):
                z[j, n] += weight * X[i, n]


@inner
def _add_layer(params: Array, first: int, n_in: int, values: Array, below: int, here: int, n_out: int) -> None:
    """Add W^T a to z."""
    for i in range(n_in):
        for j in range(n_out):
            weight = params[first + i * n_out + j]
            for n in range(values.shape[1]):
                values[here + j, n] += weight * values[below + i, n]


@inner
def _add_layer_along(
    params: Array, direction: Array, first: int, n_in: int, values: Array, tangents: Array, below: int, here: int, n_out: int
) -> None:
    """Add W'^T a + W^T a' to z'."""
    for i in range(n_in):
        for j in range(n_out):
            weight, change = params[first + i * n_out + j], direction[first + i * n_out + j]
            for n in range(values.shape[1]):
                tangents[here + j, n] += change * values[below + i, n] + weight * tangents[below + i, n]


@inner
def _add_down_along(
    params: Array, direction: Array, first: int, n_in: int, below: int, deltas: Array, moved: Array, here: int, n_out: int
) -> None:
    """Add W delta' + W' delta to the derivative of the pull."""
    for i in range(n_in):
        for j in range(n_out):
            weight, change = params[first + i * n_out + j], direction[first + i * n_out + j]
            for n in range(deltas.shape[1]):
                moved[below + i, n] += weight * moved[here + j, n] + change * deltas[here + j, n]


@inner
def _add_biases(gradient: Array, bias: int, deltas: Array, here: int, n_out: int, count: int) -> None:
    """Add the deltas to the gradient in b."""
    for j in range(n_out):
        total = gradient[bias + j]
        for n in range(count):
            total += deltas[here + j, n]
        gradient[bias + j] = total


@inner
def _add_outers(
    gradient: Array, first: int, n_in: int, a: Array, below: int, deltas: Array, here: int, n_out: int, count: int
) -> None:
    """Add a delta^T of every point to the gradient in W."""
    for i in range(n_in):
        for j in range(n_out):
            total = gradient[first + i * n_out + j]
            for n in range(count):
                total += a[below + i, n] * deltas[here + j, n]
            gradient[first + i * n_out + j] = total


@inner
def _add_outers_along(
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
    count: int,
) -> None:
    """Add a delta'^T + a' delta^T of every point to the derivative of the gradient in W."""
    for i in range(n_in):
        for j in range(n_out):
            total = along[first + i * n_out + j]
            for n in range(count):
                total += values[below + i, n] * moved[here + j, n] + tangents[below + i, n] * deltas[here + j, n]
            along[first + i * n_out + j] = total
