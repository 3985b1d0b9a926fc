"""The command line: python -m figures [NAME ...] draws figures and the report from stored results, or checks them."""

import sys
from collections.abc import Iterable, Iterator, Sequence
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
@click.option("--verbose", is_flag=True, help="List every file that is written or compared.")
@click.option(
    "--check", is_flag=True, help="Write nothing; exit status 1 unless all files are what results and scripts give today."
)
def cli(names: tuple[str, ...], source: Path, out: Path | None, verbose: bool, check: bool) -> None:
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
        _check(asked, results, source, folder, page, verbose=verbose)
    else:
        _draw(names, results, source, folder, page, verbose=verbose)


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

    for name in _with_bar(names):
        yield (
            name,
            attempt(f"figure {name}", figure_module(name).EXPERIMENTS, results, lambda name=name: draw_picture(name, results)),
        )


def _with_bar(names: Sequence[str]) -> Iterable[str]:
    """Return the names; while they are gone through, a terminal shows a bar, which leaves nothing."""
    from tqdm import tqdm

    return tqdm(names, desc="figures", leave=False, disable=None)


def _draw(names: Sequence[str], results: "Results", source: Path, folder: Path, page: Path | None, *, verbose: bool) -> None:
    """Save the named figures, or all, and the report if there is a `page`; count all, or list those named or if `verbose`.

    Raises ClickException if a named figure cannot be drawn, or if the report lacks something because of an error; other figures
    may be missing.
    """
    from figures.attempts import Absent
    from figures.catalogue import names as known
    from theory.storage import keep

    found: list[Picture | Absent] = []
    files: list[Path] = []
    for name, made in _pictures(known() if page else names, results):
        found.append(made)
        if isinstance(made, Absent):
            if name in names:
                raise click.ClickException(f"{made} (in {source})")
        elif not names or name in names:
            files += made.save(folder)
    html, faults = _report(results, found, source) if page else (b"", [])
    if page:
        files.append(keep(page, html))
    listed, absent = bool(names) or verbose, [made for made in found if isinstance(made, Absent)]
    for made in absent:
        if listed or made.fault:
            click.echo(f"{made.what} left out: {made.reason}", err=True)
    _tell(files, folder, page, listed=listed)
    if absent and not listed:
        click.echo(f"figures left out: {len(absent)}, which lack results; the report and --verbose say which", err=True)
    if faults:
        raise click.ClickException(f"{page} lacks what an error kept from it: {'; '.join(map(str, faults))}")


def _tell(files: Sequence[Path], folder: Path, page: Path | None, *, listed: bool) -> None:
    """List the files that were written, or count them."""
    pictures = [file for file in files if file.suffix in (".png", ".svg")]
    names = dict.fromkeys(file.stem for file in pictures)
    if listed:
        for name in names:
            click.echo(f"figure: {', '.join(str(file) for file in files if file.stem == name and file != page)}")
    else:
        click.echo(f"{len(names)} figures ({len(pictures)} files) in {folder}")
    if page:
        click.echo(f"report: {page}")


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


def _check(asked: Sequence[str], results: "Results", source: Path, folder: Path, page: Path | None, *, verbose: bool) -> None:
    """Compare the files of the figures `asked`, or of all that were drawn, and the report, with today's results; then exit.

    What is sound is counted, or listed if `verbose`; what differs is listed with the reason. The exit status is 1 if anything
    differs, else 0.
    """
    from collections import Counter

    from figures.catalogue import names as known
    from figures.page_differences import page_differences
    from figures.pictures import Picture
    from figures.sidecars import is_drawn, mismatches, other_versions

    found: list[Picture | Absent] = []
    bad, sound = 0, Counter[str]()
    for name, now in _pictures(known() if page else asked, results):
        found.append(now)
        if not (name in asked or (page and not asked and is_drawn(folder, name))):
            continue
        differing = mismatches(folder, name, now)
        for difference in differing:
            click.echo(f"figure {name}: {difference}")
        if differing:
            bad += 1
            click.echo(f"    to draw it again: python -m figures {name} --from {source} --out {folder}")
            continue
        others = other_versions(folder, now) if isinstance(now, Picture) else []
        state = f"not drawn again to compare, as versions differ ({'; '.join(others)})" if others else _SAME
        sound[state] += 1
        if verbose:
            click.echo(f"figure {name}: as its sidecar says, {state}")
    comparable = not sound or set(sound) == {_SAME}
    if page and page.exists() and comparable:
        stored, today = page.read_bytes(), _report(results, found, source)[0]
        if stored == today:
            click.echo(f"{page}: {_SAME}")
        else:
            for difference in page_differences(stored.decode("utf-8", "replace"), today.decode()):
                click.echo(f"{page}: {difference}")
            click.echo(
                f"    to write it again: python -m figures report --from {source}"
                + (f" --out {page.parent}" if page.parent != source else "")
            )
        bad += stored != today
    elif not bad and not sound:
        raise FileNotFoundError(f"nothing to check in {folder}: draw first, `python -m figures --from {source} --out {folder}`")
    for state, n in sound.items():
        click.echo(f"{n} figure{'s' * (n > 1)} as the sidecar{'s' * (n > 1)} say{'s' * (n == 1)}, {state}")
    sys.exit(1 if bad else 0)


_SAME = "the same bytes when made again"


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
