"""Results of experiments on disk: one zarr group per case, under one folder per experiment of a results folder."""

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from theory.inputs import as_folder, shown
from theory.storage.files import Content
from theory.storage.folder import ResultsFolder

if TYPE_CHECKING:  # loaded where a result is written or read
    import xarray as xr

__all__ = ["case_folder", "experiments_in", "file_name", "read", "save"]


def case_folder(out: Path, experiment: str, case: str) -> Path:
    """Return out/<experiment>/<case>.zarr, with what a file name cannot hold replaced."""
    return out / experiment / f"{file_name(case)}.zarr"


def file_name(text: str) -> str:
    """Return a text with what a file name cannot hold replaced."""
    return re.sub(r"[^A-Za-z0-9._=-]+", "_", text)


def save(result: "xr.Dataset", out: Path) -> Path:
    """Write a result, in place of an earlier one, so that it is there whole or not at all; return its folder.

    `xarray.open_zarr(folder)` reads it: the metadata of all variables stand in one file, and every chunk has a checksum.
    """
    path = case_folder(out, result.attrs["experiment"], result.attrs["case"])
    return ResultsFolder.made(out).put(path.relative_to(out).as_posix(), _to_files(result))


def read(out: Path, experiment: str) -> "list[xr.Dataset]":
    """Read the stored results of an experiment, in the order of their file names; none where nothing is stored.

    Every file is compared with its sha256 in the manifest of the results folder. An OSError names a result that is damaged, that
    is missing although it is listed, or that is there although it is not.
    """
    if not isinstance(experiment, str) or file_name(experiment).strip(".") == "":
        raise ValueError(f"experiment = {shown(experiment)}, expected the name of an experiment, such as 'identity'")
    out = as_folder("out", out)
    folder = ResultsFolder(out)
    listed = {name for name in folder.listed() if name.endswith(".zarr") and name.rpartition("/")[0] == experiment}
    found = {path.relative_to(out).as_posix() for path in (out / experiment).glob("*.zarr")}
    return [_from_files(folder.get(name)) for name in sorted(listed | found)]


def experiments_in(out: Path) -> list[str]:
    """Return the names of all experiments that a results folder has results of, sorted."""
    listed = {name for name in ResultsFolder(out).listed() if name.endswith(".zarr")}
    found = {path.relative_to(out).as_posix() for path in out.glob("*/*.zarr")}
    return sorted({name.rpartition("/")[0] for name in listed | found})


def _to_files(result: "xr.Dataset") -> Mapping[str, bytes]:
    from zarr.buffer.cpu import Buffer
    from zarr.codecs import Crc32cCodec, ZstdCodec
    from zarr.errors import ZarrUserWarning
    from zarr.storage import MemoryStore

    files: dict[str, Buffer] = {}
    checked = {name: {"compressors": [ZstdCodec(), Crc32cCodec()]} for name in result.variables}
    with warnings.catch_warnings():
        # Version 3 of the zarr format does not specify consolidated metadata yet; other readers may ignore them.
        warnings.filterwarnings("ignore", "Consolidated metadata is currently not part", ZarrUserWarning)
        result.to_zarr(MemoryStore(files), mode="w", zarr_format=3, consolidated=True, encoding=checked)  # type: ignore[reportArgumentType]
    return {name: part.to_bytes() for name, part in files.items()}


def _from_files(content: Content) -> "xr.Dataset":
    import xarray as xr
    from zarr.buffer.cpu import Buffer
    from zarr.storage import MemoryStore

    files = cast(Mapping[str, bytes], content)
    store = MemoryStore({name: Buffer.from_bytes(part) for name, part in files.items()})
    return xr.open_zarr(store, chunks=None).load()
