"""Influence scores from one trained model or from its training, and how their errors add up.

`attribution` has the type of all scores, `scores` influence from gradients and a curvature, `curvature` what may stand for the
Hessian, `inverse` how it is inverted, `trajectory` scores from checkpoints (TracIn, TRAK, SOURCE), `budget` the error budget: the
way from a datamodel to a score, step by step.
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
