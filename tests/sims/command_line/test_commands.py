"""The command line as a user meets it."""

import contextlib
import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_run import small_run

from sims.experiments import all_experiments
from sims.experiments.shared import cases

ROOT = Path(__file__).parents[3]
CLAIM_KEYS = {"id", "verdict", "statement", "figure", "tolerance", "condition", "case"}


def sims(*arguments, cwd, module="sims"):
    return subprocess.run([sys.executable, "-m", module, *arguments], cwd=cwd, capture_output=True, text=True, timeout=240)


@pytest.fixture(scope="module")
def verified():
    run = small_run()
    return run.folder, run


def test_verify_prints_the_ledger_and_ends_with_0_although_claims_fail(verified):
    _, process = verified
    assert process.returncode == 0, process.stderr
    for line in (
        "C6          FAILS",
        "C1          HOLDS WHEN",
        "C7          FAILS",
        "T2          HOLDS WHEN",
        "Report: my results/",
    ):
        assert line in process.stdout
    assert "Traceback" not in process.stderr
    assert "Warning" not in process.stderr


def test_the_json_ledger_has_the_promised_keys_and_judges_every_claim_of_the_essay_or_says_why_not(verified):
    folder, _ = verified
    ledger = json.loads((folder / "ledger.json").read_text())
    assert ledger["small"] is True
    claims = {claim["id"]: claim for claim in ledger["claims"]}
    assert all(set(claim) >= CLAIM_KEYS for claim in ledger["claims"])
    assert {f"C{k}" for k in range(1, 13)} <= set(claims) | set(ledger["not_judged"])
    assert all(ledger["not_judged"][name].startswith("too small to judge: ") for name in ("C5", "C8"))
    assert claims["C6"]["verdict"] == "FAILS"
    assert claims["C6"]["figure"] > 1.2
    assert claims["T2"]["verdict"].startswith("HOLDS")
    assert {"numpy", "python"} <= set(ledger["environment"])


def test_verify_ends_with_the_report_and_has_drawn_every_figure_but_that_of_the_benchmark(verified):
    folder, process = verified
    assert f"Report: {Path('my results/report.html')}" in process.stdout.splitlines()
    page = (folder / "my results" / "report.html").read_text()
    assert page.endswith("</html>")
    assert all(f'id="claim-C{k}"' in page or f"<li>claim C{k}: too small to judge" in page for k in range(1, 13))
    assert "figures left out: 1, which lack results" in process.stderr
    assert "figure cost: no results of &#39;benchmark&#39;" in page
    names = {file.stem.removeprefix("fig_") for file in (ROOT / "figures").glob("fig_*.py")} - {"cost"}
    for suffix in ("png", "svg", "json"):
        assert {file.stem for file in (folder / "my results" / "figures").glob(f"*.{suffix}")} == names
    assert page.count("<img ") == len(names)


def test_into_a_pipe_go_plain_lines_and_few_of_them(verified):
    _, process = verified
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", process.stdout + process.stderr)
    first, *told = [line for line in process.stderr.splitlines() if re.match(r"\d+ cases, |\[", line)]
    assert re.fullmatch(r"\d+ cases, about \d+ \w+ on 2 processes; resumes if interrupted", first)
    assert re.fullmatch(r"\[1/\d+\] \d+% of the work, \d+:\d\d elapsed, about \d+:\d\d left", told[0])
    assert re.fullmatch(r"\[(\d+)/\1\] 100% of the work, in \d+:\d\d", told[-1])
    assert len(told) <= 12


def test_figures_are_counted_and_not_listed(verified):
    _, process = verified
    assert re.search(r"^\d+ figures \(\d+ files\) in my results/figures$", process.stdout, re.MULTILINE)
    assert ".png" not in process.stdout


def test_a_figure_is_drawn_from_the_stored_results_alone(verified, tmp_path):
    folder, _ = verified
    process = sims("leverage", "--from", str(folder / "my results"), "--out", "drawn", cwd=tmp_path, module="figures")
    assert process.returncode == 0, process.stderr
    for suffix in ("png", "svg"):
        file = tmp_path / "drawn" / f"leverage.{suffix}"
        assert file.read_bytes() == (folder / "my results" / "figures" / file.name).read_bytes()


def test_everything_that_verify_has_made_passes_both_checks(verified):
    folder, _ = verified
    tables = sims("check", "my results", cwd=folder)
    assert tables.returncode == 0, tables.stdout
    n_tables = len(list(folder.glob("my results/*/*.table")))
    assert n_tables > 30
    files = [file for file in (folder / "my results").rglob("*") if file.is_file()]
    size = sum(file.stat().st_size for file in files) / 1e6
    assert tables.stdout == f"{n_tables} tables, 1 folder of results, {len(files):,} files, {size:.1f} MB, all sound.\n"
    names = ("depth", "seeds", "spectrum")  # .ci/run checks all and the report, which takes as long as drawing them
    pictures = sims("--check", *names, "--from", "my results", cwd=folder, module="figures")
    assert pictures.returncode == 0, pictures.stdout
    assert pictures.stdout == "3 figures as the sidecars say, the same bytes when made again\n"


def test_results_do_not_depend_on_the_number_of_workers(answer, verified, tmp_path):
    import xarray as xr

    folder, _ = verified
    status, _, complaint = answer("sims", "run", "expansion", "--small", "--workers", "1", "--out", "r")
    assert status == 0, complaint
    cases = sorted((tmp_path / "r" / "expansion").glob("*.zarr"))
    assert len(cases) == 2
    for case in cases:
        two, one = (
            xr.open_zarr(path, consolidated=False).load() for path in (folder / "my results" / "expansion" / case.name, case)
        )
        xr.testing.assert_identical(one, two)


def test_run_as_json_prints_json_and_nothing_else(tmp_path):
    process = sims("run", "normalisation", "--small", "--json", cwd=tmp_path)
    first = json.loads(process.stdout)[0]
    assert first["experiment"] == "normalisation"
    assert first["summary"]["eps_over_w"]["values"] == pytest.approx(8.0)
    assert process.stderr == ""
    assert (tmp_path / "results" / "normalisation").is_dir()


def test_list_names_experiments_cases_and_data_sets(answer):
    _, out, _ = answer("sims", "list")
    assert "identity: Is the optimal datamodel coefficient" in out
    assert "spector-16 logistic l2=0.1" in out
    assert "longley" in out.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "module", "message"),
    [
        (["run", "idenity"], "sims", "experiment 'idenity' is unknown, expected one of approximations, average_derivative,"),
        (["frobnicate"], "sims", "No such command 'frobnicate'"),
        (["verify", "--workers", "0"], "sims", "0 is not in the range"),
        (["identity", "--from", "nowhere"], "figures", "no results of 'identity' in nowhere"),
        (["pie"], "figures", "figure 'pie' is unknown, expected one of breakdown, budget, cost, counterfactual"),
        (["list", "extra"], "sims", "unexpected extra argument (extra)"),
        (["run"], "sims", "Missing argument 'NAME'"),
        (["run", "identity", "--points", "0"], "sims", "'--points': 0 is not in the range"),
        (["run", "scale", "--points", "99999999"], "sims", "'--points': 99999999 is not in the range"),
        (["run", "jumps", "--points", "many"], "sims", "'--points': 'many' is not a valid integer"),
        (["run", "identity", "--out", "file"], "sims", "'--out': Directory 'file' is a file"),
        (["run", "identity", "--dask", "here", "--small"], "sims", "dask scheduler 'here', expected an address such as tcp://"),
        (["run", "identity", "--dask", "tcp://h:1", "--workers", "2"], "sims", "--workers and --dask exclude each other"),
        (["verify", "--json", "folder"], "sims", "'--json': File 'folder' is a directory"),
        (["verify", "--json", "file/ledger.json"], "sims", "'file'"),
        (["check", "nowhere"], "sims", "'FOLDER': Directory 'nowhere' does not exist"),
        (["check", "folder"], "sims", "nothing stored in folder"),
        (["explain", "C6", "C66"], "sims", "claim 'C66' is unknown: did you mean 'C6'"),
        (["explain", "--from", "file"], "sims", "'--from': Directory 'file' is a file"),
        (["--from", "file"], "figures", "'--from': Directory 'file' is a file"),
    ],
)
def test_a_mistake_is_answered_in_a_line_and_not_with_a_traceback(answer, tmp_path, arguments, module, message):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    status, printed, complaint = answer(module, *arguments)
    assert status != 0
    errors = [line for line in complaint.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert "Traceback" not in complaint
    assert printed == ""


@pytest.mark.parametrize("arguments", [("sims", "list"), ("sims", "explain"), ("sims", "--help"), ("figures", "--help")])
def test_a_reader_that_leaves_is_no_traceback(tmp_path, arguments):
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.run([sys.executable, "-m", *arguments], cwd=tmp_path, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert process.returncode != 0
    assert process.stderr == ""


def test_a_case_that_cannot_be_computed_is_named(tmp_path, monkeypatch):
    def fails(config, **_):
        raise ValueError("the curvature is singular")

    broken = dataclasses.replace(all_experiments()["identity"], run=fails)
    monkeypatch.setattr(cases, "all_experiments", lambda: {"identity": broken})
    with pytest.raises(ValueError, match=r"^identity: spector-8 logistic l2=0\.1: the curvature is singular$"):
        cases.run_cases(cases.jobs_of([broken], small=True), out=tmp_path, quiet=True)


def test_a_folder_that_cannot_be_written_is_an_error_and_not_a_traceback(answer, tmp_path):
    (tmp_path / "results").write_text("a file is in the way")
    status, _, complaint = answer("sims", "run", "normalisation", "--small")
    assert status != 0
    assert "Traceback" not in complaint


def test_an_interrupt_ends_with_130_keeps_what_was_done_and_leaves_no_process(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "sims", "run", "group_removal", "--workers", "1", "--out", "r"],
        cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not list((tmp_path / "r").glob("*/*.zarr")) and time.monotonic() < deadline:
        time.sleep(0.1)
    deadline = time.monotonic() + 20
    done = len(list((tmp_path / "r").glob("*/*.zarr")))
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert done >= 1
    assert errors.strip().splitlines()[-1].startswith("Interrupted: ")  # and no complaint of what a worker left behind
    assert "Traceback" not in errors
    while alive(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert alive(process.pid) == []


def alive(group):
    """Processes of a group that still run (a zombie only waits to be counted by its parent)."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, its_group = status.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state != "Z":
                found.append(status.parent.name)
    return found


def test_a_summary_with_undefined_numbers_says_what_they_are(answer):
    defined, undefined = (
        answer("sims", "run", name, "--small", "--points", points, "--workers", "1", "--out", "r")[1]
        for name, points in (("leverage", "9"), ("spectrum", "6"))
    )
    assert "NaN" not in defined
    assert undefined.count("NaN: undefined. Errors where there is one seed") == 1


@pytest.mark.parametrize(
    ("file", "arguments", "name"),
    [("another.py", ["-m", "another"], "python -m another"), ("dfdw", ["dfdw"], "dfdw"), ("", ["-m", "sims"], "python -m sims")],
)
def test_usage_names_the_program_that_was_run(tmp_path, file, arguments, name):
    if file:
        (tmp_path / file).write_text("from sims.__main__ import main\n\nmain()\n")
    path = os.pathsep.join([str(ROOT), str(tmp_path)])
    process = subprocess.run(
        [sys.executable, *arguments, "run"], capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}
    )
    assert process.returncode == 2
    assert f"Usage: {name} run " in process.stderr
