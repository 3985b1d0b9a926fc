"""Ask a learner, and check what it answers: the one place between a learner's own code and everything that is computed from it.

An error names the learner, the method, the weights and the seeds, and has the learner's own error as its cause.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from theory.inputs import as_numbers, shown
from theory.subsets import name_subset

__all__ = ["answer_of", "called", "checked", "named", "require_learner"]

Array = NDArray[np.float64]


def require_learner(learner: Any) -> None:
    """Raise TypeError or ValueError unless the learner has `respond`, and whole numbers n_points and n_outputs >= 1."""
    kind = learner.__name__ if isinstance(learner, type) else type(learner).__name__
    if isinstance(learner, type):
        raise TypeError(f"learner is the class {kind}, expected an object of it: make one, as in {kind}(X, y, X_query)")
    for name in ("respond", "n_points", "n_outputs"):
        try:
            found = getattr(learner, name)
        except AttributeError:
            raise TypeError(
                f"learner is a {kind} without {name}, expected n_points, n_outputs and respond(weights, seeds): "
                "theory.response.Learner says what they are"
            ) from None
        except Exception as error:
            raise ValueError(f"{kind}.{name} raised {type(error).__name__}: {error}, expected a whole number >= 1") from error
        if name != "respond":
            if not isinstance(found, int | np.integer) or isinstance(found, bool) or found < 1:
                raise ValueError(f"{kind}.{name} = {shown(found)}, expected a whole number >= 1")
        elif not callable(found):
            raise TypeError(f"{kind}.respond is a {type(found).__name__}, expected a method respond(weights, seeds)")


def answer_of(learner: Any, weights: Array, seeds: tuple[int, ...], method: str = "respond", *, where: str = "") -> Array:
    """Return what a method answers to weights (B, N), checked: respond (B, R, M), finite; weight_jacobian (B, R, M, N).

    The learner gets weights that it cannot write to: those given where they are read-only, else a copy.
    """
    rows = np.array(weights) if weights.flags.writeable else weights
    rows.flags.writeable = False
    return checked(learner, called(learner, method, rows, seeds, where=where), weights, seeds, method)


def called(learner: Any, method: str, weights: Array, *arguments: Any, where: str = "") -> Any:
    """Call a method of a learner; what it raises is raised again with its name, as the same kind of built-in error.

    Built-in errors alone pass from one process to another without loss. Ctrl-C passes unchanged.
    """
    try:
        return getattr(learner, method)(weights, *arguments)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a learner may fail in any way, and must not end the process
        kind = next((kind for kind in _KINDS if isinstance(error, kind)), RuntimeError)
        asked = ", ".join(f"{name} {value}" for name, value in zip(("seeds", "point"), arguments, strict=False))
        raise kind(f"{named(learner)}.{method} failed on {where or _rows(weights)}, {asked}: {_told(error)}") from error


def checked(learner: Any, answer: Any, weights: Array, seeds: Sequence[int], method: str = "respond") -> Array:
    """Return an answer as a float64 array; raise ValueError for another type or shape, ArithmeticError if it is not finite.

    Derivatives may be NaN where the response jumps.
    """
    axes = ("subsets", "seeds", "outputs", "points")[: 4 if method == "weight_jacobian" else 3]
    expected = (len(weights), len(seeds), int(learner.n_outputs), int(learner.n_points))[: len(axes)]
    call = f"{named(learner)}.{method}"
    if answer is None:
        raise ValueError(f"{call} returned None, expected an array ({', '.join(axes)}) = {expected}: it lacks a return")
    values = as_numbers(f"the answer of {call}", answer, f"({', '.join(axes)}) = {expected}")
    if values.shape != expected:
        raise ValueError(f"{call} returned shape {values.shape}, expected ({', '.join(axes)}) = {expected}")
    if method == "respond" and not np.isfinite(values).all():
        row, seed, output = (int(k) for k in np.argwhere(~np.isfinite(values))[0])
        raise ArithmeticError(
            f"{named(learner)} answered {values[row, seed, output]} on {name_subset(weights[row])}, seed {seeds[seed]}, "
            f"output {output}, expected a finite number"
        )
    return values


def named(learner: Any) -> str:
    """Return a short text that names a learner and its class, whatever its own repr does."""
    kind = type(learner).__name__
    try:
        text = repr(learner)
    except Exception:
        return kind
    return text if kind in text and len(text) <= 200 and "\n" not in text else kind


def _told(error: BaseException) -> str:
    """Return kind and message of an error, whatever its own message does."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return type(error).__name__


def _rows(weights: Array) -> str:
    """Name the rows of weights (B, N), or one weight vector (N,)."""
    if weights.ndim != 2:
        return name_subset(weights)
    if not len(weights):
        return "no rows of weights"
    return name_subset(weights[0]) + (f" to {name_subset(weights[-1])}" if len(weights) > 1 else "")


_KINDS = (np.linalg.LinAlgError, ValueError, ArithmeticError, MemoryError, OSError, TypeError)
