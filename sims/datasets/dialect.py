"""The module recognises how a CSV file is written: its encoding, and what separates its fields. Both follow stated rules.

The encoding is that of the byte order mark (UTF-8 or UTF-16); without a mark it is UTF-8 if all bytes are UTF-8, else
Windows-1252, which contains all letters of Latin-1. `separator_of` states the rule for the separator. Errors say what the file is
instead, and what to do.
"""

import codecs
import csv
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

from sims.datasets.cells import number
from theory.memory import require_memory

__all__ = ["SEPARATORS", "WrittenFile", "cells_of", "digest", "inspected", "separator_of"]

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
"""What may separate fields, and its name; of equally good ones the first is taken."""

_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_UTF32 = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)

_OTHER_FILES = (
    (b"PK\x03\x04", "a zip archive or a workbook (.xlsx, .ods)"),
    (b"\x1f\x8b", "compressed by gzip"),
    (b"PAR1", "a Parquet file"),
    (b"%PDF", "a PDF"),
)

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x19\x1b-\x1f\x7f]")
"""Characters that no table has: files with them and no UTF-8 are not text. (0x1a once marked the end of a file.)"""

_SAMPLE = 20
"""Rows below the header that are looked at for the separator."""


@dataclass(frozen=True)
class WrittenFile:
    """A text file has a sha256 and an encoding, which is a name of Python's codecs."""

    sha256: str
    encoding: str


def digest(path: Path) -> str:
    """Return the sha256 of a text file; raise what `inspected` raises."""
    return inspected(path).sha256


def inspected(path: Path) -> WrittenFile:
    """Return sha256 and encoding of a text file; read the file again only if its size or time has changed.

    Raises FileNotFoundError if there is no such file, and ValueError if it is no file or no text.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist, expected a CSV file")
    if not path.is_file():
        raise ValueError(f"{path} is not a file, expected a CSV file")
    status = path.stat()
    return _inspected(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=64)
def _inspected(path: Path, _time: int, size: int) -> WrittenFile:
    require_memory(5 * size, f"{path}, {size:,} bytes,", "take fewer rows or columns")  # bytes, and text of 4 bytes a character
    content = path.read_bytes()
    if other := next((name for start, name in _OTHER_FILES if content.startswith(start)), None):
        raise ValueError(f"{path} is {other}, expected CSV: unpack it, or export its table as CSV")
    if content.startswith(_UTF32):
        raise ValueError(f"{path} is UTF-32, expected UTF-8: save it as that")
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), None)
    if encoding != "utf-16" and (zero := content.find(b"\0")) >= 0:
        raise ValueError(f"{path} has a NUL byte (byte {zero + 1}): it is not text, expected CSV in UTF-8")
    encoding, text = _decoded(path, content, encoding)
    if encoding == "utf-16" and "\0" in text:
        raise ValueError(f"{path} has a NUL character (character {text.find(chr(0)) + 1}): it is not text, expected CSV in UTF-8")
    if re.match(r"\s*<(!doctype|html|\?xml|table|!--)", text, re.IGNORECASE):
        raise ValueError(
            f"{path} is HTML or XML, expected CSV: export the table as CSV (the page may say that a download failed)"
        )
    return WrittenFile(hashlib.sha256(content).hexdigest(), encoding)


def _decoded(path: Path, content: bytes, encoding: str | None) -> tuple[str, str]:
    """Return the encoding and the text; `encoding` is that of the byte order mark, if there is one."""
    try:
        return encoding or "utf-8", content.decode(encoding or "utf-8")
    except UnicodeDecodeError as error:
        known = "UTF-16" if encoding == "utf-16" else "UTF-8"
        byte, line = error.object[error.start], error.object.count(b"\n", 0, error.start) + 1
        if encoding is not None:
            raise ValueError(
                f"{path} begins with the mark of {known} and is not {known} (byte 0x{byte:02x} on line {line}): save it as UTF-8"
            ) from None
    try:
        text = content.decode("cp1252")
    except UnicodeDecodeError as error:
        byte, line = error.object[error.start], error.object.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path} is neither UTF-8 nor Windows-1252 (byte 0x{byte:02x} on line {line}): save it as UTF-8"
        ) from None
    if control := _CONTROL.search(text):
        line = text.count("\n", 0, control.start()) + 1
        raise ValueError(
            f"{path} is not UTF-8 (byte 0x{byte:02x}) and has a control character (0x{ord(control[0]):02x} on line {line}): "
            "it is not text, expected CSV in UTF-8"
        )
    return "cp1252", text


def separator_of(path: Path, encoding: str) -> str:
    """Return what separates the fields of a file.

    Candidates are the marks in `SEPARATORS` that split the first line. Better is one with which the next 20 rows have as many
    fields as the first line; then, one with which more fields are numbers; then, one that gives more fields; then, the order of
    `SEPARATORS`. Without a candidate the result is a comma.
    """

    def quality(mark: str) -> tuple[bool, bool, int, int]:
        header, *rows = list(_sample(path, encoding, mark)) or [[]]
        width = len(header)
        fitting = all(len(row) == width for row in rows)
        numbers = sum(number(cell) is not None or number(cell, ",") is not None for row in rows for cell in row)
        return width > 1, fitting, numbers, width

    best = max(SEPARATORS, key=quality)  # the first of equal ones
    return best if quality(best)[0] else ","


def _sample(path: Path, encoding: str, separator: str) -> Iterator[list[str]]:
    """Yield the first rows; stop where the file is not CSV, which the reader of all rows reports."""
    try:
        yield from (row for _, row in islice(cells_of(path, encoding, separator), 1 + _SAMPLE))
    except ValueError:
        return


def cells_of(path: Path, encoding: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line number and the cells (as text) of every row; skip empty lines.

    If a quoted field spans several lines, the number is that of the row's last line. Raises ValueError if the file is not CSV.
    """
    with path.open(encoding=encoding, newline="") as file:
        rows = csv.reader(file, delimiter=separator, strict=True)
        try:
            for row in rows:
                if row:
                    yield rows.line_num, row
        except csv.Error as error:
            raise ValueError(f"line {rows.line_num} of {path} is not CSV: {error}") from None
