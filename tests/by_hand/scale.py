"""Made-up results on which the claims about scale, fixed size, the convex bound and some identities come out either way."""

from collections.abc import Mapping

import numpy as np
import xarray as xr

__all__ = ["EITHER_WAY", "bounded", "by_size", "expansion", "fixed_size", "flowing", "normalisation", "scale"]


def scale(slope=2.02, l2=0.0, error=0.001, rescaling=0.0, columns_per_point=0.01, miss=1e-4):
    """A `scale` result at p = 1/2 with one output."""
    return xr.Dataset(
        {
            "slope": (("law", "output"), [[slope]]),
            "slope_at_mean": (("law", "output"), [[1.0]]),
            "standard_error": (("law", "output"), [[error]]),
            "predicted": (("law",), [2.0]),
            "miss": (("law", "output"), [[miss]]),
            "miss_error": (("law", "output"), [[1e-5]]),
            "rescaling_error": (("law",), [rescaling]),
            "columns_per_point": ((), columns_per_point),
        },
        {"law": ["Bernoulli(0.5)"], "output": [0]},
        {"case": f"line l2={l2:g}", "l2": l2},
    )


def by_size(exponent=-1.0, scatter=0.0, error=1e-5, case="fair", sizes=(100, 200, 400, 800, 1600)):
    """A `scale_by_size` result with excess 10 N^exponent at p = 1/2, multiplied and divided in turn by exp(scatter)."""
    n = np.array(sizes, dtype=float)
    excess = 10.0 * n**exponent * np.exp(scatter * (-1.0) ** np.arange(len(n)))
    variables = {"excess": excess, "excess_error": error + 0.0 * n, "second_order": excess - 1e-4, "unexplained": 0.0 * n}
    return xr.Dataset(
        {name: (("p", "sample_size"), values[None]) for name, values in variables.items()},
        {"p": [0.5], "sample_size": list(sizes)},
        {"case": case, "data": case, "l2": 0.01},
    )


def flowing(flow=0.01, start=1.01, error=0.001, end=2.0, case="line", n_seeds=8):
    """A `finite_time_scale` result at p = 1/2 and two times."""
    variables = {
        "flow_error": [[0.0, flow]],
        "flow_error_error": [[error, error]],
        "slope": [[start, end]],
        "slope_error": [[error, error]],
        "centre_slope": [[1.0, 2.0]],
    }
    return xr.Dataset(
        {name: (("p", "time"), values) for name, values in variables.items()},
        {"p": [0.5], "time": [4, 400]},
        {"case": case, "n_seeds": n_seeds},
    )


def fixed_size(swap=1e-15, covariance=1e-16, shift=1e-15):
    """A `fixed_size` result for subsets of 2 and 4 points."""
    figures = {"swap_error": swap, "covariance_error": covariance, "shift_error": shift, "bernoulli_gap": 0.1}
    return xr.Dataset(
        {name: (("subset_size",), [0.0, value]) for name, value in figures.items()}, {"subset_size": [2, 4]}, {"case": "toy"}
    )


def bounded(ratio=0.5, change=0.0):
    """A `convex_bound` result for two points with bound 2; the second one decides."""
    figures = {
        "gap": [0.1, 2.0 * ratio],
        "bound": [2.0, 2.0],
        "bound_change": [0.0, change],
        "effect": [4.0, 4.0],
        "output_share": [0.1, ratio],
    }
    return xr.Dataset({name: (("point",), values) for name, values in figures.items()}, {"point": [0, 1]}, {"case": "toy"})


def expansion(error=0.0, change=0.0, truncation=0.0, parseval=0.0):
    """An `expansion` result with one point: D(1) = 2, curvature 1 - error, no interaction, leave-one-out and beta 1."""
    effects = {"derivative": 2.0, "curvature": 1.0 - error, "interaction": 0.0, "leave_one_out": 1.0, "beta": 1.0}
    return xr.Dataset(
        {
            **{name: (("point", "output"), [[value]]) for name, value in effects.items()},
            "node_change": ((), change),
            "truncation_error": (("p", "order"), [[0.3, truncation]]),
            "parseval_error": ((), parseval),
            "russo_margulis_error": (("p",), [0.0]),
            "r_squared": (("p", "output"), [[0.9]]),
        },
        {"p": [0.9], "order": [0, 1], "point": [0], "output": [0]},
        {"case": "toy"},
    )


def normalisation(error=0.0, change=0.0, sum_error=0.0):
    """A `normalisation` result of four points."""
    figures = {
        "eps_over_w": 4.0 * (1.0 + error),
        "eps_change": change,
        "sum_error": sum_error,
        "weight_sum_error": 0.0,
        "support_error": 0.0,
    }
    return xr.Dataset(
        {name: ((), value) for name, value in figures.items()} | {"jump": (("normalization",), [0.0, 0.3])},
        {"normalization": ["n_points", "support"], "point": range(4)},
        {"case": "toy"},
    )


def _optimal(error):
    return xr.Dataset({"optimality": (("p",), [0.0, error])}, {"p": [0.5, 0.9]}, {"case": "toy"})


EITHER_WAY: dict[str, dict[str, Mapping]] = {
    "T6": {
        "holds": {"scale": [scale(2.02), scale(9.0, l2=0.1)]},  # where there is a penalty nothing is claimed
        "fails": {"scale": [scale(2.02), scale(2.5)]},
        "inconclusive": {"scale": [scale(2.02), scale(2.19, error=0.01)]},
    },
    "T6 penalty": {"holds": {"scale": [scale(rescaling=1e-15)]}, "fails": {"scale": [scale(rescaling=1e-3)]}},
    "T6 time": {
        "holds": {"finite_time_scale": [flowing(), flowing(end=2.6, case="network")]},
        "fails": {"finite_time_scale": [flowing(), flowing(flow=0.2)]},
        "inconclusive": {"finite_time_scale": [flowing(flow=0.049, error=0.001)]},
    },
    "T6 at size": {
        "holds": {"scale_by_size": [by_size(-1.0, 0.01), by_size(-0.99, 0.03, case="anes96")]},
        "fails": {"scale_by_size": [by_size(-1.0, 0.01), by_size(-0.5, 0.01, case="randhie")]},
        "inconclusive": {"scale_by_size": [by_size(-1.0, 0.01), by_size(-1.0, 0.6, case="randhie")]},
    },
    "T7": {"holds": {"fixed_size": [fixed_size()]}, "fails": {"fixed_size": [fixed_size(), fixed_size(swap=1e-3)]}},
    "T12": {
        "holds": {"convex_bound": [bounded(0.97)]},
        "fails": {"convex_bound": [bounded(0.5), bounded(1.2)]},
        "inconclusive": {"convex_bound": [bounded(1.01, change=0.05)]},
    },
    "T1": {"holds": {"identity": [_optimal(1e-14)]}, "fails": {"identity": [_optimal(1e-3)]}},
    "T3": {"holds": {"expansion": [expansion()]}, "fails": {"expansion": [expansion(truncation=1e-3)]}},
    "T4": {
        "holds": {"expansion": [expansion(1e-12)]},
        "fails": {"expansion": [expansion(), expansion(0.3, change=1e-12)]},
        "inconclusive": {"expansion": [expansion(), expansion(0.3, change=0.5)]},
    },
    "T5": {
        "holds": {"expansion": [expansion(1e-12)]},
        "fails": {"expansion": [expansion(), expansion(0.3, change=1e-12)]},
        "inconclusive": {"expansion": [expansion(), expansion(1e-12, change=0.5)]},
    },
    "T8": {"holds": {"expansion": [expansion()]}, "fails": {"expansion": [expansion(parseval=1e-3)]}},
    "T10": {
        "holds": {"normalisation": [normalisation(1e-12)]},
        "fails": {"normalisation": [normalisation(sum_error=0.1, change=0.5)]},
        "inconclusive": {"normalisation": [normalisation(0.3, change=0.5)]},
    },
}
