"""Compute losses and what queries ask of the outputs, with their derivatives in the outputs."""

import math

import numpy as np
from numpy.typing import NDArray

from sims.learners.network.kernels.activations import exponential
from theory.compiled import compiled, inner
from theory.response import Array

__all__ = ["LOSSES", "READOUTS", "SOFTMAX", "bend_loss", "curvatures", "loss_of_point", "readouts", "slopes", "softmax"]

LOSSES = ("logistic", "squared", "softmax")
"""The losses; `_loss_slope` and `_loss_curvature` use the positions of those of one output."""

SOFTMAX = LOSSES.index("softmax")
"""The loss of several outputs."""

READOUTS = ("logit", "margin", "log_probability")
"""What a query asks of its outputs f (C,), for its class c: f_c, f_c - log sum_{k != c} exp f_k, or f_c - log sum_k exp f_k."""

_LOGIT, _MARGIN = READOUTS.index("logit"), READOUTS.index("margin")


@compiled
def slopes(loss: int, f: Array, y: Array, out: Array) -> None:
    """Write dl/df into out (n, R), for f (n, R) and targets y (n,)."""
    for i in range(len(f)):
        _loss_slope(loss, f[i], y[i], out[i])


@compiled
def curvatures(loss: int, slope: Array, out: Array) -> None:
    """Write d^2l/df^2 into out (n, R), for dl/df (n, R)."""
    for i in range(len(slope)):
        _loss_curvature(loss, slope[i], out[i])


@compiled
def softmax(f: Array, y: Array, slope: Array, curvature: Array) -> None:
    """Write dl/df into slope (n, C, R), and the other arrays of `_softmax` into curvature (n, C + 2, R), for f (n, C, R)."""
    for i in range(len(f)):
        _softmax(f[i], 0, int(y[i]), slope[i], curvature[i])


@compiled
def readouts(readout: int, f: Array, classes: NDArray[np.int64], out: Array, slope: Array) -> None:
    """Write what the queries ask into out (n, R), and its derivative in f into slope (n, C, R), for f (n, C, R)."""
    for i in range(len(f)):
        _read(readout, f[i], classes[i], out[i], slope[i])


@inner
def loss_of_point(loss: int, values: Array, y: float, slope: Array, curvature: Array) -> None:
    """Write dl/df into slope (C, R) for the outputs in the last rows, and phi'' as in `bend_loss` if `curvature` has rows."""
    top = len(values) - len(slope)
    if loss == SOFTMAX:
        _softmax(values, top, int(y), slope, curvature)
    else:
        _loss_slope(loss, values[top], y, slope[0])
        if len(curvature):
            _loss_curvature(loss, slope[0], curvature[0])


@inner
def _softmax(values: Array, top: int, label: int, slope: Array, curvature: Array) -> None:
    """Write dl/df = p - e_label into slope (C, R), and p and a row of ones into curvature (C + 2, R), if that has rows.

    l = -log p_label, and p_c = exp f_c / sum_k exp f_k. The label's own slope is -sum_{c != label} p_c, without cancellation.
    """
    outputs = len(slope)
    for r in range(slope.shape[1]):
        most, total, others = values[top, r], 0.0, 0.0
        for c in range(1, outputs):
            most = max(most, values[top + c, r])
        for c in range(outputs):
            power, rest = exponential(max(values[top + c, r] - most, -700.0))
            term = power * rest + power
            slope[c, r] = term
            total += term
            others += 0.0 if c == label else term
        part = 1.0 / total
        if len(curvature):
            curvature[outputs, r] = 1.0
            for c in range(outputs):
                curvature[c, r] = slope[c, r] * part
        for c in range(outputs):
            slope[c, r] = -others * part if c == label else slope[c, r] * part


@inner
def bend_loss(curvature: Array, df: Array, first: int, moved: Array, top: int) -> None:
    """Write phi'' df into the rows of `moved` from row `top`, for the outputs' tangents in the rows of df from row `first`.

    For one output phi'' is curvature (1, R). For C outputs of a softmax it is s (diag(p) - p p^T), with p and s in the rows of
    curvature (C + 2, R); the last row gets p . df.
    """
    if len(curvature) == 1:
        for r in range(df.shape[1]):
            moved[top, r] = df[first, r] * curvature[0, r]
        return
    outputs = len(curvature) - 2
    for r in range(df.shape[1]):
        curvature[outputs + 1, r] = 0.0
    for c in range(outputs):
        for r in range(df.shape[1]):
            curvature[outputs + 1, r] += curvature[c, r] * df[first + c, r]
    for c in range(outputs):
        for r in range(df.shape[1]):
            moved[top + c, r] = curvature[outputs, r] * (curvature[c, r] * (df[first + c, r] - curvature[outputs + 1, r]))


@inner
def _read(readout: int, f: Array, label: int, out: Array, slope: Array) -> None:
    """Write what a query of this class asks into out (R,), and its derivative in f (C, R) into slope (C, R)."""
    outputs = len(f)
    for r in range(len(out)):
        if readout == _LOGIT:
            out[r] = f[label, r]
            for c in range(outputs):
                slope[c, r] = 1.0 if c == label else 0.0
        else:
            other = 1 if label == 0 else 0
            most, total = f[other, r], 0.0
            for c in range(outputs):
                most = most if c == label else max(most, f[c, r])
            for c in range(outputs):
                power, rest = exponential(min(max(f[c, r] - most, -700.0), 0.0))
                slope[c, r] = 0.0 if c == label else power * rest + power
                total += slope[c, r]
            margin = f[label, r] - (most + math.log(total))
            power, rest = exponential(max(-abs(margin), -700.0))
            small = power * rest + power
            wrong = (small if margin > 0.0 else 1.0) / (1.0 + small)  # the probability of the other classes together
            factor = 1.0 if readout == _MARGIN else wrong
            out[r] = margin if readout == _MARGIN else min(margin, 0.0) - math.log1p(small)
            for c in range(outputs):
                slope[c, r] = factor if c == label else -factor * slope[c, r] / total


@inner
def _loss_slope(loss: int, f: Array, y: float, out: Array) -> None:
    """Write dl/df into out."""
    if loss == 0:
        sign = 2.0 * y - 1.0
        for r in range(len(f)):
            power, rest = exponential(min(max(sign * f[r], -700.0), 700.0))
            out[r] = -sign / (1.0 + (power * rest + power))
    else:
        for r in range(len(f)):
            out[r] = f[r] - y


@inner
def _loss_curvature(loss: int, slope: Array, out: Array) -> None:
    """Write d^2l/df^2, expressed by dl/df, into out."""
    if loss == 0:
        for r in range(len(slope)):
            out[r] = abs(slope[r]) - slope[r] * slope[r]
    else:
        for r in range(len(slope)):
            out[r] = 1.0
