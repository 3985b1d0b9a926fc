"""Learners: one file each. Every learner has `n_points`, `n_outputs` and `respond`; see `theory.response` for the protocols."""

from sims.learners.least_squares import LeastSquares
from sims.learners.logistic import Logistic

__all__ = ["LeastSquares", "Logistic"]
