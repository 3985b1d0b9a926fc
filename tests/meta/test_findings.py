"""The numbers of README.md and FINDINGS.md are those of the ledger of the last full run, which the repository has."""

import json
import re
from pathlib import Path

import pytest
from small_run import small_run

from figures.findings import LEDGER, MARKS, put_findings, rendered
from theory.claims import all_claims

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "FINDINGS.md")
FULL = json.loads(LEDGER.read_text())


@pytest.mark.parametrize("page", PAGES)
def test_the_findings_of_a_page_are_those_of_the_last_full_run(page):
    text = (ROOT / page).read_text()
    assert put_findings(text, rendered(page, FULL)) == text, f"write them again: python -m figures.findings {page}"


def test_the_full_run_has_judged_every_claim_as_it_is_declared_today():
    judged = {claim["id"]: claim for claim in FULL["claims"]}
    today = {claim.id: claim for claim in all_claims()}
    assert set(judged) == set(today)
    assert FULL["not_judged"] == {}
    for identifier, claim in today.items():
        stored = judged[identifier]
        declared = (claim.statement, claim.kind, claim.measure, claim.tolerance)
        assert (stored["statement"], stored["kind"], stored["measure"], stored["tolerance"]) == declared, identifier
        assert set(stored["sensitivity"]) == {"robust", "flips"}


@pytest.mark.parametrize("claim", all_claims(), ids=lambda claim: claim.id)
def test_a_small_run_gives_the_verdict_of_the_full_one_or_says_that_it_is_too_small(claim):
    small = json.loads((small_run().folder / "ledger.json").read_text())
    full = {found["id"]: found["verdict"] for found in FULL["claims"]}
    if claim.id in small["not_judged"]:
        assert claim.too_small
        assert f"too small to judge: {claim.too_small}" in small["not_judged"][claim.id]
    else:
        assert full[claim.id] == {found["id"]: found["verdict"] for found in small["claims"]}[claim.id]


def test_every_claim_is_quoted_in_the_findings_or_checks_the_code():
    findings = (ROOT / "FINDINGS.md").read_text().partition(MARKS[0])[2].partition(MARKS[1])[0]
    quoted = set(re.findall(r"\[([CPT]\d+(?: \w+)*?) (?:HOLDS|FAILS|INCONCLUSIVE)", findings))
    assert {claim.id for claim in all_claims() if claim.kind == "finding"} <= quoted
