"""Estimate the variance that the best linear datamodel leaves unexplained, from noise stability and without a fit.

Let w be a Bernoulli(p) subset and w_rho a copy in which every coordinate is drawn again with probability 1 - rho. Since
E[phi_A(w_rho) | w] = rho^|A| phi_A(w) for the characters of `theory.transforms.walsh`,

    h(rho) = E F(w) F(w_rho) = sum_k rho^k B_k,      B_k = sum_{|A| = k} Fhat(A)^2        (T8),

so that the residual is R = B_{>=2} = Var F - B_1 with Var F = h(1) - h(0) and B_1 = h'(0). Subtracting a linear function from F
does not change R.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike

from theory.laws import Bernoulli
from theory.response import Array
from theory.streams import stream

__all__ = ["NoiseDesign", "ResidualEstimate", "noise_design", "noise_residual"]


@dataclass(frozen=True)
class NoiseDesign:
    """A noise design has C independent chains: S, its K copies with the given correlations, and a copy with correlation 0."""

    chains: Array  # (C, K + 2, N)
    correlations: tuple[float, ...]  # rho_1 .. rho_K
    law: Bernoulli

    @property
    def masks(self) -> Array:
        """Return all subsets to retrain on, chain after chain: (C (K + 2), N)."""
        return self.chains.reshape(-1, self.chains.shape[2])


@dataclass(frozen=True)
class ResidualEstimate:
    """A residual estimate has R = B_{>=2} of M outputs, its standard error and a bound on its bias."""

    residual: Array  # (M,)
    standard_error: Array  # (M,)
    relative_bias: float  # kappa: |E residual - R| <= kappa R
    variance: Array  # (M,), estimate of Var(F - the linear function that was subtracted)

    def interval(self, level: float = 0.95) -> tuple[Array, Array]:
        """Return the ends (M,) of an interval for R that covers sampling error and worst bias at the given level or above."""
        if not 0.0 < level < 1.0:
            raise ValueError(f"level = {level}, expected 0 < level < 1")
        half = scipy.special.ndtri(0.5 + 0.5 * level) * self.standard_error
        low = (self.residual - half).clip(0.0) / (1.0 + self.relative_bias)
        return low, (self.residual + half) / (1.0 - self.relative_bias)


def noise_design(
    law: Bernoulli, *, n_chains: int, n_points: int, seed: int, correlations: Sequence[float] = (0.15, 0.3)
) -> NoiseDesign:
    """Draw the chains of subsets that `noise_residual` needs.

    A copy with correlation rho has the w_i of S where U_i < rho, and elsewhere that of the copy with correlation 0.
    All copies of a chain share the same U, so that they differ little from each other. Small correlations give little
    bias, but errors that grow as 1 / sqrt(rho). ValueError if kappa >= 1, where the bias may exceed R.

    >>> design = noise_design(Bernoulli(0.5), n_chains=10, n_points=3, seed=0)
    >>> design.chains.shape, design.masks.shape
    ((10, 4, 3), (40, 3))
    """
    rho = tuple(float(r) for r in correlations)
    if not rho or len(set(rho)) != len(rho) or not all(0.0 < r < 1.0 for r in rho):
        raise ValueError(f"correlations = {rho}, expected one or more different numbers between 0 and 1, such as (0.15, 0.3)")
    if n_chains != int(n_chains) or n_chains < 2:
        raise ValueError(f"n_chains = {n_chains}, expected a whole number >= 2: the error comes from the spread between chains")
    kappa = _derivative_rule(rho, n_points)[1]
    if kappa >= 1.0:
        raise ValueError(
            f"correlations = {rho}: the bias may be {kappa:.2g} times the residual; take smaller ones, such as (0.15, 0.3)"
        )
    rng = stream("design noise", seed)
    draws = rng.random((int(n_chains), 3, n_points))
    first, last = (draws[:, 0] < law.p).astype(np.float64), (draws[:, 1] < law.p).astype(np.float64)
    keep = draws[:, 2, None] < np.array([1.0, *rho, 0.0])[:, None]
    chains: Array = np.where(keep, first[:, None], last[:, None])
    return NoiseDesign(chains, rho, law)


def noise_residual(design: NoiseDesign, responses: ArrayLike, *, linear: ArrayLike | None = None) -> ResidualEstimate:
    """Estimate R from responses (C, K + 2, M) or (C (K + 2), M) on the subsets of a design.

    R^ = Var F - sum_k a_k E F(w) (F(w_k) - F(w')), w' the copy with correlation 0, where sum_k a_k rho_k^j is 1 for j = 1 and 0
    for j = 2..K: the derivative at 0 of the polynomial through h(0), h(rho_1), .. Both expectations are estimated without bias.
    Higher degrees bias it: E R^ - R = -sum_{j > K} B_j sum_k a_k rho_k^j, at most kappa R in size.

    `linear` (N, M): coefficients of a linear function that is subtracted from F first, chosen without these responses, such as
    D(1). R does not change; the error, otherwise of the order of Var F / sqrt(C), falls as the function predicts F better.
    Source: Saunshi et al. 2022, Thm 3.2: a polynomial fitted to h at several rho gives R to an additive error eps from O(1/eps^3)
    responses at p = 1/2; ours takes any p, the same chain for every rho, and interpolates.

    >>> design = noise_design(Bernoulli(0.5), n_chains=10, n_points=3, seed=0)
    >>> F = design.masks @ np.array([[1.0], [2.0], [3.0]])  # F is linear: R = 0
    >>> noise_residual(design, F, linear=[[1.0], [2.0], [3.0]]).residual.tolist()
    [0.0]
    """
    n_chains, n_copies, n_points = design.chains.shape
    values = np.asarray(responses, dtype=np.float64)
    if values.ndim == 2 and len(values) == n_chains * n_copies:
        values = values.reshape(n_chains, n_copies, -1)
    if values.ndim != 3 or values.shape[:2] != (n_chains, n_copies) or values.shape[2] == 0:
        raise ValueError(
            f"responses has shape {np.shape(responses)}, expected ({n_chains}, {n_copies}, M) or ({n_chains * n_copies}, M): one "
            "row per subset of the design"
        )
    if not np.isfinite(values).all():
        raise ValueError("responses must be finite: every subset of a chain needs its response")
    if linear is not None:
        effects = np.asarray(linear, dtype=np.float64)
        if effects.shape != (n_points, values.shape[2]):
            raise ValueError(f"linear has shape {effects.shape}, expected ({n_points}, {values.shape[2]}): one effect per point")
        values = values - design.chains @ effects
    values = values - values[0, 0]
    a, kappa = _derivative_rule(design.correlations, n_points)
    own = values[:, 0]
    centred = (own - own.mean(axis=0)) * n_chains / (n_chains - 1)  # about the mean of the other chains
    slope = centred * np.tensordot(a, values[:, 1:-1] - values[:, -1:], axes=(0, 1))
    spread = np.square(values - values.mean(axis=0)).mean(axis=1) * n_chains / (n_chains - 1)
    per_chain = spread - slope
    return ResidualEstimate(per_chain.mean(axis=0), per_chain.std(axis=0, ddof=1) / np.sqrt(n_chains), kappa, spread.mean(axis=0))


def _derivative_rule(correlations: tuple[float, ...], n_points: int) -> tuple[Array, float]:
    """Return a (K,) and kappa = max over the degrees j = K + 1 .. N of |sum_k a_k rho_k^j|."""
    rho = np.array(correlations)
    degree = np.arange(1, len(rho) + 1)
    a = np.asarray(np.linalg.solve(rho ** degree[:, None], (degree == 1).astype(np.float64)), dtype=np.float64)
    missed = np.abs(rho ** np.arange(len(rho) + 1, n_points + 1)[:, None] @ a)
    return a, float(missed.max(initial=0.0))
