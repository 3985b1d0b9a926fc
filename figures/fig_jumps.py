"""Where training jumps, the average of derivatives is not the derivative of the average, however many seeds are averaged."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray

from figures.results import learner_name
from figures.style import BLUE, GREEN, GREY, ORANGE, style

__all__ = ["CLAIMS", "EXPERIMENTS", "Panel", "alt", "data", "draw"]

EXPERIMENTS = ("jumps",)
CLAIMS = ("T9",)

_SERIES = {
    "path-wise derivative": ("mean of path-wise derivatives", BLUE, "s"),
    "difference of F": ("difference quotient of the mean F", GREEN, "o"),
    "beta": ("datamodel β of the mean F", ORANGE, "^"),
}
_TITLES = {"bistable": "two wells, gradient descent from a random start", "moving_jump": "sign of a moving threshold"}


@dataclass(frozen=True)
class Panel:
    """A panel gives the slope of each estimate on the exact dF/dw by number of seeds, with standard errors."""

    title: str
    n_seeds: NDArray[np.int64]
    slope: dict[str, NDArray[np.float64]]
    spread: dict[str, NDArray[np.float64]]


def data(results: Sequence[xr.Dataset]) -> list[Panel]:
    """Return a panel per learner."""
    panels: list[Panel] = []
    for ds in results:
        slope, spread = ({name: v.sel(quantity=name).values for name in _SERIES} for v in (ds.slope, ds.slope_error))
        title = f"{_TITLES.get(ds.attrs['learner'], learner_name(ds))}, N = {ds.sizes['point']}"
        panels.append(Panel(title, ds.n_seeds.values.astype(np.int64), slope, spread))
    return panels


def alt(panels: list[Panel]) -> str:
    """Describe the slope of each estimate with all seeds averaged."""
    parts = [
        f"{panel.title}, {panel.n_seeds[-1]:,} seeds: "
        + ", ".join(f"{panel.slope[name][-1]:.2f} for the {label}" for name, (label, *_) in _SERIES.items())
        for panel in panels
    ]
    return f"Lines of the slope on the exact derivative, where 1 is right, by the number of seeds averaged. {'. '.join(parts)}."


def draw(panels: list[Panel]) -> Figure:
    """Draw the slopes against the number of seeds; 1 is right."""
    with mpl.rc_context(style()):
        figure = Figure(figsize=(5.4 * len(panels) + 0.6, 4.6), layout="constrained")
        figure.suptitle("Averaging derivatives over seeds does not give the derivative of the average", fontsize=14)
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for ax, panel in zip(axes, panels, strict=True):
            ax.axhline(1.0, color=GREY, linewidth=1)
            for shift, (name, (label, colour, marker)) in zip((0.94, 1.0, 1.06), _SERIES.items(), strict=True):
                x, bar = shift * panel.n_seeds, 2.0 * panel.spread[name]
                ax.errorbar(x, panel.slope[name], yerr=bar, color=colour, marker=marker, markersize=5, label=label)
            ax.set(xscale="log", title=panel.title, xlabel="number of seeds averaged")
        axes[0].set_ylabel("slope on the exact dF/dw at w = 1")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, title="1 is right; bars: 2 standard errors")
    return figure
