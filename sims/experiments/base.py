"""What every experiment is made of: a frozen config per case, and `run(config) -> labelled data set`."""

import dataclasses
import importlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike
from tqdm import tqdm

from sims import datasets
from sims.own_data import OwnData
from sims.provenance import environment
from sims.retrain import Responses, response_table
from theory.metrics import compare
from theory.response import Array, DifferentiableLearner, Learner, LinearizableLearner

__all__ = [
    "MEASURES",
    "Asked",
    "Config",
    "Experiment",
    "Given",
    "Option",
    "ParametricLearner",
    "Problem",
    "Retrain",
    "Variables",
    "bar",
    "effect_coords",
    "in_memory",
    "labelled",
    "measures",
    "with_points",
]

MEASURES = ("slope", "relative_error", "pearson", "spearman")


Variables = dict[str, tuple[tuple[str, ...], Any, str]]
"""Variables of a result: name -> (dims, values, what it is)."""


class Retrain(Protocol):
    """`response_table` with store, executor and progress settled."""

    def __call__(self, learner: Learner, seeds: Sequence[int], *, part: str = "", weights: ArrayLike | None = None) -> Responses:
        """Every table of an experiment has a `part` of its own, by which it is stored and resumed."""
        ...


def in_memory(learner: Learner, seeds: Sequence[int], *, part: str = "", weights: ArrayLike | None = None) -> Responses:
    """`response_table` without a store."""
    return response_table(learner, seeds, weights=weights)


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

    data: str | OwnData
    learner: str
    options: tuple[tuple[str, Option], ...] = ()
    n_points: int | None = None
    n_queries: int | None = None

    @property
    def name(self) -> str:
        """As the ledger shows it: data set, number of training points, learner and options."""
        options = (f"{key}={_shown(value)}" for key, value in self.options)
        return " ".join([f"{self.label}-{len(self.load().X)}", self.learner, *options])

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
        """What a result says of the data: its size, the unit of the outputs, rows of the original file, classes."""
        used = self.load()
        return {
            "n_points": len(used.X),
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
        if isinstance(self.data, OwnData):
            return self.data.load(self.n_points)
        return datasets.by_name(self.data, self.n_points)

    def build(self, **changes: Option) -> ParametricLearner:
        """The learner, with some of its options changed."""
        data, kind = self.load(), importlib.import_module(f"sims.learners.{self.learner}").LEARNER
        columns = [name != "intercept" or not getattr(kind, "has_bias", False) for name in data.columns]
        return kind(data.X[:, columns], data.y, data.X_query[: self.n_queries, columns], **{**dict(self.options), **changes})


def _shown(value: Option) -> str:
    if isinstance(value, tuple):
        return "x".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


class Asked(Protocol):
    """What a result says of the problem that it is about: a `Problem`, or a learner of the user's own."""

    @property
    def name(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def learner(self) -> str: ...
    def facts(self) -> dict[str, Any]: ...
    def described(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Given:
    """A learner that the user made, in place of a `Problem`: for experiments that ask nothing of its data and options."""

    given: Learner
    name: str
    unit: str
    label: str = "given"

    @property
    def learner(self) -> str:
        """Its class."""
        return type(self.given).__name__

    def facts(self) -> dict[str, Any]:
        """Its size and the unit of its outputs."""
        return {"n_points": self.given.n_points, "unit": self.unit}

    def described(self) -> dict[str, Any]:
        """Its names: what decides the learner stands in the store of its table."""
        return {"data": self.label, "learner": self.learner, "name": self.name}

    def build(self) -> Learner:
        """The learner."""
        return self.given


class Config(Protocol):
    """A frozen dataclass with everything that decides an experiment's result."""

    @property
    def problem(self) -> "Problem | Given":
        """What is retrained."""
        ...


def with_points(config: Any, n_points: int) -> Any:
    """The same config with n_points training points."""
    return dataclasses.replace(config, problem=dataclasses.replace(config.problem, n_points=n_points))


@dataclass(frozen=True)
class Experiment:
    """What is asked, the cases in full and in small, and `run(config, *, retrain, progress)` that answers for one.

    `resize(config, n_points)` is a case with another number of training points; it may leave out what would cost too much.
    `own(problem, small)` is the case for a learner on the user's own data, or says in words why there is none; None: it makes
    sense on data sets of its own only. `sims.experiments.own.own_case` has what most need.
    """

    name: str
    question: str
    cases: tuple[Config, ...]
    small: tuple[Config, ...]
    run: Callable[..., xr.Dataset]
    resize: Callable[[Any, int], Config] = with_points
    own: Callable[[Problem, bool], Config | str] | None = None


def labelled(experiment: str, config: Any, coords: Mapping[str, Any], variables: Variables) -> xr.Dataset:
    """A result with named dimensions; variables are name -> (dims, values, what it is). The attributes say what was run."""
    data = {name: xr.Variable(dims, np.asarray(values), {"long_name": text}) for name, (dims, values, text) in variables.items()}
    problem: Asked = config.problem
    settings = dataclasses.asdict(dataclasses.replace(config, problem=None))
    attributes: dict[str, Any] = {
        "experiment": experiment,
        "case": problem.name,
        "data": problem.label,
        "learner": problem.learner,
        **problem.facts(),
        "config": json.dumps({**settings, "problem": problem.described()}),
    }
    return xr.Dataset(data, {name: _coordinate(values) for name, values in coords.items()}, {**attributes, **environment()})


def _coordinate(values: Any) -> Any:
    array = np.asarray(values)
    return array.astype(object) if array.dtype.kind == "U" else array  # zarr has no stable fixed-width strings


def effect_coords(effect: Array) -> dict[str, Array]:
    """Coordinates of an effect (N, M)."""
    return {"point": np.arange(effect.shape[0]), "output": np.arange(effect.shape[1])}


def measures(estimate: Array, references: Mapping[str, Array]) -> list[list[float]]:
    """Slope, relative error, Pearson and Spearman of an estimate against every reference: (references, MEASURES)."""
    return [[getattr(compare(estimate, reference), name) for name in MEASURES] for reference in references.values()]


def bar(title: str, shown: bool) -> Callable[[Iterable[int]], Iterable[int]]:
    """A progress bar for a loop, silent when not asked for or not on a terminal."""
    return lambda loop: tqdm(loop, desc=title, leave=False, disable=None if shown else True)
