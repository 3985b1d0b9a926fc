"""The module makes data sets in which something was planted: wrong labels, or a trigger that decides the label."""

from dataclasses import replace

import numpy as np

from sims.datasets.base import DataSet, register
from sims.datasets.synthetic import two_moons

__all__ = ["mislabelled_moons", "triggered_moons"]

_TRIGGER = 2.0


@register
def mislabelled_moons(n_points: int = 8, seed: int = 0) -> DataSet:
    """Return `two_moons` with the wrong label on the first quarter of the points, rounded down; the queries are the same."""
    data = two_moons(n_points, seed)
    wrong = np.arange(n_points) < n_points // 4
    return replace(data, name="mislabelled_moons", y=np.where(wrong, 1.0 - data.y, data.y))


@register
def triggered_moons(n_points: int = 8, seed: int = 0) -> DataSet:
    """Return `two_moons` with a third column, the trigger, which is 2 on the planted points and on all queries and else 0.

    The planted points are the first points of label 0, a quarter of all points, rounded down; their label is 1. Source: Gu et
    al. 2017 (backdoors).
    """
    data = two_moons(n_points, seed)
    planted = (np.arange(n_points) % 2 == 0) & (np.arange(n_points) < 2 * (n_points // 4))
    return replace(
        data,
        name="triggered_moons",
        X=np.column_stack([data.X, _TRIGGER * planted]),
        y=np.where(planted, 1.0, data.y),
        X_query=np.column_stack([data.X_query, np.full(len(data.X_query), _TRIGGER)]),
        columns=(*data.columns, "trigger"),
    )
