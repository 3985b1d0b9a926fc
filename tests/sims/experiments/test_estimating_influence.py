"""The experiment on estimating D(1), leave-one-out and Shapley values: against enumeration, closed forms and other libraries."""

from dataclasses import replace

import numpy as np
import pytest
from assertions import assert_close
from scipy import stats
from sklearn.linear_model import LinearRegression
from stored import computed

from sims.experiments import estimating_influence as module
from sims.experiments.estimating_influence import INFLUENCE, EstimatingInfluenceConfig, run
from sims.experiments.shared.problem import Problem
from sims.retrain import response_table
from theory.laws import Bernoulli
from theory.response import mean_response, weight_derivative
from theory.streams import stream
from theory.subsets import all_masks
from theory.values import shapley

RIDGE = Problem("longley", "least_squares", l2=0.1, n_points=6, n_queries=2)
CONFIG = EstimatingInfluenceConfig(RIDGE, groups=(6,), repetitions=3)


@pytest.fixture(scope="module")
def result():
    return run(CONFIG)


def test_the_recommended_design_beats_subsets_and_shapley_beats_independent_orders():
    (small,) = computed("estimating_influence")
    error = small.influence.sel(quality="error").isel(m=0)
    assert error.sel(way="fold-over, two scales") < 0.1 * error.sel(way="subsets, times p")
    assert small.shapley.sel(quality="error", shapley_way="orders, reversed and shifted") < small.shapley.sel(
        quality="error", shapley_way="independent orders"
    )


def test_subsets_with_l2_p_by_scikit_learn(result):
    """The root mean square of the relative errors of p times the slopes of LinearRegression, on the same draws."""
    exact = weight_derivative(RIDGE.build(), np.ones(6), [0])
    way, errors = "subsets, l2 p, times p", []
    for seed in range(3):
        drawn = Bernoulli(0.5).draw(n_subsets=96, n_points=6, rng=stream(f"estimating influence {way}", seed))
        slopes = LinearRegression().fit(drawn, mean_response(RIDGE.build(l2=0.05), drawn, [0])).coef_.T
        errors.append(np.linalg.norm(0.5 * slopes - exact) / np.linalg.norm(exact))
    squares = np.square(errors)
    rms = np.sqrt(squares.mean())
    at = {"way": way, "quality": "error", "m": 96}
    assert_close(result.influence.sel(at), rms, rtol=1e-9)
    assert_close(result.influence_error.sel(at), stats.sem(squares) / (2.0 * rms), rtol=1e-9)


def test_the_bias_of_central_differences_and_of_two_scales_is_of_fourth_order(result):
    halved = run(replace(CONFIG, scale=0.125, repetitions=2))
    for way, order in (
        ("fold-over, two scales", 4),
        ("one point at a time, two scales", 4),
        ("fold-over, one scale", 2),
        ("weights 1 - s, 1 + s", 2),
    ):
        assert abs(np.log2(result.bias.sel(known_way=way) / halved.bias.sel(known_way=way)) - order) < 0.2
    assert "Poisson(1)" not in result.known_way


def test_leave_one_out_is_exact_from_n_plus_one_and_undefined_below(result):
    error = result.leave_one_out.sel(loo_way="all but one", quality="error")
    assert np.isnan(error.sel(m_loo=4))
    assert (error.sel(m_loo=[7, 21]) < 1e-12).all()


def test_two_values_of_p_remove_what_is_linear_in_one_over_p_up_to_one():
    """p beta = D + ((1 - 2p)/2p) A + ((1 - p)/2p) B: B is gone, and D - A/2 remains."""
    D, A, B = np.array([[3.0]]), np.array([[0.7]]), np.array([[-5.0]])
    beta = {p: (D + (1 - 2 * p) / (2 * p) * A + (1 - p) / (2 * p) * B) / p for p in (0.5, 0.8)}
    assert_close(module._of_two(beta[0.5], beta[0.8], 0.5, 0.8), D - A / 2.0, rtol=1e-12)


def test_least_squares_on_all_subsets_by_the_shapley_kernel_is_the_shapley_value(monkeypatch):
    """With so many pairs that the draws are near their law: within 4 standard errors of enumeration, over 20 repetitions."""
    table = response_table(RIDGE.build(), (0,)).mean
    found = [module._kernel_regression(table, 2000, stream("test", k)) for k in range(20)]
    exact = shapley(table)
    assert (np.abs(np.mean(found, axis=0) - exact) < 4.0 * stats.sem(found, axis=0) + 1e-3 * np.abs(exact).max()).all()
    assert_close(np.mean(found, axis=0).sum(axis=0), table[-1] - table[0], rtol=1e-9)


def test_every_order_has_the_gains_of_its_points():
    table = np.arange(8.0)[:, None] ** 2
    assert_close(module._gains(table, np.array([2, 0, 1])), [[25.0 - 16.0], [49.0 - 25.0], [16.0]], rtol=0)


def test_new_seeds_differ_from_group_to_group_and_the_truth_states_its_error():
    network = Problem("two_moons", "mlp", hidden=(2,), steps=3, activation="relu", n_points=4, n_queries=2)
    config = EstimatingInfluenceConfig(network, groups=(8,), repetitions=2, n_seeds=2, new_seeds=True, truth_seeds=8)
    found = run(config)
    assert found.truth_error > 0.0
    assert "bias" not in found
    learner, weights = network.build(), np.ones((4, 4))
    F = module._respond(config, learner, weights, np.array([0, 0, 1, 1]), 3, 1)
    assert (F[0] == F[1]).all()
    assert (F[1] != F[2]).any()
    start = 2 * (2000 * (len(INFLUENCE) + 3) + 1)
    assert_close(F[2:], mean_response(learner, weights[2:], (start, start + 1)), rtol=0)


def test_the_truth_of_a_smooth_learner_by_differences_is_its_derivative():
    """The same formula as for learners that jump, on ridge: central differences at s and s/2 miss D(1) by O(s^4)."""
    config = replace(CONFIG, scale=0.05, truth_seeds=2)
    exact = weight_derivative(RIDGE.build(), np.ones(6), [0])
    assert_close(module._differences(config, RIDGE.build()).values, exact, rtol=1e-5, atol=1e-6 * np.abs(exact).max())


def test_interactions_of_pairs_give_leave_one_out_of_a_quadratic():
    masks = all_masks(4)
    table = (masks @ np.arange(1.0, 5.0) + 3.0 * masks[:, 0] * masks[:, 2])[:, None]
    features = module._with_pairs(masks)
    slopes = module._slopes(features, table)
    left_out = module._with_pairs(np.ones((1, 4))) - module._with_pairs(1.0 - np.eye(4))
    assert_close(left_out @ slopes, [[4.0], [2.0], [6.0], [4.0]], rtol=1e-10)
