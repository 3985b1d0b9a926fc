"""The module gives arrays named axes, and makes labelled results from them.

`array` names the axes of numbers, and `measured` those of a measurement and its standard errors. `table` joins arrays or
measurements, one for every combination of labels. `labelled` makes the result of an experiment, and records what was run.
"""

import dataclasses
import json
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeVar

import numpy as np
import xarray as xr
from tqdm import tqdm

from sims.experiments.shared.problem import ProblemFacts
from sims.retrain.provenance import environment
from theory.response import Array

__all__ = [
    "MEASURES",
    "Measured",
    "Variables",
    "array",
    "effect_coords",
    "labelled",
    "measured",
    "progress_bar",
    "table",
    "with_warnings",
]

MEASURES = ("slope", "relative_error", "pearson", "spearman")
"""The fields of `theory.metrics.Comparison`, in their order."""

Measured = xr.Dataset
"""A measurement: the variables `value` and `error` (its standard error), with the same dimensions."""

Variables = dict[str, tuple[xr.DataArray | Measured, str]]
"""Variables of a result: name -> (labelled numbers, text that says what they are)."""

_Labelled = TypeVar("_Labelled", xr.DataArray, xr.Dataset)
_ByLabels = Callable[[Any], _Labelled] | Callable[[Any, Any], _Labelled] | Callable[[Any, Any, Any], _Labelled]


def array(values: Any, **coords: Any) -> xr.DataArray:
    """Return an array whose axes are named by the coordinates, in their order.

    >>> array([[1.0, 2.0]], p=[0.5], output=range(2)).dims
    ('p', 'output')
    """
    return xr.DataArray(np.asarray(values), {name: _coordinate(labels) for name, labels in coords.items()}, tuple(coords))


def with_warnings(result: xr.Dataset, texts: Iterable[str]) -> xr.Dataset:
    """Return a result whose attribute `warning` has these texts, too; empty ones and repetitions say nothing.

    >>> with_warnings(xr.Dataset(attrs={"warning": "a"}), ["", "b", "b"]).warning
    'a. b'
    """
    told = dict.fromkeys([result.attrs.get("warning", ""), *texts])
    return result.assign_attrs(warning=". ".join(text for text in told if text)) if any(told) else result


def measured(values: Any, errors: Any, *, errors_over: str = "seeds", **coords: Any) -> Measured:
    """Return a measurement with named axes; `errors` are standard errors over seeds, or over what `errors_over` names."""
    error = array(errors, **coords).assign_attrs(long_name=f"its standard error over {errors_over}")
    return xr.Dataset({"value": array(values, **coords), "error": error})


def table(function: _ByLabels[_Labelled], **coords: Iterable[Any]) -> _Labelled:
    """Call `function(label, ..)` for every combination of labels; each coordinate becomes a leading dimension of what it returns.

    >>> powers = table(lambda base, scale: array([base, base**2], power=[1, 2]) * scale, base=[3, 5], scale=[1, 10, 100])
    >>> powers.dims, int(powers.sel(base=5, scale=10, power=2))
    (('base', 'scale', 'power'), 250)
    """
    (name, labels), *others = coords.items()
    labels = list(labels)
    parts: Any = [table(partial(function, label), **dict(others)) if others else partial(function, label)() for label in labels]
    along = xr.DataArray(_coordinate(labels), dims=name, name=name)
    joined: Any = xr.concat(
        parts, along, data_vars="all", coords="minimal", compat="override", join="exact", combine_attrs="override"
    )
    return joined


def labelled(experiment: str, config: Any, variables: Variables) -> xr.Dataset:
    """Return a result with the given variables; a measurement becomes NAME and NAME_error. Attributes record what was run."""
    data = list[xr.DataArray]()
    for name, (found, text) in variables.items():
        is_measured = isinstance(found, xr.Dataset)
        data.append((found["value"] if is_measured else found).rename(name).assign_attrs(long_name=text))
        if is_measured:
            data.append(found["error"].rename(f"{name}_error"))
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
    result = xr.merge(data, join="exact", compat="equals", combine_attrs="override")
    return result.assign_attrs({**attributes, **environment()})


def _coordinate(labels: Any) -> Any:
    """Return labels as an array that zarr can store."""
    values = np.asarray(list(labels))
    return values.astype(object) if values.dtype.kind == "U" else values  # zarr has no stable fixed-width strings


def effect_coords(effect: Array) -> dict[str, Any]:
    """Return the coordinates `point` and `output` of an effect (N, M)."""
    return {"point": np.arange(effect.shape[0]), "output": np.arange(effect.shape[1])}


def progress_bar(title: str, shown: bool) -> Callable[[Iterable[int]], Iterable[int]]:
    """Return a function that adds a progress bar to a loop; no bar appears unless `shown` and the output is a terminal."""
    return lambda loop: tqdm(loop, desc=title, leave=False, disable=None if shown else True)
