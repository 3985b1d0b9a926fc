"""The module judges the essay's claims about models that are not trained to an optimum, or that have many optima."""

import numpy as np
import xarray as xr

from theory.claims.registry import Claim, Results, claim
from theory.claims.verdict import CLOSE, Evidence, Status, Verdict

__all__: list[str] = []

_ESSAY = "beta on D(1)"


def _errors(ds: xr.Dataset, pair: str) -> tuple[xr.DataArray, xr.DataArray]:
    """Return the relative error of a pair at every training time, and its standard error."""
    at = {"pair": pair, "measure": "relative_error"}
    return ds.measured.sel(at), ds.measured_error.sel(at)


@claim(
    "C6 networks",
    "the optimal datamodel coefficient is dF/dw_i at w = 1, for networks too",
    experiments=("training_time",),
    measure="||beta - D(1)|| / ||D(1)|| at the end of training, mildest case",
    tolerance=CLOSE,
    essay="The same, meant for networks trained by gradient descent, where Hessian influence is in doubt.",
    idea="One step gives theta = theta_0 - eta grad L(theta_0; w), affine in w; F is then affine up to the curvature of f over "
    "one small step, and beta is close to D(1). Later gradients depend on earlier weights, F bends, and beta remains the "
    "average of D over the subsets while D(1) belongs to the full set: the slope of one on the other leaves 1 (T6 time).",
    sources=("Karchmer 2025", "Ilyas et al. 2022"),
)
def network_datamodel_is_the_derivative(this: Claim, results: Results) -> Verdict:
    """Compare beta with D(1) at the end of training, where the mildest case decides.

    The condition gives the error after one step.
    """
    cases = results["training_time"]
    first, last = ([_errors(ds, _ESSAY)[0][k] for ds in cases] for k in (0, -1))
    spread = [float(_errors(ds, _ESSAY)[1][-1]) for ds in cases]
    evidence = [Evidence(ds.attrs["case"], float(e), 2.0 * s) for ds, e, s in zip(cases, last, spread, strict=True)]
    slopes = ", ".join(f"{float(ds.measured.sel(pair=_ESSAY, measure='slope')[-1]):.2f}" for ds in cases)
    return this.decide(
        evidence,
        deciding="mildest",
        condition=f"after one step it is {', '.join(f'{float(e):.1g}' for e in first)}: the identity holds while F is nearly "
        f"affine in w; at the end slopes {slopes} (a slope near 1 beside such an error is chance, not agreement)",
    )
