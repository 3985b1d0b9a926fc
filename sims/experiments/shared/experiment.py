"""The module defines an experiment: it has a frozen config per case, and `run(config)` returns a labelled data set."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import ArrayLike

from sims.experiments.shared.problem import AnyProblem, Problem
from theory.response import Learner

if TYPE_CHECKING:  # loaded where results are
    import xarray as xr

    from sims.retrain import Responses

__all__ = ["Config", "Experiment", "Retrain", "in_memory", "with_points", "with_problems"]


class Retrain(Protocol):
    """A function of this type calls `response_table` with a fixed store, executor and progress bar."""

    def __call__(
        self, learner: Learner, seeds: Sequence[int], *, part: str = "", weights: ArrayLike | None = None
    ) -> "Responses":
        """Return the responses; every table of an experiment has its own name `part`, by which it is stored and resumed."""
        ...


def in_memory(learner: Learner, seeds: Sequence[int], *, part: str = "", weights: ArrayLike | None = None) -> "Responses":
    """Return the responses from `response_table` without a store."""
    from sims.retrain import response_table  # only now, since problems and experiments are described without it

    return response_table(learner, seeds, weights=weights)


class Config(Protocol):
    """A config is a frozen dataclass with everything that decides the result of an experiment."""

    @property
    def problem(self) -> AnyProblem:
        """Return the learner and data set that are retrained."""
        ...


def with_points(config: Any, n_points: int) -> Any:
    """Return the same config with `n_points` training points, in every problem that it has."""
    return with_problems(config, lambda problem: dataclasses.replace(problem, n_points=n_points))


def with_problems(config: Any, change: Callable[[Problem], Problem]) -> Any:
    """Return the same config with `change` made in its problem, and in others that it has beside it."""
    values = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    changed = {name: change(value) for name, value in values.items() if isinstance(value, Problem)}
    return dataclasses.replace(config, **changed)


def _twenty(config: Any) -> int:
    return 20


def _nothing(config: Any) -> None:
    return None


@dataclass(frozen=True)
class Experiment:
    """An experiment has a question, full and small cases, and a function that computes the answer for one case.

    The function is `run(config, *, retrain, progress)`. `resize(config, n_points)` returns a case with another number of training
    points; it may leave out parts that would take too long. `user_case(problem, small)` returns the case for a learner on a
    user's own data, or a tuple of several, or a text with the reason why there is none. `user_case` is None if the experiment
    only makes sense on its own data sets. `user_cases.user_case` makes the function that most experiments need.

    `most_points(config)` is the largest number of points, since all 2^N subsets are retrained on; None where they are not.
    `why_not(config)` returns another reason why a changed case cannot be run, or None.
    `varies` names options of the learner that the experiment sets itself, each with the field of the config that says to what.
    """

    name: str
    question: str
    cases: tuple[Config, ...]
    small: tuple[Config, ...]
    run: "Callable[..., xr.Dataset]"
    resize: Callable[[Any, int], Config] = with_points
    user_case: Callable[[Problem, bool], Config | tuple[Config, ...] | str] | None = None
    most_points: Callable[[Any], int | None] = _twenty
    why_not: Callable[[Any], str | None] = _nothing
    varies: Mapping[str, str] = field(default_factory=dict[str, str])
