"""Compute activations, their slopes and their bends, and the exponential function that they and the losses share."""

import math
from typing import NamedTuple

import numpy as np

from theory.compiled import inner
from theory.response import Array

__all__ = ["ACTIVATIONS", "GELU", "LEAK", "Activation", "activate", "add_bend", "exponential", "gelu", "times_slope"]

ACTIVATIONS = ("tanh", "softplus", "relu", "identity", "gelu", "leaky_relu")
"""The activations; `activate`, `times_slope` and `add_bend` use their positions. Kinks have the derivative of their left side."""

LEAK = 0.01
"""The slope of leaky_relu at negative z, as in PyTorch."""

GELU = ACTIVATIONS.index("gelu")
"""The activation whose derivatives are not expressed by its value, but kept in the rows `extra`."""


class Activation(NamedTuple):
    """An activation has a position in `ACTIVATIONS`; `sharpness` is the s of softplus, log(1 + exp(s z)) / s."""

    kind: int
    sharpness: float


@inner
def activate(activation: Activation, a: Array) -> None:
    """Replace the numbers z in `a`, a row of any length, by a = act(z)."""
    if activation.kind == 0:
        for r in range(len(a)):
            power, rest = exponential(2.0 * min(max(a[r], -20.0), 20.0))  # tanh 20 is 1 to the last bit
            minus_1 = power * rest + (power - 1.0)
            a[r] = minus_1 / (minus_1 + 2.0)
    elif activation.kind == 1:
        s = activation.sharpness
        for r in range(len(a)):
            power, rest = exponential(max(-s * abs(a[r]), -700.0))
            a[r] = max(a[r], 0.0) + math.log1p(power * rest + power) / s
    elif activation.kind == 2:
        for r in range(len(a)):
            a[r] = max(a[r], 0.0)
    elif activation.kind == 5:
        for r in range(len(a)):
            a[r] = max(a[r], LEAK * a[r])


@inner
def times_slope(activation: Activation, a: Array, out: Array) -> None:
    """Multiply the numbers in `out` by da/dz, expressed by the values a."""
    if activation.kind == 0:
        for r in range(len(a)):
            out[r] *= 1.0 - a[r] * a[r]
    elif activation.kind == 1:
        s = activation.sharpness
        for r in range(len(a)):
            power, rest = exponential(max(-s * a[r], -700.0))
            out[r] *= (1.0 - power) - power * rest
    elif activation.kind == 2:
        for r in range(len(a)):
            out[r] *= 1.0 if a[r] > 0.0 else 0.0
    elif activation.kind == 5:
        for r in range(len(a)):
            out[r] *= 1.0 if a[r] > 0.0 else LEAK


@inner
def add_bend(activation: Activation, a: Array, tangent: Array, pull: Array, out: Array) -> None:
    """Add pull * d^2a/dz^2 * dz to the numbers in `out`, where the tangents are da/dz * dz.

    The factor (d^2a/dz^2) / (da/dz) is expressed by the values a.
    """
    if activation.kind == 0:
        for r in range(len(a)):
            out[r] -= 2.0 * a[r] * tangent[r] * pull[r]
    elif activation.kind == 1:
        s = activation.sharpness
        for r in range(len(a)):
            power, rest = exponential(max(-s * a[r], -700.0))
            out[r] += s * ((power * rest + power) * tangent[r] * pull[r])


@inner
def gelu(values: Array, extra: Array, here: int, rows: int) -> None:
    """Replace the rows z by a = z Phi(z), Phi the normal distribution, and write da/dz and d^2a/dz^2 into `extra`."""
    for j in range(here, here + rows):
        second = len(values) + j
        for r in range(values.shape[1]):
            z = min(max(values[j, r], -40.0), 40.0)  # beyond, Phi is 0 or 1 to the last bit
            power, rest = exponential(max(-0.5 * z * z, -700.0))
            density, below = (power * rest + power) * _PER_ROOT_2_PI, 0.5 * math.erfc(-z * _ROOT_HALF)
            values[j, r] = max(values[j, r], -40.0) * below
            extra[j, r] = below + z * density
            extra[second, r] = (2.0 - z * z) * density


@inner
def exponential(x: float) -> tuple[float, float]:
    """Compute exp x = 2^k (1 + rest) for |x| <= 700; return (2^k, rest) with |rest| < 0.42.

    `rest` is correct to 2e-16, both absolutely and relative to itself. x = k log 2 + u with |u| <= log(2) / 2, and
    rest = u + u^2 (1/2! + u/3! + .. + u^11/13!), whose terms are summed in pairs (Estrin).
    """
    shifted = x * _PER_LOG_2 + _ROUND  # the last bits of this number are the integer k
    k = shifted - _ROUND
    u = (x - k * _LOG_2_HIGH) - k * _LOG_2_LOW
    v = u * u
    w = v * v
    low = (_T[0] + _T[1] * u) + (_T[2] + _T[3] * u) * v
    middle = (_T[4] + _T[5] * u) + (_T[6] + _T[7] * u) * v
    high = (_T[8] + _T[9] * u) + (_T[10] + _T[11] * u) * v
    bits = (np.float64(shifted).view(np.int64) << np.int64(52)) + np.int64(1023 << 52)
    return np.int64(bits).view(np.float64), u + v * (low + w * (middle + w * high))


_T = tuple(1.0 / math.factorial(k) for k in range(2, 14))
_ROUND = 1.5 * 2.0**52
_ROOT_HALF = math.sqrt(0.5)
_PER_ROOT_2_PI = 1.0 / math.sqrt(2.0 * math.pi)
_PER_LOG_2 = 1.0 / math.log(2.0)
_LOG_2_HIGH = float.fromhex("0x1.62e42feep-1")  # 32 bits of log 2, so that k times it is exact
_LOG_2_LOW = float.fromhex("0x1.a39ef35793c76p-33")
