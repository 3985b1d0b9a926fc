"""The module makes columns of a design from a user's table: gaps are skipped or filled, categories become columns of 0 and 1.

Everything that depends on the training rows (what fills a gap, which levels a category has, what is constant) is computed from
the training rows only, so that queries stay unseen.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from sims.datasets.cells import in_order
from sims.datasets.csv_file import CsvTable, TextColumn
from theory.response import Array

__all__ = ["Category", "Features", "Fill", "Rows", "features", "usable_rows"]

Fill = Literal["median", "mode"]

Value = TypeVar("Value")


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of a table that can be drawn, and why others are skipped."""

    usable: NDArray[np.int64]
    skipped: tuple[int, ...]
    gaps: dict[str, int]  # column -> number of skipped rows that have a gap in it
    empty: tuple[str, ...]  # columns without any value, in which nothing counts as a gap


@dataclass(frozen=True)
class Category:
    """A category has one column of 0 and 1 for each of its levels among the training rows, but for the first: the baseline."""

    baseline: str
    levels: tuple[str, ...]  # those that have a column
    untrained: tuple[str, ...]  # levels of other rows of the file: they have no column, as if they were the baseline


@dataclass
class Features:
    """Features of chosen rows, the training rows first."""

    columns: list[str] = field(default_factory=list[str])
    values: list[Array] = field(default_factory=list[Array])  # one (rows,) per column, not standardised
    categories: dict[str, Category] = field(default_factory=dict[str, Category])
    fills: dict[str, tuple[float | str, int]] = field(default_factory=dict[str, tuple[float | str, int]])  # and number of cells
    left_out: dict[str, str] = field(default_factory=dict[str, str])  # column -> reason


def usable_rows(table: CsvTable, target: str, y: Array, fill: Fill | None) -> Rows:
    """Return the rows that have a target and, unless gaps are filled, a value in every column that has any values."""
    missing = {name: np.isnan(x) for name, x in table.numbers.items()} | {
        name: text.codes < 0 for name, text in table.texts.items()
    }
    missing = {name: missing[name] for name in table.columns}
    empty = tuple(name for name, gap in missing.items() if gap.all())
    counted = {name: gap for name, gap in missing.items() if fill is None and name not in empty} | {target: np.isnan(y)}
    skipped = np.logical_or.reduce(list(counted.values()))
    gaps = {name: int(gap.sum()) for name, gap in counted.items() if gap.any()}
    return Rows(np.flatnonzero(~skipped), tuple(map(int, np.flatnonzero(skipped))), gaps, empty)


def features(table: CsvTable, rows: Rows, chosen: NDArray[np.int64], n_train: int, fill: Fill | None) -> Features:
    """Return the features of the `chosen` rows, of which the first `n_train` train.

    A gap is filled with the median of the training rows, or their most frequent value (of equally frequent ones the smallest; a
    text has no median, and takes its most frequent level). Columns that are constant among the training rows are left out.
    """
    made = Features()
    for name in table.columns:
        if name in rows.empty:
            made.left_out[name] = "no value in any row"
        elif name in table.numbers:
            _add_numbers(made, name, table.numbers[name], rows, chosen, n_train, fill)
        else:
            _add_category(made, name, table.texts[name], table, rows, chosen, n_train)
    return made


def _add_numbers(
    made: Features, name: str, column: Array, rows: Rows, chosen: NDArray[np.int64], n_train: int, fill: Fill | None
) -> None:
    x = column[chosen]
    gaps = np.isnan(x)
    if gaps[:n_train].all():
        made.left_out[name] = f"no value in the {n_train} training rows"
        return
    if gaps.any():
        known = np.sort(x[:n_train][~gaps[:n_train]])
        value = _median(known) if fill == "median" else _mode(known.tolist())
        x[gaps], made.fills[name] = value, (value, int(gaps.sum()))
    if x[:n_train].min() == x[:n_train].max():
        whole = column[rows.usable]
        known = whole[~np.isnan(whole)]
        everywhere = known.min() == known.max()
        made.left_out[name] = "the same in every row" if everywhere else f"the same in all {n_train} training rows"
        return
    made.columns.append(name)
    made.values.append(x)


def _add_category(
    made: Features, name: str, column: TextColumn, table: CsvTable, rows: Rows, chosen: NDArray[np.int64], n_train: int
) -> None:
    codes, values = column.codes[chosen], column.values
    trained = [int(code) for code in codes[:n_train] if code >= 0]
    if not trained:
        made.left_out[name] = f"no value in the {n_train} training rows"
        return
    levels = in_order((values[code] for code in trained), table.decimal, table.thousands)
    if (codes < 0).any():
        ranks = {text: rank for rank, text in enumerate(levels)}
        level = levels[_mode(sorted(ranks[values[code]] for code in trained))]
        made.fills[name] = (level, int((codes < 0).sum()))
        codes[codes < 0] = values.index(level)
    everywhere = {values[int(code)] for code in np.unique(column.codes[rows.usable]) if code >= 0}
    if len(levels) == 1:
        where = "every row" if len(everywhere) == 1 else f"all {n_train} training rows"
        made.left_out[name] = f"the same in {where}"
        return
    untrained = in_order(everywhere - set(levels), table.decimal, table.thousands)
    made.categories[name] = Category(levels[0], levels[1:], untrained)
    for level in levels[1:]:
        made.columns.append(f"{name}={level}")
        made.values.append((codes == values.index(level)).astype(np.float64))


def _median(ordered: Array) -> float:
    """Return the median of sorted numbers; the mean of two large ones must not overflow."""
    low, high = float(ordered[(len(ordered) - 1) // 2]), float(ordered[len(ordered) // 2])
    middle = (low + high) / 2.0
    return middle if np.isfinite(middle) else low / 2.0 + high / 2.0


def _mode(ordered: Sequence[Value]) -> Value:
    """Return the most frequent of sorted values, of equally frequent ones the first."""
    return Counter(ordered).most_common(1)[0][0]
