"""List what scores could be: the exact effects, influence with the right or another curvature, and known faults.

Every candidate is an array (N, M), the mean over the seeds of a truth. Influence is -(1/N) grad f^T A^-1 grad l_i, where A is a
curvature with the penalty; other choices of A, of the penalty and of batches are the candidates for what went wrong.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np

from sims.referee.losses import LOSSES
from sims.referee.report import NAMES
from sims.referee.truth import QUANTITIES, Model, Target, Truth
from theory.response import Array

__all__ = ["Candidate", "Damped", "approximations", "damped", "exact", "influence_of", "remedy_of"]


@dataclass(frozen=True, eq=False)
class Candidate:
    """What scores could be: a short name, the same in words, what to do about it ("" where it is right), and the scores."""

    name: str
    words: str
    remedy: str
    scores: Array  # (N, M)
    error: Array | None = None  # (N, M), its standard error where subsets were drawn


@dataclass(frozen=True, eq=False)
class Damped:
    """Influence with a damping that is not known: `scores(damping)` is (N, M)."""

    name: str
    words: str
    scores: Callable[[float], Array]
    unit: float  # the mean eigenvalue of the curvature
    least: float  # the damping below which the matrix is not positive


def exact(truth: Truth, target: Target) -> tuple[Candidate, ...]:
    """Return the four exact effects."""
    found = list[Candidate]()
    for quantity in QUANTITIES:
        error = truth.error(quantity, target)
        found.append(Candidate(quantity, NAMES[quantity], "", truth.effect(quantity, target), error if error.any() else None))
    return tuple(found)


_CURVATURES = {
    "gauss_newton": ("Gauss-Newton matrix", "use the Hessian, or train until the residuals vanish"),
    "fisher": ("Fisher matrix", "use the Hessian, or train until the residuals vanish"),
    "empirical_fisher": ("empirical Fisher matrix", "it is no approximation of the Hessian at a finite loss: use the Hessian"),
    "kfac": ("K-FAC approximation", "use E-K-FAC, or the Hessian where it can be inverted"),
    "ekfac": ("E-K-FAC approximation", "use the Hessian where it can be inverted"),
}


def remedy_of(curvature: str) -> str:
    """Say what to do about a curvature in place of the Hessian."""
    return _CURVATURES[curvature][1]


def approximations(truth: Truth, target: Target) -> Generator[Candidate]:
    """Yield scores from the trained model, in the order in which they are believed: influence first, then what replaces it."""
    model = truth.model
    if model is None:
        return
    hessian, unit = model.hessian, np.eye(model.hessian.shape[1])

    def made(name: str, words: str, remedy: str, matrices: Array, points: Array | None = None) -> Generator[Candidate]:
        scores = influence_of(truth, model, target, matrices, points)
        if scores is not None:
            yield Candidate(name, words, remedy, scores)

    yield from made("influence", "Hessian influence", "", hessian)
    plain = np.repeat(unit[None], len(hessian), axis=0)
    yield from made("gradients", "the product of gradients without a curvature", "multiply by the inverse Hessian", plain)
    for kind, (words, remedy) in _CURVATURES.items():
        if kind in model.curvatures:
            yield from made(kind, f"influence with the {words} in place of the Hessian", remedy, model.curvatures[kind])
    if truth.l2:
        give = f"give the penalty, {truth.l2:g} times the identity, once"
        for name, words, move in (("no_penalty", "without", -1.0), ("double_penalty", "with twice", 1.0)):
            yield from made(name, f"influence with a Hessian {words} the penalty", give, hessian + move * truth.l2 * unit)
        pushed = model.point_gradients + truth.l2 * model.params[:, None]
        words = "influence with the gradient of the penalty in the gradient of every point"
        yield from made("penalty_in_loss", words, "leave the penalty out of the loss of a point", hessian, pushed)
    yield from _batches(truth, model, target)


def _batches(truth: Truth, model: Model, target: Target) -> Generator[Candidate]:
    """Yield sums over batches of inverses, for batches of consecutive points of every size."""
    if model.point_hessians is None:
        return
    ridge = truth.l2 * np.eye(model.hessian.shape[1])
    for size in range(truth.n_points - 1, 0, -1):
        starts = range(0, truth.n_points, size)
        scores = np.zeros((truth.n_points, truth.n_queries))
        for start in starts:
            part = model.point_hessians[:, start : start + size].mean(axis=1) + ridge
            of_part = influence_of(truth, model, target, part)
            if of_part is None:
                break
            scores += of_part
        else:
            words = f"a sum over batches of {size} points of influence, each with the Hessian of its batch"
            yield Candidate("batches", words, "invert the mean Hessian of all batches, or take one batch", scores)


def influence_of(truth: Truth, model: Model, target: Target, matrices: Array, points: Array | None = None) -> Array | None:
    """Compute -(1/N) grad f^T A^-1 grad l_i (N, M), the mean over seeds, for A (R, P, P); None where A is singular.

    `points` (R, N, P) takes the place of the gradients of the points.
    """
    try:
        with np.errstate(all="raise"):
            solved = np.linalg.solve(matrices, _of_queries(truth, model, target).swapaxes(1, 2))
    except (np.linalg.LinAlgError, FloatingPointError):
        return None
    left = model.point_gradients if points is None else points
    scores = -(left @ solved).mean(axis=0) / truth.n_points
    return scores if np.isfinite(scores).all() and scores.any() else None


def damped(truth: Truth, target: Target) -> Generator[Damped]:
    """Yield influence with a curvature and a damping that is to be found."""
    model = truth.model
    if model is None:
        return
    for kind, matrices in {"hessian": model.hessian, **model.curvatures}.items():
        values, vectors = np.linalg.eigh(matrices)
        left, right = model.point_gradients @ vectors, _of_queries(truth, model, target) @ vectors

        def scores(damping: float, values: Array = values, left: Array = left, right: Array = right) -> Array:
            return -((left / (values + damping)[:, None]) @ right.swapaxes(1, 2)).mean(axis=0) / truth.n_points

        words = "Hessian" if kind == "hessian" else _CURVATURES[kind][0]
        yield Damped(kind, words, scores, float(np.abs(values).mean()), -float(values.min()))


def _of_queries(truth: Truth, model: Model, target: Target) -> Array:
    """Return the gradients of the queries' margins or losses (R, M, P)."""
    if target == "margin":
        return model.output_gradients
    assert truth.y_query is not None
    return LOSSES[truth.loss_function].slope(truth.margin_by_seed, truth.y_query)[:, :, None] * model.output_gradients
