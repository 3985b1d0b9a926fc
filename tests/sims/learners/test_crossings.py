"""The derivative of relu training with what kinks add: against the flow from event to event, differences of F, and itself."""

import dataclasses

import numpy as np
import pytest
from assertions import assert_close, assert_identical
from relu_flow import Flow

from sims.experiments.shared.kinks import crossing_warning, difference_warning
from sims.experiments.shared.problem import Problem
from sims.learners import MLP
from sims.learners.network import crossings, descent
from theory.metrics import relative_error
from theory.response import mean_response, weight_derivative

N, HIDDEN, L2, TIME = 5, 3, 0.01, 8.0
_RNG = np.random.default_rng(0)
X, Y, X_QUERY = _RNG.standard_normal((N, 2)), _RNG.standard_normal(N), _RNG.standard_normal((3, 2))
VARIANTS = {
    "one layer": {},
    "momentum": {"momentum": 0.5},
    "minibatches": {"batch_size": 2, "momentum": 0.4},
    "two layers": {"hidden": (4, 3)},
    "snapshots": {"schedule": "cosine", "snapshots": (30, 90, 120)},
    "softmax": {"loss": "softmax", "y": np.arange(N) % 3, "y_query": [0, 1, 2]},
}


def network(step=0.1, *, y=Y, **options):
    given = {"hidden": (HIDDEN,), "activation": "relu", "loss": "squared", "l2": L2, "derivative": "crossings", **options}
    rate = step * (1.0 - given.get("momentum", 0.0))
    return MLP(X, y, X_QUERY, **{"learning_rate": rate, "steps": round(TIME / step), **given})


def unrolled(learner):
    return dataclasses.replace(learner, derivative="unrolled")


def derivative(learner, seed):
    return learner.weight_jacobian(np.ones((1, N)), (seed,))[0, 0]


@pytest.fixture(scope="module")
def flow():
    """What the flow from the start of seed 3 does with one weight moved to 1 - h and 1 + h: derivatives (M, N), and its events.

    The truncation of h = 1e-4, of the order of h^2, and the errors of the integration over h are below 1e-5 of the derivative.
    """
    start, h = network().initial_params((3,))[0], 1e-4
    whole = Flow(X, Y, HIDDEN, L2)
    whole.end(start, np.ones(N), TIME)

    def answers(weights):
        flow = Flow(X, Y, HIDDEN, L2)
        return flow.answers(flow.end(start, weights, TIME), X_QUERY)

    moved = [(answers(np.ones(N) + h * e) - answers(np.ones(N) - h * e)) / (2.0 * h) for e in np.eye(N)]
    return np.stack(moved, axis=1), whole.events


def test_the_corrected_derivative_tends_to_that_of_the_flow_and_the_unrolled_one_does_not(flow):
    """Crossings while other units slide, sliding, and its end: the error falls in proportion to the step."""
    truth, events = flow
    assert events["crossing"] >= 3
    assert events["sliding"] >= 2
    assert events["leaving"] >= 1
    steps = (0.01, 0.005, 0.0025)
    errors = [relative_error(derivative(network(step), 3), truth) for step in steps]
    assert all(error < 0.6 * step for error, step in zip(errors, steps, strict=True)), errors
    assert all(relative_error(derivative(unrolled(network(step)), 3), truth) > 0.2 for step in steps)
    with_momentum = [relative_error(derivative(network(step, momentum=0.5), 3), truth) for step in steps]
    assert all(error < 2.0 * step for error, step in zip(with_momentum, steps, strict=True)), with_momentum


@pytest.mark.parametrize(
    "wrong",
    [
        lambda found: found._replace(kappas=-found.kappas),
        lambda found: found._replace(kappas=np.minimum(found.kappas, 1.0) * 0.5),
        lambda found: found._replace(kappas=np.where(found.kappas < 1.0, found.kappas, 0.0)),
        lambda found: found._replace(kappas=np.where(found.kappas < 1.0, 0.0, found.kappas)),
        lambda found: found._replace(normals=found.normals[::-1].copy()),
    ],
    ids=["sign", "half", "no sliding", "no crossing", "normals of others"],
)
def test_wrong_corrections_do_not_tend_to_it(flow, monkeypatch, wrong):
    right = crossings.Watch.crossings
    monkeypatch.setattr(crossings.Watch, "crossings", lambda *given: wrong(right(*given)))
    try:
        found = derivative(network(0.005), 3)
    except ArithmeticError:  # it is no longer finite
        return
    assert relative_error(found, flow[0]) > 0.02


def test_a_unit_that_reaches_its_kink_and_stays_off():
    """One point, one unit: after the kink only the bias of the output goes on, and when that begins depends on the weight."""
    start = np.array([0.7, 0.0, 1.0, 0.0])  # W, b, v, c
    y, time, h = -2.0, 3.0, 1e-5

    def bias(w):
        flow = Flow(np.ones((1, 1)), np.array([y]), 1, 0.0)
        return flow.end(start, np.array([w]), time)[-1]

    truth = (bias(1.0 + h) - bias(1.0 - h)) / (2.0 * h)
    learner = MLP([[1.0]], [y], [[-5.0]], hidden=(1,), activation="relu", loss="squared", steps=1, derivative="crossings")
    found = []
    for step in (0.004, 0.002, 0.001):
        plan = dataclasses.replace(learner, learning_rate=step, steps=round(time / step))._descent
        batches = learner._batches((0,))
        found.append(plan.jacobian(np.ones((1, 1)), start[:, None].copy(), batches)[0, 0, 0, 0])
    assert abs(found[0] - truth) < 0.02 * abs(truth)
    assert abs(found[2] - truth) < 0.4 * abs(found[0] - truth) + 1e-4


@pytest.mark.parametrize("variant", VARIANTS)
def test_forward_and_reverse_mode_agree_and_a_column_is_one_of_the_jacobian(variant):
    learner, seeds = network(steps=120, **VARIANTS[variant]), (3, 1, 8)
    weights = np.random.default_rng(1).uniform(0.5, 1.5, (2, N))
    weights[1, 2] = 0.0
    initial, batches, plan = np.ascontiguousarray(learner.initial_params(seeds).T), learner._batches(seeds), learner._descent
    size = (learner.n_outputs, N)
    forward = plan._in_tiles(lambda tile: descent._forward_jacobian(tile, N), weights, initial, batches, size, directions=N)
    reverse = plan._in_tiles(descent._reverse_jacobian, weights, initial, batches, size, directions=N)
    scale = np.abs(forward).max()
    assert_close(reverse, forward, rtol=1e-12, atol=1e-12 * scale, call="reverse mode")
    column = learner.weight_jacobian_column(weights, seeds, 3)
    assert_close(column, forward[..., 3], rtol=1e-10, atol=1e-10 * scale, call="a column")
    assert_identical(
        learner.weight_jacobian(weights[1:], seeds[1:]), learner.weight_jacobian(weights, seeds)[1:, 1:], call="alone"
    )
    assert relative_error(unrolled(learner).weight_jacobian(weights, seeds), forward) > 0.01


@pytest.mark.parametrize("variant", ["two layers", "momentum", "minibatches"])
def test_it_is_nearer_to_coarse_differences_of_the_mean_over_seeds(variant):
    """Differences with h = 0.02 hop over hundreds of jumps; what they are off by is seen from h = 0.01."""
    given = {"hidden": (8,), "momentum": 0.0, **VARIANTS[variant]}
    given |= {"learning_rate": 0.02 * (1.0 - given["momentum"]), "steps": 1000, "derivative": "crossings"}
    learner, seeds, moves = Problem("xor", "mlp", activation="relu", n_points=8, **given).build(), range(12), np.eye(8)

    def differences(h):
        up, down = (learner.respond(1.0 + sign * h * moves, seeds).mean(axis=1) for sign in (1.0, -1.0))
        return (up - down).T / (2.0 * h)

    truth, other = differences(0.02), differences(0.01)
    right, wrong = (
        relative_error(one.weight_jacobian(np.ones((1, 8)), seeds)[0].mean(axis=0), truth) for one in (learner, unrolled(learner))
    )
    noise = relative_error(other, truth)
    assert right < noise + 0.03, (right, wrong, noise)
    assert right < 0.5 * wrong, (right, wrong, noise)


@pytest.mark.parametrize("options", [{"activation": "tanh"}, {"activation": "gelu"}, {"activation": "softplus"}, {"hidden": ()}])
def test_without_a_kink_the_derivative_is_the_unrolled_one_to_the_bit(options):
    learner = network(steps=40, **options)
    ones = np.ones((1, N))
    assert_identical(learner.weight_jacobian(ones, (0,)), unrolled(learner).weight_jacobian(ones, (0,)), call="weight_jacobian")


def test_the_response_does_not_depend_on_the_kind_of_derivative():
    learner, ones = network(steps=40), np.ones((1, N))
    assert_identical(learner.respond(ones, (0, 1)), unrolled(learner).respond(ones, (0, 1)), call="respond")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"derivative": "exact"}, "derivative 'exact' is unknown, expected one of unrolled, crossings"),
        ({"optimizer": "adam"}, "derivative = 'crossings' with adam, expected optimizer sgd"),
    ],
)
def test_what_has_no_correction_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        network(**options)
    with pytest.raises(ValueError, match="weight_second_derivative with derivative='crossings', expected 'unrolled'"):
        network().weight_second_derivative(np.ones((1, N)), (0,), 0, 1)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_a_network_with_kinks_warns_of_the_derivative_that_lacks_them(activation):
    """The gap that is told is that to the corrected derivative; differences find the same to within what they are right to."""
    seeds, ones = range(32), np.ones(8)
    options = {"hidden": (8,), "learning_rate": 0.05, "steps": 400, "activation": activation}
    learner = Problem("xor", "mlp", n_points=8, **options).build()
    corrected = dataclasses.replace(learner, derivative="crossings")

    def said(one):
        return difference_warning(lambda weights: mean_response(learner, weights, seeds), weight_derivative(one, ones, seeds))

    if activation == "tanh":
        assert (crossing_warning(learner, seeds), said(learner)) == ("", "")
        return
    pairs = zip(*(one.weight_jacobian(ones[None], range(16))[0] for one in (learner, corrected)), strict=True)
    gap = np.median([relative_error(*pair) for pair in pairs])
    assert f"it is off by {gap:.0%} of the corrected D(1), median of 16 seeds" in crossing_warning(learner, seeds)
    assert 0.1 < float(said(learner).removeprefix("D(1) differs by ").partition("%")[0]) / 100.0 < 0.3
    assert (crossing_warning(corrected, seeds), said(corrected)) == ("", "")


def test_a_corrected_derivative_that_is_not_finite_is_said_and_costs_no_result(monkeypatch):
    learner = Problem("xor", "mlp", n_points=4, activation="relu", steps=5).build()
    right = MLP.weight_jacobian

    def diverged(self, weights, seeds):
        if self.derivative == "crossings":
            raise ArithmeticError("not finite")
        return right(self, weights, seeds)

    monkeypatch.setattr(MLP, "weight_jacobian", diverged)
    assert "with it D(1) is not finite" in crossing_warning(learner, (0, 1))


def test_a_derivative_of_a_response_that_does_not_move_is_said():
    assert "F is the same" in difference_warning(lambda weights: np.zeros((len(weights), 1)), np.ones((2, 1)))
