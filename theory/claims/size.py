"""What holds of the laws of scale where beta is estimated, on real data of realistic size."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from theory.claims.verdict import Evidence, Results, Status, Verdict, claim, decide

__all__: list[str] = []

COLUMNS_PER_POINT = 0.05
"""Of the subsets, d/(pN): the law is of leading order in it."""


@claim(
    "T6 at size",
    "on real data beta^(p) is (1/p) D(1; l2/p) up to O(1/N), with and without a penalty",
    experiments=("scale_at_size",),
)
def scale_at_size(results: Results) -> Verdict:
    """|slope of beta on it - 1| where subsets have at most 0.05 columns per point; what is left of it by N is told."""
    cases = sorted(results["scale_at_size"], key=lambda ds: (float(ds.attrs["l2"]), int(ds.attrs["n_points"])))
    evidence: list[Evidence] = []
    errors: list[float] = []
    outside: list[float] = []
    for ds in cases:
        excess = np.abs(ds.slope_at_mean.sel(estimator="control variate") - 1.0)
        for p in ds.p.values:
            if float(ds.columns_per_point) / p > COLUMNS_PER_POINT * (1.0 + 1e-9):
                outside.append(float(excess.sel(p=p).max()))
                continue
            evidence.append(Evidence(f"{ds.attrs['case']} p={p:g}", float(excess.sel(p=p).max())))
            errors.append(float(ds.standard_error_at_mean.sel(p=p, estimator="control variate").max()))
    measure = "|slope of beta^(p) on (1/p) D(1; l2/p) - 1|, largest over p and outputs"
    condition = f"d/(pN) <= {COLUMNS_PER_POINT:g}: {_by_size(cases)}; {_by_penalty(cases)}"
    if outside:
        condition += f"; up to {max(outside):.2f} off where subsets have more columns per point"
    if not evidence:
        return Verdict(Status.INCONCLUSIVE, max(outside), measure, 0.1, condition, cases[-1].attrs["case"])
    return decide(measure, 0.1, evidence, holds=Status.HOLDS_WHEN, condition=condition, uncertainty=2.0 * max(errors))


def _by_size(cases: Sequence[xr.Dataset]) -> str:
    """Excess at the p nearest to 1/2 by N, at the smallest l2, and what second and third derivatives leave of it."""
    chosen = [ds.sel(p=0.5, method="nearest") for ds in cases if ds.attrs["l2"] == cases[0].attrs["l2"]]
    slopes = [ds.slope_at_mean.sel(estimator="control variate") for ds in chosen]
    excess = ", ".join(f"{float(s.mean()) - 1.0:.3f}" for s in slopes)
    left = ", ".join(f"{float(np.abs(s - ds.second_order).max()):.4f}" for s, ds in zip(slopes, chosen, strict=True))
    sizes = ", ".join(f"{ds.attrs['n_points']}" for ds in chosen)
    return f"excess {excess} at p = {float(chosen[0].p):g} for N = {sizes}, all of it predicted at second order but {left}"


def _by_penalty(cases: Sequence[xr.Dataset]) -> str:
    """p times the slope on D(1) itself, where the penalty is largest."""
    largest = cases[-1]
    scaled = largest.p * largest.slope.sel(estimator="control variate")
    return (
        f"on D(1) instead of D(1; l2/p), p times the slope is {float(scaled.min()):.2f} to {float(scaled.max()):.2f} at "
        f"l2 = {float(largest.attrs['l2']):g}"
    )
