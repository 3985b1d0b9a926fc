"""Read stored results: every case of an experiment, checked to be there."""

from pathlib import Path

import xarray as xr

__all__ = ["read"]


def read(folder: Path, experiment: str) -> list[xr.Dataset]:
    """The results of all cases of an experiment in a results folder, sorted by file name."""
    cases = sorted((folder / experiment).glob("*.zarr"))
    if not cases:
        raise FileNotFoundError(
            f"no results of {experiment!r} in {folder}, expected {folder / experiment}/*.zarr: run first "
            f"`python -m sims run {experiment} --out {folder}`"
        )
    return [xr.open_zarr(case, consolidated=False).load() for case in cases]
