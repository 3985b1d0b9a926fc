"""The module collects the numbers of all results in one table: the evidence of verdicts, and the small variables of cases."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import xarray as xr

from figures.pictures import Results
from theory.claims import Claim, Evidence, Verdict

__all__ = ["MOST", "Number", "numbers"]

MOST = 100
"""Largest number of values per case that a variable may have to be in the table."""

_SAMPLES = {"point", "output", "seed"}
"""Dimensions that keep a variable out of the table."""


@dataclass(frozen=True)
class Number:
    """A number is one row: `source` (a claim's id or an experiment), the case, the quantity, its coordinates `at`, the value."""

    source: str
    case: str
    quantity: str
    at: str
    value: float


def numbers(verdicts: Sequence[tuple[Claim, Verdict]], results: Results) -> list[Number]:
    """List the evidence of every verdict, then the variables of at most `MOST` values that have no points, outputs or seeds.

    Undefined numbers (NaN) are left out.
    """
    rows = [
        Number(claim.id, item.case, verdict.measure, "", item.figure)
        for claim, verdict in verdicts
        for item in (verdict.evidence or (Evidence(verdict.case, verdict.figure),))
    ]
    rows += [row for experiment, cases in results.items() for ds in cases for row in _summary(experiment, ds)]
    return [row for row in rows if row.value == row.value]


def _summary(experiment: str, ds: xr.Dataset) -> Iterator[Number]:
    """Yield the numbers of the small variables of one case."""
    for name in sorted(map(str, ds.data_vars)):
        values = ds[name]
        if _SAMPLES & set(map(str, values.dims)) or values.size > MOST or values.dtype.kind not in "biuf":
            continue
        labels = [[f"{dim} = {_label(x)}" for x in values[dim].values] for dim in values.dims]
        for where, value in zip(product(*labels), values.values.ravel(), strict=True):
            yield Number(experiment, str(ds.attrs.get("case", "")), name, ", ".join(where), float(value))


def _label(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
