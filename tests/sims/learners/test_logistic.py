"""Logistic regression against scikit-learn, statsmodels, scipy's root finder and complex-step derivatives."""

import itertools
import re

import numpy as np
import pytest
import statsmodels.api as sm
from assertions import assert_close
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize
from sklearn.linear_model import LogisticRegression

from sims.learners import Logistic
from sims.learners.linear.erm import NORMALIZATIONS
from sims.learners.logistic import GRADIENT_TOLERANCE, is_separable
from theory.influence import hessian_influence
from theory.response import weight_derivative
from theory.subsets import mask_rows


@pytest.fixture(scope="module")
def spector():
    """Spector & Mazzeo 1980: 32 students, three columns, standardised, and an intercept."""
    data = sm.datasets.spector.load()
    X = np.asarray(data.exog, dtype=np.float64)
    return sm.add_constant((X - X.mean(axis=0)) / X.std(axis=0)), np.asarray(data.endog, dtype=np.float64)


def random_learner(seed, n=12, d=3, l2=1e-2, **options):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    y = (X[:, 0] + rng.standard_normal(n) > 0.0).astype(float)
    y[:2] = 0.0, 1.0
    return Logistic(X, y, rng.standard_normal((4, d)), l2=l2, **options), rng


# --- the optimum -----------------------------------------------------------------------------------------------------------


def by_scikit_learn(learner, weights):
    """Margins of scikit-learn's optimum of C sum_i w_i l_i + ||theta||^2 / 2, our objective for C = 1 / (N l2)."""
    model = LogisticRegression(
        C=1.0 / (learner.n_points * learner.l2), fit_intercept=False, solver="newton-cholesky", tol=1e-12, max_iter=1000
    )
    present = weights > 0.0
    rows = present if len(np.unique(learner.y[present])) == 2 else np.ones_like(present)  # it refuses one class: keep weights 0
    model.fit(learner.X[rows], learner.y[rows], sample_weight=weights[rows])
    return learner.X_query @ model.coef_[0]


@pytest.mark.parametrize("l2", [1e-4, 1e-2, 1.0])
def test_margins_on_200_random_subsets_equal_scikit_learn(l2):
    learner, rng = random_learner(0, l2=l2)
    subsets = (rng.random((200, learner.n_points)) < rng.uniform(0.2, 0.9, (200, 1))).astype(float)
    subsets = subsets[subsets.any(axis=1)]
    expected = np.stack([by_scikit_learn(learner, subset) for subset in subsets])
    assert len(subsets) > 190
    assert_close(learner.respond(subsets, (0,))[:, 0], expected, rtol=1e-7, call="respond against scikit-learn")


def test_margins_at_random_weights_equal_scikit_learn():
    learner, rng = random_learner(1)
    weights = rng.uniform(0.0, 3.0, (50, learner.n_points))
    expected = np.stack([by_scikit_learn(learner, row) for row in weights])
    assert_close(learner.respond(weights, (0,))[:, 0], expected, rtol=1e-7, call="respond against scikit-learn")


def test_the_empty_subset_has_theta_zero():
    learner, _ = random_learner(0)
    assert not learner.respond(np.zeros((1, learner.n_points)), (0,)).any()


def test_unpenalised_optimum_on_spector_equals_statsmodels(spector):
    X, y = spector
    params = sm.Logit(y, X).fit(disp=0, method="newton", tol=1e-14, maxiter=100).params
    ours = Logistic(X, y, np.eye(4), l2=0.0).respond(np.ones((1, len(y))), (0,))[0, 0]
    assert_close(ours, params, rtol=1e-10, call="theta on Spector")


def separable_pair(l2):
    """theta for x = 1, -1 with labels 1, 0: minimises log(1 + exp(-theta)) + l2 theta^2 / 2 (scipy's Brent root of its slope)."""
    return optimize.brentq(lambda theta: l2 * theta - 1.0 / (1.0 + np.exp(theta)), 0.0, 100.0, xtol=1e-14, rtol=1e-15)


@pytest.mark.parametrize("l2", [1.0, 1e-2, 1e-4, 1e-6, 1e-8])
def test_separable_pair_has_the_root_of_its_gradient(l2):
    theta = Logistic([[1.0], [-1.0]], [1.0, 0.0], [[1.0]], l2=l2).respond([[1.0, 1.0]], (0,)).ravel()
    assert_close(theta, [separable_pair(l2)], rtol=1e-7, call=f"theta with l2 = {l2}")


@pytest.mark.parametrize("l2", [1e-9, 1e-10, 1e-11, 1e-12])
def test_separable_pair_with_almost_no_penalty_is_right_or_refused(l2):
    """theta is known to eps / (l2 theta), since 1 - p = l2 theta is known to eps; a gradient below 1e-10 says nothing here."""
    theta, learner = separable_pair(l2), Logistic([[1.0], [-1.0]], [1.0, 0.0], [[1.0]], l2=l2)
    try:
        ours = learner.respond([[1.0, 1.0]], (0,)).ravel()
    except ArithmeticError:
        return
    assert_close(ours, [theta], rtol=1e-7 + 2.0 * np.finfo(float).eps / (l2 * theta**2), call=f"theta with l2 = {l2}")


@pytest.mark.parametrize("scale", [1e-12, 1e-9, 1e-6, 1e-3, 1e3, 1e6])
def test_unpenalised_margins_do_not_depend_on_the_scale_of_the_weights(scale, spector):
    X, y = spector
    learner = Logistic(X, y, X[:3], l2=0.0)
    one, scaled = (learner.respond(np.full((1, len(y)), c), (0,)) for c in (1.0, scale))
    assert_close(scaled, one, rtol=1e-8, call=f"F({scale} w) against F(w), T6")


@pytest.mark.parametrize("scale", [1e-12, 1e-9, 1e-6, 1e-3, 1e3, 1e6])
def test_unpenalised_margins_do_not_depend_on_the_units_of_the_columns(scale, spector):
    X, y = spector
    ones = np.ones((1, len(y)))
    expected = Logistic(X, y, X[:3], l2=0.0).respond(ones, (0,))
    scaled = Logistic(scale * X, y, scale * X[:3], l2=0.0).respond(ones, (0,))
    assert_close(scaled, expected, rtol=1e-8, call=f"X in units of {scale}")


# --- the certificate -------------------------------------------------------------------------------------------------------


def gradient_norm(learner, theta, weights):
    """||grad L|| from statsmodels' score of the unweighted points."""
    with np.errstate(over="ignore"):  # exp(-margin) in statsmodels
        points = -sm.Logit(learner.y, learner.X).score_obs(theta)
    return np.linalg.norm(weights @ points / learner.n_points + learner.l2 * theta)


def gradient_rounding(learner, theta, weights):
    """What two correct programs may differ by in that: N eps times the terms that cancel in it."""
    with np.errstate(over="ignore"):
        points = np.abs(sm.Logit(learner.y, learner.X).score_obs(theta))
    return np.finfo(float).eps * np.linalg.norm(weights @ points + learner.n_points * learner.l2 * np.abs(theta))


def assert_certified(learner, weights):
    at = learner.linearize(weights, (0,))
    assert at.gradient_norm[0] <= GRADIENT_TOLERANCE
    limit = GRADIENT_TOLERANCE + gradient_rounding(learner, at.params[0], weights)
    assert gradient_norm(learner, at.params[0], weights) <= limit
    margins, derivative = learner.respond(weights[None], (0,)), learner.weight_jacobian(weights[None], (0,))
    assert np.isfinite(margins).all()
    assert np.isfinite(derivative).all()


REFUSAL = r"did not reach \|\|grad L\|\| <= 1e-10 on .*: it stands at .*; standardise the columns of X or raise l2"


def assert_certified_or_refused(learner, weights):
    """Certified, or an error that names the weights and says what to do."""
    try:
        assert_certified(learner, weights)
    except ArithmeticError as error:
        refusal = " ".join(str(error).split())
    else:
        return
    assert re.search(REFUSAL, refusal), refusal


@pytest.mark.parametrize("separable", [False, True])
@pytest.mark.parametrize("l2", [1e-6, 1e-3, 1.0])
def test_gradient_is_below_the_certificate_at_random_weights(l2, separable):
    learner, rng = random_learner(2, l2=l2)
    if separable:
        learner = Logistic(learner.X, learner.X[:, 0] > 0.0, learner.X_query, l2=l2)
        assert is_separable(learner.X, learner.y)
    for weights in rng.uniform(0.0, 3.0, (20, learner.n_points)):
        assert_certified(learner, weights)


@pytest.mark.parametrize(
    ("X", "y", "weights"),
    [
        ([[-8.0], [5.0], [3.0]], [0.0, 1.0, 1.0], [1.0, 1.0, 1e6]),
        ([[47.0, -45.0], [28.0, 42.0], [21.0, 38.0], [-21.0, -28.0]], [0.0, 1.0, 0.0, 1.0], [1e6, 1e4, 1e3, 1e5]),
    ],
)
def test_the_step_after_the_certificate_keeps_it(X, y, weights):
    assert_certified_or_refused(Logistic(X, y, X, l2=1e-3), np.array(weights))


@settings(max_examples=100)
@given(seed=st.integers(0, 10**6), l2=st.floats(-12, 0), spread=st.floats(0, 4), separable=st.booleans())
def test_badly_scaled_columns_are_certified_or_refused(seed, l2, spread, separable):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((8, 3)) * 10.0 ** rng.uniform(-spread, spread, 3)
    y = (X[:, 0] > np.median(X[:, 0]) if separable else rng.random(8) < 0.5).astype(float)
    y[np.argsort(X[:, 0])[[0, -1]]] = 0.0, 1.0
    assert_certified_or_refused(Logistic(X, y, X, l2=10.0**l2), rng.uniform(0.0, 2.0, 8))


def extremes():
    """Problems at the edge: (name, X, y, weights, l2)."""
    rng = np.random.default_rng(5)
    X, ones = rng.standard_normal((8, 2)), np.ones(8)
    y = np.tile([0.0, 1.0], 4)
    separable = (X[:, 0] > np.median(X[:, 0])).astype(float)
    first = (np.arange(8) == 0).astype(float)
    yield "huge weights", X, y, 1e6 * ones, 1e-2
    yield "one huge weight", X, y, np.where(first > 0, 1e6, 1.0), 1e-2
    yield "tiny weights", X, y, 1e-9 * ones, 1e-2
    yield "one tiny weight", X, y, np.where(first > 0, 1e-9, 1.0), 1e-2
    yield "weights over 15 decades", X, y, 10.0 ** np.linspace(-9, 6, 8), 1e-6
    yield "one class left", X, y, y, 1e-6
    yield "one point left", X, y, first, 1e-6
    yield "no point left", X, y, 0.0 * ones, 1e-6
    yield "duplicated rows", np.repeat(X[:2], 4, axis=0), y, ones, 1e-8
    yield "duplicated columns", X[:, [0, 0, 1, 1]], y, ones, 1e-8
    yield "a column of zeros", np.column_stack([X, 0.0 * ones]), y, ones, 1e-8
    yield "more columns than points", rng.standard_normal((8, 20)), y, ones, 1e-6
    yield "separable, almost no penalty", X, separable, ones, 1e-12
    yield "separable and far apart", 1e3 * X, separable, ones, 1e-12
    yield "separable with one wrong label", X, np.abs(separable - first), ones, 1e-12
    yield "separable, least penalty above 0", X, separable, ones, 1e-300
    yield "columns 1e12 apart", X * [1e-6, 1e6], y, ones, 1e-2


@pytest.mark.parametrize(("X", "y", "weights", "l2"), [pytest.param(*case[1:], id=case[0]) for case in extremes()])
def test_extremes_are_certified_or_refused(X, y, weights, l2):
    assert_certified_or_refused(Logistic(X, y, X, l2=l2), weights)


# --- the derivative --------------------------------------------------------------------------------------------------------


def by_complex_step(learner, weights, normalization):
    """D (N, M): the imaginary part of a Newton iteration of our own that carries w_i + 1e-30 i to the optimum."""
    n, d = learner.X.shape
    derivative = np.empty((n, learner.n_outputs))
    for i in range(n):
        w = weights + 1e-30j * (np.arange(n) == i)
        scale = {"n_points": n, "sum": 1.0, "weight_sum": w.sum(), "support": np.count_nonzero(weights)}[normalization]
        theta = np.zeros(d, dtype=complex)
        for _ in range(60):
            p = 1.0 / (1.0 + np.exp(-(learner.X @ theta)))
            gradient = learner.X.T @ (w * (p - learner.y)) + scale * learner.l2 * theta
            hessian = (learner.X.T * (w * p * (1.0 - p))) @ learner.X + scale * learner.l2 * np.eye(d)
            theta = theta - np.linalg.solve(hessian, gradient)
        derivative[i] = (learner.X_query @ theta).imag / 1e-30
    return derivative


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("l2", [1e-2, 1.0])
def test_derivative_equals_a_complex_step(normalization, l2):
    learner, rng = random_learner(3, l2=l2, normalization=normalization)
    for weights in rng.uniform(0.2, 2.0, (5, learner.n_points)):
        expected = by_complex_step(learner, weights, normalization)
        assert_close(weight_derivative(learner, weights, (0,)), expected, rtol=1e-11, call=f"D at {weights}")


def test_unpenalised_margins_and_derivative_do_not_depend_on_the_basis_of_the_columns():
    """Polynomials of degree 5, as powers (condition 4e3) and as an orthonormal basis of the same space."""
    rng = np.random.default_rng(0)
    powers = np.vander(np.linspace(0.0, 1.0, 40), 6)
    basis = 6.0 * np.linalg.qr(powers)[0]
    y, weights = (rng.random(40) < 0.5).astype(float), rng.uniform(0.5, 2.0, (1, 40))
    one, other = (Logistic(X, y, X, l2=0.0) for X in (powers, basis))
    assert_close(one.respond(weights, (0,)), other.respond(weights, (0,)), rtol=1e-9, call="margins")
    assert_close(one.weight_jacobian(weights, (0,)), other.weight_jacobian(weights, (0,)), rtol=1e-8, call="Jacobian")


def test_derivative_on_all_rows_of_spector_is_statsmodels_one_step_deletion_without_its_leverage(spector):
    """GLMInfluence.d_params[i] = A^-1 x_i (y_i - p_i) / (1 - h_i), A = X^T diag(p (1 - p)) X: the fit minus a one-step deletion.

    D_i(1) = A^-1 x_i (y_i - p_i), so that D_i(1) = d_params[i] (1 - h_i): no sign, no factor N (our 1/N in L and in H cancel).
    """
    X, y = spector
    influence = sm.GLM(y, X, family=sm.families.Binomial()).fit(tol=1e-14, maxiter=100).get_influence()
    expected = influence.d_params * (1.0 - influence.hat_matrix_diag[:, None])
    ours = weight_derivative(Logistic(X, y, np.eye(4), l2=0.0), np.ones(len(y)), (0,))
    assert ours.shape == (32, 4)
    assert_close(ours, expected, rtol=1e-8, call="D(1) of theta on Spector")


@pytest.mark.parametrize("factor", [-1.0, 2.0, 32.0, 1.0 / 32.0])
def test_comparison_with_statsmodels_sees_a_wrong_factor(factor, spector):
    X, y = spector
    influence = sm.GLM(y, X, family=sm.families.Binomial()).fit(tol=1e-14, maxiter=100).get_influence()
    expected = influence.d_params * (1.0 - influence.hat_matrix_diag[:, None])
    with pytest.raises(AssertionError, match="differs by"):
        assert_close(factor * weight_derivative(Logistic(X, y, np.eye(4), l2=0.0), np.ones(32), (0,)), expected, rtol=1e-8)


def test_linearization_holds_statsmodels_score_and_hessian(spector):
    X, y = spector
    learner, model = Logistic(X, y, X[:5], l2=1e-2), sm.Logit(y, X)
    at = learner.linearize(np.ones(32), (0, 1))
    theta = at.params[0]
    assert_close(at.hessian, np.stack([-model.hessian(theta) / 32 + 1e-2 * np.eye(4)] * 2), rtol=1e-13, call="hessian")
    assert_close(at.point_gradients, np.stack([-model.score_obs(theta)] * 2), rtol=1e-13, call="point_gradients")
    assert_close(at.output_gradients, np.stack([X[:5]] * 2), call="output_gradients")
    assert_close(learner.respond(np.ones((1, 32)), (0,))[0, 0], X[:5] @ theta, atol=1e-13, call="outputs")


def test_linearization_is_at_the_given_weights_and_carries_the_fixed_1_over_n():
    learner, rng = random_learner(4)
    weights = rng.uniform(0.2, 2.0, learner.n_points)
    at = learner.linearize(weights, (0,))

    def gradient(theta):
        points = -sm.Logit(learner.y, learner.X).score_obs(theta)
        return weights @ points / learner.n_points + learner.l2 * theta

    numerical = optimize.approx_fprime(at.params[0], gradient, 1e-6)
    assert_close(at.hessian[0], numerical, atol=1e-6, call="hessian against forward differences of step 1e-6")


@pytest.mark.parametrize("normalization", ["n_points", "sum"])
def test_hessian_influence_of_the_linearization_equals_the_derivative(normalization):
    learner, rng = random_learner(4, normalization=normalization)
    weights = rng.uniform(0.2, 2.0, learner.n_points)
    influence = hessian_influence(learner.linearize(weights, (0,)))
    assert_close(influence, weight_derivative(learner, weights, (0,)), rtol=1e-11, call="I against D")


# --- where no optimum exists -----------------------------------------------------------------------------------------------


def separable_by_stiemke(X, y):
    """Some b has Z b >= 0, Z b != 0 iff no lambda > 0 has Z^T lambda = 0 (Stiemke 1915), here lambda = 1 + mu by scipy's NNLS."""
    Z = (2.0 * np.asarray(y) - 1.0)[:, None] * np.asarray(X, dtype=float)
    return optimize.nnls(Z.T, -Z.sum(axis=0))[1] > 1e-8


LINE = np.column_stack([np.ones(6), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]])


@pytest.mark.parametrize(
    ("name", "X", "y", "expected"),
    [
        ("complete", LINE, [0, 0, 0, 1, 1, 1], True),
        ("complete, other way", LINE, [1, 1, 0, 0, 0, 0], True),
        ("quasi-complete: the classes touch", LINE[[0, 1, 2, 2, 3, 4]], [0, 0, 0, 1, 1, 1], True),
        ("quasi-complete: a level with one class", [[1, 0], [1, 0], [1, 1], [1, 1]], [0, 1, 1, 1], True),
        ("overlapping", LINE, [0, 0, 1, 0, 1, 1], False),
        ("duplicates with both labels", LINE[[0, 0, 5, 5]], [0, 1, 0, 1], False),
        ("duplicates of one label", LINE[[0, 0, 5, 5]], [0, 0, 1, 1], True),
        ("no intercept, both on one side", [[1.0], [2.0]], [0, 1], False),
        ("no intercept, opposite sides", [[1.0], [-2.0]], [0, 1], True),
        ("a column of zeros", [[1.0, 0.0], [1.0, 0.0]], [0, 1], False),
        ("XOR with intercept", [[1, 0, 0], [1, 0, 1], [1, 1, 0], [1, 1, 1]], [0, 1, 1, 0], False),
    ],
)
def test_is_separable_on_named_arrangements(name, X, y, expected):
    assert separable_by_stiemke(X, y) == expected, name
    assert is_separable(X, y) == expected, name


def test_is_separable_agrees_with_stiemke_on_all_labellings_of_small_integer_designs():
    rng, seen = np.random.default_rng(0), {True: 0, False: 0}
    for _ in range(20):
        X = np.column_stack([np.ones(5), rng.integers(-2, 3, (5, rng.integers(1, 3)))])
        for y in itertools.product([0.0, 1.0], repeat=5):
            if 0 < sum(y) < 5:
                expected = bool(separable_by_stiemke(X, y))
                seen[expected] += 1
                assert is_separable(X, y) == expected, (X.tolist(), y)
    assert min(seen.values()) > 50


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e6, 1e8])
def test_is_separable_does_not_depend_on_where_a_column_has_its_zero(offset):
    X = LINE + np.array([0.0, offset])
    assert is_separable(X, [0, 0, 0, 1, 1, 1])
    assert not is_separable(X, [0, 0, 1, 0, 1, 1])


@pytest.mark.parametrize("overlap", [1e-2, 1e-4, 1e-6, 1e-8])
def test_a_small_overlap_is_still_an_overlap(overlap):
    assert not is_separable([[1, 0.0], [1, 1.0], [1, 1.0 - overlap], [1, 2.0]], [0, 0, 1, 1])


@pytest.mark.parametrize("margin", [1e-2, 1e-4, 1e-8, 1e-10])
def test_a_separation_by_a_small_margin_is_never_given_an_optimum(margin):
    X, y = [[1, 1], [1, 1], [1 + margin, 1]], [0, 1, 1]
    with pytest.raises((ValueError, ArithmeticError), match=r"\{0, 1, 2\} \(mask 7\)"):
        Logistic(X, y, X, l2=0.0).respond(np.ones((1, 3)), (0,))


# --- the block kernel ------------------------------------------------------------------------------------------------------


def extended_precision_margins(learner, weights, start):
    """Newton with gradients in extended precision from a start (B, d) near the optimum: margins (B, M)."""
    X, y, theta = (a.astype(np.longdouble) for a in (learner.X, learner.y, start))
    for _ in range(4):
        p = 1.0 / (1.0 + np.exp(-theta @ X.T))
        gradient = (weights * (p - y)) @ X / learner.n_points + learner.l2 * theta
        curvature = np.asarray(weights * p * (1.0 - p), dtype=float)
        hessian = np.einsum("bi,ij,ik->bjk", curvature, learner.X, learner.X) / learner.n_points
        hessian += learner.l2 * np.eye(X.shape[1])
        theta = theta - np.linalg.solve(hessian, gradient.astype(float)[:, :, None])[:, :, 0]
    return np.asarray(theta @ learner.X_query.T.astype(np.longdouble), dtype=float)


@pytest.mark.parametrize("l2", [1e-2, 1e-4])
def test_every_margin_of_a_block_is_exact_to_rounding_although_most_steps_are_in_single_precision(l2):
    """Relative to the largest margin of its subset: 1e-12 is eps times the condition number, which is up to 1 / l2 here."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((16, 5))
    learner = Logistic(X, (X[:, 0] + rng.standard_normal(16) > 0.0).astype(float), rng.standard_normal((8, 5)), l2=l2)
    weights = mask_rows(40_000, 44_096, 16)
    margins = learner.respond(weights, (0,))[:, 0]
    start = np.linalg.lstsq(learner.X_query, margins.T, rcond=None)[0].T
    expected = extended_precision_margins(learner, weights, start)
    error = np.abs(margins - expected).max(axis=1) / np.abs(expected).max(axis=1)
    assert error.max() < 1e-12
    assert np.median(error) < 1e-15


def test_a_point_whose_probability_is_1_in_any_precision_changes_nothing():
    """Its margin is about 900: exp overflows in single precision, where the fits begin, without a warning."""
    rng = np.random.default_rng(3)
    x = np.append(rng.standard_normal(30), 200.0)
    y = np.append((5.0 * x[:30] + rng.logistic(size=30) > 0.0).astype(float), 1.0)
    learner = Logistic(x[:, None], y, [[1.0]], l2=1e-3)
    others = np.repeat(1.0 - np.eye(30), 40, axis=0)
    with_it, without = (np.column_stack([others, np.full(len(others), weight)]) for weight in (1.0, 0.0))
    expected = learner.respond(without, (0,))
    assert expected.min() > 0.5
    assert_close(learner.respond(with_it, (0,)), expected, rtol=1e-12)


def test_what_single_precision_cannot_hold_is_computed_in_double():
    """Columns of 1e-25 underflow in float32: their outer products, and the penalty, are 0 there."""
    rng = np.random.default_rng(1)
    X, y = rng.standard_normal((8, 2)), np.tile([0.0, 1.0], 4)
    weights = mask_rows(0, 256, 8)
    expected = Logistic(X, y, X, l2=1e-2).respond(weights, (0,))
    scaled = Logistic(1e-25 * X, y, 1e-25 * X, l2=1e-52).respond(weights, (0,))
    assert_close(scaled, expected, rtol=1e-10)
