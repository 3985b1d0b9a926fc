"""Results by hand for T19: derivatives of relu networks that are off at any step, that are right, and that are in doubt."""

import numpy as np
import xarray as xr


def kinks(unrolled=0.2, corrected=0.1, order=1.0, reference=1e-3, crossings=9, seeds=32, case="by hand"):
    """A `kinks` result at steps 0.2 and 0.1, the same for all seeds; `corrected` is the error at 0.2 and falls as step^order."""
    steps = np.array([0.2, 0.1])
    errors = np.stack([np.full(2, unrolled), corrected * (steps / 0.2) ** order])
    by_seed = np.repeat(errors[:, :, None], seeds, axis=2)
    values = {
        "error": (("derivative", "step_size", "seed"), by_seed),
        "reference_error": (("step_size", "seed"), np.full((2, seeds), reference)),
        "mean_error": (("derivative", "step_size"), errors),
        "mean_error_error": (("derivative", "step_size"), np.full((2, 2), 1e-4)),
        "mean_reference_error": (("step_size",), np.full(2, reference)),
        "order": (("derivative",), [0.0, order]),
        "order_error": (("derivative",), [0.01, 0.01]),
        "edge_missed": (("derivative", "seed"), by_seed[:, 1]),
        "crossings": (("step_size", "seed", "kind"), np.full((2, seeds, 2), crossings)),
    }
    coords = {"derivative": ["unrolled", "crossings"], "step_size": steps, "seed": range(seeds), "kind": ["all", "sliding"]}
    return xr.Dataset(values, coords, {"case": case})


CONTROL = kinks(1e-6, 1e-6, 0.0, crossings=0, case="tanh")

EITHER_WAY = {
    "T19": {
        "holds": {"kinks": [kinks(0.2, 0.02), kinks(0.1, 0.04), kinks(0.02, 0.01), CONTROL]},  # off in most cases
        "fails": {"kinks": [kinks(0.2, 0.02), kinks(0.2, 0.2, 0.0), CONTROL]},
        "inconclusive": {"kinks": [kinks(0.2, 0.02), kinks(0.2, 0.09, reference=0.02), CONTROL]},
    },
}
