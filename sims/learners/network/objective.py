"""Compute objectives of a network to second order, and the minimum to which gradient flow leads from a start.

    J(theta) = (1/N) sum_j (w_j l_j(theta) - c_j f_j(theta)) + (stiffness/2) ||theta - centre||^2

Term j has the derivatives w_j l_j' - c_j and w_j l_j'' in f_j: the tilts c change only the first. L(theta; w) is J with c = 0,
stiffness l2 and centre 0. With w = 1 and c_j = l_j' at theta_s, the sum over j equals, up to a constant, the sum of the Bregman
divergences of l_j from f_j(theta_s). The network has one output. Replicas, which are trained models here, are the last axis, as
in the whole package `network`; each has its own tilts and centre.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sims.learners.network.passes import LOSSES, Network
from theory.response import Array

__all__ = ["Local", "Minimum", "Objective", "minimised"]


class Local(NamedTuple):
    """The value and the derivatives of J at given parameters; `magnitude` sums the sizes of J's terms, to judge rounding."""

    value: Array  # (R,)
    gradient: Array  # (R, P)
    hessian: Array  # (R, P, P)
    magnitude: Array  # (R,)


class Minimum(NamedTuple):
    """The end of a search; `found` is True where it is an isolated minimum within the tolerance."""

    params: Array  # (P, R)
    gradient_norm: Array  # (R,)
    least_eigenvalue: Array  # (R,), of the Hessian of J
    found: NDArray[np.bool_]  # (R,)


@dataclass(frozen=True, eq=False)
class Objective:
    """The objective J for R parameter vectors at once."""

    network: Network
    X: Array  # (N, d)
    y: Array  # (N,)
    loss: str
    weights: Array  # (N, 1) or (N, R)
    tilts: Array  # (N, R)
    stiffness: float
    centre: Array  # (P, R)

    def at(self, params: Array) -> Local:
        """Compute J and its first and second derivatives at parameters (P, R)."""
        (size, replicas), loss, shares = params.shape, LOSSES[self.loss], self.weights / len(self.X)
        f, tilts = self.network.scalar_outputs(params, self.X), self.tilts / len(self.X)
        losses, slopes = shares * loss.value(f, self.y), loss.slope(f, self.y)
        unit = np.repeat(np.eye(size)[:, :, None], replicas, axis=2)
        pushes, bends = shares * slopes - tilts, shares * loss.curvature(slopes)
        gradient, hessian = self.network.products(params, self.X, pushes[:, None], bends[:, None], unit)
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
    """Search the minimum of J to which gradient flow leads from `start` (P, R), until ||grad J|| <= tolerance (R,).

    A step follows the gradient flow of the second-order model of J for a time tau (exponential Rosenbrock-Euler; Hochbruck &
    Ostermann 2010); for large tau it is Newton's step. The step is accepted if J has not risen and the new gradient differs from
    the model's prediction by at most `_DRIFT` ||grad J||. This difference also sets the next tau. `found` also requires a Newton
    step that is small relative to the parameters: where J has no minimum, its gradient vanishes far out too, but Newton's steps
    do not.
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
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # a step that is too long is rejected below
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
    """Return the end of the search, after a last Newton step for the minima that were found, where it lowers the gradient."""
    values, vectors = np.linalg.eigh(here.hessian)
    inverse = 1.0 / np.where(found[:, None], values, np.inf)
    last = params - np.einsum("rpk,rk,rqk,rq->pr", vectors, inverse, vectors, here.gradient)
    norms = [np.linalg.norm(gradient, axis=1) for gradient in (here.gradient, objective.at(last).gradient)]
    params = np.where(norms[1] < norms[0], last, params)
    return Minimum(params, np.minimum(*norms), values[:, 0], found)


def _flow(values: Array, vectors: Array, modes: Array, tau: Array) -> tuple[Array, Array]:
    """Compute the step -(1 - exp(-tau H)) H^-1 grad J (P, R) and the predicted gradient exp(-tau H) grad J (R, P).

    H = V diag(values) V^T, and modes = V^T grad J.
    """
    exponent = -values * tau[:, None]
    time = np.where(values == 0.0, tau[:, None], -np.expm1(exponent) / np.where(values == 0.0, 1.0, values))
    return -np.einsum("rpk,rk->pr", vectors, time * modes), np.einsum("rpk,rk->rp", vectors, np.exp(exponent) * modes)


def _chosen(who: NDArray[np.bool_], new: Local, old: Local) -> Local:
    """Return `new` for the replicas `who` and `old` for the others."""
    return Local(*(np.where(who.reshape(-1, *[1] * (a.ndim - 1)), a, b) for a, b in zip(new, old, strict=True)))


# In 360 searches from random starts, 0.05 ended where 0.01 does; 0.1 did so in all but 2, Newton without a bound in all but 57.
_DRIFT = 0.05
_STEP = 1e-6  # the largest remaining Newton step at a minimum, relative to the length of the parameters
_ROUNDING = 1e-13  # relative to the magnitude of J: some hundred units in the last place
_TINY = float(np.finfo(np.float64).tiny)
