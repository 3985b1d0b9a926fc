"""The module keeps an error in one part of the report from stopping the others; the error is listed on the page instead."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from figures.pictures import Results

__all__ = ["Absent", "attempt"]

Made = TypeVar("Made")


@dataclass(frozen=True)
class Absent:
    """An absent part cannot be made from the results, for the given reason.

    It is a `fault` if an unforeseen error is the cause; otherwise the results have nothing to show.
    """

    what: str
    reason: str
    fault: bool = False

    def __str__(self) -> str:
        return f"{self.what}: {self.reason}"


def attempt(what: str, experiments: Sequence[str], results: Results, make: Callable[[], Made]) -> Made | Absent:
    """Call `make` if all experiments have results; return what it makes, or the reason why it cannot.

    `make` must raise ValueError if the results have nothing to show. Other errors that unusual data cause are faults.
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
