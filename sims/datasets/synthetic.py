"""The module makes synthetic data sets, and designs with prescribed eigenvalues, leverages or separation of two classes."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sims.datasets.base import DataSet, checked_size, register
from theory.response import Array
from theory.streams import stream

__all__ = ["noisy_line", "one_point", "two_classes", "two_moons", "with_eigenvalues", "with_leverages", "xor"]


@register
def one_point(n_points: int = 1) -> DataSet:
    """Return the smallest problem: one point x = 1, y = 1, and the query x = 1. Ridge with l2 = 1 gives F(w) = w / (w + 1)."""
    one = np.ones((checked_size(n_points, 1, "one_point"), 1))
    return DataSet("one_point", one, one[:, 0], one, ("x",), "units of y", "by hand", (0,), (0,))


@register
def noisy_line(n_points: int = 64, seed: int = 0) -> DataSet:
    """Return y = 1 + x + standard normal noise on an orthogonal design (intercept and x, XᵀX = N I); queries at x = -1 and 2."""
    x = with_eigenvalues(n_points, [1.0], seed=seed)
    X = np.column_stack([np.ones(n_points), (x - x.mean(axis=0)) / x.std(axis=0)])
    y = X.sum(axis=1) + stream("noisy_line", seed).standard_normal(n_points)
    return DataSet(
        "noisy_line", X, y, np.array([[1.0, -1.0], [1.0, 2.0]]), ("intercept", "x"), "noise standard deviations", "synthetic"
    )


@register
def xor(n_points: int = 8, seed: int = 0) -> DataSet:
    """Return points at the four corners of a square, plus normal noise of standard deviation 0.35, and 8 queries.

    Corners (-1, -1) and (1, 1) have label 0, corners (-1, 1) and (1, -1) label 1. Points take the four corners in turn.
    """

    def draw(count: int, part: int) -> tuple[Array, Array]:
        corners = np.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, 1.0], [1.0, -1.0]])[np.arange(count) % 4]
        noise = 0.35 * stream("xor", 2 * seed + part).standard_normal((count, 2))
        return corners + noise, (np.arange(count) % 2).astype(np.float64)

    return _two_columns("xor", *draw(n_points, 0), *draw(8, 1))


@register
def two_moons(n_points: int = 10, seed: int = 0) -> DataSet:
    """Return points on two interleaved half circles of radius 1, plus normal noise of standard deviation 0.2, and 8 queries.

    Labels alternate. Label 0: (cos t, sin t), label 1: (1 - cos t, 1/2 - sin t), t uniform on (0, pi), both moved by
    (-1/2, -1/4).
    """

    def draw(count: int, part: int) -> tuple[Array, Array]:
        rng, y = stream("two_moons", 2 * seed + part), (np.arange(count) % 2).astype(np.float64)
        t = rng.uniform(0.0, np.pi, count)
        moons = np.stack([(1 - 2 * y) * np.cos(t) + y - 0.5, (1 - 2 * y) * np.sin(t) + 0.5 * y - 0.25], axis=1)
        return moons + 0.2 * rng.standard_normal((count, 2)), y

    return _two_columns("two_moons", *draw(n_points, 0), *draw(8, 1))


def _two_columns(name: str, X: Array, y: Array, X_query: Array, y_query: Array) -> DataSet:
    """Return a data set of two columns; raise ValueError if it has fewer than 4 training points."""
    if len(X) < 4:
        raise ValueError(f"n_points = {len(X)}, expected at least 4 for {name}")
    return DataSet(name, X, y, X_query, ("x1", "x2"), "logit", "synthetic", y_query=y_query)


def with_eigenvalues(n_points: int, eigenvalues: Sequence[float], seed: int) -> Array:
    """Return a random design X (N, d) for which (1/N) X^T X has exactly the given eigenvalues.

    X = sqrt(N) U diag(eigenvalues)^(1/2) V^T with random orthonormal columns in U (N, d) and V (d, d).

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
    """Return a random design X (N, d) whose points have exactly the given leverages h_i = x_i^T (X^T X)^-1 x_i.

    Leverages must lie in [0, 1] and sum to d. The design comes from N - 1 plane rotations of the rows of [I; 0]; each rotation
    gives one row its norm (constructive Schur-Horn theorem: Chan & Li 1983).

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
    """Return a design (N, 1 + columns) and balanced labels; the first column after the intercept separates the classes by `gap`.

    If gap > 0, the classes are separable and their nearest points are exactly `gap` apart in that column. If gap < 0, the classes
    overlap by |gap|, and no direction separates them when the other columns carry no information. Check with
    `sims.learners.logistic.is_separable`.

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
    """Return two rows (2, d), rotated in their plane so that the first has squared norm `norm2`, which lies between theirs."""
    a, b, g = row @ row - norm2, other @ other - norm2, row @ other
    t = -a / (g + np.copysign(np.sqrt(max(g * g - a * b, 0.0)), g)) if (g or a * b) else 0.0  # a + 2 g t + b t^2 = 0
    c = 1.0 / np.hypot(1.0, t)
    return np.stack([c * row + c * t * other, c * other - c * t * row])
