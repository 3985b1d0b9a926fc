"""What an experiment does with a user's own data: for which learners, up to how many points, and with which case."""

from collections.abc import Callable, Mapping

from sims.experiments.base import Config, Problem

__all__ = ["CONVEX", "ENUMERABLE", "NETWORKS", "own_case", "too_many"]

CONVEX, NETWORKS = ("logistic", "least_squares"), ("mlp",)

ENUMERABLE: Mapping[str, int] = {"logistic": 16, "least_squares": 16, "mlp": 10}
"""Training points up to which an experiment may retrain on all 2^N subsets; by cost, minutes on two cores."""


def own_case(
    make: Callable[[Problem, bool], Config], *, learners: tuple[str, ...] = (*CONVEX, *NETWORKS), at_most: int | None = None
) -> Callable[[Problem, bool], Config | str]:
    """`Experiment.own` of an experiment on all subsets: make(problem, small) for these learners and as many points as can be
    enumerated, or `at_most`.
    """

    def own(problem: Problem, small: bool) -> Config | str:
        if problem.learner not in learners:
            return f"is for --learner {' or '.join(learners)}"
        return too_many(problem, at_most) or make(problem, small)

    return own


def too_many(problem: Problem, at_most: int | None = None) -> str | None:
    """Why all subsets of this problem cannot be retrained on, if they cannot."""
    limit, n = ENUMERABLE[problem.learner] if at_most is None else at_most, problem.n_points or 0
    return f"retrains on all 2^N subsets, N = {n} is more than {limit}" if n > limit else None
