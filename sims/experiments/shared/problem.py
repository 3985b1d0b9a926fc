"""The module defines a problem: a learner on a data set, or a learner that the user made."""

import dataclasses
import importlib
import json
import pkgutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, lru_cache
from typing import Any, Protocol, cast

from sims import datasets
from sims.datasets.user_file import UserData
from theory.response import DifferentiableLearner, Learner, LinearizableLearner, has_own_bias

__all__ = [
    "AnyProblem",
    "GivenLearner",
    "Option",
    "ParametricLearner",
    "Problem",
    "ProblemFacts",
    "learner_class",
    "learner_options",
    "learners",
    "listed",
    "meant",
]


class ParametricLearner(DifferentiableLearner, LinearizableLearner, Protocol):
    """A parametric learner gives responses, exact weight derivatives and linearisations."""


Option = float | str | tuple[int, ...]
"""A value of an option of a learner."""


@dataclass(frozen=True, init=False)
class Problem:
    """A problem is a learner on a data set: `LEARNER` of module `sims.learners.<learner>`, built with `options` such as l2.

    Options of the learner are keywords, such as `l2=0.05` or `hidden=(4, 4)`; `build` refuses those that it does not have.
    `options` holds them as pairs, and so gives the same problem when a copy is made with `dataclasses.replace`.

    The data set is named (one of `sims.datasets`) or the user's own. A learner with its own bias (`has_bias`) does not get the
    data set's column of ones, which would be a second bias. `n_points` is the number N of training points, by default the data
    set's own. `n_queries` keeps only the first queries, to save time. Another `data_seed` draws other points: the result repeats
    that of seed 0, and shows whether a verdict depends on the draw.

    >>> problem = Problem("fair", "logistic", l2=0.05, n_points=24)
    >>> problem.name, problem.build().n_points
    ('fair-24 logistic l2=0.05', 24)
    >>> Problem("fair", "logistic", l3=0.05).build()
    Traceback (most recent call last):
    ValueError: logistic has no option 'l3': did you mean 'l2'? Its options are l2 and normalization
    """

    data: str | UserData
    learner: str
    options: tuple[tuple[str, Option], ...]
    n_points: int | None
    n_queries: int | None
    data_seed: int

    def __init__(
        self,
        data: str | UserData,
        learner: str,
        *,
        n_points: int | None = None,
        n_queries: int | None = None,
        data_seed: int = 0,
        options: Iterable[tuple[str, Option]] = (),
        **named: Option,
    ) -> None:
        values: dict[str, Any] = {**dict(options), **named}
        lists = {key: tuple(cast("list[int]", value)) for key, value in values.items() if isinstance(value, list)}
        pairs = tuple({**values, **lists}.items())
        fields = {"data": data, "learner": learner, "options": pairs}
        for field, value in {**fields, "n_points": n_points, "n_queries": n_queries, "data_seed": data_seed}.items():
            object.__setattr__(self, field, value)

    @property
    def name(self) -> str:
        """Return the name that the ledger shows: data set, number of training points, learner and options."""
        options = (f"{key}={value}" for key, value in self.shown_options().items())
        drawn = (f"data seed {self.data_seed}",) if self.data_seed else ()
        return " ".join([f"{self.label}-{self.size}", self.learner, *options, *drawn])

    def shown_options(self) -> dict[str, str]:
        """Return the options of the learner as texts for names and results: "0.1", "4x4", "none" for no hidden layer."""
        return {key: _shown(value) for key, value in self.options}

    @property
    def label(self) -> str:
        """Return the name of the data set."""
        return self.data if isinstance(self.data, str) else self.data.label

    @property
    def size(self) -> int:
        """Return the number of training points, which is that of the data set where `n_points` is None."""
        return _size(self.data, self.n_points, self.data_seed)

    def changed(self, *without: str, **changes: Option) -> "Problem":
        """Return the same problem without the options `without`, and with the options `changes` added or changed."""
        kept = {key: value for key, value in self.options if key not in without}
        return dataclasses.replace(self, options={**kept, **changes}.items())

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
        """Build the learner, with some of its options changed.

        Raises ValueError for a learner that is not known, or for an option that it does not have.
        """
        options = {**dict(self.options), **changes}
        known = learner_options(self.learner)
        if unknown := [name for name in options if name not in known]:
            raise ValueError(f"{self.learner} has no option {meant(unknown[0], known)} Its options are {listed(known)}")
        data, kind = self.load(), learner_class(self.learner)
        columns = [name != "intercept" or not has_own_bias(kind) for name in data.columns]
        queries = data.X_query[: self.n_queries, columns]
        if data.has_classes and data.y_query is not None and _asks_for_classes(kind, options):
            return kind(data.X[:, columns], data.y, queries, y_query=data.y_query[: self.n_queries], **options)
        return kind(data.X[:, columns], data.y, queries, **options)


def _asks_for_classes(kind: Any, options: Mapping[str, Any]) -> bool:
    """Return whether the learner's outputs are those of each query's own class: margins, or log probabilities, of a softmax."""
    fields = {field.name: field.default for field in dataclasses.fields(kind)}
    loss = options.get("loss", fields.get("loss", "softmax"))
    return "y_query" in fields and loss == "softmax" and not isinstance(options.get("output"), int)


@lru_cache(maxsize=1024)
def _size(data: str | UserData, n_points: int | None, data_seed: int) -> int:
    return len(Problem(data, "", n_points=n_points, data_seed=data_seed).load().X)


def learner_class(learner: str) -> Any:
    """Return `LEARNER` of the module `sims.learners.<learner>`; raise ValueError, with all names, where there is none."""
    if learner not in learners():
        raise ValueError(f"learner {meant(learner, learners())} The learners are {listed(learners())}")
    return importlib.import_module(f"sims.learners.{learner}").LEARNER


@cache
def learners() -> tuple[str, ...]:
    """Return the names of all learners that a problem can have: the modules of `sims.learners`."""
    import sims.learners

    modules = (info.name for info in pkgutil.iter_modules(sims.learners.__path__) if not info.ispkg)
    return tuple(modules)


@cache
def learner_options(learner: str) -> Mapping[str, "dataclasses.Field[Any]"]:
    """Return the options of a learner by name: the fields of its dataclass but those that a data set gives."""
    fields = dataclasses.fields(learner_class(learner))
    return {field.name: field for field in fields if field.init and field.name not in ("X", "y", "X_query", "y_query")}


def meant(given: str, known: Iterable[str]) -> str:
    """Return the name in quotes, then a colon with the known name that is most like it, or a full stop.

    >>> meant("sedes", ["seeds", "p"]), meant("x", ["seeds", "p"])
    ("'sedes': did you mean 'seeds'?", "'x'.")
    """
    near = get_close_matches(given, list(known), 1, 0.5)
    return f"{given!r}: did you mean {near[0]!r}?" if near else f"{given!r}."


def listed(names: Iterable[str]) -> str:
    """Return names as a text: "a", "a and b", "a, b and c"; "none" without any."""
    *most, last = [*names] or ["none"]
    return f"{', '.join(most)} and {last}" if most else last


def _shown(value: Option) -> str:
    if isinstance(value, tuple):
        return "x".join(map(str, value)) or "none"
    if isinstance(value, float):
        short = f"{value:g}"
        return short if float(short) == value else repr(value)  # two problems never have the same name
    return str(value)


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
