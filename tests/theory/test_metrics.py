"""Measures of agreement, by hand and against scipy and numpy; undefined is NaN and scale is always seen."""

import math

import numpy as np
import pytest
import strategies
from assertions import assert_close
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats
from sklearn.metrics import r2_score

from theory import metrics

MEASURES = [metrics.slope, metrics.relative_error, metrics.pearson, metrics.spearman]
each_measure = pytest.mark.parametrize("measure", MEASURES, ids=lambda f: f.__name__)


def pair(seed, shape=(7, 2)):
    return np.random.default_rng(seed).standard_normal((2, *shape))


def test_measures_of_three_numbers_are_those_found_by_hand():
    estimate, reference = [2.0, 4.0, 3.0], [1.0, 2.0, 2.5]
    assert metrics.slope(estimate, reference) == pytest.approx(17.5 / 11.25, rel=1e-15)
    assert metrics.relative_error(estimate, reference) == pytest.approx(math.sqrt(5.25 / 11.25), rel=1e-15)
    assert metrics.spearman(estimate, reference) == pytest.approx(0.5, rel=1e-15)
    assert metrics.pearson(estimate, reference) == pytest.approx(1.0 / math.sqrt(2.0 * 7.0 / 6.0), rel=1e-14)


@given(strategies.SEEDS)
def test_correlations_are_those_of_scipy_and_numpy_on_pooled_entries(seed):
    estimate, reference = pair(seed)
    assert metrics.pearson(estimate, reference) == pytest.approx(
        np.corrcoef(estimate.ravel(), reference.ravel())[0, 1], abs=1e-13
    )
    ranks = stats.rankdata(estimate.ravel()), stats.rankdata(reference.ravel())
    assert metrics.spearman(estimate, reference) == pytest.approx(np.corrcoef(*ranks)[0, 1], abs=1e-13)


@given(hnp.arrays(np.int64, (2, 9), elements=st.integers(0, 3)))
def test_spearman_gives_ties_their_mean_rank(values):
    ranks = stats.rankdata(values, axis=1, method="average")
    spearman = metrics.spearman(*values)
    if np.ptp(values, axis=1).min() == 0:
        assert math.isnan(spearman)
    else:
        assert spearman == pytest.approx(np.corrcoef(ranks)[0, 1], abs=1e-13)


@given(strategies.SEEDS)
def test_slope_is_that_of_least_squares_through_the_origin(seed):
    estimate, reference = pair(seed)
    expected = np.linalg.lstsq(reference.reshape(-1, 1), estimate.ravel(), rcond=None)[0][0]
    assert metrics.slope(estimate, reference) == pytest.approx(expected, abs=1e-12)


@given(strategies.SEEDS)
def test_slope_is_not_symmetric_in_its_arguments(seed):
    estimate, reference = pair(seed)
    product = metrics.slope(estimate, reference) * metrics.slope(reference, estimate)
    cosine = (estimate * reference).sum() / np.linalg.norm(estimate) / np.linalg.norm(reference)
    assert product == pytest.approx(cosine**2, abs=1e-13)


@given(strategies.tables())
def test_equal_arrays_compare_as_one_zero_one_one(table):
    comparison = metrics.compare(table, table)
    assert_close([comparison.slope, comparison.pearson, comparison.spearman], [1.0, 1.0, 1.0], rtol=1e-12)
    assert comparison.relative_error == 0.0


@pytest.mark.parametrize("factor", [2.0, 0.5, 1.001, 12.0, -1.0])
@given(seed=strategies.SEEDS)
def test_a_wrong_factor_is_seen_by_slope_and_relative_error_though_not_by_rank(factor, seed):
    _, reference = pair(seed)
    comparison = metrics.compare(factor * reference, reference)
    assert comparison.slope == pytest.approx(factor, rel=1e-13)
    assert comparison.relative_error == pytest.approx(abs(factor - 1.0), rel=1e-10)
    assert abs(comparison.spearman) == pytest.approx(1.0, rel=1e-13)
    assert math.copysign(1.0, comparison.pearson) == math.copysign(1.0, factor)


@given(strategies.SEEDS, st.floats(1e-6, 1e6))
def test_correlations_and_slope_do_not_depend_on_the_common_unit(seed, unit):
    estimate, reference = pair(seed)
    plain, scaled = metrics.compare(estimate, reference), metrics.compare(unit * estimate, unit * reference)
    for name in ("slope", "relative_error", "pearson", "spearman"):
        assert getattr(scaled, name) == pytest.approx(getattr(plain, name), rel=1e-10, abs=1e-12)


@given(strategies.SEEDS)
def test_a_shift_is_seen_by_slope_and_relative_error_though_not_by_correlation(seed):
    _, reference = pair(seed)
    comparison = metrics.compare(reference + 1.0, reference)
    assert comparison.pearson == pytest.approx(1.0, abs=1e-12)
    assert comparison.relative_error == pytest.approx(math.sqrt(reference.size) / np.linalg.norm(reference), rel=1e-10)


def test_compare_holds_all_four_measures():
    estimate, reference = pair(0)
    comparison = metrics.compare(estimate, reference)
    expected = (measure(estimate, reference) for measure in MEASURES)
    assert (comparison.slope, comparison.relative_error, comparison.pearson, comparison.spearman) == tuple(expected)


@pytest.mark.parametrize("constant", [0.0, 1.0, -1e8, 1e-300])
@pytest.mark.parametrize("measure", [metrics.pearson, metrics.spearman])
def test_correlation_with_a_constant_is_undefined(measure, constant):
    varying, same = np.arange(5.0), np.full(5, constant)
    assert math.isnan(measure(varying, same))
    assert math.isnan(measure(same, varying))
    assert math.isnan(measure(same, same))


@pytest.mark.parametrize("measure", [metrics.pearson, metrics.spearman])
def test_correlation_with_a_constant_up_to_rounding_is_undefined(measure):
    rounded = 0.1 + np.spacing(0.1) * np.array([0, 1, 0, -1, 2])
    assert math.isnan(measure(rounded, np.arange(5.0)))


@pytest.mark.parametrize("measure", [metrics.pearson, metrics.spearman])
def test_correlation_of_a_single_entry_is_undefined(measure):
    assert math.isnan(measure([1.0], [2.0]))


@pytest.mark.parametrize("measure", [metrics.slope, metrics.relative_error])
def test_scale_against_a_zero_reference_is_undefined_and_of_a_zero_estimate_is_not(measure):
    assert math.isnan(measure(np.ones(3), np.zeros(3)))
    assert math.isnan(measure(np.zeros(3), np.zeros(3)))
    assert measure(np.zeros(3), np.ones(3)) == {"slope": 0.0, "relative_error": 1.0}[measure.__name__]


@each_measure
def test_arrays_of_different_shape_are_refused(measure):
    for e, r in [(np.ones(3), np.ones(4)), (np.ones((3, 1)), np.ones(3)), (np.ones((2, 3)), np.ones((3, 2))), (np.ones(1), 1.0)]:
        with pytest.raises(ValueError, match=r"estimate has shape \(.*\), reference \(.*\): expected one shape"):
            measure(e, r)


@each_measure
def test_empty_arrays_are_refused(measure):
    with pytest.raises(ValueError, match=r"estimate has shape \(0,\), reference \(0,\): expected .* at least one entry"):
        measure([], [])


@each_measure
@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_undefined_effects_are_refused(measure, wrong):
    for e, r in [([1.0, wrong], [1.0, 2.0]), ([1.0, 2.0], [wrong, 1.0])]:
        with pytest.raises(ValueError, match="estimate and reference must be finite"):
            measure(e, r)


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_slope_and_relative_error_do_not_depend_on_the_unit_of_the_effects(scale):
    estimate, reference = np.array([1.0, 3.0]), np.array([1.0, 2.0])
    assert metrics.slope(scale * estimate, scale * reference) == pytest.approx(metrics.slope(estimate, reference), rel=1e-14)
    assert metrics.relative_error(scale * estimate, scale * reference) == pytest.approx(
        metrics.relative_error(estimate, reference), rel=1e-14
    )


def test_jackknife_of_a_linear_measure_is_its_standard_error():
    """Against a reference that does not vary, the slope is linear in the estimate: the jackknife is then sd / sqrt(R)."""
    rng = np.random.default_rng(1)
    estimates, reference = rng.standard_normal((9, 4, 2)), rng.standard_normal((4, 2))
    errors = metrics.jackknife_errors(estimates, np.repeat(reference[None], 9, axis=0))
    slopes = [metrics.slope(one, reference) for one in estimates]
    assert errors.slope == pytest.approx(stats.sem(slopes), rel=1e-12)


def test_jackknife_of_a_ratio_is_that_of_resampled_means():
    rng = np.random.default_rng(2)
    pairs = 1.0 + 0.1 * rng.standard_normal((2, 40, 3))
    errors = metrics.jackknife_errors(*pairs)
    draws = [metrics.slope(*pairs[:, rng.integers(0, 40, 40)].mean(axis=1)) for _ in range(2000)]
    assert errors.slope == pytest.approx(np.std(draws), rel=0.15)


def test_jackknife_of_one_seed_is_undefined():
    assert math.isnan(metrics.jackknife_errors(np.ones((1, 3)), np.ones((1, 3))).slope)


@given(strategies.SEEDS, st.integers(2, 9))
def test_the_jackknife_of_a_mean_is_its_standard_error(seed, n_seeds):
    samples = np.random.default_rng(seed).standard_normal((n_seeds, 3))
    expected = samples.std(axis=0, ddof=1) / np.sqrt(n_seeds)
    assert_close(metrics.jackknife(lambda mean: mean, samples), expected, rtol=1e-12, call="jackknife of the mean")
    assert np.isnan(metrics.jackknife(lambda mean: mean, samples[:1])).all()


@given(strategies.SEEDS)
def test_lds_is_the_mean_over_outputs_of_spearmans_correlation_over_subsets(seed):
    predicted, actual = pair(seed, (9, 3))
    expected = np.mean([stats.spearmanr(predicted[:, m], actual[:, m]).statistic for m in range(3)])
    assert metrics.lds(predicted, actual) == pytest.approx(expected, abs=1e-13)
    assert metrics.lds(-predicted, actual) == pytest.approx(-expected, abs=1e-13)
    actual[:, 1] = 7.0
    assert math.isnan(metrics.lds(predicted, actual))


@given(strategies.SEEDS)
def test_ranks_do_not_see_rounding(seed):
    """Subsets with equal responses are tied whatever their last bits say; differences of 1e-9 are not."""
    rng = np.random.default_rng(seed)
    actual = rng.integers(0, 4, (30, 2)).astype(float)
    actual[:4] = np.arange(4.0)[:, None]
    blurred = actual * (1.0 + 1e-15 * rng.standard_normal(actual.shape))
    assert metrics.lds(blurred, actual) == pytest.approx(1.0, abs=1e-14)
    assert metrics.spearman(blurred, actual) == pytest.approx(1.0, abs=1e-14)
    assert metrics.lds(actual + 1e-9 * rng.standard_normal(actual.shape), actual) < 1.0 - 1e-3


def test_lds_refuses_responses_of_other_subsets():
    with pytest.raises(ValueError, match=r"predicted has shape \(4, 2\), actual \(5, 2\): expected one shape"):
        metrics.lds(np.ones((4, 2)), np.ones((5, 2)))


PREDICTED = np.array([[0.1, 5.0], [0.4, 1.0], [0.2, 2.0], [0.9, 2.0], [0.5, 3.0]])
ACTUAL = np.array([[1.0, 9.0], [2.0, 1.0], [3.0, 4.0], [5.0, 2.0], [4.0, 7.0]])
"""Saved by hand. Ranks of the first output: 1 3 2 5 4 against 1 2 3 5 4; of the second: 5 1 2.5 2.5 4 against 5 1 3 2 4."""


def test_lds_of_saved_arrays_is_the_mean_of_spearman_by_hand_and_by_scipy():
    first = 1.0 - 6.0 * (1 + 1) / (5 * 24)  # sum of squared differences of ranks, no ties
    ranks = np.array([5.0, 1.0, 2.5, 2.5, 4.0]) - 3.0, np.array([5.0, 1.0, 3.0, 2.0, 4.0]) - 3.0
    second = ranks[0] @ ranks[1] / math.sqrt((ranks[0] @ ranks[0]) * (ranks[1] @ ranks[1]))
    assert metrics.lds(PREDICTED, ACTUAL) == pytest.approx((first + second) / 2.0, rel=1e-14)
    theirs = [stats.spearmanr(PREDICTED[:, m], ACTUAL[:, m]).statistic for m in range(2)]
    assert metrics.lds(PREDICTED, ACTUAL) == pytest.approx(np.mean(theirs), rel=1e-14)


@given(strategies.SEEDS)
def test_r_squared_is_that_of_scikit_learn_per_output(seed):
    predicted, actual = pair(seed, (9, 3))
    assert_close(metrics.r_squared(predicted, actual), r2_score(actual, predicted, multioutput="raw_values"), atol=1e-12)


def test_r_squared_of_the_mean_is_zero_and_of_a_constant_output_undefined():
    actual = ACTUAL.copy()
    assert_close(metrics.r_squared(np.tile(actual.mean(axis=0), (5, 1)), actual), np.zeros(2), atol=1e-15)
    actual[:, 1] = 0.1
    assert np.isnan(metrics.r_squared(PREDICTED, actual)).tolist() == [False, True]


def test_the_quality_of_a_perfect_prediction_and_of_a_shifted_and_scaled_one():
    perfect = metrics.prediction_quality(ACTUAL, ACTUAL)
    assert (perfect.lds, perfect.pearson, perfect.slope) == pytest.approx((1.0, 1.0, 1.0), abs=1e-12)
    assert (perfect.relative_error, perfect.r_squared) == (0.0, 1.0)
    scaled = metrics.prediction_quality(0.5 * ACTUAL + 7.0, ACTUAL)
    assert (scaled.lds, scaled.pearson) == pytest.approx((1.0, 1.0), abs=1e-12)
    assert (scaled.slope, scaled.relative_error) == pytest.approx((0.5, 0.5), rel=1e-12)
    assert scaled.r_squared < 0.0


def test_the_quality_of_a_prediction_holds_its_measures():
    quality = metrics.prediction_quality(PREDICTED, ACTUAL)
    centred = PREDICTED - PREDICTED.mean(axis=0), ACTUAL - ACTUAL.mean(axis=0)
    assert quality.lds == metrics.lds(PREDICTED, ACTUAL)
    assert quality.pearson == pytest.approx(
        np.mean([stats.pearsonr(*m).statistic for m in zip(PREDICTED.T, ACTUAL.T, strict=True)]), rel=1e-14
    )
    assert quality.slope == metrics.slope(*centred)
    assert quality.relative_error == metrics.relative_error(*centred)
    assert quality.r_squared == pytest.approx(metrics.r_squared(PREDICTED, ACTUAL).mean(), rel=1e-14)


def test_the_bootstrap_error_of_a_mean_is_its_standard_error():
    sample = np.random.default_rng(0).standard_normal((50, 2))
    errors = metrics.bootstrap(lambda x: x.mean(axis=0), sample, n_draws=4000)
    assert_close(errors, sample.std(axis=0) / math.sqrt(50), rtol=5.0 / math.sqrt(2.0 * 4000))


def test_the_bootstrap_keeps_rows_together_and_repeats_by_seed():
    sample = np.random.default_rng(0).standard_normal((50, 2))
    assert metrics.bootstrap(lambda x, y: np.abs(x - y).max(), sample, sample) == 0.0
    same, other = (metrics.bootstrap(lambda x: x.mean(axis=0), sample, seed=seed) for seed in (0, 1))
    assert (metrics.bootstrap(lambda x: x.mean(axis=0), sample) == same).all()
    assert (same != other).all()


def test_prediction_errors_are_the_spread_over_fresh_subsets():
    """Against drawing the subsets anew: the bootstrap of one sample of 200, and the spread of the measures over 300 samples."""
    rng = np.random.default_rng(0)

    def draw():
        actual = rng.standard_normal((200, 2))
        return actual + 0.5 * rng.standard_normal((200, 2)), actual

    spread = np.std([list(vars(metrics.prediction_quality(*draw())).values()) for _ in range(300)], axis=0)
    assert_close(np.array(list(vars(metrics.prediction_errors(*draw())).values())) / spread, np.ones(5), atol=0.35)


def test_an_undefined_measure_has_an_undefined_error():
    assert math.isnan(metrics.prediction_errors(PREDICTED, np.ones((5, 2)), n_draws=5).lds)


def test_bootstraps_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="n_draws = 1, expected a whole number >= 2"):
        metrics.bootstrap(np.mean, np.ones(3), n_draws=1)
    with pytest.raises(ValueError, match=r"samples have \[3, 4\] rows, expected the same rows in all"):
        metrics.bootstrap(metrics.slope, np.ones(3), np.ones(4))
    with pytest.raises(ValueError, match=r"predicted has shape \(4, 2\), actual \(5, 2\)"):
        metrics.prediction_quality(np.ones((4, 2)), np.ones((5, 2)))
