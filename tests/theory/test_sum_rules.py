"""What effects add up to: against rationals, closed forms, polynomials by hand, and derivatives by another route."""

import dataclasses
from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest
from assertions import assert_close, assert_identical
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import PROBABILITIES, SEEDS, integer_tables, interior_weights, least_squares, logistics, tables

from sims.learners import MLP, LeastSquares, Logistic
from theory.datamodel import optimal_datamodel
from theory.inclusion import drawn_inclusion_differences, inclusion_differences
from theory.laws import Bernoulli
from theory.response import mean_response, weight_derivative
from theory.subsets import all_masks, sizes
from theory.sum_rules import euler_sum, gain, inclusion_slope, scale_derivative
from theory.values import leave_one_out, shapley

X = np.array([[-1.0, 0.5], [0.3, 1.0], [1.2, -0.7], [0.1, 0.1], [-0.4, -1.1]])
NETWORK = MLP(X, [0, 1, 1, 0, 1], X[:2], hidden=(3,), activation="tanh", steps=10, learning_rate=0.3, l2=0.05)

# --- Euler -------------------------------------------------------------------------------------------------------------------


def with_penalty(learner):
    return lambda c: dataclasses.replace(learner, l2=learner.l2 / c)


def with_rate(learner):
    return lambda c: dataclasses.replace(learner, learning_rate=learner.learning_rate * c)


@settings(max_examples=15)
@given(st.one_of(least_squares(), logistics()), SEEDS)
def test_at_an_optimum_the_sum_is_minus_l2_times_the_derivative_in_l2(learner, seed):
    w = np.random.default_rng(seed).uniform(0.5, 2.0, learner.n_points)
    found = scale_derivative(with_penalty(learner), w, (0,))
    terms = np.abs(w[:, None] * weight_derivative(learner, w, (0,))).sum(axis=0) + np.abs(mean_response(learner, [w], (0,))[0])
    assert_close(euler_sum(learner, w, (0,)), found.value, atol=(1e-9 * terms + 10.0 * found.error).max())


@given(least_squares(), st.data())
def test_without_a_penalty_the_sum_is_zero(learner, data):
    free = LeastSquares(learner.X, learner.y, learner.X_query, l2=0.0, undefined="min_norm")
    w = data.draw(interior_weights(free.n_points))
    terms = np.abs(w[:, None] * weight_derivative(free, w, (0,))).sum() + np.abs(mean_response(free, [w], (0,))).max()
    assert np.abs(euler_sum(free, w, (0,))).max() <= 1e-9 * terms


def test_logistic_regression_without_a_penalty_on_points_that_are_not_separable():
    free = Logistic([[1.0, -1.0], [1.0, 0.0], [1.0, 1.0], [1.0, 2.0]], [0, 1, 0, 1], np.eye(2), l2=0.0)
    assert np.abs(weight_derivative(free, np.ones(4), (0,))).max() > 0.1
    assert_close(euler_sum(free, np.ones(4), (0,)), np.zeros(2), atol=1e-12)


def test_ridge_of_one_point_by_hand():
    """F = w / (w + l2): w D = w l2 / (w + l2)^2."""
    one = LeastSquares([[1.0]], [1.0], [[1.0]], l2=0.5)
    assert_close(euler_sum(one, [2.0], (0,)), [2.0 * 0.5 / 2.5**2], rtol=1e-14)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"steps": 300},
        {"l2": 0.0},
        {"momentum": 0.6},
        {"batch_size": 2},
        {"schedule": "cosine"},
        {"loss": "squared", "learning_rate": 0.1},
    ],
    ids=str,
)
def test_for_gradient_descent_the_rate_and_the_penalty_explain_what_remains(options):
    """F(c w; eta, l2) = F(w; c eta, l2 / c), also with momentum, minibatches and schedules."""
    learner, w = dataclasses.replace(NETWORK, **options), np.array([1.0, 0.5, 1.5, 2.0, 0.7])
    rate = scale_derivative(with_rate(learner), w, (0, 1))
    found, remains = euler_sum(learner, w, (0, 1)), rate.value
    error = rate.error
    if learner.l2:
        penalty = scale_derivative(with_penalty(learner), w, (0, 1))
        remains, error = remains + penalty.value, error + penalty.error
    size = np.abs(w[:, None] * weight_derivative(learner, w, (0, 1))).sum(axis=0)
    assert (np.abs(found - remains) <= 1e-9 * size + 10.0 * error).all()
    assert (error <= 1e-9 * size).all()
    assert (np.abs(rate.value) > 1e-3 * size).all(), "the rate matters: without it the rule fails"


@pytest.mark.parametrize("c", [0.5, 2.0])
def test_the_law_behind_it_is_exact_for_a_power_of_two(c):
    w = np.array([[1.0, 0.5, 1.5, 2.0, 0.7]])
    scaled = dataclasses.replace(NETWORK, learning_rate=c * 0.3, l2=0.05 / c)
    assert_close(NETWORK.respond(c * w, (0,)), scaled.respond(w, (0,)), rtol=1e-12)


def test_a_penalty_scaled_the_other_way_is_seen():
    learner = LeastSquares(X, [1.0, 0.0, 2.0, 1.0, 0.5], np.eye(2), l2=0.3)
    wrong = scale_derivative(lambda c: dataclasses.replace(learner, l2=learner.l2 * c), np.ones(5), (0,))
    assert_close(wrong.value, -euler_sum(learner, np.ones(5), (0,)), rtol=1e-9)


# --- datamodels and Shapley --------------------------------------------------------------------------------------------------


@given(tables(), PROBABILITIES)
def test_datamodels_add_up_to_the_slope_of_the_mean_response(table, p):
    total = optimal_datamodel(table, Bernoulli(p)).coefficients.sum(axis=0)
    assert_close(total, inclusion_slope(table, p), atol=1e-12 * len(table) * np.abs(table).max())


@given(integer_tables(), st.sampled_from([Fraction(0), Fraction(1, 4), Fraction(1, 2), Fraction(5, 8), Fraction(1)]))
def test_the_slope_is_that_of_the_polynomial_in_rationals(table, p):
    """d/dp sum_S F(S) p^|S| (1 - p)^(N - |S|), by the product rule."""
    n = len(table).bit_length() - 1
    q = 1 - p

    def slope(k):
        return (k * p ** (k - 1) * q ** (n - k) if k else 0) - ((n - k) * p**k * q ** (n - k - 1) if k < n else 0)

    exact = [sum(slope(int(k)) * int(f) for k, f in zip(sizes(n), column, strict=True)) for column in table.T]
    assert_close(inclusion_slope(table, float(p)), np.array(exact, dtype=float), atol=1e-13 * len(table) * 50)


@given(integer_tables(max_points=5, multiple_of=60))
def test_shapley_values_add_up_exactly(table):
    """60 is divisible by N binom(N - 1, k) for all k and N <= 5, so that nothing is rounded."""
    assert_identical(shapley(table).sum(axis=0), gain(table))


def test_along_every_order_of_the_points_the_differences_add_up_to_the_gain():
    table = np.arange(8.0) ** 2
    for order in permutations(range(3)):
        masks = np.cumsum([0, *(2**i for i in order)])
        assert np.diff(table[masks]).sum() == gain(table[:, None])[0]


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_a_p_that_is_no_probability_is_refused(p):
    for function in (inclusion_slope, inclusion_differences):
        with pytest.raises(ValueError, match=r"expected a probability, 0 <= p <= 1"):
            function(np.zeros((4, 1)), p)


# --- w as the probability of inclusion ---------------------------------------------------------------------------------------


@given(tables(), PROBABILITIES, st.floats(0.01, 1.0))
def test_differences_over_any_step_are_the_datamodel(table, p, step):
    found = inclusion_differences(table, p, step)
    width = min(p + step, 1.0) - max(p - step, 0.0)
    beta = optimal_datamodel(table, Bernoulli(p)).coefficients
    assert_close(
        found, beta, atol=4.0 * len(table) * np.finfo(float).eps * np.abs(table).max() / width + 1e-12 * np.abs(beta).max()
    )


@given(integer_tables())
def test_at_probability_one_the_derivative_is_leave_one_out_exactly(table):
    assert_identical(inclusion_differences(table, 1.0), leave_one_out(table))


def test_random_inclusion_by_retraining_agrees_within_its_standard_errors_and_not_with_the_derivative_at_one():
    """60 estimates of each of 5 coefficients: their mean square in standard errors is 1, and the essay's D(1) is far away."""
    learner = Logistic(np.column_stack([np.ones(5), X]), [0, 1, 1, 0, 1], [[1.0, 0.5, 0.5]], l2=0.1)
    table = learner.respond(all_masks(5), (0,))[:, 0]
    beta = optimal_datamodel(table, Bernoulli(0.3)).coefficients
    z = []
    for seed in range(60):
        mean, error = drawn_inclusion_differences(table, 0.3, 2000, seed)
        z.append((mean - beta) / error)
    assert 0.75 <= np.mean(np.square(z)) <= 1.3  # 300 squares: 1 +- 3 sqrt(2 / 300)
    assert abs(np.mean(z)) <= 0.25
    mean, error = drawn_inclusion_differences(table, 0.3, 2000)
    assert np.abs((mean - weight_derivative(learner, np.ones(5), (0,))) / error).max() > 10.0


def test_draws_and_steps_that_make_no_sense_are_refused():
    table = np.zeros((4, 1))
    with pytest.raises(ValueError, match=r"n_draws = 1, expected a whole number >= 2: standard errors need two draws"):
        drawn_inclusion_differences(table, 0.5, 1)
    with pytest.raises(ValueError, match=r"step = 0.0, expected a number > 0 and <= 1"):
        inclusion_differences(table, 0.5, 0.0)
