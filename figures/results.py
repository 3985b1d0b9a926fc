"""Read stored results: every case of an experiment, checked to be there, what they are told by, and how pictures name a case."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr

__all__ = ["Retrainings", "config_of", "data_name", "fingerprint", "learner_name", "options", "read", "read_all", "retrainings"]

_LEARNERS = {
    "least_squares": "ridge",
    "mlp": "network",
    "one_step": "one gradient step",
    "bistable": "two wells",
    "moving_jump": "moving threshold",
}
"""As titles say them, where that is not the module's name."""


def read(folder: Path, experiment: str) -> list[xr.Dataset]:
    """The results of all cases of an experiment in a results folder, sorted by file name."""
    cases = sorted((folder / experiment).glob("*.zarr"))
    if not cases:
        raise FileNotFoundError(
            f"no results of {experiment!r} in {folder}, expected {folder / experiment}/*.zarr: run first "
            f"`python -m sims run {experiment} --out {folder}`"
        )
    return [_read_case(case) for case in cases]


def _read_case(case: Path) -> xr.Dataset:
    try:
        return xr.open_zarr(case, consolidated=False, chunks=None).load()
    except Exception as error:  # whatever the codecs say of a damaged chunk
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"{case} cannot be read ({reason}): delete it and run its experiment again") from error


def read_all(folder: Path) -> dict[str, list[xr.Dataset]]:
    """Every experiment that a results folder has, by name."""
    names = sorted({case.parent.name for case in folder.glob("*/*.zarr")})
    return {name: read(folder, name) for name in names}


def fingerprint(ds: xr.Dataset) -> str:
    """sha256 of everything that a case holds: variables in the order of their names, with dimensions and type, and attributes."""
    digest = hashlib.sha256(json.dumps(ds.attrs, sort_keys=True, default=str).encode())
    for name in sorted(map(str, ds.variables)):
        values = ds[name].values
        numbers = values.dtype.kind in "biuf"
        digest.update(f"\n{name} {ds[name].dims} {values.shape} {values.dtype if numbers else 'text'}\n".encode())
        digest.update(values.tobytes() if numbers else json.dumps(values.tolist(), default=str).encode())
    return digest.hexdigest()


def config_of(ds: xr.Dataset) -> Any:
    """What the case was run with: its attribute `config`, as values."""
    return json.loads(ds.attrs.get("config", "null"))


def is_users(ds: xr.Dataset) -> bool:
    """Is the case one of a user's own data (told by what decides it, where the project's have a name) or learner (by a name)?"""
    problem = (config_of(ds) or {}).get("problem") or {}
    return isinstance(problem.get("data"), dict) or "name" in problem


@dataclass(frozen=True)
class Retrainings:
    """What a results folder cost: its tables of responses, the fits in them, and the machines that made them."""

    tables: int
    fits: int
    machines: tuple[str, ...]


def retrainings(folder: Path) -> Retrainings:
    """Count the fits of every stored table: its subsets times its seeds."""
    stores = [json.loads(file.read_text()) for file in sorted(folder.glob("*/*.table/run.json"))]
    machines = {
        f"{made['machine']}, vector extensions {' '.join(made['simd'])}, BLAS kernels {' '.join(made['blas'])}"
        for made in (store["hardware"] for store in stores)
    }
    fits = sum(store["table"]["n_subsets"] * len(store["table"]["seeds"]) for store in stores)
    return Retrainings(len(stores), fits, tuple(sorted(machines)))


def data_name(ds: xr.Dataset) -> str:
    """Data set and number of training points of a case, as a text that matplotlib draws as it is: "Two moons, N = 8"."""
    name, n, _ = _parts(ds)
    plain = re.sub(r"[\x00-\x1f\x7f]", "\N{REPLACEMENT CHARACTER}", name.replace("_", " "))
    return rf"{plain[:1].upper()}{plain[1:]}, N = {n}".replace("$", r"\$")


def learner_name(ds: xr.Dataset) -> str:
    """As titles say it: "network"."""
    name = str(ds.attrs["learner"])
    return _LEARNERS.get(name, name.replace("_", " "))


def options(ds: xr.Dataset) -> dict[str, str]:
    """What the learner of a case was built with, by name."""
    return dict(part.split("=", 1) for part in _parts(ds)[2])


def _parts(ds: xr.Dataset) -> tuple[str, str, Sequence[str]]:
    """Data set, number of points and options of a case that is called "<data>-<N> <learner> <option>=<value> ..."."""
    case, data = str(ds.attrs["case"]), str(ds.attrs["data"])
    found = re.fullmatch(rf"{re.escape(data)}-(\d+)( .*)?", case, re.DOTALL)
    if found is None:
        raise ValueError(f"the case {case!r} of data set {data!r} has an unexpected name, expected {data}-<points> <learner> ..")
    return data, found[1], (found[2] or "").split()[1:]
