"""Compute outputs, gradients and Hessian products of a small network for many replicas at once.

The loops are in `kernels`. Replicas are the last axis of every array. A network of widths d -> h_1 -> .. -> C has parameters
(P, R): each layer has W (in, out) in row-major order, then b (out). A layer's block is thus one matrix (in + 1, out, R) whose
last row is the bias.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import pairwise

import numpy as np
import scipy
from numpy.typing import NDArray

from sims.learners.network import kernels
from theory.response import Array

__all__ = ["LOSSES", "Network", "Readout", "contiguous", "softmax"]


@dataclass(frozen=True)
class Loss:
    """The loss l of one point as a function of its output f, with its derivatives.

    `value` and `slope` compute l and dl/df for f (n, R) and targets y (n,). `curvature` computes d^2l/df^2 from dl/df. `fisher`
    computes the mean of (dl/df)^2 over targets that are drawn from the model at f: labels of probability p(f), or f plus noise of
    variance 1.
    """

    value: Callable[[Array, Array], Array]
    slope: Callable[[Array, Array], Array]
    curvature: Callable[[Array], Array]
    fisher: Callable[[Array], Array]


def _slopes(loss: str, f: Array, y: Array) -> Array:
    """Compute dl/df (n, R) for f (n, R) and targets y (n,)."""
    out = np.empty(f.shape)
    kernels.slopes(kernels.LOSSES.index(loss), contiguous(f), contiguous(y), out)
    return out


def _curvatures(loss: str, slope: Array) -> Array:
    """Compute d^2l/df^2 (n, R) from dl/df (n, R)."""
    out = np.empty(slope.shape)
    kernels.curvatures(kernels.LOSSES.index(loss), contiguous(slope), out)
    return out


LOSSES = {
    "logistic": Loss(
        value=lambda f, y: np.logaddexp(0.0, (1.0 - 2.0 * y[:, None]) * f),
        slope=partial(_slopes, "logistic"),
        curvature=partial(_curvatures, "logistic"),
        fisher=lambda f: scipy.special.expit(f) * scipy.special.expit(-f),
    ),
    "squared": Loss(
        value=lambda f, y: 0.5 * (f - y[:, None]) ** 2,
        slope=partial(_slopes, "squared"),
        curvature=partial(_curvatures, "squared"),
        fisher=np.ones_like,
    ),
}
"""The losses of one output by name: l = log(1 + exp(-(2y - 1) f)) for labels y in {0, 1}, and l = (f - y)^2 / 2."""


def softmax(f: Array, y: Array) -> tuple[Array, Array]:
    """Compute dl/df (n, C, R) of l = log sum_k exp f_k - f_y for f (n, C, R) and classes y (n,), and what `products` needs.

    The latter is phi'' (n, C + 2, R) for phi = l, as `kernels.softmax` writes it: p, a factor of ones, and room for sums.
    """
    n, outputs, replicas = f.shape
    slope, curvature = np.empty(f.shape), np.empty((n, outputs + 2, replicas))
    kernels.softmax(contiguous(f), contiguous(y), slope, curvature)
    return slope, curvature


@dataclass(frozen=True, eq=False)
class Readout:
    """What every query asks of the C outputs of the network: a scalar of `kernels.READOUTS`, for the query's class (M,)."""

    kind: str
    classes: NDArray[np.int64]

    def __call__(self, f: Array) -> tuple[Array, Array]:
        """Compute the scalars (M, R) and their derivatives in f (M, C, R), for f (M, C, R)."""
        out, slope = np.empty((len(f), f.shape[2])), np.empty(f.shape)
        kernels.readouts(kernels.READOUTS.index(self.kind), contiguous(f), self.classes, out, slope)
        return out, slope


@dataclass(frozen=True)
class Network:
    """A network of widths (d, h_1, .., C) whose hidden layers have the named activation; the outputs are linear.

    `sharpness` is the s of softplus, log(1 + exp(s z)) / s.
    """

    widths: tuple[int, ...]
    activation: str
    sharpness: float = 1.0

    @cached_property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """Return (in + 1, out) of every layer."""
        return tuple((before + 1, after) for before, after in pairwise(self.widths))

    @property
    def n_params(self) -> int:
        """Return P, the number of parameters."""
        return sum(rows * columns for rows, columns in self.shapes)

    @cached_property
    def code(self) -> tuple[kernels.Widths, kernels.Activation]:
        """Return the widths and the activation, the first two arguments of the kernels."""
        activation = kernels.Activation(kernels.ACTIVATIONS.index(self.activation), float(self.sharpness))
        return np.array(self.widths, dtype=np.int64), activation

    def layers(self, params: Array) -> list[Array]:
        """Return views (in + 1, out, ...) of parameters (P, ...), one per layer."""
        views: list[Array] = []
        start = 0
        for rows, columns in self.shapes:
            views.append(params[start : start + rows * columns].reshape(rows, columns, *params.shape[1:]))
            start += rows * columns
        return views

    def outputs(self, params: Array, X: Array) -> Array:
        """Compute f (n, C, R) at inputs X (n, d) for parameters (P, R)."""
        f = np.empty((len(X), self.widths[-1], params.shape[1]))
        kernels.evaluate(*self.code, contiguous(X), contiguous(params), f, _NONE, _NONE, _NONE)
        return f

    def scalar_outputs(self, params: Array, X: Array) -> Array:
        """Compute f (n, R) of a network with one output."""
        return self.outputs(params, X)[:, 0]

    def point_factors(self, params: Array, X: Array, pushes: Array | None = None) -> list[tuple[Array, Array]]:
        """Compute for each layer its inputs (n, in + 1, R) and d phi_n/dz (n, out, R), where d phi_n/df = pushes (n, C, R).

        Their outer product is the layer's part of grad phi_n. Without pushes, phi is the only output f.
        """
        n, replicas = len(X), params.shape[1]
        values, deltas = (np.empty((n, sum(self.widths[1:]), replicas)) for _ in range(2))
        f = np.empty((n, self.widths[-1], replicas))
        given = np.ones((n, 1, replicas)) if pushes is None else pushes
        kernels.evaluate(*self.code, contiguous(X), contiguous(params), f, contiguous(given), values, deltas)
        cuts = np.cumsum(self.widths[1:-1])
        one = np.ones((n, 1, replicas))
        inputs = [np.repeat(X[:, :, None], replicas, axis=2), *np.split(values, cuts, axis=1)[:-1]]
        return [
            (np.concatenate([below, one], axis=1), delta)
            for below, delta in zip(inputs, np.split(deltas, cuts, axis=1), strict=True)
        ]

    def point_gradients(self, params: Array, X: Array, pushes: Array | None = None) -> Array:
        """Compute grad phi_n for every input, shape (n, P, R), where d phi_n/df = pushes (n, C, R); without them phi = f."""
        parts = [np.einsum("nir,nor->nior", *factors) for factors in self.point_factors(params, X, pushes)]
        return np.concatenate([part.reshape(len(part), -1, part.shape[-1]) for part in parts], axis=1)

    def products(self, params: Array, X: Array, slope: Array, curvature: Array, directions: Array) -> tuple[Array, Array]:
        """Compute the gradient (P, R) of sum_i phi_i(f_i), and its Hessian times directions (K, P, R).

        phi_i' = slope (n, C, R). phi_i'' = curvature (n, 1, R) for one output; of `softmax` it is the second array, whose factor
        may have changed.
        """
        gradient, along = np.empty(params.shape), np.empty(directions.shape)
        inputs = contiguous(params), contiguous(slope), np.ascontiguousarray(curvature), contiguous(directions)
        kernels.products(*self.code, contiguous(X), *inputs, gradient, along)
        return gradient, along


def contiguous(array: Array) -> Array:
    """Return the array writeable and in C order, else a copy, so that the kernels are compiled for one kind of array only."""
    return np.require(array, requirements=["C", "W"])


_NONE = np.empty((0, 0, 0))
