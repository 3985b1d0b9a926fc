"""Read stored results: every case of an experiment, checked to be there, and how pictures name a case."""

from pathlib import Path

import xarray as xr

__all__ = ["LEARNERS", "data_name", "options", "read"]

LEARNERS = {
    "least_squares": "ridge",
    "logistic": "logistic",
    "mlp": "network",
    "kernel_sum": "kernel sum",
    "one_step": "one gradient step",
    "interpolator": "interpolator",
    "bistable": "two wells",
    "moving_jump": "moving threshold",
}
"""As titles say them."""


def read(folder: Path, experiment: str) -> list[xr.Dataset]:
    """The results of all cases of an experiment in a results folder, sorted by file name."""
    cases = sorted((folder / experiment).glob("*.zarr"))
    if not cases:
        raise FileNotFoundError(
            f"no results of {experiment!r} in {folder}, expected {folder / experiment}/*.zarr: run first "
            f"`python -m sims run {experiment} --out {folder}`"
        )
    return [xr.open_zarr(case, consolidated=False).load() for case in cases]


def data_name(ds: xr.Dataset) -> str:
    """Data set and number of training points of a case: "Two moons, N = 8"."""
    name, n = str(ds.attrs["case"]).split()[0].rsplit("-", 1)
    return f"{name.replace('_', ' ').capitalize()}, N = {n}"


def options(ds: xr.Dataset) -> dict[str, str]:
    """What the learner of a case was built with, by name."""
    return dict(part.split("=") for part in str(ds.attrs["case"]).split()[2:])
