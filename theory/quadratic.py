"""Define the base class of exact and estimated pair datamodels, which are quadratic functions of the training weights."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from theory.display import span
from theory.laws import TwoLevelLaw
from theory.linear import FittedDatamodel
from theory.response import Array

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["QuadraticDatamodel"]


@dataclass(frozen=True, repr=False)
class QuadraticDatamodel(FittedDatamodel):
    """A quadratic datamodel predicts M outputs from centred weights, m = E w_i:

        g(w) = intercept + sum_i coefficients[i] (w_i - m) + sum_{i<j} pairs[i, j] (w_i - m) (w_j - m).

    In these coordinates the intercept is E F, and the coefficients are those of the linear datamodel: pairs add to it and change
    nothing in it. (The intercept of a linear datamodel is its prediction at w = 0, not at w = m.)
    """

    law: TwoLevelLaw
    pairs: Array  # (N, N, M), symmetric, 0 on the diagonal
    linear_r_squared: Array  # (M,), R^2 without the pairs

    def predict(self, weights: ArrayLike) -> Array:
        """Predict the outputs at weights (B, N): g(w), shape (B, M)."""
        away = self._checked(weights) - self.law.mean
        both = np.stack([((away @ matrix) * away).sum(axis=1) for matrix in np.moveaxis(self.pairs, 2, 0)], axis=1)
        return self.intercept + away @ self.coefficients + 0.5 * both

    def leave_one_out(self) -> Array:
        """Estimate F(1) - F(1 - e_i) by g(1) - g(1 - e_i) = beta_i + (1 - m) sum_j beta_ij, shape (N, M) (T18).

        Bernoulli(p) subsets have m = p. LOO_i = sum_k (1 - p)^k sum_{|T| = k, i not in T} d_{T + i} Ftilde(p 1) exactly: a Taylor
        polynomial of the multilinear extension from p 1 to 1. `coefficients` are its first term, and this estimate its first two,
        from the same retrainings. The estimate is the better one where the terms fall with k, as they do near the full set: on
        Spector (logistic, N = 16) the relative error falls from 0.22 to 0.05 at p = 0.75. It can be the worse one where they do
        not: on Longley (ridge, N = 16) the error falls from 0.16 to 0.03 at p = 0.9, but rises from 1.7 to 2.5 at p = 1/2.
        `sims.experiments.pairs` measures it.
        """
        return self.coefficients + (1.0 - self.law.mean) * self.pairs.sum(axis=1)

    def facts(self) -> dict[str, object]:
        """Return the shape, the law and the ranges of R^2 with and without pairs."""
        return {**super().facts(), "linear_r_squared": span(self.linear_r_squared)}

    def to_xarray(self) -> "xr.Dataset":
        """Return coefficients, pairs, intercept, residual variance and both R^2; the second point of a pair is `other`."""
        found = super().to_xarray().assign_coords(other=range(len(self.pairs)))
        return found.assign(pairs=(("point", "other", "output"), self.pairs), linear_r_squared=("output", self.linear_r_squared))
