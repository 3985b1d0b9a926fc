"""A threshold that moves: flat paths, and an average that is not flat (T9), against quadrature and differences."""

import functools
import math

import numpy as np
import pytest
from assertions import assert_close, assert_identical
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate
from scipy.stats import norm
from strategies import SEEDS

from sims.learners import MovingJump
from theory.datamodel import optimal_datamodel
from theory.derivatives import average_derivative, finite_difference
from theory.laws import Bernoulli
from theory.streams import stream
from theory.subsets import all_masks

MANY = (5, 0, 3)
STARTS = tuple(range(100_000))


@st.composite
def learners(draw, max_points=8):
    """Moving jumps of any size."""
    n, d, m = draw(st.integers(1, max_points)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(SEEDS))
    X, X_query = rng.standard_normal((n, d)), rng.standard_normal((m, d))
    return MovingJump(X, rng.standard_normal(n), X_query, init_scale=draw(st.sampled_from([0.5, 1.0, 2.0])))


def some_weights(learner, rows=3, seed=0):
    """Weights (rows, N) between 0.2 and 2, one of them 0."""
    weights = np.random.default_rng(seed).uniform(0.2, 2.0, (rows, learner.n_points))
    weights[0, 0] = 0.0
    return weights


def fixed_learner():
    """Five points, one query, slopes up to 0.4."""
    rng = np.random.default_rng(2)
    return MovingJump(rng.standard_normal((5, 2)), rng.standard_normal(5), rng.standard_normal((1, 2)))


class AllStarts:
    """The same learner averaged over all starts, as a learner without randomness."""

    def __init__(self, learner):
        self.learner, self.n_points, self.n_outputs = learner, learner.n_points, learner.n_outputs

    def respond(self, weights, seeds):
        """expected_response, (B, R, M)."""
        return np.repeat(self.learner.expected_response(weights)[:, None], len(seeds), axis=1)

    def weight_jacobian(self, weights, seeds):
        """expected_derivative, (B, R, M, N)."""
        one = np.stack([self.learner.expected_derivative(row).T for row in weights])
        return np.repeat(one[:, None], len(seeds), axis=1)


# --- one start -------------------------------------------------------------------------------------------------------------


@given(learner=learners(), seed=SEEDS)
def test_response_is_the_sign_written_out(learner, seed):
    weights = some_weights(learner, seed=seed)
    for k, r in enumerate(MANY):
        start = learner.init_scale * stream("MovingJump threshold", r).standard_normal()
        for b, row in enumerate(weights):
            for m, query in enumerate(learner.X_query):
                terms = zip(row, learner.X, learner.y, strict=True)
                total = start + sum(w * y * float(x @ query) for w, x, y in terms) / len(row)
                assert learner.respond(weights, MANY)[b, k, m] == math.copysign(1.0, total)


def test_sign_of_zero_is_one():
    start = float(stream("MovingJump threshold", 3).standard_normal())
    for slope, expected in ((-start, 1.0), (np.nextafter(-start, -np.inf), -1.0)):
        assert MovingJump([[1.0]], [slope], [[1.0]]).respond([[1.0]], (3,)).ravel().tolist() == [expected]


@given(learner=learners())
def test_path_wise_derivative_is_exactly_zero(learner):
    jacobian = learner.weight_jacobian(some_weights(learner), MANY)
    assert_identical(jacobian, np.zeros((3, 3, learner.n_outputs, learner.n_points)), call="weight_jacobian")


# --- all starts ------------------------------------------------------------------------------------------------------------


@settings(max_examples=20)
@given(learner=learners())
def test_expected_response_is_the_integral_over_the_density_of_starts(learner):
    weights, s = some_weights(learner), learner.init_scale
    slopes = (learner.X_query @ learner.X.T) * learner.y / learner.n_points
    for row, answers in zip(weights, learner.expected_response(weights), strict=True):
        for a, answer in zip(slopes, answers, strict=True):
            jump, end = -float(a @ row), 12.0 * s
            sides = [integrate.quad(norm(scale=s).pdf, *ends, epsabs=1e-13)[0] for ends in ((-end, jump), (jump, end))]
            assert abs(answer - (sides[1] - sides[0])) < 1e-10


@given(learner=learners(), seed=SEEDS)
def test_expected_derivative_is_the_derivative_of_the_expected_response(learner, seed):
    weights = some_weights(learner, seed=seed)[1]
    numerical = finite_difference(AllStarts(learner), weights, (0,))
    assert_close(learner.expected_derivative(weights), numerical.derivative, rtol=1e-8, atol=1e-10, call="expected_derivative")


@functools.cache
def signs(learner):
    """f (B, R) at four weight vectors, and these."""
    weights = np.concatenate([np.ones((1, 5)), np.eye(5)[:1], some_weights(learner, 2)])
    return learner.respond(weights, STARTS)[:, :, 0], weights


def test_mean_over_many_starts_is_the_expected_response():
    learner = fixed_learner()
    outputs, weights = signs(learner)
    standard_error = outputs.std(axis=1) / math.sqrt(len(STARTS))
    assert (np.abs(outputs.mean(axis=1) - learner.expected_response(weights)[:, 0]) < 3.0 * standard_error).all()
    assert np.ptp(outputs.mean(axis=1)) > 30.0 * standard_error.max()


@pytest.mark.parametrize("point", range(5))
def test_central_differences_over_the_same_many_starts_are_the_expected_derivative(point):
    learner, h = fixed_learner(), 0.2 * np.eye(5)[point]
    outputs = learner.respond(np.stack([1.0 + h, 1.0 - h]), STARTS)[:, :, 0]
    slopes = (outputs[0] - outputs[1]) / 0.4
    standard_error = slopes.std() / math.sqrt(len(slopes))
    expected = learner.expected_derivative(np.ones(5))[point, 0]
    bias = abs(np.diff(learner.expected_response(np.stack([1.0 - h, 1.0 + h]))[:, 0])[0] / 0.4 - expected)
    assert bias < 0.1 * standard_error  # of the step 0.2, third order in the slope
    assert abs(slopes.mean() - expected) < 3.0 * standard_error
    assert abs(slopes.mean()) > 5.0 * standard_error  # what the path-wise derivative has as 0


def test_datamodel_is_the_average_of_the_expected_derivative_and_not_of_the_path_wise_one():
    learner, law = fixed_learner(), Bernoulli(0.5)
    beta = optimal_datamodel(learner.expected_response(all_masks(5)), law).coefficients
    assert_close(average_derivative(AllStarts(learner), law, (0,), 12), beta, rtol=1e-12, call="T2 for the average over starts")
    assert not average_derivative(learner, law, MANY, 4).any()
    of_starts = optimal_datamodel(learner.respond(all_masks(5), STARTS)[:, :, 0], law).coefficients  # (N, R): one for each start
    standard_error = of_starts.std(axis=1) / math.sqrt(len(STARTS))
    assert (np.abs(of_starts.mean(axis=1) - beta[:, 0]) < 3.0 * standard_error).all()
    assert (np.abs(beta[:, 0]) > 5.0 * standard_error).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"init_scale": 0.0}, "init_scale = 0.0, expected a finite number > 0"),
        ({"y": [1.0]}, r"y has shape \(1,\), expected \(2,\)"),
        ({"X_query": [[1.0, 2.0]]}, "X_query has 2 columns, X has 1"),
    ],
)
def test_bad_input_is_refused_by_name(change, message):
    with pytest.raises(ValueError, match=message):
        MovingJump(**{"X": [[0.0], [1.0]], "y": [1.0, 2.0], "X_query": [[0.5]], **change})


def test_bad_weights_are_refused_by_the_expectations():
    learner = MovingJump([[0.0], [1.0]], [1.0, 2.0], [[0.5]])
    with pytest.raises(ValueError, match=r"weights has shape \(1, 3\), expected \(B, 2\)"):
        learner.expected_response(np.ones((1, 3)))
    with pytest.raises(ValueError, match=r"weights has shape \(3,\), expected \(2,\)"):
        learner.expected_derivative(np.ones(3))
