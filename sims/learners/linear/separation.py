"""Decide whether classes can be separated, so that an optimum without a penalty does not exist."""

import numpy as np
import scipy
from numpy.typing import ArrayLike

from sims.learners.shared import checks
from theory.response import Array

__all__ = ["has_separating_direction", "is_separable"]


def is_separable(X: ArrayLike, y: ArrayLike) -> bool:
    """Decide whether some b has (2 y_i - 1) x_i . b >= 0 for all i and > 0 for one: complete or quasi-complete separation."""
    design = checks.as_design(X)
    return has_separating_direction((2.0 * checks.as_labels(y, len(design)) - 1.0)[:, None] * design)


def has_separating_direction(signed: Array) -> bool:
    """Decide whether some b has z . b >= 0 for all rows z and > 0 for one.

    The linear programme max sum_i z_i . b over the box |b_j| <= 1 is solved in orthonormal columns (Albert & Anderson 1984; Konis
    2007). The answer is True only if the b that it finds separates the points up to rounding. Therefore an overlap counts even if
    it is far below the solver's tolerance.
    """
    orthonormal = np.asarray(scipy.linalg.orth(signed / np.abs(signed).max(axis=0, initial=1e-300)), dtype=np.float64)
    found = scipy.optimize.linprog(
        -orthonormal.sum(axis=0),
        A_ub=-orthonormal,
        b_ub=np.zeros(len(orthonormal)),
        bounds=(-1.0, 1.0),
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    if found.x is None:
        return False
    margins = orthonormal @ found.x
    return bool(margins.max() > 1e-9 and margins.min() > -1e-12)
