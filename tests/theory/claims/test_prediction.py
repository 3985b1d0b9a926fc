"""Claims about what predicts other training sets: every status that they can reach, on made-up results."""

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
