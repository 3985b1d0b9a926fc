"""Experiments on influence: against laws that hold to rounding, and against each other at the ends of training."""

import numpy as np
import pytest
import statsmodels.api as sm
from assertions import assert_close, assert_identical

from sims import datasets
from sims.experiments import all_experiments
from sims.experiments.budget import BudgetConfig
from sims.experiments.damping_map import DampingMapConfig
from sims.experiments.depth import DepthConfig
from sims.experiments.group_removal import GroupRemovalConfig
from sims.experiments.leverage import LeverageConfig
from sims.experiments.proximal import ProximalConfig
from sims.experiments.shared.problem import Problem
from sims.experiments.solver_map import SolverMapConfig
from sims.experiments.width_map import WidthMapConfig
from sims.learners.mlp import MLP
from sims.retrain import response_table
from theory.response import weight_derivative
from theory.subsets import all_masks

EXPERIMENTS = all_experiments()
RIDGE = Problem("longley", "least_squares", l2=0.1, n_points=9)
NETWORK = Problem("xor", "mlp", hidden=(3,), l2=0.05, learning_rate=0.5, n_points=5)


@pytest.fixture(scope="module")
def budget():
    return EXPERIMENTS["budget"].run(BudgetConfig(NETWORK, times=(1, 20, 2000), n_seeds=3))


def test_leave_one_out_of_ridge_is_influence_over_one_minus_leverage():
    result = EXPERIMENTS["leverage"].run(LeverageConfig(RIDGE))
    assert_close(result.ratio, 1.0 / (1.0 - result.leverage), rtol=1e-9, call="ratio against 1 / (1 - h)")
    assert_close(result.newton, result.leave_one_out, rtol=1e-9, call="Newton step against leave-one-out")
    assert float(result.ratio.max()) > 1.5  # and the correction is not idle


def test_a_newton_step_is_exact_for_groups_in_ridge_and_summed_influence_is_not():
    error = EXPERIMENTS["group_removal"].run(GroupRemovalConfig(RIDGE)).measured.sel(measure="relative_error")
    assert error.sel(estimate="Newton step").max() < 1e-9
    assert error.sel(estimate="influence, summed").min() > 0.1
    assert error.sel(estimate="LOO, summed")[0] < 1e-9  # k = 1 is leave-one-out itself
    assert_close(error.sel(estimate="D(1), summed"), error.sel(estimate="influence, summed"), rtol=1e-7, call="converged")


def test_the_steps_of_the_budget_add_up_and_cross_over_as_training_goes_on(budget):
    assert budget.closure.max() < 1e-12
    size = budget.budget.sel(column="size")
    essay, hessian = size.sel(step="D(1/2) -> D(1)"), size.sel(step="D(1) -> exact H")
    assert essay[0] < 0.05 < hessian[0]
    assert hessian[-1] < 1e-6 < 0.05 < essay[-1]
    down = budget.step.values[:7]
    assert_close(budget.budget.sel(column="share", step=down).sum("step"), np.ones(3), rtol=1e-9, call="shares")


def test_beta_predicts_all_subsets_best_and_a_newton_step_those_with_few_points_removed():
    result = EXPERIMENTS["budget"].run(BudgetConfig(RIDGE)).prediction.isel(time=0).sel(quality="relative_error")
    everywhere, near = result.sel(target="all subsets"), result.sel(target="1 or 2 removed")
    assert everywhere.sel(estimate="beta") == everywhere.min()  # least squares over all subsets: by definition
    assert near.sel(estimate="Newton step") < near.sel(estimate="beta") < near.sel(estimate="exact H")
    assert_close(near.sel(estimate="Newton step"), near.sel(estimate="LOO"), rtol=1e-9, call="Newton step against leave-one-out")


def test_gaps_of_bae_et_al_that_a_converged_linear_model_has_not():
    """Its minimum is the one that training finds, and the Bregman divergence of a squared loss is the loss: only proximity and
    linearisation are left. After three steps all are there.
    """
    options = {"hidden": (), "loss": "squared", "l2": 0.1, "learning_rate": 0.3}
    config = ProximalConfig(Problem("noisy_line", "mlp", **options, n_points=6), times=(3, 3000), n_seeds=2)
    result = EXPERIMENTS["proximal"].run(config)
    early, late = (result.budget.sel(column="size").isel(time=k) for k in (0, 1))
    assert result.closure.max() < 1e-12
    assert late.sel(step="warm-start gap") < 1e-9
    assert late.sel(step="non-convergence gap") < 1e-9
    for gap in ("interactions", "proximity gap", "linearisation gap"):
        assert late.sel(step=gap) > 1e-3
    assert early.sel(step="warm-start gap") > 0.01
    assert early.sel(step="non-convergence gap") > 0.01
    assert_close(result.budget.sel(column="share").sum("step"), np.ones(2), rtol=1e-9, call="shares")


def test_effects_of_the_budget_are_those_of_the_table_and_of_the_derivatives_named():
    """beta by least squares of statsmodels over all subsets, weighted for p = 0.9; D at 1/2 and 1 from the learner."""
    learner, masks = RIDGE.build(), all_masks(9)
    table = response_table(learner, (0,)).mean
    beta, near_full = (
        np.stack([sm.WLS(y, sm.add_constant(masks), weights=weights).fit().params[1:] for y in table.T], axis=1)
        for weights in (np.ones(512), np.prod(np.where(masks > 0.0, 0.9, 0.1), axis=1))
    )
    half, one = (weight_derivative(learner, np.full(9, w), (0,)) for w in (0.5, 1.0))
    result = EXPERIMENTS["budget"].run(BudgetConfig(RIDGE)).isel(time=0)
    for step, (before, after) in {"beta -> D(1/2)": (beta, half), "D(1/2) -> D(1)": (half, one)}.items():
        size = np.linalg.norm(before - after) / np.linalg.norm(beta)
        assert_close(result.budget.sel(step=step, column="size"), size, rtol=1e-9, call=step)
    for name, effect in (("beta", beta), ("beta (p = 0.9)", near_full)):
        slope = np.vdot(effect, one) / np.vdot(one, one)
        assert_close(result.measured.sel(estimate=name, reference="D(1)", measure="slope"), slope, rtol=1e-9, call=name)


def test_interactions_of_the_proximal_chain_are_beta_less_leave_one_out():
    config = ProximalConfig(NETWORK, times=(300,), n_seeds=2, damping=0.1)
    table = response_table(NETWORK.build(steps=300), (0, 1)).mean
    beta = np.stack([sm.OLS(y, sm.add_constant(all_masks(5))).fit().params[1:] for y in table.T], axis=1)
    loo = table[31] - table[31 - 2 ** np.arange(5)]
    found = EXPERIMENTS["proximal"].run(config).budget.sel(step="interactions", column="size")
    assert_close(found, [np.linalg.norm(beta - loo) / np.linalg.norm(beta)], rtol=1e-9)


@pytest.mark.parametrize("name", ["depth", "width_map"])
def test_cells_of_a_map_of_networks_are_of_the_network_that_their_coordinates_name(name):
    """Influence against D(1) of networks built by hand."""
    data = datasets.by_name("two_moons", 4)
    bias = [column != "intercept" for column in data.columns]
    problem = Problem("two_moons", "mlp", l2=0.1, steps=40, n_points=4)
    if name == "depth":
        result = EXPERIMENTS[name].run(DepthConfig(problem, width=2, depths=(0, 2), n_seeds=2))
        cells = [({"depth": depth}, (2,) * depth, 0.1) for depth in (0, 2)]
    else:
        result = EXPERIMENTS[name].run(WidthMapConfig(problem, widths=(1, 3), penalties=(0.02, 0.5), n_seeds=2))
        cells = [({"width": width, "l2": l2}, (width,), l2) for width in (1, 3) for l2 in (0.02, 0.5)]
        assert_identical(result.n_params, [2 * w + w + w + 1 for w in (1, 3)])  # two inputs, with biases
    for at, hidden, l2 in cells:
        learner = MLP(data.X[:, bias], data.y, data.X_query[:, bias], hidden=hidden, l2=l2, steps=40)
        linear = learner.linearize(np.ones(4), (0, 1))
        derivative = weight_derivative(learner, np.ones(4), (0, 1))
        scores = np.mean(
            [
                -0.25 * points @ np.linalg.solve(h + 0.01 * np.eye(len(h)), outputs.T)
                for h, points, outputs in zip(linear.hessian, linear.point_gradients, linear.output_gradients, strict=True)
            ],
            axis=0,
        )
        error = np.linalg.norm(scores - derivative) / np.linalg.norm(derivative)
        found = result.measured.sel(**at, estimate="damped", reference="D(1)", measure="relative_error")
        assert_close(found, error, rtol=1e-9, call=f"{at}")


def test_methods_that_follow_training_see_checkpoints_at_the_times_asked_for(budget):
    error = budget.measured.sel(reference="D(1)", measure="relative_error")
    after_one_step = error.sel(estimate=["TracIn", "gradient dot product", "SOURCE"], time=1)
    assert_close(after_one_step, np.full(3, float(after_one_step[0])), rtol=1e-9, call="what comes later is not seen")
    assert error.sel(estimate="SOURCE")[-1] < 1e-3 < 1.0 < error.sel(estimate="TracIn")[-1]
    assert error.sel(estimate="SOURCE")[1] < 0.5 * error.sel(estimate="exact H")[1]


def test_damping_only_harms_a_converged_penalised_network():
    config = DampingMapConfig(NETWORK, times=(2000,), dampings=(0.0, 1e-2, 1.0), n_seeds=3)
    measured = EXPERIMENTS["damping_map"].run(config).measured.sel(curvature="hessian", time=2000, reference="D(1)")
    error = measured.sel(measure="relative_error").values
    assert error[0] < 1e-6 < error[1] < error[2]
    assert measured.sel(measure="slope")[2] < 0.5  # damping shrinks


def test_solvers_are_exact_once_they_have_as_many_products_as_there_are_parameters():
    result = EXPERIMENTS["solver_map"].run(SolverMapConfig(RIDGE, penalties=(1.0, 0.1), products=(1, 7, 20, 400)))
    error = result.measured.sel(reference="D(1)", measure="relative_error")
    assert error.sel(solver="low_rank", products=7).max() < 1e-9
    assert error.sel(solver="nystroem", products=7).max() < 1e-9
    assert error.sel(solver="conjugate_gradients", products=20).max() < 1e-8
    assert error.sel(solver="lissa", products=400, l2=1.0) < 1e-8 < 1e-3 < error.sel(solver="lissa", products=20, l2=1.0)
    assert error.sel(products=1).min() > 1e-3
    assert result.residual.sel(solver="conjugate_gradients", products=20).max() < 1e-10
