"""The module turns a user's CSV file into a data set: it draws training rows and query rows by a seed and records them."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from fnmatch import fnmatchcase
from functools import lru_cache
from glob import escape
from pathlib import Path
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from sims.datasets import DataSet, standardised
from sims.datasets.csv_file import CsvTable, digest, number, quoted, read_csv
from theory.storage import ResultsFolder
from theory.streams import stream

__all__ = ["LEAST_POINTS", "FirstRows", "Task", "UserData", "as_user_data", "write_down"]

Task = Literal["two classes", "number"]

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

    @property
    def label(self) -> str:
        """Return the file's name in characters that are safe in folders and titles: "my data.csv" gives "my_data.csv"."""
        return re.sub(r"[^A-Za-z0-9._-]+", "_", Path(self.path).name)

    def facts(self) -> dict[str, str | int]:
        """Return what a result records of the file: its name, the target, and how many rows it has."""
        table = _read(self.path, self.sha256, self.target, self.drop)
        return {"file": Path(self.path).name, "target": self.target, "file_rows": len(table.target)}

    def load(self, n_points: int | None) -> DataSet:
        """Return a data set of `n_points` training points and `n_queries` other rows, drawn without replacement.

        See `_choose_rows` and `_as_data_set`. Raises ValueError if `n_points` is None or the file has changed since it was read.
        """
        if n_points is None:
            raise ValueError(f"{self.label}: a number of training points is needed")
        if digest(Path(self.path)) != self.sha256:
            raise ValueError(f"{self.path} has changed since it was read: run the command again, with another --out")
        return _load(self, n_points)


@dataclass(frozen=True)
class FirstRows(UserData):
    """The first of the `drawn` training rows of a file; features and target are standardised by all of these, as there.

    `load(k)` keeps those rows which a run with k training points would draw: with two classes, each has its share of them. A
    feature may then be the same in all k rows. The queries stay those of the whole.
    """

    drawn: int = 0

    @classmethod
    def of(cls, whole: UserData, drawn: int) -> "FirstRows":
        """Return the description of the first rows of `whole`, loaded with `drawn` points."""
        return cls(**{field.name: getattr(whole, field.name) for field in fields(whole)}, drawn=drawn)

    @property
    def label(self) -> str:
        """Return a name that says of how many rows these are the first: "my_data.csv-200-first"."""
        return f"{super().label}-{self.drawn}-first"

    def load(self, n_points: int | None) -> DataSet:
        """Return the data set of the first `n_points` training points."""
        whole = super().load(self.drawn)
        if n_points is None:
            raise ValueError(f"{self.label}: a number of training points is needed")
        table = _read(self.path, self.sha256, self.target, self.drop)
        rows, _ = _choose_rows(self, len(table.target), _code(table), n_points)
        kept = np.isin(whole.train_rows, rows)
        return replace(
            whole,
            name=self.label,
            X=whole.X[kept],
            y=whole.y[kept],
            train_rows=tuple(int(row) for row in np.array(whole.train_rows)[kept]),
        )


def as_user_data(
    path: Path, target: str | None, *, task: Task | None = None, n_queries: int = 8, seed: int = 0, drop: Sequence[str] = ()
) -> UserData:
    """Read a CSV file once, check that its content can be used, and return its description.

    Without a `task`, the task is "two classes" if the target has two different values, else "number". Raises ValueError if the
    file or its target cannot be used.
    """
    sha256, table = digest(path), read_csv(path, target, drop)
    values = _values(table.target)
    task = task or ("two classes" if len(values) == 2 else "number")
    user = UserData(str(path), str(target), task, sha256, n_queries, seed, tuple(drop))
    shown = f"target {target!r} of {path}"
    if len(values) == 1:
        raise ValueError(f"{shown} is {values[0]!r} in every row: there is nothing to predict")
    if task == "two classes" and len(values) != 2:
        raise ValueError(
            f"{shown} has {len(values):,} different values ({', '.join(map(repr, values[:3]))}, ..), expected two classes: keep "
            "the rows of two, or choose --learner least_squares for numbers"
        )
    text = next((value for value in values if number(value) is None), None)
    if task == "number" and text is not None:
        raise ValueError(
            f"{shown} holds text ({text[:40]!r}) in {len(values):,} different values, expected numbers, or two values and "
            "--learner logistic"
        )
    infinite = next((value for value in values if task == "number" and not np.isfinite(float(value))), None)
    if infinite is not None:
        raise ValueError(f"{shown} has the value {infinite!r}, expected finite numbers")
    return user


def write_down(user: UserData, n_points: int, out: Path) -> Path:
    """Write OUT/<file>-<N>.rows.json, which records the training rows, the query rows and all values that decided them.

    A folder holds results of only one description of a file. Raises ValueError, with the differences, if `out` holds those of
    another description.
    """
    folder = ResultsFolder.made(out)
    written = [
        name for name, sha256 in folder.listed().items() if sha256 and fnmatchcase(name, f"{escape(user.label)}-*.rows.json")
    ]
    for name in written:
        found, wanted = json.loads(cast(bytes, folder.get(name)))["data"], json.loads(json.dumps(asdict(user)))
        differences = [f"{k} was {found.get(k)!r}, is {v!r}" for k, v in wanted.items() if k != "path" and found.get(k) != v]
        if differences:
            raise ValueError(
                f"{out} holds another run on {user.label}: {'; '.join(differences)}. Choose another --out, or delete {out}"
            )
    data = user.load(n_points)
    content = {
        "data": asdict(user),
        "columns": data.columns,
        "standardised": "by mean and standard deviation of the training rows",
        "classes": dict(zip(data.labels, (0, 1), strict=True)) if data.labels else None,
        "rows": "counted from 0, the first one below the header; empty lines do not count",
        "train_rows": data.train_rows,
        "query_rows": data.query_rows,
    }
    lines = ",\n".join(f"  {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in content.items())
    return folder.put(f"{user.label}-{n_points}.rows.json", f"{{\n{lines}\n}}\n".encode())


@lru_cache(maxsize=4)
def _read(path: str, sha256: str, target: str, drop: tuple[str, ...]) -> CsvTable:
    return read_csv(Path(path), target, drop)


@lru_cache(maxsize=16)
def _load(user: UserData, n_points: int) -> DataSet:
    return _as_data_set(user, _read(user.path, user.sha256, user.target, user.drop), n_points)


def _as_data_set(user: UserData, table: CsvTable, n_points: int) -> DataSet:
    """Return the data set: an intercept, the features standardised by the training rows, and the target y.

    y is 0 or 1 for two classes, else it is standardised like the features. Raises ValueError if a feature or a numerical target
    is constant among the training rows.
    """
    values, code = _values(table.target), _code(table)
    rows, queries = _choose_rows(user, len(table.target), code, n_points)
    picked, asked, train = tuple(map(int, rows)), tuple(map(int, queries)), np.arange(n_points)
    X = table.X[[*picked, *asked]]
    if constant := [name for name, x in zip(table.columns, X[:n_points].T, strict=True) if x.min() == x.max()]:
        raise ValueError(
            f"{quoted('column', constant)} of {user.path}: the same in all {n_points} training rows; take more --points, another "
            f"--seed, or leave it out with --drop"
        )
    design = np.column_stack([np.ones(len(X)), standardised(X, train, table.columns, user.path)])
    if user.task == "two classes":
        assert code is not None
        y, unit = code[rows].astype(np.float64), "logit"
    else:
        numbers = np.array([float(table.target[row]) for row in picked])
        if numbers.min() == numbers.max():
            raise ValueError(
                f"target {user.target!r} of {user.path} is the same in all {n_points} training rows; take more --points"
            )
        y, unit = standardised(numbers[:, None], train, [user.target], user.path)[:, 0], f"standard deviations of {user.target}"
    for array in (design, y):
        array.flags.writeable = False
    return DataSet(
        name=user.label,
        X=design[:n_points],
        y=y,
        X_query=design[n_points:],
        columns=("intercept", *table.columns),
        unit=unit,
        source=f"{user.path}, sha256 {user.sha256}",
        train_rows=picked,
        query_rows=asked,
        labels=values if user.task == "two classes" else (),
    )


def _code(table: CsvTable) -> NDArray[np.int64] | None:
    """Return which of two values each row of the target has, 0 or 1; None if it has more than two values."""
    values = _values(table.target)
    return np.array([values.index(_value(text, values)) for text in table.target]) if len(values) == 2 else None


def _choose_rows(
    user: UserData, n_rows: int, code: NDArray[np.int64] | None, n_points: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return training rows and query rows, drawn without replacement by `user.seed`, each in the order of the file.

    With two classes, each class has the same share of the training rows as of the file, rounded, but at least two rows if the
    file has two: both classes are then still there when any one point is removed. Queries are drawn from all other rows. Raises
    ValueError if there are too few rows or training points.
    """
    wanted = n_points + user.n_queries
    if n_points < LEAST_POINTS or n_rows < wanted:
        raise ValueError(
            f"{user.path} has {n_rows} rows, {n_points} training points and {user.n_queries} queries need {wanted}: choose "
            f"--points ({LEAST_POINTS} or more) and --queries (1 or more) that add up to at most {n_rows}"
        )
    order = stream("rows of own data", user.seed).permutation(n_rows)
    if code is None:
        rows = order[:n_points]
    else:
        classes = [order[code[order] == label] for label in (0, 1)]
        least = [min(2, len(members)) for members in classes]
        ones = int(np.clip(round(n_points * len(classes[1]) / n_rows), least[1], n_points - least[0]))
        rows = np.concatenate([classes[0][: n_points - ones], classes[1][:ones]])
    queries = order[~np.isin(order, rows)][: user.n_queries]
    return np.sort(rows), np.sort(queries)


def _values(target: Sequence[str]) -> tuple[str, ...]:
    """Return the different values of a target, sorted as numbers if all are numbers, else as text.

    Texts that are equal as numbers, such as "1" and "1.0", count as one value.
    """
    different = sorted(set(target))
    numbers = [number(text) for text in different]
    if any(value is None for value in numbers):
        return tuple(different)
    first: dict[float, str] = {}
    for value, text in zip(numbers, different, strict=True):
        first.setdefault(float(value or 0.0), text)
    return tuple(first[value] for value in sorted(first))


def _value(text: str, values: Sequence[str]) -> str:
    """Return which of the two `values` a cell has: the same text, or an equal number."""
    return text if text in values else next(value for value in values if number(value) == number(text))
