"""Which attribution predicts what happens without k points: datamodels, derivatives, influence or leave-one-out."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from figures.results import data_name, learner_name
from figures.style import BLUE, GREEN, GREY, ORANGE, PINK, style

__all__ = ["CLAIMS", "EXPERIMENTS", "Panel", "alt", "data", "draw"]

EXPERIMENTS = ("counterfactual",)
CLAIMS = ("C8",)

_SERIES = {
    "datamodel (p = 0.5)": ("datamodel, p = 0.5", ORANGE, "o"),
    "beta (p = 0.5)": ("p = 0.5, anchored at F(1)", ORANGE, ""),
    "datamodel (p = 0.9)": ("datamodel, p = 0.9", PINK, "D"),
    "beta (p = 0.9)": ("p = 0.9, anchored at F(1)", PINK, ""),
    "LOO": ("leave-one-out, summed", GREEN, "s"),
    "influence": ("Hessian influence, summed", BLUE, "^"),
    "Newton step": ("one Newton step for the group", GREY, "v"),
}


@dataclass(frozen=True)
class Panel:
    """A panel gives relative errors of the predicted change by share of points removed, with standard errors over groups.

    Standard errors are 0 where all groups were used.
    """

    title: str
    removed: NDArray[np.float64]  # share of N
    error: dict[str, NDArray[np.float64]]
    spread: dict[str, NDArray[np.float64]]


def data(results: Sequence[xr.Dataset]) -> list[Panel]:
    """Return a panel per case, the smallest N first."""
    panels: list[Panel] = []
    for ds in sorted(results, key=lambda ds: int(ds.attrs["n_points"])):
        n = int(ds.attrs["n_points"])
        at = [values.sel(quality="relative_error") for values in (ds.prediction, ds.prediction_error)]
        error, spread = ({name: v.sel(estimate=name).values for name in _SERIES} for v in at)
        how = "all groups" if np.isnan(at[1]).all() else "drawn groups"
        title = f"{data_name(ds)}, {learner_name(ds)} ({how})"
        panels.append(Panel(title, ds.removed.values / n, error, {k: np.nan_to_num(v) for k, v in spread.items()}))
    return panels


def alt(panels: list[Panel]) -> str:
    """Describe the errors where fewest and where most points are removed."""
    parts = [
        f"{panel.title}, {panel.removed[0]:.0%} and {panel.removed[-1]:.0%} of the points removed: "
        + ", ".join(f"{_SERIES[name][0]} {error[0]:.2g} and {error[-1]:.2g}" for name, error in panel.error.items())
        for panel in panels
    ]
    return f"Lines of the relative error of the predicted change by share of points removed. {'. '.join(parts)}."


def draw(panels: list[Panel]) -> Figure:
    """Draw the errors against the share of points removed."""
    with mpl.rc_context(style()):
        columns = min(2, len(panels))
        rows = -(-len(panels) // columns)
        figure = Figure(figsize=(max(5.6 * columns + 0.6, 10.0), 3.5 * rows + 1.6), layout="constrained")
        figure.suptitle(
            "Near the full set local scores win, far from it the datamodel; in convex models a Newton step does", fontsize=14
        )
        axes = figure.subplots(rows, columns, squeeze=False, sharex=True).ravel()
        for ax, panel in zip(axes, panels, strict=False):
            _lines(ax, panel)
        for ax in axes[len(panels) :]:
            ax.remove()
        for ax in axes[::columns]:
            ax.set_ylabel("relative error of the predicted change")
        for ax in axes[max(0, len(panels) - columns) : len(panels)]:
            ax.set_xlabel("training points removed (% of N)")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, title="bars: 2 standard errors over groups")
    return figure


def _lines(ax: Axes, panel: Panel) -> None:
    for name, (label, colour, marker) in _SERIES.items():
        error, bar = panel.error[name], 2.0 * panel.spread[name]
        low = np.minimum(bar, 0.9 * error)  # a bar that reaches 0 has no end on a log scale
        line = {"color": colour, "marker": marker, "markersize": 4, "linestyle": "-" if marker else ":", "label": label}
        ax.errorbar(100.0 * panel.removed, error, yerr=[low, bar], **line)
    ax.set(yscale="log", title=panel.title, ylim=(5e-3, 5.0))
    ax.set_yticks([0.01, 0.03, 0.1, 0.3, 1.0, 3.0])
    ax.yaxis.set_major_formatter("{x:g}")
    ax.minorticks_off()
