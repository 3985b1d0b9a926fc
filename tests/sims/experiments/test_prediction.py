"""Experiments on predicting other training sets: against laws, scipy by hand, and enumeration."""

from dataclasses import replace

import numpy as np
import pytest
from assertions import assert_close, assert_identical
from scipy import stats

from sims.experiments import all_experiments, spectrum
from sims.experiments.counterfactual import CounterfactualConfig
from sims.experiments.group_removal import GroupRemovalConfig
from sims.experiments.lds import LdsConfig
from sims.experiments.seeds import SeedsConfig
from sims.experiments.shared.cases import Job, run_cases
from sims.experiments.shared.problem import Problem
from sims.experiments.spectrum import SpectrumConfig
from sims.retrain import response_table, tables
from theory.datamodel import optimal_datamodel
from theory.subsets import all_masks

EXPERIMENTS = all_experiments()
RIDGE = Problem("longley", "least_squares", l2=0.1, n_points=8)
NETWORK = Problem("xor", "mlp", hidden=(3,), l2=0.05, learning_rate=0.5, steps=20, n_points=5)


def test_the_share_of_degree_one_is_the_r_squared_of_the_datamodel():
    result = EXPERIMENTS["spectrum"].run(SpectrumConfig(RIDGE))
    table = response_table(RIDGE.build(), (0,)).mean
    model = optimal_datamodel(table)
    pooled = 1.0 - model.residual_variance.sum() / table.var(axis=0).sum()
    assert_close(result.r_squared.sel(p=0.5), pooled, rtol=1e-10, call="R^2 by Parseval and by residuals")
    assert_close(result.share.sum("degree"), np.ones(4), rtol=1e-12, call="shares")
    predicted = model.predict(all_masks(8))
    by_hand = np.mean([stats.spearmanr(p, a).statistic for p, a in zip(predicted.T, table.T, strict=True)])
    assert_close(result.lds.sel(p=0.5), by_hand, rtol=1e-12, call="LDS")


def test_a_kernel_sum_has_degree_one_only():
    result = EXPERIMENTS["spectrum"].run(SpectrumConfig(Problem("two_moons", "kernel_sum", n_points=6)))
    assert result.share.sel(degree=slice(2, None)).max() < 1e-28
    assert_close(result.lds, np.ones(4), rtol=1e-12, call="LDS of a perfect prediction, ties up to rounding included")


def test_one_seed_against_itself_is_the_spectrum_of_that_seed_and_others_are_never_easier_on_average():
    result = EXPERIMENTS["seeds"].run(SeedsConfig(NETWORK, n_seeds=8, averaged=(1, 4)))
    error = result.prediction.sel(estimate="beta", target="all subsets", quality="relative_error")
    samples = response_table(NETWORK.build(), range(8)).samples
    expected = np.mean([_relative_residual(table) for table in samples])
    assert_close(error.sel(averaged=1, pairing="same seeds"), expected, rtol=1e-10, call="residual of single seeds")
    assert (error.sel(pairing="other seeds") >= error.sel(pairing="same seeds")).all()
    assert error.sel(averaged=4, pairing="other seeds") < error.sel(averaged=1, pairing="other seeds")
    assert result.noise[1] < result.noise[0]


def _relative_residual(table):
    residual = table - optimal_datamodel(table).predict(all_masks(5))
    return np.linalg.norm(residual) / np.linalg.norm(table - table.mean(axis=0))


def test_groups_of_seeds_that_predict_each_other_are_one_observation():
    """The standard error of the mean over 4 pairs, by scipy; over 8 groups it would be taken for up to sqrt(2) times less."""
    result = EXPERIMENTS["seeds"].run(SeedsConfig(NETWORK, n_seeds=8, averaged=(1, 2, 4)))
    stated = result.prediction_error.sel(estimate="beta", target="all subsets", quality="relative_error")
    samples = response_table(NETWORK.build(), range(8)).samples
    errors = [[_transferred(samples[a], samples[b]) for a, b in ((g, g + 4), (g + 4, g))] for g in range(4)]
    assert_close(stated.sel(averaged=1, pairing="other seeds"), stats.sem(np.mean(errors, axis=1)), rtol=1e-9, call="pairs")
    alone = [_relative_residual(table) for table in samples]
    assert_close(stated.sel(averaged=1, pairing="same seeds"), stats.sem(alone), rtol=1e-9, call="seeds")
    assert np.isnan(stated.sel(averaged=4, pairing="other seeds"))  # one pair has no spread
    assert np.isfinite(stated.sel(averaged=4, pairing="same seeds"))


def _transferred(fitted, predicted):
    """Relative error of the datamodel of one table on another, intercepts aside."""
    left = predicted - all_masks(5) @ optimal_datamodel(fitted).coefficients
    return np.linalg.norm(left - left.mean(axis=0)) / np.linalg.norm(predicted - predicted.mean(axis=0))


def test_numbers_of_seeds_that_do_not_divide_half_of_them_are_refused():
    with pytest.raises(ValueError, match=r"averaged = \(1, 3\), expected divisors of 4, half of the 8 seeds"):
        EXPERIMENTS["seeds"].run(SeedsConfig(NETWORK, n_seeds=8, averaged=(1, 3)))


def test_exact_counterfactuals_are_those_of_group_removal():
    one = EXPERIMENTS["counterfactual"].run(CounterfactualConfig(RIDGE, removed=tuple(range(1, 8))))
    other = EXPERIMENTS["group_removal"].run(GroupRemovalConfig(RIDGE))
    names = {
        "beta (p = 0.5)": "beta, summed",
        "beta (p = 0.9)": "beta (p = 0.9), summed",
        "influence": "influence, summed",
        "D(1)": "D(1), summed",
    }
    for mine, theirs in names.items():
        for measure in ("relative_error", "slope", "lds"):
            assert_close(
                one.prediction.sel(estimate=mine, quality=measure),
                other.measured.sel(estimate=theirs, measure=measure),
                rtol=1e-9,
                call=f"{measure} of {mine}",
            )
    assert one.prediction.sel(estimate="Newton step", quality="relative_error").max() < 1e-9  # ridge
    assert one.prediction_error.isnull().all()


def test_sampled_counterfactuals_agree_with_exact_ones_within_their_errors():
    problem = Problem("spector", "logistic", l2=0.1, n_points=10)
    removed = (1, 5, 9)
    exact = EXPERIMENTS["counterfactual"].run(CounterfactualConfig(problem, removed=removed))
    drawn = EXPERIMENTS["counterfactual"].run(CounterfactualConfig(problem, removed=removed, retrainings=1000, groups=200))
    assert drawn.groups.values.tolist() == [200] * 3
    for name in ("D(1)", "influence", "LOO", "beta (p = 0.5)", "beta (p = 0.9)"):
        gap = np.abs(drawn.prediction - exact.prediction).sel(estimate=name, quality="slope")
        assert (gap <= 4.0 * drawn.prediction_error.sel(estimate=name, quality="slope") + 0.02).all(), name
    assert float(drawn.prediction.sel(estimate="LOO", removed=1, quality="relative_error")) < 1e-9
    assert_close(drawn.prediction.sel(estimate="LOO", removed=1, quality="lds"), 1.0, rtol=1e-12, call="groups drawn repeatedly")


def _spearman(predicted, actual):
    """Mean over outputs, by scipy; to 12 decimals, so that a subset that was drawn twice is tied with itself."""
    return np.mean([stats.spearmanr(p, a).statistic for p, a in zip(predicted.round(12).T, actual.round(12).T, strict=True)])


def test_lds_of_fresh_subsets_is_spearman_by_hand_and_many_retrainings_are_the_exact_datamodel():
    problem = Problem("spector", "logistic", l2=0.1, n_points=8)
    retrained = {}

    def retrain(learner, seeds, *, part="", weights=None):
        retrained[part] = (weights, response_table(learner, seeds, weights=weights))
        return retrained[part][1]

    result = EXPERIMENTS["lds"].run(LdsConfig(problem, (6, 4000), n_subsets=100, n_designs=1), retrain=retrain)
    masks, responses = retrained["fresh p = 0.5"]
    learner = problem.build()
    table = response_table(learner, (0,)).mean
    loo = table[-1] - table[255 - 2 ** np.arange(8)]
    by_hand = _spearman(masks @ loo, responses.mean)
    assert_close(result.score.sel(target="p = 0.5", estimate="LOO", quality="lds"), by_hand, rtol=1e-10, call="LDS of LOO")
    beta = optimal_datamodel(table).coefficients
    exact = _spearman(masks @ beta, responses.mean)
    found = result.datamodel.sel(target="p = 0.5", quality="lds", p=0.5)
    assert np.isnan(found[0])  # six subsets for nine coefficients
    assert abs(float(found[1]) - exact) < 0.01
    few = retrained["fresh 1 to 3 removed"][0]
    assert set(np.unique(8 - few.sum(axis=1))) == {1.0, 2.0, 3.0}
    assert (few == 0.0).any(axis=0).all()  # any point
    assert result.score.sel(estimate="SOURCE").isnull().all()  # nothing to follow: solved exactly


def test_lds_leaves_out_the_scores_that_a_case_says_and_changes_no_other():
    config = LdsConfig(NETWORK, (60,), n_subsets=10, n_designs=2)
    left = ("Newton step", "damped |H|", "TracIn", "gradient dot product", "SOURCE")
    whole, part = (EXPERIMENTS["lds"].run(replace(config, without=names)) for names in ((), left))
    assert not whole.score.isnull().any()
    assert part.score.sel(estimate=list(left)).isnull().all()
    kept = [name for name in whole.estimate.values if name not in left]
    assert_identical(part.score.sel(estimate=kept), whole.score.sel(estimate=kept), call="scores")
    assert_identical(part.datamodel, whole.datamodel, call="datamodels")
    one = EXPERIMENTS["lds"].run(replace(config, without=left[-1:]))  # training is followed, for the others
    assert list(one.estimate[one.score.isnull().all(["target", "quality"])].values) == ["SOURCE"]
    with pytest.raises(ValueError, match=r"without has \['LOO'\], expected names from exact H, "):
        replace(config, without=("LOO",))


def test_a_response_that_does_not_vary_has_no_spectrum():
    """Queries at the origin: a linear model without intercept answers 0 whatever it is trained on."""
    table = np.zeros((8, 2))
    assert np.isnan(spectrum._shares(table, 0.5)).all()
    table[3, 1] = 1.0
    assert_close(spectrum._shares(table, 0.5).sum(), 1.0, rtol=1e-12)


def test_fewer_points_leave_out_the_groups_that_no_longer_exist():
    sampled = CounterfactualConfig(RIDGE, removed=(1, 4, 20), retrainings=600)
    resize = EXPERIMENTS["counterfactual"].resize
    assert resize(sampled, 6).removed == (1, 4)
    assert resize(sampled, 40).removed == (1, 4, 20)
    with pytest.raises(ValueError, match="n_points = 1, expected at least 2: a point is removed and one is left"):
        resize(sampled, 1)


def test_sampled_runs_have_the_same_bits_whatever_the_workers_and_read_what_is_stored(tmp_path, monkeypatch):
    problem = Problem("fair", "logistic", l2=0.1, n_points=30, n_queries=2)
    jobs = [Job("counterfactual", CounterfactualConfig(problem, removed=(1, 10), retrainings=200, groups=20))]
    alone, together = (run_cases(jobs, out=tmp_path / str(k), executor=k, quiet=True)["counterfactual"][0] for k in (1, 2))
    assert alone.identical(together)

    def refuse(*_):
        raise AssertionError("retrained although the tables are stored")

    monkeypatch.setattr(tables, "_compute", refuse)
    assert run_cases(jobs, out=tmp_path / "1", executor=1, quiet=True)["counterfactual"][0].identical(alone)
