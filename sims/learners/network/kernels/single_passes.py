"""Pass forwards and backwards through the network of one replica, at several points at once.

Points are the last axis here, where the other modules have replicas: rows (units, L) hold L points, of which the last ones may
be empty. A parameter is one number for all of them. Each point goes through the same operations in the same order as in `points`,
and sums over points are done in their order, so that the results have the same bits.
"""

from sims.learners.network.kernels.activations import GELU, Activation, activate, add_bend, gelu, times_slope
from sims.learners.network.kernels.arrays import Widths, copy, multiply, zero
from sims.learners.network.kernels.losses import bend_loss
from sims.learners.network.kernels.points import Rows
from theory.compiled import inner
from theory.response import Array

__all__ = ["add_single_gradient", "single_along", "single_down", "single_forward"]


@inner
def single_forward(widths: Widths, activation: Activation, X: Array, params: Array, values: Array, extra: Array) -> None:
    """Compute the values of all units from the inputs X (d, L)."""
    first = below = here = 0
    for layer in range(1, len(widths)):
        n_in, n_out = widths[layer - 1], widths[layer]
        _fill(params, first + n_in * n_out, values, here, n_out)
        if layer == 1:
            _add_inputs(params, X, values, 0, n_out)
        else:
            _add_layer(params, first, n_in, values, below, here, n_out)
        if layer + 1 < len(widths):
            if activation.kind == GELU:
                gelu(values, extra, here, n_out)
            else:
                activate(activation, values[here : here + n_out].reshape(-1))
        first, below, here = first + (n_in + 1) * n_out, here, here + n_out


@inner
def single_down(
    widths: Widths, activation: Activation, params: Array, values: Array, deltas: Array, pulls: Array, extra: Array
) -> None:
    """Compute all other deltas from those of the outputs."""
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
        if activation.kind == GELU:
            multiply(extra, below, deltas, below, n_in)
        else:
            times_slope(activation, values[below:here].reshape(-1), deltas[below:here].reshape(-1))


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
    activation: Activation,
    X: Array,
    params: Array,
    rows: Rows,
    curvature: Array,
    count: int,
    directions: Array,
    along: Array,
    df: Array,
) -> None:
    """Add the derivatives of the gradient along K directions to `along` (K, P), and write those of f into df (K C, L).

    It must follow `single_down`. phi'' is given by `curvature`, as in `bend_loss`. Unit j of direction k has the row
    k * units + j of the tangents and of the moved deltas.
    """
    units, outputs = len(rows.values), widths[-1]
    _forward_along(widths, activation, X, params, rows.values, rows.tangents, rows.extra, directions)
    for k in range(len(directions)):
        top = (k + 1) * units - outputs
        copy(rows.tangents, top, df, k * outputs, outputs)
        bend_loss(curvature, df, k * outputs, rows.moved, top)
    _backward_along(
        widths,
        activation,
        X,
        params,
        rows.values,
        rows.deltas,
        rows.pulls,
        rows.tangents,
        rows.moved,
        rows.extra,
        count,
        directions,
        along,
    )


@inner
def _forward_along(
    widths: Widths,
    activation: Activation,
    X: Array,
    params: Array,
    values: Array,
    tangents: Array,
    extra: Array,
    directions: Array,
) -> None:
    """Compute the derivatives of `single_forward` along the directions."""
    units, L, flat_values, flat_tangents = len(values), values.shape[1], values.reshape(-1), tangents.reshape(-1)
    first = below = here = 0
    for layer in range(1, len(widths)):
        n_in, n_out = widths[layer - 1], widths[layer]
        for k in range(len(directions)):
            row = k * units
            _fill(directions[k], first + n_in * n_out, tangents, row + here, n_out)
            if layer == 1:
                _add_inputs(directions[k], X, tangents, row, n_out)
            else:
                _add_layer_along(params, directions[k], first, n_in, values, below, tangents, row + below, row + here, n_out)
            if layer + 1 < len(widths):
                if activation.kind == GELU:
                    copy(tangents, row + here, extra, 2 * units + row + here, n_out)
                    multiply(extra, units + here, extra, 2 * units + row + here, n_out)
                    multiply(extra, here, tangents, row + here, n_out)
                else:
                    at, size = (row + here) * L, n_out * L
                    times_slope(activation, flat_values[here * L : here * L + size], flat_tangents[at : at + size])
        first, below, here = first + (n_in + 1) * n_out, here, here + n_out


@inner
def _backward_along(
    widths: Widths,
    activation: Activation,
    X: Array,
    params: Array,
    values: Array,
    deltas: Array,
    pulls: Array,
    tangents: Array,
    moved: Array,
    extra: Array,
    count: int,
    directions: Array,
    along: Array,
) -> None:
    """Compute the derivatives of `single_down` and of the gradient along the directions, and add the latter to `along`."""
    units, L = len(values), values.shape[1]
    flat_values, flat_pulls, flat_tangents, flat_moved = (
        values.reshape(-1),
        pulls.reshape(-1),
        tangents.reshape(-1),
        moved.reshape(-1),
    )
    first, here = len(params), units
    for layer in range(len(widths) - 1, 0, -1):
        n_in, n_out = widths[layer - 1], widths[layer]
        first, here = first - (n_in + 1) * n_out, here - n_out
        below = here - n_in
        for k in range(len(directions)):
            row = k * units
            _add_biases(along[k], first + n_in * n_out, moved, row + here, n_out, count)
            if layer == 1:
                _add_outers(along[k], first, n_in, X, 0, moved, row + here, n_out, count)
                continue
            _add_outers_along(
                along[k], first, n_in, values, below, tangents, row + below, deltas, here, moved, row + here, n_out, count
            )
            zero(moved, row + below, n_in)
            _add_down_along(params, directions[k], first, n_in, deltas, here, moved, row + below, row + here, n_out)
            if activation.kind == GELU:
                multiply(extra, below, moved, row + below, n_in)
                for j in range(n_in):
                    for n in range(L):
                        moved[row + below + j, n] += extra[2 * units + row + below + j, n] * pulls[below + j, n]
            else:
                of, to, size = below * L, (row + below) * L, n_in * L
                a, out = flat_values[of : of + size], flat_moved[to : to + size]
                times_slope(activation, a, out)
                add_bend(activation, a, flat_tangents[to : to + size], flat_pulls[of : of + size], out)


@inner
def _fill(params: Array, bias: int, out: Array, here: int, rows: int) -> None:
    """Write b into the rows of every point."""
    for j in range(rows):
        value = params[bias + j]
        for n in range(out.shape[1]):
            out[here + j, n] = value


@inner
def _add_inputs(params: Array, X: Array, z: Array, here: int, n_out: int) -> None:
    """Add W^T x to z, for the first layer, four inputs in one pass."""
    fours = X.shape[0] - X.shape[0] % 4
    for i in range(0, fours, 4):
        for j in range(n_out):
            p = i * n_out + j
            a, b, c, d = params[p], params[p + n_out], params[p + 2 * n_out], params[p + 3 * n_out]
            for n in range(z.shape[1]):
                z[here + j, n] = z[here + j, n] + a * X[i, n] + b * X[i + 1, n] + c * X[i + 2, n] + d * X[i + 3, n]
    for i in range(fours, X.shape[0]):
        for j in range(n_out):
            weight = params[i * n_out + j]
            for n in range(z.shape[1]):
                z[here + j, n] += weight * X[i, n]


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
    params: Array,
    direction: Array,
    first: int,
    n_in: int,
    values: Array,
    of: int,
    tangents: Array,
    below: int,
    here: int,
    n_out: int,
) -> None:
    """Add W'^T a + W^T a' to z', for a from row `of`."""
    for i in range(n_in):
        for j in range(n_out):
            weight, change = params[first + i * n_out + j], direction[first + i * n_out + j]
            for n in range(values.shape[1]):
                tangents[here + j, n] += change * values[of + i, n] + weight * tangents[below + i, n]


@inner
def _add_down_along(
    params: Array,
    direction: Array,
    first: int,
    n_in: int,
    deltas: Array,
    of: int,
    moved: Array,
    below: int,
    here: int,
    n_out: int,
) -> None:
    """Add W delta' + W' delta to the derivative of the pull, for delta from row `of`."""
    for i in range(n_in):
        for j in range(n_out):
            weight, change = params[first + i * n_out + j], direction[first + i * n_out + j]
            for n in range(deltas.shape[1]):
                moved[below + i, n] += weight * moved[here + j, n] + change * deltas[of + j, n]


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
    """Add a delta^T of every point to the gradient in W, for four outputs in one pass."""
    fours = n_out - n_out % 4
    for i in range(n_in):
        for j in range(0, fours, 4):
            p, m = first + i * n_out + j, here + j
            total_0, total_1, total_2, total_3 = gradient[p], gradient[p + 1], gradient[p + 2], gradient[p + 3]
            for n in range(count):
                value = a[below + i, n]
                total_0 += value * deltas[m, n]
                total_1 += value * deltas[m + 1, n]
                total_2 += value * deltas[m + 2, n]
                total_3 += value * deltas[m + 3, n]
            gradient[p], gradient[p + 1], gradient[p + 2], gradient[p + 3] = total_0, total_1, total_2, total_3
        for j in range(fours, n_out):
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
    of: int,
    tangents: Array,
    below: int,
    deltas: Array,
    of_delta: int,
    moved: Array,
    here: int,
    n_out: int,
    count: int,
) -> None:
    """Add a delta'^T + a' delta^T of every point to the derivative of the gradient in W, for a and delta from their own rows."""
    for i in range(n_in):
        for j in range(n_out):
            total = along[first + i * n_out + j]
            for n in range(count):
                total += values[of + i, n] * moved[here + j, n] + tangents[below + i, n] * deltas[of_delta + j, n]
            along[first + i * n_out + j] = total
