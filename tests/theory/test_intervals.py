"""Half-widths of intervals: as scipy gives them, and covering the truth as often as they say."""

import numpy as np
import pytest
from scipy import stats

from theory.intervals import half_width, median_doubt, share_doubt
from theory.streams import stream


@pytest.mark.parametrize("n", [2, 3, 16, 40])
def test_a_mean_of_few_seeds_has_the_quantile_of_student(n):
    values = stream("few seeds", n).standard_normal(n)
    interval = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    error = values.std(ddof=1) / np.sqrt(n)
    assert half_width(error, n - 1) == pytest.approx((interval.high - interval.low) / 2.0, rel=1e-12)


def test_one_seed_samples_nothing():
    assert half_width(np.nan, 0) == 0.0
    assert median_doubt([3.0], towards=0.0) == 0.0


@pytest.mark.parametrize(("count", "total"), [(0, 12), (1, 12), (7, 40), (40, 40)])
def test_a_share_has_the_exact_binomial_interval(count, total):
    interval = stats.binomtest(count, total).proportion_ci(0.95, method="exact")
    share = count / total
    assert share_doubt(count, total, towards=-1.0) == pytest.approx(share - interval.low, abs=1e-12)
    assert share_doubt(count, total, towards=2.0) == pytest.approx(interval.high - share, abs=1e-12)


@pytest.mark.parametrize("n", [6, 12, 20, 32])
def test_a_median_has_the_order_statistics_that_the_sign_test_allows(n):
    ordered = np.arange(n, dtype=float)
    rejected = [k for k in range(n) if stats.binomtest(k, n).pvalue <= 0.05 and k < n / 2]  # k values below the median
    assert median_doubt(ordered, towards=-1.0) == np.median(ordered) - ordered[len(rejected) - 1]
    assert median_doubt(ordered[::-1], towards=n) == ordered[-len(rejected)] - np.median(ordered)


def test_five_values_have_no_interval_of_the_median():
    assert median_doubt(np.arange(5.0), towards=0.0) == np.inf


def test_the_interval_of_the_median_covers_it_as_often_as_it_says():
    """Of 32 log-normal errors, 200 times; the law of the number that cover lets 90% to 98.5% through."""
    draws = np.exp(stream("medians", 0).standard_normal((200, 32)))
    covers = [np.median(x) - median_doubt(x, towards=-1.0) <= 1.0 <= np.median(x) + median_doubt(x, towards=1e9) for x in draws]
    assert 0.90 <= np.mean(covers) <= 0.985


def test_the_interval_of_a_share_covers_it_as_often_as_it_says():
    """Of 40 models of which 0.3 are singular: Clopper and Pearson's interval is somewhat too wide."""
    counts = stream("shares", 0).binomial(40, 0.3, 200)
    covers = [
        k / 40 - share_doubt(int(k), 40, towards=-1.0) <= 0.3 <= k / 40 + share_doubt(int(k), 40, towards=2.0) for k in counts
    ]
    assert 0.92 <= np.mean(covers) <= 1.0
