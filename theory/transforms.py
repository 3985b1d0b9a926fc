"""Transform tables over all subsets in O(N 2^N) steps, with one pass per point over the pairs (S, S + i).

Row r of a table (2**N, M) is F(1_S) for the subset S with mask r. With a = F(S) and b = F(S + i), i not in S, every transform
applies one linear map of (a, b) for each point in turn.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from theory.laws import Bernoulli
from theory.response import Array, as_table

__all__ = [
    "degree_mass",
    "difference_sums",
    "inverse_moebius",
    "level_means",
    "mixed_differences",
    "moebius",
    "multilinear_extension",
    "multilinear_gradient",
    "product_probabilities",
    "split",
    "sum_by_size",
    "walsh",
]


def walsh(table: ArrayLike, p: float = 0.5) -> Array:
    """Compute the p-biased Walsh-Fourier coefficients, shape (2**N, M), one row per mask of A:

        Fhat(A) = E_{S~p}[ F(S) prod_{i in A} (1{i in S} - p) / sqrt(p (1 - p)) ].

    The basis is orthonormal: E F^2 = sum_A Fhat(A)^2. At p = 1/2 the basis functions are prod_{i in A} (2 1{i in S} - 1). Each
    factor is +1 where the point is present, which is the opposite sign of (-1)^{1{i in S}}.
    Source: O'Donnell 2014, ch. 8; Saunshi et al. 2022, sec. 2.

    >>> walsh([[0], [0], [0], [1]])[:, 0].tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    q, spread = 1.0 - Bernoulli(p).p, np.sqrt(p * (1.0 - p))
    return _butterfly(table, lambda a, b: (q * a + p * b, spread * (b - a)))


def moebius(table: ArrayLike) -> Array:
    """Compute the Moebius transform a(T) = sum_{S subset T} (-1)^{|T - S|} F(S), shape (2**N, M).

    It satisfies F(S) = sum_{T subset S} a(T). Source: Rota 1964.

    >>> moebius([[1], [3], [4], [9]])[:, 0].tolist()  # 9 = 1 + 2 + 3 + 3
    [1.0, 2.0, 3.0, 3.0]
    """
    return _butterfly(table, lambda a, b: (a, b - a))


def inverse_moebius(coefficients: ArrayLike) -> Array:
    """Compute F(S) = sum_{T subset S} a(T), the inverse of `moebius`, shape (2**N, M).

    >>> inverse_moebius([[1], [2], [3], [3]])[:, 0].tolist()
    [1.0, 3.0, 4.0, 9.0]
    """
    return _butterfly(coefficients, lambda a, b: (a, a + b))


def mixed_differences(table: ArrayLike) -> Array:
    """Compute D_T F(D) = sum_{U subset T} (-1)^{|U|} F(D - U) at the full set D, shape (2**N, M), one row per mask of T.

    Row {i} is the leave-one-out effect of i; row {i, j} is the interaction that T3 multiplies by -(1 - p).

    >>> mixed_differences([[1], [3], [4], [9]])[:, 0].tolist()  # 9, 9 - 4, 9 - 3, 9 - 4 - 3 + 1
    [9.0, 5.0, 6.0, 3.0]
    """
    return _butterfly(table, lambda a, b: (b, b - a))


def degree_mass(table: ArrayLike, p: float = 0.5) -> Array:
    """Compute B_k = sum_{|A| = k} Fhat(A)^2 for k = 0..N, shape (N + 1, M).

    E F = sqrt(B_0) up to sign, and Var F = B_1 + .. + B_N (T8).

    >>> degree_mass([[0], [0], [0], [1]])[:, 0].tolist()  # E F = 1/4, Var F = 1/8 + 1/16
    [0.0625, 0.125, 0.0625]
    """
    coefficients = walsh(table, p)
    return sum_by_size(coefficients**2)


def difference_sums(table: ArrayLike) -> Array:
    """Sum D_{T + i} F(D) over the sets T of size k that do not contain i; entry [i, k], shape (N, N, M).

    beta_i^(p) = sum_k (-(1 - p))^k difference_sums[i, k] is a polynomial in 1 - p. Its first term is leave-one-out (T3).

    >>> difference_sums([[1], [3], [4], [9]])[:, :, 0].tolist()  # beta_0 = 5 - (1 - p) 3
    [[5.0, 3.0], [6.0, 3.0]]
    """
    differences, n = as_table(mixed_differences(table))
    return np.stack([sum_by_size(split(differences, i)[1]) for i in range(n)])


def split(table: Array, i: int) -> tuple[Array, Array]:
    """Return the rows of the subsets without point i and, in the same order, those with it: two arrays (2**(N-1), M)."""
    pairs = table.reshape(-1, 2, 2**i, table.shape[1])
    return pairs[:, 0].reshape(-1, table.shape[1]), pairs[:, 1].reshape(-1, table.shape[1])


def sum_by_size(table: Array) -> Array:
    """Sum a table (2**N, M) over the subsets of each size k = 0..N; shape (N + 1, M)."""
    total = table[:, None]  # (subsets of the later points, size so far, M)
    while len(total) > 1:
        none = np.zeros_like(total[0::2, :1])
        total = np.concatenate([total[0::2], none], axis=1) + np.concatenate([none, total[1::2]], axis=1)
    return total[0]


def multilinear_extension(table: ArrayLike, q: ArrayLike) -> Array:
    """Compute Ftilde(q) = sum_S F(1_S) prod_{i in S} q_i prod_{i not in S} (1 - q_i) for q (N,), shape (M,).

    Source: Owen 1972.

    >>> multilinear_extension([[0], [0], [0], [1]], [0.5, 0.25]).tolist()  # q_0 q_1
    [0.125]
    """
    values, n = as_table(table)
    return product_probabilities(_two_levels(q, n)) @ values


def multilinear_gradient(table: ArrayLike, q: ArrayLike) -> Array:
    """Compute d Ftilde / d q_i = E[F(S + i) - F(S - i)], where S contains point j with probability q_j; shape (N, M).

    With all q_j = p this is the optimal datamodel for Bernoulli(p) subsets (T1); at p = 1/2 it is the Banzhaf value, and at p = 1
    leave-one-out. Source: Owen 1972.

    >>> multilinear_gradient([[0], [0], [0], [1]], [0.5, 0.25]).tolist()  # q_1, q_0
    [[0.25], [0.5]]
    """
    values, n = as_table(table)
    absent_present, _ = level_means(values, _two_levels(q, n))
    return absent_present[:, 1] - absent_present[:, 0]


def level_means(table: Array, probabilities: Array) -> tuple[Array, Array]:
    """Compute E[F | w_i = level k], averaged over all other coordinates, shape (N, K, M), and E F, shape (M,).

    `table` (K**N, M) holds F on a grid of K levels per coordinate. Its row sum_i k_i K^i, which is the mask for K = 2, has
    coordinate i at level k_i. The coordinates are independent, and coordinate i is at level k with probability
    `probabilities[i, k]`.
    """
    n, k = probabilities.shape
    below = [np.ones(1)]  # below[i]: probabilities of the levels of coordinates 0..i-1
    for i in range(n - 1):
        below.append(np.multiply.outer(probabilities[i], below[-1]).ravel())
    means = np.empty((n, k, table.shape[1]))
    rest = table
    for i in reversed(range(n)):  # the last coordinate is the slowest index
        by_level = rest.reshape(k, k**i, -1)
        means[i] = below[i] @ by_level
        rest = np.tensordot(probabilities[i], by_level, axes=1)
    return means, rest[0]


def product_probabilities(probabilities: Array) -> Array:
    """Compute prod_i probabilities[i, k_i] for every grid row sum_i k_i K^i, shape (K**N,), from probabilities (N, K)."""
    joint = np.ones(1)
    for level_probabilities in probabilities:
        joint = np.multiply.outer(level_probabilities, joint).ravel()
    return joint


def _butterfly(table: ArrayLike, step: Callable[[Array, Array], tuple[Array, Array]]) -> Array:
    """Replace every pair (F(S), F(S + i)) by step(F(S), F(S + i)), for i = 0..N-1 one after the other."""
    values, n = as_table(table)
    values = values.copy()
    for i in range(n):
        pairs = values.reshape(2 ** (n - 1 - i), 2, 2**i, -1)
        pairs[:, 0], pairs[:, 1] = step(pairs[:, 0].copy(), pairs[:, 1].copy())
    return values


def _two_levels(q: ArrayLike, n: int) -> Array:
    """Return the rows (1 - q_i, q_i), shape (N, 2); raise ValueError unless q is N probabilities."""
    present = np.asarray(q, dtype=np.float64)
    if present.shape != (n,):
        raise ValueError(f"q has shape {present.shape}, expected ({n},): one probability per point of the table")
    if not ((present >= 0.0) & (present <= 1.0)).all():
        raise ValueError(f"q = {present} leaves [0, 1]: q_i is the probability that point i is present")
    return np.stack([1.0 - present, present], axis=1)
