"""What a run found, on one screen: a line for every claim, the conclusion, and where everything is.

Verdicts are always spelled out; colours only repeat them, on a terminal, unless the environment sets NO_COLOR.
"""

import os
import shutil
import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from theory.claims import Claim, Ledger, NotJudged, Results, Status, Verdict, all_claims, outcome

if TYPE_CHECKING:  # loaded where results are
    import xarray as xr

__all__ = ["SMALL_RUN", "claim_lines", "conclusion", "say", "say_small", "screen", "show_run", "terminal_width", "turns_on"]

SMALL_RUN = "Small run: a few points per case; verdicts that need more are not judged."

Outcome = Verdict | NotJudged

_ID, _VERDICT, _PLAIN = 12, 14, 54
"""Columns: the longest id and verdict with a space or a mark behind, and the longest plain sentence of a claim."""

_TURNS_ON = 36
"""Columns for what a verdict turns on, where the terminal has them."""

_COLOURS = {Status.HOLDS: "green", Status.HOLDS_WHEN: "cyan", Status.FAILS: "red", Status.INCONCLUSIVE: "yellow"}

_NOT_ROBUST = "* not robust: another tolerance, measure, case or data would change it."

_SYMBOLS = "beta: datamodel; D = dF/dw; D(1): where all points train; p: share that trains."


def terminal_width() -> int:
    """Return the columns of the terminal; 80 where there is none, unless COLUMNS says otherwise."""
    return max(20, shutil.get_terminal_size().columns)


def say(text: str) -> None:
    """Print a text; its colours only on a terminal that has them and without NO_COLOR (no-color.org)."""
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    click.echo(text, color=False if plain else None)


def say_small(width: int) -> None:
    """Say that a run is small."""
    say("\n".join(_wrapped(SMALL_RUN, width, bold=True)))


def screen(ledger: Ledger, files: Sequence[str], *, width: int, small: bool = False) -> str:
    """Return the whole screen: claims, conclusion, what was not judged, and the given lines on files."""
    parts: list[str] = []
    for heading, essay in (("The essay's claims", True), ("What is true instead", False)):
        judged = [(claim, verdict) for claim, verdict in ledger.verdicts if _is_essays(claim) == essay]
        if judged:
            parts += ["", click.style(heading, bold=True), *claim_lines(judged, width)]
    marked = any(turns_on(verdict) for _, verdict in ledger.verdicts)
    parts += ["", *(_wrapped(_NOT_ROBUST, width) if marked else []), *_wrapped(_SYMBOLS, width), ""]
    for sentence in conclusion(ledger):
        parts += _wrapped(sentence, width, bold=True)
    if ledger.not_judged:
        ids = ", ".join(claim.id for claim, _ in ledger.not_judged)
        parts += _wrapped(f"Not judged: {len(ledger.not_judged)} ({ids}).", width)
    parts += ["", *(line for text in files for line in _wrapped(text, width))]
    return "\n".join([*parts, *(_wrapped(SMALL_RUN, width, bold=True) if small else [])])


def show_run(name: str, results: "Sequence[xr.Dataset]", out: Path, *, small: bool = False) -> None:
    """Print what a run of one experiment gave: its summary tables, and the verdicts on the claims that need it.

    The other experiments that a claim needs are read from the folder; a claim that lacks them says so.
    """
    from sims.ledger.explain import results_for
    from sims.ledger.text import summary_text

    width = terminal_width()
    if small:
        say_small(width)
    for result in results:
        click.echo(summary_text(result, width))
    claims = [claim for claim in all_claims() if name in claim.experiments]
    stored: Results = {**results_for(claims, out), name: results}
    outcomes = [(claim, outcome(claim, stored)) for claim in claims]
    lines = claim_lines(outcomes, width) or [f"No claim is judged on {name}."]
    marked = any(turns_on(found) for _, found in outcomes if isinstance(found, Verdict))
    say("\n".join(["", click.style("Claims", bold=True), *lines, *(["", *_wrapped(_NOT_ROBUST, width)] if marked else [])]))
    click.echo(f"\nresults: {out / name}")
    if small:
        say_small(width)


def claim_lines(outcomes: Iterable[tuple[Claim, Outcome]], width: int) -> list[str]:
    """Return for every claim its id, verdict and plain sentence, and what the verdict turns on where there is room."""
    wide = width >= _ID + _VERDICT + _PLAIN + _TURNS_ON
    return [line for claim, found in outcomes for line in _claim_lines(claim, found, width, wide)]


def _claim_lines(claim: Claim, found: Outcome, width: int, wide: bool) -> list[str]:
    if isinstance(found, NotJudged):
        word, colour, rest = "not judged", None, f"{claim.plain} ({found.reason})"
    else:
        mark = "*" if turns_on(found) else ""
        word, colour, rest = f"{found.status.value}{mark}", _COLOURS[found.status], claim.plain
        if wide and found.sensitivity is not None:
            rest = f"{rest:<{_PLAIN}}{f'turns on {turns_on(found)}' if mark else found.sensitivity.word}"
    prefix = f"{claim.id:<{_ID}}{word:<{_VERDICT}}"
    if width < 2 * len(prefix):  # a narrow terminal: the sentence stands below
        lines = [prefix.rstrip(), *textwrap.wrap(rest, width, initial_indent="  ", subsequent_indent="  ")]
    else:
        lines = textwrap.wrap(rest, width, initial_indent=prefix, subsequent_indent=" " * len(prefix))
    if colour:
        lines[0] = lines[0].replace(word, click.style(word, fg=colour, bold=True), 1)
    return lines


def turns_on(verdict: Verdict) -> str:
    """Return in a few words what would give another verdict, such as "tolerance, 2 cases"; empty where nothing would.

    That a verdict rests on one case, so that without it there is nothing to judge, gives no other verdict: all verdicts on a
    user's own data rest on one.
    """
    flips = () if verdict.sensitivity is None else verdict.sensitivity.to_another
    counts = Counter(flip.split()[1] for flip in flips)  # "the case X of Y (without it: FAILS)"
    return ", ".join(f"{n} {kind}s" if n > 1 and kind in ("case", "measure") else kind for kind, n in counts.items())


def conclusion(ledger: Ledger) -> list[str]:
    """Return the conclusion in three sentences: how many claims hold, which of the essay's, and what beta is."""
    essay = [(claim, verdict) for claim, verdict in ledger.verdicts if _is_essays(claim)]
    others = [(claim, verdict) for claim, verdict in ledger.verdicts if not _is_essays(claim)]
    if not ledger.verdicts:
        return ["No claim could be judged on these results."]
    counts = [f"of the essay's {len(essay)} claim{'s' * (len(essay) != 1)} judged {_counted(essay)}"] if essay else []
    counts += [f"of {len(others)} other claim{'s' * (len(others) != 1)} {_counted(others)}"] if others else []
    return [_sentence("; ".join(counts)), *([_sentence(_named(essay))] if essay else []), _meaning(ledger)]


_WORDS = {
    Status.HOLDS: ("holds", "hold"),
    Status.HOLDS_WHEN: ("holds under a condition", "hold under conditions"),
    Status.FAILS: ("fails", "fail"),
    Status.INCONCLUSIVE: ("is inconclusive", "are inconclusive"),
}


def _counted(judged: Sequence[tuple[Claim, Verdict]]) -> str:
    """Return "3 hold, 2 hold under conditions, 5 fail" in the order of `Status`."""
    counts = Counter(verdict.status for _, verdict in judged)
    return _listed([f"{counts[status]} {words[counts[status] > 1]}" for status, words in _WORDS.items() if counts[status]])


def _named(judged: Sequence[tuple[Claim, Verdict]]) -> str:
    """Return which claims fail, which are inconclusive and which hold."""
    texts: list[str] = []
    for statuses, words in (
        ((Status.FAILS,), _WORDS[Status.FAILS]),
        ((Status.INCONCLUSIVE,), _WORDS[Status.INCONCLUSIVE]),
        ((Status.HOLDS, Status.HOLDS_WHEN), _WORDS[Status.HOLDS]),
    ):
        if ids := [claim.id for claim, verdict in judged if verdict.status in statuses]:
            texts.append(f"{_listed(ids)} {words[len(ids) > 1]}")
    return "; ".join(texts)


def _meaning(ledger: Ledger) -> str:
    """Return whether beta is dF/dw at w = 1, by C6, and whether it is the averaged derivative, by T2."""
    found = {claim.id: verdict for claim, verdict in ledger.verdicts}
    at_one, averaged = found.get("C6"), found.get("T2")
    parts = ["whether beta is dF/dw at w = 1 was not judged" if at_one is None else _of_derivative_at_one(at_one)]
    if averaged is not None:
        holds = averaged.status in (Status.HOLDS, Status.HOLDS_WHEN)
        but = "but" if holds and at_one is not None and at_one.status is Status.FAILS else "and"
        parts.append(f"{but} it is {'' if holds else 'not shown to be '}dF/dw averaged over the datamodel's own training sets")
        parts[-1] += f", to {averaged.figure:.1g}" if holds else ""
    return _sentence(", ".join(parts))


def _of_derivative_at_one(verdict: Verdict) -> str:
    if verdict.status in (Status.HOLDS, Status.HOLDS_WHEN):
        return f"beta is dF/dw at w = 1, to {verdict.figure:.1g} times the size of D(1)"
    if verdict.status is Status.FAILS:
        return f"beta is not dF/dw at w = 1: it is off by up to {verdict.figure:.2g} times the size of D(1) ({verdict.case})"
    return "whether beta is dF/dw at w = 1 remains open"


def _listed(items: Sequence[str]) -> str:
    return f"{', '.join(items[:-1])} and {items[-1]}" if len(items) > 1 else "".join(items)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _is_essays(claim: Claim) -> bool:
    return claim.id.startswith("C")


def _wrapped(text: str, width: int, *, bold: bool = False) -> list[str]:
    """Wrap a text to the terminal; a path that is too long for a line keeps its own."""
    lines = textwrap.wrap(text, width, subsequent_indent="  ", break_long_words=True, break_on_hyphens=False)
    return [click.style(line, bold=True) if bold else line for line in lines]
