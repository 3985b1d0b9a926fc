"""Plans: exact on the functions that they promise, unbiased over their draws, of the stated order in s, with honest errors."""

import math
from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest
import strategies
import theory.designs
from assertions import assert_close, assert_identical
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sims.learners import LeastSquares, Logistic, MovingJump
from sims.retrain import response_table
from theory.datamodel import optimal_datamodel
from theory.derivatives import finite_difference
from theory.laws import TwoPoint
from theory.response import mean_response, weight_derivative
from theory.sampling.plans import Plan, for_influence, for_leave_one_out, for_shapley
from theory.subsets import all_masks
from theory.values import leave_one_out, shapley

RNG = np.random.default_rng(3)
X = RNG.standard_normal((12, 3))
CLASSIFIER = Logistic(X, (X @ [1.0, -1.0, 0.5] > 0.0) * 1.0, RNG.standard_normal((3, 3)), l2=0.05)
PLANS = {
    "influence": lambda n, m, seed: for_influence(n_points=n, n_retrainings=m, seed=seed),
    "leave-one-out": lambda n, m, seed: for_leave_one_out(n_points=n, n_retrainings=m, seed=seed),
    "Shapley": lambda n, m, seed: for_shapley(n_points=n, n_retrainings=m, seed=seed),
}


def rows_of(table, masks):
    return table[(masks @ 2 ** np.arange(masks.shape[1])).astype(int)]


# --- what all plans have in common --------------------------------------------------------------------------------------------


def test_the_names_are_importable_from_the_earlier_path():
    assert theory.designs.for_influence is for_influence
    assert theory.designs.for_leave_one_out is for_leave_one_out
    assert theory.designs.for_shapley is for_shapley


@pytest.mark.parametrize("kind", PLANS)
@pytest.mark.parametrize("n", [1, 2, 3, 5, 12, 13])
def test_a_plan_has_at_most_m_rows_in_groups_whose_contrasts_sum_to_zero(kind, n):
    m = 20 * (n + 4)
    plan = PLANS[kind](n, m, 0)
    groups, rows = len(plan.terms), len(plan.weights)
    assert rows <= m < rows + rows // groups
    assert_identical(plan.groups, np.repeat(np.arange(groups), rows // groups))
    assert plan.weights.shape == plan.contrasts.shape == (rows, n)
    assert plan.weights.min() >= 0.0
    totals = plan.contrasts.reshape(groups, -1, n).sum(axis=1)
    assert np.abs(totals).max() <= 8 * np.finfo(float).eps * np.abs(plan.contrasts).max()


@pytest.mark.parametrize("kind", PLANS)
@pytest.mark.parametrize("n", [1, 2, 5, 12])
def test_an_affine_function_is_estimated_exactly_by_every_group(kind, n):
    plan, slopes = PLANS[kind](n, 20 * (n + 4), 1), np.arange(1.0, 2 * n + 1).reshape(n, 2)
    estimate = plan.estimate(7.0 + plan.weights @ slopes)
    assert_close(estimate.values, slopes, rtol=1e-12)
    assert estimate.standard_errors.max() < 1e-12 * slopes.max()


@pytest.mark.parametrize("kind", ["influence", "Shapley"])
def test_the_same_seed_gives_the_same_bits_and_another_seed_others(kind):
    first, again, other = (PLANS[kind](6, 200, seed) for seed in (4, 4, 5))
    assert_identical(first.weights, again.weights)
    assert (first.weights != other.weights).any()


def test_values_errors_and_degrees_are_those_of_welch_by_scipy():
    """Two terms of 3 and 5 groups with one row each: the sum of two means is the difference of scipy's Welch test."""
    contrasts = np.array([[1.0]] * 3 + [[-1.0]] * 5)
    plan = Plan("", np.ones((8, 1)), contrasts, np.arange(8), np.array([0] * 3 + [1] * 5), "")
    a, b = RNG.standard_normal(3), 2.0 * RNG.standard_normal(5)
    shift = a[0]  # an estimate leaves out the first response, as contrasts of a whole group sum to 0
    estimate = plan.estimate(np.concatenate([a, b])[:, None])
    test = stats.ttest_ind(a, b, equal_var=False)
    low, high = estimate.confidence_interval(0.9)
    expected = test.confidence_interval(0.9)
    assert_close(estimate.values[0, 0], (a - shift).mean() - (b - shift).mean(), rtol=1e-12)
    assert_close(estimate.degrees_of_freedom[0, 0], test.df, rtol=1e-12)
    assert_close([low[0, 0], high[0, 0]], [expected.low, expected.high], rtol=1e-10)


def test_it_prints_what_it_is_and_converts_to_labelled_arrays():
    plan = for_influence(n_points=3, n_retrainings=32, seed=0)
    estimate = plan.estimate(plan.weights[:, :2])
    assert "n_retrainings=32" in repr(plan)
    assert "scale^4" in repr(estimate)
    assert estimate.to_xarray().value.dims == ("point", "output")
    assert plan.to_xarray().weights.shape == (32, 3)


# --- D(1) ---------------------------------------------------------------------------------------------------------------------


def test_every_group_of_influence_is_a_fold_over_with_orthogonal_columns():
    plan = for_influence(n_points=10, n_retrainings=24 * 6, seed=2, scale=0.5)
    assert_identical(plan.terms, [0, 0, 1, 1, 1, 1])
    for group, term in enumerate(plan.terms):
        signs = (plan.weights[plan.groups == group] - 1.0) / (0.5, 0.25)[term]
        assert_identical(np.abs(signs), np.ones((24, 10)))
        assert_identical(signs[:12], -signs[12:])
        assert_identical(signs.T @ signs, 24.0 * np.eye(10))


def test_every_column_of_the_matrix_serves_every_point():
    """The first column of a Hadamard matrix is constant: a point has it in one group of four, within 5 standard errors."""
    signs = for_influence(n_points=3, n_retrainings=8 * 400, seed=0).weights.reshape(400, 8, 3)[:, :4] > 1.0
    share = (signs == signs[:, :1]).all(axis=1).mean(axis=0)
    assert (np.abs(share - 0.25) < 5.0 * np.sqrt(0.25 * 0.75 / 400)).all()


@given(table=strategies.integer_tables(min_points=3, max_points=3))
def test_even_degrees_cancel_exactly(table):
    """F with pairs only: every group gives 0, exactly on integers and powers of two."""
    plan = for_influence(n_points=3, n_retrainings=32, seed=0, scale=0.5)
    centred = plan.weights - 1.0
    pairs = np.stack([centred[:, 0] * centred[:, 1], centred[:, 0] * centred[:, 2], centred[:, 1] * centred[:, 2]], axis=1)
    estimate = plan.estimate(pairs @ table[:3])
    assert np.abs(estimate.values).max() <= 1e-12 * max(1.0, np.abs(table).max())


def test_the_mean_over_draws_is_the_datamodel_of_the_law_at_both_scales():
    """Against exact tables of {1 - s, 1 + s}: within 4.5 standard errors over 100 draws, for both orders."""
    learner, s = Logistic(X[:5], CLASSIFIER.y[:5], X[5:7], l2=0.05), 0.8
    table = {
        t: optimal_datamodel(mean_response(learner, 1 - t + 2 * t * all_masks(5), [0]), TwoPoint(t)).coefficients
        for t in (s, s / 2)
    }
    for order, expected in ((2, table[s]), (4, (4 * table[s / 2] - table[s]) / 3)):
        plans = [for_influence(n_points=5, n_retrainings=64, seed=k, scale=s, order=order) for k in range(100)]
        F = mean_response(learner, np.concatenate([plan.weights for plan in plans]), [0]).reshape(100, 64, 2)
        found = [plan.estimate(responses).values for plan, responses in zip(plans, F, strict=True)]
        error = stats.sem(found, axis=0)
        assert (np.abs(np.mean(found, axis=0) - expected) < 4.5 * error).all()


@pytest.mark.parametrize(("order", "slope"), [(2, 2.0), (4, 4.0)])
def test_the_bias_falls_as_the_stated_power_of_the_scale(order, slope):
    """One group's expectation, from exact tables at s = 1/4 and 1/8: log2 of the ratio of biases is the order within 0.15."""
    learner = Logistic(X[:6], CLASSIFIER.y[:6], X[6:8], l2=0.05)
    exact = weight_derivative(learner, np.ones(6), [0])

    def bias(s):
        beta = [
            optimal_datamodel(mean_response(learner, 1 - t + 2 * t * all_masks(6), [0]), TwoPoint(t)).coefficients
            for t in (s, s / 2)
        ]
        return np.linalg.norm((beta[0] if order == 2 else (4 * beta[1] - beta[0]) / 3) - exact)

    assert abs(math.log2(bias(0.25) / bias(0.125)) - slope) < 0.15


@pytest.mark.parametrize("order", [2, 4])
def test_a_cubic_is_unbiased_at_order_four_and_off_by_its_law_at_order_two(order):
    """F = w_0^3 + w_0 w_1^2: beta_0(s) = D_0 + s^2 (6/6 + 2/2), by hand; the mean over all sign patterns is exact."""
    s, plan = 0.5, for_influence(n_points=2, n_retrainings=64, seed=0, scale=0.5, order=order)
    F = plan.weights[:, :1] ** 3 + plan.weights[:, :1] * plan.weights[:, 1:] ** 2
    exact = np.array([[3.0 + 1.0], [2.0]])
    expected = exact + ([[2.0 * s**2], [0.0]] if order == 2 else 0.0)
    assert_close(plan.estimate(F).values, expected, rtol=1e-12)


@pytest.mark.parametrize(("order", "factor"), [(2, 1.0), (4, 11.0)])
def test_noise_grows_by_the_factor_that_the_docstring_states(order, factor):
    """Var sum c_r e_r = sum c_r^2 / groups^2 for unit noise, exactly, with groups in thirds."""
    plan = for_influence(n_points=7, n_retrainings=16 * 12, seed=0, scale=0.5, order=order)
    count = np.bincount(plan.terms)[plan.terms][plan.groups]
    variance = ((plan.contrasts / count[:, None]) ** 2).sum(axis=0)
    assert_close(variance, np.full(7, factor / (0.5**2 * len(plan.weights))), rtol=1e-12)


def test_intervals_of_influence_cover_the_exact_derivative():
    """At N = 12 and s = 1/4: 80 designs x 36 values; 0.90 to 0.98, with standard errors over designs of about 0.007."""
    exact = weight_derivative(CLASSIFIER, np.ones(12), [0])
    covered, error = [], []
    for seed in range(80):
        plan = for_influence(n_points=12, n_retrainings=192, seed=seed)
        estimate = plan.estimate(mean_response(CLASSIFIER, plan.weights, [0]))
        low, high = estimate.confidence_interval()
        covered.append(((low <= exact) & (exact <= high)).mean())
        error.append(np.linalg.norm(estimate.values - exact) / np.linalg.norm(exact))
    assert 0.90 < np.mean(covered) < 0.98
    assert max(error) < 0.02


def test_intervals_of_order_two_cover_the_local_datamodel_and_not_the_derivative():
    """Without noise the bias is most of the error, as the docstring says: 20 designs x 36 values, 192 retrainings."""
    beta = optimal_datamodel(mean_response(CLASSIFIER, 0.75 + 0.5 * all_masks(12), [0]), TwoPoint(0.25)).coefficients
    exact, covered = weight_derivative(CLASSIFIER, np.ones(12), [0]), []
    for seed in range(20):
        plan = for_influence(n_points=12, n_retrainings=192, seed=seed, order=2)
        low, high = plan.estimate(mean_response(CLASSIFIER, plan.weights, [0])).confidence_interval()
        covered.append([((low <= value) & (value <= high)).mean() for value in (beta, exact)])
    of_beta, of_exact = np.mean(covered, axis=0)
    assert of_beta > 0.9
    assert of_exact < 0.5


def test_finite_differences_take_as_many_retrainings_as_the_docstring_says():
    class Counted:
        n_points, n_outputs, count = CLASSIFIER.n_points, CLASSIFIER.n_outputs, 0

        def respond(self, weights, seeds):
            self.count += len(weights)
            return CLASSIFIER.respond(weights, seeds)

    counted = Counted()
    found = finite_difference(counted, np.ones(12), [0])
    assert_close(found.derivative, weight_derivative(CLASSIFIER, np.ones(12), [0]), atol=1e-9)
    assert 11 * 12 <= counted.count <= 15 * 12


def test_new_seeds_per_group_give_the_derivative_of_the_mean_over_all_seeds_of_a_learner_that_jumps():
    """A moving threshold has no derivative for any seed; that of its mean is known in closed form."""
    jump = MovingJump(X, np.ones(12), RNG.standard_normal((2, 3)), init_scale=1.0)
    exact = jump.expected_derivative(np.ones(12))
    covered, mean = [], []
    for k in range(25):
        plan = for_influence(n_points=12, n_retrainings=24 * 8, seed=k, scale=0.5)
        F = np.concatenate(
            [
                mean_response(jump, plan.weights[plan.groups == g], range(128 * (8 * k + g), 128 * (8 * k + g + 1)))
                for g in range(len(plan.terms))
            ]
        )
        estimate = plan.estimate(F)
        low, high = estimate.confidence_interval()
        mean.append(estimate.values)
        covered.append(((low <= exact) & (exact <= high)).mean())
    assert 0.90 < np.mean(covered) < 0.98
    assert np.linalg.norm(np.mean(mean, axis=0) - exact) < 0.05 * np.linalg.norm(exact)


# --- leave-one-out ------------------------------------------------------------------------------------------------------------


@given(table=strategies.integer_tables(), copies=st.integers(1, 3))
def test_leave_one_out_is_exact_from_n_plus_one_retrainings(table, copies):
    n = len(table).bit_length() - 1
    plan = for_leave_one_out(n_points=n, n_retrainings=copies * (n + 1), seed=0)
    estimate = plan.estimate(rows_of(table, plan.weights))
    assert_identical(estimate.values, leave_one_out(table))
    assert_identical(estimate.standard_errors, np.zeros_like(estimate.values))
    low, high = estimate.confidence_interval()
    assert_identical(low, high)


def test_noise_between_groups_shows_in_leave_one_out():
    """Groups with seeds of their own: the standard error is scipy's of the groups' values."""
    plan, noise = for_leave_one_out(n_points=4, n_retrainings=15, seed=0), RNG.standard_normal((15, 1))
    estimate = plan.estimate(plan.weights @ np.ones((4, 1)) + noise)
    single = noise.reshape(3, 5)[:, :1] - noise.reshape(3, 5)[:, 1:]
    assert_close(estimate.standard_errors[:, 0], stats.sem(single, axis=0), rtol=1e-12)
    assert_identical(estimate.degrees_of_freedom, np.full((4, 1), 2.0))


# --- Shapley ------------------------------------------------------------------------------------------------------------------


@given(table=strategies.integer_tables())
def test_values_of_shapley_sum_to_the_whole_change_of_f(table):
    n = len(table).bit_length() - 1
    plan = for_shapley(n_points=n, n_retrainings=16 * n + 8, seed=1)
    total = plan.estimate(rows_of(table, plan.weights)).values.sum(axis=0)
    assert_close(total, table[-1] - table[0], rtol=1e-12, atol=1e-12 * np.abs(table).max())


def test_orders_and_their_reverses_cancel_all_pairs():
    """F of degree 2 on subsets has no error at all: every group gives the Shapley values."""
    masks = all_masks(6)
    features = np.concatenate([masks, np.stack([masks[:, i] * masks[:, j] for i in range(6) for j in range(i)], axis=1)], axis=1)
    table = features @ RNG.standard_normal((21, 2))
    plan = for_shapley(n_points=6, n_retrainings=100, seed=2)
    estimate = plan.estimate(rows_of(table, plan.weights))
    assert_close(estimate.values, shapley(table), rtol=1e-12)
    assert estimate.standard_errors.max() < 1e-12


@pytest.mark.parametrize(("shifts", "groups"), [(2, 4), (3, 5), (4, 7)])
def test_a_group_adds_every_point_at_evenly_spread_places(shifts, groups):
    """At N = 12 the places of a point in the J orders are N/J apart, and the reverse of an order mirrors them."""
    rows = 2 * shifts * 11 + 2
    plan = for_shapley(n_points=12, n_retrainings=groups * rows + 5, seed=3)
    assert len(plan.weights) == groups * rows
    for group in range(groups):
        grown = plan.weights[plan.groups == group][2:].reshape(shifts, 2, 11, 12)
        places = 11 - grown.sum(axis=2)  # (J, 2, N): how many points came before
        assert_identical(places[:, 0] + places[:, 1], np.full((shifts, 12), 11.0))
        assert_identical(np.sort(places[:, 0] % (12 // shifts), axis=0).std(axis=0), np.zeros(12))
        assert (np.diff(np.sort(places[:, 0], axis=0), axis=0) == 12 // shifts).all()


def test_shapley_is_unbiased_by_enumeration_of_all_orders():
    """The mean of a group over all 3! orders, in rationals, is the Shapley value."""
    table = RNG.integers(-9, 10, (8, 1)).astype(float)
    n = 3
    exact = [Fraction(0)] * n
    for order in permutations(range(n)):
        grown = 0
        for point in order:
            exact[point] += Fraction(int(table[grown | 1 << point, 0] - table[grown, 0]), math.factorial(n))
            grown |= 1 << point
    seen, total = set(), np.zeros((n, 1))
    for seed in range(200):
        plan = for_shapley(n_points=n, n_retrainings=40, seed=seed)
        for group in range(len(plan.terms)):
            rows = plan.groups == group
            key = plan.weights[rows].tobytes()
            if key not in seen:
                seen.add(key)
                total += plan.contrasts[rows].T @ rows_of(table, plan.weights[rows])
    assert len(seen) == math.factorial(n)
    assert_close(total[:, 0] / len(seen), [float(x) for x in exact], rtol=1e-12)
    assert_close(shapley(table)[:, 0], [float(x) for x in exact], rtol=1e-12)


def test_intervals_of_shapley_cover_the_exact_values_and_the_mean_over_designs_is_exact():
    table = response_table(CLASSIFIER, (0,)).mean
    exact, covered, values = shapley(table), [], []
    for seed in range(80):
        plan = for_shapley(n_points=12, n_retrainings=368, seed=seed)
        estimate = plan.estimate(rows_of(table, plan.weights))
        low, high = estimate.confidence_interval()
        covered.append(((low <= exact) & (exact <= high)).mean())
        values.append(estimate.values)
    assert 0.90 < np.mean(covered) < 0.98
    z = (np.mean(values, axis=0) - exact) / stats.sem(values, axis=0)
    assert np.abs(z).max() < 4.5


# --- what is refused ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: for_influence(n_points=12, n_retrainings=95, seed=0),
            r"n_retrainings = 95, expected at least 96; .*finite_diff",
        ),
        (lambda: for_influence(n_points=12, n_retrainings=47, seed=0, order=2), "expected at least 48"),
        (lambda: for_influence(n_points=3, n_retrainings=64, seed=0, order=3), "order = 3, expected 2 or 4"),
        (lambda: for_influence(n_points=3, n_retrainings=64, seed=0, scale=1.5), "scale = 1.5, expected 1e-06 <= scale <= 1"),
        (lambda: for_influence(n_points=3, n_retrainings=64, seed=0, scale=1e-300), "scale = 1e-300, .* lost in rounding"),
        (lambda: for_influence(n_points=3, n_retrainings=64, seed=0, order="4"), "order = '4', expected 2 or 4"),
        (
            lambda: for_leave_one_out(n_points=12, n_retrainings=12, seed=0),
            "expected at least 13: .* can't tell 12 effects apart",
        ),
        (lambda: for_shapley(n_points=12, n_retrainings=183, seed=0), "expected at least 184: four groups"),
        (
            lambda: for_leave_one_out(n_points=2, n_retrainings=3, seed=0).estimate([[1.0], [2.0]]),
            r"shape \(2, 1\), expected \(3, M\)",
        ),
    ],
)
def test_what_is_too_few_or_wrong_is_refused_with_what_is_enough(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_example_of_the_readme_kind_runs():
    learner = LeastSquares([[1.0], [1.0]], [1.0, 1.0], [[1.0]], l2=1.0)  # F(w) = (w_0 + w_1) / (w_0 + w_1 + 2)
    plan = for_influence(n_points=2, n_retrainings=32, seed=0)
    estimate = plan.estimate(response_table(learner, [0], weights=plan.weights).mean)
    assert_close(estimate.values, [[0.125], [0.125]], rtol=1e-3)
