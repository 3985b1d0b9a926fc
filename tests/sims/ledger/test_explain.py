"""`explain`: every claim with all that is declared of it, judged afresh on stored results."""

import re

import pytest
import xarray as xr

from sims.experiments import all_experiments
from sims.experiments.shared.cases import jobs_of, run_cases
from sims.experiments.shared.results import read, save
from sims.ledger.explain import claims_by_id, explanation, overview, results_for
from theory.claims import all_claims, judge, outcome
from theory.claims.sources import reference

IDS = [claim.id for claim in all_claims()]


def words(text):
    """A text as its words, wherever lines were broken."""
    return " ".join(text.split())


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A folder with the results of one experiment, and these results as they were before they were stored."""
    folder = tmp_path_factory.mktemp("results")
    return folder, run_cases(jobs_of([all_experiments()["identity"]], small=True), out=folder, quiet=True)


def test_the_experiments_that_claims_read_exist():
    known = set(all_experiments())
    for claim in all_claims():
        assert set(claim.experiments) <= known, claim.id


@pytest.mark.parametrize("identifier", IDS)
def test_an_explanation_says_all_that_is_declared_in_lines_that_fit(identifier, tmp_path):
    (claim,) = claims_by_id([identifier])
    text = explanation(claim, tmp_path)
    for part in (claim.statement, claim.essay, claim.idea, claim.measure, *map(reference, claim.sources), *claim.experiments):
        assert words(part) in words(text)
    assert f"tolerance {claim.tolerance:g}" in words(text)
    assert all(len(line) <= 130 for line in text.splitlines() if str(tmp_path) not in line)


@pytest.mark.parametrize("width", [60, 80])
def test_an_explanation_is_as_wide_as_the_terminal(width, tmp_path):
    for claim in claims_by_id(["C6", "T18"]):
        lines = explanation(claim, tmp_path, width).splitlines()
        assert all(len(line) <= width for line in lines if str(tmp_path) not in line and "doi:" not in line)
    assert words(explanation(claim, tmp_path, width)).replace("-", "") == words(explanation(claim, tmp_path)).replace("-", "")


def test_a_command_with_a_folder_can_be_copied_whatever_its_name(tmp_path):
    folder = tmp_path / "my file.csv mymodule.make"
    assert f"--out '{folder}'" in words(explanation(*claims_by_id(["C12"]), folder))


def test_without_results_the_commands_that_make_them_are_named(tmp_path):
    text = words(explanation(*claims_by_id(["C12"]), tmp_path))
    for experiment in ("pathology",):
        assert f"python -m sims run {experiment} --out {tmp_path}" in text


def test_only_what_is_missing_is_asked_for(stored):
    folder, _ = stored
    asked = re.search(r"No results of (.*?) in ", words(overview(all_claims(), folder))).group(1).split(", ")
    assert set(asked) == {name for claim in all_claims() for name in claim.experiments} - {"identity"}


def test_the_verdict_is_that_of_the_judge_on_the_same_results(stored):
    folder, results = stored
    judged = judge(results).verdicts
    assert "C6" in [claim.id for claim, _ in judged]
    for claim, verdict in judged:
        today = outcome(claim, results_for([claim], folder))
        assert (today.status, today.figure, today.case) == (verdict.status, verdict.figure, verdict.case)
        assert f"{verdict.status}: {verdict.figure:.3g} on {verdict.case}." in words(explanation(claim, folder))


def test_stored_results_are_read_as_they_were(stored):
    folder, results = stored
    by_case = {ds.attrs["case"]: ds for ds in read(folder, "identity")}
    assert len(by_case) == len(results["identity"])
    for ds in results["identity"]:
        xr.testing.assert_equal(by_case[ds.attrs["case"]], ds)


def test_the_list_has_every_claim_in_a_line_with_its_verdict(stored):
    folder, _ = stored
    lines = overview(all_claims(), folder).splitlines()
    found = {identifier: next(line for line in lines if line.startswith(f"{identifier} ")) for identifier in IDS}
    assert all(claim.plain in found[claim.id] for claim in all_claims())
    assert re.match(r"C6 +FAILS ", found["C6"])
    assert re.match(r"C6 networks +not judged ", found["C6 networks"])


def test_ids_are_found_in_any_case_and_in_the_order_asked_for():
    assert [claim.id for claim in claims_by_id(["t2 LOCAL", "c6"])] == ["T2 local", "C6"]


@pytest.mark.parametrize(("identifier", "hint"), [("C66", "'C6'"), ("networks", "'C6 networks'"), ("zzz", "lists all")])
def test_an_unknown_id_is_refused_with_what_is_close(identifier, hint):
    with pytest.raises(ValueError, match=f"claim '{identifier}' is unknown") as error:
        claims_by_id(["C1", identifier])
    assert hint in str(error.value)


def test_results_that_another_version_made_are_refused_by_what_they_lack(stored, tmp_path):
    _, results = stored
    for ds in results["identity"]:
        save(ds.drop_vars("hessian_influence"), tmp_path)
    (c1,) = claims_by_id(["C1"])
    with pytest.raises(ValueError, match=r"C1 cannot be judged .*hessian_influence.*of identity, run these experiments again"):
        explanation(c1, tmp_path)
