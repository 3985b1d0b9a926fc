"""The module judges the law of gradient flow that makes the factor between beta and D(1) depend on training time (T6 time)."""

import numpy as np
import xarray as xr

from theory.claims.registry import Claim, OtherMeasure, Results, claim
from theory.claims.verdict import CLOSE, Evidence, Status, Verdict
from theory.intervals import half_width

__all__: list[str] = []


def _doubt(ds: xr.Dataset, error: float) -> float:
    """Return half the width of a 95% interval from a standard error over seeds (jackknife)."""
    return half_width(float(error), int(ds.attrs["n_seeds"]) - 1)


def _largest(ds: xr.Dataset, figures: xr.DataArray, errors: xr.DataArray, name: str) -> Evidence:
    """Return the largest of some figures as evidence, with its own doubt; a figure that is NaN is the largest."""
    values = figures.values.ravel()
    worst = int(np.isnan(values).argmax() if np.isnan(values).any() else values.argmax())
    return Evidence(f"{name}: {ds.attrs['case']}", float(values[worst]), _doubt(ds, errors.values.ravel()[worst]))


def _end_slope(this: Claim, results: Results) -> Verdict:
    """Judge |p slope of beta on D(1) - 1| at the end, interactions included."""
    evidence = [
        _largest(ds, np.abs(ds.p * ds.slope.isel(time=-1) - 1.0), ds.p * ds.slope_error.isel(time=-1), "slope at the end")
        for ds in results["finite_time_scale"]
    ]
    return this.decide(evidence, holds=Status.HOLDS_WHEN, condition="")


def _growth(this: Claim, results: Results) -> Verdict:
    """Judge whether the slope of beta is larger at the end than at the start, for the p where it grows least."""
    evidence: list[Evidence] = []
    for ds in results["finite_time_scale"]:
        growth = ds.slope.isel(time=-1) - ds.slope.isel(time=0)
        error = np.hypot(ds.slope_error.isel(time=-1), ds.slope_error.isel(time=0))
        evidence.append(_largest(ds, -growth, error, "fall of the slope"))
    return this.decide(evidence, holds=Status.HOLDS_WHEN, condition="")


@claim(
    "T6 time",
    "training on weights p 1 for time t is training on all points for time p t; beta starts at D(1)",
    plain="training on weights p 1 for t is training for p t",
    experiments=("finite_time_scale",),
    measure="||D(p 1; t) - (1/p) D(1; p t)|| / ||(1/p) D(1; p t)|| at all t, |slope of beta on D(1) - 1| after few steps, all p",
    tolerance=CLOSE,
    essay="Between one step, where the essay's identity nearly holds (C6 networks), and convergence, where T6 does.",
    idea="Gradient flow with weights c w runs the same path at c times the speed: F(c w; t) = F(w; c t), hence c D(c w; t) = "
    "D(w; c t) and D(p 1; t) = (1/p) D(1; p t). At first D(1; t) is proportional to t, so that this is D(1; t), slope 1; once "
    "training has converged D(1; p t) = D(1; t), slope 1/p. Interactions (beta is not D at p 1) come on top: at the end they "
    "take the slope of beta away from 1/p.",
    sources=("own derivation",),
    other_measures=(
        OtherMeasure("|p slope of beta on D(1) - 1| at the end of training, all p", 0.1, _end_slope),
        OtherMeasure("fall of the slope of beta from the first time to the last, all p", 0.0, _growth),
    ),
)
def slope_grows_with_time(this: Claim, results: Results) -> Verdict:
    """Compute the error of the law of gradient flow at every time, and |slope of beta on D(1) - 1| after few steps.

    For gradient descent the error of the law is of the order of the learning rate. The condition splits the slope of beta at the
    end into the slope of D(p 1), which the law gives, and interactions.
    """
    cases = results["finite_time_scale"]
    evidence = [_largest(ds, ds.flow_error, ds.flow_error_error, "law of flow") for ds in cases]
    evidence += [
        _largest(ds, np.abs(ds.slope.isel(time=0) - 1.0), ds.slope_error.isel(time=0), "slope after few steps") for ds in cases
    ]
    return this.decide(
        evidence,
        holds=Status.HOLDS_WHEN,
        condition=f"small steps and no penalty; slope of beta on D(1) at the end {'; '.join(map(_split, cases))}",
    )


def _split(ds: xr.Dataset) -> str:
    """Describe the slope of beta at the end for every p: of D(p 1) alone, of beta, and 1/p."""
    end = ds.isel(time=-1)
    parts = ", ".join(
        f"{float(at.slope):.2f} = {float(at.centre_slope):.2f} of D(p 1) + {float(at.slope - at.centre_slope):.2f} of "
        f"interactions (1/p = {1.0 / float(p):.2f})"
        for p in ds.p.values
        for at in (end.sel(p=p),)
    )
    return f"{parts} on {ds.attrs['case']}"
