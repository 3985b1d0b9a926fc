"""The error budget from the exact datamodel down to a practical influence score, and what every score predicts."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr

from sims.experiments.shared.conditioning import with_conditioning
from sims.experiments.shared.effects import (
    COLUMNS,
    PREDICTED,
    REFERENCES,
    TARGETS,
    by_time,
    cell,
    columns,
    derivatives,
    group_rows,
    linearizations,
    predictions,
    references,
)
from sims.experiments.shared.experiment import Experiment, Retrain, in_memory
from sims.experiments.shared.labels import MEASURES, Variables, labelled
from sims.experiments.shared.problem import Problem
from sims.experiments.shared.scores import HESSIAN_BASED, PRACTICE, SCORES, TRAINED, Practice, along_training
from sims.experiments.shared.user_cases import CONVEX, why_not_enumerable
from theory.datamodel import optimal_datamodel
from theory.influence.budget import error_budget
from theory.laws import Bernoulli

__all__ = ["EXPERIMENT", "BudgetConfig", "run"]


@dataclass(frozen=True)
class BudgetConfig:
    """A learner, training times (none: it is solved exactly), seeds, and what practice would choose for the scores."""

    problem: Problem
    times: tuple[int, ...] = ()
    n_seeds: int = 1
    practice: Practice = PRACTICE


def run(config: BudgetConfig, *, retrain: Retrain = in_memory, progress: bool = False) -> xr.Dataset:
    """The chains beta -> D(1/2) -> D(1) -> .. -> score and beta -> leave-one-out -> D(1), at every training time.

    `budget` has the steps of both, `closure` how exactly they add up to beta - score. `prediction` says how well the sum of each
    effect over absent points predicts F over all subsets, and over those with one or two points removed; `measured` how close
    each is to D(1), leave-one-out and beta. Time 0 stands for a learner that is solved exactly. An effect that is not defined
    for some seed is left out of the chain, its neighbours then make one step.
    """
    times = config.times or (0,)
    learner = config.problem.build(**({"snapshots": config.times, "steps": max(config.times)} if config.times else {}))
    seeds, n, n_times = tuple(range(config.n_seeds)), learner.n_points, len(times)
    samples = retrain(learner, seeds).samples
    exact = references(learner, seeds, samples, n_times)
    half = derivatives(learner, np.full(n, 0.5), seeds, n_times)
    late = by_time(np.stack([optimal_datamodel(table, Bernoulli(0.9)).coefficients for table in samples]), n_times)
    by_output = samples.reshape(*samples.shape[:2], n_times, -1)
    budgets, closures, predicted, measured = list[Any](), list[float](), list[Any](), list[Any]()
    at_times, rows = linearizations(learner, seeds), group_rows(n)
    followed = along_training(config.problem, config.times, seeds, config.practice)
    for k, at in enumerate(at_times):
        scores = {name: make(config.practice, at) for name, make in SCORES.items()}
        tail = {name: score for name, score in scores.items() if name in _CHAIN and np.isfinite(score).all()}
        down = error_budget({"beta": exact["beta"][:, k], "D(1/2)": half[:, k], "D(1)": exact["D(1)"][:, k], **tail})
        across = error_budget({"beta": exact["beta"][:, k], "LOO": exact["LOO"][:, k], "D(1)": exact["D(1)"][:, k]})
        steps = {f"{step.before} -> {step.after}": step for step in (*down.steps, *across.steps)}
        budgets.append([columns(steps.get(name)) for name in STEPS])
        closures.append(max(down.closure, across.closure))
        effects = {
            "beta": exact["beta"][:, k],
            "beta (p = 0.9)": late[:, k],
            "D(1)": exact["D(1)"][:, k],
            "LOO": exact["LOO"][:, k],
            **scores,
            **followed[k],
        }
        found = [predictions(effects[name], by_output[:, :, k], rows) if name in effects else _NOTHING for name in METHODS]
        predicted.append(found)
        now = {name: exact[name][:, k] for name in REFERENCES}
        measured.append([cell(effects.get(name, np.full_like(now["beta"], np.nan)), now) for name in METHODS])
    table, cells, parts = np.array(predicted), np.array(measured), np.array(budgets)  # values and errors: axis 2 of all
    variables: Variables = {
        "budget": (("time", "step", "column"), parts[:, :, 0], "one approximation after the other, relative to ||beta||"),
        "budget_error": (("time", "step", "column"), parts[:, :, 1], "its standard error over seeds"),
        "closure": (("time",), closures, "||sum of the steps - (first - last)|| / ||beta||"),
        "prediction": (("target", "time", "estimate", "quality"), np.moveaxis(table[:, :, 0], 2, 0), "of F over subsets"),
        "prediction_error": (("target", "time", "estimate", "quality"), np.moveaxis(table[:, :, 1], 2, 0), "its standard error"),
        "measured": (("time", "estimate", "reference", "measure"), cells[:, :, 0], "estimate against the reference"),
        "measured_error": (("time", "estimate", "reference", "measure"), cells[:, :, 1], "its standard error over seeds"),
        "gradient_norm": (("time", "seed"), [at.gradient_norm for at in at_times], "||grad L|| at w = 1"),
    }
    coords = {
        "time": times,
        "step": STEPS,
        "column": COLUMNS,
        "target": TARGETS,
        "estimate": METHODS,
        "quality": PREDICTED,
        "reference": REFERENCES,
        "measure": MEASURES,
        "seed": seeds,
    }
    result = labelled("budget", config, coords, variables).assign_attrs(hessian_based=HESSIAN_BASED)
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
_NOTHING = ([[np.nan] * len(PREDICTED)] * len(TARGETS),) * 2


_NETWORK = (("hidden", (4,)), ("l2", 0.01), ("learning_rate", 0.5))


def _user_case(problem: Problem, small: bool) -> BudgetConfig | str:
    if problem.learner in CONVEX:
        return why_not_enumerable(problem, 14) or BudgetConfig(problem)
    times, n_seeds = ((1, 30, 2000), 4) if small else ((1, 10, 100, 1000, 10000), 16)
    return why_not_enumerable(problem) or BudgetConfig(problem, times, n_seeds)


EXPERIMENT = Experiment(
    name="budget",
    question="Which approximation between the exact datamodel and a practical influence score costs most?",
    cases=(
        BudgetConfig(Problem("spector", "logistic", (("l2", 0.1),), n_points=12)),
        BudgetConfig(Problem("longley", "least_squares", (("l2", 0.1),), n_points=12)),
        BudgetConfig(Problem("xor", "mlp", _NETWORK), times=(1, 10, 100, 1000, 10000), n_seeds=16),
        BudgetConfig(Problem("two_moons", "mlp", _NETWORK, n_points=8), times=(1, 10, 100, 1000, 10000), n_seeds=16),
    ),
    small=(
        BudgetConfig(Problem("spector", "logistic", (("l2", 0.1),), n_points=8)),
        BudgetConfig(Problem("xor", "mlp", _NETWORK, n_points=6), times=(1, 30, 2000), n_seeds=4),
    ),
    run=run,
    user_case=_user_case,
)
