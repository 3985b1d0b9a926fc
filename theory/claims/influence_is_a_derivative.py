"""The module judges whether Hessian influence is the derivative of an optimum, in its parameters and in its outputs."""

import numpy as np
import xarray as xr

from theory.claims.registry import Claim, OtherMeasure, Results, claim
from theory.claims.verdict import Evidence, Status, Verdict
from theory.metrics import relative_error, slope

__all__: list[str] = []

_PAIRS = {
    "outputs": ("hessian_influence", "finite_difference", "finite_difference_error"),
    "parameters": ("parameter_influence", "parameter_difference", "parameter_difference_error"),
}


def _evidence(results: Results) -> list[Evidence]:
    """Compare influence with differences, in the outputs and in the parameters of every case; differences give the doubt."""
    return [
        Evidence(f"{ds.attrs['case']}, {place}", relative_error(ds[ours], ds[difference]), _relative(ds[error], ds[difference]))
        for ds in results["identity"]
        for place, (ours, difference, error) in _PAIRS.items()
    ]


def _by_slope(this: Claim, results: Results) -> Verdict:
    """Judge how far the slope of influence on the differences is from 1."""
    evidence = [
        Evidence(f"{ds.attrs['case']}, {place}", abs(slope(ds[ours], ds[difference]) - 1.0), _relative(ds[error], ds[difference]))
        for ds in results["identity"]
        for place, (ours, difference, error) in _PAIRS.items()
    ]
    return this.decide(evidence, holds=Status.HOLDS_WHEN, condition="by the slope")


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
    cases = results["identity"]
    eigenvalue, gradient = min(float(ds.least_eigenvalue) for ds in cases), max(float(ds.gradient_norm) for ds in cases)
    return this.decide(
        _evidence(results),
        holds=Status.HOLDS_WHEN,
        condition=f"where strictly convex and converged; here eigenvalues of H >= {eigenvalue:.1e}, ||grad L|| <= {gradient:.1e}",
    )
