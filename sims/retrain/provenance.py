"""What decides the bits of a result: learner, data, code, versions, machine; and whether a worker has the same.

A record names what differs: it has a digest of every module that a learner reaches, of the classes and functions as they are in
memory, the versions of what is installed, the kernels and the settings of the compiler.
"""

import hashlib
import json
import platform
import sys
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import numpy as np
from threadpoolctl import threadpool_info

from sims.retrain import living, sources
from theory.response import Array, Learner, attributes_of, deciding_values

__all__ = ["differences", "environment", "for_workers", "hardware", "record_of", "require_same", "settings_of"]

Record = dict[str, Any]
"""Plain JSON values by name."""


def environment() -> dict[str, str]:
    """Versions and machine, for results and ledgers."""
    packages = ("dfdw", "numpy", "scipy", "statsmodels", "xarray", "zarr", "numba", "llvmlite")
    return {"python": platform.python_version(), "machine": platform.machine(), **{name: version(name) for name in packages}}


@cache
def hardware() -> Record:
    """What chooses the machine code: the vector extensions that numpy found, the kernels of every BLAS, the C library."""
    import_module("scipy.linalg")  # loads the BLAS of scipy, which is another one than numpy's

    libraries = cast(list[dict[str, Any]], threadpool_info())
    blas = sorted({str(info.get("architecture")) for info in libraries if info["user_api"] == "blas"})
    libc = " ".join(platform.libc_ver())
    return {"machine": platform.machine(), "simd": _vector_extensions(), "blas": blas, "libc": libc}


def _vector_extensions() -> list[str]:
    """Those that numpy finds on this machine."""
    simd: dict[str, list[str]] = np.show_config(mode="dicts").get("SIMD Extensions", {})  # type: ignore[assignment, union-attr]
    return [*simd.get("baseline", []), *simd.get("found", [])]


def settings_of(learner: Learner, weights: Array | None = None) -> Record:
    """Record everything that decides a bit of a learner's responses to weights, or to all subsets, as plain JSON values.

    Of a learner these are its class, its `theory.response.deciding_values` (arrays by shape and sha256, other values as they
    are) and what `record_of` says. What cannot be recorded is refused: two different learners could look the same.
    """
    kind = type(learner)
    values = {name: living.recorded(value, f"{kind.__name__}.{name}") for name, value in deciding_values(learner).items()}
    return {
        "learner": {"class": living.name_of(kind), **values},
        **record_of(learner),
        **({} if weights is None else {"weights": living.recorded(weights, "weights")}),
    }


# --- the record ------------------------------------------------------------------------------------------------------------


def record_of(learner: Learner, *, strict: bool = True) -> Record:
    """Record what decides the bits beside the values of a learner: code, versions, hardware, settings of the compiler.

    code: what every module says that the learner reaches, and all of the learners' own. in_memory: the classes of the learner
    and the functions of the modules that are loaded with it, which a program may have replaced. `strict` refuses a class that no
    file defines, and attributes of classes that cannot be recorded; else they are left out, or only their class is recorded.
    """
    kind = type(learner)
    classes = living.own_classes(kind)
    if strict:
        for one in classes:
            _require_file(one)
    parts = [*attributes_of(learner).values(), *(value for one in classes for value in vars(one).values())]
    roots = {one.__module__ for one in classes}.union(*map(living.modules_of, parts))
    reached = sources.reached(roots)
    files = {name: sources.file_of(name) for name in reached.executed | reached.later} | _own_files()
    loaded = {name: living.module_in_memory(name, without=classes) for name in reached.executed - {"__main__", "__mp_main__"}}
    versions = sources.distributions(reached)
    return {
        "code": {name: sources.meaning(file) for name, file in sorted(files.items()) if file is not None},
        "in_memory": {
            **{name: digest for name, digest in sorted(loaded.items()) if digest is not None},
            **_classes_in_memory(kind, strict=strict),
        },
        "versions": _versions_with(versions),
        "hardware": hardware(),
        **({"numba": _numba()} if "numba" in versions else {}),
    }


def _require_file(kind: type) -> None:
    if sources.file_of(kind.__module__) is None and not sources.is_installed(kind.__module__):
        raise ValueError(
            f"{kind.__qualname__} was not read from a file, so that a store cannot tell it from other code: "
            "put it into a module, or leave out the store"
        )


def _own_files() -> dict[str, Path | None]:
    """The learners' own modules, and those of masks, random streams and compilation: found wherever they are moved."""
    root = Path(__file__).parents[2]
    files = [*(root / "sims/learners").rglob("*.py"), *(root / name for name in _DECISIVE)]
    return {_module_name(file.relative_to(root)): file for file in files}


def _module_name(file: Path) -> str:
    parts = file.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _classes_in_memory(kind: type, *, strict: bool) -> dict[str, str]:
    trusted = hasattr(kind, "fingerprint")
    classes = living.own_classes(kind)
    return {living.name_of(one): living.class_in_memory(one, strict=strict and not trusted) for one in classes}


def _versions_with(distributions: Mapping[str, str]) -> dict[str, str]:
    always = {name: str(sources.version_of(name)) for name in ("numpy", "scipy", "numba", "llvmlite")}
    return {"python": platform.python_version(), **dict(sorted({**distributions, **always}.items()))}


def _numba() -> Record:
    """What decides the machine code that numba makes: its settings, and the processor that LLVM sees."""
    config = import_module("numba").config
    llvm = import_module("llvmlite.binding")
    found = {name: getattr(config, name, None) for name in _OF_NUMBA}
    settings = {name: int(value) if isinstance(value, int) else value for name, value in found.items()}
    features = cast(str, llvm.get_host_cpu_features().flatten())
    return {**settings, "host": llvm.get_host_cpu_name(), "features": " ".join(f for f in features.split(",") if f[0] == "+")}


_DECISIVE = ("theory/compiled.py", "theory/subsets.py", "theory/streams.py")

_OF_NUMBA = (
    "CPU_NAME",
    "CPU_FEATURES",
    "DISABLE_JIT",
    "OPT",
    "LOOP_VECTORIZE",
    "SLP_VECTORIZE",
    "ENABLE_AVX",
    "DISABLE_INTEL_SVML",
    "USING_SVML",
    "BOUNDSCHECK",
)


# --- two records -----------------------------------------------------------------------------------------------------------


def for_workers(learner: Learner) -> str:
    """Write down the record of a learner, and the bytes of the files behind it, for `require_same`."""
    record = record_of(learner, strict=False)
    return json.dumps({**record, "bytes": {name: _bytes_of(sources.file_of(name)) for name in record["code"]}})


def require_same(learner: Learner, expected: str) -> None:
    """Refuse to go on where this process differs from the one that wrote `for_workers`; OSError names all that differs.

    The values of the learner came with it. The same is looked at once: a process keeps its code.
    """
    _require_same(type(learner), expected)


@lru_cache(maxsize=64)
def _require_same(kind: type, expected: str) -> None:
    wanted = json.loads(expected)
    if found := differences(_record_here(kind, wanted, wanted.pop("bytes")), wanted, ("the worker", "the coordinator")):
        raise OSError(
            f"a worker differs from the coordinator: {'; '.join(found)}. One table would hold the results of both: start workers "
            "with the same code, versions and settings, on like machines"
        )


def _record_here(kind: type, wanted: Record, content: Mapping[str, str | None]) -> Record:
    """The entries of a record as they are in this process."""
    if sys.modules["__main__"].__name__ != "__mp_main__":  # another script than the coordinator's, whose classes came by value
        wanted["code"].pop("__main__", None)
    code: dict[str, str] = {}
    for name, digest in wanted["code"].items():
        file = sources.file_of(name)
        if file is not None:
            code[name] = digest if _bytes_of(file) == content[name] else sources.meaning(file)
    classes, in_memory = living.own_classes(kind), _classes_in_memory(kind, strict=False)
    for name in {*wanted["in_memory"]} - {*in_memory}:
        digest = living.module_in_memory(name, without=classes)
        if digest is not None or name in code:  # where it is not loaded yet, its file has been recorded
            in_memory[name] = digest or wanted["in_memory"][name]
    versions = {name: _version_here(name) for name in wanted["versions"]}
    return {
        "code": code,
        "in_memory": in_memory,
        "versions": {name: number for name, number in versions.items() if number is not None},
        "hardware": hardware(),
        **({"numba": _numba()} if "numba" in wanted else {}),
    }


def _bytes_of(file: Path | None) -> str | None:
    return None if file is None else hashlib.sha256(file.read_bytes()).hexdigest()[:16]


def _version_here(name: str) -> str | None:
    return platform.python_version() if name == "python" else sources.version_of(name)


def differences(
    there: Mapping[str, Any], here: Mapping[str, Any], names: tuple[str, str] = ("the store", "this run")
) -> list[str]:
    """Say `name: the store has .., this run ..` for every setting that differs."""
    pythons = {settings["versions"].get("python") for settings in (there, here) if "versions" in settings}
    if len(pythons - {None}) > 1:  # which make other digests of the same code
        there, here = ({key: settings[key] for key in settings if key not in ("code", "in_memory")} for settings in (there, here))
    return _differences(there, here, names, "")


def _differences(there: Mapping[str, Any], here: Mapping[str, Any], names: tuple[str, str], path: str) -> list[str]:
    found: list[str] = []
    for name in sorted({*there, *here}):
        one, other = there.get(name), here.get(name)
        if isinstance(one, dict) and isinstance(other, dict):
            found += _differences(cast(Record, one), cast(Record, other), names, f"{path}{name}.")
        elif name not in here:
            found.append(f"{path}{name}: only {names[0]} has {_shown(one)}")
        elif name not in there:
            found.append(f"{path}{name}: only {names[1]} has {_shown(other)}")
        elif isinstance(one, dict) or isinstance(other, dict):
            shown = f"{names[0]} has {_shown(one)}, {names[1]} {_shown(other)}"
            found.append(f"{path}{name}: {shown} (another version of dfdw wrote it)")
        elif json.dumps(one, sort_keys=True) != json.dumps(other, sort_keys=True):  # 1 is not True, and 0.0 not -0.0
            found.append(f"{path}{name}: {names[0]} has {one}, {names[1]} {other}")
    return found


def _shown(value: Any) -> str:
    """A value, or how many there are."""
    return f"{len(cast(Record, value))} values by name" if isinstance(value, dict) else str(value)
