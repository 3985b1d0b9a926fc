"""What works on every operating system, and what says that it does not: seen by a process that finds no POSIX."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
WITHOUT_POSIX = """
import os, signal, sys
sys.modules["fcntl"] = sys.modules["resource"] = None
del os.sysconf, signal.pthread_sigmask, signal.SIGHUP
"""


def without_posix(program):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_POSIX + program], env=environment, capture_output=True, text=True, timeout=120
    )


def test_theory_works_everywhere():
    process = without_posix(
        "import dfdw, theory\n"
        "from theory.interrupts import interrupts_held_back\n"
        "with interrupts_held_back():\n"
        "    print(dfdw.optimal_datamodel([[0], [0], [0], [1]]).coefficients.tolist())"
    )
    assert process.stdout == "[[0.5], [0.5]]\n", process.stderr


def test_training_says_where_it_works():
    process = without_posix("from dfdw import response_table")
    last = process.stderr.splitlines()[-1]
    assert last.startswith("ImportError: dfdw trains and stores on Linux and macOS: on Windows, run it in the Windows Subsystem")


def test_the_command_line_says_it_in_one_line():
    process = without_posix("sys.argv = ['sims', 'list']\nfrom sims.__main__ import main\nmain()")
    assert process.returncode == 1
    assert process.stderr.startswith("Error: dfdw trains and stores on Linux and macOS")
    assert process.stderr.count("\n") == 1
