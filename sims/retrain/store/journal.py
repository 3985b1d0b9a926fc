"""The journal of a table: one line per finished block, with the sha256 of its values and a check of the line itself."""

import hashlib
import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sims.retrain.store.shape import TableShape
from theory.response import Array
from theory.storage import sync

__all__ = ["Damage", "append", "digest", "drop_torn_line", "line", "read"]


@dataclass(frozen=True)
class Damage:
    """What is wrong with a store: the block that is lost, if one is, and the reason."""

    block: int | None
    reason: str


def line(fingerprint: str, block: int, sha256: str) -> str:
    """Return the line of a finished block, in the table with this fingerprint."""
    mark = hashlib.sha256(f"{fingerprint} {block} {sha256}".encode()).hexdigest()[:16]
    return json.dumps({"block": block, "sha256": sha256, "check": mark}) + "\n"


def digest(values: Array) -> str:
    """Return the sha256 of the values of a block."""
    return hashlib.sha256(np.ascontiguousarray(values, dtype="<f8").tobytes()).hexdigest()


def read(file: Path, fingerprint: str, shape: TableShape) -> tuple[dict[int, str], list[Damage]]:
    """Return the sha256 by block, and every line that this program did not write.

    The block of a torn last line was never finished.
    """
    if not file.exists():
        return {}, [Damage(None, f"{file} is missing, so that no block counts as done")]
    digests: dict[int, str] = {}
    damages: list[Damage] = []
    text = file.read_bytes().decode(errors="replace")
    for number, found in enumerate(re.findall(r"[^\n]*\n|[^\n]+", text), start=1):  # splitlines would split at \v and \r too
        block, sha256 = -1, ""
        with suppress(ValueError, KeyError, TypeError):
            entry = dict(json.loads(found))
            block, sha256 = int(entry["block"]), str(entry["sha256"])
        known = 0 <= block < shape.n_blocks
        if known and found == line(fingerprint, block, sha256):
            if digests.setdefault(block, sha256) != sha256:
                del digests[block]
                damages.append(Damage(block, f"line {number} of {file} gives {shape.name(block)} a second sha256"))
        elif found.endswith("\n"):
            about = f", about {shape.name(block)}," if known else ""
            damages.append(Damage(block if known else None, f"line {number} of {file}{about} was edited or damaged"))
        else:
            damages.append(Damage(None, f"line {number} of {file} is torn: its block is not done, and is computed again"))
    return digests, damages


def append(file: Path, text: str) -> None:
    """Add whole lines and fsync; where that fails, cut the file back to what it was."""
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND)
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


def drop_torn_line(file: Path) -> None:
    """Cut off the end of a last line that was not written whole."""
    if not file.exists():
        return
    text = file.read_bytes()
    whole = text.rfind(b"\n") + 1
    if whole < len(text):
        os.truncate(file, whole)
        sync(file)
