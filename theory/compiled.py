"""Loops that numba compiles at their first call: what numpy would do in many passes over memory.

Numba itself is imported at the first of these calls: it takes longer than all else that an import of this project does.

The machine code is kept in `__pycache__` beside the source, else in the user's cache folder, or where NUMBA_CACHE_DIR says. What
is kept is found by the file of the function that was called: functions that call each other stay in one file, and after an edit
of the options below `__pycache__` must go.
"""

import functools
import threading
from collections.abc import Callable
from typing import Any, TypeVar, cast

__all__ = ["compiled", "inner"]

Function = TypeVar("Function", bound=Callable[..., Any])

_OPTIONS: dict[str, Any] = {
    "error_model": "numpy",  # x / 0 is inf or NaN; a test for it would keep loops from vector instructions
    "fastmath": {"contract"},  # a b + c in one instruction, with one rounding; sums keep their order
}


def compiled(function: Function) -> Function:
    """Make a function for Python to call, on arrays in C order; its results go into arrays that it is given."""
    return cast(Function, _Compiled(function, cache=True))


def inner(function: Function) -> Function:
    """Make a function for compiled functions of the same file to call."""
    return cast(Function, _Compiled(function, cache=False))


class _Compiled:
    """Stands for a function until it is called, or until numba meets its name in a function that it compiles."""

    def __init__(self, function: Callable[..., Any], *, cache: bool) -> None:
        functools.update_wrapper(self, function)
        self._function, self._cache, self._dispatcher = function, cache, None

    def __call__(self, *arguments: Any) -> Any:
        return (self.dispatcher if self._dispatcher is None else self._dispatcher)(*arguments)

    @property
    def dispatcher(self) -> Any:
        """What numba makes of the function: it compiles for the types of the arguments, and has `inspect_asm()`."""
        with _LOCK:  # threads share one: numba keeps no other alive
            if self._dispatcher is None:
                self._dispatcher = _dispatcher(self._function, cache=self._cache)
        return self._dispatcher

    @property
    def _numba_type_(self) -> Any:
        """Numba asks every object that a compiled function names for its type by this attribute."""
        return self.dispatcher._numba_type_


def _dispatcher(function: Callable[..., Any], *, cache: bool) -> Any:
    from numba import njit

    try:
        return njit(cache=cache, **_OPTIONS)(function)
    except RuntimeError:  # no folder can be written to: every process compiles anew, to the same code
        return njit(**_OPTIONS)(function)


_LOCK = threading.Lock()
