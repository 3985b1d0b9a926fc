"""Experiments on estimated datamodels: against statsmodels, exact tables and the variances that theory gives."""

import dataclasses

import numpy as np
import pytest
import statsmodels.api as sm
from assertions import assert_close, assert_identical

from sims import datasets
from sims.experiments import all_experiments, estimators
from sims.experiments.estimators import EstimatorsConfig
from sims.experiments.scale_at_size import EVALUATION, PRICES, ScaleAtSizeConfig, second_order_slope
from sims.experiments.shared.experiment import in_memory
from sims.experiments.shared.problem import Problem
from sims.retrain import response_table
from theory.datamodel import optimal_datamodel
from theory.laws import Bernoulli
from theory.response import weight_derivative
from theory.sampling.designs import independent
from theory.sampling.stability import noise_design
from theory.sampling.surrogates import taylor_surrogate
from theory.subsets import all_masks

EXPERIMENTS = all_experiments()
SPECTOR = Problem("spector", "logistic", l2=0.01, n_points=10, n_queries=2)


@pytest.fixture(scope="module")
def table():
    return response_table(SPECTOR.build(), (0,)).mean


@pytest.fixture(scope="module")
def estimates():
    config = EstimatorsConfig(SPECTOR, sizes=(32, 512), designs=60, penalised_designs=5, prices=(2.0, 30.0))
    return EXPERIMENTS["estimators"].run(config)


@pytest.fixture(scope="module")
def scales():
    return EXPERIMENTS["scale_at_size"].run(ScaleAtSizeConfig(SPECTOR, probabilities=(0.5, 0.9), draws=2000))


def drawn(table, p, m, seed):
    masks = independent(Bernoulli(p), n_subsets=m, n_points=10, seed=seed).masks
    return masks, table[(masks @ 2 ** np.arange(10)).astype(int)]


def least_squares(masks, responses, weights=None):
    """Coefficients of statsmodels, weighted by the probability of each row where given."""
    weights = np.ones(len(masks)) if weights is None else weights
    return np.stack([sm.WLS(y, sm.add_constant(masks), weights=weights).fit().params[1:] for y in responses.T], axis=1)


@pytest.mark.parametrize("p", [0.5, 0.9])
def test_errors_of_least_squares_are_those_of_statsmodels_on_looked_up_responses(table, p):
    config = EstimatorsConfig(SPECTOR, probabilities=(p,), sizes=(160,), designs=2, penalised_designs=2)
    result = EXPERIMENTS["estimators"].run(config).measured.sel(p=p, estimator="OLS", m=160)
    everything = all_masks(10)
    beta = least_squares(everything, table, np.prod(np.where(everything > 0.0, p, 1.0 - p), axis=1))
    found = [least_squares(*drawn(table, p, 160, seed)) for seed in (0, 1)]
    expected = np.mean([np.linalg.norm(b - beta) for b in found]) / np.linalg.norm(beta)
    assert_close(result.sel(quality="relative_error"), expected, rtol=1e-9)
    assert_close(result.sel(quality="slope"), np.mean([(b * beta).sum() for b in found]) / (beta**2).sum(), rtol=1e-9)


def characters():
    """Products of signs over every set of points, (sets, subsets), and the sizes of the sets."""
    signs, sets = 2.0 * all_masks(10) - 1.0, all_masks(10) > 0.0
    return np.array([signs[:, chosen].prod(axis=1) for chosen in sets]), sets.sum(axis=1)


def test_errors_at_one_half_have_the_variances_of_theory(table, estimates):
    """Per coefficient and output, m times the variance: 4 B_{>=2} of OLS, 4 (Var F - Fhat_i^2) of the difference of means, and
    8 (B_3 + B_5 + ..) of complements (T8). Up to terms of relative order N/m.
    """
    phi, degree = characters()
    mass = (phi @ table / 1024.0) ** 2
    beta = optimal_datamodel(table).coefficients
    odd = (degree % 2 == 1) & (degree > 1)
    variance = {
        "OLS": 40.0 * mass[degree >= 2].sum(),
        "difference of means": 40.0 * mass[degree >= 1].sum() - 4.0 * mass[degree == 1].sum(),
        "antithetic pairs": 80.0 * mass[odd].sum(),
        "fold-over": 80.0 * mass[odd].sum(),
    }
    half = {"p": 0.5, "m": 512, "quality": "relative_error"}
    for name, per_row in variance.items():
        expected = np.sqrt(per_row / 512) / np.linalg.norm(beta)
        measured, error = (float(v.sel(estimator=name, **half)) for v in (estimates.measured, estimates.measured_error))
        assert abs(measured - expected) < 4.0 * error + 20 / 512 * expected, name
    assert variance["difference of means"] > 3.0 * variance["OLS"] > 6.0 * variance["fold-over"]  # and they do differ


def test_intervals_of_independent_draws_and_of_groups_cover_as_often_as_they_say(estimates):
    at = {"p": 0.5, "m": 512, "quality": "coverage"}
    for name in ("OLS", "difference of means", "control variate", "antithetic pairs", "fold-over"):
        covered, error = (float(v.sel(estimator=name, **at)) for v in (estimates.measured, estimates.measured_error))
        assert abs(covered - 0.95) < 4.0 * error, name


def test_what_does_not_exist_is_undefined_and_nothing_else(estimates):
    undefined = np.isnan(estimates.measured)
    error = undefined.sel(quality="relative_error")
    complements = ["antithetic pairs", "fold-over"]
    assert error.sel(p=0.9, estimator=complements).all()
    assert error.sel(p=0.9, m=32).all()  # three subsets without a point
    assert bool(error.sel(p=0.5, m=32, estimator="antithetic pairs"))
    assert int(error.sel(p=0.5).sum()) == 1
    assert int(error.sel(p=0.9, m=512).sum()) == 2
    coverage = undefined.sel(quality="coverage", p=0.5)
    assert coverage.sel(estimator=["ridge", "LASSO"]).all()
    assert not coverage.sel(estimator="fold-over").any()  # its pairs are groups: one replicate has errors too


def test_more_points_than_sixteen_have_a_larger_fold_over_design():
    problem = Problem("spector", "logistic", l2=0.1, n_points=18, n_queries=1)
    config = EstimatorsConfig(problem, probabilities=(0.5,), sizes=(32, 64), designs=2, penalised_designs=2)
    error = EXPERIMENTS["estimators"].run(config).measured.sel(p=0.5, quality="relative_error")
    assert_identical(np.isnan(error.sel(estimator="fold-over")), [True, False])
    assert_identical(np.isnan(error.sel(estimator="OLS")), [True, False])


def test_the_surrogate_is_paid_for(estimates):
    assert_identical(estimates.surrogate_cost, np.full(2, 1.0 + 2.0 + 30.0))


def test_the_residual_is_found_without_bias_by_both_ways_and_with_less_error_by_least_squares(estimates):
    at = {"p": 0.5, "m": 512}
    for name in ("noise stability", "OLS"):
        found, error = (
            float(v.sel(residual_estimator=name, quality="slope", **at)) for v in (estimates.residual, estimates.residual_error)
        )
        assert abs(found - 1.0) < 4.0 * error, name
    error = estimates.residual.sel(quality="relative_error", **at)
    assert error.sel(residual_estimator="OLS") < 0.5 * error.sel(residual_estimator="noise stability")
    assert float(estimates.residual.sel(residual_estimator="noise stability", quality="coverage", **at)) > 0.9


def test_noise_stability_has_as_many_retrainings_as_least_squares(monkeypatch):
    used = []

    def recorded(*arguments, **options):
        design = noise_design(*arguments, **options)
        used.append(len(design.masks))
        return design

    monkeypatch.setattr(estimators, "noise_design", recorded)
    config = EstimatorsConfig(SPECTOR, probabilities=(0.5,), sizes=(32, 64), designs=2, penalised_designs=2)
    EXPERIMENTS["estimators"].run(config)
    assert used == [32, 32, 64, 64]


def test_additive_responses_are_found_exactly_by_least_squares_and_not_by_differences_of_means():
    config = EstimatorsConfig(Problem("two_moons", "kernel_sum", n_points=8), probabilities=(0.5,), sizes=(64,), designs=2)
    error = EXPERIMENTS["estimators"].run(config).measured.sel(p=0.5, m=64, quality="relative_error")
    assert float(error.sel(estimator=["OLS", "control variate", "antithetic pairs", "fold-over"]).max()) < 1e-12
    assert float(error.sel(estimator="difference of means")) > 0.1


@pytest.mark.parametrize("p", [0.5, 0.9])
def test_slopes_gain_and_errors_are_those_of_statsmodels(table, scales, p):
    learner, (masks, responses) = SPECTOR.build(), drawn(table, p, 2000, 0)
    surrogate, ones = taylor_surrogate(learner, p, (0,)), np.ones(10)
    known = surrogate.datamodel(Bernoulli(p))[1]
    squares = np.empty((2, 2))
    for k, (name, y, plus) in enumerate(
        [("OLS", responses, 0.0 * known), ("control variate", responses - surrogate(masks), known)]
    ):
        found = scales.sel(p=p, estimator=name)
        for output in (0, 1):
            fit = sm.OLS(y[:, output], sm.add_constant(masks)).fit(cov_type="HC3")
            squares[k, output] = (fit.bse[1:] ** 2).sum()
            for suffix, weights in (("", ones), ("_at_mean", p * ones)):
                d = weight_derivative(learner, weights, (0,))[:, output]
                test = fit.t_test(np.concatenate([[0.0], d / (d @ d)]))
                slope = test.effect.item() + plus[:, output] @ d / (d @ d)
                assert_close(found[f"slope{suffix}"][output], slope, rtol=1e-9, call=name)
                assert_close(found[f"standard_error{suffix}"][output], test.sd.item(), rtol=1e-9, call=name)
    cost = 1.0 + EVALUATION + (1.0 + PRICES.jacobian + PRICES.hessian) / 2000
    assert_close(scales.gain.sel(p=p), squares[0] / squares[1] / cost, rtol=1e-9)


@pytest.mark.parametrize("estimator", ["OLS", "control variate"])
def test_sampled_slopes_and_what_they_leave_are_those_of_the_exact_table(table, scales, estimator):
    learner = SPECTOR.build()
    for p in (0.5, 0.9):
        beta, d = optimal_datamodel(table, Bernoulli(p)).coefficients, weight_derivative(learner, np.full(10, p), (0,))
        slope, found = (beta * d).sum(axis=0) / (d**2).sum(axis=0), scales.sel(p=p, estimator=estimator)
        assert (np.abs(found.slope_at_mean - slope) < 4.0 * found.standard_error_at_mean).all()
        left = ((beta - slope * d) ** 2).sum(axis=0) / (beta**2).sum(axis=0)
        assert (np.abs(found.unexplained - left) < 4.0 * found.unexplained_error).all()
        assert (np.abs(found.slope_at_mean - 1.0) > 4.0 * found.standard_error_at_mean).any()  # N = 10 is not large


def test_the_derivative_at_p_is_that_at_one_with_the_penalty_over_p(scales):
    assert float(scales.rescaling_error.max()) < 1e-9


@pytest.mark.parametrize("p", [0.25, 0.5, 0.9])
def test_the_second_order_of_one_point_ridge_has_a_closed_form(p):
    """F(w) = w / (w + 1): derivatives 1 / (1 + p)^2, -2 / (1 + p)^3 and 6 / (1 + p)^4 at p."""
    learner = Problem("one_point", "least_squares", l2=1.0).build()
    c = 1.0 + p
    expected = 1.0 + ((0.5 - p) * -2.0 / c**3 + 0.5 * p * (1.0 - p) * 6.0 / c**4) * c**2
    errors = [
        abs(second_order_slope(learner, taylor_surrogate(learner, p, (0,)), p, step=step)[0] - expected) for step in (0.1, 0.05)
    ]
    assert errors[1] < 0.01
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.05)


def test_what_the_law_leaves_falls_as_one_over_n_and_second_derivatives_predict_it():
    left = []
    for n in (150, 600):
        problem = Problem("fair", "logistic", l2=1e-3, n_points=n, n_queries=3)
        result = EXPERIMENTS["scale_at_size"].run(ScaleAtSizeConfig(problem, probabilities=(0.9,), draws=2000))
        excess = result.slope_at_mean.sel(p=0.9, estimator="control variate") - 1.0
        predicted = result.second_order.sel(p=0.9) - 1.0
        assert float(np.abs(excess - predicted).max()) < 0.3 * float(excess.min())
        left.append(float(excess.mean()))
    assert 0.6 < np.log(left[0] / left[1]) / np.log(4.0) < 1.4
    assert left[1] > 0.01


def test_every_p_has_a_table_of_its_own_that_a_store_can_keep():
    parts = []

    def recorded(learner, seeds, *, part="", weights=None):
        parts.append((part, weights.shape, round(float(weights.mean()), 1)))
        return in_memory(learner, seeds, part=part, weights=weights)

    EXPERIMENTS["scale_at_size"].run(ScaleAtSizeConfig(SPECTOR, probabilities=(0.5, 0.9), draws=500), retrain=recorded)
    assert parts == [("p0.5", (500, 10), 0.5), ("p0.9", (500, 10), 0.9)]


def test_a_learner_without_second_weight_derivatives_is_refused_by_name():
    problem = Problem("two_moons", "mlp", hidden=(2,), steps=5, n_points=6)
    with pytest.raises(TypeError, match=r"mlp .* has no weight_hessian"):
        EXPERIMENTS["scale_at_size"].run(ScaleAtSizeConfig(problem))


def test_an_output_that_depends_on_no_point_is_refused_by_name():
    """One column and a query at 0."""
    problem = Problem("constant_output", "least_squares", l2=0.1)
    data = datasets.by_name("noisy_line", 8)
    made_up = dataclasses.replace(data, X=data.X, X_query=np.zeros((2, data.X.shape[1])))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets, "by_name", lambda *_: made_up)
        with pytest.raises(ValueError, match=r"output 0 of .* depends on no training point: there is no slope on D"):
            EXPERIMENTS["scale_at_size"].run(ScaleAtSizeConfig(problem, draws=100))
