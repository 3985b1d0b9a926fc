"""`verify --data` as a user meets it: the README's example, refusals in a line, resuming, and subsets that are drawn."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from sims.datasets.user_file import as_user_data
from sims.experiments.shared.cases import run_cases, user_jobs
from sims.experiments.shared.results import read
from sims.experiments.shared.user_cases import user_problem

ROOT = Path(__file__).parents[3]
SAMPLE = ROOT / "examples" / "vote96.csv"


def sims(*arguments, cwd):
    return subprocess.run([sys.executable, "-m", "sims", *arguments], cwd=cwd, capture_output=True, text=True, timeout=240)


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """The command of the README in a folder of its own: interrupted after its first result, then given again."""
    folder = tmp_path_factory.mktemp("a run")
    (folder / "examples").symlink_to(ROOT / "examples")
    first = interrupted_after_a_result(folder, *command_of_the_readme(), "--workers", "2")
    return folder, first, sims(*command_of_the_readme(), "--verbose", "--json", "ledger.json", cwd=folder)


def command_of_the_readme():
    command = re.search(r"^    python -m sims (verify --data .*?)(?:  +#.*)?$", (ROOT / "README.md").read_text(), re.MULTILINE)
    return command[1].split()


def interrupted_after_a_result(folder, *arguments):
    process = subprocess.Popen(
        [sys.executable, "-m", "sims", *arguments], cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not list(folder.glob("results/user/*/*/*.zarr")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    return subprocess.CompletedProcess(arguments, process.returncode, output, errors)


def test_the_example_of_the_readme_ends_with_0_and_says_what_it_took_and_what_it_found(example):
    folder, _, process = example
    assert process.returncode == 0, process.stderr
    assert "5 features, target 'vote' (0 = 'Clinton', 1 = 'Dole')" in process.stdout
    for line in ("C6          FAILS", "T1          HOLDS", "T2          HOLDS WHEN", "C2, C2 optima, C2 singular: optima is for"):
        assert line in process.stdout
    promised = re.search(
        r"slope of beta on D\(1\)\s+is (\d\.\d+)", (ROOT / "README.md").read_text().split("## Your own data")[1]
    )[1]
    assert f"slope of beta on D(1): {promised};" in process.stdout
    assert "Traceback" not in process.stderr
    assert "Warning" not in process.stderr
    assert (folder / "results" / "user" / "vote96.csv").is_dir()


def test_the_ledger_of_the_example_as_json_has_verdicts_and_what_was_not_judged(example):
    folder, *_ = example
    ledger = json.loads((folder / "ledger.json").read_text(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    judged = {claim["id"]: claim for claim in ledger["claims"]}
    assert judged["C6"]["verdict"] == "FAILS"
    assert ledger["not_judged"]["C12"].startswith("pathology needs a learner of its own")
    assert not set(judged) & set(ledger["not_judged"])


def test_every_result_of_the_example_says_which_rows_it_used(example):
    folder, *_ = example
    out = folder / "results" / "user" / "vote96.csv"
    (file,) = out.glob("*.rows.json")
    written = json.loads(file.read_text())
    cases = list(out.glob("*/*.zarr"))
    assert len(cases) > 8
    for case in cases:
        with xr.open_zarr(case, consolidated=False) as ds:
            assert ds.attrs["train_rows"] == written["train_rows"]
            assert ds.attrs["labels"] == ["Clinton", "Dole"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "y"], "--target is for your own data: give its file with --data FILE.csv"),
        (["--data", "none.csv", "--target", "y"], "Error: none.csv does not exist"),
        (["--data", str(SAMPLE)], "--target is missing of"),
        (["--data", str(SAMPLE), "--target", "votes"], "did you mean 'vote'?"),
        (["--data", str(SAMPLE), "--target", "vote", "--learner", "least_squares"], "holds text ('Clinton')"),
        (["--data", str(SAMPLE), "--target", "vote", "--points", "940"], "940 training points and 8 queries need 948"),
        (["--data", str(SAMPLE), "--target", "vote", "--points", "3"], "3 is not in the range x>=4"),
        (["--data", str(SAMPLE), "--target", "vote", "--learner", "forest"], "'forest' is not one of"),
    ],
)
def test_a_mistake_is_answered_in_a_line_and_nothing_is_written(answer, tmp_path, arguments, message):
    status, _, complaint = answer("sims", "verify", *arguments)
    assert status in (1, 2)
    assert message in complaint.splitlines()[-1]
    assert "Traceback" not in complaint
    assert list(tmp_path.iterdir()) == []


def test_the_example_was_interrupted_resumed_and_has_the_results_of_an_undisturbed_run(example, tmp_path):
    folder, first, _ = example
    assert first.returncode == 130, first.stderr
    assert "Run the same command to resume" in first.stderr
    out, problem = folder / "results" / "user" / SAMPLE.name, user_problem(as_user_data(SAMPLE, "vote"), "logistic", 8)
    jobs = user_jobs(problem, small=True)[0]
    assert {path.parent.name for path in out.glob("*/*.zarr")} == {job.experiment for job in jobs}
    run_cases(jobs[: len(jobs) // 2], out=tmp_path, quiet=True)
    cases = [path.relative_to(tmp_path) for path in tmp_path.glob("*/*.zarr")]
    assert len(cases) > 4
    for case in cases:
        one, two = (xr.open_zarr(root / case, consolidated=False).load() for root in (out, tmp_path))
        xr.testing.assert_identical(one.drop_attrs(), two.drop_attrs())


def test_a_store_of_other_rows_is_refused(answer, example, tmp_path):
    folder, *_ = example
    for name in ("examples", "results"):
        (tmp_path / name).symlink_to(folder / name)
    status, _, complaint = answer("sims", *command_of_the_readme(), "--seed", "1")
    assert status == 1
    assert "seed was 0, is 1" in complaint


def test_with_too_many_points_to_enumerate_subsets_are_drawn_and_it_is_said(answer, tmp_path, monkeypatch):
    monkeypatch.setattr("sims.command_line.verify._draw", lambda out: None)  # the example has its pictures drawn
    command = (
        "verify",
        "--small",
        "--data",
        str(SAMPLE),
        "--target",
        "vote",
        "--points",
        "21",
        "--queries",
        "2",
        "--out",
        "o",
        "--verbose",
    )
    status, printed, complaint = answer("sims", *command, "--workers", "1")
    assert status == 0, complaint
    assert "21 points are too many for all their subsets (at most 16 with logistic): subsets are drawn" in printed
    assert "T6 penalty  HOLDS" in printed
    assert re.search(r"T2 +HOLDS WHEN", printed)
    cases = {ds.attrs["case"] for ds in read(tmp_path / "o", "identity")}
    assert cases == {"vote96.csv-21 logistic l2=0.1", "vote96.csv-21-first-6 logistic l2=0.1"}
    sampled = {"counterfactual", "group_removal", "identity", "scale_at_size"}
    folders = {path.name for path in (tmp_path / "o").iterdir() if path.is_dir()}
    assert folders == {*sampled, "approximations", "convex_bound", "lds", "scale"}


def test_every_recognition_is_printed_and_recorded(answer, tmp_path, monkeypatch):
    monkeypatch.setattr("sims.experiments.shared.cases.run_cases", lambda jobs, **_: {})
    monkeypatch.setattr("sims.command_line.verify._draw", lambda out: None)
    rows = [f"{k};{k * k % 17},5;{'' if k == 4 else k % 5};{('Köln', 'Bern')[k % 3 == 0]};7;{'abc'[k % 3]}" for k in range(40)]
    (tmp_path / "f.csv").write_bytes("\r\n".join([";x;z;city;same;y", *rows]).encode("cp1252"))
    command = ["verify", "--data", "f.csv", "--target", "y", "--small", "--out", "o", "--positive", "c"]
    status, _, complaint = answer("sims", *command)
    assert status == 1
    command += re.search(r"--categories city\b", complaint)[0].split()  # the error says what to add to the command
    status, printed, complaint = answer("sims", *command)
    assert status == 0, complaint
    assert printed.splitlines()[:4] == [
        "f.csv: 40 rows in Windows-1252 (it is not UTF-8), separated by semicolons with decimal commas; 3 features, target 'y' "
        "(0 = 'not c' (a, b), 1 = 'c')",
        "left out: column 'number 1' (it names the rows: 0, 1, 2, ..); column 'same' (the same in every row)",
        "1 of 40 rows has gaps in column 'z': skipped",
        "categories: 'city' Köln against Bern",
    ]
    assert json.loads((tmp_path / "o" / "f.csv-8.rows.json").read_text())["said"] == printed.splitlines()[:4]


def test_a_fit_of_too_many_columns_for_so_many_subsets_is_refused_before_it_starts(answer, tmp_path):
    columns = 600
    table = np.random.default_rng(0).integers(0, 99, (40, columns)).astype(str)
    lines = [",".join([*row, str(k % 2)]) for k, row in enumerate(table)]
    (tmp_path / "wide.csv").write_text("\n".join([",".join([*(f"c{k}" for k in range(columns)), "y"]), *lines]))
    status, _, complaint = answer("sims", "verify", "--data", "wide.csv", "--target", "y", "--points", "16", "--out", "o")
    assert status == 1
    assert (
        "65,536 fits of 601 columns take about 2 hours, at most 1 is allowed: leave out columns with --drop, or take" in complaint
    )
    assert not (tmp_path / "o").exists()


def test_list_and_help_mention_it(answer):
    assert "verify --data FILE.csv --target COLUMN" in answer("sims", "list")[1]
    text = answer("sims", "verify", "--help")[1]
    for option in ("--data FILE.csv", "--target COLUMN", "--learner", "--points", "--queries", "--l2", "--seed", "--drop COLUMN"):
        assert option in text
    for option in ("--categories COLUMN", "--fill [median|mode]", "--positive VALUE", "--decimal [.|,]"):
        assert option in text
