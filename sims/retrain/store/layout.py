"""The folder of one table: what each file is called, what it must contain, and how a block becomes a chunk.

    run.json          every setting that decides a bit of the table, and their fingerprint
    responses.zarr    the array (seed, subset, output), one chunk per block; responses.partial.zarr until it is complete
    journal.jsonl     one line per finished block: its number, the sha256 of its values, a check of the line itself
    lock              held by the one process that may write

run.json decides all other metadata. What this program reads and writes goes by run.json alone: the zarr.json files are for other
readers, and are written again where they differ.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from sims.retrain.store import journal
from sims.retrain.store.shape import TableShape
from theory.response import Array
from theory.storage import json_digest, write_whole

__all__ = ["Settings", "TableFolder", "TableFormat"]

Settings = Mapping[str, Any]
"""Plain JSON values by name."""


@dataclass(frozen=True)
class TableFolder:
    """The folder of a table."""

    path: Path

    @property
    def run(self) -> Path:
        """The file of settings."""
        return self.path / "run.json"

    @property
    def journal(self) -> Path:
        """The file of finished blocks."""
        return self.path / "journal.jsonl"

    @property
    def lock(self) -> Path:
        """The file that a writer locks."""
        return self.path / "lock"

    @property
    def complete(self) -> Path:
        """The zarr group of a complete table."""
        return self.path / "responses.zarr"

    @property
    def partial(self) -> Path:
        """The zarr group until the table is complete."""
        return self.path / "responses.partial.zarr"

    @property
    def data(self) -> Path:
        """The zarr group as it is called now."""
        return self.complete if self.complete.exists() else self.partial

    def chunk(self, block: int) -> Path:
        """Return the file of a block."""
        return self.data / _chunk_name(block)

    def settings(self) -> Settings:
        """Read run.json without its fingerprint; an OSError says that it is missing or damaged."""
        try:
            settings = dict(json.loads(self.run.read_bytes()))
            sound = settings.pop("fingerprint", "") == json_digest(settings)
            TableShape.from_json(settings["table"])
        except FileNotFoundError:
            raise OSError(f"{self.run} is missing, so that nothing says what the table is of") from None
        except (ValueError, TypeError, LookupError, AttributeError):
            settings, sound = {}, False
        if not sound:
            raise OSError(f"{self.run} was edited or damaged: what is stored cannot be trusted")
        return settings

    def recovered_settings(self) -> Settings | None:
        """Return the copy of the settings in the attributes of the zarr group, if the journal was written under them."""
        with suppress(OSError, ValueError, TypeError, LookupError, AttributeError):
            record = json.loads((self.data / "zarr.json").read_bytes())
            settings = dict(json.loads(record["attributes"]["settings"]))
            digests, damages = journal.read(self.journal, json_digest(settings), TableShape.from_json(settings["table"]))
            if digests or not damages:
                return settings
        return None

    def write_settings(self, settings: Settings) -> None:
        """Write run.json."""
        record = {"fingerprint": json_digest(settings), **settings}
        write_whole(self.run, (json.dumps(record, indent=2) + "\n").encode())


@dataclass(frozen=True)
class TableFormat:
    """What the settings of a table decide: its shape, the metadata of its zarr group, and how blocks become bytes."""

    settings: Settings

    @cached_property
    def shape(self) -> TableShape:
        """The shape of the table."""
        return TableShape.from_json(self.settings["table"])

    @cached_property
    def metadata(self) -> Mapping[str, bytes]:
        """Every file of the zarr group but the chunks of responses, by its path in it: metadata, and the seeds."""
        return {name: part.to_bytes() for name, part in self._made.items()}

    def faults(self, data: Path) -> list[str]:
        """Return the metadata files of a zarr group that are not what run.json decides, one line each."""
        found = {name: (data / name).read_bytes() if (data / name).is_file() else None for name in self.metadata}
        return [
            f"{data / name} is {'missing' if found[name] is None else 'not what run.json decides: it was edited or damaged'}"
            for name, wanted in self.metadata.items()
            if found[name] != wanted
        ]

    def write_metadata(self, data: Path) -> None:
        """Write the metadata files of a zarr group."""
        for name, content in self.metadata.items():
            write_whole(data / name, content)

    def encoded(self, block: int, values: Array) -> bytes:
        """Return the chunk of a block of values (R, rows, M): float64, little endian, in C order, then a CRC32C."""
        files, array = self._array
        array[:, self.shape.subsets(block)] = values
        return files.pop(_chunk_name(block)).to_bytes()

    def decoded(self, block: int, chunk: bytes) -> Array:
        """Return the values (R, rows, M) of a chunk; whatever zarr raises says that the bytes are none."""
        from zarr.buffer.cpu import Buffer

        files, array = self._array
        files[_chunk_name(block)] = Buffer.from_bytes(chunk)
        try:
            return np.asarray(array[:, self.shape.subsets(block)], dtype=np.float64)
        finally:
            del files[_chunk_name(block)]

    @cached_property
    def _array(self) -> tuple[dict[str, Any], Any]:
        """The files of a zarr array in memory that has no chunks, and the array."""
        import zarr
        from zarr.storage import MemoryStore

        files = dict(self._made)
        with zarr.config.set({"array.write_empty_chunks": True}):  # open_array ignores its own `config`
            return files, zarr.open_array(MemoryStore(files), path="responses", mode="r+")

    @cached_property
    def _made(self) -> dict[str, Any]:
        """The metadata files as zarr makes them, in its buffers."""
        import zarr
        from zarr.codecs import Crc32cCodec
        from zarr.storage import MemoryStore

        made: dict[str, Any] = {}
        shape = self.shape
        root = zarr.create_group(MemoryStore(made), zarr_format=3, attributes={"settings": json.dumps(self.settings)})
        root.create_array(
            "responses",
            shape=(len(shape.seeds), shape.n_subsets, shape.n_outputs),
            chunks=(len(shape.seeds), min(shape.block_rows, shape.n_subsets), shape.n_outputs),
            dtype="float64",
            compressors=[Crc32cCodec()],
            chunk_key_encoding={"name": "default", "separator": "."},
            dimension_names=("seed", "subset", "output"),
            attributes={"long_name": "f(Phi(r; 1_S)) for every subset S: bit i of `subset` says whether point i is in S"},
        )
        seeds = np.array(shape.seeds, dtype=np.int64)
        root.create_array("seed", data=seeds, compressors=[Crc32cCodec()], dimension_names=("seed",))
        return made


def _chunk_name(block: int) -> str:
    return f"responses/c.0.{block}.0"
