"""The kernel sum against scikit-learn and statsmodels; F is linear: datamodel, leave-one-out and derivative coincide (T5)."""

import math

import numpy as np
import pytest
from assertions import assert_close
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics.pairwise import rbf_kernel
from statsmodels.nonparametric.kernel_regression import KernelReg
from strategies import SEEDS

from sims.learners import KernelSum, LeastSquares
from theory.datamodel import optimal_datamodel
from theory.laws import Bernoulli
from theory.metrics import relative_error
from theory.response import mean_response, weight_derivative
from theory.subsets import all_masks
from theory.values import leave_one_out


@st.composite
def learners(draw, max_points=8):
    """Kernel sums of any size and bandwidth."""
    n, d, m = draw(st.integers(1, max_points)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(SEEDS))
    X, X_query = rng.standard_normal((n, d)), rng.standard_normal((m, d))
    return KernelSum(X, rng.standard_normal(n), X_query, bandwidth=draw(st.sampled_from([0.5, 1.0, 3.0])))


def some_weights(learner, rows=3, seed=0):
    """Weights (rows, N) between 0.2 and 2, one of them 0."""
    weights = np.random.default_rng(seed).uniform(0.2, 2.0, (rows, learner.n_points))
    weights[0, 0] = 0.0
    return weights


@given(learner=learners(), p=st.sampled_from([0.1, 0.5, 0.9]))
def test_datamodel_leave_one_out_and_derivative_at_one_are_the_same(learner, p):
    table = mean_response(learner, all_masks(learner.n_points), (0,))
    derivative = weight_derivative(learner, np.ones(learner.n_points), (0,))
    beta = optimal_datamodel(table, Bernoulli(p)).coefficients
    assert relative_error(beta, derivative) < 1e-12
    assert relative_error(leave_one_out(table), derivative) < 1e-12


def test_the_three_differ_for_least_squares_on_the_same_data():
    rng = np.random.default_rng(0)
    learner = LeastSquares(rng.standard_normal((8, 2)), rng.standard_normal(8), rng.standard_normal((3, 2)), l2=0.1)
    table = mean_response(learner, all_masks(8), (0,))
    derivative = weight_derivative(learner, np.ones(8), (0,))
    for p in (0.1, 0.5, 0.9):
        assert relative_error(optimal_datamodel(table, Bernoulli(p)).coefficients, derivative) > 0.1
    assert relative_error(leave_one_out(table), derivative) > 0.1


@given(learner=learners(), seed=SEEDS)
def test_response_equals_the_sum_written_out(learner, seed):
    weights = some_weights(learner, seed=seed)
    expected = np.zeros((len(weights), learner.n_outputs))
    for b, row in enumerate(weights):
        for m, query in enumerate(learner.X_query):
            for w, x, y in zip(row, learner.X, learner.y, strict=True):
                expected[b, m] += w * y * math.exp(-(math.dist(query, x) ** 2) / (2.0 * learner.bandwidth**2)) / len(row)
    assert_close(learner.respond(weights, (0,))[:, 0], expected, rtol=1e-13, call="respond against plain loops")


@given(learner=learners())
def test_derivative_equals_the_kernel_of_scikit_learn_times_the_label(learner):
    kernel = rbf_kernel(learner.X_query, learner.X, gamma=0.5 / learner.bandwidth**2)
    jacobian = learner.weight_jacobian(some_weights(learner), (0, 1))
    expected = np.broadcast_to(kernel * learner.y / learner.n_points, jacobian.shape)
    assert_close(jacobian, expected, rtol=1e-13, call="weight_jacobian against rbf_kernel")


def test_the_ratio_of_two_sums_is_the_kernel_regression_of_statsmodels():
    rng = np.random.default_rng(1)
    x, y, queries = rng.standard_normal((20, 1)), rng.standard_normal(20), rng.standard_normal((5, 1))
    over, under = (KernelSum(x, labels, queries, bandwidth=0.4).respond(np.ones((1, 20)), (0,)) for labels in (y, np.ones(20)))
    expected = KernelReg(y, x, "c", reg_type="lc", bw=[0.4], rng=0).fit(queries)[0]
    assert_close((over / under)[0, 0], expected, rtol=1e-12, call="ratio of kernel sums against KernelReg")


def test_dropping_a_point_does_not_change_what_divides_the_sum():
    learner = KernelSum([[0.0], [0.0]], [3.0, 5.0], [[0.0]])
    assert learner.respond([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]], (0,)).ravel().tolist() == [4.0, 1.5, 2.5, 0.0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bandwidth": 0.0}, "bandwidth = 0.0, expected a finite number > 0"),
        ({"bandwidth": math.inf}, "bandwidth = inf, expected a finite number > 0"),
        ({"X": [[1.0], [math.nan]]}, r"X\[1, 0\] is nan"),
        ({"y": [1.0]}, r"y has shape \(1,\), expected \(2,\)"),
        ({"X_query": [[1.0, 2.0]]}, "X_query has 2 columns, X has 1"),
    ],
)
def test_bad_input_is_refused_by_name(change, message):
    with pytest.raises(ValueError, match=message):
        KernelSum(**{"X": [[0.0], [1.0]], "y": [1.0, 2.0], "X_query": [[0.5]], **change})
