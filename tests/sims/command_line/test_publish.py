"""The end of `verify` where pictures and report fail or are interrupted: one line. test_commands.py has the end that succeeds."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from stored import stored

ROOT = Path(__file__).parents[3]

VERIFY = """
import sys
import sims.experiments.shared.cases
from figures.results import read_all
sims.experiments.shared.cases.run_cases = lambda *_, out, **__: read_all(out)  # what is tested comes after
sys.argv = ["sims", "verify", "--small", "--out", "r"]
from sims.__main__ import main
main()
"""


@pytest.fixture
def folder(tmp_path):
    stored(tmp_path / "r", "normalisation", "leverage", "spectrum")
    return tmp_path


def command(limit=""):
    return ["bash", "-c", f'{limit} exec "$0" -c "$1"', sys.executable, VERIFY]


def contents(folder):
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file() and file.name != "lock"}


def environment():
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def test_a_disk_that_is_full_costs_the_pictures_only_and_is_told_in_one_line(folder):
    before = contents(folder / "r")
    process = subprocess.run(  # no file may be larger than 20 KiB: an error of the write as on a full disk
        command("ulimit -f 20;"), cwd=folder, env=environment(), capture_output=True, text=True, timeout=120, check=False
    )
    assert process.returncode == 1
    assert "\nC7 " in process.stdout, "the verdicts are shown all the same"
    (line,) = process.stderr.splitlines()
    assert line.startswith("Error: all results are stored in r, but not all of the pictures and the report: ")
    assert re.search(r"r/figures/.* could not be written: \[Errno 27\] File too large", line)
    assert line.endswith("To make them: python -m figures --from r")
    assert contents(folder / "r") == before


@pytest.mark.parametrize("drawn", [0, 1])
def test_an_interrupt_while_pictures_are_drawn_is_one_line_and_leaves_no_partial_file(folder, drawn):
    process = subprocess.Popen(
        command(),
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    for line in process.stdout:
        if line.startswith("drawing "):
            break
    deadline = time.monotonic() + 60.0
    while len(list(folder.glob("r/figures/*.json"))) < drawn and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    (line,) = errors.strip().splitlines()  # click ends the line of ^C
    assert line.startswith("Interrupted: what had finished is stored.")
    assert not list(folder.rglob("*.partial"))
    report = folder / "r" / "report.html"
    assert not report.exists() or (drawn and report.read_text().rstrip().endswith("</html>"))  # whole
