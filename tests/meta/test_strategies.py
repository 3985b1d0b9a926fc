"""What the strategies must be able to draw: an identity is only tested on tables and data where its wrong versions differ."""

import itertools

import numpy as np
import pytest
import strategies
from hypothesis import find, given, settings
from scipy import optimize

from theory import transforms, values
from theory.subsets import sizes

FIXED = settings(derandomize=True, database=None, deadline=None, max_examples=500)


def occurs(strategy, condition):
    """An example that meets the condition; raises NoSuchExample where none is drawn."""
    return find(strategy, condition, settings=FIXED)


def count(table):
    return len(table).bit_length() - 1


def highest_interaction(table):
    """The degree of the table as a polynomial in the weights."""
    present = transforms.moebius(table).any(axis=1)
    return int(sizes(count(table))[present].max(initial=0))


@given(strategies.integer_tables(min_points=2, max_points=5, multiple_of=60))
def test_integer_tables_hold_multiples_of_what_was_asked_for_and_stay_exact(table):
    assert table.dtype == np.float64
    assert table.shape[0] in (4, 8, 16, 32)
    assert 1 <= table.shape[1] <= 3
    assert (table % 60 == 0).all()
    assert np.abs(table).max() <= 60 * 50


@pytest.mark.parametrize("n", range(1, 7))
@pytest.mark.parametrize("make", [strategies.integer_tables, strategies.tables])
def test_tables_of_every_size_occur(make, n):
    occurs(make(), lambda t: count(t) == n)


@pytest.mark.parametrize("make", [strategies.integer_tables, strategies.tables])
def test_interactions_of_all_points_occur(make):
    occurs(make(), lambda t: count(t) == 6 and highest_interaction(t) == 6)


def test_additive_tables_occur_among_integer_tables_and_others_too():
    occurs(strategies.integer_tables(min_points=2), lambda t: highest_interaction(t) <= 1)
    occurs(strategies.integer_tables(min_points=2), lambda t: highest_interaction(t) > 1)


def test_ties_occur_between_rows_and_between_the_values_of_points():
    occurs(strategies.integer_tables(min_points=2), lambda t: len(np.unique(t[:, 0])) < len(t) and np.ptp(t[:, 0]) > 0)
    occurs(strategies.integer_tables(min_points=2), lambda t: len(np.unique(v := values.banzhaf(t)[:, 0])) < len(v) and v.any())


def test_constant_tables_and_negative_entries_occur():
    occurs(strategies.integer_tables(min_points=2), lambda t: np.ptp(t) == 0)
    occurs(strategies.integer_tables(), lambda t: t.min() < 0 < t.max())


def test_effects_that_differ_from_leave_one_out_occur():
    occurs(strategies.integer_tables(), lambda t: not np.array_equal(values.banzhaf(t), values.leave_one_out(t)))


@pytest.mark.parametrize("large", [False, True])
def test_tables_of_small_and_of_large_scale_occur(large):
    occurs(strategies.tables(), lambda t: np.abs(t).max() > 1e3 if large else np.abs(t).max() < 1e-2)


def test_tables_whose_mean_exceeds_their_spread_occur():
    occurs(strategies.tables(min_points=3), lambda t: np.abs(t.mean(axis=0)).min() > 5.0 * t.std(axis=0).max())


@given(strategies.DYADIC_PROBABILITIES)
def test_dyadic_probabilities_are_eighths(p):
    assert (8.0 * p).is_integer()
    assert 0.0 < p < 1.0


@given(strategies.interior_weights(5))
def test_interior_weights_stay_away_from_zero(w):
    assert w.shape == (5,)
    assert ((w >= 0.2) & (w <= 2.0)).all()


def test_weights_above_and_below_one_occur():
    occurs(strategies.interior_weights(5), lambda w: w.min() < 0.5 and w.max() > 1.5)


@given(strategies.designs())
def test_designs_have_an_intercept_and_matching_queries(design):
    X, X_query, _ = design
    assert 4 <= len(X) <= 8
    assert X.shape[1] == X_query.shape[1] <= 3
    assert (X[:, 0] == 1.0).all()
    assert (X_query[:, 0] == 1.0).all()


def separable(learner):
    """Whether a hyperplane with margin 1 exists: a feasibility problem, posed without the code of the learner."""
    signed = (2.0 * learner.y - 1.0)[:, None] * learner.X
    bounds = (None, None)
    return optimize.linprog(np.zeros(signed.shape[1]), A_ub=-signed, b_ub=-np.ones(len(signed)), bounds=bounds).status == 0


@pytest.mark.parametrize("answer", [True, False])
def test_separable_and_inseparable_classes_occur(answer):
    occurs(strategies.logistics(), lambda learner: separable(learner) == answer and learner.X.shape[1] > 1)


def test_subsets_of_a_single_class_occur():
    learner = occurs(strategies.logistics(), lambda learner: learner.n_points >= 4)
    assert {0.0, 1.0} == set(learner.y)
    assert any(len(set(learner.y[list(pair)])) == 1 for pair in itertools.combinations(range(learner.n_points), 2))


@pytest.mark.parametrize("make", [strategies.least_squares, strategies.logistics])
@pytest.mark.parametrize("l2", [1e-2, 1e-1, 1.0])
def test_every_penalty_occurs_and_none_is_zero(make, l2):
    assert occurs(make(), lambda learner: learner.l2 == l2).l2 > 0.0


def test_several_queries_and_columns_occur():
    occurs(strategies.least_squares(), lambda learner: learner.n_outputs == 3 and learner.X.shape[1] == 3)
