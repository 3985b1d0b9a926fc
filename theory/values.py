"""Compute values of training points from the whole table F(1_S), shape (2**N, M).

Every value here is an average of F(S + i) - F(S).
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from theory.inputs import as_number, shown
from theory.laws import BetaShapley, EdgeLaw, FixedSize, ProductLaw, Semivalue, TwoPoint
from theory.memory import require_memory
from theory.response import Array, as_table
from theory.transforms import multilinear_gradient, split, sum_by_size

__all__ = ["banzhaf", "beta_shapley", "leave_one_out", "mean_marginals", "semivalue", "shapley"]


def leave_one_out(table: ArrayLike) -> Array:
    """Compute LOO_i = F(1) - F(1 - e_i), shape (N, M); it is positive when the point raises the output. Source: Cook 1977.

    >>> leave_one_out([[0], [0], [0], [1]]).tolist()  # F = 1 where both points are present
    [[1.0], [1.0]]
    """
    values, n = as_table(table)
    full = 2**n - 1
    return values[full] - values[full - 2 ** np.arange(n)]


def banzhaf(table: ArrayLike, p: float = 0.5) -> Array:
    """Compute the (weighted) Banzhaf value, E[F(S + i) - F(S)] over S not containing i, shape (N, M).

    S contains each other point with probability p. The value equals the Bernoulli(p) datamodel of T1. It is not efficient: the
    values need not sum to F(1) - F(0). Source: Wang & Jia 2023, App. A.

    >>> both = [[0], [0], [0], [1]]
    >>> banzhaf(both).tolist(), banzhaf(both, p=0.75).tolist()
    ([[0.5], [0.5]], [[0.75], [0.75]])
    """
    values, n = as_table(table)
    return multilinear_gradient(values, np.full(n, as_number("p", p, "a probability, 0 <= p <= 1", least=0.0, most=1.0)))


def shapley(table: ArrayLike) -> Array:
    """Compute the Shapley value, sum_{S not i} |S|! (N - |S| - 1)! / N! (F(S + i) - F(S)), shape (N, M).

    It is efficient: the values sum to F(1) - F(0). Source: Shapley 1953.

    >>> shapley([[0], [3], [0], [6]]).tolist()
    [[4.5], [1.5]]
    """
    marginals = mean_marginals(table)
    return marginals.sum(axis=1) / marginals.shape[0]


def beta_shapley(table: ArrayLike, a: float, b: float) -> Array:
    """Compute the Beta Shapley value, the mean of the Banzhaf values over p ~ Beta(b, a), shape (N, M).

    For a > b it looks at small subsets, and a = b = 1 is Shapley. Source: Kwon & Zou 2022.

    >>> beta_shapley([[0], [3], [0], [6]], 2, 1).tolist()  # P_0 = 2/3, P_1 = 1/3
    [[4.0], [1.0]]
    """
    return semivalue(table, BetaShapley(a, b))


def semivalue(table: ArrayLike, law: EdgeLaw | ArrayLike) -> Array:
    """Compute the semivalue sum_k P_k mean_{|S| = k, i not in S} [F(S + i) - F(S)], shape (N, M).

    `law` gives P_0..P_{N-1}: Shapley(), BetaShapley(a, b), LeaveOneOut(), Bernoulli(p) for the Banzhaf value, or the numbers
    themselves, which must sum to 1. Source: Dubey, Neyman & Weber 1981.

    >>> semivalue([[0], [3], [0], [6]], [0.0, 1.0]).tolist()  # leave-one-out
    [[6.0], [3.0]]
    """
    marginals = mean_marginals(table)
    semivalues = isinstance(law, EdgeLaw) and not isinstance(law, TwoPoint)
    if isinstance(law, type | str | None) or (isinstance(law, ProductLaw | FixedSize) and not semivalues):
        raise TypeError(f"law = {shown(law)} is no semivalue, expected Shapley(), LeaveOneOut(), Bernoulli(p) or P_0..P_{{N-1}}")
    probabilities = (law if isinstance(law, EdgeLaw) else Semivalue(law)).size_probabilities(len(marginals))
    return np.tensordot(probabilities, marginals, axes=(0, 1))


def mean_marginals(table: ArrayLike) -> Array:
    """Average F(S + i) - F(S) over the sets S of size k that do not contain i; shape (N points, N sizes, M)."""
    values, n = as_table(table)
    require_memory(4 * values.nbytes, f"the mean marginals of 2**{n} subsets", "take fewer training points or outputs")
    count = np.array([math.comb(n - 1, k) for k in range(n)], dtype=np.float64)
    pairs = (split(values, i) for i in range(n))
    return np.stack([sum_by_size(present - absent) / count[:, None] for absent, present in pairs])
