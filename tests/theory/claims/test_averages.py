"""Claims about averages, budgets and jumps: what was found wrong with them stays mended, and intervals cover."""

import numpy as np
import pytest
from by_hand import averages as by_hand
from scipy import stats

from sims.experiments.shared.gains import gain
from theory.claims import all_claims
from theory.claims.margins import crossing, margin
from theory.intervals import half_width, mean_and_error, sum_of_errors
from theory.subsets import all_masks


def judged(identifier, **results):
    return next(c for c in all_claims() if c.id == identifier).judge(results)


def test_c12_is_about_gains_and_repeats_nothing_of_t9():
    claims = {c.id: c for c in all_claims()}
    assert not set(claims["C12"].experiments) & set(claims["T9"].experiments)


def test_c11_is_decided_by_the_same_seed_and_not_by_the_theorem_on_other_seeds():
    """Other seeds gain 0.3; the same seed nothing."""
    assert judged("C11", seeds=[by_hand.seeds(-0.01)]).status == "FAILS"


def test_c11_has_the_degrees_of_freedom_of_all_its_seeds():
    (same, other) = judged("C11", seeds=[by_hand.seeds(0.2, error=0.01)]).evidence
    assert same.doubt == pytest.approx(0.01 * stats.t.ppf(0.975, 15))
    assert other.doubt == pytest.approx(0.01 * stats.t.ppf(0.975, 7))
    assert other.control


def test_c10_does_not_call_a_margin_of_a_hundredth_much():
    assert judged("C10", lds=[by_hand.lds([0.012, 0.012, 0.012])]).status == "FAILS"


def test_c10_takes_no_rival_in_hindsight():
    """Of two scores each is perfect on one half of the outputs: the one chosen on the other half is not."""
    result = by_hand.lds([0.0, 0.0, 0.0])
    result.score_of_design.loc[{"quality": "lds", "half": "even outputs", "estimate": "exact H"}] = 1.0
    result.score_of_design.loc[{"quality": "lds", "half": "odd outputs", "estimate": "damped H"}] = 1.0
    found = margin(result, "p = 0.5", 200, ["exact H", "damped H"])
    assert found.by_design[0] == pytest.approx(np.zeros(3))
    assert set(found.rivals) == {"exact H", "damped H"}


def test_c10_counts_half_the_relative_error_as_much_and_a_third_kind_of_status_is_holds_when():
    result = by_hand.lds([0.3, 0.05, 0.05])
    assert judged("C10", lds=[result]).status == "HOLDS WHEN"
    result.datamodel_of_design.loc[{"quality": "relative_error"}] = 0.2
    assert judged("C10", lds=[result]).status == "HOLDS"


def test_the_crossing_lies_between_the_points_of_the_grid():
    assert crossing(np.array([10.0, 12.5]), np.array([-0.01, 0.01])) == pytest.approx(np.sqrt(125.0))
    assert crossing(np.array([5.0, 15.0, 50.0]), np.array([0.0, 1.0, 1.0])) == 5.0
    assert crossing(np.array([5.0, 15.0]), np.array([-1.0, -1.0])) == np.inf


def test_every_designs_variance_has_an_error_bar():
    steady, noisy = (judged("C10", lds=[by_hand.lds([0.3, 0.3, 0.3], spread)]) for spread in (0.0, 0.01))
    assert all(item.doubt == 0.0 for item in steady.evidence)
    assert [item.doubt for item in noisy.evidence] == pytest.approx([0.1 * stats.t.ppf(0.975, 2) / np.sqrt(3.0)] * 3)


def test_gain_is_that_of_errors_by_hand():
    samples = np.random.default_rng(0).normal(size=(6, 16, 2)) + 3.0 * (all_masks(4) @ np.ones((4, 2)))
    found = gain(samples)
    x = np.column_stack([np.ones(16), all_masks(4)])

    def left(y):
        return y - x @ np.linalg.lstsq(x, y, rcond=None)[0]

    def about_its_mean(y):
        return y - y.mean(axis=0)

    def norm(parts):
        return np.sqrt(sum(np.square(part).sum() for part in parts))

    def by_hand(rows):
        one = norm(map(left, rows)) / norm(map(about_its_mean, rows))
        return one - norm([left(rows.mean(axis=0))]) / norm([about_its_mean(rows.mean(axis=0))])

    at = {"pairing": "same seeds", "measure": "relative_error", "models": "gain"}
    assert float(found.value.sel(**at)) == pytest.approx(by_hand(samples), rel=1e-9)
    without = [by_hand(np.delete(samples, r, axis=0)) for r in range(6)]
    assert float(found.error.sel(**at)) == pytest.approx(np.sqrt(5.0 * np.var(without)), rel=1e-9)


def _covered(values, half, truth):
    return np.mean(np.abs(np.asarray(values) - truth) <= np.asarray(half))


def test_intervals_of_the_gain_and_of_a_difference_of_gains_cover():
    """C11 and C12, 200 repeats: 10 tables of 16 subsets, F plus what seeds add; the truth is the mean over all repeats."""
    rng, dims = np.random.default_rng(1), (16, 1)
    shared = all_masks(4) @ rng.normal(size=(4, 1)) + 0.3 * rng.normal(size=dims)
    at = {"pairing": "same seeds", "measure": "relative_error", "models": "gain"}
    found = [gain(shared + 0.5 * rng.normal(size=(10, *dims))).sel(**at) for _ in range(200)]
    gains, errors = (np.array([float(f[name]) for f in found]) for name in ("value", "error"))
    assert 0.90 <= _covered(gains, [half_width(error, 9) for error in errors], gains.mean()) <= 0.98
    covered = [
        _covered(
            gains - np.roll(gains, shift),
            [half_width(*sum_of_errors((a, 9), (b, 9))) for a, b in zip(errors, np.roll(errors, shift), strict=True)],
            0.0,
        )
        for shift in range(1, 21)
    ]
    assert 0.90 <= np.mean(covered) <= 0.98


def test_intervals_over_designs_and_of_differences_of_lds_cover():
    """C10: 5 designs of 100 fresh subsets; the LDS of two predictors with the same subsets differs by what 20,000 subsets say."""
    rng = np.random.default_rng(2)

    def difference(designs, subsets):
        actual = rng.normal(size=(designs, subsets))
        near, far = (actual + s * rng.normal(size=actual.shape) for s in (0.3, 0.6))
        a, n, f = (stats.rankdata(x, axis=1) for x in (actual, near, far))
        return np.array([np.corrcoef(x, y)[0, 1] - np.corrcoef(x, z)[0, 1] for x, y, z in zip(a, n, f, strict=True)])

    truth = difference(2000, 100).mean()
    intervals = [mean_and_error(difference(5, 100)) for _ in range(200)]
    values, half = zip(*((mean, half_width(error, 4)) for mean, error in intervals), strict=True)
    assert 0.90 <= _covered(values, half, truth) <= 0.98
