"""Mark functions that numba compiles at their first call.

A compiled loop passes over memory once where numpy would need many passes. Numba itself is imported at the first such call,
because its import takes longer than the rest of this project's imports.

Compiling takes seconds. Therefore arguments of inner functions have types but no values (numba would compile a function once
more for every constant that it is given), and nothing is made by which Python could call these functions. A kind of array less
is a compilation less: give all arrays writeable and in C order.

Numba stores the machine code in `__pycache__` beside the source, or else in the user's cache folder, or in NUMBA_CACHE_DIR if
that is set. By itself it checks only the file of the function that was called. Here the code is stored together with a digest of
all modules in that file's folder and of this one. Therefore functions that call each other must stay in one folder.
"""

import functools
import hashlib
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar, cast

__all__ = ["compiled", "inner"]

Function = TypeVar("Function", bound=Callable[..., Any])

_OPTIONS: dict[str, Any] = {
    "error_model": "numpy",  # x / 0 is inf or NaN; a test for it would keep loops from vector instructions
    "fastmath": {"contract"},  # a b + c in one instruction, with one rounding; sums keep their order
}


def compiled(function: Function) -> Function:
    """Mark a function that Python code calls; it takes arrays in C order and writes its results into arguments."""
    return cast(Function, _Compiled(function, _with_stored_code))


def inner(function: Function) -> Function:
    """Mark a function that only compiled functions of the same folder call; if Python calls it, it is compiled once more."""
    return cast(Function, _Compiled(function, _for_compiled_code))


class _Compiled:
    """A wrapper that compiles its function at the first call, or when numba first finds its name in another function."""

    def __init__(self, function: Callable[..., Any], make: Callable[[Callable[..., Any]], Any]) -> None:
        functools.update_wrapper(self, function)
        self._function, self._make = function, make
        self._dispatcher, self._from_python = None, None

    def __call__(self, *arguments: Any) -> Any:
        if self._from_python is None:
            inner_only = self._make is _for_compiled_code
            self._from_python = _compile(self._function) if inner_only else self.dispatcher
        return self._from_python(*arguments)

    @property
    def dispatcher(self) -> Any:
        """Return numba's dispatcher, which compiles for the types of the arguments and has `inspect_asm()`."""
        with _LOCK:  # all threads must share one dispatcher: numba keeps no other alive
            if self._dispatcher is None:
                self._dispatcher = self._make(self._function)
        return self._dispatcher

    @property
    def _numba_type_(self) -> Any:
        """Return the numba type; numba reads this attribute of every object that a compiled function names."""
        return self.dispatcher._numba_type_


def _compile(function: Callable[..., Any], **options: Any) -> Any:
    """Return numba's dispatcher for the function."""
    from numba import njit

    return njit(**options, **_OPTIONS)(function)


def _for_compiled_code(function: Callable[..., Any]) -> Any:
    """Return the dispatcher of a function that only other compiled functions call, whose arguments have no literal types."""
    from numba import types

    dispatcher = _compile(function, no_cpython_wrapper=True, no_cfunc_wrapper=True)
    template = dispatcher.get_call_template

    def of_types(arguments: Iterable[Any], keywords: dict[str, Any]) -> Any:
        return template([types.unliteral(argument) for argument in arguments], keywords)

    dispatcher.get_call_template = of_types
    return dispatcher


def _with_stored_code(function: Callable[..., Any]) -> Any:
    """Return the dispatcher of a function whose machine code is stored, for all modules of its folder as they are now."""
    try:
        dispatcher = _compile(function, cache=True, no_cfunc_wrapper=True)
    except RuntimeError:  # no folder is writable: every process compiles again and gets the same code
        return _compile(function, no_cfunc_wrapper=True)
    if dispatcher is not function:  # as it is with NUMBA_DISABLE_JIT
        dispatcher._cache._cache_file._source_stamp = _digest(Path(function.__code__.co_filename).parent)
    return dispatcher


@functools.cache
def _digest(folder: Path) -> str:
    """Return a digest of all modules in the folder and of this one."""
    files = [Path(__file__), *sorted(folder.glob("*.py"))]
    return hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files)).hexdigest()


_LOCK = threading.Lock()
