"""Fit linear datamodels to sampled subsets and estimate their errors.

`fit_sampled` estimates beta of the optimal linear datamodel (T1; T7 for subsets of one size) from m subsets drawn by a design of
`designs` and their responses F. The residual F - g is a function of the subset, not noise, and its spread differs from subset
to subset: all standard errors are therefore heteroscedasticity-consistent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from theory.inputs import as_count, as_number, as_numbers, one_of, shown
from theory.laws import Bernoulli, FixedSize
from theory.linear import LinearDatamodel
from theory.memory import require_memory
from theory.response import Array
from theory.sampling import penalised, regression
from theory.sampling.designs import Design
from theory.sampling.inputs import (
    Observations,
    alike,
    as_groups,
    as_omega,
    as_responses,
    as_subsets,
    from_design,
    require_presence,
    require_rows,
    require_sizes,
)

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["METHODS", "Errors", "Method", "SampledDatamodel", "fit_sampled"]

Method = Literal["ols", "difference_of_means", "ridge", "lasso"]
Errors = Literal["hc3", "hc2"]
METHODS: tuple[Method, ...] = ("ols", "difference_of_means", "ridge", "lasso")


@dataclass(frozen=True, repr=False)
class SampledDatamodel(LinearDatamodel):
    """A sampled datamodel is estimated from m subsets drawn from `law`; residual_variance is that on new subsets of this law.

    >>> from theory.subsets import all_masks
    >>> fit_sampled(all_masks(3), all_masks(3) @ [[1.0], [2.0], [4.0]], law=Bernoulli(0.5))
    SampledDatamodel(method=ols, n_subsets=8, n_points=3, n_outputs=1, law=Bernoulli(p=0.5), r_squared=1, errors=HC3)
    """

    method: Method
    standard_errors: Array  # (N, M); NaN where undefined
    error_kind: str  # what the standard errors are, or why there are none
    degrees_of_freedom: Array  # (N,) of Student's t for intervals
    n_subsets: int
    penalty: Array | None = None  # (M,), the strength alpha of ridge or LASSO
    covariance: Array | None = None  # (M, N, N) of the coefficients, with keep_covariance=True

    def facts(self) -> dict[str, object]:
        """Return the method, the shape, the law, the range of R^2 and the kind of errors."""
        return {"method": self.method, "n_subsets": self.n_subsets, **super().facts(), "errors": self.error_kind}

    def to_xarray(self) -> "xr.Dataset":
        """Return coefficients, standard errors, intercept, residual variance and R^2, with the dimensions point and output."""
        errors = {"standard_errors": (("point", "output"), self.standard_errors)}
        return super().to_xarray().assign(errors).assign_attrs(method=self.method, error_kind=self.error_kind)

    def confidence_interval(self, level: float = 0.95) -> tuple[Array, Array]:
        """Return pointwise Student t intervals for beta at the given level: lower and upper ends (N, M)."""
        if self.method in ("ridge", "lasso"):
            raise ValueError(f"{self.method} is biased for beta and has no interval ({self.error_kind}): fit with method='ols'")
        half = _quantile(level, self.degrees_of_freedom)[:, None] * self.standard_errors
        return self.coefficients - half, self.coefficients + half

    def contrasts(self, directions: ArrayLike) -> tuple[Array, Array]:
        """Return sum_i c_i beta_i for directions c (C, N), such as e_i - e_j, and their standard errors: two arrays (C, M).

        On subsets of one size only directions with sum_i c_i = 0 are identified (T7); others raise ValueError.
        """
        c = as_numbers("directions", directions, "one row per contrast", finite=True)
        if c.ndim != 2 or c.shape[1] != len(self.coefficients):
            raise ValueError(f"directions has shape {c.shape}, expected (C, {len(self.coefficients)}): one row per contrast")
        if self.covariance is None:
            raise ValueError("this fit kept no covariance: call fit_sampled(.., method='ols', keep_covariance=True)")
        if isinstance(self.law, FixedSize) and (np.abs(c.sum(axis=1)) > 1e-12 * np.abs(c).sum(axis=1)).any():
            raise ValueError(
                f"a direction does not sum to 0: on subsets of size {self.law.k} only differences such as beta_i - beta_j are "
                "identified, as a constant added to all beta_i changes no prediction"
            )
        return c @ self.coefficients, np.sqrt(np.einsum("ci,mij,cj->cm", c, self.covariance, c, optimize=True))


def fit_sampled(
    masks: ArrayLike | Design,
    responses: ArrayLike,
    method: Method = "ols",
    *,
    law: Bernoulli | FixedSize | None = None,
    groups: ArrayLike | None = None,
    row_weights: ArrayLike | None = None,
    penalty: float | None = None,
    n_folds: int = 5,
    errors: Errors = "hc3",
    keep_covariance: bool = False,
) -> SampledDatamodel:
    """Estimate the optimal linear datamodel from subsets masks (m, N) of 0 and 1, or a Design, and responses (m, M).

    "ols": least squares with HC3 errors (MacKinnon & White 1985). On all 2^N subsets, weighted by their probability, it is the
    exact datamodel. "difference_of_means": mean F with point i minus mean F without, the MSR estimator (Wang & Jia 2023), with
    Welch's errors; the spread due to other points adds to its error, but not to that of OLS. "ridge" and "lasso" (Ilyas et al.
    2022) also work with fewer subsets than points; `penalty` is their strength (`penalised`), by default the one of least error
    in cross-validation with `n_folds` folds of whole groups. Errors of ridge leave out its bias; LASSO has none (NaN).

    errors: "hc3" is conservative, its variances are too large by about m/(m - N), for G pairs G/(G - N); "hc2" is not, and is
    the better choice where these factors are not near 1, as long as residuals have similar spread.

    Intervals of OLS use Student's t and hold from about 30 subsets with and 30 without each point. On exact tables they covered
    beta in 94-97% at p = 1/2; at p = 0.9, where few subsets have most of the spread, in 89-93% at m = 160 and 94-95% at 2,000.

    law: FixedSize(k) where every subset has k points: beta is then the representative with sum 0, or (N - 1)/N times the
    difference of means (T7). groups (m,): labels of rows drawn together, such as pairs of complements; errors then come from the
    spread between groups. A Design already has its law and groups. row_weights (m,) > 0: how much each row counts, such as a
    ratio of probabilities where the rows were drawn from another law.

    >>> from theory.subsets import all_masks
    >>> fit = fit_sampled(all_masks(3), all_masks(3) @ [[1.0], [2.0], [4.0]])
    >>> fit.coefficients.round(9).tolist(), fit.error_kind, fit.n_subsets
    ([[1.0], [2.0], [4.0]], 'HC3', 8)
    """
    one_of("method", method, METHODS)
    if not isinstance(errors, str) or errors not in ("hc3", "hc2"):
        raise ValueError(f"errors {shown(errors)} is unknown, expected 'hc3' or 'hc2'")
    if not isinstance(keep_covariance, bool | np.bool_):
        raise ValueError(f"keep_covariance = {shown(keep_covariance)}, expected True or False")
    masks, law, groups = from_design(masks, law, groups)
    subsets, y = as_subsets(masks), as_responses(responses)
    if len(y) != len(subsets):
        raise ValueError(f"masks has {len(subsets)} rows and responses {len(y)}, expected one response per subset")
    if keep_covariance and method != "ols":
        raise ValueError(f"keep_covariance with method {method!r}, expected 'ols': no other method has a covariance")
    require_sizes(subsets, law)
    data = Observations(subsets, y, as_omega(row_weights, len(y)), as_groups(groups, len(y)), law)
    if method == "ols":
        require_rows(data)
    require_presence(subsets)
    if method == "ols":
        return _ols(data, errors, keep_covariance)
    if method == "difference_of_means":
        return _difference_of_means(data)
    return _penalised(data, method, penalty, n_folds)


def _ols(data: Observations, errors: Errors, keep_covariance: bool) -> SampledDatamodel:
    n_rows, n = data.subsets.shape
    n_bytes = 8 * (3 * n_rows * n + (data.responses.shape[1] * n**2 if keep_covariance else 0))
    require_memory(n_bytes, f"least squares on {n_rows} subsets of {n} points", "use fewer subsets, or fewer outputs at once")
    rows = data.rows
    try:
        solution = regression.least_squares(rows, singular_along_one=data.one_size)
    except np.linalg.LinAlgError as singular:
        raise np.linalg.LinAlgError(
            f"the {n_rows} subsets do not tell the points apart: {singular} coefficients are identified"
            f"{alike(data.subsets)}; draw more subsets (pairs of complements count once), or use method='ridge' or 'lasso'"
        ) from None
    left = n_rows - data.n_coefficients
    if data.groups is not None:
        residual_variance = regression.mean_square(rows, solution, data.groups)
    else:
        residual_variance = (solution.residuals**2).sum(axis=0) / left if left else np.full(len(rows.y_mean), np.nan)
    freedom = _degrees_of_freedom(data, rows)
    factor = 1.0 if data.groups is None or errors == "hc2" else 1.0 - 1.0 / data.n_groups
    power = {"hc3": -1.0, "hc2": -0.5}[errors]
    found = factor * regression.error_covariance(rows, solution, data.groups, power, full=keep_covariance)
    covariance, squares = (found, _diagonals(found)) if keep_covariance else (None, found)
    kind = errors.upper()
    if data.groups is not None:
        kind = f"{'jackknife' if errors == 'hc3' else 'CR2'} over {data.n_groups} groups"
    if data.n_groups < 2 or left < 1 or not np.isfinite(squares).all() or not (freedom > 0.0).all():
        kind = f"undefined: {n_rows} subsets in {data.n_groups} independent groups leave no residual to estimate; draw more"
        squares = np.full(squares.shape, np.nan)
        covariance = None if covariance is None else np.full(covariance.shape, np.nan)
    return _fitted(
        data,
        "ols",
        solution.coefficients,
        np.sqrt(squares),
        kind,
        degrees_of_freedom=freedom,
        residual_variance=residual_variance,
        covariance=covariance,
    )


def _diagonals(covariance: Array) -> Array:
    return np.diagonal(covariance, axis1=1, axis2=2).T


def _degrees_of_freedom(data: Observations, rows: regression.Rows) -> Array:
    """Return the degrees of freedom (N,) of Student's t intervals.

    For G groups whose rows have mean rank r: G - max(1, rank of the points / r), which is G - N for pairs of complements (r = 1)
    and G - 1 for groups that are whole designs (r = N). For independent rows, n with the point and n' without:
    (m - number of coefficients) W / (m - 2), where

        W = (1/n + 1/n')^2 / (1 / (n^2 (n - 1)) + 1 / (n'^2 (n' - 1)))

    is m - 2 if n = n' and near n' - 1 if n' is small: Welch's, as if both had the same spread (Bell & McCaffrey 2002). For a
    point that is rarely absent, the few subsets without it set the degrees of freedom.
    """
    n_rows = len(data.subsets)
    if data.groups is not None:
        directions = (data.n_coefficients - 1) / regression.mean_rank(rows.x, data.groups)
        return np.repeat(data.n_groups - max(1.0, directions), len(rows.x_mean))
    present = data.subsets.sum(axis=0)
    absent = n_rows - present
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = 1.0 / (present**2 * (present - 1.0)) + 1.0 / (absent**2 * (absent - 1.0))
        both = (1.0 / present + 1.0 / absent) ** 2 / parts
    return (n_rows - data.n_coefficients) / max(n_rows - 2, 1) * both


def _difference_of_means(data: Observations) -> SampledDatamodel:
    """Estimate beta by differences of means, with Welch's errors.

    Scores of row r: omega (F - mean with i) / n_with sqrt(n_with / (n_with - 1)) where i is present, likewise where absent.
    Their squares sum to Welch's s_with^2 / n_with + s_without^2 / n_without.
    """
    subsets, omega, m = data.subsets, data.omega, data.responses.shape[1]
    origin = omega @ data.responses / len(subsets)
    left = data.responses - origin
    n_rows, n = subsets.shape
    shrink = (n - 1) / n if data.one_size else 1.0
    means, squares = np.zeros((2, n, m)), np.zeros((n, m))
    present = subsets.sum(axis=0)
    scarce = np.minimum(present, n_rows - present)
    step = max(1, _ENTRIES // n_rows)
    for start in range(0, n, step):
        points = slice(start, start + step)
        scores = np.zeros((m, n_rows, len(scarce[points])))
        for k, chosen in enumerate((1.0 - subsets[:, points], subsets[:, points])):
            share = omega[:, None] * chosen / (omega @ chosen)
            means[k, points] = share.T @ left
            with np.errstate(divide="ignore", invalid="ignore"):
                scores += (2 * k - 1) * (left.T[:, :, None] - means[k, points].T[:, None]) * share / np.sqrt(1.0 - share)
        squares[points] = _summed_squares(scores, data).T
    squares[(scarce < 2) if data.groups is None else (scarce < 1)] = np.nan
    beta = shrink * (means[1] - means[0])
    fitted = (subsets - omega @ subsets / n_rows) @ beta
    kind = "Welch" if data.groups is None else f"between {data.n_groups} groups"
    freedom = scarce - 1.0 if data.groups is None else np.full(n, data.n_groups - 1.0)
    return _fitted(
        data,
        "difference_of_means",
        beta,
        shrink * np.sqrt(squares),
        kind,
        degrees_of_freedom=freedom,
        residual_variance=omega @ (left - fitted) ** 2 / n_rows,
    )


def _summed_squares(scores: Array, data: Observations) -> Array:
    """Return sum_r s_r^2, or with groups G/(G - 1) sum_g (sum_{r in g} s_r)^2, for scores (M, m, points): (M, points)."""
    if data.groups is None:
        return np.square(scores).sum(axis=1)
    within = np.zeros((len(scores), data.n_groups, scores.shape[2]))
    for output, values in zip(within, scores, strict=True):
        np.add.at(output, data.groups, values)
    return data.n_groups / (data.n_groups - 1) * np.square(within).sum(axis=1)


def _penalised(data: Observations, method: Literal["ridge", "lasso"], penalty: float | None, n_folds: int) -> SampledDatamodel:
    rows, n_outputs = data.rows, data.responses.shape[1]
    path, grid = {
        "ridge": (penalised.ridge, penalised.ridge_strengths),
        "lasso": (penalised.lasso, penalised.lasso_strengths),
    }[method]
    strengths = grid(rows) if penalty is None else np.full((1, n_outputs), _as_strength(penalty))
    folds = _folds(data, n_folds)
    errors = penalised.cross_validated(path, strengths, data.subsets, data.responses, data.omega, folds)
    alpha, residual_variance = penalised.choose_strength(strengths, errors)
    if method == "lasso":
        beta = penalised.lasso(rows, alpha[None], tolerance=1e-10)[0]
        squares, kind = np.full_like(beta, np.nan), "none: no standard error of beta is valid after selection by LASSO"
    else:
        beta = penalised.ridge(rows, alpha[None])[0]
        squares, kind = _ridge_squares(data, rows, beta, alpha), "standard deviation, without the bias of ridge"
    if data.one_size:
        beta = beta - beta.mean(axis=0)
    freedom = np.full(len(beta), np.nan)
    return _fitted(data, method, beta, np.sqrt(squares), kind, freedom, residual_variance, penalty=alpha)


def _ridge_squares(data: Observations, rows: regression.Rows, beta: Array, alpha: Array) -> Array:
    gram, count = rows.x.T @ rows.x, len(rows.x)
    factor = 1.0 if data.groups is None else 1.0 - 1.0 / data.n_groups
    squares = np.empty_like(beta)
    for m, strength in enumerate(alpha):
        ridged = gram + count * strength * np.eye(len(gram))
        operator = np.asarray(scipy.linalg.solve(ridged, rows.x.T, assume_a="pos"), dtype=np.float64).T
        residuals = rows.y[:, [m]] - rows.x @ beta[:, [m]]
        one = regression.Rows(rows.x, rows.y[:, [m]], rows.root, rows.x_mean, rows.y_mean[[m]])
        fit = regression.Solution(beta[:, [m]], residuals, operator)
        squares[:, m] = factor * regression.error_covariance(one, fit, data.groups, full=False)[:, 0]
    return squares


def _folds(data: Observations, n_folds: int) -> NDArray[np.intp]:
    if as_count("n_folds", n_folds, ", the number of folds") > data.n_groups or n_folds < 2:
        raise ValueError(f"n_folds = {n_folds}, expected a whole number from 2 to the {data.n_groups} independent groups")
    groups = np.arange(len(data.subsets), dtype=np.intp) if data.groups is None else data.groups
    return groups % int(n_folds)


def _fitted(
    data: Observations,
    method: Method,
    coefficients: Array,
    standard_errors: Array,
    kind: str,
    degrees_of_freedom: Array,
    residual_variance: Array,
    *,
    penalty: Array | None = None,
    covariance: Array | None = None,
) -> SampledDatamodel:
    """Build the result; where F is constant, standard errors and R^2 are undefined (NaN)."""
    variance, constant = data.variance, data.variance == 0.0
    n_rows = len(data.subsets)
    mean = data.omega @ data.responses / n_rows
    with np.errstate(divide="ignore", invalid="ignore"):
        r_squared = np.where(constant, np.nan, 1.0 - residual_variance / variance)
    return SampledDatamodel(
        method=method,
        intercept=mean - data.omega @ data.subsets / n_rows @ coefficients,
        coefficients=coefficients,
        standard_errors=np.where(constant, np.nan, standard_errors),
        error_kind=kind,
        degrees_of_freedom=degrees_of_freedom,
        residual_variance=residual_variance,
        r_squared=r_squared,
        n_subsets=n_rows,
        law=data.law,
        penalty=penalty,
        covariance=covariance,
    )


def _as_strength(penalty: float) -> float:
    return as_number("penalty", penalty, "a finite number > 0; for no penalty use method='ols'", above=0.0)


def _quantile(level: float, degrees_of_freedom: Array | Sequence[float]) -> Array:
    inside = as_number("level", level, "0 < level < 1", above=0.0, below=1.0)
    return np.asarray(scipy.special.stdtrit(degrees_of_freedom, 0.5 + 0.5 * inside), dtype=np.float64)


_ENTRIES = 2**22
