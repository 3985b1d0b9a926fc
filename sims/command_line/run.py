"""The command `run`."""

import json
from pathlib import Path

import click

from sims.command_line.options import DASK, OUT, SMALL, WORKERS, executor_of

__all__ = ["run"]

_POINTS = click.option("--points", type=click.IntRange(1, 40), help="Training points, for the data sets that have as many.")


@click.command()
@click.argument("name")
@SMALL
@_POINTS
@OUT
@WORKERS
@DASK
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
    from sims.ledger.screen import show_run
    from sims.ledger.text import summary_json

    jobs = jobs_of([experiments[name]], small=small, points=points)
    with executor_of(workers, dask, small) as executor:
        results = run_cases(jobs, out=out, executor=executor, quiet=as_json)[name]
    if as_json:
        click.echo(json.dumps([summary_json(result) for result in results], indent=2))
    else:
        show_run(name, results, out, small=small)
