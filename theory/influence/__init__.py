"""Influence scores from one trained model or from its training, and how their errors add up.

`scores` has influence from gradients and a curvature; `curvature` what may stand for the Hessian; `inverse` how it is inverted;
`trajectory` scores from checkpoints (TracIn, TRAK, SOURCE); `budget` the way from a datamodel to a score, step by step.
"""

from theory.influence.scores import (
    METHODS,
    Influence,
    hessian_influence,
    influence,
    leverages,
    loo_gap_bound,
    newton_change,
    null_space_sizes,
)

__all__ = [
    "METHODS",
    "Influence",
    "hessian_influence",
    "influence",
    "leverages",
    "loo_gap_bound",
    "newton_change",
    "null_space_sizes",
]
