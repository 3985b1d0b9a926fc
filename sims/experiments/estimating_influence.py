"""The experiment measures how well D(1), leave-one-out and Shapley values are estimated by retraining, without derivatives.

Every way of spending the same number of retrainings is compared with the exact values of the same learner.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sims.experiments.shared.experiment import Experiment, Retrain, in_memory
from sims.experiments.shared.labels import Measured, Variables, array, labelled, measured, progress_bar, table
from sims.experiments.shared.problem import ParametricLearner, Problem
from sims.experiments.shared.settings import setting
from theory.datamodel import optimal_datamodel
from theory.laws import Bernoulli, Poisson, ProductLaw, TwoPoint
from theory.metrics import relative_error
from theory.response import Array, Learner, mean_response, weight_derivative
from theory.sampling.designs import Plan, for_influence, for_leave_one_out, for_shapley, hadamard_orders
from theory.streams import stream
from theory.subsets import all_masks
from theory.values import leave_one_out, shapley

__all__ = ["EXPERIMENT", "EstimatingInfluenceConfig", "run"]

INFLUENCE = (
    "fold-over, two scales",
    "fold-over, one scale",
    "one point at a time, two scales",
    "one point at a time, one scale",
    "weights 1 - s, 1 + s",
    "weights 0, 2",
    "Poisson(1)",
    "subsets, times p",
    "subsets, l2 p, times p",
    "subsets of two p, l2 p",
)
"""Ways to estimate D(1); the first is what `for_influence` recommends."""

LEAVE_ONE_OUT = ("all but one", "subsets at p = 0.9", "subsets at p = 0.9, with pairs")
SHAPLEY = (
    "orders, reversed and shifted",
    "orders and their reverses",
    "independent orders",
    "pairs of complements, least squares",
)
QUALITIES = ("error", "coverage")
"""||estimate - exact|| / ||exact||, root mean square over repetitions; the share of exact values inside their 95% intervals."""


@dataclass(frozen=True)
class EstimatingInfluenceConfig:
    """A config sets the learner, the numbers of retrainings and of repetitions, the scale s, the seeds, and two p.

    The numbers of retrainings are those of the given numbers of groups of `for_influence`, four at least, for every way.
    With `new_seeds` every group of a design has seeds of its own, and D(1) is that of the mean over all seeds, measured by
    differences of one point at a time with `truth_seeds` other seeds; for a learner that jumps nothing else is exact. Otherwise F
    is the mean over the same `n_seeds` seeds, and D(1) its exact derivative.
    """

    problem: Problem
    groups: tuple[int, ...] = setting(
        "numbers of groups of `for_influence`, which set the numbers of retrainings", (4, 8, 16), within="[4, inf)"
    )
    repetitions: int = 30
    scale: float = setting("scale s of the weights 1 - s and 1 + s", 0.25, within="(0, 1]")
    n_seeds: int = 1
    new_seeds: bool = setting("whether every group of a design has seeds of its own", False)
    truth_seeds: int = setting("seeds that D(1) is measured with where groups have their own", 1024, within="[2, inf)")
    probabilities: tuple[float, float] = (0.5, 0.8)


@dataclass(frozen=True)
class _Truth:
    """True values (N, M), and their own standard errors, which are 0 where they are exact."""

    values: Array
    errors: Array

    def qualities(self, estimate: Array, interval: tuple[Array, Array] | None = None) -> list[float]:
        """Return the square of the relative error, and the share of true values in the intervals."""
        squared = relative_error(estimate, self.values) ** 2
        if interval is None:
            return [squared, np.nan]
        half = np.hypot(0.5 * (interval[1] - interval[0]), 1.96 * self.errors)  # both sides have an error
        rounding = 1e-9 * np.abs(self.values).max()
        return [squared, float((np.abs(estimate - self.values) <= half + rounding).mean())]


Estimator = Callable[[int, int], list[float]]
"""The qualities of an estimate from (m retrainings, seed of the design)."""


def run(config: EstimatingInfluenceConfig, *, retrain: Retrain = in_memory, progress: bool = False) -> xr.Dataset:
    """Measure `QUALITIES` for every way and number of retrainings: means over designs with their standard errors.

    Errors are NaN where a way has no design of so few retrainings, coverage where it states no interval. `bias` is the relative
    error of what a way tends to with many retrainings, which is the expectation of fold-over designs; it is not computed with new
    seeds, nor for Poisson(1).
    """
    learner, seeds = config.problem.build(), tuple(range(config.n_seeds))
    responses = retrain(learner, seeds).mean
    n, learners = learner.n_points, _by_penalty(config)
    order = next(k for k in hadamard_orders(2 * max(n, 4)) if k >= n)
    sizes = [2 * order * groups for groups in config.groups]
    loo, values = _exact(leave_one_out(responses)), _exact(shapley(responses))
    truth = _differences(config, learner) if config.new_seeds else _exact(weight_derivative(learner, np.ones(n), seeds))
    bar = progress_bar("estimating influence", progress)

    def over_designs(estimate: Estimator, m: int) -> Measured:
        found = np.array([estimate(m, repetition) for repetition in bar(range(config.repetitions))])
        squared, covered = found.T
        rms, count = np.sqrt(squared.mean()), np.sqrt(config.repetitions)
        error = rms if rms == 0.0 else squared.std(ddof=1) / (2.0 * rms * count)
        return measured([rms, covered.mean()], [error, covered.std(ddof=1) / count], errors_over="designs", quality=QUALITIES)

    def of_influence(way: str, m: int) -> Measured:
        return over_designs(lambda m, k: _influence(config, learners, way, truth, m, k), m)

    def of_leave_one_out(loo_way: str, m_loo: int) -> Measured:
        return over_designs(lambda m, k: _leave_one_out(responses, loo_way, loo, m, k), m_loo)

    def of_shapley(shapley_way: str, m: int) -> Measured:
        return over_designs(lambda m, k: _shapley(responses, shapley_way, values, m, k), m)

    variables: Variables = {
        "influence": (table(of_influence, way=INFLUENCE, m=sizes), "of estimated against exact D(1)"),
        "leave_one_out": (
            table(of_leave_one_out, loo_way=LEAVE_ONE_OUT, m_loo=(2 * n // 3, n + 1, 3 * (n + 1))),
            "of estimated against exact leave-one-out",
        ),
        "shapley": (
            table(of_shapley, shapley_way=SHAPLEY, m=sizes),
            "of estimated against exact Shapley values",
        ),
        "truth_error": (array(_size_of_error(truth)), "||standard errors|| / ||D(1)|| of the true D(1), 0 where it is exact"),
    }
    if not config.new_seeds:
        bias = _biases(config, learners, truth.values)
        variables["bias"] = (array(list(bias.values()), known_way=bias), "||limit for many retrainings - D(1)|| / ||D(1)||")
    counts = {"repetitions": config.repetitions, "scale": config.scale, "new_seeds": int(config.new_seeds)}
    return labelled("estimating_influence", config, variables).assign_attrs(counts)


def _exact(values: Array) -> _Truth:
    return _Truth(values, np.zeros_like(values))


def _size_of_error(truth: _Truth) -> float:
    return float(np.linalg.norm(truth.errors) / np.linalg.norm(truth.values))


def _by_penalty(config: EstimatingInfluenceConfig) -> dict[float, ParametricLearner]:
    """Return the learner with its penalty times 1 and times each p (T6: subsets of p with l2 p train like weights of mean 1)."""
    l2 = config.problem.number("l2")
    return {factor: config.problem.build(l2=factor * l2) for factor in (1.0, *config.probabilities)}


def _differences(config: EstimatingInfluenceConfig, learner: Learner) -> _Truth:
    """Measure D(1) of the mean over all seeds by central differences at s and s/2, which cancel s^2 (Richardson 1911)."""
    seeds, n = tuple(range(_TRUTH_SEEDS, _TRUTH_SEEDS + config.truth_seeds)), learner.n_points
    steps = (config.scale, 0.5 * config.scale)
    per_seed = _central(learner.respond(np.concatenate([_one_at_a_time(n, step) for step in steps]), seeds), steps)  # (N, R, M)
    return _Truth(per_seed.mean(axis=1), per_seed.std(axis=1, ddof=1) / np.sqrt(len(seeds)))


_TRUTH_SEEDS = 10**9


def _one_at_a_time(n: int, step: float) -> Array:
    """Return the weights 1 + s e_i and then 1 - s e_i, (2 N, N)."""
    return 1.0 + step * np.concatenate([np.eye(n), -np.eye(n)])


def _central(responses: Array, steps: tuple[float, ...]) -> Array:
    """Compute central differences from responses at `_one_at_a_time` of every step s or, for s and s/2, (4 d(s/2) - d(s)) / 3."""
    up, down = responses.reshape(len(steps), 2, -1, *responses.shape[1:]).swapaxes(0, 1)
    slopes = [(high - low) / (2.0 * step) for high, low, step in zip(up, down, steps, strict=True)]
    return slopes[0] if len(steps) == 1 else (4.0 * slopes[1] - slopes[0]) / 3.0


# --- ways to estimate D(1) ----------------------------------------------------------------------------------------------------


def _influence(
    config: EstimatingInfluenceConfig, learners: dict[float, ParametricLearner], way: str, truth: _Truth, m: int, seed: int
) -> list[float]:
    """Estimate D(1) in the given way from at most m retrainings, and return its qualities."""
    learner, s, (first, second) = learners[1.0], config.scale, config.probabilities
    n, rng = learner.n_points, stream(f"estimating influence {way}", seed)

    def respond(of: Learner, weights: Array, groups: NDArray[np.intp]) -> Array:
        return _respond(config, of, weights, groups, INFLUENCE.index(way), seed)

    def plan(order: Literal[2, 4]) -> list[float]:
        made = for_influence(n_points=n, n_retrainings=m, seed=seed, scale=s, order=order)
        estimate = made.estimate(respond(learner, made.weights, made.groups))
        return truth.qualities(estimate.values, estimate.confidence_interval())

    def regression(law: ProductLaw, count: int, of: Learner = learner, part: int = 0) -> Array:
        """Fit slopes to `count` independent draws; rows of 24 share their seeds, as in a design."""
        drawn = law.draw(n_subsets=count, n_points=n, rng=rng)
        return _slopes(drawn, respond(of, drawn, 1000 * part + np.arange(count, dtype=np.intp) // 24))

    if way == "fold-over, two scales":
        return plan(4)
    if way == "fold-over, one scale":
        return plan(2)
    if way.startswith("one point"):
        steps = (s, 0.5 * s) if way.endswith("two scales") else (s,)
        rows = np.concatenate([_one_at_a_time(n, step) for step in steps])
        rounds = m // len(rows)
        numbers = np.repeat(np.arange(rounds, dtype=np.intp), len(rows))
        found = respond(learner, np.tile(rows, (rounds, 1)), numbers).reshape(rounds, *rows.shape[:1], -1).mean(axis=0)
        return truth.qualities(_central(found, steps))
    if way == "subsets of two p, l2 p":
        parts = [regression(Bernoulli(p), m // 2, learners[p], part) for part, p in enumerate((first, second))]
        return truth.qualities(_of_two(parts[0], parts[1], first, second))
    if way.startswith("subsets"):
        return truth.qualities(first * regression(Bernoulli(first), m, learners[first] if "l2 p" in way else learner))
    laws = {"weights 1 - s, 1 + s": TwoPoint(s), "weights 0, 2": TwoPoint(1.0), "Poisson(1)": Poisson()}
    return truth.qualities(regression(laws[way], m))


def _respond(
    config: EstimatingInfluenceConfig, learner: Learner, weights: Array, groups: NDArray[np.intp], way: int, repetition: int
) -> Array:
    """Compute F at every row: the mean over the same seeds, or over seeds of its group that nothing else has."""
    if not config.new_seeds:
        return mean_response(learner, weights, tuple(range(config.n_seeds)))
    found = np.empty((len(weights), learner.n_outputs))
    for group in np.unique(groups).tolist():
        start = config.n_seeds * (2000 * (len(INFLUENCE) * repetition + way) + int(group))
        found[groups == group] = mean_response(learner, weights[groups == group], tuple(range(start, start + config.n_seeds)))
    return found


def _slopes(weights: Array, responses: Array) -> Array:
    """Fit a linear function with an intercept by least squares, and return its slopes (N, M)."""
    x, y = weights - weights.mean(axis=0), responses - responses.mean(axis=0)
    return np.asarray(np.linalg.lstsq(x, y, rcond=None)[0], dtype=np.float64)


def _of_two(first: Array, second: Array, p: float, q: float) -> Array:
    """Extrapolate x beta^(x; l2 x), x = p and q, to x = 1, linearly in 1/x.

    By T6 it is D + ((1 - 2x)/2x) d_i^2 F + ((1 - x)/2x) sum_j d_i d_j^2 F + ..: at x = 1 the sum over j, the leading term, is
    gone, and D - d_i^2 F / 2 remains.
    """
    a, b = 1.0 / p - 1.0, 1.0 / q - 1.0
    return (a * q * second - b * p * first) / (a - b)


def _biases(config: EstimatingInfluenceConfig, learners: dict[float, ParametricLearner], exact: Array) -> dict[str, float]:
    """Compute the relative error of the limit of every way but Poisson(1), from the whole tables of its law."""
    seeds, s, (p, q) = tuple(range(config.n_seeds)), config.scale, config.probabilities
    n = learners[1.0].n_points
    corners = all_masks(n)

    def beta(law: Bernoulli | TwoPoint, of: Learner = learners[1.0]) -> Array:
        low, high = law.levels
        return optimal_datamodel(mean_response(of, low + (high - low) * corners, seeds), law).coefficients

    wide, narrow, first = beta(TwoPoint(s)), beta(TwoPoint(0.5 * s)), beta(Bernoulli(p), learners[p])
    steps = (s, 0.5 * s)
    single = mean_response(learners[1.0], np.concatenate([_one_at_a_time(n, step) for step in steps]), seeds)
    expected = {
        "fold-over, two scales": (4.0 * narrow - wide) / 3.0,
        "fold-over, one scale": wide,
        "one point at a time, two scales": _central(single, steps),
        "one point at a time, one scale": _central(single[: 2 * n], steps[:1]),
        "weights 1 - s, 1 + s": wide,
        "weights 0, 2": beta(TwoPoint(1.0)),
        "subsets, times p": p * beta(Bernoulli(p)),
        "subsets, l2 p, times p": p * first,
        "subsets of two p, l2 p": _of_two(first, beta(Bernoulli(q), learners[q]), p, q),
    }
    return {way: relative_error(mean, exact) for way, mean in expected.items()}


# --- ways to estimate leave-one-out and Shapley values ------------------------------------------------------------------------


def _look_up(responses: Array, subsets: Array) -> Array:
    """Return F of subsets (.., N) from the whole table, without retraining; a subset that is drawn twice counts twice."""
    return responses[(subsets @ 2.0 ** np.arange(subsets.shape[-1])).astype(np.intp)]


def _of_plan(responses: Array, plan: Plan, truth: _Truth) -> list[float]:
    estimate = plan.estimate(_look_up(responses, plan.weights))
    return truth.qualities(estimate.values, estimate.confidence_interval())


def _leave_one_out(responses: Array, way: str, truth: _Truth, m: int, seed: int) -> list[float]:
    """Estimate leave-one-out: exactly, where m allows it, or by that of a fit to subsets at p = 0.9 of least norm (T18)."""
    n, law, rng = len(truth.values), Bernoulli(0.9), stream("estimating leave-one-out", seed)
    if way == "all but one":
        return (
            [np.nan, np.nan]
            if m < n + 1
            else _of_plan(responses, for_leave_one_out(n_points=n, n_retrainings=m, seed=seed), truth)
        )
    drawn = law.draw(n_subsets=m, n_points=n, rng=rng)
    features = _with_pairs if way.endswith("pairs") else np.asarray
    left_out = features(np.ones((1, n))) - features(1.0 - np.eye(n))  # what leaving one point out changes in the features
    return truth.qualities(left_out @ _slopes(features(drawn), _look_up(responses, drawn)))


def _with_pairs(weights: Array) -> Array:
    """Return the columns w_i and, for i < j, (w_i - 0.9) (w_j - 0.9), which is uncorrelated with them at p = 0.9."""
    first, second = np.triu_indices(weights.shape[1], 1)
    return np.concatenate([weights, (weights[:, first] - 0.9) * (weights[:, second] - 0.9)], axis=1)


def _shapley(responses: Array, way: str, truth: _Truth, m: int, seed: int) -> list[float]:
    n = len(truth.values)
    if way == "orders, reversed and shifted":
        if m < 16 * n - 8:  # the least of the plan
            return [np.nan, np.nan]
        return _of_plan(responses, for_shapley(n_points=n, n_retrainings=m, seed=seed), truth)
    rng = stream(f"estimating Shapley {way}", seed)
    if way == "pairs of complements, least squares":
        return truth.qualities(_kernel_regression(responses, (m - 2) // 2, rng))
    if way == "orders and their reverses":
        drawn = [rng.permutation(n) for _ in range((m - 2) // (2 * (n - 1)))]
        orders = [order for one in drawn for order in (one, one[::-1])]
    else:
        orders = [rng.permutation(n) for _ in range((m - 2) // (n - 1))]
    return truth.qualities(np.mean([_gains(responses, order) for order in orders], axis=0))


def _gains(responses: Array, order: NDArray[np.int64]) -> Array:
    """Return what every point adds to F when it comes, (N, M)."""
    grown = np.concatenate([[0], np.cumsum(1 << order)])
    gains = np.empty((len(order), responses.shape[1]))
    gains[order] = np.diff(responses[grown], axis=0)
    return gains


def _kernel_regression(responses: Array, n_pairs: int, rng: np.random.Generator) -> Array:
    """Fit F(S) - F(0) by sum_{i in S} phi_i with sum_i phi_i = F(1) - F(0), to drawn S and their complements.

    A size k has a probability ~ 1 / (k (N - k)), the Shapley kernel: fitted to all S, phi is the Shapley value (Covert & Lee
    2021).
    """
    n = len(responses).bit_length() - 1
    sizes = np.arange(1, n)
    chance = 1.0 / (sizes * (n - sizes))
    drawn = rng.choice(sizes, size=n_pairs, p=chance / chance.sum())
    half = (np.argsort(np.argsort(rng.random((n_pairs, n)), axis=1), axis=1) < drawn[:, None]).astype(np.float64)
    subsets = np.concatenate([half, 1.0 - half])
    total = responses[-1] - responses[0]
    left = _look_up(responses, subsets) - responses[0] - subsets.mean(axis=1, keepdims=True) * total
    centred = subsets - subsets.mean(axis=1, keepdims=True)  # the constraint: only differences of phi are free
    return total / n + np.asarray(np.linalg.lstsq(centred, left, rcond=None)[0], dtype=np.float64)


_TANH: dict[str, Any] = {"hidden": (4,), "l2": 0.01, "learning_rate": 0.5, "steps": 60}


EXPERIMENT = Experiment(
    name="estimating_influence",
    question="How well does retraining without derivatives give D(1), leave-one-out and Shapley values, with honest errors?",
    cases=(
        EstimatingInfluenceConfig(Problem("spector", "logistic", l2=0.1, n_points=12, n_queries=4)),
        EstimatingInfluenceConfig(Problem("spector", "logistic", l2=0.01, n_points=14, n_queries=4)),
        EstimatingInfluenceConfig(Problem("longley", "least_squares", l2=0.1, n_points=14, n_queries=4)),
        EstimatingInfluenceConfig(Problem("two_moons", "mlp", **_TANH, n_points=12, n_queries=4)),
        EstimatingInfluenceConfig(
            Problem("two_moons", "mlp", **_TANH, activation="relu", n_points=12, n_queries=4),
            scale=0.5,
            n_seeds=4,
            new_seeds=True,
        ),
    ),
    small=(
        EstimatingInfluenceConfig(Problem("spector", "logistic", l2=0.1, n_points=8, n_queries=2), groups=(8,), repetitions=10),
    ),
    run=run,
)
