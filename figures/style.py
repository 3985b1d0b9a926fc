"""The module gives all figures one look: safe for colour-blind readers, readable in a README, and reproducible byte for byte."""

import io

import matplotlib as mpl
from matplotlib.figure import Figure

__all__ = ["BLUE", "GREEN", "GREY", "ORANGE", "PINK", "render", "style"]

# Okabe & Ito 2008
BLUE, ORANGE, GREEN, PINK, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#666666"


def style() -> dict[str, object]:
    """Return the settings of matplotlib, for `with mpl.rc_context(style())`."""
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


def render(figure: Figure) -> dict[str, bytes]:
    """Return the figure as PNG and SVG, by suffix, without dates or versions in them."""
    files = {"png": {"Software": None}, "svg": {"Date": None}}
    rendered: dict[str, bytes] = {}
    with mpl.rc_context(style()):
        for suffix, metadata in files.items():
            buffer = io.BytesIO()
            figure.savefig(buffer, format=suffix, metadata=metadata)
            figure.set_layout_engine("none")  # places are settled by the first file: the second has the same, in half the time
            rendered[suffix] = buffer.getvalue()
    return rendered
