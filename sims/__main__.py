"""The command line: list | explain | run | verify | attribute | truth | judge | check | figures."""

import sys

import click

from sims.command_line.attribute import attribute
from sims.command_line.check import check
from sims.command_line.explain import explain
from sims.command_line.figures import figures
from sims.command_line.judge import judge
from sims.command_line.list import list_
from sims.command_line.run import run
from sims.command_line.truth import truth
from sims.command_line.verify import verify
from theory.interrupts import ended_in_order

__all__ = ["main"]


@click.group()
@click.version_option(package_name="dfdw", prog_name="dfdw")
def cli() -> None:
    """Retrain small models on all subsets of their training points, and judge what attribution scores measure."""


for command in (list_, explain, run, verify, attribute, truth, judge, check, figures):
    cli.add_command(command)


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
