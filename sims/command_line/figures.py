"""The command `figures`."""

import sys

import click

__all__ = ["figures"]


@click.command(
    add_help_option=False, context_settings={"ignore_unknown_options": True}, short_help="Draw figures and the report."
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def figures(arguments: tuple[str, ...]) -> None:
    """Draw figures and the report from stored results, or check them: the same as `python -m figures`, in a process of its own.

    Its exit status is that of the process.
    """
    from sims.bound import run_bound

    status, _ = run_bound("figures", *arguments, captured=False)
    sys.exit(status)
