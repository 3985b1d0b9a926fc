"""What every experiment is made of: a frozen config per case, and `run(config) -> labelled data set`."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import ArrayLike

from sims.experiments.shared.problem import GivenLearner, Problem
from sims.retrain import Responses, response_table
from theory.response import Learner

if TYPE_CHECKING:  # loaded where results are
    import xarray as xr

__all__ = ["Config", "Experiment", "Retrain", "in_memory", "with_points"]


class Retrain(Protocol):
    """`response_table` with store, executor and progress settled."""

    def __call__(self, learner: Learner, seeds: Sequence[int], *, part: str = "", weights: ArrayLike | None = None) -> Responses:
        """Every table of an experiment has a `part` of its own, by which it is stored and resumed."""
        ...


def in_memory(learner: Learner, seeds: Sequence[int], *, part: str = "", weights: ArrayLike | None = None) -> Responses:
    """`response_table` without a store."""
    return response_table(learner, seeds, weights=weights)


class Config(Protocol):
    """A frozen dataclass with everything that decides an experiment's result."""

    @property
    def problem(self) -> "Problem | GivenLearner":
        """What is retrained."""
        ...


def with_points(config: Any, n_points: int) -> Any:
    """The same config with n_points training points."""
    return dataclasses.replace(config, problem=dataclasses.replace(config.problem, n_points=n_points))


@dataclass(frozen=True)
class Experiment:
    """What is asked, the cases in full and in small, and `run(config, *, retrain, progress)` that answers for one.

    `resize(config, n_points)` is a case with another number of training points; it may leave out what would cost too much.
    `user_case(problem, small)` is the case for a learner on the user's own data, or says in words why there is none;
    None: it makes sense on data sets of its own only. `user_cases.user_case` has what most need.
    """

    name: str
    question: str
    cases: tuple[Config, ...]
    small: tuple[Config, ...]
    run: "Callable[..., xr.Dataset]"
    resize: Callable[[Any, int], Config] = with_points
    user_case: Callable[[Problem, bool], Config | str] | None = None
