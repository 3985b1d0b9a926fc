"""Results by hand for the identities T1, T2 local, T3, T4, T5, T8 and T10: with error 0, and with an error of one half."""

import xarray as xr


def one_case(variables, coords=None):
    return xr.Dataset(variables, coords, {"case": "by hand"})


def normal_equations(error):
    return {"identity": [one_case({"optimality": (("p",), [error])})]}


def local(order):
    scales = [0.5, 0.25]
    return {"identity": [one_case({"local_error": (("scale",), [s**order for s in scales])}, {"scale": scales})]}


def expansion(error):
    effects = {"derivative": 2.0 + error, "curvature": 1.0, "interaction": 0.0, "leave_one_out": 1.0, "beta": 1.0}
    numbers = {"node_change": 0.0, "parseval_error": error, "russo_margulis_error": error}
    return {
        "expansion": [
            one_case(
                {name: (("point", "output"), [[value]]) for name, value in effects.items()}
                | {name: ((), value) for name, value in numbers.items()}
                | {"truncation_error": (("p", "order"), [[0.5, error]]), "r_squared": (("p", "output"), [[0.9]])},
                {"p": [0.5], "order": [1, 2]},
            )
        ]
    }


def normalisation(error):
    numbers = {"eps_over_w": 2.0, "eps_change": 0.0, "sum_error": error, "weight_sum_error": 0.0, "support_error": 0.0}
    return {
        "normalisation": [
            one_case(
                {name: ((), value) for name, value in numbers.items()} | {"jump": (("normalization",), [0.0, 0.3])},
                {"normalization": ["n_points", "support"], "point": range(2)},
            )
        ]
    }


EITHER_WAY = {
    "T1": {"holds": normal_equations(0.0), "fails": normal_equations(0.5)},
    "T2 local": {"holds": local(2.0), "fails": local(1.0)},
    **{name: {"holds": expansion(0.0), "fails": expansion(0.5)} for name in ("T3", "T4", "T5", "T8")},
    "T10": {"holds": normalisation(0.0), "fails": normalisation(0.5)},
}
