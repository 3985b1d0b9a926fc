"""Where an experiment keeps its results and its tables of responses, and how they are written and read."""

from pathlib import Path

from theory.storage.results import case_folder, file_name, read, save

__all__ = ["case_folder", "read", "save", "table_folder"]


def table_folder(out: Path, experiment: str, case: str, part: str = "") -> Path:
    """Return out/<experiment>/<case>.table, or <case>.<part>.table, for responses."""
    return out / experiment / f"{file_name(f'{case}.{part}' if part else case)}.table"
