"""The error budget as a waterfall: what each step from the exact datamodel to a practical score adds or takes away."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from figures.results import data_name, learner_name
from figures.style import BLUE, GREY, ORANGE, style

__all__ = ["CLAIMS", "EXPERIMENTS", "Panel", "alt", "data", "draw"]

EXPERIMENTS = ("budget",)
CLAIMS = ("C4",)

_STEPS = {
    "beta -> D(1/2)": "β → D(½)\ninteractions, averaging",
    "D(1/2) -> D(1)": "D(½) → D(1)\ncentre",
    "D(1) -> exact H": "D(1) → exact Hessian\nnot converged",
    "pseudo-inverse -> damped H": "→ damped\ndamping",
    "damped H -> damped GN": "→ Gauss-Newton\ncurvature",
    "damped GN -> damped GN by CG": "→ 3 iterations of CG\nsolver",
}


@dataclass(frozen=True)
class Panel:
    """A panel shows one case at one time: for every step its signed share of the gap and its size relative to ||beta||."""

    title: str
    gap: float  # ||beta - score|| / ||beta||
    n_seeds: int
    share: NDArray[np.float64]
    share_error: NDArray[np.float64]
    size: NDArray[np.float64]


def data(results: Sequence[xr.Dataset]) -> list[Panel]:
    """Return panels for the learners that are solved exactly, then for the last network at its second and its last time."""
    exact, networks = ([ds for ds in results if (ds.sizes["time"] > 1) == several] for several in (False, True))
    return [_panel(ds.isel(time=0)) for ds in exact] + [_panel(ds.isel(time=k)) for ds in networks[-1:] for k in (1, -1)]


def _panel(ds: xr.Dataset) -> Panel:
    time, name = int(ds.time), f"{data_name(ds)}, {learner_name(ds)}"
    share, error, size = (
        values.sel(step=list(_STEPS), column=column).values
        for values, column in ((ds.budget, "share"), (ds.budget_error, "share"), (ds.budget, "size"))
    )
    against = ds.measured.sel(estimate="damped GN by CG", reference="beta", measure="relative_error")
    return Panel(f"{name}, {time:,} steps" if time else name, float(against), ds.sizes["seed"], share, np.nan_to_num(error), size)


def alt(panels: list[Panel]) -> str:
    """Describe the share of every step, panel by panel."""
    steps = [label.split("\n")[-1] for label in _STEPS.values()]
    parts = [
        f"{panel.title}, gap {panel.gap:.2g} of the datamodel's norm: "
        + ", ".join(f"{step} {share:.0%}" for step, share in zip(steps, panel.share, strict=True) if np.isfinite(share))
        for panel in panels
    ]
    return f"Waterfalls of the gap between datamodel and practical influence score, step by step. {'. '.join(parts)}."


def draw(panels: list[Panel]) -> Figure:
    """Draw a waterfall per panel: each bar starts where the one before ends, from 0 to the whole gap."""
    with mpl.rc_context(style()):
        columns = min(2, len(panels))
        rows = -(-len(panels) // columns)
        figure = Figure(figsize=(max(6.2 * columns + 1.0, 8.0), 3.4 * rows + 1.2), layout="constrained")
        figure.suptitle("After training, a practical influence score parts from the datamodel before any Hessian", fontsize=14)
        axes = figure.subplots(rows, columns, squeeze=False, sharey=True)
        for ax, panel in zip(axes.ravel(), panels, strict=False):
            _waterfall(ax, panel)
        for ax in axes.ravel()[len(panels) :]:
            ax.remove()
        axes[0, 0].invert_yaxis()
        figure.supxlabel(
            "signed share of the gap β - score that a step makes (blue) or takes back (orange), in %; numbers: size / ‖β‖\n"
            f"networks: mean over {max(panel.n_seeds for panel in panels)} seeds, bars: 2 standard errors; the others are exact",
            fontsize=10,
        )
    return figure


def _waterfall(ax: Axes, panel: Panel) -> None:
    ends = np.cumsum(100.0 * panel.share)
    starts, rows = ends - 100.0 * panel.share, np.arange(len(ends))
    colours = [BLUE if share >= 0.0 else ORANGE for share in panel.share]
    ax.barh(rows, 100.0 * panel.share, left=starts, color=colours, height=0.62)
    if panel.n_seeds > 1:
        ax.errorbar(ends, rows, xerr=200.0 * panel.share_error, fmt="none", ecolor="black", elinewidth=1, capsize=2)
    for end, row in zip(ends[:-1], rows, strict=False):
        ax.plot([end, end], [row, row + 1], color=GREY, linewidth=0.8, linestyle=":")
    bars = 200.0 * panel.share_error
    low, high = (np.minimum(starts, ends) - bars).min(), (np.maximum(starts, ends) + bars).max()
    for right, row, size in zip(np.maximum(starts, ends) + bars, rows, panel.size, strict=True):
        ax.text(right + 0.02 * (high - low), row, f"{size:.2g}" if size > 1e-6 else "0", va="center", fontsize=9)
    ax.set_xlim(low - 0.04 * (high - low), high + 0.16 * (high - low))
    ax.set_yticks(rows, list(_STEPS.values()), fontsize=9)
    ax.set_title(f"{panel.title}: ‖β - score‖ = {panel.gap:.2g} ‖β‖", fontsize=10.5)
