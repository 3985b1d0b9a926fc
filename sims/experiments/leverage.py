"""The experiment compares the ratio of leave-one-out to influence at each point with 1 / (1 - h), h its leverage (T4)."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from sims.experiments.shared.effects import references
from sims.experiments.shared.experiment import Experiment, Retrain, in_memory
from sims.experiments.shared.labels import Variables, array, effect_coords, labelled
from sims.experiments.shared.problem import Problem
from sims.experiments.shared.user_cases import ONE_OUTPUT, user_case
from theory.influence import influence, leverages
from theory.metrics import relative_error, slope

__all__ = ["EXPERIMENT", "LeverageConfig", "run"]


@dataclass(frozen=True)
class LeverageConfig:
    """A config sets the problem: a linear learner on a data set."""

    problem: Problem


def run(config: LeverageConfig, *, retrain: Retrain = in_memory, progress: bool = False) -> xr.Dataset:
    """Compute the leverages h_i, influence, the Newton step influence / (1 - h_i), and leave-one-out, all of them exactly.

    `ratio` is <LOO_i, I_i> / <I_i, I_i> over outputs, the factor that takes influence I_i to leave-one-out. It is NaN for a point
    without influence.
    """
    learner = config.problem.build()
    at = learner.linearize(np.ones(learner.n_points), (0,))
    (exact,) = references(learner, (0,), retrain(learner, (0,)).samples)
    loo, scores, newton = exact["LOO"][0], influence(at).mean, influence(at, "newton").mean
    ratio = [slope(at_point, score) for at_point, score in zip(loo, scores, strict=True)]
    effect = effect_coords(loo)
    variables: Variables = {
        "leverage": (array(leverages(at)[0], point=effect["point"]), "h_i, leverage at w = 1"),
        "influence": (array(scores, **effect), "influence with the exact Hessian"),
        "newton": (array(newton, **effect), "influence / (1 - h_i)"),
        "leave_one_out": (array(loo, **effect), "F(1) - F(1 - e_i)"),
        "influence_error": (array(relative_error(scores, loo)), "||influence - LOO|| / ||LOO||"),
        "newton_error": (array(relative_error(newton, loo)), "||Newton step - LOO|| / ||LOO||"),
        "ratio": (array(ratio, point=effect["point"]), "slope of LOO_i on influence, over outputs"),
    }
    return labelled("leverage", config, variables)


EXPERIMENT = Experiment(
    name="leverage",
    question="By how much does influence miss leave-one-out at a point of high leverage?",
    cases=(
        LeverageConfig(Problem("longley", "least_squares", l2=1e-3)),
        LeverageConfig(Problem("stackloss", "least_squares", l2=1e-6)),
        LeverageConfig(Problem("spector", "logistic", l2=0.01)),
    ),
    small=(
        LeverageConfig(Problem("longley", "least_squares", l2=1e-3, n_points=9)),
        LeverageConfig(Problem("spector", "logistic", l2=0.01, n_points=8)),
    ),
    run=run,
    user_case=user_case(lambda problem, small: LeverageConfig(problem), learners=ONE_OUTPUT),
)
