"""Data sets: real ones that ship inside statsmodels, and synthetic ones with a prescribed difficulty.

Real designs are an intercept column of ones followed by the named columns, each standardised by the mean and standard
deviation (divisor N) of the training rows; regression targets are standardised likewise, so one unit of the output is one
standard deviation of the target. Which rows train is a fixed rule given in each docstring, and written down in `train_rows`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sims.streams import stream
from theory.response import Array

__all__ = ["DataSet", "by_name", "names", "standardised", "two_classes", "with_eigenvalues", "with_leverages"]


@dataclass(frozen=True, eq=False)
class DataSet:
    """Training points, queries and where they come from."""

    name: str
    X: Array  # (N, d)
    y: Array  # (N,)
    X_query: Array  # (M, d)
    columns: tuple[str, ...]  # d names
    unit: str  # of a learner's output
    source: str
    train_rows: tuple[int, ...] = ()  # rows of the original file, the first one is 0
    query_rows: tuple[int, ...] = ()
    labels: tuple[str, ...] = ()  # of the file, for y = 0 and for y = 1, where they are not these numbers


def standardised(values: Array, rows: NDArray[np.int64], columns: Sequence[str], source: str) -> Array:
    """Columns (rows of the file, d) less the mean of the training rows, over their standard deviation (divisor N).

    Each is first scaled by a power of two, which changes no digit and keeps the squares of any finite numbers finite.
    """
    low, high = values[rows].min(axis=0), values[rows].max(axis=0)
    if (low == high).any():
        constant = [name for name, same in zip(columns, low == high, strict=True) if same]
        raise ValueError(f"{source} with {len(rows)} training rows: {constant} do not vary among them; take more rows")
    with np.errstate(over="ignore", under="ignore"):
        scaled = np.ldexp(values, -np.frexp(np.maximum(np.abs(low), np.abs(high)))[1])
        result = (scaled - scaled[rows].mean(axis=0)) / scaled[rows].std(axis=0)
    if not np.isfinite(result).all():
        name = columns[int(np.argwhere(~np.isfinite(result))[0, 1])]
        raise ValueError(f"{source}: {name!r} varies so little among the training rows that another row is infinitely far")
    return result


_registry: dict[str, Callable[..., DataSet]] = {}


def names() -> tuple[str, ...]:
    """Every data set that `by_name` knows.

    >>> "spector" in names()
    True
    """
    return tuple(sorted(_registry))


def by_name(name: str, n_points: int | None = None) -> DataSet:
    """A data set by name, with its own default or the given number of training points.

    >>> data = by_name("spector", 8)
    >>> data.X.shape, data.columns, data.y.tolist()
    ((8, 4), ('intercept', 'GPA', 'TUCE', 'PSI'), [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0])
    """
    if name not in _registry:
        raise ValueError(f"data set {name!r} is unknown, expected one of {', '.join(names())}")
    return _registry[name]() if n_points is None else _registry[name](n_points)


def _register(function: Callable[..., DataSet]) -> Callable[..., DataSet]:
    _registry[function.__name__] = function
    return function


@_register
def longley(n_points: int = 16) -> DataSet:
    """US employment 1947-1962 (Longley 1967; used by Cook 1977): 16 years, 6 nearly collinear columns.

    Columns: GNPDEFL (GNP deflator, index), GNP (million dollars), UNEMP (thousands unemployed), ARMED (thousands in the armed
    forces), POP (thousands of age 14 and over), YEAR; target TOTEMP, thousands employed. Training rows: the first n_points years.
    Queries: all 16 years.
    """
    rows = np.arange(_at_most(n_points, 16, "longley"))
    return _from_statsmodels(
        "longley", "TOTEMP", rows, np.arange(16), "standard deviations of TOTEMP", "Longley 1967, JASA 62:819"
    )


@_register
def stackloss(n_points: int = 16) -> DataSet:
    """Ammonia lost from a plant on 21 days (Brownlee 1965), famous for its outliers, the days 1, 3, 4 and 21.

    Columns: AIRFLOW (rate of operation), WATERTEMP (cooling water, degrees Celsius), ACIDCONC (acid concentration, per 1000 minus
    500); target STACKLOSS, ten times the percentage lost. Training rows: the first n_points days. Queries: all 21 days.
    """
    rows = np.arange(_at_most(n_points, 21, "stackloss"))
    return _from_statsmodels("stackloss", "STACKLOSS", rows, np.arange(21), "standard deviations of STACKLOSS", "Brownlee 1965")


@_register
def spector(n_points: int = 16) -> DataSet:
    """Whether a student's grade improved under a new way of teaching (Spector & Mazzeo 1980): 32 students, 11 of whom improved.

    Columns: GPA (grade point average), TUCE (score in an economics test), PSI (1 if taught in the new way); target GRADE, 1 if
    improved. Training rows: the first n_points/2 students of each class, in the order of the file. Queries: all the others.
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


@_register
def fair(n_points: int = 200) -> DataSet:
    """Extramarital affairs of 6,366 women (Fair 1978, survey of Redbook magazine): large enough for sampled subsets.

    Columns: rate_marriage, age, yrs_married, children, religious, educ, occupation, occupation_husb (codes and years as in the
    source); target: 1 if affairs > 0. Training rows: the first n_points of a fixed random order (the file is sorted by the
    target); queries: the next 16.
    """
    y = _statsmodels_column("fair", "affairs")
    order = stream("rows of fair", 0).permutation(len(y))
    _at_most(n_points, len(y) - 16, "fair")
    rows, queries = order[:n_points], order[n_points : n_points + 16]
    return _from_statsmodels("fair", "affairs", rows, queries, "logit", "Fair 1978, J. Polit. Econ. 86:45", binary=True)


@_register
def one_point(n_points: int = 1) -> DataSet:
    """x = 1, y = 1, asked for at x = 1: the smallest problem there is. With l2 = 1, F(w) = w / (w + 1)."""
    one = np.ones((_at_most(n_points, 1, "one_point"), 1))
    return DataSet("one_point", one, one[:, 0], one, ("x",), "units of y", "by hand", (0,), (0,))


@_register
def noisy_line(n_points: int = 64) -> DataSet:
    """y = 1 + x + standard normal noise on an orthogonal design (intercept and one column, XᵀX = N I), queries x = -1 and 2."""
    x = with_eigenvalues(n_points, [1.0], seed=0)
    X = np.column_stack([np.ones(n_points), (x - x.mean(axis=0)) / x.std(axis=0)])
    y = X.sum(axis=1) + stream("noisy_line", 0).standard_normal(n_points)
    return DataSet(
        "noisy_line", X, y, np.array([[1.0, -1.0], [1.0, 2.0]]), ("intercept", "x"), "noise standard deviations", "synthetic"
    )


@_register
def xor(n_points: int = 8) -> DataSet:
    """Four corners (-1, -1), (1, 1): label 0, (-1, 1), (1, -1): label 1, in turn, plus normal noise of sd 0.35; 8 queries."""

    def draw(count: int, seed: int) -> tuple[Array, Array]:
        corners = np.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, 1.0], [1.0, -1.0]])[np.arange(count) % 4]
        return corners + 0.35 * stream("xor", seed).standard_normal((count, 2)), (np.arange(count) % 2).astype(np.float64)

    return _two_columns("xor", *draw(n_points, 0), draw(8, 1)[0])


@_register
def two_moons(n_points: int = 10) -> DataSet:
    """Two half circles of radius 1, interleaved, labels in turn, plus normal noise of sd 0.2; 8 queries.

    Label 0: (cos t, sin t), label 1: (1 - cos t, 1/2 - sin t), t uniform on (0, pi); both moved by (-1/2, -1/4).
    """

    def draw(count: int, seed: int) -> tuple[Array, Array]:
        rng, y = stream("two_moons", seed), (np.arange(count) % 2).astype(np.float64)
        t = rng.uniform(0.0, np.pi, count)
        moons = np.stack([(1 - 2 * y) * np.cos(t) + y - 0.5, (1 - 2 * y) * np.sin(t) + 0.5 * y - 0.25], axis=1)
        return moons + 0.2 * rng.standard_normal((count, 2)), y

    return _two_columns("two_moons", *draw(n_points, 0), draw(8, 1)[0])


def _two_columns(name: str, X: Array, y: Array, X_query: Array) -> DataSet:
    if len(X) < 4:
        raise ValueError(f"n_points = {len(X)}, expected at least 4 for {name}")
    return DataSet(name, X, y, X_query, ("x1", "x2"), "logit", "synthetic")


def with_eigenvalues(n_points: int, eigenvalues: Sequence[float], seed: int) -> Array:
    """A random design (N, d) for which (1/N) X^T X has exactly the given eigenvalues (random orthonormal bases on both sides).

    >>> X = with_eigenvalues(10, [4.0, 1.0], seed=0)
    >>> np.linalg.eigvalsh(X.T @ X / 10).round(9).tolist()
    [1.0, 4.0]
    """
    values = np.asarray(eigenvalues, dtype=np.float64)
    d = len(values)
    if values.ndim != 1 or not 1 <= d <= n_points or (values < 0.0).any():
        raise ValueError(f"eigenvalues {values} for {n_points} points: expected 1 to {n_points} numbers >= 0")
    rng = stream("with_eigenvalues", seed)
    left = np.linalg.qr(rng.standard_normal((n_points, d)))[0]
    right = np.linalg.qr(rng.standard_normal((d, d)))[0]
    return left * np.sqrt(n_points * values) @ right.T


def with_leverages(leverages: Sequence[float], n_columns: int, seed: int) -> Array:
    """A random design (N, d) whose points have exactly the given leverages h_i = x_i^T (X^T X)^-1 x_i.

    They must lie in [0, 1] and sum to d. Built by N - 1 plane rotations of the rows of [I; 0], each of which gives one row its
    norm (constructive Schur-Horn theorem: Chan & Li 1983).

    >>> X = with_leverages([0.5, 0.5, 0.75, 0.25], n_columns=2, seed=0)
    >>> np.diag(X @ np.linalg.inv(X.T @ X) @ X.T).round(9).tolist()
    [0.5, 0.5, 0.75, 0.25]
    """
    target = np.asarray(leverages, dtype=np.float64)
    inside = target.ndim == 1 and (np.abs(target - 0.5) <= 0.5 + 1e-12).all()  # rounding may leave 1 + eps
    if not inside or not np.isclose(target.sum(), n_columns, rtol=1e-12):
        raise ValueError(f"leverages sum to {target.sum():g}, expected numbers in [0, 1] that sum to n_columns = {n_columns}")
    target = target.clip(0.0, 1.0)
    n = len(target)
    rank = np.argsort(-target, kind="stable")  # give the unit rows to the highest leverages
    Q = np.zeros((n, n_columns))
    Q[rank[:n_columns]] = np.eye(n_columns)
    for _ in range(n - 1):
        gap = (Q**2).sum(axis=1) - target
        high, low = int(gap.argmax()), int(gap.argmin())
        if gap[high] <= 1e-15 or gap[low] >= -1e-15:
            break
        fixed, other = (high, low) if gap[high] <= -gap[low] else (low, high)
        Q[[fixed, other]] = _rotate_to_norm(Q[fixed], Q[other], target[fixed])
    mix = stream("with_leverages", seed).standard_normal((n_columns, n_columns))
    return Q @ np.linalg.qr(mix)[0] * np.sqrt(n)


def two_classes(n_points: int, n_columns: int, gap: float, seed: int) -> tuple[Array, NDArray[np.float64]]:
    """A design with intercept (N, 1 + columns) and balanced labels whose first column separates the classes by exactly `gap`.

    gap > 0: separable, the nearest points of the two classes are `gap` apart; gap < 0: the classes overlap by |gap|, and no
    direction separates them when the other columns carry no information. Check with `sims.learners.logistic.is_separable`.

    >>> X, y = two_classes(6, 1, gap=0.5, seed=0)
    >>> float((X[y == 1, 1].min() - X[y == 0, 1].max()).round(9))
    0.5
    """
    if n_points < 4 or n_columns < 1:
        raise ValueError(f"{n_points} points and {n_columns} columns, expected at least 4 points and 1 column")
    rng = stream("two_classes", seed)
    y = (np.arange(n_points) % 2).astype(np.float64)
    depth = rng.exponential(size=n_points)
    for label in (0.0, 1.0):
        depth[y == label] -= depth[y == label].min()
    first = (2.0 * y - 1.0) * (0.5 * gap + depth)
    return np.column_stack([np.ones(n_points), first, rng.standard_normal((n_points, n_columns - 1))]), y


def _rotate_to_norm(row: Array, other: Array, norm2: float) -> Array:
    """Rotate two rows in their plane so that the first has squared norm `norm2`, which lies between theirs."""
    a, b, g = row @ row - norm2, other @ other - norm2, row @ other
    t = -a / (g + np.copysign(np.sqrt(max(g * g - a * b, 0.0)), g)) if (g or a * b) else 0.0  # a + 2 g t + b t^2 = 0
    c = 1.0 / np.hypot(1.0, t)
    return np.stack([c * row + c * t * other, c * other - c * t * row])


def _statsmodels_column(name: str, column: str) -> Array:
    return _statsmodels_table(name)[column]


def _statsmodels_table(name: str) -> dict[str, Array]:
    import importlib

    frame = importlib.import_module(f"statsmodels.datasets.{name}").load_pandas().data
    return {str(column): np.asarray(frame[column], dtype=np.float64) for column in frame.columns}


def _from_statsmodels(
    name: str, target: str, rows: NDArray[np.int64], queries: NDArray[np.int64], unit: str, source: str, *, binary: bool = False
) -> DataSet:
    table = _statsmodels_table(name)
    y = table.pop(target)
    X = np.column_stack(list(table.values()))
    design = np.column_stack([np.ones(len(X)), standardised(X, rows, tuple(table), name)])
    values = (y > 0.0).astype(np.float64) if binary else standardised(y[:, None], rows, [target], name)[:, 0]
    picked, asked = tuple(map(int, rows)), tuple(map(int, queries))
    return DataSet(name, design[rows], values[rows], design[queries], ("intercept", *table), unit, source, picked, asked)


def _at_most(n_points: int, limit: int, name: str) -> int:
    if not 1 <= n_points <= limit:
        raise ValueError(f"n_points = {n_points}, expected 1 to {limit} for {name}")
    return n_points
