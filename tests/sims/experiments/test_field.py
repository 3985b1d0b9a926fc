"""The exact LDS by law, and the two predictions of removals that the field's claims need, against definitions."""

import itertools

import numpy as np
import pytest
from scipy import stats

from sims.experiments import group_removal, lds_by_law
from sims.experiments.shared.problem import Problem
from theory.metrics import weighted_rank_correlations

PROBLEM = Problem("spector", "logistic", l2=0.1, n_points=8)
MASKS = np.array(list(itertools.product((0.0, 1.0), repeat=8)))


def responses():
    return PROBLEM.build().respond(MASKS, (0,))[:, 0]


def weighted_fit(weights, rows=MASKS):
    """Coefficients of the best linear predictor with an intercept, by numpy's least squares on weighted rows."""
    design = np.column_stack([np.ones(len(rows)), rows])
    root = np.sqrt(weights)[:, None]
    return np.linalg.lstsq(root * design, root * responses(), rcond=None)[0][1:]


@pytest.fixture(scope="module")
def found():
    return lds_by_law.run(lds_by_law.LdsByLawConfig(PROBLEM, probabilities=(0.3, 0.5)))


def test_the_lds_at_one_half_is_spearmans_over_all_subsets(found):
    predicted = MASKS @ weighted_fit(np.ones(256))
    expected = np.mean([stats.spearmanr(p, f).statistic for p, f in zip(predicted.T, responses().T, strict=True)])
    for estimate in ("beta", lds_by_law.BEST):
        np.testing.assert_allclose(found.measured.sel(p=0.5, estimate=estimate, quality="lds"), expected, atol=1e-9)


def test_the_best_predictor_at_p_is_weighted_least_squares_and_its_slope_is_its_r_squared(found):
    weights = 0.3 ** MASKS.sum(axis=1) * 0.7 ** (8 - MASKS.sum(axis=1))
    predicted, actual = MASKS @ weighted_fit(weights), responses()
    expected = np.mean(weighted_rank_correlations(predicted, actual, weights))
    at = found.measured.sel(p=0.3, estimate=lds_by_law.BEST)
    np.testing.assert_allclose(at.sel(quality="lds"), expected, atol=1e-9)
    p, a = (x - np.average(x, axis=0, weights=weights) for x in (predicted, actual))
    np.testing.assert_allclose(at.sel(quality="slope"), (weights @ (p * a)).sum() / (weights @ (a * a)).sum(), rtol=1e-9)
    rest = (weights @ (a - p) ** 2).sum() / (weights @ a**2).sum()
    np.testing.assert_allclose(at.sel(quality="slope"), 1.0 - rest, rtol=1e-9)  # the residual is orthogonal to the prediction


@pytest.mark.parametrize("p", [0.2, 0.8])
def test_the_weighted_rank_correlation_is_that_of_a_large_sample(p):
    rng = np.random.default_rng(0)
    predicted, actual = rng.integers(0, 9, (256, 1)).astype(float), rng.standard_normal((256, 1))  # with ties
    weights = p ** MASKS.sum(axis=1) * (1.0 - p) ** (8 - MASKS.sum(axis=1))
    rows = rng.choice(256, 200_000, p=weights)
    expected = stats.spearmanr(predicted[rows, 0], actual[rows, 0]).statistic
    assert abs(weighted_rank_correlations(predicted, actual, weights)[0] - expected) < 5.0 / np.sqrt(200_000)


def test_no_linear_predictor_of_removals_of_one_size_has_a_smaller_error():
    result = group_removal.run(group_removal.GroupRemovalConfig(PROBLEM))
    full = responses()[-1]
    for k in (1, 2, 3):
        rows = MASKS.sum(axis=1) == 8 - k
        design = np.column_stack([np.ones(rows.sum()), MASKS[rows]])
        change = full - responses()[rows]
        fitted = design @ np.linalg.lstsq(design, change, rcond=None)[0]
        expected = np.linalg.norm(fitted - change) / np.linalg.norm(change)
        at = result.measured.sel(removed=k, measure="relative_error")
        np.testing.assert_allclose(at.sel(estimate=group_removal.BEST), expected, atol=1e-9)
        assert float(at.min()) > expected - 1e-9 or float(at.sel(estimate="Newton step")) < expected  # which is not linear


def test_rescaled_influence_is_exact_for_one_point_of_least_squares():
    result = group_removal.run(group_removal.GroupRemovalConfig(Problem("longley", "least_squares", l2=0.1, n_points=8)))
    at = result.measured.sel(estimate="rescaled influence, summed", measure="relative_error")
    assert float(at.sel(removed=1)) < 1e-9
    assert float(at.sel(removed=4)) > 0.01
