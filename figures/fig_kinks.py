"""The error of D(1) of relu networks by step size: step by step it stays, with a term for every crossing of a kink it falls."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator
from numpy.typing import NDArray

from figures.results import config_of, data_name, options
from figures.style import BLUE, GREEN, GREY, ORANGE, PINK, style

__all__ = ["CLAIMS", "EXPERIMENTS", "Kinks", "Panel", "Sharpness", "alt", "data", "draw"]

EXPERIMENTS = ("kinks",)
CLAIMS = ("T19",)

_SERIES = {
    "unrolled": ("differentiated step by step", ORANGE, "s"),
    "crossings": ("with a term for every crossing of a kink", GREEN, "o"),
}


_ALONG = {"step_size": "step size", "width": "hidden units", "time": "training time", "edge_width": "hidden units"}
"""Coordinate of a panel -> what its axis is called."""


@dataclass(frozen=True)
class Panel:
    """A panel gives the error of both derivatives along a coordinate: median over seeds, and its quartiles.

    Along "edge_width" the error is what the integral of D misses of the change of F, and there is no reference: NaN.
    """

    title: str
    along: str
    x: NDArray[np.float64]
    median: dict[str, NDArray[np.float64]]
    quartiles: dict[str, NDArray[np.float64]]  # (2, len(x))
    reference: NDArray[np.float64]


@dataclass(frozen=True)
class Sharpness:
    """The error of the unrolled derivative of softplus networks, by sharpness times step, (step, s); `relu` is that of relu."""

    title: str
    steps: NDArray[np.float64]
    x: NDArray[np.float64]
    median: NDArray[np.float64]
    quartiles: NDArray[np.float64]  # (2, step, s)
    relu: float


@dataclass(frozen=True)
class Kinks:
    """The panels of all cases with kinks by step size, those by width, training time and width on an edge, hinge and softplus.

    The hinge is that of a linear model: it has no seeds, and a projection in the place of the corrected derivative.
    """

    steps: list[Panel]
    widths: list[Panel]
    times: list[Panel]
    edges: list[Panel]
    hinges: list[Panel]
    sharpness: list[Sharpness]

    @property
    def others(self) -> list[Panel | Sharpness]:
        """Return all panels but those by step size, in the order in which they are drawn."""
        return [*self.widths, *self.times, *self.edges, *self.hinges, *self.sharpness]


def data(results: Sequence[xr.Dataset]) -> Kinks:
    """Return a panel by step size for every case whose training crosses kinks, and the others where they were compared."""
    kinked = [ds for ds in results if bool(ds.crossings.sel(kind="all").values.any())]
    if not kinked:
        raise ValueError("no training crossed a kink: the figure is about networks with relu units")

    def those(along: str, errors: str, references: str = "") -> list[Panel]:
        return [_panel(ds, along, errors, references) for ds in kinked if errors in ds]

    return Kinks(
        those("step_size", "error", "reference_error"),
        those("width", "width_error", "width_reference_error"),
        those("time", "time_error", "time_reference_error"),
        those("edge_width", "edge_width_missed"),
        those("step_size", "hinge_error", "hinge_reference_error"),
        [_sharpness(ds) for ds in kinked if "sharpness_error" in ds],
    )


def _panel(ds: xr.Dataset, along: str, name: str, reference: str) -> Panel:
    """Return the errors of a result along a coordinate."""
    errors = {kind: ds[name].sel(derivative=kind).values.reshape(ds.sizes[along], -1) for kind in _SERIES}  # (x, seeds)
    x = ds[along].values.astype(np.float64)
    return Panel(
        f"{data_name(ds)}, linear, hinge loss" if name == "hinge_error" else _title(ds, along),
        along,
        x,
        {kind: np.median(values, axis=1) for kind, values in errors.items()},
        {kind: np.quantile(values, (0.25, 0.75), axis=1) for kind, values in errors.items()},
        np.median(ds[reference].values.reshape(len(x), -1), axis=1) if reference else np.full(len(x), np.nan),
    )


def _sharpness(ds: xr.Dataset) -> Sharpness:
    """Return the errors of softplus networks; relu's is that at the step size nearest to the least one of softplus."""
    errors = ds.sharpness_error.sel(derivative="unrolled").transpose("sharpness_step", "sharpness", "seed").values
    steps = ds.sharpness_step.values.astype(np.float64)
    relu = ds.error.sel(derivative="unrolled").sel(step_size=steps.min(), method="nearest")
    return Sharpness(
        f"{data_name(ds)}, softplus, step by step",
        steps,
        steps[:, None] * ds.sharpness.values.astype(np.float64),
        np.median(errors, axis=2),
        np.quantile(errors, (0.25, 0.75), axis=2),
        float(relu.median()),
    )


def _title(ds: xr.Dataset, along: str) -> str:
    """Return data set and what is special about the training, such as "Xor, N = 8, widths 6 and 5"."""
    if along == "edge_width":
        return f"{data_name(ds)}, integral of D"
    given = options(ds)
    widths = given.get("hidden", "8").split("x")
    at_width, at_step = f"width{'s' * (len(widths) > 1)} {' and '.join(widths)}", f"step size {config_of(ds)['sweep_step']:g}"
    said = [at_width if along == "step_size" else at_step]
    said += [f"momentum {given['momentum']}"] if "momentum" in given else []
    said += [f"batches of {given['batch_size']}"] if given.get("batch_size", "None") != "None" else []
    return ", ".join([data_name(ds), *said])


def _range(kinks: Kinks, name: str, at: int = -1) -> tuple[float, float]:
    """Return the least and the largest median error over all cases, at the smallest step or at another."""
    errors = [float(panel.median[name][at]) for panel in kinks.steps]
    return min(errors), max(errors)


def _percent(low: float, high: float) -> str:
    first, last = (f"{100.0 * x:.2g}%" if x < 0.995 else f"{100.0 * x:.0f}%" for x in (low, high))
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
    for panel in (*kinks.times, *kinks.edges):
        first, last = (_percent(*(float(panel.median["unrolled"][k]),) * 2) for k in (0, -1))
        what = "What the integral of the unrolled D misses of the change of F" if panel.along == "edge_width" else "Unrolled"
        text += f" {what} from {_ALONG[panel.along]} {panel.x[0]:g} to {panel.x[-1]:g} on {panel.title}: {first}, {last}."
    for panel in kinks.hinges:
        ends = [_percent(*(float(panel.median[name][-1]),) * 2) for name in _SERIES]
        text += f" {panel.title}, at the smallest step: {ends[0]} {_SERIES['unrolled'][0]}, {ends[1]} projected on the kinks."
    for soft in kinks.sharpness:
        wrong = soft.median > _WRONG
        right, off = soft.x[~wrong & (soft.x < soft.x[wrong].min(initial=np.inf))], soft.x[wrong]
        text += f" {soft.title}: right up to sharpness times step {right.max(initial=0.0):.3g}" + (
            f", off from {off.min():.3g} on, by up to {soft.median.max():.1g} times itself." if off.size else "."
        )
    return text


_WRONG = 0.01
"""The error from which the derivative of a softplus network counts as off in the description."""


def draw(kinks: Kinks) -> Figure:
    """Draw the errors against the step size, and below those against everything else."""
    columns, others = max(2, min(3, len(kinks.steps))), kinks.others
    rows, more = -(-len(kinks.steps) // columns), -(-len(others) // columns)
    with mpl.rc_context(style()):
        figure = Figure(figsize=(4.0 * columns, 3.1 * (rows + more) + 1.3), layout="constrained")
        off = _percent(*_range(kinks, "unrolled"))
        figure.suptitle(f"The unrolled derivative of relu networks is off by {off}, however small the step", fontsize=14)
        parts: Any = figure.subfigures(2, 1, height_ratios=(rows, more)) if others else [figure]
        above = parts[0].subplots(rows, columns, squeeze=False, sharey=True)
        for ax in above.flat[len(kinks.steps) :]:
            ax.set_visible(False)
        for ax, panel in zip(above.flat, kinks.steps, strict=False):
            _lines(ax, panel)
        for line in above:
            line[0].set_ylabel("relative error of D(1)")
        if others:
            below = parts[1].subplots(more, columns, squeeze=False)
            for ax in below.flat[len(others) :]:
                ax.set_visible(False)
            for ax, panel in zip(below.flat, others, strict=False):
                if isinstance(panel, Sharpness):
                    _soft_lines(ax, panel)
                else:
                    _lines(ax, panel)
                    ax.set_ylabel("missed of F's change" if panel.along == "edge_width" else "relative error of D(1)")
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
    ax.set(xscale="log", yscale="log", title=panel.title, xlabel=_ALONG[panel.along])
    ax.set(xticks=panel.x, xticklabels=[f"{x:g}" for x in panel.x])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_minor_formatter(NullFormatter())


def _soft_lines(ax: Axes, panel: Sharpness) -> None:
    """Draw the error of softplus networks against sharpness times step, a line for every step, and that of relu."""
    for k, (step, colour, marker) in enumerate(zip(panel.steps, (BLUE, PINK), "ov", strict=False)):
        bars = np.abs(panel.quartiles[:, k] - panel.median[k])
        ax.errorbar(panel.x[k], panel.median[k], bars, color=colour, marker=marker, markersize=5, label=f"step size {step:g}")
    ax.axhline(panel.relu, color=ORANGE, linestyle=":", label="relu, any step")
    ax.set(xscale="log", yscale="log", title=panel.title, xlabel="sharpness times step size", ylabel="relative error of D(1)")
    ax.set_ylim(bottom=1e-5)
    ax.legend(fontsize=9, loc="upper left")
