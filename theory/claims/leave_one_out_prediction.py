"""The module judges what a datamodel predicts for the training set without one point (C7)."""

import numpy as np
import xarray as xr

from theory.claims.registry import Claim, OtherMeasure, Results, claim
from theory.claims.verdict import CLOSE, Evidence, Verdict
from theory.metrics import relative_error, slope

__all__: list[str] = []


def _terms(ds: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
    """Return beta, (1/N) dF/dw as the essay writes it, and (1/N) dF/deps, which is the step of Taylor's polynomial."""
    written, taylor, beta = (ds.prediction.sel(rule=name) for name in ("(1/N) dF/dw", "(1/N) dF/deps", "datamodel beta"))
    return beta, written, taylor


def _evidence(ds: xr.Dataset) -> list[Evidence]:
    """Return the three differences between the datamodel's prediction g(1 - e_i) and the essay's, relative to dF/dw."""
    case, (beta, written, taylor) = ds.attrs["case"], _terms(ds)
    offset = np.broadcast_to(ds.offset, taylor.shape)
    return [
        Evidence(f"{case}, gap: beta - dF/dw", relative_error(beta, taylor)),
        Evidence(f"{case}, start: g(1) - F(1)", float(np.linalg.norm(offset) / np.linalg.norm(taylor))),
        Evidence(f"{case}, factor: 1/N in w", relative_error(written, taylor), control=True),
    ]


def _by_slope(this: Claim, results: Results) -> Verdict:
    evidence: list[Evidence] = []
    for ds in results["normalisation"]:
        beta, _, taylor = _terms(ds)
        evidence.append(Evidence(ds.attrs["case"], abs(slope(beta, taylor) - 1.0)))
    return this.decide(evidence, condition="size")


def _roughly(this: Claim, results: Results) -> Verdict:
    return this.decide([item for ds in results["normalisation"] for item in _evidence(ds)], condition="roughly", deciding="most")


@claim(
    "C7",
    "the datamodel's leave-one-out prediction is the Taylor polynomial F(1) - (1/N) dF/dw_i",
    plain="the datamodel predicts F(1) - (1/N) dF/dw_i",
    experiments=("normalisation",),
    measure="gap ||beta - dF/dw|| / ||dF/dw||, and start ||g(1) - F(1)|| / ||dF/dw||, whichever is larger",
    tolerance=1e-6,
    essay='The datamodel\'s prediction for a removed point, "F(1_{D-i}) ~ F(1_D) - (1/N) dF/dw_i", is the Taylor polynomial of '
    "degree 1.",
    idea="Three things differ. The factor: removal takes w_i from 1 to 0, a step of -1, so that Taylor's polynomial is F(1) - "
    "dF/dw_i; with eps l_i added to the mean loss, w_i = 1 + N eps, dF/deps = N dF/dw_i and removal is eps = -1/N, which gives "
    "F(1) - (1/N) dF/deps. The essay's formula mixes the two and is too small by N. The gap: the datamodel's step is -beta_i, "
    "which differs from Taylor's by the gap of C6. The start: g(1) is the value at the full set of a line fitted to random "
    "halves, not F(1).",
    sources=("Karchmer 2025", "Koh & Liang 2017, section 2.1"),
    other_measures=(
        OtherMeasure("the same, most of the figures within 5%", CLOSE, _roughly),
        OtherMeasure("|slope of beta on dF/dw - 1|", CLOSE, _by_slope),
    ),
)
def prediction_is_taylor(this: Claim, results: Results) -> Verdict:
    """Compare the datamodel's g(1) - beta_i with F(1) - (1/N) dF/deps, term by term, relative to dF/dw over points and outputs.

    The factor N between dF/dw and dF/deps is one of notation (T10): it is shown as a control, and the essay is given the right
    one. The difference of the starting values counts for every point.
    """
    cases = results["normalisation"]
    factor = ", ".join(f"{float(ds.eps_over_w):.0f}" for ds in cases)
    slopes = ", ".join(f"{slope(_terms(ds)[0], _terms(ds)[2]):.2f}" for ds in cases)
    own = ", ".join(f"{relative_error(_terms(ds)[0] - ds.offset, ds.leave_one_out):.2f}" for ds in cases)
    taylor = ", ".join(f"{relative_error(_terms(ds)[2], ds.leave_one_out):.2f}" for ds in cases)
    return this.decide(
        [item for ds in cases for item in _evidence(ds)],
        condition=f"the factor is 1 in w and 1/N in eps (dF/deps = {factor} dF/dw); the gap has slope {slopes}, which is that of "
        f"C6. Against retraining the datamodel's own prediction of a removal is off by {own}, Taylor's by {taylor}",
    )
