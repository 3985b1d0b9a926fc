"""A truth is right against models rebuilt from its file and against definitions, and its file is read only as it was written."""

import itertools
import json
import math
import subprocess
import sys

import numpy as np
import pytest

from sims.learners import MLP, LeastSquares, Logistic, SoftmaxRegression
from sims.referee import PROBLEMS, Truth, load_truth

rng = np.random.default_rng(11)
X = np.column_stack([np.ones(6), rng.standard_normal((6, 2))])
QUERY = rng.standard_normal((3, 3))
LABELS, CLASSES, NUMBERS = np.array([0, 1, 0, 1, 1, 0]), np.array([0, 1, 2, 0, 1, 2]), rng.standard_normal(6)
TRAINED = {"hidden": (3,), "steps": 60, "learning_rate": 0.4, "l2": 0.02}
LEARNERS = {
    "least_squares": (LeastSquares(X, NUMBERS, QUERY, l2=0.1), [0.3, -1.0, 0.5]),
    "logistic": (Logistic(X, LABELS, QUERY, l2=0.1), [1, 0, 1]),
    "softmax": (SoftmaxRegression(X, CLASSES, QUERY, l2=0.1, y_query=[0, 1, 2]), None),
    "log probability": (SoftmaxRegression(X, CLASSES, QUERY, l2=0.1, y_query=[0, 1, 2], output="log_probability"), None),
    "network": (MLP(X[:, 1:], LABELS, QUERY[:, 1:], **TRAINED), [1, 0, 1]),
    "softmax network": (MLP(X[:, 1:], CLASSES, QUERY[:, 1:], loss="softmax", y_query=[2, 1, 0], **TRAINED), None),
}
SEEDS = (4, 9)


@pytest.fixture(scope="module", params=LEARNERS)
def made(request, tmp_path_factory):
    learner, y_query = LEARNERS[request.param]
    truth = Truth.of(learner, SEEDS, y_query=y_query, name="made")
    return learner, truth, truth.save(tmp_path_factory.mktemp("truth"))


def loss(kind, f, y):
    """The loss of one output by its definition."""
    if kind == "squared":
        return 0.5 * (f - y) ** 2
    if kind == "log_probability":
        return -f
    s = 1.0 if kind == "margin" or y else -1.0
    return math.log1p(math.exp(-s * f)) if s * f > -30 else -s * f


def test_effects_on_margins_and_losses_are_those_of_their_definitions(made):
    learner, truth, _ = made
    n, m = truth.n_points, truth.n_queries
    masks = np.array(list(itertools.product((0.0, 1.0), repeat=n)))
    each = learner.respond(masks, SEEDS)  # (B, R, M)
    values = {"margin": each.mean(axis=1)}
    losses = [[[loss(truth.loss_function, f, y) for f, y in zip(row, truth.y_query, strict=True)] for row in b] for b in each]
    values["loss"] = np.mean(losses, axis=1)
    for target, F in values.items():
        of = {tuple(mask): f for mask, f in zip(masks, F, strict=True)}
        shapley, beta = np.zeros((n, m)), np.zeros((n, m))
        for mask, f in of.items():
            for i in range(n):
                if mask[i]:
                    change, size = f - of[(*mask[:i], 0.0, *mask[i + 1 :])], int(sum(mask)) - 1
                    beta[i] += change / 2 ** (n - 1)
                    shapley[i] += change / (n * math.comb(n - 1, size))
        full = (1.0,) * n
        removal = np.array([of[full] - of[(*full[:i], 0.0, *full[i + 1 :])] for i in range(n)])
        for quantity, expected in (("beta", beta), ("shapley", shapley), ("loo", removal)):
            np.testing.assert_allclose(truth.effect(quantity, target), expected, rtol=0, atol=1e-12 * np.abs(F).max())


def test_d1_of_margins_and_losses_is_the_slope_of_retraining(made):
    learner, truth, _ = made
    h = 1e-5
    for i in range(truth.n_points):
        move = np.eye(truth.n_points)[i] * h
        ends = learner.respond([1.0 + move, 1.0 - move], SEEDS)
        slope = (ends[0] - ends[1]).mean(axis=0) / (2 * h)
        np.testing.assert_allclose(truth.D1[i], slope, atol=1e-7)
        lost = [[[loss(truth.loss_function, f, y) for f, y in zip(r, truth.y_query, strict=True)] for r in e] for e in ends]
        np.testing.assert_allclose(truth.D1_loss[i], np.subtract(*np.mean(lost, axis=1)) / (2 * h), atol=1e-7)


def test_the_file_gives_the_same_truth(made):
    _, truth, path = made
    back = load_truth(path)
    for name in (
        "X",
        "y",
        "X_query",
        "y_query",
        "l2",
        "margin",
        "loss",
        "D1",
        "loo_loss",
        "shapley",
        "masks",
        "table",
        "table_loss",
    ):
        np.testing.assert_array_equal(getattr(back, name), getattr(truth, name))
    for name in ("params", "hessian", "point_gradients", "output_gradients", "point_hessians"):
        np.testing.assert_array_equal(getattr(back.model, name), getattr(truth.model, name))
    assert set(back.model.curvatures) == set(truth.model.curvatures)
    assert back.seeds == SEEDS
    assert repr(back) == repr(truth)


def test_numpy_alone_rebuilds_the_model_and_its_margins(made):
    learner, _, path = made
    script = f"""
import json, sys
import numpy as np
t, facts = np.load({str(path)!r}), json.load(open({str(path.with_suffix(".json"))!r}))
assert not [m for m in sys.modules if m in ("scipy", "sims", "theory", "numba")]
layers = sum(name.startswith("weight_") for name in t.files)
margins = []
for r in range(len(t["seeds"])):
    z = t["X_query"]
    for k in range(1, layers + 1):
        z = z @ t[f"weight_{{k}}"][r].T + (t[f"bias_{{k}}"][r] if f"bias_{{k}}" in t.files else 0.0)
        z = np.tanh(z) if k < layers else z
    if z.shape[1] > 1:
        y = t["y_query"].astype(int)
        own, rest = z[np.arange(len(z)), y], np.array([np.delete(a, c) for a, c in zip(z, y)])
        all_ = np.logaddexp.reduce(z if facts["loss_function"] == "log_probability" else rest, axis=1)
        margins.append(own - all_)
    else:
        margins.append(z[:, 0])
np.testing.assert_allclose(np.array(margins), t["margin_by_seed"], rtol=0, atol=1e-12)
N, M = t["D1"].shape
solved = np.linalg.solve(t["hessian"], t["output_gradients"].swapaxes(1, 2))
print(np.abs(-(t["point_gradients"] @ solved).mean(axis=0) / N - t["D1"]).max() / np.abs(t["D1"]).max())
"""
    process = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, timeout=60)
    assert process.returncode == 0, process.stderr
    if not isinstance(learner, MLP):  # a network that was stopped early has another derivative
        assert float(process.stdout) < 1e-8


def test_pytorch_has_the_same_margins_and_gradients(made):
    torch = pytest.importorskip("torch")
    _, truth, path = made
    t = np.load(path)
    layers = [torch.nn.Linear(1, 1, bias=f"bias_{k}" in t.files).double() for k in range(1, 3) if f"weight_{k}" in t.files]
    for k, layer in enumerate(layers, 1):
        layer.weight = torch.nn.Parameter(torch.tensor(t[f"weight_{k}"][0]))
        if layer.bias is not None:
            layer.bias = torch.nn.Parameter(torch.tensor(t[f"bias_{k}"][0]))
    z = torch.tensor(t["X_query"])
    for k, layer in enumerate(layers, 1):
        z = layer(z).tanh() if k < len(layers) else layer(z)
    if z.shape[1] == 1:
        np.testing.assert_allclose(z[:, 0].detach().numpy(), truth.margin_by_seed[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["least_squares", "logistic", "softmax"])
def test_jax_differentiates_the_rebuilt_model_to_the_same_effects(name, tmp_path):
    """The objective is written anew from the file, and D(1) = -(1/N) grad f^T H^-1 grad l by automatic differentiation."""
    jax = pytest.importorskip("jax")
    learner, y_query = LEARNERS[name]
    t = np.load(Truth.of(learner, (0,), y_query=y_query, name=name).save(tmp_path))
    with jax.enable_x64(True):
        theta, shape = t["weight_1"][0].ravel(), t["weight_1"][0].shape

        def output(theta, x):
            return jax.numpy.asarray(theta).reshape(shape) @ x

        def loss(theta, x, y):
            f = output(theta, x)
            if name == "least_squares":
                return 0.5 * (f[0] - y) ** 2
            return jax.numpy.logaddexp(0.0, -(2 * y - 1) * f[0]) if len(f) == 1 else jax.nn.logsumexp(f) - f[int(y)]

        def margin(theta, x, y):
            f = output(theta, x)
            return f[0] if len(f) == 1 else f[int(y)] - jax.nn.logsumexp(jax.numpy.delete(f, int(y)))

        def objective(theta):
            data = sum(loss(theta, x, y) for x, y in zip(t["X"], t["y"], strict=True)) / len(t["X"])
            return data + 0.5 * float(t["l2"]) * (theta @ theta)

        asked = list(zip(t["X_query"], t["y_query"], strict=True))
        margins = [float(margin(theta, x, y)) for x, y in asked]
        np.testing.assert_allclose(margins, t["margin"], rtol=0, atol=1e-12)
        points = np.array([jax.grad(loss)(theta, x, y) for x, y in zip(t["X"], t["y"], strict=True)])
        queries = np.array([jax.grad(margin)(theta, x, y) for x, y in asked])
        effects = -points @ np.linalg.solve(np.asarray(jax.hessian(objective)(theta)), queries.T) / len(points)
        np.testing.assert_allclose(effects, t["D1"], rtol=0, atol=1e-8 * np.abs(t["D1"]).max())


@pytest.mark.parametrize("name", LEARNERS)
def test_the_hessians_of_the_points_are_those_of_their_losses(name):
    """Each is the slope of its point's gradient, by differences of what the model's linearization at moved parameters says."""
    learner, y_query = LEARNERS[name]
    model = Truth.of(learner, (4,), y_query=y_query).model
    n, size = model.point_gradients.shape[1:]
    whole = model.point_hessians.mean(axis=1) + learner.l2 * np.eye(size)
    np.testing.assert_allclose(whole, model.hessian, rtol=0, atol=1e-12 * np.abs(model.hessian).max())
    if isinstance(learner, MLP):
        h = 1e-5
        moves = h * np.eye(size)
        ends = [learner._descent.at(np.ascontiguousarray((model.params + s * moves).T), np.ones(n)) for s in (1, -1)]
        slopes = (ends[0].point_gradients - ends[1].point_gradients) / (2 * h)  # (P, N, P)
        np.testing.assert_allclose(model.point_hessians[0], slopes.transpose(1, 0, 2), rtol=0, atol=1e-8)


def test_a_changed_file_and_files_of_other_kinds_are_refused(made, tmp_path):
    _, _, path = made
    copy, facts = tmp_path / "copy.npz", json.loads(path.with_suffix(".json").read_text())
    copy.write_bytes(path.read_bytes())
    with pytest.raises(ValueError, match=r"copy\.json cannot be read"):
        load_truth(copy)
    copy.with_suffix(".json").write_text(json.dumps({**facts, "format": 0}))
    with pytest.raises(ValueError, match="has format 0, expected 1"):
        load_truth(copy)
    copy.with_suffix(".json").write_text(json.dumps(facts))
    assert load_truth(copy).name == "made"
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    copy.write_bytes(bytes(content))
    with pytest.raises(ValueError, match="another sha256"):
        load_truth(copy)
    with pytest.raises(ValueError, match=r"is no \.npz file"):
        load_truth(tmp_path / "none.npz")
    with pytest.raises(ValueError, match="did you mean 'xor_young'"):
        load_truth("xor_yong")


def test_drawn_subsets_estimate_the_same_effects_with_their_errors():
    learner = LEARNERS["logistic"][0]
    exact, drawn = (Truth.of(learner, y_query=[1, 0, 1], most_exact=most, n_retrainings=2000) for most in (6, 0))
    for target in ("margin", "loss"):
        np.testing.assert_allclose(drawn.effect("loo", target), exact.effect("loo", target), atol=1e-12)
        for quantity in ("beta", "shapley"):
            z = (drawn.effect(quantity, target) - exact.effect(quantity, target)) / drawn.error(quantity, target)
            assert np.abs(z).max() < 5.0
            assert not exact.error(quantity, target).any()
    with pytest.raises(ValueError, match="subsets were drawn"):
        _ = drawn.table


def test_one_seed_of_a_truth_is_the_truth_of_that_seed():
    learner, y_query = LEARNERS["network"]
    both, one = (Truth.of(learner, seeds, y_query=y_query) for seeds in (SEEDS, SEEDS[1:]))
    alone = both.seed(9)
    for name in ("margin", "loss", "D1", "beta", "shapley_loss"):
        np.testing.assert_allclose(getattr(alone, name), getattr(one, name), rtol=0, atol=1e-13)
    np.testing.assert_array_equal(alone.model.params, one.model.params)
    with pytest.raises(ValueError, match="seed 5, expected one of 4, 9"):
        both.seed(5)


@pytest.mark.parametrize("name", [name for name in PROBLEMS if not name.startswith(("fair", "digits_conv"))])
def test_every_named_problem_builds_and_has_targets_of_its_queries(name):
    found = PROBLEMS[name]
    learner, data = found.problem.build(), found.problem.load()
    assert len(data.y_query) == learner.n_outputs
    assert learner.n_points <= 16


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "a/b"}, "expected the name of a file"),
        ({"y_query": [0, 1]}, "y_query"),
        ({"y_query": [0, 1, 2]}, "expected labels 0 and 1"),
        ({"seeds": [0, 0]}, "seeds"),
    ],
)
def test_bad_input_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        Truth.of(LEARNERS["logistic"][0], **change)


def test_other_normalisations_are_refused():
    with pytest.raises(ValueError, match="normalization 'sum'"):
        Truth.of(Logistic(X, LABELS, QUERY, l2=0.1, normalization="sum"))
