"""The module draws a figure and makes its sidecar, which records results, scripts, versions and the sha256 of the files."""

import json
import platform
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import xarray as xr
from matplotlib import ft2font

import figures
from figures.catalogue import figure_module
from figures.results import config_of, fingerprint, is_users
from figures.style import render
from theory.claims import first_data
from theory.storage import digest, keep

__all__ = ["Picture", "Results", "draw_picture", "versions"]

Results = Mapping[str, Sequence[xr.Dataset]]
"""Name of an experiment -> the results of its cases."""


@dataclass(frozen=True)
class Picture:
    """A picture holds a figure as files, the texts that the report shows with it, and the record for its sidecar."""

    name: str
    caption: str
    alt: str
    claims: tuple[str, ...]
    files: Mapping[str, bytes]  # by suffix
    record: Mapping[str, Any]

    def save(self, folder: Path) -> list[Path]:
        """Write NAME.png, NAME.svg and last the sidecar NAME.json, each completely or not at all; return their paths."""
        sidecar = json.dumps(self.record, indent=2).encode() + b"\n"
        return [keep(folder / f"{self.name}.{suffix}", content) for suffix, content in {**self.files, "json": sidecar}.items()]


def draw_picture(name: str, results: Results) -> Picture:
    """Draw the figure `name` from results that include all its experiments, without those that repeat a case on other data.

    The title states what was found on the project's data sets. It may be wrong for a user's own data or learner; there the
    caption takes its place.
    """
    module, caption, results = figure_module(name), str(figure_module(name).__doc__).splitlines()[0], first_data(results)
    data = _data(module, [results[experiment] for experiment in module.EXPERIMENTS])
    figure = module.draw(data)
    if any(is_users(ds) for experiment in module.EXPERIMENTS for ds in results[experiment]):
        figure.suptitle(textwrap.fill(caption.rstrip("."), round(9 * figure.get_figwidth())), fontsize=14)
    files, alt = render(figure), module.alt(data).replace(r"\$", "$")  # an escape of matplotlib's
    record = {
        "figure": name,
        "description": alt,
        "results": {experiment: _cases(results[experiment]) for experiment in module.EXPERIMENTS},
        "scripts": {file: digest((Path(figures.__path__[0]) / file).read_bytes()) for file in (f"fig_{name}.py", *_SHARED)},
        "versions": versions(),
        "files": {f"{name}.{suffix}": digest(content) for suffix, content in files.items()},
    }
    return Picture(name, caption, alt, module.CLAIMS, files, record)


def _data(module: Any, results: Sequence[Sequence[xr.Dataset]]) -> Any:
    """Return what a figure shows; raise ValueError where the results of changed cases do not have what it asks for."""
    try:
        return module.data(*results)
    except LookupError as error:
        changed = {str(ds.attrs["changed"]) for cases in results for ds in cases if "changed" in ds.attrs}
        if not changed:
            raise
        lacks = str(error).partition(". Try ")[0].strip("\"'")  # what xarray says of a label that is missing
        raise ValueError(f"the changed cases ({'; '.join(sorted(changed))}) do not have what it shows: {lacks}") from error


_SHARED = ("results.py", "style.py")
"""Files that decide how every picture looks, in addition to its own script."""


def _cases(results: Sequence[xr.Dataset]) -> dict[str, Any]:
    """Return for each case the sha256 of the data, the config and, if the result has them, the seeds."""
    return {
        str(ds.attrs.get("case", position)): {
            "sha256": fingerprint(ds),
            "config": config_of(ds),
            **({"seeds": ds["seed"].values.tolist()} if "seed" in ds.coords else {}),
        }
        for position, ds in enumerate(results)
    }


def versions() -> dict[str, str]:
    """Return the versions of the software that decides the bytes of a picture."""
    packages = ("numpy", "matplotlib", "pillow", "xarray", "zarr")
    return {
        "python": platform.python_version(),
        "freetype": ft2font.__freetype_version__,
        **{package: version(package) for package in packages},
    }
