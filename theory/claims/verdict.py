"""Claim, Verdict and the ledger: what is judged, on which results, and how it came out."""

import importlib
import json
import pkgutil
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import xarray as xr

__all__ = [
    "CLOSE",
    "ROUNDING",
    "Claim",
    "Evidence",
    "Judgement",
    "NothingToJudgeError",
    "Results",
    "Status",
    "Verdict",
    "all_claims",
    "claim",
    "decide",
    "judge",
    "not_judged",
]

Results = Mapping[str, Sequence[xr.Dataset]]
"""Experiment name -> its results, one data set per case; `attrs["case"]` names data, learner and penalty."""


CLOSE = 0.05
"""Relative error below which one effect may be used for another."""

ROUNDING = 1e-9
"""Identities between numbers that were each computed to rounding, through sums over up to 2^20 subsets."""


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


class NothingToJudgeError(ValueError):
    """No result is of the kind that a claim speaks of; says of which kind it would have to be."""


def decide(
    measure: str, tolerance: float, evidence: Sequence[Evidence], *, holds: Status, condition: str, uncertainty: float = 0.0
) -> Verdict:
    """The largest figure decides: within the tolerance the claim `holds` (or holds when), beyond it it fails.

    When the figure is nearer to the tolerance than its `uncertainty`, the verdict is INCONCLUSIVE. A figure that is not a
    number is a fault of the experiment, never a verdict; no evidence is no verdict either.
    """
    if not evidence:
        raise NothingToJudgeError(f"no case says anything: {condition}")
    worst = max(evidence, key=lambda item: item.figure)
    if any(item.figure != item.figure for item in evidence):
        raise ValueError(f"{measure}: {[item.case for item in evidence if item.figure != item.figure]} has no figure")
    status = holds if worst.figure <= tolerance else Status.FAILS
    if abs(worst.figure - tolerance) < uncertainty:
        status = Status.INCONCLUSIVE
    return Verdict(status, worst.figure, measure, tolerance, condition, worst.case, tuple(evidence))


@dataclass(frozen=True)
class Claim:
    """A statement, why it is true or not, how it is tested, and the function that judges it. All texts are plain, without markup.

    `measure` is the figure that decides and `tolerance` its limit; the docstring of `judgement` says how the figure is made. The
    claim needs results of all its `experiments`, cases with all variables in `needs` (a learner without derivatives lacks some);
    of experiments in `also` it tells more where they were run.
    """

    id: str
    statement: str
    experiments: tuple[str, ...]
    measure: str
    tolerance: float
    essay: str  # what the essay says, in our words unless quoted; of an identity, how it bears on the essay
    idea: str  # of the proof, or why the claim fails
    sources: tuple[str, ...]  # author, year, where
    judgement: Callable[["Claim", Results], Verdict]
    needs: tuple[str, ...] = ()
    also: tuple[str, ...] = ()

    def judge(self, results: Results) -> Verdict:
        """The verdict on results of the experiments, on the cases that have what it needs."""
        whole = {name: [ds for ds in results[name] if all(need in ds for need in self.needs)] for name in self.experiments}
        if bare := next((name for name, cases in whole.items() if not cases), None):
            raise NothingToJudgeError(f"{bare}: {_left_out(results[bare][0], self.needs)}")
        return self.judgement(self, {**results, **whole})


def _left_out(case: xr.Dataset, needs: Sequence[str]) -> str:
    """Why a case lacks variables, by its attribute `left_out`; a KeyError where nobody left them out."""
    reasons: dict[str, str] = json.loads(case.attrs.get("left_out", "{}"))
    return "; ".join(dict.fromkeys(reasons[need] for need in needs if need not in case))


Judgement = Callable[[Claim, Results], Verdict]

_registry: dict[str, Claim] = {}


def claim(
    identifier: str,
    statement: str,
    *,
    experiments: tuple[str, ...],
    measure: str,
    tolerance: float,
    essay: str,
    idea: str,
    sources: tuple[str, ...],
    needs: tuple[str, ...] = (),
    also: tuple[str, ...] = (),
) -> Callable[[Judgement], Judgement]:
    """Register a function (claim, results) -> verdict as the judge of a claim. A second claim with the same id is an error."""

    def register(function: Judgement) -> Judgement:
        if identifier in _registry:
            raise ValueError(
                f"claim {identifier} is defined twice: in {_registry[identifier].judgement.__module__} and {function.__module__}"
            )
        _registry[identifier] = Claim(
            identifier, statement, experiments, measure, tolerance, essay, idea, sources, function, needs, also
        )
        return function

    return register


def all_claims() -> tuple[Claim, ...]:
    """Every claim of this package: the essay's (C1, C2, ..), then the identities (T1, ..), in the order of their numbers."""
    package = importlib.import_module("theory.claims")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"theory.claims.{module.name}")
    return tuple(sorted(_registry.values(), key=lambda c: [int(x) if x.isdigit() else x for x in re.split(r"(\d+)", c.id)]))


def judge(results: Results) -> list[tuple[Claim, Verdict]]:
    """The ledger: every claim whose experiments have results, judged. A claim that lacks one is absent, never passed."""
    outcomes = [(c, _outcome(c, results)) for c in all_claims()]
    return [(c, outcome) for c, outcome in outcomes if isinstance(outcome, Verdict)]


def not_judged(results: Results, why: Mapping[str, str]) -> list[tuple[Claim, str]]:
    """Every other claim, and what it lacks. `why` says of experiments why they have no results."""
    outcomes = [(c, _outcome(c, results, why)) for c in all_claims()]
    return [(c, outcome) for c, outcome in outcomes if isinstance(outcome, str)]


def _outcome(claim: Claim, results: Results, why: Mapping[str, str] | None = None) -> Verdict | str:
    """A verdict, or what is missing for one."""
    missing = [name for name in claim.experiments if not results.get(name)]
    if missing:
        return "; ".join(f"{name} {(why or {}).get(name, 'has no results')}" for name in missing)
    try:
        return claim.judge(results)
    except NothingToJudgeError as error:
        return str(error)
