"""The experiment asks which attribution predicts best how the response changes when k training points are removed.

It compares datamodels, derivatives, influence, leave-one-out and Newton steps.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from sims.experiments.shared.conditioning import with_conditioning
from sims.experiments.shared.digits import SOFTMAX_DIGITS
from sims.experiments.shared.effects import derivatives, linearizations, scores_or_undefined
from sims.experiments.shared.experiment import Experiment, Retrain, in_memory, with_points
from sims.experiments.shared.labels import Measured, Variables, array, labelled, measured, table
from sims.experiments.shared.memory import require_per_subset
from sims.experiments.shared.problem import ParametricLearner, Problem
from sims.experiments.shared.settings import setting
from sims.experiments.shared.user_cases import CONVEX, why_not_enumerable
from theory.datamodel import fit_sampled, optimal_datamodel
from theory.influence import newton_change
from theory.laws import Bernoulli, FixedSize
from theory.linear import LinearDatamodel
from theory.metrics import bootstrap, lds, relative_error, slope
from theory.response import Array
from theory.sampling.designs import independent
from theory.streams import stream
from theory.subsets import all_masks, sizes
from theory.values import leave_one_out

__all__ = ["ESTIMATES", "EXPERIMENT", "QUALITIES", "CounterfactualConfig", "run"]

PROBABILITIES = (0.5, 0.9)
ESTIMATES = (
    *(f"{name} (p = {p:g})" for name in ("datamodel", "beta") for p in PROBABILITIES),
    *("D(1)", "influence", "LOO", "Newton step"),
)
QUALITIES = ("relative_error", "slope", "lds")


@dataclass(frozen=True)
class CounterfactualConfig:
    """A config sets the learner, the numbers k of removed points, the seeds, and how many subsets are drawn.

    Each datamodel is fitted to `retrainings` subsets, and each k has `groups` groups of removed points. With `retrainings` = 0
    nothing is drawn: the learner is retrained on all subsets, beta is exact and each k has all its groups.
    """

    problem: Problem
    removed: tuple[int, ...] = setting("numbers k of removed points", within="[1, inf)")
    n_seeds: int = 1
    retrainings: int = setting("subsets that each datamodel is fitted to; 0: all subsets", 0, within="[0, inf)")
    groups: int = setting("groups of removed points that are drawn for every k", 200, within="[1, inf)")


def run(config: CounterfactualConfig, *, retrain: Retrain = in_memory, progress: bool = False) -> xr.Dataset:
    """Compare the change F(1) - F(1_S), for subsets S without k points, with the prediction of each estimate.

    F is the average over seeds. A datamodel g predicts the change by F(1) - g(1_S), intercept included ("datamodel"); the other
    predictions are sums of effects over the removed points, its coefficients among them, or one Newton step for the group.
    Standard errors are over the drawn groups (bootstrap); they are NaN if all groups were used. The LDS is computed within the
    groups of k points. An undefined prediction gives NaN.
    """
    learner, seeds = config.problem.build(), tuple(range(config.n_seeds))
    exact = config.retrainings == 0
    if exact:
        require_per_subset(learner, _TABLES * learner.n_outputs * len(seeds), "counterfactual")
    ones = np.ones(learner.n_points)
    full = retrain(learner, seeds, part="all points", weights=ones[None]).mean
    models, effects, groups = (
        _from_all_subsets(learner, seeds, config, retrain) if exact else _from_drawn_subsets(learner, seeds, config, retrain)
    )
    (at,) = linearizations(learner, seeds)
    effects |= {
        **{name.replace("datamodel", "beta"): model.coefficients for name, model in models.items()},
        "D(1)": derivatives(learner, ones, seeds)[0].mean(axis=0),
        "influence": scores_or_undefined(at).mean(axis=0),
    }

    def predicted_change(k: int, estimate: str) -> Measured:
        subsets, responses = groups[k]
        actual = full - responses
        if estimate in effects:
            return _quality((1.0 - subsets) @ effects[estimate], actual, drawn=not exact)
        if estimate in models:
            return _quality(full - models[estimate].predict(subsets), actual, drawn=not exact)
        try:
            return _quality(-newton_change(at, subsets).mean(axis=0), actual, drawn=not exact)
        except np.linalg.LinAlgError:
            return _quality(np.full_like(actual, np.nan), actual, drawn=not exact)

    counts = [len(groups[k][0]) for k in config.removed]
    variables: Variables = {
        "prediction": (
            table(predicted_change, removed=config.removed, estimate=ESTIMATES),
            "predicted against retrained change",
        ),
        "groups": (array(counts, removed=config.removed), "groups of points that were removed"),
    }
    return with_conditioning(labelled("counterfactual", config, variables), [learner], seeds)


Models = Mapping[str, LinearDatamodel]
"""The datamodel of every probability, by the name of its estimate."""

Groups = dict[int, tuple[Array, Array]]
"""For each k, the subsets (B, N) without k points, and F on them (B, M)."""


def _from_all_subsets(
    learner: ParametricLearner, seeds: tuple[int, ...], config: CounterfactualConfig, retrain: Retrain
) -> tuple[Models, dict[str, Array], Groups]:
    """Compute what needs retraining, datamodels and leave-one-out, and the groups, from the table of all subsets."""
    responses, n = retrain(learner, seeds).mean, learner.n_points
    models = {f"datamodel (p = {p:g})": optimal_datamodel(responses, Bernoulli(p)) for p in PROBABILITIES}
    masks, removed = all_masks(n), n - sizes(n)
    groups = {k: (masks[removed == k], responses[removed == k]) for k in config.removed}
    return models, {"LOO": leave_one_out(responses)}, groups


def _from_drawn_subsets(
    learner: ParametricLearner, seeds: tuple[int, ...], config: CounterfactualConfig, retrain: Retrain
) -> tuple[Models, dict[str, Array], Groups]:
    """Estimate what needs retraining, datamodels and leave-one-out, and draw groups, where not all subsets can be used.

    beta is fitted by OLS to independent draws, leave-one-out takes N + 1 retrainings, and each k has `groups` subsets.
    """
    n, models = learner.n_points, dict[str, LinearDatamodel]()
    for p in PROBABILITIES:
        design = independent(Bernoulli(p), n_subsets=config.retrainings, n_points=n, seed=0)
        responses = retrain(learner, seeds, part=f"p={p:g}", weights=design.masks).mean
        models[f"datamodel (p = {p:g})"] = fit_sampled(design, responses)
    removals = retrain(learner, seeds, part="leave-one-out", weights=np.vstack([np.ones(n), 1.0 - np.eye(n)])).mean
    loo = {"LOO": removals[0] - removals[1:]}
    chosen = [
        FixedSize(n - k).draw(n_subsets=config.groups, n_points=n, rng=stream(f"counterfactual {k}", 0)) for k in config.removed
    ]
    responses = retrain(learner, seeds, part="groups", weights=np.concatenate(chosen)).mean
    return models, loo, dict(zip(config.removed, zip(chosen, np.split(responses, len(chosen)), strict=True), strict=True))


def _quality(predicted: Array, actual: Array, *, drawn: bool) -> Measured:
    """Measure predicted against actual changes (B, M) by `QUALITIES`; return NaN if the prediction is undefined."""

    def qualities(p: Array, a: Array) -> list[float]:
        return [relative_error(p, a), slope(p, a), lds(p, a)]

    value = errors = [np.nan] * len(QUALITIES)
    if np.isfinite(predicted).all():
        value = qualities(predicted, actual)
        errors = bootstrap(qualities, predicted, actual, n_draws=100) if drawn else errors
    return measured(value, errors, errors_over="groups", quality=QUALITIES)


def _resized(config: CounterfactualConfig, n_points: int) -> CounterfactualConfig:
    """Return the config for `n_points` points, without the k that are not less than `n_points`."""
    fewer = tuple(k for k in config.removed if k < n_points)
    if not fewer:
        raise ValueError(f"n_points = {n_points}, expected at least 2: a point is removed and one is left")
    return with_points(replace(config, removed=fewer), n_points)


_NETWORK: Mapping[str, Any] = {"hidden": (4,), "l2": 0.01, "learning_rate": 0.5, "steps": 500}


def _user_case(problem: Problem, small: bool) -> CounterfactualConfig:
    """Make a case with all groups, or with drawn groups and subsets if there are too many points to use all subsets."""
    n, convex = problem.n_points or 0, problem.learner in CONVEX
    trained = problem if convex else problem.changed(steps=100 if small else 500)
    n_seeds = 1 if convex else 4
    if not why_not_enumerable(problem):
        return CounterfactualConfig(trained, removed=tuple(range(1, n)), n_seeds=n_seeds)
    shares = (5, 20, 50, 80) if small else (3, 5, 10, 20, 35, 50, 65, 80, 90)
    removed = tuple(sorted({1, 2, *(round(n * share / 100) for share in shares)} - {0}))
    retrainings = (5 if small else 40) * n if not convex else max(5 * n, min(20_000, (10 if small else 100) * n))
    return CounterfactualConfig(trained, removed, n_seeds, retrainings, groups=30 if small else 200 if convex else 60)


_TABLES = 7
"""Peak of memory in tables of all subsets, seeds and outputs, measured with one seed at 2^14 and 2^16 subsets."""

EXPERIMENT = Experiment(
    name="counterfactual",
    question="Which attribution predicts best how the response changes when k points are removed?",
    cases=(
        CounterfactualConfig(Problem("spector", "logistic", l2=0.1), removed=tuple(range(1, 16))),
        CounterfactualConfig(Problem("longley", "least_squares", l2=0.1), removed=tuple(range(1, 16))),
        CounterfactualConfig(replace(SOFTMAX_DIGITS, n_points=12), removed=tuple(range(1, 12))),
        CounterfactualConfig(
            Problem("fair", "logistic", l2=0.01, n_points=200),
            removed=(1, 2, 5, 10, 20, 40, 70, 100, 130, 160, 180),
            retrainings=20_000,
        ),
        CounterfactualConfig(
            Problem("two_moons", "mlp", **_NETWORK, n_points=40),
            removed=(1, 2, 4, 8, 12, 16, 20, 24, 28, 32, 36),
            n_seeds=4,
            retrainings=1_500,
            groups=60,
        ),
    ),
    small=(
        CounterfactualConfig(Problem("spector", "logistic", l2=0.1, n_points=8), removed=tuple(range(1, 8))),
        CounterfactualConfig(Problem("fair", "logistic", l2=0.1, n_points=40), removed=(1, 4, 20), retrainings=600, groups=30),
    ),
    run=run,
    resize=_resized,
    user_case=_user_case,
    most_points=lambda config: None if config.retrainings else 20,
)
