"""Results by hand for T20: designs that are near and honest, too far away, not honest, and too few to tell."""

import numpy as np
import xarray as xr

WAYS = (
    "fold-over, two scales",
    "fold-over, one scale",
    "one point at a time, two scales",
    "one point at a time, one scale",
    "weights 1 - s, 1 + s",
    "weights 0, 2",
    "Poisson(1)",
    "subsets, times p",
    "subsets, l2 p, times p",
    "subsets of two p, l2 p",
)


def estimated(error=0.01, coverage=0.95, doubt=0.002, case="by hand"):
    """An `estimating_influence` result; subsets err by 0.2, and the recommended way by half as much with most retrainings."""
    value = np.full((len(WAYS), 2, 2), 0.2)
    value[0] = [[2.0 * error, coverage], [error, coverage]]
    dims = ("way", "m", "quality")
    return xr.Dataset(
        {"influence": (dims, value), "influence_error": (dims, np.full_like(value, doubt))},
        {"way": list(WAYS), "m": [96, 192], "quality": ["error", "coverage"]},
        {"case": case, "repetitions": 30},
    )


def results(**changed):
    return {"estimating_influence": [estimated(), estimated(**changed, case="another")]}


EITHER_WAY = {
    "T20": {
        "holds": results(error=0.1),
        "fails": results(coverage=0.6),
        "inconclusive": results(coverage=0.92, doubt=0.02),
    },
}
"""It fails too where errors are those of subsets, or intervals always cover: see `tests/theory/claims/test_estimating.py`."""
