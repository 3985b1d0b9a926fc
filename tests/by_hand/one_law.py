"""Made-up results of `one_law`: averages that are the scores and that are not, scores that agree and that differ."""

import numpy as np
import xarray as xr

QUESTIONS = ["D(1)", "leave-one-out", "datamodel, p = 0.5", "Shapley"]


def averaged(error, not_judged=""):
    """The part of a result that T13 reads."""
    values = {"error": (("law",), [1e-12, error]), "n_jumps": 3}
    return {"one_law": [xr.Dataset(values, {"law": ["Shapley", "leave-one-out"]}, {"case": "by hand", "not_judged": not_judged})]}


def compared(*distances):
    """Results in which each pair of scores has the same relative error; one result per distance."""

    def result(distance):
        values = np.full((4, 4, 2), distance) * (1.0 - np.eye(4))[:, :, None]
        coords = {"score": QUESTIONS, "question": QUESTIONS, "measure": ["slope", "relative_error"]}
        return xr.Dataset({"against": (tuple(coords), values)}, coords, {"case": f"{distance} apart"})

    return {"one_law": [result(distance) for distance in distances]}


EITHER_WAY = {
    "T13": {"holds": averaged(1e-12), "fails": averaged(1e-6)},
    "T13 places": {"holds": compared(0.3, 0.2, 0.01), "fails": compared(0.3, 0.01, 0.01), "inconclusive": compared(0.3, 0.01)},
}
