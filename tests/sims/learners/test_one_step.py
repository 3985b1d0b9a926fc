"""One step of descent against statsmodels' scores and complex steps; F is affine for every start (T5)."""

import math

import numpy as np
import pytest
import statsmodels.api as sm
from assertions import assert_close, assert_identical
from hypothesis import given
from hypothesis import strategies as st
from strategies import SEEDS

from sims.learners import MLP, OneStep
from theory.datamodel import optimal_datamodel
from theory.laws import Bernoulli
from theory.metrics import relative_error
from theory.response import mean_response, weight_derivative
from theory.streams import stream
from theory.subsets import all_masks
from theory.values import leave_one_out

MANY = (4, 0, 7)


@st.composite
def learners(draw, max_points=8, losses=("logistic", "squared")):
    """One step of either loss, with and without a penalty."""
    n, d, m = draw(st.integers(2, max_points)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    rng, loss = np.random.default_rng(draw(SEEDS)), draw(st.sampled_from(losses))
    X, X_query = rng.standard_normal((n, d)), rng.standard_normal((m, d))
    y = np.arange(n) % 2.0 if loss == "logistic" else rng.standard_normal(n)
    l2, rate, scale = (draw(st.sampled_from(values)) for values in ([0.0, 0.3], [0.5, 2.0], [0.2, 1.0]))
    return OneStep(X, y, X_query, loss=loss, learning_rate=rate, l2=l2, init_scale=scale)


def some_weights(learner, rows=3, seed=0):
    """Weights (rows, N) between 0.2 and 2, one of them 0."""
    weights = np.random.default_rng(seed).uniform(0.2, 2.0, (rows, learner.n_points))
    weights[0, 0] = 0.0
    return weights


def by_steps(learner, weights, seeds, gradients):
    """f (B, R, M) with the gradients of the losses (N, d) at the start given by a function of it."""
    outputs = np.empty((len(weights), len(seeds), learner.n_outputs))
    for r, start in enumerate(learner.initial_params(seeds)):
        for b, row in enumerate(weights):
            gradient = row @ gradients(start) / learner.n_points + learner.l2 * start
            outputs[b, r] = learner.X_query @ (start - learner.learning_rate * gradient)
    return outputs


# --- affine: datamodel = leave-one-out = derivative ------------------------------------------------------------------------


@given(learner=learners(), p=st.sampled_from([0.1, 0.5, 0.9]), seeds=st.sampled_from([(0,), MANY]))
def test_datamodel_leave_one_out_and_derivative_at_one_are_the_same(learner, p, seeds):
    table = mean_response(learner, all_masks(learner.n_points), seeds)
    derivative = weight_derivative(learner, np.ones(learner.n_points), seeds)
    assert relative_error(optimal_datamodel(table, Bernoulli(p)).coefficients, derivative) < 1e-12
    assert relative_error(leave_one_out(table), derivative) < 1e-12


def test_the_three_differ_after_a_second_step():
    rng = np.random.default_rng(0)
    X, X_query, y = rng.standard_normal((6, 2)), rng.standard_normal((3, 2)), np.arange(6) % 2.0
    for steps, low, high in ((1, 0.0, 1e-12), (2, 0.01, 1.0)):
        learner = MLP(X, y, X_query, hidden=(), steps=steps, learning_rate=0.5)
        table = mean_response(learner, all_masks(6), MANY)
        error = relative_error(optimal_datamodel(table).coefficients, weight_derivative(learner, np.ones(6), MANY))
        assert low <= error < high, f"{steps} steps: {error}"


# --- the step --------------------------------------------------------------------------------------------------------------


@given(learner=learners(losses=("logistic",)), seed=SEEDS)
def test_logistic_step_follows_the_scores_of_statsmodels(learner, seed):
    weights, model = some_weights(learner, seed=seed), sm.Logit(learner.y, learner.X)
    expected = by_steps(learner, weights, MANY, lambda start: -model.score_obs(start))
    assert_close(learner.respond(weights, MANY), expected, rtol=1e-13, atol=1e-14, call="respond against Logit.score_obs")


def complex_step_gradients(learner, start):
    """Gradients (N, d) of (f - y)^2 / 2 at a start."""
    steps = start + 1e-30j * np.eye(len(start))
    return np.imag((learner.X @ steps.T - learner.y[:, None]) ** 2 / 2.0) / 1e-30


@given(learner=learners(losses=("squared",)), seed=SEEDS)
def test_squared_step_follows_complex_step_gradients(learner, seed):
    weights = some_weights(learner, seed=seed)
    expected = by_steps(learner, weights, MANY, lambda start: complex_step_gradients(learner, start))
    assert_close(learner.respond(weights, MANY), expected, rtol=1e-13, atol=1e-14, call="respond against complex steps")


def test_starts_are_normal_numbers_of_their_own_stream_scaled_by_the_root_of_the_columns():
    learner = OneStep(np.eye(4), [0, 1, 0, 1], np.eye(4), init_scale=3.0)
    starts = learner.initial_params(range(2000))
    assert_identical(starts[7], 3.0 * stream("OneStep initial parameters", 7).standard_normal(4) / 2.0, call="start of seed 7")
    mean_square = np.mean(starts**2) / (3.0 / 2.0) ** 2
    assert abs(mean_square - 1.0) < 3.0 * math.sqrt(2.0 / starts.size)


def test_no_weight_leaves_the_start_shrunk_by_the_penalty():
    learner = OneStep(np.eye(2), [0, 1], np.eye(2), learning_rate=0.5, l2=0.5)
    assert_close(
        learner.respond(np.zeros((1, 2)), MANY)[0], 0.75 * learner.initial_params(MANY), rtol=1e-15, call="respond to no points"
    )


# --- the contract ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"loss": "hinge"}, "loss 'hinge' is unknown, expected one of logistic, squared"),
        ({"learning_rate": 0.0}, "learning_rate = 0.0, expected a finite number > 0"),
        ({"learning_rate": math.nan}, "learning_rate = nan, expected a finite number > 0"),
        ({"init_scale": -1.0}, "init_scale = -1.0, expected a finite number > 0"),
        ({"l2": -1.0}, "l2 = -1.0, expected a finite number >= 0"),
        ({"y": [0.0, 2.0]}, r"y\[1\] is 2, expected labels 0 and 1"),
        ({"y": [1.0, 1.0]}, "every label is 1"),
        ({"X_query": [[1.0, 2.0]]}, "X_query has 2 columns, X has 1"),
    ],
)
def test_bad_input_is_refused_by_name(change, message):
    with pytest.raises(ValueError, match=message):
        OneStep(**{"X": [[0.0], [1.0]], "y": [0.0, 1.0], "X_query": [[0.5]], **change})


def test_squared_loss_takes_any_targets():
    assert OneStep([[0.0], [1.0]], [2.0, 2.0], [[0.5]], loss="squared").n_points == 2
