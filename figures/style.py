"""One look for every figure: colour-blind-safe, readable at the width of a README, the same bytes for the same data."""

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

__all__ = ["BLUE", "GREEN", "GREY", "ORANGE", "PINK", "save", "style"]

# Okabe & Ito 2008
BLUE, ORANGE, GREEN, PINK, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#666666"


def style() -> dict[str, object]:
    """Settings of matplotlib, for `with mpl.rc_context(style())`."""
    return {
        "font.family": "DejaVu Sans",
        "font.size": 11,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 11,
        "figure.dpi": 100,
        "savefig.dpi": 150,
        "svg.hashsalt": "dfdw",
        "svg.fonttype": "none",
        "legend.frameon": False,
    }


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write PNG and SVG, without dates or versions in them; returns the two files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{name}.png", folder / f"{name}.svg"]
    with mpl.rc_context(style()):
        figure.savefig(files[0], metadata={"Software": None})
        figure.savefig(files[1], metadata={"Date": None})
    return files
