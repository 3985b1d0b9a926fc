"""The command `list`."""

import click

__all__ = ["list_"]


@click.command("list")
def list_() -> None:
    """List experiments, their cases, and data sets."""
    from sims import datasets
    from sims.experiments import all_experiments

    for experiment in all_experiments().values():
        click.echo(f"{experiment.name}: {experiment.question}")
        for config in experiment.cases:
            click.echo(f"    {config.problem.name}")
    click.echo("what can be changed in an experiment: run NAME --help")
    click.echo(f"data sets: {', '.join(datasets.names())}; your own: verify --data FILE.csv --target COLUMN")
