"""The module judges claims: every claim gets a verdict on results, or the reason why it has none."""

import re
import textwrap
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from theory.claims.registry import Claim, Results, all_claims
from theory.claims.verdict import NothingToJudgeError, Verdict, html_table

__all__ = ["Ledger", "NotJudged", "judge", "outcome"]


@dataclass(frozen=True)
class NotJudged:
    """The reason why a claim has no verdict. It is a `fault` where the claim's judgement failed on results that are there."""

    reason: str
    fault: bool = False


@dataclass(frozen=True, repr=False)
class Ledger:
    """The verdicts on the claims that results can judge, and for every other claim the reason why not.

    `faults` are the claims of `not_judged` whose judgement failed on results that are there, such as those of another version.
    """

    verdicts: tuple[tuple[Claim, Verdict], ...]
    not_judged: tuple[tuple[Claim, str], ...]
    faults: tuple[Claim, ...] = ()

    def __repr__(self) -> str:
        lines = [f"{id_:<12} {status:<13} {figure:<10} {statement}" for id_, status, figure, statement in self._rows()]
        return "\n".join([self._count(), *lines, *textwrap.wrap(self._rest(), _WIDTH)])

    def _repr_html_(self) -> str:
        return f"<p>{self._count()}</p>{html_table(self._rows())}<p>{self._rest()}</p>"

    def _rows(self) -> list[list[str]]:
        return [
            [claim.id, verdict.status, f"{verdict.figure:.3g}", textwrap.shorten(claim.statement, _WIDTH - 38, placeholder=" ..")]
            for claim, verdict in self.verdicts
        ]

    def _count(self) -> str:
        found = Counter(verdict.status for _, verdict in self.verdicts)
        return f"{len(self.verdicts)} claims judged: {', '.join(f'{n} {status}' for status, n in found.items()) or 'none'}"

    def _rest(self) -> str:
        return f"Not judged: {', '.join(claim.id for claim, _ in self.not_judged) or 'none'}"


_WIDTH = 118

_NO_LABEL = re.compile(r"not all values found in index '(\w+)'")
"""What xarray says where labels are missing."""


def judge(results: Results, why: Mapping[str, str] | None = None) -> Ledger:
    """Judge every claim once. A claim that lacks the results of an experiment gets no verdict.

    `why` gives for experiments without results the reason.
    """
    outcomes = [(claim, outcome(claim, results, why)) for claim in all_claims()]
    return Ledger(
        tuple((claim, found) for claim, found in outcomes if isinstance(found, Verdict)),
        tuple((claim, found.reason) for claim, found in outcomes if isinstance(found, NotJudged)),
        tuple(claim for claim, found in outcomes if isinstance(found, NotJudged) and found.fault),
    )


def outcome(claim: Claim, results: Results, why: Mapping[str, str] | None = None) -> Verdict | NotJudged:
    """Judge one claim, or say why it cannot be judged.

    If results of another version cause an error, it is a fault; the reason names the experiments to rerun. A ratio of zeros
    is NaN without a warning: `Claim.decide` says on which case a figure is undefined. A claim that the cases of a small run
    cannot judge as those of the full run do is not judged on them; the reason shows its figure.
    """
    if missing := [name for name in claim.experiments if not results.get(name)]:
        return NotJudged("; ".join(f"{name} {(why or {}).get(name, 'has no results')}" for name in missing))
    try:
        with np.errstate(divide="ignore", invalid="ignore"):
            found = claim.judge(results)
    except NothingToJudgeError as error:
        return NotJudged(str(error))
    except (LookupError, AttributeError, TypeError, ValueError, ArithmeticError) as error:
        changed = {str(ds.attrs["changed"]) for name in claim.experiments for ds in results[name] if "changed" in ds.attrs}
        if changed and isinstance(error, LookupError | ValueError):
            lacks = str(error).partition(". Try ")[0].strip('"')
            lacks = _NO_LABEL.sub(r"some values of \1", lacks)
            return NotJudged(f"the changed cases ({'; '.join(sorted(changed))}) do not have what it is judged on: {lacks}")
        return NotJudged(
            f"{type(error).__name__}: {error}. If another version made the results of {', '.join(claim.experiments)}, run these "
            "experiments again",
            fault=True,
        )
    if claim.too_small and any(ds.attrs.get("small") for name in claim.experiments for ds in results[name]):
        return NotJudged(f"too small to judge: {claim.too_small} ({claim.measure}: {found.figure:.3g} on {found.case})")
    return found
