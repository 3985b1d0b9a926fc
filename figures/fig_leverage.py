"""Leave-one-out over influence, point by point: the law 1 / (1 - h) of leverage."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray

from figures.results import data_name, learner_name
from figures.style import BLUE, GREEN, GREY, ORANGE, style

__all__ = ["CLAIMS", "EXPERIMENTS", "Points", "alt", "data", "draw"]

EXPERIMENTS = ("leverage",)
CLAIMS = ("T4",)

_LOOKS = ((ORANGE, "o"), (BLUE, "s"), (GREEN, "^"))


@dataclass(frozen=True)
class Points:
    """The points of a case have a leverage h, and a slope of leave-one-out on influence."""

    label: str
    leverage: NDArray[np.float64]
    ratio: NDArray[np.float64]


def data(results: Sequence[xr.Dataset]) -> list[Points]:
    """Return one set of points per case."""
    names = [f"{data_name(ds)}, {learner_name(ds)}" for ds in results]
    return [Points(name, ds.leverage.values, ds.ratio.values) for name, ds in zip(names, results, strict=True)]


def alt(cases: list[Points]) -> str:
    """Describe the largest leverage of every case, its ratio, and the ratio that the law gives."""
    parts: list[str] = []
    for case in cases:
        k = int(np.argmax(case.leverage))
        h = case.leverage[k]
        parts.append(f"{case.label}, largest leverage {h:.2f}: ratio {case.ratio[k]:.3g}, the law says {1.0 / (1.0 - h):.3g}")
    return f"Marks of leave-one-out over influence by leverage h, with the curve 1 / (1 - h). {'. '.join(parts)}."


def draw(cases: list[Points]) -> Figure:
    """Draw the ratios against leverage, with the curve of the law."""
    with mpl.rc_context(style()):
        figure = Figure(figsize=(8.4, 5.2), layout="constrained")
        figure.suptitle("Influence misses leave-one-out by the factor 1 / (1 - leverage)", fontsize=14)
        ax = figure.subplots()
        h = np.linspace(0.0, 1.04 * max(case.leverage.max() for case in cases), 200)
        ax.plot(h, 1.0 / (1.0 - h), color=GREY, linewidth=1.4, label="1 / (1 - h): exact for ridge, one Newton step for logistic")
        for case, (colour, marker) in zip(cases, _LOOKS, strict=False):
            ax.plot(case.leverage, case.ratio, marker, color=colour, markersize=6, alpha=0.8, label=case.label)
        ax.set_xlabel(
            "leverage h of the training point at w = 1\none mark per point; every number is exact, so there are no error bars"
        )
        ax.set_ylabel("leave-one-out / influence\n(slope over queries; 1: influence is right)")
        ax.legend()
    return figure
