"""Define l2-penalised logistic regression, solved for a whole block of weight vectors at once and certified by its gradient."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sims.learners.linear import batched, erm
from sims.learners.linear.separation import is_separable
from sims.learners.network import kernels
from sims.learners.shared import checks
from sims.learners.shared.representation import short_repr
from theory.response import Array, Linearization, WeightHessian
from theory.subsets import name_subset

__all__ = ["Logistic"]

GRADIENT_TOLERANCE = 1e-10
"""Every fit ends with ||grad L|| below this number; after that, one more Newton step follows where it can still help."""

RELATIVE_TOLERANCE = 1e-6
"""Every fit also ends with each component of the gradient below this share of the terms that cancel in it."""


@dataclass(frozen=True, eq=False)
class Logistic:
    """Logistic regression with an l2 penalty: theta(w) = argmin (1/N) sum_i w_i l_i(theta) + (l2/2) ||theta||^2.

    l_i = log(1 + exp(x_i . theta)) - y_i x_i . theta. X (N, d) is used as given; a column of ones gives an intercept, which is
    penalised like the other parameters. y (N,) holds labels 0 and 1. Outputs are the margins x_q . theta at X_query (M, d). There
    is no randomness: every seed gives the same answer.

    With l2 = 0 the optimum exists only where the points with w_i > 0 are neither separable nor rank-deficient (Albert & Anderson
    1984). Any other subset raises a ValueError that names it. `normalization` says what divides the data term, see
    `sims.learners.linear.erm`.

    >>> learner = Logistic([[1.0], [1.0]], [1, 0], [[1.0]], l2=0.5)
    >>> learner.respond([[1.0, 1.0], [2.0, 2.0], [0.0, 0.0]], seeds=[0]).ravel().tolist()  # balanced labels, or no points
    [0.0, 0.0, 0.0]
    >>> learner.weight_jacobian([[1.0, 1.0]], seeds=[0]).ravel().round(12).tolist()  # (y_i - 1/2) / (2 H), H = 1/4 + 1/2
    [0.333333333333, -0.333333333333]
    """

    X: Array = field(repr=False)
    y: Array = field(repr=False)
    X_query: Array = field(repr=False)
    l2: float
    normalization: erm.Normalization = "n_points"

    __repr__ = short_repr

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
    def _rows(self) -> "_Rows":
        """Return the training points in the form that the solvers use."""
        signed = (2.0 * self.y - 1.0)[:, None] * self.X
        return _Rows(signed, batched.packed_outer_products(self.X))

    def respond(self, weights: ArrayLike, seeds: Sequence[int]) -> Array:
        """Compute the margins (B, R, M) at the optimum for weights (B, N)."""
        values, n_seeds = self._checked(weights), len(checks.as_seeds(seeds))
        return erm.in_blocks(lambda w: self.X_query @ self._optimum(w), values, n_seeds, (self.n_outputs,))

    def weight_jacobian(self, weights: ArrayLike, seeds: Sequence[int]) -> Array:
        """Compute d margin / d w, -x_q^T H^-1 grad l_i at the optimum, for any weights w >= 0; shape (B, R, M, N)."""
        values, n_seeds = self._checked(weights), len(checks.as_seeds(seeds))
        return erm.in_blocks(self._jacobian, values, n_seeds, (self.n_points, self.n_outputs))

    def linearize(self, weights: ArrayLike, seeds: Sequence[int]) -> Linearization:
        """Compute the gradients and the Hessian of L at theta(w) for weights (N,); they are the same for every seed."""
        w, n_seeds = self._checked(checks.as_weight_vector(weights, self.n_points)[None]).T, len(checks.as_seeds(seeds))
        theta = self._optimum(w)
        penalty = self._penalty(w)
        miss, weighted, gradient = self._rows.gradient(theta, w, penalty)
        packed = self._rows.hessian(miss, weighted, penalty)
        return erm.linearization(
            self.X,
            self.X_query,
            theta[:, 0],
            gradient[:, 0] / self.n_points,
            packed[:, 0] / self.n_points,
            slopes=self._residuals(miss)[:, 0],
            curvatures=(miss * (1.0 - miss))[:, 0],
            weights=w[:, 0],
            penalty=float(penalty[0]) / self.n_points,
            n_seeds=n_seeds,
        )

    def layers(self, params: ArrayLike) -> dict[str, Array]:
        """Return parameters (R, P) as weight_1 (R, 1, d), the weight of one linear layer in PyTorch's order."""
        return {"weight_1": np.asarray(params, dtype=np.float64)[:, None]}

    def weight_hessian(self, weights: ArrayLike, seeds: Sequence[int]) -> WeightHessian:
        """Compute d^2 margin / dw_i dw_j at weights (N,) by the implicit function theorem; it is the same for every seed."""
        checks.as_seeds(seeds)
        w = self._checked(checks.as_weight_vector(weights, self.n_points)[None]).T
        theta, penalty = self._optimum(w), self._penalty(w)
        miss = self._rows.gradient(theta, w, penalty)[0]
        curvatures = (miss * (1.0 - miss))[:, 0]
        return erm.weight_hessian(
            self.X,
            self.X_query,
            theta[:, 0],
            self.X.T @ ((w[:, 0] * curvatures)[:, None] * self.X) + penalty[0] * np.eye(len(theta)),
            slopes=self._residuals(miss)[:, 0],
            curvatures=curvatures,
            thirds=curvatures * (1.0 - 2.0 * miss[:, 0]) * (1.0 - 2.0 * self.y),
            weights=w[:, 0],
            penalty_slope=erm.penalty_slope(self.l2, self.normalization, w)[:, 0],
        )

    def weight_second_derivative(self, weights: ArrayLike, seeds: Sequence[int], point: int, other: int) -> Array:
        """Compute d^2 margin / dw_point dw_other for weights (B, N), an entry of every `weight_hessian`; shape (B, R, M)."""
        values, n_seeds = self._checked(weights), len(checks.as_seeds(seeds))
        points = checks.as_point("point", point, self.n_points), checks.as_point("other", other, self.n_points)

        def kernel(w: Array) -> Array:
            theta, penalty = self._optimum(w), self._penalty(w)
            miss, weighted, _ = self._rows.gradient(theta, w, penalty)
            factored = batched.factor(self._rows.hessian(miss, weighted, penalty))
            return erm.second_derivative(
                self.X,
                self.X_query,
                theta,
                solve=lambda right: batched.solve(factored, right),
                slopes=self._residuals(miss),
                curvatures=miss * (1.0 - miss),
                thirds=miss * (1.0 - miss) * (1.0 - 2.0 * miss) * (1.0 - 2.0 * self.y)[:, None],
                weights=w,
                penalty_slope=erm.penalty_slope(self.l2, self.normalization, w),
                points=points,
            )

        return erm.in_blocks(kernel, values, n_seeds, (self.n_outputs,))

    def _jacobian(self, w: Array) -> Array:
        """Compute d margin / d w for weights (N, B), shape (N, M, B)."""
        theta, penalty = self._optimum(w), self._penalty(w)
        miss, weighted, _ = self._rows.gradient(theta, w, penalty)
        packed = self._rows.hessian(miss, weighted, penalty)
        slope = erm.penalty_slope(self.l2, self.normalization, w)
        adjoint = batched.solve(batched.factor(packed), np.repeat(self.X_query.T[:, :, None], w.shape[1], axis=2))
        return erm.implicit_jacobian(self.X, adjoint, self._residuals(miss), theta, slope)

    def _residuals(self, miss: Array) -> Array:
        """Compute a_i = p - y in grad l_i = a_i x_i, from `miss` = 1 - p(y): it is +miss for label 0 and -miss for label 1."""
        return (1.0 - 2.0 * self.y)[:, None] * miss

    def _penalty(self, w: Array) -> Array:
        """Compute c(w) l2 for weights (N, B), shape (B,)."""
        return self.l2 * erm.penalty_scale(self.normalization, w)

    def _optimum(self, w: Array) -> Array:
        """Compute theta (d, B) for weights (N, B); every replica satisfies `_certificate`.

        Newton's method in float32 comes first. Then the chord method follows: gradients in float64 with the Hessian's factor in
        float32. The few replicas that still have no certificate go on with Newton's method in float64. Points that are absent
        from the whole block are left out.
        """
        present, penalty = np.flatnonzero(w.any(axis=1)), self._penalty(w)
        rows, w = (self._rows.select(present), w[present]) if len(present) < len(w) else (self._rows, w)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            theta = _rough_optimum(rows.as_type(np.float32), w.astype(np.float32), penalty.astype(np.float32))
            theta, unsettled = self._refine(rows, w, penalty, theta.astype(np.float64))
            if unsettled.size:
                start = np.where(np.isfinite(theta).all(axis=0), theta, 0.0).take(unsettled, axis=1)
                theta[:, unsettled] = self._newton(rows, w.take(unsettled, axis=1), penalty[unsettled], start)
        return theta

    def _refine(self, rows: "_Rows", w: Array, penalty: Array, theta: Array) -> tuple[Array, NDArray[np.intp]]:
        """Do a Newton step from theta (d, B), then chord steps; return theta and the replicas without a certificate."""
        optimum, active = theta, np.arange(w.shape[1], dtype=np.intp)
        miss, weighted, gradient = rows.gradient(theta, w, penalty)
        single = (part.astype(np.float32) for part in (miss, weighted, penalty))
        factored = batched.factor(rows.as_type(np.float32).hessian(*single))
        theta -= batched.solve(factored, gradient.astype(np.float32))  # a float32 result is never exact: no certificate yet
        for _ in range(_CHORD_STEPS):
            _, weighted, gradient = rows.gradient(theta, w, penalty)
            step = batched.solve(factored, gradient.astype(factored.dtype))
            certified, polish = self._certificate(rows, theta, weighted, penalty, gradient)
            if polish.any():
                certified &= ~polish | (np.abs(step).max(axis=0) <= _CLOSE * np.abs(theta).max(axis=0))
            step[:, certified & ~polish] = 0.0
            theta -= step
            if theta is not optimum:
                optimum[:, active] = theta
            going = np.flatnonzero(~certified)
            active = active[going]
            if len(going) <= _FEW * len(optimum.T):
                break
            if going.size < len(certified):
                theta, factored = theta.take(going, axis=1), factored.take(going, axis=1)  # contiguous, unlike [:, going]
                w, penalty = w.take(going, axis=1), penalty[going]
        return optimum, active

    def _newton(self, rows: "_Rows", w: Array, penalty: Array, theta: Array) -> Array:
        """Compute theta (d, B) by Newton's method in float64; replicas that do not converge restart from 0 with line searches."""
        optimum = np.empty((self.X.shape[1], w.shape[1]))
        active = np.arange(w.shape[1], dtype=np.intp)
        for iteration in range(_PLAIN_STEPS + _SEARCHED_STEPS):
            if iteration == _PLAIN_STEPS:
                theta[:] = 0.0
            miss, weighted, gradient = rows.gradient(theta, w, penalty)
            certified, polish = self._certificate(rows, theta, weighted, penalty, gradient)
            step = batched.solve(batched.factor(rows.hessian(miss, weighted, penalty)), gradient.copy())
            if iteration >= _PLAIN_STEPS:
                step *= _step_length(rows, theta, step, gradient, w, penalty)
            theta -= np.where(certified & ~polish, 0.0, step)
            if certified.any():
                optimum[:, active[certified]] = theta[:, certified]
                going = np.flatnonzero(~certified)
                if not going.size:
                    return optimum
                active, penalty, theta, w = active[going], penalty[going], theta.take(going, axis=1), w.take(going, axis=1)
        norm = np.linalg.norm(rows.gradient(theta[:, :1], w[:, :1], penalty[:1])[2]) / self.n_points
        raise ArithmeticError(
            f"{self!r} did not reach ||grad L|| <= {GRADIENT_TOLERANCE:g} on {name_subset(w[:, 0])}: it stands at {norm:.1e}, "
            f"every component to be within {RELATIVE_TOLERANCE:g} of its terms; standardise the columns of X or raise l2"
        )

    def _certificate(
        self, rows: "_Rows", theta: Array, weighted: Array, penalty: Array, gradient: Array
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Decide for each replica whether it is at the optimum, and whether one more Newton step can still improve it.

        The gradient must be small. Each component must also be small relative to the terms that cancel in it,
        sum_i w_i |grad_j l_i| + penalty |theta_j|; otherwise tiny weights or a tiny l2 would be accepted at any theta. One more
        step would only be noise if the rounding of these terms hides the gradient or is itself as large as the limit.
        """
        limit = 0.5 * GRADIENT_TOLERANCE * self.n_points  # 0.5 leaves room for rounding when others check the gradient
        certified = np.einsum("db,db->b", gradient, gradient) <= limit**2
        if not certified.any():
            return certified, certified
        terms = np.abs(rows.signed).T @ weighted
        terms += np.abs(penalty * theta)
        size = np.abs(gradient)
        certified &= (size <= RELATIVE_TOLERANCE * terms).all(axis=0)
        terms *= _ROUNDING
        polish = certified & (size > terms).any(axis=0) & (np.einsum("db,db->b", terms, terms) < limit**2)
        return certified, polish

    def _checked(self, weights: ArrayLike) -> Array:
        """Return the weights (B, N); with l2 = 0, raise ValueError if a subset has no finite optimum."""
        values = checks.as_weights(weights, self.n_points)
        if self.l2 == 0.0:
            for present in np.unique(values > 0.0, axis=0):
                self._require_optimum(present)
        return values

    def _require_optimum(self, present: NDArray[np.bool_]) -> None:
        """Raise ValueError, with the reason, if no finite optimum with l2 = 0 exists on the points that are present."""
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


@dataclass(frozen=True)
class _Rows:
    """The training points as signed rows z = (2y - 1) x, of any float type; the loss of a row is log(1 + exp(-z . theta)).

    1 - p(y) = 1 / (1 + exp(z . theta)) keeps its relative accuracy when it is tiny; p - y does not.
    """

    signed: batched.AnyFloat  # (N, d)
    outer: batched.AnyFloat  # (d (d + 1) / 2, N), packed x x^T

    def select(self, points: NDArray[np.intp]) -> "_Rows":
        """Return only the given points."""
        return _Rows(self.signed[points], np.ascontiguousarray(self.outer[:, points]))

    def as_type(self, kind: type[np.floating[Any]]) -> "_Rows":
        """Return the rows in another float type."""
        return _Rows(self.signed.astype(kind), self.outer.astype(kind))

    def gradient(self, theta: Any, w: Any, penalty: Any) -> tuple[Any, Any, Any]:
        """Compute 1 - p(y) (N, B), w (1 - p(y)) (N, B), and the gradient (d, B) of sum_i w_i l_i + (penalty/2) ||theta||^2."""
        miss = _error_probability(self.signed @ theta)
        weighted = w * miss
        gradient = penalty * theta
        gradient -= np.ascontiguousarray(self.signed.T) @ weighted
        return miss, weighted, gradient

    def hessian(self, miss: Any, weighted: Any, penalty: Any) -> Any:
        """Compute the packed Hessian (d (d + 1) / 2, B) of the same objective from the results of `gradient`.

        This overwrites `weighted`.
        """
        weighted -= weighted * miss
        packed = self.outer @ weighted
        batched.add_to_diagonal(packed, penalty)
        return packed

    def objective(self, theta: Array, w: Array, penalty: Array) -> Array:
        """Compute sum_i w_i l_i + (penalty/2) ||theta||^2, shape (B,)."""
        return (w * np.logaddexp(0.0, -(self.signed @ theta))).sum(axis=0) + 0.5 * penalty * (theta**2).sum(axis=0)


def _error_probability(margins: Any) -> Any:
    """Compute 1 - p(y) from signed margins (N, B), in their float type.

    float64 has its own kernel, because without AVX-512 numpy's exp is vectorised in float32 only.
    """
    if margins.dtype == np.float64:
        slopes = np.empty_like(margins)
        kernels.slopes(kernels.LOSSES.index("logistic"), margins, np.ones(len(margins)), slopes)
        return np.negative(slopes, out=slopes)
    np.exp(margins, out=margins)  # inf says that 1 - p(y) = 0
    margins += 1.0
    return np.divide(1.0, margins, out=margins)


def _rough_optimum(rows: _Rows, w: Any, penalty: Any) -> Any:
    """Compute theta (d, B) roughly by Newton's method from 0, in the float type of the arguments.

    It ends where the last step is below `_SETTLED`, so that one more step would leave an error of the order of its square. At
    theta = 0 every probability is 1/2, so that the first step needs no exponentials. That step takes p (1 - p) as 1/6, which fits
    the margins after the step better than the 1/4 at 0 and saves most fits one step.
    """
    weighted = 0.5 * w
    gradient = -rows.signed.T @ weighted
    theta = -batched.solve(batched.factor(rows.hessian(2 / 3, weighted, penalty)), gradient)
    optimum, active = theta, np.arange(w.shape[1], dtype=np.intp)
    for iteration in range(_PLAIN_STEPS):
        miss, weighted, gradient = rows.gradient(theta, w, penalty)
        step = batched.solve(batched.factor(rows.hessian(miss, weighted, penalty)), gradient)
        theta -= step
        if theta is not optimum:
            optimum[:, active] = theta
        if iteration < _FIRST_LOOK:
            continue
        going = np.flatnonzero(~(np.abs(step).max(axis=0) <= _SETTLED * (1.0 + np.abs(theta).max(axis=0))))
        if len(going) <= _FEW * len(optimum.T):
            break
        if 2 * len(going) <= len(active):
            active, theta, w, penalty = active[going], theta.take(going, axis=1), w.take(going, axis=1), penalty[going]
    return optimum


def _step_length(rows: _Rows, theta: Array, step: Array, gradient: Array, w: Array, penalty: Array) -> Array:
    """Find for each replica the largest of 1, 1/2, 1/4, .. that lowers the objective enough (Armijo 1966)."""
    start, slope = rows.objective(theta, w, penalty), (gradient * step).sum(axis=0)
    length = np.ones(theta.shape[1])
    for _ in range(40):
        short = rows.objective(theta - length * step, w, penalty) > start - 1e-4 * length * slope + 1e-15 * np.abs(start)
        if not short.any():
            break
        length[short] *= 0.5
    return length


_SETTLED = 3e-3
_FIRST_LOOK = 1
_FEW = 0.03
_CHORD_STEPS = 3
_CLOSE = 1e-11
_ROUNDING = 8 * np.finfo(np.float64).eps
_PLAIN_STEPS = 15
_SEARCHED_STEPS = 200


LEARNER = Logistic
