"""The module estimates what fits on many columns cost, so that what cannot end is refused before it starts.

A fit of d columns solves systems of d equations: its time grows as d^3. Up to 8,192 fits run at once, and each keeps its
d (d + 1) / 2 second derivatives in float64 and float32, and their factors: 16 bytes a number. Several experiments fit all subsets
more than once, or their derivatives: the estimate, for one time, is a lower bound of what `verify` takes.
"""

from theory.memory import require_memory

__all__ = ["fit_seconds", "require_affordable"]

_AT_ONCE = 2**13
_SECONDS_PER_CUBE = 4e-10
"""Measured for logistic regression, the slower of the two convex learners, on one core with 256 columns: 6 ms a fit."""

_MOST_SECONDS = 3600.0


def fit_seconds(n_columns: int) -> float:
    """Return an estimate of the seconds that one fit of logistic regression takes on one core: 4e-10 d^3, at least 2e-5.

    >>> fit_seconds(10), round(fit_seconds(1000), 3)
    (2e-05, 0.4)
    """
    return max(2e-5, _SECONDS_PER_CUBE * n_columns**3)


def require_affordable(n_columns: int, n_fits: int, what: str, remedy: str) -> None:
    """Raise ValueError if `n_fits` fits of `n_columns` columns take more than an hour, and MemoryError if they do not fit.

    >>> require_affordable(64, 2**12, "file.csv", "drop some")
    >>> require_affordable(10**6, 2**4, "file.csv", "drop some")
    Traceback (most recent call last):
    ValueError: file.csv: 16 fits of 1,000,000 columns take about 1,777,778 hours, at most 1 is allowed: drop some
    """
    seconds = n_fits * fit_seconds(n_columns)
    if seconds > _MOST_SECONDS:
        raise ValueError(
            f"{what}: {n_fits:,} fits of {n_columns:,} columns take about {seconds / 3600:,.0f} hours, at most 1 is allowed: "
            f"{remedy}"
        )
    n_bytes = min(n_fits, _AT_ONCE) * 16 * n_columns * (n_columns + 1) // 2
    require_memory(n_bytes, f"{what}: fits of {n_columns:,} columns at once", remedy)
