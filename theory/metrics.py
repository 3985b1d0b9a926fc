"""Measure how close an estimate of effects is to a reference, both in magnitude and in correlation.

`slope`, `relative_error`, `pearson` and `spearman` take two arrays of the same shape and pool all entries. The measures of
predictions (`r_squared`, `lds`) work per output. An undefined measure is NaN, never 0 or 1; an example is a correlation with a
constant array.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from theory.inputs import as_count, as_numbers
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
    "rank_correlations",
    "relative_error",
    "slope",
    "spearman",
    "weighted_rank_correlations",
]


@dataclass(frozen=True)
class Comparison:
    """The four measures of an estimate against a reference; they are (1, 0, 1, 1) when both are equal."""

    slope: float
    relative_error: float
    pearson: float
    spearman: float


def compare(estimate: ArrayLike, reference: ArrayLike) -> Comparison:
    """Compute all four measures of `estimate` against `reference`.

    >>> found = compare([2.0, 4.0, 6.0], [1.0, 2.0, 3.0])  # perfectly correlated, and wrong by a factor of 2
    >>> found.slope, found.relative_error, round(found.pearson, 12), found.spearman
    (2.0, 1.0, 1.0, 1.0)
    """
    return Comparison(*(measure(estimate, reference) for measure in (slope, relative_error, pearson, spearman)))


def jackknife_errors(estimates: Array, references: Array) -> Comparison:
    """Estimate the standard errors of the four measures of means over seeds, by `jackknife`.

    Row r of `estimates` and of `references`, both (R, ..), belongs to one seed.

    >>> same = np.array([[[1.0], [2.0]], [[1.0], [2.0]]])  # two seeds that agree
    >>> jackknife_errors(2.0 * same, same).slope
    0.0
    """

    def measures(estimate: Array, reference: Array) -> tuple[float, ...]:
        return dataclasses.astuple(compare(estimate, reference))

    return Comparison(*map(float, jackknife(measures, estimates, references)))


def jackknife(measure: Callable[..., ArrayLike], *samples: Array) -> Array:
    """Estimate the standard error of a measure of means over seeds, by the delete-one jackknife.

    `measure` gets the mean over seeds of every sample (R, ..), whose row r belongs to one seed. The error is
    sqrt((R - 1)/R sum_r (m_(r) - mean)^2), where m_(r) is the measure without seed r. It is NaN (undefined) for one seed.
    Source: Efron & Stein 1981.

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
    """Estimate the standard error of measure(*samples) by the bootstrap.

    Row b of all samples (B, ..) belongs to the same draw, such as one subset. The error is the standard deviation over `n_draws`
    resamples of the rows with replacement, drawn from `seed`. It is NaN where the measure is undefined on one resample.
    Source: Efron 1979.

    >>> rows = np.array([[1.0], [2.0], [4.0], [5.0]])
    >>> error = bootstrap(lambda sample: sample.mean(), rows, n_draws=2000)
    >>> bool(abs(error / (rows.std() / 2.0) - 1.0) < 0.1)
    True
    """
    n_draws = as_count("n_draws", n_draws, ": the error is a spread over draws", least=2)
    rng, n_rows = stream("bootstrap", seed), len(samples[0])
    if any(len(x) != n_rows for x in samples):
        raise ValueError(f"samples have {[len(x) for x in samples]} rows, expected the same rows in all of them")
    drawn = [rng.integers(0, n_rows, n_rows) for _ in range(n_draws)]
    values = [np.asarray(measure(*(x[rows] for x in samples)), dtype=np.float64) for rows in drawn]
    return np.std(np.array(values), axis=0, ddof=1)


@dataclass(frozen=True)
class Prediction:
    """The five measures of predicted against actual responses on subsets; they are (1, 1, 0, 1, 1) when both are equal."""

    lds: float
    pearson: float
    relative_error: float
    slope: float
    r_squared: float


def prediction_quality(predicted: ArrayLike, actual: ArrayLike) -> Prediction:
    """Compare predicted with actual responses (B, M) on B subsets that were not used for the fit.

    LDS, Pearson and R^2 are computed per output and averaged. Relative error and slope (of predicted on actual) pool all outputs
    after the mean over the subsets is subtracted from each, so that only R^2 depends on the intercept.

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
    """Estimate the standard errors of `prediction_quality` over the subsets, by `bootstrap`.

    `jackknife` gives standard errors over seeds.
    """
    p, a = _predictions(predicted, actual)

    def measures(resampled_predicted: Array, resampled_actual: Array) -> tuple[float, ...]:
        return dataclasses.astuple(prediction_quality(resampled_predicted, resampled_actual))

    return Prediction(*map(float, bootstrap(measures, p, a, n_draws=n_draws, seed=seed)))


def r_squared(predicted: ArrayLike, actual: ArrayLike) -> Array:
    """Compute R^2 = 1 - sum (F - prediction)^2 / sum (F - mean F)^2 over subsets, per output: (M,) from (B, M).

    On subsets that were not used for the fit it is negative if the prediction is worse than the mean. It is NaN (undefined) where
    F is constant.

    >>> r_squared([[0.0], [1.0], [1.0]], [[0.0], [1.0], [2.0]]).tolist()  # 1 - 1/2
    [0.5]
    """
    p, a = _predictions(predicted, actual)
    total = np.square(a - a.mean(axis=0)).sum(axis=0)
    constant = np.array([_constant(column) for column in a.T])
    return np.where(constant, np.nan, 1.0 - np.square(a - p).sum(axis=0) / np.where(constant, 1.0, total))


def lds(predicted: ArrayLike, actual: ArrayLike) -> float:
    """Compute the linear datamodeling score (LDS) of predicted against actual responses (B, M).

    It is Spearman's correlation over the B subsets, averaged over the M outputs. Values that are equal up to rounding get their
    mid-rank. The score is NaN (undefined) if an output of either array is constant. Source: Park et al. 2023, def. 2.3; they use
    random subsets of one size, this function uses the given rows.

    >>> lds([[0.0], [2.0], [4.0], [3.0]], [[0.0], [1.0], [2.0], [5.0]])  # two of four ranks exchanged
    0.8
    """
    return float(np.mean(rank_correlations(predicted, actual)))


def rank_correlations(predicted: ArrayLike, actual: ArrayLike) -> Array:
    """Compute Spearman's correlation of predicted and actual responses (B, M) over the subsets, per output: (M,), as in `lds`.

    >>> rank_correlations([[0.0, 1.0], [2.0, 3.0]], [[0.0, 3.0], [1.0, 1.0]]).tolist()
    [1.0, -1.0]
    """
    return _correlations(*(_ranks(values) for values in _predictions(predicted, actual)))


def weighted_rank_correlations(predicted: ArrayLike, actual: ArrayLike, weights: ArrayLike) -> Array:
    """Compute Spearman's correlation over subsets of different probabilities, per output: (M,) from (B, M) and weights (B,).

    The rank of a value is its mid-distribution P(X < x) + P(X = x)/2, and the result is Pearson's correlation of the ranks with
    the same weights. Over all 2^N subsets with the weights of Bernoulli(p) this is the LDS that draws from Bernoulli(p) estimate.

    >>> weighted_rank_correlations([[0.0], [2.0], [4.0], [3.0]], [[0.0], [1.0], [2.0], [5.0]], np.ones(4)).round(12).tolist()
    [0.8]
    """
    p, a = _predictions(predicted, actual)
    w = as_numbers("weights", weights, "(subsets,)", finite=True)
    if w.shape != p.shape[:1] or not (w >= 0.0).all() or not w.any():
        raise ValueError(f"weights have shape {w.shape}, expected {p.shape[:1]}, numbers >= 0 that are not all 0")
    share = (w / w.sum())[:, None]
    x, y = (_mid_distribution(values, share) for values in (p, a))
    covariance, own, other = (np.sum(share * u * v, axis=0) for u, v in ((x, y), (x, x), (y, y)))
    norms = np.sqrt(own * other)
    return covariance / np.where(norms > 0.0, norms, np.nan)


def _mid_distribution(values: Array, share: Array) -> Array:
    """Compute P(X < x) + P(X = x)/2 - 1/2 for every entry of (B, M), whose rows have the probabilities `share` (B, 1)."""
    levels = _levels(values).astype(np.int64)
    found = np.empty_like(values)
    for column, level in enumerate(levels.T):
        mass = np.bincount(level, share[:, 0])
        found[:, column] = (np.cumsum(mass) - 0.5 * mass)[level] - 0.5
    return found


def slope(estimate: ArrayLike, reference: ArrayLike) -> float:
    """Compute <estimate, reference> / <reference, reference>, the c that minimises ||estimate - c reference||.

    >>> slope([2.0, 4.0], [1.0, 2.0])
    2.0
    """
    e, r = _scaled(estimate, reference)
    return float(e @ r / (r @ r)) if r.any() else float("nan")


def relative_error(estimate: ArrayLike, reference: ArrayLike) -> float:
    """Compute ||estimate - reference|| / ||reference|| with Euclidean norms.

    >>> relative_error([2.0, 4.0], [1.0, 2.0])
    1.0
    """
    e, r = _scaled(estimate, reference)
    return float(np.linalg.norm(e - r) / np.linalg.norm(r)) if r.any() else float("nan")


def pearson(estimate: ArrayLike, reference: ArrayLike) -> float:
    """Compute Pearson's correlation of the pooled entries.

    >>> round(pearson([2.0, 4.0, 7.0], [1.0, 2.0, 3.0]), 4)
    0.9934
    """
    from scipy import stats  # imported here because it takes as long as all other imports of this module together

    e, r = _pooled(estimate, reference)
    return float("nan") if _constant(e) or _constant(r) else float(stats.pearsonr(e, r).statistic)


def spearman(estimate: ArrayLike, reference: ArrayLike) -> float:
    """Compute Spearman's rank correlation of the pooled entries; values that are equal up to rounding get their mid-rank.

    >>> spearman([2.0, 4.0, 90.0], [1.0, 2.0, 3.0])
    1.0
    """
    e, r = (_ranks(values[:, None]) for values in _pooled(estimate, reference))
    return float(_correlations(e, r)[0])


def _predictions(predicted: ArrayLike, actual: ArrayLike) -> tuple[Array, Array]:
    """Return both arrays as float64; raise ValueError unless they have the same shape (subsets, outputs)."""
    p, a = (as_numbers(n, v, "(subsets, outputs)", finite=True) for n, v in (("predicted", predicted), ("actual", actual)))
    if p.ndim != 2 or p.shape != a.shape or 0 in p.shape:
        raise ValueError(f"predicted has shape {p.shape}, actual {a.shape}: expected one shape (subsets, outputs)")
    return p, a


def _correlations(p: Array, a: Array) -> Array:
    """Compute Pearson's correlation of every pair of columns, shape (M,); NaN if a column is constant.

    Without scipy's rounding: it is exactly 1 for equal ranks.
    """
    x, y = p - p.mean(axis=0), a - a.mean(axis=0)
    norms = np.sqrt(np.square(x).sum(axis=0) * np.square(y).sum(axis=0))
    return np.sum(x * y, axis=0) / np.where(norms > 0.0, norms, np.nan)


def _pooled(estimate: ArrayLike, reference: ArrayLike) -> tuple[Array, Array]:
    """Return both arrays flattened; raise ValueError unless their shapes are equal and all entries are finite."""
    e, r = (as_numbers(n, v, "one per effect") for n, v in (("estimate", estimate), ("reference", reference)))
    if e.shape != r.shape or e.size == 0:
        raise ValueError(f"estimate has shape {e.shape}, reference {r.shape}: expected one shape with at least one entry")
    if not (np.isfinite(e).all() and np.isfinite(r).all()):
        raise ValueError("estimate and reference must be finite, expected numbers: an undefined effect cannot be compared")
    return e.ravel(), r.ravel()


def _scaled(estimate: ArrayLike, reference: ArrayLike) -> tuple[Array, Array]:
    """Return both arrays, flattened and divided by the largest |reference|, so that squares neither overflow nor vanish."""
    e, r = _pooled(estimate, reference)
    unit = np.abs(r).max() or 1.0
    return e / unit, r / unit


def _ranks(values: Array) -> Array:
    """Compute the mid-ranks of every column of (B, M).

    An entry that differs from the next smaller entry only by rounding gets the same rank.
    """
    from scipy import stats

    return stats.rankdata(_levels(values), axis=0)


def _levels(values: Array) -> Array:
    """Number the different values of every column of (B, M), from 0 up; values that are equal up to rounding are the same."""
    order = values.argsort(axis=0)
    ordered, levels = np.take_along_axis(values, order, axis=0), np.empty_like(values)
    rises = np.diff(ordered, axis=0, prepend=ordered[:1]) > _ROUNDING * np.abs(values).max(axis=0)
    np.put_along_axis(levels, order, rises.cumsum(axis=0).astype(np.float64), axis=0)
    return levels


def _constant(values: Array) -> bool:
    """Return whether all entries are equal up to rounding; the correlation with such an array is undefined."""
    return bool(np.ptp(values) <= _ROUNDING * np.abs(values).max())


_ROUNDING = 1e-12
"""Differences below this share of an array's largest entry are treated as rounding."""
