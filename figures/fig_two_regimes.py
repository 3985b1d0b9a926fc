"""The central picture: the errors of the essay's identity and of Hessian influence against training time."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from figures.results import by_optimizer, data_name, options
from figures.style import BLUE, GREY, ORANGE, style

__all__ = ["CLAIMS", "EXPERIMENTS", "Panel", "alt", "data", "draw"]

EXPERIMENTS = ("training_time",)
CLAIMS = ("C6 networks", "C3", "C2")

_SERIES = {
    "beta on D(1)": ("datamodel β (the essay's identity)", ORANGE, "o"),
    "Hessian influence on D(1)": ("Hessian influence, exact Hessian", BLUE, "s"),
}


_PLAIN = "The essay's identity holds early in training, Hessian influence at its end if the optimum is isolated"
_ADAPTIVE = (
    "The essay's identity holds early in descent, not under adam; Hessian influence at the end, if the optimum is isolated"
)
"""Titles: without and with networks whose steps are no multiples of the gradient."""


@dataclass(frozen=True)
class Panel:
    """A panel gives the relative errors of both estimates against D(1) by training time, with standard errors over seeds."""

    title: str
    adaptive: bool  # trained by steps that are no multiples of the gradient
    n_seeds: int
    time: NDArray[np.int64]
    error: dict[str, NDArray[np.float64]]
    spread: dict[str, NDArray[np.float64]]


def data(results: Sequence[xr.Dataset]) -> list[Panel]:
    """Return a panel per case, the penalised ones first."""
    panels: list[Panel] = []
    for ds in sorted(results, key=lambda ds: (options(ds).get("l2") == "0", ds.attrs["case"])):
        at = ds.measured.sel(measure="relative_error"), ds.measured_error.sel(measure="relative_error")
        error, spread = ({name: values.sel(pair=name).values for name in _SERIES} for values in at)

        kind = "no penalty, more parameters than points" if options(ds).get("l2") == "0" else "penalised"
        by = by_optimizer(ds)
        title = f"{data_name(ds)}{by}, {kind}"
        panels.append(Panel(title, bool(by), ds.sizes["seed"], ds.time.values.astype(np.int64), error, spread))
    return panels


def alt(panels: list[Panel]) -> str:
    """Describe the first and the last error of both estimates."""
    parts = [
        f"{panel.title}: "
        + ", ".join(
            f"{label} {series[0]:.2g} at step {panel.time[0]:,} and {_ending(series[-1])} at {panel.time[-1]:,}"
            for name, (label, *_) in _SERIES.items()
            for series in (panel.error[name],)
        )
        for panel in panels
    ]
    return f"Lines of the relative error against D(1) by training time, on logarithmic axes. {'. '.join(parts)}."


def _ending(error: float) -> str:
    return "undefined" if np.isnan(error) else f"{error:.2g}"


def draw(panels: list[Panel]) -> Figure:
    """Draw the errors of each case on logarithmic axes; undefined influence (a singular Hessian) leaves a gap in the line."""
    with mpl.rc_context(style()):
        columns = min(2, len(panels))
        rows = -(-len(panels) // columns)
        figure = Figure(figsize=(max(5.6 * columns + 0.8, 8.0), 3.6 * rows + 1.2), layout="constrained")
        figure.suptitle(_ADAPTIVE if any(panel.adaptive for panel in panels) else _PLAIN, fontsize=14)
        axes = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
        for ax, panel in zip(axes, panels, strict=False):
            _lines(ax, panel)
        for ax in axes[len(panels) :]:
            ax.remove()
        for ax in axes[::columns]:
            ax.set_ylabel("relative error against D(1)")
        axes[0].legend(loc="lower center", fontsize=10)
        counts = " or ".join(map(str, sorted({panel.n_seeds for panel in panels})))
        figure.supxlabel(
            f"training time (gradient steps); networks, mean over {counts} seeds, bars: 2 standard errors", fontsize=11
        )
    return figure


def _lines(ax: Axes, panel: Panel) -> None:
    for name, (label, colour, marker) in _SERIES.items():
        error, bar = panel.error[name], 2.0 * panel.spread[name]
        low = np.minimum(bar, 0.9 * error)  # a bar that reaches 0 has no end on a log scale
        ax.errorbar(panel.time, error, yerr=[low, bar], color=colour, marker=marker, markersize=5, linewidth=1.6, label=label)
    ax.axhline(1.0, color=GREY, linewidth=0.8, linestyle=":")
    ax.set(xscale="log", yscale="log", title=panel.title)
