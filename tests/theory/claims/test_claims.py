"""Claims: registered once, absent without results, and judged by magnitude."""

import re

import numpy as np
import pytest
import xarray as xr

from theory.claims import Claim, Evidence, Ledger, NothingToJudgeError, Status, Verdict, all_claims, claim, judge, outcome

MEASURES = ["slope", "relative_error", "pearson", "spearman"]


def identity_result(slope, relative_error):
    """The part of an `identity` result that C6 reads."""
    row, dims = [slope, relative_error, 1.0, 1.0], ("p", "point", "output")
    against = xr.DataArray([[row, row]], {"p": [0.5], "reference": ["D(1)", "LOO"], "measure": MEASURES})
    effects = {name: (dims, [[[slope]]]) for name in ("beta", "inclusion_derivative")} | {"derivative": (dims[1:], [[1.0]])}
    return xr.Dataset({"beta_against": against, **effects}, attrs={"case": f"slope {slope}"})


def c6(results) -> Verdict:
    return next(c for c in all_claims() if c.id == "C6").judge({"identity": results})


def test_a_perfect_correlation_does_not_save_a_claim_whose_slope_is_two():
    verdict = c6([identity_result(2.0, 1.0)])
    assert verdict.status is Status.FAILS
    assert verdict.figure == 1.0


def test_the_essays_identity_would_hold_if_every_case_were_exact():
    assert c6([identity_result(1.0, 1e-12), identity_result(1.0, 1e-9)]).status is Status.HOLDS


def test_one_case_that_fails_fails_the_claim():
    assert c6([identity_result(1.0, 1e-12), identity_result(1.01, 1e-2)]).status is Status.FAILS


def test_a_claim_without_its_experiment_is_absent_and_never_passed():
    assert judge({}).verdicts == ()
    assert judge({"identity": []}).verdicts == ()


def test_every_claim_without_a_verdict_says_which_experiment_it_lacks_and_why():
    absent = {c.id: reason for c, reason in judge({}, {"identity": "is for other learners"}).not_judged}
    assert set(absent) == {c.id for c in all_claims()}
    assert absent["C1"] == "identity is for other learners"
    assert absent["C7"] == "normalisation has no results"


def test_a_claim_whose_kind_of_case_is_not_there_is_absent_with_its_reason():
    results = {"scale": [scale_result(l2=0.1), scale_result(l2=0.0, columns_per_point=0.2)]}
    ledger = judge(results)
    reasons = {c.id: reason for c, reason in ledger.not_judged}
    assert "no case without penalty" in reasons["T6"]
    assert "T6" not in {c.id for c, _ in ledger.verdicts}
    assert ledger.faults == ()


def test_the_law_of_one_over_p_is_judged_on_cases_without_penalty_only():
    verdict = by_id("T6").judge({"scale": [scale_result(l2=0.1, slope=9.0), scale_result(l2=0.0, slope=2.02)]})
    assert verdict.status is Status.HOLDS_WHEN
    assert verdict.figure == pytest.approx(0.01)
    assert by_id("T6").judge({"scale": [scale_result(l2=0.0, slope=9.0)]}).status is Status.FAILS


def scale_result(l2, slope=2.0, columns_per_point=0.01):
    """The part of a `scale` result that the claims read, at p = 1/2."""
    values = {"slope": [[slope]], "slope_at_mean": [[1.0]], "standard_error": [[1e-4]], "miss": [[1e-4]], "miss_error": [[1e-5]]}
    return xr.Dataset(
        {
            **{name: (("law", "output"), value) for name, value in values.items()},
            "predicted": (("law",), [2.0]),
            "rescaling_error": (("law",), [0.0]),
            "columns_per_point": ((), columns_per_point),
        },
        {"law": ["Bernoulli(0.5)"]},
        {"case": f"l2 = {l2}", "l2": l2},
    )


def by_id(name):
    return next(c for c in all_claims() if c.id == name)


def test_claims_come_in_the_order_of_their_numbers_and_each_says_what_it_needs():
    ids = [c.id for c in all_claims()]
    assert ids.index("C1") < ids.index("C6") < ids.index("C7") < ids.index("T1") < ids.index("T10")
    assert ids.index("T8") < ids.index("T10")
    assert len(set(ids)) == len(ids)


def test_every_claim_says_all_that_there_is_to_know_about_it():
    for c in all_claims():
        texts = (c.statement, c.measure, c.essay, c.idea, c.judgement.__doc__, *c.sources, *c.experiments)
        assert c.sources, c.id
        assert c.experiments, c.id
        assert c.tolerance >= 0.0, c.id
        assert all(text.strip() for text in texts), c.id
        assert all(text == " ".join(text.split()) for text in (c.statement, c.measure, c.essay, c.idea, *c.sources)), c.id


def test_a_verdict_names_the_measure_and_the_tolerance_that_its_claim_declares():
    declared = next(c for c in all_claims() if c.id == "C6")
    verdict = c6([identity_result(1.0, 1e-12)])
    assert (verdict.measure, verdict.tolerance) == (declared.measure, declared.tolerance)


def test_the_identities_that_a_text_refers_to_are_claims():
    ids = {c.id for c in all_claims()}
    for c in all_claims():
        referred = set(re.findall(r"\b[CPT]\d+(?: (?:penalty|time|networks|local))?", f"{c.essay} {c.idea}"))
        assert referred <= ids, (c.id, referred - ids)


def test_a_second_claim_with_one_id_is_an_error():
    all_claims()
    with pytest.raises(ValueError, match=r"claim C6 is defined twice: in theory\.claims\.datamodel_and_derivative and"):
        claim("C6", "again", plain="", experiments=("identity",), measure="", tolerance=0.0, essay="", idea="", sources=())(
            lambda *_: None
        )


def measured(tolerance, measure="error"):
    """A claim with this tolerance that no result is needed for."""
    return Claim("X", "a statement", (), measure, tolerance, "", "", (), lambda *_: None)


def cases(*figures):
    return [Evidence(f"case {figure}", figure) for figure in figures]


@pytest.mark.parametrize(
    ("figures", "uncertainty", "status"),
    [
        ([0.1, 0.2], 0.0, Status.HOLDS),
        ([0.1, 1.0], 0.0, Status.HOLDS),
        ([0.1, 1.2], 0.0, Status.FAILS),
        ([0.1, 1.2], 0.3, Status.INCONCLUSIVE),
        ([0.1, 0.9], 0.3, Status.INCONCLUSIVE),
        ([0.1, 0.5], 0.3, Status.HOLDS),
        ([0.1, 1.2], [0.3, 0.1], Status.FAILS),
        ([0.1, 1.2], [0.1, 0.3], Status.INCONCLUSIVE),
        ([0.1, 1.2], [0.1, np.nan], Status.FAILS),  # one seed: nothing is sampled
    ],
)
def test_the_worst_case_decides_and_a_figure_within_its_error_of_the_tolerance_decides_nothing(figures, uncertainty, status):
    doubts = np.broadcast_to(uncertainty, len(figures))
    evidence = [Evidence(f"case {figure}", figure, doubt) for figure, doubt in zip(figures, doubts, strict=True)]
    verdict = measured(1.0).decide(evidence, condition="")
    assert verdict.status is status
    assert (verdict.case, verdict.figure) == (f"case {max(figures)}", max(figures))


@pytest.mark.parametrize(
    ("figures", "must_exceed", "deciding", "figure", "status"),
    [
        ([0.1, 1.2], False, "mildest", 0.1, Status.HOLDS_WHEN),
        ([1.1, 1.2], False, "mildest", 1.1, Status.FAILS),
        ([1.1, 1.2], True, "worst", 1.1, Status.HOLDS_WHEN),
        ([1.0, 1.2], True, "worst", 1.0, Status.FAILS),
        ([0.1, 1.2], True, "mildest", 1.2, Status.HOLDS_WHEN),
        ([0.1, 0.2], True, "mildest", 0.2, Status.FAILS),
    ],
)
def test_the_worst_case_is_the_one_that_speaks_most_against_the_claim(figures, must_exceed, deciding, figure, status):
    verdict = measured(1.0).decide(
        cases(*figures), holds=Status.HOLDS_WHEN, condition="", must_exceed=must_exceed, deciding=deciding
    )
    assert (verdict.figure, verdict.status) == (figure, status)
    assert len(verdict.evidence) == 2


def test_without_evidence_there_is_no_verdict():
    with pytest.raises(NothingToJudgeError, match="no case says anything: of 1 case"):
        measured(1.0).decide([], condition="of 1 case")


@pytest.mark.parametrize(
    ("figures", "deciding", "status", "case"),
    [
        ([0.0, np.nan], "worst", Status.INCONCLUSIVE, "case 1"),
        ([np.nan, np.nan], "worst", Status.INCONCLUSIVE, "case 0"),
        ([np.nan, 2.0], "worst", Status.FAILS, "case 1"),
        ([np.nan, 2.0], "mildest", Status.INCONCLUSIVE, "case 0"),
        ([np.nan, 0.5], "mildest", Status.HOLDS, "case 1"),
        ([np.nan, 0.5, 0.6], "most", Status.HOLDS, "case 1"),
        ([np.nan, 0.5, 2.0], "most", Status.INCONCLUSIVE, "case 0"),
    ],
)
def test_an_undefined_figure_could_be_anything(figures, deciding, status, case):
    evidence = [Evidence(f"case {number}", figure) for number, figure in enumerate(figures)]
    verdict = measured(1.0).decide(evidence, condition="of two cases", deciding=deciding)
    assert (verdict.status, verdict.case) == (status, case)
    if status is Status.INCONCLUSIVE:
        undefined = [item.case for item in evidence if np.isnan(item.figure)]
        assert verdict.condition == f"of two cases; undefined on {', '.join(undefined)}"


def test_results_of_another_version_are_a_fault_that_names_the_experiments_to_run_again():
    old = identity_result(1.0, 0.0).drop_vars("beta_against")
    ledger = judge({"identity": [old]})
    found = outcome(by_id("C6"), {"identity": [old]})
    assert found.fault
    assert re.match(r"AttributeError: .*beta_against.*made the results of identity, run these experiments again", found.reason)
    assert {c.id: reason for c, reason in ledger.not_judged}["C6"] == found.reason
    assert by_id("C6") in ledger.faults
    assert by_id("C7") not in ledger.faults  # which only lacks an experiment


def test_every_claim_is_judged_once_and_has_a_verdict_or_a_reason(monkeypatch):
    calls = []
    whole = Claim.judge
    monkeypatch.setattr(Claim, "judge", lambda this, results: calls.append(this.id) or whole(this, results))
    ledger = judge({"scale": [scale_result(l2=0.0)]})
    assert sorted(calls) == ["T6", "T6 penalty"]
    found = [c for c, _ in (*ledger.verdicts, *ledger.not_judged)]
    assert sorted(c.id for c in found) == sorted(c.id for c in all_claims())


def test_a_verdict_shows_what_decides_and_its_cases_on_one_screen():
    few = measured(1.0, "an error").decide(cases(0.25, 2.0), condition="only <b>here</b>")
    assert repr(few).splitlines() == [
        "FAILS: 2 (tolerance 1) on case 2.0",
        "  an error",
        "    0.25                case 0.25",
        "    2                   case 2.0",
        "  only <b>here</b>",
    ]
    assert "only &lt;b&gt;here&lt;/b&gt;" in few._repr_html_()
    many = repr(measured(1.0).decide(cases(*map(float, range(40))), condition="word " * 2000))
    assert "and 30 more cases" in many
    assert len(many.splitlines()) < 25


def test_a_ledger_shows_every_verdict_in_a_line_and_names_the_other_claims():
    ledger = judge({"scale": [scale_result(l2=0.0)]})
    first, *lines, last = repr(Ledger(ledger.verdicts, ledger.not_judged[:3])).splitlines()
    assert first == "2 claims judged: 1 HOLDS WHEN, 1 HOLDS"
    assert [line.split("  ")[0] for line in lines] == ["T6", "T6 penalty"]
    assert last == "Not judged: C1, C2, C2 optima"
    assert all(len(line) <= 118 for line in lines)
    assert ledger._repr_html_().count("<tr>") == 2
    assert repr(Ledger((), ())) == "0 claims judged: none\nNot judged: none"
