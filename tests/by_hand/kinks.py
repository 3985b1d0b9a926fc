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


def swept(**values):
    """The same with every comparison: unrolled errors fall from 0.3 to 0.1, corrected ones are a tenth of them."""
    ds = kinks(**values)
    by_value = np.array([0.3, 0.1])[None, :, None] * np.array([1.0, 0.1])[:, None, None] * np.ones(ds.sizes["seed"])
    names = {"width": [4, 64], "size": [6, 12], "time": [2.5, 40.0], "penalty": [0.0, 0.03], "activation": ["relu", "tanh"]}
    errors = {f"{name}_error": (("derivative", name, "seed"), by_value) for name in names}
    soft = np.array([[1e-6, 0.005, 0.02, 90.0]])[None, :, :, None] * np.ones((2, 1, 4, ds.sizes["seed"]))
    after = {name: (("derivative", "after"), [[0.1, 0.9], [0.2, 0.8]]) for name in ("beta_error", "influence_error")}
    more = {
        "edge_width_missed": (("derivative", "edge_width", "edge_seed"), by_value[..., :2]),
        "sharpness_error": (("derivative", "sharpness_step", "sharpness", "seed"), soft),
        "hinge_error": (("derivative", "step_size"), [[2.0, 2.5], [0.1, 0.05]]),
        "average_missed": (("derivative", "after"), [[0.04, 0.11], [0.005, np.nan]]),
    }
    soft_coords = {
        "sharpness_step": [0.1],
        "sharpness": [1.0, 200.0, 800.0, 8000.0],
        "edge_width": [4, 256],
        "after": [100, 1000],
    }
    return ds.assign(errors | after | more).assign_coords(names | soft_coords)


CONTROL = kinks(1e-6, 1e-6, 0.0, crossings=0, case="tanh")

EITHER_WAY = {
    "T19": {
        "holds": {"kinks": [kinks(0.2, 0.02), kinks(0.1, 0.04), kinks(0.02, 0.01), CONTROL]},  # off in most cases
        "fails": {"kinks": [kinks(0.2, 0.02), kinks(0.2, 0.2, 0.0), CONTROL]},
        "inconclusive": {"kinks": [kinks(0.2, 0.02), kinks(0.2, 0.09, reference=0.02), CONTROL]},
    },
}
