"""Influence against the exact derivative, by every method; Newton steps against refits; the bound on leave-one-out (T12)."""

from dataclasses import replace
from functools import cache

import numpy as np
import plain_mlp as plain
import pytest
import statsmodels.api as sm
import strategies
from assertions import arrays_of, assert_close, assert_identical
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special
from sklearn.linear_model import LogisticRegression
from statsmodels.stats.outliers_influence import OLSInfluence

from sims.learners import LeastSquares, Logistic
from sims.learners.mlp import MLP
from theory.derivatives import finite_difference
from theory.influence import (
    METHODS,
    Attribution,
    hessian_influence,
    influence,
    leverages,
    loo_gap_bound,
    newton_change,
    null_space_sizes,
)
from theory.influence.curvature import CURVATURES, curvature_matrix
from theory.metrics import compare
from theory.response import Fit, Layer, Linearization, mean_response, weight_derivative

SEEDS = [0]


def problem(kind, seed, l2):
    rng = np.random.default_rng(seed)
    n, d = int(rng.integers(4, 12)), int(rng.integers(1, 4))
    X = rng.standard_normal((n, d)) * 10.0 ** rng.uniform(-1.0, 0.5)
    if kind == "ridge":
        return LeastSquares(X, rng.standard_normal(n), np.eye(d), l2=l2)
    y = (rng.random(n) < 0.5).astype(float)
    y[:2] = 0.0, 1.0
    return Logistic(X, y, np.eye(d), l2=l2)


def logistic_linearization(learner, theta):
    """At any theta, optimal or not, from the formulas of the logistic loss."""
    X, p = learner.X, special.expit(learner.X @ theta)
    gradients = (p - learner.y)[:, None] * X
    hessian = (X.T * (p * (1.0 - p))) @ X / len(X) + learner.l2 * np.eye(len(theta))
    norm = np.linalg.norm(gradients.mean(axis=0) + learner.l2 * theta)
    return Linearization(theta[None], hessian[None], gradients[None], learner.X_query[None], np.array([norm]))


@settings(max_examples=25)
@given(strategies.logistics())
def test_hessian_influence_of_converged_logistic_regression_is_the_derivative_at_one(learner):
    ones = np.ones(learner.n_points)
    scores = hessian_influence(learner.linearize(ones, SEEDS))
    assert scores.shape == (learner.n_points, learner.n_outputs)
    assert_close(scores, weight_derivative(learner, ones, SEEDS), rtol=1e-8)
    assert_close(scores, finite_difference(learner, ones, SEEDS).derivative, rtol=1e-8)


@settings(max_examples=25)
@given(strategies.least_squares())
def test_hessian_influence_of_ridge_is_the_derivative_at_one(learner):
    ones = np.ones(learner.n_points)
    scores = hessian_influence(learner.linearize(ones, SEEDS))
    assert_close(scores, weight_derivative(learner, ones, SEEDS), rtol=1e-8)
    assert_close(scores, finite_difference(learner, ones, SEEDS).derivative, rtol=1e-8)


def test_hessian_influence_at_other_weights_is_the_derivative_there():
    learner, w = problem("logistic", 3, 0.1), np.random.default_rng(0).uniform(0.2, 2.0, problem("logistic", 3, 0.1).n_points)
    assert_close(hessian_influence(learner.linearize(w, SEEDS)), weight_derivative(learner, w, SEEDS), rtol=1e-8)


def test_hessian_influence_is_minus_gradient_over_curvature_in_one_dimension():
    """Two points, H = 4, grad l = (1, -3), grad f = 2: I = -(1/2) 2 / 4 grad l = (-1/4, 3/4)."""
    linearization = Linearization(
        np.zeros((1, 1)), np.array([[[4.0]]]), np.array([[[1.0], [-3.0]]]), np.array([[[2.0]]]), np.zeros(1)
    )
    assert_close(hessian_influence(linearization), [[-0.25], [0.75]], rtol=1e-15)


@pytest.mark.parametrize("wrong", ["eps-upweighting, N times ours", "other sign", "factor 2"])
def test_the_scale_of_influence_is_seen_in_its_slope_on_the_derivative(wrong):
    learner = problem("logistic", 1, 0.1)
    n = learner.n_points
    factor = {"eps-upweighting, N times ours": n, "other sign": -1.0, "factor 2": 2.0}[wrong]
    scores = hessian_influence(learner.linearize(np.ones(n), SEEDS))
    comparison = compare(factor * scores, weight_derivative(learner, np.ones(n), SEEDS))
    assert comparison.slope == pytest.approx(factor, rel=1e-8)
    assert abs(comparison.pearson) == pytest.approx(1.0, abs=1e-12)
    assert comparison.relative_error > 0.9


def test_hessian_influence_after_one_gradient_step_is_wrong_by_a_large_factor():
    """theta(w) = -rate (1/N) sum_i w_i grad l_i(0): D_i = -(rate/N) x_q . grad l_i(0), exactly: off by 1/(rate H) (d = 1)."""
    learner = problem("logistic", 2, 0.01)
    n, rate = learner.n_points, 0.1
    start = logistic_linearization(learner, np.zeros(learner.X.shape[1]))
    theta = -rate * start.point_gradients[0].mean(axis=0)
    derivative = -rate / n * start.point_gradients[0] @ learner.X_query.T
    after_step = logistic_linearization(learner, theta)
    assert after_step.gradient_norm[0] > 1e-3
    comparison = compare(hessian_influence(after_step), derivative)
    assert comparison.slope == pytest.approx(1.0 / (rate * after_step.hessian.item()), rel=0.05)
    assert comparison.slope > 100.0
    assert comparison.spearman == pytest.approx(1.0)  # a rank correlation does not see it


def test_hessian_influence_away_from_the_optimum_is_not_the_derivative_of_the_optimum():
    learner = problem("logistic", 5, 0.01)
    ones = np.ones(learner.n_points)
    converged = learner.linearize(ones, SEEDS)
    assert_close(logistic_linearization(learner, converged.params[0]).hessian, converged.hessian, rtol=1e-13)
    exact = weight_derivative(learner, ones, SEEDS)
    errors = [
        compare(hessian_influence(logistic_linearization(learner, c * converged.params[0])), exact).relative_error
        for c in (1.0, 1.1, 2.0, 5.0)
    ]
    assert errors[0] < 1e-8
    assert 0.1 < errors[1] < 1.0 < errors[2] < 5.0 < errors[3]


@given(st.integers(1, 6), st.integers(1, 5), st.integers(1, 3), strategies.SEEDS)
def test_influence_is_the_mean_over_seeds_of_minus_the_solved_system_even_when_indefinite(n, d, m, seed):
    rng = np.random.default_rng(seed)
    vectors = np.linalg.qr(rng.standard_normal((2, d, d)))[0]
    spectrum = rng.uniform(0.5, 2.0, (2, d)) * rng.choice([-1.0, 1.0], (2, d))
    hessian = (vectors * spectrum[:, None]) @ vectors.transpose(0, 2, 1)
    hessian = 0.5 * (hessian + hessian.transpose(0, 2, 1))
    gradients, outputs = rng.standard_normal((2, n, d)), rng.standard_normal((2, m, d))
    linearization = Linearization(np.zeros((2, d)), hessian, gradients, outputs, np.zeros(2))
    expected = [-g @ np.linalg.inv(h) @ f.T / n for h, g, f in zip(hessian, gradients, outputs, strict=True)]
    assert_close(hessian_influence(linearization), np.mean(expected, axis=0), atol=1e-12 * np.abs(expected).max())


@given(st.integers(1, 5), st.integers(0, 4), strategies.SEEDS)
def test_a_singular_hessian_is_refused_with_the_size_of_its_null_space(rank, null, seed):
    """H = X'X / N of N = rank points in rank + null columns."""
    rng = np.random.default_rng(seed)
    d = rank + null
    X = np.linalg.qr(rng.standard_normal((d, d)))[0][:rank] * rng.uniform(0.5, 2.0, (rank, 1))
    linearization = Linearization(np.zeros((1, d)), (X.T @ X / rank)[None], X[None], np.ones((1, 1, d)), np.zeros(1))
    if null:
        with pytest.raises(np.linalg.LinAlgError, match=f"singular: {null} of its {d} eigenvalues are zero.*add an l2 penalty"):
            hessian_influence(linearization)
    else:
        assert np.isfinite(hessian_influence(linearization)).all()


def test_collinear_columns_are_refused_without_a_penalty_and_accepted_with_one():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((8, 3))
    X[:, 2] = X[:, 0] - 2.0 * X[:, 1]
    for l2 in (0.0, 0.1):
        linearization = LeastSquares(X, X[:, 0], X[:1], l2=l2, undefined="min_norm").linearize(np.ones(8), SEEDS)
        if l2:
            assert np.isfinite(hessian_influence(linearization)).all()
        else:
            with pytest.raises(np.linalg.LinAlgError, match="singular: 1 of its 3 eigenvalues"):
                hessian_influence(linearization)


def test_one_singular_seed_is_not_averaged_away():
    hessian = np.stack([np.eye(2), np.zeros((2, 2))])
    linearization = Linearization(np.zeros((2, 2)), hessian, np.ones((2, 3, 2)), np.ones((2, 1, 2)), np.zeros(2))
    with pytest.raises(np.linalg.LinAlgError, match="singular: 2 of its 2 eigenvalues"):
        hessian_influence(linearization)
    assert np.isfinite(hessian_influence(replace(linearization, hessian=np.stack([np.eye(2)] * 2)))).all()


def test_an_unknown_method_is_refused_with_the_list_of_known_ones():
    learner = problem("ridge", 0, 0.1)
    with pytest.raises(ValueError, match=r"method 'arnoldi' is unknown, expected one of .*exact.*"):
        hessian_influence(learner.linearize(np.ones(learner.n_points), SEEDS), method="arnoldi")


def loo_gaps_and_bounds(learner):
    """||theta(1 - e_i) - theta(1) + d theta / d w_i|| and the bound of T12 from analytic constants, for every point.

    Outputs are the parameters. Ridge: residuals along w_i: 1 -> 0 are monotone. Logistic: |p - y| <= 1, p (1 - p) <= 1/4 and
    |sigma'''| <= 1 / (6 sqrt 3).
    """
    n = learner.n_points
    length = np.linalg.norm(learner.X, axis=1)
    at_one = learner.linearize(np.ones(n), SEEDS)
    infinitesimal = -np.linalg.solve(at_one.hessian[0], at_one.point_gradients[0].T).T / n
    gaps, gradient = np.empty(n), length.copy()
    for i, e in enumerate(np.eye(n)):
        without = learner.linearize(np.ones(n) - e, SEEDS)
        gaps[i] = np.linalg.norm(without.params[0] - at_one.params[0] + infinitesimal[i])
        if isinstance(learner, LeastSquares):
            gradient[i] = max(np.linalg.norm(lin.point_gradients[0, i]) for lin in (at_one, without))
    is_logistic = isinstance(learner, Logistic)
    hessian = length**2 / 4.0 if is_logistic else length**2
    third = (length**3).sum() / (6.0 * np.sqrt(3.0)) if is_logistic else 0.0
    return gaps, loo_gap_bound(n * learner.l2, gradient, hessian, third)


@pytest.mark.parametrize("l2", [0.01, 0.1, 1.0, 10.0])
@pytest.mark.parametrize("kind", ["ridge", "logistic"])
def test_leave_one_out_of_convex_learners_stays_within_the_bound(kind, l2, record_property):
    largest = 0.0
    for seed in range(100):
        gaps, bounds = loo_gaps_and_bounds(problem(kind, seed, l2))
        assert (gaps <= bounds + 1e-12).all(), f"{kind}, l2 = {l2}, seed {seed}: gaps {gaps}, bounds {bounds}"
        largest = max(largest, float((gaps / bounds).max()))
    record_property("largest gap / bound", largest)
    assert largest > 0.1  # and the bound is not idle


@pytest.mark.parametrize("x", [0.3, 0.1, 0.01])
def test_the_bound_is_attained_by_a_weak_point_in_one_dimension(x):
    """Ridge with one informative point: gap / bound = (mu / (mu + x^2))^2, which tends to 1; half the bound is violated."""
    learner = LeastSquares([[x], [0.0]], [1.0, 0.0], [[1.0]], l2=0.5)
    mu = 2 * learner.l2
    gaps, bounds = loo_gaps_and_bounds(learner)
    assert gaps[0] / bounds[0] == pytest.approx((mu / (mu + x**2)) ** 2, rel=1e-6)
    assert gaps[0] > bounds[0] / 2.0


def test_the_bound_adds_its_two_terms():
    assert loo_gap_bound(2.0, 3.0, 5.0, 0.0) == 5.0 * 3.0 / 4.0
    assert loo_gap_bound(2.0, 3.0, 0.0, 7.0) == 7.0 * 9.0 / 16.0
    assert_close(loo_gap_bound(2.0, [3.0, 0.0], 5.0, 7.0), [15.0 / 4.0 + 63.0 / 16.0, 0.0], rtol=1e-15)


def test_influence_misses_leave_one_out_by_the_gap_in_the_outputs_too():
    """The predicted effect of removal is minus the score: F(1 - e_i) - F(1) + I_i is the gap of T12."""
    learner = problem("logistic", 5, 0.1)
    n = learner.n_points
    scores = hessian_influence(learner.linearize(np.ones(n), SEEDS))
    removed = mean_response(learner, np.ones((n, n)) - np.eye(n), SEEDS) - mean_response(learner, np.ones((1, n)), SEEDS)
    gaps, _ = loo_gaps_and_bounds(learner)
    assert_close(np.linalg.norm(removed + scores, axis=1), gaps, rtol=1e-7)
    assert (np.linalg.norm(removed - scores, axis=1) > gaps).all()


def made_up(hessian, seed=0, n=4, m=2):
    """A linearization of one seed with the given Hessian and random gradients."""
    rng, p = np.random.default_rng(seed), len(hessian)
    points, outputs = rng.standard_normal((1, n, p)), rng.standard_normal((1, m, p))
    return Linearization(np.zeros((1, p)), np.asarray(hessian)[None], points, outputs, np.zeros(1))


def test_pseudo_inverse_influence_is_the_exact_one_where_nothing_is_cut_off():
    linearization = made_up(np.diag([1.0, -0.5, 0.1]))
    assert_close(
        hessian_influence(linearization, "pseudo_inverse", cutoff=1e-3), hessian_influence(linearization), rtol=1e-12, call="full"
    )


def test_pseudo_inverse_influence_leaves_out_small_eigenvalues_of_either_sign_as_numpy_does():
    hessian = np.diag([2.0, -1e-3, 1e-5])
    linearization = made_up(hessian)
    for cutoff in (1e-2, 1e-4, 1e-6):
        inverse = np.linalg.pinv(hessian, rcond=cutoff)
        expected = -0.25 * linearization.point_gradients[0] @ inverse @ linearization.output_gradients[0].T
        assert_close(hessian_influence(linearization, "pseudo_inverse", cutoff=cutoff), expected, rtol=1e-12, call=f"{cutoff}")


def test_the_null_space_is_counted_relative_to_the_largest_eigenvalue():
    assert null_space_sizes(made_up(np.diag([-100.0, 1e-9, 0.0])), 1e-10).tolist() == [2]
    assert null_space_sizes(made_up(np.diag([-100.0, 1e-7, 0.0])), 1e-10).tolist() == [1]


# --- every method ------------------------------------------------------------------------------------------------------------


def method_options(method, at):
    """With which a method comes to what it approximates: all steps, full rank, damping far below every eigenvalue."""
    values, size = np.linalg.eigvalsh(at.hessian), at.params.shape[1]
    least, scale = values.min(), 1.01 * values.max()
    return {
        "damped": {"damping": 1e-11 * least},
        "conjugate_gradients": {"iterations": 50 * size},
        "lissa": {"depth": int(np.ceil(np.log(1e-9) / np.log1p(-least / scale))), "scale": scale},
        "low_rank": {"rank": size},
        "nystroem": {"rank": size},
    }.get(method, {})


def scores_of(method, at):
    return influence(at, method, **method_options(method, at)).scores


@cache
def converged(name):
    """(linearization, D(1) of every seed (R, N, M), for networks through all steps) of a positive definite fit."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((8, 2))
    labels = (X.prod(axis=1) > 0.0).astype(float)
    labels[0] = 1.0 - labels[0]
    queries, seeds = np.array([[1.5, -0.5], [0.2, 0.9]]), [0, 1]
    networks = {"linear network": ((), "logistic"), "linear network, squared": ((), "squared"), "network": ((3,), "logistic")}
    if name in networks:
        hidden, loss = networks[name]
        y = labels if loss == "logistic" else rng.standard_normal(8)
        learner = MLP(X, y, queries, hidden=hidden, loss=loss, activation="tanh", l2=0.02, steps=6000, learning_rate=0.3)
    else:
        X, queries = np.column_stack([np.ones(8), X]), np.column_stack([np.ones(2), queries])
        learner = Logistic(X, labels, queries, l2=0.05) if name == "logistic" else LeastSquares(X, X[:, 1] ** 2, queries, l2=0.05)
    at = learner.linearize(np.ones(8), seeds)
    assert at.gradient_norm.max() < 1e-10
    assert np.linalg.eigvalsh(at.hessian).min() > 1e-3
    return at, learner.weight_jacobian(np.ones((1, 8)), seeds)[0].swapaxes(1, 2)


CONVERGED = ("logistic", "ridge", "linear network", "linear network, squared", "network")
INVERT_THE_HESSIAN = ("exact", "damped", "pseudo_inverse", "conjugate_gradients", "lissa", "low_rank", "nystroem", "absolute")


@pytest.mark.parametrize("name", CONVERGED)
@pytest.mark.parametrize("method", INVERT_THE_HESSIAN)
def test_every_way_to_invert_a_positive_definite_hessian_gives_the_derivative_at_one(method, name):
    """The power left of LiSSA is 1e-9 of x; the others are exact up to rounding, or 1e-11 of damping."""
    at, derivative = converged(name)
    scores = scores_of(method, at)
    rtol = 1e-6 if method == "lissa" else 1e-8
    assert_close(scores, derivative, rtol=rtol, call=f"{method} against D(1)")
    assert_close(scores, influence(at).scores, rtol=rtol, call=f"{method} against exact")
    assert_close(hessian_influence(at, method, **method_options(method, at)), scores.mean(axis=0), rtol=1e-14, call="mean")


def test_all_solvers_agree_with_differences_of_scikit_learns_logistic_regression():
    """D_i(1) by central differences of fits with sample weights, h = 0.04, 0.02, 0.01, extrapolated to order h^6."""
    rng = np.random.default_rng(3)
    X, queries, l2 = rng.standard_normal((12, 3)), rng.standard_normal((4, 3)), 0.05
    y = (X[:, 0] + rng.standard_normal(12) > 0.0).astype(float)
    solver = LogisticRegression(C=1.0 / (12 * l2), fit_intercept=False, solver="newton-cholesky", tol=1e-14, max_iter=1000)

    def response(weights):
        return queries @ solver.fit(X, y, sample_weight=weights).coef_[0]

    def quotient(i, h):
        step = h * np.eye(12)[i]
        return (response(1.0 + step) - response(1.0 - step)) / (2.0 * h)

    coarse, middle, fine = (np.array([quotient(i, h) for i in range(12)]) for h in (0.04, 0.02, 0.01))
    once = (4.0 * middle - coarse) / 3.0, (4.0 * fine - middle) / 3.0
    expected = (16.0 * once[1] - once[0]) / 15.0
    at = Logistic(X, y, queries, l2=l2).linearize(np.ones(12), SEEDS)
    for method in ("exact", "conjugate_gradients", "lissa", "low_rank", "pseudo_inverse"):
        assert_close(scores_of(method, at)[0], expected, rtol=1e-5 if method == "lissa" else 1e-8, call=method)
    without_leverage = influence(at, "newton").scores[0] * (1.0 - leverages(at)[0])[:, None]
    assert_close(without_leverage, expected, rtol=1e-8, call="Newton step times 1 - h")


def test_newton_steps_on_a_quadratic_are_refits_by_statsmodels_without_each_point():
    X, y = stackloss()
    queries = np.random.default_rng(0).standard_normal((3, 4))
    whole = queries @ sm.OLS(y, X).fit().params
    without = np.array([queries @ sm.OLS(np.delete(y, i), np.delete(X, i, axis=0)).fit().params for i in range(21)])
    assert_close(newton_scores(LeastSquares(X, y, queries)), whole - without, rtol=1e-9, call="leave-one-out")


@pytest.mark.parametrize("name", [name for name in CONVERGED if name != "network"])
@pytest.mark.parametrize("method", ["gauss_newton", "fisher"])
def test_gauss_newton_and_fisher_influence_of_linear_models_is_the_derivative_at_one(method, name):
    at, derivative = converged(name)
    assert_close(scores_of(method, at), derivative, rtol=1e-8, call=method)


@pytest.mark.parametrize("method", ["gauss_newton", "fisher", "empirical_fisher", "kfac", "ekfac", "diagonal"])
def test_other_curvatures_of_a_network_are_not_its_hessian(method):
    at, derivative = converged("network")
    assert 0.03 < compare(scores_of(method, at), derivative).relative_error < 1e3


def factorial(noise=1.0, turn=0.0):
    """Least squares on the 2^3 factorial design: columns (1, 2 a, 3 b) turned in a plane, residuals +-noise along a b.

    The normal matrix is T^T diag(1, 4, 9) T, every leverage 3/8, and every squared residual noise^2.
    """
    a, b, c = (np.array([(-1.0) ** (i >> k & 1) for i in range(8)]) for k in range(3))
    rotation = np.array([[np.cos(turn), -np.sin(turn), 0.0], [np.sin(turn), np.cos(turn), 0.0], [0.0, 0.0, 1.0]])
    X = np.column_stack([np.ones(8), 2.0 * a, 3.0 * b]) @ rotation
    y = X @ [1.0, -2.0, 0.5] + noise * a * c
    queries = np.array([[1.0, 0.3, -0.7], [0.2, -1.0, 0.4]])
    learner = LeastSquares(X, y, queries)
    return learner.linearize(np.ones(8), SEEDS), weight_derivative(learner, np.ones(8), SEEDS)[None]


SLOPES = dict.fromkeys(METHODS, 1.0) | {"newton": 1.0 / (1.0 - 3.0 / 8.0)}


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_the_sign_and_the_1_over_n_of_the_derivative(method):
    """All are exact on the factorial design: H is diagonal, c = 1, deltas = 1 and squared residuals are 1. Newton is LOO."""
    at, derivative = factorial()
    scores = scores_of(method, at)
    assert_close(scores, SLOPES[method] * derivative, rtol=1e-7 if method == "lissa" else 1e-10, call=method)
    assert compare(scores, derivative).slope == pytest.approx(SLOPES[method], rel=1e-7)
    for factor in (8.0, 1.0 / 8.0, -1.0, 2.0):
        with pytest.raises(AssertionError, match="differs by"):
            assert_close(factor * scores, SLOPES[method] * derivative, rtol=0.1)


@pytest.mark.parametrize("method", METHODS)
def test_on_a_turned_design_every_method_but_the_diagonal_remains_exact(method):
    at, derivative = factorial(turn=0.5)
    error = compare(scores_of(method, at), SLOPES[method] * derivative).relative_error
    assert 0.1 < error < 1.0 if method == "diagonal" else error < 1e-7


@pytest.mark.parametrize("method", METHODS)
def test_only_the_empirical_fisher_takes_the_noise_for_curvature(method):
    """Its slope is 1 / sigma^2 for residuals of size sigma, where the model's own noise is 1; no other method sees sigma."""
    at, derivative = factorial(noise=0.5)
    slope = compare(scores_of(method, at), derivative).slope
    assert slope == pytest.approx((4.0 if method == "empirical_fisher" else 1.0) * SLOPES[method], rel=1e-7)


@pytest.mark.parametrize("n", [500, 5000])
def test_empirical_fisher_of_a_well_specified_model_has_slope_one_up_to_sampling(n):
    """Kunstner et al. 2019: for y = X theta + noise of variance 1 it tends to H; errors of its entries are sqrt((15 - 1) / N)."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 3))
    learner = LeastSquares(X, X @ [1.0, 2.0, 3.0] + rng.standard_normal(n), np.eye(3))
    derivative = weight_derivative(learner, np.ones(n), SEEDS)
    comparison = compare(hessian_influence(learner.linearize(np.ones(n), SEEDS), "empirical_fisher"), derivative)
    assert comparison.slope == pytest.approx(1.0, abs=3.0 * np.sqrt(14.0 / n))
    assert comparison.relative_error < 3.0 * np.sqrt(3.0 * 14.0 / n)


@pytest.mark.parametrize("damping", [1e-6, 1e-2, 1.0])
def test_damping_shrinks_every_direction_by_its_eigenvalue(damping):
    """Score of the damped Hessian in an eigenvector v: lambda / (lambda + damping) times the exact one."""
    at, _ = converged("network")
    for r in range(2):
        values, vectors = np.linalg.eigh(at.hessian[r])
        along = replace(at, output_gradients=np.stack([vectors.T] * 2))
        exact, damped = (influence(along, m, damping=d).scores[r] for m, d in (("exact", 0.0), ("damped", damping)))
        assert_close(damped, exact * values / (values + damping), rtol=1e-9, call=f"damping {damping}")
        assert_identical(influence(along, damping=damping).scores[r], damped, call="exact with damping")


def test_damping_adds_to_every_curvature_once():
    at, _ = converged("network")
    size = at.params.shape[1]
    for kind in CURVATURES:
        found = influence(at, curvature=kind, damping=0.3)
        plain_scores = influence(replace(at, hessian=curvature_matrix(at, kind) + 0.3 * np.eye(size))).scores
        assert_close(found.scores, plain_scores, rtol=1e-10, call=kind)
        if kind != "hessian":
            assert_identical(influence(at, kind, damping=0.3).scores, found.scores, call=f"method {kind}")


@pytest.mark.parametrize("solver", ["pseudo_inverse", "conjugate_gradients", "lissa", "low_rank", "nystroem"])
def test_solvers_invert_the_curvature_that_they_are_told(solver):
    at, _ = converged("network")
    options = method_options(solver, replace(at, hessian=curvature_matrix(at, "gauss_newton")))
    found = influence(at, solver, curvature="gauss_newton", **options).scores
    assert_close(found, influence(at, "gauss_newton").scores, rtol=1e-6, call=solver)
    assert np.abs(found - influence(at).scores).max() > 0.01 * np.abs(found).max()


def test_nystroem_knows_the_penalty_as_part_of_its_curvature():
    """Gauss-Newton of 3 points in 9 parameters is of rank 3 beside its penalty: three directions are enough."""
    learner = MLP([[0.5, 1.0], [-1.0, 0.3], [0.2, -0.4]], [0.0, 1.0, 1.0], [[1.0, 1.0]], hidden=(2,), steps=50, l2=0.1)
    at = learner.linearize(np.ones(3), [0, 1])
    exact = influence(at, "gauss_newton").scores
    for seed in range(3):
        found = influence(at, "nystroem", curvature="gauss_newton", rank=3, seed=seed).scores
        assert_close(found, exact, rtol=1e-7, call=f"seed {seed}")
    assert np.abs(influence(at, "nystroem", curvature="gauss_newton", rank=2).scores - exact).max() > 1e-2 * np.abs(exact).max()


def test_nystroem_of_the_absolute_hessian_takes_off_the_damping_and_not_the_penalty():
    """|H| of rank 3 beside its damping needs three directions; its null space does not hold the penalty that H had."""
    at, _ = converged("network")
    vectors = np.linalg.qr(np.random.default_rng(0).standard_normal((13, 3)))[0]
    saddle = replace(at, hessian=np.stack([(vectors * [1.0, -0.5, 0.2]) @ vectors.T] * 2))
    assert saddle.fit.penalty > 0.0
    found = influence(saddle, "nystroem", curvature="absolute", rank=3, damping=0.01).scores
    assert_close(found, influence(saddle, "absolute", damping=0.01).scores, rtol=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_seeds_together_have_the_influence_of_seeds_alone(method):
    at, _ = converged("network")
    fit = at.fit
    for r in range(2):
        layers = tuple(Layer(layer.inputs[[r]], layer.deltas[[r]]) for layer in fit.layers)
        per_seed = {name: getattr(fit, name)[[r]] for name in ("gradients", "slopes", "curvatures", "fisher")}
        names = ("params", "hessian", "point_gradients", "output_gradients", "gradient_norm")
        alone = Linearization(**{n: getattr(at, n)[[r]] for n in names}, fit=replace(fit, layers=layers, **per_seed))
        options = method_options(method, at)
        together, single = (influence(part, method, **options) for part in (at, alone))
        assert_close(together.scores[[r]], single.scores, rtol=1e-9, atol=1e-13, call=f"scores of {method}")
        for name in ("residual", "least_eigenvalue"):
            found, expected = together.diagnostics[name][[r]], single.diagnostics[name]
            assert_close(found, expected, rtol=1e-9, atol=1e-13, call=f"{name} of {method}")


@pytest.mark.parametrize("method", METHODS)
def test_influence_does_not_write_into_the_linearization(method):
    at, _ = factorial(turn=0.5)
    for array in arrays_of(at).values():
        array.flags.writeable = False
    scores_of(method, at)
    newton_change(at, np.ones((1, 8)))
    leverages(at)


# --- Newton steps and leverages ----------------------------------------------------------------------------------------------


def stackloss():
    """Brownlee's 21 days of a plant, with an intercept; air flow, temperature and acid centred and scaled."""
    data = sm.datasets.stackloss.load_pandas()
    columns = np.asarray(data.exog)
    return np.column_stack([np.ones(21), (columns - columns.mean(axis=0)) / columns.std(axis=0)]), np.asarray(data.endog)


def spector():
    """32 students, 3 predictors and an intercept; the classes overlap."""
    data = sm.datasets.spector.load_pandas()
    return np.column_stack([np.ones(32), np.asarray(data.exog)]), np.asarray(data.endog)


def newton_scores(learner):
    return hessian_influence(learner.linearize(np.ones(learner.n_points), SEEDS), "newton")


def test_newton_on_stackloss_is_statsmodels_dfbeta():
    """OLSInfluence.dfbeta[i] = theta - theta without i, (X^T X)^-1 x_i e_i / (1 - h_i): our LOO with theta as the outputs."""
    X, y = stackloss()
    expected = OLSInfluence(sm.OLS(y, X).fit())
    learner = LeastSquares(X, y, np.eye(4))
    assert_close(newton_scores(learner), expected.dfbeta, rtol=1e-9, call="dfbeta")
    leverage = leverages(learner.linearize(np.ones(21), SEEDS))
    assert_close(leverage, expected.hat_matrix_diag[None], rtol=1e-10, call="leverages")
    assert leverage.sum() == pytest.approx(4.0, rel=1e-12)


def test_newton_on_spector_is_statsmodels_one_step_deletion():
    """GLMInfluence.d_params = pinv(sqrt(V) X) r_i / (1 - h_i) with Pearson residuals r: no sign, no N between theirs and ours."""
    X, y = spector()
    expected = sm.GLM(y, X, family=sm.families.Binomial()).fit(tol=1e-14, maxiter=100).get_influence()
    learner = Logistic(X, y, np.eye(4), l2=0.0)
    assert_close(newton_scores(learner), expected.d_params, rtol=1e-8, call="d_params")
    leverage = leverages(learner.linearize(np.ones(32), SEEDS))
    assert_close(leverage, expected.hat_matrix_diag[None], rtol=1e-8, call="leverages")
    assert leverage.sum() == pytest.approx(4.0, rel=1e-8)
    for factor in (-1.0, 32.0, 1.0 / 32.0, 2.0):
        with pytest.raises(AssertionError, match="differs by"):
            assert_close(factor * newton_scores(learner), expected.d_params, rtol=1e-8)


@pytest.mark.parametrize("family", ["logistic", "squared"])
@given(strategies.SEEDS)
def test_newton_and_leverages_are_those_of_statsmodels_on_random_data(family, seed):
    """Overlapping classes: each point stands twice, once with either label."""
    rng = np.random.default_rng(seed)
    X = np.repeat(rng.standard_normal((8, 3)), 2, axis=0)
    if family == "logistic":
        y = np.resize([0.0, 1.0], 16)
        X[8:] += 0.3 * rng.standard_normal((8, 3))
        learner = Logistic(X, y, np.eye(3), l2=0.0)
        expected = sm.GLM(y, X, family=sm.families.Binomial()).fit(tol=1e-14, maxiter=100).get_influence()
        change = expected.d_params
    else:
        y = rng.standard_normal(16)
        learner = LeastSquares(X, y, np.eye(3))
        expected = OLSInfluence(sm.OLS(y, X).fit())
        change = expected.dfbeta
    leverage = leverages(learner.linearize(np.ones(16), [0, 1]))
    assert_close(newton_scores(learner), change, rtol=1e-8, call="change of theta")
    assert_close(leverage, np.stack([expected.hat_matrix_diag] * 2), rtol=1e-8, call="leverages")
    assert_close(leverage.sum(axis=1), [3.0, 3.0], rtol=1e-8, call="sum")


def refitted(learner, weights):
    """F(w) by numpy's lstsq of sqrt(w) X, with sqrt(N l2) I below where there is a penalty."""
    n, d = learner.X.shape
    rows = np.concatenate([np.sqrt(weights)[:, None] * learner.X, np.sqrt(n * learner.l2) * np.eye(d)])
    theta = np.linalg.lstsq(rows, np.concatenate([np.sqrt(weights) * learner.y, np.zeros(d)]), rcond=None)[0]
    return learner.X_query @ theta


@pytest.mark.parametrize("l2", [0.0, 0.1])
@given(strategies.SEEDS)
def test_newton_change_of_least_squares_is_the_refit_on_the_remaining_points(l2, seed):
    """Groups of up to 6 of 12 points, and arbitrary weights; from weights 1 and from others."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((12, 3))
    learner = LeastSquares(X, rng.standard_normal(12), rng.standard_normal((2, 3)), l2=l2)
    groups = np.ones((4, 12))
    for row, size in zip(groups, (1, 2, 4, 6), strict=True):
        row[rng.permutation(12)[:size]] = 0.0
    goals = np.concatenate([groups, rng.uniform(0.2, 2.0, (2, 12))])
    condition = max(np.linalg.cond((X.T * w) @ X / 12 + l2 * np.eye(3)) for w in goals)
    for start in (np.ones(12), rng.uniform(0.2, 2.0, 12)):
        expected = np.stack([refitted(learner, w) - refitted(learner, start) for w in goals])
        changes = newton_change(learner.linearize(start, [0, 1]), goals)
        assert_close(changes, np.stack([expected] * 2), rtol=1e-12 * max(condition, 100.0), call="groups")


@settings(max_examples=25)
@given(st.one_of(strategies.logistics(), strategies.least_squares()))
def test_newton_change_of_a_single_removal_is_minus_the_newton_score(learner):
    """Sherman and Morrison: a step with the Hessian without point i is the step with the whole one over 1 - h_i."""
    n = learner.n_points
    at = learner.linearize(np.ones(n), [0, 1])
    for damping in (0.0, 0.3):
        scores = influence(at, "newton", damping=damping).scores
        assert_close(newton_change(at, 1.0 - np.eye(n), damping=damping), -scores, rtol=1e-9, call=f"damping {damping}")


def test_newton_change_of_logistic_groups_is_one_newton_step_of_statsmodels():
    """theta(1) - Hess^-1 score of the log-likelihood with frequency weights w, at theta(1)."""
    X, y = spector()
    learner = Logistic(X, y, np.eye(4), l2=0.0)
    at, weights = learner.linearize(np.ones(32), SEEDS), np.ones((3, 32))
    weights[0, [0, 5, 13]], weights[1, 20:24], weights[2, 3] = 0.0, 0.0, 2.0
    expected = []
    for w in weights:
        model = sm.GLM(y, X, family=sm.families.Binomial(), freq_weights=w)
        expected.append(-np.linalg.solve(model.hessian(at.params[0], observed=False), model.score(at.params[0])))
    changes = newton_change(at, weights)
    assert_close(changes[0], expected, rtol=1e-7, call="one step")
    removed = mean_response(learner, weights, SEEDS) - mean_response(learner, np.ones((1, 32)), SEEDS)
    first_order = (weights - 1.0) @ hessian_influence(at)
    assert np.linalg.norm(changes[0] - removed) < np.linalg.norm(first_order - removed)
    assert np.linalg.norm(changes[0] - removed) > 0.01 * np.linalg.norm(removed)  # one step is not the optimum


def test_newton_change_of_a_network_moves_the_hessian_by_gauss_newton_terms_of_its_jacobian():
    at, _ = converged("network")
    weights = np.ones((1, 8))
    weights[0, [1, 4]] = 0.0
    for r in range(2):
        theta, fit = at.params[r], at.fit
        net = MLP(np.zeros((1, 2)), [0.0], np.zeros((1, 2)), hidden=(3,), loss="squared", activation="tanh")
        inputs = fit.layers[0].inputs[r, :, :2]
        jacobian = plain.complex_step(lambda t, x=inputs, net=net: np.array([plain.output(net, t, point) for point in x]), theta)
        p = special.expit([plain.output(net, theta, x) for x in inputs])
        gone = jacobian[[1, 4]]
        moved = at.hessian[r] - (gone.T * (p * (1 - p))[[1, 4]]) @ gone / 8 + 0.05 * np.eye(len(theta))
        expected = at.output_gradients[r] @ np.linalg.solve(moved, at.point_gradients[r, [1, 4]].sum(axis=0) / 8)
        assert_close(newton_change(at, weights, damping=0.05)[r, 0], expected, rtol=1e-9, call=f"seed {r}")


def test_no_move_changes_nothing_and_a_second_copy_does():
    at, _ = factorial()
    assert_identical(newton_change(at, np.ones((2, 8))), np.zeros((1, 2, 2)))
    assert np.abs(newton_change(at, np.ones((1, 8)) + np.eye(8)[:1])).max() > 0.01


def test_leverages_with_weights_and_damping_are_those_of_a_weighted_ridge_fit():
    """h = diag of sqrt(W) X (X^T W X + N lambda I)^-1 X^T sqrt(W), lambda = l2 + damping; by QR of the rows with a penalty."""
    rng = np.random.default_rng(0)
    X, w = rng.standard_normal((9, 3)), rng.uniform(0.0, 2.0, 9)
    at = LeastSquares(X, rng.standard_normal(9), np.eye(3), l2=0.1).linearize(w, SEEDS)
    for damping in (0.0, 0.4):
        rows = np.concatenate([np.sqrt(w)[:, None] * X, np.sqrt(9 * (0.1 + damping)) * np.eye(3)])
        q = np.linalg.qr(rows)[0]
        assert_close(leverages(at, damping=damping)[0], (q[:9] ** 2).sum(axis=1), rtol=1e-12, call=f"damping {damping}")


@given(st.integers(4, 12), st.integers(1, 3), st.floats(0.0, 4.0), strategies.SEEDS)
def test_a_point_of_leverage_one_is_refused_at_any_condition_of_the_design(n, d, digits, seed):
    """Point 0 alone spans one direction. Without it no Newton step exists, by either function; others keep theirs."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    X[1:, 0] = 0.0
    left, right = np.linalg.qr(rng.standard_normal((2, d, d)))[0]
    X = X @ (left * 10.0 ** -np.linspace(0.0, digits, d)) @ right
    at = LeastSquares(X, rng.standard_normal(n), np.eye(d)).linearize(np.ones(n), SEEDS)
    with pytest.raises(np.linalg.LinAlgError, match=r"point 0 has leverage 1 \(seed number 0\).*add an l2 penalty or damping"):
        influence(at, "newton")
    with pytest.raises(np.linalg.LinAlgError, match=r"weights\[1\] leave a singular Hessian.*: 1 of its .*keep more points"):
        newton_change(at, np.stack([np.ones(n), 1.0 - np.eye(n)[0]]))
    assert np.isfinite(influence(at, "newton", damping=1e-3 * np.abs(at.hessian).max()).scores).all()


@given(st.integers(4, 60), st.integers(1, 3), strategies.SEEDS)
def test_removals_that_leave_too_few_points_are_refused_with_the_size_of_the_null_space(n, d, seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    at = LeastSquares(X, rng.standard_normal(n), np.eye(d)).linearize(np.ones(n), SEEDS)
    for left in range(d):
        with pytest.raises(np.linalg.LinAlgError, match=rf"weights\[0\] leave a singular Hessian .*: {d - left} of its {d} "):
            newton_change(at, np.concatenate([np.ones(left), np.zeros(n - left)])[None])


# --- diagnostics -------------------------------------------------------------------------------------------------------------


def with_spectra(spectra, seed=0, n=4, m=2):
    """A linearization with these eigenvalues (R, P) in random directions; returns the directions too."""
    rng, spectra = np.random.default_rng(seed), np.asarray(spectra)
    vectors = np.linalg.qr(rng.standard_normal((*spectra.shape, spectra.shape[1])))[0]
    hessian = (vectors * spectra[:, None]) @ vectors.swapaxes(1, 2)
    points, outputs = (rng.standard_normal((len(spectra), k, spectra.shape[1])) for k in (n, m))
    symmetric = (hessian + hessian.swapaxes(1, 2)) / 2.0
    return Linearization(np.zeros(spectra.shape), symmetric, points, outputs, np.zeros(len(spectra))), vectors


SPECTRA = [[3.0, 2.0, 1.0, 0.5], [3.0, 2.0, -1.0, 0.0], [1.0, 0.0, 0.0, 0.0]]


def test_the_residual_of_a_pseudo_inverse_is_the_share_of_the_outputs_outside_the_range():
    at, vectors = with_spectra(SPECTRA)
    found = influence(at, "pseudo_inverse", cutoff=1e-8)
    for r, null in enumerate([[], [3], [1, 2, 3]]):
        outside = vectors[r][:, null].T @ at.output_gradients[r].T
        expected = np.linalg.norm(outside) / np.linalg.norm(at.output_gradients[r])
        assert found.diagnostics["residual"][r] == pytest.approx(expected, abs=1e-12)


def test_null_spaces_and_least_eigenvalues_are_those_of_each_seed():
    at, _ = with_spectra(SPECTRA)
    found = influence(at, "pseudo_inverse")
    assert found.diagnostics["null_space"].tolist() == [0, 1, 3]
    assert null_space_sizes(at).tolist() == [0, 1, 3]
    assert_close(found.diagnostics["least_eigenvalue"], [0.5, -1.0, 0.0], atol=1e-14, call="least eigenvalue")
    damped = influence(at, damping=0.25)
    assert damped.diagnostics["null_space"].tolist() == [0, 0, 0]
    assert_close(damped.diagnostics["least_eigenvalue"], [0.75, -0.75, 0.25], atol=1e-14, call="least eigenvalue with damping")
    assert_close(
        influence(at, "absolute", damping=0.25).diagnostics["least_eigenvalue"], [0.75, 0.25, 0.25], atol=1e-14, call="absolute"
    )


def test_the_residual_is_zero_where_the_system_is_solved_and_the_truncated_part_where_it_is_not():
    at, vectors = with_spectra([[4.0, 3.0, 2.0, 1.0], [1.0, 2.0, 5.0, 3.0]])
    for method in ("exact", "conjugate_gradients", "low_rank", "nystroem"):
        assert (influence(at, method, **method_options(method, at)).diagnostics["residual"] < 1e-13).all()
    found = influence(at, "low_rank", rank=3).diagnostics["residual"]
    for r, lost in enumerate([3, 0]):
        outside = at.output_gradients[r] @ vectors[r][:, lost]
        assert found[r] == pytest.approx(np.linalg.norm(outside) / np.linalg.norm(at.output_gradients[r]), rel=1e-12)
    one, two = (influence(at, "lissa", depth=d, scale=5.0).diagnostics["residual"] for d in (5, 25))
    assert (two < one).all()
    assert (one < 1.0).all()
    for r, spectrum in enumerate([[4.0, 3.0, 2.0, 1.0], [1.0, 2.0, 5.0, 3.0]]):
        left = (1.0 - np.array(spectrum) / 5.0) ** 6 * (at.output_gradients[r] @ vectors[r])
        assert one[r] == pytest.approx(np.linalg.norm(left) / np.linalg.norm(at.output_gradients[r]), rel=1e-12)


def test_outputs_that_depend_on_no_parameter_have_scores_and_a_residual_of_zero():
    at, _ = with_spectra(SPECTRA[:1])
    for method in ("exact", "conjugate_gradients", "pseudo_inverse"):
        found = influence(replace(at, output_gradients=0.0 * at.output_gradients), method, **method_options(method, at))
        assert_identical(found.scores, np.zeros((1, 4, 2)))
        assert_identical(found.diagnostics["residual"], [0.0])


def test_the_mean_of_an_influence_is_over_seeds():
    scores = np.arange(12.0).reshape(2, 3, 2)
    mean = Attribution(scores, "exact").mean
    assert_identical(mean, [[3.0, 4.0], [5.0, 6.0], [7.0, 8.0]])


def test_one_parameter_at_a_small_scale_by_hand():
    """H = 4e-12, grad l = (1, -3) 1e-12, grad f = 2, c = (1, 2) 1e-12, J = (1, 1): h = (1/8, 1/4), newton divides by 7/8, 3/4."""
    fit = Fit(
        gradients=np.ones((1, 2, 1)),
        slopes=np.array([[1e-12, -3e-12]]),
        curvatures=np.array([[1e-12, 2e-12]]),
        fisher=np.array([[1e-12, 2e-12]]),
        layers=(Layer(np.ones((1, 2, 1)), np.ones((1, 2, 1))),),
        weights=np.ones(2),
        penalty=0.0,
    )
    points = np.array([[[1e-12], [-3e-12]]])
    at = Linearization(np.zeros((1, 1)), np.array([[[4e-12]]]), points, np.array([[[2.0]]]), np.zeros(1), fit)
    assert_close(leverages(at), [[1 / 8, 1 / 4]], rtol=1e-14)
    assert_close(hessian_influence(at, "newton"), [[-0.25 / (7 / 8)], [0.75 / (3 / 4)]], rtol=1e-14)
    assert_close(newton_change(at, [[0.0, 1.0], [1.0, 0.0]]), [[[0.25 / (7 / 8)], [-0.75 / (3 / 4)]]], rtol=1e-14)
    for method in ("conjugate_gradients", "low_rank", "nystroem", "absolute", "diagonal"):
        assert_close(scores_of(method, at), [[[-0.25], [0.75]]], rtol=1e-14, call=method)
    for method, curvature in (("gauss_newton", 1.5e-12), ("fisher", 1.5e-12), ("kfac", 1.5e-12), ("empirical_fisher", 5e-24)):
        assert_close(scores_of(method, at), -np.array([[[1e-12], [-3e-12]]]) / curvature, rtol=1e-14, call=method)


# --- refusals ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("damping", [-1e-9, -1.0, np.nan, np.inf])
def test_damping_that_is_negative_or_not_finite_is_refused(damping):
    at, _ = factorial()
    for call in (
        influence,
        hessian_influence,
        leverages,
        lambda at, damping: newton_change(at, np.ones((1, 8)), damping=damping),
    ):
        with pytest.raises(ValueError, match=rf"damping = {damping}, expected a finite number >= 0"):
            call(at, damping=damping)


def test_the_method_damped_asks_for_damping():
    with pytest.raises(ValueError, match="method 'damped' got damping = 0, expected damping > 0; for none use method 'exact'"):
        influence(factorial()[0], "damped")


def test_unknown_methods_and_curvatures_are_refused_with_the_names_of_known_ones():
    at, _ = factorial()
    with pytest.raises(ValueError, match=r"method 'hessian' is unknown, expected one of absolute, .*pseudo_inverse"):
        influence(at, "hessian")
    for curvature in ("newton", ""):
        with pytest.raises(ValueError, match=f"curvature '{curvature}' is unknown, expected one of absolute, .*hessian, kfac"):
            influence(at, curvature=curvature)


@pytest.mark.parametrize("method", [kind for kind in CURVATURES if kind != "hessian"])
def test_a_curvature_method_refuses_another_curvature(method):
    with pytest.raises(
        ValueError, match=f"method '{method}' inverts its own curvature, got curvature = 'kfac': take method='exact'"
    ):
        influence(factorial()[0], method, curvature="kfac")


def test_options_are_refused_where_a_method_has_none_and_asked_for_where_it_needs_them():
    at, _ = factorial()
    for method in ("exact", "newton", "gauss_newton"):
        with pytest.raises(ValueError, match=r"exact got the options \['rank'\], expected \[\]"):
            influence(at, method, rank=2)
    with pytest.raises(ValueError, match=r"low_rank got the options \['cutoff'\], expected \['rank'\]"):
        influence(at, "low_rank", cutoff=0.1)
    with pytest.raises(ValueError, match=r"rank = 4, expected a whole number from 1 to the 3 parameters"):
        influence(at, "low_rank", rank=4)


def test_nystroem_without_a_penalty_asks_for_damping_and_takes_it():
    at, _ = factorial()
    with pytest.raises(ValueError, match="nystroem of rank 2 < 3 without a penalty is singular: take damping > 0"):
        influence(at, "nystroem", rank=2)
    assert np.isfinite(influence(at, "nystroem", rank=2, damping=0.1).scores).all()


def test_iterative_methods_refuse_an_indefinite_hessian_of_any_seed_and_accept_it_with_damping():
    at, _ = with_spectra([[2.0, 1.0, 0.5], [2.0, 1.0, -0.5]])
    for method, options in (("lissa", {"depth": 9, "scale": 5.0}), ("conjugate_gradients", {"iterations": 9})):
        with pytest.raises(np.linalg.LinAlgError, match=r"the least eigenvalue is -0\.5 .*raise damping by more than that"):
            influence(at, method, **options)
        with pytest.raises(np.linalg.LinAlgError, match=r"the least eigenvalue is -0\.2 .*raise damping by more than that"):
            influence(at, method, damping=0.3, **options)
        assert np.isfinite(influence(at, method, damping=0.6, **options).scores).all()


def test_what_needs_the_model_at_its_points_says_so_where_the_learner_gives_none():
    at = replace(factorial()[0], fit=None)
    calls = [lambda m=m: influence(at, m) for m in ("newton", "gauss_newton", "fisher", "empirical_fisher", "kfac", "ekfac")]
    for call in (*calls, lambda: leverages(at), lambda: newton_change(at, np.ones((1, 8)))):
        with pytest.raises(
            ValueError, match=r"needs the model at its training points.*fit = None: use a learner whose linearize"
        ):
            call()
    for method in ("exact", "pseudo_inverse", "absolute", "diagonal", "lissa", "nystroem"):
        assert np.isfinite(scores_of(method, at)).all()


def test_newton_scores_at_other_weights_are_refused_where_the_step_itself_is_not():
    """Removing a point of weight 2 is neither the score over 1 - h nor twice it divided by 1 - h / 2."""
    X, y = stackloss()
    at = LeastSquares(X, y, np.eye(4)).linearize(np.ones(21) + np.eye(21)[3], SEEDS)
    with pytest.raises(ValueError, match=r"'newton' got a model trained at weights other than 1: use newton_change"):
        influence(at, "newton")
    gone = np.ones((1, 21)) - np.eye(21)[:1]
    assert newton_change(at, gone).shape == (1, 1, 4)


@pytest.mark.parametrize("shape", [(8,), (1, 7), (1, 9), (1, 1, 8)])
def test_newton_change_refuses_weights_of_a_wrong_shape(shape):
    expected = rf"weights has shape \({shape[0]},.*\), expected \(B, 8\): one column per training point"
    with pytest.raises(ValueError, match=expected):
        newton_change(factorial()[0], np.ones(shape))


@pytest.mark.parametrize("value", [-0.5, np.nan, np.inf])
def test_newton_change_refuses_weights_that_are_negative_or_not_finite_by_name(value):
    weights = np.ones((2, 8))
    weights[1, 3] = value
    with pytest.raises(ValueError, match=rf"weights\[1, 3\] is {value}, expected a finite number >= 0"):
        newton_change(factorial()[0], weights)
