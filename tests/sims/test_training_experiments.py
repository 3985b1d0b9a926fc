"""Experiments on networks and learners that jump: recomputed from their parts, and against laws they were not told."""

import dataclasses

import numpy as np
import pytest
from assertions import assert_close

from sims.experiments import all_experiments
from sims.experiments.base import Problem
from sims.experiments.finite_time_scale import FiniteTimeConfig
from sims.experiments.jumps import JumpsConfig
from sims.experiments.training_time import TrainingTimeConfig
from sims.retrain import response_table
from theory.derivatives import finite_difference
from theory.metrics import relative_error
from theory.values import banzhaf, leave_one_out

EXPERIMENTS = all_experiments()
NETWORK = Problem("xor", "mlp", (("hidden", (3,)), ("l2", 0.05), ("learning_rate", 0.5)), n_points=5)


@pytest.fixture(scope="module")
def trained():
    return EXPERIMENTS["training_time"].run(TrainingTimeConfig(NETWORK, times=(1, 20, 2000), n_seeds=3))


@pytest.mark.parametrize("k", range(3))
def test_effects_at_a_training_time_are_those_of_a_run_of_that_length(trained, k):
    learner = NETWORK.build(steps=int(trained.time[k]))
    table, ones = response_table(learner, range(3)).mean, np.ones(5)
    assert_close(trained.beta[k], banzhaf(table), rtol=1e-9, call="beta against the Banzhaf value")
    assert_close(trained.leave_one_out[k], leave_one_out(table), rtol=1e-9, call="leave-one-out")
    for name, at in (("derivative", ones), ("derivative_at_half", 0.5 * ones)):
        numerical = finite_difference(learner, at, range(3))
        assert_close(trained[name][k], numerical.derivative, rtol=1e-6, call=name)


def test_the_essay_is_right_after_one_step_and_hessian_influence_at_convergence(trained):
    error = trained.measured.sel(measure="relative_error")
    essay, influence = error.sel(pair="beta on D(1)"), error.sel(pair="Hessian influence on D(1)")
    assert essay[0] < 0.05 < influence[0]
    assert influence[-1] < 1e-6 < 0.05 < essay[-1]


def test_measures_are_those_of_the_stored_effects_and_errors_those_of_repeated_seeds(trained):
    measured = trained.measured.sel(pair="LOO on D(1)", measure="relative_error")
    for k in range(3):
        assert_close(measured[k], relative_error(trained.leave_one_out[k], trained.derivative[k]), rtol=1e-12, call="error")
    config = TrainingTimeConfig(NETWORK, times=(20,), n_seeds=12)
    learner = NETWORK.build(steps=20)
    table = response_table(learner, range(12)).samples
    beta = np.stack([banzhaf(one) for one in table])
    expected = beta.std(axis=0, ddof=1) / np.sqrt(12)
    assert_close(EXPERIMENTS["training_time"].run(config).beta_error[0], expected, rtol=1e-9, call="standard error of beta")


def test_a_run_in_which_rounding_grows_is_marked_and_a_calm_one_is_not(trained):
    assert "warning" not in trained.attrs
    wild = Problem("xor", "mlp", (("hidden", (4,)), ("learning_rate", 16.0)), n_points=5)
    result = EXPERIMENTS["training_time"].run(TrainingTimeConfig(wild, times=(10, 300), n_seeds=4))
    assert float(result.amplification[-1].max()) > 1e3 * float(trained.amplification.max())
    assert "rounding alone" in result.attrs["warning"]


def test_gradient_flow_is_approached_in_proportion_to_the_learning_rate():
    errors = []
    for rate, factor in ((0.04, 1), (0.02, 2)):
        problem = Problem("noisy_line", "mlp", (("hidden", ()), ("loss", "squared"), ("learning_rate", rate)), n_points=6)
        config = FiniteTimeConfig(problem, probabilities=(0.5,), times=(32 * factor,), n_seeds=2)
        errors.append(float(EXPERIMENTS["finite_time_scale"].run(config).flow_error[0, 0]))
    assert 1.8 < errors[0] / errors[1] < 2.2


def test_times_at_which_p_t_is_no_whole_number_are_refused():
    with pytest.raises(ValueError, match="expected p t to be whole numbers"):
        EXPERIMENTS["finite_time_scale"].run(FiniteTimeConfig(NETWORK, times=(3,)))


def test_the_standard_error_of_jumps_is_that_of_disjoint_groups_of_seeds():
    config = JumpsConfig(Problem("xor", "moving_jump", n_points=4), n_seeds=(4096,))
    errors = EXPERIMENTS["jumps"].run(config).slope_error
    more = EXPERIMENTS["jumps"].run(dataclasses.replace(config, n_seeds=(16384,))).slope_error
    small, large = (float(each.sel(quantity="difference of F")[0]) for each in (errors, more))
    assert 1.2 < small / large < 3.5  # 2, from 16 groups


def test_jumps_refuses_a_learner_without_a_closed_form():
    with pytest.raises(TypeError, match="expected bistable or moving_jump"):
        EXPERIMENTS["jumps"].run(JumpsConfig(Problem("xor", "kernel_sum")))


def test_average_derivative_of_networks_converges_in_nodes_and_the_essay_does_not_hold():
    experiment = EXPERIMENTS["average_derivative"]
    result = experiment.run(experiment.small[0])
    assert (result.error.sel(time=50)[:, 0] > 100.0 * result.error.sel(time=50)[:, -1]).all()
    assert (result.error[:, -1] < 1e-6).all()
    assert (result.essay_error.sel(time=50) > 0.01).all()


def test_interpolation_leaves_no_derivative_but_an_effect_of_removal():
    experiment = EXPERIMENTS["interpolation"]
    size = experiment.run(experiment.small[0])["size"]
    assert float(size.sel(width=8, effect="D(1)")) < 1e-9 < 0.1 < float(size.sel(width=8, effect="LOO"))
    assert float(size.sel(width=2, effect="D(1)")) > 0.01
