"""The experiment on pairs: against differences, scipy by hand, the numbers of T18, and what a network with kinks shows."""

import numpy as np
import pytest
from assertions import assert_close
from scipy import stats
from stored import computed

from sims.experiments import all_experiments
from sims.experiments.pairs import PairsConfig, run
from sims.experiments.shared.problem import Problem
from sims.learners import MLP
from sims.retrain import response_table
from theory.claims import all_claims
from theory.datamodel import optimal_datamodel, optimal_pair_datamodel
from theory.laws import Bernoulli
from theory.metrics import relative_error
from theory.subsets import all_masks
from theory.values import leave_one_out

SPECTOR = Problem("spector", "logistic", l2=0.1, n_points=8, n_queries=2)
RELU = Problem("xor", "mlp", activation="relu", hidden=(3,), learning_rate=0.3, steps=40, n_points=4, n_queries=2)


def judged(identifier, results):
    return next(claim for claim in all_claims() if claim.id == identifier).judge({"pairs": results})


def test_accuracies_are_those_of_the_datamodels_by_hand():
    result, table = run(PairsConfig(SPECTOR)), response_table(SPECTOR.build(), (0,)).mean
    for degree, fit in ((1, optimal_datamodel), (2, optimal_pair_datamodel)):
        model = fit(table)
        pooled = 1.0 - model.residual_variance.sum() / table.var(axis=0).sum()
        assert_close(result.r_squared.sel(p=0.5, degree=degree), pooled, rtol=1e-10, call=f"R^2 of degree {degree}")
        predicted = model.predict(all_masks(8))
        ranks = np.mean([stats.spearmanr(p, a).statistic for p, a in zip(predicted.T, table.T, strict=True)])
        assert_close(result.lds.sel(p=0.5, degree=degree), ranks, rtol=1e-12, call=f"LDS of degree {degree}")
    assert_close(result.pairs.sel(p=0.9), optimal_pair_datamodel(table, Bernoulli(0.9)).pairs, rtol=1e-12)


def test_errors_of_leave_one_out_are_those_of_the_two_estimates():
    result, table = run(PairsConfig(SPECTOR)), response_table(SPECTOR.build(), (0,)).mean
    model, removal = optimal_pair_datamodel(table, Bernoulli(0.75)), leave_one_out(table)
    errors = [relative_error(x, removal) for x in (model.coefficients, model.coefficients + 0.25 * model.pairs.sum(axis=1))]
    assert_close(result.leave_one_out_error.sel(p=0.75), errors, rtol=1e-10)
    assert_close(result.leave_one_out_ratio.sel(p=0.75), errors[1] / errors[0], rtol=1e-10)


@pytest.mark.parametrize(
    ("data", "learner", "p", "beta", "both"),
    [("spector", "logistic", 0.75, 0.215, 0.049), ("longley", "least_squares", 0.9, 0.161, 0.025)],
)
def test_pairs_bring_leave_one_out_as_near_as_was_seen(data, learner, p, beta, both):
    table = response_table(Problem(data, learner, l2=0.1, n_points=16).build(), (0,)).mean
    model, removal = optimal_pair_datamodel(table, Bernoulli(p)), leave_one_out(table)
    assert relative_error(model.coefficients, removal) == pytest.approx(beta, abs=6e-4)
    assert relative_error(model.leave_one_out(), removal) == pytest.approx(both, abs=6e-4)


def test_far_from_the_full_set_pairs_can_take_it_further_away():
    """Longley at p = 1/2; the least p from which pairs help lies between."""
    result = run(PairsConfig(Problem("longley", "least_squares", l2=0.1, n_points=6, n_queries=4)))
    assert float(result.leave_one_out_ratio.sel(p=0.5)) > 1.0 > float(result.leave_one_out_ratio.sel(p=0.75))
    assert 0.5 < float(result.helps_from) < 0.75


def test_two_points_are_described_by_their_pair():
    result = run(PairsConfig(Problem("one_point", "least_squares", l2=1.0)))
    assert result.sizes["point"] == 1
    assert_close(result.r_squared, np.ones((4, 2)), rtol=1e-14)


@pytest.mark.parametrize("n", [3, 4, 5])
def test_few_points_leave_subsets_enough_for_the_sampled_fits(n):
    result = run(PairsConfig(Problem("longley", "least_squares", l2=0.1, n_points=n, n_queries=2)))
    assert np.isfinite(result.sampled_r_squared).all()


def test_second_derivatives_through_training_miss_what_kinks_add():
    config = PairsConfig(RELU, average_at=(0.5,), nodes=4, kinks=True)
    result = run(config)
    assert float(result.average_error[0]) > 1e-3
    verdict = judged("T17", [*computed("pairs"), result])
    assert verdict.status == "HOLDS"
    assert [item.control for item in verdict.evidence if "relu" in item.case] == [False, True]
    assert "a network with kinks misses" in verdict.condition


def test_a_quadrature_that_does_not_settle_leaves_the_average_out_with_the_reason(monkeypatch):
    monkeypatch.setattr("theory.second_derivatives._NODES", (2, 3, 4))
    result = run(PairsConfig(RELU, average_at=(0.5,)))
    assert "average_error" not in result
    assert "still changes by" in result.attrs["left_out"]


def test_both_claims_hold_on_the_small_run_and_say_where_pairs_stop_helping():
    assert judged("T17", computed("pairs")).status == "HOLDS"
    found = judged("T18", computed("pairs"))
    assert found.status == "HOLDS WHEN"
    assert all("p = 0.9" in item.case for item in found.evidence)
    assert "begin to help" in found.condition


def test_errors_over_seeds_widen_the_doubt_of_a_ratio():
    network = Problem("xor", "mlp", hidden=(2,), learning_rate=0.3, steps=10, n_points=4, n_queries=2)
    assert isinstance(network.build(), MLP)
    result = run(PairsConfig(network, n_seeds=3))
    doubts = [item.doubt for item in judged("T18", [result]).evidence]
    expected = stats.t.ppf(0.975, 2) * result.leave_one_out_ratio_error.sel(p=[0.9, 0.95]).values
    assert_close(np.array(doubts), expected, rtol=1e-12)


@pytest.mark.parametrize(("learner", "n", "averaged"), [("logistic", 8, True), ("logistic", 12, False), ("mlp", 6, False)])
def test_users_get_a_case_and_averages_where_they_take_seconds(learner, n, averaged):
    case = all_experiments()["pairs"].user_case(Problem("spector", learner, n_points=n), True)
    assert bool(case.average_at) == averaged
