"""The module loads real data sets, all of which ship with statsmodels.

A design has an intercept column of ones, then the named columns. Each of these is standardised by the mean and the standard
deviation (divisor N) of the training rows. Regression targets are standardised in the same way, so that one unit of the output is
one standard deviation of the target. A fixed rule in each docstring chooses the training rows; `train_rows` records them.
"""

import importlib
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sims.datasets.base import DataSet, checked_size, register, standardised
from theory.response import Array
from theory.streams import stream

__all__ = ["anes96", "fair", "fair_anew", "longley", "randhie", "spector", "stackloss"]


@register
def longley(n_points: int = 16) -> DataSet:
    """Return US employment 1947-1962 (Longley 1967; used by Cook 1977): 16 years, 6 nearly collinear columns.

    Columns: GNPDEFL (GNP deflator, index), GNP (million dollars), UNEMP (thousands unemployed), ARMED (thousands in the armed
    forces), POP (thousands of age 14 and over), YEAR; target TOTEMP, thousands employed. Training rows: the first n_points years.
    Queries: all 16 years.
    """
    rows = np.arange(checked_size(n_points, 16, "longley"))
    return _from_statsmodels(
        "longley", "TOTEMP", rows, np.arange(16), "standard deviations of TOTEMP", "Longley 1967, JASA 62:819"
    )


@register
def stackloss(n_points: int = 16) -> DataSet:
    """Return the ammonia lost from a plant on 21 days (Brownlee 1965), known for its outliers, days 1, 3, 4 and 21.

    Columns: AIRFLOW (rate of operation), WATERTEMP (cooling water, degrees Celsius), ACIDCONC (acid concentration, per 1000 minus
    500); target STACKLOSS, ten times the percentage lost. Training rows: the first n_points days. Queries: all 21 days.
    """
    rows = np.arange(checked_size(n_points, 21, "stackloss"))
    return _from_statsmodels("stackloss", "STACKLOSS", rows, np.arange(21), "standard deviations of STACKLOSS", "Brownlee 1965")


@register
def spector(n_points: int = 16) -> DataSet:
    """Return the grades of 32 students, 11 of whom improved, under a new way of teaching (Spector & Mazzeo 1980).

    Columns: GPA (grade point average), TUCE (score in an economics test), PSI (1 if taught in the new way); target GRADE, 1 if
    the grade improved. Training rows: the first n_points/2 students of each class, in the order of the file. Queries: all others.
    """
    if n_points % 2 or not 2 <= n_points <= 22:
        raise ValueError(
            f"spector has 11 students of the smaller class: n_points = {n_points}, expected an even number from 2 to 22"
        )
    y = _statsmodels_column("spector", "GRADE")
    rows = np.sort(np.concatenate([np.flatnonzero(y == label)[: n_points // 2] for label in (0, 1)]))
    others = np.setdiff1d(np.arange(len(y)), rows)
    return _from_statsmodels(
        "spector", "GRADE", rows, others, "logit", "Spector & Mazzeo 1980, J. Econ. Educ. 11:37", binary=True
    )


@register
def fair(n_points: int = 200) -> DataSet:
    """Return a survey of 6,366 women about extramarital affairs (Fair 1978, Redbook magazine): enough points to sample subsets.

    Columns: rate_marriage, age, yrs_married, children, religious, educ, occupation, occupation_husb (codes and years as in the
    source); target: 1 if affairs > 0. Training rows: the first n_points of a fixed random order (the file is sorted by the
    target); queries: the next 16.
    """
    order = stream("rows of fair", 0).permutation(_length("fair"))
    return _survey("fair", "affairs", order, n_points, _FAIR)


@register
def fair_anew(n_points: int = 200) -> DataSet:
    """Return the survey of `fair` with other training rows for every number of points: what is found at two sizes is independent.

    The 16 queries are the same for every number of points.
    """
    return _survey("fair", "affairs", _order_by_size("fair", n_points), n_points, _FAIR, name="fair_anew")


@register
def randhie(n_points: int = 200) -> DataSet:
    """Return 20,190 person-years of the RAND health insurance experiment: who saw a doctor within the year.

    Columns: lncoins (log of coinsurance rate + 1), idp (deductible plan), lpi (log of annual incentive payment), fmde (log of
    deductible), physlm (physical limitation), disea (number of chronic diseases), hlthg, hlthf, hlthp (good, fair, poor health);
    target: 1 if mdvis, the number of visits, is > 0. Queries: 16 rows. Training rows: drawn from all others, anew for every
    number of points, so that what is found at two sizes is independent.
    """
    return _survey("randhie", "mdvis", _order_by_size("randhie", n_points), n_points, "statsmodels 'randhie'")


@register
def anes96(n_points: int = 200) -> DataSet:
    """Return 944 voters of the American National Election Study of 1996: who voted for Dole.

    Columns: logpopul (log of the town's population in thousands + 0.1), TVnews (days a week), selfLR, ClinLR, DoleLR (left to
    right: oneself, Clinton, Dole), PID (party), age, educ, income (codes as in the source); target: vote, 1 for Dole. popul
    itself is left out. Training rows and queries are drawn as those of `randhie`.
    """
    order = _order_by_size("anes96", n_points)
    return _survey("anes96", "vote", order, n_points, "statsmodels 'anes96'", without=("popul",))


_FAIR = "Fair 1978, J. Polit. Econ. 86:45"


def _order_by_size(name: str, n_points: int) -> NDArray[np.int64]:
    """Return an order of all rows of a file: n_points rows drawn anew for every n_points, then 16 that are always the same."""
    rows = stream(f"queries of {name}", 0).permutation(_length(name))
    queries, others = rows[:16], rows[16:]
    checked_size(n_points, len(others), name)
    drawn = stream(f"rows of {name} by size", n_points).permutation(others)
    return np.concatenate([drawn[:n_points], queries, drawn[n_points:]])


def _survey(
    file: str,
    target: str,
    order: NDArray[np.int64],
    n_points: int,
    source: str,
    *,
    name: str | None = None,
    without: tuple[str, ...] = (),
) -> DataSet:
    """Return a data set with a binary target: the first n_points rows of the order train, the next 16 are queries."""
    checked_size(n_points, len(order) - 16, name or file)
    rows, queries = order[:n_points], order[n_points : n_points + 16]
    found = _from_statsmodels(file, target, rows, queries, "logit", source, binary=True, without=without)
    return replace(found, name=name or file)


def _length(name: str) -> int:
    return len(next(iter(_statsmodels_table(name).values())))


def _statsmodels_column(name: str, column: str) -> Array:
    return _statsmodels_table(name)[column]


def _statsmodels_table(name: str) -> dict[str, Array]:
    frame = importlib.import_module(f"statsmodels.datasets.{name}").load_pandas().data
    return {str(column): np.asarray(frame[column], dtype=np.float64) for column in frame.columns}


def _from_statsmodels(
    name: str,
    target: str,
    rows: NDArray[np.int64],
    queries: NDArray[np.int64],
    unit: str,
    source: str,
    *,
    binary: bool = False,
    without: tuple[str, ...] = (),
) -> DataSet:
    """Return a data set of statsmodels with the given training rows and query rows, standardised; a binary target is 0 or 1."""
    table = {column: values for column, values in _statsmodels_table(name).items() if column not in without}
    y = table.pop(target)
    X = np.column_stack(list(table.values()))
    design = np.column_stack([np.ones(len(X)), standardised(X, rows, tuple(table), name)])
    values = (y > 0.0).astype(np.float64) if binary else standardised(y[:, None], rows, [target], name)[:, 0]
    picked, asked = tuple(map(int, rows)), tuple(map(int, queries))
    columns, y_query = ("intercept", *table), values[queries]
    return DataSet(name, design[rows], values[rows], design[queries], columns, unit, source, picked, asked, y_query=y_query)
