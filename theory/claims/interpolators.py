"""The module judges whether interpolators have no derivative in the weights, while leaving a point out changes them."""

import xarray as xr

from theory.claims.registry import Claim, Judgement, OtherMeasure, Results, claim
from theory.claims.verdict import Evidence, Status, Verdict
from theory.intervals import half_width

__all__: list[str] = []


def _judgement(effect: str = "beta") -> Judgement:
    """Return the judgement of T11 by ||D(1)|| relative to one effect of retraining."""

    def judged(this: Claim, results: Results) -> Verdict:
        evidence = [
            Evidence(f"{ds.attrs['case']}, width {int(ds.width[k])}", *_ratio(ds.isel(width=k), effect), control=k == 0)
            for ds in results["interpolation"]
            for k in (-1, 0)
        ]
        sizes = "; ".join(
            f"{float(last.sel(effect='beta')):.2f} and {float(last.sel(effect='LOO')):.2f}"
            for last in (ds["size"].isel(width=-1) for ds in results["interpolation"])
        )
        return this.decide(
            evidence,
            holds=Status.HOLDS_WHEN,
            condition=f"width >= N and l2 = 0: ||beta||, ||LOO|| = {sizes}; a narrow model does not interpolate (control)",
        )

    return judged


def _ratio(ds: xr.Dataset, effect: str) -> tuple[float, float]:
    """Return ||D(1)|| / ||effect|| at one width, and half its 95% interval over seeds as if both norms erred together."""
    derivative, other = (float(ds["size"].sel(effect=name)) for name in ("D(1)", effect))
    own, others = (float(ds["size_error"].sel(effect=name)) for name in ("D(1)", effect))
    ratio = derivative / other
    return ratio, half_width(own / other + ratio * others / other, int(ds.attrs["n_seeds"]) - 1)


@claim(
    "T11",
    "interpolators: D(1) = 0, while beta and leave-one-out are not",
    plain="interpolators have D(1) = 0, but beta is not 0",
    experiments=("interpolation",),
    measure="||D(1)|| / ||beta|| without penalty at the largest width, at least N",
    tolerance=1e-9,
    essay="A case in which the essay's two sides have nothing in common, and averaging over seeds does not help.",
    idea="A minimum-norm interpolator fits every point of positive weight exactly, whatever the weight: theta depends on which "
    "weights are positive, not on their size. So D(1) = 0, while leaving a point out changes the interpolant, and beta is the "
    "mean jump of F at w_i = 0. It is so for every seed, and so for their average.",
    sources=("Hastie et al. 2022",),
    kind="identity",
    other_measures=(OtherMeasure("||D(1)|| / ||LOO||", 1e-9, _judgement("LOO")),),
)
def interpolators_have_no_derivative(this: Claim, results: Results) -> Verdict:
    """Compare the norms of D(1) and beta at the largest width, without penalty, for the average over seeds.

    The smallest width is a control: a model with fewer features than points does not interpolate and has a derivative.
    """
    return _judgement()(this, results)
