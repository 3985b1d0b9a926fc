"""Measure scores against an exact effect and against F on subsets, with the errors that the truth itself has."""

import numpy as np
from numpy.typing import NDArray

from sims.referee.candidates import Candidate
from sims.referee.matching import mismatch
from sims.referee.report import Measure
from sims.referee.truth import Target, Truth
from theory.datamodel import optimal_datamodel
from theory.laws import Bernoulli
from theory.metrics import jackknife, lds, pearson, relative_error, slope, spearman, weighted_rank_correlations
from theory.response import Array
from theory.streams import stream
from theory.subsets import all_masks

__all__ = ["PROBABILITIES", "lds_by_probability", "measured"]

PROBABILITIES = (0.1, 0.25, 0.5, 0.75, 0.9)
"""The probabilities p with which points are in the subsets of an LDS, where all subsets are known."""

DRAWS = 50
"""Draws of the truth's own errors."""


def measured(scores: Array, candidate: Candidate, truth: Truth, target: Target, kept: NDArray[np.bool_]) -> Measure:
    """Measure scores against one exact effect on the entries `kept`.

    The standard errors are those of the truth: of the mean over its seeds (jackknife), and of drawn subsets (normal draws of
    `candidate.error`). They are 0 for one seed and all subsets. With one trained model for each seed of the truth, its mean over
    these seeds is no estimate, and the first part does not apply.
    """
    if not kept.any():
        return Measure(*[float("nan")] * 5, errors=(float("nan"),) * 5)
    own = _measures(scores[kept], candidate.scores[kept])
    each = truth.effects[candidate.name + ("_loss" if target == "loss" else "")][:, kept]

    def against(mean: Array) -> Array:
        return np.array(_measures(scores[kept], mean))

    variance = np.nan_to_num(jackknife(against, each)) ** 2  # NaN for one seed
    if candidate.error is not None:
        noise = stream("errors of a truth", 0).standard_normal((DRAWS, int(kept.sum()))) * candidate.error[kept]
        variance += np.var([_measures(scores[kept], candidate.scores[kept] + move) for move in noise], axis=0, ddof=1)
    return Measure(*own, errors=tuple(np.sqrt(variance).tolist()))


def _measures(scores: Array, reference: Array) -> tuple[float, float, float, float, float]:
    """Return slope, relative error, relative error after the best factor, Pearson's and Spearman's correlation."""
    return (
        slope(scores, reference),
        relative_error(scores, reference),
        mismatch(scores, reference),
        pearson(scores, reference),
        spearman(scores, reference),
    )


def lds_by_probability(scores: Array, truth: Truth, target: Target) -> dict[float, tuple[float, float]]:
    """Compute the LDS of scores (N, M), and of the best linear predictor, for several inclusion probabilities.

    Where all subsets are known this is exact: their ranks have the weights of Bernoulli(p), and the best predictor is the optimal
    datamodel for p. Of drawn subsets there is one p, 1/2, whose best predictor was fitted to the same subsets.
    """
    responses = truth.subsets.responses["responses" if target == "margin" else "responses_loss"]
    if not truth.subsets.complete:
        fitted = truth.effect("beta", target)
        return {0.5: (lds(truth.masks @ scores, responses), lds(truth.masks @ fitted, responses))}
    masks, found = all_masks(truth.n_points), dict[float, tuple[float, float]]()
    sizes = masks.sum(axis=1)
    for p in PROBABILITIES:
        weights = p**sizes * (1.0 - p) ** (truth.n_points - sizes)
        fitted = optimal_datamodel(responses, Bernoulli(p)).coefficients
        own, most = (float(np.mean(weighted_rank_correlations(masks @ b, responses, weights))) for b in (scores, fitted))
        found[p] = own, most
    return found
