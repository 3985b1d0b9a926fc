"""The module judges the essay's claims about practical influence scores, compared with exact scores and with datamodels."""

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
        "Koh & Liang 2017, section 3",
        "Agarwal et al. 2017 (LiSSA)",
        "Bae et al. 2022",
        "Grosse et al. 2023",
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


@claim(
    "C10",
    "datamodels are empirically much better than influence functions",
    experiments=("budget", "lds"),
    measure="LDS of beta - LDS of the best Hessian-based score, worst regime",
    tolerance=0.0,
    essay="Hence datamodels are empirically much better than influence functions.",
    idea="LDS is the rank correlation of predicted and true outputs over subsets. beta is fitted to just such subsets: with all "
    "2^N of them no linear predictor has a smaller mean squared error. Near the full set that is the wrong law (C8), and D(1) "
    "or a Newton step is nearer. And exact beta costs 2^N retrainings, while influence costs one; fitted to draws, beta has a "
    "variance that falls as 1 over their number.",
    sources=("Karchmer 2025", "Park et al. 2023 (TRAK, LDS)", "Bae et al. 2024 (SOURCE)"),
)
def datamodels_predict_better(this: Claim, results: Results) -> Verdict:
    """Subtract the LDS of the best Hessian-based score, chosen in hindsight, from that of exact beta, in every regime and case.

    A regime predicts F of all subsets, or of those with at most two points removed, at the first or the last training time. The
    claim holds if beta has the larger LDS in every regime. It holds only for F of all subsets if beta has the larger LDS there.
    """
    evidence: list[Evidence] = []
    errors: list[float] = []
    notes: list[str] = []
    for ds in results["budget"]:
        for k in sorted({0, ds.sizes["time"] - 1}):
            for target in ds.target.values:
                at, spread = (values.isel(time=k).sel(target=target) for values in (ds.prediction, ds.prediction_error))
                rivals = at.sel(estimate=ds.attrs["hessian_based"], quality="lds")
                rival = str(rivals.estimate[int(rivals.argmax("estimate"))].item())
                margin = float(at.sel(estimate="beta", quality="lds") - rivals.sel(estimate=rival))
                time = f" after {int(ds.time[k])} steps" if int(ds.time[k]) else ""
                evidence.append(Evidence(f"{ds.attrs['case']}: {target}{time}", margin))
                pair = spread.sel(estimate=["beta", rival], quality="lds")
                errors.append(float(np.linalg.norm(np.nan_to_num(pair))))  # one seed: nothing is sampled
                wrong = at.sel(estimate=["beta", rival], quality="relative_error").values
                notes.append(f"{wrong[0]:.2g} against {wrong[1]:.2g} ({rival})")
    worst = min(evidence, key=lambda item: item.figure)
    names, figures, doubt = [e.case for e in evidence], np.array([e.figure for e in evidence]), 2.0 * np.array(errors)
    lost, won = (figures < -doubt), (figures > doubt)
    halves = np.array([": all subsets" in name for name in names])
    status = Status.INCONCLUSIVE
    if won.all():
        status = Status.HOLDS
    elif lost[halves].any():
        status = Status.FAILS
    elif won[halves].all() and lost.any():
        status = Status.HOLDS_WHEN
    return this.verdict(
        status,
        worst,
        evidence,
        condition=f"F of all subsets is predicted{'' if won[halves].all() else ' (not everywhere)'}; beta loses in "
        f"{lost.sum()} of {len(lost)} ({'; '.join(name for name, bad in zip(names, lost, strict=True) if bad)}). Relative "
        f"errors of the predictions, beta against the rival, in the order of the cases: {', '.join(notes)}. That is beta "
        f"from all 2^N retrainings; fitted to draws it takes {'; '.join(map(_retrainings, results['lds']))}",
    )


def _retrainings(ds: xr.Dataset) -> str:
    """Describe how many retrainings per point a datamodel at p = 1/2 needs to match the best Hessian-based score.

    Both predict F of fresh subsets.
    """
    lds, n = {"quality": "lds"}, int(ds.attrs["n_points"])
    notes: list[str] = []
    for target in ds.target.values:
        best = float(ds.score.sel(target=target, estimate=ds.attrs["hessian_based"], **lds).max())
        enough = (ds.datamodel.sel(target=target, p=0.5, **lds) >= best).values
        most = float(ds.retrainings[-1]) / n
        needed = f"{float(ds.retrainings[enough][0]) / n:.2g}" if enough.any() else f"more than {most:.2g}"
        notes.append(f"{needed} ({target})")
    return f"{', '.join(notes)} retrainings per point on {ds.attrs['case']}"
