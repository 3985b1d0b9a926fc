"""Write results and verdicts as text for people and as JSON for programs."""

import dataclasses
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sims.retrain.provenance import environment
from theory.claims import Claim, Ledger, Verdict

if TYPE_CHECKING:  # loaded where results are
    import xarray as xr

__all__ = ["ledger_json", "ledger_text", "missing_text", "summary_json", "summary_text"]

_WIDTH = 118


def ledger_text(verdicts: Sequence[tuple[Claim, Verdict]]) -> str:
    """Write the ledger: for every claim its verdict and deciding figure, then statement, cases and condition."""
    lines: list[str] = []
    for heading, family in (("The essay's claims", "C"), ("What is true instead", "T")):
        judged = [(claim, verdict) for claim, verdict in verdicts if claim.id.startswith(family)]
        if judged:
            lines += ["", heading, "=" * len(heading)]
        for claim, verdict in judged:
            figure = f"{'none' if np.isnan(verdict.figure) else f'{verdict.figure:.3g}'} (tolerance {verdict.tolerance:g})"
            lines.append(f"\n{claim.id:<10} {verdict.status.value:<13} {verdict.measure}: {figure}")
            lines += _indented(claim.statement)
            lines += [f"{'':11}{item}" for item in verdict.evidence]
            lines += _indented(verdict.condition)
            if verdict.sensitivity is not None:
                lines += _indented(f"Sensitivity: {verdict.sensitivity}")
    return "\n".join(lines)


def missing_text(absent: Sequence[tuple[Claim, str]]) -> str:
    """List the claims without a verdict, grouped by the reason."""
    by_reason: dict[str, list[str]] = {}
    for claim, reason in absent:
        by_reason.setdefault(reason, []).append(claim.id)
    heading = "Not judged"
    lines = ["", heading, "=" * len(heading)]
    for reason, ids in by_reason.items():
        lines += textwrap.wrap(f"{', '.join(ids)}: {reason}", _WIDTH, subsequent_indent="    ")
    return "\n".join(lines)


def ledger_json(ledger: Ledger) -> dict[str, Any]:
    """Return a ledger as plain values: its claims with their verdicts, why others have none, and with what it was computed."""
    return {
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


def _indented(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=" " * 11, subsequent_indent=" " * 11)


def summary_text(result: "xr.Dataset") -> str:
    """Summarise a result as tables: its variables without training points, averaged over outputs."""
    lines = [f"\n{result.attrs['case']}", "-" * len(result.attrs["case"])]
    for name, values in _summary(result).items():
        lines.append(f"{name}: {values.attrs['long_name']}")
        if values.ndim == 0:
            lines.append(f"    {values.item():.6g}")
        else:
            table = values.to_series()
            shown = table.unstack() if values.ndim > 1 else table.to_frame("").T
            lines.append(textwrap.indent(shown.to_string(float_format="{:.4g}".format), "    "))
    if any(np.isnan(values).any() for values in _summary(result).values()):
        lines.append(_UNDEFINED)
    if warning := result.attrs.get("warning"):
        lines.append(f"Warning: {warning}")
    return "\n".join(lines)


_UNDEFINED = (
    "NaN: undefined. Errors where there is one seed or draw; correlations with a constant; scores where a matrix is singular;\n"
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
