"""The module reads stored results, and gives their cases the names that pictures use."""

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr

from theory import storage

__all__ = [
    "Retrainings",
    "by_optimizer",
    "config_of",
    "data_label",
    "data_name",
    "fingerprint",
    "learner_name",
    "options",
    "read",
    "read_all",
    "retrainings",
]

_LEARNERS = {
    "least_squares": "ridge",
    "mlp": "network",
    "softmax_regression": "softmax",
    "one_step": "one gradient step",
    "bistable": "two wells",
    "moving_jump": "moving threshold",
}
"""Learners as titles name them, where that differs from the module's name."""


_DATA = {"digits": "digits 0 to 9", "digits_pooled": "digits 3, 5, 8", "digits_components": "digits 3, 5, 8 (components)"}
"""Data sets as titles name them, where that is not their name."""


def read(folder: Path, experiment: str) -> list[xr.Dataset]:
    """Read the results of all cases of an experiment in a results folder, sorted by file name."""
    cases = storage.read(folder, experiment)
    if not cases:
        raise FileNotFoundError(
            f"no results of {experiment!r} in {folder}, expected {folder / experiment}/*.zarr: run first "
            f"`python -m sims run {experiment} --out {folder}`"
        )
    return cases


def read_all(folder: Path) -> dict[str, list[xr.Dataset]]:
    """Read the results of every experiment in a results folder, by name."""
    return {name: read(folder, name) for name in storage.experiments_in(folder)}


def fingerprint(ds: xr.Dataset) -> str:
    """Return the sha256 of a case: of its attributes and its variables by name, with dimensions and type."""
    digest = hashlib.sha256(json.dumps(ds.attrs, sort_keys=True, default=str).encode())
    for name in sorted(map(str, ds.variables)):
        values = ds[name].values
        numbers = values.dtype.kind in "biuf"
        digest.update(f"\n{name} {ds[name].dims} {values.shape} {values.dtype if numbers else 'text'}\n".encode())
        digest.update(values.tobytes() if numbers else json.dumps(values.tolist(), default=str).encode())
    return digest.hexdigest()


def config_of(ds: xr.Dataset) -> Any:
    """Return the configuration that the case was run with: its attribute `config`, read from JSON."""
    return json.loads(ds.attrs.get("config", "null"))


def is_users(ds: xr.Dataset) -> bool:
    """Return whether the case uses a user's own data (recorded as a dict, not a name) or learner (recorded with a name)."""
    problem = (config_of(ds) or {}).get("problem") or {}
    return isinstance(problem.get("data"), dict) or "name" in problem


@dataclass(frozen=True)
class Retrainings:
    """The class holds the number of stored tables of responses, of the fits in them, and the machines that computed them."""

    tables: int
    fits: int
    machines: tuple[str, ...]


def retrainings(folder: Path) -> Retrainings:
    """Count the fits of every stored table: its subsets times its seeds."""
    machines: set[str] = set()
    fits = tables = 0
    for stored in sorted(folder.glob("*/*.table")):
        file, journal = stored / "run.json", stored / "journal.jsonl"
        if not file.exists() and not (journal.exists() and journal.stat().st_size):
            continue  # it was not begun
        try:
            run = dict(json.loads(file.read_bytes()))
            sound = run.pop("fingerprint") == storage.json_digest(run)
            made, table = run["hardware"], run["table"]
            machines.add(f"{made['machine']}, vector extensions {' '.join(made['simd'])}, BLAS kernels {' '.join(made['blas'])}")
            fits += table["n_subsets"] * len(table["seeds"])
        except (OSError, ValueError, LookupError, TypeError):
            sound = False
        if not sound:
            raise ValueError(f"{file} is missing, or was edited or damaged: `python -m sims check '{folder}' --repair`")
        tables += 1
    return Retrainings(tables, fits, tuple(sorted(machines)))


def data_name(ds: xr.Dataset) -> str:
    """Return data set and number of points of a case, such as "Two moons, N = 8", with $ escaped for matplotlib."""
    return f"{data_label(ds)}, N = {_attribute(ds, 'n_points')}"


def data_label(ds: xr.Dataset) -> str:
    """Return the data set of a case, such as "Two moons", with $ escaped for matplotlib."""
    name = str(_attribute(ds, "data"))
    printable = re.sub(r"[\x00-\x1f\x7f]", "\N{REPLACEMENT CHARACTER}", _DATA.get(name, name).replace("_", " "))
    return f"{printable[:1].upper()}{printable[1:]}".replace("$", r"\$")


def learner_name(ds: xr.Dataset) -> str:
    """Return the learner of a case as titles name it, such as "network"."""
    name = str(_attribute(ds, "learner"))
    return _LEARNERS.get(name, name.replace("_", " "))


def by_optimizer(ds: xr.Dataset) -> str:
    """Return " by adam" for a network that was trained by adam, and nothing where training is descent."""
    optimizer = options(ds).get("optimizer", "sgd")
    return "" if optimizer == "sgd" else f" by {optimizer}"


def options(ds: xr.Dataset) -> dict[str, str]:
    """Return the options that the learner of a case was built with, by name: {"l2": "0.1", "hidden": "4x4"}."""
    return json.loads(_attribute(ds, "options"))


def _attribute(ds: xr.Dataset, name: str) -> Any:
    """Return an attribute of a result; raise ValueError, with the command to rerun, if an earlier version did not write it."""
    if name not in ds.attrs:
        raise ValueError(
            f"{ds.attrs.get('case', 'a result')} has no attribute {name!r}: an earlier version stored it; run again "
            f"`python -m sims run {ds.attrs.get('experiment', 'EXPERIMENT')}`"
        )
    return ds.attrs[name]
