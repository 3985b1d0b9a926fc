"""The module defines what a claim states and how it is judged, and lists all claims that `@claim` registers."""

import importlib
import json
import pkgutil
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from theory.claims.verdict import Evidence, NothingToJudgeError, Status, Verdict

if TYPE_CHECKING:  # loaded where results are
    import xarray as xr

__all__ = ["Claim", "Judgement", "Results", "all_claims", "claim"]

Results = Mapping[str, Sequence["xr.Dataset"]]
"""Experiment name -> its results, one data set per case; `attrs["case"]` names data, learner and penalty."""


@dataclass(frozen=True)
class Claim:
    """A claim has a statement, an idea why it is true or not, a test, and a function that judges it. Its texts have no markup.

    `measure` names the figure that decides and `tolerance` is its limit; the docstring of `judgement` says how the figure is
    computed. The claim needs results of all its `experiments`, and of each at least one case that has all variables in `needs`
    (a learner without derivatives lacks some). Its condition says more where the experiments in `also` have results.
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
        """Judge the claim on results of its experiments, on the cases that have all variables it needs."""
        whole = {name: [ds for ds in results[name] if all(need in ds for need in self.needs)] for name in self.experiments}
        if bare := next((name for name, cases in whole.items() if not cases), None):
            raise NothingToJudgeError(f"{bare}: {_left_out(results[bare][0], self.needs)}")
        return self.judgement(self, {**results, **whole})

    def decide(
        self,
        evidence: Sequence[Evidence],
        *,
        condition: str,
        holds: Status = Status.HOLDS,
        must_exceed: bool = False,
        deciding: Literal["worst", "mildest"] = "worst",
        uncertainty: float | Sequence[float] = 0.0,
    ) -> Verdict:
        """Compare the figure of the deciding case with the tolerance; a judgement returns the result.

        The claim `holds` (or holds when) if that figure is at most the tolerance or, where it `must_exceed` it, larger; else
        it fails. The verdict is INCONCLUSIVE if the figure is nearer to the tolerance than its `uncertainty`: one number for
        all cases, or one for each. The worst case decides, that is the largest figure, or the smallest where figures must exceed;
        the mildest case is the other extreme. A figure that is NaN is undefined on its case, as a relative error is where the
        true value is 0: it could be anything, so that the verdict is INCONCLUSIVE unless the other cases alone make the claim
        fail. Raises NothingToJudgeError without evidence.
        """
        if not evidence:
            raise NothingToJudgeError(f"no case says anything: {condition}")
        undefined = [item for item in evidence if item.figure != item.figure]
        status, k = Status.INCONCLUSIVE, -1
        if known := [k for k, item in enumerate(evidence) if item.figure == item.figure]:
            extreme = max if (deciding == "worst") != must_exceed else min
            k = extreme(known, key=lambda k: evidence[k].figure)
            figure, doubt = evidence[k].figure, uncertainty[k] if isinstance(uncertainty, Sequence) else uncertainty
            if not abs(figure - self.tolerance) < doubt:
                status = holds if (figure > self.tolerance) == must_exceed else Status.FAILS
        if undefined and not (status is Status.FAILS and deciding == "worst"):
            cases = ", ".join(item.case for item in undefined)
            return self.verdict(Status.INCONCLUSIVE, undefined[0], evidence, condition=f"{condition}; undefined on {cases}")
        return self.verdict(status, evidence[k], evidence, condition=condition)

    def verdict(self, status: Status, deciding: Evidence, evidence: Sequence[Evidence], *, condition: str) -> Verdict:
        """Make the verdict of a judgement that `decide` cannot express: it finds status and deciding case itself.

        Where no case is evidence, `deciding` says so in the place of a case, with the nearest figure there is or NaN.
        """
        return Verdict(status, deciding.figure, self.measure, self.tolerance, condition, deciding.case, evidence=tuple(evidence))


def _left_out(case: "xr.Dataset", needs: Sequence[str]) -> str:
    """Return the reason why a case lacks variables, from its attribute `left_out`; raise KeyError if that gives no reason."""
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
    """Register a function (claim, results) -> verdict as the judgement of a claim. A second claim with one id is an error."""

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
    """Return every claim of this package: the essay's (C1, C2, ..), then the identities (T1, ..), in numerical order."""
    package = importlib.import_module("theory.claims")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"theory.claims.{module.name}")
    return tuple(sorted(_registry.values(), key=lambda c: [int(x) if x.isdigit() else x for x in re.split(r"(\d+)", c.id)]))
