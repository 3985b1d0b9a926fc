"""The module measures how far the derivative of training is off where a network has kinks."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from sims.learners.mlp import MLP
from theory.metrics import relative_error
from theory.response import Array, Learner

__all__ = ["crossing_warning", "difference_warning"]

MOST_SEEDS = 16
"""Seeds whose derivatives are compared, at most: two derivatives of a network with kinks cost about four without."""

STEPS = (0.1, 0.05)
"""Changes of a weight whose differences of F hop over jumps; the second tells how far the first is off."""

WORTH_SAYING = 0.01


def crossing_warning(learner: Learner, seeds: Sequence[int]) -> str:
    """Say by how much the unrolled derivative of a relu network is off at w = 1, or return "" where there is nothing to say.

    It is the median over at most 16 seeds of ||unrolled D(1) - corrected D(1)|| / ||corrected D(1)||: the corrected one has what
    units add that change between on and off (T19). A few seeds whose corrected derivative is large decide nothing.

    >>> crossing_warning(MLP([[-1.0], [1.0]], [0, 1], [[0.5]], steps=20), (0, 1))  # tanh has no kink
    ''
    """
    if not isinstance(learner, MLP) or not learner.hidden or learner.derivative != "unrolled":
        return ""
    if learner.activation == "leaky_relu":
        return "D(1) is differentiated step by step, without what the kinks of leaky_relu add, which is not known (T19)"
    if learner.activation != "relu":
        return ""
    if learner.optimizer != "sgd":
        return f"D(1) is differentiated step by step, without what the kinks of relu add; for {learner.optimizer} it is not known"
    chosen, ones = tuple(seeds)[:MOST_SEEDS], np.ones((1, learner.n_points))
    kinds = (learner, dataclasses.replace(learner, derivative="crossings"))
    try:
        unrolled, corrected = (kind.weight_jacobian(ones, chosen)[0] for kind in kinds)
    except ArithmeticError:
        return "D(1) is differentiated step by step, without what the kinks of relu add, and with it D(1) is not finite (T19)"
    gap = float(np.median([relative_error(*pair) for pair in zip(unrolled, corrected, strict=True)]))
    if not gap >= WORTH_SAYING:
        return ""
    return (
        "D(1) is differentiated step by step, without what relu units add that change between on and off: it is off by "
        f"{gap:.0%} of the corrected D(1), median of {len(chosen)} seeds. derivative='crossings' has what is missing (T19)"
    )


def difference_warning(respond: Callable[[Array], Array], derivative: Array) -> str:
    """Say by how much a derivative D(1) (N, M) differs from coarse differences of F, or return "" where it does not.

    `respond` computes F (B, M) for weights (B, N). The differences are (F(1 + h e_i) - F(1 - h e_i)) / 2h with h = 0.1 and 0.05,
    extrapolated to order h^4. They hop over small jumps, which a derivative step by step does not see. They are trusted to three
    times the change from the first h to the extrapolation: where F is only curved or noisy, nothing is said.

    >>> difference_warning(lambda w: w**3, 3.0 * np.eye(2))  # D(1) = 3, smooth
    ''
    >>> difference_warning(lambda w: np.floor(w * 1000.0) / 1000.0, np.zeros((2, 2)))[:40]
    'D(1) differs by 100% from differences of'
    """
    n = len(derivative)
    moves = np.concatenate([sign * h * np.eye(n) for h in STEPS for sign in (1.0, -1.0)])
    parts = respond(1.0 + moves).reshape(len(STEPS), 2, n, -1)
    coarse, fine = ((part[0] - part[1]) / (2.0 * h) for part, h in zip(parts, STEPS, strict=True))
    best = fine + (fine - coarse) / 3.0
    size = float(np.linalg.norm(best))
    gap, doubt = (float(np.linalg.norm(x - best)) for x in (derivative, coarse))
    if not gap > max(3.0 * doubt, WORTH_SAYING * size):
        return ""
    if size == 0.0:
        return "D(1) is not 0, but F is the same with weights 0.9 to 1.1: they do not belong together"
    return (
        f"D(1) differs by {gap / size:.0%} from differences of F with weights {1 - STEPS[1]:g} and {1 + STEPS[1]:g} (right to "
        f"about {doubt / size:.1%}): training jumps in the weights, as with relu, max pooling or a hinge loss, and a derivative "
        "step by step does not see it (T19)"
    )
