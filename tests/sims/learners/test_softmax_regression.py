"""Softmax regression against scikit-learn, statsmodels, scipy's minimiser, Logistic and differences."""

import dataclasses

import numpy as np
import pytest
import statsmodels.api as sm
from assertions import assert_close
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, special
from sklearn.linear_model import LogisticRegression

from sims.learners import Logistic, SoftmaxRegression
from sims.learners.linear.erm import NORMALIZATIONS
from sims.testing import check_learner
from theory.derivatives import finite_difference
from theory.influence import hessian_influence, influence
from theory.influence.curvature import curvature_matrix
from theory.response import weight_derivative
from theory.subsets import all_masks

OUTPUTS = ("margin", "log_probability", 1)


def random_learner(seed, n=12, d=3, classes=3, **options):
    """Classes that overlap; each has two points or more."""
    rng = np.random.default_rng(seed)
    X, X_query = rng.standard_normal((n, d)), rng.standard_normal((4, d))
    y = np.concatenate([np.repeat(np.arange(classes), 2), rng.integers(0, classes, n - 2 * classes)])
    return SoftmaxRegression(X, y, X_query, **{"l2": 1e-2, "y_query": rng.integers(0, classes, 4), **options}), rng


def logits_of(learner, theta):
    return learner.X_query @ theta.reshape(learner.X.shape[1], -1)


def output_by_definition(learner, logits):
    """The output from the logits (M, C), written out."""
    if isinstance(learner.output, int):
        return logits[:, learner.output]
    own = logits[np.arange(len(logits)), learner.y_query.astype(int)]
    if learner.output == "log_probability":
        return own - np.log(np.exp(logits).sum(axis=1))
    others = [np.delete(row, int(label)) for row, label in zip(logits, learner.y_query, strict=True)]
    return own - special.logsumexp(others, axis=1)


def by_scikit_learn(learner, weights):
    """Theta (d, C) at the optimum of C sum_i w_i l_i + ||theta||^2 / 2, our objective for C = 1 / (N l2)."""
    model = LogisticRegression(
        C=1.0 / (learner.n_points * learner.l2), fit_intercept=False, solver="newton-cholesky", tol=1e-11, max_iter=1000
    )
    return model.fit(learner.X, learner.y, sample_weight=weights).coef_.T


@pytest.mark.parametrize("l2", [1e-4, 1e-2, 1.0])
def test_outputs_on_200_random_subsets_equal_scikit_learn(l2):
    learner, rng = random_learner(0, l2=l2)
    subsets = (rng.random((200, learner.n_points)) < rng.uniform(0.3, 0.9, (200, 1))).astype(float)
    logits = [learner.X_query @ by_scikit_learn(learner, subset) for subset in subsets]
    for output in OUTPUTS:
        ours = dataclasses.replace(learner, output=output)
        expected = np.stack([output_by_definition(ours, z) for z in logits])
        assert_close(ours.respond(subsets, (0,))[:, 0], expected, rtol=1e-7, call=f"{output} against scikit-learn")


def test_unpenalised_optimum_equals_statsmodels_mnlogit():
    data = sm.datasets.anes96.load_pandas().data
    X = data[["age", "educ", "income"]].to_numpy(float)
    X = np.column_stack([np.ones(len(X)), (X - X.mean(axis=0)) / X.std(axis=0)])[:300]
    y = np.unique(data["PID"].to_numpy()[:300] // 3, return_inverse=True)[1]
    params = sm.MNLogit(y, X).fit(disp=0, method="newton", tol=1e-14, maxiter=100).params  # (d, C - 1), class 0 is the baseline
    learner = SoftmaxRegression(X, y, X[:5], l2=0.0, y_query=y[:5])
    expected = output_by_definition(learner, X[:5] @ np.column_stack([np.zeros(4), params]))
    assert_close(learner.respond(np.ones((1, 300)), (0,))[0, 0], expected, rtol=1e-8, call="margins against MNLogit")


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_two_classes_are_logistic_regression_with_half_the_penalty(normalization):
    rng = np.random.default_rng(3)
    X, y, queries = rng.standard_normal((8, 2)), np.array([0, 1] * 4), rng.standard_normal((3, 2))
    two = SoftmaxRegression(X, y, queries, l2=0.2, y_query=[1, 1, 1], normalization=normalization)
    one = Logistic(X, y, queries, l2=0.1, normalization=normalization)
    masks, ones = all_masks(8), np.ones(8)
    assert_close(two.respond(masks, (0,)), one.respond(masks, (0,)), rtol=1e-11, call="respond")
    weights = rng.uniform(0.2, 2.0, (5, 8))
    assert_close(two.weight_jacobian(weights, (0,)), one.weight_jacobian(weights, (0,)), rtol=1e-11, call="weight_jacobian")
    assert_close(two.weight_hessian(ones, (0,)).dense, one.weight_hessian(ones, (0,)).dense, rtol=1e-10, call="weight_hessian")


@pytest.mark.parametrize("l2", [1e-2, 1e-6, 1e-9])
def test_separable_classes_with_little_penalty_end_at_the_optimum(l2):
    """scipy's root of the gradient in the sum-zero coordinates of three separated points, one of each class."""
    X, y = np.eye(3), np.arange(3)
    learner = SoftmaxRegression(X, y, X, l2=l2, y_query=y)

    def slope(t):  # theta = t (3 I - 1 1^T): own logit 2 t, others -t; (1/3) sum_i l_i + (l2/2) 18 t^2
        return -special.expit(np.log(2.0) - 3.0 * t) * 3.0 + 18.0 * l2 * t

    t = optimize.brentq(slope, 0.0, 100.0, xtol=1e-14, rtol=1e-15)
    expected = np.full(3, 3.0 * t - np.log(2.0))
    assert_close(learner.respond(np.ones((1, 3)), (0,))[0, 0], expected, rtol=1e-7, call=f"margins with l2 = {l2}")


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6), output=st.sampled_from(OUTPUTS), normalization=st.sampled_from(NORMALIZATIONS))
def test_second_derivatives_are_differences_of_the_first(seed, output, normalization):
    learner, rng = random_learner(seed, l2=0.1, output=output, normalization=normalization)
    weights, direction, step = rng.uniform(0.5, 2.0, 12), rng.standard_normal(12), 1e-3

    def change(h):
        ahead, behind = learner.weight_jacobian(np.stack([weights + h * direction, weights - h * direction]), (0,))[:, 0]
        return (ahead - behind).T / (2.0 * h)

    expected = (64.0 * change(step / 4) - 20.0 * change(step / 2) + change(step)) / 45.0  # errors of h^2 and h^4 taken out
    found = learner.weight_hessian(weights, (0,)).times(direction)
    assert_close(found, expected, rtol=1e-8, call="weight_hessian along a direction")


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6), output=st.sampled_from(OUTPUTS), normalization=st.sampled_from(NORMALIZATIONS))
def test_second_derivatives_of_many_weights_are_entries_of_each_hessian(seed, output, normalization):
    learner, rng = random_learner(seed, l2=0.1, output=output, normalization=normalization)
    weights, (i, j) = rng.uniform(0.5, 2.0, (3, 12)), rng.integers(0, 12, 2)
    expected = np.stack([learner.weight_hessian(row, (0,)).entry(i, j) for row in weights])
    found = learner.weight_second_derivative(weights, (0, 1), int(i), int(j))
    assert found.shape == (3, 2, 4)
    assert_close(found[:, 1], expected, rtol=1e-10, call="weight_second_derivative")


@pytest.mark.parametrize("output", OUTPUTS)
def test_derivative_equals_converged_differences(output):
    learner, rng = random_learner(5, output=output)
    weights = rng.uniform(0.0, 2.0, 12)
    numerical = finite_difference(learner, weights, (0,))
    assert (numerical.error < 1e-7).all()
    assert_close(weight_derivative(learner, weights, (0,)), numerical.derivative, rtol=1e-8, call="D against differences")


@pytest.mark.parametrize("output", OUTPUTS)
def test_hessian_influence_is_the_derivative(output):
    learner, _ = random_learner(7, output=output)
    ones = np.ones(12)
    at = learner.linearize(ones, (0,))
    assert at.gradient_norm[0] < 1e-10
    assert_close(hessian_influence(at), weight_derivative(learner, ones, (0,)), rtol=1e-9, call="T1")


def test_the_fit_has_the_terms_of_the_hessian_and_of_the_margins():
    """Gauss-Newton is the whole Hessian of a linear model; l = log(1 + exp(-f)) with the margin f; K-FAC from its definition."""
    learner, rng = random_learner(4)
    weights = rng.uniform(0.5, 2.0, 12)
    at = learner.linearize(weights, (0, 1))
    for kind in ("gauss_newton", "fisher"):
        assert_close(curvature_matrix(at, kind), at.hessian, rtol=1e-12, call=kind)
    assert_close(at.fit.gradients * at.fit.slopes[:, :, None], at.point_gradients, rtol=1e-12, call="grad l = l'(f) grad f")
    assert_close(at.fit.curvatures, -at.fit.slopes * (1.0 + at.fit.slopes), rtol=1e-12, call="p (1 - p)")
    p = special.softmax(learner.X @ at.params[0].reshape(3, 3), axis=1)
    inputs = np.einsum("n,ni,nj->ij", weights, learner.X, learner.X) / weights.sum()
    outputs = sum(w * (np.diag(q) - np.outer(q, q)) for w, q in zip(weights, p, strict=True)) / 12
    expected = np.kron(inputs, outputs) + 1e-2 * np.eye(9)
    assert_close(curvature_matrix(at, "kfac")[0], expected, rtol=1e-12, call="kfac")


def test_newton_influence_is_one_newton_step_from_the_full_optimum():
    """Against a Newton step written out: theta - H(without i)^-1 grad(without i)."""
    learner, _ = random_learner(6, output=1)
    at = learner.linearize(np.ones(12), (0,))
    theta, own = at.params[0].reshape(3, 3), np.eye(3)[learner.y]
    p = special.softmax(learner.X @ theta, axis=1)
    gradients = np.einsum("nd,nc->ndc", learner.X, p - own).reshape(12, -1)
    hessians = [np.kron(np.outer(x, x), np.diag(q) - np.outer(q, q)) for x, q in zip(learner.X, p, strict=True)]
    found = influence(at, "newton").mean
    for i in range(12):
        rest = [k for k in range(12) if k != i]
        hessian = sum(hessians[k] for k in rest) / 12 + learner.l2 * np.eye(9)
        step = np.linalg.solve(hessian, gradients[rest].sum(axis=0) / 12 + learner.l2 * theta.ravel())
        assert_close(found[i], (learner.X_query @ step.reshape(3, 3))[:, 1], atol=1e-9, call=f"without point {i}")


def test_more_columns_than_points_are_solved_in_the_span_of_the_points():
    """64 columns, 6 points: the optimum of the full problem, by scipy from its objective."""
    rng = np.random.default_rng(1)
    X, y = rng.standard_normal((6, 64)), np.array([0, 1, 2, 0, 1, 2])
    learner = SoftmaxRegression(X, y, rng.standard_normal((2, 64)), l2=0.3, output=2)

    def objective(theta):
        z = X @ theta.reshape(64, 3)
        p, own = special.softmax(z, axis=1), np.eye(3)[y]
        value = (special.logsumexp(z, axis=1) - (own * z).sum(axis=1)).mean() + 0.15 * (theta**2).sum()
        return value, (X.T @ (p - own) / 6 + 0.3 * theta.reshape(64, 3)).ravel()

    theta = optimize.minimize(objective, np.zeros(192), jac=True, method="BFGS", options={"gtol": 1e-9}).x
    assert_close(learner.respond(np.ones((1, 6)), (0,))[0, 0], logits_of(learner, theta)[:, 2], rtol=1e-7, call="respond")
    at = learner.linearize(np.ones(6), (0,))
    assert at.params.shape == (1, 192)
    assert_close(at.params[0], theta, rtol=1e-6, call="theta")
    assert_close(hessian_influence(at), weight_derivative(learner, np.ones(6), (0,)), rtol=1e-9, call="T1")


def test_it_keeps_every_law():
    learner, _ = random_learner(2, n=9, l2=0.1)
    check_learner(learner).raise_if_broken()


@pytest.mark.parametrize(
    ("weights", "reason"),
    [
        ([0, 0, 0, 0, 0, 0], "is empty"),
        ([1, 1, 1, 1, 0, 0], "has no point of class 2"),
        ([1, 0, 1, 0, 1, 0], "is separable"),
    ],
)
def test_a_subset_without_an_optimum_is_named(weights, reason):
    X = np.column_stack([np.ones(6), [0.0, 2.0, 1.0, 3.0, 2.0, 0.5]])
    learner = SoftmaxRegression(X, [0, 0, 1, 1, 2, 2], X[:1], l2=0.0, y_query=[0])
    learner.respond(np.ones((1, 6)), (0,))
    with pytest.raises(ValueError, match=f"{reason}: no optimum exists with l2 = 0"):
        learner.respond([weights], (0,))


def test_without_a_penalty_influence_is_the_derivative_in_unique_parameters():
    learner, _ = random_learner(0, l2=0.0, n=30)
    at = learner.linearize(np.ones(30), (0,))
    assert at.params.shape == (1, 3 * 2)
    assert_close(hessian_influence(at), weight_derivative(learner, np.ones(30), (0,)), rtol=1e-9, call="T1")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y": [0, 1, 3, 3]}, r"y has classes up to 3 and no point of class 2, .*np.unique"),
        ({"y": [0, 1.5, 1, 0]}, r"y\[1\] is 1.5, expected classes 0, 1, 2"),
        ({"y": [0, -1, 1, 0]}, r"y\[1\] is -1, expected classes"),
        ({"y": [0, 0, 0, 0]}, "every label is 0, expected two classes or more"),
        ({"y": [0, 1e18, 1, 0]}, "no point of class 2"),
        ({"y_query": None}, r"expected y_query = \(M,\) classes 0 .. 2, or the number of a class"),
        ({"y_query": [0, 5]}, r"y_query\[1\] is 5, expected a class that is trained, 0 .. 2"),
        ({"y_query": [0]}, r"y_query has shape \(1,\), expected \(2,\): one class per row of X_query"),
        ({"output": "logit"}, "output 'logit' is unknown, expected 'margin', 'log_probability', or a class 0 .. 2"),
        ({"output": 3}, "output = 3, expected a class that is trained, 0 .. 2"),
        ({"output": -1}, "output = -1"),
        ({"l2": -1.0}, "l2"),
        ({"normalization": "mean"}, "normalization 'mean' is unknown"),
    ],
)
def test_bad_arguments_are_named(changes, message):
    X = np.array([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0], [3.0, 1.0]])
    arguments = {"X": X, "y": [0, 1, 2, 0], "X_query": X[:2], "l2": 0.1, "y_query": [0, 1], **changes}
    with pytest.raises(ValueError, match=message):
        SoftmaxRegression(**arguments)
