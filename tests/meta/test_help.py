"""`--help` answers at once: nothing heavy is imported for it."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

HEAVY = {"numpy", "numba", "scipy", "statsmodels", "pandas", "xarray", "zarr", "matplotlib", "dask", "jinja2", "tqdm"}
COMMANDS = [
    ("sims",),
    ("sims", "list"),
    ("sims", "explain"),
    ("sims", "run"),
    ("sims", "verify"),
    ("sims", "attribute"),
    ("sims", "truth"),
    ("sims", "judge"),
    ("sims", "check"),
    ("sims", "figures"),
    ("figures",),
]


def imported(*command):
    """Top-level names of all that `python -m command` imports, by the interpreter's own list."""
    process = subprocess.run([sys.executable, "-X", "importtime", "-m", *command], capture_output=True, text=True, timeout=120)
    lines = [line for line in process.stderr.splitlines() if line.startswith("import time:")]
    return process, {line.rpartition("|")[2].strip().split(".")[0] for line in lines}


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_imports_nothing_heavy(command):
    process, names = imported(*command, "--help")
    assert process.returncode == 0
    assert process.stdout.startswith("Usage: python -m ")
    assert "click" in names
    assert not names & HEAVY


def test_every_command_is_tried():
    from sims.__main__ import cli

    assert {command[1] for command in COMMANDS if command[0] == "sims" and len(command) > 1} == set(cli.commands)


def test_a_heavy_import_would_be_seen():
    _, names = imported("theory.subsets")
    assert "numpy" in names


def test_the_version_is_that_of_the_project():
    from click.testing import CliRunner

    from sims.__main__ import cli

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    result = CliRunner().invoke(cli, ["--version"])
    assert (result.exit_code, result.output) == (0, f"dfdw, version {project['version']}\n")
