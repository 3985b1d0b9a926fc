"""Compute the optimal pair datamodel: the best predictor of F(w) of degree 2 in the weights of different points."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from theory.inputs import shown
from theory.laws import Bernoulli, FixedSize, TwoLevelLaw
from theory.memory import require_memory
from theory.quadratic import QuadraticDatamodel
from theory.response import Array, as_table
from theory.transforms import sum_by_size, walsh

__all__ = ["PairDatamodel", "optimal_pair_datamodel"]


@dataclass(frozen=True, repr=False)
class PairDatamodel(QuadraticDatamodel):
    """A pair datamodel is the best quadratic predictor of F under its law: exact, not estimated.

    >>> model = optimal_pair_datamodel([[0], [0], [0], [1]])  # F = w_0 w_1 = 1/4 + (v_0 + v_1)/2 + v_0 v_1, v_i = w_i - 1/2
    >>> model
    PairDatamodel(n_points=2, n_outputs=1, law=Bernoulli(p=0.5), r_squared=1, linear_r_squared=0.667)
    >>> model.predict([[1, 1], [0, 1]]).tolist(), model.leave_one_out().tolist()
    ([[1.0], [0.0]], [[1.0], [1.0]])
    """


def optimal_pair_datamodel(table: ArrayLike, law: TwoLevelLaw = Bernoulli(0.5)) -> PairDatamodel:
    """Compute the optimal pair datamodel from a table (2**N, M) of F at every point of the law's support.

    For independent weights with mean m and variance s^2 the functions 1, w_i - m and (w_i - m) (w_j - m), i < j, are orthogonal.
    The least-squares predictor g on them therefore has intercept E F and

        coefficients_i = E[F (w_i - m)] / s^2,        pairs_ij = E[F (w_i - m) (w_j - m)] / s^4.

    For Bernoulli(p), pairs_ij is the mean over the other points of F(+i+j) - F(+i) - F(+j) + F(), the weighted Banzhaf
    interaction index. It is also the second derivative d_i d_j F, averaged (T17: `theory.second_derivatives`). R^2 gains
    B_2 / Var F by the pairs, B_2 the Walsh mass of degree 2. Exact, in O(N 2^N) steps. A table of one point has no pairs: its
    pairs (1, 1, M) are 0. Sources: Grabisch & Roubens 1999; Marichal & Mathonet 2011 (other p).

    >>> model = optimal_pair_datamodel([[0], [1], [2], [7]])  # F = w_0 + 2 w_1 + 4 w_0 w_1
    >>> model.intercept.tolist(), model.coefficients.tolist(), model.pairs[:, :, 0].tolist()
    ([2.5], [[3.0], [4.0]], [[0.0, 4.0], [4.0, 0.0]])
    """
    if isinstance(law, FixedSize):
        raise TypeError(
            f"law = {law} fixes sum_i w_i, which leaves pairs and coefficients undetermined; expected Bernoulli or TwoPoint: use "
            "Bernoulli(k / N), whose subsets have k points on average"
        )
    if not isinstance(law, TwoLevelLaw) or isinstance(law, type):
        raise TypeError(f"law = {shown(law)} is not a law on a table of subsets, expected Bernoulli or TwoPoint")
    values, n = as_table(table)
    require_memory(4 * values.nbytes, f"the Walsh transform of 2**{n} subsets", "take fewer training points or outputs")
    origin = values[0]  # a constant changes the intercept only; the other results are then accurate relative to the spread of F
    fourier = walsh(values - origin, float(law.quadrature(2).probabilities[1]))
    own = 2 ** np.arange(n)
    pairs = np.where(np.eye(n, dtype=np.bool_)[:, :, None], 0.0, fourier[own[:, None] | own])
    mass: Array = sum_by_size(fourier**2)
    residual, beyond_linear, variance = (mass[degree:].sum(axis=0) for degree in (3, 2, 1))
    intercept = origin + fourier[0]
    constant = np.sqrt(variance) <= 4 * np.finfo(np.float64).eps * np.abs(intercept)
    with np.errstate(invalid="ignore", divide="ignore"):
        both, linear = (np.where(constant, np.nan, 1.0 - left / variance) for left in (residual, beyond_linear))
    return PairDatamodel(
        intercept=intercept,
        coefficients=fourier[own] / np.sqrt(law.variance),
        residual_variance=residual,
        r_squared=both,
        law=law,
        pairs=pairs / law.variance,
        linear_r_squared=linear,
    )
