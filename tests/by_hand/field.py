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


def order(first, second, spread=1e-3, case="by hand"):
    """An `lds` result of three scores at p = 0.5 and p = 0.9; eight designs move all differences by `spread`."""
    names, moves = ["a", "b", "c"], spread * np.outer(np.linspace(-1.0, 1.0, 8), [0.0, 1.0, -1.0])
    each = np.stack([np.array(first) + moves, np.array(second) + moves], axis=1)  # (design, target, estimate)
    both = np.repeat(each[:, None], 2, axis=1)[:, :, None, ..., None]
    dims = ("design", "half", "without", "target", "estimate", "quality")
    coords = {"design": range(8), "half": ["even", "odd"], "without": ["none"], "target": ["p = 0.5", "p = 0.9"]}
    return xr.Dataset(
        {"score_of_design": (dims, both)}, {**coords, "estimate": names, "quality": ["lds"]}, {"case": case, "n_outputs": 4}
    )


EITHER_WAY = {
    "P1": {
        "holds": {"group_removal": [removal(0.99), removal(0.96), removal(0.2, learner="interpolator")]},
        "fails": {"group_removal": [removal(0.99), removal(0.8)]},
        "inconclusive": {"group_removal": [removal(0.99), removal(0.96, spread=0.02, n_seeds=16)]},
    },
    "P2": {
        "holds": {"lds": [order([0.1, 0.2, 0.3], [0.5, 0.6, 0.9])]},
        "fails": {"lds": [order([0.1, 0.2, 0.3], [0.5, 0.6, 0.9]), order([0.1, 0.2, 0.3], [0.5, 0.9, 0.6])]},
    },
    "P3": {
        "holds": {"group_removal": [removal(), removal(slope=0.3), removal(slope=1.4, learner="mlp")]},
        "fails": {"group_removal": [removal(), removal(slope=1.2)]},
    },
}
