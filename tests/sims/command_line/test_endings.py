"""Kills and signals in every stage of a run: one line, the right exit status, and no process, folder or semaphore is left."""

import contextlib
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
STORED = """
import sys
import sims.experiments.shared.cases
from figures.results import read_all
sims.experiments.shared.cases.run_cases = lambda *_, out, **__: read_all(out)  # what is tested comes after
sys.argv = ["sims", "verify", "--small", "--out", "r"]
from sims.__main__ import main
main()
"""
TRAINING = """
import sys
import sims.retrain.tables
sims.retrain.tables._WORTH_PROCESSES = 0.0
sys.argv = ["sims", "run", "identity", "--points", "20", "--workers", "2", "--out", "r"]
from sims.__main__ import main
main()
"""


def start(program, folder):
    return subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def alive(group):
    """Command lines of the running processes of a group; a zombie only waits to be counted by its parent."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, its_group = status.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state != "Z":
                found.append((status.parent / "cmdline").read_text().replace("\0", " "))
    return found


def training(folder):
    """A run with two workers that has stored two blocks."""
    process = start(TRAINING, folder)

    def blocks():
        return [line for journal in folder.glob("r/*/*/journal.jsonl") for line in journal.read_text().splitlines()]

    assert wait_for(lambda: len(blocks()) >= 2 or process.poll() is not None)
    return process


def drawing(folder):
    """A run that has trained everything, and draws."""
    stored(folder / "r", "normalisation", "leverage", "spectrum")
    process = start(STORED, folder)
    for line in process.stdout:
        if line.startswith("drawing "):
            break
    assert wait_for(lambda: any(" figures " in command for command in alive(process.pid)))
    time.sleep(1.0)
    assert any(" figures " in command for command in alive(process.pid))
    return process


def left_by(process, folder):
    """Files of a run in memory and among temporary files."""
    return [file for place in (Path("/dev/shm"), folder) for file in place.glob(f"*dfdw-{process.pid}-*")]


def assert_nothing_is_left(process, folder):
    assert wait_for(lambda: not alive(process.pid), 6.0), alive(process.pid)
    assert wait_for(lambda: not left_by(process, folder), 2.0), left_by(process, folder)
    assert not list(folder.rglob("*.partial"))


@pytest.mark.parametrize(
    ("stage", "send", "signals"),
    [
        (training, os.kill, ("SIGTERM", "SIGHUP", "SIGINT")),
        (drawing, os.killpg, ("SIGHUP", "SIGTERM", "SIGHUP")),
    ],
)
def test_any_number_of_signals_is_answered_in_one_line(tmp_path, stage, send, signals):
    process = stage(tmp_path)
    for number, name in enumerate(signals):
        with contextlib.suppress(ProcessLookupError):
            send(process.pid, getattr(signal, name))
        time.sleep(0.03 * number)
    _, errors = process.communicate(timeout=60)
    answers = [line for line in errors.splitlines() if line and not re.match(r"identity: |\[\d|\d+ cases?, about ", line)]
    assert process.returncode in [128 + getattr(signal, name) for name in signals], errors
    (answer,) = answers
    assert answer.startswith("Interrupted: ")
    assert answer.endswith(". Run the same command to resume.")
    assert_nothing_is_left(process, tmp_path)


@pytest.mark.parametrize("stage", [training, drawing])
def test_all_processes_die_with_the_coordinator(tmp_path, stage):
    process = stage(tmp_path)
    process.kill()
    process.communicate(timeout=60)
    assert_nothing_is_left(process, tmp_path)


def test_what_is_left_where_all_are_killed_at_once_goes_with_the_next_run(tmp_path):
    process = training(tmp_path)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert wait_for(lambda: not alive(process.pid))
    assert list(tmp_path.glob(f"dfdw-{process.pid}-*")), "in memory, another run beside this test may have swept it by now"
    following = training(tmp_path)
    assert wait_for(lambda: not left_by(process, tmp_path))
    following.terminate()
    following.communicate(timeout=60)
    assert_nothing_is_left(following, tmp_path)


def test_a_run_in_the_background_of_a_terminal_that_closes_goes_on_under_nohup(tmp_path):
    program = "import os, signal, sys\nfrom sims.__main__ import main\nsys.argv[1:] = ['list']\nos.kill(os.getpid(), 1)\nmain()"
    process = subprocess.run(
        ["bash", "-c", "trap '' HUP; exec \"$0\" -c \"$1\"", sys.executable, program],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    assert "identity: " in process.stdout
