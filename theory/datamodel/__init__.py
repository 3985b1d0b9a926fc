"""Compute optimal linear datamodels: `exact` from a table of all subsets, `blockwise` from a table read block by block.

`fit_sampled` estimates the same datamodel from sampled subsets; see `theory.sampling`.
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
