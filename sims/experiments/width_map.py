"""From fewer parameters than points to many more, with and without a penalty: where influence scores stay right."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import xarray as xr

from sims.experiments.shared.conditioning import with_conditioning
from sims.experiments.shared.effects import REFERENCES, cell, linearizations, references, scores_or_undefined
from sims.experiments.shared.experiment import Experiment, Retrain, in_memory
from sims.experiments.shared.labels import MEASURES, Variables, labelled
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
"""What is measured in every cell."""


@dataclass(frozen=True)
class WidthMapConfig:
    """A network with one hidden layer, its widths, penalties, how many seeds."""

    problem: Problem
    widths: tuple[int, ...] = (1, 2, 4, 8)
    penalties: tuple[float, ...] = (0.0, 1e-3, 1e-2, 1e-1)
    n_seeds: int = 8


def run(config: WidthMapConfig, *, retrain: Retrain = in_memory, progress: bool = False) -> xr.Dataset:
    """Influence scores against D(1), leave-one-out and beta for every width and penalty, after the same number of steps."""
    seeds, cells, norms, null = tuple(range(config.n_seeds)), list[Any](), list[Any](), list[Any]()
    grid = list(product(config.widths, config.penalties))
    learners = [config.problem.build(hidden=(width,), l2=l2) for width, l2 in grid]
    for (width, l2), learner in zip(grid, learners, strict=True):
        samples = retrain(learner, seeds, part=f"width={width} l2={l2:g}").samples
        exact = {name: effect[:, 0] for name, effect in references(learner, seeds, samples).items()}
        (at,) = linearizations(learner, seeds)
        cells.append([cell(scores_or_undefined(at, **options), exact) for options in METHODS.values()])
        norms.append(at.gradient_norm)
        null.append(null_space_sizes(at, 1e-6))
    shape = (len(config.widths), len(config.penalties))
    table = np.array(cells).reshape(*shape, len(METHODS), 2, len(REFERENCES), len(MEASURES))
    columns = config.problem.build(hidden=(1,)).linearize(np.ones(len(config.problem.load().X)), (0,)).params.shape[1]
    dims = ("width", "l2", "estimate", "reference", "measure")
    variables: Variables = {
        "measured": (dims, table[:, :, :, 0], "influence against the reference"),
        "measured_error": (dims, table[:, :, :, 1], "its standard error over seeds"),
        "gradient_norm": (("width", "l2", "seed"), np.reshape(norms, (*shape, -1)), "||grad L|| at w = 1"),
        "null_space": (("width", "l2", "seed"), np.reshape(null, (*shape, -1)), "eigenvalues at most 1e-6 of the largest"),
        "n_params": (("width",), [(columns - 1) * width + 1 for width in config.widths], "parameters P"),
    }
    coords = {
        "width": config.widths,
        "l2": config.penalties,
        "estimate": tuple(METHODS),
        "reference": REFERENCES,
        "measure": MEASURES,
        "seed": seeds,
    }
    return with_conditioning(labelled("width_map", config, coords, variables), learners, seeds).assign_attrs(
        n_seeds=config.n_seeds
    )


_NETWORK = (("steps", 3000), ("learning_rate", 0.5))


def _user_case(problem: Problem, small: bool) -> WidthMapConfig:
    trained = problem.changed("hidden", "l2", steps=300 if small else 3000)
    return WidthMapConfig(trained, widths=(1, 4), penalties=(0.0, 0.1), n_seeds=4) if small else WidthMapConfig(trained)


EXPERIMENT = Experiment(
    name="width_map",
    question="Do influence scores survive more parameters than points, and what does a penalty change?",
    cases=(WidthMapConfig(Problem("two_moons", "mlp", _NETWORK, n_points=8)),),
    small=(
        WidthMapConfig(
            Problem("two_moons", "mlp", (("steps", 300), ("learning_rate", 0.5)), n_points=6),
            widths=(1, 4),
            penalties=(0.0, 0.1),
            n_seeds=3,
        ),
    ),
    run=run,
    user_case=user_case(_user_case, learners=NETWORKS),
)
