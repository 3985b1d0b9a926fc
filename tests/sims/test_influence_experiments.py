"""Experiments on influence: against laws that hold to rounding, and against each other at the ends of training."""

import numpy as np
import pytest
from assertions import assert_close

from sims.experiments import all_experiments
from sims.experiments.base import Problem
from sims.experiments.budget import BudgetConfig
from sims.experiments.damping_map import DampingMapConfig
from sims.experiments.group_removal import GroupRemovalConfig
from sims.experiments.leverage import LeverageConfig
from sims.experiments.proximal import ProximalConfig
from sims.experiments.solver_map import SolverMapConfig

EXPERIMENTS = all_experiments()
RIDGE = Problem("longley", "least_squares", (("l2", 0.1),), n_points=9)
NETWORK = Problem("xor", "mlp", (("hidden", (3,)), ("l2", 0.05), ("learning_rate", 0.5)), n_points=5)


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
    options = (("hidden", ()), ("loss", "squared"), ("l2", 0.1), ("learning_rate", 0.3))
    config = ProximalConfig(Problem("noisy_line", "mlp", options, n_points=6), times=(3, 3000), n_seeds=2)
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


def test_methods_that_follow_training_see_checkpoints_at_the_times_asked_for(budget):
    error = budget.measured.sel(reference="D(1)", measure="relative_error")
    assert error.sel(estimate="SOURCE")[-1] < 1e-3 < 1.0 < error.sel(estimate="TracIn")[-1]
    assert error.sel(estimate="SOURCE")[1] < 0.5 * error.sel(estimate="exact H")[1]


def test_damping_only_harms_a_converged_penalised_network():
    config = DampingMapConfig(NETWORK, times=(2000,), dampings=(0.0, 1e-2, 1.0), n_seeds=3)
    measured = EXPERIMENTS["damping_map"].run(config).measured.sel(curvature="hessian", time=2000, reference="D(1)")
    error = measured.sel(measure="relative_error").values
    assert error[0] < 1e-6 < error[1] < error[2]
    assert measured.sel(measure="slope")[2] < 0.5  # damping shrinks


def test_solvers_are_exact_once_they_have_as_many_products_as_there_are_parameters():
    result = EXPERIMENTS["solver_map"].run(SolverMapConfig(RIDGE, penalties=(1.0, 0.1), products=(1, 7, 20)))
    error = result.measured.sel(reference="D(1)", measure="relative_error")
    assert error.sel(solver="low_rank", products=7).max() < 1e-9
    assert error.sel(solver="nystroem", products=7).max() < 1e-9
    assert error.sel(solver="conjugate_gradients", products=20).max() < 1e-8
    assert error.sel(products=1).min() > 1e-3
    assert result.residual.sel(solver="conjugate_gradients", products=20).max() < 1e-10
