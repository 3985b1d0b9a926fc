"""Claims about what predicts other training sets: every status that they can reach, on made-up results."""

import numpy as np
import pytest
import xarray as xr

from theory.claims import Status, all_claims


def judged(identifier, **results):
    return next(c for c in all_claims() if c.id == identifier).judge(results)


def spectrum(r_squared, error=float("nan")):
    return xr.Dataset(
        {name: (("p",), [value, value]) for name, value in (("r_squared", r_squared), ("r_squared_error", error), ("lds", 0.99))},
        {"p": [0.5, 0.9]},
        {"case": f"R^2 {r_squared}"},
    )


def removal(beta, derivative, error=float("nan")):
    """Relative errors by removed points k = 1, 2 of beta, of D(1), and 0.01 for beta at p = 0.9."""
    names = ["beta, summed", "D(1), summed", "beta (p = 0.9), summed"]
    values = [[[b], [d], [0.01]] for b, d in zip(beta, derivative, strict=True)]
    spread = [[[error]] * 3] * 2
    dims = ("removed", "estimate", "measure")
    return xr.Dataset(
        {"measured": (dims, values), "measured_error": (dims, spread)},
        {"removed": [1, 2], "estimate": names, "measure": ["relative_error"]},
        {"case": f"beta {beta}"},
    )


def seeds(one, many, error=0.01):
    dims = ("averaged", "estimate", "pairing", "target", "quality")
    values = [[[[[error_of, 0.9]]]] for error_of in (one, 5.0, many)]
    return xr.Dataset(
        {
            "prediction": (dims, values),
            "prediction_error": (dims, [[[[[error, 0.0]]]]] * 3),
            "noise": (("averaged",), [0.2, 0.1, 0.01]),
        },
        {
            "averaged": [1, 2, 32],
            "estimate": ["beta"],
            "pairing": ["other seeds"],
            "target": ["all subsets"],
            "quality": ["relative_error", "lds"],
        },
        {"case": f"{one} -> {many}"},
    )


@pytest.mark.parametrize(
    ("cases", "status", "figure"),
    [
        ([spectrum(0.99), spectrum(0.95)], Status.HOLDS, 0.05),
        ([spectrum(0.99), spectrum(0.6)], Status.HOLDS_WHEN, 0.4),
        ([spectrum(0.5), spectrum(0.6)], Status.FAILS, 0.5),
        ([spectrum(0.99), spectrum(0.89, 0.02)], Status.INCONCLUSIVE, 0.11),
    ],
)
def test_c5_is_judged_by_r_squared_and_not_by_rank_correlation(cases, status, figure):
    verdict = judged("C5", spectrum=cases)
    assert verdict.status is status
    assert verdict.figure == pytest.approx(figure)
    assert ("R^2 0.99" in verdict.condition) == (status is not Status.FAILS)


@pytest.mark.parametrize(
    ("cases", "status", "figure"),
    [
        ([removal([1.5, 0.3], [0.5, 0.6])], Status.FAILS, 1.0),
        ([removal([0.1, 0.1], [0.5, 0.6])], Status.HOLDS, -0.4),
        ([removal([0.1, 0.1], [0.5, 0.6]), removal([0.9, 0.1], [0.5, 0.6])], Status.FAILS, 0.4),
        ([removal([0.9, 0.1], [0.5, 0.6], 0.3)], Status.INCONCLUSIVE, 0.4),
    ],
)
def test_c8_compares_beta_and_the_derivative_at_one_removed_point(cases, status, figure):
    verdict = judged("C8", group_removal=cases)
    assert verdict.status is status
    assert verdict.figure == pytest.approx(figure)


def test_c8_tells_where_beta_becomes_better():
    assert "beta better from 2 of 3 points removed" in judged("C8", group_removal=[removal([1.5, 0.3], [0.5, 0.6])]).condition
    assert "beta better from no of 3 points" in judged("C8", group_removal=[removal([1.5, 0.9], [0.5, 0.6])]).condition


@pytest.mark.parametrize(
    ("cases", "status", "figure"),
    [
        ([seeds(0.9, 0.4), seeds(0.6, 0.5)], Status.HOLDS, 0.1),
        ([seeds(0.9, 0.4), seeds(0.5, 0.6)], Status.FAILS, -0.1),
        ([seeds(0.9, 0.4), seeds(0.51, 0.5)], Status.INCONCLUSIVE, 0.01),
    ],
)
def test_c11_needs_a_smaller_error_for_averages_in_every_case(cases, status, figure):
    verdict = judged("C11", seeds=cases)
    assert verdict.status is status
    assert verdict.figure == pytest.approx(figure)


def test_c11_compares_with_the_largest_average_that_has_an_error_of_its_own():
    """One pair of groups has none: 32 seeds of 64 say nothing of how sure they are."""
    result = seeds(0.9, 0.1)
    result.prediction_error[-1] = np.nan
    verdict = judged("C11", seeds=[result])
    assert verdict.figure == pytest.approx(0.9 - 5.0)
    assert "0.900 -> 5.000 with 2 seeds" in verdict.condition
