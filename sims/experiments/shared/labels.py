"""Results with named dimensions, whose attributes say what was run."""

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import xarray as xr
from tqdm import tqdm

from sims.experiments.shared.problem import ProblemFacts
from sims.retrain.provenance import environment
from theory.metrics import compare
from theory.response import Array

__all__ = ["MEASURES", "Variables", "bar", "effect_coords", "labelled", "measures"]

MEASURES = ("slope", "relative_error", "pearson", "spearman")


Variables = dict[str, tuple[tuple[str, ...], Any, str]]
"""Variables of a result: name -> (dims, values, what it is)."""


def labelled(experiment: str, config: Any, coords: Mapping[str, Any], variables: Variables) -> xr.Dataset:
    """A result with named dimensions; variables are name -> (dims, values, what it is). The attributes say what was run."""
    data = {name: xr.Variable(dims, np.asarray(values), {"long_name": text}) for name, (dims, values, text) in variables.items()}
    problem: ProblemFacts = config.problem
    settings = dataclasses.asdict(dataclasses.replace(config, problem=None))
    attributes: dict[str, Any] = {
        "experiment": experiment,
        "case": problem.name,
        "data": problem.label,
        "learner": problem.learner,
        "options": json.dumps(problem.shown_options()),
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
