"""The experiment `kinks`: fits of polynomials, training in plain loops, and cases where nothing may be found."""

from dataclasses import dataclass, replace

import numpy as np
import plain_mlp as plain
import pytest
import scipy
from assertions import assert_close, assert_identical
from stored import computed

from sims.experiments.kinks import EXPERIMENT, KinksConfig, _order, coarse_derivative, run
from sims.experiments.shared.hinge import HingeDescent
from sims.experiments.shared.kinks import crossing_warning
from sims.experiments.shared.problem import Problem
from sims.learners.mlp import MLP

SMALL = EXPERIMENT.small[0]
FEW = replace(
    SMALL,
    **dict.fromkeys(("widths", "edge_widths", "activations", "sharpness", "beta_steps"), ()),
    step_sizes=(0.2, 0.1),
    time=2.0,
    n_seeds=3,
    edge_nodes=0,
    hinge_penalty=0.0,
)


@dataclass
class Polynomial:
    """F = sum_i c_i (w_i - 1)^degree + 3 w_0, with a jump of 1 in w_1 at `jump`."""

    degree: int
    jump: float = np.inf
    n_points: int = 2

    def respond(self, weights, seeds):
        w = np.asarray(weights)
        F = ((w - 1.0) ** self.degree) @ [5.0, 7.0] + 3.0 * w[:, 0] + (w[:, 1] > self.jump)
        return np.repeat(F[:, None, None], len(seeds), axis=1)


@pytest.mark.parametrize("degree", [2, 3, 4])
def test_differences_are_exact_for_polynomials_up_to_degree_4(degree):
    found = coarse_derivative(Polynomial(degree), [0, 1], 0.1, 3)
    assert found.shape == (2, 1, 2)
    assert_close(found, np.broadcast_to([3.0, 0.0], (2, 1, 2)), atol=1e-12)


def test_differences_have_the_bias_of_degree_5_and_average_jumps():
    """The fit of 2 h^5 by a 2h + b 2h^3, and of a step by the same, with numpy's polynomial least squares."""
    h = 0.1 * (np.arange(4) + 0.5) / 4

    def slope(values):
        return np.linalg.lstsq(np.c_[2.0 * h, 2.0 * h**3], values, rcond=None)[0][0]

    found = coarse_derivative(Polynomial(5, jump=1.05), [0], 0.1, 4)[0, 0]
    assert_close(found, [3.0 + slope(10.0 * h**5), slope(14.0 * h**5 + (h > 0.05))], rtol=1e-9)


def crossings_in_plain_loops(learner, seed, weights):
    """The sign changes of preactivations between one step and the next, at all points: full-batch training only."""
    (start,), (members,) = learner.initial_params([seed]), learner.batches([seed])
    on = []
    for theta in plain.train(learner, weights, start, members)[:-1]:  # gradients are taken before every step
        w, b = theta[: learner.X.shape[1] * 4].reshape(-1, 4), theta[learner.X.shape[1] * 4 :][:4]
        on.append(learner.X @ w + b > 0.0)
    return int((np.diff(np.array(on), axis=0)).sum())


def test_crossings_are_the_changes_of_sign_in_plain_loops():
    learner = FEW.problem.build(learning_rate=0.2, steps=10)
    found = learner.crossings(np.ones((1, 5)), range(3))[0]
    assert_identical(found[:, 0], [crossings_in_plain_loops(learner, seed, np.ones(5)) for seed in range(3)])
    assert found[:, 0].max() > 0
    assert found[:, 1].max() > 0
    through = MLP([[-1.0], [1.0]], [0, 1], [[0.0]], hidden=(2,), steps=20, activation="relu")  # crosses once and does not return
    assert_identical(through.crossings(np.ones((1, 2)), [4])[0, 0], [1, 0])
    assert not replace(learner, activation="tanh").crossings(np.ones((1, 5)), range(3)).any()
    with pytest.raises(ValueError, match="crossings of adam, expected optimizer sgd"):
        replace(learner, optimizer="adam").crossings(np.ones((1, 5)), [0])


def test_errors_are_those_of_the_learner_against_fits_written_out():
    result, seeds = run(FEW), range(3)
    for step, count in ((0.2, 10), (0.1, 20)):
        at, references = result.sel(step_size=step), []
        for window in FEW.windows:
            h = window * (np.arange(FEW.nodes) + 0.5) / FEW.nodes
            learner = FEW.problem.build(learning_rate=step, steps=count)
            columns = []
            for i in range(5):
                e = np.eye(5)[i]
                differences = [(learner.respond([1 + x * e], seeds) - learner.respond([1 - x * e], seeds))[0].ravel() for x in h]
                columns.append(np.linalg.lstsq(np.c_[2 * h, 2 * h**3], np.array(differences), rcond=None)[0][0])
            references.append(np.array(columns).T.reshape(3, 2, 5))
        reference = np.mean(references, axis=0)
        norm = np.linalg.norm(reference, axis=(1, 2))
        assert_close(at.reference_error, np.linalg.norm(references[0] - references[1], axis=(1, 2)) / 2 / norm, rtol=1e-7)
        for kind in ("unrolled", "crossings"):
            D = FEW.problem.build(learning_rate=step, steps=count, derivative=kind).weight_jacobian(np.ones((1, 5)), seeds)[0]
            assert_close(at.error.sel(derivative=kind), np.linalg.norm(D - reference, axis=(1, 2)) / norm, rtol=1e-7)
            mean = np.linalg.norm((D - reference).mean(axis=0)) / np.linalg.norm(reference.mean(axis=0))
            assert_close(at.mean_error.sel(derivative=kind), mean, rtol=1e-7)


def test_step_sizes_are_those_of_the_flow_with_momentum():
    problem = FEW.problem.changed(momentum=0.5)
    result = run(replace(FEW, problem=problem, step_sizes=(0.2,)))
    learner = problem.build(learning_rate=0.1, steps=10)
    assert_identical(result.crossings.values[0], learner.crossings(np.ones((1, 5)), range(3))[0])


def test_the_order_is_the_slope_of_the_logarithms():
    steps, rng = (0.4, 0.2, 0.1), np.random.default_rng(0)
    scale, orders = rng.uniform(1.0, 2.0, 6), rng.uniform(0.5, 1.5, 6)
    errors = np.stack([np.outer(np.ones(3), scale), scale * np.array(steps)[:, None] ** orders])
    found = _order(errors, steps)
    assert_close(found.value, [0.0, orders.mean()], atol=1e-12)
    assert_close(found.error, [0.0, orders.std(ddof=1) / np.sqrt(6)], atol=1e-12)


def test_on_smooth_networks_both_derivatives_are_the_same_and_right():
    smooth = replace(FEW, problem=FEW.problem.changed(activation="tanh"), widths=(2, 3), edge_nodes=16)
    result = run(smooth)
    for name in ("error", "width_error", "edge_missed", "edge_integral"):
        assert_identical(*(result[name].sel(derivative=kind).values for kind in ("unrolled", "crossings")))
    assert not result.crossings.values.any()
    assert not result.correction.values.any()
    assert float(result.error.max()) < 1e-4  # h^4 with h = 0.1
    assert float(result.edge_missed.max()) < 1e-2  # midpoint rule
    assert "warning" not in result.attrs


def test_the_small_case_crosses_kinks_and_warns_of_it():
    (result,) = computed("kinks")
    total, sliding = result.crossings.isel(step_size=-1).mean("seed").values
    share = float(result.correction.isel(step_size=-1).median())
    assert 0.0 < share < 1.0
    assert f"crosses kinks {total:.0f} times ({sliding / total:.0%} of them sliding) at step size 0.05" in result.attrs["warning"]
    assert f"lacks {share:.2g} of D(1)" in result.attrs["warning"]
    unrolled, corrected = (result.error.sel(derivative=kind).median("seed").values for kind in ("unrolled", "crossings"))
    assert corrected[-1] < 0.5 * unrolled[-1]
    missed = result.edge_missed.median("seed").values
    assert missed[1] < 0.5 * missed[0]


SWEEPS = {
    "width": ("widths", (2, 3), lambda config, value: replace(config, problem=config.problem.changed(hidden=(value,)))),
    "size": ("sizes", (4, 5), lambda config, value: replace(config, problem=replace(config.problem, n_points=value))),
    "time": ("training_times", (1.0, 3.0), lambda config, value: replace(config, time=value)),
    "penalty": ("penalties", (0.0, 0.5), lambda config, value: replace(config, problem=config.problem.changed(l2=value))),
    "activation": (
        "activations",
        ("relu", "tanh"),
        lambda config, value: replace(config, problem=config.problem.changed(activation=value)),
    ),
}
"""Name of a comparison: the field with its values, two values, and how a config has one of them."""


@pytest.mark.parametrize("name", SWEEPS)
def test_every_comparison_is_a_run_in_which_one_thing_differs(name):
    field, values, changed = SWEEPS[name]
    whole = run(replace(FEW, step_sizes=(0.2,), sweep_step=0.1, sweep_nodes=3, **{field: values}))
    differ = []
    for value in values:
        alone = run(changed(replace(FEW, step_sizes=(0.1,), nodes=3), value)).isel(step_size=0)
        for part in ("error", "reference_error", "correction", "crossings"):
            assert_identical(whole[f"{name}_{part}"].sel({name: value}).values, alone[part].values, call=f"{name} {value} {part}")
        differ.append(alone.error.values)
    assert not np.array_equal(*differ)


def test_leaky_relu_has_the_unrolled_derivative_only():
    network = FEW.problem.changed(activation="leaky_relu").build(steps=5)
    assert "kinks of leaky_relu add, which is not known" in crossing_warning(network, (0, 1))
    result = run(replace(FEW, activations=("relu", "leaky_relu")))
    leaky = result.sel(activation="leaky_relu")
    assert np.isnan(leaky.activation_error.sel(derivative="crossings")).all()
    assert np.isnan(leaky.activation_correction).all()
    assert np.isnan(leaky.activation_crossings).all()
    learner = FEW.problem.changed(activation="leaky_relu").build(learning_rate=FEW.sweep_step, steps=20)
    D = learner.weight_jacobian(np.ones((1, 5)), range(3))[0]
    reference = sum(coarse_derivative(learner, range(3), window, FEW.sweep_nodes) for window in FEW.windows) / 2.0
    error = np.linalg.norm(D - reference, axis=(1, 2)) / np.linalg.norm(reference, axis=(1, 2))
    assert_close(leaky.activation_error.sel(derivative="unrolled"), error, rtol=1e-8)


def test_a_sharp_softplus_is_differentiated_rightly_until_its_bend_is_passed_in_one_step():
    """The bend is 1 / s wide: an error is found where s times the step is 80 or 800, and not where it is 8."""
    config = replace(FEW, step_sizes=(0.2,), time=8.0, sharpness=(40.0, 400.0, 4000.0), sharpness_steps=(0.2, 0.02))
    result = run(config)
    error = result.sharpness_error.sel(derivative="unrolled").median("seed")
    assert float(error.sel(sharpness_step=0.2, sharpness=40.0)) < 1e-3
    assert float(error.sel(sharpness_step=0.02, sharpness=400.0)) < 1e-3
    assert float(error.sel(sharpness_step=0.2, sharpness=4000.0)) > 0.05
    assert float(error.sel(sharpness_step=0.02, sharpness=4000.0)) > 0.05
    assert not result.sharpness_crossings.values.any()
    learner = config.problem.changed(activation="softplus", sharpness=400.0).build(learning_rate=0.2, steps=40)
    D = learner.weight_jacobian(np.ones((1, 5)), range(3))[0]
    reference = sum(coarse_derivative(learner, range(3), window, config.sweep_nodes) for window in config.windows) / 2.0
    expected = np.linalg.norm(D - reference, axis=(1, 2)) / np.linalg.norm(reference, axis=(1, 2))
    assert_close(result.sharpness_error.sel(derivative="unrolled", sharpness_step=0.2, sharpness=400.0), expected, rtol=1e-8)


def test_what_the_edge_misses_by_width_is_that_of_a_network_of_this_width():
    result = run(replace(FEW, step_sizes=(0.2,), sweep_step=0.1, edge_nodes=4, edge_widths=(2, 3), edge_seeds=2))
    for width in (2, 3):
        config = replace(FEW, problem=FEW.problem.changed(hidden=(width,)), step_sizes=(0.1,), n_seeds=2, edge_nodes=4)
        alone = run(config).edge_missed.values
        assert_identical(result.edge_width_missed.sel(edge_width=width).values, alone)


def test_beta_and_averages_over_edges_against_sums_over_all_subsets():
    """With squared loss and one linear layer every D is smooth, so that all edges give beta; here on relu, with plain sums."""
    config = replace(FEW, step_sizes=(0.2,), sweep_step=0.2, sweep_nodes=3, beta_steps=(2, 10), beta_seeds=3, edges=2)
    result, seeds, n = run(config), range(3), 5
    tables = {kind: {} for kind in ("unrolled", "crossings")}
    masks = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
    for kind in tables:
        for steps in (2, 10):
            learner = config.problem.build(learning_rate=0.2, steps=steps, derivative=kind, l2=0.01)
            F = learner.respond(masks.astype(float), seeds).mean(axis=1)  # (32, M)
            beta = np.array([F[masks[:, i] == 1].mean(axis=0) - F[masks[:, i] == 0].mean(axis=0) for i in range(n)])
            D = learner.weight_jacobian(np.ones((1, n)), seeds)[0].mean(axis=0).T
            at = result.sel(derivative=kind, after=steps)
            assert_close(at.beta_error, np.linalg.norm(beta - D) / np.linalg.norm(D), rtol=1e-8)
            assert float(at.beta_error_error) > 0.0
    missed = result.average_missed.sel(after=10)
    assert float(missed.sel(derivative="crossings")) < float(missed.sel(derivative="unrolled"))


def test_the_hinge_result_compares_its_learner_with_differences():
    result = run(replace(FEW, step_sizes=(0.2, 0.1), hinge_penalty=0.05))
    given = FEW.problem.build(steps=1)
    points, queries = (np.c_[X, np.ones(len(X))] for X in (given.X, given.X_query))
    learner = HingeDescent(points, 2.0 * given.y - 1.0, queries, 1600, 0.1, 0.05)  # 8 / (0.05 * 0.1) steps
    references = [coarse_derivative(learner, [0], window, FEW.sweep_nodes)[0] for window in FEW.windows]
    reference, norm = sum(references) / 2.0, np.linalg.norm(sum(references) / 2.0)
    for D, kind in zip(learner.derivatives(), ("unrolled", "crossings"), strict=True):
        error = result.hinge_error.sel(step_size=0.1, derivative=kind)
        assert_close(error, np.linalg.norm(D - reference) / norm, rtol=1e-9)
    assert_close(result.hinge_reference_error.sel(step_size=0.1), np.linalg.norm(references[0] - reference) / norm, rtol=1e-9)


@pytest.mark.parametrize("seed", range(2))
def test_descent_on_the_hinge_ends_at_the_optimum_of_a_quadratic_program(seed):
    """scipy's SLSQP on the dual; the projection is the derivative of that optimum, and sum_i D_i = F for the unrolled one."""
    rng, l2 = np.random.default_rng(seed), 0.1
    points, queries = np.c_[rng.standard_normal((6, 2)), np.ones(6)], np.eye(3)
    y = np.where(points[:, 0] > np.median(points[:, 0]), 1.0, -1.0)
    learner = HingeDescent(points, y, queries, 30_000, 0.004, l2)
    normals = points * y[:, None]

    def optimum(weights):
        """theta = sum_i b_i n_i / (N l2) with 0 <= b_i <= w_i, and the largest sum of b - (N l2 / 2) ||theta||^2."""
        dual = scipy.optimize.minimize(
            lambda b: 0.5 * ((b @ normals) ** 2).sum() / (6 * l2) - b.sum(),
            x0=0.5 * weights,
            jac=lambda b: normals @ (b @ normals) / (6 * l2) - 1.0,
            method="SLSQP",
            bounds=[(0.0, w) for w in weights],
            options={"ftol": 1e-15, "maxiter": 1000},
        )
        return dual.x @ normals / (6 * l2)

    ones = np.ones(6)
    assert_close(learner.respond(ones[None], [0])[0, 0], optimum(ones), atol=0.01)
    unrolled, projected = learner.derivatives()
    assert_close(unrolled.sum(axis=1), learner.respond(ones[None], [0])[0, 0], rtol=1e-9, atol=1e-12)
    h = 1e-3
    expected = np.stack([(optimum(ones + h * e) - optimum(ones - h * e)) / (2.0 * h) for e in np.eye(6)], axis=1)
    assert_close(projected, expected, atol=0.02 * np.abs(expected).max() + 1e-3)
    assert np.abs(unrolled - expected).max() > 0.2 * np.abs(unrolled).max()


def test_averages_over_edges_are_exact_for_smooth_networks():
    smooth = replace(
        FEW, problem=FEW.problem.changed(activation="tanh"), step_sizes=(0.2,), beta_steps=(5,), beta_seeds=3, sweep_nodes=16
    )
    assert float(run(smooth).average_missed.max()) < 1e-4  # midpoint rule with 32 nodes


def test_integrals_on_an_edge_are_sums_over_midpoints():
    (result,) = computed("kinks")
    seeds = range(SMALL.n_seeds)
    learner = SMALL.problem.build(learning_rate=0.05, steps=100, derivative="crossings")
    rows = [[(k + 0.5) / 8, 1, 1, 1, 1] for k in range(8)]
    integral = np.mean([learner.weight_jacobian([row], seeds)[0, :, :, 0] for row in rows], axis=0)  # (R, M)
    change = (learner.respond([[1] * 5], seeds) - learner.respond([[0, 1, 1, 1, 1]], seeds))[0]
    missed = np.linalg.norm(integral - change, axis=1) / np.linalg.norm(change, axis=1)
    assert_close(result.edge_missed.sel(derivative="crossings"), missed, rtol=1e-8)
    assert_close(result.edge_change, change.mean(axis=0), rtol=1e-9)


def test_other_learners_are_refused_by_name():
    with pytest.raises((TypeError, ValueError), match="logistic"):
        run(KinksConfig(Problem("xor", "logistic", l2=0.1)))
