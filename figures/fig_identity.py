"""The datamodel coefficient against four candidates for what it measures."""

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
from theory.metrics import Comparison, compare

__all__ = ["CLAIMS", "EXPERIMENTS", "Panel", "alt", "data", "draw"]

EXPERIMENTS = ("identity",)
CLAIMS = ("C6", "T2")

_CANDIDATES = {
    "derivative": ("D(1): derivative at w = 1", "the essay's claim", ORANGE),
    "leave_one_out": ("leave-one-out", "", PINK),
    "derivative_at_p": ("D({p}): derivative at w = {p}", "", BLUE),
    "average_derivative": ("average derivative", "the repaired identity", GREEN),
}
_PREFERRED = (("spector", "logistic"), ("longley", "least_squares"))


@dataclass(frozen=True)
class Panel:
    """A panel is one scatter plot of beta (N, M) at one p, 1/2 where there is that, against a candidate (N, M)."""

    case: str
    title: str
    unit: str
    candidate: str
    p: float
    x: NDArray[np.float64]
    beta: NDArray[np.float64]
    measured: Comparison


def data(results: Sequence[xr.Dataset]) -> list[list[Panel]]:
    """Return a row of panels for logistic regression on Spector and for ridge on Longley, or else for two other problems.

    Each row shows the case with most points.
    """
    rows: list[list[Panel]] = []

    for ds in _chosen(results):
        p = float(ds.p[int(np.abs(ds.p.values - 0.5).argmin())])
        beta = ds.beta.sel(p=p).values
        title = f"{data_name(ds)}, {learner_name(ds)} regression"
        rows.append([])
        for name in _CANDIDATES:
            x = ds[name].sel(p=p).values if "p" in ds[name].dims else ds[name].values
            rows[-1].append(Panel(ds.attrs["case"], title, ds.attrs["unit"], name, p, x, beta, compare(beta, x)))
    return rows


def _chosen(results: Sequence[xr.Dataset]) -> list[xr.Dataset]:
    """Return the cases to show; raise ValueError if no penalised case has its average derivative."""
    largest: dict[tuple[str, str], xr.Dataset] = {}
    for ds in sorted(results, key=lambda ds: ds.sizes["point"]):
        if "average_derivative" in ds and options(ds).get("undefined") != "min_norm":
            largest[ds.attrs["data"], ds.attrs["learner"]] = ds
    chosen = [largest[kind] for kind in _PREFERRED if kind in largest] or sorted(
        largest.values(), key=lambda ds: ds.sizes["point"]
    )[-2:]
    if not chosen:
        raise ValueError(f"no penalised case with its average derivative among {[ds.attrs['case'] for ds in results]}")
    return chosen


def alt(rows: list[list[Panel]]) -> str:
    """Describe the slope and the relative error for each candidate, learner by learner."""
    parts: list[str] = []
    for panels in rows:
        found = [f"{_label(p).split(':')[0]} {p.measured.slope:.2f} ({p.measured.relative_error:.1g})" for p in panels]
        parts.append(f"{panels[0].title}: {', '.join(found)}")
    return (
        "Scatter plots of the datamodel coefficient against four candidates, with the diagonal. Slope on each, relative error in "
        f"brackets: {'. '.join(parts)}."
    )


def draw(rows: list[list[Panel]]) -> Figure:
    """Draw a row of scatter plots per learner, each with the diagonal, slope, correlation and relative error."""
    with mpl.rc_context(style()):
        figure = Figure(figsize=(12, 3.5 * len(rows)), layout="constrained")
        kind = "uniform-subset datamodel" if all(panels[0].p == 0.5 for panels in rows) else "datamodel"
        figure.suptitle(f"A {kind} measures an average derivative, not the derivative at w = 1", fontsize=14)
        for part, panels in zip(figure.subfigures(len(rows), 1, squeeze=False)[:, 0], rows, strict=True):
            part.suptitle(panels[0].title, fontsize=12, fontweight="bold")
            axes = part.subplots(1, len(panels))
            limit = 1.06 * max(max(np.abs(p.x).max(), np.abs(p.beta).max()) for p in panels)
            for ax, panel in zip(axes, panels, strict=True):
                _scatter(ax, panel, limit)
            at = "" if panels[0].p == 0.5 else f", p = {panels[0].p:g}"
            axes[0].set_ylabel(f"datamodel coefficient β{at}\n({panels[0].unit})")
        figure.supxlabel("one dot per training point and query; every number is exact, so there are no error bars", fontsize=10)
    return figure


def _label(panel: Panel) -> str:
    """Return what a candidate is; p = 1/2 is written as ½."""
    return _CANDIDATES[panel.candidate][0].format(p="½" if panel.p == 0.5 else f"{panel.p:g}")


def _scatter(ax: Axes, panel: Panel, limit: float) -> None:
    _, remark, colour = _CANDIDATES[panel.candidate]
    ax.plot([-limit, limit], [-limit, limit], color=GREY, linewidth=1, zorder=1)
    ax.scatter(panel.x, panel.beta, s=13, color=colour, alpha=0.65, linewidths=0, zorder=2)
    ax.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", xlabel=_label(panel))
    if remark:
        ax.set_title(remark, color=colour, fontsize=10)
    error = panel.measured.relative_error
    text = f"slope {panel.measured.slope:.2f}\nr = {panel.measured.pearson:.3f}" + (
        f"\nerror {error:.0e}" if error < 0.01 else f"\nerror {error:.0%}"
    )
    ax.text(0.04, 0.97, text, transform=ax.transAxes, va="top", fontsize=10)
