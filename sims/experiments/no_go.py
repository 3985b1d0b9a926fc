"""The experiment tries the essay's identity on a data set and on all its parts, and checks what effects add up to."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from sims.experiments.shared.experiment import Experiment, Retrain, in_memory
from sims.experiments.shared.labels import Measured, Variables, array, effect_coords, labelled, measured, table
from sims.experiments.shared.memory import require_per_subset
from sims.experiments.shared.problem import Option, ParametricLearner, Problem
from sims.experiments.shared.settings import setting
from sims.experiments.shared.user_cases import user_case
from theory.datamodel import optimal_datamodel
from theory.inclusion import drawn_inclusion_differences, inclusion_differences
from theory.laws import Bernoulli
from theory.metrics import relative_error
from theory.no_go import least_violation, part_datamodels, part_sums, part_table, table_from_part_sums
from theory.response import Array, mean_response
from theory.streams import stream
from theory.subsets import all_masks, sizes
from theory.sum_rules import euler_sum, gain, inclusion_slope, scale_derivative
from theory.values import leave_one_out, shapley

__all__ = ["EXPERIMENT", "NoGoConfig", "effects_of_parts", "run"]


@dataclass(frozen=True)
class NoGoConfig:
    """A config sets the problem, the inclusion probabilities, the seeds, the number of drawn subsets, and whether to try parts.

    `parts=False` is for learners without an optimum on some subsets, such as logistic regression without penalty: datamodels of
    the parts do not exist, and only the sum of D(1) is checked.
    """

    problem: Problem
    probabilities: tuple[float, ...] = (0.25, 0.5, 0.75)
    seeds: tuple[int, ...] = (0,)
    n_draws: int = 20_000
    parts: bool = setting("whether datamodels of all parts are computed", True)


def run(config: NoGoConfig, *, retrain: Retrain = in_memory, progress: bool = False) -> xr.Dataset:
    """Compare beta^A with D(1_A) for every part A of the data, and both sides of every sum rule.

    All subsets are retrained once; beta^A is the uniform datamodel of the subsets of A, in that table. Nothing is sampled but
    `inclusion_drawn`. A variable that needs all subsets is left out where `parts` is False, and the attribute `left_out` says so.
    """
    learner = config.problem.build()
    variables = _euler(learner, config)
    if not config.parts:
        reason = "some subsets have no optimum without a penalty, so that the datamodels of parts do not exist"
        return labelled("no_go", config, variables).assign_attrs(left_out=json.dumps(dict.fromkeys(_OF_PARTS, reason)))
    require_per_subset(learner, (len(config.seeds) + 4) * learner.n_points * learner.n_outputs, "no_go")
    responses = retrain(learner, config.seeds).mean
    variables |= {**_parts(learner, config, responses), **_sums(config, responses), **_inclusion(config, responses)}
    return labelled("no_go", config, variables)


def _euler(learner: ParametricLearner, config: NoGoConfig) -> Variables:
    """Compute sum_i w_i D_i(w) and its two parts, from the rate and from the penalty, at w = 1 and at uneven weights."""
    n, seeds = learner.n_points, config.seeds
    at = {"w = 1": np.ones(n), "uneven w": stream("uneven weights", 0).uniform(0.5, 1.5, n)}
    output = range(learner.n_outputs)

    def varied(option: str, changed: Callable[[float, float], float]) -> Measured:
        value = float(getattr(learner, option, 0.0))  # only networks have a rate

        def make(c: float) -> ParametricLearner:
            changes: dict[str, Option] = {option: changed(value, c)}
            return config.problem.build(**changes)

        def derivative(name: str) -> Measured:
            if not value:
                return measured(np.zeros(len(output)), np.zeros(len(output)), errors_over="differences", output=output)
            found = scale_derivative(make, at[name], seeds)
            return measured(found.value, found.error, errors_over="differences", output=output)

        return table(derivative, at=at)

    jacobian = learner.weight_jacobian(np.stack(list(at.values())), seeds).mean(axis=1)  # (at, M, N)
    size = np.abs(jacobian * np.stack(list(at.values()))[:, None]).sum(axis=2)
    size += np.abs(mean_response(learner, list(at.values()), seeds))  # where all D_i are 0, rounding is in proportion to F
    return {
        "euler_sum": (table(lambda name: array(euler_sum(learner, at[name], seeds), output=output), at=at), "sum of w_i D_i(w)"),
        "euler_size": (array(size, at=at, output=output), "|F(w)| + sum of |w_i D_i(w)|"),
        "from_rate": (varied("learning_rate", lambda value, c: value * c), "eta dF/deta"),
        "from_penalty": (varied("l2", lambda value, c: value / c), "-l2 dF/dl2"),
    }


def effects_of_parts(learner: ParametricLearner, seeds: tuple[int, ...], responses: Array) -> tuple[Array, Array]:
    """Compute beta^A and D(1_A) of every part, each (2**N, N, M), one row per mask of A and 0 for points that are not in A."""
    masks, beta = all_masks(learner.n_points), part_datamodels(responses)
    derivative = learner.weight_jacobian(masks[1:], seeds).mean(axis=1).swapaxes(1, 2)
    return beta, np.concatenate([np.zeros_like(beta[:1]), np.where(masks[1:, :, None] > 0.0, derivative, 0.0)])


def _parts(learner: ParametricLearner, config: NoGoConfig, responses: Array) -> Variables:
    """Compare beta^A with D(1_A) on every part, one by one and in sum, and compute the least total violation of the sums."""
    n = learner.n_points
    beta, derivative = effects_of_parts(learner, config.seeds, responses)
    sums, of_derivative, of_table = beta.sum(axis=1), derivative.sum(axis=1), part_sums(responses)
    error, slope = (_relative_norms(x[1:], beta[1:]) for x in (derivative - beta, derivative))
    counted = error[slope > _INTERPOLATED]
    output, size = {"output": range(learner.n_outputs)}, {"size": range(1, n + 1)}
    rows = [sizes(n)[1:] == k for k in size["size"]]
    violation, allowed = np.abs(sums - of_derivative)[1:], table_from_part_sums(of_derivative)

    def by_size(of_part: Array) -> xr.DataArray:
        return array([of_part[chosen].mean(axis=0) for chosen in rows], **size, **output)

    def ranges(table: Array) -> Array:
        return np.stack([np.ptp(part_table(table, a), axis=0) for a in range(1, 2**n)])

    return {
        "error_by_size": (
            array([np.quantile(error[chosen], _QUANTILES) for chosen in rows], **size, quantile=_QUANTILES),
            "quantiles over the parts A of a size of ||beta^A - D(1_A)|| / ||beta^A||",
        ),
        "typical_error": (
            array(np.median(counted) if counted.size else np.nan),
            "median of ||beta^A - D(1_A)|| / ||beta^A|| over all parts on which D(1_A) is not 0",
        ),
        "least_error": (array(counted.min(initial=np.inf)), "the least of them"),
        "learnt": (by_size(ranges(responses)), "max F - min F on the subsets of A, mean over the parts of a size"),
        "allowed": (by_size(ranges(allowed)), "the same for the only F whose beta^A add up to the sums of D(1_A)"),
        "mean_violation": (by_size(violation), "|sum of beta^A - sum of D(1_A)|, mean over the parts of a size"),
        "violation": (array(violation.sum(axis=0), **output), "its sum over all parts"),
        "least_violation": (
            array(least_violation(responses, of_derivative), **output),
            "the least that this can be for such responses and sums of derivatives",
        ),
        "derivative_sum": (array(np.abs(of_derivative).max(axis=0), **output), "the largest |sum of D(1_A)| of all parts"),
        "part_sum_error": (
            array(relative_error(sums, of_table)),
            "sums of beta^A against 2^(1-|A|) sum of (2|T| - |A|) F(T): relative error",
        ),
    }


def _relative_norms(effects: Array, references: Array) -> Array:
    """Compute the norm of every effect (N, M) over that of its reference; 0 / 0 is 0, and a reference of 0 gives inf."""
    norm, size = (np.linalg.norm(x.reshape(len(x), -1), axis=1) for x in (effects, references))
    with np.errstate(divide="ignore"):
        return np.divide(norm, size, out=np.zeros_like(norm), where=norm > 0.0)


def _sums(config: NoGoConfig, responses: Array) -> Variables:
    """Compute both sides of the rules for the sums of datamodels and of Shapley values."""
    p, output = {"p": config.probabilities}, {"output": range(responses.shape[1])}
    beta = [optimal_datamodel(responses, Bernoulli(x)).coefficients.sum(axis=0) for x in config.probabilities]
    slope = [inclusion_slope(responses, x) for x in config.probabilities]
    return {
        "beta_sum": (array(beta, **p, **output), "sum of beta^(p)"),
        "inclusion_slope": (array(slope, **p, **output), "d/dp E_p F"),
        "shapley_sum": (array(shapley(responses).sum(axis=0), **output), "sum of Shapley values"),
        "gain": (array(gain(responses), **output), "F(1) - F(0)"),
    }


def _inclusion(config: NoGoConfig, responses: Array) -> Variables:
    """Compute derivatives in the probabilities of inclusion without T1: by differences, exact and from drawn subsets."""
    p = {"p": config.probabilities}
    effect = effect_coords(leave_one_out(responses))
    beta = [optimal_datamodel(responses, Bernoulli(x)).coefficients for x in config.probabilities]

    def drawn(x: float) -> Measured:
        found = drawn_inclusion_differences(responses, x, config.n_draws)
        return measured(*found, errors_over="drawn subsets", **effect)

    differences = [inclusion_differences(responses, x) for x in config.probabilities]
    return {
        "beta": (array(beta, **p, **effect), "optimal datamodel coefficient, Bernoulli(p) subsets"),
        "inclusion_difference": (array(differences, **p, **effect), "difference quotient of E_q F in q_i at q = p1"),
        "inclusion_drawn": (table(drawn, p=config.probabilities), "the same from drawn subsets"),
        "leave_one_out": (array(leave_one_out(responses), **effect), "F(1) - F(1 - e_i)"),
        "inclusion_difference_at_one": (
            array(inclusion_differences(responses, 1.0), **effect),
            "difference quotient of E_q F in q_i at q = 1",
        ),
    }


_QUANTILES = (0.1, 0.5, 0.9)
_INTERPOLATED = 1e-9
"""Share of ||beta^A|| below which ||D(1_A)|| is 0 to rounding: all points of the part are fitted exactly (T11)."""

_OF_PARTS = (
    "error_by_size", "typical_error", "least_error", "learnt", "allowed", "mean_violation", "violation", "least_violation",
    "derivative_sum", "part_sum_error", "beta_sum", "inclusion_slope", "shapley_sum", "gain", "beta", "inclusion_difference",
    "inclusion_drawn", "inclusion_drawn_error", "leave_one_out", "inclusion_difference_at_one",
)  # fmt: skip
_MIN_NORM = Problem("noisy_line", "least_squares", l2=0.0, undefined="min_norm", n_points=8)
_LOGISTIC = Problem("spector", "logistic", l2=0.1, n_points=8)
_NETWORK: dict[str, Any] = {"hidden": (4,), "learning_rate": 0.1}
_SEEDS = (0, 1, 2, 3)


def _trained(steps: int, **options: Option) -> NoGoConfig:
    network: dict[str, Any] = {**_NETWORK, "steps": steps, **options}
    return NoGoConfig(Problem("xor", "mlp", **network, n_points=6), seeds=_SEEDS)


EXPERIMENT = Experiment(
    name="no_go",
    question="Can the essay's identity hold on a data set and on all its parts, and what do effects add up to?",
    cases=(
        NoGoConfig(_MIN_NORM),
        NoGoConfig(replace(_MIN_NORM, data="two_moons")),
        NoGoConfig(replace(_MIN_NORM, data="spector")),
        NoGoConfig(Problem("longley", "least_squares", l2=0.1, n_points=8)),
        NoGoConfig(_LOGISTIC),
        NoGoConfig(Problem("two_moons", "logistic", l2=0.0, n_points=8), parts=False),
        _trained(5),
        _trained(2000),
        _trained(2000, l2=0.01),
    ),
    small=(
        NoGoConfig(Problem("two_moons", "logistic", l2=0.0, n_points=8), parts=False),
        NoGoConfig(replace(_MIN_NORM, n_points=6)),
        NoGoConfig(replace(_MIN_NORM, data="two_moons", n_points=6)),
        _trained(5),
        NoGoConfig(_LOGISTIC),
    ),
    run=run,
    user_case=user_case(lambda problem, small: NoGoConfig(problem), at_most=10),
    most_points=lambda config: 12,
)
