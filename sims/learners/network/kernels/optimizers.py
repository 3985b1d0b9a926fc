"""Do the steps of optimisers, their derivatives along a direction, and the transposes of these.

Adam at step t = 0, 1, .., with m and v the moments after it and g the gradient (Kingma & Ba 2015), is

    m = beta_1 m + (1 - beta_1) g,   v = beta_2 v + (1 - beta_2) g^2,   s = sqrt(v / (1 - beta_2^(t+1))),
    theta = (1 - rate decay) theta - rate / (1 - beta_1^(t+1)) m / (s + eps).

`size` is 1 / (s + eps), the derivative of m / (s + eps) in m, and `turn` is that in v. Where v = 0, all gradients so far were 0
and m = 0: there m / (s + eps) has the derivative dm / eps along every direction, because s moves by O(h) and m s by O(h^2).
"""

import math
from typing import NamedTuple

from theory.compiled import inner
from theory.response import Array

__all__ = ["OPTIMIZERS", "SGD", "Rule", "adam_along", "adam_back", "adam_slopes", "adam_step", "sgd_step"]

OPTIMIZERS = ("sgd", "adam", "adamw")
"""The optimisers; the last two take the same steps, and differ in what `Rule.l2` and `Rule.decay` are."""

SGD = OPTIMIZERS.index("sgd")
"""The optimiser whose memory is one vector, the velocity."""


class Rule(NamedTuple):
    """How a gradient becomes a step."""

    l2: float  # of the penalty, which is part of the gradient
    decay: float  # theta shrinks by rate * decay in every step, beside what the gradient does
    optimizer: int
    momentum: float
    betas: tuple[float, float]
    eps: float


@inner
def sgd_step(params: Array, velocity: Array, gradient: Array, rate: float, momentum: float) -> None:
    """Do one step with momentum on parameters and velocity in place."""
    for p in range(params.shape[0]):
        for r in range(params.shape[1]):
            velocity[p, r] = momentum * velocity[p, r] + gradient[p, r]
            params[p, r] -= rate * velocity[p, r]


@inner
def adam_step(rule: Rule, t: int, rate: float, params: Array, memory: Array, gradient: Array) -> None:
    """Do one step of adam on parameters and moments in place."""
    P, (beta, gamma) = len(params), rule.betas
    step, shrink, share = rate / (1.0 - beta ** (t + 1)), 1.0 - rate * rule.decay, 1.0 / math.sqrt(1.0 - gamma ** (t + 1))
    for p in range(P):
        q = P + p
        for r in range(params.shape[1]):
            g = gradient[p, r]
            m, v = beta * memory[p, r] + (1.0 - beta) * g, gamma * memory[q, r] + (1.0 - gamma) * g * g
            memory[p, r], memory[q, r] = m, v
            params[p, r] = shrink * params[p, r] - step * m / (math.sqrt(v) * share + rule.eps)


@inner
def adam_slopes(rule: Rule, t: int, memory: Array, first: int, size: Array, turn: Array) -> None:
    """Write `size` and `turn` after step t, for the moments in the rows of `memory` from row `first`."""
    share = 1.0 / math.sqrt(1.0 - rule.betas[1] ** (t + 1))
    for p in range(len(size)):
        m, v = first + p, first + len(size) + p
        for r in range(size.shape[1]):
            root = math.sqrt(memory[v, r])
            part = 1.0 / (root * share + rule.eps)
            size[p, r] = part
            turn[p, r] = -0.5 * share * memory[m, r] * part * part / root if root > 0.0 else 0.0


@inner
def adam_along(
    rule: Rule, t: int, rate: float, tangents: Array, memories: Array, along: Array, gradient: Array, size: Array, turn: Array
) -> None:
    """Do the derivative of `adam_step` along a direction, where `along` is that of the gradient."""
    P, (beta, gamma) = len(tangents), rule.betas
    step, shrink = rate / (1.0 - beta ** (t + 1)), 1.0 - rate * rule.decay
    for p in range(P):
        q = P + p
        for r in range(tangents.shape[1]):
            m = beta * memories[p, r] + (1.0 - beta) * along[p, r]
            v = gamma * memories[q, r] + (1.0 - gamma) * 2.0 * gradient[p, r] * along[p, r]
            memories[p, r], memories[q, r] = m, v
            tangents[p, r] = shrink * tangents[p, r] - step * (m * size[p, r] + v * turn[p, r])


@inner
def adam_back(
    rule: Rule, t: int, rate: float, adjoint: Array, memories: Array, trail: Array, direction: Array, size: Array, turn: Array
) -> None:
    """Do the transpose of `adam_along`: update the adjoints, and write that of the gradient into `direction`."""
    P, (beta, gamma) = len(adjoint), rule.betas
    step, shrink = rate / (1.0 - beta ** (t + 1)), 1.0 - rate * rule.decay
    for p in range(P):
        q = P + p
        for r in range(adjoint.shape[1]):
            m, v = memories[p, r] - step * adjoint[p, r] * size[p, r], memories[q, r] - step * adjoint[p, r] * turn[p, r]
            direction[p, r] = (1.0 - beta) * m + (1.0 - gamma) * 2.0 * trail[q, r] * v
            memories[p, r], memories[q, r] = beta * m, gamma * v
            adjoint[p, r] *= shrink
