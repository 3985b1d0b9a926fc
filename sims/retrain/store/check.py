"""Find out whether stored tables are what was written, and repair them: what is sound is never removed."""

import os
from pathlib import Path

from sims.retrain.store import journal
from sims.retrain.store.journal import Damage
from sims.retrain.store.layout import TableFolder, TableFormat
from theory.response import Array
from theory.storage import json_digest, locked, write_whole
from theory.storage.files import leftovers, remove_leftovers
from theory.storage.locks import is_locked

__all__ = ["Damage", "check", "find_stores", "how_to_repair", "read_block"]


def find_stores(folder: Path) -> list[Path]:
    """Return every store in a folder and below it, also one that has lost some of its files."""
    marks = ("run.json", "journal.jsonl", "responses.zarr", "responses.partial.zarr")
    return sorted({path.parent for mark in marks for path in folder.rglob(mark)})


def check(path: Path, *, repair: bool = False) -> tuple[list[Damage], int]:
    """Compare settings, metadata and every finished block with what was written: (damages, how many blocks are yet to compute).

    Nothing is written and nobody is kept waiting, unless with `repair`: it writes again what run.json decides, and drops damaged
    blocks, chunk and journal line, so that the next run computes them again.
    """
    folder = TableFolder(path)
    if not repair:
        return _check(folder, repair=False)
    with locked(folder.lock, str(path)):
        return _check(folder, repair=True)


def _check(folder: TableFolder, *, repair: bool) -> tuple[list[Damage], int]:
    damages: list[Damage] = []
    try:
        settings = folder.settings()
    except OSError as error:
        settings = folder.recovered_settings()
        if settings is None:
            return [Damage(None, f"{error}; nothing else says what the table is of: delete {folder.path} to start again")], 0
        damages.append(Damage(None, str(error)))
        if repair:
            folder.write_settings(settings)
    table, fingerprint = TableFormat(settings), json_digest(settings)
    written = is_locked(folder.lock) and not repair  # what is torn or partial then may be about to be whole
    digests, wrong = journal.read(folder.journal, fingerprint, table.shape)
    damages += [damage for damage in wrong if not (written and "is torn" in damage.reason)]
    damages += [Damage(None, fault) for fault in table.faults(folder.data)]
    if folder.complete.exists() and not wrong and not written and (lost := table.shape.n_blocks - len(digests)):
        damages.append(Damage(None, f"{folder.journal} has lost the lines of {lost} blocks: the table was complete"))
    if not written:
        damages += [Damage(None, f"{path} was left by a process that was killed") for path in _leftovers(folder)]
    sound = dict(digests)
    for block, sha256 in digests.items():
        values = read_block(folder, table, block, sha256)
        if isinstance(values, str):
            damages.append(Damage(block, values))
            del sound[block]
    if repair and damages:
        _repair(folder, table, sound, damages)
    return damages, table.shape.n_blocks - len(sound)


def _repair(folder: TableFolder, table: TableFormat, sound: dict[int, str], damages: list[Damage]) -> None:
    if folder.complete.exists() and len(sound) < table.shape.n_blocks:
        os.rename(folder.complete, folder.partial)
    fingerprint = json_digest(table.settings)
    lines = "".join(journal.line(fingerprint, block, sha256) for block, sha256 in sound.items())
    write_whole(folder.journal, lines.encode())
    for damage in damages:
        if damage.block is not None and damage.block not in sound:
            folder.chunk(damage.block).unlink(missing_ok=True)
    if table.faults(folder.data):
        table.write_metadata(folder.data)
    for inner in _inner(folder):
        remove_leftovers(inner)


def read_block(folder: TableFolder, table: TableFormat, block: int, sha256: str) -> Array | str:
    """Return the values of a block, or what is wrong with them."""
    file = folder.chunk(block)
    if not file.exists():
        file = folder.chunk(block)  # under the name that the group has now: a run that ends renames it
    name = f"{table.shape.name(block)} of {folder.path}"
    try:
        values = table.decoded(block, file.read_bytes())
    except FileNotFoundError:
        return f"{name} is lost: its chunk {file} is missing"
    except Exception as error:  # a codec may fail in any way on bytes that are not its own
        reason = str(error).splitlines()[0] if str(error) else "no reason"
        return f"{name} is damaged: its chunk {file} cannot be read ({type(error).__name__}: {reason})"
    if journal.digest(values) != sha256:
        return f"{name} is damaged: the values in {file} are not those that were stored (sha256 differs)"
    return values


def how_to_repair(folder: TableFolder) -> str:
    """Return the sentence that ends messages about damage."""
    return f"`python -m sims check '{folder.path}' --repair` drops what is damaged, and the next run computes it again"


def _inner(folder: TableFolder) -> tuple[Path, ...]:
    return folder.path, folder.data, folder.data / "responses", folder.data / "seed"


def _leftovers(folder: TableFolder) -> list[Path]:
    return [path for inner in _inner(folder) for path in leftovers(inner)]
