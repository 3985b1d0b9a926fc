"""The module computes every influence score that the experiments compare, with the settings of common practice."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from sims.experiments.shared.effects import scores_or_undefined
from sims.experiments.shared.problem import Problem
from sims.learners.mlp import MLP
from theory.influence.trajectory import gradient_dot, source, tracin, trak
from theory.response import Array, Linearization

__all__ = ["HESSIAN_BASED", "PRACTICE", "SCORES", "TRAINED", "Practice", "along_training"]


@dataclass(frozen=True)
class Practice:
    """The settings are the cut-off of the pseudo-inverse, the damping, the iterations of conjugate gradients and the checkpoints.

    Methods that follow training see `checkpoints_per_decade` checkpoints for each factor of 10 in the number of steps.
    """

    cutoff: float = 1e-6
    damping: float = 1e-2
    iterations: int = 3
    checkpoints_per_decade: int = 6


PRACTICE = Practice()

Score = Callable[[Practice, Linearization], Array]
SCORES: Mapping[str, Score] = {
    "exact H": lambda c, at: scores_or_undefined(at),
    "pseudo-inverse": lambda c, at: scores_or_undefined(at, "pseudo_inverse", cutoff=c.cutoff),
    "damped H": lambda c, at: scores_or_undefined(at, "damped", damping=c.damping),
    "damped GN": lambda c, at: scores_or_undefined(at, "gauss_newton", damping=c.damping),
    "damped GN by CG": lambda c, at: scores_or_undefined(
        at, "conjugate_gradients", curvature="gauss_newton", damping=c.damping, iterations=c.iterations
    ),
    "Newton step": lambda c, at: scores_or_undefined(at, "newton"),
    "damped E-K-FAC": lambda c, at: scores_or_undefined(at, "ekfac", damping=c.damping),
    "damped |H|": lambda c, at: scores_or_undefined(at, "absolute", damping=c.damping),
    "damped empirical Fisher": lambda c, at: scores_or_undefined(at, "empirical_fisher", damping=c.damping),
    "TRAK": lambda c, at: trak(at, dimension=-(-at.params.shape[1] // 2), seed=0).scores,  # half as many dimensions as parameters
}
"""Scores that use the trained model only: name -> function that returns scores (R, N, M), NaN where undefined."""

HESSIAN_BASED = [name for name in SCORES if name != "TRAK"]
TRAINED = ("TracIn", "gradient dot product", "SOURCE")
"""Scores that follow training from checkpoint to checkpoint; `along_training` computes them."""


def along_training(
    problem: Problem, times: tuple[int, ...], seeds: tuple[int, ...], practice: Practice
) -> list[dict[str, Array]]:
    """Compute the scores `TRAINED` at every time, from checkpoints that are evenly spaced in the logarithm of the steps.

    Return one empty dict if there are no times, that is for a learner that is solved exactly.
    """
    if not times:
        return [{}]
    last = max(times)
    spread = np.geomspace(1.0, last, 1 + math.ceil(practice.checkpoints_per_decade * math.log10(last)))
    steps = tuple(sorted({*times, *(int(t) for t in np.round(spread))}))
    learner = problem.build(snapshots=steps, steps=last)
    assert isinstance(learner, MLP), "only networks have training times"
    seen = learner.checkpoints(np.ones(learner.n_points), seeds)
    until = [seen[: steps.index(t) + 1] for t in times]
    methods = dict(zip(TRAINED, (tracin, gradient_dot, source), strict=True))
    return [{name: method(part).scores for name, method in methods.items()} for part in until]
