"""Attribute the outputs of a learner to its training points, by all scores of the project side by side.

`attribute` computes the scores, `attributions_csv` writes them for spreadsheets, and `attributions_text` for a terminal.
"""

import csv
import io
import json
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sims.retrain import engine, response_table
from theory.answers import require_learner
from theory.datamodel import fit_sampled, optimal_datamodel
from theory.derivatives import finite_difference
from theory.influence import hessian_influence
from theory.inputs import as_count, as_seed, as_seeds
from theory.laws import Bernoulli
from theory.metrics import compare
from theory.response import Array, DifferentiableLearner, Learner, LinearizableLearner, takes_masks_only, weight_derivative
from theory.sampling.designs import for_leave_one_out, for_shapley, independent
from theory.values import leave_one_out, shapley

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["COLUMNS", "SCORES", "attribute", "attributions_csv", "attributions_text", "columns_json"]

SCORES = ("beta", "derivative", "leave_one_out", "shapley", "influence")
"""The scores, in the order of the columns."""

COLUMNS = {
    "train_row": "row of the file that was trained on, counted from 0, the first one below the header",
    "query_row": "row of the file whose output is attributed, counted in the same way",
    "beta": "optimal datamodel coefficient over uniform subsets, the Banzhaf value",
    "beta_error": "its standard error (HC3); 0 where all subsets are used",
    "derivative": "D(1): dF/dw_i at w = 1",
    "derivative_error": "0 where it is exact, else its own estimate of the error of differences",
    "leave_one_out": "F(1) - F(1 - e_i), exact: N + 1 retrainings",
    "shapley": "Shapley value",
    "shapley_error": "its standard error; 0 where all subsets are used",
    "influence": "Hessian influence -(1/N) grad f^T H^-1 grad l_i; empty where the Hessian is singular or unknown",
}
"""Columns of attributions.csv and what they hold. A positive score raises the output; units are those of the output."""

MOST_EXACT = 12
"""Most points for which all subsets are used, unless the caller asks for more."""


def attribute(
    learner: Learner,
    n_seeds: int = 1,
    *,
    most_exact: int = MOST_EXACT,
    n_retrainings: int | None = None,
    seed: int = 0,
    executor: engine.Executor | int | None = None,
) -> "xr.Dataset":
    """Compute beta, D(1), leave-one-out, Shapley values and Hessian influence of every point for every output.

    F is the mean over the seeds 0 .. n_seeds - 1. Up to `most_exact` points the learner is retrained on all subsets, and every
    score is exact for this F. With more, beta is fitted to `n_retrainings` uniform subsets by least squares, and Shapley values
    take at most as many retrainings by the plan `for_shapley`; both have standard errors. Their default is 100 per point, at most
    20,000 and at least what the plan needs. `seed` draws the subsets. Leave-one-out always takes N + 1 retrainings, exactly. D(1)
    is exact where the learner has weight_jacobian, else by differences, with their error.

    The result has the dimensions point and output. `beta_error`, `shapley_error` and `derivative_error` are 0 where nothing is
    estimated. A score that the learner cannot give is NaN; the attribute `left_out` (JSON) gives the reason. `how` says in words
    how beta was found, and `n_retrainings` counts the trainings per seed.

    >>> from sims.learners import LeastSquares
    >>> found = attribute(LeastSquares([[1.0]], [1.0], [[1.0]], l2=1.0))  # F(w) = w / (w + 1)
    >>> [round(float(found[name][0, 0]), 12) for name in ("beta", "derivative", "leave_one_out", "shapley", "influence")]
    [0.5, 0.25, 0.5, 0.5, 0.25]
    """
    import xarray as xr

    require_learner(learner)
    n, seeds, seed = learner.n_points, as_seeds(range(as_count("n_seeds", n_seeds))), as_seed(seed)
    most_exact = as_count("most_exact", most_exact, least=0)
    wanted = max(min(20_000, 100 * n), 16 * n - 8) if n_retrainings is None else as_count("n_retrainings", n_retrainings)
    exact, zero = n <= most_exact, np.zeros((n, learner.n_outputs))
    if exact:
        responses = response_table(learner, seeds, executor=executor).mean
        beta, value, removal = optimal_datamodel(responses).coefficients, shapley(responses), leave_one_out(responses)
        beta_error = value_error = zero
        how, trained = f"all {len(responses)} subsets", len(responses)
    else:

        def retrained(weights: Array) -> Array:
            return response_table(learner, seeds, weights=weights, executor=executor).mean

        orders = for_shapley(n_points=n, n_retrainings=wanted, seed=seed)
        removals = for_leave_one_out(n_points=n, n_retrainings=n + 1, seed=seed)
        design = independent(Bernoulli(0.5), n_subsets=wanted, n_points=n, seed=seed)
        fit = fit_sampled(design, retrained(design.masks))
        found, left = (plan.estimate(retrained(plan.weights)) for plan in (orders, removals))
        beta, beta_error = fit.coefficients, fit.standard_errors
        value, value_error, removal = found.values, found.standard_errors, left.values
        trained = len(design.masks) + len(orders.weights) + len(removals.weights)
        how = f"{wanted} drawn subsets"
    left_out = dict[str, str]()
    (derivative, derivative_error), influence = _derivative(learner, seeds, left_out), _influence(learner, seeds, left_out)
    arrays = {
        "beta": beta,
        "beta_error": beta_error,
        "derivative": derivative,
        "derivative_error": derivative_error,
        "leave_one_out": removal,
        "shapley": value,
        "shapley_error": value_error,
        "influence": influence,
    }
    result = xr.Dataset(
        {name: (("point", "output"), array, {"long_name": COLUMNS[name]}) for name, array in arrays.items()},
        {"point": np.arange(n), "output": np.arange(learner.n_outputs)},
        {"how": how, "n_seeds": len(seeds), "n_retrainings": trained},
    )
    return result.assign_attrs(left_out=json.dumps(left_out)) if left_out else result


def _derivative(learner: Learner, seeds: Sequence[int], left_out: dict[str, str]) -> tuple[Array, Array]:
    """Return D(1) and its error, (N, M) each: exact, or by differences, or NaN for a learner of masks only."""
    shape, ones = (learner.n_points, learner.n_outputs), np.ones(learner.n_points)
    if isinstance(learner, DifferentiableLearner):
        return weight_derivative(learner, ones, seeds), np.zeros(shape)
    if takes_masks_only(learner):
        left_out["derivative"] = f"{type(learner).__name__} takes weights 0 and 1 only"
        return np.full(shape, np.nan), np.full(shape, np.nan)
    found = finite_difference(learner, ones, seeds)
    return found.derivative, found.error


def _influence(learner: Learner, seeds: Sequence[int], left_out: dict[str, str]) -> Array:
    """Return Hessian influence (N, M) at w = 1, or NaN where it is undefined."""
    undefined = np.full((learner.n_points, learner.n_outputs), np.nan)
    if not isinstance(learner, LinearizableLearner):
        left_out["influence"] = f"{type(learner).__name__} has no linearize"
        return undefined
    try:
        return hessian_influence(learner.linearize(np.ones(learner.n_points), seeds))
    except np.linalg.LinAlgError as error:
        left_out["influence"] = str(error)
        return undefined


def attributions_csv(found: "xr.Dataset", train_rows: Sequence[int], query_rows: Sequence[int]) -> str:
    """Write one line per training row and query row, under a header with the names of `COLUMNS`; NaN is an empty cell.

    Numbers are written with all their digits: reading them gives the same numbers.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    names = list(COLUMNS)[2:]
    for j, query in enumerate(query_rows):
        for i, row in enumerate(train_rows):
            numbers = [float(found[name].values[i, j]) for name in names]
            writer.writerow([row, query, *("" if x != x else repr(x) for x in numbers)])
    return out.getvalue()


def columns_json(found: "xr.Dataset", about: dict[str, Any]) -> str:
    """Write what the columns of attributions.csv hold, how the scores were found, and the facts `about` the problem, as JSON."""
    content = {**about, **found.attrs, "columns": COLUMNS}
    content |= {name: json.loads(content[name]) for name in ("options", "left_out") if name in content}
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


_SHOWN = 3
_WIDTH = 80
_CELL, _GAP = 9, 2
"""Columns of a score without an error, such as -0.000123, and between two scores."""
_TITLES = {
    "beta": "beta",
    "derivative": "D(1)",
    "leave_one_out": "leave-one-out",
    "shapley": "Shapley",
    "influence": "influence",
}


def attributions_text(found: "xr.Dataset", train_rows: Sequence[int], query_rows: Sequence[int], output: str) -> str:
    """Write which rows raise and lower the first query's output most, by beta, and how beta agrees with every other score.

    Tables are at most 80 columns wide, unless numbers of rows are very long.
    """
    names = [name for name in SCORES if np.isfinite(found[name]).all()]
    beta = found["beta"].values[:, 0]
    order: list[int] = np.argsort(-beta, kind="stable").tolist()
    raising, lowering = ([i for i in ordered if sign * beta[i] > 0.0] for sign, ordered in ((1.0, order), (-1.0, order[::-1])))
    shown = {"raise it most": raising[:_SHOWN], "lower it most": lowering[:_SHOWN]}
    columns = {name: {i: _cell(found, name, i) for rows in shown.values() for i in rows} for name in names}
    widths = {name: max(_CELL, len(_TITLES[name]), *map(len, cells.values())) + _GAP for name, cells in columns.items()}
    first = max(3, *(len(str(train_rows[i])) for rows in shown.values() for i in rows))
    lines = [
        *textwrap.wrap(
            f"query row {query_rows[0]}, {output}: effect of each training row, by {found.attrs['how']} (rows count from 0, "
            "below the line of names)",
            _WIDTH,
        ),
        f"  {'row':>{first}}{''.join(f'{_TITLES[name]:>{width}}' for name, width in widths.items())}",
    ]
    for title, rows in shown.items():
        lines.append(f"  {title}{'' if rows else ': none'}")
        lines += [
            f"  {train_rows[i]:>{first}}{''.join(f'{columns[name][i]:>{width}}' for name, width in widths.items())}" for i in rows
        ]
    queries = "1 query" if len(query_rows) == 1 else f"{len(query_rows)} queries"
    lines.append(f"all {len(train_rows)} rows and {queries}: beta against each other score")
    lines.append(f"  {'':14}{'slope':>10}{'relative error':>18}{'rank correlation':>20}")
    for name in names[1:]:
        measured = compare(found["beta"], found[name])
        lines.append(f"  {_TITLES[name]:14}{measured.slope:>10.3g}{measured.relative_error:>18.3g}{measured.spearman:>20.3f}")
    return "\n".join(lines)


def _cell(found: "xr.Dataset", name: str, point: int) -> str:
    value, error = (float(found[key].values[point, 0]) if key in found else 0.0 for key in (name, f"{name}_error"))
    return f"{value:+.3g}" + (f" ± {error:.1g}" if error > 0.005 * abs(value) else "")
