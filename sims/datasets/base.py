"""The module defines the class `DataSet` and keeps the registry of all data sets that have a name."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from theory.inputs import as_count, shown
from theory.response import Array

__all__ = ["DataSet", "by_name", "checked_size", "names", "register", "standardised"]


@dataclass(frozen=True, eq=False)
class DataSet:
    """A data set holds training points, query points and their source."""

    name: str
    X: Array  # (N, d)
    y: Array  # (N,)
    X_query: Array  # (M, d)
    columns: tuple[str, ...]  # d names
    unit: str  # of the output of a learner trained on it
    source: str
    train_rows: tuple[int, ...] = ()  # rows of the original file, the first one is 0
    query_rows: tuple[int, ...] = ()
    labels: tuple[str, ...] = ()  # the file's own target values for y = 0, 1, ..; empty if not recorded
    y_query: Array | None = None  # (M,), the targets of the queries, where they are known

    @property
    def has_classes(self) -> bool:
        """Say whether the targets number classes with names, so that a query's own class is known."""
        return bool(self.labels) and self.y_query is not None


def standardised(values: Array, rows: NDArray[np.int64], columns: Sequence[str], source: str) -> Array:
    """Return `values` (rows of the file, d), each column standardised by the training rows `rows`.

    Subtract the mean of the training rows and divide by their standard deviation (divisor N). Each column is first scaled by a
    power of two: that changes no digit and keeps the squares of any finite numbers finite. Raises ValueError if a column is
    constant among the training rows, or varies so little there that a standardised value is not finite.
    """
    low, high = values[rows].min(axis=0), values[rows].max(axis=0)
    if (low == high).any():
        constant = [name for name, same in zip(columns, low == high, strict=True) if same]
        raise ValueError(f"{source} with {len(rows)} training rows: {constant} do not vary among them; take more rows")
    with np.errstate(over="ignore", under="ignore"):
        scaled = np.ldexp(values, -np.frexp(np.maximum(np.abs(low), np.abs(high)))[1])
        result = (scaled - scaled[rows].mean(axis=0)) / scaled[rows].std(axis=0)
    if not np.isfinite(result).all():
        name = columns[int(np.argwhere(~np.isfinite(result))[0, 1])]
        raise ValueError(f"{source}: {name!r} varies so little among the training rows that another row is infinitely far")
    return result


_registry: dict[str, Callable[..., DataSet]] = {}


def names() -> tuple[str, ...]:
    """Return the names of all data sets that `by_name` knows, in alphabetical order.

    >>> "spector" in names()
    True
    """
    return tuple(sorted(_registry))


def by_name(name: str, n_points: int | None = None, seed: int = 0) -> DataSet:
    """Return the data set `name` with `n_points` training points, or with its own default number.

    A data set that is drawn has other points for every `seed`; one that is not drawn has seed 0 only.

    >>> data = by_name("spector", 8)
    >>> data.X.shape, data.columns, data.y.tolist()
    ((8, 4), ('intercept', 'GPA', 'TUCE', 'PSI'), [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0])
    """
    if not isinstance(name, str) or name not in _registry:
        raise ValueError(f"data set {shown(name)} is unknown, expected one of {', '.join(names())}")
    size = {} if n_points is None else {"n_points": as_count("n_points", n_points)}
    if seed == 0:
        return _registry[name](**size)
    if "seed" not in inspect.signature(_registry[name]).parameters:
        raise ValueError(f"data set {name} is not drawn, expected seed 0, got {shown(seed)}")
    return _registry[name](**size, seed=as_count("seed", seed))


def register(function: Callable[..., DataSet]) -> Callable[..., DataSet]:
    """Register the function `name(n_points=...) -> DataSet`, so that `by_name` finds its data set by the function's name.

    A function that draws its points also takes `seed`.
    """
    _registry[function.__name__] = function
    return function


def checked_size(n_points: int, limit: int, name: str) -> int:
    """Return `n_points`; raise ValueError unless it is between 1 and `limit`."""
    if not 1 <= n_points <= limit:
        raise ValueError(f"n_points = {n_points}, expected 1 to {limit} for {name}")
    return n_points
