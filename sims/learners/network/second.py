"""Differentiate the training of a network twice, exactly: d^2 outputs / dw_a dw_b in two directions of the weights.

Every number of training carries four components, its value x and the derivatives x_a, x_b and x_ab (a truncated Taylor
polynomial, or jet), and obeys the rules

    (x y)_ab = x_ab y + x_a y_b + x_b y_a + x y_ab,        g(x)_ab = g'(x) x_ab + g''(x) x_a x_b.

The steps are those of `descent`, from the same start and with the same batches. Backpropagation has g' of activations and losses,
and so its jets need derivatives up to g'''. Where relu has a kink the derivative is that of the branch that training took, as in
`descent`: the bend itself is not seen. Where the second moment v of adam is 0, sqrt v is taken as the constant 0: this gives the
first derivative, and of the second the mean over both directions, in which it is not the same. Replicas are the last axis of
every array.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

from sims.learners.network.descent import Batches, Descent, DivergedError, Optimizer
from sims.learners.network.kernels import LEAK
from sims.learners.network.passes import Network, Readout
from theory.response import Array

__all__ = ["second_derivative"]


class Jet(NamedTuple):
    """A jet has a value and its derivatives along a and b, and along both."""

    value: Array
    a: Array
    b: Array
    ab: Array

    def __add__(self, other: "Jet") -> "Jet":  # type: ignore[override]
        return Jet(*(x + y for x, y in zip(self, other, strict=True)))

    def scaled(self, factor: float) -> "Jet":
        return Jet(*(factor * x for x in self))

    def mapped(self, linear: Callable[[Array], Array]) -> "Jet":
        """Apply a linear function."""
        return Jet(*map(linear, self))

    def __sub__(self, other: "Jet") -> "Jet":
        return self + other.scaled(-1.0)

    def plus(self, constant: Array | float) -> "Jet":
        """Add a constant, which changes only the value."""
        return self._replace(value=self.value + constant)

    def composed(self, g: Array, first: Array, second: Array) -> "Jet":
        """Return g(x) from g, g' and g'' at the value of x."""
        return Jet(g, first * self.a, first * self.b, first * self.ab + second * self.a * self.b)


def _product(multiply: Callable[[Array, Array], Array], x: Jet, y: Jet) -> Jet:
    """Return a bilinear function of two jets."""
    return Jet(
        multiply(x.value, y.value),
        multiply(x.a, y.value) + multiply(x.value, y.a),
        multiply(x.b, y.value) + multiply(x.value, y.b),
        multiply(x.ab, y.value) + multiply(x.a, y.b) + multiply(x.b, y.a) + multiply(x.value, y.ab),
    )


def second_derivative(plan: Descent, weights: Array, initial: Array, batches: Batches, *, point: int, other: int) -> Array:
    """Compute d^2 outputs / dw_point dw_other (B, S, K M) for weights (B, N) and initial parameters (P, S)."""
    (b, s), size = (len(weights), initial.shape[1]), len(plan.snapshots) * len(plan.X_query)
    of_row, of_seed = (place.ravel() for place in np.indices((b, s)))
    found, step = np.empty((size, b * s)), max(1, _ENTRIES // (len(plan.X) * max(plan.network.widths)))
    for start in range(0, b * s, step):
        who = slice(start, start + step)
        block = _Block(plan, weights[of_row[who]].T, initial[:, of_seed[who]], batches, of_seed[who], (point, other))
        with np.errstate(over="ignore", invalid="ignore"):  # divergence is found below, as values that are not finite
            found[:, who] = block.outputs()
            if not np.isfinite(found[:, who]).all():
                replica, at = block.first_divergence()
                raise DivergedError(int(of_row[start + replica]), int(of_seed[start + replica]), at)
    return found.T.reshape(b, s, size)


class _Block:
    """Replicas that are trained together: weights (N, R), initial parameters (P, R), numbers of their seeds (R,)."""

    def __init__(
        self, plan: Descent, weights: Array, initial: Array, batches: Batches, seeds: np.ndarray, directions: tuple[int, int]
    ) -> None:
        self.plan, self.initial, self.batches, self.seeds = plan, initial, batches, seeds
        along = [np.zeros(weights.shape) for _ in range(3)]
        for moved, point in zip(along, directions, strict=False):
            moved[point] = 1.0
        self.weights = Jet(weights, *along)

    def outputs(self) -> Array:
        """Return the component ab of the outputs at all snapshots, (K M, R)."""
        ends = [params for t, params in enumerate(self.train(), 1) if t in self.plan.snapshots]
        queries, readout = self.plan.X_query, self.plan.readout
        return np.concatenate([_read(readout, self._forward(layers, queries)[-1]).ab for layers in ends])

    def first_divergence(self) -> tuple[int, int]:
        """Return the first replica with a parameter, or a derivative of one, that is not finite, and after which step."""
        for t, layers in enumerate(self.train(), 1):
            finite = np.isfinite(np.concatenate([part.reshape(-1, part.shape[-1]) for jet in layers for part in jet]))
            if not finite.all():
                return int(np.flatnonzero(~finite.all(axis=0))[0]), t
        return 0, self.plan.snapshots[-1]

    def train(self) -> Iterator[list[Jet]]:
        """Train, and yield the layers (in + 1, out, R) after every step."""
        plan, sizes = self.plan, self.batches.sizes
        layers = [Jet(layer, *(np.zeros(layer.shape) for _ in range(3))) for layer in plan.network.layers(self.initial)]
        memory = [(jet.scaled(0.0), jet.scaled(0.0)) for jet in layers]
        for t, rate in enumerate(plan.rates):
            epoch, number = divmod(t, len(sizes))
            chosen = self.batches.numbers[epoch % len(self.batches.numbers)][:, self.seeds] == number
            shares = self.weights.mapped(lambda w, part=chosen / float(sizes[number]): w * part)
            steps = zip(layers, memory, self._gradient(layers, shares), strict=True)
            if plan.optimizer.name == "sgd":
                found = [_sgd(plan.optimizer, float(rate), *each) for each in steps]
            else:
                found = [_adam(plan.optimizer, t, float(rate), *each) for each in steps]
            layers, memory = [theta for theta, _ in found], [kept for _, kept in found]
            yield layers

    def _gradient(self, layers: list[Jet], shares: Jet) -> list[Jet]:
        """Compute the gradient of sum_i shares_i l_i + (l2/2) ||theta||^2, layer by layer."""
        plan = self.plan
        *hidden, output = self._forward(layers, plan.X)
        slope = _loss_slope(plan.loss, output, plan.y)
        delta = _product(lambda w, x: w[:, None] * x, shares, slope)
        X = np.repeat(plan.X[:, :, None], self.initial.shape[1], axis=2)
        below = [Jet(X, *(np.zeros(X.shape) for _ in range(3)))]
        activation = _activation(plan.network)
        below += [z.composed(*activation(z.value)[:3]) for z in hidden]
        gradients = list[Jet]()
        for k in reversed(range(len(layers))):
            weight = _product(lambda x, d: np.einsum("nir,nor->ior", x, d), below[k], delta)
            bias = delta.mapped(lambda d: d.sum(axis=0)[None])
            own = Jet(*(np.concatenate(parts) for parts in zip(weight, bias, strict=True)))
            gradients.append(own + layers[k].scaled(plan.optimizer.penalty))
            if k:
                pull = _product(lambda w, d: np.einsum("ior,nor->nir", w[:-1], d), layers[k], delta)
                _, *bends = activation(hidden[k - 1].value)
                delta = _product(np.multiply, pull, hidden[k - 1].composed(*bends))
        return gradients[::-1]

    def _forward(self, layers: list[Jet], X: Array) -> list[Jet]:
        """Compute what every layer passes on before its activation, (n, out, R), at inputs X (n, d)."""
        activation = _activation(self.plan.network)
        z = layers[0].mapped(lambda layer: np.tensordot(X, layer[:-1], axes=1) + layer[-1])
        found = [z]
        for layer in layers[1:]:
            a = z.composed(*activation(z.value)[:3])
            z = _product(lambda w, x: np.einsum("ior,nir->nor", w[:-1], x), layer, a) + layer.mapped(lambda w: w[-1][None])
            found.append(z)
        return found


_Memory = tuple[Jet, Jet]
"""The first and the second moment of adam; the velocity of sgd, and something unused."""


def _sgd(optimizer: Optimizer, rate: float, theta: Jet, memory: _Memory, gradient: Jet) -> tuple[Jet, _Memory]:
    velocity = memory[0].scaled(optimizer.momentum) + gradient
    return theta + velocity.scaled(-rate), (velocity, memory[1])


def _adam(optimizer: Optimizer, t: int, rate: float, theta: Jet, memory: _Memory, gradient: Jet) -> tuple[Jet, _Memory]:
    (first, second), decay = optimizer.betas, optimizer.l2 - optimizer.penalty
    m = memory[0].scaled(first) + gradient.scaled(1.0 - first)
    v = memory[1].scaled(second) + _product(np.multiply, gradient, gradient).scaled(1.0 - second)
    inverse = _inverse(_root(v.scaled(1.0 / (1.0 - second ** (t + 1)))).plus(optimizer.eps))
    move = _product(np.multiply, m, inverse).scaled(-rate / (1.0 - first ** (t + 1)))
    return theta.scaled(1.0 - rate * decay) + move, (m, v)


def _root(x: Jet) -> Jet:
    """Return sqrt(x), and the constant 0 where x is 0."""
    root = np.sqrt(x.value)
    inverse = np.divide(1.0, root, out=np.zeros(root.shape), where=root > 0.0)
    return x.composed(root, 0.5 * inverse, -0.25 * inverse**3)


def _inverse(x: Jet) -> Jet:
    inverse = 1.0 / x.value
    return x.composed(inverse, -(inverse**2), 2.0 * inverse**3)


def _loss_slope(loss: str, f: Jet, y: Array) -> Jet:
    """Return dl/df (n, C, R) for outputs (n, C, R) and targets y (n,)."""
    if loss != "softmax":
        return f.composed(*_LOSSES[loss](f.value, y[:, None, None]))
    power, total, _ = _exponentials(f, np.ones(f.value.shape[:2], dtype=bool))
    own = np.equal(np.arange(int(f.value.shape[1])), y[:, None]).astype(np.float64)
    return _product(np.multiply, power, _inverse(total)).plus(-own[:, :, None])


def _exponentials(f: Jet, of: NDArray[np.bool_]) -> tuple[Jet, Jet, Array]:
    """Return exp(f - most) (n, C, R) for the classes `of` (n, C), its sum over them (n, 1, R), and most (n, 1, R)."""
    most = np.where(of[:, :, None], f.value, -np.inf).max(axis=1, keepdims=True)
    value = np.exp(np.where(of[:, :, None], f.value - most, -np.inf))
    power = f.composed(value, value, value)
    return power, power.mapped(lambda x: x.sum(axis=1, keepdims=True)), most


def _read(readout: Readout, f: Jet) -> Jet:
    """Return what the queries ask (M, R) of their outputs (M, C, R)."""
    every = np.arange(len(readout.classes))
    own = f.mapped(lambda x: x[every, readout.classes])
    if readout.kind == "logit":
        return own
    among = np.not_equal(np.arange(int(f.value.shape[1])), readout.classes[:, None])
    _, total, most = _exponentials(f, among if readout.kind == "margin" else np.ones_like(among))
    inverse = 1.0 / total.value
    logarithm = total.composed(np.log(total.value), inverse, -(inverse**2)).plus(most)
    return own - logarithm.mapped(lambda x: x[:, 0])


_Derivatives = tuple[Array, Array, Array, Array]
"""A function and its first, second and third derivative."""


def _tanh(z: Array) -> _Derivatives:
    a = np.tanh(z)
    slope = 1.0 - a**2
    return a, slope, -2.0 * a * slope, (6.0 * a**2 - 2.0) * slope


def _softplus(z: Array, sharpness: float = 1.0) -> _Derivatives:
    s = sharpness
    on, off = scipy.special.expit(s * z), scipy.special.expit(-s * z)
    return np.logaddexp(0.0, s * z) / s, on, s * on * off, s**2 * on * off * (off - on)


def _relu(z: Array) -> _Derivatives:
    on, none = (z > 0.0).astype(np.float64), np.zeros(z.shape)
    return on * z, on, none, none


def _leaky_relu(z: Array) -> _Derivatives:
    slope, none = np.where(z > 0.0, 1.0, LEAK), np.zeros(z.shape)
    return slope * z, slope, none, none


def _gelu(z: Array) -> _Derivatives:
    below, density = scipy.special.ndtr(z), np.exp(-0.5 * z**2) / np.sqrt(2.0 * np.pi)
    return z * below, below + z * density, (2.0 - z**2) * density, (z**2 - 4.0) * z * density


def _identity(z: Array) -> _Derivatives:
    none = np.zeros(z.shape)
    return z, none + 1.0, none, none


def _logistic(f: Array, y: Array) -> tuple[Array, Array, Array]:
    sign = 2.0 * y - 1.0
    miss, hit = scipy.special.expit(-sign * f), scipy.special.expit(sign * f)
    return -sign * miss, miss * hit, sign * miss * hit * (miss - hit)


def _squared(f: Array, y: Array) -> tuple[Array, Array, Array]:
    return f - y, np.ones(f.shape), np.zeros(f.shape)


_ACTIVATIONS = {"tanh": _tanh, "relu": _relu, "leaky_relu": _leaky_relu, "identity": _identity, "gelu": _gelu}


def _activation(network: Network) -> Callable[[Array], _Derivatives]:
    """Return what computes the activation and its derivatives."""
    if network.activation == "softplus":
        return partial(_softplus, sharpness=network.sharpness)
    return _ACTIVATIONS[network.activation]


_LOSSES = {"logistic": _logistic, "squared": _squared}
"""dl/df and its first and second derivative in f, for the losses of one output."""

_ENTRIES = 2**13  # numbers of one component of a layer for all points of a block
