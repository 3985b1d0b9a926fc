"""Keep an error in one part of the report from ending the others: it is listed at the end and on the page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from figures.pictures import Results

__all__ = ["Absent", "attempt"]

Made = TypeVar("Made")


@dataclass(frozen=True)
class Absent:
    """A part that cannot be made of the results, and why. A `fault` is an unforeseen error; other parts just have no results."""

    what: str
    reason: str
    fault: bool = False

    def __str__(self) -> str:
        return f"{self.what}: {self.reason}"


def attempt(what: str, experiments: Sequence[str], results: Results, make: Callable[[], Made]) -> Made | Absent:
    """Call `make` if all experiments have results; return what it makes, or why it cannot.

    `make` raises ValueError where the results have nothing to show; other errors that odd data cause are faults.
    """
    missing = [experiment for experiment in experiments if not results.get(experiment)]
    if missing:
        return Absent(what, f"no results of {', '.join(map(repr, missing))}")
    try:
        return make()
    except ValueError as error:
        return Absent(what, str(error))
    except (LookupError, AttributeError, TypeError, ArithmeticError) as error:
        return Absent(what, f"{type(error).__name__}: {error}", fault=True)
