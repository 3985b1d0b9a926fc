"""The module judges what damping, Gauss-Newton and few products with the Hessian add to the error of exact influence."""

import numpy as np
import xarray as xr

from theory.claims.registry import Claim, OtherMeasure, Results, claim
from theory.claims.verdict import CLOSE, Evidence, Status, Verdict
from theory.intervals import half_width

__all__: list[str] = []

_TOGETHER = "all together"


def _evidence(results: Results, *, together: bool = False) -> list[Evidence]:
    """Return the added error of every approximation in every case; Gauss-Newton is the Hessian of linear models, a control."""
    found: list[Evidence] = []
    for ds in results["approximations"]:
        linear, n = bool(ds.attrs["linear"]), int(ds.attrs["n_seeds"])
        for name in ds.approximation.values:
            if together and str(name) != _TOGETHER:
                continue
            value, error = (float(x.sel(approximation=name)) for x in (ds.added, ds.added_error))
            same = linear and str(name) == "Gauss-Newton"
            found.append(Evidence(f"{ds.attrs['case']}: {name}", value, half_width(error, n - 1), control=same))
    return found


def _by_practice(this: Claim, results: Results) -> Verdict:
    return this.decide(_evidence(results, together=True), holds=Status.HOLDS_WHEN, must_exceed=True, condition="all together")


def _by_slope(this: Claim, results: Results) -> Verdict:
    """Judge how far the slope of every approximation on D(1) is from 1."""
    evidence: list[Evidence] = []
    for ds in results["approximations"]:
        for name in ds.approximation.values:
            at = {"approximation": name, "measure": "slope"}
            doubt = half_width(float(ds.measured_error.sel(at)), int(ds.attrs["n_seeds"]) - 1)
            same = bool(ds.attrs["linear"]) and str(name) == "Gauss-Newton"
            evidence.append(Evidence(f"{ds.attrs['case']}: {name}", abs(float(ds.measured.sel(at)) - 1.0), doubt, control=same))
    return this.decide(evidence, holds=Status.HOLDS_WHEN, must_exceed=True, deciding="most", condition="by the slope")


@claim(
    "C4",
    "damping and approximate inverse-Hessian products add errors of their own",
    plain="damping and approximate inverses add errors",
    experiments=("approximations",),
    also=("damping_map", "solver_map"),
    measure="relative error against D(1) that an approximation adds to that of exact influence (must exceed)",
    tolerance=CLOSE,
    other_measures=(
        OtherMeasure("the same, of all approximations together, every case", CLOSE, _by_practice),
        OtherMeasure("|slope of the approximation on D(1) - 1|", CLOSE, _by_slope),
    ),
    essay="In practice H is damped and its inverse only approximated, and each adds errors of its own.",
    idea="Damping d turns 1/lambda into 1/(lambda + d), a relative error d/(lambda + d) in each eigendirection. Gauss-Newton "
    "leaves out the curvature of the model weighted by its residuals. k conjugate gradients stay in a Krylov space of k "
    "dimensions, k terms of a Neumann series (LiSSA) leave (I - a H)^k of the solution. Errors of several approximations may "
    "cancel. Before convergence damping may help: (I - (I - eta H)^T) H^-1 is nearer to an inverse with d about 1/(eta T).",
    sources=("Koh & Liang 2017, section 3", "Agarwal et al. 2017", "Bae et al. 2022", "Grosse et al. 2023"),
)
def approximations_add_errors(this: Claim, results: Results) -> Verdict:
    """Subtract the error of exact influence from that of each approximation, both of seed averages against D(1).

    The approximations are damping of 0.01, Gauss-Newton, three conjugate gradients and three terms of LiSSA, each by itself, and
    damped Gauss-Newton with three conjugate gradients. More than half of them must add more than 5%, over all cases. Training
    has converged, and the Hessian is regular.
    """
    evidence = _evidence(results)
    by_name: dict[str, list[float]] = {}
    for item in evidence:
        if not item.control and np.isfinite(item.figure):
            by_name.setdefault(item.case.rsplit(": ", 1)[1], []).append(item.figure)
    notes = [f"{name} {min(found):.2g} to {max(found):.2g}" for name, found in by_name.items()]
    condition = f"training converged; added by {', '.join(notes)}. {'; '.join(map(_needed, results['approximations']))}"
    if dampings := results.get("damping_map"):
        condition += f". Before, some damping takes error away: {'; '.join(map(_best_damping, dampings))}"
    if solvers := results.get("solver_map"):
        condition += (
            f". Products with the Hessian until a solver's error is below {CLOSE:g}: {'; '.join(map(_products, solvers))}"
        )
    return this.decide(evidence, holds=Status.HOLDS_WHEN, must_exceed=True, deciding="most", condition=condition)


def _needed(ds: xr.Dataset) -> str:
    """Describe the largest damping, and the least numbers of products, that add at most 5%."""
    small = ds.by_damping.values <= CLOSE
    damping = f"damping up to {float(ds.damping[small][-1]):g}" if small.any() else f"damping below {float(ds.damping[0]):g}"
    solvers = [_enough(ds.by_products.sel(solver=name), str(name)) for name in ds.solver.values]
    return f"{ds.attrs['case']} (condition {float(ds.condition.max()):.0e}) bears {damping}, and needs {', '.join(solvers)}"


def _enough(errors: xr.DataArray, name: str) -> str:
    """Describe from which number of products on a solver adds at most 5%; "undefined" where H is not positive definite."""
    if not np.isfinite(errors).any():
        return f"{name} undefined"
    enough = errors.values <= CLOSE
    return f"{name} {int(errors.products[enough][0])}" if enough.any() else f"{name} more than {int(errors.products[-1])}"


def _best_damping(ds: xr.Dataset) -> str:
    """Describe the errors without damping and with the best damping, at the first and the last time.

    The text also gives 1 / (learning rate x steps).
    """
    error = ds.measured.sel(reference="D(1)", measure="relative_error", curvature="hessian")
    notes: list[str] = []
    for k in (0, -1):
        at = error.isel(time=k)
        best = at.isel(damping=int(at.argmin("damping")))
        scale = 1.0 / (ds.attrs["learning_rate"] * int(at.time))
        notes.append(
            f"error {float(at[0]):.2g}, {float(best):.2g} with damping {float(best.damping):g} after {int(at.time)} steps "
            f"(1 / (rate x steps) = {scale:.2g})"
        )
    return ", ".join(notes)


def _products(ds: xr.Dataset) -> str:
    """Describe how many products with the Hessian each solver needs on the worst-conditioned problem."""
    worst = ds.isel(l2=int(ds.condition.argmax("l2")))
    error, counts = worst.measured.sel(reference="D(1)", measure="relative_error"), list[str]()
    for solver in ds.solver.values:
        enough = error.sel(solver=solver).values <= CLOSE
        needed = f"{int(ds.products[enough][0])}" if enough.any() else f"more than {int(ds.products[-1])}"
        counts.append(f"{solver} {needed}")
    return f"condition {float(worst.condition):.0e}: {', '.join(counts)}"
