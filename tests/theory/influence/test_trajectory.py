"""Attribution from checkpoints and from projected gradients, against plain loops, exact derivatives and closed forms."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
import strategies
from assertions import assert_close, assert_identical
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from sims.learners import MLP, LeastSquares
from theory.influence import influence
from theory.influence.trajectory import Checkpoint, gradient_dot, source, tracin, trak
from theory.metrics import compare, relative_error
from theory.response import Fit, Linearization

EPS = np.finfo(np.float64).eps
SEEDS = (4, 1)
METHODS = {"tracin": tracin, "gradient_dot": gradient_dot, "source": source}

every_method = pytest.mark.parametrize("method", METHODS)


def network(n=6, d=2, m=3, *, seed=0, loss="squared", hidden=(), **options):
    rng = np.random.default_rng(seed)
    X, X_query = rng.standard_normal((n, d)), rng.standard_normal((m, d))
    y = np.arange(n) % 2.0 if loss == "logistic" else rng.standard_normal(n)
    return MLP(X, y, X_query, loss=loss, hidden=hidden, **options)


def trained(time, steps, every=1, **options):
    """A network after `steps` steps of one total time of training, and checkpoints every so many steps."""
    learner = network(steps=steps, learning_rate=time / steps, snapshots=tuple(range(every, steps + 1, every)), **options)
    return dataclasses.replace(learner, snapshots=()), learner.checkpoints(np.ones(learner.n_points), SEEDS)


def derivative(learner):
    """D(1) of every seed (R, N, M)."""
    return learner.weight_jacobian(np.ones((1, learner.n_points)), SEEDS)[0].swapaxes(1, 2)


def only_checkpoint(learner):
    """The trained model, with all steps of training before it."""
    (only,) = learner.checkpoints(np.ones(learner.n_points), SEEDS)
    return only


# --- the formulas in plain loops -------------------------------------------------------------------------------------------


@st.composite
def made_up(draw):
    """Up to four checkpoints with Hessians of any sign and of rank down to 0, and steps that may overshoot."""
    n, m, p, r = (draw(st.integers(1, high)) for high in (4, 3, 4, 2))
    rng = np.random.default_rng(draw(strategies.SEEDS))
    found = []
    for _ in range(draw(st.integers(1, 4))):
        vectors = np.linalg.qr(rng.standard_normal((r, p, p)))[0]
        spectrum = rng.uniform(-0.5, 3.0, (r, p)) * (rng.random((r, p)) < 0.7)
        hessian = (vectors * spectrum[:, None]) @ vectors.swapaxes(1, 2)
        points, outputs = rng.standard_normal((r, n, p)), rng.standard_normal((r, m, p))
        linearization = Linearization(np.zeros((r, p)), hessian, points, outputs, np.zeros(r))
        found.append(Checkpoint(linearization, int(rng.integers(1, 12)), rng.uniform(0.01, 0.8)))
    return tuple(found)


def plain_source(checkpoints, r):
    """Seed r, (N, M), in matrix powers: from the first segment to the last, d theta / dw_i (P, N) moves along.

    And the largest entry that rounding could have seen: the same sums of norms.
    """
    moved, size = np.zeros(checkpoints[0].linearization.point_gradients[r].T.shape), 0.0
    for k, checkpoint in enumerate(checkpoints):
        here, before = checkpoint.linearization, checkpoints[max(k - 1, 0)].linearization
        hessian = (here.hessian[r] + before.hessian[r]) / 2.0
        gradients = (here.point_gradients[r] + before.point_gradients[r]) / 2.0
        step = np.eye(len(hessian)) - checkpoint.learning_rate * hessian
        for _ in range(checkpoint.steps):
            moved = step @ moved - checkpoint.learning_rate * gradients.T / len(gradients)
            size = np.linalg.norm(step, 2) * size + checkpoint.learning_rate * np.linalg.norm(gradients)
    outputs = checkpoints[-1].linearization.output_gradients[r]
    return (outputs @ moved).T, size * np.linalg.norm(outputs)


@given(made_up())
def test_source_moves_tangents_along_segments_of_fixed_hessian_and_gradients(checkpoints):
    found = source(checkpoints).scores
    steps = sum(c.steps for c in checkpoints)
    for r, scores in enumerate(found):
        expected, size = plain_source(checkpoints, r)
        assert_close(scores, expected, atol=100.0 * EPS * steps * size, call=f"source of seed number {r}")


@given(made_up())
def test_tracin_and_gradient_dot_are_sums_of_products_of_gradients(checkpoints):
    n = checkpoints[0].linearization.point_gradients.shape[1]

    def products(c):
        pairs = zip(c.linearization.point_gradients, c.linearization.output_gradients, strict=True)
        return -np.array([[[g @ f for f in outputs] for g in points] for points, outputs in pairs]) / n

    times = [c.steps * c.learning_rate for c in checkpoints]
    size = sum(times) * max(np.abs(products(c)).max() * n + 1.0 for c in checkpoints)
    expected = sum(time * products(c) for time, c in zip(times, checkpoints, strict=True))
    assert_close(tracin(checkpoints).scores, expected, atol=100.0 * EPS * size, call="tracin")
    expected = sum(times) * products(checkpoints[-1])
    assert_close(gradient_dot(checkpoints).scores, expected, atol=100.0 * EPS * size, call="gradient_dot")


@given(made_up())
def test_all_three_are_the_same_after_one_step(checkpoints):
    one = [dataclasses.replace(checkpoints[0], steps=1)]
    expected = -checkpoints[0].learning_rate * np.einsum(
        "rnp,rmp->rnm", one[0].linearization.point_gradients, one[0].linearization.output_gradients
    )
    size = np.abs(expected).max() + 10.0
    for name, method in METHODS.items():
        n = expected.shape[1]
        assert_close(method(one).scores, expected / n, atol=100.0 * EPS * size, call=name)


def test_a_flat_direction_counts_every_step_and_a_nearly_flat_one_nearly_so():
    """P = 1, grad f = grad l = 1: -(1/N) (1 - (1 - eta lambda)^K) / lambda, K eta at lambda = 0; exactly 0 for (1 - 2)^2."""
    for curvature, expected in [(0.0, 500.0), (1e-300, 500.0), (1e-12, 500.0 * (1.0 - 499.5e-12 / 2.0)), (4.0, 0.0)]:
        one = np.ones((1, 1, 1))
        at = Linearization(np.zeros((1, 1)), curvature * one, one, one, np.zeros(1))
        assert_close(source([Checkpoint(at, 1000, 0.5)]).scores, -expected * one, rtol=1e-14, call=f"curvature {curvature}")


# --- SOURCE through training -----------------------------------------------------------------------------------------------


def test_source_at_every_step_of_a_linear_regression_is_its_derivative_with_gradients_at_the_middle_of_each_step():
    """D(1) = -(1/N) grad f^T sum_t (I - eta H)^{T-1-t} eta g_t, H constant; SOURCE has (g_t + g_{t+1}) / 2, and g_1 at first."""
    steps, rate = 40, 0.1
    learner, checkpoints = trained(steps * rate, steps, l2=0.02)
    X, X_query = (np.column_stack([x, np.ones(len(x))]) for x in (learner.X, learner.X_query))
    step = np.eye(3) - rate * (X.T @ X / 6.0 + 0.02 * np.eye(3))
    exact, averaged = [], []
    for theta in learner.initial_params(SEEDS):
        path = [theta]
        for _ in range(steps):
            path.append(path[-1] - rate * (X.T @ (X @ path[-1] - learner.y) / 6.0 + 0.02 * path[-1]))
        g = [(X @ at - learner.y)[:, None] * X for at in path]
        mean = [g[1], *((a + b) / 2.0 for a, b in pairwise(g[1:]))]
        for gradients, into in ((g, exact), (mean, averaged)):
            moved = sum(np.linalg.matrix_power(step, steps - 1 - t) @ gradients[t].T for t in range(steps))
            into.append(-rate / 6.0 * (X_query @ moved).T)
    assert_close(derivative(learner), exact, rtol=1e-12, call="D(1)")
    assert_close(source(checkpoints).scores, averaged, rtol=1e-12, call="source")


MODELS = {"linear regression": {}, "logistic": {"loss": "logistic"}, "network": {"loss": "logistic", "hidden": (4,), "l2": 0.01}}
every_model = pytest.mark.parametrize("model", MODELS)


@every_model
def test_the_error_of_source_at_every_step_falls_in_proportion_to_the_rate(model):
    """At one time of training, since |g_{t+1} - g_t| and |H_{t+1} - H_t| are O(eta)."""
    errors = []
    for steps in (64, 128, 256):
        learner, checkpoints = trained(2.0, steps, **MODELS[model])
        errors.append(relative_error(source(checkpoints).scores, derivative(learner)))
    assert errors[-1] < 0.005
    assert_close(np.divide(errors[:-1], errors[1:]), [2.0, 2.0], rtol=0.03, call=f"ratios of {errors}")


@every_model
def test_the_error_of_source_falls_with_the_square_of_the_distance_of_checkpoints(model):
    """h eta = 1/4, 1/8 and 1/16 of the time 2, above the O(eta) that is left with a checkpoint at every 4th step."""
    learner, dense = trained(2.0, 4096, every=4, **MODELS[model])
    exact, left = derivative(learner), source(dense).scores
    assert relative_error(left, exact) < 2e-4
    errors = [relative_error(source(trained(2.0, 4096, every=h, **MODELS[model])[1]).scores, left) for h in (512, 256, 128)]
    assert errors[0] > 10.0 * relative_error(left, exact) / 2.0
    assert_close(np.divide(errors[:-1], errors[1:]), [4.0, 4.0], rtol=0.1, call=f"ratios of {errors}")


@pytest.mark.parametrize("options", [{"momentum": 0.5}, {"schedule": "cosine"}], ids=["momentum", "cosine"])
def test_source_and_the_rates_of_the_learner_agree_on_momentum_and_schedule(options):
    """Momentum m is a rate of rate / (1 - m) to first order in the rate; without the factor scores are wrong by about it."""
    errors = []
    for steps in (200, 400):
        learner, checkpoints = trained(1.0, steps, hidden=(4,), l2=0.01, **options)
        errors.append(relative_error(source(checkpoints).scores, derivative(learner)))
    assert errors[1] < 0.01
    assert errors[0] / errors[1] == pytest.approx(2.0, rel=0.1)
    if "momentum" in options:
        plainly = [dataclasses.replace(c, learning_rate=c.learning_rate * 0.5) for c in checkpoints]
        assert relative_error(source(plainly).scores, derivative(learner)) > 0.1


def test_source_is_right_early_in_training_where_hessian_influence_is_not():
    """And a few checkpoints suffice: Hessians have negative eigenvalues there."""
    learner, checkpoints = trained(2.0, 100, every=10, loss="logistic", hidden=(4,), l2=0.01)
    last = checkpoints[-1].linearization
    assert (np.linalg.eigvalsh(last.hessian)[:, 0] < 0.0).all()
    assert compare(source(checkpoints).scores, derivative(learner)).slope == pytest.approx(1.0, abs=0.02)
    assert relative_error(source(checkpoints).scores, derivative(learner)) < 0.02
    assert relative_error(influence(last).scores, derivative(learner)) > 2.0


def converged(**options):
    """Trained until ||grad L|| is rounding."""
    learner = network(steps=4000, learning_rate=1.0, loss="logistic", l2=0.05, **options)
    assert learner.linearize(np.ones(learner.n_points), SEEDS).gradient_norm.max() < 1e-14
    return learner


@pytest.mark.parametrize("hidden", [(), (3,)])
def test_source_at_convergence_is_hessian_influence_and_both_are_the_derivative(hidden):
    """One segment of K steps at a converged model leaves (1 - eta lambda)^K of each mode, here nothing."""
    learner = converged(hidden=hidden)
    only = only_checkpoint(learner)
    least = np.linalg.eigvalsh(only.linearization.hessian).min()
    assert (1.0 - least) ** 4000 < EPS
    scores = influence(only.linearization).scores
    assert_close(source([only]).scores, scores, rtol=1e-11, call="source of one segment against Hessian influence")
    assert_close(source([only]).scores, derivative(learner), rtol=1e-9, call="source of one segment against D(1)")
    early = dataclasses.replace(learner, snapshots=(10, 2000, 4000)).checkpoints(np.ones(6), SEEDS)
    assert_close(source(early).scores, scores, rtol=1e-10, call="source: what happened early is forgotten")


def test_few_steps_at_a_converged_model_filter_the_modes_of_hessian_influence():
    """-(1/N) grad f^T (I - (I - eta H)^K) H^-1 grad l_i, from the solved system and a matrix power."""
    only = only_checkpoint(converged())
    at = only.linearization
    for steps in (1, 7, 60):
        for r in range(2):
            power = np.linalg.matrix_power(np.eye(3) - only.learning_rate * at.hessian[r], steps)
            modes = (np.eye(3) - power) @ np.linalg.solve(at.hessian[r], at.point_gradients[r].T)
            expected = -(at.output_gradients[r] @ modes).T / 6.0
            scores = source([dataclasses.replace(only, steps=steps)]).scores[r]
            assert_close(scores, expected, rtol=1e-12, call=f"source after {steps} steps")


# --- TracIn and gradients at the end only ----------------------------------------------------------------------------------


@every_model
def test_tracin_of_dense_checkpoints_is_the_derivative_of_short_training(model):
    """The error falls in proportion to the time of 10 steps: they neglect the Hessian and the motion of grad f."""
    errors = []
    for time in (0.1, 0.05, 0.025):
        learner, checkpoints = trained(time, 10, **MODELS[model])
        comparison = compare(tracin(checkpoints).scores, derivative(learner))
        assert comparison.slope == pytest.approx(1.0, abs=0.4 * time)
        errors.append(comparison.relative_error)
    assert_close(np.divide(errors[:-1], errors[1:]), [2.0, 2.0], rtol=0.1, call=f"ratios of {errors}")


@every_method
def test_the_scale_of_a_score_of_short_training_is_seen_in_its_slope(method):
    learner, checkpoints = trained(0.02, 10, hidden=(3,))
    exact = derivative(learner)
    assert compare(METHODS[method](checkpoints).scores, exact).slope == pytest.approx(1.0, abs=0.03)
    assert compare(-6.0 * METHODS[method](checkpoints).scores, exact).slope == pytest.approx(-6.0, abs=0.2)


def test_gradients_at_the_end_are_wrong_by_a_large_factor_at_convergence():
    """They say time x curvature times too much in each mode, and more the longer nothing happens; SOURCE does not."""
    learner = converged()
    only, exact = only_checkpoint(learner), derivative(learner)
    assert compare(gradient_dot([only]).scores, exact).slope > 100.0
    twice = dataclasses.replace(only, steps=2 * only.steps)
    assert_close(gradient_dot([twice]).scores, 2.0 * gradient_dot([only]).scores, rtol=1e-14, call="twice the time")
    assert_close(source([twice]).scores, source([only]).scores, rtol=1e-13, call="twice the time")
    dense = dataclasses.replace(learner, snapshots=tuple(range(40, 4001, 40)))
    assert compare(tracin(dense.checkpoints(np.ones(6), SEEDS)).scores, exact).slope > 100.0


# --- TRAK ------------------------------------------------------------------------------------------------------------------


def test_trak_in_all_dimensions_is_gauss_newton_influence_and_the_derivative_of_logistic_regression():
    learner = converged()
    at = learner.linearize(np.ones(6), SEEDS)
    X, X_query = (np.column_stack([x, np.ones(len(x))]) for x in (learner.X, learner.X_query))
    for r, theta in enumerate(at.params):
        p = special.expit(X @ theta)
        kernel = (X.T * (p * (1.0 - p))) @ X / 6.0 + 0.05 * np.eye(3)
        expected = -((p - learner.y)[:, None] * X) @ np.linalg.inv(kernel) @ X_query.T / 6.0
        for seed in (0, 7):
            scores = trak(at, dimension=3, seed=seed).scores
            assert_close(scores[r], expected, rtol=1e-10, call="trak against the dense formula")
    comparison = compare(trak(at, dimension=3, seed=0).scores, derivative(learner))
    assert comparison.slope == pytest.approx(1.0, abs=1e-9)
    assert comparison.relative_error < 1e-9


def test_trak_at_other_weights_is_the_derivative_there():
    learner, w = converged(), np.random.default_rng(1).uniform(0.3, 2.0, 6)
    exact = learner.weight_jacobian(w[None], SEEDS)[0].swapaxes(1, 2)
    assert_close(trak(learner.linearize(w, SEEDS), dimension=3, seed=0).scores, exact, rtol=1e-9, call="trak at w")


def test_trak_without_curvatures_correlates_with_the_derivative_and_has_another_size():
    """Curvatures of the logistic loss are at most 1/4: kernels without them are 4 times as large, and more at large margins."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 2))
    y = (X[:, 0] + rng.standard_normal(30) > 0.0).astype(float)
    learner = MLP(X, y, rng.standard_normal((3, 2)), hidden=(), steps=4000, learning_rate=1.0)
    at = learner.linearize(np.ones(30), SEEDS)
    assert at.gradient_norm.max() < 1e-14
    exact = derivative(learner)
    assert compare(trak(at, dimension=3, seed=0).scores, exact).slope == pytest.approx(1.0, abs=1e-9)
    published = compare(trak(at, dimension=3, seed=0, reweight=False).scores, exact)
    assert 0.05 < published.slope < 0.25
    assert published.relative_error > 0.7
    assert published.pearson > 0.95


def test_trak_of_squared_loss_needs_no_curvatures():
    at = network(steps=50, learning_rate=0.1, hidden=(3,), l2=0.1).linearize(np.ones(6), SEEDS)
    reweighted, plainly = (trak(at, dimension=5, seed=3, reweight=flag).scores for flag in (True, False))
    assert_close(plainly, reweighted, rtol=1e-15, call="trak")


def test_fewer_dimensions_lose_more_of_the_gauss_newton_influence():
    learner = network(8, steps=2000, learning_rate=0.5, loss="logistic", hidden=(4,), l2=0.01)
    at = learner.linearize(np.ones(8), SEEDS)
    full = trak(at, dimension=17, seed=0).scores
    errors = [
        np.mean([relative_error(trak(at, dimension=dimension, seed=seed).scores, full) for seed in range(20)])
        for dimension in (2, 8, 14, 16, 17)
    ]
    assert (np.diff(errors) < 0.0).all(), f"relative errors {errors}"
    assert errors[0] > 0.5
    assert errors[-1] < 1e-10


def projector(dimension, seed, size=5):
    """N scores of unit gradients where the kernel is I: the matrix Q Q^T."""
    unit, ones = np.eye(size)[None], np.ones((1, size))
    fit = Fit(unit, -ones, 0.0 * ones, ones, (), np.ones(size), 1.0)
    at = Linearization(np.zeros((1, size)), unit, -unit, unit, np.zeros(1), fit)
    return size * trak(at, dimension=dimension, seed=seed).scores[0]


def test_the_projection_is_orthonormal_nested_uniform_and_told_by_its_seed():
    mean = np.mean([projector(2, seed) for seed in range(2000)], axis=0)
    assert_close(mean, 0.4 * np.eye(5), atol=5.0 * 0.5 / np.sqrt(2000), call="mean projector")
    for seed in range(5):
        small, large = projector(2, seed), projector(4, seed)
        assert_close(small @ small, small, atol=1e-14, call="a projector")
        assert np.trace(small) == pytest.approx(2.0, abs=1e-14)
        assert_close(large @ small, small, atol=1e-14, call="fewer dimensions are a part of more")
        assert_identical(projector(2, seed), small, call="the same seed")
        assert np.abs(projector(2, seed + 5) - small).max() > 0.01


@settings(max_examples=30)
@given(n=st.integers(1, 6), p=st.integers(1, 8), seed=strategies.SEEDS, data=st.data())
def test_without_a_penalty_more_dimensions_than_points_are_refused_with_the_rank(n, p, seed, data):
    rng, dimension = np.random.default_rng(seed), data.draw(st.integers(1, p))
    gradients, ones = rng.standard_normal((2, n, p)), np.ones((2, n))
    fit = Fit(gradients, ones, ones, ones, (), np.ones(n), 0.0)
    at = Linearization(np.zeros((2, p)), np.zeros((2, p, p)), gradients, gradients[:, :1], np.zeros(2), fit)
    if dimension <= n:
        assert np.isfinite(trak(at, dimension=dimension, seed=seed).scores).all()
    else:
        message = rf"seed number \d is singular: rank {n} in dimension {dimension}.*take dimension <= {n} or an l2 penalty"
        with pytest.raises(np.linalg.LinAlgError, match=message):
            trak(at, dimension=dimension, seed=seed)
        penalised = dataclasses.replace(at, fit=dataclasses.replace(fit, penalty=1.0))
        assert np.isfinite(trak(penalised, dimension=p, seed=0).scores).all()


# --- refusals --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dimension", [0, -1, 4, 2.5])
def test_a_dimension_outside_one_to_all_parameters_is_refused(dimension):
    at = network(steps=2).linearize(np.ones(6), SEEDS)
    with pytest.raises(ValueError, match=f"dimension = {dimension}, expected 1 to the 3 parameters"):
        trak(at, dimension=dimension, seed=0)


def test_a_seed_that_no_stream_has_is_refused():
    with pytest.raises(ValueError, match=r"seed = -1, expected 0 <= seed"):
        trak(network(steps=2).linearize(np.ones(6), SEEDS), dimension=2, seed=-1)


def test_trak_of_a_learner_that_leaves_out_its_fit_is_refused():
    rng = np.random.default_rng(0)
    at = LeastSquares(rng.standard_normal((6, 2)), rng.standard_normal(6), np.eye(2), l2=0.1).linearize(np.ones(6), [0])
    with pytest.raises(ValueError, match="the learner's linearize does not provide it"):
        trak(dataclasses.replace(at, fit=None), dimension=2, seed=0)


@every_method
def test_no_checkpoints_and_checkpoints_of_other_shapes_are_refused(method):
    with pytest.raises(ValueError, match="checkpoints is empty, expected at least one"):
        METHODS[method]([])
    some = [only_checkpoint(network(n, steps=2)) for n in (6, 7)]
    with pytest.raises(ValueError, match=r"checkpoint 1 has .*\(2, 7, 3\).*checkpoint 0 .*\(2, 6, 3\).*expected"):
        METHODS[method](some)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "steps = 0, expected a whole number >= 1"),
        ({"steps": 1.5}, "steps = 1.5, expected a whole number >= 1"),
        ({"learning_rate": 0.0}, "learning_rate = 0.0, expected a finite number > 0"),
        ({"learning_rate": np.inf}, "learning_rate = inf, expected a finite number > 0"),
    ],
)
def test_a_checkpoint_that_took_no_steps_or_had_no_rate_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(only_checkpoint(network(steps=2)), **change)


@pytest.mark.parametrize("curvature", [-3.0, 60.0], ids=["negative curvature", "rate too large"])
def test_an_overflow_names_the_segment_and_the_seed(curvature):
    """The second seed's, whether or not steps come after it."""
    hessian = np.stack([np.eye(2), np.diag([curvature, 1.0])])
    calm = Linearization(np.zeros((2, 2)), np.stack([np.eye(2)] * 2), np.ones((2, 3, 2)), np.ones((2, 1, 2)), np.zeros(2))
    wild = dataclasses.replace(calm, hessian=hessian)
    with pytest.raises(ArithmeticError, match=r"segment 1, seed number 1: 10000 steps of rate 0.1 .*take checkpoints"):
        source([Checkpoint(calm, 5, 0.1), Checkpoint(wild, 10_000, 0.1)])
    with pytest.raises(ArithmeticError, match="overflows in segment 0, seed number 1"):
        source([Checkpoint(wild, 10_000, 0.1), Checkpoint(calm, 5, 0.1)])
    assert np.isfinite(source([Checkpoint(wild, 100, 0.1), Checkpoint(calm, 5, 0.1)]).scores).all()
