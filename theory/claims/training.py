"""The module judges the essay's claims about models that are not trained to an optimum, or that have many optima."""

import numpy as np
import xarray as xr

from theory.claims.registry import Claim, Results, claim
from theory.claims.verdict import CLOSE, Evidence, NothingToJudgeError, Status, Verdict

__all__: list[str] = []

_ESSAY, _INFLUENCE = "beta on D(1)", "Hessian influence on D(1)"


def _errors(ds: xr.Dataset, pair: str) -> tuple[xr.DataArray, xr.DataArray]:
    """Return the relative error of a pair at every training time, and its standard error."""
    at = {"pair": pair, "measure": "relative_error"}
    return ds.measured.sel(at), ds.measured_error.sel(at)


@claim(
    "C2",
    "multiple optima and singular Hessians make influence functions ill-defined",
    experiments=("training_time",),
    measure="least ||pseudo-inverse influence - D(1)|| / ||D(1)|| over cut-offs, singular Hessians (must exceed)",
    tolerance=CLOSE,
    essay="Overparameterised models have many optima and singular Hessians, so that influence functions are ill-defined.",
    idea="With one output per point and more parameters than the N points, the Gauss-Newton part of H has rank at most N; the "
    "rest carries the residuals and vanishes where every point is fitted: H has no inverse. Which eigenvalues a pseudo-inverse "
    "cuts off is then a choice, and the score changes with it. D_i(1), differentiated through training itself, needs no choice "
    "and is what every cut-off is held against.",
    sources=("Koh & Liang 2017, section 4.2", "Basu et al. 2021", "Schioppa et al. 2023"),
)
def influence_is_ill_defined(this: Claim, results: Results) -> Verdict:
    """Find the smallest error of the pseudo-inverse influence against D(1) over cut-offs, at the end of training.

    Only cases whose Hessian is singular at every cut-off count. Without such a case the verdict is inconclusive.
    """
    evidence: list[Evidence] = []
    notes: list[str] = []
    for ds in results["training_time"]:
        last = ds.isel(time=-1)
        null, errors = last.null_space.max("seed").values, last.cutoff_error.values
        if null.min() > 0:
            evidence.append(Evidence(ds.attrs["case"], float(errors.min())))
        notes.append(
            f"{null.min()} to {null.max()} directions cut off, error {errors.min():.2g} to {errors.max():.2g} at "
            f"||grad L|| <= {float(last.gradient_norm.max()):.0e}"
        )
    condition = (
        "more parameters than points and no penalty; by cut-off, 1e-8 to 1e-2 of the largest eigenvalue, all cases: "
        + "; ".join(notes)
    )
    if not evidence:
        nothing = Evidence("no singular Hessian", float("nan"))
        return this.verdict(Status.INCONCLUSIVE, nothing, (), condition=condition)
    return this.decide(evidence, holds=Status.HOLDS_WHEN, must_exceed=True, condition=condition)


@claim(
    "C3",
    "training that has not converged breaks influence functions; negative eigenvalues appear",
    experiments=("training_time",),
    measure="least ||Hessian influence - D(1)|| / ||D(1)|| in the first hundredth of training, mildest case (must exceed)",
    tolerance=CLOSE,
    essay="Training is rarely run to convergence; then the Hessian has negative eigenvalues and influence functions break.",
    idea="Without grad L = 0 the implicit function theorem says nothing. After one step of size eta from theta_0 the derivative "
    "is D_i(1) = -(eta/N) grad f^T grad l_i, with no Hessian in it, while influence divides by eigenvalues that may be small or "
    "negative. Where H and the gradients hardly change, T steps put (I - (I - eta H)^T) H^-1 in the place of H^-1, which tends "
    "to it only as every eta T lambda grows.",
    sources=("Koh & Liang 2017, section 4.2", "Bae et al. 2022", "Bae et al. 2024 (SOURCE)"),
)
def unconverged_training_breaks_influence(this: Claim, results: Results) -> Verdict:
    """Find the smallest error of exact-Hessian influence against D(1) at early times; it must be large in every case.

    The claim holds only under a condition if some case has no negative eigenvalue at these times.
    """
    evidence: list[Evidence] = []
    notes: list[str] = []
    indefinite: list[bool] = []
    for ds in results["training_time"]:
        error, spread = _errors(ds, _INFLUENCE)
        early = ds.time <= ds.time[-1] / 100
        if not np.isfinite(error[early]).any():
            continue
        k = int(np.nanargmin(error[early].values))
        evidence.append(Evidence(ds.attrs["case"], float(error[k]), 2.0 * float(spread[k])))
        negative = (ds.least_eigenvalue < 0).mean("seed")
        indefinite.append(bool(negative[early].max() > 0))
        notes.append(
            f"{float(error[0]):.2g} after one step with {float(negative[0]):.0%} of seeds indefinite, {float(error[-1]):.1g} at "
            f"||grad L|| <= {float(ds.gradient_norm[-1].max()):.0e} with {float(negative[-1]):.0%}"
        )
    if not evidence:
        raise NothingToJudgeError("training_time has no early time at which the Hessian is regular for every seed")
    return this.decide(
        evidence,
        holds=Status.HOLDS if all(indefinite) else Status.HOLDS_WHEN,
        must_exceed=True,
        condition=f"error of the exact-Hessian influence: {'; '.join(notes)}",
    )


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
