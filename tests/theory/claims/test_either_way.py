"""Every claim can come out either way: on results made by hand it holds, it fails, and it says nothing where noise decides.

Each file in `tests/by_hand` has for some claims the results on which they must get these verdicts.
"""

import importlib
from pathlib import Path

import pytest
from by_hand.prediction import DRAWN

from theory.claims import Status, all_claims

STATUSES = {
    "holds": {Status.HOLDS, Status.HOLDS_WHEN},
    "fails": {Status.FAILS},
    "inconclusive": {Status.INCONCLUSIVE},
}
CLAIMS = {claim.id: claim for claim in all_claims()}
EITHER_WAY = {
    identifier: results
    for file in sorted((Path(__file__).parents[2] / "by_hand").glob("*.py"))
    for identifier, results in importlib.import_module(f"by_hand.{file.stem}").EITHER_WAY.items()
}


@pytest.mark.parametrize(("identifier", "outcome"), [(k, outcome) for k, found in EITHER_WAY.items() for outcome in found])
def test_results_made_by_hand_get_the_verdict_that_they_were_made_for(identifier, outcome):
    verdict = CLAIMS[identifier].judge(EITHER_WAY[identifier][outcome])
    assert verdict.status in STATUSES[outcome], verdict


@pytest.mark.parametrize(("identifier", "outcome"), [(k, outcome) for k, found in DRAWN.items() for outcome in found])
def test_drawn_subsets_decide_only_outside_their_interval(identifier, outcome):
    verdict = CLAIMS[identifier].judge(DRAWN[identifier][outcome])
    assert verdict.status in STATUSES[outcome], verdict
    assert "4000 subsets drawn" in str(verdict)


def test_every_claim_can_hold_and_can_fail():
    able = {k for k, results in EITHER_WAY.items() if {"holds", "fails"} <= set(results)}
    assert set(CLAIMS) - able == set()
