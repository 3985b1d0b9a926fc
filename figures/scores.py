"""Draw attribution scores against the four exact effects: `python -m figures.scores DATA.npz FILE.png` (or .svg, .pdf).

DATA.npz is written by `judge --figure`: scores, D1, loo, beta and shapley (N, M), their standard errors, a title and a unit.
"""

import sys
import textwrap
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from figures.style import BLUE, GREY, ORANGE, style

__all__ = ["draw", "main"]

_EFFECTS = {"D1": "D(1) = dF/dw at w = 1", "loo": "leave-one-out", "beta": "beta", "shapley": "Shapley value"}


def draw(arrays: dict[str, NDArray[np.float64]], title: str, unit: str) -> Figure:
    """Draw a panel per exact effect: scores up, the effect across, the line of equality and the line of the best factor."""
    with mpl.rc_context(style()):
        figure = Figure(figsize=(9.0, 3.4), layout="constrained")
        axes = figure.subplots(1, len(_EFFECTS), sharey=True)
        scores = arrays["scores"].ravel()
        for ax, (name, label) in zip(axes, _EFFECTS.items(), strict=True):
            effect, error = arrays[name].ravel(), arrays[f"{name}_error"].ravel()
            kept = np.isfinite(scores)
            s, x = scores[kept], effect[kept]
            slope = float(s @ x / (x @ x)) if x.any() else 0.0
            span = np.array([min(x.min(initial=0.0), 0.0), max(x.max(initial=0.0), 0.0)])
            ax.axhline(0.0, color=GREY, linewidth=0.5)
            ax.axvline(0.0, color=GREY, linewidth=0.5)
            ax.plot(span, span, color=GREY, linestyle="--", linewidth=1.0, label="equal")
            ax.plot(span, slope * span, color=ORANGE, linewidth=1.2, label="best factor")
            bars = {"xerr": error[kept]} if error.any() else {}
            ax.errorbar(x, s, fmt="o", markersize=3.5, alpha=0.6, color=BLUE, elinewidth=0.8, **bars)
            left = np.linalg.norm(s - slope * x) / (np.linalg.norm(s) or 1.0)
            ax.set_title(f"{label}\nfactor {slope:.3g}, then {left:.2g} off", fontsize=9)
            ax.set_xlabel(f"exact effect ({unit})", fontsize=9)
            ax.tick_params(labelsize=8)
        axes[0].set_ylabel(f"score ({unit} per unit weight)", fontsize=9)
        axes[0].legend(fontsize=8, loc="best")
        figure.suptitle("\n".join(textwrap.wrap(title, 110)), fontsize=10)
    return figure


def main(source: str, target: str) -> None:
    """Draw the arrays of a file to a picture."""
    with np.load(source, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    title, unit = str(arrays.pop("title")), str(arrays.pop("unit"))
    figure = draw(arrays, title, unit)
    with mpl.rc_context(style()):
        figure.savefig(Path(target))


if __name__ == "__main__":
    main(*sys.argv[1:])
