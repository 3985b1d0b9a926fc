"""Minimum-norm interpolation on random features against plain loops and numpy's pseudo-inverse; what T11 says of it."""

import math
import operator

import numpy as np
import pytest
from assertions import arrays_of, assert_close, assert_identical
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import SEEDS, interior_weights

from sims.learners import Interpolator
from sims.testing import laws as contract
from theory.datamodel import optimal_datamodel
from theory.derivatives import average_derivative
from theory.edges import decompose_edges
from theory.laws import Bernoulli
from theory.response import DifferentiableLearner, LinearizableLearner, mean_response, weight_derivative
from theory.streams import stream
from theory.subsets import all_masks
from theory.values import leave_one_out

EPS = np.finfo(np.float64).eps
MANY = (5, 0, 3)


def learner_of(seed=0, n=8, m=3, **options):
    """Normal data in two columns, labels of unit variance."""
    rng = np.random.default_rng(seed)
    return Interpolator(rng.standard_normal((n, 2)), rng.standard_normal(n), rng.standard_normal((m, 2)), **options)


def features(learner, points, seed):
    """phi (P, width) from the draws of the seed, one number at a time."""
    rng, d = stream("Interpolator features", seed), learner.X.shape[1]
    omega = rng.standard_normal((learner.width, d))
    shift = rng.uniform(0.0, 2.0 * np.pi, learner.width)
    return np.array(
        [
            [
                math.sqrt(2.0 / learner.width) * math.cos(sum(map(operator.mul, omega[k], x)) / learner.bandwidth + shift[k])
                for k in range(learner.width)
            ]
            for x in points
        ]
    )


def by_pseudo_inverse(learner, weights, seed):
    """Predictions (M,) of the minimiser of least norm, l2 = 0."""
    root = np.sqrt(weights)[:, None]
    theta = np.linalg.pinv(root * features(learner, learner.X, seed)) @ (root[:, 0] * learner.y)
    return features(learner, learner.X_query, seed) @ theta


def rounding_of_derivative(learner, seed):
    """(N + width) eps cond(phi) ||y|| ||weights of the labels in output m||: (M,)."""
    phi, queries = features(learner, learner.X, seed), features(learner, learner.X_query, seed)
    of_labels = np.linalg.norm(queries @ np.linalg.pinv(phi), axis=1)
    return (learner.n_points + learner.width) * EPS * np.linalg.cond(phi) * np.linalg.norm(learner.y) * of_labels


# --- the learner -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [3, 8, 32])
@pytest.mark.parametrize("bandwidth", [0.5, 1.0])
def test_predictions_equal_the_pseudo_inverse_on_features_written_out(width, bandwidth):
    learner = learner_of(width=width, bandwidth=bandwidth)
    weights = np.random.default_rng(1).uniform(0.2, 2.0, (6, 8))
    weights[3:] = weights[3:] > 1.0
    expected = [[by_pseudo_inverse(learner, row, seed) for seed in MANY] for row in weights]
    assert_close(learner.respond(weights, MANY), np.array(expected), rtol=1e-9, call="respond against numpy's pinv")


def test_penalised_predictions_equal_lstsq_with_rows_for_the_penalty():
    learner, weights = learner_of(width=32, l2=0.1), np.random.default_rng(1).uniform(0.2, 2.0, 8)
    rows = np.concatenate([np.sqrt(weights)[:, None] * features(learner, learner.X, 5), np.sqrt(8 * 0.1) * np.eye(32)])
    theta = np.linalg.lstsq(rows, np.append(np.sqrt(weights) * learner.y, np.zeros(32)), rcond=None)[0]
    expected = features(learner, learner.X_query, 5) @ theta
    assert_close(learner.respond(weights[None], (5,))[0, 0], expected, rtol=1e-12, call="respond against lstsq")


def test_features_of_two_points_multiply_to_the_gaussian_kernel_on_average():
    learner = learner_of(width=50, bandwidth=1.7)
    phi = np.sqrt(learner.width) * learner.linearize(np.ones(8), range(200)).output_gradients.transpose(1, 0, 2)
    for a, x in zip(phi, learner.X_query, strict=True):
        for b, z in zip(phi, learner.X_query, strict=True):
            standard_error = np.std(a * b) / math.sqrt(a.size)
            assert abs(np.mean(a * b) - math.exp(-(math.dist(x, z) ** 2) / (2.0 * 1.7**2))) < 3.0 * standard_error


@given(data=st.data(), width=st.sampled_from([8, 32]))
def test_every_present_point_is_fitted_whatever_its_weight(data, width):
    rng = np.random.default_rng(data.draw(SEEDS))
    X, y, weights = rng.standard_normal((6, 2)), rng.standard_normal(6), data.draw(interior_weights(6, 0.2, 5.0))
    learner = Interpolator(X, y, X, width=width)
    condition = np.linalg.cond(features(learner, X, 0))
    assume(condition < 1e4)
    present = rng.random(6) < 0.7
    fitted = learner.respond((weights * present)[None], (0,))[0, 0]
    assert_close(fitted[present], y[present], atol=100.0 * EPS * condition * np.linalg.norm(y), call="predictions at the points")


# --- T11: nothing to see at w = 1, much in the datamodel -------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("weights", [np.ones(8), np.linspace(0.2, 2.0, 8)], ids=["at w = 1", "inside"])
def test_derivative_of_an_interpolator_is_zero_up_to_the_rounding_it_documents(seed, weights):
    learner = learner_of(seed)
    spread = np.sqrt(weights.max() / weights.min())  # cond(sqrt(W) phi) <= spread cond(phi)
    for r in MANY:
        derivative = weight_derivative(learner, weights, (r,))
        worst = np.abs(derivative).max(axis=0)
        assert (worst <= spread * rounding_of_derivative(learner, r)).all()
        assert worst.max() < 1e-11


@pytest.mark.parametrize("seeds", [(0,), tuple(range(64))], ids=["one seed", "mean of 64 seeds"])
def test_datamodel_and_leave_one_out_of_an_interpolator_are_as_large_as_its_outputs(seeds):
    learner = learner_of(3)
    table = mean_response(learner, all_masks(8), seeds)
    assert np.abs(weight_derivative(learner, np.ones(8), seeds)).max() < 1e-13
    assert np.abs(leave_one_out(table)).mean() > 0.5
    for p, size in ((0.1, 0.15), (0.5, 0.2), (0.9, 0.5)):
        assert np.abs(optimal_datamodel(table, Bernoulli(p)).coefficients).mean() > size


@pytest.mark.parametrize("seed", range(3))
def test_leave_one_out_equals_the_pseudo_inverse_without_the_point(seed):
    learner = learner_of(seed)
    full = by_pseudo_inverse(learner, np.ones(8), 5)
    expected = [full - by_pseudo_inverse(learner, 1.0 - np.eye(8)[i], 5) for i in range(8)]
    computed = leave_one_out(mean_response(learner, all_masks(8), (5,)))
    assert_close(computed, np.array(expected), rtol=1e-9, call="leave-one-out of the table against pinv")


def test_all_of_the_datamodel_is_in_the_jumps_at_weight_zero():
    learner, laws = learner_of(1, n=6, width=16), [Bernoulli(0.3), Bernoulli(0.5)]
    table = mean_response(learner, all_masks(6), (0, 1))
    edges = decompose_edges(learner, (0, 1), tolerance=1e-7)
    assert (edges.jump_table.t[np.abs(edges.jump_table.size).max(axis=1) > 1e-3] < 1e-15).all()
    for law in laws:
        beta = optimal_datamodel(table, law).coefficients
        assert_close(edges.average_jumps(law)[0], beta, rtol=1e-6, call="average jump against beta")
        along = average_derivative(learner, law, (0, 1), 4)
        assert np.abs(along).max() < 1e-9 * np.abs(beta).max()


@pytest.mark.parametrize("options", [{"width": 3}, {"width": 32, "l2": 0.01}], ids=["narrow", "penalised"])
def test_derivative_is_seen_where_nothing_is_interpolated(options):
    learner = learner_of(**options)
    assert np.abs(weight_derivative(learner, np.ones(8), (0, 1))).mean() > 0.02


# --- the contract ----------------------------------------------------------------------------------------------------------


@settings(max_examples=20)
@given(data=st.data())
def test_narrow_learner_keeps_the_contract(data):
    learner = learner_of(data.draw(SEEDS), n=7, width=2)
    assume(max(np.linalg.cond(features(learner, learner.X, seed)) for seed in (0, 1, *MANY)) < 30.0)
    _check_contract(learner, data)


def _check_contract(learner, data):
    weights = data.draw(interior_weights(3 * learner.n_points)).reshape(3, -1)
    assert isinstance(learner, DifferentiableLearner)
    assert isinstance(learner, LinearizableLearner)
    contract.check_seeds(learner, weights)
    contract.check_inputs_are_left_alone(learner, weights, MANY)
    contract.check_data_are_copied(learner, weights, MANY)
    contract.check_batch_equals_singles(learner, weights)
    contract.check_derivative(learner, weights[0], MANY)


def test_wide_learner_gives_the_same_bits_for_a_seed_alone_and_among_others():
    learner, weights = learner_of(), np.random.default_rng(0).uniform(0.2, 2.0, (4, 8))
    weights[0, :3] = 0.0
    for method in (learner.respond, learner.weight_jacobian):
        answers = method(weights, MANY)
        for k, seed in enumerate(MANY):
            alone = method(weights, (seed,))[:, 0]
            assert np.array_equal(alone, answers[:, k], equal_nan=True), f"{method.__name__} with seed {seed} alone"


def test_derivative_at_an_absent_point_is_undefined_where_the_response_jumps():
    learner, weights = learner_of(), np.ones(8)
    weights[2] = 0.0
    jumps = contract.response_jumps(learner, weights, (0,))
    assert jumps[2].all()
    assert np.array_equal(np.isnan(weight_derivative(learner, weights, (0,))), jumps)


def test_linearization_of_every_seed_is_the_one_asked_alone_and_predicts_the_derivative():
    learner, weights = learner_of(l2=0.1), np.linspace(0.5, 1.5, 8)
    together = learner.linearize(weights, MANY)
    for k, seed in enumerate(MANY):
        alone = learner.linearize(weights, (seed,))
        for name, values in arrays_of(alone).items():
            found, common = arrays_of(together)[name], name in ("fit.weights", "fit.penalty")
            assert_identical(found if common else found[k], values if common else values[0], call=f"{name} of seed {seed}")
        moved = np.linalg.solve(together.hessian[k], together.point_gradients[k].T) / 8.0
        expected = -together.output_gradients[k] @ moved
        jacobian = learner.weight_jacobian(weights[None], (seed,))[0, 0]
        assert_close(jacobian, expected, rtol=1e-11, call="weight_jacobian against -(1/N) grad f^T H^-1 grad l")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 0}, "width = 0, expected a whole number >= 1"),
        ({"width": 2.5}, "width = 2.5, expected a whole number >= 1"),
        ({"bandwidth": 0.0}, "bandwidth = 0.0, expected a finite number > 0"),
        ({"l2": -1.0}, "l2 = -1.0, expected a finite number >= 0"),
        ({"y": [1.0]}, r"y has shape \(1,\), expected \(2,\)"),
        ({"X_query": [[1.0, 2.0]]}, "X_query has 2 columns, X has 1"),
    ],
)
def test_bad_input_is_refused_by_name(change, message):
    with pytest.raises(ValueError, match=message):
        Interpolator(**{"X": [[0.0], [1.0]], "y": [1.0, 2.0], "X_query": [[0.5]], **change})
