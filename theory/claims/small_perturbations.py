"""The module judges whether linear datamodels suit small perturbations of the full training set (C8)."""

import numpy as np
import xarray as xr

from theory.claims.registry import Claim, Judgement, OtherMeasure, Results, claim
from theory.claims.verdict import Evidence, Verdict
from theory.intervals import half_width

__all__: list[str] = []

_OWN, _ANCHORED, _DERIVATIVE = "datamodel", "beta, summed", "D(1), summed"


def _against_derivative(ds: xr.Dataset, estimate: str = _OWN, removed: int = 1) -> Evidence:
    """Return the relative error of an estimate divided by that of summed D(1), as evidence."""
    at = {"estimate": estimate, "removed": removed}
    doubt = half_width(float(ds.ratio_error.sel(at)), _degrees(ds))
    drawn = f", {ds.attrs['draws']} subsets drawn" if "draws" in ds.attrs else ""
    return Evidence(f"{ds.attrs['case']}{drawn}", float(ds.ratio.sel(at)), doubt)


def _degrees(ds: xr.Dataset) -> int:
    """Return the degrees of freedom of the standard errors: of the drawn subsets if there are any, else of the seeds."""
    return int(ds.attrs.get("degrees_of_freedom", ds.attrs["n_seeds"] - 1))


def _judged_by(estimate: str, removed: int = 1) -> Judgement:
    def judgement(this: Claim, results: Results) -> Verdict:
        evidence = [_against_derivative(ds, estimate, removed) for ds in results["group_removal"]]
        return this.decide(evidence, condition=estimate, deciding="most")

    return judgement


def _judged_by_size(this: Claim, results: Results) -> Verdict:
    """Judge the squared relative error itself: the share of the squared change that the datamodel leaves."""
    evidence: list[Evidence] = []
    for ds in results["group_removal"]:
        at = {"estimate": _OWN, "removed": 1, "measure": "relative_error"}
        error, doubt = float(ds.measured.sel(at)), half_width(float(ds.measured_error.sel(at)), _degrees(ds))
        evidence.append(Evidence(ds.attrs["case"], error**2, 2.0 * error * doubt))
    return this.decide(evidence, condition="share", deciding="most")


@claim(
    "C8",
    "hence linear datamodels suit leave-one-out and small perturbations",
    plain="datamodels suit leave-one-out and small changes",
    experiments=("group_removal",),
    measure="one point removed: relative error of the uniform datamodel / that of D(1), most learners",
    tolerance=1.0,
    essay="Being Taylor polynomials at the full set, linear datamodels suit leave-one-out and small perturbations.",
    idea="The uniform datamodel g has the least mean squared error over random halves, by definition, and pays for it near the "
    "full set: it misses F(1) itself by g(1) - F(1), and one point's effect by all the interactions in beta - LOO (T3). D(1) is "
    "off by the curvature on a path of length 1 only, but its error grows with every further point. A datamodel suits subsets "
    "like those it was fitted on: with p near 1, small perturbations.",
    sources=("Karchmer 2025", "Koh et al. 2019 (groups)", "Ilyas et al. 2022"),
    too_small="one of 5 or 8 points is no small perturbation",
    other_measures=(
        OtherMeasure("the same with the change anchored at F(1): beta summed", 1.0, _judged_by(_ANCHORED)),
        OtherMeasure("the same with two points removed", 1.0, _judged_by(_OWN, removed=2)),
        OtherMeasure("the same for a datamodel fitted at p = 0.9", 1.0, _judged_by("datamodel (p = 0.9)")),
        OtherMeasure("squared relative error of the datamodel alone", 0.1, _judged_by_size),
    ),
)
def datamodels_suit_small_perturbations(this: Claim, results: Results) -> Verdict:
    """Divide the relative error of the datamodel's own prediction F(1) - g(1_S) by that of D(1), when one point is removed.

    The condition gives both errors, that of the change anchored at F(1), which is beta summed over the removed points, that of a
    datamodel fitted at p = 0.9, and the number of removed points from which the uniform datamodel is better than D(1). Where the
    datamodel is fitted to drawn subsets, its ratio is corrected for their noise and has an interval.
    """
    cases = results["group_removal"]
    return this.decide(
        [_against_derivative(ds) for ds in cases],
        deciding="most",
        condition="a datamodel suits the subsets that it was fitted on; one fitted near the full set suits small perturbations. "
        f"Errors for one point: {'; '.join(_errors(ds) for ds in cases)}",
    )


def _errors(ds: xr.Dataset) -> str:
    """Say how large the errors are for one point, and where the datamodel and its anchored change become better than D(1)."""
    error = ds.measured.sel(measure="relative_error")
    own, anchored, derivative, near = (
        float(error.sel(estimate=name, removed=1)) for name in (_OWN, _ANCHORED, _DERIVATIVE, "datamodel (p = 0.9)")
    )
    return (
        f"{own:.2g} ({anchored:.2g} anchored) against {derivative:.2g}, {near:.2g} for p = 0.9, better from "
        f"{_better_from(ds, _OWN)} ({_better_from(ds, _ANCHORED)}) of {ds.attrs.get('n_points', int(ds.removed[-1]) + 1)} points"
    )


def _better_from(ds: xr.Dataset, estimate: str) -> str:
    """Return the least number of removed points from which on an estimate stays better than summed D(1), or "no"."""
    worse = np.flatnonzero(~(ds.ratio.sel(estimate=estimate).values < 1.0))
    first = int(worse[-1]) + 1 if len(worse) else 0
    return str(int(ds.removed[first])) if first < ds.sizes["removed"] else "no"
