"""The experiment asks whether influence is defined where a network has many optima and a Hessian without an inverse."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
import xarray as xr

from sims.experiments.shared.conditioning import with_conditioning
from sims.experiments.shared.digits import NETWORK
from sims.experiments.shared.effects import derivatives, scores_or_undefined
from sims.experiments.shared.experiment import Experiment, Retrain, in_memory
from sims.experiments.shared.labels import Measured, Variables, array, labelled, measured, table
from sims.experiments.shared.problem import Problem
from sims.experiments.shared.user_cases import NETWORKS, user_case
from sims.learners.mlp import MLP
from theory.influence import influence, null_space_sizes
from theory.metrics import jackknife
from theory.response import Array, Linearization

__all__ = ["EXPERIMENT", "OptimaConfig", "run", "spread"]

CONVERGED = 1e-4
"""A model counts as converged where ||grad L|| is at most this share of its value at the start."""


_N_ROUNDING_SEEDS = 4  # rounding is measured on the first seeds only: it takes as long as all the rest


@dataclass(frozen=True)
class OptimaConfig:
    """A config sets the network, the seeds, and what the user of influence has to choose: a cut-off or a damping."""

    problem: Problem
    n_seeds: int = 40
    cutoffs: tuple[float, ...] = (1e-10, 1e-8, 1e-6, 1e-4, 1e-2)
    dampings: tuple[float, ...] = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)


def run(config: OptimaConfig, *, retrain: Retrain = in_memory, progress: bool = False) -> xr.Dataset:
    """Train on all points from many starts, and compare influence by every cut-off and damping with D(1) of the same model.

    `error`, `slope` and `direction_error` belong to one model; the last is the smallest error that a multiple of the scores can
    have, and tells scores that are too small from wrong ones. `spread` is the standard deviation between converged models
    relative to the norm of their mean, with a standard error by the jackknife; NaN for fewer than two such models. Nothing is
    trained but the full data set, so there are no tables.
    """
    learner = config.problem.build()
    assert isinstance(learner, MLP)
    seeds, ones = tuple(range(config.n_seeds)), np.ones(learner.n_points)
    at = learner.linearize(ones, seeds)
    start = replace(learner, steps=1, learning_rate=1e-300).linearize(ones, seeds).gradient_norm  # a step that moves nothing
    (derivative,) = derivatives(learner, ones, seeds)
    scores, outputs = _scores(at, config), learner.respond(ones[None], seeds)[0]
    ratio = at.gradient_norm / start
    eigenvalues = np.linalg.eigvalsh(at.hessian)
    sizes = np.abs(eigenvalues)
    null = (sizes <= sizes.shape[1] * np.finfo(np.float64).eps * sizes.max(axis=1, keepdims=True)).sum(axis=1)
    found = ratio <= CONVERGED

    def of_effect(name: str) -> Measured:
        effects = {"D(1)": derivative, "F": outputs}.get(name, scores.get(name, outputs))
        value, error = spread(effects[found]) if found.sum() > 1 and np.isfinite(effects).all() else (np.nan, np.nan)
        return measured(value, error)

    errors, slopes, angles = (np.stack([compare(x, derivative) for x in scores.values()]) for compare in (_error, _slope, _angle))
    cut = [scores[_cut_off(c)] for c in config.cutoffs]
    apart = np.max([_norms(a - b) for a, b in combinations(cut, 2)], axis=0)
    largest = np.max([_norms(x) for x in cut], axis=0)
    choice = {"choice": tuple(scores), "seed": seeds}
    variables: Variables = {
        "gradient_ratio": (array(ratio, seed=seeds), "||grad L|| relative to the start"),
        "null_space": (array(null, seed=seeds), "eigenvalues of the Hessian that are zero to working precision"),
        "near_null": (array(null_space_sizes(at, 1e-6), seed=seeds), "eigenvalues at most 1e-6 of the largest"),
        "least_eigenvalue": (array(eigenvalues[:, 0], seed=seeds), "least eigenvalue of the Hessian"),
        "condition": (array(sizes.max(axis=1) / sizes.min(axis=1), seed=seeds), "condition number of the Hessian"),
        "error": (array(errors, **choice), "||influence - D(1)|| / ||D(1)||"),
        "slope": (array(slopes, **choice), "slope of influence on D(1)"),
        "direction_error": (array(angles, **choice), "least error of a multiple of influence"),
        "dependence": (array(apart / largest, seed=seeds), "largest difference between two cut-offs / largest norm of a score"),
        "difference": (array(apart / _norms(derivative), seed=seeds), "largest difference between two cut-offs / ||D(1)||"),
        "spread": (table(of_effect, of=("F", "D(1)", *scores)), "deviation between converged models / norm of their mean"),
    }
    result = labelled("optima", config, variables)
    return with_conditioning(result, [learner], seeds[:_N_ROUNDING_SEEDS]).assign_attrs(
        n_params=at.params.shape[1], converged=CONVERGED
    )


def spread(effects: Array) -> tuple[float, float]:
    """Compute sqrt(sum_r ||x_r - mean||^2 / (R - 1)) / ||mean|| of effects (R, ..), and its standard error by the jackknife.

    >>> spread(np.array([[1.0], [3.0]]))[0] == 2.0**0.5 / 2.0
    True
    """
    flat = effects.reshape(len(effects), -1)
    x = flat / (np.abs(flat).max() or 1.0)  # squares must neither overflow nor vanish
    centred = x - x.mean(axis=0)  # so that no digit is lost where the models agree

    def of_means(n: int, mean: Array, shift: Array, square: Array) -> float:
        variance = max(float(square[0] - shift @ shift), 0.0) * n / (n - 1)
        return float(np.sqrt(variance) / np.linalg.norm(mean)) if mean.any() else float("nan")

    samples = x, centred, (centred**2).sum(axis=1, keepdims=True)
    value = of_means(len(x), *(sample.mean(axis=0) for sample in samples))
    return value, float(jackknife(partial(of_means, len(x) - 1), *samples)) if len(x) > 2 else float("nan")


def _scores(at: Linearization, config: OptimaConfig) -> Mapping[str, Array]:
    """Compute influence (R, N, M) by every choice."""
    cut = {_cut_off(c): influence(at, "pseudo_inverse", cutoff=c).scores for c in config.cutoffs}
    return {**cut, **{f"damping {d:g}": scores_or_undefined(at, "damped", damping=d) for d in config.dampings}}


def _cut_off(share: float) -> str:
    return f"cut-off {share:g}"


def _norms(effects: Array) -> Array:
    return np.linalg.norm(effects, axis=(1, 2))


def _error(scores: Array, derivative: Array) -> Array:
    return _norms(scores - derivative) / _norms(derivative)


def _slope(scores: Array, derivative: Array) -> Array:
    return (scores * derivative).sum(axis=(1, 2)) / _norms(derivative) ** 2


def _angle(scores: Array, derivative: Array) -> Array:
    """Compute min_c ||c I - D|| / ||D||, the sine of the angle between the two; 1 for scores that are all 0."""
    sizes = _norms(scores)
    units = scores / np.where(sizes > 0.0, sizes, 1.0)[:, None, None]
    along = (units * derivative).sum(axis=(1, 2))[:, None, None] * units
    return _norms(along - derivative) / _norms(derivative)


def _network(loss: str, l2: float, steps: int = 2000) -> dict[str, Any]:
    """Return the options of a network with more parameters than points, trained until it hardly moves."""
    rate = 0.5 if loss == "logistic" else 0.2
    return {"hidden": (6,), "loss": loss, "l2": l2, "learning_rate": rate, "momentum": 0.9, "steps": steps}


def _user_case(problem: Problem, small: bool) -> OptimaConfig:
    trained = problem.changed(hidden=(6,), momentum=0.9, steps=500 if small else 2000)
    return OptimaConfig(trained, n_seeds=8 if small else 40)


_DATA, _LOSSES = ("xor", "two_moons", "spector"), ("logistic", "squared")
_BOTH = [(loss, l2) for loss in _LOSSES for l2 in (0.0, 0.01)]

EXPERIMENT = Experiment(
    name="optima",
    question="Is influence defined where a network has many optima and a Hessian without an inverse?",
    cases=(
        *(OptimaConfig(Problem(data, "mlp", **_network(*how), n_points=8)) for data in _DATA for how in _BOTH),
        *(OptimaConfig(Problem("xor", "mlp", **_network(*how), n_points=8, data_seed=1)) for how in _BOTH),
        *(OptimaConfig(Problem("two_moons", "mlp", **_network(loss, 0.0), n_points=8, data_seed=1)) for loss in _LOSSES),
        *(OptimaConfig(NETWORK.changed(l2=l2, steps=steps)) for l2, steps in ((0.0, 2000), (0.01, 3000))),
    ),
    small=(
        OptimaConfig(Problem("xor", "mlp", **_network("logistic", 0.01, 500), n_points=6), n_seeds=12),
        OptimaConfig(Problem("xor", "mlp", **_network("squared", 0.0, 500), n_points=6), n_seeds=12),
    ),
    run=run,
    user_case=user_case(_user_case, learners=NETWORKS, at_most=64),
    most_points=lambda config: None,
)
