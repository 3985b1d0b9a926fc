"""A small network and its derivatives for many replicas at once: outputs, gradients, and both along directions.

Arrays are replica-last. A network of widths d -> h_1 -> .. -> 1 has parameters (P, R): per layer W (in, out), row-major, then b
(out), so that a layer's block is one matrix (in + 1, out, R) whose last row is the bias; activations carry a last row of ones.
The first layer is a matrix product over all replicas (the inputs are shared), the others are sums over small axes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from theory.response import Array

__all__ = ["ACTIVATIONS", "LOSSES", "Network", "Pass"]


@dataclass(frozen=True)
class Activation:
    """A function of z, and its derivatives written in the value a: slope = da/dz, bend = (d^2a/dz^2) / (da/dz)."""

    apply: Callable[[Array], object]  # z -> a, in place
    slope: Callable[[Array, Array], object]  # of a, into the second array
    bend: Callable[[Array], Array] | None  # of a; None where it is 0


def _softplus(z: Array) -> None:
    tail = np.log1p(np.exp(-np.abs(z)))
    np.maximum(z, 0.0, out=z)
    z += tail


def _tanh_slope(a: Array, out: Array) -> None:
    np.multiply(a, a, out=out)
    np.subtract(1.0, out, out=out)


ACTIVATIONS = {
    "tanh": Activation(lambda z: np.tanh(z, out=z), _tanh_slope, lambda a: -2.0 * a),
    "softplus": Activation(_softplus, lambda a, out: np.negative(np.expm1(-a), out=out), lambda a: np.exp(-a)),
    "relu": Activation(lambda z: np.maximum(z, 0.0, out=z), lambda a, out: np.greater(a, 0.0, out=out), None),
    "identity": Activation(lambda z: z, lambda a, out: np.copyto(out, 1.0), None),
}
"""By name. The derivative of relu at 0 is taken as 0."""


@dataclass(frozen=True)
class Loss:
    """The loss l of one point in its output f: dl/df for f (n, R) and targets (n, 1), and d^2l/df^2 written in dl/df."""

    slope: Callable[[Array, Array], Array]
    curvature: Callable[[Array], Array]


def _logistic_slope(f: Array, y: Array) -> Array:
    sign = 2.0 * y - 1.0
    slope = np.multiply(sign, f)
    np.exp(slope, out=slope)
    slope += 1.0
    return np.divide(-sign, slope, out=slope)


LOSSES = {
    "logistic": Loss(_logistic_slope, lambda slope: np.abs(slope) - slope * slope),
    "squared": Loss(lambda f, y: f - y, np.ones_like),
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

    K directions at a time are arrays (P, K, R), their outputs (n, K, R). What a method returns is overwritten by its next call.
    """

    def __init__(self, network: Network, X: Array, replicas: int) -> None:
        n, hidden = len(X), network.widths[1:-1]
        self.network, self._rule = network, ACTIVATIONS[network.activation]
        self._inputs = np.column_stack([X, np.ones(n)])
        self._values = [np.ones((n, width + 1, replicas)) for width in hidden]
        self._slopes = [np.empty((n, width, replicas)) for width in hidden]
        self._pulls = [np.empty((n, width, replicas)) for width in hidden]  # d objective / d value
        self._deltas = [np.empty((n, width, replicas)) for width in hidden]  # d objective / d z
        self._out = np.empty((n, 1, replicas))
        self._tangents: list[Array] = []

    def outputs(self, params: Array) -> Array:
        """f (n, R)."""
        for k, layer in enumerate(self.network.layers(params)):
            last = k == len(self._values)
            z = self._out if last else self._values[k][:, :-1]
            if k:
                np.einsum("nir,ior->nor", self._values[k - 1], layer, out=z)
            elif last:
                np.matmul(self._inputs, layer[:, 0], out=z[:, 0])
            else:
                _, width, replicas = z.shape
                flat = self._values[k].reshape(len(z), -1)[:, : width * replicas]
                np.matmul(self._inputs, layer.reshape(len(layer), -1), out=flat)
            if not last:
                self._rule.apply(z)
        return self._out[:, 0]

    def gradient(self, params: Array, delta: Array, out: Array) -> None:
        """sum_n delta_n grad f_n for delta (n, R), into out (P, R)."""
        layers, gradients, down = self.network.layers(params), self.network.layers(out), delta[:, None]
        for k in range(len(layers) - 1, 0, -1):
            np.einsum("nir,nor->ior", self._values[k - 1], down, out=gradients[k])
            np.einsum("ior,nor->nir", layers[k][:-1], down, out=self._pulls[k - 1])
            self._rule.slope(self._values[k - 1][:, :-1], self._slopes[k - 1])
            down = np.multiply(self._pulls[k - 1], self._slopes[k - 1], out=self._deltas[k - 1])
        np.matmul(self._inputs.T, down.reshape(len(down), -1), out=gradients[0].reshape(len(gradients[0]), -1))

    def output_tangents(self, params: Array, directions: Array) -> Array:
        """df along the directions (P, K, R): shape (n, K, R)."""
        layers, moved, n = self.network.layers(params), self.network.layers(directions), len(self._inputs)
        tangent = (self._inputs @ moved[0].reshape(len(moved[0]), -1)).reshape(n, *moved[0].shape[1:])
        self._tangents = []
        for k, value in enumerate(self._values):
            tangent *= self._slopes[k][:, :, None]
            self._tangents.append(tangent)
            pushed = np.einsum("nikr,ior->nokr", tangent, layers[k + 1][:-1])
            tangent = np.einsum("nir,iokr->nokr", value, moved[k + 1])
            tangent += pushed
        return tangent[:, 0]

    def gradient_tangents(self, params: Array, directions: Array, delta: Array, moved_delta: Array, out: Array) -> None:
        """d of `gradient` along the directions, when delta (n, R) moves by moved_delta (n, K, R); into out (P, K, R)."""
        layers, moved, gradients = (self.network.layers(x) for x in (params, directions, out))
        deltas, down = [*self._deltas, delta[:, None]], moved_delta[:, None]
        for k in range(len(layers) - 1, 0, -1):
            tangent, hidden = self._tangents[k - 1], slice(None, -1)
            np.einsum("nir,nokr->iokr", self._values[k - 1], down, out=gradients[k])
            gradients[k][hidden] += np.einsum("nikr,nor->iokr", tangent, deltas[k])
            lower = np.einsum("iokr,nor->nikr", moved[k][hidden], deltas[k])
            lower += np.einsum("ior,nokr->nikr", layers[k][hidden], down)
            lower *= self._slopes[k - 1][:, :, None]
            if self._rule.bend is not None:
                tangent *= (self._rule.bend(self._values[k - 1][:, :-1]) * self._pulls[k - 1])[:, :, None]
                lower += tangent
            down = lower
        np.matmul(self._inputs.T, down.reshape(len(down), -1), out=gradients[0].reshape(len(gradients[0]), -1))

    def point_gradients(self, params: Array) -> Array:
        """grad f_n for every input, after `outputs(params)`: shape (n, P, R)."""
        n, replicas = len(self._inputs), params.shape[1]
        gradients = np.empty((n, *params.shape))
        for i in range(n):
            self.gradient(params, np.repeat(np.eye(n)[i][:, None], replicas, axis=1), gradients[i])
        return gradients
