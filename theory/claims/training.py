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
    sources=("Koh & Liang 2017, ICML, section 4.2", "Basu et al. 2021, ICLR", "Schioppa et al. 2023, NeurIPS"),
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
    sources=("Koh & Liang 2017, ICML, section 4.2", "Bae et al. 2022, NeurIPS", "Bae et al. 2024, NeurIPS (SOURCE)"),
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
