"""Influence by depth of the network: the question of Basu et al. 2021, with the exact derivative beside leave-one-out."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray

from figures.results import data_name
from figures.style import BLUE, GREEN, ORANGE, style

__all__ = ["CLAIMS", "EXPERIMENTS", "Panel", "alt", "data", "draw"]

EXPERIMENTS = ("depth",)
CLAIMS = ("C1", "T4")

_SERIES = {
    "D(1)": ("against the derivative D(1)", GREEN, "s"),
    "LOO": ("against leave-one-out", ORANGE, "o"),
    "beta": ("against the datamodel β", BLUE, "^"),
}
_MEASURES = {"relative_error": "relative error", "spearman": "rank correlation (Spearman)"}


@dataclass(frozen=True)
class Panel:
    """A panel gives one measure of one case within one seed, by depth and reference, with standard errors."""

    title: str
    measure: str
    n_seeds: int
    depth: NDArray[np.int64]
    value: dict[str, NDArray[np.float64]]
    spread: dict[str, NDArray[np.float64]]


def data(results: Sequence[xr.Dataset]) -> list[list[Panel]]:
    """Return a row of panels per case, for exact-Hessian influence of single trained models."""
    rows: list[list[Panel]] = []
    for ds in results:
        rows.append([])
        for measure in _MEASURES:
            at = {"estimate": "exact", "measure": measure}
            value, spread = (
                {r: values.sel(reference=r, **at).values for r in _SERIES} for values in (ds.single_seed, ds.single_seed_error)
            )
            rows[-1].append(
                Panel(data_name(ds), measure, int(ds.attrs["n_seeds"]), ds.depth.values.astype(np.int64), value, spread)
            )
    return rows


def alt(rows: list[list[Panel]]) -> str:
    """Describe the values for the shallowest and the deepest network of every case."""
    parts = [
        f"{panel.title}, {_MEASURES[panel.measure]} from {panel.depth[0]} to {panel.depth[-1]} hidden layers: "
        + ", ".join(f"{panel.value[name][0]:.2g} to {panel.value[name][-1]:.2g} {label}" for name, (label, *_) in _SERIES.items())
        for panels in rows
        for panel in panels
    ]
    return f"Lines by the number of hidden layers. {'. '.join(parts)}."


def draw(rows: list[list[Panel]]) -> Figure:
    """Draw the error and the rank correlation against the number of hidden layers."""
    with mpl.rc_context(style()):
        figure = Figure(figsize=(11.0, 3.3 * len(rows) + 1.5), layout="constrained")
        least = min(float(np.min(panel.value["LOO"])) for row in rows for panel in row if panel.measure == "spearman")
        figure.suptitle(
            f"Deeper networks: influence loses the size of leave-one-out; its rank correlation stays at {least:.2f} or more",
            fontsize=14,
        )
        axes = figure.subplots(len(rows), len(_MEASURES), squeeze=False, sharex=True)
        for line, panels in zip(axes, rows, strict=True):
            for ax, panel in zip(line, panels, strict=True):
                for name, (label, colour, marker) in _SERIES.items():
                    ax.errorbar(
                        panel.depth, panel.value[name], yerr=2.0 * panel.spread[name], color=colour, marker=marker, label=label
                    )
                ax.set(title=panel.title, ylabel=_MEASURES[panel.measure], xticks=panel.depth)
                largest = max(1.0, *(float(np.max(values)) for values in panel.value.values()))
                ax.set_ylim(0.0 if panel.measure == "relative_error" else None, 1.03 * largest)
        for ax in axes[-1]:
            ax.set_xlabel("hidden layers (0: logistic regression)")
        seeds = rows[0][0].n_seeds
        figure.legend(
            *axes[0, 0].get_legend_handles_labels(),
            loc="outside lower center",
            ncols=3,
            title=f"influence with the exact Hessian, within one trained model; mean over {seeds} seeds, bars: 2 standard errors",
        )
    return figure
