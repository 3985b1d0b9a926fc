"""The command `figures`."""

import os
import sys

import click

__all__ = ["figures"]


@click.command(
    add_help_option=False, context_settings={"ignore_unknown_options": True}, short_help="Draw figures and the report."
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def figures(arguments: tuple[str, ...]) -> None:
    """Draw figures and the report from stored results, or check them: this process becomes `python -m figures`.

    So terminal, signals and exit status are those of that program, and nothing of it is imported here.
    """
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "figures", *arguments])
