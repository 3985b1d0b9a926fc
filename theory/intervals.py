"""Compute half-widths of 95% intervals: of means with few seeds, of medians, and of shares.

All return how far a figure may be from the truth, in the unit of the figure, as `Evidence.doubt` wants it.
"""

import numpy as np
import scipy
from numpy.typing import ArrayLike

from theory.inputs import as_count, as_numbers
from theory.response import Array

__all__ = ["half_width", "mean_and_error", "median_doubt", "root_and_doubt", "share_doubt", "sum_of_errors"]


def half_width(standard_error: float, degrees: float) -> float:
    """Return t standard errors, t the 97.5% quantile of Student's law with these degrees of freedom, one less than the seeds.

    It is 0 without degrees of freedom, as of one seed: nothing is sampled. An undefined standard error (NaN) of several seeds
    could be anything, and is infinite.

    >>> round(half_width(1.0, 1), 2), round(half_width(1.0, 31), 2), half_width(float("nan"), 0)
    (12.71, 2.04, 0.0)
    """
    if degrees <= 0:
        return 0.0
    return np.inf if np.isnan(standard_error) else float(scipy.special.stdtrit(degrees, 0.975) * standard_error)


def mean_and_error(values: Array) -> tuple[float, float]:
    """Return the mean of independent observations (D,) and its standard error, which is NaN for a single one."""
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return float(values.mean()), float(error)


def sum_of_errors(*errors: tuple[float, float]) -> tuple[float, float]:
    """Return the standard error of a sum of independent estimates, and its degrees of freedom.

    Each of `errors` is a standard error with its degrees of freedom; one that is 0 or NaN adds nothing. The degrees are
    (sum s_k^2)^2 / sum(s_k^4 / d_k); they are 0 where nothing is sampled. Sources: Welch 1947; Satterthwaite 1946.

    >>> sum_of_errors((3.0, 5), (4.0, 7))[0], round(sum_of_errors((1.0, 8), (1.0, 8))[1], 9)
    (5.0, 16.0)
    """
    known = [(error**2, degrees) for error, degrees in errors if error > 0.0]
    if not known:
        return np.nan, 0.0
    total = sum(variance for variance, _ in known)
    return float(np.sqrt(total)), float(total**2 / sum(variance**2 / degrees for variance, degrees in known))


def root_and_doubt(square: float, half: float) -> tuple[float, float]:
    """Return the square root of an estimate square ± half of something that is not negative, and the doubt of the root.

    An estimate below 0 counts as 0. The doubt is the distance from the root to the farther end of the interval, which ends at 0.

    >>> root_and_doubt(25.0, 9.0), root_and_doubt(-1.0, 10.0)
    ((5.0, 1.0), (0.0, 3.0))
    >>> root_and_doubt(4.0, 5.0)
    (2.0, 2.0)
    """
    root, low, high = (float(np.sqrt(max(x, 0.0))) if x == x else np.nan for x in (square, square - half, square + half))
    return root, max(root - low, high - root)


def median_doubt(values: ArrayLike, towards: float) -> float:
    """Return the distance from the median of values (R,) to that end of its 95% interval which is nearer to `towards`.

    The interval has order statistics k and R + 1 - k as its ends, with the largest k for which it covers the median of any
    continuous law with a probability of 95%: 1 - 2 P(Bin(R, 1/2) < k). It is 0 for one value, where nothing is sampled, and
    infinite for 2 to 5 values, which are too few for any interval. Source: Thompson 1936.

    >>> median_doubt([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 70.0], towards=0.0)  # from the median 4 to the least value
    3.0
    """
    ordered = np.sort(as_numbers("values", values, "(R,)"))
    n = len(ordered)
    if n == 1:
        return 0.0
    below = 2.0 * np.asarray(scipy.special.bdtr(np.arange(n // 2), n, 0.5)) <= 0.05  # P(Bin < k) for k = 1, 2, ..
    k = int(below.sum())
    if k == 0:
        return float("inf")
    median = float(np.median(ordered))
    return float(median - ordered[k - 1] if towards < median else ordered[n - k] - median)


def share_doubt(count: int, total: int, towards: float) -> float:
    """Return the distance from the share count / total to that end of its 95% interval which is nearer to `towards`.

    The interval is that of Clopper & Pearson 1934, which covers the probability of a binomial law at least 95% of the time.

    >>> round(share_doubt(0, 32, towards=1.0), 3)  # 1 - 0.025^(1/32)
    0.109
    """
    share = count / as_count("total", total)
    if towards < share:
        return share - float(scipy.special.betaincinv(count, total - count + 1, 0.025)) if count else 0.0
    return float(scipy.special.betaincinv(count + 1, total - count, 0.975)) - share if count < total else 0.0
