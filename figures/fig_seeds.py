"""What averaging over seeds changes: the datamodel's error on the same and on other seeds."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray

from figures.results import data_name, learner_name, options
from figures.style import BLUE, GREY, ORANGE, style

__all__ = ["CLAIMS", "EXPERIMENTS", "Panel", "alt", "data", "draw"]

EXPERIMENTS = ("seeds",)
CLAIMS = ("C11",)

_PAIRINGS = {"same seeds": (BLUE, "s"), "other seeds": (ORANGE, "o")}


@dataclass(frozen=True)
class Panel:
    """A panel gives the relative error of the datamodel over all subsets by number of seeds averaged.

    Standard errors are over groups of seeds.
    """

    title: str
    averaged: NDArray[np.int64]
    error: dict[str, NDArray[np.float64]]
    spread: dict[str, NDArray[np.float64]]
    noise: NDArray[np.float64]  # share of the variance over subsets that other seeds do not have


def data(results: Sequence[xr.Dataset]) -> list[Panel]:
    """Return a panel per case, the noisiest first."""
    panels: list[Panel] = []
    for ds in results:
        at = {"estimate": "beta", "target": "all subsets", "quality": "relative_error"}
        error, spread = ({p: v.sel(pairing=p, **at).values for p in _PAIRINGS} for v in (ds.prediction, ds.prediction_error))
        steps = f", {int(options(ds)['steps']):,} steps" if ds.attrs["learner"] == "mlp" else ""
        title = f"{data_name(ds)}: {learner_name(ds)}{steps}"
        panels.append(Panel(title, ds.averaged.values.astype(np.int64), error, spread, ds.noise.values))
    return sorted(panels, key=lambda panel: -panel.noise[0])


def alt(panels: list[Panel]) -> str:
    """Describe the error on other seeds with one seed and with most seeds averaged."""
    parts = [
        f"{panel.title}: {panel.error['other seeds'][0]:.2f} with one seed, {panel.error['other seeds'][-1]:.2f} with "
        f"{panel.averaged[-1]} on other seeds ({panel.error['same seeds'][-1]:.2f} on the same)"
        for panel in panels
    ]
    return f"Lines of the relative error of the datamodel on all subsets by the number of seeds averaged. {'. '.join(parts)}."


def draw(panels: list[Panel]) -> Figure:
    """Draw the errors against the number of seeds."""
    with mpl.rc_context(style()):
        columns = min(len(panels), 3)
        rows = -(-len(panels) // columns)
        figure = Figure(figsize=(max(3.4 * columns + 0.8, 8.0), 3.2 * rows + 1.1), layout="constrained")
        figure.suptitle("Averaging over seeds removes what seeds disagree on, not what is not linear", fontsize=14)
        grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
        axes = grid.ravel()[: len(panels)]
        for ax in grid.ravel()[len(panels) :]:
            ax.remove()
        for ax, panel in zip(axes, panels, strict=True):
            for name, (colour, marker) in _PAIRINGS.items():
                bar = 2.0 * panel.spread[name]
                ax.errorbar(panel.averaged, panel.error[name], yerr=bar, color=colour, marker=marker, markersize=5, label=name)
            ax.axhline(panel.error["same seeds"][-1], color=GREY, linewidth=0.8, linestyle=":")
            ax.set(
                xscale="log", title=f"{panel.title}\nnoise of one seed: {panel.noise[0]:.1%} of the variance", ylim=(0.0, 1.05)
            )
            ax.set_title(ax.get_title(), fontsize=9.5)
            ax.set_xticks(panel.averaged, [f"{count}" for count in panel.averaged])
            ax.minorticks_off()
        for line in grid:
            line[0].set_ylabel("relative error of the datamodel\non all subsets")
        for ax in axes:
            ax.set_xlabel("number of seeds averaged")
        handles, labels = axes[0].get_legend_handles_labels()
        title = "fitted to some seeds, predicting .. (bars: 2 standard errors over groups of seeds)"
        figure.legend(handles, labels, loc="outside lower center", ncols=2, title=title)
    return figure
