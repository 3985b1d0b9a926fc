"""Describe functions and estimators by plain values, so that a store can recognise a learner that contains them.

Two objects that could answer differently must not get the same description. A function is described by its source text and the
values that it reads from outside; an estimator by its class, the file that defines the class, and its parameters; a library by
its name and version.
"""

import functools
import hashlib
import inspect
import sys
import sysconfig
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import numpy as np

__all__ = ["described"]

_INSTALLED = tuple(sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib"))


def described(value: Any, name: str, _inside: tuple[int, ...] = ()) -> Any:
    """Describe a value by numbers, text, arrays, and lists and dicts of them; raise ValueError if that is not possible.

    `name` is what an error message calls the value.
    """
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)  # NaN, too, must equal itself
    if value is None or isinstance(value, bool | int | float | str) or _is_number(value):
        return value
    if id(value) in _inside:
        return "itself"  # a function that calls itself

    def inner(part: Any, suffix: str) -> Any:
        return described(part, f"{name}{suffix}", (*_inside, id(value)))

    if isinstance(value, Mapping):
        items = cast(Mapping[Any, Any], value)
        return {str(key): inner(items[key], f"[{key!r}]") for key in sorted(items, key=str)}
    if isinstance(value, list | tuple):
        return [inner(part, f"[{k}]") for k, part in enumerate(cast(list[Any], value))]
    if isinstance(value, ModuleType):
        return _library(value.__name__)
    if isinstance(value, functools.partial):
        made = cast("functools.partial[Any]", value)
        return {"partial": [inner(made.func, ""), inner(made.args, ".args"), inner(made.keywords, ".keywords")]}
    if isinstance(value, type) or _is_of_library(value):
        return _of_file(value, name)
    wrapped = getattr(value, "__wrapped__", value)  # a jitted function
    if inspect.isroutine(wrapped):
        return _function(cast(Callable[..., Any], wrapped), name, inner)
    return _instance(value, name, inner)


def _is_number(value: Any) -> bool:
    """Return whether the value is a numpy array or scalar that contains no Python objects."""
    return isinstance(value, np.ndarray | np.generic) and not cast(Any, value).dtype.hasobject


def _is_of_library(value: Any) -> bool:
    """Return whether an installed package defines the function; then its file and version describe it."""
    if inspect.isfunction(value):
        return value.__code__.co_filename.startswith(_INSTALLED)  # a module's name can be missing or made up
    function = getattr(value, "__qualname__", None) is not None or isinstance(value, np.ufunc)
    return function and _installed(str(getattr(value, "__module__", None) or "numpy"))


def _installed(module: str) -> bool:
    """Return whether the module is built in, or belongs to an installed package or the standard library."""
    file = getattr(sys.modules.get(module.split(".")[0]), "__file__", None)
    return module.split(".")[0] in sys.builtin_module_names or (file is not None and file.startswith(_INSTALLED))


def _library(module: str) -> str:
    """Return the name of a module and the version of its package, if it has one."""
    root = sys.modules.get(module.split(".")[0])
    return f"{module} {getattr(root, '__version__', '')}".strip()


def _of_file(value: Any, name: str) -> dict[str, str]:
    """Describe a class, or a function of an installed package, by its full name, its version and the sha256 of its file."""
    module = str(getattr(value, "__module__", None) or "numpy")
    place = f"{module}.{getattr(value, '__qualname__', getattr(value, '__name__', ''))}"
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is not None and Path(file).is_file():
        code = hashlib.sha256(Path(file).read_bytes()).hexdigest()
    elif module in sys.builtin_module_names:
        code = "built in"
    else:
        raise ValueError(f"{name} is of {place}, which no file defines: a store would not notice a change; move it to a file")
    return {"name": place, "library": _library(module), "code": code}


def _function(function: Callable[..., Any], name: str, inner: Callable[[Any, str], Any]) -> dict[str, Any]:
    """Describe a function by its source text, its defaults, and the values that it reads from outside."""
    try:
        source, read = inspect.getsource(function), inspect.getclosurevars(function)
    except (OSError, TypeError) as error:
        raise ValueError(
            f"the source text of {name} cannot be read ({error}), and a store would not notice a change: define it in a file, "
            "or give the learner a name, any text that you change with its functions"
        ) from None
    outside = {**read.globals, **read.nonlocals}
    defaults = {
        key: p.default for key, p in inspect.signature(function).parameters.items() if p.default is not inspect.Parameter.empty
    }
    bound = getattr(function, "__self__", None)
    return {
        "source": source,
        "defaults": inner(defaults, "'s defaults"),
        "reads": {key: inner(outside[key], f", which reads {key}") for key in sorted(outside)},
        **({} if bound is None else {"self": inner(bound, ".__self__")}),
    }


def _instance(value: Any, name: str, inner: Callable[[Any, str], Any]) -> dict[str, Any]:
    """Describe an estimator by its parameters, and any other object by its attributes."""
    if hasattr(value, "get_params"):
        parameters = cast(dict[str, Any], value.get_params(deep=False))
    elif hasattr(value, "__dict__"):
        parameters = cast(dict[str, Any], vars(value))
    else:
        raise ValueError(
            f"{name} is a {type(value).__name__}, which a store cannot be told by: expected numbers, text, arrays, functions or "
            "estimators with get_params"
        )
    return {"class": _of_file(type(value), name), "parameters": inner(parameters, ".")}
