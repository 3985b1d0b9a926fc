"""Decompose the difference between leave-one-out and influence for trained networks, each step by exact optimisation.

The decomposition is that of Bae et al. 2022 (If Influence Functions are the Answer, Then What is the Question?, arXiv
2209.05364). theta_s are the parameters trained at w = 1. At w = 1 - amount e_i point i is removed (amount 1) or has less weight.
Each stage gives a theta without i, and each gap lies between a stage and the stage before it:

    cold        train again from the start
    warm        argmin from theta_s of L(theta; w)                                                warm-start gap
    proximal    argmin from theta_s of L(theta; w) + (damping/2) ||theta - theta_s||^2            proximity gap
    pbrf        argmin from theta_s of (1/N) sum_j B_j(theta) - (amount/N) l_i(theta)             non-convergence gap
                    + ((damping + l2)/2) ||theta - theta_s||^2
    linearised  theta_s + (amount/N) (G + (damping + l2) I)^-1 grad l_i, f to first order         linearisation gap

B_j = l(f_j) - l(f_j^s) - l'(f_j^s) (f_j - f_j^s) is the Bregman divergence of the loss from the outputs at theta_s, and
(l2/2) ||theta - theta_s||^2 is the Bregman divergence of the penalty. Therefore the objective of pbrf has the gradient
-(amount/N) grad l_i at theta_s, whether training has converged or not. The Hessian of (1/N) sum_j B_j at theta_s is the
Gauss-Newton matrix G = (1/N) sum_j l_j'' grad f_j grad f_j^T. The paper's last gap, that of its linear solver, is absent here.
Where training has converged and f is linear in theta, proximal and pbrf agree.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from threadpoolctl import ThreadpoolController
from tqdm import tqdm

from sims.learners.mlp import MLP
from sims.learners.network.objective import Minimum, Objective, minimised
from theory.influence import Attribution
from theory.response import Array, Fit, Linearization

__all__ = ["STAGES", "ProximalResponses", "proximal_responses"]

STAGES = ("cold", "warm", "proximal", "pbrf", "linearised")

TOLERANCE = 1e-11
"""A search ends where ||grad|| of its objective is below this share of the terms that cancel in the gradient.

Their size, which includes the rounding of f and theta, is (1/N) sum_j (|l_j'| + l_j'' |f_j|) ||grad f_j|| + stiffness ||theta||
at theta_s, where the stiffness is l2 or l2 + damping.
"""


@dataclass(frozen=True)
class ProximalResponses:
    """The effects of every point on every query in all five stages, f(theta_s) - f(theta without i), each of shape (R, N, M).

    The sign is that of LOO.
    """

    cold: Array
    warm: Array
    proximal: Array
    pbrf: Array
    linearised: Array
    gradient_norms: Mapping[str, Array]  # ||grad|| of L at theta_s, "trained" (R,), and where each search ended (R, N)

    def attribution(self, stage: str) -> Attribution:
        """Return the effects of one stage, with the gradient norms of its search, or of training if it has no search."""
        if stage not in STAGES:
            raise ValueError(f"stage {stage!r} is unknown, expected one of {', '.join(STAGES)}")
        norms = self.gradient_norms.get(stage, self.gradient_norms["trained"])
        return Attribution(getattr(self, stage), stage, {"gradient_norm": norms})


def proximal_responses(
    learner: MLP, seeds: Sequence[int], *, damping: float, amount: float = 1.0, progress: bool = False
) -> ProximalResponses:
    """Compute the effects of all five stages if `amount` of the weight of each point is removed.

    `linearised` is amount times the damped Gauss-Newton influence. Source: Bae et al. 2022. Their effects are on losses of
    queries, ours are on outputs. Their warm starts and PBRF train for some epochs; ours are the minima to which gradient flow
    leads from theta_s, within `TOLERANCE`. If it leads to no isolated minimum, an ArithmeticError is raised: without l2 there may
    be no minimum (separable classes) or a whole valley of them (more parameters than points).

    >>> X, y = np.array([[-1.0], [0.5], [1.0]]), np.array([0.0, 0.0, 1.0])
    >>> network = MLP(X, y, X[:1], hidden=(), loss="squared", steps=400, learning_rate=0.5, l2=0.1)  # linear, converged
    >>> effects = proximal_responses(network, [0], damping=0.01)
    >>> bool(np.allclose(effects.cold, effects.warm)), bool(np.allclose(effects.proximal, effects.pbrf))
    (True, True)
    """
    if not (np.isfinite(damping) and damping >= 0.0):
        raise ValueError(f"damping = {damping}, expected a finite number >= 0")
    if learner.loss == "softmax" or learner.optimizer == "adamw":
        got = "loss softmax" if learner.loss == "softmax" else "optimizer adamw"
        raise ValueError(
            f"a network with {got}, expected one output and a penalty in L: take loss logistic or squared, sgd or adam"
        )
    if not 0.0 < amount <= 1.0:
        raise ValueError(f"amount = {amount}, expected 0 < amount <= 1: what is taken from the weight of a point, 1 is removal")
    n, ones = learner.n_points, np.ones(learner.n_points)
    trained = learner.linearize(ones, seeds)
    weights, before = ones - amount * np.eye(n), learner.outputs(trained.params, learner.X_query)
    linearised = amount * _damped_influence(trained, damping, seeds)
    retrained = learner.respond(np.vstack([ones, weights]), seeds)
    effects = {name: np.empty_like(linearised) for name in _SEARCHES}
    norms = {"trained": trained.gradient_norm, **{name: np.empty((len(before), n)) for name in _SEARCHES}}
    size, length = _gradient_size(learner, trained), np.linalg.norm(trained.params, axis=1)
    threads = ThreadpoolController()
    for i in tqdm(range(n), desc="points", leave=False, disable=None if progress else True):
        for name, objective in _objectives(learner, trained, weights[i], damping):
            tolerance = TOLERANCE * (size + objective.stiffness * length)
            with threads.limit(limits=1):  # the matrices are small: a second BLAS thread would only wait
                end = minimised(objective, trained.params.T, tolerance)
            _require_found(end, tolerance, seeds, name, f"point {i} at weight {1.0 - amount:g}")
            effects[name][:, i] = before - learner.outputs(end.params.T, learner.X_query)
            norms[name][:, i] = end.gradient_norm
    cold = (retrained[:1] - retrained[1:]).swapaxes(0, 1)
    return ProximalResponses(cold=cold, linearised=linearised, gradient_norms=norms, **effects)


_SEARCHES = ("warm", "proximal", "pbrf")


def _objectives(learner: MLP, trained: Linearization, weights: Array, damping: float) -> Iterator[tuple[str, Objective]]:
    """Yield the objectives that the three stages minimise at weights (N,), up to constants.

    The sum of (l2/2) ||theta||^2 and (damping/2) ||theta - theta_s||^2 is one square term of stiffness l2 + damping, centred at
    the weighted mean of 0 and theta_s. In pbrf, B_i - amount l_i contains (1 - amount) l_i, and its tilt is unchanged.
    """
    slopes, theta, both = _fit(trained).slopes, trained.params, learner.l2 + damping
    none, between = np.zeros_like(slopes), damping / both * theta if both else np.zeros_like(theta)
    yield "warm", learner.objective(weights, tilts=none, stiffness=learner.l2, centre=np.zeros_like(theta))
    yield "proximal", learner.objective(weights, tilts=none, stiffness=both, centre=between)
    yield "pbrf", learner.objective(weights, tilts=slopes, stiffness=both, centre=theta)


def _require_found(end: Minimum, tolerance: Array, seeds: Sequence[int], stage: str, where: str) -> None:
    """Raise ArithmeticError unless the search has found an isolated minimum for every seed."""
    if not end.found.all():
        r = int(np.argmin(end.found))
        raise ArithmeticError(
            f"{stage}: no isolated minimum was reached for seed {tuple(seeds)[r]} with {where}: the gradient's norm is "
            f"{end.gradient_norm[r]:.1e}, wanted {tolerance[r]:.1e}, the least eigenvalue of the Hessian "
            f"{end.least_eigenvalue[r]:.1e}; there may be none: take a larger l2" + " or damping" * (stage != "warm")
        )


def _damped_influence(trained: Linearization, damping: float, seeds: Sequence[int]) -> Array:
    """Compute -(1/N) grad f^T (G + (l2 + damping) I)^-1 grad l_i at w = 1, shape (R, N, M)."""
    fit, (_, n, size) = _fit(trained), trained.point_gradients.shape
    gauss_newton = np.einsum("rn,rni,rnj->rij", fit.curvatures, fit.gradients, fit.gradients) / n
    damped = gauss_newton + (fit.penalty + damping) * np.eye(size)
    values = np.linalg.eigvalsh(damped)
    singular = values[:, 0] <= size * np.finfo(np.float64).eps * values[:, -1]
    if singular.any():
        raise np.linalg.LinAlgError(
            f"G + (l2 + damping) I of seed {tuple(seeds)[int(np.argmax(singular))]} is singular with l2 = {fit.penalty:g} and "
            f"damping = {damping:g}: influence is not defined; take a larger damping or l2"
        )
    solved = np.asarray(np.linalg.solve(damped, trained.output_gradients.swapaxes(1, 2)), dtype=np.float64)
    return -(1.0 / n) * trained.point_gradients @ solved


def _gradient_size(learner: MLP, trained: Linearization) -> Array:
    """Compute (1/N) sum_j (|l_j'| + l_j'' |f_j|) ||grad f_j||, shape (R,)."""
    fit, f = _fit(trained), learner.outputs(trained.params, learner.X)
    return ((np.abs(fit.slopes) + fit.curvatures * np.abs(f)) * np.linalg.norm(fit.gradients, axis=2)).mean(axis=1)


def _fit(trained: Linearization) -> Fit:
    """Return `trained.fit`, which an MLP always has."""
    assert trained.fit is not None, "an MLP always knows its training points"
    return trained.fit
