"""The module judges what differentiating through the training of relu networks misses at kinks (T19)."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import xarray as xr

from theory.claims.registry import Claim, Judgement, OtherMeasure, Results, claim
from theory.claims.verdict import Evidence, NothingToJudgeError, Status, Verdict
from theory.intervals import half_width, median_doubt

__all__: list[str] = []

CORRECTED, UNROLLED = "crossings", "unrolled"

_Figure = Callable[["Claim", xr.Dataset, str], tuple[float, float]]
"""Claim, result, derivative -> the figure of a case and its doubt."""


def _smallest_step(this: Claim, ds: xr.Dataset, derivative: str) -> tuple[float, float]:
    """Return the median over seeds of the error at the smallest step; its doubt has the reference's own error in it."""
    last = ds.isel(step_size=-1)
    errors = last.error.sel(derivative=derivative).values
    return float(np.median(errors)), float(np.hypot(median_doubt(errors, this.tolerance), np.median(last.reference_error.values)))


def _of_mean(this: Claim, ds: xr.Dataset, derivative: str) -> tuple[float, float]:
    """Return the error of the mean over seeds at the smallest step, with the jackknife's interval and the reference's error."""
    last = ds.isel(step_size=-1)
    error = float(last.mean_error_error.sel(derivative=derivative))
    doubt = half_width(error, len(ds.seed) - 1)
    return float(last.mean_error.sel(derivative=derivative)), float(np.hypot(doubt, float(last.mean_reference_error)))


def _on_the_edge(this: Claim, ds: xr.Dataset, derivative: str) -> tuple[float, float]:
    """Return the median over seeds of what the integral of D_0 misses of the change of F."""
    if "edge_missed" not in ds:
        return np.nan, 0.0
    missed = ds.edge_missed.sel(derivative=derivative).values
    return float(np.median(missed)), median_doubt(missed, this.tolerance)


def _judged(this: Claim, results: Results, figure: _Figure, condition: str = "", beside: Sequence[Evidence] = ()) -> Verdict:
    """Ask that the corrected derivative is within the tolerance in all cases, and the unrolled one outside in most of them.

    Networks without a crossing are controls: both derivatives are the same there. `beside` is shown with them.
    """
    cases = results["kinks"]
    kinked = {ds.attrs["case"]: bool(ds.crossings.sel(kind="all").values.any()) for ds in cases}
    if not any(kinked.values()):
        raise NothingToJudgeError("no training crossed a kink: the claim is about networks with relu units")

    def evidence(derivative: str, name: str) -> list[Evidence]:
        return [
            Evidence(f"{case}, {name}", *figure(this, ds, derivative), control=not kinked[case])
            for ds in cases
            for case in (ds.attrs["case"],)
        ]

    corrected, unrolled = evidence(CORRECTED, "corrected"), evidence(UNROLLED, "unrolled")
    right = this.decide(corrected, holds=Status.HOLDS_WHEN, condition=condition)
    wrong = this.decide(unrolled, holds=Status.HOLDS_WHEN, condition=condition, must_exceed=True, deciding="most")
    first = next((v for s in (Status.FAILS, Status.INCONCLUSIVE) for v in (right, wrong) if v.status is s), right)
    shown = Evidence(first.case, first.figure)
    return this.verdict(first.status, shown, [*corrected, *unrolled, *beside], condition=first.condition)


def _by(figure: _Figure) -> Judgement:
    return lambda this, results: _judged(this, results, figure)


def _order(ds: xr.Dataset, derivative: str) -> tuple[float, float]:
    """Return the fitted order of the error in the step, and half of its 95% interval."""
    at = ds.sel(derivative=derivative)
    return float(at.order), half_width(float(at.order_error), len(ds.seed) - 1)


def _by_order(this: Claim, results: Results) -> Verdict:
    """Ask that the corrected error falls faster than the square root of the step, and the unrolled one does not."""
    kinked = [ds for ds in results["kinks"] if bool(ds.crossings.sel(kind="all").values.any())]

    def evidence(derivative: str, name: str) -> list[Evidence]:
        return [Evidence(f"{ds.attrs['case']}, {name}", *_order(ds, derivative)) for ds in kinked]

    corrected, unrolled = evidence(CORRECTED, "corrected"), evidence(UNROLLED, "unrolled")
    falls = this.decide(corrected, holds=Status.HOLDS_WHEN, condition="", must_exceed=True)
    stays = this.decide(unrolled, holds=Status.HOLDS_WHEN, condition="", deciding="most")
    first = next((v for s in (Status.FAILS, Status.INCONCLUSIVE) for v in (falls, stays) if v.status is s), falls)
    return this.verdict(first.status, Evidence(first.case, first.figure), [*corrected, *unrolled], condition="")


@claim(
    "T19",
    "differentiating through the training of a relu network is not the derivative of its response, however small the step; with "
    "one term for every kink that training crosses it is",
    plain="relu: unrolled D is wrong at any step, crossings mend",
    experiments=("kinks",),
    measure="||D(1) - differences of F|| / ||differences of F|| of a seed at the smallest step, median over seeds: at most the "
    "tolerance in all cases with the terms, above it in most without",
    tolerance=0.05,
    essay="The essay's dF/dw at w = 1 must be computed somehow: what automatic differentiation returns for relu networks is not "
    "it.",
    idea="At a kink the gradient of the objective jumps by c n, n the gradient of the unit's preactivation; the Hessian has the "
    "term c delta n n^T there, which no step sees. As the step falls, jumps of F in w become smaller and more, and their sum "
    "stays. The flow's derivative d obeys d <- d - min(kappa, 1) n (n . d) / ||n||^2 at a crossing: a saltation matrix if "
    "kappa < 1, sliding along the kink if kappa >= 1. A smooth activation has no such jump, and is differentiated rightly "
    "unless training passes its bend within a step. A few jumps do not fall with the step, where the flow itself jumps: they are "
    "those of T9, and no derivative of single seeds sees them.",
    sources=("own derivation", "Filippov 1988", "Kong et al. 2024", "Bolte & Pauwels 2020"),
    other_measures=(
        OtherMeasure("fitted order of the error in the step, above 1/2 with the terms, below without", 0.5, _by_order),
        OtherMeasure("the same error for the means over seeds", 0.05, _by(_of_mean)),
        OtherMeasure("what the integral of D_0 misses of the change of F from w_0 = 0 to 1", 0.05, _by(_on_the_edge)),
    ),
    too_small="with few seeds and large steps the median error is too uncertain",
)
def unrolled_derivative_misses_kinks(this: Claim, results: Results) -> Verdict:
    """Compare D(1), with and without the terms of crossings, with slopes of F over a window around w = 1, seed by seed.

    The median over seeds decides, since a seed whose flow jumps near w = 1 has no derivative to compare with. The doubt is the
    interval of that median together with the reference's own error. The condition names the fitted orders of both errors, and
    the share of crossings that slide. Shown beside them, and not judged, is what the result says of widths, numbers of points,
    training times, penalties, other activations, sharp softplus, the hinge, and beta (C6, C9) with each derivative.
    """
    cases = results["kinks"]
    return _judged(
        this, results, _smallest_step, "; ".join(_described(ds) for ds in cases), [item for ds in cases for item in _shown(ds)]
    )


def _described(ds: xr.Dataset) -> str:
    found = {name: _order(ds, kind) for kind, name in ((CORRECTED, "corrected"), (UNROLLED, "unrolled"))}
    orders = ", ".join(f"{name} {order:.2f} +- {doubt:.2f}" for name, (order, doubt) in found.items())
    total, sliding = ds.crossings.isel(step_size=-1).mean("seed").values
    share = f"{total:.0f} crossings, {sliding / total:.0%} sliding" if total else "no crossing"
    return f"{ds.attrs['case']}: order of the error in the step {orders}; {share}"


_NAMES = {CORRECTED: "corrected", UNROLLED: "unrolled"}

_RIGHT = 0.01
"""The largest error of the unrolled derivative of a softplus network that counts as right where its crossover is shown."""


def _shown(ds: xr.Dataset) -> list[Evidence]:
    """Return what a result says beside the errors by step size, as evidence that decides nothing: medians over seeds."""
    found = [*_of_comparisons(ds), *_of_edges(ds), *_of_other_kinks(ds), *_of_beta(ds)]
    return [Evidence(f"{ds.attrs['case']}, {what}", float(value), control=True) for what, value in found if np.isfinite(value)]


_Shown = Iterator[tuple[str, float]]
"""What is shown, and its figure."""


def _of_comparisons(ds: xr.Dataset) -> _Shown:
    """Yield both errors at the first and the last width, and the unrolled one of the other comparisons."""
    for name in ("width", "size", "time", "penalty"):
        for kind, said in _NAMES.items():
            if f"{name}_error" in ds and (kind == UNROLLED or name == "width"):
                medians = ds[f"{name}_error"].sel(derivative=kind).median("seed")
                for k in (0, -1):
                    yield f"{said}, {name} {ds[name].values[k]:g}", float(medians[k])
    if "activation_error" in ds:
        for activation, error in ds.activation_error.sel(derivative=UNROLLED).median("seed").to_series().items():
            yield f"{activation}, unrolled", float(error)


def _of_edges(ds: xr.Dataset) -> _Shown:
    """Yield what the integrals of D_0 miss of the change of F where training crosses kinks, also by width."""
    for kind, said in _NAMES.items():
        if "edge_missed" in ds and bool(ds.crossings.sel(kind="all").values.any()):
            yield f"missed by the integral of {said} D", float(ds.edge_missed.sel(derivative=kind).median("seed"))
        if "edge_width_missed" in ds:
            missed = ds.edge_width_missed.sel(derivative=kind).median("edge_seed")
            for k in (0, -1):
                yield f"missed by the integral of {said} D, width {ds.edge_width.values[k]}", float(missed[k])


def _of_other_kinks(ds: xr.Dataset) -> _Shown:
    """Yield where the unrolled derivative of softplus begins to be off, how far, and the errors of the hinge."""
    if "sharpness_error" in ds:
        errors = ds.sharpness_error.sel(derivative=UNROLLED).median("seed")
        products = (errors.sharpness * errors.sharpness_step).transpose(*errors.dims)
        off = products.where(errors > _RIGHT).min()
        yield "softplus, least sharpness times step where unrolled is off by 1%", float(off)
        yield "softplus, largest sharpness times step below", float(products.where(products < off).max())
        yield "softplus, largest error", float(errors.max())
    if "hinge_error" in ds:
        last = ds.hinge_error.isel(step_size=-1)
        yield "linear with hinge loss, unrolled", float(last.sel(derivative=UNROLLED))
        yield "linear with hinge loss, projected", float(last.sel(derivative=CORRECTED))


def _of_beta(ds: xr.Dataset) -> _Shown:
    """Yield the errors of beta and of Hessian influence with each derivative, and what averages of D miss, at the last times."""
    for name, what in (
        ("beta_error", "beta on {} D(1)"),
        ("influence_error", "Hessian influence on {} D(1)"),
        ("average_missed", "missed by averages of {} D over edges"),
    ):
        for kind, said in _NAMES.items() if name in ds else ():
            for after in ds.after.values[-2:]:
                yield f"{what.format(said)}, {after} steps", float(ds[name].sel(derivative=kind, after=after))
