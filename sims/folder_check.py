"""Check everything that a folder keeps: tables of responses, results, and all files that the manifest lists."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sims.retrain import store
from theory.storage import MANIFEST, ResultsFolder

__all__ = ["Checked", "check_folder", "contents"]


@dataclass(frozen=True)
class Checked:
    """What a check found in one table or one results folder."""

    path: Path
    faults: tuple[str, ...]
    missing: int  # blocks of a table to compute, or files of a results folder to make again
    unit: str  # "blocks" or "files"


def check_folder(folder: Path, *, repair: bool = False) -> Iterator[Checked]:
    """Check every results folder and every table in a folder and below it; an error in one is a fault of it, and ends nothing."""
    for path in _results_folders(folder):
        try:
            faults, missing = ResultsFolder(path).check(repair=repair)
        except OSError as error:
            faults, missing = [str(error)], 0
        yield Checked(path, tuple(faults), missing, "files")
    for path in store.find_stores(folder):
        try:
            damages, missing = store.check(path, repair=repair)
            faults = [damage.reason for damage in damages]
        except OSError as error:
            faults, missing = [str(error)], 0
        yield Checked(path, tuple(faults), missing, "blocks")


def _results_folders(folder: Path) -> list[Path]:
    """Return the folders that have a manifest, or that have results and should have one."""
    results = (path for path in folder.rglob("*.zarr") if path.name not in ("responses.zarr", "responses.partial.zarr"))
    return sorted({*(path.parent for path in folder.rglob(MANIFEST)), *(path.parent.parent for path in results)})


def contents(folder: Path) -> tuple[int, int]:
    """Return how many files a folder and those below it have, and their bytes."""
    sizes = [file.stat().st_size for file in folder.rglob("*") if file.is_file()]
    return len(sizes), sum(sizes)
