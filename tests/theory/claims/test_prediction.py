"""Claims about what predicts other training sets: every status that they can reach, on made-up results."""

import numpy as np
import pytest
import xarray as xr

from theory.claims import Status, all_claims


def judged(identifier, **results):
    return next(c for c in all_claims() if c.id == identifier).judge(results)


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
