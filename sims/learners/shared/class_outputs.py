"""Define what a classifier of C classes tells about a query: a scalar f of its C logits z, with both derivatives in z.

    margin             f = z_y - log sum_{c != y} exp z_c       the log odds of the query's own class y
    log_probability    f = z_y - log sum_c exp z_c              minus the cross-entropy of the query
    k                  f = z_k                                  one logit

The margin is that of Ilyas et al. (2022, app. F) and Park et al. (2023, sec. 3). Logits have shape (C, M, ..): classes, queries,
then anything.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from sims.learners.shared import checks
from theory.inputs import as_count, shown
from theory.response import Array

__all__ = ["ClassOutput", "OutputName", "as_class_output", "as_query_classes"]

OutputName = Literal["margin", "log_probability"] | int
"""What a learner answers for each query: `margin`, `log_probability`, or the number of a logit."""


@dataclass(frozen=True)
class ClassOutput:
    """A scalar of the logits of every query: the logit of a class, less the log of what it competes with."""

    chosen: NDArray[np.bool_]  # (C, M), the class whose logit counts
    rivals: NDArray[np.bool_]  # (C, M), the classes in the log-sum-exp; none for a plain logit

    def value(self, logits: Array) -> Array:
        """Compute f, shape (M, ..)."""
        own = np.where(self._wide(self.chosen, logits), logits, 0.0).sum(axis=0)
        if not self.rivals.any():
            return own
        return own - np.asarray(scipy.special.logsumexp(self._against(logits), axis=0))

    def gradient(self, logits: Array) -> Array:
        """Compute df/dz, shape (C, M, ..): 1 for the chosen class, less the shares of the rivals."""
        return self._wide(self.chosen, logits).astype(np.float64) - self._shares(logits)

    def curvature(self, logits: Array) -> Array:
        """Compute d^2f/dz^2 = q q^T - diag(q), shape (C, C, M, ..), from the shares q of the rivals."""
        q = self._shares(logits)
        result = q[:, None] * q[None]
        each = np.arange(len(q))
        result[each, each] -= q
        return result

    def _shares(self, logits: Array) -> Array:
        """Compute the softmax over the rivals, shape (C, M, ..); 0 where there are none."""
        if not self.rivals.any():
            return np.zeros_like(logits)
        return np.asarray(scipy.special.softmax(self._against(logits), axis=0), dtype=np.float64)

    def _against(self, logits: Array) -> Array:
        """Return the logits of the rivals, and -inf for the other classes."""
        return np.where(self._wide(self.rivals, logits), logits, -np.inf)

    @staticmethod
    def _wide(which: NDArray[np.bool_], logits: Array) -> NDArray[np.bool_]:
        return which.reshape(*which.shape, *([1] * (logits.ndim - 2)))


def as_query_classes(
    output: OutputName, y_query: ArrayLike | None, n_queries: int, n_classes: int
) -> tuple[Literal["logit", "margin", "log_probability"], NDArray[np.int64]]:
    """Return the kind of an output, and the class (M,) of every query that it is of.

    A plain logit is that of the same class for all queries, whatever y_query says. Raises ValueError for an output that is not
    known, and for labels of the queries that are missing or were not trained.
    """
    if not isinstance(output, str):
        number = as_count("output", output, f", a class 0 .. {n_classes - 1}", least=0)
        if number >= n_classes:
            raise ValueError(f"output = {number}, expected a class that is trained, 0 .. {n_classes - 1}")
        return "logit", np.full(n_queries, number, dtype=np.int64)
    if output not in ("margin", "log_probability"):
        raise ValueError(
            f"output {shown(output)} is unknown, expected 'margin', 'log_probability', or a class 0 .. {n_classes - 1}"
        )
    if y_query is None:
        raise ValueError(
            f"output {output!r} is that of each query's own class, expected y_query = (M,) classes 0 .. {n_classes - 1}, "
            "or the number of a class as output, whose logit is then the answer"
        )
    labels = checks.as_targets(y_query, n_queries, "y_query", "one class per row of X_query")
    strange = np.flatnonzero(~np.isin(labels, np.arange(n_classes)))
    if strange.size:
        raise ValueError(
            f"y_query[{strange[0]}] is {labels[strange[0]]:g}, expected a class that is trained, 0 .. {n_classes - 1}: "
            "leave this query out, or train on its class"
        )
    return output, labels.astype(np.int64)


def as_class_output(output: OutputName, y_query: ArrayLike | None, n_queries: int, n_classes: int) -> ClassOutput:
    """Return the output with this name; errors are those of `as_query_classes`.

    >>> as_class_output("margin", [0], 1, 3).value(np.zeros((3, 1))).round(12).tolist()  # -log 2
    [-0.69314718056]
    >>> as_class_output(2, None, 1, 3).value(np.array([[1.0], [2.0], [5.0]])).tolist()
    [5.0]
    """
    kind, classes = as_query_classes(output, y_query, n_queries, n_classes)
    chosen = np.arange(n_classes)[:, None] == classes
    rivals = {"logit": np.zeros_like(chosen), "margin": ~chosen, "log_probability": np.ones_like(chosen)}
    return ClassOutput(chosen, rivals[kind])
