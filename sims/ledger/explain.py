"""What there is to know about a claim, as text: the statement, the essay, the idea, the test, the verdict and the sources."""

import difflib
import inspect
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path

from sims.experiments.shared.results import read
from theory.claims import Claim, NothingToJudgeError, Results, Verdict, all_claims

__all__ = ["claims_by_id", "explanation", "overview", "results_for", "verdict_on"]

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


def results_for(claims: Iterable[Claim], folder: Path) -> Results:
    """What is stored in a folder of the experiments that the claims read; nothing where an experiment has no results."""
    return {name: read(folder, name) for name in dict.fromkeys(name for c in claims for name in (*c.experiments, *c.also))}


def verdict_on(results: Results, claim: Claim) -> Verdict | str:
    """The claim judged on results, or why they say nothing of it."""
    if missing := [name for name in claim.experiments if not results[name]]:
        return f"no results of {', '.join(missing)}"
    try:
        return claim.judge(results)
    except NothingToJudgeError as error:
        return str(error)
    except (KeyError, AttributeError) as error:
        raise ValueError(
            f"{claim.id} cannot be judged on the stored results of {', '.join(claim.experiments)}: {error}. Another version made "
            "them: run these experiments again"
        ) from error


def overview(claims: Sequence[Claim], folder: Path) -> str:
    """Every claim with today's verdict, one line each; then the experiments that lack results."""
    results = results_for(claims, folder)
    verdicts = [(claim, verdict_on(results, claim)) for claim in claims]
    lines = [
        f"{claim.id:<12}{verdict.status if isinstance(verdict, Verdict) else 'not judged':<14}{claim.statement}"
        for claim, verdict in verdicts
    ]
    missing = [name for name in dict.fromkeys(name for c in claims for name in c.experiments) if not results[name]]
    if missing:
        made = f"No results of {', '.join(missing)} in {folder}. Made by python -m sims verify --out {folder}"
        lines += ["", *textwrap.wrap(made, _WIDTH)]
    return "\n".join(lines)


def explanation(claim: Claim, folder: Path) -> str:
    """All about one claim, with the verdict on the results in a folder or, where they lack, the commands that make them."""
    results = results_for([claim], folder)
    verdict = verdict_on(results, claim)
    if isinstance(verdict, str):
        missing = [name for name in claim.experiments if not results[name]]
        commands = " && ".join(f"python -m sims run {name} --out {folder}" for name in missing)
        today = f"not judged: {verdict}" + (f" in {folder}. Made by {commands}" if missing else "")
    else:
        today = f"{verdict.status}: {verdict.figure:.3g} on {verdict.case}. {verdict.condition}"
    judged = " ".join((inspect.getdoc(claim.judgement) or "").split())
    parts = {
        "Essay": claim.essay,
        "Idea": claim.idea,
        "Tested": f"{judged} Experiments: {', '.join(claim.experiments)}.",
        "Measure": f"{claim.measure}; tolerance {claim.tolerance:g}",
        "Verdict": today,
        "Sources": "; ".join(claim.sources),
    }
    heading = f"{claim.id}: {claim.statement}"
    return "\n".join([heading, "-" * len(heading), *(_part(name, text) for name, text in parts.items())])


def _part(name: str, text: str) -> str:
    name = f"{name:<{_INDENT}}"
    return textwrap.fill(text, _WIDTH, initial_indent=name, subsequent_indent=" " * _INDENT, break_on_hyphens=False)
