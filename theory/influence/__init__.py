"""Compute influence scores from a trained model or from its training, and the errors of their approximations.

`attribution` has the type of all scores, `scores` influence from gradients and a curvature, `curvature` the Hessian and its
approximations, `inverse` the solvers, `trajectory` scores from checkpoints (TracIn, SOURCE) and projected gradients (TRAK), and
`budget` the error of each approximation between a datamodel and a score.
"""

from theory.influence.attribution import Attribution
from theory.influence.scores import (
    METHODS,
    hessian_influence,
    influence,
    leverages,
    loo_gap_bound,
    newton_change,
    null_space_sizes,
)

__all__ = [
    "METHODS",
    "Attribution",
    "hessian_influence",
    "influence",
    "leverages",
    "loo_gap_bound",
    "newton_change",
    "null_space_sizes",
]
