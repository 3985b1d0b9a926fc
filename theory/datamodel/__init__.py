"""Optimal linear datamodels: `exact` from a table of all subsets, `blockwise` from a table too large to hold.

From subsets that were drawn, `fit_sampled` estimates the same; `theory.sampling` has all that belongs to it.
"""

from theory.datamodel.exact import Datamodel, grid_rows, optimal_datamodel, quadrature_datamodel, streamed_datamodels
from theory.sampling.fit import SampledDatamodel, fit_sampled

__all__ = [
    "Datamodel",
    "SampledDatamodel",
    "fit_sampled",
    "grid_rows",
    "optimal_datamodel",
    "quadrature_datamodel",
    "streamed_datamodels",
]
