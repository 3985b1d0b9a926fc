"""The module judges the essay's claims about what predicts the response to other training sets."""

import numpy as np

from theory.claims.registry import Claim, Results, claim
from theory.claims.verdict import Evidence, Status, Verdict

__all__: list[str] = []


@claim(
    "C5",
    "a linear datamodel predicts f(S) with remarkable accuracy",
    experiments=("spectrum",),
    measure="1 - R^2 of the optimal linear datamodel, uniform subsets, worst learner",
    tolerance=0.1,
    essay="A linear function of the 0/1 vector of a subset predicts the trained model's output with remarkable accuracy.",
    idea="In the Walsh basis of the subsets' law, F = sum_A c_A chi_A and Var F = sum over nonempty A of c_A^2. The best linear "
    "predictor keeps the terms of degree 1, so R^2 is their share of Var F. It is a property of the learner: no fit from "
    "samples does better, and rank correlations hide the rest, being indifferent to every monotone distortion.",
    sources=(
        "Ilyas et al. 2022, ICML (datamodels)",
        "Saunshi et al. 2022, arXiv 2210.01072",
        "O'Donnell 2014, Analysis of Boolean Functions",
    ),
)
def linear_datamodels_are_accurate(this: Claim, results: Results) -> Verdict:
    """Compute 1 - R^2 of the optimal linear datamodel over uniform subsets, for each learner; no fit from samples does better.

    The tolerance is the share of the variance over subsets that a remarkably accurate predictor may leave unexplained.
    """
    cases = results["spectrum"]
    evidence = [Evidence(ds.attrs["case"], 1.0 - float(ds.r_squared.sel(p=0.5))) for ds in cases]
    doubt = np.array([2.0 * np.nan_to_num(float(ds.r_squared_error.sel(p=0.5))) for ds in cases])  # one seed: nothing is sampled
    left = np.array([item.figure for item in evidence])
    good = left <= this.tolerance
    status = Status.HOLDS if good.all() else Status.HOLDS_WHEN if good.any() else Status.FAILS
    largest = max(float(ds.r_squared.max()) for ds, fine in zip(cases, good, strict=True) if not fine) if not good.all() else 1.0
    return this.verdict(
        Status.INCONCLUSIVE if (np.abs(left - this.tolerance) < doubt).any() else status,
        evidence[int(left.argmax())],
        evidence,
        condition=f"F is nearly additive: {', '.join(np.array([e.case for e in evidence])[good]) or 'nowhere'}. "
        f"Rank correlations over all subsets are {', '.join(f'{float(ds.lds.sel(p=0.5)):.2f}' for ds in cases)} and flatter; the "
        f"others reach R^2 <= {largest:.2f} at any p",
    )


@claim(
    "C8",
    "hence linear datamodels suit leave-one-out and small perturbations",
    experiments=("group_removal",),
    measure="one point removed: relative error of uniform beta - that of D(1), worst case",
    tolerance=0.0,
    essay="Being Taylor polynomials at the full set, linear datamodels suit leave-one-out and small perturbations.",
    idea="Uniform beta has the least mean squared error over random halves, by definition, and pays for it near the full set: "
    "already for one point it is off by all the interactions in beta - LOO (T3). D(1) is off by the curvature on a path of "
    "length 1 only, but its error grows with every further point. A datamodel suits subsets like those it was fitted on: with p "
    "near 1, small perturbations.",
    sources=("Karchmer 2025, essay", "Koh et al. 2019, NeurIPS (groups)", "Ilyas et al. 2022, ICML (datamodels)"),
)
def datamodels_suit_small_perturbations(this: Claim, results: Results) -> Verdict:
    """Subtract the relative error of D(1) from that of uniform beta, when one point is removed.

    The condition gives the number of removed points from which beta is better.
    """
    evidence: list[Evidence] = []
    notes: list[str] = []
    for ds in results["group_removal"]:
        error = ds.measured.sel(measure="relative_error")
        spread = ds.measured_error.sel(measure="relative_error", estimate=["beta, summed", "D(1), summed"])
        uniform, derivative = error.sel(estimate="beta, summed"), error.sel(estimate="D(1), summed")
        doubt = 2.0 * float(np.linalg.norm(np.nan_to_num(spread[0])))  # one seed: nothing is sampled
        evidence.append(Evidence(ds.attrs["case"], float(uniform[0] - derivative[0]), doubt))
        better = ds.removed.values[(uniform < derivative).values]
        local = error.sel(estimate="beta (p = 0.9), summed")
        notes.append(
            f"{float(uniform[0]):.2g} against {float(derivative[0]):.2g}, {float(local[0]):.2g} for p = 0.9, beta better from "
            f"{better.min() if len(better) else 'no'} of {int(ds.removed[-1]) + 1} points removed"
        )
    return this.decide(
        evidence,
        condition="a datamodel suits the subsets that it was fitted on; one fitted near the full set (p near 1) suits small "
        f"perturbations. Errors: {'; '.join(notes)}",
    )
