"""The module makes report.html, one page with everything in a results folder.

The page needs no other file. It depends only on the results, so the same results give the same bytes. Every text from the results
is escaped. The page's content security policy allows only the script and the style of `templates/`, by their sha256.
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
from figures.decisions import decisions
from figures.numbers import MOST, numbers
from figures.pictures import Picture, Results, versions
from figures.results import Retrainings, config_of, fingerprint
from figures.user_file import user_file
from theory.claims import Claim, Ledger, Status, Verdict
from theory.claims.sources import reference

__all__ = ["COMPUTED_WITH", "Page", "render_report"]

HEADLINES = ("T13", "C6", "T2", "C6 networks", "C3", "C10")
"""Claims whose verdicts come first on the page."""

Verdicts = Sequence[tuple[Claim, Verdict]]


@dataclass(frozen=True)
class Page:
    """A page has these parts; `absent` are the pictures that could not be drawn."""

    results: Results
    ledger: Ledger
    pictures: Sequence[Picture]
    absent: Sequence[Absent]
    retrainings: Retrainings


def render_report(page: Page) -> tuple[bytes, list[Absent]]:
    """Return the page as bytes, and a list of everything that is missing on it."""
    budget = attempt("the error budget", ("budget",), page.results, lambda: [_budget(ds) for ds in page.results["budget"]])
    unjudged = [Absent(f"claim {c.id}", reason, fault=c in page.ledger.faults) for c, reason in page.ledger.not_judged]
    absent = [*unjudged, *page.absent, *([budget] if isinstance(budget, Absent) else [])]
    verdicts = page.ledger.verdicts
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("figures"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": _number, "anchor": _anchor, "picture": _data_uri, "size": _size}
    environment.filters["reference"] = reference
    homes = _claim_of_each_picture(page.pictures, verdicts)
    html = environment.get_template("report.html.j2").render(
        own=user_file(page.results, verdicts),
        families=_families(verdicts),
        headlines=[(c, v) for name in HEADLINES for c, v in verdicts if c.id == name],
        counts=_counts(verdicts),
        decisions=decisions([(item.case, item.figure) for c, v in verdicts if c.id == "T13 places" for item in v.evidence]),
        pictures=page.pictures,
        homes=homes,
        budget=[] if isinstance(budget, Absent) else budget,
        absent=absent,
        retrainings=page.retrainings,
        small=any(ds.attrs.get("small") for cases in page.results.values() for ds in cases),
        environment=_environment(page.results),
        versions=versions(),
        cases={name: [_case(ds) for ds in cases] for name, cases in page.results.items()},
        numbers=numbers(verdicts, page.results),
        most=MOST,
        **{name: _inline(environment, f"report.{name}") for name in ("css", "js")},
    )
    return html.encode("utf-8", "replace"), absent


def _families(verdicts: Verdicts) -> list[tuple[str, Verdicts]]:
    """Split the verdicts into those on the essay's claims (C1, C2, ..) and all others, with a title for each."""
    essay = [(c, v) for c, v in verdicts if c.id.startswith("C")]
    others = [(c, v) for c, v in verdicts if not c.id.startswith("C")]
    return [(title, family) for title, family in (("The essay's claims", essay), ("What is true instead", others)) if family]


def _counts(verdicts: Verdicts) -> list[tuple[str, list[tuple[Status, int]]]]:
    """Count the verdicts of each status, for both families of claims."""
    return [(title, [(s, sum(v.status is s for _, v in family)) for s in Status]) for title, family in _families(verdicts)]


def _claim_of_each_picture(pictures: Sequence[Picture], verdicts: Verdicts) -> dict[str, str]:
    """Return for each picture the claim with which the page shows it: the first of its claims that was judged.

    Pictures whose claims were not judged are left out.
    """
    judged = {claim.id for claim, _ in verdicts}
    firsts = {picture.name: next((c for c in picture.claims if c in judged), None) for picture in pictures}
    return {name: first for name, first in firsts.items() if first is not None}


@dataclass(frozen=True)
class _Cell:
    """A cell gives the size of a step relative to ||beta||, and its signed share of the whole gap.

    Standard errors are added unless they are too small to matter.
    """

    size: str
    share: str


@dataclass(frozen=True)
class _Budget:
    """A budget belongs to one case; each step has a cell for every training time, or None if the chain lacks the step there."""

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
    """Return the versions that results were computed with: name -> (version, number of cases that have this one)."""
    found: dict[str, Counter[str]] = {name: Counter() for name in COMPUTED_WITH}
    for cases in results.values():
        for ds in cases:
            for name in COMPUTED_WITH:
                if name in ds.attrs:
                    found[name][str(ds.attrs[name])] += 1
    return {name: sorted(counter.items()) for name, counter in found.items() if counter}


COMPUTED_WITH = ("python", "machine", "dfdw", "numpy", "scipy", "statsmodels", "xarray", "zarr", "numba", "llvmlite")
"""Attributes of a result that record how it was computed; all others record what."""


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
    """Return the text of a style or a script, and the hash by which the content security policy allows it."""
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
    """Return width and height in pixels, from the header of the PNG."""
    return struct.unpack(">II", picture.files["png"][16:24])
