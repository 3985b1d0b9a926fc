"""The module turns standard errors into half-widths of 95% intervals, by Student's t with their own degrees of freedom."""

import numpy as np
from scipy import special

from theory.response import Array

__all__ = ["half_width", "mean_and_error", "sum_of_errors"]


def half_width(error: float, degrees: float) -> float:
    """Return t_{0.975, degrees} * error, half the width of a 95% interval; 0 for NaN, the error where nothing is sampled.

    >>> round(half_width(1.0, 1), 2), round(half_width(1.0, 15), 2), half_width(float("nan"), 0)
    (12.71, 2.13, 0.0)
    """
    return 0.0 if np.isnan(error) else float(special.stdtrit(degrees, 0.975) * error)


def mean_and_error(values: Array) -> tuple[float, float]:
    """Return the mean of independent observations (D,) and its standard error, which is NaN for a single one."""
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return float(values.mean()), float(error)


def sum_of_errors(*errors: tuple[float, float]) -> tuple[float, float]:
    """Return the standard error of a sum of independent estimates, and its degrees of freedom.

    Each of `errors` is a standard error with its degrees of freedom; one that is 0 or NaN adds nothing. The degrees are
    (sum s_k^2)^2 / sum(s_k^4 / d_k). Sources: Welch 1947; Satterthwaite 1946.

    >>> sum_of_errors((3.0, 5), (4.0, 7))[0], round(sum_of_errors((1.0, 8), (1.0, 8))[1], 9)
    (5.0, 16.0)
    """
    known = [(error**2, degrees) for error, degrees in errors if error > 0.0]
    if not known:
        return np.nan, 1.0
    total = sum(variance for variance, _ in known)
    return float(np.sqrt(total)), float(total**2 / sum(variance**2 / degrees for variance, degrees in known))
