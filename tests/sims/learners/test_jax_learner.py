"""JaxLearner against the project's own network and logistic regression, and what it says of functions that do not fit."""

import dataclasses
import functools
import pickle
import subprocess
import sys

import numpy as np
import pytest
from assertions import assert_close, assert_identical

pytest.importorskip("jax")

import jax
import jax.numpy as jnp
import jax_models as models

from sims.learners import MLP, Logistic
from sims.learners.adapters import JaxLearner
from sims.retrain import response_table
from sims.retrain.provenance import settings_of
from sims.testing import check_learner
from theory.influence import hessian_influence
from theory.response import DifferentiableLearner, LinearizableLearner, weight_derivative

DATA = (models.X, models.Y, models.X_QUERY)
SEEDS = (4, 0, 1)
WEIGHTS = np.random.default_rng(0).uniform(0.2, 2.0, (4, 6))
WEIGHTS[1, :3] = 0.0


def network(**options):
    return JaxLearner(models.init, models.loss, models.output, *DATA, **{**models.OPTIONS, **options})


def linear(**options):
    functions = (models.linear_init, models.linear_loss, models.linear_output)
    return JaxLearner(*functions, *DATA, **{"steps": 3000, "learning_rate": 2.0, "l2": 0.1, **options})


NETWORK, LINEAR = network(), linear()


def test_responses_and_derivatives_equal_those_of_the_projects_network():
    assert_close(NETWORK.initial_params(SEEDS), models.NETWORK.initial_params(SEEDS), call="initial parameters")
    for name in ("respond", "weight_jacobian"):
        found, expected = (getattr(learner, name)(WEIGHTS, SEEDS) for learner in (NETWORK, models.NETWORK))
        assert_close(found, expected, rtol=1e-9, call=name)


def test_reverse_mode_gives_the_same_derivative():
    found = network(mode="reverse").weight_jacobian(WEIGHTS, SEEDS)
    assert_close(found, models.NETWORK.weight_jacobian(WEIGHTS, SEEDS), rtol=1e-9, call="weight_jacobian, reverse mode")


def test_linearization_equals_that_of_the_projects_network():
    found, expected = (learner.linearize(WEIGHTS[0], SEEDS) for learner in (NETWORK, models.NETWORK))
    for name in ("params", "hessian", "point_gradients", "output_gradients", "gradient_norm"):
        assert_close(getattr(found, name), getattr(expected, name), rtol=1e-9, call=name)


def test_a_train_function_of_the_users_own_is_trained_and_differentiated():
    own = network(train=models.momentum, steps=None, learning_rate=None)
    same = MLP(*DATA, hidden=(3,), momentum=0.5, **models.OPTIONS)
    plain = models.NETWORK.respond(WEIGHTS, SEEDS)
    assert np.abs(same.respond(WEIGHTS, SEEDS) - plain).max() > 0.01 * np.abs(plain).max()
    for name in ("respond", "weight_jacobian"):
        found, expected = (getattr(learner, name)(WEIGHTS, SEEDS) for learner in (own, same))
        assert_close(found, expected, rtol=1e-9, call=name)


def test_a_converged_convex_model_equals_logistic_regression_and_its_influence_the_derivative():
    exact, ones = Logistic(*DATA, l2=0.1), np.ones(6)
    assert_close(LINEAR.respond(WEIGHTS, SEEDS), exact.respond(WEIGHTS, SEEDS), rtol=1e-9, call="respond")
    assert_close(LINEAR.weight_jacobian(WEIGHTS, (0,)), exact.weight_jacobian(WEIGHTS, (0,)), rtol=1e-9, call="weight_jacobian")
    influence = hessian_influence(LINEAR.linearize(ones, (0,)))
    assert_close(influence, weight_derivative(LINEAR, ones, (0,)), rtol=1e-9, call="influence against D(1)")


def test_a_seed_has_the_same_bits_alone_and_among_others_and_at_every_place_of_a_batch():
    for method in (NETWORK.respond, NETWORK.weight_jacobian):
        together = method(WEIGHTS, SEEDS)
        for k, seed in enumerate(SEEDS):
            assert_identical(method(WEIGHTS, (seed,))[:, 0], together[:, k], call=f"{method.__name__} with seed {seed} alone")
        assert_identical(method(WEIGHTS[::-1], SEEDS), together[::-1], call=f"{method.__name__} of the batch in reverse")


def test_the_contract_is_kept():
    learner = JaxLearner(
        models.linear_init, models.linear_loss, models.linear_output, *DATA, steps=600, learning_rate=0.5, l2=0.1
    )  # converged: influence is asked for, too
    assert isinstance(learner, DifferentiableLearner)
    assert isinstance(learner, LinearizableLearner)
    report = check_learner(learner)
    report.raise_if_broken()
    assert not report.skipped


def test_jaxs_own_precision_is_neither_needed_nor_changed():
    before = jax.config.jax_enable_x64
    assert LINEAR.respond(WEIGHTS, (0,)).dtype == np.float64
    assert jax.config.jax_enable_x64 == before
    assert jnp.zeros(1).dtype == jnp.float32
    with jax.enable_x64(True):
        assert_identical(LINEAR.respond(WEIGHTS, (0,)), linear().respond(WEIGHTS, (0,)), call="inside and outside of x64")


def test_numbers_drawn_in_training_come_from_the_seed():
    learner = linear(train=models.noisy_step, steps=None, learning_rate=None)
    one, again, other = (learner.respond(WEIGHTS, (seed,)) for seed in (1, 1, 2))
    assert_identical(one, again, call="seed 1 twice")
    assert np.abs(one - other).max() > 0.1
    shift = 0.1 * (WEIGHTS * models.Y) @ models.X @ models.X_QUERY.T
    with jax.enable_x64(True):
        drawn = np.asarray(jax.random.normal(jax.random.key(1), (2,))) @ models.X_QUERY.T
    assert_close(one[:, 0], shift + drawn, rtol=1e-12, call="one noisy step by hand")


def test_a_pickled_copy_gives_the_same_bits_and_leaves_compiled_functions_behind():
    table = response_table(LINEAR, (0,)).samples
    copy = pickle.loads(pickle.dumps(LINEAR))
    assert "_compiled" not in vars(copy)
    assert_identical(response_table(copy, (0,)).samples, table, call="a copy")


# --- how a store tells it ----------------------------------------------------------------------------------------------------


def told(learner):
    return settings_of(learner)["learner"]


def scaled_loss(scale):
    def loss(theta, x, y):
        return scale * models.linear_loss(theta, x, y)

    return loss


def test_functions_are_told_by_their_text_and_by_what_they_read():
    assert told(linear()) == told(LINEAR)
    by_two, by_three = (told(dataclasses.replace(LINEAR, loss=scaled_loss(s))) for s in (2.0, 3.0))
    assert by_two["functions"]["loss"]["source"] == by_three["functions"]["loss"]["source"]
    assert by_two != by_three
    assert told(dataclasses.replace(LINEAR, loss=scaled_loss(2.0))) == by_two
    bound = [functools.partial(lambda scale, theta, x: scale * (x @ theta), s) for s in (2.0, 3.0)]
    assert told(dataclasses.replace(LINEAR, output=bound[0])) != told(dataclasses.replace(LINEAR, output=bound[1]))


def test_a_function_without_source_text_needs_a_name():
    names = {}
    exec("def output(theta, x):\n    return x @ theta", names)
    learner = dataclasses.replace(LINEAR, output=names["output"])
    with pytest.raises(ValueError, match=r"source text of output cannot be read.*give the learner a name"):
        settings_of(learner)
    assert told(dataclasses.replace(learner, name="linear, first try"))["functions"] == "linear, first try"


# --- what does not fit -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"steps": None}, ValueError, "expected both numbers, for gradient descent, or a train function"),
        ({"train": models.momentum}, ValueError, "expected both numbers, for gradient descent, or a train function"),
        ({"init": lambda key: jnp.zeros(2, int)}, TypeError, r"leaves of type \['int"),
        ({"init": lambda key: []}, TypeError, "expected a pytree of floating-point arrays"),
        ({"output": lambda theta, x: theta[None]}, TypeError, r"output\(params, x\) is .* expected a float64 scalar"),
        (
            {"loss": lambda theta, x, y: jnp.float32(0.0)},
            TypeError,
            r"loss\(params, x, y\) is .*float32.* expected a float64 scalar",
        ),
        ({"output": lambda theta, x: theta}, ValueError, r"output 'margin' is that of each query's own class, expected y_query"),
        ({"y_query": [0, 1, 0]}, ValueError, "y_query for a model with one output, expected none"),
        ({"answer": 1}, ValueError, "answer = 1 for a model with one output, expected none"),
        ({"mode": "both"}, ValueError, "mode 'both' is unknown, expected one of auto, forward, reverse"),
        ({"optimizer": "rmsprop"}, ValueError, "optimizer 'rmsprop' is unknown, expected one of sgd, adam, adamw"),
        ({"optimizer": "adam", "momentum": 0.5}, ValueError, "momentum = 0.5 with optimizer adam, expected none"),
        ({"betas": (0.5, 0.9)}, ValueError, r"betas = \(0.5, 0.9\) with optimizer sgd, expected none"),
        ({"betas": 0.5}, ValueError, r"betas = 0.5, expected two numbers"),
        ({"batch_size": 7}, ValueError, "batch_size = 7, expected 1 to the 6 training points"),
        (
            {"train": models.momentum, "steps": None, "learning_rate": None, "batch_size": 2},
            ValueError,
            "batch_size = 2 with a train function of your own",
        ),
        ({"chunk": 0}, ValueError, "chunk = 0, expected a whole number >= 1"),
        ({"l2": -1.0}, ValueError, "l2 = -1.0"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(change, error, message):
    with pytest.raises(error, match=message):
        dataclasses.replace(LINEAR, **change)


def test_training_that_diverges_names_the_subset_and_the_seed():
    weights = np.array([[0.0] * 6, [1.0, 1.0, 0.0, 0.0, 0.0, 0.0]])
    wild = dataclasses.replace(LINEAR, learning_rate=1e3, l2=0.5)
    with pytest.raises(ArithmeticError, match=r"not finite on subset \{0, 1\} \(mask 3\), seed 7"):
        wild.respond(weights, (7,))


@pytest.mark.parametrize(
    ("library", "learner", "extra"), [("jax", "JaxLearner", "jax"), ("sklearn", "SklearnLearner", "sklearn")]
)
def test_a_missing_library_is_named_with_the_extra_that_brings_it(library, learner, extra):
    other = {"JaxLearner": "SklearnLearner", "SklearnLearner": "JaxLearner"}[learner]
    code = (
        f"import sys; sys.modules['{library}'] = None\n"
        f"from sims.learners.adapters import {other}\n"
        f"from sims.learners.adapters import {learner}"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert f"ImportError: {learner} needs" in process.stderr
    assert f"pip install 'dfdw[{extra}]'" in process.stderr


# --- optimisers, minibatches and several outputs, as in the project's own network ------------------------------------------

CLASSES, Y_QUERY = np.array([0, 1, 2, 0, 1, 2]), np.array([2, 0, 1])
TRAINING = {
    "momentum on minibatches": {"momentum": 0.5, "batch_size": 4, "schedule": "cosine", "l2": 0.01, "learning_rate": 0.1},
    "adam": {"optimizer": "adam", "learning_rate": 0.02, "l2": 0.03, "loss": "softmax"},
    "adamw on minibatches": {"optimizer": "adamw", "learning_rate": 0.02, "betas": (0.7, 0.95), "eps": 1e-4, "l2": 0.1}
    | {"batch_size": 4, "schedule": "cosine", "loss": "softmax", "output": "log_probability"},
    "one logit": {"loss": "softmax", "output": 2, "learning_rate": 0.1},
}


@pytest.mark.parametrize("case", TRAINING)
def test_every_optimiser_takes_the_steps_of_the_projects_network(case):
    options = {"steps": 20, **TRAINING[case]}
    classes = options.get("loss") == "softmax"
    asked = {"y_query": None if options.get("output") == 2 else Y_QUERY} if classes else {}
    own = MLP(models.X, CLASSES if classes else models.Y, models.X_QUERY, hidden=(3,), **options, **asked)

    def init(key):
        theta = jnp.asarray(own.initial_params((int(jax.random.key_data(key)[-1]),))[0])
        c = own.n_classes
        return [(theta[:6].reshape(2, 3), theta[6:9]), (theta[9 : 9 + 3 * c].reshape(3, c), theta[9 + 3 * c :])]

    def logits(params, x):
        (W, b), (V, c) = params
        return jnp.tanh(x @ W + b) @ V + c

    def loss(params, x, y):
        z = logits(params, x)
        return jax.nn.logsumexp(z) - z[y.astype(int)] if classes else jnp.logaddexp(0.0, (1.0 - 2.0 * y) * z[0])

    output = logits if classes else lambda params, x: logits(params, x)[0]
    given = {key: value for key, value in options.items() if key not in ("loss", "output")}
    if classes:
        given |= {"answer": own.output, **asked}
    found = JaxLearner(init, loss, output, own.X, own.y, own.X_query, **given)
    assert_identical(found.batches(SEEDS), own.batches(SEEDS), call="batches")
    assert_close(found.respond(WEIGHTS, SEEDS), own.respond(WEIGHTS, SEEDS), rtol=1e-11, atol=1e-12, call="respond")
    expected = own.weight_jacobian(WEIGHTS, SEEDS)
    assert_close(found.weight_jacobian(WEIGHTS, SEEDS), expected, rtol=1e-9, atol=1e-11, call="weight_jacobian")
    found, expected = (learner.linearize(WEIGHTS[0], SEEDS) for learner in (found, own))
    for name in ("params", "hessian", "point_gradients", "output_gradients", "gradient_norm"):
        assert_close(getattr(found, name), getattr(expected, name), rtol=1e-9, atol=1e-11, call=name)
