"""The error of D(1) of relu networks by step size: step by step it stays, with a term for every crossing of a kink it falls."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from numpy.typing import NDArray

from figures.results import config_of, data_name, options
from figures.style import GREEN, GREY, ORANGE, style

__all__ = ["CLAIMS", "EXPERIMENTS", "Kinks", "Panel", "alt", "data", "draw"]

EXPERIMENTS = ("kinks",)
CLAIMS = ("T19",)

_SERIES = {
    "unrolled": ("differentiated step by step", ORANGE, "s"),
    "crossings": ("with a term for every crossing of a kink", GREEN, "o"),
}


@dataclass(frozen=True)
class Panel:
    """A panel gives the error of both derivatives by step size (or width): median over seeds, and its quartiles."""

    title: str
    x: NDArray[np.float64]
    median: dict[str, NDArray[np.float64]]
    quartiles: dict[str, NDArray[np.float64]]  # (2, len(x))
    reference: NDArray[np.float64]


@dataclass(frozen=True)
class Kinks:
    """The panels of all cases with kinks by step size, and those by width."""

    steps: list[Panel]
    widths: list[Panel]


def data(results: Sequence[xr.Dataset]) -> Kinks:
    """Return a panel by step size for every case whose training crosses kinks, and one by width where widths were compared."""
    kinked = [ds for ds in results if bool(ds.crossings.sel(kind="all").values.any())]
    if not kinked:
        raise ValueError("no training crossed a kink: the figure is about networks with relu units")
    return Kinks(
        [_panel(ds, "step_size", "") for ds in kinked],
        [_panel(ds, "width", "width_") for ds in kinked if "width_error" in ds],
    )


def _panel(ds: xr.Dataset, along: str, prefix: str) -> Panel:
    """Return the errors of a result along a coordinate."""
    errors = {name: ds[f"{prefix}error"].sel(derivative=name).values for name in _SERIES}  # (x, seeds)
    return Panel(
        _title(ds, with_widths=along == "step_size"),
        ds[along].values.astype(np.float64),
        {name: np.median(values, axis=1) for name, values in errors.items()},
        {name: np.quantile(values, (0.25, 0.75), axis=1) for name, values in errors.items()},
        np.median(ds[f"{prefix}reference_error"].values, axis=1),
    )


def _title(ds: xr.Dataset, *, with_widths: bool) -> str:
    """Return data set and what is special about the training, such as "Xor, N = 8, widths 6 and 5"."""
    given = options(ds)
    widths = given.get("hidden", "8").split("x")
    at_width, at_step = f"width{'s' * (len(widths) > 1)} {' and '.join(widths)}", f"step size {config_of(ds)['sweep_step']:g}"
    said = [at_width if with_widths else at_step]
    said += [f"momentum {given['momentum']}"] if "momentum" in given else []
    said += [f"batches of {given['batch_size']}"] if given.get("batch_size", "None") != "None" else []
    return ", ".join([data_name(ds), *said])


def _range(kinks: Kinks, name: str, at: int = -1) -> tuple[float, float]:
    """Return the least and the largest median error over all cases, at the smallest step or at another."""
    errors = [float(panel.median[name][at]) for panel in kinks.steps]
    return min(errors), max(errors)


def _percent(low: float, high: float) -> str:
    first, last = (f"{100.0 * x:.2g}%" for x in (low, high))
    return first if first == last else f"{first} to {last}"


def alt(kinks: Kinks) -> str:
    """Describe the errors at the smallest step, and those of the narrowest and the widest network."""
    ends = {name: [_percent(*_range(kinks, name, at)) for at in (0, -1)] for name in _SERIES}
    found = "; ".join(
        f"{label}, {first} at the largest step and {last} at the smallest"
        for (label, *_), (first, last) in zip(_SERIES.values(), ends.values(), strict=True)
    )
    text = f"Lines of the relative error of D(1) by step size, in {len(kinks.steps)} cases: {found}."
    for panel in kinks.widths:
        both = ", ".join(
            f"{_percent(float(panel.median[name][0]), float(panel.median[name][-1]))} {label}"
            for name, (label, *_) in _SERIES.items()
        )
        text += f" From width {panel.x[0]:.0f} to {panel.x[-1]:.0f} on {panel.title}: {both}."
    return text


def draw(kinks: Kinks) -> Figure:
    """Draw the errors against the step size, and below those against the width."""
    columns = max(2, min(3, len(kinks.steps)))
    rows = -(-len(kinks.steps) // columns)
    with mpl.rc_context(style()):
        figure = Figure(figsize=(4.0 * columns, 3.1 * (rows + bool(kinks.widths)) + 1.3), layout="constrained")
        off = _percent(*_range(kinks, "unrolled"))
        figure.suptitle(f"The unrolled derivative of relu networks is off by {off}, however small the step", fontsize=14)
        parts: Any = figure.subfigures(2, 1, height_ratios=(rows, 1)) if kinks.widths else [figure]
        above = parts[0].subplots(rows, columns, squeeze=False, sharey=True)
        for ax in above.flat[len(kinks.steps) :]:
            ax.set_visible(False)
        for ax, panel in zip(above.flat, kinks.steps, strict=False):
            _lines(ax, panel)
            ax.set(xticks=panel.x, xticklabels=[f"{x:g}" for x in panel.x], xlabel="step size")
        for line in above:
            line[0].set_ylabel("relative error of D(1)")
        if kinks.widths:
            below = parts[1].subplots(1, len(kinks.widths), squeeze=False, sharey=True)[0]
            for ax, panel in zip(below, kinks.widths, strict=True):
                _lines(ax, panel)
                ax.set(xticks=panel.x, xticklabels=[f"{x:g}" for x in panel.x], xlabel="hidden units")
            below[0].set_ylabel("relative error of D(1)")
        handles, labels = above[0, 0].get_legend_handles_labels()
        figure.legend(
            handles,
            labels,
            loc="outside lower center",
            ncols=3,
            title="within one seed: median over seeds; bars: half of the seeds",
        )
    return figure


def _lines(ax: Axes, panel: Panel) -> None:
    """Draw both errors, and shade what is below the reference's own error."""
    ax.fill_between(panel.x, 0.0, panel.reference, color=GREY, alpha=0.2, linewidth=0, label="below the error of the reference")
    for name, (label, colour, marker) in _SERIES.items():
        bars = np.abs(panel.quartiles[name] - panel.median[name])
        ax.errorbar(panel.x, panel.median[name], yerr=bars, color=colour, marker=marker, markersize=5, label=label)
    ax.set(xscale="log", yscale="log", title=panel.title)
    ax.xaxis.set_minor_locator(NullLocator())
