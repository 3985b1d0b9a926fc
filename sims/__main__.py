"""The command line: python -m sims list | run | verify."""

import json
import os
import sys
from pathlib import Path

import click

__all__ = ["main"]

_OUT = click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("results"),
    show_default=True,
    help="Folder for results.",
)
_SMALL = click.option("--small", is_flag=True, help="A few training points: seconds instead of a minute.")

_WORKERS = click.option("--workers", type=click.IntRange(1), help="Cases run at a time [default: one per core; 1 with --small].")


@click.group()
def cli() -> None:
    """Retrain small models on all subsets of their training points, and judge what datamodel coefficients measure."""


@cli.command("list")
def list_() -> None:
    """Experiments, their cases, and data sets."""
    from sims import datasets
    from sims.experiments import all_experiments

    for experiment in all_experiments().values():
        click.echo(f"{experiment.name}: {experiment.question}")
        for config in experiment.cases:
            click.echo(f"    {config.problem.name}")
    click.echo(f"data sets: {', '.join(datasets.names())}")


@cli.command()
@click.argument("name")
@_SMALL
@_OUT
@_WORKERS
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON, nothing else.")
def run(name: str, small: bool, out: Path, workers: int | None, as_json: bool) -> None:
    """Run every case of the experiment NAME, store the results, print what they come to."""
    from sims.experiments import all_experiments

    experiments = all_experiments()
    if name not in experiments:
        raise click.BadParameter(f"experiment {name!r} is unknown, expected one of {', '.join(experiments)}")
    from sims.cases import run_cases
    from sims.tables import summary_json, summary_text

    results = run_cases([experiments[name]], small=small, out=out, workers=workers or _automatic(small), quiet=as_json)[name]
    if as_json:
        click.echo(json.dumps([summary_json(result) for result in results], indent=2))
    else:
        for result in results:
            click.echo(summary_text(result))
        click.echo(f"results: {out / name}")


@cli.command()
@_SMALL
@_OUT
@_WORKERS
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the ledger to this file.")
def verify(small: bool, out: Path, workers: int | None, json_file: Path | None) -> None:
    """Run every experiment and print the ledger of verdicts."""
    from sims.cases import run_cases
    from sims.experiments import all_experiments
    from sims.experiments.base import environment
    from sims.tables import ledger_text, verdict_json
    from theory.claims import judge

    results = run_cases(list(all_experiments().values()), small=small, out=out, workers=workers or _automatic(small))
    verdicts = judge(results)
    click.echo(ledger_text(verdicts))
    click.echo(f"\nresults: {out}")
    if json_file is not None:
        claims = [{"id": claim.id, "statement": claim.statement, **verdict_json(verdict)} for claim, verdict in verdicts]
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps({"claims": claims, "environment": environment()}, indent=2) + "\n")
        click.echo(f"ledger:  {json_file}")


def _automatic(small: bool) -> int:
    return 1 if small else len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def main() -> None:
    """Run the command line; what a user can mend is one line, not a traceback."""
    try:
        cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted: the cases that had finished are stored.", err=True)
        sys.exit(130)
    except (ValueError, ArithmeticError, MemoryError, OSError) as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
