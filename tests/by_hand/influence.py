"""Made-up results on which the claims about influence must hold, fail and be inconclusive; plain data, no tests."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

MEASURES = ["slope", "relative_error", "pearson", "spearman"]
CHOICES = ["cut-off 1e-06", "damping 0.01"]
LEVELS = [1e-1, 1e-2, 1e-3]
APPROXIMATIONS = ["damping", "Gauss-Newton", "conjugate gradients", "LiSSA", "all together"]


def identity(outputs: float = 0.0, parameters: float = 0.0, error: float = 0.0, case: str = "a") -> xr.Dataset:
    """Influence that is off by these shares in outputs and in parameters, from differences with this relative error."""
    one = np.ones((2, 1))
    dims, of_parameters = ("point", "output"), ("point", "parameter")
    return xr.Dataset(
        {
            "hessian_influence": (dims, (1.0 + outputs) * one),
            "finite_difference": (dims, one),
            "finite_difference_error": (dims, error * one),
            "parameter_influence": (of_parameters, (1.0 + parameters) * one),
            "parameter_difference": (of_parameters, one),
            "parameter_difference_error": (of_parameters, error * one),
            "least_eigenvalue": 0.1,
            "gradient_norm": 1e-12,
        },
        attrs={"case": case},
    )


def optima(
    errors: Any = 1.0,
    *,
    worse: Any = 9.0,
    singular: int = 40,
    spread: float = 1.0,
    spread_error: float = 0.01,
    outputs: float = 1.0,
    converged: int = 40,
    l2: float = 0.0,
    case: str = "a",
) -> xr.Dataset:
    """Forty models; `errors` and `worse` are those of the two choices, numbers or one for every seed."""
    by_choice = np.stack([np.broadcast_to(np.asarray(x, dtype=float), 40) for x in (errors, worse)])
    seeds, choice = ("seed",), ("choice", "seed")
    of = ["F", "D(1)", *CHOICES]
    return xr.Dataset(
        {
            "error": (choice, by_choice),
            "slope": (choice, np.zeros((2, 40))),
            "direction_error": (choice, by_choice),
            "dependence": (seeds, by_choice[0]),
            "difference": (seeds, by_choice[0]),
            "null_space": (seeds, (np.arange(40) < singular).astype(int)),
            "near_null": (seeds, (np.arange(40) < singular).astype(int)),
            "condition": (seeds, np.full(40, 1e16)),
            "least_eigenvalue": (seeds, np.full(40, -1e-9)),
            "gradient_ratio": (seeds, np.where(np.arange(40) < converged, 1e-6, 1e-2)),
            "spread": (("of",), [outputs, spread, spread, spread]),
            "spread_error": (("of",), np.full(4, spread_error)),
        },
        {"choice": CHOICES, "of": of},
        {"case": case, "data": "made up", "options": f'{{"l2": "{l2:g}"}}', "n_params": 25, "converged": 1e-4},
    )


def convergence(
    errors: Any = (1.0, 0.5, 0.001), *, negative: int = 32, slope: float = 0.1, convex: bool = False, case: str = "a"
) -> xr.Dataset:
    """Thirty-two models; `errors` by level, numbers or one for every seed; `negative` of them have a negative eigenvalue."""
    where = ("level", "seed")
    by_level = np.stack([np.broadcast_to(np.asarray(x, dtype=float), 32) for x in errors])
    least = np.where(np.arange(32) < negative, -0.1, 0.1)
    return xr.Dataset(
        {
            "error": (where, by_level),
            "slope": (where, np.full((3, 32), slope)),
            "steps": (where, np.full((3, 32), 10.0)),
            "least_eigenvalue": (where, np.tile(least, (3, 1))),
        },
        {"level": LEVELS},
        {"case": case, "data": "made up", "options": "{}", "convex": convex, "undefined": 1e3},
    )


def approximations(
    added: float = 0.2, *, together: float | None = None, error: float = 0.0, linear: bool = False, case: str = "a"
) -> xr.Dataset:
    """Each approximation alone adds `added`; all of them together add `together`."""
    values = np.full(5, added)
    values[4] = added if together is None else together
    measured = np.ones((5, 4))
    measured[:, 0] = 1.0 - values
    return xr.Dataset(
        {
            "added": (("approximation",), values),
            "added_error": (("approximation",), np.full(5, error)),
            "measured": (("approximation", "measure"), measured),
            "measured_error": (("approximation", "measure"), np.full((5, 4), error)),
            "by_damping": (("damping",), [0.01, 0.3]),
            "by_products": (("solver", "products"), [[0.3, 0.01], [0.9, 0.8]]),
            "condition": (("seed",), np.full(16, 300.0)),
        },
        {
            "approximation": APPROXIMATIONS,
            "measure": MEASURES,
            "damping": [1e-3, 1e-2],
            "solver": ["conjugate gradients", "LiSSA"],
            "products": [3, 10],
        },
        {"case": case, "n_seeds": 16, "linear": linear},
    )


def _alternating(low: float, high: float, n: int) -> np.ndarray:
    return np.where(np.arange(n) % 2 == 0, low, high)


EITHER_WAY: dict[str, dict[str, Mapping[str, list[xr.Dataset]]]] = {
    "C1": {
        "holds": {"identity": [identity(1e-9, 1e-9), identity(2e-8, 0.0, case="b")]},
        "fails": {"identity": [identity(1e-9, 1e-9), identity(1e-9, 1e-3, case="b")]},
        "inconclusive": {"identity": [identity(5e-7, 0.0, error=1e-6)]},
    },
    "C2": {
        "holds": {"optima": [optima(1.0), optima(0.3, case="b"), optima(1e-9, l2=0.01, case="control")]},
        "fails": {"optima": [optima(1.0), optima(0.01, case="b")]},
        "inconclusive": {"optima": [optima(1.0), optima(_alternating(0.01, 0.2, 40), case="b")]},
    },
    "C2 singular": {
        "holds": {"optima": [optima(singular=40), optima(singular=35, case="b"), optima(singular=0, l2=0.01, case="control")]},
        "fails": {"optima": [optima(singular=0), optima(singular=5, case="b"), optima(singular=40, case="c")]},
        "inconclusive": {"optima": [optima(singular=20), optima(singular=21, case="b")]},
    },
    "C2 optima": {
        "holds": {"optima": [optima(spread=1.0), optima(spread=0.5, case="b"), optima(spread=1e-8, outputs=1e-9, case="one")]},
        "fails": {"optima": [optima(spread=0.01, spread_error=0.001), optima(spread=0.001, spread_error=0.0, case="b")]},
        "inconclusive": {"optima": [optima(spread=0.06, spread_error=0.02), optima(spread=0.04, spread_error=0.02, case="b")]},
    },
    "C3": {
        "holds": {"convergence": [convergence(), convergence((0.6, 0.01, 0.001), convex=True, negative=0, case="b")]},
        "fails": {"convergence": [convergence(), convergence((0.01, 0.01, 0.001), case="b")]},
        "inconclusive": {"convergence": [convergence((_alternating(0.01, 0.2, 32), 0.01, 0.001))]},
    },
    "C3 negative": {
        "holds": {"convergence": [convergence(negative=32), convergence(negative=0, convex=True, case="b")]},
        "fails": {"convergence": [convergence(negative=0), convergence(negative=0, convex=True, case="b")]},
        "inconclusive": {"convergence": [convergence(negative=2), convergence(negative=3, case="b")]},
    },
    "C4": {
        "holds": {"approximations": [approximations(0.3), approximations(0.01, case="b"), approximations(0.1, case="c")]},
        "fails": {"approximations": [approximations(0.001), approximations(0.2, case="b"), approximations(0.01, case="c")]},
        "inconclusive": {"approximations": [approximations(0.06, error=0.02)]},
    },
}
"""Claim -> what it must do -> results by experiment."""
