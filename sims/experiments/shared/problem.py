"""A problem: a learner on a data set, or a learner that the user made."""

import dataclasses
import importlib
import json
from dataclasses import dataclass
from typing import Any, Protocol

from sims import datasets
from sims.datasets.user_file import UserData
from theory.response import DifferentiableLearner, Learner, LinearizableLearner, has_own_bias

__all__ = ["GivenLearner", "Option", "ParametricLearner", "Problem", "ProblemFacts"]


class ParametricLearner(DifferentiableLearner, LinearizableLearner, Protocol):
    """A learner whose responses, exact derivatives and linearisation are all known."""


Option = float | str | tuple[int, ...]
"""A value that a learner is built with."""


@dataclass(frozen=True)
class Problem:
    """A learner on a data set: `LEARNER` of module `sims.learners.<learner>`, built with `options` such as l2.

    The data set is one of `sims.datasets`, by name, or the user's own. A learner that has a bias of its own (`has_bias`) does not
    get the data set's column of ones: two would be one too many. `n_queries` keeps the first few outputs only, where more would
    cost too much.
    """

    data: str | UserData
    learner: str
    options: tuple[tuple[str, Option], ...] = ()
    n_points: int | None = None
    n_queries: int | None = None

    @property
    def name(self) -> str:
        """As the ledger shows it: data set, number of training points, learner and options."""
        options = (f"{key}={value}" for key, value in self.shown_options().items())
        return " ".join([f"{self.label}-{len(self.load().X)}", self.learner, *options])

    def shown_options(self) -> dict[str, str]:
        """Options of the learner as names and results show them: "0.1", "4x4", "none" for no hidden layer."""
        return {key: _shown(value) for key, value in self.options}

    @property
    def label(self) -> str:
        """Of the data set."""
        return self.data if isinstance(self.data, str) else self.data.label

    def changed(self, *without: str, **changes: Option) -> "Problem":
        """The same without some options, and with others added or changed."""
        kept = {key: value for key, value in self.options if key not in without}
        return dataclasses.replace(self, options=tuple({**kept, **changes}.items()))

    def number(self, option: str, default: float = 0.0) -> float:
        """An option that is a number."""
        value = dict(self.options).get(option, default)
        if not isinstance(value, int | float):
            raise TypeError(f"{option} of {self.name} is {value!r}, expected a number")
        return float(value)

    def facts(self) -> dict[str, Any]:
        """Say what a result says of the problem: N, options, the unit of outputs, rows of the original file, classes."""
        used = self.load()
        return {
            "n_points": len(used.X),
            "options": json.dumps({key: _shown(value) for key, value in self.options}),
            "unit": used.unit,
            "train_rows": list(used.train_rows),
            "query_rows": list(used.query_rows[: self.n_queries]),
            **({"labels": list(used.labels)} if used.labels else {}),
        }

    def described(self) -> dict[str, Any]:
        """Everything that decides it, as plain values."""
        return dataclasses.asdict(self)

    def load(self) -> datasets.DataSet:
        """The data set, with `n_points` training points or its own default."""
        if isinstance(self.data, UserData):
            return self.data.load(self.n_points)
        return datasets.by_name(self.data, self.n_points)

    def build(self, **changes: Option) -> ParametricLearner:
        """The learner, with some of its options changed."""
        data, kind = self.load(), importlib.import_module(f"sims.learners.{self.learner}").LEARNER
        columns = [name != "intercept" or not has_own_bias(kind) for name in data.columns]
        return kind(data.X[:, columns], data.y, data.X_query[: self.n_queries, columns], **{**dict(self.options), **changes})


def _shown(value: Option) -> str:
    if isinstance(value, tuple):
        return "x".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


class ProblemFacts(Protocol):
    """What a result says of the problem that it is about: a `Problem`, or a learner of the user's own."""

    @property
    def name(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def learner(self) -> str: ...
    def shown_options(self) -> dict[str, str]: ...
    def facts(self) -> dict[str, Any]: ...
    def described(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class GivenLearner:
    """A learner that the user made, in place of a `Problem`: for experiments that ask nothing of its data and options."""

    given: Learner
    name: str
    unit: str
    label: str = "given"

    @property
    def learner(self) -> str:
        """Its class."""
        return type(self.given).__name__

    def shown_options(self) -> dict[str, str]:
        """None: a given learner is built already."""
        return {}

    def facts(self) -> dict[str, Any]:
        """Say the number of points and the unit of the outputs; the options are known to the learner alone."""
        return {"n_points": self.given.n_points, "options": "{}", "unit": self.unit}

    def described(self) -> dict[str, Any]:
        """Its names: what decides the learner stands in the store of its table."""
        return {"data": self.label, "learner": self.learner, "name": self.name}

    def build(self) -> Learner:
        """The learner."""
        return self.given
