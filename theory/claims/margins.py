"""The module measures by how much datamodels predict better than scores that need no retraining, with its error.

What is best in hindsight, a score or the p of a datamodel, is chosen on one half of the outputs and judged on the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from theory.intervals import half_width, mean_and_error, sum_of_errors
from theory.response import Array

__all__ = ["MUCH", "Margin", "crossing", "crossing_of_halves", "margin"]

MUCH = 0.1
"""The gain in LDS that is "much". In relative error, half of it is "much"."""

QUALITIES = ("lds", "relative_error")


@dataclass(frozen=True)
class Margin:
    """By how much datamodels beat the best score for one target: per design, and without each of the seeds.

    The first row is the gain in LDS / 0.1, the second the log2 of the ratio of relative errors. Both are 1 for "much".
    `by_design` is (2, D) and `by_seed`, a mean over designs, (2, R), or (2, 0) for one seed.
    """

    by_design: Array
    by_seed: Array
    rivals: tuple[str, ...]  # the scores that were chosen by LDS
    slopes: tuple[float, float]  # of the predictions of datamodel and rival, chosen by LDS, on the retrained responses

    def larger(self, rows: Sequence[int] = (0, 1)) -> tuple[float, float]:
        """Return the larger of the given rows, as a mean over designs, and half the width of its 95% interval.

        The interval is over designs, which have no subset in common, and over seeds by the jackknife.
        """
        row = max(rows, key=lambda k: float(self.by_design[k].mean()))
        mean, error = mean_and_error(self.by_design[row])
        n_designs, n_seeds = self.by_design.shape[1], self.by_seed.shape[1]
        over_seeds = float(np.sqrt((n_seeds - 1) * np.var(self.by_seed[row]))) if n_seeds else np.nan
        return mean, half_width(*sum_of_errors((error, n_designs - 1), (over_seeds, n_seeds - 1)))


def margin(ds: xr.Dataset, target: str, retrainings: int, rivals: Sequence[str]) -> Margin:
    """Compare datamodels of a `lds` result with the best of the rivals in predicting the target."""
    chosen: list[str] = []
    by_quality: list[Array] = []
    slopes: list[list[float]] = []
    for quality in QUALITIES:
        halves: list[Array] = []
        for half, other in _swapped(ds):
            fits, scores = _of(ds, target, half, retrainings, rivals)
            elsewhere = _of(ds, target, other, retrainings, rivals)
            k, best = (_best(part.sel(without="none", quality=quality), quality) for part in elsewhere)
            fit, rival = fits[:, :, k].sel(quality=quality).values, scores[:, :, best].sel(quality=quality).values
            halves.append((fit - rival) / MUCH if quality == "lds" else np.log2(rival / fit))
            if quality == "lds":
                chosen.append(str(scores.estimate[best].item()))
                both = (part.sel(without="none", quality="slope").mean("design") for part in (fits[:, :, k], scores[:, :, best]))
                slopes.append([float(mean) for mean in both])
        by_quality.append(np.mean(halves, axis=0))
    found = np.array(by_quality)  # (quality, design, without)
    fitted, theirs = np.mean(slopes, axis=0)
    return Margin(found[:, :, 0], found[:, :, 1:].mean(axis=1), tuple(dict.fromkeys(chosen)), (float(fitted), float(theirs)))


def crossing(retrainings: Array, gain: Array) -> float:
    """Return the number of retrainings at which a gain (K,) becomes 0 for the first time, linear in their logarithm.

    It is the first number if the gain is not negative there, and infinite if it is negative throughout.

    >>> round(crossing(np.array([1.0, 4.0]), np.array([-1.0, 1.0])), 9), crossing(np.array([1.0, 4.0]), np.array([-1.0, -0.5]))
    (2.0, inf)
    """
    enough = np.flatnonzero(gain >= 0.0)
    if not enough.size:
        return float("inf")
    k = int(enough[0])
    if k == 0:
        return float(retrainings[0])
    share = gain[k - 1] / (gain[k - 1] - gain[k])
    return float(np.exp(np.log(retrainings[k - 1]) + share * np.log(retrainings[k] / retrainings[k - 1])))


def crossing_of_halves(ds: xr.Dataset, rivals: Sequence[str]) -> Array:
    """Return per design the retrainings per point after which a datamodel at p = 1/2 ranks random halves as well as the rivals.

    The rival is the best on the other half of the outputs.
    """
    target, n = str(ds.target.values[0]), int(ds.attrs["n_points"])
    gains: list[Array] = []
    for half, other in _swapped(ds):
        most = int(ds.retrainings[-1])
        elsewhere = _of(ds, target, other, most, rivals)[1].sel(without="none", quality="lds")
        at = {"target": target, "half": half, "without": "none", "quality": "lds"}
        rival = ds.score_of_design.sel(estimate=list(rivals), **at).isel(estimate=_best(elsewhere, "lds"))
        gains.append((ds.datamodel_of_design.sel(p=0.5, **at) - rival).transpose("design", "retrainings").values)
    return np.array([crossing(ds.retrainings.values / n, gain) for gain in np.mean(gains, axis=0)])


def _swapped(ds: xr.Dataset) -> list[tuple[str, str]]:
    """Return both halves of the outputs, each with the other."""
    one, two = map(str, ds.half.values)
    return [(one, two), (two, one)]


def _of(ds: xr.Dataset, target: str, half: str, retrainings: int, rivals: Sequence[str]) -> tuple[xr.DataArray, xr.DataArray]:
    """Return the qualities of datamodels and rivals: dimensions (design, without, p or estimate, quality)."""
    at = {"target": target, "half": half}
    fits = ds.datamodel_of_design.sel(retrainings=retrainings, **at).transpose("design", "without", "p", "quality")
    return fits, ds.score_of_design.sel(estimate=list(rivals), **at).transpose("design", "without", "estimate", "quality")


def _best(values: xr.DataArray, quality: str) -> int:
    """Return the number of the best choice, in the mean over designs, of values (design, choice); undefined ones are left out."""
    means = values.mean("design", skipna=False).values
    return int(np.nanargmax(means) if quality == "lds" else np.nanargmin(means))
