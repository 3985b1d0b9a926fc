"""report.html: one page with everything that a results folder says, that needs nothing else and runs nothing that it was given.

The page is made of the results alone, so the same results give the same bytes. Every text from outside is escaped, and the only
script and style that may run are the ones of `templates/`, by their sha256 in the page's content security policy.
"""

import base64
import hashlib
import json
import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jinja2
import numpy as np
import xarray as xr
from markupsafe import Markup

from figures.attempts import Absent, attempt
from figures.numbers import MOST, numbers
from figures.pictures import Picture, Results, versions
from figures.results import Retrainings, config_of, fingerprint
from theory.claims import Claim, Status, Verdict, all_claims

__all__ = ["Page", "judge_all", "render_report"]

HEADLINES = ("C6", "T2", "C6 networks", "C3", "C8", "C10")
"""Claims whose verdicts stand first on the page."""

Ledger = Sequence[tuple[Claim, Verdict]]


@dataclass(frozen=True)
class Page:
    """What the page is made of."""

    results: Results
    ledger: Ledger
    pictures: Sequence[Picture]
    absent: Sequence[Absent]
    retrainings: Retrainings


def judge_all(results: Results) -> tuple[Ledger, list[Absent]]:
    """Every claim that the results can judge, and why not for the others."""
    judged = [(c, attempt(f"claim {c.id}", c.experiments, results, lambda c=c: c.judge(results))) for c in all_claims()]
    ledger = [(claim, verdict) for claim, verdict in judged if isinstance(verdict, Verdict)]
    return ledger, [verdict for _, verdict in judged if isinstance(verdict, Absent)]


def render_report(page: Page) -> tuple[bytes, list[Absent]]:
    """The page, and parts of it that could not be made."""
    budget = attempt("the error budget", ("budget",), page.results, lambda: [_budget(ds) for ds in page.results["budget"]])
    absent = [*page.absent, *([budget] if isinstance(budget, Absent) else [])]
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("figures"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": _number, "anchor": _anchor, "picture": _data_uri, "size": _size}
    homes = _homes(page.pictures, page.ledger)
    html = environment.get_template("report.html.j2").render(
        families=_families(page.ledger),
        headlines=[(c, v) for name in HEADLINES for c, v in page.ledger if c.id == name],
        counts=_counts(page.ledger),
        pictures=page.pictures,
        homes=homes,
        budget=[] if isinstance(budget, Absent) else budget,
        absent=absent,
        retrainings=page.retrainings,
        environment=_environment(page.results),
        versions=versions(),
        cases={name: [_case(ds) for ds in cases] for name, cases in page.results.items()},
        numbers=numbers(page.ledger, page.results),
        most=MOST,
        **{name: _inline(environment, f"report.{name}") for name in ("css", "js")},
    )
    return html.encode("utf-8", "replace"), absent


def _families(ledger: Ledger) -> list[tuple[str, Ledger]]:
    """The essay's claims, C1, C2, .., and all others."""
    essay = [(c, v) for c, v in ledger if c.id.startswith("C")]
    others = [(c, v) for c, v in ledger if not c.id.startswith("C")]
    return [(title, family) for title, family in (("The essay's claims", essay), ("What is true instead", others)) if family]


def _counts(ledger: Ledger) -> list[tuple[str, list[tuple[Status, int]]]]:
    """How many verdicts of each kind, by family."""
    return [(title, [(s, sum(v.status is s for _, v in family)) for s in Status]) for title, family in _families(ledger)]


def _homes(pictures: Sequence[Picture], ledger: Ledger) -> dict[str, str]:
    """Picture -> id of the first of its claims that was judged, under which it stands; pictures without one are left out."""
    judged = {claim.id for claim, _ in ledger}
    firsts = {picture.name: next((c for c in picture.claims if c in judged), None) for picture in pictures}
    return {name: first for name, first in firsts.items() if first is not None}


@dataclass(frozen=True)
class _Cell:
    """Size of a step relative to ||beta|| and its signed share of the whole gap, with standard errors where they can be seen."""

    size: str
    share: str


@dataclass(frozen=True)
class _Budget:
    """A case: its training times, and per step a cell for each; None where the chain does not have the step."""

    case: str
    times: list[str]
    steps: list[tuple[str, list[_Cell | None]]]


def _budget(ds: xr.Dataset) -> _Budget:
    parts = [values.sel(column=column) for column in ("size", "share") for values in (ds.budget, ds.budget_error)]
    table = np.stack([part.transpose("step", "time").values for part in parts], axis=-1)
    cells = [[_cell(*map(float, cell)) if np.isfinite(cell[0]) else None for cell in row] for row in table]
    steps = [(str(step).replace("->", "→"), row) for step, row in zip(ds.step.values, cells, strict=True) if any(row)]
    return _Budget(ds.attrs["case"], [f"step {int(t):,}" if t else "solved exactly" for t in ds.time.values], steps)


def _cell(size: float, size_error: float, share: float, share_error: float) -> _Cell:
    percent, doubt = round(100.0 * share) if np.isfinite(share) else "undefined ", 100.0 * share_error
    return _Cell(
        (f"{size:.2g}" if size > 1e-12 else "0") + (f" ± {size_error:.1g}" if size_error > 0.005 * size > 5e-15 else ""),
        f"{percent}%" + (f" ± {doubt:.0f}%" if doubt >= 0.5 else ""),
    )


def _environment(results: Results) -> dict[str, list[tuple[str, int]]]:
    """Attributes that say with what the results were computed: each with its values and the number of cases that have it."""
    found: dict[str, Counter[str]] = {}
    for cases in results.values():
        for ds in cases:
            for name in (name for name, value in ds.attrs.items() if isinstance(value, str) and name not in _QUESTION):
                found.setdefault(name, Counter())[ds.attrs[name]] += 1
    return {name: sorted(counter.items()) for name, counter in found.items()}


_QUESTION = {"experiment", "case", "data", "learner", "unit", "config"}
"""Attributes that say what was computed."""


def _case(ds: xr.Dataset) -> dict[str, str]:
    config = config_of(ds)
    given = config if isinstance(config, dict) else {}
    seeds = ds.sizes.get("seed") or ds.attrs.get("n_seeds") or given.get("n_seeds") or len(given.get("seeds", ()))
    return {
        "name": str(ds.attrs.get("case", "")),
        "seeds": str(seeds or ""),
        "sha256": fingerprint(ds),
        "config": json.dumps(config, ensure_ascii=False),
    }


def _inline(environment: jinja2.Environment, file: str) -> dict[str, Any]:
    """A style or a script with the hash by which the content security policy admits it."""
    assert environment.loader is not None
    text = environment.loader.get_source(environment, file)[0]
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return {"text": Markup(text), "hash": f"sha256-{digest}"}  # our own file


def _number(value: float, digits: int = 3) -> str:
    return "undefined" if value != value else f"{value:.{digits}g}"


def _anchor(text: str) -> str:
    return text.replace(" ", "-")


def _data_uri(picture: Picture) -> str:
    return f"data:image/png;base64,{base64.b64encode(picture.files['png']).decode()}"


def _size(picture: Picture) -> tuple[int, int]:
    """Width and height in pixels, from the header of the PNG."""
    return struct.unpack(">II", picture.files["png"][16:24])
