"""The module defines a verdict: the status of a claim, the figure that decides it, and the evidence of every case."""

import html
import textwrap
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["CLOSE", "ROUNDING", "Evidence", "NothingToJudgeError", "Status", "Verdict"]

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
    """The figure that was measured in one case."""

    case: str
    figure: float


@dataclass(frozen=True, repr=False)
class Verdict:
    """The outcome of a claim: `figure`, found in `case`, is the number of the given `measure` that decides.

    `condition` says when the claim holds, or what else was found. `evidence` has the figures of all cases.
    """

    status: Status
    figure: float
    measure: str
    tolerance: float
    condition: str
    case: str
    evidence: tuple[Evidence, ...] = ()

    def __repr__(self) -> str:
        shown, hidden = self.evidence[:_MOST_CASES], len(self.evidence) - _MOST_CASES
        lines = [
            f"{self.status}: {self.figure:.3g} (tolerance {self.tolerance:g}) on {self.case}",
            *_indented(self.measure),
            *(f"    {item.figure:<12.3g}{item.case}" for item in shown),
            *([f"    and {hidden} more cases"] if hidden > 0 else []),
            *_indented(self.condition),
        ]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = {
            "Verdict": self.status,
            "Figure": f"{self.figure:.3g} (tolerance {self.tolerance:g}): {self.measure}",
            "Decided by": self.case,
            "Condition": self.condition,
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
