"""Error of estimated datamodel coefficients against the number of retrainings, and whether their intervals are honest."""

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

__all__ = ["CLAIMS", "EXPERIMENTS", "Curve", "Estimates", "Panel", "alt", "data", "draw"]

EXPERIMENTS = ("estimators",)
CLAIMS = ("C10",)

_LOOKS = {
    "difference of means": (PINK, "v", "difference of means (MSR)"),
    "OLS": ("black", "o", "least squares (OLS)"),
    "ridge": (GREY, "x", "ridge, cross-validated"),
    "LASSO": (GREY, "+", "LASSO, cross-validated"),
    "control variate": (BLUE, "s", "OLS with control variate"),
    "antithetic pairs": (GREEN, "^", "OLS on pairs of complements"),
    "fold-over": (ORANGE, "D", "OLS on Hadamard fold-over"),
}


@dataclass(frozen=True)
class Curve:
    """A curve holds the numbers m of subsets, means over designs and their standard errors, where these are defined."""

    m: NDArray[np.int64]
    value: NDArray[np.float64]
    error: NDArray[np.float64]


@dataclass(frozen=True)
class Panel:
    """A panel shows the relative errors of one case at one p."""

    title: str
    p: float
    surrogate_cost: float
    curves: dict[str, Curve]


@dataclass(frozen=True)
class Estimates:
    """The estimates are panels by p and case, coverage by p (mean over cases), and retrainings saved against OLS at p = 1/2."""

    panels: dict[float, list[Panel]]
    coverage: dict[float, dict[str, Curve]]
    saved: dict[str, list[float]]  # (error of OLS / error of the estimator)^2 at the largest m
    designs: int


def data(results: Sequence[xr.Dataset]) -> Estimates:
    """Return all curves; an estimator that is undefined at some p has no curve there.

    Raises ValueError where no relative error is defined.
    """
    probabilities = results[0].p.values.tolist()
    panels = {p: [_panel(ds, p) for ds in results] for p in probabilities}
    coverage = {p: _coverage(results, p) for p in probabilities}
    if any("OLS" not in curves for curves in (*coverage.values(), *(panel.curves for row in panels.values() for panel in row))):
        raise ValueError("the relative error of coefficients is undefined: they are 0, as those of a learner that learns nothing")
    saved = {
        name: [
            float((panel.curves["OLS"].value[-1] / panel.curves[name].value[-1]) ** 2)
            for panel in panels.get(0.5, [])
            if name in panel.curves
        ]
        for name in _LOOKS
    }
    return Estimates(panels, coverage, saved, int(results[0].attrs["designs"]))


def _panel(ds: xr.Dataset, p: float) -> Panel:
    title = f"{data_name(ds)}, {learner_name(ds)}, l2 = {options(ds)['l2']}"
    curves = {name: _curve([ds], p, name, "relative_error") for name in _LOOKS}
    return Panel(title, p, float(ds.surrogate_cost.sel(p=p)), {name: c for name, c in curves.items() if len(c.m)})


def _coverage(results: Sequence[xr.Dataset], p: float) -> dict[str, Curve]:
    curves = {name: _curve(results, p, name, "coverage") for name in _LOOKS}
    return {name: c for name, c in curves.items() if len(c.m)}


def _curve(results: Sequence[xr.Dataset], p: float, name: str, quality: str) -> Curve:
    """Return the mean curve of an estimator over cases; the cases have independent designs."""
    at = {"p": p, "estimator": name, "quality": quality}
    value = np.mean([ds.measured.sel(at).values for ds in results], axis=0)
    error = np.sqrt(np.sum([ds.measured_error.sel(at).values ** 2 for ds in results], axis=0)) / len(results)
    known = np.isfinite(value)
    return Curve(results[0].m.values[known].astype(np.int64), value[known], error[known])


def alt(estimates: Estimates) -> str:
    """Describe for every p the smallest and the largest error over cases, with most retrainings."""
    parts: list[str] = []
    for p, panels in estimates.panels.items():
        ends = {name: [panel.curves[name].value[-1] for panel in panels if name in panel.curves] for name in _LOOKS}
        spans = ", ".join(f"{_LOOKS[name][2]} {min(v):.2g} to {max(v):.2g}" for name, v in ends.items() if v)
        parts.append(f"With {panels[0].curves['OLS'].m[-1]:,} retrainings at p = {p:g}: {spans}")
    return (
        "Lines of the relative error of estimated coefficients by number of retrainings, and of the coverage of their intervals. "
        f"{'. '.join(parts)}."
    )


def draw(estimates: Estimates) -> Figure:
    """Draw the errors with a row per p and a column per case, and below them the coverage at each p."""
    rows, columns = len(estimates.panels), max(map(len, estimates.panels.values()))
    with mpl.rc_context(style()):
        figure = Figure(figsize=(3.6 * max(columns, 3), 3.3 * (rows + 1) + 1.6), layout="constrained")
        figure.suptitle(_message(estimates.saved), fontsize=14)
        grid = figure.add_gridspec(rows + 1, columns * rows)
        for row, (p, panels) in enumerate(estimates.panels.items()):
            first = None
            for column, panel in enumerate(panels):
                place = grid[row, column * rows : (column + 1) * rows]
                ax = figure.add_subplot(place, sharey=first)
                first = first or ax
                _errors(ax, panel)
                if column == 0:
                    ax.set_ylabel(f"p = {p:g}\nrelative error of the coefficients")
            ax = figure.add_subplot(grid[rows, row * columns : (row + 1) * columns])
            _intervals(ax, estimates.coverage[p], p)
        handles, labels = figure.axes[0].get_legend_handles_labels()
        bars = f"means over {estimates.designs} designs (ridge and LASSO: fewer), bars: 2 standard errors"
        figure.legend(handles, labels, loc="outside lower center", ncols=4, title=bars, fontsize=10)
    return figure


def _message(saved: dict[str, list[float]]) -> str:
    if not saved["fold-over"]:
        return "Errors of estimated coefficients"
    fold, means = saved["fold-over"], saved["difference of means"]
    return (
        f"Equal error at p = 1/2: a fold-over design needs 1/{min(fold):.1f} to 1/{max(fold):.1f} of the retrainings of\n"
        f"independent draws with OLS, difference of means {1.0 / max(means):.1f} to {1.0 / min(means):.0f} times as many"
    )


def _errors(ax: Axes, panel: Panel) -> None:
    for name, curve in panel.curves.items():
        _line(ax, name, curve)
    ax.set(xscale="log", yscale="log", title=panel.title, xlabel="retrainings m")
    ax.title.set_fontsize(10)
    ax.set_xticks(panel.curves["OLS"].m, [f"{m:g}" for m in panel.curves["OLS"].m], fontsize=9)
    ax.minorticks_off()
    ax.set_yticks([0.01, 0.03, 0.1, 0.3, 1.0])
    ax.yaxis.set_major_formatter("{x:g}")
    note = f"control variate: {panel.surrogate_cost:,.0f}\nretrainings more, by the clock"
    ax.text(0.03, 0.03, note, transform=ax.transAxes, color=BLUE, fontsize=8.5)


def _intervals(ax: Axes, coverage: dict[str, Curve], p: float) -> None:
    for name, curve in coverage.items():
        _line(ax, name, Curve(curve.m, 100.0 * curve.value, 100.0 * curve.error))
    ax.axhspan(93.0, 97.0, color=GREY, alpha=0.15, linewidth=0)
    ax.axhline(95.0, color=GREY, linewidth=0.8, linestyle=":")
    ticks = coverage["OLS"].m
    ax.set(xscale="log", xlabel="retrainings m", ylabel="coverage of 95% intervals (%)", ylim=(88.0, 101.0))
    ax.set_title(f"p = {p:g}: are the intervals honest? (mean over cases)", fontsize=10)
    ax.set_xticks(ticks, [f"{m:g}" for m in ticks], fontsize=9)
    ax.minorticks_off()


def _line(ax: Axes, name: str, curve: Curve) -> None:
    colour, marker, label = _LOOKS[name]
    width = 0.8 if colour == GREY else 1.5
    ax.errorbar(
        curve.m, curve.value, yerr=2.0 * curve.error, color=colour, marker=marker, markersize=5, linewidth=width, label=label
    )
