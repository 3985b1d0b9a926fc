"""Mark functions that numba compiles at their first call.

A compiled loop passes over memory once where numpy would need many passes. Numba itself is imported at the first such call,
because its import takes longer than the rest of this project's imports.

Numba stores the machine code in `__pycache__` beside the source, or else in the user's cache folder, or in NUMBA_CACHE_DIR if
that is set. It checks only the file of the function that was called. Therefore functions that call each other must stay in one
file, and `__pycache__` must be deleted after an edit of the options below.
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
    """Mark a function that Python code calls; it takes arrays in C order and writes its results into arguments."""
    return cast(Function, _Compiled(function, cache=True))


def inner(function: Function) -> Function:
    """Mark a function that only compiled functions of the same file call."""
    return cast(Function, _Compiled(function, cache=False))


class _Compiled:
    """A wrapper that compiles its function at the first call, or when numba first finds its name in another function."""

    def __init__(self, function: Callable[..., Any], *, cache: bool) -> None:
        functools.update_wrapper(self, function)
        self._function, self._cache, self._dispatcher = function, cache, None

    def __call__(self, *arguments: Any) -> Any:
        return (self.dispatcher if self._dispatcher is None else self._dispatcher)(*arguments)

    @property
    def dispatcher(self) -> Any:
        """Return numba's dispatcher, which compiles for the types of the arguments and has `inspect_asm()`."""
        with _LOCK:  # all threads must share one dispatcher: numba keeps no other alive
            if self._dispatcher is None:
                self._dispatcher = _dispatcher(self._function, cache=self._cache)
        return self._dispatcher

    @property
    def _numba_type_(self) -> Any:
        """Return the numba type; numba reads this attribute of every object that a compiled function names."""
        return self.dispatcher._numba_type_


def _dispatcher(function: Callable[..., Any], *, cache: bool) -> Any:
    """Return numba's dispatcher for the function, with or without a stored copy of the machine code."""
    from numba import njit

    try:
        return njit(cache=cache, **_OPTIONS)(function)
    except RuntimeError:  # no folder is writable: every process compiles again and gets the same code
        return njit(**_OPTIONS)(function)


_LOCK = threading.Lock()
