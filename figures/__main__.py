"""The command line: python -m figures [NAME ...] draws figures and the report from stored results, or checks them."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from theory.interrupts import ended_in_order

if TYPE_CHECKING:
    from figures.attempts import Absent
    from figures.pictures import Picture, Results

__all__ = ["main"]

_REPORT = "report"


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--from", "source", type=click.Path(file_okay=False, path_type=Path), default=Path("results"), show_default=True)
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Folder [default: FROM/figures; report.html in FROM]."
)
@click.option(
    "--check", is_flag=True, help="Write nothing; exit status 1 unless all files are what results and scripts give today."
)
def cli(names: tuple[str, ...], source: Path, out: Path | None, check: bool) -> None:
    """Draw the figures NAME... from stored results as PNG and SVG, each with a JSON sidecar that records what it was made of.

    Without a NAME, draw all figures that have results, and write report.html, one page with everything. NAME `report` writes
    only that page.
    """
    from figures.catalogue import names as known

    unknown = [name for name in names if name not in (*known(), _REPORT)]
    if unknown:
        raise click.BadParameter(f"figure {unknown[0]!r} is unknown, expected one of {', '.join(known())}, {_REPORT}")
    asked = [name for name in names if name != _REPORT]
    whole = not names or _REPORT in names
    results = _results(asked, source, whole)
    folder, page = out or source / "figures", (out or source) / f"{_REPORT}.html" if whole else None
    if check:
        _check(asked, results, source, folder, page)
    else:
        _draw(names, results, source, folder, page)


def _results(asked: Sequence[str], source: Path, whole: bool) -> "Results":
    """Read the results of all experiments if `whole`, or else those that the figures `asked` need."""
    from figures.catalogue import figure_module
    from figures.results import read, read_all

    if not whole:
        return {experiment: read(source, experiment) for name in asked for experiment in figure_module(name).EXPERIMENTS}
    results = read_all(source)
    if not results:
        raise FileNotFoundError(
            f"no results in {source}, expected EXPERIMENT/CASE.zarr: run first `python -m sims verify --out {source}`"
        )
    return results


def _pictures(names: Sequence[str], results: "Results") -> "Iterator[tuple[str, Picture | Absent]]":
    """Yield the name of each figure, with its picture or the reason why it cannot be drawn."""
    from figures.attempts import attempt
    from figures.catalogue import figure_module
    from figures.pictures import draw_picture

    for name in names:
        yield (
            name,
            attempt(f"figure {name}", figure_module(name).EXPERIMENTS, results, lambda name=name: draw_picture(name, results)),
        )


def _draw(names: Sequence[str], results: "Results", source: Path, folder: Path, page: Path | None) -> None:
    """Save the named figures, or all, and the report if there is a `page`.

    Raises ClickException if a named figure cannot be drawn, or if the report lacks something because of an error; other figures
    may be missing.
    """
    from figures.attempts import Absent
    from figures.catalogue import names as known
    from theory.storage import keep

    found: list[Picture | Absent] = []
    for name, made in _pictures(known() if page else names, results):
        found.append(made)
        if isinstance(made, Absent):
            if name in names:
                raise click.ClickException(f"{made} (in {source})")
            click.echo(f"{made.what} left out: {made.reason}", err=True)
        elif not names or name in names:
            click.echo(f"figure: {', '.join(map(str, made.save(folder)))}")
    if page:
        html, faults = _report(results, found, source)
        click.echo(f"report: {keep(page, html)}")
        if faults:
            raise click.ClickException(f"{page} lacks what an error kept from it: {'; '.join(map(str, faults))}")


def _report(results: "Results", found: "Sequence[Picture | Absent]", source: Path) -> "tuple[bytes, list[Absent]]":
    """Return the report page, and the parts that are missing on it because of an error."""
    from figures.attempts import Absent
    from figures.pictures import Picture
    from figures.report import Page, render_report
    from figures.results import retrainings
    from theory.claims import judge

    pictures, left_out = ([made for made in found if isinstance(made, kind)] for kind in (Picture, Absent))
    html, absent = render_report(Page(results, judge(results), pictures, left_out, retrainings(source)))
    return html, [item for item in absent if item.fault]


def _check(asked: Sequence[str], results: "Results", source: Path, folder: Path, page: Path | None) -> None:
    """Compare the files of the figures `asked`, or of all that were drawn, and the report, with today's results; then exit.

    The exit status is 1 if anything differs, else 0.
    """
    from figures.catalogue import names as known
    from figures.pictures import Picture
    from figures.sidecars import is_drawn, mismatches, other_versions

    found: list[Picture | Absent] = []
    bad, compared, comparable = 0, 0, True
    for name, now in _pictures(known() if page else asked, results):
        found.append(now)
        if not (name in asked or (page and not asked and is_drawn(folder, name))):
            continue
        compared += 1
        differing = mismatches(folder, name, now)
        for difference in differing:
            click.echo(f"figure {name}: {difference}")
        if differing:
            bad += 1
            click.echo(f"    to draw it again: python -m figures {name} --from {source} --out {folder}")
        elif isinstance(now, Picture) and (others := other_versions(folder, now)):
            comparable = False
            click.echo(
                f"figure {name}: as its sidecar says; not drawn again to compare, as versions differ ({'; '.join(others)})"
            )
        else:
            click.echo(f"figure {name}: as its sidecar says, and the same bytes when drawn again")
    if page and page.exists() and comparable:
        compared += 1
        same = _report(results, found, source)[0] == page.read_bytes()
        bad += not same
        click.echo(f"{page}: {'the same bytes again' if same else 'not what the results give today'}")
        if not same:
            click.echo(
                f"    to write it again: python -m figures report --from {source}"
                + (f" --out {page.parent}" if page.parent != source else "")
            )
    if not compared:
        raise FileNotFoundError(f"nothing to check in {folder}: draw first, `python -m figures --from {source} --out {folder}`")
    sys.exit(1 if bad else 0)


def main() -> None:
    """Run the command line; errors that a user can correct are printed as one line without a traceback."""
    sys.exit(ended_in_order(_status, kept="what had been drawn is stored"))


def _status() -> int:
    """Run the command line and return its exit status."""
    try:
        cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:  # what click makes of KeyboardInterrupt
        raise KeyboardInterrupt from None
    except (ValueError, OSError) as error:
        click.echo(f"Error: {error}", err=True)
        return 1
    return 0


if __name__ == "__main__":
    main()
