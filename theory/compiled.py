"""Loops that numba compiles at their first call: what numpy would do in many passes over memory.

The machine code is kept in `__pycache__` beside the source, else in the user's cache folder, or where NUMBA_CACHE_DIR says. What
is kept is told by the file of the function that was called: functions that call each other stay in one file, and after an edit
of the options below `__pycache__` must go.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

__all__ = ["compiled", "inner"]

Function = TypeVar("Function", bound=Callable[..., Any])

_OPTIONS: dict[str, Any] = {
    "error_model": "numpy",  # x / 0 is inf or NaN; a test for it would keep loops from vector instructions
    "fastmath": {"contract"},  # a b + c in one instruction, with one rounding; sums keep their order
}


def compiled(function: Function) -> Function:
    """A function for Python to call, on arrays in C order; results go into arrays that it is given."""
    try:
        return cast(Function, njit(cache=True, **_OPTIONS)(function))
    except RuntimeError:  # no folder can be written to: every process compiles anew, to the same code
        return cast(Function, njit(**_OPTIONS)(function))


def inner(function: Function) -> Function:
    """A function for compiled functions of the same file to call."""
    return cast(Function, njit(**_OPTIONS)(function))
