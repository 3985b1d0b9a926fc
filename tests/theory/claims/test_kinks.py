"""T19 needs both: a corrected derivative that is right in every case, and an unrolled one that is off in most."""

import re

import numpy as np
import pytest
from by_hand.kinks import CONTROL, kinks, swept

from theory.claims import NothingToJudgeError, Status, all_claims

T19 = next(claim for claim in all_claims() if claim.id == "T19")
RIGHT = {"unrolled": 0.2, "corrected": 0.02}


def judged(*results):
    return T19.judge({"kinks": list(results)})


@pytest.mark.parametrize(
    ("values", "status", "case"),
    [
        ([RIGHT], Status.HOLDS_WHEN, "corrected"),
        ([RIGHT, {"unrolled": 0.01, "corrected": 0.01}], Status.INCONCLUSIVE, "unrolled"),  # off in one case of two
        ([RIGHT, {"unrolled": 0.2, "corrected": 0.2, "order": 0.0}], Status.FAILS, "corrected"),
        ([{"unrolled": 0.01, "corrected": 0.01}], Status.FAILS, "unrolled"),
        ([{"unrolled": 0.05, "corrected": 0.2, "reference": 0.02}], Status.FAILS, "corrected"),  # unrolled in doubt
    ],
)
def test_both_derivatives_decide_and_a_failure_comes_first(values, status, case):
    verdict = judged(*(kinks(**each) for each in values), CONTROL)
    assert verdict.status is status
    assert verdict.case == f"by hand, {case}"


def test_the_doubt_has_the_interval_of_the_median_and_the_error_of_the_reference():
    """Of 6 seeds the interval has the extremes as its ends; 0.02 to the nearer one, and 0.015 from the reference."""
    ds = kinks(**RIGHT, reference=0.015, seeds=6)
    ds.error.loc[{"derivative": "crossings", "step_size": 0.1}] = [0.01, 0.02, 0.025, 0.035, 0.04, 0.05]
    (first, *_) = judged(ds).evidence
    assert (first.figure, first.doubt) == pytest.approx((0.03, 0.025))


def test_networks_without_kinks_are_controls_and_nothing_alone():
    verdict = judged(kinks(**RIGHT), CONTROL)
    assert [item.control for item in verdict.evidence[:4]] == [False, True, False, True]
    with pytest.raises(NothingToJudgeError, match="no training crossed a kink"):
        judged(CONTROL)


@pytest.mark.parametrize(
    ("change", "flip"),
    [
        (lambda ds: ds.assign(order=("derivative", [0.0, 0.3])), "fitted order .*FAILS"),
        (lambda ds: ds.assign(order=("derivative", [0.7, 1.0])), "fitted order .*FAILS"),
        (lambda ds: ds.assign(order_error=("derivative", [0.4, 0.4])), "fitted order .*INCONCLUSIVE"),
        (lambda ds: ds.assign(mean_error=2.0 * ds.mean_error.where(ds.derivative == "unrolled", 0.3)), "means over seeds.*FAILS"),
        (lambda ds: ds.assign(mean_error_error=0.0 * ds.mean_error_error + 0.1), "means over seeds.*INCONCLUSIVE"),
        (lambda ds: ds.assign(edge_missed=0.0 * ds.edge_missed), "what the integral of D_0 misses.*FAILS"),
    ],
)
def test_the_sensitivity_knows_orders_means_and_edges(change, flip):
    assert not any("measure" in text for text in judged(kinks(**RIGHT)).sensitivity.flips)
    flips = judged(change(kinks(**RIGHT))).sensitivity.flips
    assert len([text for text in flips if text.startswith("the measure")]) == 1
    assert any(re.search(flip, text) for text in flips), flips


def test_cases_without_an_edge_say_nothing_about_it():
    assert np.isfinite(judged(kinks(**RIGHT).drop_vars("edge_missed")).figure)


def test_what_is_compared_is_shown_and_decides_nothing():
    shown = {item.case.removeprefix("by hand, "): item for item in judged(swept(**RIGHT)).evidence[2:]}
    assert all(item.control for item in shown.values())
    figures = {case: item.figure for case, item in shown.items()}
    for name, first, last in (("width", 4, 64), ("size", 6, 12), ("time", 2.5, 40), ("penalty", 0, 0.03)):
        assert (figures[f"unrolled, {name} {first:g}"], figures[f"unrolled, {name} {last:g}"]) == pytest.approx((0.3, 0.1))
    assert figures["corrected, width 64"] == pytest.approx(0.01)
    assert "corrected, time 40" not in figures
    assert figures["tanh, unrolled"] == pytest.approx(0.1)
    assert figures["missed by the integral of unrolled D, width 256"] == pytest.approx(0.1)
    assert figures["missed by the integral of unrolled D"] == pytest.approx(0.2)
    assert figures["softplus, least sharpness times step where unrolled is off by 1%"] == pytest.approx(80.0)
    assert figures["softplus, largest sharpness times step below"] == pytest.approx(20.0)
    assert figures["softplus, largest error"] == pytest.approx(90.0)
    assert figures["linear with hinge loss, unrolled"] == 2.5
    assert figures["linear with hinge loss, projected"] == 0.05
    assert figures["beta on corrected D(1), 1000 steps"] == 0.8
    assert figures["missed by averages of unrolled D over edges, 1000 steps"] == 0.11
    assert "missed by averages of corrected D over edges, 1000 steps" not in figures  # undefined
    plain, beside = judged(kinks(**RIGHT)), judged(swept(**RIGHT))
    assert (plain.status, plain.figure, plain.sensitivity) == (beside.status, beside.figure, beside.sensitivity)
