"""Check what callers pass: seeds, numbers, arrays, names, folders, executors.

Every function takes the name of the argument and what was given, and returns it in the one form that the project computes with.
What has a plain meaning is used: NumPy's numbers, ranges, tuples, generators of seeds, arrays of any library. Everything else
raises a ValueError that says what was given, what is expected and what to do. Only NumPy is imported here, so that all of
`theory` and `sims` can use it.
"""

import math
import os
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from itertools import islice
from numbers import Real
from operator import index
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "as_count",
    "as_executor",
    "as_folder",
    "as_number",
    "as_numbers",
    "as_seed",
    "as_seeds",
    "one_of",
    "require_finite",
    "shown",
]

Array = NDArray[np.float64]

END_OF_SEEDS = 2**63
"""Seeds are smaller than this: stores keep them as signed integers of 64 bits."""

MOST_SEEDS = 2**22


# --- seeds ------------------------------------------------------------------------------------------------------------------


def as_seeds(seeds: Iterable[int]) -> tuple[int, ...]:
    """Return the seeds as a tuple; raise ValueError unless they are distinct integers, 0 <= seed < 2^63, at least one.

    >>> as_seeds(range(3)), as_seeds(np.array([5, 0])), as_seeds(2 * k for k in range(2))
    ((0, 1, 2), (5, 0), (0, 2))
    """
    example = "a sequence of integers >= 0, such as range(8) or (0,)"
    if isinstance(seeds, (str, bytes, Set, Mapping)) or not hasattr(seeds, "__iter__"):
        raise ValueError(f"seeds = {shown(seeds)}, expected {example}")
    try:
        enough = len(seeds) > MOST_SEEDS if isinstance(seeds, Sequence) else False
        given = tuple(islice(seeds, 1 if enough else MOST_SEEDS + 1))
    except TypeError:  # an array without dimensions
        raise ValueError(f"seeds = {shown(seeds)}, expected {example}") from None
    if not given:
        raise ValueError("seeds is empty, expected at least one: F is the mean over the given seeds")
    if enough or len(given) > MOST_SEEDS:
        raise ValueError(f"seeds has more than {MOST_SEEDS:,} entries, expected fewer: train them in several calls")
    values = tuple(_index(seed) for seed in given)
    if None in values and not all(isinstance(seed, Real) for seed in given):
        raise ValueError(f"seeds = {shown(given)}, expected {example}")
    integers = cast(tuple[int, ...], values)
    if None in values or len(set(values)) != len(values) or min(integers) < 0 or max(integers) >= END_OF_SEEDS:
        raise ValueError(
            f"seeds {shown(given)} must be distinct integers >= 0 and < 2**63: a repeated seed would count twice in the mean"
        )
    return integers


def as_seed(seed: int, name: str = "seed") -> int:
    """Return one seed; raise ValueError unless it is an integer with 0 <= seed < 2^63."""
    value = _index(seed)
    if value is None or not 0 <= value < END_OF_SEEDS:
        raise ValueError(f"{name} = {shown(seed)}, expected 0 <= {name} < 2**63, a whole number")
    return value


def _index(value: Any) -> int | None:
    """Return an integer as Python's own; None for anything else, True and False included."""
    if isinstance(value, (bool, np.ndarray)):
        return None
    try:
        return index(value)
    except TypeError:
        return None


# --- single numbers and names -------------------------------------------------------------------------------------------------


def as_number(
    name: str,
    value: Any,
    expected: str = "a finite number",
    *,
    least: float = -math.inf,
    above: float = -math.inf,
    below: float = math.inf,
    most: float = math.inf,
) -> float:
    """Return a real number as a float; raise ValueError unless it is finite and within the bounds, which `expected` words.

    >>> as_number("p", np.float32(0.25), "0 < p < 1", above=0.0, below=1.0)
    0.25
    """
    number = _scalar(value)
    if number is None or not (above < number < below and least <= number <= most):
        raise ValueError(f"{name} = {shown(value)}, expected {expected}")
    return float(number)


def as_count(name: str, value: Any, why: str = "", *, least: int = 1) -> int:
    """Return a whole number as an int; raise ValueError unless it is at least `least`.

    >>> as_count("nodes", np.int64(8)), as_count("nodes", 8.0)
    (8, 8)
    """
    number = _scalar(value)
    if number is None or number != int(number) or number < least:
        raise ValueError(f"{name} = {shown(value)}, expected a whole number >= {least}{why}")
    return int(number)


def _scalar(value: Any) -> Any:
    """Return a finite real number, which may be an array without dimensions; None for anything else, True and False included."""
    number: Any = value.item() if _is_array(value) and np.ndim(value) == 0 else value
    real = issubclass(type(number), Real) and not issubclass(type(number), bool)
    return number if real and -math.inf < number < math.inf else None


def _is_array(value: Any) -> bool:
    """Return whether a value is a plain array, and not one of a subclass, such as a masked one."""
    return type(value) is np.ndarray


def one_of(name: str, value: Any, allowed: Collection[str]) -> None:
    """Raise ValueError unless the value is one of the allowed names."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name} {shown(value)} is unknown, expected one of {', '.join(map(str, allowed))}")


# --- arrays -------------------------------------------------------------------------------------------------------------------


def as_numbers(name: str, value: ArrayLike, expected: str = "", *, finite: bool = False) -> Array:
    """Return real numbers as a float64 array, the same object where it is one.

    Raises ValueError for text, complex numbers, masked entries, dates, None, other objects and lists of unequal length; with
    `finite` for an entry that is not finite.

    >>> as_numbers("y", [0, 1])
    array([0., 1.])
    """
    wanted = f"expected an array of real numbers{': ' if expected else ''}{expected}"
    if isinstance(value, np.ma.MaskedArray):
        raise ValueError(f"{name} is a masked array, {wanted}; fill or drop what is masked")
    try:
        found = np.asarray(value)
    except Exception as error:  # or objects of other libraries that refuse
        raise ValueError(f"{name} is not an array of numbers (lists of unequal length?), {wanted}") from error
    if found.dtype.kind not in "biuf":
        held = {"O": "objects", "U": "text", "S": "text", "c": "complex numbers", "M": "dates", "m": "times"}
        raise ValueError(f"{name} is not an array of numbers but of {held.get(found.dtype.kind, found.dtype)}, {wanted}")
    with np.errstate(over="ignore"):  # wider numbers than float64 become infinite, which is checked
        values = np.asarray(found, dtype=np.float64)
    if finite:
        require_finite(values, name)
    return values


def require_finite(values: Array, name: str) -> None:
    """Raise ValueError if an entry is not finite; the message names the entry."""
    if not np.isfinite(values).all():
        where = tuple(int(k) for k in np.argwhere(~np.isfinite(values))[0])
        place = f"[{', '.join(map(str, where))}]" if where else ""
        words = f" (row {where[0]}{f', column {where[1]}' if len(where) > 1 else ''})" if where else ""
        raise ValueError(f"{name}{place} is {values[where]}{words}: expected a finite number; drop or impute it")


# --- where to store, and where to compute -------------------------------------------------------------------------------------


def as_folder(name: str, folder: Any) -> Path:
    """Return the path of a folder that is there or can be made; raise ValueError or OSError for what names no folder."""
    text: Any = os.fspath(folder) if isinstance(folder, str | os.PathLike) else None  # type: ignore[reportUnknownVariableType]
    if not isinstance(text, str) or not text.strip() or "\0" in text:
        raise ValueError(f"{name} = {shown(folder)}, expected the path of a folder: '.' is the current one")
    path = Path(text)
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(f"{name} = {shown(text)} is a file, expected a folder: choose another path")
    return path


def as_executor(executor: Any) -> Any:
    """Return None, a number of processes >= 1, or an object with `submit`; raise ValueError for anything else."""
    if executor is None or (callable(getattr(executor, "submit", None)) and not isinstance(executor, type)):
        return executor
    processes = _index(executor)
    if processes is None or processes < 1:
        raise ValueError(
            f"executor = {shown(executor)}, expected a number of processes >= 1, an object with submit(function, argument), or "
            "None to compute here"
        )
    return processes


# --- messages ------------------------------------------------------------------------------------------------------------------


def shown(value: Any) -> str:
    """Return a short text of a value for a message, whatever its own repr does."""
    if _is_array(value) and np.ndim(value):
        return f"an array of shape {np.shape(value)}"
    try:
        text = str(value) if issubclass(type(value), np.number) else repr(value)
    except Exception:
        return f"a {type(value).__name__}"
    return text if len(text) <= 200 else f"{text[:200]}.."
