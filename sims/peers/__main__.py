"""The command line: python -m sims.peers truths | ours | judge | page writes the stored files of this package."""

from pathlib import Path

import click

from sims.peers import ours as own
from sims.peers import page as pages
from sims.peers import slim, stored, table


@click.group()
def main() -> None:
    """Write the truths, our own scores, the judge's table, and the page PEERS.md; `make peers` runs the libraries."""


@main.command()
def truths() -> None:
    """Compute the truths anew; all libraries have to be run again afterwards."""
    _tell(slim.write())


@main.command()
def ours() -> None:
    """Compute our own scores on the stored truths."""
    _tell(own.write(stored.SCORES))


@main.command()
def judge() -> None:
    """Judge the stored scores that are not in the table yet."""
    _tell([table.write()])


@main.command()
def page() -> None:
    """Write PEERS.md from the stored scores and the table."""
    _tell([pages.write()])


def _tell(paths: list[Path]) -> None:
    for path in paths:
        click.echo(path)


if __name__ == "__main__":
    main()
