"""Keep a table of responses on disk, block by block, for a run that writes and reads it.

A block is done when the journal says so, and it says so only once the chunk is on the disk: chunk, fsync, line, fsync. What a
crash leaves behind is then at worst a chunk without a line, or half a line; both are written again. Every block is compared
with its sha256 when it is read: a damaged one is refused by name and never becomes a number.
"""

import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sims.retrain.provenance import differences
from sims.retrain.store import journal
from sims.retrain.store.check import check, how_to_repair, read_block
from sims.retrain.store.layout import Settings, TableFolder, TableFormat
from sims.retrain.store.shape import TableShape
from theory.response import Array
from theory.storage import json_digest, locked, sync, write_whole
from theory.storage.files import make_folder, remove, remove_leftovers

if TYPE_CHECKING:  # imported where it is used: it takes longer than all else that a table needs
    import xarray as xr

__all__ = ["BlockStore", "NotStored", "load", "open_store"]


class BlockStore:
    """An open store, from `open_store`: the process that has one holds the lock."""

    def __init__(self, folder: TableFolder, settings: Settings, digests: dict[int, str]) -> None:
        self._folder, self._format = folder, TableFormat(settings)
        self._fingerprint, self._digests = json_digest(settings), digests

    @property
    def shape(self) -> TableShape:
        """The shape of the table."""
        return self._format.shape

    @property
    def done(self) -> frozenset[int]:
        """The blocks that the journal lists."""
        return frozenset(self._digests)

    @property
    def progress(self) -> str:
        """How many blocks are stored, and where, as messages say it."""
        return f"{len(self._digests)}/{self.shape.n_blocks} blocks are stored in {self._folder.path}"

    def write(self, blocks: Mapping[int, Array]) -> None:
        """Store blocks of values (R, rows, M). Once this returns they are on the disk and in the journal."""
        try:
            digests = {block: journal.digest(values) for block, values in blocks.items()}
            for block, values in blocks.items():
                write_whole(self._folder.chunk(block), self._format.encoded(block, values))
            lines = (journal.line(self._fingerprint, block, sha256) for block, sha256 in digests.items())
            journal.append(self._folder.journal, "".join(lines))
        except OSError as error:
            raise OSError(f"{error}; {self.progress}, the same command resumes") from error
        self._digests |= digests

    def read(self, block: int) -> Array:
        """Return the values (R, rows, M) of a finished block, compared with their sha256."""
        values = read_block(self._folder, self._format, block, self._digests[block])
        if isinstance(values, str):
            raise OSError(f"{values}; {how_to_repair(self._folder)}")
        return values

    def finish(self) -> None:
        """Give the array its final name, once every block is done."""
        if len(self._digests) < self.shape.n_blocks:
            raise ValueError(f"{self._folder.path} has {len(self._digests)} of {self.shape.n_blocks} blocks: it is not complete")
        if not self._folder.complete.exists():
            os.rename(self._folder.partial, self._folder.complete)
            sync(self._folder.path)


class NotStored:
    """Takes the place of a `BlockStore` where there is none: it has no blocks, and keeps none that it is given."""

    done: frozenset[int] = frozenset()
    progress = "nothing is stored"

    def read(self, block: int) -> Array:
        """Refuse: no block is done."""
        raise KeyError(f"block {block} was not stored")

    def write(self, blocks: Mapping[int, Array]) -> None:
        """Keep nothing."""

    def finish(self) -> None:
        """Do nothing: nothing was begun."""


@contextmanager
def open_store(path: Path, settings: Settings, shape: TableShape) -> Generator[BlockStore]:
    """Open the store in a folder for writing and reading, and make it where there is none.

    Refused by name: a second writer; a store of other settings, with all that differs; damaged settings, a damaged journal.
    """
    make_folder(path)
    folder, wanted = TableFolder(path), {**settings, "table": shape.as_json}
    with locked(folder.lock, str(path)):
        if not folder.run.exists():
            _create(folder, wanted)
        try:
            found = folder.settings()
        except OSError as error:
            raise OSError(f"{error}; {how_to_repair(folder)}") from None
        if different := differences(found, wanted):
            raise ValueError(
                f"{path} holds another run: {'; '.join(different)}. Choose another folder, or delete this one to start again"
            )
        journal.drop_torn_line(folder.journal)
        digests, damages = journal.read(folder.journal, json_digest(found), shape)
        if damages:
            raise OSError(f"{damages[0].reason}; {how_to_repair(folder)}")
        _tidy(folder, TableFormat(found), set(digests))
        yield BlockStore(folder, found, digests)


def load(path: Path) -> "xr.Dataset":
    """Load a complete store as a labelled data set, every block compared with its sha256. Others are refused by name."""
    damages, missing = check(path)
    if damages:
        raise OSError(f"{path} is damaged: {damages[0].reason}; {how_to_repair(TableFolder(path))}")
    if missing:
        raise OSError(f"{path} is not complete, {missing} blocks are missing: run what made it again, it resumes")
    import xarray as xr

    return xr.open_zarr(TableFolder(path).data, consolidated=False, chunks=None).load()


def _create(folder: TableFolder, settings: Settings) -> None:
    """Make an empty table: metadata and journal first, run.json last. Where there is no run.json, nothing is done."""
    if (folder.journal.exists() and folder.journal.stat().st_size) or folder.complete.exists():
        raise OSError(f"{folder.path} has results but no {folder.run.name} that says of what; {how_to_repair(folder)}")
    remove(folder.partial)
    TableFormat(settings).write_metadata(folder.partial)
    write_whole(folder.journal, b"")
    folder.write_settings(settings)
    sync(folder.path.parent)


def _tidy(folder: TableFolder, table: TableFormat, done: set[int]) -> None:
    """Put right what no number depends on: metadata, the name of the array, and what killed writers left."""
    if folder.complete.exists() and len(done) < table.shape.n_blocks:
        os.rename(folder.complete, folder.partial)
    if table.faults(folder.data):
        table.write_metadata(folder.data)
    for inner in (folder.path, folder.data, folder.data / "responses", folder.data / "seed"):
        remove_leftovers(inner)
