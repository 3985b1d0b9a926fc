"""The claim about scale at realistic size: every status that it can reach, on made-up results."""

import numpy as np
import pytest
import xarray as xr

from theory.claims import Status, all_claims


def judged(*results):
    return next(c for c in all_claims() if c.id == "T6 at size").judge({"scale_at_size": list(results)})


def result(n_points=1000, l2=1e-6, at_quarter=0.5, at_half=0.02, error=0.001):
    """Ten columns: d/(pN) = 0.04 and 0.02 where N = 1000. OLS is far off, and not what is judged."""
    slopes = np.array([[[9.0, 9.0], [1.0, 1.0 + at_quarter]], [[9.0, 9.0], [1.0 - at_half, 1.0 + 0.5 * at_half]]])
    return xr.Dataset(
        {
            "slope": (("p", "estimator", "output"), slopes / 2.0),
            "slope_at_mean": (("p", "estimator", "output"), slopes),
            "standard_error_at_mean": (("p", "estimator", "output"), np.full_like(slopes, error)),
            "second_order": (("p", "output"), slopes[:, 1] - 0.0123),
            "columns_per_point": ((), 10.0 / n_points),
        },
        {"p": [0.25, 0.5], "estimator": ["OLS", "control variate"], "output": [0, 1]},
        {"case": f"fair-{n_points} logistic l2={l2:g}", "n_points": n_points, "l2": l2},
    )


@pytest.mark.parametrize(
    ("at_quarter", "error", "status"),
    [(0.05, 0.001, Status.HOLDS_WHEN), (0.3, 0.001, Status.FAILS), (0.099, 0.001, Status.INCONCLUSIVE)],
)
def test_the_largest_slope_where_there_are_few_columns_per_point_decides(at_quarter, error, status):
    verdict = judged(result(at_quarter=at_quarter, error=error))
    assert verdict.status is status
    assert verdict.figure == pytest.approx(at_quarter)
    assert verdict.case == "fair-1000 logistic l2=1e-06 p=0.25"
    assert len(verdict.evidence) == 2


def test_subsets_with_many_columns_per_point_are_told_and_not_judged():
    verdict = judged(result(at_quarter=0.05), result(n_points=400, at_quarter=0.7))
    assert verdict.status is Status.HOLDS_WHEN
    assert len(verdict.evidence) == 3
    assert "up to 0.70 off" in verdict.condition


def test_nothing_is_decided_where_no_subset_has_few_columns_per_point():
    verdict = judged(result(n_points=100, at_quarter=0.01))
    assert verdict.status is Status.INCONCLUSIVE
    assert verdict.figure == pytest.approx(0.02)


def test_the_condition_tells_the_excess_by_size_and_what_the_other_law_would_say():
    verdict = judged(
        result(at_quarter=0.05, l2=0.1), result(at_quarter=0.05), result(n_points=500, at_quarter=0.05, at_half=0.04)
    )
    assert "excess -0.010, -0.005 at p = 0.5 for N = 500, 1000" in verdict.condition
    assert "but 0.0123, 0.0123" in verdict.condition
    assert "p times the slope is 0.12 to 0.25 at l2 = 0.1" in verdict.condition
