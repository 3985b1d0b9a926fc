"""The command `check`."""

import sys
from pathlib import Path

import click

__all__ = ["check"]


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--repair", is_flag=True, help="Drop what is damaged, so that the next run makes it again.")
def check(folder: Path, repair: bool) -> None:
    """Compare everything stored in FOLDER and below it with its sha256: tables, results, pictures, reports, settings.

    Exit status 1 where something is damaged or lost, or cannot be repaired. Nothing is changed without --repair, which never
    removes what is sound.
    """
    from sims.folder_check import check_folder

    found = list(check_folder(folder, repair=repair))
    if not found:
        raise click.BadParameter(f"nothing stored in {folder} or below it")
    for part in found:
        if part.faults or part.missing:
            state = f"{len(part.faults)} damages" if part.faults else "sound"
            click.echo(f"{part.path}: {state}{f', {part.missing} {part.unit} to make' if part.missing else ''}")
            for fault in part.faults:
                click.echo(f"    {fault}")
    n_faults, n_tables = sum(len(part.faults) for part in found), sum(part.unit == "blocks" for part in found)
    state = f"{n_faults} damages" if n_faults else "all sound"
    click.echo(f"{n_tables} tables and {len(found) - n_tables} folders of results: {state}.")
    if n_faults and repair:
        left = [fault for part in check_folder(folder) for fault in part.faults]
        if left:
            click.echo(f"{len(left)} of them cannot be repaired, as is said above.")
            sys.exit(1)
        click.echo("Dropped what is damaged. Run again the command that made it.")
    elif n_faults:
        click.echo("Nothing was changed: --repair drops what is damaged.")
        sys.exit(1)
