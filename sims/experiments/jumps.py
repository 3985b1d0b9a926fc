"""The experiment shows that the derivative of an average is not the average of derivatives where training jumps (T9)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from sims.experiments.shared.experiment import Experiment, Retrain, in_memory
from sims.experiments.shared.labels import Measured, Variables, array, effect_coords, labelled, measured, table
from sims.experiments.shared.problem import Problem
from sims.experiments.shared.settings import setting
from sims.learners.bistable import Bistable
from sims.learners.moving_jump import MovingJump
from theory.datamodel import optimal_datamodel
from theory.metrics import relative_error, slope
from theory.response import Array

__all__ = ["EXPERIMENT", "JumpsConfig", "run"]


@dataclass(frozen=True)
class JumpsConfig:
    """A config sets the learner, the numbers of seeds, the step of the differences of F, and the groups for standard errors.

    For a given seed the learner's response jumps in w.
    """

    problem: Problem
    n_seeds: tuple[int, ...] = setting("numbers of seeds that are averaged over", (64, 256, 1024, 4096, 16384), within="[2, inf)")
    step: float = 0.25
    groups: int = setting("groups of seeds for standard errors", 16, within="[2, inf)")


def run(config: JumpsConfig, *, retrain: Retrain = in_memory, progress: bool = False) -> xr.Dataset:
    """Compare three estimates with dF/dw, which has a closed form when F is the mean over all starts.

    The estimates are the mean of path-wise derivatives over seeds, the difference quotient of F with the same seeds on both
    sides, and beta. `slope` is the slope of an estimate on the exact dF/dw; its standard error comes from `groups` equal groups
    of the seeds. The difference quotient has order 2 in `step`, and `difference_bias` is its relative error for infinitely many
    seeds. `boundary` is the slope of what path-wise derivatives lack, the difference quotient minus their mean, on the boundary
    term of T9 in closed form. Raises TypeError if the learner has no closed form.
    """
    learner = config.problem.build()
    if not isinstance(learner, Bistable | MovingJump):
        raise TypeError(f"{learner!r} has no derivative in closed form, expected bistable or moving_jump")
    n, seeds, ones = learner.n_points, tuple(range(max(config.n_seeds))), np.ones(learner.n_points)
    truth = learner.limit_derivative(ones) if isinstance(learner, Bistable) else learner.expected_derivative(ones)
    boundary = truth - learner.limit_pathwise_derivative(ones) if isinstance(learner, Bistable) else truth
    moves = 1.0 + config.step * np.concatenate([np.eye(n), -np.eye(n)])
    moved = learner.respond(moves, seeds)  # (2 N, R, M)
    per_seed = {
        "path-wise derivative": learner.weight_jacobian(ones[None], seeds)[0].swapaxes(1, 2),
        "difference of F": ((moved[:n] - moved[n:]) / (2.0 * config.step)).swapaxes(0, 1),
        "beta": _datamodels(retrain(learner, seeds).samples),
    }
    exact = [_exact_response(learner, row) for row in moves]
    quotient = (np.stack(exact[:n]) - np.stack(exact[n:])) / (2.0 * config.step)
    effect, quantity = effect_coords(truth), {"quantity": tuple(per_seed)}
    estimates = [x.mean(axis=0) for x in per_seed.values()]

    def of_seeds(quantity: str, n_seeds: int) -> Measured:
        effects = per_seed[quantity][:n_seeds]
        error = _group_error(effects, truth, config.groups)
        return measured(slope(effects.mean(axis=0), truth), error, errors_over="groups of seeds")

    def of_boundary(n_seeds: int) -> Measured:
        lacking = (per_seed["difference of F"] - per_seed["path-wise derivative"])[:n_seeds].reshape(n_seeds, -1)
        of_seed = lacking @ boundary.ravel() / np.square(boundary).sum()  # a slope is linear: that of the mean is their mean
        return measured(of_seed.mean(), of_seed.std(ddof=1) / np.sqrt(n_seeds))

    errors = array([relative_error(x, truth) for x in estimates], **quantity)
    variables: Variables = {
        "truth": (array(truth, **effect), "dF/dw at w = 1 over all starts, closed form"),
        "estimate": (array(estimates, **quantity, **effect), "mean over the largest number of seeds"),
        "slope": (table(of_seeds, **quantity, n_seeds=config.n_seeds), "slope on dF/dw"),
        "boundary": (
            table(of_boundary, n_seeds=config.n_seeds),
            "slope of difference of F - path-wise derivative on its closed form",
        ),
        "relative_error": (errors, "||estimate - dF/dw|| / ||dF/dw||"),
        "difference_bias": (array(relative_error(quotient, truth)), "of the difference of F, with infinitely many seeds"),
    }
    return labelled("jumps", config, variables)


def _datamodels(samples: Array) -> Array:
    """Compute beta of every seed, (R, N, M). As beta is linear in F, all seeds can be the outputs of one table."""
    n_seeds, subsets, outputs = samples.shape
    beta = optimal_datamodel(samples.swapaxes(0, 1).reshape(subsets, -1)).coefficients
    return beta.reshape(-1, n_seeds, outputs).swapaxes(0, 1)


def _exact_response(learner: Bistable | MovingJump, weights: Array) -> Array:
    return learner.limit_response(weights) if isinstance(learner, Bistable) else learner.expected_response(weights[None])[0]


def _group_error(effects: Array, truth: Array, groups: int) -> float:
    parts = [slope(part.mean(axis=0), truth) for part in np.array_split(effects, groups)]
    return float(np.std(parts, ddof=1) / np.sqrt(groups))


_SLOW: dict[str, Any] = {"steps": 400, "learning_rate": 0.05}  # a start of 4 standard deviations must not diverge

EXPERIMENT = Experiment(
    name="jumps",
    question="What do path-wise derivatives miss where training from a given start jumps in the weights?",
    cases=(
        JumpsConfig(Problem("xor", "bistable", **_SLOW, n_points=6)),
        JumpsConfig(Problem("xor", "moving_jump", n_points=6)),
    ),
    small=(
        JumpsConfig(Problem("xor", "bistable", **_SLOW, n_points=4), n_seeds=(64, 512, 4096)),
        JumpsConfig(Problem("xor", "moving_jump", n_points=4), n_seeds=(64, 512, 4096)),
    ),
    run=run,
)
