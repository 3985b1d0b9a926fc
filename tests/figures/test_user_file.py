"""The first screen of a report on a user's own file: facts, findings and rows come from the results."""

import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from figures.__main__ import cli
from figures.results import read_all
from figures.user_file import user_file
from sims.datasets.user_file import as_user_data
from sims.experiments.shared.cases import run_cases, user_jobs
from sims.experiments.shared.user_cases import user_problem
from theory.claims import judge

SAMPLE = Path(__file__).parents[2] / "examples" / "vote96.csv"


@pytest.fixture(scope="module", params=[6, 24], ids=["all subsets", "drawn subsets"])
def folder(request, tmp_path_factory):
    """Results of a few experiments on the sample."""
    out = tmp_path_factory.mktemp("own") / "r"
    jobs, _ = user_jobs(user_problem(as_user_data(SAMPLE, "vote"), "logistic", request.param), small=True)
    run_cases([job for job in jobs if job.experiment in ("identity", "group_removal")], out=out, quiet=True)
    return out


def test_it_says_what_was_run_and_found(folder):
    results = read_all(folder)
    whole = max(results["identity"], key=lambda ds: ds.attrs["n_points"])
    n, verdicts = whole.attrs["n_points"], judge(results).verdicts
    found = user_file(results, verdicts)
    facts = dict(found.facts)
    assert found.name == "vote96.csv"
    assert facts["Target"] == "vote: Clinton (0) or Dole (1)"
    assert facts["Rows in the file"] == "944"
    assert facts["Rows trained on"] == f"N = {n}"
    assert (facts["Learner"], facts["Penalty"]) == ("logistic regression", "l2 = 0.1")
    assert facts["Datamodel of"] == ("all 64 subsets" if n == 6 else "240 drawn subsets")
    slope = float(whole.beta_against.sel(p=0.5, reference="D(1)", measure="slope"))
    texts = {finding.claim: finding for finding in found.findings}
    assert f"on average {slope:.2f}"[:-1] in texts["C6"].text
    assert ("±" in texts["C6"].text) == (n == 24)
    assert texts["C6"].verdict.status == "FAILS"
    assert {"C6", "T2", ""} <= set(texts)
    assert ("(on the first 6 of the 24 rows)" in texts["T2"].text) == (n == 24)
    assert found.said_of == ""


def test_rows_are_those_of_the_largest_and_the_least_beta(folder):
    results = read_all(folder)
    whole = max(results["identity"], key=lambda ds: ds.attrs["n_points"])
    beta, rows = whole.beta.sel(p=0.5).values[:, 0], np.array(whole.attrs["train_rows"])
    found = user_file(results, ())
    assert [effect.row for effect in found.raising] == rows[np.argsort(-beta)][: min(3, (beta > 0).sum())].tolist()
    assert [effect.row for effect in found.lowering] == rows[np.argsort(beta)][: min(3, (beta < 0).sum())].tolist()
    effect = found.raising[0]
    assert float(effect.derivative) == pytest.approx(float(whole.derivative.values[beta.argmax(), 0]), rel=0.006)
    assert all(finding.verdict is None for finding in found.findings)


def test_the_page_begins_with_the_file(folder):
    result = CliRunner().invoke(cli, ["--from", str(folder)])
    assert result.exit_code == 0, result.output
    page = (folder / "report.html").read_text()
    headings = re.findall(r"<h([12])[^>]*>(.*?)</h", page)
    assert headings[0] == ("1", "vote96.csv: what its rows do to a trained model")
    assert [level for level, _ in headings].count("1") == 1
    assert ("2", "What do attribution scores measure?") in headings


def test_results_on_the_projects_data_have_no_such_screen(folder):
    results = {"identity": [ds.drop_attrs() for ds in read_all(folder)["identity"]]}
    assert user_file(results, ()) is None
    assert user_file({}, ()) is None
