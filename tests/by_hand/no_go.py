"""Made-up results on which T14, T14 parts, T14 sums and T15 must hold, fail and, where differences are in doubt, say nothing."""

from collections.abc import Mapping

import xarray as xr

__all__ = ["EITHER_WAY", "identity", "no_go"]


def no_go(
    *,
    violation=2.0,
    error=0.6,
    euler=0.0,
    doubt=0.0,
    derivative=0.0,
    parts=0.0,
    beta_sum=1.0,
    shapley=1.0,
    difference=1.0,
    removal=1.0,
    case="toy",
):
    """A `no_go` result of two points and one output, in which F = 1 on the full set and 0 elsewhere: only that part has a sum."""
    effect = ("p", "point", "output")
    return xr.Dataset(
        {
            "euler_sum": (("at", "output"), [[euler]]),
            "euler_size": (("at", "output"), [[1.0]]),
            "from_rate": (("at", "output"), [[0.0]]),
            "from_rate_error": (("at", "output"), [[doubt]]),
            "from_penalty": (("at", "output"), [[0.0]]),
            "from_penalty_error": (("at", "output"), [[0.0]]),
            "typical_error": error,
            "least_error": error / 2.0,
            "learnt": (("size", "output"), [[0.0], [1.0]]),
            "allowed": (("size", "output"), [[0.0], [abs(derivative)]]),
            "derivative_sum": (("output",), [abs(derivative)]),
            "part_sum_error": parts,
            "violation": (("output",), [violation]),
            "least_violation": (("output",), [1.0]),
            "beta_sum": (("p", "output"), [[beta_sum]]),
            "inclusion_slope": (("p", "output"), [[1.0]]),
            "shapley_sum": (("output",), [shapley]),
            "gain": (("output",), [1.0]),
            "beta": (effect, [[[1.0], [1.0]]]),
            "inclusion_difference": (effect, [[[1.0], [difference]]]),
            "inclusion_drawn": (effect, [[[1.1], [0.9]]]),
            "inclusion_drawn_error": (effect, [[[0.1], [0.1]]]),
            "leave_one_out": (("point", "output"), [[1.0], [1.0]]),
            "inclusion_difference_at_one": (("point", "output"), [[1.0], [removal]]),
        },
        {"at": ["w = 1"], "size": [1, 2], "p": [0.5], "point": [0, 1], "output": [0]},
        {"case": case},
    )


def identity(inclusion=1.0):
    """The part of an `identity` result that T15 reads."""
    effect = ("p", "point", "output")
    values = {"beta": (effect, [[[1.0]]]), "inclusion_derivative": (effect, [[[inclusion]]])}
    return xr.Dataset(values, {"p": [0.5]}, {"case": "a table"})


EITHER_WAY: dict[str, dict[str, Mapping]] = {
    "T14": {
        "holds": {"no_go": [no_go(violation=2.0), no_go(violation=1.0, case="sharp")]},
        "fails": {"no_go": [no_go(), no_go(violation=0.9)]},
    },
    "T14 parts": {
        "holds": {"no_go": [no_go(error=0.5), no_go(error=0.01, derivative=0.5, case="a penalty: nothing is claimed")]},
        "fails": {"no_go": [no_go(error=0.5), no_go(error=0.01)]},
    },
    "T14 sums": {
        "holds": {"no_go": [no_go(euler=1e-12, doubt=1e-11)]},
        "fails": {"no_go": [no_go(euler=1e-3)]},
        "inconclusive": {"no_go": [no_go(euler=1e-12, doubt=1e-3)]},
    },
    "T15": {
        "holds": {"identity": [identity()], "no_go": [no_go()]},
        "fails": {"identity": [identity()], "no_go": [no_go(difference=1.01)]},
    },
}
