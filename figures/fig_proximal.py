"""The five gaps of Bae et al. 2022 between leave-one-out and influence in networks, and what influence is close to instead."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from figures.results import data_name
from figures.style import BLUE, GREEN, GREY, ORANGE, PINK, style

__all__ = ["CLAIMS", "EXPERIMENTS", "Panel", "alt", "data", "draw"]

EXPERIMENTS = ("proximal",)
CLAIMS = ("C3", "C4")

_GAPS = {
    "warm-start gap": (ORANGE, "o"),
    "proximity gap": (PINK, "v"),
    "non-convergence gap": (GREEN, "s"),
    "linearisation gap": (BLUE, "^"),
    "solver gap": (GREY, "D"),
}
_STAGES = {
    "PBRF": ("proximal Bregman response (PBRF)", BLUE, "^"),
    "LOO": ("leave-one-out", ORANGE, "o"),
    "beta": ("datamodel β", GREY, "D"),
    "D(1)": ("derivative D(1)", GREEN, "s"),
}
_MEASURES = {"pearson": "correlation of influence with ..", "slope": "influence / .. (slope)"}


@dataclass(frozen=True)
class Panel:
    """A panel gives the sizes of the gaps of one case by time, and compares damped Gauss-Newton influence with each stage."""

    title: str
    n_seeds: int
    time: NDArray[np.int64]
    gap: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]  # size / ||beta||, standard error
    explained: dict[str, dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]]  # measure -> stage -> value, standard error


def data(results: Sequence[xr.Dataset]) -> list[Panel]:
    """Return a panel per case."""
    return [
        Panel(
            data_name(ds),
            int(ds.attrs["n_seeds"]),
            ds.time.values.astype(np.int64),
            {name: _pair(ds, "budget", step=name, column="size") for name in _GAPS},
            {m: {name: _pair(ds, "explained", stage=name, measure=m) for name in _STAGES} for m in _MEASURES},
        )
        for ds in results
    ]


def _pair(ds: xr.Dataset, name: str, **at: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return ds[name].sel(at).values, ds[f"{name}_error"].sel(at).values


def alt(panels: list[Panel]) -> str:
    """Describe the gaps at the end of training, and how influence compares with each stage there."""
    parts = [
        f"{panel.title}: "
        + ", ".join(f"{name} {size[-1]:.2g}" for name, (size, _) in panel.gap.items() if np.isfinite(size[-1]))
        + "; "
        + ", ".join(
            f"correlation {panel.explained['pearson'][name][0][-1]:.2f} and slope {panel.explained['slope'][name][0][-1]:.2f} "
            f"on {label}"
            for name, (label, *_) in _STAGES.items()
        )
        for panel in panels
    ]
    return (
        "Lines by training time: the gaps between leave-one-out and influence relative to the datamodel, and how influence "
        f"compares with four effects. At the end of training: {'. '.join(parts)}."
    )


def draw(panels: list[Panel]) -> Figure:
    """Draw a row per case: gaps, correlation and slope by training time."""
    with mpl.rc_context(style()):
        figure = Figure(figsize=(13.0, 3.5 * len(panels) + 1.9), layout="constrained")
        figure.suptitle("Influence follows the proximal response and leave-one-out in direction, not in size", fontsize=14)
        axes = figure.subplots(len(panels), 3, squeeze=False, sharex=True)
        for row, panel in zip(axes, panels, strict=True):
            for name, (colour, marker) in _GAPS.items():
                _line(row[0], panel.time, panel.gap[name], colour, marker, name)
            row[0].set(yscale="log", ylabel=f"{panel.title}\nsize of the gap / ‖β‖")
            for ax, (measure, label) in zip(row[1:], _MEASURES.items(), strict=True):
                for name, (stage, colour, marker) in _STAGES.items():
                    _line(ax, panel.time, panel.explained[measure][name], colour, marker, stage)
                ax.axhline(1.0, color=GREY, linewidth=0.8, linestyle=":")
                ax.set(ylabel=label)
            row[2].set(yscale="log", yticks=[0.1, 0.3, 1.0, 3.0, 10.0], ylim=(0.1, 10.0))
            row[2].yaxis.set_major_formatter("{x:g}")
            row[2].minorticks_off()
            row[0].set(xscale="log", ylim=(1e-2, None))  # a warm-start gap below that is none
        axes[0, 0].set_title("from leave-one-out to influence")
        axes[0, 1].set_title("damped Gauss-Newton influence: direction")
        axes[0, 2].set_title("and magnitude (1 is right)")
        for ax in axes[-1]:
            ax.set_xlabel("training time (gradient steps)")
        note = f"mean over {panels[0].n_seeds} seeds, bars: 2 standard errors"
        for ax, side, title in ((axes[0, 0], "outside lower left", "gap"), (axes[0, 1], "outside lower right", "against")):
            figure.legend(*ax.get_legend_handles_labels(), loc=side, ncols=3, fontsize=9, title=f"{title} ({note})")
    return figure


def _line(
    ax: Axes, time: NDArray[np.int64], pair: tuple[NDArray[np.float64], NDArray[np.float64]], colour: str, marker: str, label: str
) -> None:
    value, bar = pair[0], 2.0 * pair[1]
    ax.errorbar(time, value, yerr=bar, color=colour, marker=marker, markersize=5, linewidth=1.5, label=label)
