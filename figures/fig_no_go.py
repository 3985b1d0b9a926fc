"""The essay's identity on all parts of a data set: by how much it misses in sum, beside how much was learnt."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray

from figures.results import data_name, learner_name, options
from figures.style import BLUE, GREY, ORANGE, style

__all__ = ["CLAIMS", "EXPERIMENTS", "Panel", "alt", "data", "draw"]

EXPERIMENTS = ("no_go",)
CLAIMS = ("T14", "T14 parts", "T14 sums")

_MOST, _HIGH = 4, 0.8


@dataclass(frozen=True)
class Panel:
    """A panel gives, by size of a part, the error of the identity (10%, median, 90%), and means of what was learnt and allowed.

    What was learnt is the range of F on the subsets of a part, in shares of that on all subsets; `allowed` is that of the only F
    whose datamodels add up to the derivatives on every part.
    """

    title: str
    size: NDArray[np.int64]
    error: NDArray[np.float64]
    learnt: NDArray[np.float64]
    allowed: NDArray[np.float64]


def data(results: Sequence[xr.Dataset]) -> list[Panel]:
    """Return a panel for the first case of every learner and training time, at most four, without penalty first."""
    chosen: dict[tuple[str, str], Panel] = {}
    for ds in sorted((ds for ds in results if "violation" in ds), key=_order):
        given = options(ds)
        chosen.setdefault((ds.attrs["learner"], given.get("steps", "")), _panel(ds))
    if not chosen:
        raise ValueError("no_go has no case with parts, expected one with retrainings on all subsets")
    return list(chosen.values())[:_MOST]


def _order(ds: xr.Dataset) -> tuple[bool, bool, int]:
    given = options(ds)
    return ds.attrs["learner"] == "mlp", float(given.get("l2", "0")) > 0.0, int(given.get("steps", "0"))


def _panel(ds: xr.Dataset) -> Panel:
    def share(values: xr.DataArray) -> NDArray[np.float64]:
        return (values / ds.learnt[-1]).mean("output").values

    given = options(ds)
    name = {"least_squares": "least squares"}.get(ds.attrs["learner"], learner_name(ds))
    penalty = "no penalty" if float(given.get("l2", "0")) == 0.0 else f"l2 = {given['l2']}"
    steps = f", {int(given['steps']):,} steps" if "steps" in given else ""
    title = f"{data_name(ds)}\n{name}, {penalty}{steps}"
    return Panel(title, ds["size"].values, ds.error_by_size.values.T, share(ds.learnt), share(ds.allowed))


def alt(panels: list[Panel]) -> str:
    """Describe the errors on the smallest and the largest part, and the share of what was learnt that the identity allows."""
    parts = [
        f"{panel.title.replace(chr(10), ', ')}: the identity is off by {panel.error[1, 0]:.0%} on one point and by "
        f"{panel.error[1, -1]:.0%} on all {panel.size[-1]}; on all parts it would allow {panel.allowed[-1]:.0%} of the range of F"
        for panel in panels
    ]
    return (
        f"Lines by size of the part: error of the identity, and range of F beside the range that is allowed. {'. '.join(parts)}."
    )


def draw(panels: list[Panel]) -> Figure:
    """Draw the error of the identity above what was learnt and what it allows, one column per learner."""
    with mpl.rc_context(style()):
        figure = Figure(figsize=(max(2.9 * len(panels) + 0.6, 6.4), 6.0), layout="constrained")
        figure.suptitle("The identity on all parts would mean that, without a penalty, nothing was learnt", fontsize=14)
        rows = figure.subplots(2, len(panels), squeeze=False, sharex="col", sharey="row")
        top = max(panel.error.max(where=np.isfinite(panel.error), initial=0.1) for panel in panels)
        for above, below, panel in zip(*rows, panels, strict=True):
            low, middle, high = 100.0 * panel.error
            above.fill_between(panel.size, low, high, color=BLUE, alpha=0.2, linewidth=0)
            above.plot(panel.size, middle, color=BLUE, marker="o", markersize=5)
            above.set(title=panel.title, ylim=(0.0, 110.0 * top))
            below.plot(panel.size, 100.0 * panel.learnt, color=GREY, marker="s", markersize=5, label="learnt")
            below.plot(panel.size, 100.0 * panel.allowed, color=ORANGE, marker="o", markersize=5, label="if β = D on all parts")
            below.annotate(
                f"{panel.allowed[-1]:.0%}",
                (panel.size[-1], 100.0 * panel.allowed[-1]),
                (0, -26 if panel.allowed[-1] > _HIGH else 7),
                textcoords="offset points",
                color=ORANGE,
                ha="right",
            )
            below.set(xlabel="points in the part A", ylim=(-4.0, 108.0))
            below.set_xticks(panel.size)
        rows[0, 0].set_ylabel("‖β - D(1)‖ / ‖β‖ on A, %\n(0: the identity holds)")
        rows[1, 0].set_ylabel("range of F on A's subsets,\n% of that on all subsets")
        rows[1, 0].legend(loc="upper left")
        figure.supxlabel(
            "above: median part, 10 to 90% of parts shaded; below: mean over parts; nothing is sampled but networks' starts",
            fontsize=10,
        )
    return figure
