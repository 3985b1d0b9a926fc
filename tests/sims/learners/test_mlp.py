"""The network against plain loops, complex-step derivatives, closed forms, the contract, T2 and JAX."""

import dataclasses
import itertools
import math
import re
import tracemalloc

import numpy as np
import plain_mlp as plain
import pytest
import strategies
from assertions import arrays_of, assert_close, assert_identical
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pairwise import all_pairs, label

from sims.learners import MLP
from sims.learners.network.proximal import proximal_responses
from sims.testing import laws as contract
from theory.datamodel import optimal_datamodel, quadrature_datamodel
from theory.derivatives import average_derivative
from theory.laws import Bernoulli, TwoPoint
from theory.response import BLOCK, DifferentiableLearner, LinearizableLearner, mean_response, weight_derivative
from theory.subsets import all_masks, mask_rows
from theory.values import leave_one_out

SEEDS = (4, 1)
ACTIVATIONS = ("tanh", "softplus", "relu", "leaky_relu", "identity", "gelu")
ONE_OUTPUT = ("logistic", "squared")
LOSSES = (*ONE_OUTPUT, "softmax")
DEPTHS = {0: (), 1: (3,), 2: (3, 2), 3: (2, 3, 2)}
VARIANTS = {
    "GD": {},
    "SGD": {"batch_size": 2},
    "momentum": {"momentum": 0.5},
    "l2": {"l2": 0.03},
    "cosine": {"schedule": "cosine"},
    "adam": {"optimizer": "adam", "learning_rate": 0.02, "l2": 0.03},
    "adamw": {
        "optimizer": "adamw",
        "learning_rate": 0.02,
        "l2": 0.03,
        "batch_size": 2,
        "schedule": "cosine",
        "betas": (0.8, 0.99),
    },
}
TOGETHER = {"batch_size": 3, "momentum": 0.4, "l2": 0.03, "schedule": "cosine", "jitter": 0.1, "init_scale": 0.8}
VARIANTS_TOO = {**VARIANTS, "all together": TOGETHER}
OUTPUTS = {"fewer outputs than points": {"m": 1}, "more outputs than points": {"m": 7}}

every_activation = pytest.mark.parametrize("activation", ACTIVATIONS)
every_loss = pytest.mark.parametrize("loss", LOSSES)
every_depth = pytest.mark.parametrize("depth", DEPTHS)
every_variant = pytest.mark.parametrize("variant", VARIANTS_TOO)
outputs_on_both_sides = pytest.mark.parametrize("outputs", OUTPUTS)


def network(n=5, d=2, m=2, *, seed=0, loss="logistic", **options):
    """A small network on random data, both labels present twice, 200 steps at rate 0.2 unless told otherwise."""
    rng = np.random.default_rng(seed)
    X, X_query = rng.standard_normal((n, d)), rng.standard_normal((m, d))
    y = {"logistic": np.arange(n) % 2.0, "squared": rng.standard_normal(n), "softmax": np.arange(n) % 3.0}[loss]
    if loss == "softmax" and isinstance(options.get("output", ""), str):
        options = {"y_query": np.arange(m) % min(n, 3), **options}
    return MLP(X, y, X_query, loss=loss, **{"hidden": (3,), "steps": 200, "learning_rate": 0.2, **options})


def network_of(case, **options):
    """The network of a case of `all_pairs`: activation, loss, depth, variant and, where given, outputs."""
    chosen = {**VARIANTS_TOO[case["variant"]], **OUTPUTS.get(case.get("outputs"), {})}
    return network(activation=case["activation"], loss=case["loss"], hidden=DEPTHS[case["depth"]], **chosen, **options)


def some_weights(n=5, seed=0):
    """(3, N): inside, on a subset, and inside but for one absent point."""
    rng = np.random.default_rng(seed)
    inside = rng.uniform(0.2, 2.0, (2, n))
    inside[1, 1] = 0.0
    return np.stack([inside[0], np.arange(n) % 3 != 1, inside[1]])


def start(learner, seeds=SEEDS):
    """What the plain loops are given: initial parameters (R, P) and batches (R, steps, N)."""
    return learner.initial_params(seeds), learner.batches(seeds)


# --- the plain loops themselves --------------------------------------------------------------------------------------------


@every_activation
@every_loss
def test_plain_gradients_are_the_derivatives_of_the_plain_losses(activation, loss):
    learner, weights = network(activation=activation, loss=loss, hidden=(3, 2), l2=0.1), some_weights()[0]
    theta = np.random.default_rng(2).standard_normal(plain.n_params(learner))
    for i in range(5):
        expected = plain.complex_step(lambda at, i=i: plain.point_loss(learner, at, i), theta)
        assert_close(plain.point_gradient(learner, theta, i), expected, rtol=1e-14, call=f"point_gradient of point {i}")
    expected = plain.complex_step(lambda at: plain.objective(learner, at, weights), theta)
    assert_close(plain.objective_gradient(learner, theta, weights), expected, rtol=1e-14, call="objective_gradient")


@pytest.mark.parametrize("loss", ONE_OUTPUT)
def test_plain_loss_and_softplus_equal_their_formulas_and_do_not_overflow(loss):
    f, y = np.array([-2.0, -0.5, 0.0, 1.5]), np.array([0.0, 1.0, 1.0, 0.0])
    formula = {"logistic": np.log(1.0 + np.exp(-(2.0 * y - 1.0) * f)), "squared": (f - y) ** 2 / 2.0}[loss]
    assert_close(plain.LOSSES[loss][0](f, y), formula, rtol=1e-15, call=loss)
    assert_identical(plain.softplus(np.array([-800.0, 800.0])), [0.0, 800.0], call="softplus far out")
    assert_identical(plain.sigmoid(np.array([-800.0, 800.0])), [0.0, 1.0], call="sigmoid far out")


# --- random streams --------------------------------------------------------------------------------------------------------


def test_initial_weights_are_normal_with_variance_one_over_inputs_and_biases_are_zero():
    """Over 4000 seeds: moments of every layer, no correlation between any two weights."""
    learner = network(d=2, hidden=(4, 3), steps=1)
    params = learner.initial_params(range(4000))
    assert params.shape == (4000, plain.n_params(learner)) == (4000, 31)
    for k, (inputs, outputs) in enumerate([(2, 4), (4, 3), (3, 1)]):
        found = [plain.layers(learner, row)[k] for row in params]
        z = np.sqrt(inputs) * np.stack([W for W, _ in found])
        assert z.shape == (4000, inputs, outputs)
        assert abs(z.mean()) < 5.0 / math.sqrt(z.size)
        assert abs((z**2).mean() - 1.0) < 5.0 * math.sqrt(2.0 / z.size)
        assert abs((z**4).mean() - 3.0) < 5.0 * math.sqrt(96.0 / z.size)
        assert not any(b.any() for _, b in found)
    correlation = np.corrcoef(params[:, params.any(axis=0)].T)
    assert len(correlation) == 8 + 12 + 3
    assert np.abs(correlation - np.eye(23)).max() < 5.0 / math.sqrt(4000)


def test_init_scale_multiplies_the_initial_parameters():
    expected = 2.5 * network().initial_params(SEEDS)
    assert_close(network(init_scale=2.5).initial_params(SEEDS), expected, rtol=1e-15, call="init_scale = 2.5")


def test_jitter_multiplies_the_initial_parameters_by_one_plus_a_normal_number():
    learner = network(d=20, hidden=(40, 30), steps=1)
    plainly = learner.initial_params(SEEDS)
    present = plainly != 0.0
    z = [
        (dataclasses.replace(learner, jitter=jitter).initial_params(SEEDS)[present] / plainly[present] - 1.0) / jitter
        for jitter in (0.1, 0.2)
    ]
    assert_close(z[0], z[1], atol=1e-12, call="the normal numbers of jitter 0.1 and of 0.2")
    assert abs(z[0].mean()) < 5.0 / math.sqrt(z[0].size)
    assert abs((z[0] ** 2).mean() - 1.0) < 5.0 * math.sqrt(2.0 / z[0].size)
    assert abs(np.corrcoef(z[0], plainly[present])[0, 1]) < 5.0 / math.sqrt(z[0].size)


def test_initial_parameters_depend_on_nothing_but_sizes_scale_jitter_and_seed():
    learner = network(n=6, jitter=0.1)
    changes = {
        "X": learner.X[:4] + 1.0,
        "y": learner.y[:4],
        "X_query": learner.X,
        "activation": "softplus",
        "steps": 7,
        "learning_rate": 0.01,
        "l2": 0.1,
        "momentum": 0.5,
        "batch_size": 2,
        "schedule": "cosine",
    }
    expected = learner.initial_params(SEEDS)
    assert_identical(dataclasses.replace(learner, **changes).initial_params(SEEDS), expected, call="initial_params")


@pytest.mark.parametrize(("n", "batch_size"), [(6, 2), (5, 2), (7, 3), (5, 1), (6, 3)])
def test_batches_are_random_permutations_cut_into_consecutive_batches(n, batch_size):
    per_epoch = -(-n // batch_size)
    members = network(n, batch_size=batch_size, steps=40 * per_epoch).batches(SEEDS)
    assert members.dtype == bool
    assert members.shape == (2, 40 * per_epoch, n)
    epochs = members.reshape(2, 40, per_epoch, n)
    assert (epochs.sum(axis=2) == 1).all()
    assert (epochs.sum(axis=3) == [batch_size] * (per_epoch - 1) + [n - batch_size * (per_epoch - 1)]).all()
    assert len(np.unique(epochs[0], axis=0)) > 4
    assert not np.array_equal(epochs[0], epochs[1])


def test_every_point_is_equally_often_in_the_first_batch():
    members = network(6, batch_size=2, steps=1).batches(range(600))[:, 0]
    expected, spread = 200.0, math.sqrt(600 * (1 / 3) * (2 / 3))
    assert (abs(members.sum(axis=0) - expected) < 5.0 * spread).all()


def test_batches_depend_on_nothing_but_points_size_steps_and_seed():
    learner = network(n=6, batch_size=4, steps=20)
    changes = {"X": learner.X + 1.0, "hidden": (5, 5), "init_scale": 3.0, "jitter": 0.5, "l2": 0.1, "schedule": "cosine"}
    assert_identical(dataclasses.replace(learner, **changes).batches(SEEDS), learner.batches(SEEDS), call="batches")
    fewer = dataclasses.replace(learner, steps=7)
    assert_identical(fewer.batches(SEEDS), learner.batches(SEEDS)[:, :7], call="batches of fewer steps")
    assert_identical(learner.batches(SEEDS[1:]), learner.batches(SEEDS)[1:], call="batches of one seed")


@pytest.mark.parametrize("batch_size", [None, 5])
def test_everyone_is_in_a_full_batch(batch_size):
    learner = network(batch_size=batch_size, steps=9)
    assert_identical(learner.batches(SEEDS), np.ones((2, 9, 5), dtype=bool), call="batches")


# --- responses -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", all_pairs(activation=ACTIVATIONS, loss=LOSSES, depth=DEPTHS, variant=VARIANTS), ids=label)
def test_response_equals_the_plain_loop(case):
    """Every second replica of weights by seeds: the others are in the tests below."""
    learner = network_of(case)
    params, members = start(learner)
    weights = some_weights(seed=case["depth"])[:2]
    answer = learner.respond(weights, SEEDS)
    expected = [plain.one_response(learner, weights[k], params[k], members[k]) for k in range(2)]
    assert_close(answer[[0, 1], [0, 1]], expected, atol=1e-10, call="respond against plain loops")


@every_activation
@every_loss
def test_response_with_every_option_at_once_equals_the_plain_loop(activation, loss):
    learner = network(activation=activation, loss=loss, hidden=(3, 2), snapshots=(7, 60, 200), **TOGETHER)
    expected = plain.responses(learner, some_weights(), *start(learner))
    assert expected.shape == (3, 2, 6)
    assert_close(learner.respond(some_weights(), SEEDS), expected, atol=1e-10, call="respond against plain loops")


@st.composite
def learners(draw):
    """Any small network and any training of it, whether it converges or not."""
    n, d, m = (draw(st.integers(low, high)) for low, high in ((2, 6), (1, 3), (1, 3)))
    options = {
        "activation": st.sampled_from(ACTIVATIONS),
        "loss": st.sampled_from(LOSSES),
        "hidden": st.lists(st.integers(1, 4), max_size=3).map(tuple),
        "steps": st.integers(1, 30),
        "learning_rate": st.floats(0.01, 0.2),
        "l2": st.sampled_from([0.0, 0.1]),
        "momentum": st.sampled_from([0.0, 0.5]),
        "batch_size": st.none() | st.integers(1, n),
        "schedule": st.sampled_from(["constant", "cosine"]),
        "optimizer": st.sampled_from(["sgd", "adam", "adamw"]),
        "seed": strategies.SEEDS,
    }
    drawn = {name: draw(values, label=name) for name, values in options.items()}
    if drawn["optimizer"] != "sgd":
        drawn |= {"momentum": 0.0, "eps": 1e-3, "learning_rate": drawn["learning_rate"] / 4.0}
    if drawn["loss"] == "softmax":
        drawn["output"] = draw(st.sampled_from(["margin", "log_probability", 0, 1]), label="output")
    return network(n, d, m, **drawn)


def is_stable(learner, weights, params, members):
    """Whether a start moved by 1e-9 of itself moves no response by 1e-6: rounding is amplified by less than 1000."""
    with np.errstate(over="ignore", invalid="ignore"):
        moved = plain.responses(learner, weights, params * (1.0 + 1e-9), members)
        return np.abs(moved - plain.responses(learner, weights, params, members)).max() < 1e-6  # NaN is not


@settings(max_examples=15)
@given(learner=learners(), seed=strategies.SEEDS)
def test_response_of_any_network_equals_the_plain_loop(learner, seed):
    weights = np.random.default_rng(seed).uniform(0.0, 2.0, (2, learner.n_points))
    assume(is_stable(learner, weights, *start(learner)))
    expected = plain.responses(learner, weights, *start(learner))
    assert_close(learner.respond(weights, SEEDS), expected, atol=1e-10, call="respond against plain loops")


def test_sharp_softplus_equals_the_plain_loop_and_its_derivatives_are_differences():
    learner, weights, h = network(activation="softplus", sharpness=5.0, hidden=(3, 2), steps=40), some_weights()[0], 1e-5
    (start,), (members,) = learner.initial_params(SEEDS[:1]), learner.batches(SEEDS[:1])
    theta = plain.train(learner, weights, start, members)[-1]
    assert_close(learner.respond(weights[None], SEEDS[:1])[0, 0], plain.answers(learner, theta), rtol=1e-10)
    jacobian, second = (
        learner.weight_jacobian(weights[None], SEEDS)[0],
        learner.weight_second_derivative(weights[None], SEEDS, 1, 2)[0],
    )
    for i, e in enumerate(np.eye(5)):
        ahead, behind = (learner.respond((weights + sign * h * e)[None], SEEDS)[0] for sign in (1.0, -1.0))
        assert_close(jacobian[..., i], (ahead - behind) / (2.0 * h), rtol=1e-5, atol=1e-8)
    ahead, behind = (learner.weight_jacobian((weights + sign * h * np.eye(5)[2])[None], SEEDS)[0, ..., 1] for sign in (1.0, -1.0))
    assert_close(second, (ahead - behind) / (2.0 * h), rtol=1e-5, atol=1e-8)


def test_softplus_becomes_relu_and_leaky_relu_is_a_sum_of_relu_and_identity():
    """max(z, 0) <= softplus <= max(z, 0) + log(2) / s; one step of a fixed start shows it in the outputs, to first order."""
    relu, sharp = (
        network(activation=name, steps=1, **options) for name, options in (("relu", {}), ("softplus", {"sharpness": 1e9}))
    )
    weights = some_weights()
    assert_close(sharp.respond(weights, SEEDS), relu.respond(weights, SEEDS), atol=1e-7)
    leaky = network(activation="leaky_relu", steps=1, learning_rate=1e-300)
    parts = [network(activation=name, steps=1, learning_rate=1e-300).respond(weights, SEEDS) for name in ("relu", "identity")]
    assert_close(leaky.respond(weights, SEEDS), 0.99 * parts[0] + 0.01 * parts[1], rtol=1e-12, atol=1e-15)


def test_branches_of_leaky_relu_are_those_of_its_pattern():
    """Equal branches at neighbouring weights: the response is smooth there; a jump has other branches on its sides."""
    learner = network(activation="leaky_relu", steps=30, learning_rate=0.5)
    rows = np.ones((4001, 5))
    rows[:, 0] = np.linspace(0.0, 1.0, 4001)
    F, branches = learner.respond(rows, [4])[:, 0], learner.branch(rows, [4])[:, 0]
    same = (branches[1:] == branches[:-1]).all(axis=1)
    steps = np.abs(np.diff(F, axis=0)).max(axis=1)
    assert same.any()
    assert not same.all()
    assert steps[same].max() < 3.0 * np.median(steps[same])
    assert steps[~same].max() > 3.0 * np.median(steps[same])


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_large_margins_neither_overflow_nor_warn(activation):
    learner = network(activation=activation, init_scale=300.0, steps=3)
    expected = plain.responses(learner, some_weights(), *start(learner))
    assert np.abs(expected).max() > 100.0
    assert_close(learner.respond(some_weights(), SEEDS), expected, rtol=1e-12, call="respond at large margins")
    jacobian = plain.weight_jacobian(learner, some_weights(), *start(learner))
    assert_close(learner.weight_jacobian(some_weights(), SEEDS), jacobian, rtol=1e-9, call="weight_jacobian at large margins")
    assert_linearization_is_plain(learner, some_weights()[0])


# --- derivatives -----------------------------------------------------------------------------------------------------------


def assert_jacobian_is_complex_step(learner, weights, seeds=SEEDS):
    expected = plain.weight_jacobian(learner, weights, *start(learner, seeds))
    assert_close(learner.weight_jacobian(weights, seeds), expected, rtol=1e-9, call="weight_jacobian against complex steps")
    columns = [learner.weight_jacobian_column(weights, seeds, i) for i in range(learner.n_points)]
    assert_close(np.stack(columns, axis=-1), expected, rtol=1e-9, call="its columns one by one")


KINDS_OF_TRAINING = all_pairs(activation=ACTIVATIONS, loss=LOSSES, depth=DEPTHS, variant=VARIANTS_TOO, outputs=OUTPUTS)


@pytest.mark.parametrize("case", KINDS_OF_TRAINING, ids=label)
def test_jacobian_of_every_kind_of_training_equals_complex_steps_through_the_plain_loop(case):
    assert_jacobian_is_complex_step(network_of(case, steps=40), some_weights(seed=case["depth"])[1:], SEEDS[:1])


@outputs_on_both_sides
@pytest.mark.parametrize("variant", ["GD", "all together"])
def test_jacobian_at_snapshots_equals_complex_steps(variant, outputs):
    learner = network(hidden=(3, 2), steps=60, snapshots=(1, 20, 45), **OUTPUTS[outputs], **VARIANTS_TOO[variant])
    assert_jacobian_is_complex_step(learner, some_weights())


def test_jacobian_after_200_steps_equals_complex_steps():
    assert_jacobian_is_complex_step(network(hidden=(4, 3)), some_weights())


@pytest.mark.parametrize("variant", ["GD", "all together"])
def test_columns_of_points_that_are_absent_are_derivatives_too(variant):
    """Of single subsets: points that a whole batch lacks are left out of training, but not the one asked about."""
    learner = network(4, steps=30, **VARIANTS_TOO[variant])
    for mask in (0b0000, 0b0001, 0b1010):
        assert_jacobian_is_complex_step(learner, mask_rows(mask, mask + 1, 4), SEEDS[:2])


@pytest.mark.parametrize("point", [-1, 5])
def test_the_column_of_a_point_that_is_not_there_is_refused(point):
    with pytest.raises(ValueError, match=f"point {point}, expected a training point, 0 to 4"):
        network(steps=2).weight_jacobian_column(np.ones((1, 5)), SEEDS, point)


@pytest.mark.parametrize("variant", ["GD", "all together"])
def test_jacobian_is_the_same_where_the_way_is_recomputed_to_save_memory(variant, monkeypatch):
    learner = network(m=1, steps=50, snapshots=(20, 50), **VARIANTS_TOO[variant])
    expected = learner.weight_jacobian(some_weights(), SEEDS)
    monkeypatch.setattr("sims.learners.network.descent._TRAJECTORY_BYTES", 0)
    assert_close(learner.weight_jacobian(some_weights(), SEEDS), expected, rtol=1e-13, call="weight_jacobian, recomputed")


def peak_bytes(call):
    """The most memory that a call holds at once, beside what was there before."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("variant", ["GD", "momentum"])
@pytest.mark.parametrize(("method", "columns", "steps"), [("weight_jacobian", 60, 400), ("amplification", 20, 2)])
def test_memory_of_derivatives_is_bounded_whatever_the_columns_steps_and_seeds(method, columns, steps, variant, monkeypatch):
    """32 seeds at once would keep 60 times 64 kB, or 16 of them 5 times 1 MB."""
    learner, seeds = network(d=columns, m=1, hidden=(4,), steps=steps, **VARIANTS[variant]), range(32)
    answers = [getattr(learner, method)(some_weights()[:1], seeds)]
    monkeypatch.setattr("sims.learners.network.descent._TRAJECTORY_BYTES", 2**20)
    assert peak_bytes(lambda: answers.append(getattr(learner, method)(some_weights()[:1], seeds))) < 1.5 * 2**20
    assert_close(answers[1], answers[0], rtol=1e-12, call=f"{method} in small tiles")


def test_memory_of_minibatches_is_a_byte_per_point_and_epoch():
    """Not 8 per point and step: 16 MB for these."""
    learner, seeds = network(n=10, m=1, batch_size=1, steps=2000), range(100)
    assert peak_bytes(lambda: learner.respond(some_weights(10)[:1], seeds)) < 4 * 2**20


@pytest.mark.parametrize("hidden", [(4,), (4, 3)])
def test_relu_jacobian_equals_finite_differences_away_from_kinks(hidden):
    learner, weights, h = network(activation="relu", hidden=hidden, steps=30), some_weights()[0], 1e-5
    params, members = start(learner, SEEDS)
    rows = np.concatenate([weights + k * h * np.eye(5) for k in (1, -1, 2, -2)])
    up, down, far_up, far_down = plain.responses(learner, rows, params, members).reshape(4, 5, 2, 2)
    near, far = (up - down) / (2 * h), (far_up - far_down) / (4 * h)
    assert np.abs(near - far).max() < 1e-8, "a kink is near: choose other data"
    answer = learner.weight_jacobian(weights[None], SEEDS)[0]
    assert np.abs(answer).max() > 1e-2
    assert_close(answer, np.moveaxis(near, 0, -1), atol=1e-8, call="weight_jacobian against differences")


@pytest.mark.parametrize(("activation", "loss"), itertools.product(ACTIVATIONS, LOSSES))
def test_linearization_equals_complex_steps_of_plain_gradients(activation, loss):
    learner = network(activation=activation, loss=loss, hidden=(3, 2), steps=60, l2=0.02, momentum=0.5, batch_size=2)
    assert_linearization_is_plain(learner, some_weights()[2])


@every_loss
@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_linearization_of_adam_and_of_adamw_without_its_decay(optimizer, loss):
    learner = network(loss=loss, steps=30, l2=0.1, optimizer=optimizer, learning_rate=0.02)
    assert_linearization_is_plain(learner, some_weights()[0])


@pytest.mark.parametrize("output", ["margin", "log_probability", 2])
def test_every_output_of_softmax_and_its_derivatives(output):
    learner = network(n=6, m=4, loss="softmax", output=output, steps=30, hidden=(3, 2))
    expected = plain.responses(learner, some_weights(6), *start(learner))
    assert_close(learner.respond(some_weights(6), SEEDS), expected, atol=1e-12, call="respond")
    assert_jacobian_is_complex_step(learner, some_weights(6)[1:])
    assert_linearization_is_plain(learner, some_weights(6)[0])


def test_a_margin_is_the_log_odds_and_all_outputs_agree():
    """log_probability = -log(1 + exp(-margin)), and both follow from the logits of all classes."""
    margins, logs, *logits = (
        network(n=6, loss="softmax", steps=30, output=output).respond(some_weights(6), SEEDS)
        for output in ("margin", "log_probability", 0, 1, 2)
    )
    assert_close(logs, -np.logaddexp(0.0, -margins), rtol=1e-13, call="log_probability from the margin")
    for q, own in enumerate((0, 1)):
        f = [logit[..., q] for logit in logits]
        others = np.logaddexp(*(f[c] for c in range(3) if c != own))
        assert_close(margins[..., q], f[own] - others, atol=1e-13, call="margin from the logits")


def test_with_two_classes_the_margin_is_a_difference_and_the_network_is_not_the_one_with_one_output():
    X, y, weights = network(n=6).X, np.arange(6) % 2, some_weights(6)
    options = {"hidden": (3,), "steps": 30, "learning_rate": 0.2}
    two = MLP(X, y, X[:1], loss="softmax", y_query=[1], **options)
    zero, one = (MLP(X, y, X[:1], loss="softmax", output=k, **options).respond(weights, SEEDS) for k in (0, 1))
    assert_close(two.respond(weights, SEEDS), one - zero, atol=1e-13, call="margin")
    assert np.abs(two.respond(weights, SEEDS) - MLP(X, y, X[:1], **options).respond(weights, SEEDS)).max() > 1e-3


def test_outputs_of_softmax_are_all_logits():
    learner = network(n=6, loss="softmax", steps=5)
    theta = learner.linearize(np.ones(6), SEEDS).params
    f = learner.outputs(theta, learner.X_query)
    assert f.shape == (2, 2, 3)
    for c in range(3):
        expected = dataclasses.replace(learner, output=c, y_query=None).respond(np.ones((1, 6)), SEEDS)[0]
        assert_close(f[..., c], expected, rtol=1e-12, call=f"logit {c}")


@pytest.mark.parametrize("steps", [1, 5])
def test_where_all_gradients_were_zero_the_derivative_of_adam_is_that_of_the_first_moment_over_eps(steps):
    """At the empty subset: D is exact within changes of w far below eps, which a difference over them sees."""
    learner = network(optimizer="adam", learning_rate=0.01, eps=1e-3, steps=steps)
    zero, h = np.zeros((1, 5)), 1e-8
    found = learner.weight_jacobian(zero, SEEDS)[0]
    assert np.abs(found).max() > 1.0
    ahead = [learner.respond(k * h * np.eye(5), SEEDS).transpose(1, 2, 0) for k in (1, 2)]
    base = learner.respond(zero, SEEDS)[0][..., None]
    expected = (4.0 * (ahead[0] - base) - (ahead[1] - base)) / (2.0 * h)
    assert_close(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max(), call="one-sided differences")
    assert_jacobian_is_complex_step(learner, zero)


def test_what_queries_are_defined_on_models_of_one_output_refuses_softmax_and_what_needs_a_rate_refuses_adam():
    softmax, adam = network(loss="softmax", steps=2), network(optimizer="adam", steps=2)
    with pytest.raises(ValueError, match="objective of a network with softmax, expected one output"):
        softmax.objective(np.ones(5), tilts=np.zeros((2, 5)), stiffness=0.1, centre=np.zeros((2, 21)))
    with pytest.raises(ValueError, match="checkpoints of adam, expected optimizer sgd"):
        adam.checkpoints(np.ones(5), SEEDS)
    for learner, got in ((softmax, "loss softmax"), (network(optimizer="adamw", steps=2), "optimizer adamw")):
        with pytest.raises(ValueError, match=f"a network with {got}, expected"):
            proximal_responses(learner, SEEDS, damping=0.1)


@every_depth
def test_linearization_at_a_snapshot_of_every_depth_equals_complex_steps(depth):
    learner = network(hidden=DEPTHS[depth], steps=60, snapshots=(25,), schedule="cosine")
    assert_linearization_is_plain(learner, some_weights()[0], after=25)


def assert_linearization_is_plain(learner, weights, after=None):
    found, (params, members) = learner.linearize(weights, SEEDS), start(learner)
    for r in range(len(SEEDS)):
        theta = plain.train(learner, weights, params[r], members[r])[-1 if after is None else after]
        gradient = plain.objective_gradient(learner, theta, weights)
        points = np.stack([plain.point_gradient(learner, theta, i) for i in range(learner.n_points)])
        assert_close(found.params[r], theta, rtol=1e-10, call="params")
        assert_close(found.hessian[r], plain.hessian(learner, theta, weights), rtol=1e-8, call="hessian")
        assert_close(found.hessian[r], found.hessian[r].T, rtol=1e-14, call="hessian against its transpose")
        assert_close(found.point_gradients[r], points, rtol=1e-8, call="point_gradients")
        assert_close(found.output_gradients[r], plain.output_gradients(learner, theta), rtol=1e-8, call="output_gradients")
        assert_close(found.gradient_norm[r], np.linalg.norm(gradient), rtol=1e-8, call="gradient_norm")
        (assert_fit_of_classes_is_plain if learner.loss == "softmax" else assert_fit_is_plain)(found.fit, r, learner, theta)
    assert_identical(found.fit.weights, weights, call="weights of the fit")
    assert found.fit.penalty == plain.penalty(learner)


def assert_fit_is_plain(fit, r, learner, theta):
    f = np.array([plain.output(learner, theta, x) for x in learner.X])
    slope = plain.LOSSES[learner.loss][1]
    gradients = plain.complex_step(lambda at: np.array([plain.output(learner, at, x) for x in learner.X]), theta)
    curvatures = [plain.complex_step(lambda at, y=y: slope(at, y), [at])[0, 0] for at, y in zip(f, learner.y, strict=True)]
    p, q = plain.sigmoid(f), plain.sigmoid(-f)  # of labels 1 and 0, with slopes -q and p
    drawn = p * q**2 + q * p**2 if learner.loss == "logistic" else np.ones_like(f)
    assert_close(fit.gradients[r], gradients, rtol=1e-8, call="gradients of the fit")
    assert_close(fit.slopes[r], slope(f, learner.y), rtol=1e-8, call="slopes of the fit")
    assert_close(fit.curvatures[r], curvatures, rtol=1e-8, call="curvatures of the fit")
    assert_close(fit.fisher[r], drawn, rtol=1e-8, call="fisher of the fit")
    entering = [plain.forward(learner, theta, x)[0] for x in learner.X]
    for k, layer in enumerate(fit.layers):
        assert_close(layer.inputs[r], [[*a[k], 1.0] for a in entering], rtol=1e-8, call=f"inputs of layer {k}")
    products = [np.einsum("ni,no->nio", layer.inputs[r], layer.deltas[r]).reshape(len(f), -1) for layer in fit.layers]
    assert_close(np.concatenate(products, axis=1), gradients, rtol=1e-8, call="inputs times deltas")


def assert_fit_of_classes_is_plain(fit, r, learner, theta):
    """The margin of every point's own class, and the log probabilities of all classes, with complex steps in the parameters."""
    own, entering = learner.y.astype(int), [plain.forward(learner, theta, x)[0] for x in learner.X]

    def margins(at):
        logits = [plain.forward(learner, at, x)[1][-1] for x in learner.X]
        return np.array([f[y] - plain.log_sum_exp(np.delete(f, y)) for f, y in zip(logits, own, strict=True)])

    def log_probabilities(at):
        logits = [plain.forward(learner, at, x)[1][-1] for x in learner.X]
        return np.array([f - plain.log_sum_exp(f) for f in logits])

    m, p = margins(theta), np.exp(log_probabilities(theta))
    gradients = {"margin": plain.complex_step(margins, theta), "classes": plain.complex_step(log_probabilities, theta)}
    slope = [plain.complex_step(lambda at: plain.softplus(-at), [x])[0, 0] for x in m]
    curvature = [plain.complex_step(lambda at: plain.sigmoid(at), [x])[0, 0] for x in m]
    assert_close(fit.slopes[r], slope, rtol=1e-8, call="dl/dm of l = log(1 + exp(-m))")
    assert_close(fit.curvatures[r], curvature, rtol=1e-8, call="d^2l/dm^2")
    assert_close(fit.fisher[r], curvature, rtol=1e-8, call="E (dl/dm)^2 where the own class has probability sigmoid(m)")
    assert_close(fit.gradients[r], gradients["margin"], rtol=1e-8, call="grad m")
    assert_close(fit.classes.probabilities[r], p, rtol=1e-8, call="probabilities")
    assert_close(fit.classes.gradients[r], gradients["classes"], rtol=1e-8, call="grad log p_c")
    assert_close(np.einsum("nc,ncp->np", p, fit.classes.gradients[r]), 0.0 * fit.gradients[r], atol=1e-12, call="E grad log p")
    for k, (layer, of_class) in enumerate(zip(fit.layers, fit.classes.layers, strict=True)):
        for inputs in (layer.inputs[r], of_class.inputs[r]):
            assert_close(inputs, [[*a[k], 1.0] for a in entering], rtol=1e-8, call=f"inputs of layer {k}")
    products = [np.einsum("ni,no->nio", a.inputs[r], a.deltas[r]).reshape(len(m), -1) for a in fit.layers]
    assert_close(np.concatenate(products, axis=1), gradients["margin"], rtol=1e-8, call="inputs times deltas")
    by_class = [np.einsum("ni,nco->ncio", a.inputs[r], a.deltas[r]).reshape(*p.shape, -1) for a in fit.classes.layers]
    assert_close(np.concatenate(by_class, axis=2), gradients["classes"], rtol=1e-8, call="inputs times deltas of every class")


# --- snapshots -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", ["GD", "SGD", "momentum"])
@outputs_on_both_sides
def test_snapshots_equal_separate_runs_of_fewer_steps(variant, outputs):
    times = (1, 13, 40)
    learner = network(steps=50, snapshots=times, **OUTPUTS[outputs], **VARIANTS[variant])
    shorter = [dataclasses.replace(learner, steps=t, snapshots=()) for t in times]
    assert learner.n_outputs == 3 * len(learner.X_query)
    for name, tolerance in (("respond", 1e-12), ("weight_jacobian", 1e-11)):
        answer = getattr(learner, name)(some_weights(), SEEDS)
        expected = np.concatenate([getattr(short, name)(some_weights(), SEEDS) for short in shorter], axis=2)
        assert_close(answer, expected, rtol=tolerance, call=f"{name} at snapshots")


@pytest.mark.parametrize("variant", ["GD", "SGD", "momentum"])
def test_linearizations_at_snapshots_equal_those_of_separate_runs(variant):
    times, weights = (1, 13, 40), some_weights()[0]
    learner = network(steps=50, snapshots=times, **VARIANTS[variant])
    found = learner.linearizations(weights, SEEDS)
    assert isinstance(found, tuple)
    assert len(found) == 3
    for t, at_snapshot in zip(times, found, strict=True):
        alone = dataclasses.replace(learner, steps=t, snapshots=()).linearize(weights, SEEDS)
        for name, expected in arrays_of(alone).items():
            assert_close(arrays_of(at_snapshot)[name], expected, rtol=1e-11, call=f"{name} after {t}")


def test_linearizations_without_snapshots_are_the_one_at_the_end():
    learner, weights = network(steps=20), some_weights()[0]
    (only,) = learner.linearizations(weights, SEEDS)
    for name, expected in arrays_of(learner.linearize(weights, SEEDS)).items():
        assert_identical(arrays_of(only)[name], expected, call=name)


def test_linearize_refuses_several_snapshots_and_says_what_to_call():
    with pytest.raises(ValueError, match=r"snapshots.*linearizations"):
        network(snapshots=(1, 2)).linearize(some_weights()[0], SEEDS)


@pytest.mark.parametrize("variant", ["GD", "all together"])
def test_checkpoints_are_the_linearizations_with_the_steps_and_the_mean_effective_rate_between_them(variant):
    """Rates of steps 0 .. 7, 8 .. 59 and 60 .. 149 of 200, over 1 - momentum; nothing of what comes after the last snapshot."""
    learner = network(snapshots=(8, 60, 150), **VARIANTS_TOO[variant])
    found, rates = learner.checkpoints(some_weights()[0], SEEDS), plain.learning_rates(learner)
    expected = [np.mean(rates[a:b]) / (1.0 - learner.momentum) for a, b in ((0, 8), (8, 60), (60, 150))]
    assert_close([c.learning_rate for c in found], expected, rtol=1e-14, call="learning_rate")
    assert [c.steps for c in found] == [8, 52, 90]
    for checkpoint, at in zip(found, learner.linearizations(some_weights()[0], SEEDS), strict=True):
        assert_identical(checkpoint.linearization.hessian, at.hessian, call="hessian")
    (only,) = dataclasses.replace(learner, snapshots=()).checkpoints(some_weights()[0], SEEDS)
    assert_close(only.steps * only.learning_rate, sum(rates) / (1.0 - learner.momentum), rtol=1e-13, call="all of training")


def test_a_snapshot_after_the_last_step_is_the_answer_without_snapshots():
    learner = network(schedule="cosine", batch_size=2)
    expected = learner.respond(some_weights(), SEEDS)
    assert_close(
        dataclasses.replace(learner, snapshots=(200,)).respond(some_weights(), SEEDS), expected, rtol=1e-13, call="respond"
    )


# --- amplification ---------------------------------------------------------------------------------------------------------


@every_activation
@every_variant
def test_amplification_equals_the_norm_of_the_derivative_in_the_initial_parameters(activation, variant):
    learner = network(activation=activation, hidden=(3, 2), steps=12, **VARIANTS_TOO[variant])
    params, members = start(learner)
    expected = [
        np.linalg.norm(plain.propagator(learner, w, p, m), 2) for w, p, m in zip(some_weights(), params, members, strict=False)
    ]
    answer = learner.amplification(some_weights()[:2], SEEDS)[..., 0]
    assert_close(np.diag(answer), expected, rtol=1e-9, call="amplification, a row of the weights with each seed")


@pytest.mark.parametrize("loss", LOSSES)
def test_amplification_equals_finite_differences_of_trained_parameters(loss):
    learner, weights, h = network(loss=loss, steps=40), some_weights()[0], 1e-5
    params, members = start(learner, SEEDS[:1])

    def trained(move):
        return plain.train(learner, weights, params[0] + move, members[0])[-1]

    columns = [trained(e) - trained(-e) for e in h * np.eye(params.shape[1])]
    expected = np.linalg.norm(np.array(columns) / (2 * h), 2)
    assert_close(learner.amplification(weights[None], SEEDS[:1])[..., 0], [[expected]], rtol=1e-7, call="amplification")


def test_amplification_of_linear_regression_is_a_power_of_the_slowest_mode():
    learner = network(hidden=(), loss="squared", steps=12, l2=0.1)
    ones = np.column_stack([learner.X, np.ones(5)])
    modes = [np.linalg.eigvalsh(ones.T @ (w[:, None] * ones) / 5) + 0.1 for w in some_weights()]
    expected = [[np.abs(1.0 - 0.2 * mode).max() ** 12] * 2 for mode in modes]
    assert_close(learner.amplification(some_weights(), SEEDS)[..., 0], expected, rtol=1e-12, call="amplification")


def test_amplification_at_a_snapshot_is_that_of_the_steps_before_it():
    learner = network(steps=12)
    answer = dataclasses.replace(learner, snapshots=(3, 7)).amplification(some_weights(), SEEDS)
    for k, steps in enumerate((3, 7)):
        shorter = dataclasses.replace(learner, steps=steps).amplification(some_weights(), SEEDS)[..., 0]
        assert_close(answer[..., k], shorter, rtol=1e-12, call=f"amplification at snapshot {steps}")


# --- the contract ----------------------------------------------------------------------------------------------------------


@every_activation
@every_variant
def test_each_seed_has_its_entry_and_always_the_same_bits(activation, variant):
    contract.check_seeds(network(activation=activation, steps=20, **VARIANTS_TOO[variant]), some_weights())


@pytest.mark.parametrize("variant", ["GD", "all together"])
def test_so_many_seeds_that_they_are_trained_in_parts_have_the_bits_of_each_alone(variant):
    contract.check_seeds(network(hidden=(40, 40), steps=3, **VARIANTS_TOO[variant]), some_weights()[:2], range(7, 117))


@every_activation
@outputs_on_both_sides
@pytest.mark.parametrize("replicas", [2, 7, 9])
def test_a_derivative_has_the_same_bits_with_its_seed_alone_and_among_others(activation, outputs, replicas):
    """For one weight vector: few replicas are there once for every weight or query, many are not."""
    learner = network(activation=activation, steps=20, **OUTPUTS[outputs])
    together = learner.weight_jacobian(some_weights()[:1], range(replicas))
    alone = np.concatenate([learner.weight_jacobian(some_weights()[:1], (seed,)) for seed in range(replicas)], axis=1)
    assert_identical(together, alone, call=f"{replicas} replicas")


@every_variant
@outputs_on_both_sides
def test_batch_equals_stacked_single_rows_and_no_rows_give_no_answers(variant, outputs):
    learner = network(steps=20, snapshots=(5, 20), **OUTPUTS[outputs], **VARIANTS_TOO[variant])
    contract.check_batch_equals_singles(learner, some_weights())


def test_amplification_of_a_batch_equals_single_rows():
    learner, weights = network(steps=20, **TOGETHER), some_weights()
    singles = np.concatenate([learner.amplification(row[None], SEEDS) for row in weights])
    assert_close(learner.amplification(weights, SEEDS), singles, rtol=1e-12, call="amplification of a batch")
    assert learner.amplification(weights[:0], SEEDS).shape == (0, 2, 1)


@pytest.mark.parametrize("batch_size", [None, 2])
def test_answers_do_not_depend_on_the_position_in_a_batch_longer_than_a_block(batch_size):
    contract.check_blocks_do_not_matter(network(steps=3, batch_size=batch_size), some_weights(), BLOCK)


@every_variant
def test_inputs_are_neither_modified_nor_kept(variant):
    contract.check_inputs_are_left_alone(network(steps=10, **VARIANTS_TOO[variant]), some_weights())
    contract.check_data_are_copied(network(steps=10, **VARIANTS_TOO[variant]), some_weights())


@every_variant
@every_loss
def test_derivative_equals_finite_differences_of_the_response(variant, loss):
    learner = network(loss=loss, steps=60, snapshots=(10, 60), **VARIANTS_TOO[variant])
    contract.check_derivative(learner, some_weights()[2], SEEDS)


def on_rows(learner, rows):
    """The same training on other rows, repeats allowed: the gradient is N / N' times what it was, and the rate undoes it."""
    scale = learner.n_points / len(rows)
    return dataclasses.replace(
        learner, X=learner.X[rows], y=learner.y[rows], l2=learner.l2 * scale, learning_rate=learner.learning_rate / scale
    )


FULL_BATCH = {"GD": {}, "l2": {"l2": 0.1}, "momentum and l2": {"momentum": 0.5, "l2": 0.1}}
"""Of sgd. A step of adam does not scale with its gradient: its eps does, and its rate stays (test of adam below)."""


OTHER_ROWS = {"deleted": [0, 1, 3, 4, 5], "twice": [0, 1, 2, 3, 4, 5, 2], "moved": [3, 5, 0, 2, 1, 4]}


@pytest.mark.parametrize("case", all_pairs(training=FULL_BATCH, activation=ACTIVATIONS, loss=LOSSES, rows=OTHER_ROWS), ids=label)
def test_weight_zero_is_deletion_and_weight_two_a_duplicate_and_order_is_free(case):
    rows = OTHER_ROWS[case["rows"]]
    learner = network(6, activation=case["activation"], loss=case["loss"], steps=60, **FULL_BATCH[case["training"]])
    copies = np.bincount(rows, minlength=6)
    weights = np.random.default_rng(3).uniform(0.2, 2.0, 6)
    other, mine = on_rows(learner, rows), (copies * weights)[None]
    theirs = weights[rows][None]
    assert_close(other.respond(theirs, SEEDS), learner.respond(mine, SEEDS), rtol=1e-10, call=f"response on rows {rows}")
    columns = learner.weight_jacobian(mine, SEEDS)[..., rows]
    assert_close(other.weight_jacobian(theirs, SEEDS), columns, rtol=1e-9, call=f"Jacobian on rows {rows}")


@pytest.mark.parametrize("rows", OTHER_ROWS)
@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_adam_on_other_rows(optimizer, rows):
    """A gradient N / N' times as large gives the same steps with an eps N / N' times as large, and l2 as part of it likewise."""
    rows = OTHER_ROWS[rows]
    learner = network(6, optimizer=optimizer, loss="softmax", steps=60, learning_rate=0.02, l2=0.1, eps=1e-3)
    scale, weights = 6 / len(rows), np.random.default_rng(3).uniform(0.2, 2.0, 6)
    l2 = learner.l2 * (scale if optimizer == "adam" else 1.0)
    other = dataclasses.replace(learner, X=learner.X[rows], y=learner.y[rows], l2=l2, eps=learner.eps * scale)
    mine, theirs = (np.bincount(rows, minlength=6) * weights)[None], weights[rows][None]
    assert_close(other.respond(theirs, SEEDS), learner.respond(mine, SEEDS), rtol=1e-9, call=f"response on rows {rows}")


@every_variant
def test_what_a_point_of_weight_zero_holds_does_not_matter(variant):
    learner, weights = network(steps=40, **VARIANTS_TOO[variant]), some_weights()[2:]
    X, y = learner.X.copy(), learner.y.copy()
    X[1], y[1] = 9.0, 1.0 - y[1]
    other = dataclasses.replace(learner, X=X, y=y)
    assert_close(other.respond(weights, SEEDS), learner.respond(weights, SEEDS), rtol=1e-13, call="response")
    present = np.flatnonzero(weights[0])
    mine, theirs = (each.weight_jacobian(weights, SEEDS)[..., present] for each in (learner, other))
    assert_close(theirs, mine, rtol=1e-12, call="Jacobian in the weights of the others")


@pytest.mark.parametrize("l2", [0.0, 0.1])
def test_a_batch_of_nothing_but_the_empty_subset_is_the_start_that_only_decays(l2):
    learner = network(l2=l2)
    alone = learner.respond(np.zeros((2, learner.n_points)), SEEDS)
    among_others = learner.respond(np.vstack([np.zeros(learner.n_points), np.ones(learner.n_points)]), SEEDS)
    assert_close(alone[0], among_others[0], rtol=1e-12, call="the empty subset")
    decay = (1.0 - l2 * learner.learning_rate) ** learner.steps
    assert_close(alone[1], learner.outputs(decay * learner.initial_params(SEEDS), learner.X_query), rtol=1e-12, call="decay")


def test_the_learner_is_what_theory_calls_differentiable_and_linearizable():
    learner = network()
    assert isinstance(learner, DifferentiableLearner)
    assert isinstance(learner, LinearizableLearner)


# --- theory ----------------------------------------------------------------------------------------------------------------


T2_CASES = {
    "subsets": (Bernoulli(0.5), {"seed": 1, "l2": 0.1}, 28),
    "weights 0.5 and 1.5": (TwoPoint(0.5), {"seed": 1, "l2": 0.1}, 24),
    "weights 0.5 and 1.5 without penalty": (TwoPoint(0.5), {"seed": 0}, 12),
}


@pytest.mark.parametrize("case", T2_CASES)
def test_average_derivative_through_training_equals_the_optimal_datamodel(case):
    """T2 after 50 and after 500 steps, and the Gauss error falls with the nodes.

    Many are needed on subsets after 500 steps: what the network learns turns sharply where a weight is nearly 0.
    """
    law, options, nodes = T2_CASES[case]
    learner = noisy_classes(steps=500, snapshots=(50, 500), **options)
    if isinstance(law, Bernoulli):
        beta = optimal_datamodel(mean_response(learner, all_masks(6), SEEDS), law).coefficients
    else:
        beta = quadrature_datamodel(learner, law, SEEDS, 2).coefficients
    few, many = (np.abs(average_derivative(learner, law, SEEDS, k) - beta) for k in (4, nodes))
    assert many.max() <= 1e-8, f"T2 is off by {many.max():.1e} with {nodes} nodes"
    for columns in (slice(0, 2), slice(2, 4)):
        assert few[:, columns].max() > 10.0 * many[:, columns].max()
        assert np.abs(beta[:, columns]).max() > 0.1


T2_NETWORKS = {
    "adam": {"optimizer": "adam", "learning_rate": 0.05, "eps": 0.1},
    "adamw on minibatches": {"optimizer": "adamw", "learning_rate": 0.05, "eps": 0.1, "l2": 0.1, "batch_size": 3},
    "softmax by adam": {"optimizer": "adam", "learning_rate": 0.05, "eps": 0.1, "loss": "softmax", "y_query": [0, 1]},
    "softmax, gelu and momentum": {"loss": "softmax", "y_query": [0, 1], "activation": "gelu", "batch_size": 2, "momentum": 0.5},
}


@pytest.mark.parametrize("case", T2_NETWORKS)
def test_average_derivative_equals_the_optimal_datamodel_for_adam_softmax_and_minibatches(case):
    """T2 after 8 steps on 4 points: on all subsets, and between weights so near 1 that no entry of a gradient changes its sign.

    At such a change the step of adam, g / (|g| + eps) at first, has a jump in its second derivative: Gauss's rule then converges
    slowly, which is all that keeps adam from 1e-8 on subsets.
    """
    learner = network(4, steps=8, **T2_NETWORKS[case])
    near = quadrature_datamodel(learner, TwoPoint(0.01), SEEDS, 2).coefficients
    assert np.abs(average_derivative(learner, TwoPoint(0.01), SEEDS, 6) - near).max() <= 1e-8
    beta = optimal_datamodel(mean_response(learner, all_masks(4), SEEDS), Bernoulli(0.5)).coefficients
    few, many = (np.abs(average_derivative(learner, Bernoulli(0.5), SEEDS, k) - beta).max() for k in (2, 16))
    assert np.abs(beta).max() > 0.1
    assert many < 0.1 * few
    assert many <= (1e-3 if "optimizer" in T2_NETWORKS[case] else 1e-8)


def noisy_classes(n=6, d=2, m=2, *, seed, **options):
    """Classes that follow the first column but for noise, so that no training set is at the edge of two different fits."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    y = (X[:, 0] + rng.standard_normal(n) > 0.0).astype(float)
    return MLP(X, y, rng.standard_normal((m, d)), hidden=(3,), learning_rate=0.2, **options)


@pytest.mark.parametrize("loss", ONE_OUTPUT)
def test_one_step_of_a_linear_model_is_affine_and_all_three_effects_agree(loss):
    learner = network(6, loss=loss, hidden=(), steps=1)
    beta, loo, slope = effects(learner)
    assert np.abs(beta).max() > 1e-3
    assert_close(loo, beta, atol=1e-12, call="leave-one-out against the datamodel")
    assert_close(slope, beta, atol=1e-12, call="D(1) against the datamodel")


@pytest.mark.parametrize("loss", LOSSES)
def test_after_200_steps_the_effects_no_longer_agree(loss):
    beta, loo, slope = effects(network(6, loss=loss, hidden=()))
    scale = np.abs(beta).max()
    assert np.abs(slope - beta).max() > 0.1 * scale
    assert np.abs(loo - beta).max() > 0.1 * scale


def effects(learner):
    """beta, LOO and D(1), each (N, M)."""
    table = mean_response(learner, all_masks(learner.n_points), SEEDS)
    slope = weight_derivative(learner, np.ones(learner.n_points), SEEDS)
    return optimal_datamodel(table).coefficients, leave_one_out(table), slope


# --- refusals --------------------------------------------------------------------------------------------------------------

BAD_OPTIONS = {
    "learning_rate zero": ({"learning_rate": 0.0}, ["learning_rate", "0"]),
    "learning_rate negative": ({"learning_rate": -0.5}, ["learning_rate", "-0.5"]),
    "learning_rate NaN": ({"learning_rate": np.nan}, ["learning_rate", "nan"]),
    "learning_rate infinite": ({"learning_rate": np.inf}, ["learning_rate", "inf"]),
    "learning_rate text": ({"learning_rate": "0.1"}, ["learning_rate", "'0.1'", "finite number > 0"]),
    "learning_rate None": ({"learning_rate": None}, ["learning_rate", "None"]),
    "l2 text": ({"l2": "0.1"}, ["l2", "'0.1'", "finite number >= 0"]),
    "steps zero": ({"steps": 0}, ["steps", "0"]),
    "steps NaN": ({"steps": np.nan}, ["steps", "nan", "whole number"]),
    "steps infinite": ({"steps": np.inf}, ["steps", "inf", "whole number"]),
    "steps broken": ({"steps": 2.5}, ["steps", "2.5", "whole number"]),
    "steps text": ({"steps": "7"}, ["steps", "'7'", "whole number"]),
    "hidden broken": ({"hidden": (1.5,)}, ["hidden", "1.5"]),
    "hidden of size zero": ({"hidden": (3, 0)}, ["hidden", "0"]),
    "hidden negative": ({"hidden": (-2,)}, ["hidden", "-2"]),
    "hidden one number": ({"hidden": 3}, ["hidden = 3", "sequence", "(4,)"]),
    "activation": ({"activation": "elu"}, ["activation", "elu", *ACTIVATIONS]),
    "sharpness of tanh": ({"sharpness": 2.0}, ["sharpness = 2", "tanh", "softplus"]),
    "sharpness zero": ({"activation": "softplus", "sharpness": 0.0}, ["sharpness", "0"]),
    "corrected leaky_relu": ({"activation": "leaky_relu", "derivative": "crossings"}, ["crossings", "leaky_relu", "unrolled"]),
    "loss": ({"loss": "hinge"}, ["loss", "hinge", *LOSSES]),
    "schedule": ({"schedule": "linear"}, ["schedule", "linear", "constant", "cosine"]),
    "batch_size zero": ({"batch_size": 0}, ["batch_size", "0"]),
    "batch_size above N": ({"batch_size": 7}, ["batch_size", "7", "6"]),
    "momentum one": ({"momentum": 1.0}, ["momentum", "1"]),
    "momentum negative": ({"momentum": -0.1}, ["momentum", "-0.1"]),
    "momentum NaN": ({"momentum": np.nan}, ["momentum", "nan"]),
    "momentum text": ({"momentum": "0.9"}, ["momentum", "'0.9'"]),
    "jitter one": ({"jitter": 1.0}, ["jitter", "1"]),
    "jitter None": ({"jitter": None}, ["jitter", "None"]),
    "snapshots repeated": ({"snapshots": (5, 5)}, ["snapshots", "(5, 5)"]),
    "snapshots falling": ({"snapshots": (5, 3)}, ["snapshots", "(5, 3)"]),
    "snapshot zero": ({"snapshots": (0, 3)}, ["snapshot", "0"]),
    "snapshots one number": ({"snapshots": 5}, ["snapshots = 5", "sequence"]),
    "snapshot beyond the end": ({"snapshots": (3, 201)}, ["snapshots", "201", "200"]),
    "labels": ({"y": [0, 1, 2, 0, 1, 1]}, ["y[2]", "2", "0 and 1"]),
    "targets": ({"y": [0, 1, 1]}, ["y", "(3,)", "(6,)"]),
    "queries": ({"X_query": np.ones((2, 3))}, ["X_query", "3", "2"]),
    "l2 negative": ({"l2": -1.0}, ["l2", "-1"]),
    "l2 NaN": ({"l2": np.nan}, ["l2", "nan"]),
    "optimizer": ({"optimizer": "rmsprop"}, ["optimizer", "rmsprop", "sgd, adam, adamw"]),
    "one beta": ({"optimizer": "adam", "betas": 0.9}, ["betas", "0.9", "two numbers"]),
    "beta one": ({"optimizer": "adam", "betas": (0.9, 1.0)}, ["betas[1]", "1"]),
    "eps zero": ({"optimizer": "adam", "eps": 0.0}, ["eps", "0"]),
    "betas of sgd": ({"betas": (0.5, 0.5)}, ["betas", "(0.5, 0.5)", "sgd"]),
    "eps of sgd": ({"eps": 1e-3}, ["eps", "0.001", "sgd"]),
    "momentum of adam": ({"optimizer": "adam", "momentum": 0.5}, ["momentum", "0.5", "adam", "betas[0]"]),
    "output of one output": ({"output": 0}, ["output = 0", "logistic"]),
    "y_query of one output": ({"y_query": [0, 1]}, ["y_query", "logistic"]),
    "softmax without y_query": ({"loss": "softmax"}, ["margin", "y_query"]),
    "classes with a gap": ({"loss": "softmax", "output": 0, "y": [0, 2, 0, 2, 0, 2]}, ["no point of class 1", "up to 2"]),
    "a class far away": (
        {"loss": "softmax", "output": 0, "y": [0, 2e9, 0, 2, 0, 2]},
        ["up to 2000000000", "no point of class 1"],
    ),
    "classes from 1": ({"loss": "softmax", "output": 0, "y": [1, 2, 1, 2, 1, 2]}, ["no point of class 0"]),
    "one class": ({"loss": "softmax", "output": 0, "y": np.zeros(6)}, ["every label is 0", "two classes"]),
    "broken class": ({"loss": "softmax", "output": 0, "y": [0, 0.5, 1, 0, 1, 1]}, ["y[1]", "0.5", "classes 0, 1, 2"]),
    "negative class": ({"loss": "softmax", "output": 0, "y": [0, -1, 1, 0, 1, 1]}, ["y[1]", "-1", "classes 0, 1, 2"]),
    "query of a class never trained": ({"loss": "softmax", "y_query": [0, 2]}, ["y_query[1]", "2", "0 .. 1"]),
    "queries with too few classes": ({"loss": "softmax", "y_query": [0]}, ["y_query", "(1,)", "(2,)"]),
    "logit never trained": ({"loss": "softmax", "output": 2}, ["output = 2", "0 .. 1"]),
    "output": ({"loss": "softmax", "output": "entropy", "y_query": [0, 1]}, ["output", "entropy", "'margin', 'log_probability'"]),
    "output logit": (
        {"loss": "softmax", "output": "logit", "y_query": [0, 1]},
        ["output", "logit", "'margin', 'log_probability'"],
    ),
    "output broken": ({"loss": "softmax", "output": 0.5}, ["output", "0.5", "whole number"]),
    "NaN in X": ({"X": np.where(np.eye(6, 2), np.nan, 1.0)}, ["X[0, 0]", "nan"]),
}


@pytest.mark.parametrize("case", BAD_OPTIONS)
def test_bad_options_are_refused_with_what_was_got_and_what_was_expected(case):
    options, words = BAD_OPTIONS[case]
    good = network(6)
    with pytest.raises(ValueError, match="expected") as refusal:
        dataclasses.replace(good, **options)
    assert all(word in str(refusal.value) for word in words), f"{words} are not all in: {refusal.value}"


def test_whole_numbers_may_come_as_floats():
    """As from a table or a config."""
    learner = network(hidden=[3.0], steps=20.0, batch_size=2.0, snapshots=np.array([7.0, 20.0]))
    expected = network(hidden=(3,), steps=20, batch_size=2, snapshots=(7, 20)).respond(some_weights(), SEEDS)
    assert_identical(learner.respond(some_weights(), SEEDS), expected, call="respond")


METHODS = ("respond", "weight_jacobian", "amplification", "linearize", "linearizations")
BAD_SEEDS = {
    "none": ((), "seeds is empty, expected"),
    "repeated": ((2, 2), r"\(2, 2\) must be distinct"),
    "no whole numbers": ((0.5, 1.0), r"\(0.5, 1.0\) must be distinct integers"),
    "one number": (3, r"^seeds = 3, expected a sequence of integers >= 0, such as range\(8\) or \(0,\)"),
    "text": ("ab", r"^seeds = 'ab', expected a sequence of integers"),
}


@pytest.mark.parametrize("method", [*METHODS, "initial_params", "batches"])
@pytest.mark.parametrize("case", BAD_SEEDS)
def test_no_seeds_and_repeated_seeds_are_refused(method, case):
    seeds, message = BAD_SEEDS[case]
    given_first = {"initial_params": (), "batches": (), "linearize": (np.ones(5),), "linearizations": (np.ones(5),)}
    with pytest.raises(ValueError, match=message):
        getattr(network(steps=2), method)(*given_first.get(method, (np.ones((1, 5)),)), seeds)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("value", "message"), [(-0.5, "-0.5, expected >= 0"), (np.nan, "nan.*expected a finite number")])
def test_weights_that_are_negative_or_not_finite_are_refused(method, value, message):
    weights = np.ones(5)
    weights[3] = value
    with pytest.raises(ValueError, match=message):
        getattr(network(steps=2), method)(weights if "lineariz" in method else weights[None], SEEDS)


@pytest.mark.parametrize("method", METHODS)
def test_weights_of_the_wrong_shape_are_refused(method):
    weights = np.ones(4) if "lineariz" in method else np.ones((1, 4))
    with pytest.raises(ValueError, match=r"weights has shape .*4.*expected .*5"):
        getattr(network(steps=2), method)(weights, SEEDS)


DIVERGING = {
    "GD": {},
    "SGD of a linear model": {"batch_size": 2, "hidden": ()},
    "momentum and relu": {"momentum": 0.5, "activation": "relu", "hidden": (3, 2)},
}


@pytest.mark.parametrize("method", ["respond", "weight_jacobian"])
@pytest.mark.parametrize("training", DIVERGING)
def test_divergence_names_learner_seed_subset_and_step(method, training):
    """The first row has no points and stays where it is, the second diverges; the plain loop says when."""
    learner = network(loss="squared", learning_rate=50.0, steps=500, **DIVERGING[training])
    weights = np.array([np.zeros(5), [1.0, 0.0, 1.0, 0.0, 1.0]])
    with pytest.raises(ArithmeticError, match=r"MLP\(.*step \d+") as failure:
        getattr(learner, method)(weights, (6,))
    message = str(failure.value)
    for words in ("seed 6", "subset {0, 2, 4} (mask 21)"):
        assert words in message, f"{words!r} is not in: {message}"
    params, members = start(learner, (6,))
    with np.errstate(over="ignore", invalid="ignore"):
        path = plain.train(learner, weights[1], params[0], members[0])
    expected = next(t for t, theta in enumerate(path) if not np.isfinite(theta).all())
    assert abs(int(re.search(r"step (\d+)", message)[1]) - expected) <= 1


def test_divergence_among_many_replicas_trained_in_parts_names_its_own_subset_and_seed(monkeypatch):
    """Parts of one row and half of the seeds: the last seed diverges on the second row, none of the others does."""
    learner, weights = network(loss="squared", activation="relu", learning_rate=2.5, steps=300), np.ones((2, 5))
    weights[0] = 0.0
    calm, wild = [], []
    for seed in range(40):
        try:
            learner.respond(weights, (seed,))
        except ArithmeticError:
            wild.append(seed)
        else:
            calm.append(seed)
    monkeypatch.setattr("sims.learners.network.descent._CACHE_ENTRIES", 0)
    with pytest.raises(ArithmeticError, match=rf"subset {{0, 1, 2, 3, 4}} \(mask 31\), seed {wild[0]}, at step \d+"):
        learner.respond(weights, [*calm[:20], wild[0]])


@pytest.mark.parametrize(
    ("activation", "method"), [("identity", "weight_jacobian"), ("relu", "weight_jacobian"), ("relu", "amplification")]
)
def test_outputs_or_derivatives_that_overflow_before_the_parameters_do_name_the_subset_too(activation, method):
    """At the last step before the plain loop's parameters overflow; the first row has no points and nothing to overflow."""
    weights = np.array([np.zeros(5), [1.0, 0.0, 1.0, 0.0, 1.0]])
    options = {"loss": "squared", "hidden": (3, 2), "learning_rate": 50.0, "activation": activation}
    diverging = network(**options, steps=500)
    params, members = start(diverging, (6,))
    with np.errstate(over="ignore", invalid="ignore"):
        path = plain.train(diverging, weights[1], params[0], members[0])
    steps = next(t for t, theta in enumerate(path) if not np.isfinite(theta).all()) - 1
    with pytest.raises(ArithmeticError, match=r"subset \{0, 2, 4\} \(mask 21\)"):
        getattr(network(**options, steps=steps), method)(weights, (6,))


def test_the_learner_cannot_be_changed_after_it_is_made():
    learner = network()
    with pytest.raises(AttributeError):
        learner.l2 = 1.0
    for array in (learner.X, learner.y, learner.X_query):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 7.0


# --- JAX -------------------------------------------------------------------------------------------------------------------


def test_response_and_jacobian_equal_those_of_jax():
    """With softplus and two layers; test_jax_learner.py has tanh and one."""
    jax = pytest.importorskip("jax")
    learner = network(activation="softplus", hidden=(4, 3), steps=200, m=3)
    weights, initial = some_weights(), learner.initial_params(SEEDS)
    with jax.enable_x64(True):
        respond = by_jax(jax, learner)
        over_seeds = jax.vmap(respond, in_axes=(None, 0))
        expected = jax.vmap(over_seeds, in_axes=(0, None))(weights, initial)
        jacobian = jax.vmap(jax.vmap(jax.jacrev(respond), in_axes=(None, 0)), in_axes=(0, None))(weights, initial)
    assert_close(learner.respond(weights, SEEDS), expected, atol=1e-10, call="respond against JAX")
    assert_close(learner.weight_jacobian(weights, SEEDS), jacobian, rtol=1e-9, call="weight_jacobian against JAX")


def by_jax(jax, learner):
    """Full-batch gradient descent on the logistic loss: weights (N,), initial params (P,) -> outputs (M,)."""
    jnp = jax.numpy

    def f(theta, x):
        *inner, (W, b) = plain.layers(learner, theta)
        for V, c in inner:
            x = jax.nn.softplus(x @ V + c)
        return (x @ W + b)[:, 0]

    def objective(theta, w):
        return jnp.mean(w * jnp.logaddexp(0.0, -(2.0 * learner.y - 1.0) * f(theta, learner.X)))

    def respond(w, theta):
        def step(theta, _):
            return theta - learner.learning_rate * jax.grad(objective)(theta, w), None

        return f(jax.lax.scan(step, theta, length=learner.steps)[0], learner.X_query)

    return jax.jit(respond)
