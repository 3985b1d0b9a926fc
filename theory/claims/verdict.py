"""The module defines a verdict: the status of a claim, the figure that decides it, and the evidence of every case."""

import html
import textwrap
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["CLOSE", "ROUNDING", "Evidence", "NothingToJudgeError", "Sensitivity", "Status", "Verdict"]

CLOSE = 0.05
"""Relative error below which one effect may be used for another."""

ROUNDING = 1e-9
"""Tolerance of identities between numbers that were each computed to rounding, through sums over up to 2^20 subsets."""


class Status(StrEnum):
    """A status is what a verdict says about a claim."""

    HOLDS = "HOLDS"
    HOLDS_WHEN = "HOLDS WHEN"
    FAILS = "FAILS"
    INCONCLUSIVE = "INCONCLUSIVE"


class NothingToJudgeError(ValueError):
    """Raised where no result is of the kind that a claim is about; the message says which kind is missing."""


@dataclass(frozen=True)
class Evidence:
    """The figure that was measured in one case.

    `doubt` is half the width of its 95% interval: the case says nothing where the tolerance is nearer to the figure than that. It
    is 0 where nothing is sampled; NaN, the standard error of one seed, counts as 0. A `control` is shown and never decides: it is
    true or false by construction, or another figure that a reader needs beside those that decide.
    """

    case: str
    figure: float
    doubt: float = 0.0
    control: bool = False

    def __str__(self) -> str:
        figure = f"{self.figure:.3g}" + (f" ± {self.doubt:.2g}" if self.doubt > 0.0 else "")
        return f"{figure:<20}{self.case}{' (control)' if self.control else ''}"


@dataclass(frozen=True)
class Sensitivity:
    """What would give a claim another verdict: each of the `flips` names a change and the verdict after it."""

    flips: tuple[str, ...] = ()

    @property
    def robust(self) -> bool:
        """Say whether none of the changes that were tried gives another verdict."""
        return not self.flips

    @property
    def to_another(self) -> tuple[str, ...]:
        """Return the flips to another verdict; after the others there is none, as the claim rests on the one case left out.

        >>> alone = "the case a of b (without it: nothing to judge)"
        >>> Sensitivity((alone, "the tolerance (half it: FAILS)")).to_another, Sensitivity((alone,)).to_another
        (('the tolerance (half it: FAILS)',), ())
        """
        return tuple(flip for flip in self.flips if not flip.endswith("(without it: nothing to judge)"))

    @property
    def word(self) -> str:
        """Say in a word or two whether the verdict is robust."""
        return "robust" if self.robust else "not robust" if self.to_another else "rests on one case"

    def __str__(self) -> str:
        return "robust" if self.robust else f"turns on {'; '.join(self.flips)}"


@dataclass(frozen=True, repr=False)
class Verdict:
    """The outcome of a claim: `figure`, found in `case`, is the number of the given `measure` that decides.

    `condition` says when the claim holds, or what else was found. `evidence` has the figures of all cases. `sensitivity` says
    what would flip the verdict; `Claim.judge` adds it.
    """

    status: Status
    figure: float
    measure: str
    tolerance: float
    condition: str
    case: str
    evidence: tuple[Evidence, ...] = ()
    sensitivity: Sensitivity | None = None

    def __repr__(self) -> str:
        shown, hidden = self.evidence[:_MOST_CASES], len(self.evidence) - _MOST_CASES
        lines = [
            f"{self.status}: {self.figure:.3g} (tolerance {self.tolerance:g}) on {self.case}",
            *_indented(self.measure),
            *(f"    {item}" for item in shown),
            *([f"    and {hidden} more cases"] if hidden > 0 else []),
            *_indented(self.condition),
            *([] if self.sensitivity is None else _indented(str(self.sensitivity))),
        ]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = {
            "Verdict": self.status,
            "Figure": f"{self.figure:.3g} (tolerance {self.tolerance:g}): {self.measure}",
            "Decided by": self.case,
            "Condition": self.condition,
            **({} if self.sensitivity is None else {"Sensitivity": str(self.sensitivity)}),
            "Cases": "; ".join(f"{item.case}: {item.figure:.3g}" for item in self.evidence[:_MOST_CASES])
            + ("; .." if len(self.evidence) > _MOST_CASES else ""),
        }
        return html_table([[name, text] for name, text in rows.items()])


_MOST_CASES, _WIDTH = 10, 110


def _indented(text: str) -> list[str]:
    lines = textwrap.wrap(text, _WIDTH, initial_indent="  ", subsequent_indent="  ")
    return lines if len(lines) <= _MOST_CASES else [*lines[: _MOST_CASES - 1], "  .."]


def html_table(rows: list[list[str]]) -> str:
    """Return rows of texts as an HTML table, escaped, the first column as headings."""
    cells = (
        f'<tr><th style="text-align:left">{html.escape(first)}</th>'
        + "".join(f'<td style="text-align:left">{html.escape(text)}</td>' for text in rest)
        + "</tr>"
        for first, *rest in rows
    )
    return f"<table>{''.join(cells)}</table>"
