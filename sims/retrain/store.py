"""Tables of responses on disk that survive whatever happens to the run that writes them.

A store is a folder:

    run.json          every setting that decides a bit of the table, and their fingerprint
    responses.zarr    the array (seed, subset, output), one chunk per block; responses.partial.zarr until it is complete
    journal.jsonl     one line per finished block: its number, the sha256 of its values, a check of the line itself
    lock              held by the one process that may write

A block is done when the journal says so, and it says so only once the chunk is on the disk: chunk, fsync, line, fsync. What a
crash leaves behind is then at worst a chunk without a line, or half a line; both are written again. Every block is compared with
its sha256 when it is read: a damaged one is refused by name and never becomes a number.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sims.retrain.provenance import differences
from theory.response import Array

if TYPE_CHECKING:  # imported where they are used: they take longer than all else that a table needs
    import xarray as xr
    import zarr

__all__ = ["BlockStore", "Damage", "NotStored", "TableShape", "check", "find_stores", "load", "open_store"]

Settings = Mapping[str, Any]
"""Plain JSON values by name."""


@dataclass(frozen=True)
class TableShape:
    """Of a table of R seeds, 2^N subsets and M outputs, in blocks of `block_rows` subsets."""

    seeds: tuple[int, ...]
    n_subsets: int
    n_outputs: int
    block_rows: int

    @property
    def n_blocks(self) -> int:
        return -(-self.n_subsets // self.block_rows)

    def subsets(self, block: int) -> slice:
        """The subsets of a block."""
        return slice(block * self.block_rows, min((block + 1) * self.block_rows, self.n_subsets))

    def n_rows(self, blocks: Iterable[int]) -> int:
        """How many subsets blocks hold."""
        return sum(min(self.block_rows, self.n_subsets - block * self.block_rows) for block in blocks)

    def name(self, block: int) -> str:
        """A block as messages name it."""
        subsets = self.subsets(block)
        return f"block {block} (subsets {subsets.start}..{subsets.stop - 1})"


@dataclass(frozen=True)
class Damage:
    """What is wrong with a store: in which block (None: a journal line that names none), and why."""

    block: int | None
    reason: str


class BlockStore:
    """An open store, from `open_store`: the process that has one holds the lock."""

    def __init__(self, folder: Path, fingerprint: str, shape: TableShape, digests: dict[int, str]) -> None:
        self.folder, self.shape = folder, shape
        self._fingerprint, self._digests = fingerprint, digests

    @property
    def done(self) -> frozenset[int]:
        """The blocks that the journal lists."""
        return frozenset(self._digests)

    @property
    def progress(self) -> str:
        """How many blocks are stored, and where, as messages say it."""
        return f"{len(self._digests)}/{self.shape.n_blocks} blocks are stored in {self.folder}"

    def write(self, blocks: Mapping[int, Array]) -> None:
        """Store blocks of values (R, rows, M). Once this returns they are on the disk and in the journal."""
        try:
            self._write(blocks)
        except OSError as error:
            if error.errno is None:  # raised in this module, with a message that says what to do
                raise
            raise OSError(f"{error}; {self.progress}, the same command resumes") from error

    def _write(self, blocks: Mapping[int, Array]) -> None:
        array = _array(self.folder)
        digests = {block: _digest(values) for block, values in blocks.items()}
        for block, values in blocks.items():
            array[:, self.shape.subsets(block)] = values
            _sync(_chunk(self.folder, block))
        _sync(_chunk(self.folder, 0).parent)
        _append(self.folder / _JOURNAL, "".join(_line(self._fingerprint, block, digest) for block, digest in digests.items()))
        self._digests |= digests

    def read(self, block: int) -> Array:
        """The values (R, rows, M) of a finished block, compared with their sha256."""
        values = _read(self.folder, self.shape, block, self._digests[block])
        if isinstance(values, str):
            raise OSError(f"{self.shape.name(block)} of {self.folder} is damaged: {values}; {_how_to_repair(self.folder)}")
        return values

    def finish(self) -> None:
        """Give the array its final name, once every block is done."""
        if len(self._digests) < self.shape.n_blocks:
            raise ValueError(f"{self.folder} has {len(self._digests)} of {self.shape.n_blocks} blocks: it is not complete")
        if (self.folder / _PARTIAL).exists():
            os.rename(self.folder / _PARTIAL, self.folder / _COMPLETE)
            _sync(self.folder)


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
def open_store(folder: Path, settings: Settings, shape: TableShape) -> Generator[BlockStore]:
    """The store in a folder, made where there is none, for writing and reading.

    Refused by name: a second writer; a store of other settings, with all that differs; a damaged journal.
    """
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in new:
        _sync(path.parent)
    with _locked(folder):
        wanted = {**settings, "table": _as_json(shape)}
        if not (folder / _RUN).exists():
            _create(folder, wanted, shape)
        found, fingerprint = _settings(folder)
        if different := differences(found, wanted):
            raise ValueError(
                f"{folder} holds another run: {'; '.join(different)}. Choose another folder, or delete this one to start again"
            )
        _drop_torn_line(folder / _JOURNAL)
        digests, damages = _journal(folder, fingerprint, shape)
        if damages:
            raise OSError(f"{folder / _JOURNAL} is damaged: {damages[0].reason}; {_how_to_repair(folder)}")
        yield BlockStore(folder, fingerprint, shape, digests)


def load(folder: Path) -> "xr.Dataset":
    """A complete store as a labelled data set, every block compared with its sha256. Others are refused by name."""
    damages, missing = check(folder)
    if damages:
        raise OSError(f"{folder} is damaged: {damages[0].reason}; {_how_to_repair(folder)}")
    if missing:
        raise OSError(f"{folder} is not complete, {missing} blocks are missing: run what made it again, it resumes")
    import xarray as xr

    return xr.open_zarr(_data(folder), consolidated=False).load()


def find_stores(folder: Path) -> list[Path]:
    """Every store in a folder and below it."""
    return sorted(path.parent for path in folder.rglob(_RUN))


def check(folder: Path, *, repair: bool = False) -> tuple[list[Damage], int]:
    """Compare every finished block with its sha256: (damages, how many blocks are yet to be computed).

    `repair` drops what is damaged, chunk and journal line, so that the next run computes it again.
    """
    with _locked(folder):
        settings, fingerprint = _settings(folder)
        table = dict(settings["table"])
        shape = TableShape(tuple(table.pop("seeds")), **table)
        digests, damages = _journal(folder, fingerprint, shape)
        sound = dict(digests)
        for block, digest in digests.items():
            values = _read(folder, shape, block, digest)
            if isinstance(values, str):
                damages.append(Damage(block, f"{shape.name(block)}: {values}"))
                del sound[block]
        if not _seeds_are(folder, shape):
            damages.append(Damage(None, f"the seeds in {_data(folder).name} are missing or not those of {_RUN}"))
            if repair:
                _repair_seeds(folder, shape)
        if repair:
            _drop_torn_line(folder / _JOURNAL)
        if repair and damages:
            if (folder / _COMPLETE).exists():
                os.rename(folder / _COMPLETE, folder / _PARTIAL)
            _replace(folder / _JOURNAL, "".join(_line(fingerprint, block, digest) for block, digest in sound.items()))
            for damage in damages:
                if damage.block is not None and damage.block not in sound:
                    _chunk(folder, damage.block).unlink(missing_ok=True)
    return damages, shape.n_blocks - len(sound)


# --- the folder ------------------------------------------------------------------------------------------------------------

_RUN, _JOURNAL, _LOCK = "run.json", "journal.jsonl", "lock"
_COMPLETE, _PARTIAL = "responses.zarr", "responses.partial.zarr"


@contextmanager
def _locked(folder: Path) -> Generator[None]:
    with (folder / _LOCK).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise BlockingIOError(f"{folder} is being written by process {lock.read() or '?'}: wait for it, or stop it") from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _create(folder: Path, settings: Settings, shape: TableShape) -> None:
    """Array and journal first, run.json last: where there is no run.json, nothing is done."""
    import zarr
    from zarr.codecs import Crc32cCodec

    journal = folder / _JOURNAL
    if (journal.exists() and journal.stat().st_size) or (folder / _COMPLETE).exists():
        raise OSError(f"{folder} has results but no {_RUN} that says of what: it was damaged; delete the folder to start again")
    shutil.rmtree(folder / _PARTIAL, ignore_errors=True)
    root = zarr.create_group(folder / _PARTIAL, zarr_format=3, attributes={"settings": json.dumps(settings)})
    root.create_array(
        "responses",
        shape=(len(shape.seeds), shape.n_subsets, shape.n_outputs),
        chunks=(len(shape.seeds), min(shape.block_rows, shape.n_subsets), shape.n_outputs),
        dtype="float64",
        compressors=[Crc32cCodec()],
        chunk_key_encoding={"name": "default", "separator": "."},
        dimension_names=("seed", "subset", "output"),
        attributes={"long_name": "f(Phi(r; 1_S)) for every subset S: bit i of `subset` says whether point i is in S"},
        config={"write_empty_chunks": True},
    )
    _write_seeds(root, shape)
    for path in (*(folder / _PARTIAL).rglob("*"), folder / _PARTIAL):
        _sync(path)
    _replace(journal, "")
    _replace(folder / _RUN, json.dumps({"fingerprint": _fingerprint(settings), **settings}, indent=2) + "\n")
    _sync(folder.parent)


def _write_seeds(root: "zarr.Group", shape: TableShape) -> None:
    from zarr.codecs import Crc32cCodec

    seeds = np.array(shape.seeds, dtype=np.int64)
    root.create_array("seed", data=seeds, compressors=[Crc32cCodec()], dimension_names=("seed",), overwrite=True)


def _repair_seeds(folder: Path, shape: TableShape) -> None:
    import zarr

    _write_seeds(zarr.open_group(_data(folder), mode="r+"), shape)


def _seeds_are(folder: Path, shape: TableShape) -> bool:
    """Whether the labels of the table are those of run.json."""
    import zarr

    try:
        return np.array_equal(np.asarray(zarr.open_array(_data(folder) / "seed", mode="r")[:]), shape.seeds)
    except Exception:  # as in `_read`
        return False


def _data(folder: Path) -> Path:
    return folder / (_COMPLETE if (folder / _COMPLETE).exists() else _PARTIAL)


def _array(folder: Path) -> Any:
    import zarr

    path = _data(folder)
    try:
        with zarr.config.set({"array.write_empty_chunks": True}):  # open_array ignores its own `config`
            return zarr.open_array(path / "responses", mode="r+")
    except (OSError, ValueError, KeyError) as error:
        raise OSError(f"{path} cannot be opened ({error}): its metadata are damaged; delete {folder} to start again") from error


def _chunk(folder: Path, block: int) -> Path:
    return _data(folder) / "responses" / f"c.0.{block}.0"


def _read(folder: Path, shape: TableShape, block: int, digest: str) -> Array | str:
    """The values of a block, or what is wrong with them."""
    if not _chunk(folder, block).exists():
        return "its chunk is missing"
    array = _array(folder)
    try:
        values = np.asarray(array[:, shape.subsets(block)], dtype=np.float64)
    except Exception as error:  # a codec may fail in any way on bytes that are not its own
        return f"its chunk cannot be read ({type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no reason'})"
    return values if _digest(values) == digest else "its values are not those that were stored (sha256 differs)"


def _settings(folder: Path) -> tuple[Settings, str]:
    """What run.json says, and the fingerprint of it."""
    settings: dict[str, Any] = {}
    with suppress(ValueError, TypeError):
        settings = dict(json.loads((folder / _RUN).read_text()))
    fingerprint = settings.pop("fingerprint", "")
    if fingerprint != _fingerprint(settings):
        raise OSError(f"{folder / _RUN} was edited or damaged: what is stored cannot be trusted; delete {folder} to start again")
    return settings, fingerprint


def _as_json(shape: TableShape) -> dict[str, Any]:
    return {
        "seeds": list(shape.seeds),
        "n_subsets": shape.n_subsets,
        "n_outputs": shape.n_outputs,
        "block_rows": shape.block_rows,
    }


def _fingerprint(settings: Settings) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def _how_to_repair(folder: Path) -> str:
    return f"`python -m sims check '{folder}' --repair` drops what is damaged, and the next run computes it again"


# --- the journal -----------------------------------------------------------------------------------------------------------


def _line(fingerprint: str, block: int, digest: str) -> str:
    mark = hashlib.sha256(f"{fingerprint} {block} {digest}".encode()).hexdigest()[:16]
    return json.dumps({"block": block, "sha256": digest, "check": mark}) + "\n"


def _journal(folder: Path, fingerprint: str, shape: TableShape) -> tuple[dict[int, str], list[Damage]]:
    """sha256 by block, and the lines that are not what this program writes; the block of a torn last line was never finished."""
    journal = folder / _JOURNAL
    if not journal.exists():
        return {}, [Damage(None, f"{_JOURNAL} is missing, so that no block counts as done")]
    digests: dict[int, str] = {}
    damages: list[Damage] = []
    text = journal.read_bytes().decode(errors="replace")
    for number, line in enumerate(re.findall(r"[^\n]*\n|[^\n]+", text), start=1):  # splitlines would split at \v and \r too
        block, digest = -1, ""
        with suppress(ValueError, KeyError, TypeError):
            entry = dict(json.loads(line))
            block, digest = int(entry["block"]), str(entry["sha256"])
        known = 0 <= block < shape.n_blocks
        if known and line == _line(fingerprint, block, digest):
            if digests.setdefault(block, digest) != digest:
                del digests[block]
                damages.append(Damage(block, f"line {number} of {_JOURNAL} gives {shape.name(block)} a second sha256"))
        elif line.endswith("\n"):
            about = f", about {shape.name(block)}," if known else ""
            damages.append(Damage(block if known else None, f"line {number} of {_JOURNAL}{about} was edited or damaged"))
        else:
            damages.append(Damage(None, f"line {number} of {_JOURNAL} is torn: its block is not done, and is computed again"))
    return digests, damages


def _drop_torn_line(journal: Path) -> None:
    if not journal.exists():
        return
    text = journal.read_bytes()
    whole = text.rfind(b"\n") + 1
    if whole < len(text):
        os.truncate(journal, whole)
        _sync(journal)


def _digest(values: Array) -> str:
    return hashlib.sha256(np.ascontiguousarray(values, dtype="<f8").tobytes()).hexdigest()


# --- the disk --------------------------------------------------------------------------------------------------------------


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _append(path: Path, text: str) -> None:
    """Add whole lines and fsync; where that fails, the file is cut back to what it was."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        before = os.fstat(descriptor).st_size
        try:
            data = text.encode()
            while data:
                data = data[os.write(descriptor, data) :]
            os.fsync(descriptor)
        except BaseException:
            with suppress(OSError):
                os.ftruncate(descriptor, before)
            raise
    finally:
        os.close(descriptor)


def _replace(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
    _sync(path.parent)
