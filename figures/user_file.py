"""The module says in plain words what was found on a user's own file: the first screen of its report."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from figures.pictures import Results
from figures.results import learner_name
from theory.claims import Claim, Verdict
from theory.intervals import half_width
from theory.metrics import relative_error, spearman

__all__ = ["Effect", "Finding", "UserFile", "user_file"]

_SHOWN = 3
"""Rows shown of each sign."""


@dataclass(frozen=True)
class Finding:
    """A finding is one sentence, with the verdict that it belongs to if there is one."""

    text: str
    claim: str = ""
    verdict: Verdict | None = None


@dataclass(frozen=True)
class Effect:
    """An effect is what one training row of the file does to the output of the first query, by three scores."""

    row: int
    beta: str
    derivative: str
    leave_one_out: str


@dataclass(frozen=True)
class UserFile:
    """The first screen: what was run, what was found, and which rows raise and lower the output of the first query most."""

    name: str
    facts: list[tuple[str, str]]
    findings: list[Finding]
    query: str  # which row of the file, and what its output is
    raising: list[Effect]
    lowering: list[Effect]
    said_of: str  # what the effects were computed on, empty where that is all training rows


def user_file(results: Results, verdicts: Sequence[tuple[Claim, Verdict]]) -> UserFile | None:
    """Describe the results on a user's own file, those with most training rows if there are several; None without any."""
    cases = [ds for of in results.values() for ds in of if ds.attrs.get("file")]
    if not cases:
        return None
    whole = max(cases, key=lambda ds: int(ds.attrs["n_points"]))
    judged = {claim.id: verdict for claim, verdict in verdicts}
    effects = _largest(results.get("identity", ()), "derivative")
    findings = [
        *([] if effects is None else [_slope(effects, judged)]),
        *_at_the_end_of_training(results.get("training_time", ()), judged),
        *_averaged(results.get("identity", ()), judged),
        *([] if effects is None else [_from_removal(effects)]),
        *_removed(results.get("group_removal", ()), judged),
        *_much_better(results.get("lds", ()), judged),
    ]
    raising, lowering = ([], []) if effects is None else _rows(effects)
    size = int(whole.attrs["n_points"])
    return UserFile(
        name=str(whole.attrs["file"]),
        facts=_facts(whole, effects),
        findings=findings,
        query="" if effects is None else f"row {_first(effects.attrs['query_rows'])}, {_output(effects)}",
        raising=raising,
        lowering=lowering,
        said_of="" if effects is None or int(effects.attrs["n_points"]) == size else str(effects.attrs["case"]),
    )


def _facts(ds: xr.Dataset, shown: xr.Dataset | None) -> list[tuple[str, str]]:
    """Return names and values: file, target, rows, learner, penalty, and how many subsets were trained on."""
    labels = [str(label) for label in np.atleast_1d(ds.attrs.get("labels", []))]
    given: Mapping[str, str] = json.loads(ds.attrs.get("options", "{}"))
    n = int(ds.attrs["n_points"])
    learner = f"{'logistic regression' if ds.attrs['learner'] == 'logistic' else learner_name(ds)}"
    others = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in given.items() if name not in ("l2", "loss"))
    drawn = shown.attrs.get("draws") if shown is not None else None
    return [
        ("Target", f"{ds.attrs['target']}{_values(labels)}"),
        ("Rows in the file", f"{int(ds.attrs['file_rows']):,}"),
        ("Rows trained on", f"N = {n:,}"),
        ("Rows explained", f"{len(np.atleast_1d(ds.attrs['query_rows']))} others"),
        ("Learner", learner + (f", {others}" if others else "")),
        ("Penalty", f"l2 = {given['l2']}" if "l2" in given else "none"),
        *([("Datamodel of", f"{drawn:,} drawn subsets" if drawn else f"all {2**n:,} subsets")] if shown is not None else []),
    ]


def _slope(ds: xr.Dataset, judged: Mapping[str, Verdict]) -> Finding:
    """Say how beta compares with D(1), in slope and in size."""
    slope, error = (float(ds.beta_against.sel(p=0.5, reference="D(1)", measure=name)) for name in ("slope", "relative_error"))
    doubt = 0.0
    if "draw_blocks" in ds.attrs:
        spread = float(ds.beta_against_error.sel(p=0.5, reference="D(1)", measure="slope"))
        doubt = half_width(spread, int(ds.attrs["draw_blocks"]) - 1)
    return Finding(
        f"A datamodel coefficient β is on average {_number(slope, doubt)} times the derivative D(1) at w = 1, which influence "
        f"functions estimate; the essay says 1 times. The difference has {error:.0%} of the size of D(1).",
        "C6",
        judged.get("C6"),
    )


def _at_the_end_of_training(cases: Sequence[xr.Dataset], judged: Mapping[str, Verdict]) -> list[Finding]:
    """Say how beta of a network compares with D(1) when its training ends."""
    ds = _largest(cases, "measured")
    if ds is None:
        return []
    at = {"pair": "beta on D(1)", "measure": "slope", "time": ds.time[-1]}
    slope, doubt = float(ds.measured.sel(at)), half_width(float(ds.measured_error.sel(at)), ds.sizes["seed"] - 1)
    text = (
        f"After {int(ds.time[-1]):,} steps a datamodel coefficient β is on average {_number(slope, doubt)} times the derivative "
        "D(1) at w = 1, which influence functions estimate; the essay says 1 times."
    )
    return [Finding(text, "C6 networks", judged.get("C6 networks"))]


def _from_removal(ds: xr.Dataset) -> Finding:
    """Say how far influence is from leave-one-out."""
    name = "hessian_influence" if "hessian_influence" in ds else "derivative"
    words = "Hessian influence" if name == "hessian_influence" else "D(1)"
    ranks = spearman(ds[name], ds.leave_one_out)
    return Finding(
        f"{words} differs from leave-one-out by {relative_error(ds[name], ds.leave_one_out):.0%}"
        f"{f', with a rank correlation of {ranks:.2f}' if ranks == ranks else ''}."
    )


def _averaged(cases: Sequence[xr.Dataset], judged: Mapping[str, Verdict]) -> list[Finding]:
    """Say how close the average derivative is to beta, where it was computed."""
    found = _largest(cases, "average_derivative_error")
    if found is None or found.attrs.get("not_judged"):
        return []
    error = float(found.average_derivative_error.max())
    n, most = (int(max(int(ds.attrs["n_points"]) for ds in of)) for of in ([found], cases))
    part = f" (on the first {n} of the {most} rows)" if n < most else ""
    text = f"The same derivative, averaged over the subsets of the datamodel, gives β to {error:.0e}{part}."
    return [Finding(text, "T2", judged.get("T2"))]


def _removed(cases: Sequence[xr.Dataset], judged: Mapping[str, Verdict]) -> list[Finding]:
    """Say which score predicts the removal of one row best."""
    found = _largest(cases, "measured")
    if found is None:
        return []
    at = found.measured.sel(removed=1, measure="relative_error")
    names = {"datamodel": "the uniform datamodel", "D(1), summed": "D(1)", "datamodel (p = 0.9)": "a datamodel of 90% subsets"}
    errors = ", ".join(f"{words} {float(at.sel(estimate=name)):.0%}" for name, words in names.items())
    return [Finding(f"Relative errors in predicting the removal of one row: {errors}.", "C8", judged.get("C8"))]


def _much_better(cases: Sequence[xr.Dataset], judged: Mapping[str, Verdict]) -> list[Finding]:
    """Say whether datamodels predict fresh subsets much better than influence scores."""
    verdict = judged.get("C10")
    if verdict is None or not cases:
        return []
    better = [item.case.rpartition(": ")[2] for item in verdict.evidence if item.figure - item.doubt > verdict.tolerance]
    tried = f"{len(verdict.evidence)} kind{'' if len(verdict.evidence) == 1 else 's'} of subsets tried"
    where = f"On {len(better)} of the {tried} ({', '.join(better)})" if better else f"On none of the {tried}"
    text = f"{where} datamodels predict fresh subsets much better than influence scores."
    return [Finding(text, "C10", verdict)]


def _rows(ds: xr.Dataset) -> tuple[list[Effect], list[Effect]]:
    """Return the effects of the rows that raise and that lower the output of the first query most, by beta at p = 1/2."""
    beta, rows = ds.beta.sel(p=0.5).values[:, 0], np.atleast_1d(ds.attrs["train_rows"])
    errors = ds.beta_error.sel(p=0.5).values[:, 0] if "beta_error" in ds else np.zeros(len(beta))

    def effect(i: int) -> Effect:
        others = (float(ds[name].values[i, 0]) for name in ("derivative", "leave_one_out"))
        return Effect(int(rows[i]), _signed(float(beta[i]), float(errors[i])), *map(_signed, others))

    order = np.argsort(-beta, kind="stable")
    return (
        [effect(i) for i in order[:_SHOWN] if beta[i] > 0.0],
        [effect(i) for i in order[::-1][:_SHOWN] if beta[i] < 0.0],
    )


def _values(labels: Sequence[str]) -> str:
    """Return the classes of a target as text, of two with their numbers, or that it is a number."""
    if len(labels) == 2:
        return f": {labels[0]} (0) or {labels[1]} (1)"
    return f": {', '.join(labels[:-1])} or {labels[-1]}" if labels else ", a number"


def _output(ds: xr.Dataset) -> str:
    labels = np.atleast_1d(ds.attrs.get("labels", []))
    if len(labels) > 2:
        return f"the {ds.attrs['unit']} of the query's own class"
    return f"the {ds.attrs['unit']} of {labels[1]}" if len(labels) == 2 else f"in {ds.attrs['unit']}"


def _largest(cases: Sequence[xr.Dataset], variable: str) -> xr.Dataset | None:
    """Return the case on a user's file with most points that has a variable."""
    found = [ds for ds in cases if ds.attrs.get("file") and variable in ds]
    return max(found, key=lambda ds: int(ds.attrs["n_points"])) if found else None


def _first(rows: object) -> int:
    return int(np.atleast_1d(np.asarray(rows))[0])


def _number(value: float, doubt: float) -> str:
    digits = max(2, -int(np.floor(np.log10(doubt)))) if 0.0 < doubt < np.inf else 2
    return f"{value:.{digits}f} ± {doubt:.1g}" if doubt else f"{value:.{digits}f}"


def _signed(value: float, error: float = 0.0) -> str:
    return f"{value:+.3g}".replace("-", "\N{MINUS SIGN}") + (f" ± {error:.1g}" if error > 0.005 * abs(value) else "")
