"""The module measures how much easier the average over seeds is to predict than one seed, with errors from all seeds."""

from collections.abc import Callable

import numpy as np

from sims.experiments.shared.labels import Measured, measured
from theory.datamodel import optimal_datamodel
from theory.metrics import lds
from theory.response import Array
from theory.subsets import all_masks

__all__ = ["GAIN_MEASURES", "GAIN_PAIRINGS", "gain"]

GAIN_PAIRINGS = ("same seeds", "other seeds")
"""Models that are predicted: those that beta was computed from, or as many with other seeds."""

GAIN_MEASURES = ("relative_error", "mean_relative_error", "lds")
"""The relative error of all seeds together, its mean over seeds, and the LDS."""


def gain(samples: Array) -> Measured:
    """Measure what averaging over seeds does for the prediction of tables (R, 2^N, M) by beta: (pairing, measure, models).

    `models` are "one seed", the mean over seeds of how well beta of a seed predicts, "average", how well beta of the average
    does, and "gain", by how much better the latter is. With F_r minus its mean over subsets written f_r, and e_r what beta
    leaves of it, the relative errors are

        sqrt(sum_r ||e_r||^2 / sum_r ||f_r||^2)  and  ||mean_r e_r|| / ||mean_r f_r||.

    The first is defined although a seed's model may not depend on the subset at all; the mean over seeds of ||e_r|| / ||f_r||
    is then undefined, as is the LDS. For other seeds, seed r predicts seed r + R/2 and the other way round, and so do the
    averages of both halves. Standard errors are by the jackknife: seeds (or pairs of seeds) are left out one at a time.
    """
    masks = all_masks(int(np.log2(samples.shape[1])))
    beta = np.stack([optimal_datamodel(table).coefficients for table in samples])  # (R, N, M)
    predicted = (masks - masks.mean(axis=0)) @ beta
    actual = samples - samples.mean(axis=1, keepdims=True)
    half = len(samples) // 2
    ahead = slice(0, half), slice(half, 2 * half)
    same = _jackknifed([predicted], [actual])
    other = _jackknifed([predicted[part] for part in ahead], [actual[part] for part in ahead[::-1]])
    (values, errors) = (np.stack(pair) for pair in zip(same, other, strict=True))
    return measured(values, errors, pairing=GAIN_PAIRINGS, measure=GAIN_MEASURES, models=("one seed", "average", "gain"))


def _jackknifed(predicted: list[Array], actual: list[Array]) -> tuple[Array, Array]:
    """Return values and standard errors (measure, models); each pair of arrays (R, 2^N, M) is one direction of prediction."""
    count = len(predicted[0])
    single = np.array(
        [[_sums_and_lds(p, a) for p, a in zip(ps, fs, strict=True)] for ps, fs in zip(predicted, actual, strict=True)]
    )
    totals = [(p.sum(axis=0), a.sum(axis=0)) for p, a in zip(predicted, actual, strict=True)]

    def without(left_out: int | None) -> Array:
        kept = np.arange(count) != left_out
        rows = [
            (p, a) if left_out is None else (p - ps[left_out], a - fs[left_out])
            for (p, a), ps, fs in zip(totals, predicted, actual, strict=True)
        ]
        averages = np.array([_sums_and_lds(p / kept.sum(), a / kept.sum()) for p, a in rows])[:, None]
        one, average = _measures(single[:, kept]), _measures(averages)
        better = np.array([1.0, 1.0, -1.0]) * (one - average)  # a smaller error, a larger LDS
        return np.stack([one, average, better], axis=1)

    return without(None), _spread(without, count)


def _sums_and_lds(predicted: Array, actual: Array) -> tuple[float, float, float]:
    """Return ||actual - predicted||^2, ||actual||^2 and the LDS of tables (2^N, M)."""
    return float(np.square(actual - predicted).sum()), float(np.square(actual).sum()), lds(predicted, actual)


def _measures(parts: Array) -> Array:
    """Return `GAIN_MEASURES` of models whose sums and LDS are given, (direction, model, 3)."""
    wrong, size, ranks = parts.reshape(-1, 3).T
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.array([np.sqrt(wrong.sum() / size.sum()), np.sqrt(wrong / size).mean(), ranks.mean()])


def _spread(without: Callable[[int], Array], count: int) -> Array:
    """Return the jackknife's standard error of a statistic that is given without each of `count` observations."""
    if count < 2:
        return np.full((len(GAIN_MEASURES), 3), np.nan)
    return np.sqrt((count - 1) * np.var([without(number) for number in range(count)], axis=0))
