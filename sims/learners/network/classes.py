"""Check the class labels of a network with one output per class, and what is asked of these outputs."""

import numpy as np
from numpy.typing import ArrayLike

from sims.learners.network.kernels import READOUTS
from sims.learners.network.passes import Readout
from sims.learners.shared import checks
from theory.inputs import as_numbers, shown
from theory.response import Array

__all__ = ["as_classes", "as_readout"]


def as_classes(y: ArrayLike, n_points: int) -> Array:
    """Return y as a read-only copy; raise ValueError unless it is a vector (N,) of the classes 0 .. C - 1, C >= 2, and all occur.

    >>> as_classes([0, 2, 0], 3)
    Traceback (most recent call last):
    ValueError: no label is 1 but the largest is 2, expected every class from 0 to the largest: number the classes 0, 1, 2, ..
    """
    values = checks.as_targets(y, n_points)
    wrong = np.flatnonzero((values < 0.0) | (values != np.floor(values)))
    if wrong.size:
        raise ValueError(f"y[{wrong[0]}] is {values[wrong[0]]:g}, expected whole numbers from 0: number the classes 0, 1, 2, ..")
    if values.max() >= n_points:
        raise ValueError(
            f"the largest label is {values.max():g} with {n_points} points, expected every class from 0 to the largest: "
            "number the classes 0, 1, 2, .."
        )
    missing = np.flatnonzero(np.bincount(values.astype(np.int64)) == 0)
    if missing.size:
        raise ValueError(
            f"no label is {missing[0]} but the largest is {values.max():g}, expected every class from 0 to the largest: "
            "number the classes 0, 1, 2, .."
        )
    if values.max() == 0.0:
        raise ValueError("every label is 0, expected at least the classes 0 and 1: a classifier needs two classes")
    return values


def as_readout(output: str | int, y_query: ArrayLike | None, n_queries: int, n_classes: int) -> Readout:
    """Return what the queries ask: the logit of one class for an integer `output`, else a scalar for each query's own class."""
    if isinstance(output, str):
        checks.one_of("output", output, READOUTS[1:])
        if y_query is None:
            raise ValueError(f"output {output!r} without y_query, expected the class of every query: pass y_query, or output = 0")
        return Readout(output, _query_classes(y_query, n_queries, n_classes))
    index = checks.as_count("output", output, f", the logit of a class, or one of {', '.join(READOUTS[1:])}", least=0)
    if index >= n_classes:
        raise ValueError(f"output = {index}, expected a class that was trained, 0 to {n_classes - 1}")
    if y_query is not None:
        raise ValueError(f"y_query with output = {index}, expected None: the logit of a fixed class needs no class of the query")
    return Readout(READOUTS[0], np.full(n_queries, index, dtype=np.int64))


def _query_classes(y_query: ArrayLike, n_queries: int, n_classes: int) -> np.ndarray:
    """Return the classes of the queries as integers (M,)."""
    values = as_numbers("y_query", y_query, "one class per row of X_query")
    if values.shape != (n_queries,):
        raise ValueError(f"y_query has shape {shown(values.shape)}, expected ({n_queries},): one class per row of X_query")
    wrong = np.flatnonzero(~np.isin(values, np.arange(n_classes)))
    if wrong.size:
        raise ValueError(
            f"y_query[{wrong[0]}] is {values[wrong[0]]:g}, expected a class that was trained, a whole number 0 to {n_classes - 1}"
        )
    return values.astype(np.int64)
