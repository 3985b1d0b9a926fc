"""The command line: list | explain | run | verify | check."""

import json
import os
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import click

from theory.interrupts import ended_in_order

__all__ = ["main"]


class _Folder(click.Path):
    """A folder; an empty name is refused, which would be the current one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not str(value).strip():
            self.fail("the name of the folder is empty, expected a path: . is the current folder", param, ctx)
        return super().convert(value, param, ctx)


_FOLDER = _Folder(file_okay=False, path_type=Path)

_OUT = click.option(
    "--out",
    type=_FOLDER,
    default=Path("results"),
    show_default=True,
    help="Folder for results.",
)
_SMALL = click.option("--small", is_flag=True, help="A few training points: seconds instead of a minute.")

_WORKERS = click.option("--workers", type=click.IntRange(1), help="Processes [default: one per physical core; 1 with --small].")
_DASK = click.option("--dask", metavar="ADDRESS", help="A running dask scheduler that trains instead, such as tcp://host:8786.")
_POINTS = click.option("--points", type=click.IntRange(1, 40), help="Training points, for the data sets that have as many.")


@click.group()
@click.version_option(package_name="dfdw", prog_name="dfdw")
def cli() -> None:
    """Retrain small models on all subsets of their training points, and judge what attribution scores measure."""


@cli.command("list")
def list_() -> None:
    """List experiments, their cases, and data sets."""
    from sims import datasets
    from sims.experiments import all_experiments

    for experiment in all_experiments().values():
        click.echo(f"{experiment.name}: {experiment.question}")
        for config in experiment.cases:
            click.echo(f"    {config.problem.name}")
    click.echo(f"data sets: {', '.join(datasets.names())}; your own: verify --data FILE.csv --target COLUMN")


@cli.command()
@click.argument("claims", nargs=-1, metavar="[CLAIM]...")
@click.option(
    "--from",
    "source",
    type=_FOLDER,
    default=Path("results"),
    show_default=True,
    help="Folder of stored results, on which the claims are judged.",
)
def explain(claims: tuple[str, ...], source: Path) -> None:
    """Print statement, idea of the proof, test, verdict and sources of every CLAIM, such as C6 or "T2 local"; alone, list all."""
    from sims.ledger.explain import claims_by_id, explanation, overview
    from theory.claims import all_claims

    if claims:
        click.echo("\n\n".join(explanation(claim, source) for claim in claims_by_id(claims)))
    else:
        click.echo(overview(all_claims(), source))


@cli.command()
@click.argument("name")
@_SMALL
@_POINTS
@_OUT
@_WORKERS
@_DASK
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON, nothing else.")
def run(name: str, small: bool, points: int | None, out: Path, workers: int | None, dask: str | None, as_json: bool) -> None:
    """Run every case of the experiment NAME, store the results and print a summary.

    Every table of responses is stored block by block: after an interrupt or a crash the same command resumes.
    """
    from sims.experiments import all_experiments

    experiments = all_experiments()
    if name not in experiments:
        raise click.BadParameter(f"experiment {name!r} is unknown, expected one of {', '.join(experiments)}")
    from sims.experiments.shared.cases import jobs_of, run_cases
    from sims.ledger.text import summary_json, summary_text

    jobs = jobs_of([experiments[name]], small=small, points=points)
    with _executor(workers, dask, small) as executor:
        results = run_cases(jobs, out=out, executor=executor, quiet=as_json)[name]
    if as_json:
        click.echo(json.dumps([summary_json(result) for result in results], indent=2))
    else:
        for result in results:
            click.echo(summary_text(result))
        click.echo(f"results: {out / name}")


_USER_OPTIONS = (
    click.option("--data", "file", metavar="FILE.csv", type=click.Path(path_type=Path), help="Judge on this file instead."),
    click.option("--target", metavar="COLUMN", help="What is predicted: a column of numbers, or of two values."),
    click.option("--drop", metavar="COLUMN", multiple=True, help="Leave out a column of the file; repeat for more."),
    click.option(
        "--learner",
        type=click.Choice(["logistic", "least_squares", "mlp"]),
        help="What is retrained [default: logistic for a target of two values, else least_squares].",
    ),
    click.option("--points", type=click.IntRange(4), help="Training points N [default: 12, mlp 8; with --small 8, mlp 6]."),
    click.option("--queries", type=click.IntRange(1), help="Other rows whose outputs are explained [default: 8]."),
    click.option("--l2", type=click.FloatRange(0.0), help="Penalty [default: 0.1, mlp 0.01]."),
    click.option("--seed", type=click.IntRange(0, 2**63 - 1), help="Draws which rows train and which are queries [default: 0]."),
)


def _user_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_USER_OPTIONS):
        command = option(command)
    return command


@cli.command()
@_user_options
@_SMALL
@click.option(
    "--out",
    type=_FOLDER,
    help="Folder for results [default: results, or results/user/FILE.csv with --data].",
)
@_WORKERS
@_DASK
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the ledger to this file.")
def verify(
    small: bool, out: Path | None, workers: int | None, dask: str | None, json_file: Path | None, file: Path | None, **user: Any
) -> None:
    """Run every experiment, print the ledger of verdicts, draw all figures and write report.html, one page with everything.

    On the project's data sets, or with --data on your own CSV file: its first line names the columns, and all but the target and
    those dropped are features. N rows train, on all 2^N subsets where N allows it, else on subsets that are drawn;
    OUT/FILE.csv-N.rows.json says which rows.
    """
    from sims.experiments import all_experiments
    from sims.experiments.shared.cases import jobs_of, run_cases, user_jobs
    from sims.ledger.text import ledger_json, ledger_text, missing_text
    from theory.claims import judge
    from theory.storage import keep, staying

    experiments, left_out = list(all_experiments().values()), dict[str, str]()  # loaded before a folder is made
    if file is None:
        if given := [name for name, value in user.items() if value not in (None, ())]:
            raise click.UsageError(f"--{given[0]} is for your own data: give its file with --data FILE.csv")
        out, jobs = out or Path("results"), jobs_of(experiments, small=small)
    else:
        from sims.user_run import described_problem

        out, problem = described_problem(file, out, small=small, **user)
        jobs, left_out = user_jobs(problem, small=small)
    if json_file is not None:
        _require_writable(json_file)
    with staying(out):
        with _executor(workers, dask, small) as executor:
            results = run_cases(jobs, out=out, executor=executor)
        ledger = judge(results, left_out)
        click.echo(ledger_text(ledger.verdicts))
        if ledger.not_judged:
            click.echo(missing_text(ledger.not_judged))
        click.echo(f"\nresults: {out}")
        if json_file is not None:
            keep(json_file, (json.dumps(ledger_json(ledger), indent=2) + "\n").encode())
            click.echo(f"ledger:  {json_file}")
        _draw(out)


@cli.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--repair", is_flag=True, help="Drop what is damaged, so that the next run makes it again.")
def check(folder: Path, repair: bool) -> None:
    """Compare everything stored in FOLDER and below it with its sha256: tables, results, pictures, reports, settings.

    Exit status 1 where something is damaged or lost, or cannot be repaired. Nothing is changed without --repair, which never
    removes what is sound.
    """
    from sims.folder_check import check_folder

    found = list(check_folder(folder, repair=repair))
    if not found:
        raise click.BadParameter(f"nothing stored in {folder} or below it")
    for part in found:
        if part.faults or part.missing:
            state = f"{len(part.faults)} damages" if part.faults else "sound"
            click.echo(f"{part.path}: {state}{f', {part.missing} {part.unit} to make' if part.missing else ''}")
            for fault in part.faults:
                click.echo(f"    {fault}")
    n_faults, n_tables = sum(len(part.faults) for part in found), sum(part.unit == "blocks" for part in found)
    state = f"{n_faults} damages" if n_faults else "all sound"
    click.echo(f"{n_tables} tables and {len(found) - n_tables} folders of results: {state}.")
    if n_faults and repair:
        left = [fault for part in check_folder(folder) for fault in part.faults]
        if left:
            click.echo(f"{len(left)} of them cannot be repaired, as is said above.")
            sys.exit(1)
        click.echo("Dropped what is damaged. Run again the command that made it.")
    elif n_faults:
        click.echo("Nothing was changed: --repair drops what is damaged.")
        sys.exit(1)


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

    status, said = run_bound("figures", "--from", str(out))
    said = said.strip()
    if status == 0:
        if said:
            click.echo(said, err=True)
        return
    reason = said.splitlines()[-1].removeprefix("Error: ") if said else f"it ended with exit status {status}"
    raise ChildProcessError(
        f"all results are stored in {out}, but not all of the pictures and the report: {reason}. To make them: "
        f"python -m figures --from {out}"
    )


@contextmanager
def _executor(workers: int | None, dask: str | None, small: bool) -> Generator[Any]:
    """Choose where models are trained: by a dask scheduler, or in a number of processes."""
    from sims.retrain import engine

    if dask is None:
        yield workers or (1 if small else engine.physical_cores())
    elif workers is not None:
        raise click.UsageError("--workers and --dask exclude each other")
    else:
        with engine.dask_executor(dask) as executor:
            yield executor


def main() -> None:
    """Run the command line; an error that the user can mend is printed as one line, without a traceback."""
    sys.exit(ended_in_order(_status, kept="what had finished is stored"))


def _status() -> int:
    """Run the command line and return its exit status."""
    try:
        cli(prog_name=_program(), standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort as abort:  # what click makes of KeyboardInterrupt
        raise KeyboardInterrupt(str(abort.__cause__ or "")) from None
    except (ValueError, ArithmeticError, MemoryError, OSError, ImportError) as error:
        click.echo(f"Error: {error}", err=True)
        return 1
    return 0


def _program() -> str | None:
    """Return "python -m NAME" where a module was run so; None leaves the name of a script, such as dfdw, to click."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return f"python -m {spec.name.removesuffix('.__main__')}" if spec else None


if __name__ == "__main__":
    main()
