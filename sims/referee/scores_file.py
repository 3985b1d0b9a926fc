"""Read attribution scores from a file: .npy, .npz, .csv, or .pt of PyTorch. Nothing in it is ever executed."""

import csv
import importlib
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

__all__ = ["ENDINGS", "read_scores"]


def read_scores(path: Path | str) -> NDArray[Any]:
    r"""Return the array of scores in a file; an .npz needs one array, or one named "scores".

    A .csv has a line per row and commas, and perhaps a first line of names. A .pt has one tensor, read by PyTorch's loader of
    plain weights. Pickled objects are refused.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "scores.csv"
    ...     _ = path.write_text("a,b\n1,2\n3,4\n")
    ...     read_scores(path).tolist()
    [[1.0, 2.0], [3.0, 4.0]]
    """
    path = Path(path)
    if path.suffix not in ENDINGS:
        raise ValueError(f"{path} ends in {path.suffix!r}, expected one of {', '.join(ENDINGS)}")
    if not path.is_file():
        raise ValueError(f"{path} is no file, expected scores in one of {', '.join(ENDINGS)}")
    return ENDINGS[path.suffix](path)


def _npy(path: Path) -> NDArray[Any]:
    try:
        return np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path} is no .npy file of plain numbers: {error}") from None


def _npz(path: Path) -> NDArray[Any]:
    try:
        with np.load(path, allow_pickle=False) as file:
            names = list(file.files)
            if "scores" not in names and len(names) != 1:
                raise ValueError(f"it has the arrays {', '.join(names) or 'none'}, expected one, or one that is named 'scores'")
            return file["scores" if "scores" in names else names[0]]
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is no .npz file of scores: {error}") from None


def _csv(path: Path) -> NDArray[Any]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is no .csv file of text in UTF-8: {error}") from None
    if rows and not _are_numbers(rows[0]):
        rows = rows[1:]
    widths = {len(row) for row in rows}
    if len(widths) != 1:
        raise ValueError(f"{path} has rows of {', '.join(map(str, sorted(widths))) or 'no'} cells, expected as many in each")
    for number, row in enumerate(rows, 1):
        if not _are_numbers(row):
            raise ValueError(f"{path}, row {number} of numbers: {', '.join(row[:4])} are not all numbers")
    return np.array(rows, dtype=np.float64)


def _are_numbers(cells: list[str]) -> bool:
    try:
        return bool([float(cell) for cell in cells])
    except ValueError:
        return False


def _pt(path: Path) -> NDArray[Any]:
    try:
        torch: Any = importlib.import_module("torch")
    except ImportError:
        raise ImportError(f"{path} needs PyTorch, the extra 'torch': or save the scores with numpy.save") from None
    try:
        found: Any = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # PyTorch raises many kinds
        raise ValueError(f"{path} is no file of plain tensors: {error}") from None
    if isinstance(found, dict):
        named = cast("dict[str, Any]", found)
        found = named.get("scores", next(iter(named.values())) if len(named) == 1 else None)
    if not hasattr(found, "detach"):
        raise ValueError(f"{path} has no tensor, expected one, or a dict with 'scores'")
    return found.detach().cpu().numpy()


ENDINGS: dict[str, Callable[[Path], NDArray[Any]]] = {".npy": _npy, ".npz": _npz, ".csv": _csv, ".pt": _pt}
"""The endings of files with scores, and what reads them."""
