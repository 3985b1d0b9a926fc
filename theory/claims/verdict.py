"""Claim, Verdict and the ledger: what is judged, on which results, and how it came out."""

import importlib
import json
import pkgutil
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import xarray as xr

__all__ = ["CLOSE", "Claim", "Evidence", "Results", "Status", "Verdict", "all_claims", "claim", "decide", "judge"]

Results = Mapping[str, Sequence[xr.Dataset]]
"""Experiment name -> its results, one data set per case; `attrs["case"]` names data, learner and penalty."""


CLOSE = 0.05
"""Relative error below which one effect may be used for another."""


class Status(StrEnum):
    """What can be said of a claim."""

    HOLDS = "HOLDS"
    HOLDS_WHEN = "HOLDS WHEN"
    FAILS = "FAILS"
    INCONCLUSIVE = "INCONCLUSIVE"


@dataclass(frozen=True)
class Evidence:
    """What one case says: its name and the figure measured there."""

    case: str
    figure: float


@dataclass(frozen=True)
class Verdict:
    """How a claim came out. `figure` is the deciding number, `measure` says of what, `case` where it was found."""

    status: Status
    figure: float
    measure: str
    tolerance: float
    condition: str
    case: str
    evidence: tuple[Evidence, ...] = ()


def decide(
    measure: str, tolerance: float, evidence: Sequence[Evidence], *, holds: Status, condition: str, uncertainty: float = 0.0
) -> Verdict:
    """The largest figure decides: within the tolerance the claim `holds` (or holds when), beyond it it fails.

    When the figure is nearer to the tolerance than its `uncertainty`, the verdict is INCONCLUSIVE. A figure that is not a
    number is a fault of the experiment, never a verdict.
    """
    worst = max(evidence, key=lambda item: item.figure)
    if any(item.figure != item.figure for item in evidence):
        raise ValueError(f"{measure}: {[item.case for item in evidence if item.figure != item.figure]} has no figure")
    status = holds if worst.figure <= tolerance else Status.FAILS
    if abs(worst.figure - tolerance) < uncertainty:
        status = Status.INCONCLUSIVE
    return Verdict(status, worst.figure, measure, tolerance, condition, worst.case, tuple(evidence))


@dataclass(frozen=True)
class Claim:
    """A statement, the experiments it needs, and the function that judges it on their results.

    `needs` are variables that a case may lack (a learner without derivatives): such a case is not judged.
    """

    id: str
    statement: str
    experiments: tuple[str, ...]
    judge: Callable[[Results], Verdict]
    needs: tuple[str, ...] = ()


_registry: dict[str, Claim] = {}


def claim(
    identifier: str, statement: str, *, experiments: tuple[str, ...], needs: tuple[str, ...] = ()
) -> Callable[[Callable[[Results], Verdict]], Callable[[Results], Verdict]]:
    """Register a function as the judge of a claim. A second claim with the same id is an error."""

    def register(function: Callable[[Results], Verdict]) -> Callable[[Results], Verdict]:
        if identifier in _registry:
            raise ValueError(
                f"claim {identifier} is defined twice: in {_registry[identifier].judge.__module__} and {function.__module__}"
            )
        _registry[identifier] = Claim(identifier, statement, experiments, function, needs)
        return function

    return register


def all_claims() -> tuple[Claim, ...]:
    """Every claim of this package: the essay's (C1, C2, ..), then the identities (T1, ..), in the order of their numbers."""
    package = importlib.import_module("theory.claims")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"theory.claims.{module.name}")
    return tuple(sorted(_registry.values(), key=lambda c: [int(x) if x.isdigit() else x for x in re.split(r"(\d+)", c.id)]))


def judge(results: Results) -> list[tuple[Claim, Verdict]]:
    """The ledger: every claim whose experiments have results, judged. A claim that lacks one is absent, never passed.

    One that no case can decide, because what it `needs` was left out, is INCONCLUSIVE and says why.
    """
    return [(c, _judged(c, results)) for c in all_claims() if all(results.get(name) for name in c.experiments)]


def _judged(claim: Claim, results: Results) -> Verdict:
    cases = {name: [ds for ds in results[name] if all(need in ds for need in claim.needs)] for name in claim.experiments}
    if all(cases.values()):
        return claim.judge(cases)
    first = results[claim.experiments[0]][0]
    reasons: dict[str, str] = json.loads(first.attrs.get("left_out", "{}"))
    missing = [need for need in claim.needs if need not in first]
    return Verdict(
        status=Status.INCONCLUSIVE,
        figure=float("nan"),
        measure=f"needs {', '.join(missing)}",
        tolerance=float("nan"),
        condition="; ".join(dict.fromkeys(reasons.get(need, f"{need} was left out") for need in missing)),
        case=first.attrs["case"],
    )
