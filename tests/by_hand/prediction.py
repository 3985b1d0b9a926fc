"""Made-up results on which the claims about what a datamodel is and predicts hold, fail and say nothing."""

from collections.abc import Mapping

import numpy as np
import xarray as xr

MEASURES = ["slope", "relative_error", "pearson", "spearman"]


def spectrum(r_squared, error=float("nan"), *, n_seeds=1, control=False, near=0.99, lds=0.99, lds_error=float("nan"), name=""):
    """A `spectrum` result: R^2 at p = 1/2 and p = 0.9, one rank correlation."""
    values = {"r_squared": [r_squared, near], "r_squared_error": [error] * 2, "lds": [lds] * 2, "lds_error": [lds_error] * 2}
    return xr.Dataset(
        {key: (("p",), value) for key, value in values.items()},
        {"p": [0.5, 0.9]},
        {"case": name or f"R^2 {r_squared}", "n_seeds": n_seeds, "control": int(control)},
    )


def identity(beta, derivative, removal, *, inclusion=None, name="made up", data="made up", l2="0.1"):
    """An `identity` result of three points and one output: uniform beta, D(1) and leave-one-out, compared as `compare` does."""
    beta, derivative, removal = (np.array(x, dtype=float) for x in (beta, derivative, removal))

    def compared(reference):
        if not reference.any():
            return [np.nan] * 4
        correlation = np.corrcoef(beta, reference)[0, 1]
        slope = beta @ reference / (reference @ reference)
        return [slope, np.linalg.norm(beta - reference) / np.linalg.norm(reference), correlation, np.sign(correlation)]

    inside = beta if inclusion is None else np.array(inclusion, dtype=float)
    dims = ("p", "point", "output")
    return xr.Dataset(
        {
            "beta": (dims, beta[None, :, None]),
            "inclusion_derivative": (dims, inside[None, :, None]),
            "derivative": (dims[1:], derivative[:, None]),
            "leave_one_out": (dims[1:], removal[:, None]),
            "beta_against": (("p", "reference", "measure"), [[compared(derivative), compared(removal)]]),
        },
        {"p": [0.5], "reference": ["D(1)", "LOO"], "measure": MEASURES},
        {"case": name, "data": data, "options": f'{{"l2": "{l2}"}}'},
    )


def drawn_identity(square, spread, *, slope=1.0, slope_spread=0.0, name="drawn"):
    """An `identity` result from drawn subsets: ||beta - D(1)||^2 / ||D(1)||^2 and the slope, with their standard errors."""
    root = max(square, 0.0) ** 0.5
    values, errors = [slope, root, 1.0, 1.0], [slope_spread, spread, 0.001, 0.001]
    dims, both = ("p", "reference", "measure"), ["D(1)", "LOO"]
    return xr.Dataset(
        {
            "beta": (("p", "point", "output"), [[[2.0], [1.0]]]),
            "derivative": (("point", "output"), [[1.0], [0.5]]),
            "leave_one_out": (("point", "output"), [[1.5], [0.7]]),
            "beta_against": (dims, [[values] * 2]),
            "beta_against_error": (dims, [[errors] * 2]),
            "squared_distance": (dims[:2], [[square] * 2]),
            "squared_distance_error": (dims[:2], [[spread] * 2]),
        },
        {"p": [0.5], "reference": both, "measure": MEASURES},
        {"case": name, "data": "made up", "options": '{"l2": "0.1"}', "draws": 4000, "draw_blocks": 20},
    )


def training(last, spread=0.0, *, first=0.001, slope=2.0, removal=0.5, n_seeds=16, name="made up"):
    """A `training_time` result: relative errors of beta on D(1) after one step and at the end, and of beta on leave-one-out."""
    values = np.ones((2, 2, 4))
    values[:, 0, 1], values[:, 1, 1], values[1, 0, 0] = (first, last), removal, slope
    dims = ("time", "pair", "measure")
    return xr.Dataset(
        {"measured": (dims, values), "measured_error": (dims, np.full_like(values, spread))},
        {"time": [1, 3000], "pair": ["beta on D(1)", "beta on LOO"], "measure": MEASURES, "seed": range(n_seeds)},
        {"case": name},
    )


def normalisation(beta, derivative, offset, *, removal=(1.0, 2.0), name="made up"):
    """A `normalisation` result of N = 2 points and one output; (1/N) dF/deps is the derivative, (1/N) dF/dw half of it."""
    rules = {"(1/N) dF/dw": np.array(derivative) / 2.0, "(1/N) dF/deps": np.array(derivative), "datamodel beta": np.array(beta)}
    return xr.Dataset(
        {
            "prediction": (("rule", "point", "output"), np.array(list(rules.values()), dtype=float)[:, :, None]),
            "offset": (("output",), [float(offset)]),
            "leave_one_out": (("point", "output"), np.array(removal)[:, None]),
            "eps_over_w": ((), 2.0),
        },
        {"rule": list(rules)},
        {"case": name},
    )


def removal(own, spread=float("nan"), *, anchored=(0.9, 0.9), derivative=(0.5, 0.6), near=0.1, n_seeds=1, name="", **drawn):
    """A `group_removal` result: relative errors with one and two points removed; `spread` is the standard error of the ratio."""
    names = ["datamodel", "beta, summed", "D(1), summed", "datamodel (p = 0.9)"]
    errors = np.array([own, anchored, derivative, [near] * 2]).T
    dims = ("removed", "estimate", "measure")
    return xr.Dataset(
        {
            "measured": (dims, errors[:, :, None]),
            "measured_error": (dims, np.full((*errors.shape, 1), spread)),
            "ratio": (dims[:2], errors / np.array(derivative)[:, None]),
            "ratio_error": (dims[:2], np.full(errors.shape, spread)),
        },
        {"removed": [1, 2], "estimate": names, "measure": ["relative_error"]},
        {"case": name or f"own {own}", "n_seeds": n_seeds, **drawn},
    )


def drawn_removal(own, spread, *, name="drawn"):
    """A `group_removal` result whose datamodels were fitted to drawn subsets, in 20 blocks; without spread over seeds."""
    return removal([own, 0.2], spread, name=name, draws=4000, degrees_of_freedom=19, n_points=40)


_UNDEFINED = identity([0.1, 0.2, 0.4], [0.0, 0.0, 0.0], [0.1, 0.2, 0.3], name="no derivative")

EITHER_WAY: dict[str, dict[str, Mapping]] = {
    "C5": {
        "holds": {"spectrum": [spectrum(0.99), spectrum(0.95), spectrum(0.6)]},
        "fails": {"spectrum": [spectrum(0.99), spectrum(0.7), spectrum(0.6), spectrum(1.0, control=True, name="additive")]},
        "inconclusive": {"spectrum": [spectrum(0.99), spectrum(0.6), spectrum(0.89, 0.01, n_seeds=16)]},
    },
    "C6": {
        "holds": {"identity": [identity([1.0, 2.0, 4.0], [1.0, 2.0, 4.0], [1.0, 2.0, 4.0])]},
        "fails": {"identity": [identity([2.0, 4.0, 8.0], [1.0, 2.0, 4.0], [2.0, 4.0, 8.5])]},
        "inconclusive": {"identity": [identity([1.0, 2.0, 4.0], [1.0, 2.0, 4.0], [1.0, 2.0, 4.0]), _UNDEFINED]},
    },
    "C6 networks": {
        "holds": {"training_time": [training(0.01, name="a"), training(0.02, name="b"), training(0.5, name="c")]},
        "fails": {"training_time": [training(0.9, name="a"), training(0.02, name="b"), training(0.5, name="c")]},
        "inconclusive": {"training_time": [training(0.06, 0.01), training(0.5), training(0.01)]},
    },
    "C7": {
        "holds": {"normalisation": [normalisation([1.0, 2.0], [1.0, 2.0], 0.0)]},
        "fails": {"normalisation": [normalisation([2.0, 4.0], [1.0, 2.0], 0.3)]},
    },
    "C8": {
        "holds": {"group_removal": [removal([0.2, 0.2]), removal([0.3, 0.2]), removal([0.9, 0.2])]},
        "fails": {"group_removal": [removal([1.2, 0.2]), removal([0.8, 0.2]), removal([0.3, 0.2])]},
        "inconclusive": {"group_removal": [removal([0.55, 0.2], 0.1, n_seeds=16), removal([0.3, 0.2]), removal([0.9, 0.2])]},
    },
}
"""Claim -> status that it must get -> results of its experiments."""

DRAWN: dict[str, dict[str, Mapping]] = {
    "C6": {
        "holds": {"identity": [drawn_identity(0.0, 1e-14)]},
        "fails": {"identity": [drawn_identity(0.8, 0.05, slope=1.9)]},
        "inconclusive": {"identity": [drawn_identity(0.003, 0.01)]},
    },
    "C8": {
        "holds": {"group_removal": [drawn_removal(0.3, 0.1)]},
        "fails": {"group_removal": [drawn_removal(2.0, 0.5)]},
        "inconclusive": {"group_removal": [drawn_removal(0.55, 0.1)]},
    },
}
"""The same where subsets are drawn, so that the verdict depends on standard errors."""
