"""Values, functions and classes as they are in memory, recorded so that no two look the same that could answer differently.

A function is its bytecode with constants, defaults and what it has enclosed; not its lines, docstring or comments.
"""

import dis
import functools
import hashlib
import json
import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from sims.retrain import sources
from theory.response import attributes_of

__all__ = ["class_in_memory", "module_in_memory", "modules_of", "name_of", "own_classes", "recorded"]


def recorded(value: Any, name: str) -> Any:
    """Return a value as plain JSON values: arrays by shape and sha256, functions by a digest; else raise TypeError."""
    return _Recorder(strict=True, from_files=True).recorded(value, name)


def own_classes(kind: type) -> list[type]:
    """Give a class and its bases, without those of the standard library."""
    return [one for one in kind.__mro__ if one.__module__.partition(".")[0] not in sys.stdlib_module_names - {"__main__"}]


def name_of(kind: type) -> str:
    """Name a class with its module; the script that a worker process imports as `__mp_main__` is `__main__`."""
    module = "__main__" if kind.__module__ == "__mp_main__" else kind.__module__
    return f"{module}.{kind.__qualname__}"


def class_in_memory(kind: type, *, strict: bool) -> str:
    """Digest the attributes of a class: functions as they are now, and values; of installed classes the functions only.

    `strict` refuses values that cannot be recorded (TypeError); otherwise they are recorded by their class alone.
    """
    followed = sources.is_followed(kind.__module__)
    recorder = _Recorder(strict and followed)
    return _digest(
        {
            name: recorder.recorded(value, f"{kind.__qualname__}.{name}")
            for name, value in sorted(vars(kind).items())
            if not _is_internal(kind, name, value) and (followed or _functions_in(value))
        }
    )


def _is_internal(kind: type, name: str, value: Any) -> bool:
    """Whether the interpreter, `dataclass`, `abc`, `typing` or `copyreg` keeps an attribute in a class, or it is inherited."""
    if name.startswith("__") and name.endswith("__") and not _functions_in(value):
        return True
    if name in _GENERATED and "__dataclass_fields__" in vars(kind):
        code = getattr(getattr(value, "__wrapped__", value), "__code__", None)
        return code is not None and not code.co_filename.endswith(".py")
    return name in _INTERNAL or any(vars(base).get(name) is value for base in kind.__mro__[1:])


def module_in_memory(name: str, *, without: Iterable[type] = ()) -> str | None:
    """Digest what a loaded module has under the names that its file defines: functions, those of classes, and constants.

    None where it is not loaded, or defines nothing.
    """
    module, file = sys.modules.get(name), sources.file_of(name)
    if module is None or file is None:
        return None
    recorder, found = _Recorder(strict=False), dict[str, Any]()
    for key in sources.defined_in(file):
        value = vars(module).get(key)
        if not isinstance(value, type):
            found[key] = recorder.recorded(value, key)
        elif value not in without:
            found[key] = {part: recorder.recorded(of, part) for part, of in sorted(vars(value).items()) if _functions_in(of)}
    return _digest(found) if found else None


def modules_of(value: Any, _seen: set[int] | None = None) -> set[str]:
    """Name the modules of the classes and functions that a value consists of."""
    seen = set[int]() if _seen is None else _seen
    if id(value) in seen or value is None or isinstance(value, bool | int | float | str | bytes | np.ndarray | np.generic):
        return set()
    seen.add(id(value))
    if isinstance(value, types.ModuleType):
        return {value.__name__}
    if isinstance(value, type):
        return {one.__module__ for one in own_classes(value)}
    functions = _functions_in(value)
    if functions:
        return {str(function.__module__) for function in functions}
    parts: Iterable[Any] = ()
    if isinstance(value, Mapping):
        parts = cast(Mapping[Any, Any], value).values()
    elif isinstance(value, list | tuple | set | frozenset):
        parts = cast(Iterable[Any], value)
    elif type(value).__module__ != "builtins":
        parts = [type(value), *attributes_of(value).values()]
    return {name for part in parts for name in modules_of(part, seen)}


# --- what can be recorded -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Recorder:
    """Record values, `inside` of which it is; an object that cannot be recorded is refused, or only named."""

    strict: bool
    from_files: bool = False  # whether functions that no file defines are refused too
    inside: tuple[int, ...] = ()

    def recorded(self, value: Any, name: str) -> Any:
        if value is None or isinstance(value, bool | int | str):
            return value
        if isinstance(value, float):
            return value if value == value else "nan"  # NaN must equal itself
        if isinstance(value, np.ndarray):
            return self._array(cast(NDArray[Any], value), name)
        if isinstance(value, np.generic):
            return self.recorded(value.item(), name)
        if id(value) in self.inside:
            return "itself"
        return replace(self, inside=(*self.inside, id(value)))._object(value, name)

    def _array(self, value: NDArray[Any], name: str) -> str:
        if value.dtype.hasobject:
            return self._unknown(value, name, f"an array of {value.dtype}")
        content = np.ascontiguousarray(value)
        return f"{content.dtype} {content.shape} sha256 {hashlib.sha256(content.tobytes()).hexdigest()}"

    def _object(self, value: Any, name: str) -> Any:
        if isinstance(value, tuple | list):
            return [self.recorded(item, name) for item in cast(list[Any], value)]
        if isinstance(value, dict):
            return {str(key): self.recorded(item, f"{name}[{key!r}]") for key, item in cast(dict[Any, Any], value).items()}
        if isinstance(value, type):
            return f"class {name_of(value)}"
        if isinstance(value, types.ModuleType):
            return f"module {value.__name__}"
        if isinstance(value, functools.partial):
            made = cast("functools.partial[Any]", value)
            return [self.recorded(part, name) for part in (made.func, made.args, made.keywords)]
        if isinstance(value, types.MethodType):
            return [self.recorded(value.__func__, name), self.recorded(value.__self__, name)]
        if functions := _functions_in(value):
            return " ".join([type(value).__name__, *(self._function(function, name) for function in functions)])
        if isinstance(value, _NAMED):
            return f"{getattr(value, '__module__', None)}.{getattr(value, '__qualname__', getattr(value, '__name__', value))}"
        return self._unknown(value, name, f"a {type(value).__name__}")

    def _function(self, function: types.FunctionType, name: str) -> str:
        """16 digits of what a function does, as far as it says so itself."""
        code = function.__code__
        if self.from_files and not Path(code.co_filename).is_file():
            return self._unknown(function, name, f"a function {function.__name__} that no file defines")
        cells = zip(code.co_freevars, function.__closure__ or (), strict=True)
        enclosed = {key: cell.cell_contents for key, cell in cells if _is_filled(cell)}
        return _digest(
            [
                _digest_of_code(code),
                self.recorded(function.__defaults__, f"{name}'s defaults"),
                self.recorded(function.__kwdefaults__, f"{name}'s defaults"),
                {key: self.recorded(value, f"{name}, which encloses {key},") for key, value in enclosed.items()},
            ]
        )

    def _unknown(self, value: Any, name: str, what: str) -> str:
        if self.strict:
            raise TypeError(
                f"{name} is {what}, expected numbers, text, arrays, functions, or lists of them: a store keeps the values that "
                "decide its table; give a learner that is made of other things a method `fingerprint()` that returns such "
                "values by name"
            )
        return f"some {name_of(type(cast(object, value)))}"


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]


def _is_filled(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def _functions_in(value: Any) -> list[types.FunctionType]:
    """The Python functions of a function, property or method, or beneath a compiled or otherwise wrapped one."""
    if isinstance(value, types.FunctionType):
        return [value]
    parts: tuple[Any, ...] = ()
    if isinstance(value, property):
        parts = (value.fget, value.fset, value.fdel)
    elif isinstance(value, classmethod | staticmethod | types.MethodType):
        parts = (cast(Any, value).__func__,)
    elif isinstance(value, functools.cached_property | functools.partialmethod):
        parts = (cast(Any, value).func,)
    elif callable(value) and not isinstance(value, type):
        beneath = getattr(value, "py_func", None) or getattr(value, "__wrapped__", None)
        parts = (beneath,) if isinstance(beneath, types.FunctionType) else ()
    return [function for part in parts for function in _functions_in(part)]


_NAMED: tuple[type, ...] = (
    np.ufunc,
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.MemberDescriptorType,
    types.GetSetDescriptorType,
)
"""Made by compiled packages, or by the interpreter: their names identify them."""

_GENERATED = frozenset(
    {"__init__", "__repr__", "__eq__", "__lt__", "__le__", "__gt__", "__ge__", "__hash__", "__setattr__", "__delattr__"}
    | {"__getstate__", "__setstate__", "__replace__"}
)
"""What `dataclass` may write into a class."""

_INTERNAL = frozenset(
    {"_abc_impl", "_is_protocol", "_is_runtime_protocol"} | {"__annotate__", "__annotate_func__", "__subclasshook__"}
)
"""What `abc`, `typing` and the interpreter write into a class under other names than __name__, or as functions."""


# --- bytecode --------------------------------------------------------------------------------------------------------------


@cache
def _digest_of_code(code: types.CodeType) -> str:
    signature = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags & ~_HAS_DOCSTRING)
    names = (code.co_names, code.co_varnames, code.co_cellvars, code.co_freevars)
    return _digest([signature, names, list(_instructions(code)), code.co_exceptiontable.hex()])


def _instructions(code: types.CodeType) -> Iterator[tuple[int, Any]]:
    """(operation, argument), constants by value: their numbers depend on whether there is a docstring."""
    extended = 0
    operations = code.co_code  # as compiled, whatever the interpreter has specialised since
    for operation, argument in zip(operations[::2], operations[1::2], strict=True):
        number = argument | extended
        extended = number << 8 if operation == dis.EXTENDED_ARG else 0
        if operation != dis.EXTENDED_ARG:
            yield operation, _constant(code.co_consts[number]) if operation in _TAKE_CONSTANTS else number


def _constant(value: Any) -> Any:
    if isinstance(value, types.CodeType):
        return _digest_of_code(value)
    if isinstance(value, tuple):
        return [_constant(item) for item in cast(tuple[Any, ...], value)]
    if isinstance(value, frozenset):
        return sorted(map(repr, cast(frozenset[Any], value)))
    return repr(value)


_TAKE_CONSTANTS = frozenset(dis.hasconst)
_HAS_DOCSTRING = 0x4000000  # CO_HAS_DOCSTRING, from Python 3.13 on
