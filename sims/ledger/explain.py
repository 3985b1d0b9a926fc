"""Explain claims as text: statement, essay, idea of the proof, test, verdict and sources."""

import difflib
import inspect
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from shlex import quote

from sims.experiments.shared.results import read
from theory.claims import Claim, NotJudged, Results, Verdict, all_claims, outcome
from theory.claims.sources import reference

__all__ = ["claims_by_id", "explanation", "overview", "results_for"]

_WIDTH, _INDENT = 118, 13


def claims_by_id(identifiers: Sequence[str]) -> list[Claim]:
    """Return the claims with these ids, in upper or lower case, in the order given. An unknown id is a ValueError."""
    known = {claim.id.casefold(): claim for claim in all_claims()}
    for identifier in identifiers:
        if identifier.casefold() not in known:
            close = [known[key].id for key in difflib.get_close_matches(identifier.casefold(), known, n=3, cutoff=0.5)]
            expected = f"did you mean {' or '.join(map(repr, close))}?" if close else "`python -m sims explain` lists all."
            raise ValueError(f"claim {identifier!r} is unknown: {expected} An id with a space needs quotes.")
    return [known[identifier.casefold()] for identifier in identifiers]


def results_for(claims: Iterable[Claim], folder: Path) -> Results:
    """Read the stored results of all experiments that the claims need; an experiment without results has an empty list."""
    return {name: read(folder, name) for name in dict.fromkeys(name for c in claims for name in (*c.experiments, *c.also))}


def _outcome(claim: Claim, results: Results) -> Verdict | NotJudged:
    """Judge a claim on stored results; a fault is a ValueError that says what to run again."""
    found = outcome(claim, results)
    if isinstance(found, NotJudged) and found.fault:
        raise ValueError(f"{claim.id} cannot be judged on the stored results: {found.reason}")
    return found


def overview(claims: Sequence[Claim], folder: Path, width: int = _WIDTH) -> str:
    """List every claim with its verdict on the results in a folder, one line each; then the experiments without results."""
    results = results_for(claims, folder)
    outcomes = [(claim, _outcome(claim, results)) for claim in claims]
    lines = [
        f"{claim.id:<12}{found.status if isinstance(found, Verdict) else 'not judged':<14}{claim.plain}"
        for claim, found in outcomes
    ]
    missing = [name for name in dict.fromkeys(name for c in claims for name in c.experiments) if not results[name]]
    if missing:
        made = f"No results of {', '.join(missing)} in {folder}. To make them: python -m sims verify --out {quote(str(folder))}"
        lines += ["", *textwrap.wrap(made, width)]
    return "\n".join(lines)


def explanation(claim: Claim, folder: Path, width: int = _WIDTH) -> str:
    """Explain one claim, with its verdict on the results in a folder, or the commands that make what is missing."""
    results = results_for([claim], folder)
    found = _outcome(claim, results)
    if isinstance(found, NotJudged):
        missing = [name for name in claim.experiments if not results[name]]
        commands = " && ".join(f"python -m sims run {name} --out {quote(str(folder))}" for name in missing)
        verdict = f"not judged: {found.reason}" + (f". To make them: {commands}" if missing else "")
    else:
        verdict = f"{found.status}: {found.figure:.3g} on {found.case}. {found.condition}"
    judged = " ".join((inspect.getdoc(claim.judgement) or "").split())
    parts = {
        "Essay": claim.essay,
        "Idea": claim.idea,
        "Tested": f"{judged} Experiments: {', '.join(claim.experiments)}.",
        "Measure": f"{claim.measure}; tolerance {claim.tolerance:g}",
        "Verdict": verdict,
        **({"Sensitivity": str(found.sensitivity)} if isinstance(found, Verdict) else {}),
        "Sources": "; ".join(map(reference, claim.sources)),
    }
    heading = textwrap.wrap(f"{claim.id}: {claim.statement}", width)
    return "\n".join([*heading, "-" * len(heading[0]), *(_part(name, text, width) for name, text in parts.items())])


def _part(name: str, text: str, width: int) -> str:
    name = f"{name:<{_INDENT}}"
    wrap = textwrap.TextWrapper(width, name, " " * _INDENT, break_on_hyphens=False, break_long_words=False)  # links stay whole
    return wrap.fill(text)
