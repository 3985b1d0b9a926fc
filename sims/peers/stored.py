"""Read the stored scores of the libraries, and compute our own on the same truths."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from sims.peers.slim import NAMES, TRUTHS
from sims.referee import Truth, load_truth
from sims.referee.truth import Target
from theory.response import Array

__all__ = ["LIBRARIES", "SCORES", "Record", "records", "truths"]

SCORES = Path(__file__).parent / "scores"
"""The folder of the stored scores, LIBRARY.json and LIBRARY.npz."""

LIBRARIES = ("captum", "dattri", "pyDVL", "kronfluence", "shapiq", "traker", "statsmodels", "dfdw")
"""The libraries, by the names of their packages; the last is this one."""

_QUERIES_FIRST = ("captum", "pyDVL", "kronfluence")


@dataclass(frozen=True, eq=False)
class Record:
    """What one run of a library gave: scores as the library returned them, or its error."""

    library: str
    version: str
    truth: str
    truth_sha256: str
    method: str
    options: Mapping[str, Any]
    target: str
    promise: str
    place: str
    error: str
    scores: Array | None

    @property
    def judged_as(self) -> Target:
        """The target of the truth that the scores are for; margins of the label have its sign."""
        return "loss" if self.target == "loss" else "margin"

    def of_truth(self, truth: Truth) -> Array:
        """Return the scores for the truth's own targets, in the library's orientation."""
        assert self.scores is not None
        if self.target != "margin of the label" or truth.loss_function != "logistic":
            return self.scores
        assert truth.y_query is not None
        return self.scores * (2.0 * truth.y_query - 1.0)

    def by_point(self) -> Array:
        """Return the scores as (N, M)."""
        assert self.scores is not None
        return self.scores.T if self.library in _QUERIES_FIRST else self.scores

    def shown_options(self) -> str:
        """Return the options in one line; those that are not there are the library's own."""
        return ", ".join(
            f"{name} = {'all' if name == 'batch' and value is None else value}" for name, value in self.options.items()
        )


@cache
def truths() -> Mapping[str, Truth]:
    """Return the stored truths by name."""
    return {name: load_truth(TRUTHS / f"{name}.npz") for name in NAMES}


def records(library: str) -> list[Record]:
    """Return what is stored of a library, in the order of truths and runs; ValueError where the truth has changed since.

    >>> len(records("shapiq")) > 0
    True
    """
    facts = json.loads((SCORES / f"{library}.json").read_text(encoding="utf-8"))
    with np.load(SCORES / f"{library}.npz", allow_pickle=False) as file:
        arrays = {key: file[key] for key in file.files}
    sha256 = {name: json.loads((TRUTHS / f"{name}.json").read_text(encoding="utf-8"))["sha256"] for name in NAMES}
    found = list[Record]()
    for key, fact in facts.items():
        if fact["truth_sha256"] != sha256[fact["truth"]]:
            raise ValueError(f"{key} of {library} was computed from another {fact['truth']}: run `make peers`")
        known = {name: fact[name] for name in Record.__dataclass_fields__ if name != "scores"}
        found.append(Record(**known, scores=arrays.get(key)))
    return found
