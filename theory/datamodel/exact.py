"""Compute the optimal linear datamodel: the best linear predictor g(w) = intercept + sum_i beta_i w_i of the response F(w).

For a product law with mean m and variance s^2 per weight, argmin_g E (F(w) - g(w))^2 has

    beta_i = Cov(F, w_i) / s^2,        intercept = E F - m sum_i beta_i        (T1, T2)

which this module computes exactly from F on the whole support (or quadrature grid) of the law. `theory.sampling.fit.fit_sampled`
estimates the same from a sample of subsets.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from theory.answers import require_learner
from theory.datamodel.blockwise import Moments, StreamedTable
from theory.inputs import as_count, as_seeds, shown
from theory.laws import Bernoulli, FixedSize, ProductLaw, Quadrature, TwoLevelLaw
from theory.linear import LinearDatamodel
from theory.memory import require_memory
from theory.response import BLOCK, Array, Learner, as_table, mean_response
from theory.sampling.fit import SampledDatamodel, fit_sampled
from theory.subsets import all_masks, sizes
from theory.transforms import level_means, product_probabilities

__all__ = [
    "Datamodel",
    "SampledDatamodel",
    "fit_sampled",
    "grid_rows",
    "optimal_datamodel",
    "quadrature_datamodel",
    "streamed_datamodels",
]


@dataclass(frozen=True, repr=False)
class Datamodel(LinearDatamodel):
    """A datamodel is the best linear predictor of F under its law: exact, not estimated.

    >>> model = optimal_datamodel([[0], [0], [0], [1]])
    >>> model
    Datamodel(n_points=2, n_outputs=1, law=Bernoulli(p=0.5), r_squared=0.667)
    >>> model.predict([[1, 1], [0, 1]]).tolist()
    [[0.75], [0.25]]
    """

    def with_free_constant(self, constant: float) -> "Datamodel":
        """Add `constant` to every coefficient, and keep the predictions on subsets of size k (T7).

        On sum_i w_i = k only differences beta_i - beta_j are identified: coefficients + c and intercept - k c predict alike.
        `optimal_datamodel` returns the representative with sum_i beta_i = 0.
        """
        if not isinstance(self.law, FixedSize):
            raise ValueError("the coefficients of this datamodel are identified: only a FixedSize law leaves a constant free")
        return replace(self, coefficients=self.coefficients + constant, intercept=self.intercept - self.law.k * constant)


def optimal_datamodel(table: ArrayLike, law: TwoLevelLaw | FixedSize = Bernoulli(0.5)) -> Datamodel:
    """Compute the optimal linear datamodel from a table (2**N, M) of F at every point of the law's support.

    Bernoulli(p): row = mask of the subset, and beta_i = E[F | i in S] - E[F | i not in S] (T1: the gradient of the multilinear
    extension at p 1; at p = 1/2 the Banzhaf value). TwoPoint(s): bit i of the row says whether w_i is 1 - s or 1 + s.
    FixedSize(k): beta_i = (N - 1)/N (E[F | i in S] - E[F | i not in S]) + c with the representative c = 0 (T7).
    Sources: Ilyas et al. 2022; Saunshi et al. 2022, Thm 2.2 (theirs is for +-1 variables: half of ours).

    >>> both = [[0], [0], [0], [1]]  # F = 1 where both points are present
    >>> model = optimal_datamodel(both)
    >>> model.intercept.tolist(), model.coefficients.tolist(), float(model.r_squared[0].round(12))
    ([-0.25], [[0.5], [0.5]], 0.666666666667)
    >>> optimal_datamodel(both, Bernoulli(0.75)).coefficients.tolist()
    [[0.75], [0.75]]
    """
    if isinstance(law, type):
        raise TypeError(f"law is the class {law.__name__}, expected a law on a table of subsets, such as Bernoulli(0.5)")
    if isinstance(law, FixedSize):
        return _fixed_size_datamodel(*as_table(table), law)
    if not isinstance(law, TwoLevelLaw):
        raise TypeError(
            f"law = {shown(law)} is not a law on a table of subsets, expected Bernoulli, TwoPoint or FixedSize: "
            "use quadrature_datamodel for other product laws, and values.semivalue for Shapley and other semivalues"
        )
    values, n = as_table(table, check_finite=False)
    streamed = StreamedTable(n, values.shape[1], (law,), len(values))
    streamed.add(0, values)
    return streamed_datamodels(streamed)[0]


def streamed_datamodels(streamed: StreamedTable) -> list[Datamodel]:
    """Return the optimal linear datamodel for every law of a streamed table.

    >>> from sims.learners import LeastSquares
    >>> from sims.retrain import streamed_table
    >>> learner = LeastSquares([[1.0]], [1.0], [[1.0]], l2=1.0)  # F(w) = w / (w + 1)
    >>> (model,) = streamed_datamodels(streamed_table(learner, [0], [Bernoulli(0.5)]))
    >>> model.coefficients.tolist()
    [[0.5]]
    """
    if not isinstance(streamed, StreamedTable):
        raise TypeError(f"streamed = {shown(streamed)}, expected what streamed_table returns")
    return [_from_moments(moments, law) for moments, law in zip(streamed.moments(), streamed.laws, strict=True)]


def _from_moments(moments: Moments, law: TwoLevelLaw) -> Datamodel:
    constant = np.sqrt(moments.variance) <= 4 * np.finfo(np.float64).eps * np.abs(moments.mean)
    with np.errstate(invalid="ignore", divide="ignore"):
        r_squared = np.where(constant, np.nan, 1.0 - moments.residual_variance / moments.variance)
    intercept = moments.mean - law.mean * moments.coefficients.sum(axis=0)
    return Datamodel(intercept, moments.coefficients, moments.residual_variance, r_squared, law)


def quadrature_datamodel(learner: Learner, law: ProductLaw, seeds: Sequence[int], nodes: int) -> Datamodel:
    """Compute the optimal linear datamodel for any product law, with E on the tensor grid of `law.quadrature(nodes)`.

    Exact for finite laws; for Gaussian and Poisson exact up to the Gauss error, which falls geometrically in `nodes` where F is
    analytic. Costs nodes**N retrainings (2**N for two-level laws).

    >>> from sims.learners import LeastSquares
    >>> from theory.laws import Gaussian
    >>> learner = LeastSquares([[1.0]], [1.0], [[1.0]], l2=1.0)  # F(w) = w / (w + 1), dF/dw = 1/4 at w = 1
    >>> quadrature_datamodel(learner, Gaussian(0.01), [0], nodes=6).coefficients.round(4).tolist()
    [[0.25]]
    """
    require_learner(learner)
    seeds, nodes = as_seeds(seeds), as_count("nodes", nodes)
    if not isinstance(law, ProductLaw) or isinstance(law, type):
        raise TypeError(f"law = {shown(law)} is not a product law, expected Bernoulli, TwoPoint, Gaussian or Poisson")
    rule, n = law.quadrature(nodes), learner.n_points
    if len(rule.points) < 2:
        raise ValueError(f"nodes = {nodes}, expected at least 2: one node allows no slope")
    n_rows = len(rule.points) ** n
    require_memory(
        3 * 8 * n_rows * learner.n_outputs,
        f"a grid of {len(rule.points)}**{n} weight vectors",
        "use fewer nodes or fewer training points",
    )
    table = np.empty((n_rows, learner.n_outputs))
    for start in range(0, n_rows, BLOCK):
        stop = min(start + BLOCK, n_rows)
        table[start:stop] = mean_response(learner, grid_rows(rule.points, start, stop, n), seeds)
    return _grid_datamodel(table, n, law, rule)


def grid_rows(points: Array, start: int, stop: int, n: int) -> Array:
    """Return rows start..stop-1 of the tensor grid points^n, (stop - start, n): row sum_i k_i K^i has w_i = points[k_i]."""
    k = len(points)
    digits = np.arange(start, stop)[:, None] // k ** np.arange(n) % k
    return points[digits]


def _grid_datamodel(table: Array, n: int, law: ProductLaw, rule: Quadrature) -> Datamodel:
    """Compute beta_i = sum_k P(w_i = x_k) (x_k - m) E[F | w_i = x_k] / s^2 on a tensor grid."""
    origin, joint = table[0], np.tile(rule.probabilities, (n, 1))
    table = table - origin  # changes the intercept only; the other results are then accurate relative to the spread of F
    means, overall = level_means(table, joint)
    coefficients = np.tensordot(rule.probabilities * (rule.points - law.mean), means, axes=(0, 1)) / law.variance
    intercept = overall - law.mean * coefficients.sum(axis=0)
    fitted = intercept[None]
    for beta in coefficients:  # sum_i beta_i w_i on the grid, last coordinate slowest
        fitted = (np.multiply.outer(rule.points, beta)[:, None] + fitted).reshape(-1, len(intercept))
    return _with_residual(table, fitted, product_probabilities(joint), intercept, coefficients, origin, law)


def _fixed_size_datamodel(table: Array, n: int, law: FixedSize) -> Datamodel:
    law.check(n)
    chosen = sizes(n) == law.k
    masks, responses = all_masks(n)[chosen], table[chosen]
    origin = responses[0]
    responses = responses - origin
    present, absent = masks.mean(axis=0), 1.0 - masks.mean(axis=0)
    mean_present = masks.T @ responses / len(masks) / present[:, None]
    mean_absent = (1.0 - masks).T @ responses / len(masks) / absent[:, None]
    coefficients = (n - 1) / n * (mean_present - mean_absent)
    intercept = responses.mean(axis=0) - law.k / n * coefficients.sum(axis=0)
    fitted = intercept + masks @ coefficients
    equal = np.full(len(masks), 1.0 / len(masks))
    return _with_residual(responses, fitted, equal, intercept, coefficients, origin, law)


def _with_residual(
    responses: Array,
    fitted: Array,
    probabilities: Array,
    intercept: Array,
    coefficients: Array,
    origin: Array,
    law: ProductLaw | FixedSize,
) -> Datamodel:
    """Build the datamodel; E (F - g)^2 is a sum of squares, no difference of variances, and so accurate for nearly perfect fits.

    responses, fitted and intercept are relative to `origin`, one of the responses.
    """
    residual_variance = probabilities @ (responses - fitted) ** 2
    variance = probabilities @ (responses - probabilities @ responses) ** 2
    constant = np.ptp(responses, axis=0) <= 8 * np.finfo(np.float64).eps * np.abs(origin)
    with np.errstate(invalid="ignore", divide="ignore"):
        r_squared = np.where(constant, np.nan, 1.0 - residual_variance / variance)
    return Datamodel(origin + intercept, coefficients, residual_variance, r_squared, law)
