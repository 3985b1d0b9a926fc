"""T14: the sums of the datamodels of all parts, exactly, by rationals; what they force, and the least that they can be."""

from fractions import Fraction
from itertools import pairwise
from math import comb

import numpy as np
import pytest
import scipy
from assertions import assert_close, assert_identical
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import integer_tables, least_squares, tables

from theory.datamodel import optimal_datamodel
from theory.no_go import least_violation, part_datamodels, part_sums, part_table, table_from_part_sums
from theory.response import weight_derivative
from theory.subsets import all_masks, points_of, sizes


def subsets_of(part):
    """All subsets of a mask, by the definition."""
    return [t for t in range(part + 1) if t & ~part == 0]


def exact_sum(values, part):
    """2^(1-|A|) sum_{T in A} (2|T| - |A|) F(T) in rationals."""
    a = part.bit_count()
    return Fraction(2, 2**a) * sum((2 * t.bit_count() - a) * Fraction(values[t]) for t in subsets_of(part))


def system(n, parts):
    """The rows (2|T| - |A|) 1{T in A} of the linear system, whole numbers."""
    return [[(2 * t.bit_count() - a.bit_count()) * (t & ~a == 0) for t in range(2**n)] for a in parts]


def rank_and_kernel(rows):
    """The rank and a basis of the kernel by Gauss elimination in rationals."""
    rows, pivots, width = [[Fraction(x) for x in row] for row in rows], [], len(rows[0])
    for column in range(width):
        found = next((r for r in range(len(pivots), len(rows)) if rows[r][column]), None)
        if found is None:
            continue
        at = len(pivots)
        rows[at], rows[found] = rows[found], rows[at]
        lead = rows[at][column]
        rows[at] = [x / lead for x in rows[at]]
        for r, row in enumerate(rows):
            if r != at and row[column]:
                factor = row[column]
                rows[r] = [x - factor * y for x, y in zip(row, rows[at], strict=True)]
        pivots.append(column)
    free = [c for c in range(width) if c not in pivots]
    kernel = []
    for c in free:
        vector = [Fraction(0)] * width
        vector[c] = Fraction(1)
        for r, pivot in enumerate(pivots):
            vector[pivot] = -rows[r][c]
        kernel.append(vector)
    return len(pivots), kernel


# --- the sum of a datamodel --------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(integer_tables(max_points=5))
def test_the_sum_of_the_datamodel_of_every_part_is_a_sum_over_its_table_exactly(table):
    beta, sums = part_datamodels(table), part_sums(table)
    assert_identical(beta.sum(axis=1), sums)
    expected = [[float(exact_sum(column.tolist(), part)) for column in table.T.astype(int)] for part in range(1, len(table))]
    assert_identical(sums[1:], np.array(expected))
    assert not sums[0].any()


@settings(max_examples=30)
@given(tables(max_points=5))
def test_the_datamodel_of_a_part_is_least_squares_on_the_subsets_of_the_part(table):
    beta, n = part_datamodels(table), len(table).bit_length() - 1
    for part in range(1, len(table)):
        rows = subsets_of(part)
        points = list(points_of(part))
        design = np.column_stack([np.ones(len(rows)), all_masks(n)[rows][:, points]])
        solved = np.linalg.lstsq(design, table[rows], rcond=None)[0][1:]
        assert_close(beta[part, points], solved, atol=1e-12 * np.abs(table).max())
        assert not np.delete(beta[part], points, axis=0).any()
        assert_identical(part_table(table, part), table[rows])


def test_the_full_part_is_the_whole_table():
    table = np.arange(8.0)[:, None] ** 2
    assert_identical(part_table(table, 7), table)
    assert_identical(part_datamodels(table)[7], optimal_datamodel(table).coefficients)


@pytest.mark.parametrize(("part", "message"), [(0, "part = 0, expected a whole number >= 1"), (8, "at most 7: the table has 3")])
def test_a_mask_that_is_no_part_is_refused(part, message):
    with pytest.raises(ValueError, match=message):
        part_table(np.zeros((8, 1)), part)


# --- what sums of 0 force ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6])
def test_sums_of_zero_on_all_parts_leave_constants_only(n):
    """F({}) is among the constants: a single point forces F({i}) = F({}), whatever number F({}) is."""
    rank, kernel = rank_and_kernel(system(n, range(1, 2**n)))
    assert rank == 2**n - 1
    assert kernel == [[Fraction(1)] * 2**n]


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_without_single_points_the_empty_set_and_the_single_points_stay_free(n):
    """So the identity on all parts of two points or more does not force F to be constant: a counterexample for every N."""
    parts = [a for a in range(1, 2**n) if a.bit_count() >= 2]
    rank, kernel = rank_and_kernel(system(n, parts))
    assert (rank, len(kernel)) == (2**n - 1 - n, n + 1)


def test_a_response_whose_sums_are_zero_on_all_parts_of_two_points_or_more_and_that_has_learnt():
    """F({i}) = a_i, F of two points is F({}) = 0, of three points the mean of a_i."""
    a, b, c = 3.0, 6.0, -12.0
    table = np.array([0.0, a, b, 0.0, c, 0.0, 0.0, (a + b + c) / 3.0])[:, None]
    assert_identical(part_sums(table)[[3, 5, 6, 7]], np.zeros((4, 1)))


@pytest.mark.parametrize("n", [3, 4])
def test_leaving_out_any_one_part_leaves_room_for_a_response_that_is_not_constant(n):
    for left_out in range(1, 2**n):
        _, kernel = rank_and_kernel(system(n, [a for a in range(1, 2**n) if a != left_out]))
        assert len(kernel) == 2


@given(integer_tables(max_outputs=1))
def test_a_table_that_is_not_constant_violates_the_sum_on_its_first_part_that_differs_by_an_exact_amount(table):
    """On the smallest part A with F(A) != F({}) the sum is 2^(1-|A|) |A| (F(A) - F({})): at least N 2^(1-N) for whole numbers."""
    values, n = table[:, 0], len(table).bit_length() - 1
    differing = [a for a in np.argsort(sizes(n), kind="stable").tolist() if values[a] != values[0]]
    sums = part_sums(table)[:, 0]
    if not differing:
        assert not sums.any()
        return
    first = differing[0]
    a = first.bit_count()
    assert Fraction(sums[first]) == Fraction(a, 2 ** (a - 1)) * Fraction(values[first] - values[0])
    assert abs(Fraction(sums[first])) >= Fraction(n, 2 ** (n - 1))
    assert np.abs(sums).max() >= n * 2.0 ** (1 - n)


# --- the inverse, and the least violation ------------------------------------------------------------------------------------


@given(tables(), st.floats(-3.0, 3.0))
def test_the_sums_determine_the_table_up_to_a_constant(table, empty):
    n = len(table).bit_length() - 1
    found = table_from_part_sums(part_sums(table), empty)
    assert_close(found - empty, table - table[0], atol=rounding(n, np.abs(table).max() + abs(empty)))


@pytest.mark.parametrize(
    ("empty", "message"),
    [([1.0, 2.0], r"empty has shape \(2,\)"), ("a", "empty is not"), (None, "empty is not"), (np.nan, "empty")],
)
def test_a_response_of_the_empty_set_that_is_no_number_per_output_is_refused(empty, message):
    with pytest.raises(ValueError, match=message):
        table_from_part_sums(np.zeros((4, 1)), empty)


@pytest.mark.parametrize("n", range(1, 9))
def test_the_inverse_has_its_closed_form_on_every_unit_vector(n):
    """Sum 1 on one part of size a gives 2^(a-1) int_0^1 u^(a-1) (1 - 2u)^k du on that part and k more points; in rationals."""
    for a in range(1, n + 1):
        sums = np.zeros((2**n, 1))
        part = 2**a - 1
        sums[part] = 1.0
        found = table_from_part_sums(sums)[:, 0]
        for superset in range(2**n):
            k = (superset & ~part).bit_count()
            closed = 2 ** (a - 1) * sum(Fraction((-2) ** j * comb(k, j), a + j) for j in range(k + 1))
            expected = float(closed) if part & ~superset == 0 else 0.0
            assert abs(found[superset] - expected) <= 1e-13 * 2.0**n


@pytest.mark.parametrize("n", range(1, 9))
def test_no_larger_constant_is_possible_and_this_one_is_valid_exactly(n):
    """1/c is the largest range of a table whose sums are a unit vector: 2^(N-1)/N, in rationals for every size of a part."""
    ranges = []
    for a in range(1, n + 1):
        c = [2 ** (a - 1) * sum(Fraction((-2) ** j * comb(k, j), a + j) for j in range(k + 1)) for k in range(n - a + 1)]
        ranges.append(max([Fraction(0), *c]) - min([Fraction(0), *c]))
        if a < n:
            assert ranges[-1] == Fraction(2**a, a + 1)
    assert max(ranges) == Fraction(2 ** (n - 1), n)
    assert all(x <= y for x, y in pairwise(ranges))
    sharp = np.zeros((2**n, 1))
    sharp[-1] = 1.0
    assert_identical(least_violation(sharp), np.abs(part_sums(sharp)).sum(axis=0))


@pytest.mark.parametrize("n", [1, 2, 3])
def test_linear_programmes_find_the_same_least_violation(n):
    """min sum |s| over tables with F = 1 on one subset, 0 on another and between elsewhere, by scipy."""
    matrix = np.array([part_sums(unit[:, None])[1:, 0] for unit in np.eye(2**n)]).T
    least = np.inf
    for high in range(2**n):
        for low in range(2**n):
            if high == low:
                continue
            bounds = [(1, 1) if s == high else (0, 0) if s == low else (0, 1) for s in range(2**n)]
            m = len(matrix)
            found = scipy.optimize.linprog(
                np.concatenate([np.zeros(2**n), np.ones(m)]),
                A_ub=np.block([[matrix, -np.eye(m)], [-matrix, -np.eye(m)]]),
                b_ub=np.zeros(2 * m),
                bounds=[*bounds, *[(0, None)] * m],
            )
            least = min(least, found.fun)
    assert_close(least, n * 2.0 ** (1 - n), rtol=1e-9)


@given(integer_tables())
def test_the_bound_holds_on_every_table_exactly(table):
    assert (np.abs(part_sums(table)).sum(axis=0) >= least_violation(table)).all()


@given(tables(min_points=2), tables(min_points=2))
def test_with_other_sums_of_derivatives_the_bound_is_about_what_they_leave(table, other):
    n = min(len(table), len(other)).bit_length() - 1
    table, other = table[: 2**n, :1], other[: 2**n, :1]
    sums = part_sums(other)
    violation = np.abs(part_sums(table) - sums).sum(axis=0)
    allowed = rounding(n, np.abs(table).max() + np.abs(other).max())
    assert (violation >= least_violation(table, sums) - allowed).all()
    assert_close(least_violation(table, part_sums(table)), [0.0], atol=allowed)


def rounding(n, size):
    """A sum over A is off by 2 |A| N eps max |F| at most, and has coefficients up to 2^(|A|-1) / |A| in F: N 3^N eps max |F|."""
    return n * 3.0**n * np.finfo(float).eps * size


def test_sums_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"derivative_sums has shape \(4,\), expected \(4, 1\)"):
        least_violation(np.zeros((4, 1)), np.zeros(4))


@settings(max_examples=15)
@given(least_squares(max_points=5))
def test_a_real_learner_without_penalty_keeps_the_bound_with_derivatives_that_add_up_to_zero(learner):
    free = type(learner)(learner.X, learner.y, learner.X_query, l2=0.0, undefined="min_norm")
    masks = all_masks(free.n_points)
    table = free.respond(masks, (0,))[:, 0]
    beta, violation = part_datamodels(table), np.zeros(free.n_outputs)
    for part in range(1, len(masks)):
        points = list(points_of(part))
        derivative = weight_derivative(free, masks[part], (0,))[points]
        size = np.abs(derivative).sum(axis=0) + np.abs(table).max(axis=0)
        assert (np.abs(derivative.sum(axis=0)) <= 1e-6 * size).all()
        violation += np.abs(beta[part, points].sum(axis=0) - derivative.sum(axis=0))
    assert (violation >= least_violation(table) * (1.0 - 1e-6)).all()
