"""What one exact fit costs, as the number of training points grows, beside other libraries."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray

from figures.style import BLUE, GREEN, GREY, ORANGE, PINK, style

__all__ = ["CLAIMS", "EXPERIMENTS", "Curve", "alt", "data", "draw"]

EXPERIMENTS = ("benchmark",)
CLAIMS = ()

_COLOURS = (BLUE, GREEN, ORANGE, PINK)
_MARKERS = ("o", "s", "^", "D")


@dataclass(frozen=True)
class Curve:
    """A curve gives the microseconds per fit of one engine by N: the median, the fastest and the slowest round."""

    engine: str
    n_points: NDArray[np.int64]
    median: NDArray[np.float64]
    fastest: NDArray[np.float64]
    slowest: NDArray[np.float64]


def data(results: Sequence[xr.Dataset]) -> list[Curve]:
    """Return a curve for every engine of the benchmark."""
    (result,) = results
    cost = 1e6 * result.seconds / 2.0**result.n_points
    return [
        Curve(
            str(engine),
            result.n_points.values,
            cost.sel(engine=engine).median("round").values,
            cost.sel(engine=engine).min("round").values,
            cost.sel(engine=engine).max("round").values,
        )
        for engine in result.engine.values
    ]


def alt(curves: list[Curve]) -> str:
    """Describe the median time of every engine at the smallest and at the largest size."""
    parts = [
        f"{curve.engine}: " + ", ".join(f"{curve.median[k]:,.3g} µs at N = {curve.n_points[k]}" for k in (0, -1))
        for curve in curves
    ]
    return f"Lines of the time per exact fit by number of training points. {'. '.join(parts)}."


def draw(curves: list[Curve]) -> Figure:
    """Draw the time per fit on a logarithmic axis, with bars from the fastest to the slowest round."""
    with mpl.rc_context(style()):
        figure = Figure(figsize=(8, 4.6), layout="constrained")
        axes = figure.subplots()
        for curve, colour, marker in zip(curves, _COLOURS, _MARKERS, strict=False):
            bars = np.stack([curve.median - curve.fastest, curve.slowest - curve.median])
            axes.errorbar(curve.n_points, curve.median, bars, color=colour, marker=marker, capsize=3, lw=1.5)
            last = curve.median[-1]
            axes.annotate(
                f"{curve.engine}: {last:,.2g} µs" if last < 100 else f"{curve.engine}: {last:,.0f} µs",
                (curve.n_points[-1], last),
                xytext=(10, 0),
                textcoords="offset points",
                color=colour,
                va="center",
            )
        axes.set_yscale("log")
        axes.set_xticks(curves[0].n_points, [f"{n}\n2$^{{{n}}}$ = {2**n:,}" for n in curves[0].n_points], fontsize=9)
        axes.set_xlim(curves[0].n_points[0] - 0.5, curves[0].n_points[-1] + 4.2)
        axes.set_xlabel("training points N, and subsets", loc="left")
        axes.set_ylabel("time per exact fit (µs)")
        axes.grid(axis="y", color=GREY, alpha=0.2)
        axes.set_title(
            "Retraining on all subsets: the time per fit does not grow with N\n"
            "(logistic regression, 5 columns, 8 queries; median, fastest and slowest round)",
            loc="left",
        )
    return figure
