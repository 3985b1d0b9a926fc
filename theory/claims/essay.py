"""The module judges claims of the essay (Karchmer, January 2025) on the exact experiments with convex learners."""

import numpy as np
import xarray as xr

from theory.claims.registry import Claim, Results, claim
from theory.claims.verdict import Evidence, Status, Verdict
from theory.metrics import relative_error

__all__: list[str] = []


@claim(
    "C1",
    "-H^-1 grad l is the derivative of the optimum in the upweighting of a point",
    experiments=("identity",),
    needs=("hessian_influence", "finite_difference"),
    measure="||Hessian influence - finite difference|| / ||finite difference|| at w = 1",
    tolerance=1e-6,
    essay="Influence functions rest on the derivative of the optimum when a training point gets a little more weight: -H^-1 "
    "grad l_i.",
    idea="At an optimum grad L(theta(w); w) = 0. Differentiate in w_i: (1/N) grad l_i + H dtheta/dw_i = 0, so that dtheta/dw_i "
    "= -(1/N) H^-1 grad l_i and dF/dw_i = grad f^T dtheta/dw_i (implicit function theorem). That takes an optimum, hence "
    "training that has converged, and an invertible H. With eps l_i added to the objective instead, the 1/N is not there.",
    sources=(
        "Hampel 1974, J. Amer. Statist. Assoc. 69:383",
        "Cook 1977, Technometrics 19:15",
        "Koh & Liang 2017, ICML, section 2.1",
    ),
)
def influence_is_the_derivative(this: Claim, results: Results) -> Verdict:
    """Compare Hessian influence with dF/dw by finite differences, which do not use the Hessian."""
    cases = results["identity"]
    evidence = [
        Evidence(
            ds.attrs["case"],
            relative_error(ds.hessian_influence, ds.finite_difference),
            _relative_norm(ds.finite_difference_error, ds.finite_difference),
        )
        for ds in cases
    ]
    eigenvalue, gradient = min(float(ds.least_eigenvalue) for ds in cases), max(float(ds.gradient_norm) for ds in cases)
    return this.decide(
        evidence,
        holds=Status.HOLDS_WHEN,
        condition=f"where strictly convex and converged; here eigenvalues of H >= {eigenvalue:.1e}, ||grad L|| <= {gradient:.1e}",
    )


def _relative_norm(error: xr.DataArray, reference: xr.DataArray) -> float:
    """Return ||error|| / ||reference||."""
    return float(np.linalg.norm(error) / np.linalg.norm(reference))
