"""The module judges how accurately a linear datamodel predicts the response to subsets (C5)."""

import numpy as np
import xarray as xr

from theory.claims.registry import Claim, OtherMeasure, Results, claim
from theory.claims.verdict import Evidence, Verdict
from theory.intervals import half_width

__all__: list[str] = []


def _unexplained(ds: xr.Dataset, p: float = 0.5) -> Evidence:
    """Return 1 - R^2 of the optimal linear datamodel as evidence."""
    degrees = int(ds.attrs.get("degrees_of_freedom", ds.attrs["n_seeds"] - 1))
    doubt = half_width(float(ds.r_squared_error.sel(p=p)), degrees)
    return Evidence(_name(ds), 1.0 - float(ds.r_squared.sel(p=p)), doubt, control=bool(ds.attrs["control"]))


def _name(ds: xr.Dataset) -> str:
    """Return the name of the case; where R^2 was estimated, with the number of subsets."""
    return f"{ds.attrs['case']}, {ds.attrs['draws']} subsets drawn" if "draws" in ds.attrs else str(ds.attrs["case"])


def _by_every_learner(this: Claim, results: Results) -> Verdict:
    return this.decide([_unexplained(ds) for ds in results["spectrum"]], condition="every learner")


def _near_the_full_set(this: Claim, results: Results) -> Verdict:
    return this.decide([_unexplained(ds, 0.9) for ds in results["spectrum"]], condition="p = 0.9", deciding="most")


def _by_ranks(this: Claim, results: Results) -> Verdict:
    evidence = [
        Evidence(
            ds.attrs["case"],
            1.0 - float(ds.lds.sel(p=0.5)),
            half_width(float(ds.lds_error.sel(p=0.5)), ds.attrs["n_seeds"] - 1),
            control=bool(ds.attrs["control"]),
        )
        for ds in results["spectrum"]
        if "lds" in ds
    ]
    return this.decide(evidence, condition="ranks", deciding="most")


@claim(
    "C5",
    "a linear datamodel predicts f(S) with remarkable accuracy",
    plain="a linear datamodel predicts F remarkably well",
    experiments=("spectrum",),
    measure="1 - R^2 of the optimal linear datamodel, uniform subsets, most learners",
    tolerance=0.1,
    essay="A linear function of the 0/1 vector of a subset predicts the trained model's output with remarkable accuracy.",
    idea="In the Walsh basis of the subsets' law, F = sum_A c_A chi_A and Var F = sum over nonempty A of c_A^2. The best linear "
    "predictor keeps the terms of degree 1, so R^2 is their share of Var F. It is a property of the learner: no fit from "
    "samples does better, and rank correlations hide the rest, being indifferent to every monotone distortion.",
    sources=(
        "Ilyas et al. 2022",
        "Saunshi et al. 2022",
        "O'Donnell 2014",
    ),
    too_small="5 points and 300 steps leave no room for the interactions of a converged network on 8",
    other_measures=(
        OtherMeasure("1 - R^2, uniform subsets, every learner", 0.1, _by_every_learner),
        OtherMeasure("1 - R^2, subsets of 9 in 10 points, most learners", 0.1, _near_the_full_set),
        OtherMeasure("1 - rank correlation over all subsets, most learners", 0.1, _by_ranks),
    ),
)
def linear_datamodels_are_accurate(this: Claim, results: Results) -> Verdict:
    """Compute 1 - R^2 of the optimal linear datamodel over uniform subsets, for each learner; no fit from samples does better.

    The tolerance is the share of the variance over subsets that a remarkably accurate predictor may leave unexplained, and more
    than half of the learners must keep to it. Where subsets are drawn R^2 is estimated, with an interval. Learners that were
    built to be additive, to interpolate or to jump are controls.
    """
    cases = results["spectrum"]
    evidence = [_unexplained(ds) for ds in cases]
    asked = [(ds, item) for ds, item in zip(cases, evidence, strict=True) if not item.control]
    good = [item.case for _, item in asked if item.figure <= this.tolerance]
    ranks = ", ".join(f"{float(ds.lds.sel(p=0.5)):.2f}" for ds, _ in asked if "lds" in ds)
    least = min((float(ds.r_squared.sel(p=0.9)) for ds, _ in asked), default=np.nan)
    return this.decide(
        evidence,
        deciding="most",
        condition=f"R^2 >= {1.0 - this.tolerance:g} on {len(good)} of {len(asked)}: {', '.join(good) or 'none'}. Rank "
        f"correlations over all subsets are {ranks} and flatter; at p = 0.9 R^2 is {least:.2f} or more",
    )
