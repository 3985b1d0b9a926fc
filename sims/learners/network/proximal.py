"""From leave-one-out to influence for trained networks, step by step, each step computed by exact optimisation.

The decomposition of Bae et al. 2022 (If Influence Functions are the Answer, Then What is the Question?, arXiv 2209.05364). With
theta_s the parameters trained at w = 1, and point i removed (amount 1) or made lighter by a smaller amount, w = 1 - amount e_i:

    cold        train again from the start
    warm        argmin from theta_s of L(theta; w)                                                warm-start gap
    proximal    argmin from theta_s of L(theta; w) + (damping/2) ||theta - theta_s||^2            proximity gap
    pbrf        argmin from theta_s of (1/N) sum_j B_j(theta) - (amount/N) l_i(theta)             non-convergence gap
                    + ((damping + l2)/2) ||theta - theta_s||^2
    linearised  theta_s + (amount/N) (G + (damping + l2) I)^-1 grad l_i, f to first order         linearisation gap

B_j = l(f_j) - l(f_j^s) - l'(f_j^s) (f_j - f_j^s) is the Bregman divergence of the loss from what theta_s says, (l2/2) ||theta -
theta_s||^2 that of the penalty: the objective of pbrf has the gradient -(amount/N) grad l_i at theta_s, converged or not, and to
second order the Gauss-Newton matrix G = (1/N) sum_j l_j'' grad f_j grad f_j^T. The paper's last gap, of the solver, is absent
here. Where training has converged and f is linear in theta, proximal and pbrf are one.
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
"""||grad|| of an objective where its search ends, relative to the size of what cancels in it, rounding of f and theta included.

That is (1/N) sum_j (|l_j'| + l_j'' |f_j|) ||grad f_j|| + stiffness ||theta|| at theta_s, stiffness l2 or l2 + damping.
"""


@dataclass(frozen=True)
class ProximalResponses:
    """Effects of every point on every query, one by one: f(theta_s) - f(theta without i), in the sign of LOO, (R, N, M)."""

    cold: Array
    warm: Array
    proximal: Array
    pbrf: Array
    linearised: Array
    gradient_norms: Mapping[str, Array]  # ||grad|| of L at theta_s, "trained" (R,), and where each search ended (R, N)

    def attribution(self, stage: str) -> Attribution:
        """The effects of one stage, with the gradient norms of its search, or of training where it has none."""
        if stage not in STAGES:
            raise ValueError(f"stage {stage!r} is unknown, expected one of {', '.join(STAGES)}")
        norms = self.gradient_norms.get(stage, self.gradient_norms["trained"])
        return Attribution(getattr(self, stage), stage, {"gradient_norm": norms})


def proximal_responses(
    learner: MLP, seeds: Sequence[int], *, damping: float, amount: float = 1.0, progress: bool = False
) -> ProximalResponses:
    """Compute all five effects of taking `amount` of each point away; linearised is amount times damped Gauss-Newton influence.

    Source: Bae et al. 2022; theirs are losses of queries, ours outputs; their warm starts and PBRF train for some epochs, ours
    are the minima to which gradient flow leads from theta_s, to `TOLERANCE`. Where it leads to no isolated minimum that is an
    ArithmeticError: without l2 there may be none (separable classes) or a whole valley of them (more parameters than points).

    >>> X, y = np.array([[-1.0], [0.5], [1.0]]), np.array([0.0, 0.0, 1.0])
    >>> network = MLP(X, y, X[:1], hidden=(), loss="squared", steps=400, learning_rate=0.5, l2=0.1)  # linear, converged
    >>> effects = proximal_responses(network, [0], damping=0.01)
    >>> bool(np.allclose(effects.cold, effects.warm)), bool(np.allclose(effects.proximal, effects.pbrf))
    (True, True)
    """
    if not (np.isfinite(damping) and damping >= 0.0):
        raise ValueError(f"damping = {damping}, expected a finite number >= 0")
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
            with threads.limit(limits=1):  # small matrices: a second BLAS thread only waits
                end = minimised(objective, trained.params.T, tolerance)
            _require_found(end, tolerance, seeds, name, f"point {i} at weight {1.0 - amount:g}")
            effects[name][:, i] = before - learner.outputs(end.params.T, learner.X_query)
            norms[name][:, i] = end.gradient_norm
    cold = (retrained[:1] - retrained[1:]).swapaxes(0, 1)
    return ProximalResponses(cold=cold, linearised=linearised, gradient_norms=norms, **effects)


_SEARCHES = ("warm", "proximal", "pbrf")


def _objectives(learner: MLP, trained: Linearization, weights: Array, damping: float) -> Iterator[tuple[str, Objective]]:
    """What the three stages minimise at weights (N,), up to constants.

    l2 at 0 and damping at theta_s are one spring of stiffness l2 + damping at their weighted mean. In pbrf the l_j that is left
    over of B_j - amount l_j is (1 - amount) l_j, and the tilt stays.
    """
    slopes, theta, both = _fit(trained).slopes, trained.params, learner.l2 + damping
    none, between = np.zeros_like(slopes), damping / both * theta if both else np.zeros_like(theta)
    yield "warm", learner.objective(weights, tilts=none, stiffness=learner.l2, centre=np.zeros_like(theta))
    yield "proximal", learner.objective(weights, tilts=none, stiffness=both, centre=between)
    yield "pbrf", learner.objective(weights, tilts=slopes, stiffness=both, centre=theta)


def _require_found(end: Minimum, tolerance: Array, seeds: Sequence[int], stage: str, where: str) -> None:
    if not end.found.all():
        r = int(np.argmin(end.found))
        raise ArithmeticError(
            f"{stage}: no isolated minimum was reached for seed {tuple(seeds)[r]} with {where}: the gradient's norm is "
            f"{end.gradient_norm[r]:.1e}, wanted {tolerance[r]:.1e}, the least eigenvalue of the Hessian "
            f"{end.least_eigenvalue[r]:.1e}; there may be none: take a larger l2" + " or damping" * (stage != "warm")
        )


def _damped_influence(trained: Linearization, damping: float, seeds: Sequence[int]) -> Array:
    """-(1/N) grad f^T (G + (l2 + damping) I)^-1 grad l_i at w = 1: (R, N, M)."""
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
    """(1/N) sum_j (|l_j'| + l_j'' |f_j|) ||grad f_j||: (R,)."""
    fit, f = _fit(trained), learner.outputs(trained.params, learner.X)
    return ((np.abs(fit.slopes) + fit.curvatures * np.abs(f)) * np.linalg.norm(fit.gradients, axis=2)).mean(axis=1)


def _fit(trained: Linearization) -> Fit:
    assert trained.fit is not None, "an MLP always knows its training points"
    return trained.fit
