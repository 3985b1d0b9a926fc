"""Loops that numba compiles at their first call; the machine code is kept beside their source (or where NUMBA_CACHE_DIR says).

Compiled is what numpy would do in many passes over memory: the training of networks, and what a datamodel reads of a table.
Functions that call each other stay in one file: the kept code is told by the file of the function that is called first. After an
edit of this file delete `__pycache__`.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

__all__ = ["compiled", "inner"]

Function = TypeVar("Function", bound=Callable[..., Any])

_OPTIONS: dict[str, Any] = {
    "error_model": "numpy",  # x / 0 is inf or NaN: a test for it would keep loops from vector instructions
    "fastmath": {"contract"},  # a b + c in one instruction, with one rounding; sums keep their order
}


def compiled(function: Function) -> Function:
    """Called from Python: arrays in C order, results into arrays that are given."""
    return cast(Function, njit(cache=True, **_OPTIONS)(function))


def inner(function: Function) -> Function:
    """Called by compiled functions only."""
    return cast(Function, njit(**_OPTIONS)(function))
