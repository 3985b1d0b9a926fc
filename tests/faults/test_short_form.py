"""Every study of faults with a few trials: nothing is lost, nothing wrong used without a word; and the table is the record's."""

import json
from pathlib import Path

import pytest
from faults.frame import BAD, MARKS, Outcome, Trial, put_table, short_table, table, tried
from faults.job import Job
from faults.record import attacked
from faults.studies import STUDIES

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    return Job(tmp_path_factory.mktemp("job") / "places")


@pytest.mark.parametrize("study", [study for study in STUDIES if study.short], ids=lambda study: study.name)
def test_a_few_faults_of_every_kind_lose_nothing_and_nothing_wrong_is_used_without_a_word(study, job, tmp_path):
    counts = attacked(study, job, tmp_path / study.name, 0, study.short)
    assert counts["trials"] == study.short
    assert counts["found"] == []
    assert counts["named"] + counts["harmless"] == study.short


def test_studies_have_names_of_their_own():
    assert len({study.name for study in STUDIES}) == len(STUDIES)


def test_outcomes_are_counted_and_those_that_are_bad_are_told():
    counts = tried(
        [Trial(Outcome.NAMED, "a"), Trial(Outcome.NAMED, "b"), Trial(Outcome.NAMED, "b"), Trial(Outcome.LOST, found="c")]
    )
    assert (counts["trials"], counts["named"], counts["lost"], counts["silent"]) == (4, 3, 1, 0)
    assert counts["message"] == "b"
    assert counts["found"] == ["lost: c"]
    assert tried(Trial(outcome, found="x") for outcome in BAD)["found"] == ["lost: x", "silent: x", "untidy: x"]


def test_the_table_takes_the_place_of_the_one_before_and_of_nothing_else():
    record = {
        "date": "2000-01-01",
        "seed": 1,
        "versions": {"numpy": "2.0"},
        "studies": {"s": {"fault": "f", **tried([Trial(Outcome.NAMED, "a|b")])}},
    }
    page = put_table(f"before\n{MARKS[0]}old{MARKS[1]}\nafter\n", table(record))
    assert page == put_table(page, table(record))
    assert "old" not in page
    assert page.startswith("before\n")
    assert page.endswith("\nafter\n")
    assert "| f | 1 | 0 | 0 | 0 | `a\\|b` |" in page.splitlines()


def test_the_table_in_the_readme_of_the_project_is_that_of_the_record():
    page, record = (HERE.parents[1] / "README.md").read_text(), json.loads((HERE / "record.json").read_text())
    assert page == put_table(page, short_table(record))


def test_the_table_in_the_page_is_that_of_the_record():
    page, record = (HERE / "README.md").read_text(), json.loads((HERE / "record.json").read_text())
    assert page == put_table(page, table(record))
    assert set(record["studies"]) <= {study.name for study in STUDIES}
