"""The command line: python -m figures [NAME ...] draws figures from stored results."""

import importlib
import pkgutil
import sys
from pathlib import Path

import click

__all__ = ["main"]


def _names() -> list[str]:
    import figures

    return [info.name.removeprefix("fig_") for info in pkgutil.iter_modules(figures.__path__) if info.name.startswith("fig_")]


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--from", "source", type=click.Path(file_okay=False, path_type=Path), default=Path("results"), show_default=True)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder for the pictures [default: FROM/figures].")
def cli(names: tuple[str, ...], source: Path, out: Path | None) -> None:
    """Draw the figures NAME... (by default all that there are results for) as PNG and SVG, from stored results only."""
    known = _names()
    unknown = [name for name in names if name not in known]
    if unknown:
        raise click.BadParameter(f"figure {unknown[0]!r} is unknown, expected one of {', '.join(known)}")
    from figures.results import read
    from figures.style import save

    for name in names or known:
        module = importlib.import_module(f"figures.fig_{name}")
        missing = [experiment for experiment in module.EXPERIMENTS if not (source / experiment).exists()]
        if missing and not names:
            click.echo(f"figure {name} left out: no results of {missing[0]!r} in {source}", err=True)
            continue
        figure = module.draw(module.data(*(read(source, experiment) for experiment in module.EXPERIMENTS)))
        for file in save(figure, out or source / "figures", name):
            click.echo(f"figure: {file}")


def main() -> None:
    """Run the command line; what a user can mend is one line, not a traceback."""
    try:
        cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except (ValueError, OSError) as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
