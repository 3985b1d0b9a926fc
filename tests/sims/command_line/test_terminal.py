"""What people see on a terminal: one bar, one screen, colours unless unwanted. test_commands.py has what a pipe gets."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from faults.job import VERIFY, Job
from terminal import left_on, on_a_terminal

ROOT = Path(__file__).parents[3]
BAR = re.compile(r"\d+%\|")
VERDICT = re.compile(r"(?:C|T)\d+[a-z ]* +(?:HOLDS|HOLDS WHEN|FAILS|INCONCLUSIVE)\*? ")


def environment(**more):
    return {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tests"))), **more}


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """`verify` of a CSV file, with three experiments: every stage of the main job in seconds."""
    place = Job(tmp_path_factory.mktemp("on a terminal")).fresh("r")
    command = [sys.executable, "-m", "faults.small_verify", *VERIFY, "--small", "--workers", "2", "--json", "ledger.json"]
    return on_a_terminal(command, cwd=place, env=environment()), place


def test_one_bar_is_left_and_it_is_whole(shown):
    found, _ = shown
    assert found.status == 0, found.written
    bars = [line for line in found.lines if BAR.search(line)]
    assert len(bars) == 1
    assert re.search(r"100%\|█+\| 3/3 cases in \d:\d\d$", bars[0])
    assert not re.search(r"subset/s|it/s", found.written)


def test_the_cost_is_said_before_the_bar(shown):
    lines = shown[0].lines
    (k,) = (
        k
        for k, line in enumerate(lines)
        if re.match(r"3 cases, about \d+ \w+ on 2 processes \(a guess\); resumes if interrupted", line)
    )
    assert k < next(k for k, line in enumerate(lines) if BAR.search(line))


def test_no_line_is_wider_than_the_terminal_and_the_end_fits_on_it(shown):
    lines = shown[0].lines
    cost = next(k for k, line in enumerate(lines) if line.startswith("3 cases, "))  # before it stands what was read from the file
    assert [line for line in lines[cost:] if len(line) > 80] == []
    end = lines[lines.index("What is true instead") :]
    assert len(end) < 60
    assert sum(bool(VERDICT.match(line)) for line in end) >= 2
    text = " ".join(" ".join(end).split())
    assert "Report: out/report.html Ledger: ledger.json More of each: --verbose, or python -m sims explain" in text
    assert re.search(r"\. Not judged: \d+ \(C1, ", text)


def test_a_small_run_says_so_at_its_start_and_at_its_end_and_in_its_ledger(shown):
    found, place = shown
    said = [k for k, line in enumerate(found.lines) if line.startswith("Small run: ")]
    assert len(said) == 2
    assert [line for line in found.lines[said[1] :] if line] == [found.lines[said[1]]]
    assert json.loads((place / "ledger.json").read_text())["small"] is True


def test_run_ends_with_the_verdicts_of_its_claims_and_says_what_others_lack(tmp_path):
    how = {"cwd": tmp_path, "env": environment()}
    found = on_a_terminal([sys.executable, "-m", "sims", "run", "normalisation", "--small", "--workers", "1"], columns=60, **how)
    assert found.status == 0, found.written
    assert [line for line in found.lines if len(line) > 60] == []
    assert not [line for line in found.lines if BAR.search(line) and "100%" not in line]
    end = found.lines[found.lines.index("Claims") :]
    assert [line for line in end if line.startswith("C7 ")]
    assert end[-2].startswith("Small run: ") or end[-3].startswith("Small run: ")


@pytest.mark.parametrize(
    ("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True)], ids=["plain", "1", "empty"]
)
def test_colours_go_to_terminals_only_unless_no_color_is_set(variables, coloured):
    program = "import click; from sims.ledger.screen import say; say(click.style('HOLDS', fg='green'))"
    clean = {name: value for name, value in environment().items() if name != "NO_COLOR"}
    found = on_a_terminal([sys.executable, "-c", program], env={**clean, **variables})
    assert ("\x1b[32m" in found.written) == coloured
    assert found.lines[0] == "HOLDS"


def test_the_command_figures_is_the_program_figures(tmp_path):
    def sims(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "sims", "figures", *arguments], cwd=tmp_path, env=environment(), capture_output=True, text=True
        )

    helped, wrong = sims("--help"), sims("pie", "--from", "nowhere")
    assert (helped.returncode, wrong.returncode) == (0, 2)
    assert "--check" in helped.stdout
    assert "figure 'pie' is unknown" in wrong.stderr


def test_the_terminal_of_these_tests_would_show_bars_that_are_left():
    assert left_on("a\r\nb\r 10%|\r100%|\r\n 50%|\x1b[A\rc\x1b[K") == ["a", "c", " 50%|"]
