"""Datamodels fitted to samples, against statsmodels, scipy, scikit-learn, refits without a group, and exact tables."""

import math
import re

import numpy as np
import pytest
import statsmodels.api as sm
import strategies
from assertions import assert_close, assert_identical
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.linear_model import Lasso, Ridge

from sims.learners import Logistic
from sims.retrain import response_table
from theory.datamodel import SampledDatamodel, fit_sampled, optimal_datamodel
from theory.laws import Bernoulli, FixedSize, Poisson
from theory.sampling import penalised, regression
from theory.sampling.designs import antithetic, fold_over, independent
from theory.sampling.fit import METHODS
from theory.subsets import all_masks, sizes


def count(table):
    return len(table).bit_length() - 1


def rows_of(table, masks):
    """Responses of 0/1 rows, looked up in a table over all subsets."""
    return table[(masks @ 2 ** np.arange(count(table))).astype(int)]


def sample(seed, n_subsets=60, n_points=5, p=0.4, n_outputs=2):
    rng = np.random.default_rng(seed)
    table = rng.standard_normal((2**n_points, n_outputs))
    masks = Bernoulli(p).draw(n_subsets=n_subsets, n_points=n_points, rng=rng)
    return masks, rows_of(table, masks)


def theirs(masks, responses, **options):
    return [sm.OLS(y, sm.add_constant(masks)).fit(use_t=True, **options) for y in responses.T]


def logistic_table(n_points=8, l2=1e-2, seed=1):
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal((n_points, 2)), np.arange(n_points) % 2
    X[:, 0] = 1.0
    return response_table(Logistic(X, y, X[:2], l2=l2), [0]).mean


# --- all subsets: nothing is sampled --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["ols", "difference_of_means"])
@given(table=strategies.tables(min_points=2))
def test_a_fit_to_all_subsets_is_the_exact_datamodel(method, table):
    exact, fitted = optimal_datamodel(table), fit_sampled(all_masks(count(table)), table, method)
    scale = np.abs(table).max()
    assert_close(fitted.coefficients, exact.coefficients, atol=1e-10 * scale, call=method)
    assert_close(fitted.intercept, exact.intercept, atol=1e-10 * scale, call=method)
    assert_close(fitted.predict(all_masks(count(table))), exact.predict(all_masks(count(table))), atol=1e-10 * scale)


@given(table=strategies.tables(min_points=2), p=strategies.PROBABILITIES)
def test_all_subsets_weighted_by_their_probability_give_the_exact_datamodel_of_any_p(table, p):
    n = count(table)
    exact = optimal_datamodel(table, Bernoulli(p))
    fitted = fit_sampled(all_masks(n), table, row_weights=p ** sizes(n) * (1.0 - p) ** (n - sizes(n)))
    scale = np.abs(table).max() / min(p, 1.0 - p)
    assert_close(fitted.coefficients, exact.coefficients, atol=1e-10 * scale)
    assert_close(fitted.intercept, exact.intercept, atol=1e-10 * scale)


@pytest.mark.parametrize("method", ["ols", "difference_of_means"])
@given(table=strategies.tables(min_points=3), data=st.data())
def test_all_subsets_of_one_size_give_its_exact_datamodel(method, table, data):
    """T7: the representative whose coefficients sum to 0, by both methods."""
    n = count(table)
    law = FixedSize(data.draw(st.integers(1, n - 1), label="k"))
    chosen, scale = sizes(n) == law.k, np.abs(table).max()
    exact, fitted = optimal_datamodel(table, law), fit_sampled(all_masks(n)[chosen], table[chosen], method, law=law)
    assert fitted.law == law
    assert_close(fitted.coefficients, exact.coefficients, atol=1e-10 * scale)
    assert_close(fitted.intercept, exact.intercept, atol=1e-10 * scale)
    assert_close(fitted.coefficients.sum(axis=0), np.zeros(table.shape[1]), atol=1e-10 * scale)


# --- least squares against statsmodels ------------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(strategies.SEEDS, st.integers(12, 80))
def test_ols_and_hc3_are_those_of_statsmodels(seed, n_subsets):
    masks, responses = sample(seed, n_subsets + 20)
    fitted, fits = fit_sampled(masks, responses), theirs(masks, responses, cov_type="HC3")
    assert_close(fitted.coefficients, np.transpose([fit.params[1:] for fit in fits]), rtol=1e-11)
    assert_close(fitted.intercept, [fit.params[0] for fit in fits], atol=1e-11)
    assert_close(fitted.standard_errors, np.transpose([fit.bse[1:] for fit in fits]), rtol=1e-10)
    assert_close(fitted.residual_variance, [fit.mse_resid for fit in fits], rtol=1e-11)
    assert_close(fitted.r_squared, [fit.rsquared_adj for fit in fits], atol=1e-11)
    assert fitted.error_kind == "HC3"


def test_intervals_are_students_with_the_degrees_of_freedom_of_statsmodels_where_presence_is_balanced():
    design = fold_over(n_replicates=4, n_points=5, seed=0)
    responses = np.random.default_rng(0).standard_normal((len(design.masks), 2))
    low, high = fit_sampled(design.masks, responses).confidence_interval(0.9)
    for m, fit in enumerate(theirs(design.masks, responses, cov_type="HC3")):
        assert_close(np.c_[low[:, m], high[:, m]], fit.conf_int(0.1)[1:], rtol=1e-10)


def test_degrees_of_freedom_are_welchs_for_equal_spread():
    """One point, so that nothing is lost to others: scipy's Welch df of two samples that have the same variance exactly."""
    masks = np.repeat([0.0, 1.0], [9, 30])[:, None]
    absent, present = stats.norm.ppf(np.arange(1, 10) / 10), stats.norm.ppf(np.arange(1, 31) / 31)
    responses = np.concatenate([absent / absent.std(ddof=1), 5.0 + present / present.std(ddof=1)])
    expected = stats.ttest_ind(responses[9:], responses[:9], equal_var=False).df
    assert fit_sampled(masks, responses[:, None]).degrees_of_freedom == pytest.approx([expected], rel=1e-12)


def test_row_weights_are_those_of_weighted_least_squares():
    masks, responses = sample(0)
    omega = np.random.default_rng(1).uniform(0.2, 3.0, len(masks))
    fitted = fit_sampled(masks, responses, row_weights=omega)
    for m, y in enumerate(responses.T):
        fit = sm.WLS(y, sm.add_constant(masks), weights=omega).fit(cov_type="HC3")
        assert_close(fitted.coefficients[:, m], fit.params[1:], rtol=1e-11)
        assert_close(fitted.standard_errors[:, m], fit.bse[1:], rtol=1e-10)


def test_contrasts_and_their_errors_are_those_of_statsmodels():
    masks, responses = sample(0)
    directions = np.array([[1.0, -1.0, 0.0, 0.0, 0.0], [0.5, 0.5, 2.0, 0.0, 1.0]])
    values, errors = fit_sampled(masks, responses, keep_covariance=True).contrasts(directions)
    for m, fit in enumerate(theirs(masks, responses, cov_type="HC3")):
        test = fit.t_test(np.c_[np.zeros(2), directions])
        assert_close(values[:, m], test.effect, rtol=1e-10)
        assert_close(errors[:, m], test.sd.ravel(), rtol=1e-10)


def test_swaps_on_subsets_of_one_size_are_those_of_a_fit_without_one_of_the_points():
    """T7: leaving the last point out makes the design regular, and only moves the free constant."""
    rng = np.random.default_rng(0)
    masks = FixedSize(3).draw(n_subsets=80, n_points=6, rng=rng)
    responses = rows_of(rng.standard_normal((64, 1)), masks)
    swaps = np.eye(6)[:5] - np.eye(6)[5]
    fitted = fit_sampled(masks, responses, law=FixedSize(3), keep_covariance=True)
    values, errors = fitted.contrasts(swaps)
    fit = sm.OLS(responses[:, 0], sm.add_constant(masks[:, :5])).fit(cov_type="HC3")
    assert_close(values[:, 0], fit.params[1:], rtol=1e-10)
    assert_close(errors[:, 0], fit.bse[1:], rtol=1e-10)
    assert_close(fitted.predict(masks)[:, 0], fit.fittedvalues, rtol=1e-11)
    assert_close(np.sqrt(np.diagonal(fitted.covariance[0])), fitted.standard_errors[:, 0], rtol=1e-12)
    with pytest.raises(ValueError, match="does not sum to 0: on subsets of size 3 only differences"):
        fitted.contrasts(np.eye(6)[:1])


@pytest.mark.parametrize("law", [Bernoulli(0.5), FixedSize(3)], ids=repr)
@given(seed=strategies.SEEDS)
@settings(max_examples=15)
def test_errors_of_groups_are_the_jackknife_over_refits_without_each_of_them(law, seed):
    rng = np.random.default_rng(seed)
    masks, groups = (
        law.draw(n_subsets=72, n_points=6, rng=rng),
        rng.permutation(np.repeat(np.arange(18), [1, 2, 3, 4, 5, 6] + 11 * [4] + [7])),
    )
    responses = rng.standard_normal((72, 2)) + groups[:, None] % 3

    def beta(kept):  # minimum norm about the means: the sum-0 representative where one size leaves it free
        x, y = masks[kept] - masks[kept].mean(axis=0), responses[kept] - responses[kept].mean(axis=0)
        return np.linalg.lstsq(x, y, rcond=1e-10)[0]

    without = np.array([beta(groups != g) for g in range(18)])
    expected = np.sqrt(17 / 18 * np.square(without - beta(groups >= 0)).sum(axis=0))
    fitted = fit_sampled(masks, responses, law=law, groups=groups)
    assert_close(fitted.standard_errors, expected, rtol=1e-9)
    assert fitted.error_kind == "jackknife over 18 groups"


def test_hc2_is_that_of_statsmodels():
    masks, responses = sample(2)
    fitted = fit_sampled(masks, responses, errors="hc2")
    fits = theirs(masks, responses, cov_type="HC2")
    assert_close(fitted.standard_errors, np.transpose([fit.bse[1:] for fit in fits]), rtol=1e-10)
    assert fitted.error_kind == "HC2"


def test_cr2_of_pairs_is_unbiased_for_independent_residuals_of_one_variance():
    """Bell & McCaffrey 2002: over normal responses its mean square is the variance of beta, which OLS theory gives exactly."""
    design = antithetic(Bernoulli(0.5), n_subsets=40, n_points=6, seed=0)
    responses = np.random.default_rng(0).standard_normal((40, 4000))
    squares = fit_sampled(design.masks, responses, groups=design.groups, errors="hc2").standard_errors ** 2
    exact = np.diagonal(np.linalg.inv(sm.add_constant(design.masks).T @ sm.add_constant(design.masks)))[1:]
    assert_close(squares.mean(axis=1), exact, rtol=5.0 * (squares.std(axis=1) / math.sqrt(4000) / exact).max())


def test_single_rows_as_groups_are_independent_rows():
    masks, responses = sample(3)
    alone = fit_sampled(masks, responses, groups=np.arange(len(masks))[::-1])
    assert_identical(alone.standard_errors, fit_sampled(masks, responses).standard_errors)


@pytest.mark.parametrize(
    ("design", "expected"),
    [
        (antithetic(Bernoulli(0.5), n_subsets=40, n_points=6, seed=0), 14.0),
        (antithetic(FixedSize(3), n_subsets=40, n_points=6, seed=0), 15.0),
        (fold_over(n_replicates=5, n_points=6, seed=0), 34.0),
    ],
    ids=["pairs", "pairs of one size", "fold-over"],
)
def test_degrees_of_freedom_count_what_independent_groups_say_about_each_coefficient(design, expected):
    responses = np.random.default_rng(0).standard_normal((len(design.masks), 1))
    fitted = fit_sampled(design.masks, responses, law=design.law, groups=design.groups)
    assert_close(fitted.degrees_of_freedom, np.full(6, expected))


def test_rows_far_from_zero_keep_their_digits():
    masks, responses = sample(4)
    shifted = fit_sampled(masks, responses + 1e6)
    plain = fit_sampled(masks, (responses + 1e6) - 1e6)
    assert_close(shifted.coefficients, plain.coefficients, rtol=1e-9)
    assert_close(shifted.standard_errors, plain.standard_errors, rtol=1e-9)


# --- coverage -------------------------------------------------------------------------------------------------------------------


def coverage(table, law, designs, *, grouped=True, **options):
    """Share of 95% intervals that hold the exact beta, over all coefficients of all designs, and how many there were."""
    beta, hits = optimal_datamodel(table, law).coefficients, []
    for design in designs:
        groups = design.groups if grouped else None
        fitted = fit_sampled(design.masks, rows_of(table, design.masks), law=law, groups=groups, **options)
        low, high = fitted.confidence_interval()
        hits.append((low <= beta) & (beta <= high))
    return np.mean(hits), np.size(hits)


DRAWS = range(130)


@pytest.mark.parametrize("method", ["ols", "difference_of_means"])
@pytest.mark.parametrize("law", [Bernoulli(0.5), Bernoulli(0.3), FixedSize(4)], ids=repr)
def test_intervals_from_independent_draws_cover_the_exact_beta(law, method):
    share, n = coverage(
        logistic_table(), law, (independent(law, n_subsets=160, n_points=8, seed=seed) for seed in DRAWS), method=method
    )
    assert n >= 2000
    assert 0.93 <= share <= 0.97


def test_with_few_subsets_per_point_hc3_errs_to_the_safe_side_and_hc2_does_not():
    """m = 2.4 N: HC3's variances are too large by about m / (m - N)."""
    table = logistic_table(10)
    designs = [independent(Bernoulli(0.5), n_subsets=24, n_points=10, seed=seed) for seed in range(200)]
    designs = [d for d in designs if np.linalg.matrix_rank(sm.add_constant(d.masks)) == 11]
    safe, n = coverage(table, Bernoulli(0.5), designs)
    near, _ = coverage(table, Bernoulli(0.5), designs, errors="hc2")
    assert n >= 2000
    assert safe > 0.97
    assert 0.93 <= near <= 0.97


@pytest.mark.parametrize("law", [Bernoulli(0.5), FixedSize(4)], ids=repr)
def test_pairs_of_complements_break_hc3_and_groups_mend_it(law):
    designs = [antithetic(law, n_subsets=160, n_points=8, seed=seed) for seed in DRAWS]
    broken, _ = coverage(logistic_table(), law, designs, grouped=False)
    mended, n = coverage(logistic_table(), law, designs)
    assert n >= 2000
    assert broken > 0.99
    assert 0.93 <= mended <= 0.97


def test_pairs_break_hc3_the_other_way_where_the_residual_is_odd():
    """F of degree 1 and 3 only: both rows of a pair say the same, and HC3 counts them twice."""
    rng = np.random.default_rng(0)
    signs = 2.0 * all_masks(6) - 1.0
    table = np.stack([signs @ rng.standard_normal(6) + signs[:, :4].prod(axis=1) * signs[:, 4] for _ in range(4)], axis=1)
    designs = [antithetic(Bernoulli(0.5), n_subsets=80, n_points=6, seed=seed) for seed in DRAWS]
    broken, _ = coverage(table, Bernoulli(0.5), designs, grouped=False)
    mended, n = coverage(table, Bernoulli(0.5), designs)
    assert n >= 2000
    assert broken < 0.90
    assert 0.93 <= mended <= 0.97


@pytest.mark.parametrize(("n_points", "n_replicates", "order"), [(8, 10, 8), (12, 4, 16), (12, 1, 32)])
def test_fold_over_breaks_hc3_and_pairs_mend_it(n_points, n_replicates, order):
    """Also where one replicate is all there is: its columns left over speak for those taken."""
    table = logistic_table(n_points)
    designs = [fold_over(n_replicates=n_replicates, n_points=n_points, seed=seed, order=order) for seed in DRAWS]
    broken, _ = coverage(table, Bernoulli(0.5), designs, grouped=False)
    mended, n = coverage(table, Bernoulli(0.5), designs, errors="hc2")
    assert n >= 2000
    assert broken > 0.99
    assert 0.93 <= mended <= 0.97


def test_whole_designs_may_be_the_groups():
    design = fold_over(n_replicates=5, n_points=6, seed=0)
    responses = np.random.default_rng(0).standard_normal((len(design.masks), 1))
    fitted = fit_sampled(design.masks, responses, groups=np.arange(80) // 16)
    assert_close(fitted.degrees_of_freedom, np.full(6, 4.0))
    apart = [
        fit_sampled(*halves, "difference_of_means").coefficients
        for halves in zip(*(np.split(x, 5) for x in (design.masks, responses)), strict=True)
    ]
    assert_close(fitted.standard_errors, stats.sem(apart), rtol=1e-10)


@pytest.mark.parametrize(
    "make",
    [
        lambda s: independent(Bernoulli(0.5), n_subsets=48, n_points=8, seed=s),
        lambda s: antithetic(Bernoulli(0.5), n_subsets=48, n_points=8, seed=s),
        lambda s: fold_over(n_replicates=1, n_points=8, seed=s, order=24),
    ],
    ids=["independent", "pairs", "fold-over"],
)
def test_the_residual_variance_is_that_of_fresh_subsets_whatever_the_design(make):
    """In the mean, against the exact one; sum e^2 over m - N - 1 would be 8% too large for pairs here, 20% for the fold-over."""
    table = logistic_table()
    exact, found = optimal_datamodel(table), []
    for design in map(make, range(200)):
        found.append(fit_sampled(design.masks, rows_of(table, design.masks), groups=design.groups).residual_variance)
    assert_close(np.mean(found, axis=0) / exact.residual_variance, np.ones(2), atol=0.08)


def test_a_saturated_replicate_has_no_errors():
    design = fold_over(n_replicates=1, n_points=8, seed=0, order=8)
    fitted = fit_sampled(design.masks, rows_of(logistic_table(), design.masks), groups=design.groups)
    assert np.isnan(fitted.standard_errors).all()
    assert np.isnan(fitted.residual_variance).all()
    assert fitted.error_kind.startswith("undefined: 16 subsets in 8 independent groups")


def test_the_mean_squared_error_of_a_ridge_fit_exceeds_its_stated_spread_only_by_its_bias():
    table, fits = logistic_table(), []
    for seed in range(200):
        masks = independent(Bernoulli(0.5), n_subsets=80, n_points=8, seed=seed).masks
        fits.append(fit_sampled(masks, rows_of(table, masks), "ridge", penalty=0.05))
    spread = np.std([fit.coefficients for fit in fits], axis=0)
    stated = np.sqrt(np.mean([fit.standard_errors**2 for fit in fits], axis=0))
    assert_close(np.log(stated / spread).mean(), 0.0, atol=0.1)
    bias = np.mean([fit.coefficients for fit in fits], axis=0) - optimal_datamodel(table).coefficients
    assert np.abs(bias).max() > 3.0 * spread.max()


# --- difference of means --------------------------------------------------------------------------------------------------------


def test_difference_of_means_has_the_errors_of_welchs_test():
    masks, responses = sample(5)
    fitted = fit_sampled(masks, responses, "difference_of_means")
    for i, column in enumerate(masks.T):
        test = stats.ttest_ind(responses[column == 1.0], responses[column == 0.0], equal_var=False)
        assert_close(
            fitted.coefficients[i], responses[column == 1.0].mean(axis=0) - responses[column == 0.0].mean(axis=0), rtol=1e-12
        )
        assert_close(fitted.coefficients[i] / fitted.standard_errors[i], test.statistic, rtol=1e-10)


def test_difference_of_means_sums_the_scores_of_a_group_before_it_squares_them():
    """Every row twice, as a group: the errors of the rows once, up to the small-sample factors of both."""
    masks, responses = sample(6, n_subsets=400)
    once = fit_sampled(masks, responses, "difference_of_means").standard_errors
    twice = np.repeat(masks, 2, axis=0), np.repeat(responses, 2, axis=0)
    naive = fit_sampled(*twice, "difference_of_means").standard_errors
    grouped = fit_sampled(*twice, "difference_of_means", groups=np.repeat(np.arange(400), 2)).standard_errors
    assert_close(grouped / once, np.ones_like(once), rtol=0.01)
    assert_close(naive / once, np.full_like(once, math.sqrt(0.5)), rtol=0.01)


# --- ridge and LASSO ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("penalty", [1e-3, 0.02, 0.3])
@given(seed=strategies.SEEDS, n_subsets=st.sampled_from([6, 15, 60]))
@settings(max_examples=15)
def test_penalised_fits_are_those_of_scikit_learn(penalty, seed, n_subsets):
    """Where columns coincide the LASSO is not unique, but its predictions and the norm of beta are."""
    masks, responses = sample(seed, n_subsets, n_points=8, p=0.5)
    if (masks.min(axis=0) == masks.max(axis=0)).any():
        return
    lasso = fit_sampled(masks, responses, "lasso", penalty=penalty)
    ridge = fit_sampled(masks, responses, "ridge", penalty=penalty)
    for m, y in enumerate(responses.T):
        expected = Lasso(alpha=penalty, tol=1e-13, max_iter=100_000).fit(masks, y)
        assert_close(lasso.predict(masks)[:, m], expected.predict(masks), atol=1e-6)
        assert np.abs(lasso.coefficients[:, m]).sum() == pytest.approx(np.abs(expected.coef_).sum(), rel=1e-5)
        if n_subsets == 60:
            assert_close(lasso.coefficients[:, m], expected.coef_, atol=1e-6)
        expected = Ridge(alpha=penalty * n_subsets).fit(masks, y)
        assert_close(ridge.coefficients[:, m], expected.coef_, atol=1e-11)
        assert ridge.intercept[m] == pytest.approx(expected.intercept_, abs=1e-11)


def test_lasso_is_that_of_statsmodels():
    masks, responses = sample(7)
    y, x = responses[:, 0] - responses[:, 0].mean(), masks - masks.mean(axis=0)
    expected = sm.OLS(y, x).fit_regularized(alpha=0.05, L1_wt=1.0, cnvrg_tol=1e-12, zero_tol=1e-12).params
    assert_close(fit_sampled(masks, responses, "lasso", penalty=0.05).coefficients[:, 0], expected, atol=1e-8)


@pytest.mark.parametrize(("method", "make"), [("lasso", Lasso), ("ridge", Ridge)])
def test_the_penalty_is_that_of_least_error_on_the_folds_left_out(method, make):
    masks, responses = sample(8, n_points=8)
    rows = regression.centred(masks, responses, np.ones(len(masks)))
    grid = {"lasso": penalised.lasso_strengths, "ridge": penalised.ridge_strengths}[method](rows)
    errors = np.zeros_like(grid)
    for fold in range(5):
        out = np.arange(len(masks)) % 5 == fold
        for (a, m), strength in np.ndenumerate(grid):
            alpha = strength if method == "lasso" else strength * (~out).sum()
            model = make(alpha=alpha, tol=1e-8, max_iter=100_000).fit(masks[~out], responses[~out, m])
            errors[a, m] += np.square(model.predict(masks[out]) - responses[out, m]).sum() / len(masks)
    fitted = fit_sampled(masks, responses, method)
    assert_identical(fitted.penalty, np.take_along_axis(grid, errors.argmin(axis=0)[None], axis=0)[0])
    assert_close(fitted.residual_variance, errors.min(axis=0), rtol=1e-3)


def test_lasso_finds_the_few_points_that_matter_with_fewer_subsets_than_points():
    masks = independent(Bernoulli(0.5), n_subsets=60, n_points=100, seed=0).masks
    beta = np.zeros((100, 1))
    beta[[3, 50, 99], 0] = 1.0, -2.0, 1.5
    fitted = fit_sampled(masks, masks @ beta + 0.01 * np.random.default_rng(0).standard_normal((60, 1)), "lasso")
    assert_close(fitted.coefficients, beta, atol=0.1)
    assert fitted.r_squared[0] > 0.99
    assert np.isnan(fitted.standard_errors).all()
    assert "no standard error" in fitted.error_kind


@pytest.mark.parametrize("method", ["ridge", "lasso"])
def test_penalised_fits_of_one_size_return_the_representative_with_sum_zero_and_predict_the_same(method):
    rng = np.random.default_rng(0)
    masks = FixedSize(3).draw(n_subsets=60, n_points=6, rng=rng)
    responses = rng.standard_normal((60, 1))
    fitted = fit_sampled(masks, responses, method, law=FixedSize(3), penalty=0.01)
    make = Lasso(alpha=0.01, tol=1e-13) if method == "lasso" else Ridge(alpha=0.6)
    assert_close(fitted.predict(masks)[:, 0], make.fit(masks, responses[:, 0]).predict(masks), atol=1e-6)
    assert_close(fitted.coefficients.sum(axis=0), [0.0], atol=1e-12)


@pytest.mark.parametrize("method", ["ridge", "lasso"])
def test_a_penalised_fit_refuses_intervals_for_beta(method):
    with pytest.raises(ValueError, match=f"{method} is biased for beta and has no interval"):
        fit_sampled(*sample(0), method).confidence_interval()


def test_groups_stay_together_in_the_folds():
    """Every row twice: a row whose copy is left in would be predicted by it, and the least penalty would win."""
    rng = np.random.default_rng(0)
    masks = Bernoulli(0.5).draw(n_subsets=40, n_points=60, rng=rng)
    twice, noise = np.repeat(masks, 2, axis=0), np.repeat(rng.standard_normal((40, 1)), 2, axis=0)
    grouped = fit_sampled(twice, noise, "ridge", groups=np.repeat(np.arange(40), 2))
    leaking = fit_sampled(twice, noise, "ridge")
    assert leaking.r_squared[0] > 0.9
    assert grouped.r_squared[0] < 0.2


# --- undefined stays undefined --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [0.0, 0.1, -1e9])
def test_constant_responses_leave_errors_and_r_squared_undefined(method, value):
    masks, responses = sample(0)
    responses[:, 1] = value
    fitted = fit_sampled(masks, responses, method)
    assert math.isnan(fitted.r_squared[1])
    assert np.isnan(fitted.standard_errors[:, 1]).all()
    assert np.isfinite(fitted.r_squared[0])
    assert_close(fitted.coefficients[:, 1], np.zeros(5), atol=1e-14 * abs(value))


def test_as_many_subsets_as_coefficients_leave_no_errors_and_the_fit_says_why():
    masks = np.vstack([np.zeros(4), np.eye(4)])
    fitted = fit_sampled(masks, masks @ np.arange(4.0)[:, None], keep_covariance=True)
    assert_close(fitted.coefficients[:, 0], np.arange(4.0), atol=1e-14)
    assert np.isnan(fitted.standard_errors).all()
    assert np.isnan(fitted.covariance).all()
    assert np.isnan(fitted.r_squared).all()
    assert fitted.error_kind.startswith("undefined: 5 subsets in 5 independent groups leave no residual")


def test_a_point_that_one_subset_alone_speaks_about_has_no_error():
    masks, responses = sample(0)
    masks[:, 0] = 0.0
    masks[7, 0] = 1.0
    assert np.isnan(fit_sampled(masks, responses).standard_errors).all()
    of_means = fit_sampled(masks, responses, "difference_of_means").standard_errors
    assert np.isnan(of_means[0]).all()
    assert np.isfinite(of_means[1:]).all()


def test_arrays_given_are_not_modified():
    masks, responses = sample(0)
    before = masks.copy(), responses.copy()
    for method in METHODS:
        assert isinstance(fit_sampled(masks, responses, method), SampledDatamodel)
    assert_identical(masks, before[0])
    assert_identical(responses, before[1])


@given(strategies.SEEDS)
@settings(max_examples=10)
def test_all_outputs_at_once_are_each_by_itself(seed):
    masks, responses = sample(seed)
    for method in METHODS:
        both, one = fit_sampled(masks, responses, method), fit_sampled(masks, responses[:, 1:], method)
        assert_close(both.coefficients[:, 1:], one.coefficients, atol=1e-9, call=method)
        assert_close(both.residual_variance[1:], one.residual_variance, rtol=1e-3, call=method)


# --- what is refused ------------------------------------------------------------------------------------------------------------

MASKS, RESPONSES = sample(0)
ONE_SIZE = FixedSize(2).draw(n_subsets=40, n_points=5, rng=np.random.default_rng(0))


@pytest.mark.parametrize(
    ("masks", "responses", "options", "message"),
    [
        ([[0, 3, 4], [1, 2, 3]], [[0.0], [1.0]], {}, "masks[0, 1] is 3, expected 0 or 1: a row per subset"),
        ([[0, 3, 4], [1]], [[0.0], [1.0]], {}, "masks is not an array of numbers (lists of unequal length?)"),
        ([5, 9, 12], [[0.0]] * 3, {}, "masks has shape (3,), expected (m, N)"),
        (
            np.tri(5)[:4],
            RESPONSES[:4],
            {},
            "4 subsets for 6 coefficients, the intercept included: least squares needs at least 6",
        ),
        (np.tile(MASKS[:4], (9, 1)), np.tile(RESPONSES[:4], (9, 1)), {}, "36 subsets (3 distinct ones) for 6 coefficients"),
        (MASKS, RESPONSES[:, 0], {}, "responses has shape (60,), expected (m, M), a column per output: pass responses[:, None]"),
        (MASKS, RESPONSES[:9], {}, "masks has 60 rows and responses 9, expected one response per subset"),
        (MASKS, RESPONSES * np.nan, {}, "responses[0, 0] is nan, expected a finite response"),
        (MASKS * [1, 1, 0, 1, 0], RESPONSES, {}, "point 2 is in no subset of the 60 (2 such points)"),
        (np.maximum(MASKS, [0, 1, 0, 0, 0]), RESPONSES, {}, "point 1 is in every subset of the 60"),
        (ONE_SIZE, RESPONSES[:40], {}, "every subset has 2 points, so that only differences of coefficients are identified"),
        (ONE_SIZE, RESPONSES[:40], {"law": FixedSize(3)}, "masks[0] has 2 points, expected the 3 of FixedSize(k=3)"),
        (MASKS, RESPONSES, {"method": "theil-sen"}, "method 'theil-sen' is unknown, expected one of ols, difference_of_means"),
        (MASKS, RESPONSES, {"errors": "hc0"}, "errors 'hc0' is unknown, expected 'hc3' or 'hc2'"),
        (MASKS, RESPONSES, {"groups": [1, 2]}, "groups has shape (2,), expected (60,): one label per subset"),
        (MASKS, RESPONSES, {"groups": np.zeros(60)}, "all subsets are in one group, expected two or more"),
        (MASKS, RESPONSES, {"row_weights": np.zeros(60)}, "row_weights has shape (60,), expected (60,) finite numbers > 0"),
        (MASKS, RESPONSES, {"method": "lasso", "penalty": 0.0}, "penalty = 0.0, expected a finite number > 0"),
        (MASKS, RESPONSES, {"method": "ridge", "n_folds": 61}, "n_folds = 61, expected a whole number from 2 to the 60"),
        (MASKS, RESPONSES, {"method": "ridge", "keep_covariance": True}, "expected 'ols': no other method has a covariance"),
    ],
)
def test_what_is_not_a_sample_is_refused_and_named(masks, responses, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        fit_sampled(masks, responses, **options)


def test_points_that_are_always_together_are_named():
    masks = np.c_[MASKS, 1.0 - MASKS[:, 3]]
    with pytest.raises(np.linalg.LinAlgError, match=r"6 of 7 coefficients are identified \(points 3 and 5 are always or never"):
        fit_sampled(masks, RESPONSES)
    assert np.isfinite(fit_sampled(masks, RESPONSES, "ridge").coefficients).all()


def test_too_few_pairs_are_refused_though_their_rows_are_enough():
    design = antithetic(Bernoulli(0.5), n_subsets=20, n_points=12, seed=0)
    with pytest.raises(np.linalg.LinAlgError, match="20 subsets do not tell the points apart: rank 11 of 13"):
        fit_sampled(design.masks, np.arange(20.0)[:, None], groups=design.groups)


def test_a_law_that_is_not_of_subsets_is_refused():
    with pytest.raises(TypeError, match="is not a law of subsets, expected Bernoulli or FixedSize"):
        fit_sampled(MASKS, RESPONSES, law=Poisson())


def test_options_of_a_fit_are_refused_where_they_make_no_sense():
    fitted = fit_sampled(MASKS, RESPONSES)
    with pytest.raises(ValueError, match="kept no covariance: call fit_sampled"):
        fitted.contrasts(np.eye(5))
    with pytest.raises(ValueError, match=r"directions has shape \(5,\), expected \(C, 5\)"):
        fit_sampled(MASKS, RESPONSES, keep_covariance=True).contrasts(np.ones(5))
    with pytest.raises(ValueError, match="level = 95, expected 0 < level < 1"):
        fitted.confidence_interval(95)
    with pytest.raises(ValueError, match=r"weights has shape \(5,\), expected \(B, 5\)"):
        fitted.predict(np.ones(5))


# --- designs --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("law", [Bernoulli(0.5), FixedSize(3)], ids=repr)
@pytest.mark.parametrize("method", METHODS)
def test_a_design_stands_for_its_masks_law_and_groups(law, method):
    design = antithetic(law, n_subsets=40, n_points=6, seed=0)
    responses = np.random.default_rng(0).standard_normal((40, 2))
    whole = fit_sampled(design, responses, method)
    by_hand = fit_sampled(design.masks, responses, method, law=law, groups=design.groups)
    for name in ("intercept", "coefficients", "standard_errors", "residual_variance", "r_squared", "degrees_of_freedom"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(by_hand, name), err_msg=name)
    assert (whole.error_kind, whole.law) == (by_hand.error_kind, law)
    if method != "lasso":  # has no errors
        assert (whole.standard_errors != fit_sampled(design.masks, responses, method, law=law).standard_errors).any()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"law": Bernoulli(0.5)}, "law="),
        ({"groups": np.arange(20) // 2}, "groups="),
        ({"law": Bernoulli(0.5), "groups": np.arange(20) // 2}, "law= and groups="),
    ],
)
def test_a_law_or_groups_beside_a_design_are_refused(options, named):
    design = antithetic(Bernoulli(0.5), n_subsets=20, n_points=4, seed=0)
    with pytest.raises(ValueError, match=f"got {named} beside a Design, which has its own law and groups: leave them out"):
        fit_sampled(design, np.arange(20.0)[:, None], **options)


def test_a_fit_can_be_labelled_and_shown():
    fitted = fit_sampled(all_masks(2), all_masks(2) @ [[1.0], [2.0]], law=Bernoulli(0.5))
    assert repr(fitted) == (
        "SampledDatamodel(method=ols, n_subsets=4, n_points=2, n_outputs=1, law=Bernoulli(p=0.5), r_squared=1, errors=HC3)"
    )
    assert "<tr><th>n_subsets</th><td>4</td></tr>" in fitted._repr_html_()
    labelled = fitted.to_xarray()
    assert labelled.coefficients.dims == labelled.standard_errors.dims == ("point", "output")
    assert labelled.attrs == {"law": "Bernoulli(p=0.5)", "method": "ols", "error_kind": "HC3"}
    frame = fitted.to_dataframe()
    assert list(frame.columns)[:2] == ["point", "output"]
    assert frame.coefficients.tolist() == pytest.approx([1.0, 2.0])
