"""Reduce the errors of a fit by control variates: fit F - T for a surrogate T, and add the known datamodel of T.

The surrogate is a quadratic T(w), usually the second-order Taylor expansion of F about w = p 1. As beta is linear in F (T8),
beta[F] = beta[F - T] + beta[T] for every T, however poor, and the errors are those of the estimate of beta[F - T].
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from theory.laws import Bernoulli, FixedSize
from theory.memory import require_memory
from theory.response import (
    Array,
    DifferentiableLearner,
    TwiceDifferentiableLearner,
    WeightHessian,
    mean_response,
    weight_derivative,
)
from theory.sampling.designs import Design
from theory.sampling.fit import SampledDatamodel, fit_sampled
from theory.sampling.inputs import as_responses, as_subsets, from_design

__all__ = ["Cost", "Prices", "Quadratic", "fit_with_surrogate", "measured_prices", "taylor_surrogate"]


@dataclass(frozen=True)
class Prices:
    """Prices are the costs of one weight Jacobian and one weight Hessian, in retrainings of the same learner."""

    jacobian: float
    hessian: float = np.nan  # NaN: the learner has none


@dataclass(frozen=True)
class Cost:
    """A cost counts the responses and derivatives that a surrogate took; all seeds at one weight vector count once."""

    responses: int = 0
    jacobians: int = 0
    hessians: int = 0

    def retrainings(self, prices: Prices) -> float:
        """Return the cost in retrainings."""
        hessians = self.hessians * prices.hessian if self.hessians else 0.0
        return self.responses + self.jacobians * prices.jacobian + hessians


@dataclass(frozen=True)
class Quadratic:
    """A quadratic is T(w) = value + (w - c) . gradient + (w - c)^T Q (w - c) / 2 for M outputs."""

    centre: Array  # c (N,)
    value: Array  # (M,)
    gradient: Array  # (N, M)
    hessian: WeightHessian  # Q
    asymmetry: float = 0.0  # ||Q - Q^T|| / ||Q|| before Q was made symmetric: the error of its finite differences
    cost: Cost = Cost()

    def __call__(self, weights: ArrayLike) -> Array:
        """Evaluate T(w) at weights (B, N): shape (B, M)."""
        away = np.asarray(weights, dtype=np.float64) - self.centre
        return self.value + away @ self.gradient + 0.5 * self.hessian.form(away)

    def datamodel(self, law: Bernoulli | FixedSize) -> tuple[Array, Array]:
        """Return intercept (M,) and coefficients (N, M) of the optimal linear datamodel of T, in closed form.

        On {0, 1}^N, w_i^2 = w_i: T = a + sum_i b_i w_i + sum_{i<j} Q_ij w_i w_j with b_i = gradient_i - (Q c)_i + Q_ii/2.
        Bernoulli(p): beta_i = b_i + p sum_{j != i} Q_ij (T1), which is gradient_i + (1 - 2p) Q_ii / 2 where c = p 1.
        FixedSize(k), the representative with sum 0 (T7): beta is b_i + ((k - 1)/(N - 2)) sum_{j != i} Q_ij minus its mean.
        """
        n = len(self.centre)
        own, at_centre = self.hessian.diagonal, self.hessian.times(self.centre)
        others = self.hessian.times(np.ones(n)) - own
        constant = self.value - self.centre @ self.gradient + 0.5 * self.centre @ at_centre
        linear = self.gradient - at_centre + 0.5 * own
        if isinstance(law, FixedSize):
            law.check(n)
            k, together = law.k, law.k * (law.k - 1) / (n * (n - 1)) if n > 1 else 0.0
            coefficients = linear + ((k - 1) / (n - 2) * others if n > 2 else 0.0)
            coefficients = coefficients - coefficients.mean(axis=0)
            return constant + k / n * linear.sum(axis=0) + 0.5 * together * others.sum(axis=0), coefficients
        p = law.p
        coefficients = linear + p * others
        mean = constant + p * linear.sum(axis=0) + 0.5 * p**2 * others.sum(axis=0)
        return mean - p * coefficients.sum(axis=0), coefficients


def taylor_surrogate(
    learner: DifferentiableLearner, centre: float | ArrayLike, seeds: Sequence[int], *, step: float = 1e-3, block: int = 64
) -> Quadratic:
    """Return the second-order Taylor expansion of F at w = centre (a number p stands for p 1).

    Second derivatives come from the learner's `weight_hessian` where it has one, else from central differences of
    `weight_jacobian` at 2 N points, `block` pairs at a time; a weight below `step` is lowered only to 0. An inaccurate second
    derivative makes the control variate less effective, but adds no bias.

    >>> from sims.learners import LeastSquares
    >>> learner = LeastSquares([[1.0]], [1.0], [[1.0]], l2=1.0)  # F(w) = w / (w + 1)
    >>> taylor = taylor_surrogate(learner, 1.0, [0])
    >>> taylor.value.tolist(), taylor.gradient.tolist(), taylor.hessian.dense.tolist()
    ([0.5], [[0.25]], [[[-0.25]]])
    """
    if not isinstance(learner, DifferentiableLearner):
        raise TypeError(f"{type(learner).__name__} has no weight_jacobian: a Taylor expansion needs the derivative of respond")
    n = learner.n_points
    c = np.broadcast_to(np.asarray(centre, dtype=np.float64), (n,)).copy()
    value, gradient = mean_response(learner, c[None], seeds)[0], weight_derivative(learner, c, seeds)
    asymmetry = 0.0
    if isinstance(learner, TwiceDifferentiableLearner):
        hessian, cost = learner.weight_hessian(c, seeds), Cost(1, 1, 1)
    else:
        differences, cost = _differenced_hessian(learner, c, seeds, step, block), Cost(1, 1 + 2 * n, 0)
        hessian = WeightHessian(0.5 * differences, np.eye(n))
        size = np.linalg.norm(differences)
        asymmetry = float(np.linalg.norm(differences - differences.swapaxes(1, 2)) / size) if size > 0.0 else 0.0
    if not all(np.isfinite(part).all() for part in (value, gradient, hessian.left, hessian.right)):
        raise ArithmeticError(f"F has no second-order expansion at w = ({c[0]:g}, ..): a derivative there is not finite")
    return Quadratic(c, value, gradient, hessian, asymmetry, cost)


def fit_with_surrogate(
    masks: ArrayLike | Design,
    responses: ArrayLike,
    surrogate: Quadratic,
    *,
    law: Bernoulli | FixedSize | None = None,
    groups: ArrayLike | None = None,
    scale: Literal["one", "fitted"] = "one",
    **options: Any,
) -> SampledDatamodel:
    """Fit responses - scale T by OLS and add scale times the exact datamodel of T; masks, law and groups as in `fit_sampled`.

    scale "one" is 1, with the bias of OLS on F - T, of order 1/m. "fitted" is the slope per output of F on the residual of the
    linear fit to T: errors are then never much larger than those of OLS, however bad T is, at another bias of order 1/m
    (Glasserman 2004, sec. 4.1). Standard errors are those of the fit to F - scale T; residual_variance and r_squared are those
    of F on the given rows.

    About c = p 1 at p = 1/2 the nonlinear part of T has degree 2 only, which pairs of complements cancel: T then gains nothing.

    >>> from sims.learners import KernelSum
    >>> from sims.retrain import response_table
    >>> from theory.sampling.designs import independent
    >>> learner = KernelSum([[0.0], [0.0], [0.0]], [1.0, 2.0, 3.0], [[0.0]])  # F = (w_0 + 2 w_1 + 3 w_2) / 3 = T
    >>> design = independent(Bernoulli(0.5), n_subsets=20, n_points=3, seed=0)
    >>> F = response_table(learner, [0], weights=design.masks).mean
    >>> fit_with_surrogate(design, F, taylor_surrogate(learner, 0.5, [0])).coefficients.round(9).tolist()
    [[0.333333333], [0.666666667], [1.0]]
    """
    if "method" in options or "row_weights" in options:
        raise ValueError("fit_with_surrogate takes neither method nor row_weights: it fits F - scale T by OLS on rows of `law`")
    masks, law, groups = from_design(masks, law, groups)
    if law is None:
        raise ValueError("fit_with_surrogate got masks without law=, expected the law that they were drawn from, or a Design")
    subsets, y = as_subsets(masks), as_responses(responses)
    if surrogate.gradient.shape != (subsets.shape[1], y.shape[1]):
        raise ValueError(
            f"the surrogate has (points, outputs) = {surrogate.gradient.shape}, the data {subsets.shape[1], y.shape[1]}: "
            "expected the same numbers"
        )
    values, (intercept, coefficients) = surrogate(subsets), surrogate.datamodel(law)
    factor = np.ones(y.shape[1])
    if scale == "fitted":
        beyond = values - fit_sampled(subsets, values, law=law, groups=groups, **options).predict(subsets)
        size = (beyond**2).sum(axis=0)
        factor = np.where(size > 0.0, (beyond * y).sum(axis=0) / np.where(size > 0.0, size, 1.0), 1.0)
    elif scale != "one":
        raise ValueError(f"scale {scale!r} is unknown, expected 'one' or 'fitted'")
    rest = fit_sampled(subsets, y - factor * values, law=law, groups=groups, **options)
    fitted = replace(rest, intercept=rest.intercept + factor * intercept, coefficients=rest.coefficients + factor * coefficients)
    left = y - fitted.predict(subsets)
    residual_variance = (left**2).sum(axis=0) / len(y)
    constant = np.ptp(y, axis=0) <= 8 * np.finfo(np.float64).eps * np.abs(y).max(axis=0)
    r_squared = np.where(constant, np.nan, 1.0 - residual_variance / np.where(constant, 1.0, y.var(axis=0)))
    return replace(fitted, residual_variance=residual_variance, r_squared=r_squared)


def measured_prices(
    learner: DifferentiableLearner, weights: ArrayLike, seeds: Sequence[int], *, rounds: int = 3, jacobians: int = 8
) -> Prices:
    """Measure the prices of a learner's derivatives, each from the least of `rounds` timings.

    Times are per weight vector: of respond in one batch of all weights (B, N), as a design is retrained, and of weight_jacobian
    in one batch of the first `jacobians` of them, a small one as in `taylor_surrogate`.
    """
    rows, few = np.asarray(weights, dtype=np.float64), np.asarray(weights, dtype=np.float64)[:jacobians]

    def seconds(call: Any, count: int) -> float:
        times = list[float]()
        for _ in range(rounds):
            start = time.perf_counter()
            call()
            times.append((time.perf_counter() - start) / count)
        return min(times)

    one = seconds(lambda: learner.respond(rows, seeds), len(rows))
    jacobian = seconds(lambda: learner.weight_jacobian(few, seeds), len(few))
    hessian = np.nan
    if isinstance(learner, TwiceDifferentiableLearner):
        hessian = seconds(lambda: learner.weight_hessian(rows.mean(axis=0), seeds), 1) / one
    return Prices(jacobian / one, hessian)


def _differenced_hessian(learner: DifferentiableLearner, c: Array, seeds: Sequence[int], step: float, block: int) -> Array:
    """Return the differences Q_ij = (D_i(c + h e_j) - D_i(c - h e_j)) / 2h, (M, N, N), which are not exactly symmetric."""
    n = len(c)
    require_memory(32 * learner.n_outputs * n**2, f"{learner.n_outputs} Hessians of {n} weights", "use fewer outputs at once")
    hessian = np.empty((learner.n_outputs, n, n))
    for start in range(0, n, block):
        points = np.arange(start, min(start + block, n))
        shift = np.zeros((len(points), n))
        shift[np.arange(len(points)), points] = 1.0
        below = np.minimum(step, c[points])[:, None]
        ahead = learner.weight_jacobian(c + step * shift, seeds).mean(axis=1)  # (B, M, N)
        behind = learner.weight_jacobian(c - below * shift, seeds).mean(axis=1)
        hessian[:, :, points] = np.moveaxis((ahead - behind) / (step + below)[:, :, None], 0, 2)
    return hessian
