"""Results by hand for T17 and T18: pairs that are average second derivatives or not, and estimate leave-one-out better or not."""

import xarray as xr


def pairs(
    ratio=0.2, error=float("nan"), *, far=None, rows=1e-12, average=1e-12, kinks=0, n_seeds=1, helps_from=0.5, case="by hand"
):
    """A `pairs` result at p = 1/2 and p = 0.9: ratio of the errors, error of row sums and of averaged second derivatives."""
    ratios = [ratio if far is None else far, ratio]
    values = {
        "leave_one_out_ratio": (("p",), ratios),
        "leave_one_out_ratio_error": (("p",), [error] * 2),
        "leave_one_out_error": (("p", "estimate"), [[0.5, 0.5 * x] for x in ratios]),
        "row_sum_error": (("p",), [rows] * 2),
        "average_error": (("average_p",), [average]),
        "helps_from": helps_from,
    }
    coords = {"p": [0.5, 0.9], "average_p": [0.5], "estimate": ["beta", "beta and pairs"]}
    return xr.Dataset(values, coords, {"case": case, "kinks": kinks, "n_seeds": n_seeds})


EITHER_WAY = {
    "T17": {
        "holds": {"pairs": [pairs(), pairs(average=0.3, kinks=1, case="relu")]},
        "fails": {"pairs": [pairs(), pairs(average=0.3, case="smooth")]},
    },
    "T18": {
        "holds": {"pairs": [pairs(0.2, 0.01, n_seeds=8), pairs(0.1, far=1.5, helps_from=0.6, case="ridge")]},
        "fails": {"pairs": [pairs(0.2), pairs(1.2, helps_from=0.95, case="far from linear")]},
        "inconclusive": {"pairs": [pairs(0.9, 0.2, n_seeds=8)]},
    },
}
