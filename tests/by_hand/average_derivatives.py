"""Results by hand for T2, T2 local, T16 and C9: averages that are beta, that are not, and that have not converged."""

import json

import xarray as xr


def identity(error, jumps=0):
    """The part of an `identity` result that T2 and T16 read."""
    values = {
        "identity_error": (("p",), [error]),
        "average_derivative_error": (("p",), [0.5]),
        "average_derivative": (("p",), [1.0]),
        "n_jumps": jumps,
        "edges": (("part",), [4, 4]),
    }
    return {"identity": [xr.Dataset(values, {"p": [0.5], "part": ["taken", "of"]}, {"case": "by hand"})]}


def trained(error, not_judged=""):
    """The part of the results that C9 reads, with one law and one training time."""
    dims = ("law", "time")
    values = {
        "error": (dims, [[error]]),
        "average_derivative_error": (dims, [[0.5]]),
        "n_jumps": (dims, [[0]]),
        "edges": (("part", *dims), [[[4]], [[4]]]),
    }
    reasons = json.dumps({"L, 5 steps": not_judged} if not_judged else {})
    average = xr.Dataset(values, {"law": ["L"], "time": [5], "part": ["taken", "of"]}, {"case": "by hand", "not_judged": reasons})
    training = xr.Dataset({"beta": (("time", "point", "output"), [[[1.0]]])}, attrs={"case": "by hand"})
    return {"training_time": [training], "average_derivative": [average]}


def local(order):
    """The errors of local datamodels at two scales s, which fall as s^order."""
    scales = [0.5, 0.25]
    values = {"local_error": (("scale",), [s**order for s in scales])}
    return {"identity": [xr.Dataset(values, {"scale": scales}, {"case": "by hand"})]}


EITHER_WAY = {
    "T2 local": {"holds": local(2.0), "fails": local(1.0)},
    "T2": {"holds": identity(1e-9), "fails": identity(0.01)},
    "T16": {"holds": identity(1e-9, jumps=3), "fails": identity(0.01, jumps=3)},
    "C9": {"holds": trained(1e-9), "fails": trained(0.01), "inconclusive": trained(1e-9, "edges unfinished")},
}
