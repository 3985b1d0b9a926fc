"""The module finds out what would give a claim another verdict: other tolerances, measures, cases and data."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from theory.claims.verdict import NothingToJudgeError, Sensitivity, Status

if TYPE_CHECKING:  # loaded where results are; the registry imports this module
    import xarray as xr

    from theory.claims.registry import Claim

    Results = Mapping[str, Sequence[xr.Dataset]]

__all__ = ["first_data", "sensitivity"]


def sensitivity(claim: "Claim", results: "Results", status: Status) -> Sensitivity:
    """Judge a claim again after every change of `_changes`, and return those after which its status is another one.

    A claim that rests on one case cannot be judged without it, and the text says so.
    """
    flips: list[str] = []
    for change, changed, on in _changes(claim, results):
        try:
            found = changed.judge_once(on).status.value
        except NothingToJudgeError:
            found = "nothing to judge"
        if found != status.value:
            flips.append(change.format(found))
    return Sensitivity(tuple(flips))


def first_data(results: "Results") -> "Results":
    """Return the results without the cases on data of another seed."""
    return {name: [ds for ds in cases if not _repeats(ds)] for name, cases in results.items()}


def _changes(claim: "Claim", results: "Results") -> Iterator[tuple[str, "Claim", "Results"]]:
    """Yield a text with a place for the verdict after a change, the claim after the change, and the results after it."""
    first = first_data(results)
    for factor, text in ((0.5, "half"), (2.0, "twice")):
        yield f"the tolerance ({text} it: {{}})", replace(claim, tolerance=factor * claim.tolerance), first
    for other in claim.other_measures:
        changed = replace(claim, measure=other.measure, tolerance=other.tolerance, judgement=other.judgement)
        yield f"the measure (by {_literal(other.measure)}, tolerance {other.tolerance:g}: {{}})", changed, first
    for name in claim.experiments:
        for k, left_out in enumerate(first[name]):
            rest = [ds for number, ds in enumerate(first[name]) if number != k]
            yield f"the case {_literal(left_out.attrs['case'])} of {name} (without it: {{}})", claim, {**first, name: rest}
    for seed in sorted({_seed(ds) for name in claim.experiments for ds in results[name] if _repeats(ds)}):
        yield (
            f"the data (drawn with seed {seed}: {{}})",
            claim,
            {name: _with_data(cases, seed) for name, cases in results.items()},
        )


def _literal(text: str) -> str:
    """Return a text that `str.format` leaves as it is."""
    return text.replace("{", "{{").replace("}", "}}")


def _with_data(cases: "Sequence[xr.Dataset]", seed: int) -> "list[xr.Dataset]":
    """Return the cases with those on data of this seed in the place of the cases that they repeat."""
    drawn = {_repeats(ds): ds for ds in cases if _repeats(ds) and _seed(ds) == seed}
    return [drawn.get(ds.attrs["case"], ds) for ds in cases if not _repeats(ds)]


def _repeats(ds: "xr.Dataset") -> str:
    """Return the name of the case that a result repeats on other data, or an empty text."""
    return str(ds.attrs.get("repeats", ""))


def _seed(ds: "xr.Dataset") -> int:
    return int(ds.attrs["data_seed"])
