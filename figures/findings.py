"""The module writes the findings of README.md from the last full run, so that no number is typed by hand.

`python -m figures.findings RESULTS README.md` copies the ledger of a results folder into the gallery, with the numbers of those
experiments that no claim judges, and writes the text of `templates/findings.md.j2` between two marks of the page.
"""

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

import jinja2

from figures.numbers import Number, numbers

__all__ = ["GALLERY", "MARKS", "Quoted", "put_findings", "quoted", "rendered"]

GALLERY = Path(__file__).parent / "gallery"
"""The folder with the pictures and numbers of the last full run."""

MARKS = ("<!-- findings: from figures/gallery/ledger.json -->", "<!-- end of findings -->")
"""The lines of a page between which the findings stand."""


class Quoted:
    """What a text may quote: the figures of claims, and numbers of experiments. What is not there is a KeyError that names it."""

    def __init__(self, ledger: Mapping[str, Any], others: Sequence[Number]) -> None:
        """Take a ledger as `python -m sims verify --json FILE` writes it, and the numbers of experiments that no claim judges."""
        self._claims = {claim["id"]: claim for claim in ledger["claims"]}
        self._others = others

    def claim(self, identifier: str) -> Mapping[str, Any]:
        """Return everything that the ledger has of a claim."""
        if identifier not in self._claims:
            raise KeyError(f"the ledger has no verdict on {identifier}, expected one of {', '.join(self._claims)}")
        return self._claims[identifier]

    def figures(self, identifier: str, part: str = "") -> Sequence[float]:
        """Return the figures of all cases of a claim whose names contain `part`."""
        evidence = self.claim(identifier)["evidence"]
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

    def decided(self, identifier: str) -> float:
        """Return the figure that decides a claim."""
        return float(self.claim(identifier)["figure"])

    def verdict(self, identifier: str) -> str:
        """Return a verdict as the page shows it: in bold, and whether it is robust."""
        claim = self.claim(identifier)
        robust = "" if claim["sensitivity"]["robust"] else ", not robust"
        return f"**{claim['verdict']}**{robust}"

    def values(self, experiment: str, quantity: str, case: str = "", at: str = "") -> Sequence[float]:
        """Return the numbers of a variable in the cases, and at the coordinates, that contain `case` and `at`."""
        rows = [row for row in self._others if row.source == experiment and row.quantity == quantity]
        found = [row.value for row in rows if case in row.case and all(part in row.at for part in at.split(", "))]
        if not found:
            known = "; ".join(f"{row.case} at {row.at}" for row in rows[:20])
            raise KeyError(f"no {quantity} of {experiment} is of {case!r} at {at!r}, expected a part of: {known}")
        return found


def quoted(folder: Path = GALLERY) -> Quoted:
    """Read what the gallery has kept of the last full run."""
    with (folder / "numbers.csv").open(newline="") as file:
        rows = [Number(**{**row, "value": float(row["value"])}) for row in csv.DictReader(file)]
    return Quoted(json.loads((folder / "ledger.json").read_text()), rows)


def rendered(source: Quoted) -> str:
    """Return the findings as Markdown, with the numbers of the last full run."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("figures"),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # Markdown, made of our own ledger
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"digits": _digits, "percent": _percent}
    return environment.get_template("findings.md.j2").render(of=source).strip()


def put_findings(page: str, text: str) -> str:
    """Return a page with the text between its marks."""
    before, mark, rest = page.partition(MARKS[0])
    _, end, after = rest.partition(MARKS[1])
    if not mark or not end:
        raise ValueError(f"the page has no place for the findings, expected the lines {MARKS[0]} and {MARKS[1]}")
    return f"{before}{MARKS[0]}\n\n{text}\n\n{MARKS[1]}{after}"


def _digits(value: float, count: int = 2) -> str:
    """Return a number with `count` significant digits."""
    return f"{value:#.{count}g}".rstrip(".") if 1e-3 <= abs(value) < 10**count else f"{value:.{count}g}"


def _percent(value: float) -> str:
    return f"{100.0 * value:.0f}%" if abs(value) >= 0.01 else f"{100.0 * value:.1g}%"


def _keep(results: Path, folder: Path) -> None:
    """Copy the ledger of a results folder, and the numbers of its experiments that no claim judges."""
    from figures.results import read_all
    from theory.claims import all_claims

    judged = {name for claim in all_claims() for name in claim.experiments}
    rows = numbers([], {name: cases for name, cases in read_all(results).items() if name not in judged})
    with (folder / "numbers.csv").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([[field.name for field in fields(Number)], *map(astuple, rows)])
    (folder / "ledger.json").write_bytes((results / "ledger.json").read_bytes())


def main(results: str, page: str) -> None:
    """Keep the numbers of a results folder in the gallery, and write the findings into a page."""
    _keep(Path(results), GALLERY)
    file = Path(page)
    file.write_text(put_findings(file.read_text(), rendered(quoted())))


if __name__ == "__main__":
    main(*sys.argv[1:])
