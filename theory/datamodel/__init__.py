"""Compute optimal linear datamodels: `exact` from a table of all subsets, `blockwise` from a table read block by block.

`pairs` adds the interactions of two points. `fit_sampled` and `fit_sampled_pairs` estimate the same datamodels from sampled
subsets; see `theory.sampling`.
"""

from theory.datamodel.exact import Datamodel, grid_rows, optimal_datamodel, quadrature_datamodel, streamed_datamodels
from theory.datamodel.pairs import PairDatamodel, optimal_pair_datamodel
from theory.sampling.fit import SampledDatamodel, fit_sampled
from theory.sampling.pairs import SampledPairDatamodel, fit_sampled_pairs

__all__ = [
    "Datamodel",
    "PairDatamodel",
    "SampledDatamodel",
    "SampledPairDatamodel",
    "fit_sampled",
    "fit_sampled_pairs",
    "grid_rows",
    "optimal_datamodel",
    "optimal_pair_datamodel",
    "quadrature_datamodel",
    "streamed_datamodels",
]
