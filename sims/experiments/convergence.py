"""The experiment asks how far training must have come before Hessian influence is the derivative of what was trained."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sims.experiments.shared.conditioning import with_conditioning
from sims.experiments.shared.digits import BY_ADAM, NETWORK
from sims.experiments.shared.effects import split_by_time
from sims.experiments.shared.experiment import Experiment, Retrain, in_memory
from sims.experiments.shared.labels import Variables, array, labelled
from sims.experiments.shared.problem import Problem
from sims.experiments.shared.settings import setting
from sims.experiments.shared.user_cases import NETWORKS, user_case
from sims.learners.mlp import MLP
from theory.influence import influence
from theory.response import Array, Linearization

__all__ = ["EXPERIMENT", "ConvergenceConfig", "run"]

UNDEFINED = 1e3
"""The relative error of a score that does not exist since the Hessian is singular, and the largest that is told apart."""


_N_ROUNDING_SEEDS = 4  # rounding is measured on the first seeds only: it takes as long as all the rest


@dataclass(frozen=True)
class ConvergenceConfig:
    """A config sets the model, the seeds, the largest number of steps, and the grid of ||grad L(t)|| / ||grad L(0)||."""

    problem: Problem
    n_seeds: int = 32
    steps: int = setting("largest number of training steps", 5000, within="[1, inf)")
    levels: tuple[float, ...] = setting(
        "values of ||grad L(t)|| / ||grad L(0)|| at which scores are measured", (1e-1, 1e-2, 1e-3, 1e-4, 1e-5), within="(0, 1)"
    )
    snapshots_per_decade: int = setting("snapshots for each factor of 10 in the number of steps", 24, within="[1, inf)")


def run(config: ConvergenceConfig, *, retrain: Retrain = in_memory, progress: bool = False) -> xr.Dataset:
    """Stop every seed at the first snapshot whose gradient is at most each level, and compare influence with D(1) there.

    Both belong to the same model after the same number of steps. Values are NaN for seeds that do not come so far. Nothing is
    trained but the full data set, so there are no tables.
    """
    spaced = np.geomspace(1.0, config.steps, 1 + round(config.snapshots_per_decade * np.log10(config.steps)))
    times = tuple(sorted({round(float(t)) for t in spaced}))
    learner = config.problem.build(snapshots=times, steps=config.steps)
    assert isinstance(learner, MLP)
    seeds, ones = tuple(range(config.n_seeds)), np.ones(learner.n_points)
    start = config.problem.build(steps=1, learning_rate=1e-300).linearize(ones, seeds).gradient_norm  # a step that moves nothing
    trained = learner.linearizations(ones, seeds)
    ratios = np.stack([at.gradient_norm for at in trained]) / start
    derivative = np.stack(split_by_time(learner.weight_jacobian(ones[None], seeds)[0].swapaxes(1, 2), len(times)))
    found = [_stopped(trained, times, ratios <= level, derivative) for level in config.levels]
    where = {"level": config.levels, "seed": seeds}
    texts = {
        "steps": "steps until the gradient is so small",
        "error": "||Hessian influence - D(1)|| / ||D(1)||",
        "slope": "slope of Hessian influence on D(1)",
        "least_eigenvalue": "least eigenvalue of the Hessian / largest, 0 within rounding",
    }
    variables: Variables = {name: (array([rows[name] for rows in found], **where), text) for name, text in texts.items()}
    result = labelled("convergence", config, variables)
    convex = getattr(learner, "hidden", None) == ()
    last = config.problem.build(steps=config.steps)
    return with_conditioning(result, [last], seeds[:_N_ROUNDING_SEEDS]).assign_attrs(convex=convex, undefined=UNDEFINED)


def _stopped(
    trained: tuple[Linearization, ...], times: tuple[int, ...], small: NDArray[np.bool_], derivative: Array
) -> dict[str, Array]:
    """Measure every seed at the first snapshot where its gradient is `small` (K, R)."""
    rows = {name: np.full(small.shape[1], np.nan) for name in ("steps", "error", "slope", "least_eigenvalue")}
    for r in range(small.shape[1]):
        if not small[:, r].any():
            continue
        k = int(small[:, r].argmax())
        at, exact = _one(trained[k], r), derivative[k, r]
        values = np.linalg.eigvalsh(at.hessian[0])
        largest = np.abs(values).max()
        rows["steps"][r] = times[k]
        rows["least_eigenvalue"][r] = (
            0.0 if abs(values[0]) <= len(values) * np.finfo(np.float64).eps * largest else values[0] / largest
        )
        rows["error"][r], rows["slope"][r] = _compared(at, exact)
    return rows


def _compared(at: Linearization, exact: Array) -> tuple[float, float]:
    """Return the error and the slope of the influence of one model; (`UNDEFINED`, NaN) where its Hessian is singular."""
    size = np.linalg.norm(exact)
    try:
        scores = influence(at).scores[0]
    except np.linalg.LinAlgError:
        return UNDEFINED, np.nan
    return min(float(np.linalg.norm(scores - exact) / size), UNDEFINED), float((scores * exact).sum() / size**2)


def _one(at: Linearization, seed: int) -> Linearization:
    """Return the linearisation of one seed, without what other curvatures need."""
    names = ("params", "hessian", "point_gradients", "output_gradients", "gradient_norm")
    return Linearization(**{name: getattr(at, name)[seed : seed + 1] for name in names})


def _model(hidden: tuple[int, ...], loss: str, rate: float, l2: float = 0.01) -> dict[str, Any]:
    return {"hidden": hidden, "loss": loss, "l2": l2, "learning_rate": rate}


_NETWORK, _LINEAR = _model((4,), "logistic", 0.5), _model((), "logistic", 0.5)
_CASES = (
    ConvergenceConfig(Problem("xor", "mlp", **_NETWORK)),
    ConvergenceConfig(Problem("two_moons", "mlp", **_NETWORK, n_points=8)),
    ConvergenceConfig(Problem("spector", "mlp", **_NETWORK, n_points=8)),
    ConvergenceConfig(Problem("longley", "mlp", **_model((4,), "squared", 0.3), n_points=8)),
    ConvergenceConfig(Problem("two_moons", "mlp", **_LINEAR, n_points=8)),
    ConvergenceConfig(Problem("spector", "mlp", **_LINEAR, n_points=8)),
    ConvergenceConfig(Problem("longley", "mlp", **_model((), "squared", 0.1), n_points=8)),
)

EXPERIMENT = Experiment(
    name="convergence",
    question="How far must training have come before Hessian influence is right?",
    cases=(
        *_CASES,
        ConvergenceConfig(Problem("xor", "mlp", **_NETWORK, data_seed=1)),
        ConvergenceConfig(Problem("two_moons", "mlp", **_NETWORK, n_points=8, data_seed=1)),
        ConvergenceConfig(Problem("two_moons", "mlp", **_LINEAR, n_points=8, data_seed=1)),
        *(ConvergenceConfig(problem, n_seeds=12, steps=2000, snapshots_per_decade=12) for problem in (NETWORK, BY_ADAM)),
    ),
    small=(
        ConvergenceConfig(Problem("xor", "mlp", **_NETWORK, n_points=6), n_seeds=12, steps=1000),
        ConvergenceConfig(Problem("spector", "mlp", **_LINEAR, n_points=8), n_seeds=12, steps=1000),
    ),
    run=run,
    user_case=user_case(
        lambda problem, small: ConvergenceConfig(problem, n_seeds=8, steps=500) if small else ConvergenceConfig(problem),
        learners=NETWORKS,
        at_most=64,
    ),
    most_points=lambda config: None,
    varies={"steps": "steps", "snapshots": "snapshots_per_decade"},
)
