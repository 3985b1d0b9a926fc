"""The module judges whether Hessian influence is the derivative of an optimum, in its parameters and in its outputs."""

from collections.abc import Callable

import numpy as np
import xarray as xr

from theory.claims.registry import Claim, OtherMeasure, Results, claim
from theory.claims.verdict import Evidence, NothingToJudgeError, Status, Verdict
from theory.metrics import relative_error, slope

__all__: list[str] = []

_PAIRS = {
    "outputs": ("hessian_influence", "finite_difference", "finite_difference_error"),
    "parameters": ("parameter_influence", "parameter_difference", "parameter_difference_error"),
}


def _off_by_slope(estimate: xr.DataArray, reference: xr.DataArray) -> float:
    return abs(slope(estimate, reference) - 1.0)


def _evidence(results: Results, measure: Callable[[xr.DataArray, xr.DataArray], float] = relative_error) -> list[Evidence]:
    """Compare influence with differences, in the outputs and in the parameters of every case; differences give the doubt.

    A case that does not meet the condition of the claim is a control.
    """
    return [
        Evidence(
            f"{ds.attrs['case']}, {place}",
            measure(ds[ours], ds[difference]),
            _relative(ds[error], ds[difference]),
            control=bool(_unmet(ds)),
        )
        for ds in results["identity"]
        for place, (ours, difference, error) in _PAIRS.items()
    ]


def _by_slope(this: Claim, results: Results) -> Verdict:
    """Judge how far the slope of influence on the differences is from 1."""
    return this.decide(_evidence(results, _off_by_slope), holds=Status.HOLDS_WHEN, condition="by the slope")


_CONVERGED = 1e-9
"""Largest distance from the optimum, in units of what one weight moves the parameters by, at which training has converged.

Descent that stops there has its derivative right to about this number times the logarithm of it times the condition number.
"""

_SMOOTH = 1e-3  # relative error of differences, beyond which F or the parameters jump near w = 1


def _unmet(ds: xr.Dataset) -> str:
    """Return which part of the condition a case does not meet, with the number, or an empty text.

    ||grad L|| / (least eigenvalue of H) bounds the distance from the optimum, to first order.
    """
    least, gradient = float(ds.least_eigenvalue), float(ds.gradient_norm)
    if least <= 0.0:
        return f"no isolated minimum: the least eigenvalue of H is {least:.1e}, ||grad L|| is {gradient:.1e}"
    moved = float(np.linalg.norm(ds.parameter_influence))
    if not gradient / least <= _CONVERGED * moved:
        away = f"up to {gradient / least / moved:.1g} of ||d theta / dw|| away" if moved else "away"
        return f"training has not converged: ||grad L|| is {gradient:.1e}, so that the optimum is {away}"
    for place, (_, difference, error) in _PAIRS.items():
        if not (doubt := _relative(ds[error], ds[difference])) <= _SMOOTH:
            return f"{place} are not smooth near w = 1: their differences are known to a relative error of {doubt:.1g} only"
    return ""


def _relative(error: xr.DataArray, reference: xr.DataArray) -> float:
    """Return ||error|| / ||reference||."""
    return float(np.linalg.norm(error) / np.linalg.norm(reference))


@claim(
    "C1",
    "-H^-1 grad l is the derivative of the optimum in the upweighting of a point",
    plain="Hessian influence is the derivative of the optimum",
    experiments=("identity",),
    needs=tuple(name for names in _PAIRS.values() for name in names),
    measure="||Hessian influence - finite difference|| / ||finite difference|| at w = 1, in outputs and in parameters",
    tolerance=1e-6,
    kind="identity",
    other_measures=(OtherMeasure("|slope of influence on the finite difference - 1|", 1e-6, _by_slope),),
    essay="Influence functions rest on the derivative of the optimum when a training point gets a little more weight: -H^-1 "
    "grad l_i.",
    idea="At an optimum grad L(theta(w); w) = 0. Differentiate in w_i: (1/N) grad l_i + H dtheta/dw_i = 0, so that dtheta/dw_i "
    "= -(1/N) H^-1 grad l_i and dF/dw_i = grad f^T dtheta/dw_i (implicit function theorem). That takes an optimum, hence "
    "training that has converged, and an invertible H. With eps l_i added to the objective instead, the 1/N is not there.",
    sources=("Hampel 1974", "Cook 1977", "Koh & Liang 2017, section 2.1"),
)
def influence_is_the_derivative(this: Claim, results: Results) -> Verdict:
    """Compare Hessian influence with differences of retrained outputs and parameters, which do not use the Hessian."""
    unmet = {ds.attrs["case"]: reason for ds in results["identity"] if (reason := _unmet(ds))}
    cases = [ds for ds in results["identity"] if ds.attrs["case"] not in unmet]
    left = "; ".join(f"{case}: {reason}" for case, reason in unmet.items())
    if not cases:
        raise NothingToJudgeError(f"the claim is about an isolated optimum that training has reached; {left}")
    eigenvalue, gradient = min(float(ds.least_eigenvalue) for ds in cases), max(float(ds.gradient_norm) for ds in cases)
    return this.decide(
        _evidence(results),
        holds=Status.HOLDS_WHEN,
        condition=f"where strictly convex and converged; here eigenvalues of H >= {eigenvalue:.1e}, ||grad L|| <= {gradient:.1e}"
        + (f"; not judged, and not counted: {left}" if left else ""),
    )
