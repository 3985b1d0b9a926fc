"""Values of points, against orderings of the players, shapiq, and the axioms each value has or has not."""

import itertools
import math

import numpy as np
import pytest
import shapiq
import strategies
from assertions import assert_close, assert_identical
from hypothesis import find, given, settings
from hypothesis import strategies as st
from scipy import stats

from theory import values

FIXED = settings(derandomize=True, database=None, deadline=None)
TABLES = strategies.integer_tables()
DIVISIBLE = strategies.integer_tables(multiple_of=60)
"""60 is a multiple of N lcm_k binom(N - 1, k) for N <= 6: means by size and their mean over sizes are integers."""

VALUES = [values.shapley, values.banzhaf, values.leave_one_out]
each_value = pytest.mark.parametrize("value", VALUES, ids=lambda f: f.__name__)


def count(table):
    return len(table).bit_length() - 1


def relabelled(table, order):
    """The table in which point order[i] plays the part of point i."""
    moved = [sum(1 << order[i] for i in range(len(order)) if mask >> i & 1) for mask in range(len(table))]
    result = np.empty_like(table)
    result[moved] = table
    return result


def test_sixty_is_divisible_as_claimed():
    for n in range(1, 7):
        assert 60 % (n * math.lcm(*(math.comb(n - 1, k) for k in range(n)))) == 0


@given(DIVISIBLE)
def test_shapley_is_efficient_on_integer_tables(table):
    assert_identical(values.shapley(table).sum(axis=0), table[-1] - table[0])


def test_banzhaf_is_not_efficient_in_the_three_player_majority_game():
    """Two of three players win: Banzhaf 1/2 each, together 3/2; Shapley 1/3 each."""
    majority = np.array([[float(mask.bit_count() >= 2)] for mask in range(8)])
    assert_identical(values.banzhaf(majority), np.full((3, 1), 0.5))
    assert_close(values.shapley(majority), np.full((3, 1), 1.0 / 3.0), rtol=1e-15)
    assert values.banzhaf(majority).sum() == 1.5 != majority[-1, 0] - majority[0, 0]


@pytest.mark.parametrize("value", [values.banzhaf, values.leave_one_out])
def test_inefficiency_is_found_with_three_points_or_less(value):
    table = find(DIVISIBLE, lambda t: not np.array_equal(value(t).sum(axis=0), t[-1] - t[0]), settings=FIXED)
    assert count(table) <= 3


@given(DIVISIBLE)
def test_shapley_is_the_mean_contribution_over_orderings(table):
    n = min(count(table), 5)
    table = table[: 2**n]
    total = np.zeros((n, table.shape[1]))
    for order in itertools.permutations(range(n)):
        mask = 0
        for i in order:
            total[i] += table[mask | 1 << i] - table[mask]
            mask |= 1 << i
    assert_identical(values.shapley(table) * math.factorial(n), total)


@given(strategies.integer_tables(multiple_of=64))
def test_banzhaf_is_the_mean_contribution_over_subsets(table):
    n = count(table)
    expected = [
        sum(table[mask | 1 << i] - table[mask] for mask in range(2**n) if not mask >> i & 1) / 2 ** (n - 1) for i in range(n)
    ]
    assert_identical(values.banzhaf(table), expected)


@given(TABLES)
def test_leave_one_out_is_the_full_set_minus_the_set_without_the_point(table):
    everyone = set(range(count(table)))
    expected = [table[-1] - table[sum(2**j for j in everyone - {i})] for i in sorted(everyone)]
    assert_identical(values.leave_one_out(table), expected)


@pytest.mark.parametrize(("index", "value"), [("SV", values.shapley), ("BV", values.banzhaf)])
@pytest.mark.parametrize("n", [2, 3, 5, 8])
def test_values_equal_those_of_shapiq(index, value, n):
    table = np.random.default_rng(n).standard_normal(2**n)
    computer = shapiq.ExactComputer(lambda coalitions: table[np.asarray(coalitions).astype(int) @ 2 ** np.arange(n)], n_players=n)
    theirs = computer(index, order=1)
    assert_close(value(table[:, None])[:, 0], [theirs[(i,)] for i in range(n)], rtol=1e-10)


@each_value
@given(table=strategies.integer_tables(max_points=5, multiple_of=60 * 64), data=st.data())
def test_a_dummy_gets_its_own_contribution_and_leaves_the_others_alone(value, table, data):
    n, gain = count(table), 3840.0 * data.draw(st.integers(-5, 5), label="gain")
    with_dummy = np.concatenate([table, table + gain])  # point n adds `gain` to every subset
    assert_identical(value(with_dummy)[n], np.full(table.shape[1], gain))
    assert_identical(value(with_dummy)[:n], value(table))


@each_value
@given(table=strategies.integer_tables(multiple_of=60 * 64), data=st.data())
def test_values_follow_the_points_when_they_are_relabelled(value, table, data):
    order = data.draw(st.permutations(range(count(table))), label="order")
    assert_identical(value(relabelled(table, order))[order], value(table))


@each_value
@given(table=strategies.integer_tables(min_points=2, multiple_of=60 * 64))
def test_points_that_play_the_same_part_get_the_same(value, table):
    swapped = relabelled(table, [1, 0, *range(2, count(table))])
    result = value(table + swapped)
    assert_identical(result[0], result[1])


@each_value
@given(table=strategies.integer_tables(max_outputs=1, multiple_of=60 * 64), data=st.data())
def test_values_are_linear_in_the_table(value, table, data):
    entries = data.draw(st.lists(st.integers(-9, 9), min_size=len(table), max_size=len(table)), label="other")
    other, a, b = 3840.0 * np.array(entries)[:, None], 3.0, -2.0
    assert_identical(value(a * table + b * other), a * value(table) + b * value(other))


@each_value
@given(table=TABLES)
def test_outputs_are_valued_independently_and_the_input_is_kept(value, table):
    before = table.copy()
    columns = np.concatenate([value(table[:, [m]]) for m in range(table.shape[1])], axis=1)
    assert_close(value(table), columns, atol=1e-13 * np.abs(table).max(initial=1.0))
    assert_identical(table, before)


@each_value
@given(st.lists(st.integers(-50, 50), min_size=1, max_size=6))
def test_an_additive_table_gives_every_point_its_own_term(value, terms):
    additive = np.array([[7.0 + sum(t for i, t in enumerate(terms) if mask >> i & 1)] for mask in range(2 ** len(terms))])
    assert_identical(value(additive), np.array(terms, dtype=float)[:, None])


@given(DIVISIBLE)
def test_mean_marginals_are_means_over_the_subsets_of_each_size(table):
    n = count(table)
    for i, k in itertools.product(range(n), range(n)):
        masks = [m for m in range(2**n) if not m >> i & 1 and m.bit_count() == k]
        expected = sum(table[m | 1 << i] - table[m] for m in masks) / len(masks)
        assert_identical(values.mean_marginals(table)[i, k], expected)


@given(strategies.tables(), strategies.PROBABILITIES)
def test_semivalues_contain_shapley_banzhaf_and_leave_one_out(table, p):
    n = count(table)
    atol = 1e-13 * np.abs(table).max()
    assert_close(values.semivalue(table, np.full(n, 1.0 / n)), values.shapley(table), atol=atol)
    assert_close(values.semivalue(table, stats.binom(n - 1, p).pmf(np.arange(n))), values.banzhaf(table, p), atol=atol)
    assert_identical(values.semivalue(table, np.arange(n) == n - 1), values.leave_one_out(table))


def test_shapley_weights_are_not_the_banzhaf_weights():
    find(TABLES, lambda t: not np.allclose(values.shapley(t), values.banzhaf(t)), settings=FIXED)


@pytest.mark.parametrize("size_probabilities", [[0.5, 0.5, 0.5], [1.5, -0.5, 0.0], [math.nan, 0.0, 1.0], [0.2, 0.2, 0.2]])
def test_size_probabilities_that_are_no_distribution_are_refused(size_probabilities):
    with pytest.raises(ValueError, match=r"size_probabilities sum to .*, expected non-negative numbers with sum 1"):
        values.semivalue(np.zeros((8, 1)), size_probabilities)


def test_size_probabilities_for_another_number_of_points_are_refused():
    with pytest.raises(ValueError, match=r"size_probabilities has shape \(2,\), expected \(3,\): one per size 0\.\.N-1"):
        values.semivalue(np.zeros((8, 1)), [0.5, 0.5])


@pytest.mark.parametrize("p", [-0.1, 1.2, math.nan])
def test_banzhaf_refuses_what_is_not_a_probability(p):
    with pytest.raises(ValueError, match="expected a probability, 0 <= p <= 1"):
        values.banzhaf(np.zeros((4, 1)), p)


@pytest.mark.parametrize("value", [*VALUES, values.mean_marginals])
def test_what_is_not_a_table_is_refused(value):
    with pytest.raises(ValueError, match=r"table has shape \(4,\), expected \(2\*\*N, M\)"):
        value(np.zeros(4))
    with pytest.raises(ValueError, match=r"table has 6 rows, expected 2\*\*N"):
        value(np.zeros((6, 1)))
    with pytest.raises(ValueError, match=r"table\[2, 0\] is nan"):
        value([[0.0], [1.0], [math.nan], [1.0]])


def test_marginals_that_do_not_fit_are_refused_before_they_are_computed(monkeypatch):
    """At their peak they hold 3.4 tables."""
    monkeypatch.setattr("theory.memory.available_bytes", lambda: 2**20)
    with pytest.raises(
        MemoryError, match=r"the mean marginals of 2\*\*15 subsets needs .*: take fewer training points or outputs"
    ):
        values.shapley(np.zeros((2**15, 1)))
    values.shapley(np.zeros((2**13, 1)))
