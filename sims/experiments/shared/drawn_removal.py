"""The part of the experiment `group_removal` for too many points to use all subsets: datamodels are fitted to drawn subsets."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from sims.experiments.shared.conditioning import with_conditioning
from sims.experiments.shared.effects import derivatives, linearizations, scores_or_undefined
from sims.experiments.shared.experiment import Retrain, in_memory
from sims.experiments.shared.labels import Variables, labelled, measured, table
from sims.experiments.shared.problem import Problem
from theory.influence import newton_change
from theory.laws import Bernoulli, FixedSize
from theory.metrics import bootstrap, lds, relative_error, slope
from theory.response import Array, Linearization
from theory.sampling.blocks import BlockFits, fit_without_blocks, jackknifed
from theory.sampling.designs import independent
from theory.streams import stream

__all__ = ["DrawnRemovalConfig", "run_drawn"]

_FITTED = {"datamodel": 0.5, "beta, summed": 0.5, "datamodel (p = 0.9)": 0.9, "beta (p = 0.9), summed": 0.9}
_OTHERS = ("influence, summed", "D(1), summed", "LOO, summed", "Newton step")
_OVER = "drawn subsets"
_QUALITIES = ("slope", "relative_error", "lds")


@dataclass(frozen=True)
class DrawnRemovalConfig:
    """A config sets the learner, the numbers k of removed points, the subsets drawn at each p, and the groups of k points.

    One point is removed in every way, so that k = 1 has N groups. Errors are over `n_blocks` blocks of the drawn subsets.
    """

    problem: Problem
    removed: tuple[int, ...]
    draws: int
    groups: int = 200
    n_seeds: int = 1
    n_blocks: int = 20


def run_drawn(config: DrawnRemovalConfig, *, retrain: Retrain = in_memory, progress: bool = False) -> xr.Dataset:
    """Measure how well each method predicts F(1) - F(1_S) for subsets S without k points, as `group_removal` does.

    Datamodels at p = 1/2 and p = 0.9 are fitted by least squares to independent subsets. What they give is corrected for the bias
    that noise in their coefficients adds, and has errors, by the jackknife over blocks of these subsets; a squared relative error
    is corrected, and the relative error is its square root. Errors also count the groups, where they are drawn (bootstrap), and
    the seeds (jackknife) where there are several; `degrees_of_freedom` are those of the part with fewest.
    """
    learner, seeds = config.problem.build(), tuple(range(config.n_seeds))
    n, ones = learner.n_points, np.ones(learner.n_points)
    removals = retrain(learner, seeds, part="leave-one-out", weights=np.vstack([ones, 1.0 - np.eye(n)])).samples  # (R, N + 1, M)
    full = removals[:, :1]
    groups = {1: (1.0 - np.eye(n), removals[:, 1:])}
    for k in (k for k in config.removed if k > 1):
        rng = stream(f"group removal {k}", 0)
        chosen = FixedSize(n - k).draw(n_subsets=config.groups, n_points=n, rng=rng)
        groups[k] = chosen, retrain(learner, seeds, part=f"without {k}", weights=chosen).samples
    fits = dict[float, list[BlockFits]]()  # by p: on the mean over all seeds, and without each seed
    for p in sorted(set(_FITTED.values())):
        masks = independent(Bernoulli(p), n_subsets=config.draws, n_points=n, seed=0).masks
        samples = retrain(learner, seeds, part=f"p={p:g}", weights=masks).samples
        fits[p] = [fit_without_blocks(masks, mean, n_blocks=config.n_blocks) for mean in _means(samples)]
    (at,) = linearizations(learner, seeds)
    effects = {
        "influence, summed": scores_or_undefined(at),
        "D(1), summed": derivatives(learner, ones, seeds)[0],
        "LOO, summed": full - removals[:, 1:],
    }

    def predicted(k: int, estimate: str) -> list[Array]:
        """Return predicted changes (block fits, groups, M), on all seeds and without each; one fit where nothing is fitted."""
        subsets = groups[k][0]
        if estimate not in _FITTED:
            each = effects.get(estimate)
            changes = _newton(at, subsets) if each is None else np.einsum("bn,rnm->rbm", 1.0 - subsets, each)
            return [mean[None] for mean in _means(changes)]
        of = fits[_FITTED[estimate]]
        if estimate.endswith("summed"):
            return [np.einsum("bn,gnm->gbm", 1.0 - subsets, fit.coefficients, optimize=True) for fit in of]
        return [mean - fit.predict(subsets) for mean, fit in zip(_means(full), of, strict=True)]

    def predicted_change(k: int, estimate: str) -> xr.Dataset:
        actual = _means(full - groups[k][1])
        mine, rival = predicted(k, estimate), predicted(k, "D(1), summed")
        (*values, ratio), (*errors, ratio_error) = _measure(mine, actual, rival, drawn=k > 1)
        one = measured(ratio, ratio_error, errors_over=_OVER).rename(value="ratio", error="ratio_error")
        return measured(values, errors, errors_over=_OVER, measure=_QUALITIES).merge(one)

    found = table(predicted_change, removed=config.removed, estimate=(*_OTHERS, *_FITTED))
    variables: Variables = {
        "measured": (found[["value", "error"]], "predicted against retrained change, over groups of that size"),
        "ratio": (
            found[["ratio", "ratio_error"]].rename(ratio="value", ratio_error="error"),
            "relative error / relative error of D(1), summed",
        ),
    }
    degrees = min([config.n_blocks - 1, *([config.n_seeds - 1] if config.n_seeds > 1 else [])])
    result = labelled("group_removal", config, variables)
    result = result.assign_attrs(n_seeds=config.n_seeds, draws=config.draws, degrees_of_freedom=degrees)
    return with_conditioning(result, [learner], seeds)


def _means(samples: Array) -> list[Array]:
    """Return the mean of samples (R, ..) over all seeds, then, if there are several, without each of them."""
    without = [np.delete(samples, r, axis=0).mean(axis=0) for r in range(len(samples))] if len(samples) > 1 else []
    return [samples.mean(axis=0), *without]


def _newton(at: Linearization, subsets: Array) -> Array:
    """Return -newton_change (R, B, M), or NaN if the Hessian of some group is singular."""
    try:
        return -newton_change(at, subsets)
    except np.linalg.LinAlgError:
        return np.full((len(at.params), len(subsets), at.output_gradients.shape[1]), np.nan)


def _qualities(predicted: Array, actual: Array, rival: Array) -> list[float]:
    """Return slope, squared relative error, LDS, and the square of the relative error divided by that of a rival."""
    error = relative_error(predicted, actual)
    with np.errstate(divide="ignore", invalid="ignore"):  # a rival without error
        ratio = float(np.divide(error, relative_error(rival, actual)))
    return [slope(predicted, actual), error**2, lds(predicted, actual), ratio**2]


_SQUARES = [1, 3]


def _measure(predicted: list[Array], actual: list[Array], rival: list[Array], *, drawn: bool) -> tuple[Array, Array]:
    """Return slope, relative error, LDS and ratio, and their standard errors; the first entry of each list is of all seeds."""
    n = len(_QUALITIES) + 1
    if not all(np.isfinite(x).all() for x in (predicted[0], rival[0])):
        return np.full(n, np.nan), np.full(n, np.nan)
    value = np.array(_qualities(predicted[0][0], actual[0], rival[0][0]))
    variance = np.zeros(n)
    if len(predicted[0]) > 1:
        by_block = [_qualities(mine, actual[0], rival[0][0]) for mine in predicted[0]]
        value, error = jackknifed(by_block)
        variance += error**2
    if drawn:
        variance += bootstrap(_qualities, predicted[0][0], actual[0], rival[0][0], n_draws=100) ** 2
    if len(predicted) > 1:
        without = [_qualities(p[0], a, r[0]) for p, a, r in zip(predicted[1:], actual[1:], rival[1:], strict=True)]
        variance += (len(without) - 1) * np.var(without, axis=0)
    errors = np.sqrt(variance)
    low, high = (np.sqrt(np.maximum(value + sign * errors, 0.0)) for sign in (-1.0, 1.0))
    value[_SQUARES] = np.sqrt(np.maximum(value[_SQUARES], 0.0))
    errors[_SQUARES] = 0.5 * (high - low)[_SQUARES]
    return value, errors
