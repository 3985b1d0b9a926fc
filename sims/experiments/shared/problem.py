"""The module defines a problem: a learner on a data set, or a learner that the user made."""

import dataclasses
import importlib
import json
from dataclasses import dataclass
from typing import Any, Protocol

from sims import datasets
from sims.datasets.user_file import UserData
from theory.response import DifferentiableLearner, Learner, LinearizableLearner, has_own_bias

__all__ = ["AnyProblem", "GivenLearner", "Option", "ParametricLearner", "Problem", "ProblemFacts"]


class ParametricLearner(DifferentiableLearner, LinearizableLearner, Protocol):
    """A parametric learner gives responses, exact weight derivatives and linearisations."""


Option = float | str | tuple[int, ...]
"""A value of an option of a learner."""


@dataclass(frozen=True)
class Problem:
    """A problem is a learner on a data set: `LEARNER` of module `sims.learners.<learner>`, built with `options` such as l2.

    The data set is named (one of `sims.datasets`) or the user's own. A learner with its own bias (`has_bias`) does not get the
    data set's column of ones, which would be a second bias. `n_queries` keeps only the first queries, to save time. Another
    `data_seed` draws other points: the result repeats that of seed 0, and shows whether a verdict depends on the draw.
    """

    data: str | UserData
    learner: str
    options: tuple[tuple[str, Option], ...] = ()
    n_points: int | None = None
    n_queries: int | None = None
    data_seed: int = 0

    @property
    def name(self) -> str:
        """Return the name that the ledger shows: data set, number of training points, learner and options."""
        options = (f"{key}={value}" for key, value in self.shown_options().items())
        drawn = (f"data seed {self.data_seed}",) if self.data_seed else ()
        return " ".join([f"{self.label}-{len(self.load().X)}", self.learner, *options, *drawn])

    def shown_options(self) -> dict[str, str]:
        """Return the options of the learner as texts for names and results: "0.1", "4x4", "none" for no hidden layer."""
        return {key: _shown(value) for key, value in self.options}

    @property
    def label(self) -> str:
        """Return the name of the data set."""
        return self.data if isinstance(self.data, str) else self.data.label

    def changed(self, *without: str, **changes: Option) -> "Problem":
        """Return the same problem without the options `without`, and with the options `changes` added or changed."""
        kept = {key: value for key, value in self.options if key not in without}
        return dataclasses.replace(self, options=tuple({**kept, **changes}.items()))

    def number(self, option: str, default: float = 0.0) -> float:
        """Return an option that is a number, or `default` if it is not set; raise TypeError if it is no number."""
        value = dict(self.options).get(option, default)
        if not isinstance(value, int | float):
            raise TypeError(f"{option} of {self.name} is {value!r}, expected a number")
        return float(value)

    def facts(self) -> dict[str, Any]:
        """Return the attributes of a result: N, options, the unit of outputs, rows of the original file, class labels."""
        used = self.load()
        return {
            "n_points": len(used.X),
            "options": json.dumps({key: _shown(value) for key, value in self.options}),
            "unit": used.unit,
            "train_rows": list(used.train_rows),
            "query_rows": list(used.query_rows[: self.n_queries]),
            **({"labels": list(used.labels)} if used.labels else {}),
            **(self.data.facts() if isinstance(self.data, UserData) else {}),
            **({"data_seed": self.data_seed, "repeats": dataclasses.replace(self, data_seed=0).name} if self.data_seed else {}),
        }

    def described(self) -> dict[str, Any]:
        """Return everything that decides the problem, as plain values."""
        return dataclasses.asdict(self)

    def load(self) -> datasets.DataSet:
        """Return the data set, with `n_points` training points or its own default number."""
        if isinstance(self.data, UserData):
            return self.data.load(self.n_points)
        return datasets.by_name(self.data, self.n_points, self.data_seed)

    def build(self, **changes: Option) -> ParametricLearner:
        """Build the learner, with some of its options changed."""
        data, kind = self.load(), importlib.import_module(f"sims.learners.{self.learner}").LEARNER
        columns = [name != "intercept" or not has_own_bias(kind) for name in data.columns]
        return kind(data.X[:, columns], data.y, data.X_query[: self.n_queries, columns], **{**dict(self.options), **changes})


def _shown(value: Option) -> str:
    if isinstance(value, tuple):
        return "x".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


class ProblemFacts(Protocol):
    """A problem gives these facts to its results; it is a `Problem` or a `GivenLearner`."""

    @property
    def name(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def learner(self) -> str: ...
    def shown_options(self) -> dict[str, str]: ...
    def facts(self) -> dict[str, Any]: ...
    def described(self) -> dict[str, Any]: ...


class AnyProblem(ProblemFacts, Protocol):
    """Any problem also builds its learner, which may have no derivatives."""

    def build(self) -> Learner: ...


@dataclass(frozen=True)
class GivenLearner:
    """A given learner was made by the user and takes the place of a `Problem`, if an experiment needs no data or options."""

    given: Learner
    name: str
    unit: str
    label: str = "given"

    @property
    def learner(self) -> str:
        """Return the name of the learner's class."""
        return type(self.given).__name__

    def shown_options(self) -> dict[str, str]:
        """Return no options, since the learner is already built."""
        return {}

    def facts(self) -> dict[str, Any]:
        """Return the number of points and the unit of the outputs; only the learner knows its options."""
        return {"n_points": self.given.n_points, "options": "{}", "unit": self.unit}

    def described(self) -> dict[str, Any]:
        """Return the names of the learner; the store of its table records everything that decides it."""
        return {"data": self.label, "learner": self.learner, "name": self.name}

    def build(self) -> Learner:
        """Return the learner."""
        return self.given
