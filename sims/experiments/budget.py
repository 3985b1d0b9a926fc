"""The experiment measures each error between the exact datamodel and a practical influence score, and how well scores predict."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr

from sims.experiments.shared.conditioning import with_conditioning
from sims.experiments.shared.effects import (
    TARGETS,
    accuracies,
    derivatives,
    linearizations,
    measured_step,
    prediction,
    references,
    split_by_time,
)
from sims.experiments.shared.experiment import Experiment, Retrain, in_memory
from sims.experiments.shared.labels import Measured, Variables, array, labelled, table
from sims.experiments.shared.problem import Problem
from sims.experiments.shared.scores import HESSIAN_BASED, PRACTICE, SCORES, TRAINED, Practice, along_training
from sims.experiments.shared.settings import setting
from sims.experiments.shared.user_cases import CONVEX, why_not_enumerable
from theory.datamodel import optimal_datamodel
from theory.influence.budget import Step, error_budget
from theory.laws import Bernoulli
from theory.response import Array

__all__ = ["EXPERIMENT", "BudgetConfig", "run"]


@dataclass(frozen=True)
class BudgetConfig:
    """A config sets the learner, its training times, the number of seeds and the settings of the scores.

    A learner without `times` is solved exactly.
    """

    problem: Problem
    times: tuple[int, ...] = setting(
        "numbers of steps at which training is looked at; none: the learner is solved exactly", (), within="none or [1, inf)"
    )
    n_seeds: int = 1
    practice: Practice = PRACTICE


def run(config: BudgetConfig, *, retrain: Retrain = in_memory, progress: bool = False) -> xr.Dataset:
    """Split beta - score into steps along two chains of effects, at every training time.

    The chains are beta -> D(1/2) -> D(1) -> .. -> score and beta -> leave-one-out -> D(1). `budget` has the steps of both.
    `closure` is the error with which the steps add up to the difference of the two ends. `prediction` measures how well the sum
    of each effect over the absent points predicts F over all subsets, and over those with at most two points removed. `measured`
    compares each effect with D(1), leave-one-out and beta. Time 0 stands for a learner that is solved exactly. An effect that is
    undefined for some seed is left out of its chain; its two neighbours are then joined by one step.
    """
    times = config.times or (0,)
    learner = config.problem.build(**({"snapshots": config.times, "steps": max(config.times)} if config.times else {}))
    seeds, n, n_times = tuple(range(config.n_seeds)), learner.n_points, len(times)
    samples = retrain(learner, seeds).samples
    late = np.stack([optimal_datamodel(responses, Bernoulli(0.9)).coefficients for responses in samples])
    responses = dict(zip(times, split_by_time(samples, n_times), strict=True))
    exact = dict(zip(times, references(learner, seeds, samples, n_times), strict=True))
    snapshots = zip(
        times,
        linearizations(learner, seeds),
        derivatives(learner, np.full(n, 0.5), seeds, n_times),
        split_by_time(late, n_times),
        along_training(config.problem, config.times, seeds, config.practice),
        strict=True,
    )
    effects, steps = dict[int, dict[str, Array]](), dict[int, dict[str, Step]]()
    closures, norms = list[float](), list[Array]()
    for time, at, at_half, late_beta, followed in snapshots:
        scores = {name: make(config.practice, at) for name, make in SCORES.items()}
        tail = {name: score for name, score in scores.items() if name in _CHAIN and np.isfinite(score).all()}
        beta, loo, derivative = (exact[time][name] for name in ("beta", "LOO", "D(1)"))
        down = error_budget({"beta": beta, "D(1/2)": at_half, "D(1)": derivative, **tail})
        across = error_budget({"beta": beta, "LOO": loo, "D(1)": derivative})
        steps[time] = {f"{step.before} -> {step.after}": step for step in (*down.steps, *across.steps)}
        closures.append(max(down.closure, across.closure))
        norms.append(at.gradient_norm)
        defined = {**exact[time], "beta (p = 0.9)": late_beta, **scores, **followed}
        effects[time] = {name: defined.get(name, np.full_like(beta, np.nan)) for name in METHODS}

    def predicted(target: str, time: int, estimate: str) -> Measured:
        return prediction(effects[time][estimate], responses[time], target)

    def accuracy(time: int, estimate: str) -> Measured:
        return accuracies(effects[time][estimate], exact[time])

    variables: Variables = {
        "budget": (
            table(lambda time, step: measured_step(steps[time].get(step)), time=times, step=STEPS),
            "one approximation after the other, relative to ||beta||",
        ),
        "closure": (array(closures, time=times), "||sum of the steps - (first - last)|| / ||beta||"),
        "prediction": (table(predicted, target=TARGETS, time=times, estimate=METHODS), "of F over subsets"),
        "measured": (table(accuracy, time=times, estimate=METHODS), "estimate against the reference"),
        "gradient_norm": (array(norms, time=times, seed=seeds), "||grad L|| at w = 1"),
    }
    result = labelled("budget", config, variables).assign_attrs(hessian_based=HESSIAN_BASED)
    return with_conditioning(result, [learner], seeds)


_CHAIN = ("exact H", "pseudo-inverse", "damped H", "damped GN", "damped GN by CG")
METHODS = ("beta", "beta (p = 0.9)", "D(1)", "LOO", *SCORES, *TRAINED)
_ALL = ("beta", "D(1/2)", "D(1)", *_CHAIN)
STEPS = (
    *(f"{a} -> {b}" for a, b in pairwise(_ALL)),
    "D(1) -> pseudo-inverse",  # where the exact Hessian is singular
    "beta -> LOO",
    "LOO -> D(1)",
)


_NETWORK: dict[str, Any] = {"hidden": (4,), "l2": 0.01, "learning_rate": 0.5}


def _user_case(problem: Problem, small: bool) -> BudgetConfig | str:
    if problem.learner in CONVEX:
        return why_not_enumerable(problem, 14) or BudgetConfig(problem)
    times, n_seeds = ((1, 30, 2000), 4) if small else ((1, 10, 100, 1000, 10000), 16)
    return why_not_enumerable(problem) or BudgetConfig(problem, times, n_seeds)


EXPERIMENT = Experiment(
    name="budget",
    question="Which approximation between the exact datamodel and a practical influence score costs most?",
    cases=(
        BudgetConfig(Problem("spector", "logistic", l2=0.1, n_points=12)),
        BudgetConfig(Problem("longley", "least_squares", l2=0.1, n_points=12)),
        BudgetConfig(Problem("xor", "mlp", **_NETWORK), times=(1, 10, 100, 1000, 10000), n_seeds=16),
        BudgetConfig(Problem("two_moons", "mlp", **_NETWORK, n_points=8), times=(1, 10, 100, 1000, 10000), n_seeds=16),
    ),
    small=(
        BudgetConfig(Problem("spector", "logistic", l2=0.1, n_points=8)),
        BudgetConfig(Problem("xor", "mlp", **_NETWORK, n_points=6), times=(1, 30, 2000), n_seeds=4),
    ),
    run=run,
    user_case=_user_case,
    varies={"steps": "times", "snapshots": "times"},
)
