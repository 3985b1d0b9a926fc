"""Compute the losses of the queries from the outputs of a learner, and their derivatives."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from theory.answers import named
from theory.response import Array

__all__ = ["LOSSES", "QueryLoss", "loss_of"]


@dataclass(frozen=True)
class QueryLoss:
    """The loss of queries with targets y (M,) as a function of the outputs f (.., M), and its derivative in f."""

    value: Callable[[Array, Array], Array]
    slope: Callable[[Array, Array], Array]


def _logistic(f: Array, y: Array) -> Array:
    return np.logaddexp(0.0, (1.0 - 2.0 * y) * f)


def _logistic_slope(f: Array, y: Array) -> Array:
    away = 1.0 - 2.0 * y
    return 0.5 * away * (1.0 + np.tanh(0.5 * away * f))  # the logistic function of away * f


LOSSES: Mapping[str, QueryLoss] = {
    "squared": QueryLoss(lambda f, y: 0.5 * (f - y) ** 2, lambda f, y: f - y),
    "logistic": QueryLoss(_logistic, _logistic_slope),
    "margin": QueryLoss(lambda f, y: _logistic(f, np.ones_like(y)), lambda f, y: _logistic_slope(f, np.ones_like(y))),
    "log_probability": QueryLoss(lambda f, y: -f, lambda f, y: np.full_like(f, -1.0)),
}
"""The losses by name. Of models with one output per class the outputs are "margin", log p_y / (1 - p_y), or "log_probability",
log p_y; the loss of both is -log p_y."""


def loss_of(learner: Any, y_query: ArrayLike | None) -> tuple[str, Array | None]:
    """Return the name of the loss of a learner's queries, and their targets (M,), or None where nothing tells them.

    >>> from sims.learners import LeastSquares
    >>> loss_of(LeastSquares([[1.0]], [1.0], [[1.0]], l2=1.0), [2.0])
    ('squared', array([2.]))
    """
    from sims.learners.shared import checks

    kind = getattr(learner, "loss", None) or _BY_CLASS.get(type(learner).__name__)
    if kind == "softmax":
        kind = learner.output if isinstance(learner.output, str) else None
        y_query = learner.y_query if y_query is None else y_query
    if y_query is None or kind is None:
        return "", None
    if kind not in LOSSES:
        raise ValueError(f"y_query for {named(learner)}, whose loss {kind!r} is none of {', '.join(LOSSES)}: leave it out")
    targets = checks.as_targets(y_query, learner.n_outputs, "y_query", "one target per query")
    if kind == "logistic" and not np.isin(targets, (0.0, 1.0)).all():
        raise ValueError(f"y_query has {targets[~np.isin(targets, (0.0, 1.0))][0]:g}, expected labels 0 and 1")
    return kind, targets


_BY_CLASS = {"LeastSquares": "squared", "Logistic": "logistic", "SoftmaxRegression": "softmax"}
