"""The module takes a user's target for two classes or for numbers; what could be either is not decided silently."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sims.datasets.cells import as_options, in_order
from sims.datasets.csv_file import CsvTable
from theory.response import Array

__all__ = ["MOST_CODES", "Target", "Task", "as_target", "task_of"]

Task = Literal["two classes", "number"]

MOST_CODES = 20
"""Up to this number of different integers (and more than two) may be codes of classes: then the user decides."""


@dataclass(frozen=True, eq=False)
class Target:
    """A target is 0 or 1 for two classes, else a number; NaN is a gap."""

    y: Array  # (rows,)
    labels: tuple[str, ...]  # of y = 0 and y = 1; empty for numbers
    members: tuple[tuple[str, ...], ...]  # the file's values in class 0 and in class 1; empty for numbers


def task_of(table: CsvTable, target: str, path: str, learner: str | None, positive: str | None) -> Task:
    """Return what the target is taken for, by the learner, by `positive` or by its values.

    Two different values, or a `positive` one against the rest, are two classes; other numbers are numbers. Raises ValueError,
    with the options to choose from, if the values fit none of this, contradict the learner, or are integers that may be codes.
    """
    shown, stands_for = f"target {target!r} of {path}", _different(table)
    values = tuple(dict.fromkeys(stands_for.values()))
    listed = f"{', '.join(map(repr, values[:3]))}{', ..' if len(values) > 3 else ''}"
    numeric = all(table.number(value) is not None for value in values)
    if not values:
        raise ValueError(f"{shown} has no value in any row: there is nothing to predict")
    if len(values) == 1:
        raise ValueError(f"{shown} is {values[0]!r} in every row: there is nothing to predict")
    if positive is not None:
        if learner == "least_squares":
            raise ValueError("--positive makes two classes, which --learner least_squares does not take: choose logistic or mlp")
        if _found(table, positive, stands_for) is None:
            raise ValueError(f"--positive {positive!r} is no value of {shown}, which has {listed}")
        return "two classes"
    against_rest = f"{as_options('--positive', [values[-1]])} takes {values[-1]!r} for class 1 and all others for class 0"
    if learner == "logistic" and len(values) != 2:
        numbers = "; --learner least_squares takes it as numbers" if numeric else ""
        raise ValueError(
            f"{shown} has {len(values):,} different values ({listed}), expected two classes: {against_rest}{numbers}"
        )
    if len(values) == 2 and learner != "least_squares":
        return "two classes"
    if text := next((value for value in values if table.number(value) is None), None):
        raise ValueError(
            f"{shown} holds text ({text[:40]!r}) in {len(values):,} different values, expected numbers or two classes: "
            + (against_rest if len(values) > 2 else "choose --learner logistic or mlp")
        )
    numbers = [table.number(value) or 0.0 for value in values]
    if infinite := [value for value, x in zip(values, numbers, strict=True) if not np.isfinite(x)]:
        raise ValueError(f"{shown} has the value {infinite[0]!r}, expected finite numbers")
    if learner is None and len(values) <= MOST_CODES and all(x.is_integer() for x in numbers):
        raise ValueError(
            f"{shown} has the values {', '.join(values)}: classes or numbers? {against_rest}; --learner least_squares takes them "
            "as numbers"
        )
    return "number"


def as_target(table: CsvTable, task: Task, positive: str | None) -> Target:
    """Return the target of every row.

    Of two values, class 1 is `positive`, or else the larger number or the text that comes last; texts that are equal as numbers,
    such as "1" and "1.0", are one value.
    """
    if task == "number":
        of_value = [table.number(value) for value in table.target.values]
        return Target(_of_rows(table, [float(value or 0.0) for value in of_value]), (), ())
    stands_for = _different(table)
    values = tuple(dict.fromkeys(stands_for.values()))
    one = values[-1] if positive is None else _found(table, positive, stands_for) or positive
    zeros = tuple(value for value in values if value != one)
    labels = (zeros[0] if len(zeros) == 1 else f"not {one}", one)
    return Target(_of_rows(table, [float(stands_for[text] == one) for text in table.target.values]), labels, (zeros, (one,)))


def _of_rows(table: CsvTable, of_value: Sequence[float]) -> Array:
    return np.array([*of_value, np.nan])[table.target.codes]  # code -1 is the last one


def _different(table: CsvTable) -> dict[str, str]:
    """Return for each text of the target, in order, the value that it stands for: of texts that are equal numbers, the first."""
    ordered = in_order(table.target.values, table.decimal, table.thousands)
    numbers = [table.number(text) for text in ordered]
    if None in numbers:
        return {text: text for text in ordered}
    first: dict[float, str] = {}
    return {text: first.setdefault(float(value or 0.0), text) for value, text in zip(numbers, ordered, strict=True)}


def _found(table: CsvTable, positive: str, stands_for: dict[str, str]) -> str | None:
    """Return which value of the target `positive` is: the same text, or an equal number; None if it is none of them."""
    if positive in stands_for:
        return stands_for[positive]
    wanted = table.number(positive)
    return next((value for text, value in stands_for.items() if wanted is not None and table.number(text) == wanted), None)
