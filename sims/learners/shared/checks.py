"""Check the arguments of learners; an error message says what was given, what was expected, and what to do."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.inputs import as_count, as_number, as_numbers, as_seeds, one_of, require_finite, shown
from theory.response import Array

__all__ = [
    "as_classes",
    "as_count",
    "as_counts",
    "as_design",
    "as_fraction",
    "as_labels",
    "as_penalty",
    "as_point",
    "as_positive",
    "as_queries",
    "as_seeds",
    "as_targets",
    "as_weight_vector",
    "as_weights",
    "one_of",
    "store",
]


def as_design(X: ArrayLike, name: str = "X") -> Array:
    """Return X as a read-only, finite matrix (rows, columns); it is a copy, so that the caller's later changes do not matter."""
    values = np.array(as_numbers(name, X, "one row per point, one column per feature"))
    if values.ndim != 2 or 0 in values.shape:
        raise ValueError(f"{name} has shape {values.shape}, expected (rows, columns) with at least one of each")
    require_finite(values, name)
    values.flags.writeable = False
    return values


def as_queries(X_query: ArrayLike, n_columns: int) -> Array:
    """Return the queries as a design matrix; raise ValueError unless it has as many columns as the training design."""
    values = as_design(X_query, "X_query")
    if values.shape[1] != n_columns:
        raise ValueError(f"X_query has {values.shape[1]} columns, X has {n_columns}: expected the same columns in the same order")
    return values


def as_targets(y: ArrayLike, n_points: int, name: str = "y", what: str = "one number per row of X") -> Array:
    """Return y as a read-only copy; raise ValueError unless it is a finite vector (N,)."""
    values = np.array(as_numbers(name, y, what))
    if values.shape != (n_points,):
        hint = f": pass {name}[:, 0]" if values.shape == (n_points, 1) else ""
        raise ValueError(f"{name} has shape {values.shape}, expected ({n_points},): {what}{hint}")
    require_finite(values, name)
    values.flags.writeable = False
    return values


def as_labels(y: ArrayLike, n_points: int) -> Array:
    """Return y as a read-only copy; raise ValueError unless it is a vector (N,) of labels 0 and 1 and both occur."""
    values = as_targets(y, n_points)
    wrong = np.flatnonzero(~np.isin(values, (0.0, 1.0)))
    if wrong.size:
        raise ValueError(f"y[{wrong[0]}] is {values[wrong[0]]:g}, expected labels 0 and 1: recode the two classes")
    if values.min() == values.max():
        raise ValueError(f"every label is {values[0]:g}, expected both 0 and 1: a classifier needs two classes")
    return values


def as_classes(y: ArrayLike, n_points: int) -> NDArray[np.int64]:
    """Return y as a read-only copy; raise ValueError unless it is a vector (N,) of labels 0 .. C - 1 and each of them occurs."""
    values = as_targets(y, n_points, what="one class per row of X")
    wrong = np.flatnonzero((values < 0.0) | (values != np.floor(values)))
    if wrong.size:
        raise ValueError(f"y[{wrong[0]}] is {values[wrong[0]]:g}, expected classes 0, 1, 2, ..: number them with np.unique")
    labels, n_classes = values.astype(np.int64), int(values.max()) + 1
    absent = np.setdiff1d(np.arange(min(n_classes, n_points + 1)), labels)
    if n_classes < 2:
        raise ValueError("every label is 0, expected two classes or more: a classifier needs two")
    if absent.size:
        raise ValueError(
            f"y has classes up to {n_classes - 1} and no point of class {absent[0]}, expected one of every class 0 .. C - 1: "
            "number those that occur, y = np.unique(y, return_inverse=True)[1]"
        )
    labels.flags.writeable = False
    return labels


def as_penalty(l2: float) -> float:
    """Return l2 as a float; raise ValueError unless it is finite and >= 0."""
    return as_number("l2", l2, "a finite number >= 0", least=0.0)


def as_positive(name: str, value: float) -> float:
    """Return the value as a float; raise ValueError unless it is finite and > 0."""
    return as_number(name, value, "a finite number > 0", above=0.0)


def as_fraction(name: str, value: float) -> float:
    """Return the value as a float; raise ValueError unless 0 <= value < 1."""
    return as_number(name, value, f"0 <= {name} < 1", least=0.0, below=1.0)


def as_counts(name: str, values: Sequence[int]) -> tuple[int, ...]:
    """Return the values as a tuple; raise ValueError unless they are a sequence of whole numbers >= 1, of any length."""
    if isinstance(values, str | bytes) or np.ndim(values) != 1:
        raise ValueError(f"{name} = {shown(values)}, expected a sequence of whole numbers >= 1, such as (4,) for a single one")
    return tuple(as_count(f"every number of {name}", value) for value in values)


def as_point(name: str, value: int, n_points: int) -> int:
    """Return the number of a training point; raise ValueError unless it is a whole number from 0 to N - 1."""
    point = as_count(name, value, f", a training point, 0 to {n_points - 1}", least=0)
    if point >= n_points:
        raise ValueError(f"{name} = {point}, expected a training point, 0 to {n_points - 1}")
    return point


def as_weights(weights: ArrayLike, n_points: int) -> Array:
    """Return the weights as an array; raise ValueError unless they have shape (B, N) and are finite and not negative."""
    values = as_numbers("weights", weights, "one weight per training point")
    if values.ndim != 2 or values.shape[1] != n_points:
        raise ValueError(f"weights has shape {values.shape}, expected (B, {n_points}): one column per training point")
    require_finite(values, "weights")
    if values.size and values.min() < 0.0:
        row, column = (int(k) for k in np.argwhere(values < 0.0)[0])
        raise ValueError(
            f"weights[{row}, {column}] is {values[row, column]:g}, expected >= 0: weight 0 is deletion, there is nothing below it"
        )
    return values


def as_weight_vector(weights: ArrayLike, n_points: int) -> Array:
    """Return one weight vector; raise ValueError unless it has shape (N,) and is finite and not negative."""
    values = as_numbers("weights", weights, "one weight per training point")
    if values.shape != (n_points,):
        raise ValueError(f"weights has shape {values.shape}, expected ({n_points},): one weight per training point")
    return as_weights(values[None], n_points)[0]


def store(instance: object, **values: object) -> None:
    """Set checked fields of a frozen dataclass during its __post_init__."""
    for name, value in values.items():
        object.__setattr__(instance, name, value)
