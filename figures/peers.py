"""Draw what attribution libraries compute: python -m figures.peers TABLE FOLDER."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from figures.style import BLUE, GREY, ORANGE, render, style
from theory.storage import keep

__all__ = ["Line", "alt", "data", "draw"]

_TRUTHS = {
    "logistic_spector": (BLUE, "o", "logistic regression"),
    "two_moons_converged": (ORANGE, "s", "network 2-4-1, converged"),
}
_FLOOR = 1e-10

_LINES: tuple[tuple[str, str, str, str], ...] = (  # library, method, what the options contain, label
    ("captum", "NaiveInfluenceFunction", "batch = all, dtype = float64, hessian_reg = N l2", "explicit, hessian_reg = N l2"),
    ("captum", "NaiveInfluenceFunction", "batch = all, dtype = float64, hessian_reg = None", "explicit, default hessian_reg"),
    ("captum", "ArnoldiInfluenceFunction", "batch = all, dtype = float64, hessian_reg = N l2", "Arnoldi, hessian_reg = N l2"),
    ("captum", "TracInCP", "batch = all, dtype = float64, reduction = none", "TracInCP, last checkpoint"),
    ("dattri", "IFAttributorExplicit", "batch = all, dtype = float64, regularization = l2", "explicit, one batch"),
    ("dattri", "IFAttributorExplicit", "batch = 4, dtype = float64, regularization = l2", "explicit, batches of 4"),
    ("dattri", "IFAttributorCG", "batch = all, dtype = float64, regularization = l2", "conjugate gradients"),
    ("dattri", "IFAttributorEKFAC", "batch = all, dtype = float64, regularization = l2", "EK-FAC"),
    ("dattri", "IFAttributorDataInf", "batch = all, dtype = float32, regularization = l2", "DataInf"),
    ("dattri", "TRAKAttributor", "regularization = 0.01", "TRAK"),
    ("pyDVL", "DirectInfluence", "batch = all, dtype = float64, regularization = l2", "explicit"),
    (
        "pyDVL",
        "DirectInfluence",
        "batch = 4, dtype = float64, regularization = l2, second_order_mode = gauss_newton",
        "Gauss-Newton, batches of 4",
    ),
    ("pyDVL", "CgInfluence", "queries_at_once = 1", "conjugate gradients, one query"),
    ("pyDVL", "LissaInfluence", "dtype = float64", "LiSSA"),
    ("pyDVL", "NystroemSketchInfluence", "dtype = float64", "Nyström, full rank"),
    ("pyDVL", "EkfacInfluence", "dtype = float32, regularization = l2, update_diagonal = True", "EK-FAC"),
    ("kronfluence", "Analyzer", "strategy = identity", "identity"),
    ("kronfluence", "Analyzer", "strategy = kfac", "K-FAC"),
    (
        "kronfluence",
        "Analyzer",
        "strategy = ekfac, batch = all, dtype = float64, damping_factor = l2, reduction = sum, use_empirical_fisher = True",
        "EK-FAC",
    ),
    ("traker", "TRAKer", "batch = all, projection = none, lambda_reg = N l2 / P", "TRAK, no projection"),
    ("traker", "TRAKer", "batch = all, projection = None, lambda_reg = 0", "TRAK, defaults"),
    ("shapiq", "ExactComputer", "index = shapley, target = margin", "exact Shapley values"),
    ("shapiq", "approximator", "approximator = KernelSHAP, budget = 100", "KernelSHAP, 100 subsets"),
    ("dfdw", "influence exact", "", "influence"),
    ("dfdw", "influence gauss_newton", "", "Gauss-Newton"),
    ("dfdw", "influence kfac", "", "K-FAC"),
    ("dfdw", "influence ekfac", "", "EK-FAC"),
    ("dfdw", "trajectory source", "", "SOURCE"),
)


@dataclass(frozen=True)
class Line:
    """A line of the picture: a library's method, with its relative error after the best factor and that factor, by truth."""

    library: str
    label: str
    error: dict[str, float]
    factor: dict[str, float]


def data(table: Sequence[dict[str, Any]]) -> list[Line]:
    """Return a line for each method, with the run of fewest options; the error is that to D(1), of values to what they are."""
    lines = list[Line]()
    for library, method, options, label in _LINES:
        error, factor = dict[str, float](), dict[str, float]()
        for truth in _TRUTHS:
            fitting = [
                row
                for row in table
                if (row["library"], row["method"], row["truth"], row["error"]) == (library, method, truth, "")
                and set(options.split(", ")) <= {*row["options"].split(", "), ""}
            ]
            if fitting:
                row = min(fitting, key=lambda row: row["options"].count(","))
                error[truth] = row["mismatch"] if library == "shapiq" else row["to_D1"]
                factor[truth] = row["factor"] if library == "shapiq" else row["scale"]
        lines.append(Line(library, label, error, factor))
    return lines


def alt(lines: Sequence[Line]) -> str:
    """Describe the errors of all lines."""
    parts = [f"{line.library} {line.label}: {max(line.error.values()):.1g}" for line in lines if line.error]
    return f"Relative errors of scores after the best factor, by library and method. {'; '.join(parts)}."


def draw(lines: Sequence[Line]) -> Figure:
    """Draw the errors on a logarithmic axis, with the factor on D(1) of the first truth that has one beside each."""
    with mpl.rc_context(style()):
        figure = Figure(figsize=(9.5, 0.29 * len(lines) + 1.9), layout="constrained")
        ax = figure.subplots()
        places = np.arange(len(lines))[::-1].astype(np.float64)
        for truth, (color, marker, name) in _TRUTHS.items():
            shift = 0.12 if marker == "o" else -0.12
            at = [k for k, line in enumerate(lines) if truth in line.error]
            x = [max(lines[k].error[truth], _FLOOR) for k in at]
            ax.scatter(x, places[at] + shift, color=color, marker=marker, s=34, label=name, zorder=3)
        for k, line in enumerate(lines):
            if line.factor:
                ax.text(
                    1.02, places[k], _factor(next(iter(line.factor.values()))), transform=ax.get_yaxis_transform(), va="center"
                )
        first = [k for k, line in enumerate(lines) if k and lines[k - 1].library != line.library]
        for k in first:
            ax.axhline(places[k] + 0.5, color=GREY, linewidth=0.6)
        ax.set_yticks(places, [f"{line.library}: {line.label}" for line in lines])
        ax.set_ylim(-0.6, len(lines) - 0.4)
        ax.set_xscale("log")
        ax.set_xlim(_FLOOR / 2.0, 1.6)
        ax.grid(axis="x", color=GREY, alpha=0.25)
        ax.set_xlabel("relative error after the best factor, against D(1) (shapiq: against the value that it estimates)")
        ax.text(1.02, len(lines) - 0.3, "factor", transform=ax.get_yaxis_transform(), va="bottom", fontweight="bold")
        ax.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2)
        figure.suptitle("Explicit influence is right up to a factor; with Kronecker factors it is not", fontsize=14)
    return figure


def _factor(value: float) -> str:
    """Return a factor as text, such as -16."""
    return f"{value:.3g}".replace("-", "\N{MINUS SIGN}")


def main(table: str, folder: str) -> None:
    """Write peers.png and peers.svg into a folder, from the judge's table, `sims/peers/scores/table.json`."""
    for suffix, content in render(draw(data(json.loads(Path(table).read_text(encoding="utf-8"))))).items():
        print(keep(Path(folder) / f"peers.{suffix}", content))


if __name__ == "__main__":
    main(*sys.argv[1:])
