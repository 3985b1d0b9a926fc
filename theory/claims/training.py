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
    sources=("Karchmer 2025, essay", "Ilyas et al. 2022, ICML (datamodels)"),
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


@claim(
    "C9",
    "datamodels bypass non-uniqueness, non-convergence and singular Hessians",
    experiments=("training_time", "average_derivative"),
    measure="||average derivative - beta|| / ||beta||",
    tolerance=1e-6,
    essay="Datamodels need no unique optimum, no convergence and no inverse Hessian, and so escape what breaks influence "
    "functions.",
    idea="beta is a difference of two means of F (T1) and exists whenever training ends. Where F is absolutely continuous in "
    "each w_i, the proof of T2 goes through as it stands: it uses E[(w - m) g(w)] = s^2 E g'(w*) one coordinate at a time, and "
    "neither optimum nor convexity. What beta then measures is the average derivative, not D(1).",
    sources=(
        "Karchmer 2025, essay",
        "Ilyas et al. 2022, ICML (datamodels)",
        "Goldstein & Reinert 1997, Ann. Appl. Probab. 7:935",
    ),
)
def datamodels_are_defined_everywhere(this: Claim, results: Results) -> Verdict:
    """Check that beta is finite at every time in every case, and compare it with the average derivative.

    The comparison uses only cases whose quadrature has converged: its last change, which does not use beta, is below 1e-6.
    """
    finite = all(bool(np.isfinite(ds.beta).all()) for ds in results["training_time"])
    evidence: list[Evidence] = []
    open_ends: list[str] = []
    for ds in results["average_derivative"]:
        for law in ds.law.values:
            for time in ds.time.values:
                at = ds.sel(law=law, time=time)
                name = f"{ds.attrs['case']}, {law}, {int(time)} steps"
                if float(at.node_change) < 1e-6:
                    evidence.append(Evidence(name, float(at.error[-1])))
                else:
                    open_ends.append(f"{name}: {float(at.error[-1]):.1g}")
    condition = "beta needs no Hessian and no optimum: what it then measures is the average of T2, not D(1)" + (
        f"; quadrature not converged, nothing said: {', '.join(open_ends)}" if open_ends else ""
    )
    if not evidence:
        status = Status.INCONCLUSIVE if finite else Status.FAILS
        return this.verdict(status, Evidence("no quadrature converged", float("nan")), (), condition=condition)
    holds = Status.HOLDS_WHEN if finite else Status.FAILS
    return this.decide(evidence, holds=holds, condition=condition)
