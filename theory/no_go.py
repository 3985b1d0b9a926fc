"""Show why the essay's identity cannot hold on a data set and on all its parts where training has no penalty (T14).

A part is a nonempty subset A of the training points, taken as a data set of its own: its datamodel beta^A is the uniform one
(p = 1/2) over the subsets of A, and its derivative is D(1_A). The identity beta^A_i = D_i(1_A) for i in A implies that the sums
over A agree. The sums of the datamodels of all parts determine F up to a constant; without a penalty all sums of derivatives
are 0 (Euler), so that F would be constant: nothing was learnt.
"""

import numpy as np
from numpy.typing import ArrayLike

from theory.datamodel import optimal_datamodel
from theory.inputs import as_count, as_numbers
from theory.response import Array, as_table
from theory.subsets import all_masks, points_of, sizes
from theory.transforms import inverse_moebius

__all__ = ["least_violation", "part_datamodels", "part_sums", "part_table", "table_from_part_sums"]


def part_table(table: ArrayLike, part: int) -> Array:
    """Return the table of the part with mask `part`: the rows F(1_T) of the subsets T of A in mask order, shape (2**|A|, M).

    >>> part_table([[0], [1], [2], [3], [4], [5], [6], [7]], 0b101).ravel().tolist()  # {}, {0}, {2}, {0, 2}
    [0.0, 1.0, 4.0, 5.0]
    """
    values, n = as_table(table)
    part = as_count("part", part, ", the mask of a nonempty subset")
    if part >= 2**n:
        raise ValueError(f"part = {part}, expected a mask of at most {2**n - 1}: the table has {n} points")
    points = points_of(part)
    rows = (all_masks(len(points)) @ 2.0 ** np.array(points)).astype(np.int64)
    return values[rows]


def part_datamodels(table: ArrayLike) -> Array:
    """Compute the uniform datamodel beta^A_i of every part A, shape (2**N, N, M), one row per mask of A.

    beta^A is `optimal_datamodel(part_table(table, A))`; entries of points that are not in A are 0.

    >>> part_datamodels([[0], [1], [1], [4]])[:, :, 0].tolist()  # {}, {0}, {1}, {0, 1}: (1 + 3) / 2 for both points
    [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [2.0, 2.0]]
    """
    values, n = as_table(table)
    beta = np.zeros((2**n, n, values.shape[1]))
    for part in range(1, 2**n):
        beta[part, list(points_of(part))] = optimal_datamodel(part_table(values, part)).coefficients
    return beta


def part_sums(table: ArrayLike) -> Array:
    """Compute the sum of the datamodel of every part, without computing the datamodels; shape (2**N, M), one row per mask of A:

        sum_{i in A} beta^A_i = 2^(1-|A|) sum_{T subset A} (2|T| - |A|) F(T).

    The row of the empty set is 0. Integer tables give exact results. Proof: beta^A_i = 2^(1-|A|) sum_{T subset A} (+-1) F(T), +
    where i is in T; F(T) is counted |T| times with + and |A| - |T| times with -.

    >>> part_sums([[0], [1], [1], [4]]).ravel().tolist()
    [0.0, 1.0, 1.0, 4.0]
    """
    values, n = as_table(table)
    size = sizes(n)[:, None].astype(np.float64)
    return 2.0 ** (1.0 - size) * (2.0 * inverse_moebius(size * values) - size * inverse_moebius(values))


def table_from_part_sums(sums: ArrayLike, empty: ArrayLike = 0.0) -> Array:
    """Compute the only table (2**N, M) with F({}) = `empty`, a number or (M,), whose parts have the given sums (2**N, M).

    It is the inverse of `part_sums`, and ignores the row of the empty set. F(A) follows from its proper subsets, size by size,
    since it has the coefficient 2^(1-|A|) |A| in the sum of A. In closed form, with s(A) for the sums,

        F(B) = F({}) + sum_{{} != A subset B} s(A) 2^(|A|-1) int_0^1 u^(|A|-1) (1 - 2u)^(|B|-|A|) du.

    So all s(A) = 0 forces F to be constant. The sums of parts with two points or more are not enough: they leave F({}) and F({i})
    free for every i, and F on three points is then F({}) + mean of F({i}) - F({}).

    >>> table_from_part_sums([[0], [1], [1], [4]]).ravel().tolist()
    [0.0, 1.0, 1.0, 4.0]
    """
    wanted, n = as_table(sums)
    size = sizes(n)[:, None].astype(np.float64)
    start, n_outputs = as_numbers("empty", empty, "F({}), a number or (M,)", finite=True), wanted.shape[1]
    if start.shape not in ((), (n_outputs,)):
        raise ValueError(f"empty has shape {start.shape}, expected a number or ({n_outputs},): F of the empty set")
    table = np.zeros_like(wanted) + start
    for k in range(1, n + 1):
        change = 2.0 ** (k - 1) / k * (wanted - part_sums(table))
        table = np.where(size == k, table + change, table)
    return table


def least_violation(table: ArrayLike, derivative_sums: ArrayLike | None = None) -> Array:
    """Compute a lower bound on the total violation of the essay's identity, summed over all parts; shape (M,):

        sum_A |sum_{i in A} (beta^A_i - D_i(1_A))| >= N 2^(1-N) (max_S F(S) - min_S F(S)),

    where sum_{i in A} D_i(1_A) = 0, as without a penalty. No larger constant will do: F = 1 on the full set and 0 elsewhere gives
    equality. `derivative_sums` (2**N, M) are other values of these sums; F is then replaced by F minus the table that has them as
    part sums, and the bound is 0 where the identity holds in sum.

    Proof: the sums v(A) determine F up to a constant (`table_from_part_sums`), so max F - min F is convex in v, and largest on
    sum_A |v(A)| = 1 where v is +-1 on one part A and 0 elsewhere. Then F is 0 unless it contains A, and 2^(a-1) c_k on A and k
    more points, with a = |A| and c_k = int_0^1 u^(a-1) (1 - 2u)^k du. |c_k| <= c_0 = 1/a; c_k >= 0 for even k, and for odd k it
    lies between c_1 = -(a - 1) / (a (a + 1)) and 0. So max F - min F is 2^(N-1) / N for A the full set, and 2^a / (a + 1) for
    a < N, which is at most 2^(N-1) / N.

    >>> least_violation([[0], [0], [0], [1]]).tolist()  # 2/2 of 1; the only part whose sum is not 0 has (2 - 0) / 2 = 1
    [1.0]
    """
    values, n = as_table(table)
    if derivative_sums is not None:
        sums = as_numbers("derivative_sums", derivative_sums, finite=True)
        if sums.shape != values.shape:
            raise ValueError(f"derivative_sums has shape {sums.shape}, expected {values.shape}: one sum per part and output")
        values = values - table_from_part_sums(sums)
    return n * 2.0 ** (1 - n) * np.ptp(values, axis=0)
