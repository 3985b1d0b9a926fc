"""The experiment measures how linear F is in its training set: the share of its variance that each degree of interaction has."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from sims.experiments.shared.digits import BY_ADAM, CONVERGED, NETWORK, SOFTMAX_DIGITS, SOFTMAX_IRIS, TEN_DIGITS, YOUNG
from sims.experiments.shared.drawn_spectrum import DrawnSpectrumConfig, run_drawn
from sims.experiments.shared.experiment import Experiment, Retrain, in_memory
from sims.experiments.shared.labels import Measured, Variables, labelled, measured, table
from sims.experiments.shared.memory import require_per_subset
from sims.experiments.shared.problem import AnyProblem, Problem
from sims.experiments.shared.user_cases import CONVEX, why_not_enumerable
from theory.datamodel import optimal_datamodel
from theory.laws import Bernoulli
from theory.metrics import jackknife, lds
from theory.response import Array
from theory.subsets import all_masks
from theory.transforms import degree_mass

__all__ = ["EXPERIMENT", "SpectrumConfig", "run"]


@dataclass(frozen=True)
class SpectrumConfig:
    """A config sets the learner, the inclusion probabilities and the number of seeds (1 for a learner without randomness).

    A `control` is a learner that was built to be additive, to interpolate or to jump: its share of degree 1 says nothing about
    learners as people use them.
    """

    problem: AnyProblem
    probabilities: tuple[float, ...] = (0.25, 0.5, 0.75, 0.9)
    n_seeds: int = 1
    control: bool = False


def run(config: SpectrumConfig | DrawnSpectrumConfig, *, retrain: Retrain = in_memory, progress: bool = False) -> xr.Dataset:
    """Compute the shares B_k / Var_p F of the seed average over Bernoulli(p) subsets (T8), for degrees k = 1 .. N.

    Outputs are pooled. `r_squared` is the R^2 of the optimal linear datamodel, which is the share of degree 1. `lds` is its rank
    correlation with F over all subsets, each with the same weight whatever p is. Standard errors over seeds come from the
    jackknife (NaN for one seed). With a `DrawnSpectrumConfig`, subsets are drawn: see `run_drawn`.
    """
    if isinstance(config, DrawnSpectrumConfig):
        return run_drawn(config, retrain=retrain, progress=progress)
    learner, seeds = config.problem.build(), tuple(range(config.n_seeds))
    require_per_subset(learner, _TABLES * learner.n_outputs * len(seeds), "spectrum")
    n, samples = learner.n_points, retrain(learner, seeds).samples

    def of_average(measure: Callable[..., Any], **coords: Any) -> Measured:
        def at(p: float) -> Measured:
            of = partial(measure, p=p)
            return measured(of(samples.mean(axis=0)), jackknife(of, samples), **coords)

        return table(at, p=config.probabilities)

    share = of_average(_shares, degree=range(1, n + 1))
    variables: Variables = {
        "share": (share, "B_k / Var F, of the variance over subsets"),
        "r_squared": (share.sel(degree=1, drop=True), "R^2 of the optimal linear datamodel"),
        "lds": (of_average(_rank_correlation), "Spearman of the linear datamodel over all subsets, mean over outputs"),
    }
    return labelled("spectrum", config, variables).assign_attrs(n_seeds=config.n_seeds, control=int(config.control))


def _shares(responses: Array, p: float) -> Array:
    """Return the shares of the degrees 1 .. N in the variance over subsets; they are NaN (undefined) if F does not vary."""
    mass = degree_mass(responses, p)[1:].sum(axis=1)
    varies = (np.ptp(responses, axis=0) > 1e-12 * np.abs(responses).max(axis=0)).any()
    return mass / mass.sum() if varies else np.full_like(mass, np.nan)


def _rank_correlation(responses: Array, p: float) -> float:
    """Return the rank correlation of the datamodel's predictions with F over all subsets."""
    masks = all_masks(len(responses).bit_length() - 1)
    return lds(optimal_datamodel(responses, Bernoulli(p)).predict(masks), responses)


_NETWORK: dict[str, Any] = {"hidden": (4,), "l2": 0.01, "learning_rate": 0.5}
_WELLS: dict[str, Any] = {"steps": 400, "learning_rate": 0.05}


def _user_case(problem: Problem, small: bool) -> SpectrumConfig | str:
    if problem.learner in CONVEX:
        return why_not_enumerable(problem, 20) or SpectrumConfig(problem)
    steps, n_seeds = (300, 4) if small else (3000, 16)
    return why_not_enumerable(problem) or SpectrumConfig(problem.changed(steps=steps), n_seeds=n_seeds)


_TABLES = 16
"""Peak of memory in tables of all subsets, seeds and outputs, measured with one seed at 2^14 and 2^16 subsets."""

EXPERIMENT = Experiment(
    name="spectrum",
    question="How linear is the response in the training set, for every learner?",
    cases=(
        *(SpectrumConfig(Problem("spector", "logistic", l2=l2, n_points=14)) for l2 in (0.1, 0.01, 0.001)),
        SpectrumConfig(Problem("longley", "least_squares", l2=0.1, n_points=14)),
        *(
            SpectrumConfig(Problem(data, "mlp", **_NETWORK, steps=steps, n_points=8, data_seed=seed), n_seeds=16)
            for seed in (0, 1)  # 1: the same on other points
            for data in ("two_moons", "xor")
            for steps in (30, 3000)
        ),
        SpectrumConfig(SOFTMAX_DIGITS),
        SpectrumConfig(SOFTMAX_IRIS),
        *(SpectrumConfig(NETWORK.changed(steps=steps), n_seeds=8) for steps in (YOUNG, CONVERGED)),
        SpectrumConfig(BY_ADAM.changed(steps=CONVERGED), n_seeds=8),
        DrawnSpectrumConfig(TEN_DIGITS, draws=200),
        SpectrumConfig(Problem("two_moons", "kernel_sum"), control=True),
        SpectrumConfig(Problem("two_moons", "one_step"), n_seeds=16, control=True),
        SpectrumConfig(Problem("two_moons", "interpolator", n_points=8), n_seeds=16, control=True),
        SpectrumConfig(Problem("xor", "bistable", **_WELLS, n_points=6), n_seeds=256, control=True),
        SpectrumConfig(Problem("xor", "moving_jump"), n_seeds=1024, control=True),
    ),
    small=(
        SpectrumConfig(Problem("spector", "logistic", l2=0.1, n_points=8)),
        SpectrumConfig(Problem("two_moons", "kernel_sum", n_points=6), control=True),
        SpectrumConfig(Problem("xor", "mlp", **_NETWORK, steps=300, n_points=5), n_seeds=3),
    ),
    run=run,
    user_case=_user_case,
    most_points=lambda config: None if isinstance(config, DrawnSpectrumConfig) else 20,
)
