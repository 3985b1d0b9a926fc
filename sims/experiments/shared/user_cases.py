"""The module decides for which learners and numbers of points an experiment has a case on a user's own data."""

import dataclasses
from collections.abc import Callable, Mapping

from sims.datasets.user_file import FirstRows, UserData
from sims.experiments.shared.experiment import Config
from sims.experiments.shared.problem import Problem

__all__ = [
    "CONVEX",
    "ENUMERABLE",
    "NETWORKS",
    "ONE_OUTPUT",
    "first_points",
    "n_parameters",
    "user_case",
    "user_problem",
    "why_not_enumerable",
]

ONE_OUTPUT = ("logistic", "least_squares")
CONVEX, NETWORKS = (*ONE_OUTPUT, "softmax_regression"), ("mlp",)

ENUMERABLE: Mapping[str, int] = {"logistic": 16, "least_squares": 16, "softmax_regression": 14, "mlp": 10}
"""Largest number of training points for which experiments retrain on all 2^N subsets; that takes minutes on two cores."""


def user_problem(data: UserData, learner: str, n_points: int, l2: float | None = None) -> Problem:
    """Return the problem of a learner on the user's data, with the penalty and learning rate that most experiments use."""
    if learner in CONVEX:
        return Problem(data, learner, l2=0.1 if l2 is None else l2, n_points=n_points)
    loss, rate = {"two classes": ("logistic", 0.5), "classes": ("softmax", 0.5), "number": ("squared", 0.1)}[data.task]
    penalty = 0.01 if l2 is None else l2
    return Problem(data, learner, hidden=(4,), loss=loss, l2=penalty, learning_rate=rate, n_points=n_points)


def n_parameters(problem: Problem) -> int:
    """Return the size of the systems that a convex learner solves: its columns, for several classes times C - 1.

    Softmax regression solves them in the span of its points.
    """
    data = problem.load()
    n_points, n_columns = data.X.shape
    return min(n_points, n_columns) * (len(data.labels) - 1) if problem.learner == "softmax_regression" else n_columns


def first_points(problem: Problem, n_points: int) -> Problem:
    """Return the problem on the first `n_points` training points that were drawn, with the same queries and standardisation.

    They are the rows that a run with as many points would train on (`FirstRows`); the name of the problem says how many of how
    many there are. Raises ValueError for a problem on other data than a user's, or for more points than it has.
    """
    data, n = problem.data, problem.n_points or 0
    if not isinstance(data, UserData) or n_points > n:
        raise ValueError(f"n_points = {n_points} of {problem.name}, expected at most its {n} points, drawn from a user's file")
    return dataclasses.replace(problem, data=FirstRows.of(data, n), n_points=n_points)


def user_case(
    make: Callable[[Problem, bool], Config], *, learners: tuple[str, ...] = (*CONVEX, *NETWORKS), at_most: int | None = None
) -> Callable[[Problem, bool], Config | str]:
    """Return the function `Experiment.user_case` for an experiment that retrains on all subsets.

    It returns `make(problem, small)` for the given learners and at most `at_most` points (by default `ENUMERABLE`); otherwise it
    returns a text with the reason.
    """

    def case(problem: Problem, small: bool) -> Config | str:
        if problem.learner not in learners:
            return f"is for --learner {' or '.join(learners)}"
        return why_not_enumerable(problem, at_most) or make(problem, small)

    return case


def why_not_enumerable(problem: Problem, at_most: int | None = None) -> str | None:
    """Return the reason why the problem cannot be retrained on all subsets, or None if it can."""
    limit, n = ENUMERABLE[problem.learner] if at_most is None else at_most, problem.n_points or 0
    return f"retrains on all 2^N subsets, N = {n} is more than {limit}" if n > limit else None
