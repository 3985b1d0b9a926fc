"""Define l2-penalised softmax regression on C classes, solved for a whole block of weight vectors at once.

The optimum has sum_c theta_c = 0: the parameters are one too many for each column, and the penalty takes the shortest. Therefore
theta = phi B^T, where B (C, C - 1) is an orthonormal basis of the vectors whose entries sum to 0, and all systems are solved for
phi (d, C - 1). Lengths, and so the penalty, are the same in phi and theta.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from sims.learners.linear import batched, erm
from sims.learners.linear.separation import has_separating_direction
from sims.learners.shared import checks
from sims.learners.shared.class_outputs import ClassOutput, OutputName, as_class_output
from sims.learners.shared.representation import short_repr
from theory.response import Array, Classes, Fit, Layer, Linearization, WeightHessian
from theory.subsets import name_subset

__all__ = ["SoftmaxRegression"]

GRADIENT_TOLERANCE, RELATIVE_TOLERANCE = 1e-10, 1e-6
"""Every fit ends with ||grad L|| below the first; each component is also below the second's share of the terms that cancel in
it. After that one more Newton step follows, which squares the error."""


@dataclass(frozen=True, eq=False)
class SoftmaxRegression:
    """Softmax regression with an l2 penalty: theta(w) = argmin (1/N) sum_i w_i l_i(theta) + (l2/2) ||theta||^2, theta (d, C).

    l_i = log sum_c exp z_ic - z_iy with the logits z_i = x_i theta. X (N, d) is used as given; a column of ones gives intercepts,
    which are penalised like the other parameters. y (N,) holds classes 0 .. C - 1, all of which occur. X_query is (M, d). The
    output is the `margin` z_y - log sum_{c != y} exp z_c of every query's class in y_query (M,), its `log_probability`, or the
    logit of the class that `output` numbers. There is no randomness: every seed gives the same answer.

    With two classes theta_1 = -theta_0, so that l_i is that of `Logistic` at 2 theta_1, whose penalty is l2/2 here:
    SoftmaxRegression(l2) is Logistic(l2/2), and the margin of class 1 is Logistic's.

    With l2 = 0 the optimum exists only where the points with w_i > 0 have every class, full rank, and no direction that separates
    (Albert & Anderson 1984). Any other subset raises a ValueError that names it. `normalization` says what divides the data
    term, see `sims.learners.linear.erm`.

    >>> learner = SoftmaxRegression([[1.0]] * 3, [0, 1, 2], [[1.0]], l2=0.5, output=0)
    >>> learner.respond([[0.0, 0.0, 0.0]], seeds=[0]).item()  # no points: all logits are 0
    0.0
    >>> learner.weight_jacobian([[1.0, 1.0, 1.0]], seeds=[0]).ravel().round(12).tolist()  # (1/3) (e_y - 1/3) / (1/3 + 1/2)
    [0.266666666667, -0.133333333333, -0.133333333333]
    """

    X: Array = field(repr=False)
    y: NDArray[np.int64] = field(repr=False)
    X_query: Array = field(repr=False)
    l2: float
    y_query: ArrayLike | None = field(default=None, repr=False)
    output: OutputName = "margin"
    normalization: erm.Normalization = "n_points"

    __repr__ = short_repr

    def __post_init__(self) -> None:
        X = checks.as_design(self.X)
        checks.store(self, X=X, y=checks.as_classes(self.y, len(X)), X_query=checks.as_queries(self.X_query, X.shape[1]))
        checks.store(self, l2=checks.as_penalty(self.l2), normalization=erm.as_normalization(self.normalization))
        if self.y_query is not None:
            checks.store(self, y_query=checks.as_targets(self.y_query, self.n_outputs, "y_query", "one class per row of X_query"))
        as_class_output(self.output, self.y_query, self.n_outputs, self.n_classes)

    @property
    def n_points(self) -> int:
        return len(self.X)

    @property
    def n_outputs(self) -> int:
        return len(self.X_query)

    @property
    def n_classes(self) -> int:
        """Return C, the number of classes."""
        return int(self.y.max()) + 1

    @cached_property
    def _output(self) -> ClassOutput:
        return as_class_output(self.output, self.y_query, self.n_outputs, self.n_classes)

    @cached_property
    def _span(self) -> Array:
        """Return orthonormal columns V (d, r) with theta = V theta' at every optimum: it is a combination of the points."""
        n, d = self.X.shape
        return np.eye(d) if d <= n or self.l2 == 0.0 else np.linalg.qr(self.X.T)[0]

    @cached_property
    def _rows(self) -> "_Rows":
        """Return the training points in the form that the solver uses."""
        X = self.X @ self._span
        return _Rows(X, np.eye(self.n_classes)[self.y].T, batched.packed_outer_products(X), _zero_sum_basis(self.n_classes))

    @cached_property
    def _queries(self) -> Array:
        return self.X_query @ self._span

    def respond(self, weights: ArrayLike, seeds: Sequence[int]) -> Array:
        """Compute the outputs (B, R, M) at the optimum for weights (B, N)."""
        values, n_seeds = self._checked(weights), len(checks.as_seeds(seeds))
        return erm.in_blocks(lambda w: self._output.value(self._logits(w)), values, n_seeds, (self.n_outputs,), self._work)

    def weight_jacobian(self, weights: ArrayLike, seeds: Sequence[int]) -> Array:
        """Compute df/dw = -grad f^T H^-1 grad l_i at the optimum, for any weights w >= 0; shape (B, R, M, N)."""
        values, n_seeds = self._checked(weights), len(checks.as_seeds(seeds))
        return erm.in_blocks(self._jacobian, values, n_seeds, (self.n_points, self.n_outputs), self._work)

    def linearize(self, weights: ArrayLike, seeds: Sequence[int]) -> Linearization:
        """Compute the gradients and the Hessian of L at theta(w) for weights (N,); they are the same for every seed.

        The parameters are theta, W (d, C) row by row. With l2 = 0 they are phi, (d, C - 1) row by row: theta is then one of many
        optima, which differ by a vector added to every class, and its Hessian would be singular. Influence is the same in both.
        """
        w, n_seeds = self._checked(checks.as_weight_vector(weights, self.n_points)[None])[0], len(checks.as_seeds(seeds))
        theta = self._span @ self._rows.theta(self._optimum(w[:, None]))[..., 0]  # (d, C)
        basis = np.eye(self.n_classes) if self.l2 else self._rows.basis
        p, penalty = self._probabilities(theta), float(self._penalty(w[:, None])[0])
        params = (theta @ basis).ravel()
        point_gradients = np.einsum("nd,nk->ndk", self.X, (p - self._rows.labels.T) @ basis).reshape(self.n_points, -1)
        heights = self._output.gradient((self.X_query @ theta).T).T @ basis  # (M, K), df/d(z B)
        spread = np.einsum("nc,ck,cl->nkl", p, basis, basis) - np.einsum("nk,nl->nkl", p @ basis, p @ basis)
        hessian = np.einsum("n,ni,nj,nkl->ikjl", w, self.X, self.X, spread, optimize=True).reshape(2 * [params.size])
        gradient = w @ point_gradients + penalty * params

        def per_seed(values: Array) -> Array:
            return np.repeat(values[None], n_seeds, axis=0)

        def in_params(of_logits: Array) -> Array:
            """Return x_i (x) v for v (N, .., K), shape (N, .., P)."""
            products = np.einsum("nd,n...k->n...dk", self.X, of_logits)
            return products.reshape(*products.shape[:-2], -1)

        own = p[np.arange(self.n_points), self.y]
        margins = as_class_output("margin", self.y, self.n_points, self.n_classes).gradient((self.X @ theta).T).T @ basis
        by_class = (np.eye(self.n_classes) - p[:, None]) @ basis  # (N, C, K), d log p_c / d(z B)
        others = np.where(self._rows.labels.T > 0.0, 0.0, p).sum(axis=1)
        fit = Fit(
            gradients=per_seed(in_params(margins)),
            slopes=per_seed(-others),
            curvatures=per_seed(own * others),
            fisher=per_seed(own * others),
            layers=(Layer(inputs=per_seed(self.X), deltas=per_seed(margins)),),
            weights=w,
            penalty=penalty / self.n_points,
            classes=Classes(
                probabilities=per_seed(p),
                gradients=per_seed(in_params(by_class)),
                layers=(Layer(inputs=per_seed(self.X), deltas=per_seed(by_class)),),
            ),
        )

        return Linearization(
            params=per_seed(params),
            hessian=per_seed((hessian + penalty * np.eye(params.size)) / self.n_points),
            point_gradients=per_seed(point_gradients),
            output_gradients=per_seed(np.einsum("md,mk->mdk", self.X_query, heights).reshape(self.n_outputs, -1)),
            gradient_norm=np.full(n_seeds, float(np.linalg.norm(gradient)) / self.n_points),
            fit=fit,
        )

    def layers(self, params: ArrayLike) -> dict[str, Array]:
        """Return parameters (R, P) as weight_1 (R, C, d), the weight of one linear layer in PyTorch's order."""
        basis = np.eye(self.n_classes) if self.l2 else self._rows.basis
        each = np.asarray(params, dtype=np.float64).reshape(-1, self.X.shape[1], basis.shape[1])
        return {"weight_1": (each @ basis.T).swapaxes(1, 2)}

    def weight_hessian(self, weights: ArrayLike, seeds: Sequence[int]) -> WeightHessian:
        """Compute d^2f / dw_i dw_j at weights (N,) by the implicit function theorem; it is the same for every seed.

        With phi_i = dphi/dw_i = -H^-1 (grad l_i + c'_i l2 phi) and the adjoint v = H^-1 grad f of an output,

            d^2f = phi_i^T (Hess f - T) phi_j - v^T (Hess l_i + c'_i l2) phi_j - v^T (Hess l_j + c'_j l2) phi_i,

        where T = sum_k w_k D^3 l_k [v].
        """
        checks.as_seeds(seeds)
        w = self._checked(checks.as_weight_vector(weights, self.n_points)[None])[0]
        rows, X, Q, basis = self._rows, self._rows.X, self._queries, self._rows.basis
        phi = self._optimum(w[:, None])[..., 0]
        size, p = phi.size, self._probabilities(rows.theta(phi))  # (N, C)
        penalty, slope = self._penalty(w[:, None])[0], erm.penalty_slope(self.l2, self.normalization, w[:, None])[:, 0]
        spread = np.einsum("nc,ck,cl->nkl", p, basis, basis) - np.einsum("nk,nl->nkl", p @ basis, p @ basis)  # Hess l_i in z B

        def of_points(matrices: Array) -> Array:
            """Compute sum_k x_k x_k^T (x) matrices_k for matrices (N, K, K), shape (D, D)."""
            return np.einsum("ni,nj,nkl->ikjl", X, X, matrices, optimize=True).reshape(size, size)

        inverse = np.asarray(scipy.linalg.inv(of_points(w[:, None, None] * spread) + penalty * np.eye(size)), dtype=np.float64)
        gradients = np.einsum("nd,nk->ndk", X, (p - rows.labels.T) @ basis).reshape(len(X), -1)
        along = -(gradients + slope[:, None] * phi.ravel()) @ inverse  # (N, D)
        logits = (Q @ rows.theta(phi)).T
        heights = np.einsum("md,cm,ck->mdk", Q, self._output.gradient(logits), basis).reshape(len(Q), -1)
        bends = np.einsum("cem,ck,el->mkl", self._output.curvature(logits), basis, basis)
        left = np.empty((len(Q), len(X), size))
        for m, adjoint in enumerate(heights @ inverse):
            seen = X @ adjoint.reshape(phi.shape)  # (N, K), the logits move along v
            moves = p * (seen @ basis.T - ((p @ basis) * seen).sum(axis=1)[:, None])  # (N, C), the probabilities do
            third = np.einsum("nc,ck,cl->nkl", moves, basis, basis)
            third -= np.einsum("nk,nl->nkl", moves @ basis, p @ basis) + np.einsum("nk,nl->nkl", p @ basis, moves @ basis)
            bend = np.einsum("i,j,kl->ikjl", Q[m], Q[m], bends[m]).reshape(size, size)
            own = np.einsum("nd,nkl,nl->ndk", X, spread, seen).reshape(len(X), -1)
            left[m] = 0.5 * along @ (bend - of_points(w[:, None, None] * third)) - own - slope[:, None] * adjoint
        return WeightHessian(left, along)

    def weight_second_derivative(self, weights: ArrayLike, seeds: Sequence[int], point: int, other: int) -> Array:
        """Compute d^2f / dw_point dw_other for weights (B, N), an entry of every `weight_hessian`; shape (B, R, M)."""
        values, n_seeds = self._checked(weights), len(checks.as_seeds(seeds))
        i, j = checks.as_point("point", point, self.n_points), checks.as_point("other", other, self.n_points)

        def kernel(w: Array) -> Array:
            rows, phi, penalty = self._rows, self._optimum(w), self._penalty(w)
            misses = rows.misses(phi)
            factored = batched.factor(rows.hessian(misses, w, penalty))
            p, slope = misses + rows.labels[:, :, None], erm.penalty_slope(self.l2, self.normalization, w)
            along = [-rows.solved(factored, rows.at_point(misses[:, k], k) + slope[k] * phi) for k in (i, j)]  # dphi/dw
            moves = [m - (p * m).sum(axis=0) for m in map(rows.logits, along)]  # (C, N, B), of the logits about their mean
            both = moves[0] * moves[1]
            bend = rows.gradient(p * (both - (p * both).sum(axis=0)), phi, w, np.zeros_like(penalty))
            bend += rows.at_point(p[:, i] * moves[1][:, i], i) + slope[i] * along[1]
            bend += rows.at_point(p[:, j] * moves[0][:, j], j) + slope[j] * along[0]
            logits, ahead, behind = self._at_queries(phi), self._at_queries(along[0]), self._at_queries(along[1])
            changed = (self._output.gradient(logits) * self._at_queries(rows.solved(factored, bend))).sum(axis=0)
            return np.einsum("cemb,cmb,emb->mb", self._output.curvature(logits), ahead, behind) - changed

        return erm.in_blocks(kernel, values, n_seeds, (self.n_outputs,), self._work)

    def _logits(self, w: Array) -> Array:
        """Compute the logits (C, M, B) of the queries for weights (N, B)."""
        return self._at_queries(self._optimum(w))

    def _at_queries(self, phi: Array) -> Array:
        return np.tensordot(self._queries, self._rows.theta(phi), axes=1).swapaxes(0, 1)

    def _jacobian(self, w: Array) -> Array:
        """Compute df/dw for weights (N, B), shape (N, M, B)."""
        rows, phi, penalty = self._rows, self._optimum(w), self._penalty(w)
        misses = rows.misses(phi)
        slopes = np.tensordot(rows.basis.T, self._output.gradient(self._at_queries(phi)), axes=1)  # (K, M, B)
        adjoint = np.ascontiguousarray(np.einsum("md,kmb->kdmb", self._queries, slopes)).reshape(-1, *slopes.shape[1:])
        batched.solve(batched.factor(rows.hessian(misses, w, penalty)), adjoint)
        adjoint = adjoint.reshape(len(slopes), -1, *slopes.shape[1:])  # (K, d, M, B)
        moved = np.tensordot(rows.X, adjoint, axes=(1, 1))  # (N, K, M, B)
        jacobian = -np.einsum("nkmb,knb->nmb", moved, np.tensordot(rows.basis.T, misses, axes=1))
        slope = erm.penalty_slope(self.l2, self.normalization, w)
        if slope.any():
            jacobian -= np.einsum("kdmb,dkb->mb", adjoint, phi) * slope[:, None]
        return jacobian

    def _probabilities(self, theta: Array) -> Array:
        """Compute the probabilities (N, C) of the classes at the training points, for theta (d, C) or in the span (r, C)."""
        X = self.X if len(theta) == self.X.shape[1] else self._rows.X
        return np.asarray(scipy.special.softmax(X @ theta, axis=1), dtype=np.float64)

    @property
    def _work(self) -> int:
        """Return the numbers that a fit holds at once, most of them its Hessian."""
        size = self._rows.X.shape[1] * (self.n_classes - 1)
        return size * (size + 1) // 2 + 4 * self.n_points * self.n_classes

    def _penalty(self, w: Array) -> Array:
        """Compute c(w) l2 for weights (N, B), shape (B,)."""
        return self.l2 * erm.penalty_scale(self.normalization, w)

    def _optimum(self, w: Array) -> Array:
        """Compute phi (d, C - 1, B) for weights (N, B) by Newton's method from 0; every replica satisfies `_Rows.certified`.

        Replicas that do not converge restart from 0 with line searches. Points that are absent from the whole block are left out.
        """
        present, penalty = np.flatnonzero(w.any(axis=1)), self._penalty(w)
        rows, w = (self._rows.select(present), w[present]) if len(present) < len(w) else (self._rows, w)
        limit = 0.5 * GRADIENT_TOLERANCE * self.n_points  # 0.5 leaves room for rounding when others check the gradient
        optimum = np.zeros((rows.X.shape[1], rows.basis.shape[1], w.shape[1]))
        phi, active = np.zeros_like(optimum), np.arange(w.shape[1], dtype=np.intp)
        for iteration in range(_PLAIN_STEPS + _SEARCHED_STEPS):
            if iteration == _PLAIN_STEPS:
                phi[:] = 0.0
            misses = rows.misses(phi)
            gradient = rows.gradient(misses, phi, w, penalty)
            certified = rows.certified(misses, gradient, phi, w, penalty, limit)
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                step = rows.newton_step(misses, gradient, w, penalty)
                if iteration >= _PLAIN_STEPS:
                    step *= rows.step_length(phi, step, gradient, w, penalty)
            phi = np.where(np.isfinite(step).all(axis=(0, 1)), phi - step, phi)
            if certified.any():
                optimum[..., active[certified]] = phi[..., certified]
                going = np.flatnonzero(~certified)
                if not going.size:
                    return optimum
                active, penalty, w, phi = active[going], penalty[going], w.take(going, axis=1), phi.take(going, axis=2)
        norm = np.linalg.norm(rows.gradient(rows.misses(phi), phi, w, penalty)[..., 0]) / self.n_points
        raise ArithmeticError(
            f"{self!r} did not reach ||grad L|| <= {GRADIENT_TOLERANCE:g} on {name_subset(self._padded(present, w[:, 0]))}: it "
            f"stands at {norm:.1e}; standardise the columns of X or raise l2"
        )

    def _padded(self, present: NDArray[np.intp], w: Array) -> Array:
        """Return the weights of all points, for those of the points that are present."""
        full = np.zeros(self.n_points)
        full[present] = w
        return full

    def _checked(self, weights: ArrayLike) -> Array:
        """Return the weights (B, N); with l2 = 0, raise ValueError if a subset has no finite optimum."""
        values = checks.as_weights(weights, self.n_points)
        if self.l2 == 0.0:
            for present in np.unique(values > 0.0, axis=0):
                if reason := self._why_no_optimum(present):
                    subset = name_subset(present.astype(np.float64))
                    raise ValueError(f"{subset} {reason}: no optimum exists with l2 = 0; use l2 > 0")
        return values

    def _why_no_optimum(self, present: NDArray[np.bool_]) -> str | None:
        """Return the reason why no finite optimum with l2 = 0 exists on the points that are present, or None if one does."""
        X, labels, d = self.X[present], self.y[present], self.X.shape[1]
        if not present.any():
            return "is empty"
        if absent := [c for c in range(self.n_classes) if c not in labels]:
            return f"has no point of class {absent[0]}"
        if (rank := np.linalg.matrix_rank(X)) < d:
            return f"has rank {rank} in {d} columns"
        own, each = np.eye(self.n_classes)[labels], np.eye(self.n_classes)
        against = own[:, None] - each  # (n, C, C), e_y - e_c
        rivals = np.argwhere(labels[:, None] != np.arange(self.n_classes))
        signed = np.stack([np.multiply.outer(X[i], against[i, c]).ravel() for i, c in rivals])
        return "is separable" if has_separating_direction(signed) else None


@dataclass(frozen=True)
class _Rows:
    """The training points, and the objective sum_i w_i l_i + (penalty/2) ||phi||^2 with its derivatives in phi (d, K, B).

    K = C - 1. `misses` are p - e_y, shape (C, N, B).
    """

    X: Array  # (N, d)
    labels: Array  # (C, N), e_y
    outer: Array  # (d (d + 1) / 2, N), packed x x^T
    basis: Array  # (C, K)

    def select(self, points: NDArray[np.intp]) -> "_Rows":
        """Return only the given points."""
        return _Rows(self.X[points], self.labels[:, points], np.ascontiguousarray(self.outer[:, points]), self.basis)

    def theta(self, phi: Array) -> Array:
        """Compute theta = phi B^T, shape (d, C, ..)."""
        return np.einsum("dk...,ck->dc...", phi, self.basis)

    def logits(self, phi: Array) -> Array:
        """Compute the logits, shape (C, N, B)."""
        moved = np.tensordot(self.X, phi, axes=1)  # (N, K, B)
        return np.tensordot(self.basis, moved, axes=(1, 1))

    def misses(self, phi: Array) -> Array:
        """Compute p - e_y; that of the own class is minus the sum of the others, which keeps its relative accuracy."""
        logits = self.logits(phi)
        logits -= logits.max(axis=0)
        p = np.exp(logits, out=logits)
        p /= p.sum(axis=0)
        others = np.where(self.labels[:, :, None] > 0.0, 0.0, p)
        return others - self.labels[:, :, None] * others.sum(axis=0)

    def gradient(self, misses: Array, phi: Array, w: Array, penalty: Array) -> Array:
        """Compute the gradient, shape (d, K, B)."""
        reduced = np.tensordot(self.basis.T, misses, axes=1)
        reduced *= w
        return np.tensordot(self.X.T, reduced.swapaxes(0, 1), axes=1) + penalty * phi

    def hessian(self, misses: Array, w: Array, penalty: Array) -> Array:
        """Compute the packed Hessian (D (D + 1) / 2, B), D = K d; coordinate k d + j is phi_jk."""
        p = misses + self.labels[:, :, None]
        mean, size = np.tensordot(self.basis.T, p, axes=1), self.basis.shape[1]
        blocks = np.empty((size * (size + 1) // 2, len(self.outer), w.shape[1]))
        for number, (k, other) in enumerate(zip(*np.tril_indices(size), strict=True)):
            spread = np.tensordot(self.basis[:, k] * self.basis[:, other], p, axes=1)
            spread -= mean[k] * mean[other]
            np.matmul(self.outer, w * spread, out=blocks[number])
        packed = blocks.reshape(-1, w.shape[1])[_places(self.X.shape[1], size)]
        batched.add_to_diagonal(packed, penalty)
        return packed

    def newton_step(self, misses: Array, gradient: Array, w: Array, penalty: Array) -> Array:
        """Compute H^-1 gradient, shape (d, K, B)."""
        return self.solved(batched.factor(self.hessian(misses, w, penalty)), gradient)

    def solved(self, factored: Array, right: Array) -> Array:
        """Compute H^-1 right for right (d, K, B)."""
        d, size, batch = right.shape
        solution = batched.solve(factored, right.swapaxes(0, 1).reshape(d * size, batch).copy())
        return solution.reshape(size, d, batch).swapaxes(0, 1)

    def at_point(self, push: Array, point: int) -> Array:
        """Compute x_i (x) B^T push for push (C, B) on the logits of a point, shape (d, K, B)."""
        return self.X[point][:, None, None] * (self.basis.T @ push)

    def certified(self, misses: Array, gradient: Array, phi: Array, w: Array, penalty: Array, limit: float) -> NDArray[np.bool_]:
        """Decide for each replica whether it is so near the optimum that one more step ends there.

        The gradient must be small. Each component must also be small relative to the terms that cancel in it,
        sum_i w_i |grad_j l_i| + penalty |phi_j|; otherwise tiny weights or a tiny l2 would be accepted at any phi.
        """
        near = np.einsum("dkb,dkb->b", gradient, gradient) <= limit**2
        if near.any():
            size = np.tensordot(np.abs(self.basis.T), np.abs(misses), axes=1) * w
            terms = np.tensordot(np.abs(self.X.T), size.swapaxes(0, 1), axes=1) + np.abs(penalty * phi)
            near &= (np.abs(gradient) <= RELATIVE_TOLERANCE * terms).all(axis=(0, 1))
        return near

    def step_length(self, phi: Array, step: Array, gradient: Array, w: Array, penalty: Array) -> Array:
        """Find for each replica the largest of 1, 1/2, 1/4, .. that lowers the objective enough (Armijo 1966)."""
        start, slope = self._objective(phi, w, penalty), np.einsum("dkb,dkb->b", gradient, step)
        length = np.ones(phi.shape[2])
        for _ in range(40):
            ahead = self._objective(phi - length * step, w, penalty)
            short = ahead > start - 1e-4 * length * slope + 1e-15 * np.abs(start)
            if not short.any():
                break
            length[short] *= 0.5
        return length

    def _objective(self, phi: Array, w: Array, penalty: Array) -> Array:
        logits = self.logits(phi)
        losses = np.asarray(scipy.special.logsumexp(logits, axis=0)) - np.einsum("cn,cnb->nb", self.labels, logits)
        return (w * losses).sum(axis=0) + 0.5 * penalty * np.einsum("dkb,dkb->b", phi, phi)


def _zero_sum_basis(n_classes: int) -> Array:
    """Return orthonormal columns (C, C - 1) that sum to 0 (Helmert)."""
    return np.ascontiguousarray(np.asarray(scipy.linalg.helmert(n_classes), dtype=np.float64).T)


def _places(d: int, size: int) -> NDArray[np.intp]:
    """Return where the blocks hold every entry of the packed K d x K d Hessian: (pair of classes, packed pair of columns)."""
    column, row = np.triu_indices(d * size)  # packed: lower triangle, column by column
    (k, i), (other, j) = np.divmod(row, d), np.divmod(column, d)
    high, low = np.maximum(i, j), np.minimum(i, j)
    return (k * (k + 1) // 2 + other) * (d * (d + 1) // 2) + low * d - low * (low - 1) // 2 + high - low


_PLAIN_STEPS, _SEARCHED_STEPS = 15, 200


LEARNER = SoftmaxRegression
