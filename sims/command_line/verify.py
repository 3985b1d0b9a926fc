"""The command `verify`."""

import json
import os
from functools import partial
from pathlib import Path
from shlex import quote
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

import click

from sims.command_line.options import DASK, FOLDER, SMALL, WORKERS, executor_of
from sims.command_line.user_options import user_options

if TYPE_CHECKING:
    from theory.claims import Ledger

__all__ = ["verify"]


@click.command(short_help="Run and judge everything, or your own data; draw the report.")
@user_options
@SMALL
@click.option(
    "--out",
    type=FOLDER,
    help="Folder for results [default: results, or results/user/FILE.csv with --data].",
)
@WORKERS
@DASK
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the ledger to this file.")
@click.option("--verbose", is_flag=True, help="Print the whole ledger first: figures, evidence and condition of every verdict.")
def verify(
    small: bool,
    out: Path | None,
    workers: int | None,
    dask: str | None,
    json_file: Path | None,
    verbose: bool,
    file: Path | None,
    **user: Any,
) -> None:
    """Run every experiment, draw all figures, write report.html, one page with everything, and print all verdicts on a screen.

    On the project's data sets, or with --data on your own CSV file: its first line names the columns, and all but the target and
    those dropped are features. With --learner MODULE:FUNCTION your own model is retrained on it. N rows train, on all 2^N subsets
    where N allows it, else on subsets that are drawn; OUT/FILE.csv-N.rows.json says which rows.
    """
    from sims.experiments import all_experiments
    from sims.experiments.shared.cases import jobs_of, run_cases, user_jobs
    from sims.ledger.screen import say_small, terminal_width
    from sims.ledger.text import ledger_json
    from theory.claims import judge
    from theory.storage import keep, staying

    problem, experiments, left_out = None, list(all_experiments().values()), dict[str, str]()  # loaded before a folder is made
    if file is None:
        if given := [name for name, value in user.items() if value not in (None, ())]:
            raise click.UsageError(f"--{given[0]} is for your own data: give its file with --data FILE.csv")
        out, jobs = out or Path("results"), jobs_of(experiments, small=small)
    elif ":" in (user["learner"] or ""):
        from sims.command_line.user_problem import described_learner
        from sims.experiments.shared.cases import Job
        from sims.ledger.cases import NEEDS_MORE

        out, cases = described_learner(file, out, small=small, **user)
        jobs = [Job(name, config) for name, config in cases.configs.items()]
        left_out = {**dict.fromkeys(all_experiments(), NEEDS_MORE), **cases.left_out}
    else:
        from sims.command_line.user_problem import described_problem

        out, problem = described_problem(file, out, small=small, **user)
        jobs, left_out = user_jobs(problem, small=small)
    if json_file is not None:
        _require_writable(json_file)
    if small:
        say_small(terminal_width())
    with staying(out):
        with executor_of(workers, dask, small) as executor:
            results = run_cases(jobs, out=out, executor=executor)
        ledger = judge(results, left_out)
        if problem is not None:
            from sims.command_line.attribute import write_attributions

            click.echo(write_attributions(problem, out, workers or 1))
        if json_file is not None:
            keep(json_file, (json.dumps(ledger_json(ledger, small=small), indent=2) + "\n").encode())
            click.echo(f"ledger: {json_file}")
        show = partial(_show, ledger, out, json_file, small=small, verbose=verbose)
        try:
            _draw(out)
        except ChildProcessError:  # what was judged is shown all the same
            show()
            raise
        show()


def _show(ledger: "Ledger", out: Path, json_file: Path | None, *, small: bool, verbose: bool) -> None:
    """Print the whole ledger if it is asked for, then the screen with all verdicts."""
    from sims.ledger.screen import say, screen, terminal_width
    from sims.ledger.text import ledger_text, missing_text

    width = terminal_width()
    if verbose:
        click.echo(ledger_text(ledger.verdicts, width))
        if ledger.not_judged:
            click.echo(missing_text(ledger.not_judged, width))
    report = out / "report.html"
    files = [
        f"Report: {report}" if report.exists() else f"Results: {out}",
        *([f"Ledger: {json_file}"] if json_file else []),
        f"More of each: --verbose, or python -m sims explain CLAIM --from {quote(str(out))}",
    ]
    say(screen(ledger, files, width=width, small=small))


def _require_writable(file: Path) -> None:
    """Raise an OSError before anything is computed if a file cannot be written."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryFile(dir=file.parent):
        pass
    if file.exists() and not os.access(file, os.W_OK):
        raise PermissionError(f"{file} cannot be written: choose another file, or allow it")


def _draw(out: Path) -> None:
    """Draw all figures and write the report of a results folder, in another process: `figures` must not be imported here.

    An error says in one line what went wrong, and that all results are stored.
    """
    from sims.bound import run_bound

    click.echo("drawing all figures and report.html")
    status, said = run_bound("figures", "--from", str(out))
    said = said.strip()
    if status == 0:
        if said:
            click.echo(said, err=True)
        return
    reason = said.splitlines()[-1].removeprefix("Error: ") if said else f"it ended with exit status {status}"
    raise ChildProcessError(
        f"all results are stored in {out}, but not all of the pictures and the report: {reason}. To make them: "
        f"python -m figures --from {quote(str(out))}"
    )
