"""Collect the learners, one per file.

Every learner has `n_points`, `n_outputs` and `respond`. `theory.response` defines the protocols; `theory.response.Learner` lists
the optional attributes, the functions that read them, and their defaults.
"""

from sims.learners.bistable import Bistable
from sims.learners.interpolator import Interpolator
from sims.learners.kernel_sum import KernelSum
from sims.learners.least_squares import LeastSquares
from sims.learners.logistic import Logistic
from sims.learners.mlp import MLP
from sims.learners.moving_jump import MovingJump
from sims.learners.one_step import OneStep
from sims.learners.softmax_regression import SoftmaxRegression

__all__ = [
    "MLP",
    "Bistable",
    "Interpolator",
    "KernelSum",
    "LeastSquares",
    "Logistic",
    "MovingJump",
    "OneStep",
    "SoftmaxRegression",
]
