"""Judge the stored scores, and keep what the judge says as a table: one row for each run of a library."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sims.peers.stored import LIBRARIES, SCORES, Record, records, truths
from sims.referee import judge_scores
from theory.storage.files import write_whole

__all__ = ["TABLE", "judged", "rows", "write"]

TABLE = SCORES / "table.json"
"""The stored table."""


def rows(path: Path = TABLE) -> list[dict[str, Any]]:
    """Return the stored rows in the order of libraries, truths and runs; ValueError where scores were judged before a change.

    >>> {row["truth"] for row in rows()} >= {"logistic_spector", "two_moons_converged"}
    True
    """
    known = {row["sha256"]: row for row in json.loads(path.read_text(encoding="utf-8"))}
    found = list[dict[str, Any]]()
    for library in LIBRARIES:
        for record in records(library):
            if (sha256 := _digest(record)) not in known:
                raise ValueError(f"{record.method} of {library} is not in {path.name}: run `python -m sims.peers judge`")
            found.append(known[sha256])
    return found


def judged(record: Record) -> dict[str, Any]:
    """Return the row of one run: what it is, and what the judge says, with numbers at the digits that are printed."""
    row: dict[str, Any] = {
        "sha256": _digest(record),
        "library": record.library,
        "version": record.version,
        "truth": record.truth,
        "method": record.method,
        "options": record.shown_options(),
        "target": record.target,
        "error": record.error,
    }
    if record.scores is None:
        return row
    truth = truths()[record.truth]
    report = judge_scores(record.of_truth(truth), truth, record.judged_as)
    measure = report.measures["D1"]
    return row | {
        "orientation": report.orientation,
        "sign": report.sign,
        "scale": _rounded(report.scale),
        "estimates": report.estimates,
        "factor": _rounded(report.factor),
        "mismatch": _rounded(report.mismatch, 2),
        "to_D1": _rounded(measure.error_after_scaling, 2),
        "spearman": _rounded(measure.spearman, 3),
        "causes": list(report.causes),
    }


def write(path: Path = TABLE) -> Path:
    """Judge what is not in the table yet; about half a second a row."""
    known: Mapping[str, dict[str, Any]] = {}
    if path.exists():
        known = {row["sha256"]: row for row in json.loads(path.read_text(encoding="utf-8"))}
    found = [known.get(_digest(record)) or judged(record) for library in LIBRARIES for record in records(library)]
    return write_whole(path, (json.dumps(found, indent=1, ensure_ascii=False) + "\n").encode())


def _digest(record: Record) -> str:
    """Return a digest of the scores, the run and its truth."""
    what = [record.library, record.version, record.truth, record.truth_sha256, record.method, record.target, record.error]
    content = b"" if record.scores is None else np.ascontiguousarray(record.scores).tobytes()
    return hashlib.sha256(json.dumps([*what, record.shown_options()]).encode() + content).hexdigest()[:16]


def _rounded(value: float, digits: int = 4) -> float | None:
    """Return a number at some significant digits; below 1e-6 one digit is kept, and None stands for NaN."""
    if not np.isfinite(value):
        return None
    return float(f"{value:.{0 if abs(value) < 1e-6 else digits - 1}e}")
