"""The jackknife over blocks: its fits are those of fit_sampled, its errors those of statistics, and it removes bias of noise."""

import numpy as np
import pytest
from assertions import assert_close, assert_identical
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from theory.datamodel import fit_sampled, optimal_datamodel
from theory.laws import Bernoulli
from theory.sampling.blocks import fit_without_blocks, jackknifed
from theory.sampling.designs import independent
from theory.subsets import all_masks


def table_and_rows(n, m, seed):
    """A random table of all subsets, and independent rows of it."""
    table = np.random.default_rng(seed).standard_normal((2**n, 2))
    masks = independent(Bernoulli(0.5), n_subsets=m, n_points=n, seed=seed).masks
    return table, masks, table[(masks @ 2 ** np.arange(n)).astype(int)]


@given(st.integers(0, 10_000), st.integers(2, 7))
def test_each_fit_is_that_of_fit_sampled_without_the_block(seed, n_blocks):
    _, masks, responses = table_and_rows(4, 60, seed)
    fits = fit_without_blocks(masks, responses, n_blocks=n_blocks)
    for g in range(n_blocks + 1):
        kept = np.arange(60) % n_blocks != g - 1 if g else np.ones(60, bool)
        expected = fit_sampled(masks[kept], responses[kept], law=Bernoulli(0.5))
        assert_close(fits.coefficients[g], expected.coefficients, rtol=1e-10, atol=1e-12)
        assert_close(fits.intercepts[g], expected.intercept, rtol=1e-10, atol=1e-12)
    assert_close(fits.predict(all_masks(4))[0], fit_sampled(masks, responses).predict(all_masks(4)), rtol=1e-10, atol=1e-12)


@given(st.lists(st.integers(-50, 50), min_size=2, max_size=9))
def test_a_mean_has_its_textbook_error_and_no_bias(numbers):
    x = np.array(numbers, float)
    values = [x.mean(), *(np.delete(x, k).mean() for k in range(len(x)))]
    value, error = jackknifed(values)
    assert_close(value, x.mean(), rtol=1e-9, atol=1e-9)
    assert_close(error, stats.sem(x), rtol=1e-9, atol=1e-9)


def test_the_corrected_square_of_a_mean_is_unbiased():
    """G mean^2 - (G - 1) mean of (mean without k)^2 is mean^2 - s^2/G, exactly: integers times G^2 (G - 1)."""
    x = np.array([3.0, 7.0, 8.0, 2.0])
    value, _ = jackknifed([x.mean() ** 2, *(np.delete(x, k).mean() ** 2 for k in range(4))])
    assert_close(value, x.mean() ** 2 - x.var(ddof=1) / 4, rtol=1e-13)


def test_squared_distances_cover_the_exact_one_and_are_far_too_large_without_the_correction():
    n, m, covered, raw, corrected = 5, 150, 0, [], []
    for seed in range(60):
        table, masks, responses = table_and_rows(n, m, 7)
        exact = optimal_datamodel(table).coefficients
        reference = exact * 0.8
        masks = independent(Bernoulli(0.5), n_subsets=m, n_points=n, seed=seed).masks
        responses = table[(masks @ 2 ** np.arange(n)).astype(int)]
        fits = fit_without_blocks(masks, responses, n_blocks=15).coefficients
        squares = np.square(fits - reference).sum(axis=(1, 2))
        value, error = jackknifed(squares)
        truth = np.square(exact - reference).sum()
        covered += abs(value - truth) <= stats.t.ppf(0.975, 14) * error
        raw.append(squares[0] / truth)
        corrected.append(value / truth)
    assert np.mean(raw) > 1.5
    assert abs(np.mean(corrected) - 1.0) < 3.0 * np.std(corrected) / np.sqrt(60)
    assert covered >= stats.binom.ppf(0.001, 60, 0.93)


@pytest.mark.parametrize(
    ("masks", "responses", "n_blocks", "said"),
    [
        (np.eye(3), np.ones((2, 1)), 2, "3 rows and responses 2"),
        (np.eye(3), np.ones((3, 1)), 4, "3 subsets in n_blocks = 4"),
        (np.eye(3), np.ones((3, 1)), 1, "n_blocks = 1, expected a whole number >= 2"),
    ],
)
def test_bad_rows_are_refused(masks, responses, n_blocks, said):
    with pytest.raises(ValueError, match=said):
        fit_without_blocks(masks, responses, n_blocks=n_blocks)


def test_points_that_are_always_together_are_refused():
    masks = np.tile([[0.0, 0.0], [1.0, 1.0]], (10, 1))
    with pytest.raises(np.linalg.LinAlgError, match="identify 2 of 3 coefficients: draw more"):
        fit_without_blocks(masks, masks[:, :1], n_blocks=2)


def test_rows_in_another_order_of_blocks_give_the_same_first_fit():
    _, masks, responses = table_and_rows(4, 40, 3)
    one, other = (fit_without_blocks(masks, responses, n_blocks=g).coefficients[0] for g in (4, 8))
    assert_identical(one, other)
