"""The module reads a CSV file: columns of numbers, columns of categories and a target; its errors name the column and the line.

The standard library's `csv` reads every cell as text and knows the line of every row; then the cells are converted. Whatever is
recognised (separator, encoding, decimal mark, a column that only counts rows) follows a stated rule and is part of the result. No
row is left out here: a gap is NaN in a number, and code -1 in a text. Rows are read one at a time, so a file takes 8 bytes of
memory per cell, plus the different texts of its target and categories.
"""

import difflib
import math
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sims.datasets.cells import as_options, is_gap, number, plain, quoted, three_digits
from sims.datasets.cost import require_affordable
from sims.datasets.dialect import SEPARATORS, cells_of, inspected, separator_of
from theory.response import Array

__all__ = ["CsvTable", "TextColumn", "read_csv"]

_MARKS = (".", ",")
_INDEX_OF_PANDAS = "Unnamed: 0"
_LEAST_FITS = 16
"""All subsets of four points, the fewest that anything here is trained on."""


@dataclass(frozen=True, eq=False)
class TextColumn:
    """A column of text has its different values in the order of the file, and for every row the place of its value there."""

    values: tuple[str, ...]
    codes: NDArray[np.int64]  # (rows,), -1 for a gap


@dataclass(frozen=True, eq=False)
class CsvTable:
    """A table holds the columns of a CSV file that are used, and what was recognised in it."""

    columns: tuple[str, ...]  # the features, in the order of the file
    numbers: dict[str, Array]  # (rows,) each, NaN for a gap
    texts: dict[str, TextColumn]  # the categories
    target: TextColumn
    left_out: dict[str, str]  # columns without a name -> why they are no features
    encoding: str
    separator: str
    decimal: str
    thousands: str  # "" unless --decimal was given
    note: str  # what is said about the decimal mark, or ""

    def number(self, text: str) -> float | None:
        """Return the number in a cell of this file, or None if it is not a number."""
        return number(text, self.decimal, self.thousands)


def read_csv(
    path: Path, target: str | None, drop: Sequence[str] = (), categories: Sequence[str] = (), decimal: str | None = None
) -> CsvTable:
    """Return all rows of a CSV file, whose first line names the columns.

    Every column must hold finite numbers or gaps, except the target, those in `drop` and those in `categories`. Without a
    `decimal`, numbers may have a decimal point or a decimal comma, the same in the whole file, and nothing between thousands;
    with it, the other mark may separate groups of three digits. Raises ValueError, with column and line, if the file cannot be
    used.
    """
    encoding = inspected(path).encoding
    separator = separator_of(path, encoding)
    rows = cells_of(path, encoding, separator)
    header = [name.strip() for _, names in islice(rows, 1) for name in names]
    chosen = _choose(path, header, separator, target, drop, categories)
    n_rows, values, texts, reader = _converted(path, header, separator, rows, chosen, decimal)
    left_out = _row_names(path, header, {k: texts.pop(k) for k in chosen.unnamed}, n_rows)
    reader.refuse_faults(texts[chosen.target])
    decided, note = reader.decided(texts[chosen.target])
    X = np.frombuffer(values, dtype=np.float64).reshape(n_rows, len(chosen.numbers))
    X.flags.writeable = False
    return CsvTable(
        columns=tuple(header[k] for k in sorted((*chosen.numbers, *chosen.texts))),
        numbers={header[k]: X[:, j] for j, k in enumerate(chosen.numbers)},
        texts={header[k]: texts[k] for k in chosen.texts},
        target=texts[chosen.target],
        left_out=left_out,
        encoding=encoding,
        separator=separator,
        decimal=decided,
        thousands=_other(decided) if decimal else "",
        note=note,
    )


@dataclass(frozen=True)
class _Chosen:
    """The positions of the columns that are read."""

    target: int
    numbers: tuple[int, ...]
    texts: tuple[int, ...]  # the categories
    unnamed: tuple[int, ...]


def _converted(
    path: Path, header: Sequence[str], separator: str, rows: Iterator[tuple[int, list[str]]], chosen: _Chosen, decimal: str | None
) -> "tuple[int, array[float], dict[int, TextColumn], _Reader]":
    """Read all rows; return their number, the numbers row by row, the columns of text, and what was found in the cells."""
    reader, values, n_rows = _Reader(path, header, separator, decimal), array("d"), 0
    found: dict[int, tuple[dict[str, int], array[int]]] = {
        k: ({}, array("q")) for k in (chosen.target, *chosen.texts, *chosen.unnamed)
    }
    for line, row in rows:
        if len(row) != len(header):
            raise ValueError(
                f"line {line} of {path} has {len(row)} fields, the header has {len(header)}: expected one per column "
                f"(a field with {separator!r} in it stands in double quotes)"
            )
        for column in chosen.numbers:
            values.append(reader.number(line, column, row[column]))
        for column, (places, codes) in found.items():
            text = row[column].strip()
            codes.append(-1 if is_gap(text) else places.setdefault(text, len(places)))
        n_rows += 1
    if n_rows == 0:
        raise ValueError(f"{path} has a header and no rows")
    texts = {k: TextColumn(tuple(places), np.array(codes, dtype=np.int64)) for k, (places, codes) in found.items()}
    return n_rows, values, texts, reader


@dataclass
class _Reader:
    """The reader of number cells remembers the first line of everything that has to be decided or refused."""

    path: Path
    header: Sequence[str]
    separator: str
    given: str | None  # --decimal
    infinite: dict[int, tuple[int, str]] = field(default_factory=dict[int, tuple[int, str]])  # column -> line and cell
    texts: dict[int, tuple[int, str, int]] = field(default_factory=dict[int, tuple[int, str, int]])  # and number of such cells
    numeric: dict[int, int] = field(default_factory=dict[int, int])  # column -> number of cells that are numbers
    marked: dict[tuple[str, int], tuple[int, str]] = field(default_factory=dict[tuple[str, int], tuple[int, str]])
    clear: set[tuple[str, int]] = field(default_factory=set[tuple[str, int]])  # (mark, column) with a number that is unambiguous

    def number(self, line: int, column: int, cell: str) -> float:
        """Return the number in a cell, NaN if it is a gap or cannot be used."""
        mark, value = self._read(cell)
        if value is None:
            if not is_gap(cell):
                first, text, count = self.texts.get(column, (line, cell.strip(), 0))
                self.texts[column] = (first, text, count + 1)
            return math.nan
        if math.isnan(value):  # "nan" is a gap
            return value
        self.numeric[column] = self.numeric.get(column, 0) + 1
        if not math.isfinite(value):
            self.infinite.setdefault(column, (line, cell.strip()))
        if mark:
            self.marked.setdefault((mark, column), (line, cell.strip()))
            if not three_digits(cell):
                self.clear.add((mark, column))
        return value

    def _read(self, cell: str) -> tuple[str, float | None]:
        """Return the decimal mark of a cell, or "", and its number; without `--decimal` a cell can be read in one way only."""
        if self.given:
            return "", number(cell, self.given, _other(self.given))
        if (value := number(cell)) is not None:
            return ("." if "." in cell else ""), value
        return ",", number(cell, ",")

    def decided(self, target: TextColumn) -> tuple[str, str]:
        """Return the decimal mark of the file, and what should be said about it; raise ValueError if it has both or is unclear.

        A mark with three digits behind it in every number that has it could as well separate thousands. It is a decimal mark,
        unless it is a comma in a file separated by commas: that is refused.
        """
        if self.given:
            return self.given, f"{_other(self.given)!r} may separate thousands (--decimal {self.given})"
        self._add_target(target)
        points, commas = ([where for (m, _), where in self.marked.items() if m == mark] for mark in _MARKS)
        if points and commas:
            raise ValueError(
                f"{self.path} has numbers with a point ({points[0][1]!r} on line {points[0][0]}) and with a comma "
                f"({commas[0][1]!r} on line {commas[0][0]}): write all with one decimal mark, or say which it is, --decimal . or "
                "--decimal ,; the other then separates thousands"
            )
        mark = "," if commas else "."
        line, cell = (commas or points or [(0, "")])[0]
        ambiguous = bool(cell) and not any(m == mark for m, _ in self.clear)
        as_decimal, as_thousands = cell.replace(",", "."), cell.replace(mark, "")
        if ambiguous and mark == "," == self.separator:
            raise ValueError(
                f"{self.path} has numbers such as {cell!r} (line {line}): is the comma a decimal mark or between thousands? "
                f"--decimal , reads {as_decimal}, --decimal . reads {as_thousands}"
            )
        if ambiguous and self.separator != ",":
            return mark, f"{cell!r} is read as {as_decimal}; --decimal {_other(mark)} would read {as_thousands}"
        return mark, ""

    def _add_target(self, target: TextColumn) -> None:
        """Let a target of numbers take part in the decision; -1 stands for its column, 0 for its lines."""
        read = [(self._read(text), text) for text in target.values]
        if all(value is not None for (_, value), _ in read):
            for (mark, _), text in read:
                if mark:
                    self.marked.setdefault((mark, -1), (0, text))
                    if not three_digits(text):
                        self.clear.add((mark, -1))

    def refuse_faults(self, target: TextColumn) -> None:
        """Raise ValueError if a column of numbers has other cells: name all of text, or else the first that is infinite."""
        mostly = [k for k, (*_, count) in self.texts.items() if count >= self.numeric.get(k, 0)]
        if mostly:
            names, (line, text, _) = [self.header[k] for k in mostly], self.texts[mostly[0]]
            hold, them = ("hold", "them") if len(names) > 1 else ("holds", "it")
            raise ValueError(
                f"{quoted('column', names)} of {self.path} {hold} text ({text[:40]!r} on line {line}), expected numbers: take "
                f"the different texts as categories with {as_options('--categories', names)}, or leave {them} out with "
                f"{as_options('--drop', names)}{self._as_number(text)}"
            )
        for column, (line, text, count) in self.texts.items():
            name = self.header[column]
            raise ValueError(
                f"column {name!r} of {self.path} holds numbers, and text in {count:,} {'row' if count == 1 else 'rows'} "
                f"({text[:40]!r} on line {line}): correct it (an empty cell is a gap), or leave the column out with "
                f"{as_options('--drop', [name])}{self._as_number(text)}"
            )
        for column, (line, text) in self.infinite.items():
            raise ValueError(
                f"column {self.header[column]!r} of {self.path} is not finite on line {line} ({text[:40]!r}), expected a finite "
                f"number or an empty cell: correct it, or leave the column out with {as_options('--drop', [self.header[column]])}"
            )

    def _as_number(self, text: str) -> str:
        """Return the end of an error that says which `--decimal` makes a number of a text, or an empty text."""
        readings = ((mark, number(text, mark, _other(mark))) for mark in _MARKS if self.given is None)
        return next((f"; --decimal {mark} reads {text!r} as {value:.15g}" for mark, value in readings if value is not None), "")


def _other(mark: str) -> str:
    return "," if mark == "." else "."


def _choose(
    path: Path, header: Sequence[str], separator: str, target: str | None, drop: Sequence[str], categories: Sequence[str]
) -> _Chosen:
    """Return the positions of the columns that are read; raise ValueError if the header or an option is unfit."""
    if not any(header):
        raise ValueError(f"{path} is empty, expected a line that names the columns, then rows of numbers")
    n_features = len(header) - 1 - len(drop)
    require_affordable(
        n_features, _LEAST_FITS, f"{path} has {len(header):,} columns", "keep those that matter, or leave others out with --drop"
    )
    named = [name for name in header if name]
    unnamed = (
        " (its first line holds numbers: is a line of names missing?)" if all(number(name) is not None for name in named) else ""
    )
    if len(set(named)) < len(named):
        seen = set[str]()
        twice = next(name for name in named if name in seen or seen.add(name))
        raise ValueError(f"{path} has several columns named {twice!r}{unnamed}: give each a name of its own")
    for name, use in ((target, "target"), *((name, "drop") for name in drop), *((name, "categories") for name in categories)):
        if not name or name not in header:
            said = "--target is missing" if name is None else f"--{use} {name!r} is no column"
            raise ValueError(
                f"{said} of {path}{_close(name, named)}; it has {quoted('column', named)}, separated by {SEPARATORS[separator]}"
                f"{unnamed}"
            )
    for options, name in (("--drop", drop), ("--categories", categories)):
        if target in name:
            raise ValueError(f"{options} {target!r}: this is the target")
    if both := [name for name in categories if name in drop]:
        raise ValueError(f"--drop {both[0]!r} and --categories {both[0]!r}: choose one")
    read = [k for k, name in enumerate(header) if name != target and name not in drop]
    unnamed = [k for k in read if not header[k] or (k == 0 and header[k] == _INDEX_OF_PANDAS and header[k] not in categories)]
    features = [k for k in read if k not in unnamed]
    if not features:
        raise ValueError(f"{path} has no column besides the target {target!r} that could predict it")
    if "intercept" in (header[k] for k in features):
        raise ValueError(f"column 'intercept' of {path}: designs here have one by themselves, leave it out with --drop intercept")
    return _Chosen(
        header.index(str(target)),
        tuple(k for k in features if header[k] not in categories),
        tuple(k for k in features if header[k] in categories),
        tuple(unnamed),
    )


def _row_names(path: Path, header: Sequence[str], unnamed: dict[int, TextColumn], n_rows: int) -> dict[str, str]:
    """Return columns without a name and why they are no features; raise ValueError if one could be a feature.

    The first column only names rows if all its cells differ and they are texts or increasing numbers. An empty column is what a
    separator at the end of each line makes.
    """
    left_out: dict[str, str] = {}
    for column, cells in unnamed.items():
        name = header[column] or f"number {column + 1}"
        numbers = [number(text) for text in cells.values]
        increasing = all(a is not None and b is not None and a < b for a, b in pairwise(numbers))
        if not cells.values:
            left_out[name] = "neither a name nor values"
        elif column == 0 and len(cells.values) == n_rows and (increasing or None in numbers):
            left_out[name] = f"it names the rows: {', '.join(map(plain, cells.values[:3]))}, .."
        else:
            said = f"column {column + 1} of {path} has no name, and" if not header[column] else f"column {name!r} of {path}"
            remedy = f"leave it out with {as_options('--drop', [name])}" if header[column] else "write the file without it"
            raise ValueError(
                f"{said} does not only name rows (all different, and texts or increasing numbers): give it a name, or {remedy} "
                "(an index of pandas: to_csv(index=False))"
            )
    return left_out


def _close(name: str | None, header: Sequence[str]) -> str:
    """Return a question such as ", did you mean 'age'?" with the columns whose names are similar, or an empty text."""
    by_lower = {other.lower(): other for other in header}
    close = [by_lower[found] for found in difflib.get_close_matches((name or "").lower(), list(by_lower), n=3)]
    return f", did you mean {' or '.join(map(repr, close))}?" if close else ""
