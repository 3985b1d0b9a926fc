"""A small network and its derivatives for many replicas at once: outputs, gradients, and both along directions.

Arrays are replica-last. A network of widths d -> h_1 -> .. -> 1 has parameters (P, R): per layer W (in, out), row-major, then b
(out), so that a layer's block is one matrix (in + 1, out, R) whose last row is the bias; inputs carry a last column of ones.
The first layer is a matrix product over all replicas (the inputs are shared), the others are sums over small axes. Activations
are contiguous: with rows of ones between them, elementwise functions of a few hundred replicas took up to twice as long.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from scipy.special import expit

from sims.learners.tanh import tanh
from theory.response import Array

__all__ = ["ACTIVATIONS", "LOSSES", "Network", "Pass"]


@dataclass(frozen=True)
class Activation:
    """A function of z, and its derivatives written in the value a: slope = da/dz, bend = (d^2a/dz^2) / (da/dz)."""

    apply: Callable[[Array, tuple[Array, Array, Array]], object]  # z -> a, in place, with three arrays of scratch
    slope: Callable[[Array, Array], object]  # of a, into the second array
    bend: Callable[[Array], Array] | None  # of a; None where it is 0


def _softplus(z: Array, scratch: tuple[Array, ...]) -> None:
    tail = scratch[0]
    np.abs(z, out=tail)
    np.negative(tail, out=tail)
    np.exp(tail, out=tail)
    np.log1p(tail, out=tail)
    np.maximum(z, 0.0, out=z)
    z += tail


def _tanh_slope(a: Array, out: Array) -> None:
    np.multiply(a, a, out=out)
    np.subtract(1.0, out, out=out)


ACTIVATIONS = {
    "tanh": Activation(tanh, _tanh_slope, lambda a: -2.0 * a),
    "softplus": Activation(_softplus, lambda a, out: np.negative(np.expm1(-a), out=out), lambda a: np.exp(-a)),
    "relu": Activation(lambda z, scratch: np.maximum(z, 0.0, out=z), lambda a, out: np.greater(a, 0.0, out=out), None),
    "identity": Activation(lambda z, scratch: z, lambda a, out: np.copyto(out, 1.0), None),
}
"""By name. The derivative of relu at 0 is taken as 0."""


@dataclass(frozen=True)
class Loss:
    """The loss l of one point in its output f: l and dl/df for f (n, R) and targets (n, 1), d^2l/df^2 written in dl/df.

    `fisher` is the mean of (dl/df)^2 over targets drawn from the model at f: labels of probability p(f), or f plus noise of
    variance 1.
    """

    value: Callable[[Array, Array], Array]
    slope: Callable[[Array, Array], Array]
    curvature: Callable[[Array], Array]
    fisher: Callable[[Array], Array]


def _logistic_slope(f: Array, y: Array) -> Array:
    sign = 2.0 * y - 1.0
    slope = np.multiply(sign, f)
    with np.errstate(over="ignore"):  # exp = inf says that the slope is 0
        np.exp(slope, out=slope)
    slope += 1.0
    return np.divide(-sign, slope, out=slope)


LOSSES = {
    "logistic": Loss(
        value=lambda f, y: np.logaddexp(0.0, (1.0 - 2.0 * y) * f),
        slope=_logistic_slope,
        curvature=lambda slope: np.abs(slope) - slope * slope,
        fisher=lambda f: expit(f) * expit(-f),
    ),
    "squared": Loss(value=lambda f, y: 0.5 * (f - y) ** 2, slope=lambda f, y: f - y, curvature=np.ones_like, fisher=np.ones_like),
}
"""By name: l = log(1 + exp(-(2y - 1) f)) for labels y in {0, 1}, and l = (f - y)^2 / 2."""


@dataclass(frozen=True)
class Network:
    """Widths (d, h_1, .., 1) and the name of the activation of the hidden layers; the output is linear."""

    widths: tuple[int, ...]
    activation: str

    @cached_property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """(in + 1, out) of every layer."""
        return tuple((before + 1, after) for before, after in pairwise(self.widths))

    @property
    def n_params(self) -> int:
        """P."""
        return sum(rows * columns for rows, columns in self.shapes)

    def layers(self, params: Array) -> list[Array]:
        """Views (in + 1, out, ...) of parameters (P, ...)."""
        views: list[Array] = []
        start = 0
        for rows, columns in self.shapes:
            views.append(params[start : start + rows * columns].reshape(rows, columns, *params.shape[1:]))
            start += rows * columns
        return views


class Pass:
    """A network at fixed inputs X (n, d) for R replicas, with its buffers. Call the methods in the order in which they stand.

    K directions at a time are arrays (K, P, R), their outputs (K, n, R). What a method returns is overwritten by its next call.
    """

    def __init__(self, network: Network, X: Array, replicas: int) -> None:
        n, hidden = len(X), network.widths[1:-1]
        self.network, self._rule = network, ACTIVATIONS[network.activation]
        self._inputs = np.column_stack([X, np.ones(n)])
        self._values = [np.empty((n, width, replicas)) for width in hidden]
        self._slopes = [np.empty((n, width, replicas)) for width in hidden]
        self._pulls = [np.empty((n, width, replicas)) for width in hidden]  # d objective / d value
        self._deltas = [np.empty((n, width, replicas)) for width in (*hidden, 1)]  # d objective / d z
        self._out = np.empty((n, 1, replicas))
        self._layers: list[Array] = []
        self._moved_layers: list[Array] = []
        self._tangents: list[Array] = []
        self._lower: list[Array] = []
        self._scratch: list[Array] = []

    def outputs(self, params: Array) -> Array:
        """f (n, R)."""
        self._layers = self.network.layers(params)
        for k, layer in enumerate(self._layers):
            z = self._values[k] if k < len(self._values) else self._out
            if k:
                np.einsum("nir,ior->nor", self._values[k - 1], layer[:-1], out=z)
                z += layer[-1]
            else:
                np.matmul(self._inputs, _flat(layer), out=_flat(z))
            if k < len(self._values):
                self._rule.apply(z, (self._slopes[k], self._pulls[k], self._deltas[k]))
        return self.last_outputs

    @property
    def last_outputs(self) -> Array:
        """What `outputs` returned last: (n, R)."""
        return self._out[:, 0]

    def backward(self, delta: Array) -> None:
        """Take delta (n, R), the derivative of an objective in the outputs, back to every layer."""
        down = delta[:, None]
        self._deltas[-1] = down
        for k in range(len(self._values) - 1, -1, -1):
            np.einsum("ior,nor->nir", self._layers[k + 1][:-1], down, out=self._pulls[k])
            self._rule.slope(self._values[k], self._slopes[k])
            down = np.multiply(self._pulls[k], self._slopes[k], out=self._deltas[k])

    def gradient(self, out: Array) -> None:
        """sum_n delta_n grad f_n into out (P, R)."""
        gradients = self.network.layers(out)
        for value, delta, gradient in zip(self._values, self._deltas[1:], gradients[1:], strict=True):
            np.einsum("nir,nor->ior", value, delta, out=gradient[:-1])
            np.add.reduce(delta, axis=0, out=gradient[-1])
        np.matmul(self._inputs.T, _flat(self._deltas[0]), out=_flat(gradients[0]))

    def output_tangents(self, directions: Array) -> Array:
        """df along the directions (K, P, R): shape (K, n, R)."""
        self._moved_layers = moved = self._stacked(directions)
        self._make_room(len(directions))
        for k, tangent in enumerate(self._tangents):
            if k:
                np.einsum("knir,ior->knor", self._tangents[k - 1], self._layers[k][:-1], out=tangent)
                tangent += np.einsum("nir,kior->knor", self._values[k - 1], moved[k][:, :-1], out=self._scratch[k])
                tangent += moved[k][:, None, -1]
            else:
                np.matmul(self._inputs, _flat(moved[0]), out=_flat(tangent))
            if k < len(self._slopes):
                tangent *= self._slopes[k]
        return self._tangents[-1][:, :, 0]

    def gradient_tangents(self, moved_delta: Array, out: Array) -> None:
        """d of `gradient` along the directions, when delta moves by moved_delta (K, n, R); into out (K, P, R)."""
        gradients, down = self._stacked(out), moved_delta[:, :, None]
        for k in range(len(self._values) - 1, -1, -1):
            value, tangent, delta, gradient = self._values[k], self._tangents[k], self._deltas[k + 1], gradients[k + 1]
            np.einsum("nir,knor->kior", value, down, out=gradient[:, :-1])
            gradient[:, :-1] += np.einsum("knir,nor->kior", tangent, delta)
            np.add.reduce(down, axis=1, out=gradient[:, -1])
            moved, lower = self._moved_layers[k + 1][:, :-1], self._lower[k]
            if moved.shape[2] == 1:  # the same, in a better order
                np.multiply(moved[:, None, :, 0], delta, out=lower)
            else:
                np.einsum("kior,nor->knir", moved, delta, out=lower)
            lower += np.einsum("ior,knor->knir", self._layers[k + 1][:-1], down, out=self._scratch[k])
            lower *= self._slopes[k]
            if self._rule.bend is not None:
                tangent *= self._rule.bend(value) * self._pulls[k]
                lower += tangent
            down = lower
        np.matmul(self._inputs.T, _flat(down), out=_flat(gradients[0]))

    def point_factors(self) -> list[tuple[Array, Array]]:
        """After `outputs`, per layer: what enters it (n, in + 1, R) and df_n/dz (n, out, R), whose product is grad f_n there."""
        self.backward(np.ones_like(self._out[:, 0]))
        first = np.repeat(self._inputs[:, :, None], self._out.shape[-1], axis=2)
        others = [np.concatenate([value, np.ones_like(self._out)], axis=1) for value in self._values]
        return list(zip([first, *others], self._deltas, strict=True))

    def point_gradients(self) -> Array:
        """grad f_n for every input, after `outputs`: shape (n, P, R)."""
        parts = [np.einsum("nir,nor->nior", *factors) for factors in self.point_factors()]
        return np.concatenate([part.reshape(len(part), -1, part.shape[-1]) for part in parts], axis=1)

    def _stacked(self, directions: Array) -> list[Array]:
        """Views (K, in + 1, out, R) of (K, P, R)."""
        return [layer.transpose(2, 0, 1, 3) for layer in self.network.layers(directions.swapaxes(0, 1))]

    def _make_room(self, directions: int) -> None:
        """Buffers (K, n, width, R) of every layer for K directions."""
        if not self._tangents or len(self._tangents[0]) != directions:
            n, replicas = len(self._inputs), self._out.shape[-1]
            self._tangents, self._lower, self._scratch = (
                [np.empty((directions, n, width, replicas)) for width in self.network.widths[1:]] for _ in range(3)
            )


def _flat(layers: Array) -> Array:
    """(.., n, width, R) as (.., n, width R), a view where both are contiguous."""
    return layers.reshape(*layers.shape[:-2], -1)
