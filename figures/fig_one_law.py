"""Where each score averages dF/dw_i, how far it is from D(1) and leave-one-out, and which training sets it predicts."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from numpy.typing import NDArray

from figures.results import data_name, learner_name
from figures.style import BLUE, GREY, ORANGE, PINK, style

__all__ = ["CLAIMS", "EXPERIMENTS", "Row", "Scores", "alt", "data", "draw"]

EXPERIMENTS = ("one_law",)
CLAIMS = ("T13", "T13 places")

_PREFERRED = ("spector", "logistic")
_REFERENCES = {"D(1)": ("from D(1)", ORANGE, "o"), "leave-one-out": ("from leave-one-out", PINK, "s")}


@dataclass(frozen=True)
class Row:
    """A score: where it looks, how far it is from D(1) and leave-one-out, and the share of Var F that it explains at every p.

    `share` are numbers of other points that are present, relative to all of them, and `weight` their probabilities. A score that
    looks at or around w = 1, and not at subsets, has `around`: how far from 1 its weights go.
    """

    name: str
    share: NDArray[np.float64]
    weight: NDArray[np.float64]
    around: float | None
    distance: dict[str, float]
    r_squared: NDArray[np.float64]


@dataclass(frozen=True)
class Scores:
    """The scores of one case, from those that look at the full set to those that look at small sets."""

    title: str
    rows: list[Row]
    p: NDArray[np.float64]
    best: NDArray[np.float64]


def data(results: Sequence[xr.Dataset]) -> Scores:
    """Return the scores for logistic regression on Spector, or else for the case with most points."""
    ordered = sorted(results, key=lambda ds: ((ds.attrs["data"], ds.attrs["learner"]) != _PREFERRED, -ds.sizes["point"]))
    ds = ordered[0]
    laws = [str(name) for name in ds.semivalue.values]
    others = max(ds.sizes["size"] - 1, 1)
    rows: list[Row] = []
    for name in map(str, ds.score.values):
        is_law = name in laws
        weight = ds.size_probability.sel(semivalue=name).values if is_law else np.ones(1)
        share = ds["size"].values / others if is_law else np.ones(1)
        distance = {to: float(ds.against.sel(score=name, question=to, measure="relative_error")) for to in _REFERENCES}
        around = None if is_law else float(name.split("±")[1]) if "±" in name else 0.0
        rows.append(Row(name, share, weight, around, distance, ds.r_squared.sel(score=name).values))
    return Scores(f"{data_name(ds)}, {learner_name(ds)}", rows, ds.p.values, ds.best_r_squared.values)


def alt(scores: Scores) -> str:
    """Describe the mean share of present points and both distances, score by score."""
    parts = [
        f"{row.name}: looks where {row.share @ row.weight:.0%} of the other points are present, "
        + ", ".join(f"{error:.2g} {_REFERENCES[to][0]}" for to, error in row.distance.items())
        for row in scores.rows
    ]
    return f"A row for each score on {scores.title}. {'; '.join(parts)}."


def draw(scores: Scores) -> Figure:
    """Draw a row per score: where it looks, its distance from D(1) and leave-one-out, and what it explains at every p."""
    with mpl.rc_context(style()):
        figure = Figure(figsize=(12, 6.6), layout="constrained")
        figure.suptitle("Attribution scores average the same derivative ∂F/∂wᵢ: they differ in where", fontsize=15)
        left, middle, right = figure.subplots(1, 3, sharey=True, width_ratios=(1.25, 1.0, 1.3))
        heights = np.arange(len(scores.rows))[::-1]
        _places(left, scores.rows, heights)
        _distances(middle, scores.rows, heights)
        shown = _shares(right, scores, heights)
        colours = figure.colorbar(shown, ax=right, extend="min", shrink=0.6)
        colours.set_label("share of the variance of F explained")
        figure.supxlabel(f"{scores.title}; retrained on all subsets, so there are no error bars", fontsize=10)
    return figure


def _places(ax: Axes, rows: list[Row], heights: NDArray[np.int_]) -> None:
    """Draw the distribution of the share of other points; a score at or around w = 1 is a diamond with its reach."""
    for row, y in zip(rows, heights, strict=True):
        ax.axhline(y, color="#e6e6e6", linewidth=0.8, zorder=0)
        if row.around is None:
            ax.scatter(row.share, np.full(len(row.share), y), s=330 * row.weight, color=BLUE, linewidths=0, zorder=2)
        else:
            ax.plot([1.0 - row.around, 1.0 + row.around], [y, y], color=ORANGE, linewidth=4, solid_capstyle="round", zorder=2)
            ax.scatter([1.0], [y], marker="D", s=70, color=ORANGE, zorder=3)
    ax.set_yticks(heights, [row.name for row in rows])
    ax.set(
        title="where it looks",
        xlabel="other training points present\n(area: probability; orange: weights at or around 1)",
        xlim=(-0.06, 1.33),
    )
    ax.set_xticks([0.0, 0.5, 1.0], ["none", "half", "all"])


def _distances(ax: Axes, rows: list[Row], heights: NDArray[np.int_]) -> None:
    """Draw both relative errors on a logarithmic axis; an error of 0, a score against itself, has no mark."""
    for y in heights:
        ax.axhline(y, color="#e6e6e6", linewidth=0.8, zorder=0)
    for to, (label, colour, marker) in _REFERENCES.items():
        errors = np.array([row.distance[to] for row in rows])
        seen = errors > 1e-3
        ax.scatter(errors[seen], heights[seen], color=colour, marker=marker, s=50, label=label, zorder=2)
    ax.axvline(1.0, color=GREY, linewidth=0.8, linestyle=":", zorder=1)
    ax.set(title="how far it is", xlabel="relative error\n(no mark: below 0.001)", xscale="log")
    ax.tick_params(left=False)
    ax.legend(loc="lower left", fontsize=10, handletextpad=0.1, frameon=True, framealpha=0.9, edgecolor="none")


def _shares(ax: Axes, scores: Scores, heights: NDArray[np.int_]) -> QuadMesh:
    """Draw the explained share of the variance by score and p; the best score of every p has a dot."""
    values = np.array([row.r_squared for row in scores.rows])
    columns = np.arange(len(scores.p))
    edges = np.concatenate([columns - 0.5, [columns[-1] + 0.5]])
    borders = np.concatenate([heights + 0.5, [heights[-1] - 0.5]])
    shown = ax.pcolormesh(edges, borders, values, cmap="cividis", vmin=0.0, vmax=1.0)
    best = values.argmax(axis=0)
    ax.scatter(columns, heights[best], color="white", edgecolor="black", s=40, label="best of these scores")
    ax.set(
        title="which training sets it predicts",
        xlabel="share p of the points in the training sets\n(white: the best of these scores)",
    )
    ax.set_xticks(columns[::2], [f"{p:g}" for p in scores.p[::2]])
    ax.tick_params(left=False)
    return shown
