"""Results by hand for P1 to P3: scores that predict removals nearly as well as possible, and scores in one order or two."""

import numpy as np
import xarray as xr

ESTIMATES = ["D(1), summed", "best of its size", "influence, summed", "rescaled influence, summed"]


def removal(lds=0.98, error=0.3, slope=0.8, rescaled=0.5, spread=np.nan, n_seeds=1, learner="logistic", case="by hand"):
    """A `group_removal` result with one to three points removed; `rescaled` is the error of rescaled over plain influence."""
    values = np.array([[slope, error, lds], [1.0, 0.1, 1.0], [slope, error, lds], [1.0, rescaled * error, lds]])
    dims, coords = ("removed", "estimate", "measure"), {"removed": [1, 2, 3], "estimate": ESTIMATES}
    return xr.Dataset(
        {"measured": (dims, np.repeat(values[None], 3, axis=0)), "measured_error": (dims, np.full((3, 4, 3), spread))},
        {**coords, "measure": ["slope", "relative_error", "lds"]},
        {"case": case, "n_seeds": n_seeds, "learner": learner},
    )


def order(first, second, spread=np.nan, n_seeds=1, case="by hand"):
    """An `lds_by_law` result of three scores and the best linear predictor at p = 0.5 and 0.9."""
    lds = np.array([[*first, 1.0], [*second, 1.0]])[:, :, None]
    dims, coords = ("p", "estimate", "quality"), {"p": [0.5, 0.9], "estimate": ["a", "b", "c", "best linear predictor"]}
    values = {"measured": (dims, lds), "measured_error": (dims, np.full(lds.shape, spread))}
    return xr.Dataset(values, {**coords, "quality": ["lds"]}, {"case": case, "n_seeds": n_seeds})


EITHER_WAY = {
    "P1": {
        "holds": {"group_removal": [removal(0.99), removal(0.96), removal(0.2, learner="interpolator")]},
        "fails": {"group_removal": [removal(0.99), removal(0.8)]},
        "inconclusive": {"group_removal": [removal(0.99), removal(0.96, spread=0.02, n_seeds=16)]},
    },
    "P2": {
        "holds": {"lds_by_law": [order([0.1, 0.2, 0.3], [0.5, 0.6, 0.9])]},
        "fails": {"lds_by_law": [order([0.1, 0.2, 0.3], [0.5, 0.6, 0.9]), order([0.1, 0.2, 0.3], [0.5, 0.9, 0.6])]},
    },
    "P3": {
        "holds": {"group_removal": [removal(), removal(slope=0.3), removal(slope=1.4, learner="mlp")]},
        "fails": {"group_removal": [removal(), removal(slope=1.2)]},
    },
}
