"""The module reads a CSV file of numbers and a target; it guesses nothing, and its errors name the column and the line.

The standard library's `csv` reads every cell as text and knows the line of every row; then the cells are converted. No cell, row
or column is filled, renamed or left out silently. Rows are read one at a time, so a file takes 8 bytes of memory per number, plus
the text of its target column.
"""

import csv
import difflib
import hashlib
import math
import shlex
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np

from theory.memory import require_memory
from theory.response import Array

__all__ = ["MAX_FEATURES", "CsvTable", "digest", "number", "quoted", "read_csv"]

MAX_FEATURES = 50
"""Largest number of columns of X: fits on all subsets take time and memory of the order of the square of this number."""

_MISSING = frozenset({"", "na", "n/a", "nan", "null", "#n/a"})
"""Cells that count as a missing value, in lower case."""


@dataclass(frozen=True, eq=False)
class CsvTable:
    """A table holds the features of a CSV file as numbers, and its target column as text."""

    columns: tuple[str, ...]  # of X
    X: Array  # (rows, columns), read-only
    target: tuple[str, ...]


def digest(path: Path) -> str:
    """Return the sha256 of a text file; read the file again only if its size or time has changed.

    Raises FileNotFoundError if there is no such file, and ValueError if it is no file, is UTF-16 or has a NUL byte.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist, expected a CSV file")
    if not path.is_file():
        raise ValueError(f"{path} is not a file, expected a CSV file")
    status = path.stat()
    return _digest(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=64)
def _digest(path: Path, _time: int, size: int) -> str:
    require_memory(4 * size, f"{path}, {size:,} bytes,", "take fewer rows or columns")  # a number has 2 bytes or more
    content, place = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(2**20):
            if place == 0 and chunk[:2] in (b"\xff\xfe", b"\xfe\xff"):
                raise ValueError(f"{path} is UTF-16, expected UTF-8: save it as that")
            if (zero := chunk.find(b"\0")) >= 0:
                raise ValueError(f"{path} has a NUL byte (byte {place + zero + 1}): it is not text, expected CSV in UTF-8")
            content.update(chunk)
            place += len(chunk)
    return content.hexdigest()


def read_csv(path: Path, target: str | None, drop: Sequence[str] = ()) -> CsvTable:
    """Return all rows of a CSV file, whose first line names the columns.

    Every column must hold finite numbers that are not all equal, except the target and the columns in `drop`. Raises ValueError,
    with column and line, if the file cannot be used.
    """
    digest(path)
    rows = _rows(path)
    header = [name.strip() for _, names in islice(rows, 1) for name in names]
    wanted, goal = _choose(path, header, target, drop)
    values, labels = array("d"), list[str]()
    faults: dict[tuple[str, int], tuple[int, str]] = {}  # (what, column) -> the first line that has it, and its text
    for line, row in rows:
        if len(row) != len(header):
            raise ValueError(
                f"line {line} of {path} has {len(row)} fields, the header has {len(header)}: expected one per column "
                "(a field with a comma in it stands in double quotes)"
            )
        for column in wanted:
            value = number(row[column])
            if value is None or not math.isfinite(value):
                faults.setdefault((_fault(row[column]), column), (line, row[column].strip()))
            values.append(math.nan if value is None else value)
        labels.append(row[goal].strip())
        if _fault(labels[-1]) == "missing":
            faults.setdefault(("missing", goal), (line, labels[-1]))
    if not labels:
        raise ValueError(f"{path} has a header and no rows")
    _refuse(path, header, goal, faults)
    X = np.frombuffer(values, dtype=np.float64).reshape(len(labels), len(wanted))
    X.flags.writeable = False
    columns = tuple(header[column] for column in wanted)
    constant = [name for name, low, high in zip(columns, X.min(axis=0), X.max(axis=0), strict=True) if low == high]
    if constant:
        raise ValueError(f"{quoted('column', constant)} of {path} never varies: leave it out with {_dropped(constant)}")
    return CsvTable(columns, X, tuple(labels))


def number(text: str) -> float | None:
    """Return the number in a cell as Python reads it, or None if the cell is not a number.

    Underscores (1_000) and non-ASCII digits, which Python would accept, also give None.
    """
    try:
        return float(text) if text.isascii() and "_" not in text else None
    except ValueError:
        return None


def quoted(noun: str, names: Sequence[str], most: int = 12) -> str:
    """Return `noun` and names for a message, such as "column 'a'" or "columns 'a', 'b'", with at most `most` names."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{noun}{'s' if len(names) > 1 else ''} {', '.join(map(repr, names[:most]))}{more}"


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the line number and the cells (as text) of every row; skip empty lines.

    If a quoted field spans several lines, the number is that of the row's last line. Raises ValueError if the file is not CSV or
    not UTF-8.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file, strict=True)
        try:
            for row in rows:
                if row:
                    yield rows.line_num, row
        except UnicodeDecodeError as error:
            byte = error.object[error.start]
            raise ValueError(f"{path} is not UTF-8 (byte 0x{byte:02x} after line {rows.line_num}): save it as UTF-8") from None
        except csv.Error as error:
            raise ValueError(f"line {rows.line_num} of {path} is not CSV: {error}") from None


def _choose(path: Path, header: Sequence[str], target: str | None, drop: Sequence[str]) -> tuple[list[int], int]:
    """Return the positions of the feature columns and the position of the target; raise ValueError if the header is unfit."""
    if not any(header):
        raise ValueError(f"{path} is empty, expected a line that names the columns, then rows of numbers")
    other = next((mark for mark in ";\t|" if mark in header[0]), None)
    if len(header) == 1 and other:
        raise ValueError(f"{path} is separated by {other!r}, expected commas: its first line is {header[0][:60]!r}")
    if len(header) > MAX_FEATURES + 1 + len(drop):
        raise ValueError(
            f"{path} has {len(header):,} columns, at most {MAX_FEATURES} and a target can be used: keep those that matter"
        )
    if "" in header:
        raise ValueError(
            f"column {header.index('') + 1} of {path} has no name: give it one, or write the file without it "
            "(an index of pandas: to_csv(index=False))"
        )
    if len(set(header)) < len(header):
        twice = next(name for k, name in enumerate(header) if name in header[:k])
        raise ValueError(f"{path} has several columns named {twice!r}: give each a name of its own")
    for name, use in ((target, "target"), *((name, "drop") for name in drop)):
        if name not in header:
            said = "--target is missing" if name is None else f"--{use} {name!r} is no column"
            close = "" if name is None else _close(name, header)
            raise ValueError(f"{said} of {path}{close}; it has {quoted('column', header)}")
    if target in drop:
        raise ValueError(f"--drop {target!r}: this is the target")
    wanted = [k for k, name in enumerate(header) if name != target and name not in drop]
    if not wanted:
        raise ValueError(f"{path} has no column besides the target {target!r} that could predict it")
    if "intercept" in (header[k] for k in wanted):
        raise ValueError(f"column 'intercept' of {path}: designs here have one by themselves, leave it out with --drop intercept")
    return wanted, list(header).index(str(target))


def _close(name: str, header: Sequence[str]) -> str:
    """Return a question such as ", did you mean 'age'?" with the columns whose names are similar, or an empty text."""
    by_lower = {other.lower(): other for other in header}
    close = [by_lower[found] for found in difflib.get_close_matches(name.lower(), list(by_lower), n=3)]
    return f", did you mean {' or '.join(map(repr, close))}?" if close else ""


def _fault(cell: str) -> str:
    """Return why a cell is no finite number: "missing", "text" or "infinite"."""
    if cell.strip().lower() in _MISSING:
        return "missing"
    return "text" if number(cell) is None else "infinite"


def _refuse(path: Path, header: Sequence[str], goal: int, faults: dict[tuple[str, int], tuple[int, str]]) -> None:
    """Raise ValueError if there are faults: name all columns that hold text, or else the first missing or infinite cell."""
    texts = {header[column]: where for (what, column), where in faults.items() if what == "text"}
    if texts:
        line, text = next(iter(texts.values()))
        names = list(texts)
        raise ValueError(
            f"{quoted('column', names)} of {path} {'holds' if len(names) == 1 else 'hold'} text ({text[:40]!r} on line {line}), "
            f"expected numbers: encode it as numbers, or leave it out with {_dropped(names)}"
        )
    for (what, column), (line, text) in faults.items():
        state = "has no value" if what == "missing" else "is not finite"
        leave = "" if column == goal else f", or leave the column out with {_dropped([header[column]])}"
        raise ValueError(
            f"column {header[column]!r} of {path} {state} on line {line} ({text[:40]!r}), expected a value everywhere: "
            f"fill it in, or delete such lines{leave}"
        )


def _dropped(names: Sequence[str], most: int = 12) -> str:
    """Return the `--drop` options that leave out the columns `names`, at most `most` of them."""
    return " ".join(f"--drop {shlex.quote(name)}" for name in names[:most]) + (" .." if len(names) > most else "")
