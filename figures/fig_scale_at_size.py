"""The laws of scale on real data with up to thousands of points, and what a control variate saves there."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import NDArray

from figures.results import data_label, learner_name
from figures.style import BLUE, GREEN, GREY, ORANGE, PINK, style

__all__ = ["CLAIMS", "EXPERIMENTS", "ByPenalty", "BySize", "Scales", "alt", "data", "draw"]

EXPERIMENTS = ("scale_at_size",)
CLAIMS = ("T6 at size", "T6 penalty")

_LOOKS = ((PINK, "v"), (BLUE, "o"), (GREEN, "s"), (ORANGE, "^"))

Values = NDArray[np.float64]


@dataclass(frozen=True)
class BySize:
    """The curves at one p by number of points are the slope of beta on (1/p) D(1; l2/p) less 1, and the gain.

    Values are means over outputs.
    """

    p: float
    n_points: NDArray[np.int64]
    excess: Values
    excess_error: Values
    predicted: Values  # by second and third derivatives
    gain: Values
    gain_error: Values


@dataclass(frozen=True)
class ByPenalty:
    """The curves at one p by l2 are p times the slope of beta on D(1), and the slope of beta on (1/p) D(1; l2/p).

    Values are means over outputs.
    """

    p: float
    l2: Values
    on_one: Values
    on_one_error: Values
    on_mean: Values
    on_mean_error: Values


@dataclass(frozen=True)
class Scales:
    """The scales are all curves by size and by penalty, with the values that are held fixed and a title that names the data."""

    title: str
    smallest_l2: float
    by_size: list[BySize]
    n_points: int
    by_penalty: list[ByPenalty]


def data(results: Sequence[xr.Dataset]) -> Scales:
    """Return the curves by size for the smallest l2, and the curves by l2 for the size with most values of l2.

    The standard error of a mean over outputs is the mean of their standard errors, since all outputs share their subsets.
    """
    smallest = min(float(ds.attrs["l2"]) for ds in results)
    sizes = [int(ds.attrs["n_points"]) for ds in results]
    most = max(sizes, key=sizes.count)
    by_size = sorted((ds for ds in results if ds.attrs["l2"] == smallest), key=lambda ds: ds.attrs["n_points"])
    by_penalty = sorted((ds for ds in results if ds.attrs["n_points"] == most), key=lambda ds: ds.attrs["l2"])
    probabilities = results[0].p.values.tolist()
    one = results[0]
    return Scales(
        f"{data_label(one)} data, {learner_name(one)}, mean of {one.sizes['output']} outputs",
        smallest,
        [_by_size(by_size, p) for p in probabilities],
        most,
        [_by_penalty(by_penalty, p) for p in probabilities],
    )


def _mean(cases: Sequence[xr.Dataset], name: str, p: float) -> Values:
    values = [ds[name].sel(p=p) for ds in cases]
    picked = [v.sel(estimator="control variate") if "estimator" in v.dims else v for v in values]
    return np.array([float(v.mean()) for v in picked])


def _by_size(cases: Sequence[xr.Dataset], p: float) -> BySize:
    return BySize(
        p,
        np.array([ds.attrs["n_points"] for ds in cases], dtype=np.int64),
        _mean(cases, "slope_at_mean", p) - 1.0,
        _mean(cases, "standard_error_at_mean", p),
        _mean(cases, "second_order", p) - 1.0,
        _mean(cases, "gain", p),
        _mean(cases, "gain_error", p),
    )


def _by_penalty(cases: Sequence[xr.Dataset], p: float) -> ByPenalty:
    return ByPenalty(
        p,
        np.array([ds.attrs["l2"] for ds in cases], dtype=np.float64),
        p * _mean(cases, "slope", p),
        p * _mean(cases, "standard_error", p),
        _mean(cases, "slope_at_mean", p),
        _mean(cases, "standard_error_at_mean", p),
    )


def alt(scales: Scales) -> str:
    """Describe the slope less 1 and the gain at the smallest and the largest size."""
    first, last = (scales.by_size[0].n_points[k] for k in (0, -1))
    parts = [
        f"p = {one.p:g}: slope less 1 {one.excess[0]:.2g} to {one.excess[-1]:.2g}, gain {one.gain[0]:.2g} to {one.gain[-1]:.2g}"
        for one in scales.by_size
    ]
    return (
        "Marks of the slope of the datamodel on (1/p) D(1; l2/p) by size and by penalty, and of the variance that a control "
        f"variate saves. From N = {first:,} to {last:,}: {'. '.join(parts)}."
    )


def draw(scales: Scales) -> Figure:
    """Draw the slope less 1 by size, slopes by penalty, and the gain by size."""
    with mpl.rc_context(style()):
        figure = Figure(figsize=(14.5, 5.6), layout=ConstrainedLayoutEngine(w_pad=0.12))
        figure.suptitle("At realistic size β is (1/p) D(1; l2/p); the rest falls as 1/N", fontsize=14)
        excess, penalty, gain = figure.subplots(1, 3)
        for one, other, (colour, marker) in zip(scales.by_size, scales.by_penalty, cycle(_LOOKS), strict=False):
            label = f"p = {one.p:g}"
            _points(excess, one.n_points, one.excess, one.excess_error, colour, marker, label, linestyle="none")
            excess.plot(one.n_points, one.predicted, color=colour, linewidth=1.2, linestyle="--")
            _points(gain, one.n_points, one.gain, one.gain_error, colour, marker, label)
            _points(penalty, other.l2, other.on_one, other.on_one_error, colour, marker, label, mfc="white", linestyle=":")
            _points(penalty, other.l2, other.on_mean, other.on_mean_error, colour, marker, label)
        excess.plot([], [], color=GREY, linestyle="--", label="second order, no retraining")
        n_points = scales.by_size[0].n_points
        excess.set(xscale="log", yscale="log", ylabel="slope of β on (1/p) D(1; l2/p), less 1")
        excess.set_title(f"by size, l2 = {scales.smallest_l2:g}")
        gain.set(xscale="log", yscale="log", ylabel="variance of OLS / of control variate, at equal cost")
        gain.set_title(f"retrainings saved by a control variate, l2 = {scales.smallest_l2:g}")
        gain.axhline(1.0, color=GREY, linewidth=0.8, linestyle=":")
        for ax in (excess, gain):
            ax.set_xlabel("training points N")
            ax.set_xticks(n_points, [f"{n:,}" for n in n_points])
            ax.minorticks_off()
            ax.yaxis.set_major_formatter("{x:g}")
        excess.legend(fontsize=9)
        penalty.axhline(1.0, color=GREY, linewidth=0.8)
        penalty.set(xscale="log", xlabel="penalty l2", ylabel="slope of β (1: the law holds)")
        penalty.set_title(f"by penalty, N = {scales.n_points}")
        penalty.plot([], [], color=GREY, marker="o", label="on (1/p) D(1; l2/p)")
        penalty.plot([], [], color=GREY, marker="o", mfc="white", linestyle=":", label="on (1/p) D(1)")
        penalty.legend(*_last(penalty, 2), fontsize=9, loc="lower left")
        figure.supxlabel(f"{scales.title}; bars: 2 standard errors over the drawn subsets", fontsize=10)
    return figure


def _points(
    ax: Axes, x: NDArray[np.int64] | Values, y: Values, error: Values, colour: str, marker: str, label: str, **look: str
) -> None:
    ax.errorbar(x, y, yerr=2.0 * error, color=colour, marker=marker, markersize=5.5, linewidth=1.2, label=label, **look)


def _last(ax: Axes, count: int) -> tuple[list[object], list[str]]:
    lines = ax.get_lines()[-count:]
    return list(lines), [str(line.get_label()) for line in lines]
