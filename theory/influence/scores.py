"""Compute influence from gradients and a Hessian at one trained model, and bound its distance from leave-one-out.

Every score estimates D_i(1) = dF/dw_i at w = 1. It is positive when including the point raises the output, and includes the 1/N
of the objective; the predicted effect of removing point i is minus the score. Only "newton" estimates the finite difference
LOO_i = F(1) - F(1 - e_i), with the same sign.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.influence.attribution import Attribution
from theory.influence.curvature import CURVATURES, curvature_matrix, required_fit
from theory.influence.inverse import SOLVERS, System, null_space_size, solve
from theory.inputs import as_number, as_numbers, one_of, shown
from theory.response import Array, Linearization

__all__ = [
    "METHODS",
    "hessian_influence",
    "influence",
    "leverages",
    "loo_gap_bound",
    "newton_change",
    "null_space_sizes",
]

METHODS: dict[str, tuple[str, str]] = {
    **dict.fromkeys(("exact", "damped", "newton"), ("hessian", "exact")),
    **{solver: ("hessian", solver) for solver in SOLVERS if solver != "exact"},
    **{kind: (kind, "exact") for kind in CURVATURES if kind != "hessian"},
}
"""Each name has a curvature (`theory.influence.curvature`) and the solver that inverts it (`theory.influence.inverse`)."""


def hessian_influence(
    linearization: Linearization, method: str = "exact", *, damping: float = 0.0, curvature: str | None = None, **options: float
) -> Array:
    """Return the scores of `influence`, -(1/N) grad f^T A^-1 grad l_i, averaged over seeds: shape (N, M).

    >>> from sims.learners import LeastSquares
    >>> learner = LeastSquares([[1.0]], [1.0], [[1.0]], l2=1.0)  # F(w) = w / (w + 1)
    >>> at = learner.linearize([1.0], [0])
    >>> hessian_influence(at).tolist()  # dF/dw at w = 1
    [[0.25]]
    """
    return influence(linearization, method, damping=damping, curvature=curvature, **options).mean


def influence(
    linearization: Linearization, method: str = "exact", *, damping: float = 0.0, curvature: str | None = None, **options: float
) -> Attribution:
    """Compute I_i = -(1/N) grad f^T A^-1 grad l_i for every seed, A = curvature + damping I.

    With the exact Hessian, undamped, it equals D_i(1) at a nondegenerate stationary point (implicit function theorem), and only
    there. Methods, with their options from `theory.influence.inverse`:

    - "exact" solves with A, LinAlgError if A is singular to working precision; "damped" is the same with damping > 0;
    - "pseudo_inverse" (cutoff), "conjugate_gradients" (iterations), "lissa" (depth, scale), "low_rank" (rank), "nystroem" (rank,
      seed) use this solver on the Hessian or the given `curvature`;
    - "gauss_newton", "fisher", "empirical_fisher", "kfac", "ekfac", "diagonal", "absolute" solve exactly with this curvature;
    - "newton" divides the exact score by 1 - h_i: one Newton step to the optimum without i, exact for least squares (T4). With
      one output per class a point has no single leverage h_i, and the step is that of `newton_change`.

    Diagnostics, one number per seed: residual ||A x - grad f|| / ||grad f|| over all outputs; null_space, how many eigenvalues of
    A are zero to working precision; least_eigenvalue of A; gradient_norm ||grad L||, 0 at a stationary point.

    Sources: Hampel 1974; Cook & Weisberg 1982; Koh & Liang 2017, eq. 2 (theirs is the derivative in eps of an upweighting eps
    l_i: N times ours; removal is eps = -1/N); Newton step: Pregibon 1981, Rad & Maleki 2020.

    >>> from sims.learners import LeastSquares
    >>> learner = LeastSquares([[1.0]], [1.0], [[1.0]], l2=1.0)  # F(w) = w / (w + 1)
    >>> at = learner.linearize([1.0], [0])
    >>> found = influence(at, damping=1.0)  # 1 + l2 + damping = 3, where exact influence has 2
    >>> found.mean.round(9).tolist(), found.diagnostics["null_space"].tolist()
    ([[0.166666667]], [0])
    >>> influence(at, "newton").mean.tolist()  # F(1) - F(0)
    [[0.5]]
    """
    _require_linearization(linearization)
    one_of("method", method, sorted(METHODS))
    if curvature is not None:
        one_of("curvature", curvature, sorted(CURVATURES))
    ridge = _damping(linearization, damping)
    if method == "damped" and damping == 0.0:
        raise ValueError("method 'damped' got damping = 0, expected damping > 0; for none use method 'exact'")
    kind, solver = METHODS[method]
    if curvature is not None and method in CURVATURES:
        raise ValueError(f"method {method!r} inverts its own curvature, got curvature = {curvature!r}: take method='exact'")
    kind = kind if curvature is None else curvature
    if method == "newton" and (required_fit(linearization, "a Newton step").weights != 1.0).any():
        raise ValueError("method 'newton' got a model trained at weights other than 1: use newton_change(linearization, weights)")
    n_points, matrices = linearization.point_gradients.shape[1], curvature_matrix(linearization, kind) + ridge
    floor = damping + (linearization.fit.penalty if linearization.fit and kind != "absolute" else 0.0)
    right = linearization.output_gradients.swapaxes(1, 2)
    systems = [System(a, b, floor) for a, b in zip(matrices, right, strict=True)]
    solved = np.stack([solve(system, solver, **options) for system in systems])
    scores = -(1.0 / n_points) * linearization.point_gradients @ solved
    if method == "newton" and linearization.fit is not None and linearization.fit.classes is not None:
        scores = -newton_change(linearization, 1.0 - np.eye(n_points), damping=damping)
    elif method == "newton":
        scores /= _one_minus(_leverages(linearization, matrices), _rounding(linearization) * np.linalg.cond(matrices))[:, :, None]
    diagnostics = {
        "residual": _norms(matrices @ solved - right) / np.maximum(_norms(right), np.finfo(np.float64).tiny),  # 0 if grad f = 0
        "null_space": np.array([system.null_space for system in systems]),
        "least_eigenvalue": np.array([system.eigenvalues[0] for system in systems]),
        "gradient_norm": linearization.gradient_norm,
    }
    return Attribution(scores, method, diagnostics)


def leverages(linearization: Linearization, *, damping: float = 0.0) -> Array:
    """Compute leverages h_i = (w_i/N) c_i grad f_i^T (H + damping I)^-1 grad f_i for every seed: (R, N).

    For least squares without penalty they are the leverages of the design matrix, which add up to P.

    >>> from sims.learners import LeastSquares
    >>> learner = LeastSquares([[1.0]], [1.0], [[1.0]], l2=1.0)  # F(w) = w / (w + 1)
    >>> at = learner.linearize([1.0], [0])
    >>> leverages(at).tolist()
    [[0.5]]
    """
    return _leverages(linearization, linearization.hessian + _damping(linearization, damping))


def newton_change(linearization: Linearization, weights: ArrayLike, *, damping: float = 0.0) -> Array:
    """Estimate F(w) - F(v) by one Newton step from the model trained at weights v to weights w (B, N): shape (R, B, M).

    -(1/N) grad f^T (H + damping I + (1/N) sum_i (w_i - v_i) c_i J_i J_i^T)^-1 sum_i (w_i - v_i) grad l_i, J_i = grad f_i: the
    Hessian changes by Gauss-Newton terms, its whole change for linear models. With v = 1 and w in {0, 1}^N this predicts the
    removal of groups of points. Exact for least squares. Sources: Pregibon 1981; Koh et al. 2019.

    >>> from sims.learners import LeastSquares
    >>> learner = LeastSquares([[1.0]], [1.0], [[1.0]], l2=1.0)  # F(w) = w / (w + 1)
    >>> at = learner.linearize([1.0], [0])
    >>> newton_change(at, [[0.0]]).tolist()  # F(0) - F(1)
    [[[-0.5]]]
    """
    fit, goals = required_fit(linearization, "a Newton step"), np.asarray(weights, dtype=np.float64)
    n_seeds, n_points, size = linearization.point_gradients.shape
    if goals.ndim != 2 or goals.shape[1] != n_points:
        raise ValueError(f"weights has shape {goals.shape}, expected (B, {n_points}): one column per training point")
    if not (np.isfinite(goals) & (goals >= 0.0)).all():
        row, point = (int(k) for k in np.argwhere(~(np.isfinite(goals) & (goals >= 0.0)))[0])
        raise ValueError(f"weights[{row}, {point}] is {goals[row, point]}, expected a finite number >= 0")
    matrices = linearization.hessian + _damping(linearization, damping)
    changes = np.empty((n_seeds, len(goals), linearization.output_gradients.shape[1]))
    for r in range(n_seeds):
        least = _rounding(linearization) * np.linalg.norm(matrices[r], 2)
        vectors, curvatures = (part[r] for part in fit.curvature_rows())
        terms = np.einsum("nk,nki,nkj->nij", curvatures, vectors, vectors).reshape(n_points, -1)
        for start in range(0, len(goals), _GROUPS):
            moves = goals[start : start + _GROUPS] - fit.weights
            moved = matrices[r] + (moves / n_points @ terms).reshape(-1, size, size)
            null = (np.abs(np.linalg.eigvalsh(moved)) <= least).sum(axis=1)  # zero relative to the terms it is a sum of
            if null.any():
                b = int(np.argmax(null > 0))
                raise np.linalg.LinAlgError(
                    f"weights[{start + b}] leave a singular Hessian (seed number {r}): {null[b]} of its {size} eigenvalues are "
                    "zero to working precision, so the Newton step is not defined; keep more points, add an l2 penalty or damping"
                )
            right = moves @ linearization.point_gradients[r] / n_points
            steps = np.asarray(np.linalg.solve(moved, right[:, :, None]), dtype=np.float64)[:, :, 0]
            changes[r, start : start + _GROUPS] = -steps @ linearization.output_gradients[r].T
    return changes


_GROUPS = 1024  # rows of weights at a time


def null_space_sizes(linearization: Linearization, cutoff: float = 1e-10) -> NDArray[np.int64]:
    """Count the eigenvalues of each seed's Hessian that are at most `cutoff` times the largest, in absolute value: (R,).

    >>> from sims.learners import LeastSquares
    >>> learner = LeastSquares([[1.0]], [1.0], [[1.0]], l2=1.0)  # F(w) = w / (w + 1)
    >>> at = learner.linearize([1.0], [0])
    >>> null_space_sizes(at).tolist()
    [0]
    """
    return np.array([null_space_size(hessian, cutoff) for hessian in linearization.hessian])


def loo_gap_bound(strong_convexity: ArrayLike, gradient: ArrayLike, hessian: ArrayLike, third: ArrayLike) -> Array:
    """Return b G / mu^2 + L3 G^2 / (2 mu^3) >= ||theta(1 - e_i) - theta(1) + d theta/d w_i|| (T12), for the objective N L.

    mu: strong convexity along the path w_i: 1 -> 0; G >= ||grad l_i|| and b >= ||Hess l_i|| on it; L3: Lipschitz constant of the
    whole objective's Hessian. Proof: theta'' along the path is at most 2 b G / mu^2 + L3 G^2 / mu^3; integrate (1 - t) theta''.
    Source: this project, after Rubinstein & Hopkins 2025.

    >>> float(loo_gap_bound(strong_convexity=2.0, gradient=1.0, hessian=1.0, third=4.0))  # 1/4 + 4/16
    0.5
    """
    mu, g, b, lipschitz = (np.asarray(x, dtype=np.float64) for x in (strong_convexity, gradient, hessian, third))
    if not (mu > 0.0).all():
        raise ValueError(
            f"strong_convexity is {mu.min():g}, expected > 0: the bound needs a strongly convex objective on the path"
        )
    return b * g / mu**2 + lipschitz * g**2 / (2.0 * mu**3)


def _leverages(linearization: Linearization, matrices: Array) -> Array:
    fit = required_fit(linearization, "leverage")
    if fit.classes is not None:
        raise ValueError(
            "a point of a model with one output per class has no single leverage: influence(.., 'newton') takes the step itself"
        )
    across = np.stack([solve(System(a, j.T), "exact") for a, j in zip(matrices, fit.gradients, strict=True)])
    return fit.weights * fit.curvatures / fit.gradients.shape[1] * np.einsum("rnp,rpn->rn", fit.gradients, across)


def _one_minus(leverage: Array, errors: Array) -> Array:
    """Return 1 - h_i; LinAlgError if it is 0 within the error (R,) of h_i, which grows with the condition number of A."""
    rest = 1.0 - leverage
    one = np.abs(rest) <= errors[:, None]
    if one.any():
        seed, point = (int(k) for k in np.argwhere(one)[0])
        raise np.linalg.LinAlgError(
            f"point {point} has leverage 1 (seed number {seed}): the Hessian without it is singular and its Newton step "
            "undefined; add an l2 penalty or damping"
        )
    return rest


def _require_linearization(linearization: Linearization) -> None:
    """Raise TypeError or ValueError unless the linearization has finite arrays of shapes that agree."""
    if not isinstance(linearization, Linearization):
        raise TypeError(f"linearization = {shown(linearization)}, expected what learner.linearize(weights, seeds) returns")
    shapes = {"params": "RP", "hessian": "RPP", "point_gradients": "RNP", "output_gradients": "RMP", "gradient_norm": "R"}
    found = dict[str, int]()
    for name, axes in shapes.items():
        values = as_numbers(f"linearization.{name}", getattr(linearization, name), f"({', '.join(axes)})", finite=True)
        sizes = dict(zip(axes, values.shape, strict=False))
        if values.ndim != len(axes) or any(found.setdefault(axis, size) != size for axis, size in sizes.items()):
            raise ValueError(f"linearization.{name} has shape {values.shape}, expected ({', '.join(axes)}) with {found}")


def _norms(matrices: Array) -> Array:
    return np.linalg.norm(matrices, axis=(1, 2))


def _damping(linearization: Linearization, damping: float) -> Array:
    """Return damping I; ValueError if damping is negative or not finite."""
    return as_number("damping", damping, "a finite number >= 0", least=0.0) * np.eye(linearization.params.shape[1])


def _rounding(linearization: Linearization) -> float:
    """Return (N + P) eps, the relative rounding error of sums over N points in P dimensions."""
    return sum(linearization.point_gradients.shape[1:]) * float(np.finfo(np.float64).eps)
