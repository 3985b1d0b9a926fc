"""Hessian influence against the exact derivative, and the convex bound on leave-one-out (T12)."""

from dataclasses import replace

import numpy as np
import pytest
import strategies
from assertions import assert_close
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from sims.learners import LeastSquares, Logistic
from theory.derivatives import finite_difference
from theory.influence import hessian_influence, loo_gap_bound, null_space_sizes
from theory.metrics import compare
from theory.response import Linearization, mean_response, weight_derivative

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
    influence = hessian_influence(learner.linearize(ones, SEEDS))
    assert influence.shape == (learner.n_points, learner.n_outputs)
    assert_close(influence, weight_derivative(learner, ones, SEEDS), rtol=1e-8)
    assert_close(influence, finite_difference(learner, ones, SEEDS).derivative, rtol=1e-8)


@settings(max_examples=25)
@given(strategies.least_squares())
def test_hessian_influence_of_ridge_is_the_derivative_at_one(learner):
    ones = np.ones(learner.n_points)
    influence = hessian_influence(learner.linearize(ones, SEEDS))
    assert_close(influence, weight_derivative(learner, ones, SEEDS), rtol=1e-8)
    assert_close(influence, finite_difference(learner, ones, SEEDS).derivative, rtol=1e-8)


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
    influence = hessian_influence(learner.linearize(np.ones(n), SEEDS))
    comparison = compare(factor * influence, weight_derivative(learner, np.ones(n), SEEDS))
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
    with pytest.raises(ValueError, match=r"method 'arnoldi' is unknown, expected one of \[.*'exact'.*\]"):
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
    influence = hessian_influence(learner.linearize(np.ones(n), SEEDS))
    removed = mean_response(learner, np.ones((n, n)) - np.eye(n), SEEDS) - mean_response(learner, np.ones((1, n)), SEEDS)
    gaps, _ = loo_gaps_and_bounds(learner)
    assert_close(np.linalg.norm(removed + influence, axis=1), gaps, rtol=1e-7)
    assert (np.linalg.norm(removed - influence, axis=1) > gaps).all()


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
