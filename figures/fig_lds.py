"""The linear datamodeling score of every attribution, and what retrainings buy."""

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
from theory.claims.margins import crossing_of_halves
from theory.intervals import half_width, mean_and_error

__all__ = ["CLAIMS", "EXPERIMENTS", "Panel", "alt", "data", "draw"]

EXPERIMENTS = ("lds",)
CLAIMS = ("C10",)

_SCORES = {
    "LOO": ("leave-one-out (N + 1 retrainings)", GREEN, "-"),
    "D(1)": ("exact derivative D(1)", GREY, "-"),
    "best Hessian-based": ("best Hessian-based score, in hindsight", BLUE, "--"),
}
_DATAMODELS = {0.5: ("datamodel fitted at p = 0.5", ORANGE, "o"), 0.9: ("datamodel fitted at p = 0.9", PINK, "D")}


@dataclass(frozen=True)
class Panel:
    """A panel gives for one case and target the LDS of datamodels by retrainings, and the LDS of other attributions."""

    case: str
    target: str
    retrainings: NDArray[np.int64]
    datamodel: dict[float, tuple[NDArray[np.float64], NDArray[np.float64]]]  # p -> LDS, standard error
    score: dict[str, float]
    best: str  # which Hessian-based score is the best
    crossing: tuple[float, float] | None = None  # retrainings from which random halves are ranked as well, half of its interval


def data(results: Sequence[xr.Dataset]) -> list[list[Panel]]:
    """Return a row of panels per case, with one panel for each target."""
    rows: list[list[Panel]] = []
    for ds in sorted(results, key=lambda ds: int(ds.attrs["n_points"])):
        steps = f", {int(options(ds)['steps']):,} steps" if "steps" in options(ds) else ""
        case = f"{data_name(ds)}\n{learner_name(ds)}{steps}"
        rows.append([])
        for target in ds.target.values:
            at = {"target": target, "quality": "lds"}
            fitted = {p: (ds.datamodel.sel(p=p, **at).values, ds.datamodel_error.sel(p=p, **at).values) for p in _DATAMODELS}
            hessian = ds.score.sel(estimate=ds.attrs["hessian_based"], **at)
            best = str(hessian.estimate[int(hessian.argmax("estimate"))].item())
            score = {"LOO": float(ds.score.sel(estimate="LOO", **at)), "D(1)": float(ds.score.sel(estimate="D(1)", **at))}
            score["best Hessian-based"] = float(hessian.max())
            crossing = None if rows[-1] else _crossing(ds)
            rows[-1].append(Panel(case, str(target), ds.retrainings.values.astype(np.int64), fitted, score, best, crossing))
    return rows


def _crossing(ds: xr.Dataset) -> tuple[float, float] | None:
    """Return the retrainings from which a datamodel ranks random halves as well as the best score, chosen on other outputs.

    With it comes half of its 95% interval over designs; None where the lines do not cross in some design.
    """
    found = crossing_of_halves(ds, ds.attrs["hessian_based"]) * int(ds.attrs["n_points"])
    if not np.isfinite(found).all() or (found == float(ds.retrainings[0])).any():
        return None
    mean, error = mean_and_error(found)
    return mean, half_width(error, len(found) - 1)


def alt(rows: list[list[Panel]]) -> str:
    """Describe for every target the range of the LDS over cases, for datamodels with most retrainings and for other scores."""
    parts: list[str] = []
    for panels in zip(*rows, strict=True):
        fitted = {label: [panel.datamodel[p][0][-1] for panel in panels] for p, (label, *_) in _DATAMODELS.items()}
        scores = {label: [panel.score[name] for panel in panels] for name, (label, *_) in _SCORES.items()}
        spans = ", ".join(f"{label} {min(values):.2f} to {max(values):.2f}" for label, values in {**fitted, **scores}.items())
        parts.append(f"Predicting {panels[0].target}: {spans}")
    return (
        f"Lines of the linear datamodeling score by number of retrainings in {len(rows)} cases, and levels of scores without. "
        f"{'. '.join(parts)}."
    )


def draw(rows: list[list[Panel]]) -> Figure:
    """Draw the LDS against the number of retrainings."""
    with mpl.rc_context(style()):
        columns = len(rows[0])
        figure = Figure(figsize=(3.9 * columns + 0.8, 2.7 * len(rows) + 1.7), layout="constrained")
        figure.suptitle(
            "Datamodels win on random halves, if given many retrainings per point; local scores near the full set", fontsize=14
        )
        axes = figure.subplots(len(rows), columns, squeeze=False, sharey="row")
        for line, panels in zip(axes, rows, strict=True):
            for ax, panel in zip(line, panels, strict=True):
                _lines(ax, panel)
            line[0].set_ylabel(f"{panels[0].case}\nLDS")
        for ax, panel in zip(axes[0], rows[0], strict=True):
            ax.set_title(f"predicting fresh subsets: {panel.target}", fontsize=10.5, pad=18)
        for ax in axes[-1]:
            ax.set_xlabel("retrainings given to the datamodel")
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(
            handles,
            labels,
            loc="outside lower center",
            ncols=3,
            title="bars: 2 standard errors over independent designs; grey: where the lines of random halves cross, 95% interval",
        )
    return figure


def _lines(ax: Axes, panel: Panel) -> None:
    for name, (label, colour, dashes) in _SCORES.items():
        ax.axhline(panel.score[name], color=colour, linestyle=dashes, linewidth=1.4, label=label)
    if panel.crossing:
        mean, half = panel.crossing
        ax.axvspan(mean - half, mean + half, color=GREY, alpha=0.25, linewidth=0.0)
    for p, (label, colour, marker) in _DATAMODELS.items():
        value, bar = panel.datamodel[p]
        ax.errorbar(panel.retrainings, value, yerr=2.0 * bar, color=colour, marker=marker, markersize=4, label=label)
    ax.set_xscale("log")
    ax.set_xticks(panel.retrainings, _labels(panel.retrainings), fontsize=8)
    ax.minorticks_off()
    ax.text(1.0, 1.01, f"best: {panel.best}", transform=ax.transAxes, ha="right", va="bottom", fontsize=8, color=BLUE)


def _labels(counts: NDArray[np.int64]) -> list[str]:
    """Return the labels of the ticks; a label is empty if the one before it is too near on the logarithmic axis."""
    labels, last = list[str](), 0.0
    for count in counts:
        near = count < 1.4 * last
        labels.append("" if near else f"{count:,}")
        last = last if near else float(count)
    return labels
