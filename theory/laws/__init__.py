"""Laws: how training weights are drawn, and where in the cube of weights a score averages the derivative."""

from theory.laws.product import Bernoulli, Gaussian, Poisson, ProductLaw, Quadrature, TwoLevelLaw, TwoPoint
from theory.laws.sizes import BetaShapley, EdgeLaw, FixedSize, LeaveOneOut, Semivalue, Shapley

__all__ = [
    "Bernoulli",
    "BetaShapley",
    "EdgeLaw",
    "FixedSize",
    "Gaussian",
    "LeaveOneOut",
    "Poisson",
    "ProductLaw",
    "Quadrature",
    "Semivalue",
    "Shapley",
    "TwoLevelLaw",
    "TwoPoint",
]
