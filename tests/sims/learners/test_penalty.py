"""A penalty inside a training function that is not the stated one is found by gradients at two trained models."""

import jax_models
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax import grad, lax, vmap

from sims.learners.adapters import JaxLearner
from sims.learners.adapters.penalty import OtherObjectiveError, other_penalty
from sims.ledger.judge import judge_learner
from sims.testing import check_learner


def fitted(weights, l2_of, stated, steps=None):
    """Least squares with a penalty per leaf, solved exactly or by a few steps; gradient of the stated objective by leaf."""
    rng = np.random.default_rng(3)
    X, y = rng.standard_normal((8, 3)), rng.standard_normal(8)
    hessian, slope = X.T * weights @ X / 8, X.T @ (weights * y) / 8
    penalty = np.diag([l2_of["a"], l2_of["a"], l2_of["b"]])
    theta = np.zeros(3)
    for _ in range(steps or 0):
        theta -= 0.3 * ((hessian + penalty) @ theta - slope)
    theta = theta if steps else np.linalg.solve(hessian + penalty, slope)
    gradient = hessian @ theta - slope + stated * theta
    return {"a": (gradient[:2], theta[:2]), "b": (gradient[2:], theta[2:])}, 1.0


ONES, OTHER = np.ones(8), np.linspace(0.5, 1.5, 8)
penalties = st.floats(0.01, 2.0)


@given(a=penalties, b=penalties, stated=penalties)
def test_the_penalty_of_every_leaf_is_found_unless_it_is_the_stated_one(a, b, stated):
    found = other_penalty([fitted(w, {"a": a, "b": b}, stated) for w in (ONES, OTHER)], stated)
    if max(abs(a - stated), abs(b - stated)) < 1e-4:
        return
    assert found == pytest.approx({"a": a, "b": b}, abs=1e-6)


@given(a=penalties)
def test_a_true_statement_and_training_that_stops_early_are_left_alone(a):
    for steps in (None, 1, 3, 10):
        assert other_penalty([fitted(w, {"a": a, "b": a}, a, steps) for w in (ONES, OTHER)], a) == {}


def descent(l2):
    def train(theta, weights, X, y):
        def objective(theta):
            return weights @ vmap(jax_models.linear_loss, (None, 0, 0))(theta, X, y) / len(X) + 0.5 * l2 * theta @ theta

        return lax.fori_loop(0, 400, lambda _, theta: theta - 0.8 * grad(objective)(theta), theta)

    return train


def learner(l2, in_train):
    functions = (jax_models.linear_init, jax_models.linear_loss, jax_models.linear_output)
    return JaxLearner(*functions, jax_models.X, jax_models.Y, jax_models.X_QUERY, train=descent(in_train), l2=l2)


@pytest.mark.parametrize(("stated", "in_train"), [(0.0, 0.3), (0.3, 0.1)])
def test_linearize_refuses_a_penalty_in_train_that_is_not_stated(stated, in_train):
    with pytest.raises(OtherObjectiveError, match=rf"mu = {in_train} on theta, but l2 = {stated:g} is stated.*Say l2={in_train}"):
        learner(stated, in_train).linearize(np.ones(6), (0,))


def test_linearize_accepts_the_stated_penalty():
    assert learner(0.3, 0.3).linearize(np.ones(6), (0,)).gradient_norm.max() < 1e-12


def test_the_report_calls_it_broken_and_the_ledger_does_not_judge_influence():
    hidden = learner(0.0, 0.3)
    broken = {finding.law: finding.reason for finding in check_learner(hidden).broken}
    assert set(broken) == {"linearization is consistent"}
    assert "mu = 0.3 on theta, but l2 = 0 is stated" in broken["linearization is consistent"]
    reason = {claim.id: why for claim, why in judge_learner(hidden, patience=0.0).not_judged}["C1"]
    assert "linearize refuses" in reason
