"""The module defines what a claim states and how it is judged, and lists all claims that `@claim` registers."""

import importlib
import json
import pkgutil
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from theory.claims.sensitivity import first_data, sensitivity
from theory.claims.verdict import Evidence, NothingToJudgeError, Status, Verdict

if TYPE_CHECKING:  # loaded where results are
    import xarray as xr

__all__ = ["Claim", "Judgement", "OtherMeasure", "Results", "all_claims", "claim"]

Results = Mapping[str, Sequence["xr.Dataset"]]
"""Experiment name -> its results, one data set per case; `attrs["case"]` names data, learner and penalty."""


@dataclass(frozen=True)
class OtherMeasure:
    """Another measure by which a reasonable judge could decide a claim, with its own tolerance and judgement."""

    measure: str
    tolerance: float
    judgement: Callable[["Claim", Results], Verdict]


@dataclass(frozen=True)
class Claim:
    """A claim has a statement, an idea why it is true or not, a test, and a function that judges it. Its texts have no markup.

    `plain` is the statement in at most 54 characters, for one line of a terminal. `measure` names the figure that decides and
    `tolerance` is its limit; the docstring of `judgement` says how the figure is computed. The claim needs results of all its
    `experiments`, and of each at least one case that has all variables in `needs` (a learner without derivatives lacks some). Its
    condition says more where the experiments in `also` have results.

    A claim of kind "identity" holds for any numbers and can only fail through a bug: it checks the code. A "finding" could have
    come out otherwise. `other_measures` are tried for the sensitivity of the verdict. `too_small` says why the cases of a small
    run cannot judge the claim as those of the full run do; it is empty where they can.
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
    kind: Literal["finding", "identity"] = "finding"
    other_measures: tuple[OtherMeasure, ...] = ()
    too_small: str = ""
    plain: str = ""

    def judge(self, results: Results) -> Verdict:
        """Judge the claim on results of its experiments, and find out what would give it another verdict.

        Cases that lack a variable that the claim needs are left out, and so are those on data of another seed, which only count
        for the sensitivity.
        """
        verdict = self.judge_once(first_data(results))
        return replace(verdict, sensitivity=sensitivity(self, results, verdict.status))

    def judge_once(self, results: Results) -> Verdict:
        """Judge the claim on exactly these results, on the cases that have all variables it needs; without sensitivity."""
        whole = {name: [ds for ds in results[name] if all(need in ds for need in self.needs)] for name in self.experiments}
        if bare := next((name for name, cases in whole.items() if not cases), None):
            raise NothingToJudgeError(f"{bare}: {_left_out(results[bare], self.needs)}")
        return self.judgement(self, {**results, **whole})

    def decide(
        self,
        evidence: Sequence[Evidence],
        *,
        condition: str,
        holds: Status = Status.HOLDS,
        must_exceed: bool = False,
        deciding: Literal["worst", "most", "mildest"] = "worst",
    ) -> Verdict:
        """Compare the figures of all cases with the tolerance; a judgement returns the result.

        A case is for the claim if its figure is at most the tolerance or, where it `must_exceed` it, larger. It says nothing
        if the tolerance is nearer than the doubt of the figure, or if the figure is NaN: undefined, as a relative error is
        where the true value is 0. Where the worst case decides, the claim `holds` (or holds when) if all cases are for it and
        fails if one is against it; where the mildest decides, it holds if one is for it and fails if all are against it; else
        more than half of the cases must be on one side. In every other case the verdict is INCONCLUSIVE. The figure shown is
        the worst, the median or the mildest of those cases that made the verdict. Controls are shown and never decide. Raises
        NothingToJudgeError without other evidence.
        """
        judged = [item for item in evidence if not item.control]
        if not judged:
            raise NothingToJudgeError(f"no case says anything: {condition}")
        sides: dict[Status, list[Evidence]] = {holds: [], Status.FAILS: [], Status.INCONCLUSIVE: []}
        for item in judged:
            sides[self._side(item, holds, must_exceed)].append(item)
        enough = {"worst": (len(judged), 1), "most": (len(judged) // 2 + 1,) * 2, "mildest": (1, len(judged))}[deciding]
        status = next((s for s, n in zip((holds, Status.FAILS), enough, strict=True) if len(sides[s]) >= n), Status.INCONCLUSIVE)
        if undefined := [item for item in judged if item.figure != item.figure]:
            condition = f"{condition}; undefined on {', '.join(item.case for item in undefined)}"
        if status is Status.INCONCLUSIVE and (not_known := [x for x in undefined if x in sides[status]]):
            return self.verdict(status, not_known[0], evidence, condition=condition)
        ordered = sorted(sides[status] or judged, key=lambda item: item.figure, reverse=must_exceed)  # the mildest first
        middle = ordered[(len(ordered) - 1) // 2]
        shown = {"worst": ordered[-1], "most": middle, "mildest": ordered[0]}[deciding]
        return self.verdict(status, shown, evidence, condition=condition)

    def _side(self, item: Evidence, holds: Status, must_exceed: bool) -> Status:
        """Return the status that one case alone would give the claim."""
        if item.figure != item.figure or abs(item.figure - self.tolerance) < item.doubt:
            return Status.INCONCLUSIVE
        return holds if (item.figure > self.tolerance) == must_exceed else Status.FAILS

    def verdict(self, status: Status, deciding: Evidence, evidence: Sequence[Evidence], *, condition: str) -> Verdict:
        """Make the verdict of a judgement that `decide` cannot express: it finds status and deciding case itself.

        Where no case is evidence, `deciding` says so in the place of a case, with the nearest figure there is or NaN.
        """
        return Verdict(status, deciding.figure, self.measure, self.tolerance, condition, deciding.case, evidence=tuple(evidence))


def _left_out(cases: "Sequence[xr.Dataset]", needs: Sequence[str]) -> str:
    """Return the reason why the first case lacks variables, from its attribute `left_out`; raise KeyError if that gives none."""
    if not cases:
        return "no case is left"
    reasons: dict[str, str] = json.loads(cases[0].attrs.get("left_out", "{}"))
    return "; ".join(dict.fromkeys(reasons[need] for need in needs if need not in cases[0]))


Judgement = Callable[[Claim, Results], Verdict]

_registry: dict[str, Claim] = {}


def claim(
    identifier: str,
    statement: str,
    *,
    plain: str,
    experiments: tuple[str, ...],
    measure: str,
    tolerance: float,
    essay: str,
    idea: str,
    sources: tuple[str, ...],
    needs: tuple[str, ...] = (),
    also: tuple[str, ...] = (),
    kind: Literal["finding", "identity"] = "finding",
    other_measures: tuple[OtherMeasure, ...] = (),
    too_small: str = "",
) -> Callable[[Judgement], Judgement]:
    """Register a function (claim, results) -> verdict as the judgement of a claim. A second claim with one id is an error."""

    def register(function: Judgement) -> Judgement:
        if identifier in _registry:
            raise ValueError(
                f"claim {identifier} is defined twice: in {_registry[identifier].judgement.__module__} and {function.__module__}"
            )
        _registry[identifier] = Claim(
            identifier,
            statement,
            experiments,
            measure,
            tolerance,
            essay,
            idea,
            sources,
            function,
            needs=needs,
            also=also,
            kind=kind,
            other_measures=other_measures,
            too_small=too_small,
            plain=plain,
        )
        return function

    return register


def all_claims() -> tuple[Claim, ...]:
    """Return every claim of this package: the essay's (C1, C2, ..), then the identities (T1, ..), in numerical order."""
    package = importlib.import_module("theory.claims")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"theory.claims.{module.name}")
    return tuple(sorted(_registry.values(), key=lambda c: [int(x) if x.isdigit() else x for x in re.split(r"(\d+)", c.id)]))
