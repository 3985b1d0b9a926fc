"""What pairs of points add to a linear datamodel: accuracy on other subsets, and leave-one-out near the full set."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray

from figures.results import data_name, learner_name, options
from figures.style import BLUE, GREEN, GREY, ORANGE, PINK, style

__all__ = ["CLAIMS", "EXPERIMENTS", "Case", "alt", "data", "draw"]

EXPERIMENTS = ("pairs",)
CLAIMS = ("T18", "T17")

_LOOKS = ((BLUE, "o"), (ORANGE, "s"), (GREEN, "^"), (PINK, "D"), (GREY, "X"))


@dataclass(frozen=True)
class Case:
    """A case has R^2 and its standard error by degree at p = 1/2, and the errors of both estimates of leave-one-out by p."""

    label: str
    r_squared: NDArray[np.float64]  # (2,)
    r_squared_error: NDArray[np.float64]  # (2,)
    p: NDArray[np.float64]
    removal: NDArray[np.float64]  # (p, 2), relative error of beta, and of beta with pairs
    removal_error: NDArray[np.float64]  # (p, 2)


def data(results: Sequence[xr.Dataset]) -> list[Case]:
    """Return all cases, the most linear first; raise ValueError where none has uniform subsets."""
    cases = [
        Case(
            _label(ds),
            ds.r_squared.sel(p=0.5).values,
            np.nan_to_num(ds.r_squared_error.sel(p=0.5).values),
            ds.p.values,
            ds.leave_one_out_error.values,
            np.nan_to_num(ds.leave_one_out_error_error.values),
        )
        for ds in results
        if 0.5 in ds.p.values
    ]
    if not cases:
        raise ValueError("no result of pairs has p = 0.5, expected one: run the experiment with it")
    return sorted(cases, key=lambda case: -case.r_squared[0])


def _label(ds: xr.Dataset) -> str:
    """Return data set, learner, and what tells the cases of one learner apart."""
    given = options(ds)
    words = [given["activation"]] if "activation" in given else []
    words += [f"{given['steps']} steps"] if "steps" in given else [f"l2 = {given['l2']}"] if "l2" in given else []
    return ", ".join([f"{data_name(ds)}: {learner_name(ds)}", *words])


def _spread(cases: list[Case], most: int) -> list[Case]:
    """Return at most that many cases, from the most to the least linear one."""
    count = min(len(cases), most)
    return [cases[round(k * (len(cases) - 1) / max(count - 1, 1))] for k in range(count)]


def alt(cases: list[Case]) -> str:
    """Describe R^2 of both degrees for every case, and the errors of leave-one-out at the least and the largest p."""
    parts = [
        f"{case.label}: R^2 {case.r_squared[0]:.2f}, with pairs {case.r_squared[1]:.2f}; error of leave-one-out "
        f"{case.removal[0, 0]:.2g}, with pairs {case.removal[0, 1]:.2g} at p = {case.p[0]:g}, "
        f"{case.removal[-1, 0]:.2g} and {case.removal[-1, 1]:.2g} at p = {case.p[-1]:g}"
        for case in cases
    ]
    return (
        f"Bars of R^2 by learner, and curves of the error of leave-one-out from beta, and with pairs, by p. {'. '.join(parts)}."
    )


def draw(cases: list[Case]) -> Figure:
    """Draw R^2 of both degrees by learner, and by p the errors of leave-one-out from beta and from beta with pairs."""
    with mpl.rc_context(style()):
        figure = Figure(figsize=(12.5, max(4.6, 0.42 * len(cases) + 2.4)), layout="constrained")
        least = min(case.r_squared[1] for case in cases)
        gain = min(float(case.removal[-1, 0] / case.removal[-1, 1]) for case in cases)
        figure.suptitle(
            f"Pairs raise R² to {least:.2f} or more, and divide the error of leave-one-out at p = {cases[0].p[-1]:g} by "
            f"{gain:.0f} or more",
            fontsize=14,
        )
        bars, curves = figure.subplots(1, 2, width_ratios=(1.0, 1.0))
        rows = np.arange(len(cases))
        one, two = (np.array([case.r_squared[k] for case in cases]) for k in (0, 1))
        bars.barh(rows, one, color=BLUE, height=0.66, label="linear datamodel")
        bars.barh(rows, two - one, left=one, color=ORANGE, height=0.66, label="added by pairs")
        for values, k in ((one, 0), (two, 1)):
            spread = 2.0 * np.array([case.r_squared_error[k] for case in cases])
            drawn = spread > 0.0
            bars.errorbar(values[drawn], rows[drawn], xerr=spread[drawn], fmt="none", ecolor="black", capsize=2)
        bars.set_yticks(rows, [case.label for case in cases], fontsize=9)
        bars.set_xlim(0.0, 1.0)
        bars.invert_yaxis()
        bars.set_xlabel("share of Var F explained, uniform subsets\n(bars: 2 standard errors over seeds, where there are seeds)")
        bars.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, fontsize=10)
        for case, (colour, marker) in zip(_spread(cases, len(_LOOKS)), _LOOKS, strict=False):
            curves.plot(case.p, case.removal[:, 0], marker, linestyle="--", color=colour, markersize=4, alpha=0.7)
            curves.plot(case.p, case.removal[:, 1], marker, linestyle="-", color=colour, markersize=5, label=case.label)
            for k in (0, 1):
                drawn = case.removal_error[:, k] > 0.0
                curves.errorbar(
                    case.p[drawn],
                    case.removal[drawn, k],
                    yerr=2.0 * case.removal_error[drawn, k],
                    fmt="none",
                    ecolor=colour,
                    capsize=2,
                )
        curves.set_yscale("log")
        curves.set_xlabel("p, the probability that a subset has a point")
        curves.set_ylabel("relative error of leave-one-out")
        curves.set_title("from beta (dashed) and from beta with pairs (solid)")
        curves.legend(fontsize=9)
    return figure
