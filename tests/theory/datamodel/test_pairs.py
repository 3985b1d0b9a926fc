"""Pair datamodels, against least squares by its definition, rationals, shapiq, Walsh masses and the linear datamodel."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
import shapiq
import strategies
from assertions import assert_close, assert_identical
from hypothesis import given, settings
from hypothesis import strategies as st

from sims.learners import Logistic
from sims.retrain import response_table
from theory.datamodel import optimal_datamodel, optimal_pair_datamodel
from theory.laws import Bernoulli, FixedSize, Poisson, TwoPoint
from theory.subsets import all_masks
from theory.transforms import degree_mass, difference_sums
from theory.values import leave_one_out

LAWS = st.one_of(strategies.PROBABILITIES.map(Bernoulli), st.floats(0.05, 1.0).map(TwoPoint))
few = settings(max_examples=30)


def count(table):
    return len(table).bit_length() - 1


def support(law, n):
    """Every weight vector of the law (2**n, n), and its probability."""
    low, high = law.levels
    p = law.p if isinstance(law, Bernoulli) else 0.5
    masks = all_masks(n)
    return low + (high - low) * masks, np.prod(np.where(masks > 0.0, p, 1.0 - p), axis=1)


@few
@given(table=strategies.tables(min_points=2), law=LAWS)
def test_it_is_weighted_least_squares_on_one_weights_and_products_of_two_weights(table, law):
    """Uncentred columns 1, w_i, w_i w_j: another basis of the same functions, so the predictions must agree, and the pairs."""
    n = count(table)
    rows, probability = support(law, n)
    two = list(itertools.combinations(range(n), 2))
    columns = np.column_stack([np.ones(len(rows)), rows, *(rows[:, i] * rows[:, j] for i, j in two)])
    root = np.sqrt(probability)[:, None]
    solution = np.linalg.lstsq(columns * root, table * root, rcond=None)[0]
    model, scale = optimal_pair_datamodel(table, law), np.abs(table).max()
    conditioning = (1.0 / law.variance) ** 1.5  # of the uncentred columns: so much rounding is lstsq's own
    assert_close(model.predict(rows), columns @ solution, atol=1e-12 * scale * conditioning, call="predictions")
    for (i, j), found in zip(two, solution[1 + n :], strict=True):
        assert_close(model.pairs[i, j], found, atol=1e-12 * scale * conditioning, call=f"pair {i}, {j}")
    residual = probability @ (table - model.predict(rows)) ** 2
    assert_close(model.residual_variance, residual, rtol=1e-9, atol=1e-24 * scale**2, call="residual variance")
    assert_identical(model.pairs, model.pairs.swapaxes(0, 1), call="symmetry")
    assert_identical(np.diagonal(model.pairs), np.zeros((table.shape[1], n)), call="diagonal")


@few
@given(table=strategies.tables(), law=LAWS)
def test_intercept_coefficients_and_linear_r_squared_are_those_of_the_linear_datamodel(table, law):
    pair, linear, scale = optimal_pair_datamodel(table, law), optimal_datamodel(table, law), np.abs(table).max()
    assert_close(pair.coefficients, linear.coefficients, rtol=1e-10, atol=1e-13 * scale / np.sqrt(law.variance))
    mean = linear.intercept + law.mean * linear.coefficients.sum(axis=0)
    assert_close(pair.intercept, mean, rtol=1e-10, atol=1e-12 * scale / np.sqrt(law.variance))
    assert_close(pair.linear_r_squared, linear.r_squared, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("n", [2, 4, 6])
def test_pairs_at_one_half_are_the_banzhaf_interaction_index_of_shapiq(n):
    table = np.random.default_rng(n).standard_normal(2**n)
    game = shapiq.ExactComputer(lambda chosen: table[np.asarray(chosen).astype(int) @ 2 ** np.arange(n)], n_players=n)
    theirs, ours = game("BII", order=2), optimal_pair_datamodel(table[:, None])
    for i, j in itertools.combinations(range(n), 2):
        assert abs(theirs[(i, j)] - ours.pairs[i, j, 0]) <= 1e-10
    assert_close(ours.coefficients[:, 0], [theirs[(i,)] for i in range(n)], atol=1e-10)


@few
@given(table=strategies.integer_tables(min_points=2, max_points=5), p=strategies.DYADIC_PROBABILITIES)
def test_a_pair_is_the_mean_mixed_difference_over_the_other_points(table, p):
    """In rationals from the definition; at p = 1/2 the result is exact."""
    n, exact = count(table), optimal_pair_datamodel(table, Bernoulli(p))
    for i, j in itertools.combinations(range(n), 2):
        total, chance = Fraction(0), Fraction(p)
        for mask in range(2**n):
            if mask >> i & 1 or mask >> j & 1:
                continue
            size = mask.bit_count()
            four = table[mask | 1 << i | 1 << j, 0] - table[mask | 1 << i, 0] - table[mask | 1 << j, 0] + table[mask, 0]
            total += chance**size * (1 - chance) ** (n - 2 - size) * Fraction(four)
        if p == 0.5:
            assert exact.pairs[i, j, 0] == float(total)
        else:
            assert_close(exact.pairs[i, j, 0], float(total), rtol=1e-12, atol=1e-12 * np.abs(table).max())


@few
@given(table=strategies.tables(min_points=2), p=strategies.PROBABILITIES)
def test_r_squared_gains_the_walsh_mass_of_degree_two(table, p):
    mass, model = degree_mass(table, p), optimal_pair_datamodel(table, Bernoulli(p))
    assert_close(model.r_squared - model.linear_r_squared, mass[2] / mass[1:].sum(axis=0), atol=1e-10)


@few
@given(table=strategies.tables(min_points=2), p=st.floats(0.2, 0.9))
def test_row_sums_are_the_derivative_of_beta_in_p(table, p):
    """beta^(p) = sum_k (p - 1)^k C_k (T3), differentiated term by term."""
    orders, n = difference_sums(table), count(table)
    slope = sum(k * (p - 1.0) ** (k - 1) * orders[:, k] for k in range(1, n))
    assert_close(optimal_pair_datamodel(table, Bernoulli(p)).pairs.sum(axis=1), slope, atol=1e-10 * np.abs(table).max())


@few
@given(table=strategies.tables(min_points=2), p=st.floats(0.5, 0.95))
def test_leave_one_out_is_the_change_of_its_own_prediction(table, p):
    model, n = optimal_pair_datamodel(table, Bernoulli(p)), count(table)
    full = model.predict(np.ones((1, n)))
    assert_close(model.leave_one_out(), full - model.predict(1.0 - np.eye(n)), atol=1e-10 * np.abs(table).max())


@given(table=strategies.tables(min_points=2, max_points=2), p=st.floats(0.2, 0.95))
def test_two_points_have_no_more_than_pairs(table, p):
    """F is then of degree 2 itself: R^2 is 1, and leave-one-out is found exactly."""
    model, scale = optimal_pair_datamodel(table, Bernoulli(p)), np.abs(table).max()
    assert_close(model.predict(all_masks(2)), table, atol=1e-12 * scale)
    assert_close(model.leave_one_out(), leave_one_out(table), atol=1e-12 * scale)
    assert (model.r_squared == 1.0).all()


def test_one_point_has_no_pairs():
    model = optimal_pair_datamodel([[1.0], [3.0]])
    assert_identical(model.pairs, np.zeros((1, 1, 1)))
    assert model.leave_one_out().tolist() == [[2.0]]


def test_a_constant_output_has_no_r_squared_and_no_effects():
    table = np.stack([np.full(16, 0.1), np.arange(16.0) ** 2], axis=1)
    model = optimal_pair_datamodel(table)
    assert np.isnan(model.r_squared).tolist() == np.isnan(model.linear_r_squared).tolist() == [True, False]
    assert not model.pairs[:, :, 0].any()


def test_a_large_constant_costs_no_accuracy():
    table = np.random.default_rng(0).integers(-50, 50, (64, 1)).astype(float)
    assert_identical(optimal_pair_datamodel(table + 2.0**40).pairs, optimal_pair_datamodel(table).pairs)


def test_pairs_explain_more_than_half_of_what_a_linear_datamodel_of_logistic_regression_leaves():
    rng = np.random.default_rng(0)
    learner = Logistic(np.c_[np.ones(12), rng.standard_normal(12)], np.arange(12) % 2, [[1.0, 0.5]], l2=0.01)
    model = optimal_pair_datamodel(response_table(learner, [0]).mean)
    assert 0.0 < 1.0 - model.r_squared[0] < 0.5 * (1.0 - model.linear_r_squared[0])


@pytest.mark.parametrize("law", [FixedSize(2), Poisson(), Bernoulli, None])
def test_laws_without_two_levels_are_refused_with_what_to_do(law):
    with pytest.raises(TypeError, match=r"law = .*expected Bernoulli"):
        optimal_pair_datamodel(np.arange(16.0)[:, None], law)


@pytest.mark.parametrize("weights", [np.ones(3), np.ones((2, 4)), [["a", "b", "c"]]])
def test_predictions_need_one_weight_per_point(weights):
    with pytest.raises(ValueError, match="weights"):
        optimal_pair_datamodel(np.arange(8.0)[:, None]).predict(weights)


def test_it_is_shown_and_converted():
    model = optimal_pair_datamodel(np.arange(16.0).reshape(8, 2) ** 3)
    assert "linear_r_squared" in repr(model)
    assert "<table>" in model._repr_html_()
    found = model.to_xarray()
    assert found.pairs.dims == ("point", "other", "output")
    assert_identical(found.pairs.sel(point=0, other=2).values, model.pairs[0, 2])
    assert len(model.to_dataframe()) == 3 * 3 * 2
