"""The module takes a user's target for classes or for numbers, and says which."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sims.datasets.cells import as_options, in_order
from sims.datasets.csv_file import CsvTable
from theory.response import Array

__all__ = ["MOST_CLASSES", "Target", "Task", "as_target", "task_of"]

Task = Literal["two classes", "classes", "number"]

MOST_CLASSES = 20
"""Up to this number of different texts or integers are classes, unless the learner takes numbers."""


@dataclass(frozen=True, eq=False)
class Target:
    """A target is the number of a class, 0, 1, .., or a number; NaN is a gap."""

    y: Array  # (rows,)
    labels: tuple[str, ...]  # of y = 0, 1, ..; empty for numbers
    members: tuple[tuple[str, ...], ...]  # the file's values in each class; empty for numbers


def task_of(table: CsvTable, target: str, path: str, learner: str | None, positive: str | None) -> Task:
    """Return what the target is taken for, by the learner, by `positive` or by its values.

    Two different values, or a `positive` one against the rest, are two classes. Up to 20 texts or integers are classes, unless
    the learner is "least_squares", or "mlp" and they are integers. Other numbers are numbers. Raises ValueError, with the options
    to choose from, if the values fit none of this or contradict the learner.
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
        if learner in ("least_squares", "softmax_regression"):
            raise ValueError(f"--positive makes two classes, which --learner {learner} does not take: choose logistic or mlp")
        if _found(table, positive, stands_for) is None:
            raise ValueError(f"--positive {positive!r} is no value of {shown}, which has {listed}")
        return "two classes"
    against_rest = f"{as_options('--positive', [values[-1]])} takes {values[-1]!r} for class 1 and all others for class 0"
    few = len(values) <= MOST_CLASSES
    if learner == "softmax_regression":
        if few:
            return "classes"
        raise ValueError(
            f"{shown} has {len(values):,} different values ({listed}), expected at most {MOST_CLASSES} classes: {against_rest}"
        )
    if learner == "logistic" and len(values) != 2:
        others = "; --learner softmax_regression takes all classes" if few else ""
        others += "; --learner least_squares takes it as numbers" if numeric else ""
        raise ValueError(f"{shown} has {len(values):,} different values ({listed}), expected two classes: {against_rest}{others}")
    if len(values) == 2 and learner != "least_squares":
        return "two classes"
    if few and not numeric and learner != "least_squares":
        return "classes"
    if text := next((value for value in values if table.number(value) is None), None):
        raise ValueError(
            f"{shown} holds text ({text[:40]!r}) in {len(values):,} different values, expected numbers or at most {MOST_CLASSES} "
            f"classes: {_choices(values, against_rest)}"
        )
    numbers = [table.number(value) or 0.0 for value in values]
    if infinite := [value for value, x in zip(values, numbers, strict=True) if not np.isfinite(x)]:
        raise ValueError(f"{shown} has the value {infinite[0]!r}, expected finite numbers")
    return "classes" if learner is None and few and all(x.is_integer() for x in numbers) else "number"


def _choices(values: Sequence[str], against_rest: str) -> str:
    """Return what can be done with a target of text that `--learner least_squares` cannot take, or that has too many values."""
    if len(values) == 2:
        return "choose --learner logistic or mlp"
    return f"{against_rest}; --learner softmax_regression takes all classes" if len(values) <= MOST_CLASSES else against_rest


def as_target(table: CsvTable, task: Task, positive: str | None) -> Target:
    """Return the target of every row.

    Several classes are numbered in the order of their values. Of two, class 1 is `positive`, or else the larger number or the
    text that comes last. Texts that are equal as numbers, such as "1" and "1.0", are one value.
    """
    if task == "number":
        of_value = [table.number(value) for value in table.target.values]
        return Target(_of_rows(table, [float(value or 0.0) for value in of_value]), (), ())
    stands_for = _different(table)
    values = tuple(dict.fromkeys(stands_for.values()))
    if task == "classes":
        codes = [float(values.index(stands_for[text])) for text in table.target.values]
        return Target(_of_rows(table, codes), values, tuple((value,) for value in values))
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
