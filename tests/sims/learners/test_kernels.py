"""Compiled functions of one number against long double, with 11 more bits; and that replicas know nothing of each other."""

import numpy as np
import pytest
import scipy
from assertions import assert_identical

from sims.learners import MLP
from sims.learners.network import descent, kernels
from sims.learners.network.descent import Optimizer
from sims.learners.network.kernels import activations
from sims.learners.network.passes import contiguous

LONG = np.longdouble
SCALES = [1e-300, 1e-8, 1e-3, 0.02, 0.3, 1.0, 5.0, 100.0, 1e4]


def code(activation, sharpness=1.0):
    return kernels.Activation(kernels.ACTIVATIONS.index(activation), sharpness)


def activated(x, activation="tanh", sharpness=1.0):
    if activation == "gelu":
        return gelu(x)[0]
    row = np.array(x, dtype=np.float64)
    activations.activate(code(activation, sharpness), row)
    return row


def gelu(x):
    """The values, the slopes and the bends."""
    rows, extra = np.array(x, dtype=np.float64).reshape(1, -1), np.empty((3, len(x)))
    activations.gelu(rows, extra, 0, 1)
    return rows[0], extra[0], extra[1]


def with_slope(a, activation, sharpness=1.0):
    out = np.ones(len(a))
    activations.times_slope(code(activation, sharpness), contiguous(a), out)
    return out


def with_bend(a, activation, sharpness=1.0):
    out, one = np.zeros(len(a)), np.ones(len(a))
    activations.add_bend(code(activation, sharpness), contiguous(a), one, one, out)
    return out


def loss_slope(f, y, loss):
    out = np.empty((1, len(f)))
    kernels.slopes(kernels.LOSSES.index(loss), f.reshape(1, -1), np.array([y]), out)
    return out[0]


def error(values, expected):
    """Relative, in units of 1e-16; what is below the normal numbers may be 0."""
    beside = np.maximum(np.abs(expected), LONG(np.finfo(np.float64).tiny))
    return float((np.abs(values - expected) / beside).max() / 1e-16)


def normal(scale, seed=0, size=200_000):
    return scale * np.random.default_rng(seed).standard_normal(size)


@pytest.mark.parametrize("scale", SCALES)
def test_relative_error_of_tanh_is_below_6e_16_at_every_scale(scale):
    x = normal(scale)
    assert error(activated(x), np.tanh(x.astype(LONG))) < 6.0


@pytest.mark.parametrize("sharpness", [1.0, 3.0, 256.0])
@pytest.mark.parametrize("scale", SCALES)
def test_softplus_its_slope_and_its_bend(scale, sharpness):
    """The product of sharpness and z is rounded once, which its exponential multiplies by up to 600."""
    z, s = normal(scale).clip(-600.0 / sharpness, None), LONG(sharpness)
    tail = np.log1p(np.exp(-s * np.abs(z.astype(LONG)))) / s
    rounding = 6.0 if sharpness in (1.0, 256.0) else 6.0 + 1.2 * min(600.0, float(sharpness * np.abs(z).max()))
    a = activated(z, "softplus", sharpness)
    assert error(a, np.maximum(z, 0.0) + tail) < rounding
    assert error(with_slope(a, "softplus", sharpness), -np.expm1(-s * a.astype(LONG))) < rounding
    inside = a[sharpness * a < 600.0]
    assert error(with_bend(inside, "softplus", sharpness), s * np.exp(-s * inside.astype(LONG))) < rounding + 2.0


@pytest.mark.parametrize("scale", [1e-300, 1e-3, 0.3, 1.0, 5.0, 100.0])
def test_gelu_its_slope_and_its_bend(scale):
    """Against scipy's normal distribution; the slope and the bend change sign, so their errors are absolute."""
    z = normal(scale, size=20_000).clip(-30.0, None)
    below, density = scipy.special.ndtr(z), np.exp(-0.5 * z.astype(LONG) ** 2) / np.sqrt(2.0 * LONG(np.pi))
    values, slopes, bends = gelu(z)
    tail = np.maximum(1.0, z * z)  # erfc and exp multiply the rounding of z by z^2, here and in scipy
    assert (np.abs(values - z * below) <= 12e-16 * tail * np.abs(z * below) + 1e-307).all()
    assert (np.abs(slopes - (below + z * density)) <= 12e-16 * tail * (below + np.abs(z) * density) + 1e-305).all()
    assert (
        np.abs(bends - (2.0 - z.astype(LONG) ** 2) * density) <= 12e-16 * tail * (2.0 + z * z) * density + 1e-300
    ).all()  # exp stops at -700


def long_softmax(f, label):
    """Slopes, margin and log-probability of the label, in long double."""
    e = np.exp(f.astype(LONG) - f.max(axis=0))
    p, others = e / e.sum(axis=0), np.delete(e, label, axis=0).sum(axis=0)
    slopes = p.copy()
    slopes[label] = -others / e.sum(axis=0)
    margin = np.log(e[label] / others)
    return slopes, margin, -np.log1p(np.exp(-margin))


@pytest.mark.parametrize("scale", [1e-8, 0.3, 1.0, 5.0, 30.0])
@pytest.mark.parametrize("label", [0, 2])
def test_softmax_and_the_readouts(scale, label):
    f = scale * np.random.default_rng(0).standard_normal((4, 20_000))
    slopes, margin, log_probability = long_softmax(f, label)
    slope, curvature = np.empty((1, *f.shape)), np.empty((1, 6, f.shape[1]))
    kernels.softmax(contiguous(f[None]), np.array([float(label)]), slope, curvature)
    rounding = 12.0 + 1.2 * float((f.max(axis=0) - f.min(axis=0)).max())  # that of f - max f, relative to its exponential
    assert error(slope[0], slopes) < rounding
    assert error(curvature[0, label], long_softmax(f, (label + 1) % 4)[0][label]) < rounding
    for kind, expected in ((1, margin), (2, log_probability)):
        out, read = np.empty((1, f.shape[1])), np.empty((1, *f.shape))
        kernels.readouts(kind, contiguous(f[None]), np.array([label]), out, read)
        assert (np.abs(out[0] - expected) <= 1e-15 * (2.0 + np.abs(f).max(axis=0))).all()
        own = 1.0 if kind == 1 else -slopes[label]
        assert error(read[0, label], own * np.ones(f.shape[1])) < 2.0 * rounding
        assert (np.abs(read[0].sum(axis=0)) <= 1e-15).all()


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("y", [0.0, 1.0])
def test_slopes_of_the_losses(scale, y):
    f = normal(scale).clip(-600.0, 600.0)
    sign = LONG(2.0 * y - 1.0)
    assert error(loss_slope(f, y, "logistic"), -sign / (1.0 + np.exp(sign * f))) < 6.0
    assert_identical(loss_slope(f, y, "squared"), f - y, call="f - y")


def test_zero_infinity_nan_and_the_smallest_and_largest_numbers():
    tiny, huge = np.finfo(float).smallest_subnormal, np.finfo(float).max
    assert_identical(activated([0.0, tiny, -tiny, 19.1, huge, -huge]), [0.0, tiny, -tiny, 1.0, 1.0, -1.0], call="tanh")
    assert_identical(activated([np.inf, -np.inf]), [1.0, -1.0], call="tanh of infinity")
    assert_identical(activated([np.inf, huge, -huge], "softplus")[:2], [np.inf, huge], call="softplus")
    assert_identical(activated([np.inf, huge, -huge, -0.5], "relu"), [np.inf, huge, 0.0, 0.0], call="relu")
    assert loss_slope(np.array([1e300]), 1.0, "logistic")[0] > -1e-300
    for activation in kernels.ACTIVATIONS:
        assert np.isnan(activated([np.nan, -np.nan], activation)).all(), activation
    for loss in ("logistic", "squared"):
        assert np.isnan(loss_slope(np.array([np.nan]), 1.0, loss)).all(), loss


def test_relu_and_identity_have_the_derivatives_that_they_say():
    a = np.array([0.0, 1e-300, 3.0])
    assert_identical(with_slope(a, "relu"), [0.0, 1.0, 1.0], call="relu")
    assert_identical(with_slope(a - 1.0, "identity"), np.ones(3), call="identity")
    assert_identical(with_slope(a - 3.0, "leaky_relu"), [0.01, 0.01, 0.01], call="leaky_relu at 0")
    assert_identical(activated([-2.0, 0.0, 3.0], "leaky_relu"), [-0.02, 0.0, 3.0], call="leaky_relu")
    for activation in ("relu", "leaky_relu", "identity"):
        assert_identical(with_bend(a, activation), np.zeros(3), call=activation)


@pytest.mark.parametrize("activation", kernels.ACTIVATIONS)
@pytest.mark.parametrize("size", [1, 2, 3, 5, 17, 31, 64, 67])
def test_an_entry_depends_on_nothing_around_it(activation, size):
    """Machine code takes several numbers at once, and what is left over one by one: to the same bits."""
    z = normal(2.0, seed=1, size=size)
    own = (lambda x, _: gelu(x)[1], lambda x, _: gelu(x)[2])
    for function in (activated, *(own if activation == "gelu" else (with_slope, with_bend))):
        whole = function(z, activation)
        assert_identical(whole, np.concatenate([function(z[k : k + 1], activation) for k in range(size)]), call=function.__name__)


@pytest.mark.parametrize("activation", kernels.ACTIVATIONS)
@pytest.mark.parametrize("hidden", [(), (3,), (2, 3)])
@pytest.mark.parametrize(
    ("loss", "optimizer"), [("logistic", "sgd"), ("softmax", "sgd"), ("logistic", "adamw"), ("softmax", "adam")]
)
def test_training_and_products_of_a_replica_depend_on_nothing_beside_it(activation, hidden, loss, optimizer):
    """All replicas at once, and every one of them alone: outputs, steps and Hessians, bit for bit."""
    outputs, terms, memories, rows = (3, 5, 1, 1) if loss == "softmax" else (1, 1, 1, 1)
    if optimizer != "sgd":
        memories, rows = 2, 4
    rng, widths = np.random.default_rng(2), np.array([2, *hidden, outputs])
    size, n, replicas = int(((widths[:-1] + 1) * widths[1:]).sum()), 4, 37
    X, y = rng.standard_normal((n, 2)), rng.integers(0, 2, n).astype(float)
    params, directions = rng.standard_normal((size, replicas)), rng.standard_normal((3, size, replicas))
    weights, slope, curvature = (
        rng.uniform(0.0, 2.0, shape) for shape in ((n, replicas), (n, outputs, replicas), (n, terms, replicas))
    )
    numbers, sizes = rng.integers(0, 2, (5, n, replicas)).astype(np.uint8), np.array([2, 2])

    def results(who):
        """One step of every kind: products, training, tangents of two weights and a parameter, adjoints of three functions."""
        theta, along = np.ascontiguousarray(params[:, who]), np.ascontiguousarray(directions[..., who])
        gradient, moved = np.empty_like(theta), np.empty_like(along)
        given = contiguous(params[:, who]), contiguous(slope[..., who]), np.ascontiguousarray(curvature[..., who])
        kernels.products(widths, code(activation), contiguous(X), *given, contiguous(along), gradient, moved)
        job = kernels.Job(
            *(
                widths,
                code(activation),
                kernels.LOSSES.index(loss),
                contiguous(X),
                contiguous(y),
                contiguous(weights[:, who]),
                numbers,
                who,
                sizes,
            ),
            Optimizer(optimizer, l2=0.01, momentum=0.5, eps=0.01).code,
        )
        rates, after, trail = contiguous(np.full(7, 0.1)), theta.copy(), np.empty((7, rows * size, len(who)))
        memory, speeds, back = np.zeros((2, memories * size, len(who))), *np.zeros((2, 3, memories * size, len(who)))
        kernels.descend(job, rates, 1, after, memory[0], trail, np.empty(0, np.uint64))
        pushed, tangents = theta.copy(), along.copy()
        kernels.push(job, rates, 1, pushed, memory[1], tangents, speeds, 2, np.empty((0, 0)))
        assert_identical(pushed, after, call="parameters with and without tangents")
        adjoint, weighted = along.copy(), np.zeros((3, n, len(who)))
        kernels.pull(job, rates, 1, trail, adjoint, back, weighted)
        if len(who) == 1:
            assert_same_by_points(job, rates, (theta, along), (after, memory[0], trail), (adjoint, back, weighted))
        return np.concatenate(
            [part.reshape(-1, len(who)) for part in (gradient, moved, after, tangents, speeds, adjoint, weighted)]
        )

    alone = [results(np.array([r])) for r in range(replicas)]
    assert_identical(results(np.arange(replicas)), np.concatenate(alone, axis=1), call=f"{activation}, {hidden}")


def assert_same_by_points(job, rates, start, trained, pulled):
    """The loops over the points of one replica end with the same bits as the loops over replicas."""
    theta, memory, trail = start[0].copy(), np.zeros_like(trained[1]), np.empty_like(trained[2])
    kernels.descend_single(job, rates, 1, theta, memory, trail)
    adjoint, back, weighted = start[1].copy(), np.zeros_like(pulled[1]), np.zeros_like(pulled[2])
    kernels.pull_single(job, rates, 1, trail, adjoint, back, weighted)
    for found, expected in zip((theta, memory, trail, adjoint, back, weighted), (*trained, *pulled), strict=True):
        assert_identical(found, expected, call="one replica")


@pytest.mark.parametrize("points", [1, 16, 17, 32, 33, 71])
@pytest.mark.parametrize("batches", [1, 3])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_one_replica_has_the_same_bits_by_points_whatever_their_number(points, batches, optimizer):
    """Points are taken in parts of 16 to 32, and the last part is not full; weights 0 leave some points out."""
    rng, widths, memories, rows = np.random.default_rng(points), np.array([5, 6, 3]), *((1, 1) if optimizer == "sgd" else (2, 4))
    size = int(((widths[:-1] + 1) * widths[1:]).sum())
    X, y = contiguous(rng.standard_normal((points, 5))), rng.integers(0, 3, points).astype(float)
    weights, numbers = rng.integers(0, 3, (points, 1)).astype(float), rng.integers(0, batches, (2, points, 1)).astype(np.uint8)
    sizes = np.full(batches, -(-points // batches))
    task = (
        widths,
        code("tanh"),
        kernels.LOSSES.index("softmax"),
        X,
        y,
        weights,
        numbers,
        np.array([0]),
        sizes,
    )
    job = kernels.Job(*task, Optimizer(optimizer, l2=0.01, eps=0.01).code)
    theta, along = rng.standard_normal((size, 1)), rng.standard_normal((2, size, 1))
    rates, after, trail = contiguous(np.full(5, 0.1)), theta.copy(), np.empty((5, rows * size, 1))
    memory, back, weighted = np.zeros((memories * size, 1)), np.zeros((2, memories * size, 1)), np.zeros((2, points, 1))
    kernels.descend(job, rates, 1, after, memory, trail, np.empty(0, np.uint64))
    adjoint = along.copy()
    kernels.pull(job, rates, 1, trail, adjoint, back, weighted)
    assert_same_by_points(job, rates, (theta, along), (after, memory, trail), (adjoint, back, weighted))


REVERSE = {"hidden": (6,), "steps": 12, "learning_rate": 0.3, "momentum": 0.5, "batch_size": 9, "snapshots": (5, 12)}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"activation": "relu", "derivative": "crossings"},
        {"activation": "gelu", "momentum": 0.0, "optimizer": "adam", "learning_rate": 0.05, "eps": 1e-2},
    ],
    ids=["descent", "crossings", "adam"],
)
def test_a_seed_has_the_same_bits_whichever_loops_its_number_of_companions_asks_for(options, monkeypatch):
    """Alone (by points), in a tile of many, and with the steps repeated from stored states or kept whole."""
    rng = np.random.default_rng(7)
    X, queries = rng.standard_normal((35, 5)), rng.standard_normal((2, 5))
    learner, weights = MLP(X, np.arange(35) % 2, queries, **REVERSE | options), np.ones((1, 35))
    many, one = range(17), [3]
    for method in (learner.respond, learner.weight_jacobian):
        assert_identical(method(weights, one)[:, 0], method(weights, many)[:, 3], call=method.__name__)
    whole = learner.weight_jacobian(weights, one)
    monkeypatch.setattr(descent, "_SMALL_TRAIL_BYTES", 0)
    assert_identical(learner.weight_jacobian(weights, one), whole, call="steps repeated")
    for few, among in zip(learner.linearizations(weights[0], one), learner.linearizations(weights[0], many), strict=True):
        for name in ("params", "hessian", "point_gradients", "gradient_norm"):
            assert_identical(getattr(few, name)[0], getattr(among, name)[3], call=name)
