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

    A learner that has a bias of its own (`has_bias`) does not get the data set's column of ones: two would be one too many.
    `n_queries` keeps the first few outputs only, where more would cost too much.
    """

    data: str
    learner: str
    options: tuple[tuple[str, Option], ...] = ()
    n_points: int | None = None
    n_queries: int | None = None

    @property
    def name(self) -> str:
        """As the ledger shows it: data set, number of training points, learner and options."""
        options = (f"{key}={_shown(value)}" for key, value in self.options)
        return " ".join([f"{self.data}-{len(self.load().X)}", self.learner, *options])

    def number(self, option: str, default: float = 0.0) -> float:
        """An option that is a number."""
        value = dict(self.options).get(option, default)
        if not isinstance(value, int | float):
            raise TypeError(f"{option} of {self.name} is {value!r}, expected a number")
        return float(value)

    @property
    def unit(self) -> str:
        """Of the learner's outputs."""
        return self.load().unit

    def described(self) -> dict[str, Any]:
        """Everything that decides it, as plain values."""
        return dataclasses.asdict(self)

    def load(self) -> datasets.DataSet:
        """The data set, with `n_points` training points or its own default."""
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
    def data(self) -> str: ...
    @property
    def learner(self) -> str: ...
    @property
    def unit(self) -> str: ...
    def described(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Given:
    """A learner that the user made, in place of a `Problem`: for experiments that ask nothing of its data and options."""

    given: Learner
    name: str
    unit: str
    data: str = "given"

    @property
    def learner(self) -> str:
        """Its class."""
        return type(self.given).__name__

    def described(self) -> dict[str, Any]:
        """Its names: what decides the learner stands in the store of its table."""
        return {"data": self.data, "learner": self.learner, "name": self.name}

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
    """

    name: str
    question: str
    cases: tuple[Config, ...]
    small: tuple[Config, ...]
    run: Callable[..., xr.Dataset]
    resize: Callable[[Any, int], Config] = with_points


def labelled(experiment: str, config: Any, coords: Mapping[str, Any], variables: Variables) -> xr.Dataset:
    """A result with named dimensions; variables are name -> (dims, values, what it is). The attributes say what was run."""
    data = {name: xr.Variable(dims, np.asarray(values), {"long_name": text}) for name, (dims, values, text) in variables.items()}
    problem: Asked = config.problem
    settings = dataclasses.asdict(dataclasses.replace(config, problem=None))
    attributes = {
        "experiment": experiment,
        "case": problem.name,
        "data": problem.data,
        "learner": problem.learner,
        "unit": problem.unit,
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
