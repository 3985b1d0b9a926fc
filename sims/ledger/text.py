"""Write results and verdicts as text for people and as JSON for programs."""

import dataclasses
import textwrap
from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from theory.claims import Claim, Ledger, Verdict

if TYPE_CHECKING:  # loaded where results are
    import xarray as xr

__all__ = ["ledger_json", "ledger_text", "missing_text", "summary_json", "summary_text"]

_WIDTH = 118


def ledger_text(verdicts: Sequence[tuple[Claim, Verdict]], width: int = _WIDTH) -> str:
    """Write the ledger: for every claim its verdict and deciding figure, then statement, cases and condition."""
    lines: list[str] = []
    for heading, family in (("The essay's claims", "C"), ("What is true instead", "T"), ("What the field says", "P")):
        judged = [(claim, verdict) for claim, verdict in verdicts if claim.id.startswith(family)]
        if judged:
            lines += ["", heading, "=" * len(heading)]
        for claim, verdict in judged:
            figure = f"{'none' if np.isnan(verdict.figure) else f'{verdict.figure:.3g}'} (tolerance {verdict.tolerance:g})"
            head = f"{claim.id:<11} {verdict.status.value:<13} {verdict.measure}: {figure}"
            lines += ["", *textwrap.wrap(head, width, subsequent_indent=_MARGIN, drop_whitespace=False)]
            lines += _indented(claim.statement, width)
            lines += [line for item in verdict.evidence for line in _indented(str(item), width, hang=20)]
            lines += _indented(verdict.condition, width)
            if verdict.sensitivity is not None:
                lines += _indented(f"Sensitivity: {verdict.sensitivity}", width)
    return "\n".join(lines)


def missing_text(absent: Sequence[tuple[Claim, str]], width: int = _WIDTH) -> str:
    """List the claims without a verdict, grouped by the reason."""
    by_reason: dict[str, list[str]] = {}
    for claim, reason in absent:
        by_reason.setdefault(reason, []).append(claim.id)
    heading = "Not judged"
    lines = ["", heading, "=" * len(heading)]
    for reason, ids in by_reason.items():
        lines += textwrap.wrap(f"{', '.join(ids)}: {reason}", width, subsequent_indent="    ")
    return "\n".join(lines)


def ledger_json(ledger: Ledger, *, small: bool = False) -> dict[str, Any]:
    """Return a ledger as plain values: its claims with their verdicts, why others have none, and with what it was computed.

    `small` says whether it is that of a small run.
    """
    from sims.retrain.provenance import environment  # only now: it brings the engine with it

    return {
        "small": small,
        "claims": [_claim_json(claim, verdict) for claim, verdict in ledger.verdicts],
        "not_judged": {claim.id: reason for claim, reason in ledger.not_judged},
        "environment": environment(),
    }


def _claim_json(claim: Claim, verdict: Verdict) -> dict[str, Any]:
    """Return a claim and its verdict as plain values; the status is under the key `verdict`, an undefined number is null."""
    fields = dataclasses.asdict(verdict)
    evidence = [{**item, "figure": _known(item["figure"]), "doubt": _known(item["doubt"])} for item in fields["evidence"]]
    found = verdict.sensitivity
    return {
        "id": claim.id,
        "statement": claim.statement,
        "kind": claim.kind,
        "verdict": fields.pop("status").value,
        **fields,
        "figure": _known(verdict.figure),
        "evidence": evidence,
        "sensitivity": None if found is None else {"robust": found.robust, "flips": list(found.flips)},
    }


def _known(number: float) -> float | None:
    return number if np.isfinite(number) else None


_MARGIN = " " * 12


def _indented(text: str, width: int, *, hang: int = 0) -> list[str]:
    return textwrap.wrap(text, width, initial_indent=_MARGIN, subsequent_indent=_MARGIN + " " * hang)


def summary_text(result: "xr.Dataset", width: int = _WIDTH) -> str:
    """Summarise a result as tables: its variables without training points, averaged over outputs; no line is wider than `width`.

    A table that is wider is continued below, some columns at a time.
    """
    lines = ["", *textwrap.wrap(result.attrs["case"], width), "-" * min(len(result.attrs["case"]), width)]
    for name, values in _summary(result).items():
        lines += textwrap.wrap(f"{name}: {values.attrs['long_name']}", width)
        if values.ndim == 0:
            lines.append(f"    {values.item():.6g}")
        else:
            lines += _table(values, width)
    if any(np.isnan(values).any() for values in _summary(result).values()):
        lines += textwrap.wrap(_UNDEFINED, width)
    if warning := result.attrs.get("warning"):
        lines += textwrap.wrap(f"Warning: {warning}", width)
    return "\n".join(lines)


def _table(values: "xr.DataArray", width: int) -> list[str]:
    """Return the lines of a table: the last dimension across, as many columns at a time as fit, the others down."""
    *down, across = ([_label(label) for label in values[dim].values.tolist()] for dim in values.dims)
    names = [str(dim) for dim in values.dims]
    left = _aligned([names[:-1], *map(list, product(*down))] if down else [names, [""]], width // 2)
    room, cells = width - _INDENT - len(left[0]), values.values.reshape(-1, len(across))
    columns = [[_shortened(head, room - 2), *map(_cell, cells[:, k].tolist())] for k, head in enumerate(across)]
    lines: list[str] = []
    while columns:
        widths = [max(map(len, column)) + 2 for column in columns]
        n = max(1, int(np.searchsorted(np.cumsum(widths), room, side="right")))
        for row, label in enumerate(left):
            line = "".join(column[row].rjust(size) for column, size in zip(columns[:n], widths, strict=False))
            lines.append(f"{' ' * _INDENT}{label}{line}".rstrip())
        columns = columns[n:]
    return lines


def _aligned(rows: list[list[str]], width: int) -> list[str]:
    """Join the texts of every row in columns, two spaces apart, shortened where all together are wider than `width`."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    if sum(widths) + 2 * (len(widths) - 1) > width:
        widths = [min(one, max(4, width // len(widths) - 2)) for one in widths]
    return ["  ".join(f"{_shortened(text, one):<{one}}" for text, one in zip(row, widths, strict=True)) for row in rows]


def _label(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _cell(value: float) -> str:
    return "NaN" if value != value else f"{value:.4g}"


def _shortened(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 2]}.."


_INDENT = 4

_UNDEFINED = (
    "NaN: undefined. Errors where there is one seed or draw; correlations with a constant; scores where a matrix is singular; "
    "methods that a learner, a p or a number of subsets does not have."
)


def summary_json(result: "xr.Dataset") -> dict[str, Any]:
    """Summarise a result as nested lists by name of the variable; undefined numbers are null."""
    return {
        **{name: result.attrs[name] for name in ("case", "experiment", "warning") if name in result.attrs},
        "summary": {
            name: {
                "dims": list(values.dims),
                "coords": {str(d): values[d].values.tolist() for d in values.dims},
                "values": _listed(values),
            }
            for name, values in _summary(result).items()
        },
    }


def _summary(result: "xr.Dataset") -> "dict[str, xr.DataArray]":
    """Return the variables without training points; those with outputs are averaged, and their long name says so."""
    summary: dict[str, xr.DataArray] = {}
    for name, values in result.data_vars.items():
        if "point" in values.dims:
            continue
        if "output" in values.dims:
            mean = values.mean("output", skipna=False)
            mean.attrs["long_name"] = f"{values.attrs['long_name']} (mean over outputs)"
            summary[str(name)] = mean
        else:
            summary[str(name)] = values
    return summary


def _listed(values: "xr.DataArray") -> Any:
    finite = values.values.astype(object)
    finite[~np.isfinite(values.values)] = None
    return finite.tolist()
