"""The experiment asks where influence scores are right, from fewer parameters than points to many more.

It varies the width of a network and the penalty.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import xarray as xr

from sims.experiments.shared.conditioning import with_conditioning
from sims.experiments.shared.digits import CONVERGED, NETWORK
from sims.experiments.shared.effects import accuracies, linearizations, references, scores_or_undefined
from sims.experiments.shared.experiment import Experiment, Retrain, in_memory
from sims.experiments.shared.labels import Measured, Variables, array, labelled, table
from sims.experiments.shared.problem import Problem
from sims.experiments.shared.user_cases import NETWORKS, user_case
from theory.influence import null_space_sizes

__all__ = ["EXPERIMENT", "METHODS", "WidthMapConfig", "run"]

METHODS: Mapping[str, Mapping[str, Any]] = {
    "exact": {},
    "pseudo_inverse": {"method": "pseudo_inverse", "cutoff": 1e-6},
    "damped": {"method": "damped", "damping": 1e-2},
    "damped Gauss-Newton": {"method": "gauss_newton", "damping": 1e-2},
}
"""Influence methods that are measured for every width and penalty, with their options."""


@dataclass(frozen=True)
class WidthMapConfig:
    """A config sets a network with one hidden layer, its widths, the penalties and the number of seeds."""

    problem: Problem
    widths: tuple[int, ...] = (1, 2, 4, 8)
    penalties: tuple[float, ...] = (0.0, 1e-3, 1e-2, 1e-1)
    n_seeds: int = 8


def run(config: WidthMapConfig, *, retrain: Retrain = in_memory, progress: bool = False) -> xr.Dataset:
    """Compare influence scores with D(1), leave-one-out and beta for every width and penalty, after equally many steps."""
    seeds, widths, penalties = tuple(range(config.n_seeds)), config.widths, config.penalties
    learners = {(width, l2): config.problem.build(hidden=(width,), l2=l2) for width, l2 in product(widths, penalties)}
    at = {place: linearizations(learner, seeds)[0] for place, learner in learners.items()}

    def accuracy_of_methods(width: int, l2: float) -> Measured:
        learner = learners[width, l2]
        (exact,) = references(learner, seeds, retrain(learner, seeds, part=f"width={width} l2={l2:g}").samples)
        return table(lambda name: accuracies(scores_or_undefined(at[width, l2], **METHODS[name]), exact), estimate=METHODS)

    gradient_norm = table(lambda width, l2: array(at[width, l2].gradient_norm, seed=seeds), width=widths, l2=penalties)
    null_space = table(lambda width, l2: array(null_space_sizes(at[width, l2], 1e-6), seed=seeds), width=widths, l2=penalties)
    n_params = array([at[width, penalties[0]].params.shape[1] for width in widths], width=widths)
    variables: Variables = {
        "measured": (table(accuracy_of_methods, width=widths, l2=penalties), "influence against the reference"),
        "gradient_norm": (gradient_norm, "||grad L|| at w = 1"),
        "null_space": (null_space, "eigenvalues at most 1e-6 of the largest"),
        "n_params": (n_params, "parameters P"),
    }
    result = labelled("width_map", config, variables)
    return with_conditioning(result, list(learners.values()), seeds).assign_attrs(n_seeds=config.n_seeds)


_NETWORK: dict[str, Any] = {"steps": 3000, "learning_rate": 0.5}


def _user_case(problem: Problem, small: bool) -> WidthMapConfig:
    trained = problem.changed("hidden", "l2", steps=300 if small else 3000)
    return WidthMapConfig(trained, widths=(1, 4), penalties=(0.0, 0.1), n_seeds=4) if small else WidthMapConfig(trained)


EXPERIMENT = Experiment(
    name="width_map",
    question="Are influence scores still right with more parameters than points, and what does a penalty change?",
    cases=(
        WidthMapConfig(Problem("two_moons", "mlp", **_NETWORK, n_points=8)),
        WidthMapConfig(replace(NETWORK, n_points=9).changed("hidden", "l2", steps=CONVERGED)),
    ),
    small=(
        WidthMapConfig(
            Problem("two_moons", "mlp", steps=300, learning_rate=0.5, n_points=6),
            widths=(1, 4),
            penalties=(0.0, 0.1),
            n_seeds=3,
        ),
    ),
    run=run,
    user_case=user_case(_user_case, learners=NETWORKS),
    varies={"hidden": "widths", "l2": "penalties"},
)
