"""The command `check`."""

import sys
from pathlib import Path

import click

__all__ = ["check", "counted", "in_bytes"]


@click.command(short_help="Compare everything stored in FOLDER with its sha256.")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--repair", is_flag=True, help="Drop what is damaged, so that the next run makes it again.")
def check(folder: Path, repair: bool) -> None:
    """Compare everything stored in FOLDER and below it with its sha256: tables, results, pictures, reports, settings.

    Exit status 1 where something is damaged or lost, or cannot be repaired. Nothing is changed without --repair, which never
    removes what is sound.
    """
    from sims.folder_check import check_folder, contents

    found = list(check_folder(folder, repair=repair))
    if not found:
        raise click.BadParameter(f"nothing stored in {folder} or below it")
    for part in found:
        if part.faults or part.missing:
            state = counted(len(part.faults), "damage") if part.faults else "sound"
            click.echo(
                f"{part.path}: {state}{f', {counted(part.missing, part.unit[:-1], part.unit)} to make' if part.missing else ''}"
            )
            for fault in part.faults:
                click.echo(f"    {fault}")
    n_faults, n_tables = sum(len(part.faults) for part in found), sum(part.unit == "blocks" for part in found)
    files, size = contents(folder)
    parts = [
        counted(n_tables, "table"),
        counted(len(found) - n_tables, "folder of results", "folders of results"),
        counted(files, "file"),
        in_bytes(size),
        counted(n_faults, "damage") if n_faults else "all sound",
    ]
    click.echo(f"{', '.join(parts)}.")
    if n_faults and repair:
        left = [fault for part in check_folder(folder) for fault in part.faults]
        if left:
            click.echo(f"{len(left)} of them cannot be repaired, as is said above.")
            sys.exit(1)
        click.echo("Dropped what is damaged. Run again the command that made it.")
    elif n_faults:
        click.echo("Nothing was changed: --repair drops what is damaged.")
        sys.exit(1)


def counted(n: int, one: str, many: str = "") -> str:
    """Return a number with its noun.

    >>> counted(1, "table"), counted(1234, "file"), counted(2, "box", "boxes")
    ('1 table', '1,234 files', '2 boxes')
    """
    return f"{n:,} {one if n == 1 else many or f'{one}s'}"


def in_bytes(size: int) -> str:
    """Return a size in the unit that gives it up to three digits before the point.

    >>> in_bytes(999), in_bytes(1500), in_bytes(104_000_000)
    ('999 bytes', '1.5 kB', '104.0 MB')
    """
    amount, unit = float(size), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if amount < 1000.0:
            break
        amount, unit = amount / 1000.0, larger
    return f"{size} bytes" if unit == "bytes" else f"{amount:.1f} {unit}"
