"""The factor between the datamodel and the derivative against training time, beside its limits 1 and 1/p."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray

from figures.results import data_name, options
from figures.style import BLUE, GREEN, ORANGE, style

__all__ = ["CLAIMS", "EXPERIMENTS", "Panel", "alt", "data", "draw"]

EXPERIMENTS = ("finite_time_scale",)
CLAIMS = ("T6 time",)

_COLOURS = (BLUE, ORANGE, GREEN)


@dataclass(frozen=True)
class Panel:
    """A panel gives the slope of beta on D(1) by p and eta T, with standard errors over seeds."""

    title: str
    n_seeds: int
    eta_t: NDArray[np.float64]
    p: NDArray[np.float64]
    slope: NDArray[np.float64]
    spread: NDArray[np.float64]


def data(results: Sequence[xr.Dataset]) -> list[Panel]:
    """Return a panel per case, the linear model first."""
    panels: list[Panel] = []
    for ds in sorted(results, key=lambda ds: options(ds).get("hidden") != "none"):
        kind = "linear model" if options(ds).get("hidden") == "none" else "network"
        title = f"{data_name(ds)}, {kind}"
        panels.append(
            Panel(title, int(ds.attrs["n_seeds"]), ds.eta_t.values, ds.p.values, ds.slope.values, ds.slope_error.values)
        )
    return panels


def alt(panels: list[Panel]) -> str:
    """Describe the first and the last slope for every p."""
    parts = [
        f"{panel.title}: "
        + ", ".join(f"{s[0]:.2f} to {s[-1]:.2f} at p = {p:g}" for p, s in zip(panel.p, panel.slope, strict=True))
        for panel in panels
    ]
    return f"Lines of the slope of the datamodel on D(1) by training time, with 1/p as dashed lines. {'. '.join(parts)}."


def draw(panels: list[Panel]) -> Figure:
    """Draw slopes with error bars, and 1/p as dashed lines."""
    with mpl.rc_context(style()):
        figure = Figure(figsize=(max(5.4 * len(panels) + 0.6, 8.0), 4.6), layout="constrained")
        figure.suptitle("The datamodel outgrows the derivative as training goes on", fontsize=14)
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for ax, panel in zip(axes, panels, strict=True):
            for p, colour, slope, spread in zip(panel.p, cycle(_COLOURS), panel.slope, panel.spread, strict=False):
                ax.axhline(1.0 / p, color=colour, linewidth=1, linestyle="--")
                ax.errorbar(panel.eta_t, slope, yerr=2.0 * spread, color=colour, marker="o", markersize=5, label=f"p = {p:g}")
            ax.set(xscale="log", title=panel.title, xlabel="learning rate times steps", ylim=(0.0, 1.5 / panel.p.min()))
        axes[0].set_ylabel("slope of β on D(1)")
        axes[0].legend(title="dashed: 1/p", loc="upper left")
        seeds = ", ".join(str(panel.n_seeds) for panel in panels)
        figure.supxlabel(f"no penalty; mean over {seeds} seeds, bars: 2 standard errors", fontsize=10)
    return figure
