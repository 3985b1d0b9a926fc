"""Define least squares with an l2 penalty, solved for a whole block of weight vectors at once."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sims.learners.linear import batched, erm
from sims.learners.shared import checks
from sims.learners.shared.representation import short_repr
from theory.inputs import shown
from theory.response import Array, Linearization, WeightHessian
from theory.subsets import name_subset

__all__ = ["LeastSquares"]


Added = tuple[NDArray[np.bool_], NDArray[np.bool_]]
"""Two arrays: which points would add a direction (N, B), and which queries have a part along that direction (N, M, B)."""


@dataclass(frozen=True, eq=False)
class LeastSquares:
    """Least squares with an l2 penalty: theta(w) = argmin (1/N) sum_i w_i (x_i . theta - y_i)^2 / 2 + (l2/2) ||theta||^2.

    X (N, d) is used as given; a column of ones gives an intercept, which is penalised like the other parameters. Outputs are the
    predictions x_q . theta at X_query (M, d), in the units of y. There is no randomness: every seed gives the same answer.

    With l2 = 0 the points with w_i > 0 must span all columns. Where they do not, `undefined="error"` raises a ValueError that
    names the subset, and `undefined="min_norm"` takes the minimiser of least norm, which is the pseudo-inverse of sqrt(W) X times
    sqrt(W) y. Then F jumps at w_i = 0 if point i adds a direction, and the derivative there is NaN (undefined). `normalization`
    says what divides the data term, see `sims.learners.linear.erm`.

    >>> learner = LeastSquares([[1.0]], [1.0], [[1.0]], l2=1.0)  # F(w) = w / (w + 1)
    >>> learner.respond([[0.0], [1.0]], seeds=[0]).ravel().tolist()
    [0.0, 0.5]
    >>> learner.weight_jacobian([[1.0]], seeds=[0]).ravel().tolist()
    [0.25]
    """

    X: Array = field(repr=False)
    y: Array = field(repr=False)
    X_query: Array = field(repr=False)
    l2: float = 0.0
    undefined: Literal["error", "min_norm"] = "error"
    normalization: erm.Normalization = "n_points"

    __repr__ = short_repr

    def __post_init__(self) -> None:
        X = checks.as_design(self.X)
        checks.store(self, X=X, y=checks.as_targets(self.y, len(X)), X_query=checks.as_queries(self.X_query, X.shape[1]))
        checks.store(self, l2=checks.as_penalty(self.l2), normalization=erm.as_normalization(self.normalization))
        if not isinstance(self.undefined, str) or self.undefined not in ("error", "min_norm"):
            raise ValueError(f"undefined is {shown(self.undefined)}, expected 'error' or 'min_norm'")

    @property
    def n_points(self) -> int:
        return len(self.X)

    @property
    def n_outputs(self) -> int:
        return len(self.X_query)

    @cached_property
    def _outer_products(self) -> Array:
        """Return the packed x x^T of all rows of X."""
        return batched.packed_outer_products(self.X)

    def respond(self, weights: ArrayLike, seeds: Sequence[int]) -> Array:
        """Compute the predictions (B, R, M) at the optimum for weights (B, N)."""
        values, n_seeds = checks.as_weights(weights, self.n_points), len(checks.as_seeds(seeds))
        return erm.in_blocks(lambda w: self.X_query @ self._optimum(w), values, n_seeds, (self.n_outputs,))

    def weight_jacobian(self, weights: ArrayLike, seeds: Sequence[int]) -> Array:
        """Compute d prediction / d w, shape (B, R, M, N), for any w >= 0.

        For a fixed c it is -x_q^T A^-1 x_i (x_i . theta - y_i), where A = X^T W X + c l2 I.
        """
        values, n_seeds = checks.as_weights(weights, self.n_points), len(checks.as_seeds(seeds))
        return erm.in_blocks(self._jacobian, values, n_seeds, (self.n_points, self.n_outputs))

    def linearize(self, weights: ArrayLike, seeds: Sequence[int]) -> Linearization:
        """Compute the gradients and the Hessian of L at theta(w) for weights (N,); they are the same for every seed."""
        w, n_seeds = checks.as_weight_vector(weights, self.n_points)[:, None], len(checks.as_seeds(seeds))
        theta = self._optimum(w)
        residual, penalty = self.X @ theta - self.y[:, None], self._penalty(w)
        gradient = self.X.T @ (w * residual) + penalty * theta
        packed = self._normal_matrix(w, penalty)
        return erm.linearization(
            self.X,
            self.X_query,
            theta[:, 0],
            gradient[:, 0] / self.n_points,
            packed[:, 0] / self.n_points,
            slopes=residual[:, 0],
            curvatures=np.ones(self.n_points),
            weights=w[:, 0],
            penalty=float(penalty[0]) / self.n_points,
            n_seeds=n_seeds,
        )

    def layers(self, params: ArrayLike) -> dict[str, Array]:
        """Return parameters (R, P) as weight_1 (R, 1, d), the weight of one linear layer in PyTorch's order."""
        return {"weight_1": np.asarray(params, dtype=np.float64)[:, None]}

    def weight_hessian(self, weights: ArrayLike, seeds: Sequence[int]) -> WeightHessian:
        """Compute d^2 prediction / dw_i dw_j at weights (N,); raise ValueError if the optimum is not unique.

        It is the same for every seed.
        """
        checks.as_seeds(seeds)
        w = checks.as_weight_vector(weights, self.n_points)[:, None]
        penalty = self._penalty(w)
        hessian = self.X.T @ (w * self.X) + penalty[0] * np.eye(self.X.shape[1])
        if np.linalg.matrix_rank(hessian, hermitian=True) < len(hessian):
            raise ValueError(self._not_unique(w[:, 0]))
        theta = self._optimum(w)
        return erm.weight_hessian(
            self.X,
            self.X_query,
            theta[:, 0],
            hessian,
            slopes=(self.X @ theta)[:, 0] - self.y,
            curvatures=np.ones(self.n_points),
            thirds=np.zeros(self.n_points),
            weights=w[:, 0],
            penalty_slope=erm.penalty_slope(self.l2, self.normalization, w)[:, 0],
        )

    def weight_second_derivative(self, weights: ArrayLike, seeds: Sequence[int], point: int, other: int) -> Array:
        """Compute d^2 prediction / dw_point dw_other for weights (B, N), an entry of every `weight_hessian`; shape (B, R, M).

        Raises ValueError if an optimum is not unique.
        """
        values, n_seeds = checks.as_weights(weights, self.n_points), len(checks.as_seeds(seeds))
        points = checks.as_point("point", point, self.n_points), checks.as_point("other", other, self.n_points)

        def kernel(w: Array) -> Array:
            d, penalty = self.X.shape[1], self._penalty(w)
            hessians = np.tensordot(w.T, self.X[:, :, None] * self.X[:, None], axes=1) + penalty[:, None, None] * np.eye(d)
            singular = np.flatnonzero(np.linalg.matrix_rank(hessians, hermitian=True) < d)
            if singular.size:
                raise ValueError(self._not_unique(w[:, singular[0]]))
            theta = self._optimum(w)

            def solve(right: Array) -> Array:
                return np.asarray(np.linalg.solve(hessians, right.T[:, :, None]), dtype=np.float64)[:, :, 0].T

            return erm.second_derivative(
                self.X,
                self.X_query,
                theta,
                solve=solve,
                slopes=self.X @ theta - self.y[:, None],
                curvatures=np.ones(w.shape),
                thirds=np.zeros(w.shape),
                weights=w,
                penalty_slope=erm.penalty_slope(self.l2, self.normalization, w),
                points=points,
            )

        return erm.in_blocks(kernel, values, n_seeds, (self.n_outputs,))

    def _not_unique(self, weights: Array) -> str:
        return f"{name_subset(weights)} has no unique optimum with l2 = {self.l2:g}: use l2 > 0 for second derivatives"

    def _penalty(self, w: Array) -> Array:
        """Compute c(w) l2 for weights (N, B), shape (B,)."""
        return self.l2 * erm.penalty_scale(self.normalization, w)

    def _normal_matrix(self, w: Array, penalty: Array) -> Array:
        """Compute the packed A = X^T W X + penalty I for weights (N, B)."""
        packed = self._outer_products @ w
        batched.add_to_diagonal(packed, penalty)
        return packed

    def _optimum(self, w: Array) -> Array:
        """Compute theta (d, B) for weights (N, B)."""
        return self._solve(w, np.empty((0, self.X.shape[1])))[0]

    def _jacobian(self, w: Array) -> Array:
        """Compute d prediction / d w for weights (N, B), shape (N, M, B)."""
        theta, adjoint, added = self._solve(w, self.X_query)
        residual = self.X @ theta - self.y[:, None]
        slope = erm.penalty_slope(self.l2, self.normalization, w)
        jacobian = erm.implicit_jacobian(self.X, adjoint, residual, theta, slope)
        if added is not None:  # a point that adds a direction is fitted exactly at any w_i > 0: F can jump at 0, then is constant
            adds, seen = added
            misfit = np.abs(residual) > _EXACT * (np.abs(self.X) @ np.abs(theta) + np.abs(self.y[:, None]))
            jacobian = np.where(adds[:, None], np.where(seen & misfit[:, None], np.nan, 0.0), jacobian)
        return jacobian

    def _solve(self, w: Array, queries: Array) -> tuple[Array, Array, Added | None]:
        """Compute theta (d, B), A^+ x_q (d, M, B), and which points of weight 0 would add a direction (None if none would).

        Replicas whose normal equations are well conditioned use these; the others use the singular values of sqrt(W) X.
        """
        penalty = self._penalty(w)
        packed = self._normal_matrix(w, penalty)
        diagonal = batched.diagonal(packed)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            condition = np.minimum(batched.condition_bound(batched.factor(packed), diagonal), diagonal.sum(axis=0) / penalty)
            theta = batched.solve(packed, self.X.T @ (w * self.y[:, None]))
            adjoint = batched.solve(packed, np.repeat(queries.T[:, :, None], w.shape[1], axis=2))
        rest = ~(condition < _WELL_CONDITIONED)
        if not rest.any():
            return theta, adjoint, None
        adds, seen = np.zeros(w.shape, np.bool_), np.zeros((len(w), len(queries), w.shape[1]), np.bool_)
        theta[:, rest], adjoint[:, :, rest], (adds[:, rest], seen[:, :, rest]) = self._solve_by_svd(
            w[:, rest], penalty[rest], queries
        )
        return theta, adjoint, (adds, seen)

    def _solve_by_svd(self, w: Array, penalty: Array, queries: Array) -> tuple[Array, Array, Added]:
        """Compute the results of `_solve` from [sqrt(W) X; sqrt(c l2) I] = U S V^T.

        theta = V S^+ U^T sqrt(W) y, and A^+ = V (S^+)^2 V^T.
        """
        n, d = self.X.shape
        root = np.sqrt(w.T)
        rows = np.concatenate([root[:, :, None] * self.X, np.sqrt(penalty)[:, None, None] * np.eye(d)], axis=1)
        u, singular, vt = np.linalg.svd(rows, full_matrices=False)
        kept = singular > (n + d) * np.finfo(np.float64).eps * singular[:, :1]
        if self.undefined == "error" and not kept.all():
            worst = int(np.flatnonzero(~kept.all(axis=1))[0])
            raise ValueError(
                f"{name_subset(w[:, worst])} has rank {kept[worst].sum()} in {d} columns: no unique optimum exists with "
                f"l2 = {self.l2:g}; use l2 > 0 or undefined='min_norm'"
            )
        inverse = np.where(kept, 1.0 / np.where(kept, singular, 1.0), 0.0)[:, :, None]
        v = vt.transpose(0, 2, 1)
        theta = v @ (inverse * (u[:, :n].transpose(0, 2, 1) @ (root * self.y)[:, :, None]))
        adjoint = v @ (inverse**2 * (vt @ queries.T))
        return theta[:, :, 0].T, adjoint.transpose(1, 2, 0), self._added_directions(w, vt, kept, queries)

    def _added_directions(self, w: Array, vt: Array, kept: NDArray[np.bool_], queries: Array) -> Added:
        """Decide where (I - P) x_i != 0 for points of weight 0, and where x_q . (I - P) x_i != 0.

        P is the projection on the range of A.
        """
        null = np.where(kept[:, :, None], 0.0, vt)
        null_points, null_queries = null @ self.X.T, null @ queries.T  # (B, d, N), (B, d, M)
        norm, query_norm = np.linalg.norm(self.X, axis=1), np.linalg.norm(queries, axis=1)
        adds = (np.linalg.norm(null_points, axis=1) > _EXACT * norm) & (w.T == 0.0)
        seen = np.abs(null_queries.transpose(0, 2, 1) @ null_points) > _EXACT * np.multiply.outer(query_norm, norm)
        return adds.T, seen.transpose(2, 1, 0)


_WELL_CONDITIONED = 1e4
_EXACT = 1e-10


LEARNER = LeastSquares
