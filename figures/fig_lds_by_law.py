"""The LDS and the slope of attributions by the inclusion probability of the subsets, with the ceiling of any linear predictor."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from figures.results import data_name, learner_name, options
from figures.style import BLUE, GREEN, GREY, ORANGE, PINK, style

__all__ = ["CLAIMS", "EXPERIMENTS", "Panel", "alt", "data", "draw"]

EXPERIMENTS = ("lds_by_law",)
CLAIMS = ("P2",)

_LINES = {
    "best linear predictor": ("best linear predictor, fitted at each p", GREY, "-", None),
    "D(1)": ("D(1)", BLUE, "-", "o"),
    "leave-one-out": ("leave-one-out", GREEN, "-", "^"),
    "beta": ("beta, fitted at p = 1/2", ORANGE, "-", "s"),
    "damped empirical Fisher": ("influence, damped empirical Fisher", PINK, "--", "D"),
}


@dataclass(frozen=True)
class Panel:
    """A panel gives LDS and slope of every score by p, with their standard errors over seeds."""

    title: str
    p: NDArray[np.float64]
    value: dict[str, NDArray[np.float64]]  # score: (quality, p)
    error: dict[str, NDArray[np.float64]]


def data(results: Sequence[xr.Dataset]) -> list[Panel]:
    """Return a panel per case."""
    return [_panel(ds) for ds in results]


def _panel(ds: xr.Dataset) -> Panel:
    steps = f", {int(options(ds)['steps']):,} steps" if "steps" in options(ds) else ""
    value = {name: ds.measured.sel(estimate=name).transpose("quality", "p").values for name in _LINES}
    error = {name: ds.measured_error.sel(estimate=name).transpose("quality", "p").values for name in _LINES}
    return Panel(f"{data_name(ds)}\n{learner_name(ds)}{steps}", ds.p.values.astype(np.float64), value, error)


def alt(panels: list[Panel]) -> str:
    """Describe the range of the LDS and of the slope of every score over cases and probabilities."""
    parts = [
        f"{label}: LDS {_span([p.value[name][0] for p in panels])}, slope {_span([p.value[name][1] for p in panels])}"
        for name, (label, *_) in _LINES.items()
    ]
    return f"LDS and slope by inclusion probability in {len(panels)} cases. {'; '.join(parts)}."


def _span(values: Sequence[NDArray[np.float64]]) -> str:
    together = np.concatenate(values)  # cases may have other probabilities
    return f"{np.nanmin(together):.2f} to {np.nanmax(together):.2f}"


def draw(panels: list[Panel]) -> Figure:
    """Draw the LDS above and the slope below, a column for each case."""
    with mpl.rc_context(style()):
        figure = Figure(figsize=(1.95 * len(panels) + 0.9, 6.0), layout="constrained")
        figure.suptitle("An LDS says nothing without its p, and little without its slope", fontsize=14)
        axes = figure.subplots(2, len(panels), squeeze=False, sharex=True, sharey="row")
        for column, panel in zip(axes.T, panels, strict=True):
            for ax, quality in zip(column, (0, 1), strict=True):
                _lines(ax, panel, quality)
            column[0].set_title(panel.title, fontsize=9)
            column[1].set_yscale("symlog", linthresh=0.1)
        axes[0, 0].set_ylabel("exact LDS")
        axes[1, 0].set_ylabel("slope of predicted\non retrained response")
        for ax in axes[1]:
            ax.axhline(1.0, color=GREY, linewidth=0.8, linestyle=":")
        figure.supxlabel("share p of points in the subsets", fontsize=11)
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="outside lower center", ncols=3, fontsize=10, title="bars: 2 standard errors over seeds"
        )
    return figure


def _lines(ax: Axes, panel: Panel, quality: int) -> None:
    for name, (label, colour, dashes, marker) in _LINES.items():
        value, bar = panel.value[name][quality], np.nan_to_num(panel.error[name][quality])
        look = {"linewidth": 3.0, "alpha": 0.5} if marker is None else {"marker": marker, "markersize": 4}
        ax.errorbar(panel.p, value, yerr=2.0 * bar, color=colour, linestyle=dashes, label=label, **look)  # pyright: ignore
