"""Least squares against statsmodels, numpy, exact rational arithmetic and complex steps; and the identities T4, T10 and T11."""

import dataclasses
from fractions import Fraction

import numpy as np
import pytest
import statsmodels.api as sm
from assertions import assert_close
from scipy import linalg
from statsmodels.stats.outliers_influence import OLSInfluence

from sims.learners import LeastSquares
from sims.learners.linear.erm import NORMALIZATIONS
from sims.testing.laws import response_jumps
from theory.influence import hessian_influence
from theory.response import weight_derivative

EPS = np.finfo(np.float64).eps
NORMAL_EQUATIONS = 10.0 * EPS * 1e4


@pytest.fixture(scope="module")
def longley():
    """Longley 1967: 16 years, six almost collinear columns, standardised, and an intercept."""
    data = sm.datasets.longley.load()
    X = np.asarray(data.exog, dtype=np.float64)
    return sm.add_constant((X - X.mean(axis=0)) / X.std(axis=0)), np.asarray(data.endog, dtype=np.float64)


def random_learner(seed, n=10, d=3, l2=0.1, **options):
    rng = np.random.default_rng(seed)
    X, X_query = rng.standard_normal((n, d)), rng.standard_normal((4, d))
    return LeastSquares(X, rng.standard_normal(n), X_query, l2=l2, **options), rng


def predictions(learner, weights):
    """(B, M) or, for one weight vector, (M,)."""
    return learner.respond(np.atleast_2d(weights), (0,))[:, 0].reshape(*np.shape(weights)[:-1], -1)


def derivative_at_one(learner):
    return weight_derivative(learner, np.ones(learner.n_points), (0,))


def leave_one_out(learner):
    """F(1) - F(1 - e_i), shape (N, M)."""
    ones = np.ones(learner.n_points)
    return predictions(learner, ones) - predictions(learner, 1.0 - np.eye(learner.n_points))


def many_weights(rng, n, rows=100):
    """Random weights, half of the rows 0/1; at least n / 2 points present."""
    weights = rng.uniform(0.1, 3.0, (rows, n))
    weights[::2] = rng.random((len(weights[::2]), n)) < 0.7
    return weights[np.count_nonzero(weights, axis=1) >= n // 2]


# --- the optimum -----------------------------------------------------------------------------------------------------------


def test_predictions_equal_statsmodels_wls():
    learner, rng = random_learner(0, l2=0.0)
    weights = many_weights(rng, 10)
    expected = [learner.X_query @ sm.WLS(learner.y, learner.X, weights=row).fit().params for row in weights]
    assert_close(predictions(learner, weights), np.stack(expected), rtol=1e-10, call="respond against WLS")


@pytest.mark.parametrize("l2", [1e-6, 1e-2, 10.0])
def test_penalised_predictions_equal_lstsq_with_rows_for_the_penalty(l2):
    learner, rng = random_learner(1, l2=l2)
    weights, expected = many_weights(rng, 10), []
    for row in weights:
        rows = np.concatenate([np.sqrt(row)[:, None] * learner.X, np.sqrt(10 * l2) * np.eye(3)])
        theta = np.linalg.lstsq(rows, np.append(np.sqrt(row) * learner.y, np.zeros(3)), rcond=None)[0]
        expected.append(learner.X_query @ theta)
    assert_close(predictions(learner, weights), np.stack(expected), rtol=1e-10, call="respond against lstsq")


@pytest.mark.parametrize("shape", [(4, 7), (8, 5), (1, 3)])
def test_min_norm_predictions_equal_the_pseudo_inverse(shape):
    learner, rng = random_learner(2, *shape, l2=0.0, undefined="min_norm")
    weights = rng.integers(0, 3, (60, shape[0])).astype(float)
    expected = [learner.X_query @ np.linalg.pinv(np.sqrt(w)[:, None] * learner.X) @ (np.sqrt(w) * learner.y) for w in weights]
    assert_close(predictions(learner, weights), np.stack(expected), rtol=1e-10, call="min_norm against pinv")


@pytest.mark.parametrize("undefined", ["error", "min_norm"])
def test_the_empty_subset_has_theta_zero(undefined):
    learner, _ = random_learner(0, l2=0.1 if undefined == "error" else 0.0, undefined=undefined)
    assert not predictions(learner, np.zeros(10)).any()


@pytest.mark.parametrize("scale", [1e-9, 1e-3, 1e6])
@pytest.mark.parametrize("what", ["weights", "columns"])
def test_unpenalised_predictions_do_not_depend_on_scale(what, scale):
    learner, rng = random_learner(3, l2=0.0)
    weights = rng.uniform(0.5, 2.0, 10)
    expected = predictions(learner, weights)
    if what == "weights":
        weights = scale * weights
    else:
        learner = dataclasses.replace(learner, X=scale * learner.X, X_query=scale * learner.X_query)
    assert_close(predictions(learner, weights), expected, rtol=1e-12, call=f"{what} times {scale}")


# --- ill-conditioned designs -----------------------------------------------------------------------------------------------


def exact_fit(X, y, X_query, weights):
    """Predictions (M,) and d prediction / d w (N, M) in rational arithmetic: Gauss-Jordan on X^T W X, rounded once at the end."""
    X, y, X_query, w = (np.vectorize(Fraction, otypes=[object])(values) for values in (X, y, X_query, weights))
    d = X.shape[1]
    rows = np.concatenate([X.T @ (w[:, None] * X), (X.T @ (w * y))[:, None], X_query.T], axis=1)
    for k in range(d):
        rows[k] = rows[k] / rows[k, k]
        for i in set(range(d)) - {k}:
            rows[i] = rows[i] - rows[i, k] * rows[k]
    theta, adjoint = rows[:, d], rows[:, d + 1 :]
    return (X_query @ theta).astype(float), (-(X @ adjoint) * (X @ theta - y)[:, None]).astype(float)


def hilbert_design(d):
    return linalg.hilbert(12)[:, :d]


def chain_design(d, pivot):
    """Unit columns, each almost collinear with the one before: all pivots of X^T X are `pivot`, its condition is far worse."""
    upper = np.diag(np.sqrt([1.0] + [pivot] * (d - 1))) + np.diag(np.full(d - 1, np.sqrt(1.0 - pivot)), 1)
    return np.linalg.qr(np.random.default_rng(1).standard_normal((12, d)))[0] @ upper


ILL_CONDITIONED = [
    pytest.param(hilbert_design(3), id="Hilbert, 3 columns, condition 2e2"),
    pytest.param(hilbert_design(4), id="Hilbert, 4 columns, condition 3e3"),
    pytest.param(hilbert_design(6), id="Hilbert, 6 columns, condition 2e6"),
    pytest.param(hilbert_design(7), id="Hilbert, 7 columns, condition 5e7"),
    pytest.param(np.vander(np.linspace(0.0, 1.0, 12), 6), id="polynomials of degree 5, condition 3e3"),
    pytest.param(np.vander(np.linspace(0.0, 1.0, 12), 9), id="polynomials of degree 8, condition 1e6"),
    pytest.param(chain_design(3, 1e-3), id="chain of 3 columns, condition 2e3"),
    pytest.param(chain_design(3, 1e-5), id="chain of 3 columns, condition 2e5"),
    pytest.param(chain_design(4, 1e-4), id="chain of 4 columns, condition 2e6"),
    pytest.param(chain_design(4, 1e-5), id="chain of 4 columns, condition 6e7"),
    pytest.param(chain_design(5, 1e-4), id="chain of 5 columns, condition 2e8"),
]


@pytest.mark.parametrize("X", ILL_CONDITIONED)
def test_fit_is_as_accurate_as_the_conditioning_allows(X):
    """A backward stable solver loses one factor kappa = cond(sqrt(W) X) in the fitted values (Golub & Van Loan 2013, 5.3.7).

    Normal equations lose kappa^2. The learner leaves them where kappa^2 may be beyond 1e4: they may cost 10 eps 1e4.
    """
    rng = np.random.default_rng(4)
    y, weights = rng.standard_normal(12), rng.uniform(0.5, 2.0, 12)
    fit, derivative = exact_fit(X, y, X, weights)
    condition = np.linalg.cond(np.sqrt(weights)[:, None] * X)
    allowed = max(100.0 * EPS * condition, NORMAL_EQUATIONS)
    learner = LeastSquares(X, y, X)
    assert_close(predictions(learner, weights), fit, rtol=allowed, call=f"fitted values at condition {condition:.0e}")
    ours = weight_derivative(learner, weights, (0,))
    assert_close(ours, derivative, rtol=allowed, call=f"derivative at condition {condition:.0e}")


FOUR_POINTS_FIVE_COLUMNS = [[2, 201, 100, -2, -2], [-1, -103, -303, -303, -3], [-2, -198, 201, 103, 3], [0, 1, 103, 302, 2]]
FOUR_POINTS_RANK_THREE = [[2, 397, -600, 0], [3, 599, -201, -1], [3, 597, -600, 0], [1, 199, -201, -1]]
DEFICIENT = [
    pytest.param(FOUR_POINTS_FIVE_COLUMNS, id="4 points, 5 columns"),
    pytest.param(FOUR_POINTS_RANK_THREE, id="4 points, 4 columns, rank 3"),
    pytest.param(np.vander(np.linspace(0.0, 1.0, 6), 7), id="6 points, 7 powers"),
    pytest.param([[1, 2], [2, 4], [3, 6]], id="proportional columns"),
    pytest.param([[1, 0], [2, 0]], id="a column of zeros"),
]


@pytest.mark.parametrize("X", DEFICIENT)
def test_a_rank_deficient_design_is_refused(X):
    with pytest.raises(ValueError, match=r"has rank \d in \d columns"):
        LeastSquares(X, np.ones(len(X)), X).respond(np.ones((1, len(X))), (0,))


@pytest.mark.parametrize("X", DEFICIENT)
def test_min_norm_of_a_rank_deficient_design_is_the_pseudo_inverse(X):
    y = np.arange(len(X)) % 2 + 1.0
    theta = predictions(LeastSquares(X, y, np.eye(len(X[0])), undefined="min_norm"), np.ones(len(X)))
    singular = np.linalg.svd(X)[1]
    condition = singular[0] / singular[singular > 1e-12 * singular[0]].min()
    assert_close(theta, np.linalg.pinv(X, rcond=1e-12) @ y, rtol=max(100 * EPS * condition, 1e-12), call="min_norm against pinv")


@pytest.mark.parametrize("X", ILL_CONDITIONED)
def test_parameters_of_an_ill_conditioned_design_are_as_good_as_lstsq(X):
    rng = np.random.default_rng(4)
    y, d = rng.standard_normal(12), X.shape[1]
    theta, _ = exact_fit(X, y, np.eye(d), np.ones(12))
    scale = np.abs(theta).max()
    by_lstsq = np.abs(np.linalg.lstsq(X, y, rcond=None)[0] - theta).max() / scale
    ours = np.abs(predictions(LeastSquares(X, y, np.eye(d)), np.ones(12)) - theta).max() / scale
    assert ours <= max(100.0 * by_lstsq, NORMAL_EQUATIONS), f"theta is off by {ours:.1e}, lstsq's by {by_lstsq:.1e}"


# --- the derivative --------------------------------------------------------------------------------------------------------


def by_complex_step(learner, weights):
    """D (N, M): the imaginary part of the normal equations at w_i + 1e-30 i."""
    n, d = learner.X.shape
    derivative = np.empty((n, learner.n_outputs))
    for i in range(n):
        w = weights + 1e-30j * (np.arange(n) == i)
        scale = {"n_points": n, "sum": 1.0, "weight_sum": w.sum(), "support": np.count_nonzero(weights)}[learner.normalization]
        normal = (learner.X.T * w) @ learner.X + scale * learner.l2 * np.eye(d)
        derivative[i] = (learner.X_query @ np.linalg.solve(normal, learner.X.T @ (w * learner.y))).imag / 1e-30
    return derivative


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("l2", [0.0, 1e-2, 1.0])
def test_derivative_equals_a_complex_step(normalization, l2):
    learner, rng = random_learner(5, l2=l2, normalization=normalization)
    for weights in rng.uniform(0.2, 2.0, (5, 10)):
        expected = by_complex_step(learner, weights)
        assert_close(weight_derivative(learner, weights, (0,)), expected, rtol=1e-12, call=f"D at {weights}")


@pytest.mark.parametrize("normalization", ["n_points", "sum"])
def test_hessian_influence_of_the_linearization_equals_the_derivative(normalization):
    learner, rng = random_learner(5, normalization=normalization)
    weights = rng.uniform(0.2, 2.0, 10)
    influence = hessian_influence(learner.linearize(weights, (0,)))
    assert_close(influence, weight_derivative(learner, weights, (0,)), rtol=1e-12, call="I against D")


def test_linearization_is_that_of_the_objective_with_its_fixed_1_over_n():
    learner, rng = random_learner(6)
    weights = rng.uniform(0.2, 2.0, 10)
    at = learner.linearize(weights, (3, 1))
    residual = learner.X @ at.params[0] - learner.y
    assert_close(at.hessian[0], (learner.X.T * weights) @ learner.X / 10 + 0.1 * np.eye(3), rtol=1e-14, call="hessian")
    assert_close(at.point_gradients[0], residual[:, None] * learner.X, rtol=1e-14, call="point_gradients")
    assert_close(at.output_gradients[0], learner.X_query, call="output_gradients")
    assert_close(at.gradient_norm, [0.0, 0.0], atol=100 * EPS, call="gradient_norm")
    assert_close(at.params[1], at.params[0], call="the other seed")


def test_leave_one_out_on_longley_is_statsmodels_and_the_derivative_over_one_minus_leverage(longley):
    """F(1) - F(1 - e_i) = D_i(1) / (1 - h_i) (T4): theta (dfbeta), the own fitted value (h_i e_i / (1 - h_i)), PRESS."""
    X, y = longley
    influence, learner = OLSInfluence(sm.OLS(y, X).fit()), LeastSquares(X, y, np.concatenate([np.eye(7), X]))
    loo, derivative = leave_one_out(learner), derivative_at_one(learner)
    leverage = influence.hat_matrix_diag
    assert_close(loo, derivative / (1.0 - leverage[:, None]), rtol=1e-8, call="LOO against D / (1 - h)")
    assert_close(loo[:, :7], influence.dfbeta, rtol=1e-8, call="LOO of theta against dfbeta")
    assert_close(np.diag(loo[:, 7:]), influence.influence, rtol=1e-8, call="LOO of the own fitted value against h e / (1 - h)")
    press = y - np.diag(predictions(learner, 1.0 - np.eye(16))[:, 7:])
    assert_close(press, influence.resid_press, rtol=1e-8, call="left-out residuals against PRESS")
    assert_close(np.diag(derivative[:, 7:]), leverage * influence.resid, rtol=1e-8, call="D of the own fitted value against h e")


@pytest.mark.parametrize("factor", [-1.0, 2.0, 16.0, 1.0 / 16.0])
def test_comparison_with_dfbeta_sees_a_wrong_factor(factor, longley):
    X, y = longley
    influence = OLSInfluence(sm.OLS(y, X).fit())
    expected = influence.dfbeta * (1.0 - influence.hat_matrix_diag[:, None])
    derivative = derivative_at_one(LeastSquares(X, y, np.eye(7)))
    assert_close(derivative, expected, rtol=1e-8, call="D(1) of theta on Longley")
    with pytest.raises(AssertionError, match="differs by"):
        assert_close(factor * derivative, expected, rtol=1e-8)


# --- minimum norm ----------------------------------------------------------------------------------------------------------


def rank_deficient_learner(seed):
    """Six points in four columns that span three directions; the last point alone spans the third."""
    rng = np.random.default_rng(seed)
    directions = np.linalg.qr(rng.standard_normal((4, 3)))[0].T
    coordinates = rng.standard_normal((6, 3)) * [1.0, 1.0, 0.0]
    coordinates[5, 2] = 1.0
    return LeastSquares(coordinates @ directions, rng.standard_normal(6), rng.standard_normal((3, 4)), undefined="min_norm"), rng


@pytest.mark.parametrize("absent", [(), (0,), (5,), (0, 5), (0, 1, 2), (0, 1, 2, 3), (1, 2, 3, 4, 5), (0, 1, 2, 3, 4, 5)])
def test_min_norm_derivative_is_nan_exactly_where_the_response_jumps(absent):
    learner, rng = rank_deficient_learner(0)
    weights = rng.uniform(0.5, 2.0, 6)
    weights[list(absent)] = 0.0
    undefined = np.isnan(weight_derivative(learner, weights, (0,)))
    np.testing.assert_array_equal(undefined, response_jumps(learner, weights))
    assert undefined.any() == (5 in absent or len(absent) >= 4)


def test_min_norm_derivative_is_zero_for_an_output_that_does_not_see_the_new_direction():
    """X = I, query e_0: F(w) = y_0 for every w with w_0 > 0, so dF/dw_1 = 0 at w = (1, 0), though point 1 adds a direction."""
    learner = LeastSquares(np.eye(2), [1.0, 2.0], [[1.0, 0.0], [0.0, 1.0]], undefined="min_norm")
    weights = np.array([1.0, 0.0])
    np.testing.assert_array_equal(response_jumps(learner, weights), [[False, False], [False, True]])
    np.testing.assert_array_equal(weight_derivative(learner, weights, (0,)), [[0.0, 0.0], [0.0, np.nan]])


def test_min_norm_interpolators_have_no_derivative_at_one_but_do_have_leave_one_out():
    """T11: with more columns than points theta(w) is the same for all w > 0."""
    learner, rng = random_learner(7, n=5, d=9, l2=0.0, undefined="min_norm")
    for weights in (np.ones(5), rng.uniform(0.1, 3.0, 5)):
        assert_close(learner.X @ learner.linearize(weights, (0,)).params[0], learner.y, atol=1e-13, call="interpolation")
        assert_close(weight_derivative(learner, weights, (0,)), np.zeros((5, 4)), atol=1e-13, call="D")
    assert np.abs(leave_one_out(learner)).max() > 0.1


def test_derivative_of_a_deleted_point_of_an_interpolator_is_undefined():
    learner, _ = random_learner(7, n=5, d=9, l2=0.0, undefined="min_norm")
    undefined = np.isnan(weight_derivative(learner, np.array([1.0, 0.0, 1.0, 1.0, 0.0]), (0,)))
    np.testing.assert_array_equal(undefined, np.repeat([[False], [True], [False], [False], [True]], 4, axis=1))


# --- normalisation (T10) ---------------------------------------------------------------------------------------------------


def with_normalization(learner, normalization, l2=None):
    return dataclasses.replace(learner, normalization=normalization, l2=learner.l2 if l2 is None else l2)


def test_sum_with_n_times_the_penalty_is_n_points():
    learner, rng = random_learner(8)
    summed, weights = with_normalization(learner, "sum", 10 * learner.l2), many_weights(rng, 10)
    assert_close(predictions(summed, weights), predictions(learner, weights), rtol=1e-13, call="response")
    ours, theirs = (x.weight_jacobian(weights, (0,)) for x in (summed, learner))
    assert_close(ours, theirs, rtol=1e-13, call="Jacobian")
    wrong = predictions(with_normalization(learner, "sum"), weights)
    assert np.abs(wrong - predictions(learner, weights)).max() > 1e-2  # the same l2 is another learner


def test_dividing_by_the_weight_sum_takes_the_mean_off_the_derivative_at_one():
    learner, _ = random_learner(8)
    derivative = derivative_at_one(learner)
    centred = derivative - derivative.mean(axis=0)
    assert np.abs(derivative.mean(axis=0)).max() > 1e-3
    assert_close(derivative_at_one(with_normalization(learner, "weight_sum")), centred, rtol=1e-12, call="D - mean D")


def test_dividing_by_the_support_leaves_the_derivative_but_not_leave_one_out():
    """The derivative at 1 is that of the fixed 1/N; deletion also divides by N - 1, which is 1/N with l2 (N - 1) / N."""
    learner, _ = random_learner(8)
    support = with_normalization(learner, "support")
    assert_close(derivative_at_one(support), derivative_at_one(learner), rtol=1e-14, call="D under support")
    deleted = predictions(dataclasses.replace(learner, l2=learner.l2 * 9 / 10), 1.0 - np.eye(10))
    expected = predictions(learner, np.ones(10)) - deleted
    assert_close(leave_one_out(support), expected, rtol=1e-12, call="LOO under support")
    assert np.abs(leave_one_out(support) - leave_one_out(learner)).max() > 1e-3


def test_leave_one_out_under_support_follows_the_derivative_under_weight_sum():
    """For many points LOO under support is D - mean D up to O(1/N^2), and not support's own derivative, which is O(1/N) off."""
    gaps = {}
    for n in (50, 200):
        learner, _ = random_learner(9, n=n, l2=1.0, normalization="support")
        loo = leave_one_out(learner)
        own, centred = derivative_at_one(learner), derivative_at_one(with_normalization(learner, "weight_sum"))
        gaps[n] = np.abs(loo - own).mean(), np.abs(loo - centred).mean()
    assert gaps[200][1] < 0.2 * gaps[200][0]
    assert 2.0 < gaps[50][0] / gaps[200][0] < 8.0 < gaps[50][1] / gaps[200][1]  # 4 and 16 to leading order


def test_upweighting_by_epsilon_has_n_times_the_derivative():
    """theta_eps = argmin (1/N) sum_j l_j + eps l_i + (l2/2) ||theta||^2: d/d eps = N d/dw_i, by a complex step in eps."""
    learner, _ = random_learner(8)
    X, y, expected = learner.X, learner.y, np.empty((10, 4))
    for i in range(10):
        normal = X.T @ X / 10 + 1e-30j * np.outer(X[i], X[i]) + learner.l2 * np.eye(3)
        right = X.T @ y / 10 + 1e-30j * X[i] * y[i]
        expected[i] = (learner.X_query @ np.linalg.solve(normal, right)).imag / 1e-30
    assert_close(10 * derivative_at_one(learner), expected, rtol=1e-13, call="N D_i(1) against d/d eps")
