"""Objectives of a network at any parameters, to second order, and the minimum to which gradient flow leads from a start.

    J(theta) = (1/N) sum_j (w_j l_j(theta) - c_j f_j(theta)) + (stiffness/2) ||theta - centre||^2

In f_j a term has the derivatives w_j l_j' - c_j and w_j l_j'': tilts c move the first alone. L(theta; w) has c = 0 and centre 0.
With w = 1 and c_j = l_j' at theta_s the sum is, up to a constant, that of the Bregman divergences of l_j from f_j(theta_s).
Replicas, here trained models, are the last axis, as in `network`; each has its own tilts and centre.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sims.learners.network.passes import LOSSES, Network
from theory.response import Array

__all__ = ["Local", "Minimum", "Objective", "minimised"]


class Local(NamedTuple):
    """J and its derivatives at some parameters; magnitude sums the sizes of what J is made of: rounding is relative to it."""

    value: Array  # (R,)
    gradient: Array  # (R, P)
    hessian: Array  # (R, P, P)
    magnitude: Array  # (R,)


class Minimum(NamedTuple):
    """Where the search ended; `found` where it is a minimum, isolated and within the tolerance."""

    params: Array  # (P, R)
    gradient_norm: Array  # (R,)
    least_eigenvalue: Array  # (R,), of the Hessian of J
    found: NDArray[np.bool_]  # (R,)


@dataclass(frozen=True, eq=False)
class Objective:
    """J for R parameter vectors at once."""

    network: Network
    X: Array  # (N, d)
    y: Array  # (N,)
    loss: str
    weights: Array  # (N, 1) or (N, R)
    tilts: Array  # (N, R)
    stiffness: float
    centre: Array  # (P, R)

    def at(self, params: Array) -> Local:
        """J to second order at parameters (P, R)."""
        (size, replicas), loss, shares = params.shape, LOSSES[self.loss], self.weights / len(self.X)
        f, tilts = self.network.outputs(params, self.X), self.tilts / len(self.X)
        losses, slopes = shares * loss.value(f, self.y), loss.slope(f, self.y)
        unit = np.repeat(np.eye(size)[:, :, None], replicas, axis=2)
        pushes, bends = shares * slopes - tilts, shares * loss.curvature(slopes)
        gradient, hessian = self.network.products(params, self.X, pushes, bends, unit)
        away = params - self.centre
        spring = 0.5 * self.stiffness * (away**2).sum(axis=0)
        symmetric = (0.5 * (hessian + hessian.swapaxes(0, 1))).transpose(2, 0, 1)
        return Local(
            value=(losses - tilts * f).sum(axis=0) + spring,
            gradient=(gradient + self.stiffness * away).T,
            hessian=symmetric + self.stiffness * np.eye(size),
            magnitude=(losses + (np.abs(tilts) + np.abs(shares * slopes)) * np.abs(f)).sum(axis=0) + spring,
        )


def minimised(objective: Objective, start: Array, tolerance: Array, *, max_steps: int = 5000) -> Minimum:
    """The minimum of J to which gradient flow leads from `start` (P, R), to ||grad J|| <= tolerance (R,).

    A step is the flow of J to second order for a time tau (exponential Rosenbrock-Euler; Hochbruck & Ostermann 2010): Newton's as
    tau grows. It is taken if the gradient is then within `_DRIFT` ||grad J|| of what the second order says and J has not risen;
    what was missed sets the next tau. `found` asks for a Newton step that is small beside the parameters too: where J has no
    minimum its gradient also vanishes, far out, but Newton's steps do not.
    """
    params, here, steps = start.copy(), objective.at(start), 0
    tau, lengths = 1.0 / np.maximum(np.linalg.norm(here.hessian, axis=(1, 2)), _TINY), np.linalg.norm(start, axis=0)
    while True:
        values, vectors = np.linalg.eigh(here.hessian)
        modes, norm = np.einsum("rpk,rp->rk", vectors, here.gradient), np.linalg.norm(here.gradient, axis=1)
        newton = np.linalg.norm(modes / np.maximum(np.abs(values), _TINY), axis=1)
        small = newton <= _STEP * (np.linalg.norm(params, axis=0) + lengths)
        found = (norm <= tolerance) & (values[:, 0] > 0.0) & small
        if found.all() or (norm[~found] <= 1e-3 * tolerance[~found]).any() or steps == max_steps:
            return _ended(objective, params, here, found)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # a step too far is not taken
            step, expected = _flow(values, vectors, modes, tau)
            trial = np.where(found, params, params + step)
            there = objective.at(trial)
            drift = np.linalg.norm(there.gradient - expected, axis=1)
            good = ~found & (drift <= _DRIFT * norm) & (there.value <= here.value + _ROUNDING * here.magnitude)
            change = np.nan_to_num(0.9 * np.sqrt(_DRIFT * norm / drift), nan=0.0)  # drift is of second order in tau
        params, here = np.where(good, trial, params), _chosen(good, there, here)
        tau = np.minimum(tau * np.clip(change, 0.1, np.where(good, 10.0, 0.5)), 1.0 / _TINY)
        steps += 1


def _ended(objective: Objective, params: Array, here: Local, found: NDArray[np.bool_]) -> Minimum:
    """With a last Newton step where a minimum was found, as far as rounding lets it help."""
    values, vectors = np.linalg.eigh(here.hessian)
    inverse = 1.0 / np.where(found[:, None], values, np.inf)
    last = params - np.einsum("rpk,rk,rqk,rq->pr", vectors, inverse, vectors, here.gradient)
    norms = [np.linalg.norm(gradient, axis=1) for gradient in (here.gradient, objective.at(last).gradient)]
    params = np.where(norms[1] < norms[0], last, params)
    return Minimum(params, np.minimum(*norms), values[:, 0], found)


def _flow(values: Array, vectors: Array, modes: Array, tau: Array) -> tuple[Array, Array]:
    """-(1 - exp(-tau H)) H^-1 grad J (P, R), and exp(-tau H) grad J (R, P), for H = V diag(values) V^T and modes = V^T grad J."""
    exponent = -values * tau[:, None]
    time = np.where(values == 0.0, tau[:, None], -np.expm1(exponent) / np.where(values == 0.0, 1.0, values))
    return -np.einsum("rpk,rk->pr", vectors, time * modes), np.einsum("rpk,rk->rp", vectors, np.exp(exponent) * modes)


def _chosen(who: NDArray[np.bool_], new: Local, old: Local) -> Local:
    """`new` for the replicas `who`, `old` for the others."""
    return Local(*(np.where(who.reshape(-1, *[1] * (a.ndim - 1)), a, b) for a, b in zip(new, old, strict=True)))


_DRIFT = 0.05  # ends where 0.01 does in 360 searches from random starts; 0.1 in all but 2, Newton with no bound in all but 57
_STEP = 1e-6  # of the length of the parameters: the largest Newton step that is left at a minimum
_ROUNDING = 1e-13  # of the magnitude of J: some hundred units in the last place
_TINY = float(np.finfo(np.float64).tiny)
