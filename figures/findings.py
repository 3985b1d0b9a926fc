"""The module writes the findings of README.md and FINDINGS.md from the ledger of the last full run: no number is typed by hand.

`python -m figures.findings README.md FINDINGS.md` writes the texts of `templates/readme.md.j2` and `templates/findings.md.j2`,
with the figures of `gallery/ledger.json`, between two marks of each page.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from figures.decisions import Decision, decisions

__all__ = ["LEDGER", "MARKS", "Quoted", "put_findings", "rendered"]

LEDGER = Path(__file__).parent / "gallery" / "ledger.json"
"""The ledger of the last full run, as `python -m sims verify --json FILE` wrote it."""

MARKS = ("<!-- findings: from figures/gallery/ledger.json -->", "<!-- end of findings -->")
"""The lines of a page between which the findings stand."""


class Quoted:
    """The figures of a ledger that a text may quote; a claim or case that is not there is a KeyError that names it."""

    def __init__(self, ledger: Mapping[str, Any]) -> None:
        """Take a ledger as `python -m sims verify --json FILE` writes it."""
        self._claims = {claim["id"]: claim for claim in ledger["claims"]}

    def claim(self, identifier: str) -> Mapping[str, Any]:
        """Return everything that the ledger has of a claim."""
        if identifier not in self._claims:
            raise KeyError(f"the ledger has no verdict on {identifier}, expected one of {', '.join(self._claims)}")
        return self._claims[identifier]

    def figures(self, identifier: str, part: str = "", *, controls: bool = False, without: str | None = None) -> Sequence[float]:
        """Return the figures of the cases, or of the controls, of a claim whose names contain `part` and not `without`."""
        evidence = [item for item in self.claim(identifier)["evidence"] if item["control"] == controls]
        evidence = [item for item in evidence if without is None or without not in item["case"]]
        found = [item["figure"] for item in evidence if part in item["case"] and item["figure"] is not None]
        if not found:
            cases = "; ".join(item["case"] for item in evidence)
            raise KeyError(f"no case of {identifier} contains {part!r} and has a figure, expected a part of: {cases}")
        return found

    def figure(self, identifier: str, part: str = "") -> float:
        """Return the figure of the one case whose name contains `part`."""
        found = self.figures(identifier, part)
        if len(found) != 1:
            raise KeyError(f"{len(found)} cases of {identifier} contain {part!r}, expected one")
        return found[0]

    def models(self, identifier: str) -> int:
        """Return the number of models in the evidence of a claim whose cases are called "MODEL: PART"."""
        return len({item["case"].rpartition(": ")[0] for item in self.claim(identifier)["evidence"]})

    @property
    def decisions(self) -> Sequence[Decision]:
        """Return which score answers which question, with what it misses."""
        evidence = [(item["case"], item["figure"]) for item in self.claim("T13 places")["evidence"]]
        return decisions([(case, figure) for case, figure in evidence if figure is not None])

    def verdict(self, identifier: str) -> str:
        """Return the id of a claim and its verdict, marked where it is not robust."""
        claim = self.claim(identifier)
        return f"[{identifier} {claim['verdict']}{'' if claim['sensitivity']['robust'] else ', not robust'}]"


def rendered(page: str, ledger: Mapping[str, Any]) -> str:
    """Return the findings of a page, "README.md" or "FINDINGS.md", as Markdown with the figures of a ledger."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("figures"),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # Markdown, made of our own ledger
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"digits": _digits, "percent": _percent}
    return environment.get_template(f"{page.lower()}.j2").render(of=Quoted(ledger)).strip()


def put_findings(page: str, text: str) -> str:
    """Return a page with the text between its marks."""
    before, mark, rest = page.partition(MARKS[0])
    _, end, after = rest.partition(MARKS[1])
    if not mark or not end:
        raise ValueError(f"the page has no place for the findings, expected the lines {MARKS[0]} and {MARKS[1]}")
    return f"{before}{MARKS[0]}\n\n{text}\n\n{MARKS[1]}{after}"


def _digits(value: float, count: int = 2) -> str:
    """Return a number with `count` significant digits, as a power of ten below a thousandth."""
    return f"{value:#.{count}g}".rstrip(".") if 1e-3 <= abs(value) < 10**count else f"{value:.{count}g}"


def _percent(value: float) -> str:
    return f"{100.0 * value:.0f}%" if abs(value) >= 0.01 else f"{100.0 * value:.1g}%"


def main(*pages: str) -> None:
    """Write the findings into pages."""
    ledger = json.loads(LEDGER.read_text())
    for file in map(Path, pages):
        file.write_text(put_findings(file.read_text(), rendered(file.name, ledger)))


if __name__ == "__main__":
    main(*sys.argv[1:])
