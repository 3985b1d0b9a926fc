"""Objectives at any parameters against plain loops and complex steps; minima against closed forms, BFGS and an ODE solver."""

import dataclasses

import numpy as np
import plain_mlp as plain
import pytest
import strategies
from assertions import assert_close
from hypothesis import given, settings
from scipy import integrate, optimize

from sims.learners import MLP
from sims.learners.network.kernels import ACTIVATIONS
from sims.learners.network.objective import minimised

SEEDS = (4, 1, 2)
DEPTHS = {0: (), 1: (3,), 2: (3, 2)}


def network(n=5, d=2, *, seed=0, loss="logistic", hidden=(3,), l2=0.05, **options):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2.0 if loss == "logistic" else rng.standard_normal(n)
    return MLP(rng.standard_normal((n, d)), y, rng.standard_normal((2, d)), loss=loss, hidden=hidden, l2=l2, **options)


def some_parameters(learner, seed=0):
    return np.random.default_rng(seed).standard_normal((len(SEEDS), plain.n_params(learner)))


def penalised(learner, weights=None):
    """L(theta; w) of every seed."""
    none, zero = np.zeros((len(SEEDS), learner.n_points)), np.zeros((len(SEEDS), plain.n_params(learner)))
    w = np.ones(learner.n_points) if weights is None else weights
    return learner.objective(w, tilts=none, stiffness=learner.l2, centre=zero)


def plain_value(learner, theta, weights, tilts, stiffness, centre):
    """(1/N) sum_j (w_j l_j - c_j f_j) + (stiffness/2) ||theta - centre||^2."""
    n = len(weights)
    losses = sum(w * plain.point_loss(learner, theta, j) for j, w in enumerate(weights)) / n
    tilt = sum(c * plain.output(learner, theta, learner.X[j]) for j, c in enumerate(tilts)) / n
    return losses - tilt + stiffness / 2.0 * ((theta - centre) @ (theta - centre))


def plain_hessian(learner, theta, weights, tilts, stiffness):
    """That of the losses, plus c_j Hess f_j with the sign of its term: (f - y)^2 / 2 with y = f + c/N adds grad f grad f^T."""
    f = np.array([plain.output(learner, theta, x) for x in learner.X])
    gradients = plain.complex_step(lambda at: np.array([plain.output(learner, at, x) for x in learner.X]), theta)
    tilted = dataclasses.replace(learner, loss="squared", y=f + tilts, l2=0.0)
    tilts_part = plain.hessian(tilted, theta, np.ones(len(f))) - gradients.T @ gradients / len(f)
    losses = plain.hessian(dataclasses.replace(learner, l2=0.0), theta, weights)
    return losses + tilts_part + stiffness * np.eye(len(theta))


# --- value and derivatives -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("loss", ["logistic", "squared"])
@pytest.mark.parametrize("depth", DEPTHS)
def test_value_gradient_and_hessian_equal_plain_loops_and_complex_steps(activation, loss, depth):
    learner = network(activation=activation, loss=loss, hidden=DEPTHS[depth])
    rng, params = np.random.default_rng(1), some_parameters(learner)
    weights, tilts, centre = rng.uniform(0.0, 2.0, 5), rng.standard_normal((3, 5)), rng.standard_normal(params.shape)
    weights[2] = 0.0
    found = learner.objective(weights, tilts=tilts, stiffness=0.3, centre=centre).at(params.T)
    for r, theta in enumerate(params):
        rest = (weights, tilts[r], 0.3, centre[r])
        gradient = plain.complex_step(lambda at, rest=rest: plain_value(learner, at, *rest), theta)
        assert_close(found.value[r], plain_value(learner, theta, *rest), atol=1e-14 * found.magnitude[r], call="value")
        assert_close(found.gradient[r], gradient, rtol=1e-13, call="gradient")
        assert_close(found.hessian[r], plain_hessian(learner, theta, *rest[:3]), rtol=1e-12, call="hessian")
        assert found.magnitude[r] >= abs(found.value[r])


def test_without_tilts_it_is_the_objective_that_training_descends():
    learner, weights = network(steps=30), np.random.default_rng(0).uniform(0.2, 2.0, 5)
    trained = learner.linearize(weights, SEEDS)
    found = penalised(learner, weights).at(trained.params.T)
    assert_close(found.hessian, trained.hessian, rtol=1e-13, call="hessian")
    assert_close(np.linalg.norm(found.gradient, axis=1), trained.gradient_norm, rtol=1e-12, call="gradient")


def test_outputs_at_any_parameters_and_inputs_equal_the_plain_loop():
    learner = network()
    params, X = some_parameters(learner), np.random.default_rng(3).standard_normal((7, 2))
    expected = [[plain.output(learner, theta, x) for x in X] for theta in params]
    assert_close(learner.outputs(params, X), expected, rtol=1e-14, call="outputs")
    trained = learner.linearize(np.ones(5), SEEDS).params
    assert_close(
        learner.outputs(trained, learner.X_query), learner.respond(np.ones((1, 5)), SEEDS)[0], rtol=1e-13, call="outputs"
    )


def test_parameters_and_inputs_of_other_shapes_are_refused():
    learner = network()
    with pytest.raises(ValueError, match=r"parameters have shape \(3, 12\), expected \(R, 13\)"):
        learner.outputs(np.zeros((3, 12)), learner.X)
    with pytest.raises(ValueError, match=r"parameters have shape \(13,\), expected \(R, 13\)"):
        learner.objective(np.ones(5), tilts=np.zeros((1, 5)), stiffness=0.0, centre=np.zeros(13))
    with pytest.raises(ValueError, match="expected the same columns"):
        learner.outputs(np.zeros((3, 13)), np.ones((2, 3)))


# --- minima ----------------------------------------------------------------------------------------------------------------


@settings(max_examples=20)
@given(strategies.SEEDS)
def test_the_minimum_of_a_tilted_ridge_regression_is_its_closed_form(seed):
    """(X^T W X / N + s I) theta = X^T (W y + c) / N + s centre."""
    learner, rng = network(loss="squared", hidden=(), seed=seed), np.random.default_rng(seed)
    weights, tilts, centre = rng.uniform(0.0, 2.0, 5), rng.standard_normal((3, 5)), rng.standard_normal((3, 3))
    stiffness, X = 10.0 ** rng.uniform(-2.0, 1.0), np.column_stack([learner.X, np.ones(5)])
    kernel = X.T @ (weights[:, None] * X) / 5.0 + stiffness * np.eye(3)
    objective = learner.objective(weights, tilts=tilts, stiffness=stiffness, centre=centre)
    end = minimised(objective, some_parameters(learner, seed).T, np.full(3, 1e-9))
    assert end.found.all()
    for r in range(3):
        right = X.T @ (weights * learner.y + tilts[r]) / 5.0 + stiffness * centre[r]
        size = np.linalg.cond(kernel) * (1.0 + np.abs(right).max() / stiffness)
        assert_close(end.params[:, r], np.linalg.solve(kernel, right), atol=1e-14 * size, call="minimum")
        assert_close(end.least_eigenvalue[r], np.linalg.eigvalsh(kernel)[0], rtol=1e-10, call="least eigenvalue")


def test_the_minimum_of_logistic_regression_is_that_of_bfgs():
    learner, weights = network(hidden=()), np.array([1.0, 0.3, 0.0, 2.0, 1.0])
    end = minimised(penalised(learner, weights), some_parameters(learner).T, np.full(3, 1e-12))
    assert end.found.all()
    best = optimize.minimize(
        lambda at: plain.objective(learner, at, weights),
        np.zeros(3),
        jac=lambda at: plain.objective_gradient(learner, at, weights),
        method="BFGS",
        options={"gtol": 1e-10},
    )
    slack = np.linalg.norm(best.jac) / end.least_eigenvalue.min()  # of a strongly convex objective
    assert slack < 1e-7
    for r in range(3):
        assert_close(end.params[:, r], best.x, atol=slack + 1e-12, call="minimum")


@pytest.mark.parametrize("seed", [1, 5])
def test_the_minimum_of_a_network_is_where_an_ode_solver_of_gradient_flow_goes(seed, monkeypatch):
    """From starts far from any minimum, of which there are several; Newton steps that only go down end in others."""
    rng = np.random.default_rng(seed)
    X, starts = rng.standard_normal((4, 1)), 2.0 * np.random.default_rng(seed).standard_normal((8, 7))
    learner = MLP(X, [0.0, 1.0, 0.0, 1.0], X, hidden=(2,), l2=0.02)
    objective = learner.objective(np.ones(4), tilts=np.zeros((8, 4)), stiffness=0.02, centre=np.zeros((8, 7)))
    end = minimised(objective, starts.T, np.full(8, 1e-11))
    assert end.found.all()

    def downhill(_, theta):
        return -plain.objective_gradient(learner, theta, np.ones(4))

    for r, start in enumerate(starts):
        flow = integrate.solve_ivp(downhill, (0.0, 3000.0), start, method="BDF", rtol=1e-7, atol=1e-9).y[:, -1]
        slack = 2.0 * np.linalg.norm(downhill(0.0, flow)) / end.least_eigenvalue[r]
        assert slack < 0.01, "the flow has not come near enough"
        assert_close(end.params[:, r], flow, atol=slack + 1e-9, call=f"end of the flow from start {r}")
    monkeypatch.setattr("sims.learners.network.objective._DRIFT", 100.0)
    other = minimised(objective, starts.T, np.full(8, 1e-11))
    assert other.found.all()
    assert np.linalg.norm(other.params - end.params, axis=0).max() > 0.1


def test_each_replica_ends_where_it_ends_alone():
    learner = network(l2=0.02)
    starts = some_parameters(learner)
    together = minimised(penalised(learner), starts.T, np.full(3, 1e-11))
    for r, start in enumerate(starts):
        zero = np.zeros((1, 13))
        objective = learner.objective(np.ones(5), tilts=np.zeros((1, 5)), stiffness=0.02, centre=zero)
        alone = minimised(objective, start[:, None], np.full(1, 1e-11))
        slack = 1e-12 / together.least_eigenvalue[r]
        assert_close(alone.params[:, 0], together.params[:, r], atol=slack + 1e-12, call=f"replica {r}")


@pytest.mark.parametrize("loss", ["logistic", "squared"])
def test_a_start_at_a_minimum_stays_there(loss):
    learner = network(loss=loss, l2=0.02)
    once = minimised(penalised(learner), some_parameters(learner).T, np.full(3, 1e-9))
    again = minimised(penalised(learner), once.params, np.full(3, 1e-9))
    assert once.found.all()
    assert again.found.all()
    assert_close(again.params, once.params, rtol=1e-11, call="second search")


# --- no minimum ------------------------------------------------------------------------------------------------------------


def test_a_minimum_at_infinity_is_not_found_although_the_gradient_vanishes():
    X = np.array([[-2.0], [-1.0], [1.0], [2.0]])
    learner = MLP(X, [0.0, 0.0, 1.0, 1.0], X, hidden=())
    end = minimised(penalised(learner), some_parameters(learner).T, np.full(3, 1e-8))
    assert not end.found.any()
    assert end.gradient_norm.min() < 1e-8


def test_a_valley_of_minima_is_not_found():
    """Two columns that are one: only their sum is told, and the flow leaves the difference alone."""
    X = np.random.default_rng(0).standard_normal((5, 1)) * np.ones(2)
    learner = MLP(X, X[:, 0] ** 2, X, hidden=(), loss="squared")
    start = some_parameters(learner)
    end = minimised(penalised(learner), start.T, np.full(3, 1e-8))
    assert not end.found.any()
    assert (np.abs(end.least_eigenvalue) < 1e-14).all()
    assert_close(end.params[0] - end.params[1], start[:, 0] - start[:, 1], rtol=1e-6, call="difference")


def test_a_start_on_a_saddle_is_not_called_a_minimum():
    """Balanced labels and theta = 0: no gradient, but a direction down unless the penalty is strong."""
    X = np.array([[-2.0], [-1.0], [1.0], [2.0]])
    for l2, minimum in ((0.01, False), (2.0, True)):
        learner = MLP(X, [0.0, 0.0, 1.0, 1.0], X, hidden=(2,), l2=l2)
        end = minimised(penalised(learner), np.zeros((7, 3)), np.full(3, 1e-8))
        assert (end.found == minimum).all()
        assert ((end.least_eigenvalue > 0.0) == minimum).all()


def test_too_few_steps_are_told():
    learner = network()
    end = minimised(penalised(learner), 3.0 * some_parameters(learner).T, np.full(3, 1e-9), max_steps=2)
    assert not end.found.any()
    assert end.gradient_norm.min() > 1e-9
