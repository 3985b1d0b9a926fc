"""The module judges the essay's claims about practical influence scores."""

from itertools import pairwise

import numpy as np
import xarray as xr

from theory.claims.registry import Claim, Results, claim
from theory.claims.verdict import CLOSE, Evidence, Status, Verdict

__all__: list[str] = []

_EXACT, _PRACTICAL = "exact H", "damped GN by CG"
_SPLIT = ("pseudo-inverse", "damped H", "damped GN", "damped GN by CG")  # the first is exact H where that is regular


@claim(
    "C4",
    "damping and approximate inverse-Hessian products add errors of their own",
    experiments=("budget",),
    also=("damping_map", "solver_map"),
    measure="relative error against D(1) that damping, Gauss-Newton and few iterations add, mildest case (must exceed)",
    tolerance=1e-6,
    essay="In practice H is damped and its inverse only approximated, and each adds errors of its own.",
    idea="Damping d turns 1/lambda into 1/(lambda + d), a relative error d/(lambda + d) in each eigendirection. Gauss-Newton "
    "leaves out the curvature of the model weighted by its residuals. k conjugate gradients stay in a Krylov space of k "
    "dimensions, k terms of a Neumann series (LiSSA) leave (I - a H)^k of the solution. The signed differences from one score "
    "to the next telescope, so they add up to the whole error. Before convergence damping may help: (I - (I - eta H)^T) H^-1 is "
    "nearer to an inverse with d about 1/(eta T).",
    sources=(
        "Koh & Liang 2017, ICML, section 3",
        "Agarwal et al. 2017, J. Mach. Learn. Res. 18 (LiSSA)",
        "Bae et al. 2022, NeurIPS",
        "Grosse et al. 2023, arXiv 2308.03296",
    ),
)
def approximations_add_errors(this: Claim, results: Results) -> Verdict:
    """Subtract the error of exact influence from that of practical influence, both against D(1) at the end of training.

    Practical influence uses the damped Gauss-Newton matrix and few iterations of conjugate gradients. Exact influence uses the
    exact Hessian, or its pseudo-inverse where the Hessian is singular. The case with the smallest difference decides.
    """
    evidence: list[Evidence] = []
    split: list[str] = []
    for ds in results["budget"]:
        last = ds.isel(time=-1)
        of_d = {"reference": "D(1)", "measure": "relative_error"}
        exact_name = _EXACT if np.isfinite(last.measured.sel(estimate=_EXACT, **of_d)) else _SPLIT[0]
        pair = {"estimate": [exact_name, _PRACTICAL], **of_d}
        exact, practical = last.measured.sel(pair).values
        error = float(np.linalg.norm(np.nan_to_num(last.measured_error.sel(pair))))  # one seed: nothing is sampled
        evidence.append(Evidence(ds.attrs["case"], float(practical - exact), 2.0 * error))
        steps = [last.budget.sel(step=f"{a} -> {b}", column="size") for a, b in pairwise(_SPLIT)]
        split.append(" + ".join(f"{float(step):.2g}" for step in steps))
    condition = f"training converged; sizes of the steps relative to ||beta||: {'; '.join(split)}"
    if dampings := results.get("damping_map"):
        condition += f". Before, some damping takes error away: {'; '.join(map(_best_damping, dampings))}"
    if solvers := results.get("solver_map"):
        needed = "; ".join(map(_products, solvers))
        condition += f". Products with the Hessian until a solver's error is below {CLOSE:g}: {needed}"
    return this.decide(evidence, holds=Status.HOLDS_WHEN, must_exceed=True, condition=condition)


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
