"""Define compiled loops for a small network, its derivatives and its training, for many replicas at once.

Arrays are in C order, and replicas are their last axis: row p of parameters (P, R) is parameter p of all R replicas. Each layer
has W (in, out) in row-major order, then b (out). The loops visit one point after the other, and every replica goes through the
same operations in the same order, whichever other replicas are computed with it.

The modules are `arrays` (loops over rows), `activations`, `losses`, `layers` (loops over one layer), `points` (passes through all
layers at one point), `outputs` (evaluation and Hessian products), `optimizers`, `training` and `derivatives`, then
`single_passes` and `single` (one replica, whose points are the last axis). Each imports only earlier ones. They are compiled
together, and so they stay in one folder (`theory.compiled`).
"""

from sims.learners.network.kernels.activations import ACTIVATIONS, LEAK, Activation
from sims.learners.network.kernels.arrays import Codes, Widths
from sims.learners.network.kernels.derivatives import pull, push
from sims.learners.network.kernels.losses import LOSSES, READOUTS, curvatures, readouts, slopes, softmax
from sims.learners.network.kernels.optimizers import OPTIMIZERS, Rule
from sims.learners.network.kernels.outputs import evaluate, patterns, products
from sims.learners.network.kernels.single import descend_single, pull_single
from sims.learners.network.kernels.training import Job, descend

__all__ = [
    "ACTIVATIONS",
    "LEAK",
    "LOSSES",
    "OPTIMIZERS",
    "READOUTS",
    "Activation",
    "Codes",
    "Job",
    "Rule",
    "Widths",
    "curvatures",
    "descend",
    "descend_single",
    "evaluate",
    "patterns",
    "products",
    "pull",
    "pull_single",
    "push",
    "readouts",
    "slopes",
    "softmax",
]
