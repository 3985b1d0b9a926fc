"""Logistic regression with an l2 penalty, solved to a certificate for a whole block of weight vectors at once."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import linalg, optimize, special

from sims.learners import batched, checks, erm
from theory.response import Array, Linearization
from theory.subsets import name_subset

__all__ = ["Logistic", "is_separable"]

GRADIENT_TOLERANCE = 1e-10
"""Every fit ends with ||grad L|| below this; one more Newton step is taken after that."""

RELATIVE_TOLERANCE = 1e-6
"""And with every component of the gradient below this share of the terms that cancel in it."""


@dataclass(frozen=True, eq=False)
class Logistic:
    """theta(w) = argmin (1/N) sum_i w_i l_i(theta) + (l2/2) ||theta||^2,  l_i = log(1 + exp(x_i . theta)) - y_i x_i . theta.

    X (N, d) is used as given (add a column of ones for an intercept, penalised like the rest); y (N,) holds labels 0 and 1.
    Outputs are the margins x_q . theta at X_query (M, d). There is no randomness: every seed gives the same answer.

    With l2 = 0 the optimum exists only where the points with w_i > 0 are neither separable nor rank-deficient (Albert & Anderson
    1984); any other subset is refused by name. `normalization` says what divides the data term, see `sims.learners.erm`.
    """

    X: Array = field(repr=False)
    y: Array = field(repr=False)
    X_query: Array = field(repr=False)
    l2: float
    normalization: erm.Normalization = "n_points"

    def __post_init__(self) -> None:
        X = checks.as_design(self.X)
        checks.store(self, X=X, y=checks.as_labels(self.y, len(X)), X_query=checks.as_queries(self.X_query, X.shape[1]))
        checks.store(self, l2=checks.as_penalty(self.l2), normalization=erm.as_normalization(self.normalization))

    @property
    def n_points(self) -> int:
        return len(self.X)

    @property
    def n_outputs(self) -> int:
        return len(self.X_query)

    @cached_property
    def _outer_products(self) -> Array:
        return batched.packed_outer_products(self.X)

    @cached_property
    def _signed(self) -> Array:
        return (2.0 * self.y - 1.0)[:, None] * self.X

    def respond(self, weights: ArrayLike, seeds: Sequence[int]) -> Array:
        """Margins (B, R, M) at the optimum for weights (B, N)."""
        values, n_seeds = self._checked(weights), len(checks.as_seeds(seeds))
        return erm.in_blocks(lambda w: self.X_query @ self._optimum(w), values, n_seeds, (self.n_outputs,))

    def weight_jacobian(self, weights: ArrayLike, seeds: Sequence[int]) -> Array:
        """d margin / d w, shape (B, R, M, N): -x_q^T H^-1 grad l_i at the optimum, for any weights w >= 0."""
        values, n_seeds = self._checked(weights), len(checks.as_seeds(seeds))
        return erm.in_blocks(self._jacobian, values, n_seeds, (self.n_points, self.n_outputs))

    def linearize(self, weights: ArrayLike, seeds: Sequence[int]) -> Linearization:
        """Gradients and Hessian of L at theta(w), for weights (N,); the same for every seed."""
        w, n_seeds = self._checked(checks.as_weight_vector(weights, self.n_points)[None]).T, len(checks.as_seeds(seeds))
        theta = self._optimum(w)
        miss, gradient, packed = self._derivatives(theta, w, self._penalty(w))
        return erm.linearization(
            self.X,
            self.X_query,
            theta[:, 0],
            self._residuals(miss)[:, 0],
            gradient[:, 0] / self.n_points,
            packed[:, 0] / self.n_points,
            n_seeds,
        )

    def _jacobian(self, w: Array) -> Array:
        """d margin / d w for weights (N, B): shape (N, M, B)."""
        theta = self._optimum(w)
        miss, _, packed = self._derivatives(theta, w, self._penalty(w))
        slope = erm.penalty_slope(self.l2, self.normalization, w)
        adjoint = batched.solve(batched.factor(packed), np.repeat(self.X_query.T[:, :, None], w.shape[1], axis=2))
        return erm.implicit_jacobian(self.X, adjoint, self._residuals(miss), theta, slope)

    def _residuals(self, miss: Array) -> Array:
        """a_i in grad l_i = a_i x_i: p - y, which is minus or plus 1 - p(y)."""
        return (1.0 - 2.0 * self.y)[:, None] * miss

    def _penalty(self, w: Array) -> Array:
        return self.l2 * erm.penalty_scale(self.normalization, w)

    def _derivatives(self, theta: Array, w: Array, penalty: Array) -> tuple[Array, Array, Array]:
        """1 - p(y) (N, B), gradient (d, B) and packed Hessian of sum_i w_i l_i + (penalty/2) ||theta||^2.

        In signed rows z = (2y - 1) x the loss is log(1 + exp(-z . theta)): 1 - p(y) = expit(-z . theta) keeps its relative
        accuracy when it is tiny, which p - y does not.
        """
        miss = special.expit(-(self._signed @ theta))
        weighted = w * miss
        gradient = penalty * theta - self._signed.T @ weighted
        weighted *= 1.0 - miss
        packed = self._outer_products @ weighted
        batched.add_to_diagonal(packed, penalty)
        return miss, gradient, packed

    def _optimum(self, w: Array) -> Array:
        """theta (d, B) for weights (N, B): Newton from 0; replicas that have not settled start again with line searches."""
        optimum = np.empty((self.X.shape[1], w.shape[1]))
        active = np.arange(w.shape[1], dtype=np.intp)
        theta, penalty = np.zeros_like(optimum), self._penalty(w)
        for iteration in range(_PLAIN_STEPS + _SEARCHED_STEPS):
            if iteration == _PLAIN_STEPS:
                theta[:] = 0.0
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                miss, gradient, packed = self._derivatives(theta, w, penalty)
                step = batched.solve(batched.factor(packed), gradient.copy())
                certified, polish = self._certificate(theta, w, penalty, miss, gradient)
                if iteration >= _PLAIN_STEPS:
                    step *= self._step_length(theta, step, gradient, w, penalty)
                theta -= np.where(certified & ~polish, 0.0, step)
            if certified.any():
                optimum[:, active[certified]] = theta[:, certified]
                going = np.flatnonzero(~certified)
                if not going.size:
                    return optimum
                active, penalty, theta, w = active[going], penalty[going], theta[:, going], w[:, going]
        norm = np.linalg.norm(self._derivatives(theta[:, :1], w[:, :1], penalty[:1])[1]) / self.n_points
        raise ArithmeticError(
            f"{self!r} did not reach ||grad L|| <= {GRADIENT_TOLERANCE:g} on {name_subset(w[:, 0])}: it stands at {norm:.1e}, "
            f"every component to be within {RELATIVE_TOLERANCE:g} of its terms; standardise the columns of X or raise l2"
        )

    def _certificate(
        self, theta: Array, w: Array, penalty: Array, miss: Array, gradient: Array
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Per replica: whether it is at the optimum, and whether one more Newton step can still improve it.

        The gradient must be small, and each component small beside the terms that cancel in it, sum_i w_i |grad_j l_i| +
        penalty |theta_j|: without that, tiny weights or a tiny l2 would pass anywhere. Where their rounding hides the gradient,
        or is itself as large as the limit, a step is noise.
        """
        limit = 0.5 * GRADIENT_TOLERANCE * self.n_points  # half: room for the rounding of whoever checks it
        certified = np.sqrt((gradient**2).sum(axis=0)) <= limit
        polish = np.zeros_like(certified)
        near = np.flatnonzero(certified)
        if near.size:
            terms = np.abs(self.X).T @ (w[:, near] * miss[:, near]) + penalty[near] * np.abs(theta[:, near])
            size = np.abs(gradient[:, near])
            certified[near] = (size <= RELATIVE_TOLERANCE * terms).all(axis=0)
            rounding = _ROUNDING * terms
            polish[near] = (size > rounding).any(axis=0) & (np.linalg.norm(rounding, axis=0) < limit)
        return certified, polish

    def _step_length(self, theta: Array, step: Array, gradient: Array, w: Array, penalty: Array) -> Array:
        """Per replica the largest of 1, 1/2, 1/4, .. that lowers the objective enough (Armijo 1966)."""
        start, slope = self._objective(theta, w, penalty), (gradient * step).sum(axis=0)
        length = np.ones(theta.shape[1])
        for _ in range(40):
            short = self._objective(theta - length * step, w, penalty) > start - 1e-4 * length * slope + 1e-15 * np.abs(start)
            if not short.any():
                break
            length[short] *= 0.5
        return length

    def _objective(self, theta: Array, w: Array, penalty: Array) -> Array:
        return (w * np.logaddexp(0.0, -(self._signed @ theta))).sum(axis=0) + 0.5 * penalty * (theta**2).sum(axis=0)

    def _checked(self, weights: ArrayLike) -> Array:
        values = checks.as_weights(weights, self.n_points)
        if self.l2 == 0.0:
            for present in np.unique(values > 0.0, axis=0):
                self._require_optimum(present)
        return values

    def _require_optimum(self, present: NDArray[np.bool_]) -> None:
        """With l2 = 0: refuse a subset on which no finite optimum exists, and say why."""
        X, y, d = self.X[present], self.y[present], self.X.shape[1]
        reason = None
        if not present.any():
            reason = "is empty"
        elif y.min() == y.max():
            reason = f"has points of class {y[0]:g} only"
        elif np.linalg.matrix_rank(X) < d:
            reason = f"has rank {np.linalg.matrix_rank(X)} in {d} columns"
        elif is_separable(X, y):
            reason = "is separable"
        if reason:
            raise ValueError(f"{name_subset(present.astype(np.float64))} {reason}: no optimum exists with l2 = 0; use l2 > 0")


def is_separable(X: ArrayLike, y: ArrayLike) -> bool:
    """Whether some direction b has (2 y_i - 1) x_i . b >= 0 for all i and > 0 for one: complete or quasi-complete separation.

    Decided by the linear programme max sum_i (2 y_i - 1) x_i . b over the box |b_j| <= 1 (Albert & Anderson 1984; Konis 2007) in
    orthonormal columns, and then only if its b does separate to rounding: overlaps far below the solver's tolerance still count.
    """
    design = checks.as_design(X)
    orthonormal = np.asarray(linalg.orth(design / np.abs(design).max(axis=0, initial=1e-300)), dtype=np.float64)
    signed = (2.0 * checks.as_labels(y, len(design)) - 1.0)[:, None] * orthonormal
    found = optimize.linprog(
        -signed.sum(axis=0),
        A_ub=-signed,
        b_ub=np.zeros(len(signed)),
        bounds=(-1.0, 1.0),
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    if found.x is None:
        return False
    margins = signed @ found.x
    return bool(margins.max() > 1e-9 and margins.min() > -1e-12)


_ROUNDING = 8 * np.finfo(np.float64).eps
_PLAIN_STEPS = 15
_SEARCHED_STEPS = 200


LEARNER = Logistic
