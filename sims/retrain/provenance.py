"""What decides the bits of a result: learner, data, code, versions, machine."""

import hashlib
import inspect
import platform
import sys
from functools import cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_info

from theory.response import Array, Learner, deciding_values

__all__ = ["environment", "hardware", "settings_of"]


def environment() -> dict[str, str]:
    """Versions and machine, for results and ledgers."""
    packages = ("dfdw", "numpy", "scipy", "statsmodels", "xarray", "zarr", "numba", "llvmlite")
    return {"python": platform.python_version(), "machine": platform.machine(), **{name: version(name) for name in packages}}


@cache
def hardware() -> dict[str, Any]:
    """What chooses the machine code: the vector extensions that numpy found, and the kernels of every BLAS."""
    import_module("scipy.linalg")  # loads the BLAS of scipy, which is another one than numpy's

    libraries = cast(list[dict[str, Any]], threadpool_info())
    blas = sorted({str(info.get("architecture")) for info in libraries if info["user_api"] == "blas"})
    return {"machine": platform.machine(), "simd": _vector_extensions(), "blas": blas}


def _vector_extensions() -> list[str]:
    """Those that numpy finds on this machine."""
    simd: dict[str, list[str]] = np.show_config(mode="dicts").get("SIMD Extensions", {})  # type: ignore[assignment, union-attr]
    return [*simd.get("baseline", []), *simd.get("found", [])]


def settings_of(learner: Learner, weights: Array | None = None) -> dict[str, Any]:
    """Everything that decides a bit of a learner's responses to weights, or to all subsets, as plain JSON values.

    Of a learner these are its class, the source files behind it, and its `theory.response.deciding_values`: arrays by shape and
    sha256, other values as they are. A value of any other type is refused: two different learners could look the same.
    """
    kind = type(learner)
    return {
        "learner": {
            "class": f"{kind.__module__}.{kind.__qualname__}",
            **{name: _as_json(value, f"{kind.__name__}.{name}") for name, value in deciding_values(learner).items()},
        },
        "code": _code(kind),
        "versions": {name: version(name) for name in ("numpy", "scipy", "numba", "llvmlite")},
        "hardware": hardware(),
        **({} if weights is None else {"weights": _as_json(weights, "weights")}),
    }


def _as_json(value: Any, name: str) -> Any:
    if isinstance(value, np.ndarray):
        array = cast(NDArray[Any], np.ascontiguousarray(value))  # type: ignore[reportUnknownArgumentType]
        return f"{array.dtype} {array.shape} sha256 {hashlib.sha256(array.tobytes()).hexdigest()}"
    if isinstance(value, np.generic):
        return _as_json(value.item(), name)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple | list):
        return [_as_json(item, name) for item in value]  # type: ignore[reportUnknownVariableType]
    if isinstance(value, dict):
        return {key: _as_json(item, f"{name}[{key!r}]") for key, item in cast(dict[str, Any], value).items()}
    raise TypeError(
        f"{name} is a {type(value).__name__}, expected numbers, text, arrays, or lists of them: a store keeps the values that "
        "decide its table; give a learner that is made of other things a method `fingerprint()` that returns such values by name"
    )


def _code(kind: type) -> str:
    """sha256 of the files of class and bases, of the learners' own modules, of masks, random streams and compilation."""
    root = Path(__file__).parents[2]
    files = {*(root / "sims/learners").rglob("*.py"), *(root / name for name in _DECISIVE)}
    for base in kind.__mro__:
        if base.__module__.partition(".")[0] not in sys.stdlib_module_names - {"__main__"}:
            files.add(_source(base))
    digests = sorted(hashlib.sha256(file.read_bytes()).digest() for file in files)  # wherever they are, whatever their names
    return hashlib.sha256(b"".join(digests)).hexdigest()


def _source(kind: type) -> Path:
    try:
        return Path(inspect.getfile(kind))
    except (OSError, TypeError) as error:
        raise ValueError(
            f"{kind.__qualname__} was not read from a file, so that a store cannot tell it from other code: "
            "put it into a module, or leave out the store"
        ) from error


_DECISIVE = ("theory/compiled.py", "theory/subsets.py", "theory/streams.py")
