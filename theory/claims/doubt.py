"""The module turns the standard error of a mean over seeds into the doubt of a verdict."""

import math

import scipy

__all__ = ["half_width"]


def half_width(standard_error: float, n_seeds: int) -> float:
    """Return half the width of the 95% interval: the standard error times the t quantile with n_seeds - 1 degrees of freedom.

    It is 0 for one seed, whose standard error is undefined (NaN): then nothing is sampled.

    >>> round(half_width(1.0, 2), 1), round(half_width(1.0, 16), 2), half_width(float("nan"), 1)
    (12.7, 2.13, 0.0)
    """
    if n_seeds < 2:
        return 0.0
    if math.isnan(standard_error):
        return math.inf  # undefined without some seed: anything is possible
    return standard_error * float(scipy.special.stdtrit(n_seeds - 1, 0.975))
