"""The experiment measures the linear datamodeling score (LDS) of attributions, and of datamodels by number of retrainings."""

from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from sims.experiments.shared.conditioning import with_conditioning
from sims.experiments.shared.effects import derivatives, linearizations
from sims.experiments.shared.experiment import Experiment, Retrain, in_memory
from sims.experiments.shared.labels import Measured, Variables, labelled, measured, table
from sims.experiments.shared.problem import Problem
from sims.experiments.shared.scores import HESSIAN_BASED, PRACTICE, SCORES, TRAINED, Practice, along_training
from sims.experiments.shared.user_cases import CONVEX
from theory.datamodel import fit_sampled
from theory.laws import Bernoulli
from theory.metrics import prediction_errors, prediction_quality
from theory.response import Array
from theory.sampling.designs import Design, independent
from theory.streams import stream

__all__ = ["EXPERIMENT", "QUALITIES", "TARGETS", "LdsConfig", "run"]

PROBABILITIES = (0.5, 0.9)
TARGETS = (*(f"p = {p:g}" for p in PROBABILITIES), "1 to 3 removed")
"""Kinds of subsets whose responses are predicted; no attribution was fitted to these subsets."""

ESTIMATES = ("D(1)", "LOO", *SCORES, *TRAINED)
QUALITIES = ("lds", "pearson", "relative_error", "slope")


@dataclass(frozen=True)
class LdsConfig:
    """A config sets the learner, the retrainings of a datamodel, the fresh subsets per target, the seeds and score settings."""

    problem: Problem
    retrainings: tuple[int, ...]
    n_subsets: int = 500
    n_seeds: int = 1
    practice: Practice = PRACTICE


def run(config: LdsConfig, *, retrain: Retrain = in_memory, progress: bool = False) -> xr.Dataset:
    """Measure how well sums of effects over absent points predict F, averaged over seeds, on fresh subsets.

    `score` holds the attributions that need no retraining on subsets, and leave-one-out, which needs N + 1 retrainings.
    `datamodel` holds OLS on the first m independent draws at each p. Standard errors are over fresh subsets (bootstrap). A value
    is NaN if it is undefined, or if OLS has too few subsets.
    """
    learner, seeds, steps = config.problem.build(), tuple(range(config.n_seeds)), int(config.problem.number("steps"))
    n, ones = learner.n_points, np.ones(learner.n_points)
    (at,) = linearizations(learner, seeds)
    removals = retrain(learner, seeds, part="leave-one-out", weights=np.vstack([ones, 1.0 - np.eye(n)])).mean
    effects = {"D(1)": derivatives(learner, ones, seeds)[0].mean(axis=0), "LOO": removals[0] - removals[1:]}
    effects |= {name: make(config.practice, at).mean(axis=0) for name, make in SCORES.items()}
    (followed,) = along_training(config.problem, (steps,) if steps else (), seeds, config.practice)
    effects |= {name: score.mean(axis=0) for name, score in followed.items()}

    fresh = dict(zip(TARGETS, _fresh_subsets(n, config.n_subsets), strict=True))
    responses = {t: retrain(learner, seeds, part=f"fresh {t}", weights=masks).mean for t, masks in fresh.items()}
    most = max(config.retrainings)
    designs = {p: independent(Bernoulli(p), n_subsets=most, n_points=n, seed=0) for p in PROBABILITIES}
    sampled = {p: retrain(learner, seeds, part=f"p={p:g}", weights=design.masks).mean for p, design in designs.items()}

    def of_attribution(target: str, estimate: str) -> Measured:
        return _quality(effects.get(estimate), fresh[target], responses[target])

    def of_datamodel(p: float, retrainings: int) -> Measured:
        design = replace(designs[p], masks=designs[p].masks[:retrainings])
        beta = _ols_coefficients(design, sampled[p][:retrainings])
        return table(lambda target: _quality(beta, fresh[target], responses[target]), target=TARGETS)

    variables: Variables = {
        "score": (
            table(of_attribution, target=TARGETS, estimate=ESTIMATES),
            "predicted against retrained response on fresh subsets",
        ),
        "datamodel": (
            table(of_datamodel, p=PROBABILITIES, retrainings=config.retrainings),
            "the same of sampled datamodels",
        ),
    }
    result = labelled("lds", config, variables).assign_attrs(hessian_based=HESSIAN_BASED)
    return with_conditioning(result, [learner], seeds)


def _fresh_subsets(n: int, count: int) -> list[Array]:
    """Draw the fresh subsets of every target, (count, N) each."""
    draws = [Bernoulli(p).draw(n_subsets=count, n_points=n, rng=stream(f"lds p={p:g}", 0)) for p in PROBABILITIES]
    rng, few = stream("lds few", 0), np.ones((count, n))
    for row in few:
        row[rng.permutation(n)[: rng.integers(1, 4)]] = 0.0
    return [*draws, few]


def _ols_coefficients(design: Design, responses: Array) -> Array | None:
    """Return the coefficients that OLS gives, or None if there are too few different subsets."""
    try:
        return fit_sampled(design, responses).coefficients
    except (ValueError, np.linalg.LinAlgError):
        return None


def _quality(effect: Array | None, masks: Array, actual: Array) -> Measured:
    """Measure the sums of effects over absent points against responses by `QUALITIES`; return NaN if the effect is undefined."""
    value = errors = [np.nan] * len(QUALITIES)
    if effect is not None and np.isfinite(effect).all():
        predicted = -(1.0 - masks) @ effect
        both = prediction_quality(predicted, actual), prediction_errors(predicted, actual, n_draws=50)
        value, errors = ([getattr(part, name) for name in QUALITIES] for part in both)
    return measured(value, errors, errors_over="fresh subsets", quality=QUALITIES)


_NETWORK = (("hidden", (4,)), ("l2", 0.01), ("learning_rate", 0.5))


def _user_case(problem: Problem, small: bool) -> LdsConfig:
    n = problem.n_points or 0
    if problem.learner in CONVEX:
        retrainings = tuple(n * k for k in (2, 4, 8, 16, 64) if n * k <= max(2_000 if small else 10_000, 8 * n))
        return LdsConfig(problem, retrainings, n_subsets=100 if small else 500)
    trained = problem.changed(steps=100 if small else 500)
    retrainings = tuple(n * k for k in ((2, 5) if small else (2, 5, 10, 20)))
    return LdsConfig(trained, retrainings, n_subsets=40 if small else 200, n_seeds=2 if small else 4)


EXPERIMENT = Experiment(
    name="lds",
    question="Which attribution ranks the responses to other training sets best, and how much do more retrainings help?",
    cases=(
        LdsConfig(Problem("spector", "logistic", (("l2", 0.1),)), retrainings=(32, 64, 128, 256, 1024)),
        LdsConfig(Problem("fair", "logistic", (("l2", 0.01),), n_points=200), retrainings=(250, 300, 500, 1000, 3000, 10_000)),
        LdsConfig(
            Problem("two_moons", "mlp", (*_NETWORK, ("steps", 10)), n_points=40),
            retrainings=(50, 100, 200, 400, 800),
            n_subsets=200,
            n_seeds=4,
        ),
        LdsConfig(
            Problem("two_moons", "mlp", (*_NETWORK, ("steps", 500)), n_points=40),
            retrainings=(50, 100, 200, 400, 800),
            n_subsets=200,
            n_seeds=4,
        ),
    ),
    small=(
        LdsConfig(Problem("spector", "logistic", (("l2", 0.1),), n_points=10, n_queries=2), retrainings=(20, 100), n_subsets=60),
        LdsConfig(
            Problem("two_moons", "mlp", (*_NETWORK, ("steps", 30)), n_points=10, n_queries=2),
            retrainings=(20, 60),
            n_subsets=40,
            n_seeds=2,
        ),
    ),
    run=run,
    user_case=_user_case,
)
