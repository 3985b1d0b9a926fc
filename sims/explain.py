"""What there is to know about a claim, as text: the statement, the essay, the idea, the test, the sources and the verdict."""

import difflib
import inspect
import textwrap
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from sims.results import read
from theory.claims import Claim, Verdict, all_claims

__all__ = ["claims_by_id", "explanation", "overview", "verdict_from"]

_WIDTH, _INDENT = 118, 10


def claims_by_id(identifiers: Sequence[str]) -> list[Claim]:
    """The claims with these ids, in whatever case, in the order given. An unknown id is refused with those that are close."""
    known = {claim.id.casefold(): claim for claim in all_claims()}
    for identifier in identifiers:
        if identifier.casefold() not in known:
            close = [known[key].id for key in difflib.get_close_matches(identifier.casefold(), known, n=3, cutoff=0.5)]
            expected = f"did you mean {' or '.join(map(repr, close))}?" if close else "`python -m sims explain` lists all."
            raise ValueError(f"claim {identifier!r} is unknown: {expected} An id with a space needs quotes.")
    return [known[identifier.casefold()] for identifier in identifiers]


def verdict_from(folder: Path, claim: Claim) -> Verdict | None:
    """The claim judged on results stored in a folder; None where an experiment that it reads has none."""
    results = {experiment: list(_read(folder, experiment)) for experiment in claim.experiments}
    if not all(results.values()):
        return None
    try:
        return claim.judge(results)
    except (KeyError, AttributeError) as error:
        raise ValueError(
            f"{claim.id} cannot be judged on the results in {folder}: they lack {error}. Another version made them; run again: "
            + _commands(folder, claim.experiments)
        ) from error


_read = cache(read)  # several claims read the same experiment


def overview(folder: Path) -> str:
    """Every claim with today's verdict, one line each."""
    lines: list[str] = []
    for claim in all_claims():
        verdict = verdict_from(folder, claim)
        lines.append(f"{claim.id:<12}{verdict.status if verdict else 'not judged':<14}{claim.statement}")
    missing = [name for name in dict.fromkeys(e for c in all_claims() for e in c.experiments) if not _read(folder, name)]
    if missing:
        lines += [
            "",
            *textwrap.wrap(
                f"No results of {', '.join(missing)} in {folder}. Made by python -m sims verify --out {folder}", _WIDTH
            ),
        ]
    return "\n".join(lines)


def explanation(claim: Claim, verdict: Verdict | None, folder: Path) -> str:
    """All about one claim; without a verdict, the commands that lead to one."""
    judged = " ".join(inspect.cleandoc(claim.judgement.__doc__ or "").split())
    if verdict is None:
        missing = [name for name in claim.experiments if not _read(folder, name)]
        today = f"not judged: no results of {', '.join(missing)} in {folder}. Made by {_commands(folder, missing)}"
    else:
        today = f"{verdict.status}: {verdict.figure:.3g} on {verdict.case}. {verdict.condition}"
    parts = {
        "Essay": claim.essay,
        "Idea": claim.idea,
        "Tested": f"{judged} Experiments: {', '.join(claim.experiments)}.",
        "Measure": f"{claim.measure}; tolerance {claim.tolerance:g}",
        "Verdict": today,
        "Sources": "; ".join(claim.sources),
    }
    heading = f"{claim.id}: {claim.statement}"
    return "\n".join([heading, "-" * min(len(heading), _WIDTH), *(_part(name, text) for name, text in parts.items())])


def _part(name: str, text: str) -> str:
    return textwrap.fill(
        text,
        _WIDTH,
        initial_indent=f"{name:<{_INDENT}}",
        subsequent_indent=" " * _INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _commands(folder: Path, experiments: Sequence[str]) -> str:
    return " && ".join(f"python -m sims run {name} --out {folder}" for name in experiments)
