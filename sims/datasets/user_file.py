"""The module turns a user's CSV file into a data set: it draws training rows and query rows by a seed."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sims.datasets import DataSet, standardised
from sims.datasets.cells import as_options, quoted
from sims.datasets.csv_file import CsvTable, read_csv
from sims.datasets.dialect import digest
from sims.datasets.features import Features, Fill, Rows, features, usable_rows
from sims.datasets.target import Target, Task, as_target, task_of
from theory.streams import stream

__all__ = ["LEAST_POINTS", "Drawn", "FirstRows", "UserData", "as_user_data", "gaps_in_words"]

LEAST_POINTS = 4
"""Least number of training points: up to three are removed at once, and the rest must be a training set."""


@dataclass(frozen=True)
class UserData:
    """A description names a CSV file and holds all values that decide its training rows and query rows.

    Make one with `as_user_data`, which checks the file.
    """

    path: str
    target: str
    task: Task  # what the target is taken for: one of two classes, or a number
    sha256: str  # of the file: if its content changes, it is another data set
    n_queries: int = 8
    seed: int = 0
    drop: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()  # columns of text that become columns of 0 and 1
    fill: Fill | None = None  # what fills gaps; without it rows with gaps are skipped
    positive: str | None = None  # the value of the target that is class 1
    decimal: str | None = None  # the decimal mark, if it was given

    @property
    def label(self) -> str:
        """Return the file's name in characters that are safe in folders and titles: "my data.csv" gives "my_data.csv"."""
        return re.sub(r"[^A-Za-z0-9._-]+", "_", Path(self.path).name)

    def facts(self) -> dict[str, str | int]:
        """Return what a result records of the file: its name, the target, and how many rows it has."""
        table = _read(self.path, self.sha256, self.target, self.drop, self.categories, self.decimal)
        return {"file": Path(self.path).name, "target": self.target, "file_rows": len(table.target.codes)}

    def load(self, n_points: int | None) -> DataSet:
        """Return the data set of `drawn`."""
        return self.drawn(n_points).data

    def drawn(self, n_points: int | None) -> "Drawn":
        """Return `n_points` training points and `n_queries` other rows, drawn without replacement, and what was done to them.

        See `_choose_rows` and `_as_data_set`. Raises ValueError if `n_points` is None or the file has changed since it was read.
        """
        if n_points is None:
            raise ValueError(f"{self.label}: a number of training points is needed")
        if digest(Path(self.path)) != self.sha256:
            raise ValueError(f"{self.path} has changed since it was read: run the command again, with another --out")
        return _drawn(self, n_points)


@dataclass(frozen=True, eq=False)
class Drawn:
    """A data set was drawn from a user's table; everything that was recognised, skipped, filled or left out is beside it."""

    user: UserData
    table: CsvTable
    rows: Rows
    target: Target
    features: Features
    data: DataSet


@dataclass(frozen=True)
class FirstRows(UserData):
    """The first of `n_drawn` training rows of a file; features and target are standardised by all of these, as there.

    `load(k)` keeps those rows which a run with k training points would draw: with two classes, each has its share of them. A
    feature may then be the same in all k rows. The queries stay those of the whole.
    """

    n_drawn: int = 0

    @classmethod
    def of(cls, whole: UserData, n_drawn: int) -> "FirstRows":
        """Return the description of the first rows of `whole`, loaded with `n_drawn` points."""
        return cls(**{field.name: getattr(whole, field.name) for field in fields(whole)}, n_drawn=n_drawn)

    @property
    def label(self) -> str:
        """Return a name that says of how many rows these are the first: "my_data.csv-200-first"."""
        return f"{super().label}-{self.n_drawn}-first"

    def load(self, n_points: int | None) -> DataSet:
        """Return the data set of the first `n_points` training points."""
        drawn = self.drawn(self.n_drawn)
        if n_points is None:
            raise ValueError(f"{self.label}: a number of training points is needed")
        whole = drawn.data
        rows, _ = _choose_rows(self, len(drawn.target.y), drawn.rows, drawn.target, n_points)
        kept = np.isin(whole.train_rows, rows)
        return replace(
            whole,
            name=self.label,
            X=whole.X[kept],
            y=whole.y[kept],
            train_rows=tuple(int(row) for row in np.array(whole.train_rows)[kept]),
        )


def as_user_data(
    path: Path,
    target: str | None,
    *,
    learner: str | None = None,
    n_queries: int = 8,
    seed: int = 0,
    drop: Sequence[str] = (),
    categories: Sequence[str] = (),
    fill: Fill | None = None,
    positive: str | None = None,
    decimal: str | None = None,
) -> UserData:
    """Read a CSV file once, check that its content can be used, and return its description.

    `learner`, if given, decides whether the target is two classes or numbers ("mlp" takes either); see `target.task_of`. Raises
    ValueError if the file or its target cannot be used.
    """
    sha256, used = digest(path), (tuple(dict.fromkeys(drop)), tuple(dict.fromkeys(categories)))
    table = _read(str(path), sha256, target, *used, decimal)
    task = task_of(table, str(target), str(path), learner, positive)
    return UserData(str(path), str(target), task, sha256, n_queries, seed, *used, fill, positive, decimal)


@lru_cache(maxsize=4)
def _read(
    path: str, sha256: str, target: str | None, drop: tuple[str, ...], categories: tuple[str, ...], decimal: str | None
) -> CsvTable:
    return read_csv(Path(path), target, drop, categories, decimal)


@lru_cache(maxsize=16)
def _drawn(user: UserData, n_points: int) -> Drawn:
    table = _read(user.path, user.sha256, user.target, user.drop, user.categories, user.decimal)
    target = as_target(table, user.task, user.positive)
    rows = usable_rows(table, user.target, target.y, user.fill)
    train, queries = _choose_rows(user, len(target.y), rows, target, n_points)
    chosen = np.concatenate([train, queries])
    made = features(table, rows, chosen, n_points, user.fill)
    return Drawn(user, table, rows, target, made, _as_data_set(user, made, target, train, queries))


def _as_data_set(user: UserData, made: Features, target: Target, train: NDArray[np.int64], queries: NDArray[np.int64]) -> DataSet:
    """Return the data set: an intercept, the features standardised by the training rows, and the target y.

    y is the number of a class, or a number that is standardised like the features. Raises ValueError if no feature or a numerical
    target varies among the training rows.
    """
    n_points = len(train)
    if not made.columns:
        reasons = "; ".join(f"{name!r}: {reason}" for name, reason in [*made.left_out.items()][:6])
        raise ValueError(f"{user.path} has no feature left: {reasons}; take more --points, or another --seed")
    if twice := {name for name in made.columns if made.columns.count(name) > 1}:
        raise ValueError(f"{user.path} has a level of a category named like the column {min(twice)!r}: rename the column")
    places = np.arange(n_points)
    design = np.column_stack(
        [
            np.ones(n_points + len(queries)),
            standardised(np.column_stack(made.values), places, made.columns, user.path),
        ]
    )
    y = target.y[train]
    if user.task == "number" and y.min() == y.max():
        raise ValueError(f"target {user.target!r} of {user.path} is the same in all {n_points} training rows; take more --points")
    unit = "logit"
    if user.task == "number":
        y, unit = standardised(y[:, None], places, [user.target], user.path)[:, 0], f"standard deviations of {user.target}"
    for array in (design, y):
        array.flags.writeable = False
    return DataSet(
        name=user.label,
        X=design[:n_points],
        y=y,
        X_query=design[n_points:],
        columns=("intercept", *made.columns),
        unit=unit,
        source=f"{user.path}, sha256 {user.sha256}",
        train_rows=tuple(map(int, train)),
        query_rows=tuple(map(int, queries)),
        labels=target.labels,
        y_query=target.y[queries] if user.task == "classes" else None,
    )


def _choose_rows(
    user: UserData, n_rows: int, rows: Rows, target: Target, n_points: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return training rows and query rows, drawn without replacement by `user.seed`, each in the order of the file.

    Each class has the same share of the training rows as of the usable rows, rounded, but at least two rows if there are two: all
    classes are then still there when any one point is removed. Queries are drawn from all other rows. Raises ValueError if there
    are too few rows or training points, or a class is gone.
    """
    wanted, n_usable = n_points + user.n_queries, len(rows.usable)
    if n_points < LEAST_POINTS or n_usable < wanted:
        has, remedy = f"{n_rows} row{'' if n_rows == 1 else 's'}", ""
        queries = f"{user.n_queries} {'query' if user.n_queries == 1 else 'queries'}"
        if rows.skipped:
            worst = max(rows.gaps, key=lambda name: (rows.gaps[name], name != user.target))
            features_only = [name for name in rows.gaps if name != user.target]
            has = f"{n_rows} rows, of which {n_usable} are usable: {gaps_in_words(rows, n_rows)}"
            fill = "fill gaps with --fill median or --fill mode, " if user.fill is None and features_only else ""
            drop = f"leave out columns with many ({as_options('--drop', [worst])}), " if worst in features_only else ""
            remedy = f"{fill}{drop}or "
        raise ValueError(
            f"{user.path} has {has}; {n_points} training points and {queries} need {wanted}: {remedy}choose "
            f"--points ({LEAST_POINTS} or more) and --queries (1 or more) that add up to at most {n_usable}"
        )
    order = rows.usable[stream("rows of own data", user.seed).permutation(n_usable)]
    if user.task == "number":
        train = order[:n_points]
    else:
        classes = [order[target.y[order] == label] for label in range(len(target.labels))]
        if gone := [label for label, members in zip(target.labels, classes, strict=True) if not len(members)]:
            raise ValueError(
                f"{user.path} has no usable row with {user.target} = {gone[0]}: {gaps_in_words(rows, n_rows)}; fill gaps with "
                "--fill median or --fill mode, or leave out columns with --drop"
            )
        shares = _shares(n_points, [len(members) for members in classes])
        train = np.concatenate([members[:share] for members, share in zip(classes, shares, strict=True)])
    queries = order[~np.isin(order, train)][: user.n_queries]
    return np.sort(train), np.sort(queries)


def _shares(n_points: int, sizes: Sequence[int]) -> list[int]:
    """Return how many training points each class has: its share of n_points rows, rounded, at least two if it has two.

    One point after the other goes to the class with the largest size / (2 share + 1) (Sainte-Lague), so that with more points no
    class has fewer. Raises ValueError if n_points are too few for all classes.

    >>> _shares(12, [70, 50, 30]), _shares(8, [2, 100])
    ([6, 4, 2], [2, 6])
    """
    shares = [min(2, size) for size in sizes]
    if sum(shares) > n_points:
        raise ValueError(
            f"--points {n_points}: {len(sizes)} classes with two training points or more need --points {sum(shares)}; or take "
            "one against the rest with --positive"
        )
    for _ in range(n_points - sum(shares)):
        free = [k for k, share in enumerate(shares) if share < sizes[k]]
        shares[max(free, key=lambda k: sizes[k] / (2 * shares[k] + 1))] += 1
    return shares


def gaps_in_words(rows: Rows, n_rows: int) -> str:
    """Return such as "3 of 569 rows have gaps in columns 'a', 'b'"."""
    have = "has" if len(rows.skipped) == 1 else "have"
    return f"{len(rows.skipped):,} of {n_rows:,} rows {have} gaps in {quoted('column', list(rows.gaps))}"
