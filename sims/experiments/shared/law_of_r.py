"""The module measures how much beta depends on the law of the randomness r, beside how much scores differ between seeds.

A datamodel of the seed average needs no choice among optima, because it averages over those that r reaches: the law of r is the
choice. Influence depends on the one optimum that was reached.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from sims.experiments.shared.labels import Variables, array
from sims.learners.mlp import MLP
from theory.datamodel import optimal_datamodel
from theory.influence import influence
from theory.metrics import jackknife, relative_error
from theory.response import Array
from theory.subsets import all_masks

__all__ = ["law_of_r"]

CUTOFF = 1e-6
"""The cut-off of the pseudo-inverse, as a share of the largest eigenvalue: Hessians may be singular."""


def law_of_r(learner: MLP, seeds: Sequence[int]) -> Variables:
    """Measure ||beta' - beta|| / ||beta|| for other laws of r, and the spread of scores over seeds; both relative.

    The other laws are starts half and twice as large, and random batches of half the points; they share the seeds with the first
    law, and errors are by the jackknife over seeds. The control is the same law with as many other seeds: what it shows is the
    noise. The spread of a score s_r is sqrt(mean_r ||s_r - mean||^2) / ||mean||, at w = 1 for influence and D(1).
    """
    others = tuple(max(seeds) + 1 + seed for seed in seeds)
    halves = max(1, learner.n_points // 2)
    beta = _betas(learner, seeds)
    changed = {
        "starts x 1/2": _betas(dataclasses.replace(learner, init_scale=0.5 * learner.init_scale), seeds),
        "starts x 2": _betas(dataclasses.replace(learner, init_scale=2.0 * learner.init_scale), seeds),
        "batches of half the points": _betas(dataclasses.replace(learner, batch_size=halves), seeds),
        "control: other seeds": _betas(learner, others),
    }
    ones = np.ones(learner.n_points)
    scores = {
        "beta": beta,
        "D(1)": learner.weight_jacobian(ones[None], seeds)[0].swapaxes(1, 2),
        "influence": influence(learner.linearize(ones, seeds), "pseudo_inverse", cutoff=CUTOFF).scores,
    }
    change, score = {"law_of_r": tuple(changed)}, {"score": tuple(scores)}
    errors = [float(jackknife(relative_error, other, beta)) for other in changed.values()]
    return {
        "beta_change": (
            array([relative_error(other.mean(axis=0), beta.mean(axis=0)) for other in changed.values()], **change),
            "||beta under another law of r - beta|| / ||beta||",
        ),
        "beta_change_error": (array(errors, **change), "its standard error over seeds"),
        "seed_spread": (array([_spread(x) for x in scores.values()], **score), "spread over seeds / size of the mean"),
    }


def _betas(learner: MLP, seeds: Sequence[int]) -> Array:
    """Compute the optimal datamodel of every seed, (R, N, M)."""
    samples = learner.respond(all_masks(learner.n_points), seeds).swapaxes(0, 1)
    return np.stack([optimal_datamodel(table).coefficients for table in samples])


def _spread(scores: Array) -> float:
    mean = scores.mean(axis=0)
    return float(np.sqrt(((scores - mean) ** 2).sum(axis=(1, 2)).mean()) / np.linalg.norm(mean))
