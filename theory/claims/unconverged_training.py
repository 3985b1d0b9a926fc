"""The module judges what training that has not converged does to influence, and whether negative eigenvalues appear."""

import json

import numpy as np
import xarray as xr

from theory.claims.registry import Claim, OtherMeasure, Results, claim
from theory.claims.verdict import CLOSE, Evidence, NothingToJudgeError, Status, Verdict
from theory.intervals import median_doubt, share_doubt

__all__: list[str] = []

_STOPPED, _LATER = 1e-1, 1e-2
"""The first levels of the grid: ||grad L|| as a share of its value at the start, where training counts as not converged."""

_ESSAY = "Training is rarely run to convergence; then the Hessian has negative eigenvalues and influence functions break."
_SOURCES = ("Koh & Liang 2017, section 4.2", "Bae et al. 2022", "Bae et al. 2024")


def _of_seeds(ds: xr.Dataset, name: str, level: float) -> "np.ndarray":
    """Return the values of those seeds whose gradient became so small, or nothing if fewer than four fifths did."""
    values = ds[name].sel(level=level).values
    reached = np.isfinite(ds.steps.sel(level=level).values)
    return values[reached] if reached.mean() >= 0.8 else values[:0]


def _median(ds: xr.Dataset, level: float) -> float:
    """Return the median error over seeds; NaN where too few came so far."""
    values = _of_seeds(ds, "error", level)
    return float(np.median(values)) if len(values) else float("nan")


def _name(ds: xr.Dataset) -> str:
    """Return a short name of the case: data, hidden layers, loss, and the optimiser where it is not descent."""
    options = json.loads(str(ds.attrs["options"]))
    hidden = "linear" if bool(ds.attrs["convex"]) else f"{options.get('hidden', '8')} units"
    optimizer = options.get("optimizer", "sgd")
    by = "" if optimizer == "sgd" else f", {optimizer}"
    return f"{ds.attrs['data']}, {hidden}, {options.get('loss', 'logistic')}{by}"


def _errors(this: Claim, results: Results, level: float) -> list[Evidence]:
    found: list[Evidence] = []
    for ds in results["convergence"]:
        values = _of_seeds(ds, "error", level)
        doubt = median_doubt(values, this.tolerance) if len(values) else 0.0
        found.append(Evidence(str(ds.attrs["case"]), _median(ds, level), doubt))
    return found


def _at_a_hundredth(this: Claim, results: Results) -> Verdict:
    return this.decide(_errors(this, results, _LATER), holds=Status.HOLDS_WHEN, must_exceed=True, condition="later")


def _by_slope(this: Claim, results: Results) -> Verdict:
    """Judge how far the slope of influence on D(1) is from 1; an undefined slope counts as far."""
    evidence: list[Evidence] = []
    for ds in results["convergence"]:
        far = np.abs(np.nan_to_num(_of_seeds(ds, "slope", _STOPPED), nan=float(ds.attrs["undefined"])) - 1.0)
        figure = float(np.median(far)) if len(far) else float("nan")
        evidence.append(Evidence(str(ds.attrs["case"]), figure, median_doubt(far, this.tolerance) if len(far) else 0.0))
    return this.decide(evidence, holds=Status.HOLDS_WHEN, must_exceed=True, condition="by the slope")


def _right_from(ds: xr.Dataset) -> float:
    """Return the largest level from which on the median error is within 5% at every level that was reached; 0 if none."""
    right = 0.0
    for level in ds.level.values[::-1].tolist():
        error = _median(ds, level)
        if error > CLOSE:
            break
        right = right if np.isnan(error) else float(level)
    return right


def _where_right(results: Results) -> str:
    """Describe from which level on influence is within 5%, in every case and in all of them."""
    found = {_name(ds): _right_from(ds) for ds in results["convergence"]}
    each = "; ".join(f"{name}: {f'from {level:g} on' if level else 'not on the grid'}" for name, level in found.items())
    least = min(found.values())
    return f"within {CLOSE:.0%} of D(1) {f'in all cases from {least:g} on' if least else 'not in all cases'} ({each})"


@claim(
    "C3",
    "training that has not converged breaks influence functions",
    plain="training that has not converged breaks influence",
    experiments=("convergence",),
    measure="median ||Hessian influence - D(1)|| / ||D(1)|| of models whose gradient has fallen to a tenth (must exceed)",
    tolerance=CLOSE,
    other_measures=(
        OtherMeasure("the same, where the gradient has fallen to a hundredth", CLOSE, _at_a_hundredth),
        OtherMeasure("median |slope of Hessian influence on D(1) - 1|, at a tenth", CLOSE, _by_slope),
    ),
    essay=_ESSAY,
    idea="Without grad L = 0 the implicit function theorem says nothing. After one step of size eta from theta_0 the derivative "
    "is D_i(1) = -(eta/N) grad f^T grad l_i, with no Hessian in it, while influence divides by eigenvalues that may be small or "
    "negative. Where H and the gradients hardly change, T steps put (I - (I - eta H)^T) H^-1 in the place of H^-1, which tends "
    "to it only as every eta T lambda grows: directions of small curvature converge last and matter most. So convex models that "
    "were stopped are wrong as well, without any negative eigenvalue.",
    sources=_SOURCES,
)
def unconverged_training_breaks_influence(this: Claim, results: Results) -> Verdict:
    """Stop every seed where ||grad L(t)|| / ||grad L(0)|| first is at most 0.1, and take the median error over seeds.

    The grid 1e-1, 1e-2, .. is fixed in advance. A model with a singular Hessian has an error of 1,000. The condition says for
    every case from which level on the error stays within 5%.
    """
    return this.decide(
        _errors(this, results, _STOPPED),
        holds=Status.HOLDS_WHEN,
        must_exceed=True,
        condition=f"by ||grad L|| relative to the start, influence is {_where_right(results)}",
    )


def _negative(this: Claim, results: Results, level: float) -> list[Evidence]:
    """Return the share of models with a negative eigenvalue; convex models, which have none, are controls."""
    found: list[Evidence] = []
    for ds in results["convergence"]:
        values = _of_seeds(ds, "least_eigenvalue", level)
        count, convex = int((values < 0.0).sum()), bool(ds.attrs["convex"])
        if not len(values):
            found.append(Evidence(str(ds.attrs["case"]), float("nan"), control=convex))
            continue
        doubt = share_doubt(count, len(values), this.tolerance)
        found.append(Evidence(str(ds.attrs["case"]), count / len(values), doubt, control=convex))
    return found


def _curved_at_a_hundredth(this: Claim, results: Results) -> Verdict:
    return this.decide(_negative(this, results, _LATER), must_exceed=True, deciding="most", condition="later")


@claim(
    "C3 negative",
    "where training has not converged, negative eigenvalues appear",
    plain="unconverged training has negative eigenvalues",
    experiments=("convergence",),
    measure="share of models with a negative eigenvalue of the Hessian where the gradient has fallen to a tenth (must exceed)",
    tolerance=0.25,
    other_measures=(OtherMeasure("the same, where the gradient has fallen to a hundredth", 0.25, _curved_at_a_hundredth),),
    essay=_ESSAY,
    idea="The Hessian of a network is its Gauss-Newton part, which has no negative eigenvalue for a convex loss, plus the "
    "curvature of the outputs weighted by the residuals, which has eigenvalues of both signs and vanishes with them. A penalty "
    "l2 raises all by l2. Linear models have the first part only: controls. Their influence is wrong before convergence too, so "
    "that negative eigenvalues are not why influence breaks.",
    sources=_SOURCES,
)
def negative_eigenvalues_appear(this: Claim, results: Results) -> Verdict:
    """Count models with an eigenvalue below 0 by more than rounding, where ||grad L(t)|| / ||grad L(0)|| first is at most 0.1.

    In more than half of the networks more than a quarter of the models must have one; intervals are binomial.
    """
    if all(bool(ds.attrs["convex"]) for ds in results["convergence"]):
        raise NothingToJudgeError("convergence has convex models only, which have no negative eigenvalue")
    shares = {level: _negative(this, results, float(level)) for level in results["convergence"][0].level.values}
    by_level = ", ".join(
        f"{min(known):.0%} to {max(known):.0%} at {level:g}"
        for level, items in shares.items()
        if (known := [item.figure for item in items if not item.control and np.isfinite(item.figure)])
    )
    definite = ", ".join(
        f"{_median(ds, _STOPPED):.2g} ({_name(ds)})" for ds in results["convergence"] if bool(ds.attrs["convex"])
    )
    return this.decide(
        _negative(this, results, _STOPPED),
        must_exceed=True,
        deciding="most",
        condition=f"share by level of the gradient: {by_level}"
        + (f"; influence of convex models, which have none, is off by {definite} at {_STOPPED:g}" if definite else ""),
    )
