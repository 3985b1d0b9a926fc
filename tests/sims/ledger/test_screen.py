"""The screen of verdicts: its conclusion follows the verdicts, no line is too wide, and colours only repeat the words."""

import click
import numpy as np
import pytest
import xarray as xr

from sims.ledger.screen import claim_lines, conclusion, screen, show_run, turns_on
from sims.ledger.text import summary_text
from theory.claims import Evidence, Ledger, NotJudged, Sensitivity, Status, Verdict, all_claims

CLAIMS = {claim.id: claim for claim in all_claims()}


def verdict(status, figure=0.5, case="a-8 ridge", flips=()):
    return Verdict(
        Status(status), figure, "m", 0.1, "c", case, evidence=(Evidence(case, figure),), sensitivity=Sensitivity(tuple(flips))
    )


def ledger(judged, not_judged=()):
    return Ledger(tuple((CLAIMS[name], found) for name, found in judged.items()), tuple((CLAIMS[k], "why") for k in not_judged))


def test_every_claim_has_a_plain_sentence_that_fits():
    assert [claim.id for claim in all_claims() if not 10 <= len(claim.plain) <= 54] == []
    assert len({claim.plain for claim in all_claims()}) == len(all_claims())
    assert [claim.id for claim in all_claims() if len(claim.id) >= 12 or claim.plain.endswith(".")] == []


def test_the_conclusion_counts_names_and_says_what_it_means():
    judged = {"C1": verdict("HOLDS WHEN"), "C5": verdict("FAILS"), "C6": verdict("FAILS", 1.3), "T2": verdict("HOLDS", 2e-15)}
    assert conclusion(ledger(judged)) == [
        "Of the essay's 3 claims judged 1 holds under a condition and 2 fail; of 1 other claim 1 holds.",
        "C5 and C6 fail; C1 holds.",
        "Beta is not dF/dw at w = 1: it is off by up to 1.3 times the size of D(1) (a-8 ridge), but it is dF/dw averaged over "
        "the datamodel's own training sets, to 2e-15.",
    ]


@pytest.mark.parametrize(
    ("judged", "meaning"),
    [
        ({"C6": verdict("HOLDS", 1e-9)}, "Beta is dF/dw at w = 1, to 1e-09 times the size of D(1)."),
        ({"C6": verdict("INCONCLUSIVE")}, "Whether beta is dF/dw at w = 1 remains open."),
        (
            {"T2": verdict("FAILS")},
            "Whether beta is dF/dw at w = 1 was not judged, and it is not shown to be dF/dw averaged over",
        ),
    ],
    ids=["holds", "open", "not judged"],
)
def test_other_verdicts_give_another_conclusion(judged, meaning):
    assert conclusion(ledger(judged))[-1].startswith(meaning)


def test_without_verdicts_the_conclusion_says_so():
    assert conclusion(ledger({}, ["C6"])) == ["No claim could be judged on these results."]


@pytest.mark.parametrize("width", [30, 52, 80, 120, 200])
def test_no_line_is_wider_than_the_terminal_and_verdicts_are_spelled_out(width):
    flips = ("the tolerance (half it: FAILS)", "the measure (by x, tolerance 1: FAILS)", "the case a of b (without it: FAILS)")
    statuses = [status.value for status in Status]
    judged = {name: verdict(statuses[k % 4], flips=flips * (k % 2)) for k, name in enumerate(CLAIMS)}
    lines = click.unstyle(screen(ledger(judged, ["C12"]), ["Report: results/report.html"], width=width, small=True)).splitlines()
    assert max(map(len, lines)) <= width
    text = " ".join(" ".join(lines).split())
    for name, found in judged.items():
        assert f"{name} {found.status.value}" in text
        assert CLAIMS[name].plain.split()[0] in text
    assert "Not judged: 1 (C12)." in text
    assert "Small run:" in text
    if width >= 80:
        assert len(lines) <= 66  # all claims, and every part of the end
    assert ("turns on tolerance, measure, case" in text) == (width >= 116)


def test_what_a_verdict_turns_on_is_named_by_kind():
    texts = (
        "the tolerance (twice it: HOLDS)", "the measure (by x, tolerance 1: HOLDS)", "the measure (by y, tolerance 1: HOLDS)",
        "the case a of b (without it: HOLDS)", "the data (drawn with seed 1: HOLDS)",
    )  # fmt: skip
    assert turns_on(verdict("FAILS", flips=texts)) == "tolerance, 2 measures, case, data"
    assert turns_on(verdict("FAILS")) == ""


def test_a_verdict_that_rests_on_one_case_has_no_mark_and_says_so_where_there_is_room():
    found = verdict("HOLDS", flips=("the case a of b (without it: nothing to judge)",))
    both = verdict("HOLDS", flips=(*found.sensitivity.flips, "the tolerance (half it: FAILS)"))
    assert (turns_on(found), turns_on(both)) == ("", "tolerance")
    (line,) = claim_lines([(CLAIMS["T1"], found)], 120)
    assert "*" not in line
    assert line.endswith("rests on one case")
    assert "not robust" not in screen(ledger({"T1": found}), [], width=120)


def test_a_run_of_one_experiment_explains_its_marks_only_where_it_has_some(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("sims.ledger.screen.outcome", lambda claim, stored: verdict("HOLDS", flips=flips))
    for flips in ((), ("the tolerance (half it: FAILS)",)):
        show_run("identity", [], tmp_path)
        assert ("* not robust" in capsys.readouterr().out) == bool(flips)


def test_a_claim_that_was_not_judged_gives_its_reason():
    (line, *more) = claim_lines([(CLAIMS["C5"], NotJudged("lds has no results"))], 80)
    assert line.startswith("C5          not judged    a linear datamodel")
    assert "lds has no results" in " ".join(" ".join([line, *more]).split())


@pytest.mark.parametrize("width", [40, 80, 300])
def test_a_wide_table_is_continued_below_and_loses_no_number(width):
    values = np.arange(120.0).reshape(3, 2, 20) + 1000.0
    result = xr.Dataset(
        {"one": (("a", "b", "c"), values, {"long_name": "a quantity"}), "two": (("c",), values[0, 0], {"long_name": "another"})},
        {"a": ["x" * 30, "y", "z"], "b": [0.25, 0.5], "c": [f"column {k}" for k in range(20)]},
        {"case": "a case of words " * 6},
    )
    text = summary_text(result, width)
    assert max(map(len, text.splitlines())) <= width
    for number in values.ravel():
        assert f" {number:.4g}" in text
    for k in range(20):
        assert f"column {k}" in text
