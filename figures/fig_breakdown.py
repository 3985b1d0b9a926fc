"""Where influence can be trusted: maps over damping and training time, width and penalty, solver and products."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from figures.results import data_name, options
from figures.style import style
from theory.influence.budget import TRUSTED_ERROR, TRUSTED_RANK, Trust, trust
from theory.metrics import Comparison

__all__ = ["CLAIMS", "EXPERIMENTS", "Map", "alt", "data", "draw"]

EXPERIMENTS = ("damping_map", "width_map", "solver_map")
CLAIMS = ("C1", "C2", "C4")

_COLOURS = {Trust.TRUST: "#56B4E9", Trust.RANK_ONLY: "#F0E442", Trust.DO_NOT_TRUST: "#E69F73", Trust.UNDEFINED: "#DDDDDD"}
_LABELS = {
    Trust.TRUST: f"trust: relative error ≤ {TRUSTED_ERROR:g}",
    Trust.RANK_ONLY: f"rank only: Spearman ≥ {TRUSTED_RANK:g}",
    Trust.DO_NOT_TRUST: "do not trust",
    Trust.UNDEFINED: "undefined",
}
_MEASURES = ("slope", "relative_error", "pearson", "spearman")


@dataclass(frozen=True)
class Map:
    """A map has a verdict and a relative error in every cell (rows, columns)."""

    title: str
    rows: tuple[str, list[str]]
    columns: tuple[str, list[str]]
    verdict: list[list[Trust]]
    error: NDArray[np.float64]


def data(damping: Sequence[xr.Dataset], width: Sequence[xr.Dataset], solver: Sequence[xr.Dataset]) -> list[Map]:
    """Return maps of influence against D(1) by damping and time, D(1) and leave-one-out by width and l2, and D(1) by solver.

    Each is for one case with one output, and for one with several classes where there is one.
    """
    of_cases = [
        *(_of_damping(ds) for ds in _shown(damping, last=True)),
        *(_of_width(ds) for ds in _shown(width)),
        *(_of_solvers(ds) for ds in _shown(solver)),
    ]
    return [one for maps in of_cases for one in maps]


def _shown(results: Sequence[xr.Dataset], *, last: bool = False) -> list[xr.Dataset]:
    """Return the first case, or the last, of each kind: one output, several classes."""
    by_kind: dict[bool, list[xr.Dataset]] = {False: [], True: []}
    for ds in results:
        by_kind["softmax" in (options(ds).get("loss"), ds.attrs["learner"].removesuffix("_regression"))].append(ds)
    return [cases[-1 if last else 0] for cases in by_kind.values() if cases]


def _of_damping(network: xr.Dataset) -> list[Map]:
    maps: list[Map] = []
    steps = ("training time (gradient steps)", [f"{int(t):,}" for t in network.time])
    for kind, name in (("hessian", "Hessian"), ("gauss_newton", "Gauss-Newton")):
        rows = ("damping", [f"{float(d):g}" for d in network.damping])
        cells = network.measured.sel(curvature=kind).transpose("damping", "time", ...)
        maps.append(_map(f"{data_name(network)}: {name} against D(1)", rows, steps, cells.sel(reference="D(1)")))
    return maps


def _of_width(widths: xr.Dataset) -> list[Map]:
    maps: list[Map] = []
    columns = ("l2", [f"{float(x):g}" for x in widths.l2])
    rows = ("width (parameters)", [f"{int(w)} ({int(p)})" for w, p in zip(widths.width, widths.n_params, strict=True)])
    for reference, name in (("D(1)", "D(1)"), ("LOO", "leave-one-out")):
        cells = widths.measured.sel(estimate="exact", reference=reference).transpose("width", "l2", ...)
        maps.append(_map(f"{data_name(widths)}: exact Hessian against {name}", rows, columns, cells))
    return maps


def _of_solvers(solved: xr.Dataset) -> list[Map]:
    maps: list[Map] = []
    products = ("products with the Hessian", [f"{int(k)}" for k in solved.products])
    conditions = ("condition number", [f"{float(c):.0e}" for c in solved.condition])
    for kind, name in (("conjugate_gradients", "conjugate gradients"), ("lissa", "LiSSA")):
        cells = solved.measured.sel(solver=kind, reference="D(1)").transpose("l2", "products", ...)
        maps.append(_map(f"{data_name(solved)}: {name} against D(1)", conditions, products, cells))
    return maps


def _map(title: str, rows: tuple[str, list[str]], columns: tuple[str, list[str]], cells: xr.DataArray) -> Map:
    found = [[Comparison(*(float(cell.sel(measure=m)) for m in _MEASURES)) for cell in row] for row in cells]
    return Map(
        title,
        rows,
        columns,
        [[trust(cell) for cell in row] for row in found],
        np.array([[c.relative_error for c in row] for row in found]),
    )


def alt(maps: list[Map]) -> str:
    """Describe how many cells of each map may be trusted."""
    parts = [
        f"{one.title}: {sum(row.count(Trust.TRUST) for row in one.verdict)} of {one.error.size} trusted, "
        f"{sum(row.count(Trust.RANK_ONLY) for row in one.verdict)} for ranks only"
        for one in maps
    ]
    return f"Maps of what influence may be used for, with its relative error in every cell. {'. '.join(parts)}."


def draw(maps: list[Map]) -> Figure:
    """Draw two maps per row; the colour of a cell says what the score may be used for, the number is its relative error."""
    with mpl.rc_context(style()):
        rows = -(-len(maps) // 2)
        heights = [max(len(m.rows[1]) for m in maps[2 * k : 2 * k + 2]) for k in range(rows)]
        figure = Figure(figsize=(12.4, 0.36 * sum(heights) + 1.1 * rows + 1.4), layout="constrained")
        figure.suptitle(
            "Influence is the derivative at an isolated, converged optimum, and leave-one-out hardly anywhere", fontsize=14
        )
        axes = figure.subplots(rows, 2, squeeze=False, height_ratios=heights)
        for ax, one in zip(axes.ravel(), maps, strict=False):
            _cells(ax, one)
        patches = [Patch(color=_COLOURS[kind], label=label) for kind, label in _LABELS.items()]
        figure.legend(handles=patches, loc="outside lower center", ncols=4, title="numbers: relative error")
    return figure


def _cells(ax: Axes, one: Map) -> None:
    order = list(_COLOURS)
    codes = [[order.index(kind) for kind in row] for row in one.verdict]
    ax.imshow(codes, cmap=ListedColormap(list(_COLOURS.values())), vmin=-0.5, vmax=len(order) - 0.5, aspect="auto")
    for (row, column), error in np.ndenumerate(one.error):
        text = "none" if np.isnan(error) else "0" if error < 1e-6 else f"{error:.2g}" if error < 100 else f"{error:.0e}"
        ax.text(column, row, text, ha="center", va="center", fontsize=9)
    ax.set_xticks(range(len(one.columns[1])), one.columns[1], fontsize=9)
    ax.set_yticks(range(len(one.rows[1])), one.rows[1], fontsize=9)
    ax.set(title=one.title, xlabel=one.columns[0], ylabel=one.rows[0])
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
