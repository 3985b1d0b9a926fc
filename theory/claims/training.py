"""Claims about models that are not trained to an optimum, have many optima, or jump, and T6, T9, T11 for them."""

import numpy as np
import xarray as xr

from theory.claims.verdict import CLOSE, Evidence, NothingToJudgeError, Results, Status, Verdict, claim, decide

__all__: list[str] = []

_ESSAY, _INFLUENCE = "beta on D(1)", "Hessian influence on D(1)"


def _errors(ds: xr.Dataset, pair: str) -> tuple[xr.DataArray, xr.DataArray]:
    """Relative error at every training time, and its standard error."""
    at = {"pair": pair, "measure": "relative_error"}
    return ds.measured.sel(at), ds.measured_error.sel(at)


@claim("C2", "multiple optima and singular Hessians make influence functions ill-defined", experiments=("training_time",))
def influence_is_ill_defined(results: Results) -> Verdict:
    """The end of training: where the Hessian is singular at every cut-off, does any cut-off of the pseudo-inverse give D(1)?

    Without such a case nothing can be said.
    """
    evidence: list[Evidence] = []
    notes: list[str] = []
    for ds in results["training_time"]:
        last = ds.isel(time=-1)
        null, errors = last.null_space.max("seed").values, last.cutoff_error.values
        if null.min() > 0:
            evidence.append(Evidence(ds.attrs["case"], float(errors.min())))
        notes.append(f"{null.min()} to {null.max()} directions cut off, error {errors.min():.2g} to {errors.max():.2g}")
    mildest = min(evidence, key=lambda item: item.figure, default=Evidence("no singular Hessian", float("nan")))
    holds = Status.HOLDS_WHEN if mildest.figure > CLOSE else Status.FAILS
    return Verdict(
        status=holds if evidence else Status.INCONCLUSIVE,
        figure=mildest.figure,
        measure="least ||pseudo-inverse influence - D(1)|| / ||D(1)|| over cut-offs, singular Hessians (must exceed)",
        tolerance=CLOSE,
        condition="more parameters than points and no penalty; by cut-off, 1e-8 to 1e-2 of the largest eigenvalue, all cases: "
        + "; ".join(notes),
        case=mildest.case,
        evidence=tuple(evidence),
    )


@claim(
    "C3",
    "training that has not converged breaks influence functions; negative eigenvalues appear",
    experiments=("training_time",),
)
def unconverged_training_breaks_influence(results: Results) -> Verdict:
    """The least error of exact-Hessian influence against D(1) among the early times: large in every case, or the claim fails."""
    evidence: list[Evidence] = []
    notes: list[str] = []
    uncertainty: list[float] = []
    for ds in results["training_time"]:
        error, spread = _errors(ds, _INFLUENCE)
        early = error[ds.time <= ds.time[-1] / 100].values
        if not np.isfinite(early).any():
            continue
        k = int(np.nanargmin(early))
        evidence.append(Evidence(ds.attrs["case"], float(error[k])))
        uncertainty.append(float(spread[k]))
        negative = (ds.least_eigenvalue < 0).mean("seed")
        notes.append(
            f"{float(error[0]):.2g} after one step with {float(negative[0]):.0%} of seeds indefinite, {float(error[-1]):.1g} at "
            f"||grad L|| <= {float(ds.gradient_norm[-1].max()):.0e} with {float(negative[-1]):.0%}"
        )
    if not evidence:
        raise NothingToJudgeError("training_time has no early time at which the Hessian is regular for every seed")
    mildest = min(range(len(evidence)), key=lambda k: evidence[k].figure)
    holds = evidence[mildest].figure > CLOSE
    unsure = abs(evidence[mildest].figure - CLOSE) < 2.0 * uncertainty[mildest]
    return Verdict(
        status=Status.INCONCLUSIVE if unsure else Status.HOLDS if holds else Status.FAILS,
        figure=evidence[mildest].figure,
        measure="least ||Hessian influence - D(1)|| / ||D(1)|| in the first hundredth of training, mildest case (must exceed)",
        tolerance=CLOSE,
        condition=f"error of the exact-Hessian influence: {'; '.join(notes)}",
        case=evidence[mildest].case,
        evidence=tuple(evidence),
    )


@claim("C6 networks", "the optimal datamodel coefficient is dF/dw_i at w = 1, for networks too", experiments=("training_time",))
def network_datamodel_is_the_derivative(results: Results) -> Verdict:
    """Holds at the start of training only; at its end the mildest case decides."""
    cases = results["training_time"]
    first, last = ([_errors(ds, _ESSAY)[0][k] for ds in cases] for k in (0, -1))
    spread = [_errors(ds, _ESSAY)[1][-1] for ds in cases]
    evidence = [Evidence(ds.attrs["case"], float(error)) for ds, error in zip(cases, last, strict=True)]
    k = min(range(len(evidence)), key=lambda k: evidence[k].figure)
    unsure = abs(evidence[k].figure - CLOSE) < 2.0 * float(spread[k])
    slopes = ", ".join(f"{float(ds.measured.sel(pair=_ESSAY, measure='slope')[-1]):.2f}" for ds in cases)
    return Verdict(
        status=Status.INCONCLUSIVE if unsure else Status.FAILS if evidence[k].figure > CLOSE else Status.HOLDS,
        figure=evidence[k].figure,
        measure="||beta - D(1)|| / ||D(1)|| at the end of training, mildest case",
        tolerance=CLOSE,
        condition=f"after one step it is {', '.join(f'{float(e):.1g}' for e in first)}: the identity holds while F is nearly "
        f"affine in w; at the end slopes {slopes} (a slope near 1 beside such an error is chance, not agreement)",
        case=evidence[k].case,
        evidence=tuple(evidence),
    )


@claim(
    "C9",
    "datamodels bypass non-uniqueness, non-convergence and singular Hessians",
    experiments=("training_time", "average_derivative"),
)
def datamodels_are_defined_everywhere(results: Results) -> Verdict:
    """beta is finite at every time in every case, and is the average derivative wherever the quadrature converged.

    Convergence of the quadrature is judged by its own last change (below 1e-6), which knows nothing of beta.
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
    return decide(
        "||average derivative - beta|| / ||beta||",
        1e-6,
        evidence,
        holds=Status.HOLDS_WHEN if finite else Status.FAILS,
        condition="beta needs no Hessian and no optimum: what it then measures is the average of T2, not D(1)"
        + (f"; quadrature not converged, nothing said: {', '.join(open_ends)}" if open_ends else ""),
    )


@claim("C12", "the seed average helps especially in pathological cases", experiments=("jumps", "interpolation"))
def seed_average_helps(results: Results) -> Verdict:
    """Jumps: F over seeds has a derivative that no seed has, and differences of F find it. Interpolators: no average repairs."""
    evidence: list[Evidence] = []
    uncertainty: list[float] = []
    paths: list[str] = []
    for ds in results["jumps"]:
        at = ds.isel(n_seeds=-1)
        evidence.append(Evidence(f"jumps: {ds.attrs['case']}", abs(float(at.slope.sel(quantity="difference of F")) - 1.0)))
        uncertainty.append(float(at.slope_error.sel(quantity="difference of F")))
        paths.append(f"{float(at.slope.sel(quantity='path-wise derivative')):.2f}")
    ratios = [float(ds["size"].sel(effect="D(1)")[-1] / ds["size"].sel(effect="LOO")[-1]) for ds in results["interpolation"]]
    worst = max(item.figure for item in evidence)
    unsure = worst > max(0.1, 3.0 * max(uncertainty)) or max(uncertainty) > 0.1
    return Verdict(
        status=Status.INCONCLUSIVE if unsure else Status.HOLDS_WHEN,
        figure=worst,
        measure="|slope of differences of the seed average on dF/dw - 1|, learners that jump",
        tolerance=0.1,
        condition=f"the start decides by a jump (standard error {max(uncertainty):.2f}): the mean of path-wise derivatives has "
        f"slope {', '.join(paths)} instead; it fails for interpolators: "
        f"||D(1)|| / ||LOO|| = {', '.join(f'{r:.0e}' for r in ratios)} "
        "whatever is averaged",
        case=max(evidence, key=lambda item: item.figure).case,
        evidence=tuple(evidence),
    )


@claim("T6 time", "the slope of beta on D(1) grows with training time, from 1 toward 1/p", experiments=("finite_time_scale",))
def slope_grows_with_time(results: Results) -> Verdict:
    """The law of gradient flow, D(p 1; t) = (1/p) D(1; p t), decides; its error is of the order of the learning rate."""
    cases = results["finite_time_scale"]
    evidence = [Evidence(ds.attrs["case"], float(ds.flow_error.isel(time=0).max())) for ds in cases]
    half = "; ".join(
        f"{', '.join(f'{float(s):.2f}' for s in ds.slope.sel(p=0.5))} at eta T = {', '.join(f'{float(t):.2g}' for t in ds.eta_t)}"
        for ds in cases
    )
    return decide(
        "||D(p 1; t) - (1/p) D(1; p t)|| / ||(1/p) D(1; p t)|| after few steps, largest over p",
        CLOSE,
        evidence,
        holds=Status.HOLDS_WHEN,
        condition=f"small steps and no penalty; slope of beta at p = 1/2: {half}; what is left beyond 1/p is interaction, "
        f"{', '.join(f'{float(ds.interaction[:, -1].max()):.2f}' for ds in cases)} at the end",
    )


@claim("T9", "the derivative of the average is the average of derivatives plus a boundary term", experiments=("jumps",))
def average_has_a_boundary_term(results: Results) -> Verdict:
    """Differences of F agree with the closed form within 3 standard errors; path-wise derivatives never do."""
    cases, unsure = results["jumps"], False
    evidence: list[Evidence] = []
    for ds in cases:
        at = ds.isel(n_seeds=-1)
        gap = abs(float(at.slope.sel(quantity="difference of F")) - 1.0) - float(ds.difference_bias)
        evidence.append(Evidence(ds.attrs["case"], max(gap, 0.0) / float(at.slope_error.sel(quantity="difference of F"))))
        missed = abs(float(at.slope.sel(quantity="path-wise derivative")) - 1.0)
        unsure |= missed < 3.0 * float(at.slope_error.sel(quantity="path-wise derivative"))
    missed = ", ".join(f"{float(ds.relative_error.sel(quantity='path-wise derivative')):.2f}" for ds in cases)
    return decide(
        "|slope of differences of F on the closed form - 1| in standard errors",
        3.0,
        evidence,
        holds=Status.INCONCLUSIVE if unsure else Status.HOLDS,
        condition=f"path-wise derivatives miss {missed} of ||dF/dw||, however many seeds",
    )


@claim("T11", "interpolators: D(1) = 0, while beta and leave-one-out are not", experiments=("interpolation",))
def interpolators_have_no_derivative(results: Results) -> Verdict:
    """At the largest width, without penalty, averaged over seeds."""
    cases = results["interpolation"]
    evidence = [
        Evidence(ds.attrs["case"], float(ds["size"].sel(effect="D(1)")[-1] / ds["size"].sel(effect="beta")[-1])) for ds in cases
    ]
    sizes = ", ".join(
        f"{float(ds['size'].sel(effect='beta')[-1]):.2f} and {float(ds['size'].sel(effect='LOO')[-1]):.2f}" for ds in cases
    )
    narrow = ", ".join(f"{float(ds['size'].sel(effect='D(1)')[0]):.2f} at width {int(ds['width'][0])}" for ds in cases)
    return decide(
        "||D(1)|| / ||beta||",
        1e-9,
        evidence,
        holds=Status.HOLDS_WHEN,
        condition=f"width >= N and l2 = 0: ||beta||, ||LOO|| = {sizes}; ||D(1)|| is {narrow}",
    )
