"""The experiment asks whether one LDS ranks attributions, by the exact LDS and slope of each at many inclusion probabilities."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from sims.experiments.shared.digits import SOFTMAX_IRIS
from sims.experiments.shared.effects import linearizations, references, scores_or_undefined
from sims.experiments.shared.experiment import Experiment, Retrain, in_memory
from sims.experiments.shared.labels import Measured, Variables, labelled, measured, table
from sims.experiments.shared.memory import require_per_subset
from sims.experiments.shared.problem import Problem
from sims.experiments.shared.settings import setting
from theory.datamodel import optimal_datamodel
from theory.laws import Bernoulli
from theory.metrics import jackknife, weighted_rank_correlations
from theory.response import Array
from theory.subsets import all_masks, sizes
from theory.values import shapley

__all__ = ["BEST", "EXPERIMENT", "LdsByLawConfig", "run"]

BEST = "best linear predictor"
"""The optimal datamodel for the law itself, fitted anew at every p."""

QUALITIES = ("lds", "slope")


@dataclass(frozen=True)
class LdsByLawConfig:
    """A config sets the learner, the inclusion probabilities, the number of seeds, and the damping of the damped scores."""

    problem: Problem
    probabilities: tuple[float, ...] = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
    n_seeds: int = 1
    damping: float = setting("damping of the damped scores", 1e-2, within="(0, inf)")


def run(config: LdsByLawConfig, *, retrain: Retrain = in_memory, progress: bool = False) -> xr.Dataset:
    """Measure how well sums of effects predict F over all 2^N subsets, each with its probability under Bernoulli(p).

    The LDS is Spearman's correlation of mid-distribution ranks with these weights, mean over outputs, and the slope is that of
    predicted on retrained responses around their means, all outputs together. Nothing is drawn: only seeds are sampled, with
    standard errors from the jackknife (NaN for one seed).
    """
    learner, seeds = config.problem.build(), tuple(range(config.n_seeds))
    require_per_subset(learner, _TABLES * learner.n_outputs * len(seeds), "lds_by_law")
    samples = retrain(learner, seeds).samples  # (R, 2^N, M)
    (exact,), (at,) = references(learner, seeds, samples), linearizations(learner, seeds)
    masks, present = all_masks(learner.n_points), sizes(learner.n_points)
    effects = {
        "D(1)": exact["D(1)"],
        "leave-one-out": exact["LOO"],
        "beta": exact["beta"],
        "Shapley": np.stack([shapley(responses) for responses in samples]),
        "influence": scores_or_undefined(at),
        "damped Gauss-Newton": scores_or_undefined(at, "gauss_newton", damping=config.damping),
        "damped empirical Fisher": scores_or_undefined(at, "empirical_fisher", damping=config.damping),
    }

    def of(p: float, estimate: str) -> Measured:
        weights = p**present * (1.0 - p) ** (learner.n_points - present)

        def qualities(scores: Array, responses: Array) -> list[float]:
            own = optimal_datamodel(responses, Bernoulli(p)).coefficients if estimate == BEST else scores
            return _qualities(masks @ own, responses, weights)

        scores = effects.get(estimate, np.zeros_like(exact["LOO"]))
        if not np.isfinite(scores).all():
            return measured([np.nan] * 2, [np.nan] * 2, quality=QUALITIES)
        value = qualities(scores.mean(axis=0), samples.mean(axis=0))
        return measured(value, jackknife(qualities, scores, samples), quality=QUALITIES)

    found = table(of, p=config.probabilities, estimate=(*effects, BEST))
    variables: Variables = {"measured": (found, "predicted against retrained response over all subsets")}
    return labelled("lds_by_law", config, variables).assign_attrs(n_seeds=config.n_seeds)


def _qualities(predicted: Array, actual: Array, weights: Array) -> list[float]:
    """Return LDS and slope of predicted against actual responses (2^N, M) whose rows have the probabilities `weights`."""
    share = (weights / weights.sum())[:, None]
    p, a = (values - (share * values).sum(axis=0) for values in (predicted, actual))
    rank = float(np.mean(weighted_rank_correlations(predicted, actual, weights)))
    return [rank, float((share * p * a).sum() / (share * a * a).sum())]


_TABLES = 8
"""Peak of memory in tables of all subsets, seeds and outputs."""

_NETWORK: dict[str, Any] = {"hidden": (4,), "l2": 0.01, "learning_rate": 0.5, "n_points": 8}

EXPERIMENT = Experiment(
    name="lds_by_law",
    question="Does one LDS rank attributions, whatever the subsets?",
    cases=(
        LdsByLawConfig(Problem("spector", "logistic", l2=0.1, n_points=12)),
        LdsByLawConfig(replace(SOFTMAX_IRIS, n_points=12)),
        *(
            LdsByLawConfig(Problem(data, "mlp", **_NETWORK, steps=steps), n_seeds=16)
            for data in ("two_moons", "xor")
            for steps in (30, 3000)
        ),
    ),
    small=(
        LdsByLawConfig(Problem("spector", "logistic", l2=0.1, n_points=8), probabilities=(0.25, 0.5, 0.9)),
        LdsByLawConfig(replace(Problem("xor", "mlp", **_NETWORK, steps=300), n_points=5), probabilities=(0.5, 0.9), n_seeds=3),
    ),
    run=run,
)
