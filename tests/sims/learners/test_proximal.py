"""The steps from leave-one-out to influence, each against a closed form, scipy's BFGS on plain loops, or long plain training."""

import dataclasses
from itertools import pairwise

import numpy as np
import plain_mlp as plain
import pytest
import strategies
from assertions import assert_close
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import optimize, special

from sims.learners import MLP
from sims.learners.network.proximal import proximal_responses
from theory.influence.trajectory import trak
from theory.metrics import compare, relative_error
from theory.response import mean_response
from theory.values import leave_one_out

SEEDS = (4, 1)
STAGES = ("cold", "warm", "proximal", "pbrf", "linearised")


def network(n=6, d=2, *, seed=0, loss="squared", hidden=(), l2=0.05, steps=4000, learning_rate=0.4, **options):
    """Converged unless told otherwise."""
    rng = np.random.default_rng(seed)
    X, X_query = rng.standard_normal((n, d)), rng.standard_normal((3, d))
    y = np.arange(n) % 2.0 if loss == "logistic" else rng.standard_normal(n)
    return MLP(X, y, X_query, loss=loss, hidden=hidden, l2=l2, steps=steps, learning_rate=learning_rate, **options)


def with_bias(X):
    return np.column_stack([X, np.ones(len(X))])


# --- linear regression: everything in closed form --------------------------------------------------------------------------


def ridge_effects(learner, damping, amount):
    """Every stage from its normal equations, at converged theta_s; and the leverages h_i of G + (damping + l2) I."""
    X, Q, y, n, d = with_bias(learner.X), with_bias(learner.X_query), learner.y, learner.n_points, learner.X.shape[1] + 1
    both = learner.l2 + damping
    kernel = X.T @ X / n
    trained = np.linalg.solve(kernel + learner.l2 * np.eye(d), X.T @ y / n)
    leverages = np.einsum("ip,pq,iq->i", X, np.linalg.inv(kernel + both * np.eye(d)), X) / n
    found = {"warm": [], "proximal": [], "linearised": []}
    for i in range(n):
        w = np.ones(n) - amount * np.eye(n)[i]
        less, right = X.T @ (w[:, None] * X) / n, X.T @ (w * y) / n
        warm = np.linalg.solve(less + learner.l2 * np.eye(d), right)
        proximal = np.linalg.solve(less + both * np.eye(d), right + damping * trained)
        moved = np.linalg.solve(kernel + both * np.eye(d), X[i] * (X[i] @ trained - y[i])) * amount / n
        for name, at in (("warm", warm), ("proximal", proximal), ("linearised", trained + moved)):
            found[name].append(Q @ trained - Q @ at)
    return {name: np.array([effects] * len(SEEDS)) for name, effects in found.items()}, leverages


@settings(max_examples=10)
@given(seed=strategies.SEEDS, damping=st.sampled_from([0.0, 0.03, 1.0]), amount=st.sampled_from([1.0, 0.3]))
def test_all_stages_of_a_ridge_regression_equal_their_closed_forms(seed, damping, amount):
    """Also: pbrf = proximal, = linearised / (1 - amount h_i) exactly, and all but linearised are LOO where damping is 0."""
    learner = network(seed=seed, steps=3000, learning_rate=0.2, l2=0.1)
    found = proximal_responses(learner, SEEDS, damping=damping, amount=amount)
    assume(found.gradient_norms["trained"].max() < 1e-13)
    expected, leverages = ridge_effects(learner, damping, amount)
    scale = np.abs(expected["warm"]).max()
    expected["pbrf"] = expected["linearised"] / (1.0 - amount * leverages)[:, None]
    assert_close(expected["pbrf"], expected["proximal"], atol=1e-10 * scale, call="the two closed forms")
    for name in ("warm", "proximal", "pbrf", "linearised"):
        assert_close(getattr(found, name), expected[name], atol=1e-10 * scale, call=name)
    assert_close(found.cold, expected["warm"], atol=1e-9 * scale, call="cold")
    if damping == 0.0:
        assert_close(found.pbrf, found.cold, atol=1e-9 * scale, call="pbrf without damping")


@pytest.mark.parametrize("amount", [1.0, 0.3])
def test_pbrf_of_linear_regression_is_linearised_over_one_minus_leverage_wherever_training_stopped(amount):
    """The curvature of the removed point is what G has too much: (G - (amount/N) x x^T + s I)^-1 x, by Sherman & Morrison."""
    learner = network(steps=3)
    found = proximal_responses(learner, SEEDS, damping=0.02, amount=amount)
    _, leverages = ridge_effects(learner, 0.02, amount)
    assert_close(found.pbrf, found.linearised / (1.0 - amount * leverages)[:, None], rtol=1e-11, call="pbrf")
    assert found.gradient_norms["trained"].max() > 0.1
    assert relative_error(found.proximal, found.pbrf) > 0.5


# --- other losses and networks ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("damping", [0.0, 0.05])
def test_converged_logistic_regression_has_no_gaps_but_proximity_and_linearisation(damping):
    found = proximal_responses(network(loss="logistic"), SEEDS, damping=damping)
    assert found.gradient_norms["trained"].max() < 1e-14
    assert_close(found.warm, found.cold, rtol=1e-11, call="warm against cold")
    assert_close(found.pbrf, found.proximal, rtol=1e-11, call="pbrf against proximal")
    if damping == 0.0:
        assert_close(found.proximal, found.warm, rtol=1e-12, call="proximal against warm")
    else:
        assert compare(found.proximal, found.warm).slope < 0.9
    assert compare(found.linearised, found.pbrf).slope < 0.8  # as ridge: 1 - h_i


def plain_objective(learner, name, i, theta_s, damping, amount):
    """Literally as in the module's docstring."""
    n, w = learner.n_points, np.ones(learner.n_points) - amount * np.eye(learner.n_points)[i]
    loss, slope = plain.LOSSES[learner.loss]
    f_s = [plain.output(learner, theta_s, x) for x in learner.X]

    def bregman(theta):
        f = [plain.output(learner, theta, x) for x in learner.X]
        of = sum(loss(a, y) - loss(b, y) - slope(b, y) * (a - b) for a, b, y in zip(f, f_s, learner.y, strict=True)) / n
        return of - amount / n * plain.point_loss(learner, theta, i) + learner.l2 / 2.0 * ((theta - theta_s) @ (theta - theta_s))

    def value(theta):
        spring = 0.0 if name == "warm" else damping / 2.0 * ((theta - theta_s) @ (theta - theta_s))
        return spring + (bregman(theta) if name == "pbrf" else plain.objective(learner, theta, w))

    return value


@pytest.mark.parametrize("loss", ["logistic", "squared"])
@pytest.mark.parametrize("hidden", [(2,), (2, 2)])
@pytest.mark.parametrize("steps", [20, 2000])
def test_stages_of_a_network_are_the_minima_that_bfgs_finds_of_plain_objectives(loss, hidden, steps):
    """At a damping so large that there is one minimum in reach; half of a point is taken."""
    learner = network(4, 1, loss=loss, hidden=hidden, steps=steps, l2=0.1)
    found = proximal_responses(learner, SEEDS, damping=0.4, amount=0.5)
    for r, theta_s in enumerate(learner.linearize(np.ones(4), SEEDS).params):
        before = np.array([plain.output(learner, theta_s, x) for x in learner.X_query])
        for name in ("warm", "proximal", "pbrf"):
            for i in (0, 3):
                value = plain_objective(learner, name, i, theta_s, 0.4, 0.5)
                best = optimize.minimize(
                    value,
                    theta_s,
                    jac=lambda at, value=value: plain.complex_step(value, at),
                    method="BFGS",
                    options={"gtol": 1e-9},
                )
                after = np.array([plain.output(learner, best.x, x) for x in learner.X_query])
                assert_close(getattr(found, name)[r, i], before - after, atol=1e-6, call=f"{name} of seed {r}, point {i}")
    assert np.abs(found.pbrf).max() > 0.01


def test_warm_is_where_long_training_from_the_trained_parameters_leads():
    """Several minima and little damping: the one that plain gradient descent goes on to, not the one of training anew."""
    learner = network(5, 1, loss="logistic", hidden=(2,), steps=200, l2=0.02)
    found = proximal_responses(learner, SEEDS, damping=0.01)
    longer = dataclasses.replace(learner, steps=8000, learning_rate=1.0)
    for r, (theta_s, i) in enumerate(zip(learner.linearize(np.ones(5), SEEDS).params, (0, 2), strict=True)):
        w = np.ones(5) - np.eye(5)[i]
        end = plain.train(longer, w, theta_s, np.ones((8000, 5), dtype=bool))[-1]
        left = np.linalg.solve(plain.hessian(learner, end, w), plain.objective_gradient(learner, end, w))
        slack = 2.0 * np.linalg.norm(left) * np.linalg.norm(plain.output_gradients(learner, end), axis=1).max()
        assert slack < 0.01, "plain training has not come near enough"
        expected = [plain.output(learner, theta_s, x) - plain.output(learner, end, x) for x in learner.X_query]
        assert_close(found.warm[r, i], expected, atol=slack + 1e-9, call=f"warm of seed {r}, point {i}")
    assert relative_error(found.warm, found.cold) > 0.1


def test_cold_is_leave_one_out_of_every_seed():
    learner = network(4, loss="logistic", hidden=(2,), steps=50)
    found = proximal_responses(learner, SEEDS, damping=0.5)
    masks = np.array([[mask >> i & 1 for i in range(4)] for mask in range(16)], dtype=float)
    assert_close(found.cold.mean(axis=0), leave_one_out(mean_response(learner, masks, SEEDS)), atol=1e-13, call="cold")


def test_linearised_is_damped_gauss_newton_influence():
    learner = network(loss="logistic", hidden=(3,), steps=300)
    found, at = proximal_responses(learner, SEEDS, damping=0.2), learner.linearize(np.ones(6), SEEDS)
    for r, theta in enumerate(at.params):
        gradients = plain.complex_step(lambda t: np.array([plain.output(learner, t, x) for x in learner.X]), theta)
        p = special.expit([plain.output(learner, theta, x) for x in learner.X])
        damped = (gradients.T * (p * (1.0 - p))) @ gradients / 6.0 + 0.25 * np.eye(len(theta))
        expected = (
            -((p - learner.y)[:, None] * gradients) @ np.linalg.inv(damped) @ plain.output_gradients(learner, theta).T / 6.0
        )
        assert_close(found.linearised[r], expected, rtol=1e-11, call="linearised")
    fit = dataclasses.replace(at.fit, penalty=0.25)
    full = trak(dataclasses.replace(at, fit=fit), dimension=len(at.params[0]), seed=0).scores
    assert_close(found.linearised, full, rtol=1e-10, call="linearised against TRAK in all dimensions")


# --- limits ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["logistic", "squared"])
@pytest.mark.parametrize("steps", [30, 4000])
def test_the_response_to_a_small_amount_is_influence_to_first_order_in_it_converged_or_not(loss, steps):
    """||pbrf - linearised|| / amount falls in proportion to the amount; proximal far from convergence is not near."""
    learner, gaps, others = network(loss=loss, hidden=(3,), steps=steps), [], []
    for amount in (0.02, 0.01, 0.005):
        found = proximal_responses(learner, SEEDS, damping=0.1, amount=amount)
        gaps.append(relative_error(found.pbrf, found.linearised))
        others.append(relative_error(found.proximal, found.linearised))
    assert gaps[-1] < 0.02
    assert_close(np.divide(gaps[:-1], gaps[1:]), [2.0, 2.0], rtol=0.1, call=f"ratios of {gaps}")
    if steps == 30:
        assert others[-1] > 1.0
    whole = proximal_responses(learner, SEEDS, damping=0.1)
    assert_close(found.linearised, 0.005 * whole.linearised, rtol=1e-12, call="linearised is linear in the amount")


@pytest.mark.parametrize("loss", ["logistic", "squared"])
def test_effects_vanish_as_gradient_products_over_the_damping_where_it_is_large(loss):
    """damping x pbrf -> -(1/N) grad f . grad l_i: one gradient step. Warm and cold do not know of the damping."""
    learner = network(loss=loss, hidden=(3,), steps=30)
    at = learner.linearize(np.ones(6), SEEDS)
    limit = -np.einsum("rnp,rmp->rnm", at.point_gradients, at.output_gradients) / 6.0
    gaps, before = [], proximal_responses(learner, SEEDS, damping=1.0)
    for damping in (1e3, 1e4, 1e5):
        found = proximal_responses(learner, SEEDS, damping=damping)
        gaps.append(relative_error(damping * found.pbrf, limit))
        assert relative_error(damping * found.linearised, limit) < 10.0 / damping
        assert np.abs(found.proximal).max() < 10.0 / damping
        assert_close(found.warm, before.warm, rtol=1e-12, call="warm")
        assert_close(found.cold, before.cold, rtol=1e-15, call="cold")
    assert_close(np.divide(gaps[:-1], gaps[1:]), [10.0, 10.0], rtol=0.1, call=f"ratios of {gaps}")


def test_influence_is_not_leave_one_out_of_a_network_and_the_gaps_say_why():
    """The signed differences sum to the whole; correlation alone would not see the size."""
    found = proximal_responses(network(8, loss="logistic", hidden=(4,), l2=0.01), range(4), damping=0.01)
    parts = [getattr(found, a) - getattr(found, b) for a, b in pairwise(STAGES)]
    assert_close(sum(parts), found.cold - found.linearised, rtol=1e-13, call="sum of the gaps")
    assert all(np.linalg.norm(part) > 0.1 * np.linalg.norm(found.cold) for part in parts)
    assert compare(found.linearised, found.cold).slope < 0.5


def test_every_seed_has_the_effects_that_it_has_alone():
    learner = network(loss="logistic", hidden=(3,), steps=200)
    together = proximal_responses(learner, SEEDS, damping=0.1)
    for r, seed in enumerate(SEEDS):
        alone = proximal_responses(learner, (seed,), damping=0.1)
        for name in STAGES:
            assert_close(getattr(alone, name)[0], getattr(together, name)[r], atol=1e-10, call=f"{name} of seed {seed}")


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_effects_are_in_the_units_of_the_targets_whatever_these_are(unit):
    """Of a linear network f = g(theta) with parameters that scale too; with the same tolerance relative to what is fitted."""
    learner = network(steps=300)
    scaled = dataclasses.replace(learner, y=unit * learner.y, init_scale=unit)
    expected, found = (proximal_responses(each, SEEDS, damping=0.1) for each in (learner, scaled))
    for name in STAGES:
        assert_close(getattr(found, name), unit * getattr(expected, name), rtol=1e-9, call=name)


@pytest.mark.parametrize("options", [{"batch_size": 2}, {"momentum": 0.5}, {"schedule": "cosine"}, {"activation": "softplus"}])
def test_largest_gradients_are_within_the_tolerance_however_training_went(options):
    learner = network(loss="logistic", hidden=(3,), steps=100, **options)
    found = proximal_responses(learner, SEEDS, damping=0.1)
    expected = learner.linearize(np.ones(6), SEEDS).gradient_norm.max()
    assert found.gradient_norms["trained"].max() == expected > 1e-3
    assert set(found.gradient_norms) == {"trained", "warm", "proximal", "pbrf"}
    assert max(found.gradient_norms[name].max() for name in ("warm", "proximal", "pbrf")) < 1e-10
    assert all(getattr(found, name).shape == (2, 6, 3) for name in STAGES)


def test_every_stage_is_an_attribution_with_the_gradients_of_its_search():
    found = proximal_responses(network(4, loss="logistic", steps=50), SEEDS, damping=0.1)
    for name in STAGES:
        stage = found.attribution(name)
        assert stage.scores is getattr(found, name)
        search = name if name in ("warm", "proximal", "pbrf") else "trained"
        assert stage.diagnostics["gradient_norm"] is found.gradient_norms[search]
    assert found.attribution("pbrf").diagnostics["gradient_norm"].shape == (2, 4)
    with pytest.raises(ValueError, match="stage 'hot' is unknown, expected one of cold, warm, proximal, pbrf, linearised"):
        found.attribution("hot")


# --- refusals --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"damping": -0.1}, "damping = -0.1, expected a finite number >= 0"),
        ({"damping": np.nan}, "damping = nan, expected a finite number >= 0"),
        ({"damping": 0.1, "amount": 0.0}, "amount = 0.0, expected 0 < amount <= 1"),
        ({"damping": 0.1, "amount": 1.5}, "amount = 1.5, expected 0 < amount <= 1"),
        ({"damping": 0.1, "seeds": ()}, "seeds is empty, expected at least one"),
    ],
)
def test_bad_options_are_refused_with_what_was_got_and_what_was_expected(options, message):
    with pytest.raises(ValueError, match=message):
        proximal_responses(network(steps=2), **{"seeds": SEEDS, **options})


def test_several_snapshots_are_refused():
    with pytest.raises(ValueError, match="2 snapshots, expected one"):
        proximal_responses(network(steps=2, snapshots=(1, 2)), SEEDS, damping=0.1)


def test_more_parameters_than_points_are_refused_by_name_without_damping_and_penalty():
    learner = network(4, hidden=(3,), l2=0.0, steps=50)
    with pytest.raises(np.linalg.LinAlgError, match=r"of seed 4 is singular with l2 = 0 and damping = 0.*take a larger"):
        proximal_responses(learner, SEEDS, damping=0.0)


def test_separable_classes_without_a_penalty_have_no_warm_response_and_the_stage_is_named():
    X = np.array([[-2.0], [-1.0], [1.0], [2.0]])
    learner = MLP(X, [0.0, 0.0, 1.0, 1.0], X, hidden=(), steps=50)
    message = (
        r"warm: no isolated minimum was reached for seed 4 with point 0 at weight 0: the gradient's norm is .*take a larger l2$"
    )
    with pytest.raises(ArithmeticError, match=message):
        proximal_responses(learner, SEEDS, damping=0.1)


def test_a_valley_of_minima_has_no_warm_response_either():
    with pytest.raises(ArithmeticError, match="warm: no isolated minimum was reached for seed 4 with point 0 at weight 0"):
        proximal_responses(network(4, hidden=(3,), l2=0.0, steps=500), SEEDS, damping=0.1)
