"""How close an estimate of effects is to a reference: magnitude beside correlation, always both.

Every measure takes two arrays of one shape and pools all entries. Undefined stays undefined: a measure that divides by the spread
of a constant array is NaN, never 0 or 1.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from theory.response import Array
from theory.streams import stream

__all__ = [
    "Comparison",
    "Prediction",
    "bootstrap",
    "compare",
    "jackknife",
    "jackknife_errors",
    "lds",
    "pearson",
    "prediction_errors",
    "prediction_quality",
    "r_squared",
    "relative_error",
    "slope",
    "spearman",
]


@dataclass(frozen=True)
class Comparison:
    """An estimate against a reference: (1, 0, 1, 1) when they are equal."""

    slope: float
    relative_error: float
    pearson: float
    spearman: float


def compare(estimate: ArrayLike, reference: ArrayLike) -> Comparison:
    """All four measures of `estimate` against `reference`.

    >>> found = compare([2.0, 4.0, 6.0], [1.0, 2.0, 3.0])  # perfectly correlated, and wrong by a factor of 2
    >>> found.slope, found.relative_error, round(found.pearson, 12), found.spearman
    (2.0, 1.0, 1.0, 1.0)
    """
    return Comparison(*(measure(estimate, reference) for measure in (slope, relative_error, pearson, spearman)))


def jackknife_errors(estimates: Array, references: Array) -> Comparison:
    """Standard errors of the four measures of a mean over seeds, for estimates and references (R, ..) of one seed each.

    >>> same = np.array([[[1.0], [2.0]], [[1.0], [2.0]]])  # two seeds that agree
    >>> jackknife_errors(2.0 * same, same).slope
    0.0
    """

    def measures(estimate: Array, reference: Array) -> tuple[float, ...]:
        return dataclasses.astuple(compare(estimate, reference))

    return Comparison(*map(float, jackknife(measures, estimates, references)))


def jackknife(measure: Callable[..., ArrayLike], *samples: Array) -> Array:
    """Standard errors of measure(mean over seeds of every sample), for samples (R, ..) of one seed each.

    Delete-one jackknife (Efron & Stein 1981): sqrt((R - 1)/R sum_r (m_(r) - mean)^2), m_(r) the measure without seed r. NaN
    (undefined) for one seed.

    >>> samples = np.array([[1.0], [3.0], [5.0]])
    >>> jackknife(lambda mean: mean, samples).round(9).tolist()  # sample deviation / sqrt(3)
    [1.154700538]
    """
    n_seeds = len(samples[0])
    if n_seeds == 1:
        return np.full(np.shape(measure(*(x[0] for x in samples))), np.nan)
    totals = [x.sum(axis=0) for x in samples]
    without = [
        np.asarray(measure(*((total - x[r]) / (n_seeds - 1) for total, x in zip(totals, samples, strict=True))))
        for r in range(n_seeds)
    ]
    return np.sqrt((n_seeds - 1) * np.var(np.array(without, dtype=np.float64), axis=0))


def bootstrap(measure: Callable[..., ArrayLike], *samples: Array, n_draws: int = 200, seed: int = 0) -> Array:
    """Standard errors of measure(*samples), for samples (B, ..) whose rows, such as subsets, were drawn together.

    The standard deviation over n_draws resamples of the rows with replacement (Efron 1979), drawn by seed. NaN where the measure
    is undefined on one of them.

    >>> rows = np.array([[1.0], [2.0], [4.0], [5.0]])
    >>> error = bootstrap(lambda sample: sample.mean(), rows, n_draws=2000)
    >>> bool(abs(error / (rows.std() / 2.0) - 1.0) < 0.1)
    True
    """
    if n_draws < 2:
        raise ValueError(f"n_draws = {n_draws}, expected >= 2: the error is a spread over draws")
    rng, n_rows = stream("bootstrap", seed), len(samples[0])
    if any(len(x) != n_rows for x in samples):
        raise ValueError(f"samples have {[len(x) for x in samples]} rows, expected the same rows in all of them")
    drawn = [rng.integers(0, n_rows, n_rows) for _ in range(n_draws)]
    values = [np.asarray(measure(*(x[rows] for x in samples)), dtype=np.float64) for rows in drawn]
    return np.std(np.array(values), axis=0, ddof=1)


@dataclass(frozen=True)
class Prediction:
    """Predicted against actual responses on subsets: (1, 1, 0, 1, 1) when they are equal."""

    lds: float
    pearson: float
    relative_error: float
    slope: float
    r_squared: float


def prediction_quality(predicted: ArrayLike, actual: ArrayLike) -> Prediction:
    """Predicted against actual responses (B, M) on B subsets that were not fitted.

    LDS, Pearson and R^2 are per output, averaged. Relative error and slope (of predicted on actual) pool all outputs, each less
    its mean over the subsets, so that the intercept is judged by R^2 only.

    >>> found = prediction_quality([[0.0], [2.0], [4.0]], [[0.0], [1.0], [2.0]])
    >>> round(found.lds, 12), found.relative_error, found.slope, found.r_squared  # R^2 = 1 - (0 + 1 + 4) / 2
    (1.0, 1.0, 2.0, -1.5)
    """
    p, a = _predictions(predicted, actual)
    centred = p - p.mean(axis=0), a - a.mean(axis=0)
    return Prediction(
        lds=lds(p, a),
        pearson=float(np.mean(_correlations(p, a))),
        relative_error=relative_error(*centred),
        slope=slope(*centred),
        r_squared=float(np.mean(r_squared(p, a))),
    )


def prediction_errors(predicted: ArrayLike, actual: ArrayLike, *, n_draws: int = 200, seed: int = 0) -> Prediction:
    """Standard errors of `prediction_quality` over the subsets, by `bootstrap`; those over seeds are `jackknife`'s."""
    p, a = _predictions(predicted, actual)

    def measures(some_predicted: Array, some_actual: Array) -> tuple[float, ...]:
        return dataclasses.astuple(prediction_quality(some_predicted, some_actual))

    return Prediction(*map(float, bootstrap(measures, p, a, n_draws=n_draws, seed=seed)))


def r_squared(predicted: ArrayLike, actual: ArrayLike) -> Array:
    """1 - sum (F - prediction)^2 / sum (F - mean F)^2 over subsets, per output: (M,) from (B, M).

    On fresh subsets: negative for a prediction worse than the mean, NaN (undefined) where F is constant.

    >>> r_squared([[0.0], [1.0], [1.0]], [[0.0], [1.0], [2.0]]).tolist()  # 1 - 1/2
    [0.5]
    """
    p, a = _predictions(predicted, actual)
    total = np.square(a - a.mean(axis=0)).sum(axis=0)
    constant = np.array([_constant(column) for column in a.T])
    return np.where(constant, np.nan, 1.0 - np.square(a - p).sum(axis=0) / np.where(constant, 1.0, total))


def lds(predicted: ArrayLike, actual: ArrayLike) -> float:
    """Linear datamodeling score: Spearman over subsets of predicted on actual responses (B, M), averaged over the M outputs.

    Ties, up to rounding, by mid-ranks. NaN (undefined) where an output of either is constant. Source: Park et al. 2023, def. 2.3
    (theirs is over random subsets of one size; here over the rows given).

    >>> lds([[0.0], [2.0], [4.0], [3.0]], [[0.0], [1.0], [2.0], [5.0]])  # two of four ranks exchanged
    0.8
    """
    p, a = (_ranks(values) for values in _predictions(predicted, actual))
    return float(np.mean(_correlations(p, a)))


def slope(estimate: ArrayLike, reference: ArrayLike) -> float:
    """<estimate, reference> / <reference, reference>: the c that minimises ||estimate - c reference||.

    >>> slope([2.0, 4.0], [1.0, 2.0])
    2.0
    """
    e, r = _scaled(estimate, reference)
    return float(e @ r / (r @ r)) if r.any() else float("nan")


def relative_error(estimate: ArrayLike, reference: ArrayLike) -> float:
    """||estimate - reference|| / ||reference||, Euclidean.

    >>> relative_error([2.0, 4.0], [1.0, 2.0])
    1.0
    """
    e, r = _scaled(estimate, reference)
    return float(np.linalg.norm(e - r) / np.linalg.norm(r)) if r.any() else float("nan")


def pearson(estimate: ArrayLike, reference: ArrayLike) -> float:
    """Pearson's correlation of the pooled entries.

    >>> round(pearson([2.0, 4.0, 7.0], [1.0, 2.0, 3.0]), 4)
    0.9934
    """
    from scipy import stats  # only where it is used: it takes as long as all other imports of this module together

    e, r = _pooled(estimate, reference)
    return float("nan") if _constant(e) or _constant(r) else float(stats.pearsonr(e, r).statistic)


def spearman(estimate: ArrayLike, reference: ArrayLike) -> float:
    """Spearman's rank correlation of the pooled entries, ties (up to rounding) by mid-ranks.

    >>> spearman([2.0, 4.0, 90.0], [1.0, 2.0, 3.0])
    1.0
    """
    e, r = (_ranks(values[:, None]) for values in _pooled(estimate, reference))
    return float(_correlations(e, r)[0])


def _predictions(predicted: ArrayLike, actual: ArrayLike) -> tuple[Array, Array]:
    p, a = np.asarray(predicted, dtype=np.float64), np.asarray(actual, dtype=np.float64)
    if p.ndim != 2 or p.shape != a.shape:
        raise ValueError(f"predicted has shape {p.shape}, actual {a.shape}: expected one shape (subsets, outputs)")
    return p, a


def _correlations(p: Array, a: Array) -> Array:
    """Pearson's correlation of every column of ranks: (M,), NaN where one is constant; 1 without rounding for equal ranks."""
    x, y = p - p.mean(axis=0), a - a.mean(axis=0)
    norms = np.sqrt(np.square(x).sum(axis=0) * np.square(y).sum(axis=0))
    return np.sum(x * y, axis=0) / np.where(norms > 0.0, norms, np.nan)


def _pooled(estimate: ArrayLike, reference: ArrayLike) -> tuple[Array, Array]:
    e, r = np.asarray(estimate, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    if e.shape != r.shape or e.size == 0:
        raise ValueError(f"estimate has shape {e.shape}, reference {r.shape}: expected one shape with at least one entry")
    if not (np.isfinite(e).all() and np.isfinite(r).all()):
        raise ValueError("estimate and reference must be finite: an undefined effect cannot be compared")
    return e.ravel(), r.ravel()


def _scaled(estimate: ArrayLike, reference: ArrayLike) -> tuple[Array, Array]:
    """Both divided by the largest |reference|, so that squares neither overflow nor vanish."""
    e, r = _pooled(estimate, reference)
    unit = np.abs(r).max() or 1.0
    return e / unit, r / unit


def _ranks(values: Array) -> Array:
    """Mid-ranks of every column of (B, M). What differs from the next smaller entry by rounding only is tied with it."""
    from scipy import stats

    order = values.argsort(axis=0)
    ordered, levels = np.take_along_axis(values, order, axis=0), np.empty_like(values)
    rises = np.diff(ordered, axis=0, prepend=ordered[:1]) > _ROUNDING * np.abs(values).max(axis=0)
    np.put_along_axis(levels, order, rises.cumsum(axis=0).astype(np.float64), axis=0)
    return stats.rankdata(levels, axis=0)


def _constant(values: Array) -> bool:
    """Equal up to rounding: such an array has no correlation with anything."""
    return bool(np.ptp(values) <= _ROUNDING * np.abs(values).max())


_ROUNDING = 1e-12
"""Relative to the largest entry of an array: smaller differences are mostly rounding."""
