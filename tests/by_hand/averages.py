"""Made-up results on which claims about averages, budgets and jumps must hold, fail or stay open."""

import numpy as np
import xarray as xr

_TARGETS = ["p = 0.5", "p = 0.9", "1 to 3 removed"]


def lds(gains, spread=0.0, case="made up"):
    """An `lds` result of 10 points and 3 designs in which datamodels gain these LDS, by target, with equal relative errors."""
    rival, shift = 0.5, spread * np.array([-1.0, 0.0, 1.0])
    scores = np.full((3, 2, 1, 3, 2, 3), rival)  # design, half, without, target, estimate, quality
    fits = np.full((3, 2, 1, 3, 2, 2, 3), rival)  # .., p, retrainings, quality
    fits[..., 0] += np.asarray(gains)[None, None, None, :, None, None] + shift[:, None, None, None, None, None]
    half = ("design", "half", "without", "target")
    names = ["exact H", "damped H"]
    return xr.Dataset(
        {
            "score": (("target", "estimate", "quality"), np.full((3, 2, 3), rival)),
            "score_of_design": ((*half, "estimate", "quality"), scores),
            "datamodel_of_design": ((*half, "p", "retrainings", "quality"), fits),
        },
        {
            "target": _TARGETS,
            "estimate": names,
            "quality": ["lds", "relative_error", "slope"],
            "p": [0.5, 0.9],
            "retrainings": [50, 200],
            "without": ["none"],
            "half": ["even outputs", "odd outputs"],
        },
        {"case": case, "n_points": 10, "n_outputs": 4, "hessian_based": names},
    )


def seeds(gain, error=0.001, case="made up"):
    """A `seeds` result of 16 seeds with this gain from the same seeds, by every measure; other seeds always gain 0.3."""
    return xr.Dataset(_gains([gain, 0.3], error), _PREDICTED, {"case": case, "n_seeds": 16})


def pathology(pathological, benign=0.01, error=0.001, case="made up"):
    """A `pathology` result of 16 seeds with these gains, from the same and from other seeds."""
    parts = [xr.Dataset(_gains([gain, gain], error), _PREDICTED) for gain in (pathological, benign)]
    both = xr.concat(parts, xr.DataArray(["pathological", "benign"], dims="kind", name="kind"))
    return both.assign_attrs(case=case, pathology="two wells", n_seeds=16)


_PREDICTED = {
    "pairing": ["same seeds", "other seeds"],
    "measure": ["relative_error", "mean_relative_error", "lds"],
    "models": ["one seed", "average", "gain"],
}


def _gains(gains, error):
    dims = tuple(_PREDICTED)
    values = np.array([[[0.5 + gain, 0.5, gain]] * 3 for gain in gains])
    return {"gain": (dims, values), "gain_error": (dims, np.full_like(values, error))}


def jumps(slope, error=0.01, case="made up"):
    """A `jumps` result of 10 and 100 seeds in which differences find this share of the boundary term."""
    quantities = ["path-wise derivative", "difference of F", "beta"]
    return xr.Dataset(
        {
            "boundary": (("n_seeds",), [9.0, slope]),
            "boundary_error": (("n_seeds",), [9.0, error]),
            "relative_error": (("quantity",), [1.0, abs(slope - 1.0), 0.0]),
            "difference_bias": ((), 0.001),
        },
        {"quantity": quantities, "n_seeds": [10, 100]},
        {"case": case},
    )


def interpolation(derivative, error=0.0, case="made up"):
    """An `interpolation` result with ||D(1)|| at the largest width, ||beta|| = 2 and ||LOO|| = 4; at width 2 it is 1."""
    dims = ("width", "effect")
    return xr.Dataset(
        {"size": (dims, [[1.0, 2.0, 4.0], [derivative, 2.0, 4.0]]), "size_error": (dims, [[error] * 3] * 2)},
        {"width": [2, 32], "effect": ["D(1)", "beta", "LOO"]},
        {"case": case, "n_seeds": 8},
    )


EITHER_WAY = {
    "C10": {
        "holds": {"lds": [lds([0.3, 0.3, 0.3])]},
        "fails": {"lds": [lds([0.05, 0.02, -0.1])]},
        "inconclusive": {"lds": [lds([0.11, 0.11, -0.1], spread=0.1)]},
    },
    "C11": {
        "holds": {"seeds": [seeds(0.2), seeds(0.05)]},
        "fails": {"seeds": [seeds(0.2), seeds(-0.05)]},
        "inconclusive": {"seeds": [seeds(0.2), seeds(0.001)]},
    },
    "C12": {
        "holds": {"pathology": [pathology(0.2), pathology(0.1)]},
        "fails": {"pathology": [pathology(0.2), pathology(0.001)]},
        "inconclusive": {"pathology": [pathology(0.2), pathology(0.011)]},
    },
    "T9": {
        "holds": {"jumps": [jumps(1.02)]},
        "fails": {"jumps": [jumps(0.0)]},
        "inconclusive": {"jumps": [jumps(np.nan), jumps(1.1, error=0.1)]},
    },
    "T11": {
        "holds": {"interpolation": [interpolation(1e-14)]},
        "fails": {"interpolation": [interpolation(1e-3)]},
        "inconclusive": {"interpolation": [interpolation(1e-3, error=1e-2)]},
    },
}
