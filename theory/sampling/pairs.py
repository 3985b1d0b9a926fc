"""Fit pair datamodels to sampled subsets, and estimate the errors of coefficients and pairs."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy
from numpy.typing import ArrayLike

from theory.inputs import as_number, one_of, shown
from theory.laws import Bernoulli, FixedSize
from theory.memory import require_memory
from theory.quadratic import QuadraticDatamodel
from theory.response import Array
from theory.sampling import regression
from theory.sampling.designs import Design
from theory.sampling.fit import Errors
from theory.sampling.inputs import (
    Observations,
    alike,
    as_groups,
    as_omega,
    as_responses,
    as_subsets,
    from_design,
    require_presence,
    require_sizes,
)

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["SampledPairDatamodel", "fit_sampled_pairs"]

Interval = tuple[Array, Array]


@dataclass(frozen=True, repr=False)
class SampledPairDatamodel(QuadraticDatamodel):
    """A sampled pair datamodel is estimated from m subsets drawn from `law`; its variances are those on new subsets of this law.

    >>> from theory.subsets import all_masks
    >>> fit_sampled_pairs(all_masks(3), all_masks(3).prod(axis=1)[:, None], law=Bernoulli(0.5)).pairs[0, :, 0].round(9).tolist()
    [0.0, 0.5, 0.5]
    """

    standard_errors: Array  # (N, M), of the coefficients; NaN where undefined
    pair_standard_errors: Array  # (N, N, M), 0 on the diagonal
    leave_one_out_errors: Array  # (N, M), of `leave_one_out`
    error_kind: str  # what the standard errors are, or why there are none
    degrees_of_freedom: Array  # (N,) of Student's t for the intervals of the coefficients
    pair_degrees_of_freedom: Array  # (N, N)
    n_subsets: int

    def facts(self) -> dict[str, object]:
        """Return the shape, the law, the ranges of R^2 and the kind of errors."""
        return {"n_subsets": self.n_subsets, **super().facts(), "errors": self.error_kind}

    def to_xarray(self) -> "xr.Dataset":
        """Return the arrays of the exact pair datamodel, and the standard errors of coefficients, pairs and leave-one-out."""
        point, pair = ("point", "output"), ("point", "other", "output")
        return (
            super()
            .to_xarray()
            .assign(
                standard_errors=(point, self.standard_errors),
                pair_standard_errors=(pair, self.pair_standard_errors),
                leave_one_out_errors=(point, self.leave_one_out_errors),
            )
            .assign_attrs(error_kind=self.error_kind)
        )

    def confidence_interval(self, level: float = 0.95) -> Interval:
        """Return pointwise Student t intervals for the coefficients: lower and upper ends (N, M)."""
        return _interval(self.coefficients, self.standard_errors, self.degrees_of_freedom, level)

    def pair_confidence_interval(self, level: float = 0.95) -> Interval:
        """Return pointwise Student t intervals for the pairs: lower and upper ends (N, N, M)."""
        return _interval(self.pairs, self.pair_standard_errors, self.pair_degrees_of_freedom, level)


def fit_sampled_pairs(
    masks: ArrayLike | Design,
    responses: ArrayLike,
    *,
    law: Bernoulli | None = None,
    groups: ArrayLike | None = None,
    row_weights: ArrayLike | None = None,
    errors: Errors = "hc3",
) -> SampledPairDatamodel:
    """Estimate the optimal pair datamodel from subsets masks (m, N) of 0 and 1, or a Design, and responses (m, M).

    Least squares of F on 1, the N columns w_i - p and the N (N - 1)/2 columns (w_i - p)(w_j - p). On all 2^N subsets, weighted by
    their probability, it is the exact pair datamodel. The residual is a function of the subset, so errors are those of
    `fit_sampled`: HC3 (conservative) or HC2 for independent rows, the jackknife or CR2 over the groups of a design. K, the number
    of columns with the constant, takes the place of N + 1: m should be several times K, about N^2 / 2.

    Degrees of freedom of an estimate sum_r a_r F_r from independent rows are (m - K)/m (sum a^2)^2 / sum a^4. This is m - K where
    all rows count alike (Satterthwaite 1946, for equal spreads); at p far from 1/2 few subsets lack both points of a pair, and
    these decide it. For G groups they are G - max(1, (K - 1) / rank), as in `fit_sampled`. On an exact table (N = 5), intervals
    covered coefficients and pairs in 94-97% at p = 1/2, and in 92-96% at p = 0.8.

    law: Bernoulli(p), which gives the centre p; a Design has it already, and its groups. groups, row_weights and errors are those
    of `fit_sampled`.

    >>> from theory.subsets import all_masks
    >>> F = all_masks(3) @ [[1.0], [2.0], [4.0]] + 8.0 * all_masks(3)[:, :1] * all_masks(3)[:, 1:2]
    >>> fit = fit_sampled_pairs(all_masks(3), F, law=Bernoulli(0.5))
    >>> fit.coefficients.round(9).tolist(), fit.pairs[0, :, 0].round(9).tolist()
    ([[5.0], [6.0], [4.0]], [0.0, 8.0, 0.0])
    """
    one_of("errors", errors, ("hc3", "hc2"))
    given, known, labels = from_design(masks, law, groups)
    if not isinstance(known, Bernoulli):
        why = "subsets of one size leave pairs undetermined" if isinstance(known, FixedSize) else "pairs are centred at its p"
        raise TypeError(f"law = {shown(known)}, expected Bernoulli(p): {why}; pass the law that the subsets were drawn from")
    subsets, y = as_subsets(given), as_responses(responses)
    if len(y) != len(subsets):
        raise ValueError(f"masks has {len(subsets)} rows and responses {len(y)}, expected one response per subset")
    require_sizes(subsets, known)
    data = Observations(subsets, y, as_omega(row_weights, len(y)), as_groups(labels, len(y)), known)
    require_presence(subsets)
    _require_rows(subsets)
    return _fitted(data, known, errors)


def _require_rows(subsets: Array) -> None:
    """Raise ValueError if there are fewer distinct subsets than coefficients, and MemoryError where the columns are too many."""
    (rows, n), distinct = subsets.shape, len(np.unique(subsets, axis=0))
    needed = 1 + n + n * (n - 1) // 2
    if distinct < needed:
        repeated = "" if distinct == rows else f" ({distinct} distinct ones)"
        raise ValueError(
            f"{rows} subsets{repeated} for {needed} coefficients, the intercept and {n * (n - 1) // 2} pairs included: least "
            f"squares needs at least {needed} distinct subsets, and more for standard errors; draw more, or use fit_sampled"
        )
    require_memory(32 * rows * needed, f"least squares on {rows} subsets with {needed} columns", "use fewer subsets or points")


def _fitted(data: Observations, law: Bernoulli, errors: Errors) -> SampledPairDatamodel:
    (m, n), y, omega = data.subsets.shape, data.responses, data.omega
    i, j = np.triu_indices(n, 1)
    away = data.subsets - law.mean
    rows = regression.centred(np.concatenate([away, away[:, i] * away[:, j]], axis=1), y, omega)
    try:
        solution = regression.least_squares(rows, singular_along_one=False)
    except np.linalg.LinAlgError as singular:
        raise np.linalg.LinAlgError(
            f"the {m} subsets do not tell the pairs apart: {singular} coefficients are identified{alike(data.subsets)}; "
            "draw more subsets, or use fit_sampled"
        ) from None
    k = len(solution.coefficients)
    residual, left_by_linear = _left(rows, solution, data), _left_by_linear(rows, n, data)
    removal = np.zeros((n, k))  # leave-one-out as a combination of all coefficients
    removal[:, :n] = np.eye(n)
    removal[i, n + np.arange(len(i))] = removal[j, n + np.arange(len(i))] = 1.0 - law.mean
    squares, freedom, kind = _errors(data, rows, solution, np.concatenate([np.eye(k), removal]), errors)
    variance, constant = data.variance, data.variance == 0.0
    own, both, removed = np.split(np.where(constant, np.nan, np.sqrt(squares)), [n, k])
    with np.errstate(divide="ignore", invalid="ignore"):
        r_squared, linear = (np.where(constant, np.nan, 1.0 - x / variance) for x in (residual, left_by_linear))
    return SampledPairDatamodel(
        intercept=rows.y_mean - rows.x_mean @ solution.coefficients,
        coefficients=solution.coefficients[:n],
        residual_variance=residual,
        r_squared=r_squared,
        law=law,
        pairs=_symmetric(solution.coefficients[n:], n),
        linear_r_squared=linear,
        standard_errors=own,
        pair_standard_errors=_symmetric(both, n),
        leave_one_out_errors=removed,
        error_kind=kind,
        degrees_of_freedom=freedom[:n],
        pair_degrees_of_freedom=_symmetric(freedom[n:], n),
        n_subsets=m,
    )


def _errors(
    data: Observations, rows: regression.Rows, solution: regression.Solution, directions: Array, errors: Errors
) -> tuple[Array, Array, str]:
    """Return squared errors (C, M) of directions (C, k), degrees of freedom (k,) of the k coefficients, and the errors' name."""
    (m, k), groups = rows.x.shape, data.groups
    scores = regression.group_scores(rows, solution, groups, {"hc3": -1.0, "hc2": -0.5}[errors])
    squares = regression.score_covariance((directions @ score for score in scores), full=False)
    if groups is None:
        kind, weight = errors.upper(), solution.operator**2
        freedom = (m - k - 1) / m * weight.sum(axis=0) ** 2 / (weight**2).sum(axis=0)
    else:
        kind = f"{'jackknife' if errors == 'hc3' else 'CR2'} over {data.n_groups} groups"
        squares = squares * (1.0 if errors == "hc2" else 1.0 - 1.0 / data.n_groups)
        freedom = np.full(k, data.n_groups - max(1.0, k / regression.mean_rank(rows.x, groups)))
    if m <= k + 1 or not np.isfinite(squares).all() or not (freedom > 0.0).all():
        kind = f"undefined: {m} subsets in {data.n_groups} independent groups leave no residual to estimate; draw more"
        squares = np.full(squares.shape, np.nan)
    return squares, freedom, kind


def _left(rows: regression.Rows, solution: regression.Solution, data: Observations) -> Array:
    """Estimate E (F - g)^2 on new subsets, (M,); NaN where no residual is left."""
    if data.groups is not None:
        return regression.mean_square(rows, solution, data.groups)
    left = len(rows.x) - rows.x.shape[1] - 1
    total: Array = (solution.residuals**2).sum(axis=0)
    return total / left if left > 0 else np.full(len(total), np.nan)


def _left_by_linear(rows: regression.Rows, n: int, data: Observations) -> Array:
    """Estimate E (F - g)^2 on new subsets for the linear datamodel g, (M,)."""
    linear = regression.Rows(rows.x[:, :n], rows.y, rows.root, rows.x_mean[:n], rows.y_mean)
    return _left(linear, regression.least_squares(linear, singular_along_one=False), data)


def _symmetric(values: Array, n: int) -> Array:
    """Return values of the pairs i < j, in the order of np.triu_indices, as a symmetric array (N, N, ..), 0 on the diagonal."""
    i, j = np.triu_indices(n, 1)
    full = np.zeros((n, n, *values.shape[1:]))
    full[i, j] = full[j, i] = values
    return full


def _interval(estimate: Array, errors: Array, freedom: Array, level: float) -> Interval:
    inside = as_number("level", level, "0 < level < 1", above=0.0, below=1.0)
    half = np.asarray(scipy.special.stdtrit(freedom, 0.5 + 0.5 * inside), dtype=np.float64)[..., None] * errors
    return estimate - half, estimate + half
