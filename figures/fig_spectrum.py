"""How linear the response is in its training set: the share of its variance that each degree of interaction has."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray

from figures.results import by_optimizer, data_name, learner_name, options
from figures.style import BLUE, GREEN, GREY, ORANGE, style

__all__ = ["CLAIMS", "EXPERIMENTS", "Bar", "alt", "data", "draw"]

EXPERIMENTS = ("spectrum",)
CLAIMS = ("C5", "T8")

_DEGREES = (("degree 1: what a linear datamodel can say", BLUE), ("degree 2", ORANGE), ("degree 3", GREEN), ("higher", GREY))


@dataclass(frozen=True)
class Bar:
    """A bar gives the shares of degrees 1, 2, 3 and of all higher ones for one learner at one p, 1/2 where there is that.

    The standard error is that of degree 1.
    """

    label: str
    p: float
    share: NDArray[np.float64]  # (4,)
    error: float
    lds: float


def data(results: Sequence[xr.Dataset]) -> list[Bar]:
    """Return a bar per case, the most linear first."""
    bars: list[Bar] = []
    for ds in results:
        p = float(ds.p[int(np.abs(ds.p.values - 0.5).argmin())])
        share = ds.share.sel(p=p).values if "share" in ds else _two_shares(float(ds.r_squared.sel(p=p)))
        penalty = (
            f", l2 = {options(ds)['l2']}" if ds.attrs["learner"] in ("logistic", "least_squares", "softmax_regression") else ""
        )
        steps = f", {options(ds)['steps']} steps" if ds.attrs["learner"] == "mlp" and "steps" in options(ds) else ""
        at = ("" if p == 0.5 else f", p = {p:g}") + (", drawn" if "share" not in ds else "")
        label = f"{data_name(ds)}: {learner_name(ds)}{by_optimizer(ds)}{penalty}{steps}{at}"
        parts = np.array([*share[:3], share[3:].sum()])
        error = ds.share_error.sel(p=p)[0] if "share" in ds else ds.r_squared_error.sel(p=p)
        ranks = float(ds.lds.sel(p=p)) if "lds" in ds else np.nan
        bars.append(Bar(label, p, parts, float(np.nan_to_num(error)), ranks))
    return sorted(bars, key=lambda bar: -bar.share[0])


def _two_shares(r_squared: float) -> NDArray[np.float64]:
    """Return the shares where subsets were drawn: degree 1, and all others, which are not told apart, as "higher"."""
    return np.array([r_squared, 0.0, 0.0, 1.0 - r_squared])


def alt(bars: list[Bar]) -> str:
    """Describe the share of degree 1 and the LDS of every learner."""
    parts = [f"{bar.label}: {bar.share[0]:.0%} (LDS {_ranks(bar)})" for bar in bars]
    return f"Stacked bars of the variance of the response by degree of interaction. Shares of degree 1: {'. '.join(parts)}."


def _ranks(bar: Bar) -> str:
    return "not known" if np.isnan(bar.lds) else f"{bar.lds:.2f}"


def draw(bars: list[Bar]) -> Figure:
    """Draw stacked horizontal bars."""
    with mpl.rc_context(style()):
        figure = Figure(figsize=(10.5, 0.45 * len(bars) + 2.0), layout="constrained")
        least, most = bars[-1].share[0], bars[0].share[0]
        figure.suptitle(
            f"The best linear datamodel explains {least:.0%} to {most:.0%} of the response; rank correlations flatter it",
            fontsize=14,
        )
        ax = figure.subplots()
        rows, left = np.arange(len(bars)), np.zeros(len(bars))
        for k, (label, colour) in enumerate(_DEGREES):
            share = 100.0 * np.array([bar.share[k] for bar in bars])
            ax.barh(rows, share, left=left, color=colour, height=0.66, label=label)
            left = left + share
        for row, bar in enumerate(bars):
            if bar.error > 0.0:
                ax.errorbar(100.0 * bar.share[0], row, xerr=200.0 * bar.error, fmt="none", ecolor="black", capsize=2)
            ax.text(101.0, row, f"{bar.share[0]:.2f}   {_ranks(bar)}", va="center", fontsize=9)
        ax.text(101.0, -0.85, "R²      LDS", va="center", fontsize=9)
        ax.set_yticks(rows, [bar.label for bar in bars])
        ax.set_ylim(len(bars) - 0.4, -1.2)
        ax.set_xlim(0.0, 100.0)
        over = "uniform subsets" if all(bar.p == 0.5 for bar in bars) else "subsets"
        ax.set_xlabel(f"share of Var F over {over} (%); bars: 2 standard errors over seeds, where there are seeds")
        title = (
            "where subsets were drawn, all degrees above 1 count as higher" if any(np.isnan(bar.lds) for bar in bars) else None
        )
        figure.legend(loc="outside lower center", ncols=4, fontsize=10, title=title, title_fontsize=10)
    return figure
