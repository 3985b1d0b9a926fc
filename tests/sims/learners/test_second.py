"""Second derivatives through the training of networks, against extrapolated differences, complex steps, JAX and closed forms."""

import itertools

import numpy as np
import pytest
from assertions import assert_close, assert_identical
from pairwise import all_pairs, label

from sims.learners import MLP

SEEDS = (4, 1)
ACTIVATIONS, LOSSES = ("tanh", "softplus", "identity", "gelu"), ("logistic", "squared", "softmax")
DEPTHS = {0: (), 1: (3,), 2: (3, 2)}
VARIANTS = {
    "GD": {},
    "SGD": {"batch_size": 2, "l2": 0.03},
    "momentum": {"momentum": 0.5, "schedule": "cosine"},
    "adam": {"optimizer": "adam", "learning_rate": 0.02, "l2": 0.03, "eps": 0.1},
    "adamw": {"optimizer": "adamw", "learning_rate": 0.02, "l2": 0.03, "eps": 0.1, "batch_size": 3},
    "together": {"batch_size": 3, "momentum": 0.4, "l2": 0.03, "schedule": "cosine", "snapshots": (3, 12)},
}
CASES = all_pairs(activation=ACTIVATIONS, loss=LOSSES, depth=DEPTHS, variant=VARIANTS)


def network(*, loss="logistic", n=5, **options):
    rng = np.random.default_rng(0)
    X, X_query = rng.standard_normal((n, 2)), rng.standard_normal((2, 2))
    y = {"logistic": np.arange(n) % 2.0, "squared": rng.standard_normal(n), "softmax": np.arange(n) % 3.0}[loss]
    if loss == "softmax" and "output" not in options:
        options["y_query"] = (0, 2)
    return MLP(X, y, X_query, loss=loss, **{"hidden": (3,), "steps": 12, "learning_rate": 0.2, **options})


WEIGHTS = np.random.default_rng(1).uniform(0.3, 1.5, (3, 5))


def differences(learner, weights, point, other, h=0.02):
    """d D_point / d w_other by central differences with steps h, h/2, h/4, extrapolated (error h^6), and their last change."""
    e = np.zeros(weights.shape[1])
    rows = []
    for step in (h, h / 2.0, h / 4.0):
        e[other] = step
        ahead, behind = (learner.weight_jacobian(weights + sign * e, SEEDS)[..., point] for sign in (1.0, -1.0))
        rows.append((ahead - behind) / (2.0 * step))
    two = [(4.0 * fine - coarse) / 3.0 for coarse, fine in itertools.pairwise(rows)]
    return (16.0 * two[1] - two[0]) / 15.0


@pytest.mark.parametrize("case", CASES, ids=label)
def test_it_is_the_derivative_of_the_jacobian(case):
    options = {**VARIANTS[case["variant"]], "hidden": DEPTHS[case["depth"]], "activation": case["activation"]}
    learner = network(loss=case["loss"], **options)
    for i, j in ((0, 3), (2, 2)):
        found = learner.weight_second_derivative(WEIGHTS, SEEDS, i, j)
        assert found.shape == (3, 2, learner.n_outputs)
        expected = differences(learner, WEIGHTS, i, j)
        assert_close(found, expected, rtol=1e-8, atol=1e-8 * np.abs(expected).max() + 1e-12, call=f"d_{i} d_{j}")


@pytest.mark.parametrize("output", ["margin", "log_probability", 1])
def test_every_output_of_softmax(output):
    learner = network(loss="softmax", output=output, **({} if output == 1 else {"y_query": (0, 2)}))
    expected = differences(learner, WEIGHTS, 0, 3)
    assert_close(learner.weight_second_derivative(WEIGHTS, SEEDS, 0, 3), expected, rtol=1e-8, atol=1e-8 * np.abs(expected).max())


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_it_is_symmetric_to_rounding(activation):
    learner = network(activation=activation, momentum=0.3)
    found, other = (learner.weight_second_derivative(WEIGHTS, SEEDS, *pair) for pair in ((1, 4), (4, 1)))
    assert_close(found, other, rtol=1e-12, atol=1e-14)


def test_relu_has_the_second_derivative_of_its_branch():
    """Differences with steps so small that no branch changes, which `branch` confirms; their rounding is 1e-16 / h."""
    learner, h = network(activation="relu", steps=20), 1e-5
    e = h * np.eye(5)[3]
    branches = [learner.branch(WEIGHTS + sign * e, SEEDS) for sign in (1.0, 0.0, -1.0)]
    same = (branches[0] == branches[1]).all(axis=2) & (branches[1] == branches[2]).all(axis=2)
    assert same.sum() >= 4
    ahead, behind = (learner.weight_jacobian(WEIGHTS + sign * e, SEEDS)[..., 0] for sign in (1.0, -1.0))
    found = learner.weight_second_derivative(WEIGHTS, SEEDS, 0, 3)
    assert_close(found[same], ((ahead - behind) / (2.0 * h))[same], rtol=1e-6, atol=1e-8)


def test_one_step_of_a_linear_network_is_affine_and_two_are_quadratic_in_the_weights():
    """Squared loss: theta_1 is affine in w, so its second derivatives are 0; those of theta_2 depend on w no more."""
    one, two = (network(hidden=(), loss="squared", steps=steps) for steps in (1, 2))
    assert_close(one.weight_second_derivative(WEIGHTS, SEEDS, 0, 1), np.zeros((3, 2, 2)), atol=1e-15)
    found = two.weight_second_derivative(WEIGHTS, SEEDS, 0, 1)
    assert np.abs(found).min() > 1e-6
    assert_close(found[1:], np.repeat(found[:1], 2, axis=0), rtol=1e-10)


def test_it_is_the_hessian_that_jax_takes_through_the_training():
    jax = pytest.importorskip("jax")
    models = pytest.importorskip("jax_models")
    with jax.enable_x64(True):
        learner = MLP(models.X, models.Y, models.X_QUERY, hidden=(3,), momentum=0.5, **models.OPTIONS)
        weights, start = np.random.default_rng(0).uniform(0.2, 2.0, 6), models.init(jax.random.key(4))

        def response(w):
            trained = models.momentum(start, w, models.X, models.Y)
            return jax.vmap(models.output, (None, 0))(trained, models.X_QUERY)

        hessian = np.asarray(jax.jit(jax.hessian(response))(weights))
    for i, j in ((0, 5), (2, 3), (1, 1)):
        found = learner.weight_second_derivative(weights[None], (4,), i, j)[0, 0]
        assert_close(found, hessian[:, i, j], rtol=1e-8, atol=1e-10 * np.abs(hessian).max())


def test_a_row_does_not_depend_on_its_batch_and_many_rows_are_blocks(monkeypatch):
    learner = network()
    whole = learner.weight_second_derivative(WEIGHTS, SEEDS, 0, 1)
    monkeypatch.setattr("sims.learners.network.second._ENTRIES", 20)
    assert_close(learner.weight_second_derivative(WEIGHTS, SEEDS, 0, 1), whole, rtol=1e-12)
    assert_close(learner.weight_second_derivative(WEIGHTS[1:2], SEEDS[::-1], 0, 1)[0], whole[1, ::-1], rtol=1e-12)


def test_divergence_is_named_with_its_row_seed_and_step():
    learner = network(loss="squared", hidden=(), learning_rate=1e6, steps=120)
    with pytest.raises(ArithmeticError, match=r"diverged on weights .*, seed 4, at step \d+"):
        learner.weight_second_derivative(WEIGHTS, SEEDS, 0, 1)


def test_a_point_of_weight_zero_has_second_derivatives_too():
    learner, weights = network(), WEIGHTS.copy()
    weights[:, 0] = 0.0
    h = 1e-4
    ahead = learner.weight_jacobian(weights + h * np.eye(5)[0], SEEDS)[..., 1]
    found = learner.weight_second_derivative(weights, SEEDS, 1, 0)
    assert_close(found, (ahead - learner.weight_jacobian(weights, SEEDS)[..., 1]) / h, rtol=1e-2, atol=1e-4)
    assert_identical(found.shape, (3, 2, 2))
