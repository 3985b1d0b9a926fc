"""A claim with a condition is not judged on a result that does not meet it: the reason has the number."""

import numpy as np
import pytest
import xarray as xr
from by_hand.influence import identity

from theory.claims import Status, all_claims
from theory.claims.verdict import NothingToJudgeError

CLAIMS = {claim.id: claim for claim in all_claims()}


def judged(identifier, *cases):
    return CLAIMS[identifier].judge({"identity": list(cases)})


def with_(case, **values):
    return case.assign({name: xr.full_like(case[name], value) for name, value in values.items()})


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"gradient_norm": 1.8e-2}, "has not converged: .* is 1.8e-02"),
        ({"gradient_norm": 1e-8}, "has not converged"),
        ({"least_eigenvalue": -0.1}, "no isolated minimum: the least eigenvalue of H is -1.0e-01"),
        ({"finite_difference_error": 0.5}, "outputs are not smooth near w = 1: .* 0.5 only"),
        ({"parameter_difference_error": 0.5}, "parameters are not smooth"),
    ],
)
def test_c1_says_which_part_of_its_condition_is_not_met_and_by_how_much(values, reason):
    wrong = with_(identity(outputs=0.3, case="mine"), **values)
    with pytest.raises(NothingToJudgeError, match=reason):
        judged("C1", wrong)
    verdict = judged("C1", wrong, identity(case="fine"))
    assert verdict.status is Status.HOLDS_WHEN
    assert "not judged, and not counted: mine: " in verdict.condition
    assert [item.control for item in verdict.evidence] == [True, True, False, False]


def test_c1_still_fails_where_its_condition_is_met():
    assert judged("C1", identity(outputs=1e-3)).status is Status.FAILS


def ladder(errors, gap=0.0):
    """Errors of local datamodels on halved scales, and the relative difference of D(1) from differences of F."""
    scales = 0.5 ** np.arange(1.0, len(errors) + 1.0)
    effect = ("point", "output")
    return xr.Dataset(
        {"local_error": ("scale", errors), "finite_difference": (effect, [[1.0 + gap]]), "derivative": (effect, [[1.0]])},
        {"scale": scales},
        {"case": "by hand"},
    )


@pytest.mark.parametrize(
    ("errors", "gap", "expected"),
    [
        ([0.4, 0.1, 0.025, 0.00625], 1e-9, Status.HOLDS),
        ([0.4, 0.2, 0.1, 0.05], 1e-9, Status.FAILS),  # order 1, again and again
        ([1e-4, 1e-4, 1e-4, 1e-4], 1e-4, Status.FAILS),  # D(1) itself is off by that
        ([0.1, 0.1, 0.1, 0.1], 1e-9, None),  # kinks nearer than s
        ([0.5, 0.4, 0.1, 0.06], 1e-9, None),  # bends within s
    ],
)
def test_t2_local_is_judged_where_its_order_has_settled(errors, gap, expected):
    case = ladder(errors, gap)
    if expected is None:
        with pytest.raises(
            NothingToJudgeError, match=r"the order of the error has not settled on by hand: .* down to s = 0\.062"
        ):
            judged("T2 local", case)
    else:
        assert judged("T2 local", case).status is expected
