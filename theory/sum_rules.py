"""Compute both sides of the rules that say what the effects of all points add up to.

| effects | sum over points | reason |
| --- | --- | --- |
| w_i D_i(w) | eta dF/deta - l2 dF/dl2; 0 at an optimum without penalty | F(c w; eta, l2) = F(w; c eta, l2 / c) |
| beta_i^(p) | d/dp E_p F | chain rule (Russo 1981) |
| Shapley_i | F(1) - F(0) | every path from {} to the full set adds up to it |
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike

from theory.derivatives import finite_difference
from theory.inputs import as_number, as_numbers
from theory.response import Array, DifferentiableLearner, Learner, as_table, weight_derivative
from theory.transforms import sum_by_size

__all__ = ["ScaleDerivative", "euler_sum", "gain", "inclusion_slope", "scale_derivative"]


def euler_sum(learner: DifferentiableLearner, weights: ArrayLike, seeds: Sequence[int]) -> Array:
    """Compute sum_i w_i D_i(w), which is d/dc F(c w) at c = 1, for weights (N,); shape (M,).

    Gradient descent takes theta - eta ((1/N) sum_i w_i grad l_i + l2 theta). With weights c w that is the same step with weights
    w, rate c eta and penalty l2 / c: F(c w; eta, l2) = F(w; c eta, l2 / c), also with momentum, schedules and minibatches. So

        sum_i w_i D_i(w) = eta dF/deta - l2 dF/dl2.

    At an optimum eta does not matter, and without a penalty the sum is 0 (Euler's theorem on homogeneous functions).
    `scale_derivative` computes the right-hand side. An objective that divides by sum_i w_i has F(c w) = F(w) with any penalty.

    >>> from sims.learners import LeastSquares
    >>> learner = LeastSquares([[1.0], [2.0]], [1.0, 1.0], [[1.0]], l2=0.5)  # F(w) = (w_0 + 2 w_1) / (w_0 + 4 w_1 + 2 l2)
    >>> euler_sum(learner, [1.0, 1.0], [0]).round(12).tolist()  # -l2 dF/dl2 = 2 l2 (1 + 2) / (1 + 4 + 2 l2)^2 = 3/36
    [0.083333333333]
    """
    return as_numbers("weights", weights) @ weight_derivative(learner, weights, seeds)


@dataclass(frozen=True)
class ScaleDerivative:
    """A derivative d/dc at c = 1 by extrapolated differences, with an estimate of its own error."""

    value: Array  # (M,)
    error: Array  # (M,)
    converged: bool


def scale_derivative(make: Callable[[float], Learner], weights: ArrayLike, seeds: Sequence[int]) -> ScaleDerivative:
    """Compute d/dc of F(w) at c = 1 for the learner make(c), from responses only; shape (M,).

    With make(c) that has the penalty l2 / c it is -l2 dF/dl2; with the learning rate c eta it is eta dF/deta. The differences are
    those of `theory.derivatives.finite_difference`, with c in the place of a weight.

    >>> from sims.learners import LeastSquares
    >>> def make(c):
    ...     return LeastSquares([[1.0], [2.0]], [1.0, 1.0], [[1.0]], l2=0.5 / c)
    >>> found = scale_derivative(make, [1.0, 1.0], [0])
    >>> found.value.round(9).tolist(), found.converged
    ([0.083333333], True)
    """
    fixed = as_numbers("weights", weights)
    found = finite_difference(_Scaled(make, fixed, make(1.0).n_outputs), [1.0], seeds)
    return ScaleDerivative(found.derivative[0], found.error[0], found.converged)


@dataclass(frozen=True)
class _Scaled:
    """The learner whose only weight is c: it answers what make(c) answers at fixed weights."""

    make: Callable[[float], Learner]
    fixed: Array
    n_outputs: int
    n_points: int = 1

    def respond(self, weights: ArrayLike, seeds: Sequence[int]) -> Array:
        rows = as_numbers("weights", weights)[:, 0].tolist()
        return np.concatenate([self.make(c).respond(self.fixed[None], seeds) for c in rows])


def inclusion_slope(table: ArrayLike, p: float) -> Array:
    """Compute d/dp E_p F, the derivative of the mean response in the probability of inclusion; shape (M,), 0 <= p <= 1.

    E_p F = sum_k binom(N, k) p^k (1 - p)^(N - k) m_k is a polynomial in p whose Bernstein coefficients m_k are the means of F
    over the subsets of size k; scipy differentiates it. No datamodel is used. Source: Russo 1981.

    >>> inclusion_slope([[0], [1], [1], [4]], 0.25).tolist()  # E_p F = 2 p (1 - p) + 4 p^2, whose slope is 2 + 4 p
    [3.0]
    """
    values, n = as_table(table)
    at = as_number("p", p, "a probability, 0 <= p <= 1", least=0.0, most=1.0)
    counts = np.array([math.comb(n, k) for k in range(n + 1)], dtype=np.float64)
    means = sum_by_size(values) / counts[:, None]
    return np.asarray(scipy.interpolate.BPoly(means[:, None], [0.0, 1.0]).derivative()(at), dtype=np.float64)


def gain(table: ArrayLike) -> Array:
    """Compute F(1) - F(0), what training on all points changes; shape (M,).

    >>> gain([[0], [1], [1], [4]]).tolist()
    [4.0]
    """
    values, _ = as_table(table)
    return values[-1] - values[0]
