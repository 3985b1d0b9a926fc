"""Pair datamodels fitted to samples, against statsmodels, refits without a group, exact pair datamodels, and coverage."""

import numpy as np
import pytest
import statsmodels.api as sm
import strategies
from assertions import assert_close
from hypothesis import given, settings

from theory.datamodel import fit_sampled, fit_sampled_pairs, optimal_pair_datamodel
from theory.laws import Bernoulli, FixedSize
from theory.sampling.designs import Design, antithetic, independent
from theory.subsets import all_masks

TABLE = np.random.default_rng(0).standard_normal((32, 2))
FIRST, SECOND = np.triu_indices(5, 1)


def rows_of(masks, table=TABLE):
    return table[(masks @ 2 ** np.arange(masks.shape[1])).astype(int)]


def drawn(p=0.3, n_subsets=100, seed=0):
    design = independent(Bernoulli(p), n_subsets=n_subsets, n_points=5, seed=seed)
    return design, rows_of(design.masks)


def columns(masks, p):
    away = masks - p
    return sm.add_constant(np.hstack([away, away[:, FIRST] * away[:, SECOND]]), has_constant="add")


@settings(max_examples=20)
@given(table=strategies.tables(min_points=2, max_points=5), p=strategies.PROBABILITIES)
def test_a_fit_to_all_subsets_weighted_by_their_probability_is_the_exact_one(table, p):
    masks, scale = all_masks(len(table).bit_length() - 1), np.abs(table).max()
    weights = np.prod(np.where(masks > 0.0, p, 1.0 - p), axis=1)
    exact, fit = (
        optimal_pair_datamodel(table, Bernoulli(p)),
        fit_sampled_pairs(masks, table, law=Bernoulli(p), row_weights=weights),
    )
    rounding = 1e-11 * scale / exact.law.variance**2
    for name in ("intercept", "coefficients", "pairs"):
        assert_close(getattr(fit, name), getattr(exact, name), atol=rounding, call=name)
    assert_close(fit.leave_one_out(), exact.leave_one_out(), atol=rounding * masks.shape[1])


@pytest.mark.parametrize("errors", ["hc3", "hc2"])
def test_estimates_and_errors_are_those_of_statsmodels(errors):
    design, y = drawn()
    fit = fit_sampled_pairs(design, y, errors=errors)
    removal = np.zeros((5, 16))
    removal[:, 1:6] = np.eye(5)
    for k, pair in enumerate(zip(FIRST, SECOND, strict=True)):
        removal[list(pair), 6 + k] = 0.7
    for m in range(2):
        theirs = sm.OLS(y[:, m], columns(design.masks, 0.3)).fit(cov_type=errors.upper())
        assert_close(fit.intercept[m], theirs.params[0], rtol=1e-9)
        assert_close(fit.coefficients[:, m], theirs.params[1:6], rtol=1e-9)
        assert_close(fit.pairs[FIRST, SECOND, m], theirs.params[6:], rtol=1e-9)
        assert_close(fit.standard_errors[:, m], theirs.bse[1:6], rtol=1e-9)
        assert_close(fit.pair_standard_errors[FIRST, SECOND, m], theirs.bse[6:], rtol=1e-9)
        assert_close(fit.residual_variance[m], theirs.mse_resid, rtol=1e-9)
        assert_close(fit.r_squared[m], theirs.rsquared_adj, rtol=1e-9)
        contrast = theirs.t_test(removal)
        assert_close(fit.leave_one_out()[:, m], contrast.effect, rtol=1e-9)
        assert_close(fit.leave_one_out_errors[:, m], contrast.sd, rtol=1e-9)


def test_the_r_squared_of_the_linear_part_is_that_of_the_linear_fit():
    design, y = drawn()
    assert_close(fit_sampled_pairs(design, y).linear_r_squared, fit_sampled(design, y).r_squared, rtol=1e-9)


def test_groups_give_the_jackknife_over_groups():
    """(G - 1)/G sum over groups of (fit without the group - fit)^2."""
    design = antithetic(Bernoulli(0.5), n_subsets=60, n_points=5, seed=0)
    y = rows_of(design.masks)
    fit = fit_sampled_pairs(design, y)
    without = [fit_sampled_pairs(design.masks[k], y[k], law=design.law) for k in (design.groups != g for g in range(30))]
    for name, found in (("coefficients", fit.standard_errors), ("pairs", fit.pair_standard_errors)):
        squares = sum((getattr(one, name) - getattr(fit, name)) ** 2 for one in without)
        assert_close(found, np.sqrt(29 / 30 * squares), rtol=1e-8, call=name)
    assert fit.error_kind == "jackknife over 30 groups"
    assert (fit.degrees_of_freedom == 30 - 15 / 2).all()


@pytest.mark.parametrize(
    ("design", "p", "n_subsets"),
    [(independent, 0.5, 120), (independent, 0.7, 400), (antithetic, 0.5, 120)],
    ids=["independent", "skew", "pairs of complements"],
)
def test_intervals_cover(design, p, n_subsets):
    """200 designs x 10 coefficients and 20 pairs: 90-98%, and shares that are not near 100%."""
    exact, own, pairs = optimal_pair_datamodel(TABLE, Bernoulli(p)), [], []
    for seed in range(200):
        chosen = design(Bernoulli(p), n_subsets=n_subsets, n_points=5, seed=seed)
        fit = fit_sampled_pairs(chosen, rows_of(chosen.masks))
        low, high = fit.confidence_interval()
        own.append((low < exact.coefficients) & (exact.coefficients < high))
        low, high = fit.pair_confidence_interval()
        pairs.append(((low < exact.pairs) & (exact.pairs < high))[FIRST, SECOND])
    assert 0.9 <= np.mean(own) <= 0.98
    assert 0.9 <= np.mean(pairs) <= 0.98


def test_errors_of_leave_one_out_are_its_spread_over_designs():
    fits = [fit_sampled_pairs(*drawn(0.5, 150, seed)) for seed in range(200)]
    spread = np.std([fit.leave_one_out() for fit in fits], axis=0)
    assert_close(np.mean([fit.leave_one_out_errors for fit in fits], axis=0) / spread, np.ones((5, 2)), atol=0.25)


# --- what is refused ------------------------------------------------------------------------------------------------------------


def test_too_few_rows_are_refused_with_the_number_that_is_needed():
    design, y = drawn(0.5, 10)
    with pytest.raises(ValueError, match=r"16 coefficients, the intercept and 10 pairs included.*at least 16 distinct"):
        fit_sampled_pairs(design, y)


def test_rows_that_leave_no_residual_have_no_errors():
    masks = all_masks(2)
    fit = fit_sampled_pairs(masks, masks[:, :1], law=Bernoulli(0.5))
    assert np.isnan(fit.standard_errors).all()
    assert fit.error_kind.startswith("undefined")


def test_pairs_that_are_not_told_apart_are_named():
    masks = np.concatenate([all_masks(4), all_masks(4)[:, :1]], axis=1)  # point 4 is always with point 0
    with pytest.raises(np.linalg.LinAlgError, match=r"rank 11 .*points 0 and 4 are always"):
        fit_sampled_pairs(masks, masks[:, :1], law=Bernoulli(0.5))


@pytest.mark.parametrize("law", [None, FixedSize(2)])
def test_the_law_must_give_the_centre(law):
    with pytest.raises(TypeError, match=r"expected Bernoulli\(p\)"):
        fit_sampled_pairs(all_masks(3), np.ones((8, 1)), law=law)


def test_a_design_of_fixed_size_is_refused():
    with pytest.raises(TypeError, match="subsets of one size leave pairs undetermined"):
        fit_sampled_pairs(Design("by hand", all_masks(3)[[1, 2, 4]], FixedSize(1)), np.ones((3, 1)))


def test_a_constant_output_has_no_errors():
    fit = fit_sampled_pairs(drawn()[0], np.ones((100, 1)))
    assert np.isnan(fit.standard_errors).all()
    assert np.isnan(fit.r_squared).all()


def test_it_is_shown_and_converted():
    fit = fit_sampled_pairs(*drawn())
    assert "errors=HC3" in repr(fit)
    assert fit.to_xarray().pair_standard_errors.dims == ("point", "other", "output")
