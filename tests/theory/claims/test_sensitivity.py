"""Sensitivity: a verdict says which other tolerance, measure, case or data would give another verdict."""

import pytest
import xarray as xr

from theory.claims import Claim, Evidence, OtherMeasure, Sensitivity, Status


def result(case, figure, **attrs):
    return xr.Dataset({"figure": ((), figure), "slope": ((), 10.0 * figure)}, attrs={"case": case, **attrs})


def judged_by(variable):
    return lambda this, results: this.decide(
        [Evidence(ds.attrs["case"], float(ds[variable])) for ds in results["trial"]], condition=""
    )


def sensitivity(*cases, tolerance=1.0, other_measures=()):
    declared = Claim(
        "X", "", ("trial",), "", tolerance, "", "", (), judged_by("figure"), needs=("figure",), other_measures=other_measures
    )
    return declared.judge({"trial": list(cases)}).sensitivity


def test_a_verdict_that_nothing_flips_is_robust():
    found = sensitivity(result("a", 0.1), result("b", 0.2))
    assert found == Sensitivity()
    assert found.robust
    assert str(found) == "robust"


@pytest.mark.parametrize(
    ("figure", "flip"), [(0.7, "the tolerance (half it: FAILS)"), (1.5, "the tolerance (twice it: HOLDS)")], ids=["half", "twice"]
)
def test_a_figure_near_its_tolerance_turns_on_the_tolerance(figure, flip):
    found = sensitivity(result("a", figure), result("b", figure))
    assert found.flips == (flip,)
    assert str(found) == f"turns on {flip}"


def test_a_claim_built_to_turn_on_one_case_says_so():
    assert sensitivity(result("a", 0.1), result("b", 9.0)).flips == ("the case b of trial (without it: HOLDS)",)


def test_a_claim_that_rests_on_one_case_says_so():
    assert sensitivity(result("a", 0.1)).flips == ("the case a of trial (without it: nothing to judge)",)


def test_another_measure_that_gives_another_verdict_is_named_with_its_tolerance():
    slope = OtherMeasure("|slope - 1|", 0.5, judged_by("slope"))
    assert sensitivity(result("a", 0.1), result("b", 0.1), other_measures=(slope,)).flips == (
        "the measure (by |slope - 1|, tolerance 0.5: FAILS)",
    )


def test_data_of_another_seed_never_decide_and_are_tried_in_the_place_of_the_case_that_they_repeat():
    first = [result("a", 0.1), result("b", 0.2)]
    again = [result("a data seed 1", 9.0, data_seed=1, repeats="a"), result("a data seed 2", 0.1, data_seed=2, repeats="a")]
    declared = Claim("X", "", ("trial",), "", 1.0, "", "", (), judged_by("figure"))
    verdict = declared.judge({"trial": [*first, *again]})
    assert verdict.status is Status.HOLDS
    assert [item.case for item in verdict.evidence] == ["a", "b"]
    assert verdict.sensitivity.flips == ("the data (drawn with seed 1: FAILS)",)


def test_controls_are_shown_and_never_decide():
    evidence = [Evidence("true by construction", 0.0, control=True), Evidence("a", 2.0)]
    verdict = Claim("X", "", (), "", 1.0, "", "", (), judged_by("figure")).decide(evidence, condition="", deciding="mildest")
    assert (verdict.status, verdict.case) == (Status.FAILS, "a")
    assert "true by construction (control)" in repr(verdict)
