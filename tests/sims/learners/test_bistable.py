"""The double well against plain loops, scipy's solvers and finite differences; what T9 says of averages over starts."""

import functools
import math

import numpy as np
import pytest
from assertions import assert_close, assert_identical
from hypothesis import given
from hypothesis import strategies as st
from scipy import differentiate, integrate, optimize
from scipy.stats import norm
from strategies import SEEDS, interior_weights

from sims.learners import Bistable
from theory.derivatives import finite_difference
from theory.response import weight_derivative
from theory.streams import normals, stream
from theory.subsets import all_masks

MANY = (5, 0, 3)
STARTS = tuple(range(100_000))
POINTS = {"X": [[1.0, 9.0], [-0.5, 9.0], [2.0, 9.0]], "y": [0.2, 0.1, -0.1], "X_query": [[1.0, 0.0], [-2.0, 0.0]]}
"""Tilts 0.2, -0.05 and -0.2."""
WEIGHTS = np.array([[1.0, 1.0, 1.0], [1.5, 0.5, 1.0], [0.6, 1.2, 2.0], [1.0, 1.0, 0.0]])


def learner_of(**options):
    """Steps of 0.05, for which no start up to 4.5 leaves its well."""
    return Bistable(**POINTS, **{"learning_rate": 0.05, "steps": 400, **options})


@st.composite
def random_learners(draw, steps=(1, 5, 40)):
    """Any tilts, with and without a penalty, starts within +-3 or so of a scale of 0.6."""
    n, m = draw(st.integers(1, 6)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(SEEDS))
    X, X_query = rng.standard_normal((n, 2)), rng.standard_normal((m, 2))
    return Bistable(
        X,
        0.3 * rng.standard_normal(n),
        X_query,
        steps=draw(st.sampled_from(steps)),
        learning_rate=draw(st.sampled_from([0.02, 0.1])),
        init_scale=0.6,
        l2=draw(st.sampled_from([0.0, 0.1])),
    )


def theta_by_a_plain_loop(learner, weights, seed, steps=None):
    """theta after every step, with the objective's gradient summed over points."""
    theta = learner.init_scale * float(stream("Bistable start", seed).standard_normal())
    path = []
    for _ in range(steps or learner.steps):
        gradient = learner.l2 * theta
        for w, x, y in zip(weights.tolist(), learner.X[:, 0].tolist(), learner.y.tolist(), strict=True):
            gradient += w * ((theta * theta - 1.0) * theta - y * x) / len(weights)
        theta -= learner.learning_rate * gradient
        path.append(theta)
    return path


def objective_gradient(learner, weights):
    """dL/dtheta as a function."""
    depth, tilt = weights.mean(), np.mean(weights * learner.y * learner.X[:, 0])
    return lambda theta: depth * (theta**3 - theta) - tilt + learner.l2 * theta


def barrier_speed(learner, weights):
    """d barrier / d w_i by differences of the root that brentq finds: (N,)."""
    left, barrier, right = learner.stationary_points(weights)
    bracket = 0.9 * barrier + 0.1 * left, 0.9 * barrier + 0.1 * right

    def root(w):
        return optimize.brentq(objective_gradient(learner, w), *bracket, xtol=1e-15, rtol=1e-14)

    step = 1e-5 * np.eye(learner.n_points)
    return np.array([(root(weights + h) - root(weights - h)) / 2e-5 for h in step])


# --- training --------------------------------------------------------------------------------------------------------------


@given(learner=random_learners(), data=st.data())
def test_response_equals_a_plain_loop(learner, data):
    weights = data.draw(interior_weights(2 * learner.n_points)).reshape(2, -1)
    weights[0, 0] = 0.0
    theta = np.array([[theta_by_a_plain_loop(learner, row, seed)[-1] for seed in MANY] for row in weights])
    outputs = learner.respond(weights, MANY)
    assert_close(outputs, theta[:, :, None] * learner.X_query[:, 0], rtol=1e-12, call="respond against a loop")


@pytest.mark.parametrize("seed", range(8))
def test_derivative_of_a_converged_path_equals_finite_differences_away_from_the_jumps(seed):
    learner, weights = learner_of(init_scale=0.5), WEIGHTS[1]
    start = 0.5 * stream("Bistable start", seed).standard_normal()
    assert abs(start - learner.stationary_points(weights)[1]) > 0.05
    numerical = finite_difference(learner, weights, (seed,), initial_step=0.01)
    assert numerical.converged
    assert_close(
        weight_derivative(learner, weights, (seed,)), numerical.derivative, rtol=1e-9, atol=1e-10, call=f"derivative, seed {seed}"
    )


def test_path_jumps_in_the_weights_where_the_barrier_passes_its_start():
    learner = learner_of(steps=3000)

    def barrier(first):
        return learner.stationary_points(np.array([first, 1.0, 1.0]))[1]

    starts = {seed: float(stream("Bistable start", seed).standard_normal()) for seed in range(200)}
    seed, start = next((seed, start) for seed, start in starts.items() if barrier(2.0) < start < barrier(0.0))
    at = optimize.brentq(lambda first: barrier(first) - start, 0.0, 2.0, xtol=1e-14)
    before, after = learner.respond([[at - 1e-6, 1.0, 1.0], [at + 1e-6, 1.0, 1.0]], (seed,))[:, 0, 0]
    left, _, right = learner.stationary_points(np.array([at, 1.0, 1.0]))
    assert_close([before, after], [left, right], atol=1e-4, call="theta on both sides of the jump")


@pytest.mark.parametrize("count", [1, 8191, 8192, 8193, 20_000])
def test_tiles_of_starts_do_not_matter(count):
    learner = learner_of(steps=20)
    for method in (learner.respond, learner.weight_jacobian):
        together = method(WEIGHTS[:2], STARTS[:count])
        parts = [method(WEIGHTS[:2], STARTS[k : min(k + 5000, count)]) for k in range(0, count, 5000)]
        assert_identical(
            together, np.concatenate(parts, axis=1), call=f"{method.__name__} of {count} seeds against 5000 at a time"
        )


# --- all starts, and training without end ----------------------------------------------------------------------------------


@pytest.mark.parametrize("l2", [0.0, 0.2])
@pytest.mark.parametrize("weights", WEIGHTS)
def test_stationary_points_are_where_brentq_finds_them(weights, l2):
    learner = learner_of(l2=l2)
    gradient, bend = objective_gradient(learner, weights), math.sqrt((1.0 - l2 / weights.mean()) / 3.0)
    expected = [optimize.brentq(gradient, *bracket, xtol=1e-15) for bracket in ((-3.0, -bend), (-bend, bend), (bend, 3.0))]
    assert_close(learner.stationary_points(weights), expected, atol=1e-14, call="stationary_points against brentq")


@pytest.mark.parametrize("weights", WEIGHTS)
def test_gradient_flow_from_either_side_of_the_barrier_ends_in_its_well(weights):
    learner = learner_of()
    left, barrier, right = learner.stationary_points(weights)
    gradient = objective_gradient(learner, weights)
    for start, end in ((-4.0, left), (barrier - 1e-3, left), (barrier + 1e-3, right), (4.0, right)):
        flow = integrate.solve_ivp(lambda _, theta: -gradient(theta), (0.0, 60.0), [start], "LSODA", rtol=1e-10, atol=1e-12)
        assert_close(flow.y[0, -1], end, atol=1e-8, call=f"gradient flow from {start}")


@pytest.mark.parametrize("init_scale", [0.3, 1.0])
def test_limit_response_is_the_mean_of_the_wells_over_the_density_of_starts(init_scale):
    learner = learner_of(init_scale=init_scale)
    left, barrier, right = learner.stationary_points(WEIGHTS[1])

    def end(start):
        return (left if start < barrier else right) * norm.pdf(start, scale=init_scale)

    mean = integrate.quad(end, -8.0, 8.0, points=[barrier], epsabs=1e-13, epsrel=1e-13, limit=200)[0]
    assert_close(
        learner.limit_response(WEIGHTS[1]), mean * learner.X_query[:, 0], rtol=1e-11, call="limit_response against quadrature"
    )


@functools.cache
def trained_from_many_starts():
    """f (B, R) for the first query, at 400 steps of 0.05."""
    return learner_of().respond(WEIGHTS, STARTS)[:, :, 0]


def test_mean_over_many_starts_after_long_training_is_the_limit_response():
    learner = learner_of()
    for row, outputs in zip(WEIGHTS, trained_from_many_starts(), strict=True):
        standard_error = outputs.std() / math.sqrt(len(outputs))
        assert standard_error < 0.004
        assert abs(outputs.mean() - learner.limit_response(row)[0]) < 3.0 * standard_error


@pytest.mark.parametrize("weights", WEIGHTS[:3])
@pytest.mark.parametrize("options", [{}, {"l2": 0.2}, {"init_scale": 0.3}], ids=["plain", "penalised", "narrow start"])
def test_limit_derivative_is_the_derivative_of_the_limit_response(weights, options):
    learner = learner_of(**options)

    def response(points):  # (N, ...) -> (M, ...)
        rows = np.moveaxis(points, 0, -1)
        outputs = np.array([learner.limit_response(row) for row in rows.reshape(-1, 3)])
        return np.moveaxis(outputs.reshape(*rows.shape[:-1], -1), -1, 0)

    numerical = differentiate.jacobian(response, weights, initial_step=0.05, tolerances={"rtol": 1e-10, "atol": 1e-12})
    assert numerical.success.all()
    assert_close(learner.limit_derivative(weights), numerical.df.T, rtol=1e-9, call="limit_derivative against differences")


@pytest.mark.parametrize("weights", WEIGHTS[:3])
def test_path_wise_derivative_misses_the_jump_times_the_density_at_the_barrier_times_its_speed(weights):
    learner = learner_of()
    left, barrier, right = learner.stationary_points(weights)
    boundary = np.multiply.outer((left - right) * norm.pdf(barrier) * barrier_speed(learner, weights), learner.X_query[:, 0])
    missing = learner.limit_derivative(weights) - learner.limit_pathwise_derivative(weights)
    assert_close(missing, boundary, rtol=1e-8, call="what the path-wise derivative misses")
    assert np.abs(missing).max() > 0.5 * np.abs(learner.limit_derivative(weights)).max()


def test_mean_of_the_derivatives_over_many_starts_is_the_path_wise_one_and_not_the_derivative_of_the_mean():
    learner = learner_of()
    derivatives = learner.weight_jacobian(WEIGHTS[:1], STARTS)[0, :, 0]  # (R, N)
    standard_error = derivatives.std(axis=0) / math.sqrt(len(derivatives))
    assert (np.abs(derivatives.mean(axis=0) - learner.limit_pathwise_derivative(WEIGHTS[0])[:, 0]) < 3.0 * standard_error).all()
    assert (np.abs(derivatives.mean(axis=0) - learner.limit_derivative(WEIGHTS[0])[:, 0]) > 30.0 * standard_error).any()


@pytest.mark.parametrize("point", range(3))
def test_retraining_from_the_same_many_starts_sees_the_jumps(point):
    learner, h = learner_of(), 0.3 * np.eye(3)[point]
    ends = np.stack([WEIGHTS[0] + h, WEIGHTS[0] - h])
    outputs = learner.respond(ends, STARTS)[:, :, 0]
    slopes = (outputs[0] - outputs[1]) / 0.6
    standard_error = slopes.std() / math.sqrt(len(slopes))
    limits = [learner.limit_response(row)[0] for row in ends]
    assert abs(slopes.mean() - (limits[0] - limits[1]) / 0.6) < 3.0 * standard_error
    if point != 1:  # the tilt of point 1 is small and the barrier hardly moves with it
        assert abs(slopes.mean() - learner.limit_pathwise_derivative(WEIGHTS[0])[point, 0]) > 10.0 * standard_error


# --- what is refused -------------------------------------------------------------------------------------------------------


def test_divergence_names_learner_seed_subset_and_the_first_bad_step():
    learner, masks = learner_of(learning_rate=1.0, steps=50), all_masks(3)
    paths = {seed: theta_by_a_plain_loop(learner, masks[7], seed) for seed in range(40)}
    diverged = [seed for seed, path in paths.items() if not math.isfinite(path[-1])]
    assert 0 < len(diverged) < 20
    tame = np.flatnonzero(np.abs(normals("Bistable start", STARTS[:20_000])) < 1.0).tolist()  # more than a tile
    seeds = tame + diverged
    assert np.isfinite(learner.respond(masks[[7, 0]], tame)).all()
    step = [math.isfinite(theta) for theta in paths[diverged[0]]].index(False) + 1
    where = rf"subset {{0, 1, 2}} \(mask 7\), seed {diverged[0]}, at step {step}: theta is not finite"
    with pytest.raises(
        ArithmeticError, match=rf"^Bistable\(N=3, M=\d+, steps=50, .*\) diverged on {where}; take a smaller learning_rate"
    ):
        learner.respond(masks[[0, 7]], seeds)


def test_derivative_that_overflows_is_refused_though_theta_stays_finite():
    learner = learner_of(learning_rate=1.9, init_scale=0.5, steps=5000)  # chaotic
    weights = np.full((1, 3), 0.9)
    assert np.isfinite(learner.respond(weights, (0,))).all()
    with pytest.raises(ArithmeticError, match=r"seed 0, at step \d+: theta or its derivative is not finite"):
        learner.weight_jacobian(weights, (0,))


@pytest.mark.parametrize("method", ["stationary_points", "limit_response", "limit_derivative", "limit_pathwise_derivative"])
@pytest.mark.parametrize(
    ("change", "weights"),
    [({"y": [9.0, 0.0, 0.0]}, [1.0, 1.0, 1.0]), ({"l2": 2.0}, [1.0, 1.0, 1.0]), ({}, [0.0, 0.0, 0.0])],
    ids=["tilted too much", "penalised too much", "no points"],
)
def test_limits_are_refused_where_there_is_one_well_only(method, change, weights):
    learner = Bistable(**{**POINTS, **change})
    with pytest.raises(ValueError, match=r"has one well only .* expected two and a barrier: take smaller y or l2"):
        getattr(learner, method)(weights)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "steps = 0, expected a whole number >= 1"),
        ({"learning_rate": 0.0}, "learning_rate = 0.0, expected a finite number > 0"),
        ({"init_scale": math.inf}, "init_scale = inf, expected a finite number > 0"),
        ({"l2": -1.0}, "l2 = -1.0, expected a finite number >= 0"),
        ({"y": [1.0]}, r"y has shape \(1,\), expected \(3,\)"),
        ({"X_query": [[1.0]]}, "X_query has 1 columns, X has 2"),
    ],
)
def test_bad_input_is_refused_by_name(change, message):
    with pytest.raises(ValueError, match=message):
        Bistable(**{**POINTS, **change})
