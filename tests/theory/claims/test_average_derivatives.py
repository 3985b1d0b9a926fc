"""Claims about training that has not converged, jumps or interpolates: every status that they can reach, on made-up results."""

import json

import numpy as np
import pytest
import xarray as xr
from by_hand import average_derivatives as by_hand

from theory.claims import NothingToJudgeError, Status, all_claims

MEASURES = ["slope", "relative_error", "pearson", "spearman"]
PAIRS = ["beta on D(1)", "Hessian influence on D(1)"]


def judged(identifier, **results):
    return next(c for c in all_claims() if c.id == identifier).judge(results)


def training(essay, influence, spread=0.0, beta=1.0):
    """A `training_time` result with relative errors (essay, influence) at times 1, 10, .., and standard errors all equal."""
    times = 10 ** np.arange(len(essay))
    measured = np.ones((len(essay), 2, 4))
    measured[:, 0, 1], measured[:, 1, 1] = essay, influence
    return xr.Dataset(
        {
            "measured": (("time", "pair", "measure"), measured),
            "measured_error": (("time", "pair", "measure"), np.full_like(measured, spread)),
            "beta": (("time", "point", "output"), np.full((len(essay), 1, 1), beta)),
        },
        {"time": times, "pair": PAIRS, "measure": MEASURES},
        {"case": f"made up {essay}"},
    )


def average(error, not_judged="", jumps=0, **more):
    """An `average_derivative` result with one law and one time."""
    dims = ("law", "time")
    values = {
        "error": (dims, [[error]]),
        "average_derivative_error": (dims, [[0.5]]),
        "n_jumps": (dims, [[jumps]]),
        "edges": (("part", "law", "time"), [[[3]], [[4]]]),
        **more,
    }
    attributes = {"case": f"case {error}", "not_judged": json.dumps({"L, 5 steps": not_judged} if not_judged else {})}
    return xr.Dataset(values, {"law": ["L"], "time": [5], "part": ["taken", "of"]}, attributes)


def changed(result, **values):
    """The same with other values of some variables."""
    return result.assign({name: (result[name].dims, np.broadcast_to(new, result[name].shape)) for name, new in values.items()})


def test_c9_is_open_while_one_training_time_has_not_converged_even_if_its_error_is_small():
    """Such cases were left out where they were wrong, and counted where they were right."""
    for error in (0.3, 1e-9):
        cases = [average(1e-9), average(error, "30 edges unfinished")]
        verdict = judged("C9", training_time=[training([1.0], [1.0])], average_derivative=cases)
        assert verdict.status is Status.INCONCLUSIVE
        assert len(verdict.evidence) == 1
        assert (
            f"not judged, and not counted: case {error}, L, 5 steps (30 edges unfinished; error {error:.1g})" in verdict.condition
        )
    assert judged("C9", training_time=[training([1.0], [1.0])], average_derivative=cases[:1]).status is Status.HOLDS_WHEN


def test_c9_says_nothing_where_nothing_converged():
    cases = [average(1.0, "too many")]
    assert judged("C9", training_time=[training([0.0], [0.0])], average_derivative=cases).status is Status.INCONCLUSIVE


def test_c9_fails_where_a_converged_average_is_not_beta_or_beta_is_not_finite():
    good = [training([1.0], [1.0])]
    assert judged("C9", training_time=good, average_derivative=[average(0.3), average(0.1, "open")]).status is Status.FAILS
    broken = training([1.0], [1.0], beta=np.nan)
    assert judged("C9", training_time=[*good, broken], average_derivative=[average(1e-9)]).status is Status.FAILS


def test_c9_sets_the_price_of_averaging_beside_the_spread_between_optima():
    price = {
        "beta_change": (("law_of_r",), [0.25]),
        "beta_change_error": (("law_of_r",), [0.01]),
        "seed_spread": (("score",), [1.5]),
    }
    case = average(1e-9, **price).assign_coords(law_of_r=["starts x 2"], score=["influence"])
    condition = judged("C9", training_time=[training([1.0], [1.0])], average_derivative=[case]).condition
    assert "beta changes by 0.25 +- 0.01 (starts x 2); between seeds 1.50 (influence)" in condition


def test_t16_counts_networks_that_jump_and_says_what_the_derivative_alone_misses():
    calm = identity_case(1e-9)
    verdict = judged("T16", identity=[calm], average_derivative=[average(1e-9, jumps=7), average(1e-9), average(0.3, "open", 2)])
    assert verdict.status is Status.HOLDS
    assert len(verdict.evidence) == 1
    assert "misses 0.5 on case 1e-09, L, 5 steps, 7 jumps" in verdict.condition
    assert "not judged, and not counted: case 0.3, L, 5 steps (open; error 0.3)" in verdict.condition
    assert judged("T16", identity=[identity_case(0.01, jumps=3)]).status is Status.FAILS
    with pytest.raises(NothingToJudgeError, match="no case has a jump"):
        judged("T16", identity=[calm])


def test_t2_leaves_cases_with_jumps_to_t16_and_never_counts_one_that_has_not_converged():
    verdict = judged("T2", identity=[identity_case(1e-9), identity_case(0.9, jumps=4), identity_case(1e-12, "not settled")])
    assert (verdict.status, len(verdict.evidence)) == (Status.HOLDS_WHEN, 1)
    assert "misses 0.5 on made up 0.9 (T16)" in verdict.condition
    assert "not counted: made up 1e-12 (not settled; error 1e-12)" in verdict.condition
    assert judged("T2", identity=[identity_case(0.01)]).status is Status.FAILS
    with pytest.raises(NothingToJudgeError, match="has converged; not judged, and not counted: made up 1e-12"):
        judged("T2", identity=[identity_case(1e-12, "not settled")])


def identity_case(error, not_judged="", jumps=0):
    """The part of an `identity` result that T2 and T16 read."""
    values = {
        "identity_error": (("p",), [error]),
        "average_derivative_error": (("p",), [0.5]),
        "average_derivative": (("p",), [1.0]),
        "n_jumps": jumps,
        "edges": (("part",), [4, 4]),
    }
    attributes = {"case": f"made up {error}"} | ({"not_judged": not_judged} if not_judged else {})
    return xr.Dataset(values, {"p": [0.5], "part": ["taken", "of"]}, attributes)


@pytest.mark.parametrize(("difference", "status"), [(1.0, "HOLDS"), (1.1, None)])
def test_t2_local_is_about_responses_that_are_smooth_near_w_1(difference, status):
    """A relu network jumps there, and no order of the error is to be expected."""
    values = {"finite_difference": difference, "derivative": 1.0}
    effects = {name: (("point", "output"), [[value]]) for name, value in values.items()}
    case = by_hand.local(2.0)["identity"][0].assign(effects)
    if status:
        assert judged("T2 local", identity=[case]).status == status
    else:
        with pytest.raises(NothingToJudgeError, match="F is not smooth near w = 1: its differences are not D"):
            judged("T2 local", identity=[case])
