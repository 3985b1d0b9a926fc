"""The module stores results on disk: one zarr group per case, in one folder per experiment."""

import re
import shutil
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # loaded where a result is written or read
    import xarray as xr

__all__ = ["case_folder", "read", "save", "table_folder"]


def case_folder(out: Path, experiment: str, case: str) -> Path:
    """Return the folder out/<experiment>/<case>.zarr; characters that are unsafe in file names become "_"."""
    return out / experiment / f"{_file_name(case)}.zarr"


def table_folder(out: Path, experiment: str, case: str, part: str = "") -> Path:
    """Return the folder for responses: out/<experiment>/<case>.table, or <case>.<part>.table."""
    return out / experiment / f"{_file_name(f'{case}.{part}' if part else case)}.table"


def _file_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._=-]+", "_", text)


def save(result: "xr.Dataset", out: Path) -> Path:
    """Write a result completely or not at all, in place of an earlier one; return its folder.

    `xarray.open_zarr(folder)` reads it. The metadata of all variables are in one file, and every chunk has a checksum.
    """
    from zarr.codecs import Crc32cCodec, ZstdCodec
    from zarr.errors import ZarrUserWarning

    folder = case_folder(out, result.attrs["experiment"], result.attrs["case"])
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    checked = {name: {"compressors": [ZstdCodec(), Crc32cCodec()]} for name in result.variables}
    with warnings.catch_warnings():
        # Version 3 of the zarr format does not specify consolidated metadata yet; other readers may ignore them.
        warnings.filterwarnings("ignore", "Consolidated metadata is currently not part", ZarrUserWarning)
        result.to_zarr(partial, mode="w", zarr_format=3, consolidated=True, encoding=checked)
    if folder.exists():
        shutil.rmtree(folder)
    partial.rename(folder)
    return folder


def read(out: Path, experiment: str) -> "list[xr.Dataset]":
    """Return the stored results of an experiment in the order of their file names; the list is empty if nothing is stored."""
    import xarray as xr

    return [xr.open_zarr(case).load() for case in sorted((out / experiment).glob("*.zarr"))]
