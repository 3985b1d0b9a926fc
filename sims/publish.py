"""The end of the main job: pictures and report.html from the stored results, by `python -m figures` in a process of its own."""

import subprocess
import sys
from pathlib import Path

import click

__all__ = ["publish"]


def publish(out: Path) -> None:
    """Draw all figures and write the report of a results folder; says in one line what went wrong, and that nothing else is lost.

    `figures` reads what is stored and must not be imported here.
    """
    process = subprocess.run(
        [sys.executable, "-m", "figures", "--from", str(out)], stderr=subprocess.PIPE, text=True, check=False
    )
    said = process.stderr.strip()
    if process.returncode == 0:
        if said:
            click.echo(said, err=True)
        return
    reason = said.splitlines()[-1].removeprefix("Error: ") if said else f"it ended with exit status {process.returncode}"
    raise ChildProcessError(
        f"all results are stored in {out}, but not all of the pictures and the report: {reason}. To make them: "
        f"python -m figures --from {out}"
    )
