"""Error of D(1) estimated from retrainings without derivatives, by the number of retrainings, for every way of spending them."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import NDArray

from figures.results import data_name, learner_name, options
from figures.style import BLUE, GREEN, GREY, ORANGE, PINK, style

__all__ = ["CLAIMS", "EXPERIMENTS", "Curve", "Estimates", "Panel", "alt", "data", "draw"]

EXPERIMENTS = ("estimating_influence",)
CLAIMS = ("T20",)

_LOOKS = {
    "subsets, times p": (ORANGE, "x", "subsets, p β"),
    "subsets, l2 p, times p": (ORANGE, "v", "subsets, p β with p l2"),
    "weights 0, 2": (PINK, "s", "weights 0 or 2"),
    "Poisson(1)": (PINK, "P", "weights Poisson(1)"),
    "weights 1 - s, 1 + s": (GREY, "^", "weights 1 ± s, independent"),
    "one point at a time, one scale": (GREEN, "<", "one point at a time, 1 ± s"),
    "one point at a time, two scales": (GREEN, "D", "one point at a time, s and s/2 (no intervals)"),
    "fold-over, two scales": (BLUE, "o", "for_influence: fold-over, s and s/2"),
}
_RECOMMENDED = "fold-over, two scales"
_SUBSETS = ("subsets, times p", "subsets, l2 p, times p", "subsets of two p, l2 p")


@dataclass(frozen=True)
class Curve:
    """A curve holds the numbers m of retrainings, relative errors (root mean squares over designs) and their standard errors."""

    m: NDArray[np.int64]
    value: NDArray[np.float64]
    error: NDArray[np.float64]


@dataclass(frozen=True)
class Panel:
    """A panel shows one case: a curve per way, and the coverage of the recommended one's intervals by number of retrainings."""

    title: str
    curves: dict[str, Curve]
    coverage: Curve


@dataclass(frozen=True)
class Estimates:
    """The estimates are panels, and the ranges of errors over cases with most retrainings: recommended, best way with subsets."""

    panels: list[Panel]
    recommended: tuple[float, float]
    subsets: tuple[float, float]
    designs: int


def data(results: Sequence[xr.Dataset]) -> Estimates:
    """Return the curves of every case. Raises ValueError where no relative error is defined."""
    panels = [_panel(ds) for ds in results]
    ends = np.array([panel.curves[_RECOMMENDED].value[-1] for panel in panels])
    best = np.array([min(_curve(ds, way, "error").value[-1] for way in _SUBSETS) for ds in results])
    if not np.isfinite([ends, best]).all():
        raise ValueError("the relative error of D(1) is undefined: it is 0, as that of a learner that learns nothing")
    spans = [(float(values.min()), float(values.max())) for values in (ends, best)]
    return Estimates(panels, spans[0], spans[1], int(results[0].attrs["repetitions"]))


def _panel(ds: xr.Dataset) -> Panel:
    chosen = options(ds)
    kind = f"{chosen.get('activation', 'tanh')} network, new seeds" if int(ds.attrs["new_seeds"]) else learner_name(ds)
    title = f"{data_name(ds)}, {kind}\nl2 = {chosen['l2']}, s = {float(ds.attrs['scale']):g}"
    return Panel(title, {way: _curve(ds, way, "error") for way in _LOOKS}, _curve(ds, _RECOMMENDED, "coverage"))


def _curve(ds: xr.Dataset, way: str, quality: str) -> Curve:
    at = {"way": way, "quality": quality}
    return Curve(ds.m.values.astype(np.int64), ds.influence.sel(at).values, ds.influence_error.sel(at).values)


def alt(estimates: Estimates) -> str:
    """Describe the errors of the recommended design and of the best way with subsets, and the coverage of intervals."""
    covered = np.concatenate([panel.coverage.value for panel in estimates.panels])
    return (
        "Lines of the relative error of estimated D(1) by number of retrainings, and marks of the coverage of 95% intervals. "
        f"With most retrainings for_influence errs by {_span(estimates.recommended)}, the best way with subsets by "
        f"{_span(estimates.subsets)}; intervals of for_influence cover D(1) in {100.0 * covered.min():.0f}% to "
        f"{100.0 * covered.max():.0f}%."
    )


def _span(ends: tuple[float, float]) -> str:
    low, high = map(_percent, ends)
    return low if low == high else f"{low} to {high}"


def _percent(value: float) -> str:
    return f"{100.0 * value:.2g}%" if value < 0.995 else f"{100.0 * value:.0f}%"


def draw(estimates: Estimates) -> Figure:
    """Draw the errors, a panel per case, and in the last panel the coverage of intervals in all cases."""
    n_panels = len(estimates.panels) + 1
    columns = min(3, n_panels)
    rows = -(-n_panels // columns)
    with mpl.rc_context(style()):
        figure = Figure(figsize=(4.0 * columns, 3.7 * rows + 1.7), layout="constrained")
        figure.suptitle(
            f"Retraining near w = 1 gives D(1) itself: for_influence is off by {_span(estimates.recommended)},\n"
            f"as many subsets by {_span(estimates.subsets)}, and more of them hardly help",
            fontsize=14,
        )
        axes = [figure.add_subplot(rows, columns, 1 + k) for k in range(n_panels)]
        for k, panel in enumerate(estimates.panels):
            for way, curve in panel.curves.items():
                _line(axes[k], way, curve)
            _finish(axes[k], panel.title, panel.coverage.m)
            axes[k].set(yscale="log")
            low, high = axes[k].get_ylim()
            axes[k].yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high < 20.0 * low else (1.0,)))
            axes[k].yaxis.set_major_formatter("{x:g}")
            axes[k].yaxis.set_minor_formatter(NullFormatter())
            if k % columns == 0:
                axes[k].set_ylabel("relative error of D(1)")
        _intervals(axes[-1], estimates.panels)
        handles, labels = axes[0].get_legend_handles_labels()
        bars = f"root mean squares over {estimates.designs} designs, bars: 2 standard errors"
        figure.legend(handles, labels, loc="outside lower center", ncols=min(3, columns), title=bars, fontsize=10)
    return figure


def _finish(ax: Axes, title: str, m: NDArray[np.int64]) -> None:
    ax.set(xscale="log", xlabel="retrainings m")
    ax.set_title(title, fontsize=10)
    ax.set_xticks(m, [f"{x:g}" for x in m], fontsize=9)
    ax.minorticks_off()


def _intervals(ax: Axes, panels: Sequence[Panel]) -> None:
    ticks = np.unique(np.concatenate([panel.coverage.m for panel in panels]))
    for k, panel in enumerate(panels):
        curve, apart = panel.coverage, 1.02 ** (k - 0.5 * (len(panels) - 1))  # bars of cases side by side
        ax.errorbar(
            curve.m * apart, 100.0 * curve.value, yerr=200.0 * curve.error, fmt="o", color=BLUE, markersize=4, linewidth=0.8
        )
    ax.axhspan(90.0, 98.0, color=GREY, alpha=0.15, linewidth=0)
    ax.axhline(95.0, color=GREY, linewidth=0.8, linestyle=":")
    ax.set(ylabel="coverage of 95% intervals (%)", ylim=(85.0, 101.0))
    _finish(ax, "for_influence: are its intervals honest?\nall cases, band: 90% to 98%", ticks)


def _line(ax: Axes, way: str, curve: Curve) -> None:
    colour, marker, label = _LOOKS[way]
    width = 2.2 if way == _RECOMMENDED else 1.0
    ax.errorbar(
        curve.m, curve.value, yerr=2.0 * curve.error, color=colour, marker=marker, markersize=5, linewidth=width, label=label
    )
