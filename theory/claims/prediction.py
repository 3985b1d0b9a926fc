"""The essay's claims about what predicts the response to other training sets."""

import numpy as np

from theory.claims.verdict import Evidence, Results, Status, Verdict, claim

__all__: list[str] = []

REMARKABLE = 0.1
"""Share of the variance over subsets that a remarkably accurate predictor may leave."""


@claim("C5", "a linear datamodel predicts f(S) with remarkable accuracy", experiments=("spectrum",))
def linear_datamodels_are_accurate(results: Results) -> Verdict:
    """1 - R^2 of the optimal linear datamodel over uniform subsets, learner by learner: no fit from samples does better."""
    cases = results["spectrum"]
    evidence = [Evidence(ds.attrs["case"], 1.0 - float(ds.r_squared.sel(p=0.5))) for ds in cases]
    doubt = np.array([2.0 * np.nan_to_num(float(ds.r_squared_error.sel(p=0.5))) for ds in cases])  # one seed: nothing is sampled
    left = np.array([item.figure for item in evidence])
    good, worst = left <= REMARKABLE, int(left.argmax())
    status = Status.HOLDS if good.all() else Status.HOLDS_WHEN if good.any() else Status.FAILS
    largest = max(float(ds.r_squared.max()) for ds, fine in zip(cases, good, strict=True) if not fine) if not good.all() else 1.0
    return Verdict(
        status=Status.INCONCLUSIVE if (np.abs(left - REMARKABLE) < doubt).any() else status,
        figure=float(left[worst]),
        measure="1 - R^2 of the optimal linear datamodel, uniform subsets, worst learner",
        tolerance=REMARKABLE,
        condition=f"F is nearly additive: {', '.join(np.array([e.case for e in evidence])[good]) or 'nowhere'}. "
        f"Rank correlations over all subsets are {', '.join(f'{float(ds.lds.sel(p=0.5)):.2f}' for ds in cases)} and flatter; the "
        f"others reach R^2 <= {largest:.2f} at any p",
        case=evidence[worst].case,
        evidence=tuple(evidence),
    )


@claim("C8", "hence linear datamodels suit leave-one-out and small perturbations", experiments=("group_removal",))
def datamodels_suit_small_perturbations(results: Results) -> Verdict:
    """Removing one point: relative error of uniform beta less that of D(1). Where the two cross is told."""
    evidence: list[Evidence] = []
    errors: list[float] = []
    notes: list[str] = []
    for ds in results["group_removal"]:
        error = ds.measured.sel(measure="relative_error")
        spread = ds.measured_error.sel(measure="relative_error", estimate=["beta, summed", "D(1), summed"])
        uniform, derivative = error.sel(estimate="beta, summed"), error.sel(estimate="D(1), summed")
        evidence.append(Evidence(ds.attrs["case"], float(uniform[0] - derivative[0])))
        errors.append(float(np.linalg.norm(np.nan_to_num(spread[0]))))  # one seed: nothing is sampled
        better = ds.removed.values[(uniform < derivative).values]
        local = error.sel(estimate="beta (p = 0.9), summed")
        notes.append(
            f"{float(uniform[0]):.2g} against {float(derivative[0]):.2g}, {float(local[0]):.2g} for p = 0.9, beta better from "
            f"{better.min() if len(better) else 'no'} of {int(ds.removed[-1]) + 1} points removed"
        )
    worst = max(range(len(evidence)), key=lambda k: evidence[k].figure)
    unsure = abs(evidence[worst].figure) < 2.0 * errors[worst]
    return Verdict(
        status=Status.INCONCLUSIVE if unsure else Status.HOLDS if evidence[worst].figure <= 0.0 else Status.FAILS,
        figure=evidence[worst].figure,
        measure="one point removed: relative error of uniform beta - that of D(1), worst case",
        tolerance=0.0,
        condition="a datamodel suits the subsets that it was fitted on; one fitted near the full set (p near 1) suits small "
        f"perturbations. Errors: {'; '.join(notes)}",
        case=evidence[worst].case,
        evidence=tuple(evidence),
    )


@claim("C11", "counterfactuals of the seed average are easier to predict than those of one trained model", experiments=("seeds",))
def averages_are_easier(results: Results) -> Verdict:
    """Relative error over all subsets of beta, fitted to R seeds and tested on R others: one seed less the largest R that has an
    error of its own, which takes two pairs of groups.
    """
    evidence: list[Evidence] = []
    errors: list[float] = []
    notes: list[str] = []
    for ds in results["seeds"]:
        at = {"estimate": "beta", "pairing": "other seeds", "target": "all subsets"}
        error, spread = (v.sel(quality="relative_error", **at) for v in (ds.prediction, ds.prediction_error))
        known = np.flatnonzero(np.isfinite(spread))[[0, -1]]
        error, spread, ranks = error[known], spread[known], ds.prediction.sel(quality="lds", **at)[known]
        evidence.append(Evidence(ds.attrs["case"], float(error[0] - error[1])))
        errors.append(float(np.linalg.norm(spread)))
        notes.append(
            f"{float(error[0]):.3f} -> {float(error[1]):.3f} with {int(error.averaged[1])} seeds, "
            f"LDS {float(ranks[0]):.3f} -> {float(ranks[1]):.3f}, "
            f"noise of one seed {float(ds.noise[0]):.1g}"
        )
    mildest = min(range(len(evidence)), key=lambda k: evidence[k].figure)
    doubt = 2.0 * errors[mildest]
    unsure = abs(evidence[mildest].figure) < doubt
    return Verdict(
        status=Status.INCONCLUSIVE if unsure else Status.HOLDS if evidence[mildest].figure > 0.0 else Status.FAILS,
        figure=evidence[mildest].figure,
        measure="relative error of beta with one seed - with many averaged, other seeds predicted, mildest case (must exceed)",
        tolerance=0.0,
        condition=f"by as much as seeds differ: {'; '.join(notes)}",
        case=evidence[mildest].case,
        evidence=tuple(evidence),
    )
