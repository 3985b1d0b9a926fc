"""What an experiment does with a user's own data: for which learners, up to how many points, and with which case."""

from collections.abc import Callable, Mapping

from sims.datasets.user_file import UserData
from sims.experiments.shared.experiment import Config
from sims.experiments.shared.problem import Option, Problem

__all__ = ["CONVEX", "ENUMERABLE", "NETWORKS", "user_case", "user_problem", "why_not_enumerable"]

CONVEX, NETWORKS = ("logistic", "least_squares"), ("mlp",)

ENUMERABLE: Mapping[str, int] = {"logistic": 16, "least_squares": 16, "mlp": 10}
"""Training points up to which an experiment may retrain on all 2^N subsets; by cost, minutes on two cores."""


def user_problem(data: UserData, learner: str, n_points: int, l2: float | None = None) -> Problem:
    """A learner on the user's data. Penalties and rates are those that most cases of the experiments have."""
    if learner in CONVEX:
        return Problem(data, learner, (("l2", 0.1 if l2 is None else l2),), n_points)
    loss, rate = ("logistic", 0.5) if data.task == "two classes" else ("squared", 0.1)
    options: dict[str, Option] = {"hidden": (4,), "loss": loss, "l2": 0.01 if l2 is None else l2, "learning_rate": rate}
    return Problem(data, learner, tuple(options.items()), n_points)


def user_case(
    make: Callable[[Problem, bool], Config], *, learners: tuple[str, ...] = (*CONVEX, *NETWORKS), at_most: int | None = None
) -> Callable[[Problem, bool], Config | str]:
    """`Experiment.user_case` of an experiment on all subsets: make(problem, small) for these learners, up to as many points as
    can be enumerated, or `at_most`.
    """

    def case(problem: Problem, small: bool) -> Config | str:
        if problem.learner not in learners:
            return f"is for --learner {' or '.join(learners)}"
        return why_not_enumerable(problem, at_most) or make(problem, small)

    return case


def why_not_enumerable(problem: Problem, at_most: int | None = None) -> str | None:
    """Why all subsets of this problem cannot be retrained on, if they cannot."""
    limit, n = ENUMERABLE[problem.learner] if at_most is None else at_most, problem.n_points or 0
    return f"retrains on all 2^N subsets, N = {n} is more than {limit}" if n > limit else None
