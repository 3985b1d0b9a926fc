"""What could not be made of the results, and why: told at the end, and on the page, instead of ending everything else."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from figures.pictures import Results

__all__ = ["Absent", "attempt"]

Made = TypeVar("Made")


@dataclass(frozen=True)
class Absent:
    """Something that the results do not give. A `fault` is an error that nothing foresaw; everything else is by design."""

    what: str
    reason: str
    fault: bool = False

    def __str__(self) -> str:
        return f"{self.what}: {self.reason}"


def attempt(what: str, experiments: Sequence[str], results: Results, make: Callable[[], Made]) -> Made | Absent:
    """Make something of the results of some experiments, or say what is missing.

    ValueError is how `make` says that the results have nothing to show; other errors of odd data are faults.
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
