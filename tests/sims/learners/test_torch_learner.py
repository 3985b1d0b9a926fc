"""TorchLearner against the project's own network, JaxLearner and torch.optim, and what it says of modules that do not fit.

PyTorch is no dependency of the tests, because it can take gigabytes. Without it this file is skipped, and says so.
"""

import dataclasses
import functools
import importlib.util
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from assertions import assert_close, assert_identical

pytest.importorskip("torch", reason="NOT TESTED: TorchLearner, because PyTorch is not installed: pip install 'dfdw[torch]'")

import torch
import torch_models as models
from torch import nn

from sims.learners import Logistic
from sims.learners.adapters import JaxLearner, TorchLearner
from sims.learners.adapters.penalty import OtherObjectiveError
from sims.learners.adapters.recording import recorded
from sims.learners.adapters.training import Optimizer
from sims.ledger.judge import judge_learner
from sims.retrain.provenance import settings_of
from sims.testing import check_learner
from theory.datamodel import optimal_datamodel
from theory.derivatives import average_derivative
from theory.influence import hessian_influence
from theory.laws import TwoPoint
from theory.response import DifferentiableLearner, LinearizableLearner, mean_response, weight_derivative

DATA = (models.X, models.LABELS, models.X_QUERY)
SEEDS = (4, 0)
WEIGHTS = np.random.default_rng(0).uniform(0.2, 2.0, (3, 6))
WEIGHTS[1, :3] = 0.0
STEPS = {"steps": 20, "learning_rate": 0.1}
TRAINING = {
    "sgd": {"l2": 0.01},
    "momentum on minibatches": {"momentum": 0.5, "batch_size": 4, "schedule": "cosine", "l2": 0.01},
    "adam": {"optimizer": "adam", "learning_rate": 0.02, "l2": 0.03, "loss": "softmax"},
    "adamw on minibatches": {"optimizer": "adamw", "learning_rate": 0.02, "betas": (0.7, 0.95), "eps": 1e-4, "l2": 0.1}
    | {"batch_size": 4, "schedule": "cosine", "loss": "softmax", "output": "log_probability"},
}


def same_as(network, **options):
    """The TorchLearner that should equal an MLP."""
    names = (
        "steps",
        "learning_rate",
        "l2",
        "optimizer",
        "momentum",
        "betas",
        "eps",
        "batch_size",
        "schedule",
        "y_query",
        "output",
    )
    given = {name: getattr(network, name) for name in names}
    module = functools.partial(models.FromMLP, network)
    return TorchLearner(module, network.loss, network.X, network.y, network.X_query, **{**given, **options})


def linear(*, module=models.linear, loss="logistic", **options):
    return TorchLearner(module, loss, *DATA, **{"steps": 50, "learning_rate": 1.5, "l2": 0.3, **options})


LINEAR = linear()


@functools.cache
def pair(case):
    network = models.network(**{**STEPS, **TRAINING[case]})
    return network, same_as(network)


@pytest.mark.parametrize("case", TRAINING)
def test_responses_and_derivatives_equal_those_of_the_projects_network(case):
    network, learner = pair(case)
    order = models.mlp_order(network)
    assert_identical(learner.initial_params(SEEDS), network.initial_params(SEEDS)[:, order], call="initial parameters")
    assert_identical(learner.batches(SEEDS), network.batches(SEEDS), call="batches")
    assert_close(learner.respond(WEIGHTS, SEEDS), network.respond(WEIGHTS, SEEDS), rtol=1e-11, atol=1e-12, call="respond")
    expected = network.weight_jacobian(WEIGHTS, SEEDS)
    assert_close(learner.weight_jacobian(WEIGHTS, SEEDS), expected, rtol=1e-9, atol=1e-11, call="weight_jacobian")
    found, expected = (each.linearize(WEIGHTS[0], SEEDS) for each in (learner, network))
    assert_close(found.hessian, expected.hessian[:, order][:, :, order], rtol=1e-9, atol=1e-11, call="hessian")
    for name in ("params", "point_gradients", "output_gradients"):
        assert_close(getattr(found, name), getattr(expected, name)[..., order], rtol=1e-9, atol=1e-11, call=name)
    assert_close(found.gradient_norm, expected.gradient_norm, rtol=1e-9, atol=1e-11, call="gradient_norm")


@pytest.mark.parametrize("case", ["momentum on minibatches", "adam"])
def test_both_modes_give_the_same_derivative(case):
    network, learner = pair(case)
    other = dataclasses.replace(learner, mode="forward").weight_jacobian(WEIGHTS[:1], SEEDS)
    assert_close(other, network.weight_jacobian(WEIGHTS[:1], SEEDS), rtol=1e-9, atol=1e-11, call="weight_jacobian forward")


def test_states_that_are_stored_in_pieces_give_the_same_derivative(monkeypatch):
    network, learner = pair("adam")
    whole = learner.weight_jacobian(WEIGHTS, SEEDS)
    monkeypatch.setattr("sims.learners.adapters.module._STATE_NUMBERS", 7 * 3 * learner._chunk(3, 3) * 21)
    found = learner.weight_jacobian(WEIGHTS, SEEDS)
    assert_close(found, network.weight_jacobian(WEIGHTS, SEEDS), rtol=1e-9, atol=1e-11, call="weight_jacobian in pieces")
    assert_identical(found, whole, call="in pieces and whole")


OPTIMIZERS = {
    "sgd": ("SGD", {"l2": 0.1}),
    "momentum": ("SGD", {"momentum": 0.6, "l2": 0.03}),
    "adam": ("Adam", {"l2": 0.03}),
    "adam with other betas": ("Adam", {"betas": (0.7, 0.95), "eps": 1e-4, "l2": 0.03}),
    "adamw": ("AdamW", {"l2": 0.1}),
}


@pytest.mark.parametrize("case", OPTIMIZERS)
def test_every_step_is_that_of_torchs_own_optimiser(case):
    kind, given = OPTIMIZERS[case]
    options = {"l2": 0.0, "momentum": 0.0, "betas": (0.9, 0.999), "eps": 1e-8, **given}
    ours = Optimizer(case.split()[0] if kind != "SGD" else "sgd", **options)
    rates = 0.05 * 0.5 * (1.0 + np.cos(np.pi * np.arange(40) / 40))
    scales = torch.tensor(ours.scales(rates))
    theta = torch.linspace(-1.0, 1.0, 5, dtype=torch.float64)
    state = (theta, *(torch.zeros_like(theta) for _ in range(ours.memories)))
    theirs = theta.clone().requires_grad_()
    extra = {"momentum": options["momentum"]} if kind == "SGD" else {"betas": options["betas"], "eps": options["eps"]}
    optimizer = getattr(torch.optim, kind)([theirs], lr=0.05, weight_decay=options["l2"], **extra)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 40)

    def loss(theta):
        return (torch.sin(3.0 * theta) + theta.roll(1) * theta).sum()

    for t in range(40):
        state = ours.step(state, torch.func.grad(loss)(state[0]), scales[t], torch)
        optimizer.zero_grad()
        loss(theirs).backward()
        optimizer.step()
        schedule.step()
        assert_close(state[0].numpy(), theirs.detach().numpy(), rtol=1e-12, atol=1e-12, call=f"{case}, step {t + 1}")


def test_a_module_of_ones_own_equals_jax(jax_small):
    learner, same = jax_small
    assert_close(learner.respond(WEIGHTS, (3,)), same.respond(WEIGHTS, (3,)), rtol=1e-11, atol=1e-12, call="respond")
    found, expected = (each.weight_jacobian(WEIGHTS, (3,)) for each in (learner, same))
    assert_close(found, expected, rtol=1e-9, atol=1e-11, call="weight_jacobian")


@pytest.fixture
def jax_small():
    """A module with LayerNorm and GELU, and the same in JAX."""
    pytest.importorskip("jax")
    import jax
    from jax import numpy as jnp
    from jax.flatten_util import ravel_pytree

    options = {"steps": 30, "learning_rate": 0.02, "l2": 0.02, "optimizer": "adam", "batch_size": 4, "schedule": "cosine"}
    learner = TorchLearner(models.small, models.logistic, *DATA, **options)
    start = learner.initial_params((3,))[0]
    shapes = {"0W": (3, 2), "1b": (3,), "2g": (3,), "3h": (3,), "4V": (1, 3), "5c": (1,)}  # in PyTorch's order
    _, unravel = ravel_pytree({name: np.zeros(shape) for name, shape in shapes.items()})

    def output(p, x):
        z = p["0W"] @ x + p["1b"]
        z = (z - z.mean()) / jnp.sqrt(z.var() + 1e-5) * p["2g"] + p["3h"]
        return (p["4V"] @ jax.nn.gelu(z, approximate=False) + p["5c"])[0]

    def loss(p, x, y):
        return jnp.logaddexp(0.0, (1.0 - 2.0 * y) * output(p, x))

    with jax.enable_x64(True):
        return learner, JaxLearner(lambda key: unravel(jnp.asarray(start)), loss, output, *DATA, **options)


def test_the_average_derivative_is_the_datamodel_of_the_exact_table_for_adam():
    """T2 between weights so near 1 that no entry of a gradient changes its sign, where Adam has a kink."""
    X, X_query, law = models.X[:4], models.X_QUERY[:2], TwoPoint(0.01)
    options = {"steps": 8, "learning_rate": 0.05, "optimizer": "adam", "eps": 0.1}
    learner = TorchLearner(models.small, "logistic", X, models.LABELS[:4], X_query, **options)
    masks = np.array([[(mask >> i) & 1 for i in range(4)] for mask in range(16)], dtype=float)
    beta = optimal_datamodel(mean_response(learner, 1.0 + 0.01 * (2.0 * masks - 1.0), (0,)), law).coefficients
    assert np.abs(beta).max() > 1e-3
    assert np.abs(average_derivative(learner, law, (0,), 6) - beta).max() <= 1e-8


def test_a_converged_convex_model_equals_logistic_regression_and_its_influence_the_derivative():
    with_ones = [np.c_[np.ones(len(part)), part] for part in (models.X, models.X_QUERY)]  # the penalty is on the intercept, too
    exact, ones = Logistic(with_ones[0], models.LABELS, with_ones[1], l2=0.3), np.ones(6)
    assert_close(LINEAR.respond(WEIGHTS, SEEDS), exact.respond(WEIGHTS, SEEDS), rtol=1e-9, call="respond")
    assert_close(LINEAR.weight_jacobian(WEIGHTS, (0,)), exact.weight_jacobian(WEIGHTS, (0,)), rtol=1e-8, call="weight_jacobian")
    influence = hessian_influence(LINEAR.linearize(ones, (0,)))
    assert_close(influence, weight_derivative(LINEAR, ones, (0,)), rtol=1e-8, call="influence against D(1)")


def test_the_contract_is_kept():
    report = check_learner(LINEAR)
    report.raise_if_broken()
    assert not report.skipped
    assert isinstance(LINEAR, DifferentiableLearner)
    assert isinstance(LINEAR, LinearizableLearner)


def test_a_seed_has_the_same_bits_alone_and_among_others():
    _, learner = pair("adam")
    for method in (learner.respond, learner.weight_jacobian):
        together = method(WEIGHTS, SEEDS)
        assert_identical(method(WEIGHTS, SEEDS[1:])[:, 0], together[:, 1], call=f"{method.__name__} with one seed alone")
        assert_identical(method(WEIGHTS, SEEDS), together, call=f"{method.__name__} again")


@pytest.mark.parametrize("terms", [1, 3])
def test_a_record_has_the_bits_of_what_it_recorded(terms):
    """With one term, a product of matrices is recorded as a product of numbers."""
    rng = np.random.default_rng(terms)
    a, b = (torch.from_numpy(rng.standard_normal(shape)) for shape in ((5, 4, terms), (5, terms, 2)))
    again, numbers = recorded(torch.bmm, a, b)
    assert numbers == 40
    assert_identical(again(-a, b).numpy(), torch.bmm(-a, b).numpy(), call="other numbers than those recorded")


def test_a_train_function_of_the_users_own_is_trained_and_differentiated():
    own = linear(train=models.own_descent, steps=None, learning_rate=None, chunk=8)
    for name in ("respond", "weight_jacobian"):
        found, expected = (getattr(learner, name)(WEIGHTS[:2], (0,)) for learner in (own, LINEAR))
        assert_close(found, expected, rtol=1e-8, call=name)
    assert own.linearize(np.ones(6), (0,)).gradient_norm.max() < 1e-12
    with pytest.raises(OtherObjectiveError, match=r"mu = 0.3 on weight, 0.3 on bias, but l2 = 0 is stated.*Say l2=0.3"):
        dataclasses.replace(own, l2=0.0).linearize(np.ones(6), (0,))


def test_a_module_is_the_start_for_every_seed_and_is_not_changed():
    module = models.small()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    learner = TorchLearner(module, "logistic", *DATA, steps=2, learning_rate=0.1)
    starts = learner.initial_params((0, 7))
    assert_identical(starts[0], starts[1], call="two seeds")
    learner.respond(WEIGHTS, (0,))
    for name, value in module.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, before[name])


def test_parameters_without_a_gradient_stay_what_they_are_and_torchs_generator_too():
    module = models.small()
    module[0].weight.requires_grad_(requires_grad=False)
    torch.manual_seed(3)
    before = torch.default_generator.get_state()
    learner = TorchLearner(module, "logistic", *DATA, steps=2, learning_rate=0.1)
    assert learner.linearize(np.ones(6), (0,)).params.shape == (1, 3 + 6 + 4)
    LINEAR.initial_params((1, 2))
    assert torch.equal(torch.default_generator.get_state(), before)


def test_what_is_asked_of_several_outputs():
    _, learner = pair("adam")
    logits = [dataclasses.replace(learner, output=k, y_query=None).respond(WEIGHTS[:1], (0,))[0, 0] for k in range(3)]
    logits = np.array(logits)
    by_hand = logits[models.Y_QUERY, range(3)] - np.log(np.exp(logits).sum(0) - np.exp(logits[models.Y_QUERY, range(3)]))
    assert_close(learner.respond(WEIGHTS[:1], (0,))[0, 0], by_hand, rtol=1e-12, call="margin")
    spread = dataclasses.replace(learner, output=lambda z: z[:, 0] - z[:, 1], y_query=None)
    assert_close(spread.respond(WEIGHTS[:1], (0,))[0, 0], logits[0] - logits[1], rtol=1e-12, call="own function")


def test_what_a_module_writes_into_a_part_of_a_tensor_is_in_every_step():
    learner = linear(module=functools.partial(models.Broken, "write into a part"), steps=5, learning_rate=0.1)
    same = linear(loss=lambda f, y: models.logistic(3.0 * f, y), steps=5, learning_rate=0.1, output=lambda f: 3.0 * f)
    for name in ("respond", "weight_jacobian"):
        found, expected = (getattr(each, name)(WEIGHTS, (0,)) for each in (learner, same))
        assert_close(found, expected, rtol=1e-12, call=name)


def test_a_module_that_asks_for_the_value_of_a_tensor_is_refused():
    learner = linear(module=functools.partial(models.Broken, "asks for a value"))
    with pytest.raises((TypeError, RuntimeError), match=r"torch.where|data-dependent control flow"):
        learner.respond(WEIGHTS, (0,))


def test_training_that_diverges_names_the_subset_and_the_seed():
    weights = np.array([[0.0] * 6, [1.0, 1.0, 0.0, 0.0, 0.0, 0.0]])
    wild = linear(steps=300, learning_rate=1e3, l2=0.5)
    with pytest.raises(ArithmeticError, match=r"not finite on subset \{\}.*seed 7|not finite on subset \{0, 1\}.*seed 7"):
        wild.respond(weights, (7,))


# --- how a store tells it ----------------------------------------------------------------------------------------------------


def told(learner):
    return settings_of(learner)["learner"]


def test_modules_are_told_by_their_text_their_parts_and_their_state():
    assert told(linear()) == told(LINEAR)
    assert told(dataclasses.replace(LINEAR, module=models.small)) != told(LINEAR)
    torch.manual_seed(0)
    module = models.small()
    one = dataclasses.replace(LINEAR, module=module)
    assert told(dataclasses.replace(LINEAR, module=module)) == told(one)
    module[0].bias.data[0] += 1.0
    assert told(dataclasses.replace(LINEAR, module=module)) != told(one)
    module[0].bias.data[0] -= 1.0
    module[1].eps = 1e-3
    assert told(dataclasses.replace(LINEAR, module=module)) != told(one)
    losses = [dataclasses.replace(LINEAR, loss=functools.partial(scaled, s)) for s in (1.0, 2.0)]
    assert told(losses[0]) != told(losses[1])
    assert told(dataclasses.replace(LINEAR, name="mine"))["functions"] == "mine"


def scaled(scale, f, y):
    return scale * models.logistic(f, y)


def test_a_pickled_copy_gives_the_same_bits_and_leaves_graphs_behind():
    table = LINEAR.respond(WEIGHTS, (0,))
    copy = pickle.loads(pickle.dumps(LINEAR))
    assert "_graphs" not in vars(copy)
    assert_identical(copy.respond(WEIGHTS, (0,)), table, call="a copy")


# --- what does not fit -------------------------------------------------------------------------------------------------------


def batch_norm():
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))


def batch_norm_without_buffers():
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3, track_running_stats=False), nn.Linear(3, 1))


def dropout():
    return nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.2), nn.Linear(3, 1))


def broken(kind):
    return functools.partial(models.Broken, kind)


def in_place(f, y):
    return (f.mul_(2.0) - y) ** 2


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"module": batch_norm}, ValueError, "1.running_mean changes when the module is called.*LayerNorm or GroupNorm"),
        ({"module": batch_norm_without_buffers}, (TypeError, ValueError), r"1 = BatchNorm1d.*rows"),
        ({"module": dropout}, ValueError, r"1 is Dropout\(p=0.2\) in training mode.*p=0, or module.eval"),
        ({"module": broken("mean over rows")}, ValueError, "another one alone than among 9 rows"),
        ({"module": broken("buffer that changes")}, ValueError, "seen changes when the module is called"),
        ({"module": broken("integer parameter")}, TypeError, "count of torch.int64, expected floating-point parameters"),
        ({"module": broken("noise")}, ValueError, "draws random numbers or has a hidden state"),
        ({"module": broken("numpy start")}, ValueError, "line.weight differs between two modules that are built for seed 0"),
        ({"module": broken("data in place")}, ValueError, r"module\(X\) changes X in place"),
        ({"module": broken("other shape")}, TypeError, r"module\(X\) is \(1, 9\) for 9 rows, expected \(9,\) or \(9, C\)"),
        ({"module": broken("rows forgotten")}, TypeError, r"module\(X\) is \(1,\) for 9 rows"),
        ({"module": broken("float32")}, TypeError, r"module\(X\) is torch.float32, expected float64"),
        ({"module": broken("not finite")}, ValueError, r"module\(X\) is not finite at the start"),
        ({"module": lambda: 3}, TypeError, r"module\(\) returned int, expected an nn.Module"),
        ({"module": "linear"}, TypeError, "module is 'linear', expected an nn.Module, or a function"),
        ({"module": nn.Identity}, TypeError, "no parameter that requires a gradient"),
        ({"module": lambda: nn.Linear(3, 1)}, TypeError, r"module\(X\) raised RuntimeError for X of shape \(9, 2\)"),
        ({"loss": lambda f, y: models.logistic(f, y).mean()}, TypeError, r'loss.* is \(\) for 6 rows.*reduction="none"'),
        ({"loss": lambda f, y: torch.stack([f, f], 1)}, TypeError, r"is \(6, 2\) for 6 rows.*sum over the outputs of a row"),
        ({"loss": lambda f, y: f.sum() + f}, ValueError, "the loss of row 0 is another one alone than among 6 rows"),
        ({"loss": lambda f, y: torch.log(y - y) + f}, ValueError, "the loss of row 0 is -inf at the start"),
        ({"loss": lambda f, y: f.float()}, TypeError, "loss.* is torch.float32, expected float64"),
        ({"loss": in_place}, ValueError, "changes outputs or y in place"),
        ({"loss": "hinge"}, ValueError, "loss 'hinge' is unknown, expected one of logistic, squared, softmax"),
        ({"loss": 3}, TypeError, r"loss is 3, expected a function of \(outputs, y\)"),
        ({"loss": "softmax"}, TypeError, r"loss\(outputs, y\) raised"),
        ({"output": lambda f: f.sum()}, TypeError, r"output\(outputs\) is \(\), expected \(3,\)"),
        ({"output": 1}, ValueError, "output = 1 for a model with one output"),
        ({"y_query": [0, 1, 0]}, ValueError, "y_query for a model with one output"),
        ({"output": lambda f: f, "y_query": [0, 1, 0]}, ValueError, "y_query with an output function, expected none"),
        ({"steps": None}, ValueError, "expected both numbers, for gradient descent, or a train function"),
        ({"optimizer": "lion"}, ValueError, "optimizer 'lion' is unknown"),
        ({"l2": -1.0}, ValueError, "l2 = -1.0"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(change, error, message):
    with pytest.raises(error, match=message):
        dataclasses.replace(LINEAR, **change)


def test_buffers_that_differ_between_seeds_are_refused():
    def noisy():
        module = nn.Linear(2, 1)
        module.register_buffer("noise", torch.randn(2))
        return module

    learner = TorchLearner(noisy, "logistic", *DATA, steps=1, learning_rate=0.1)
    with pytest.raises(ValueError, match="noise of the module differs between seeds 0 and 1 and is not trained"):
        learner.respond(np.ones((1, 6)), (0, 1))


def test_a_missing_library_is_named_with_the_extra_that_brings_it():
    code = "import sys; sys.modules['torch'] = None\nfrom sims.learners.adapters import TorchLearner"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert "ImportError: TorchLearner needs PyTorch: pip install 'dfdw[torch]'" in process.stderr


# --- a transformer -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def transformer():
    path = Path(__file__).parents[3] / "examples/tiny_transformer.py"
    spec = importlib.util.spec_from_file_location("tiny_transformer", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["tiny_transformer"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["tiny_transformer"]


def test_a_transformer_of_one_layer_has_the_derivative_of_its_training(transformer):
    learner = transformer.learner(steps=6)
    assert 100 < learner.initial_params((0,)).shape[1] < 500
    ones, h = np.ones(6), 1e-5
    exact = learner.weight_jacobian(ones[None], (0,))[0, 0]
    moved = np.concatenate([ones + h * np.eye(6), ones - h * np.eye(6)])
    plus, minus = np.split(learner.respond(moved, (0,))[:, 0], 2)
    assert_close(exact, (plus - minus).T / (2.0 * h), rtol=1e-6, atol=1e-8, call="weight_jacobian against central differences")


def test_the_example_is_judged(transformer):
    study = judge_learner(transformer.learner(5, steps=3), patience=0.0, name="transformer")
    assert re.search(r"T1 +HOLDS", str(study))
