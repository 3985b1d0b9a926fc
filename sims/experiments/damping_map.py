"""The experiment measures how much damping helps or harms an influence score, at every stage of training."""

from dataclasses import dataclass, replace
from typing import Any

import xarray as xr

from sims.experiments.shared.conditioning import with_conditioning
from sims.experiments.shared.digits import CONVERGED, NETWORK
from sims.experiments.shared.effects import accuracies, linearizations, references, scores_or_undefined
from sims.experiments.shared.experiment import Experiment, Retrain, in_memory
from sims.experiments.shared.labels import Measured, labelled, table
from sims.experiments.shared.problem import Problem
from sims.experiments.shared.settings import setting
from sims.experiments.shared.user_cases import NETWORKS, user_case
from sims.learners.mlp import MLP

__all__ = ["EXPERIMENT", "DampingMapConfig", "run"]


@dataclass(frozen=True)
class DampingMapConfig:
    """A config sets the network, the training times, the dampings, the curvatures that they are added to, and the seeds."""

    problem: Problem
    times: tuple[int, ...] = (1, 10, 100, 1000, 10000)
    dampings: tuple[float, ...] = (0.0, 1e-4, 1e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0, 3.0, 10.0)
    curvatures: tuple[str, ...] = setting(
        "curvatures that dampings are added to: hessian, gauss_newton", ("hessian", "gauss_newton")
    )
    n_seeds: int = 16


def run(config: DampingMapConfig, *, retrain: Retrain = in_memory, progress: bool = False) -> xr.Dataset:
    """Compare influence with the matrix curvature + damping I with D(1), leave-one-out and beta, at every training time.

    Values are NaN where that matrix is singular for some seed.
    """
    learner = config.problem.build(snapshots=config.times, steps=max(config.times))
    seeds, n_times = tuple(range(config.n_seeds)), len(config.times)
    exact = dict(zip(config.times, references(learner, seeds, retrain(learner, seeds).samples, n_times), strict=True))
    at = dict(zip(config.times, linearizations(learner, seeds), strict=True))

    def damped(curvature: str, damping: float, time: int) -> Measured:
        return accuracies(scores_or_undefined(at[time], curvature=curvature, damping=damping), exact[time])

    found = table(damped, curvature=config.curvatures, damping=config.dampings, time=config.times)
    result = labelled("damping_map", config, {"measured": (found, "damped influence against the reference")})
    return with_conditioning(result, [learner], seeds).assign_attrs(
        n_seeds=config.n_seeds, learning_rate=config.problem.number("learning_rate", MLP.learning_rate)
    )


_NETWORK: dict[str, Any] = {"hidden": (4,), "l2": 0.01, "learning_rate": 0.5}


def _user_case(problem: Problem, small: bool) -> DampingMapConfig:
    if small:
        return DampingMapConfig(problem, times=(1, 30, 2000), dampings=(0.0, 1e-2, 1.0), n_seeds=4)
    return DampingMapConfig(problem)


EXPERIMENT = Experiment(
    name="damping_map",
    question="Which damping helps an influence score, and when in training?",
    cases=(
        DampingMapConfig(Problem("xor", "mlp", **_NETWORK)),
        DampingMapConfig(Problem("two_moons", "mlp", **_NETWORK, n_points=8)),
        DampingMapConfig(
            replace(NETWORK, n_points=9),
            times=(1, 10, 30, 100, CONVERGED),
            dampings=(0.0, 1e-3, 1e-2, 1e-1, 3e-1, 1.0, 10.0),
            n_seeds=8,
        ),
    ),
    small=(
        DampingMapConfig(
            Problem("xor", "mlp", **_NETWORK, n_points=6), times=(1, 30, 2000), dampings=(0.0, 1e-2, 1.0), n_seeds=4
        ),
    ),
    run=run,
    user_case=user_case(_user_case, learners=NETWORKS),
    varies={"steps": "times", "snapshots": "times"},
)
