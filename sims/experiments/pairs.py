"""The experiment measures what pairs of points add to a datamodel: accuracy, and leave-one-out from the same retrainings."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from sims.experiments.shared.experiment import Experiment, Retrain, in_memory
from sims.experiments.shared.labels import Measured, Variables, array, effect_coords, labelled, measured, progress_bar, table
from sims.experiments.shared.memory import require_per_subset
from sims.experiments.shared.problem import AnyProblem, Problem
from sims.experiments.shared.settings import setting
from sims.experiments.shared.user_cases import CONVEX, user_case
from theory.datamodel import PairDatamodel, fit_sampled, fit_sampled_pairs, optimal_datamodel, optimal_pair_datamodel
from theory.laws import Bernoulli
from theory.metrics import jackknife, lds, r_squared, relative_error
from theory.response import Array, DifferentiableLearner, Learner
from theory.sampling.designs import independent
from theory.second_derivatives import average_second_derivative
from theory.subsets import all_masks
from theory.transforms import degree_mass, difference_sums
from theory.values import leave_one_out

__all__ = ["EXPERIMENT", "PairsConfig", "run"]

DEGREES, ESTIMATES = (1, 2), ("beta", "beta and pairs")

_NO_INTERACTION = 1e-10  # of beta: an additive F has interactions of the size of rounding


@dataclass(frozen=True)
class PairsConfig:
    """A config sets the problem, the inclusion probabilities, the numbers of seeds, and where second derivatives are averaged.

    At the probabilities `average_at` the average second derivative is computed for the first `n_average_seeds` seeds, with
    `nodes` Gauss nodes or (None) as many as it needs. `kinks` says that the learner's derivative jumps between subsets: the
    average is then shown, and is not the pair coefficient.
    """

    problem: AnyProblem
    probabilities: tuple[float, ...] = (0.5, 0.75, 0.9, 0.95)
    n_seeds: int = 1
    average_at: tuple[float, ...] = setting(
        "probabilities at which second derivatives are averaged; none: left out", (), within="none or (0, 1)"
    )
    n_average_seeds: int = setting("seeds of the average second derivative", 1, within="[1, inf)")
    nodes: int | None = None
    kinks: bool = setting("whether the learner's derivative jumps between subsets", False)


def run(config: PairsConfig, *, retrain: Retrain = in_memory, progress: bool = False) -> xr.Dataset:
    """Compute the optimal linear and pair datamodels of the seed average, by p, and compare them with F and with leave-one-out.

    `r_squared` pools the outputs under Bernoulli(p). `lds` is the rank correlation over all subsets, each with the same weight,
    whatever p is. `sampled_..` belong to least squares on uniformly drawn subsets, four for every coefficient of degree 2, and
    are measured on as many other draws. `leave_one_out_error` is that of beta and of beta + (1 - p) sum_j beta_ij (T18), and
    `helps_from` the least p of a grid from which on the second is always the smaller one. `row_sum_error` compares sum_j beta_ij
    with d beta/dp, the derivative of T3's polynomial. Standard errors over seeds come from the jackknife (NaN for one seed).
    """
    learner, seeds, p_values = config.problem.build(), tuple(range(config.n_seeds)), config.probabilities
    require_per_subset(learner, _TABLES * learner.n_outputs * len(seeds), "pairs")
    samples = retrain(learner, seeds).samples
    mean = samples.mean(axis=0)
    models = [optimal_pair_datamodel(mean, Bernoulli(p)) for p in p_values]
    orders, removal = difference_sums(mean), leave_one_out(mean)

    def of_average(measure: Callable[..., Any], **coords: Any) -> Measured:
        def at(p: float) -> Measured:
            of = partial(measure, p=p)
            return measured(of(mean), jackknife(of, samples), **coords)

        return table(at, p=p_values)

    effect, sampled = effect_coords(removal), _sampled(mean)
    pair = {"point": effect["point"], "other": effect["point"], "output": effect["output"]}
    row_sums = [_row_sum_error(model, _slope_in_p(orders, p)) for p, model in zip(p_values, models, strict=True)]
    variables: Variables = {
        "beta": (array([m.coefficients for m in models], p=p_values, **effect), "optimal datamodel coefficient"),
        "pairs": (array([m.pairs for m in models], p=p_values, **pair), "pair coefficient of the optimal pair datamodel"),
        "leave_one_out": (array(removal, **effect), "F(1) - F(1 - e_i)"),
        "r_squared": (of_average(_r_squared, degree=DEGREES), "R^2 of the optimal datamodel of this degree"),
        "lds": (of_average(_rank_correlation, degree=DEGREES), "its Spearman over all subsets, mean over outputs"),
        "sampled_r_squared": (
            array(sampled[:, 0], degree=DEGREES),
            "R^2 of a sampled datamodel on other draws, mean over outputs",
        ),
        "sampled_lds": (array(sampled[:, 1], degree=DEGREES), "its Spearman on them, mean over outputs"),
        "leave_one_out_error": (of_average(_removal_errors, estimate=ESTIMATES), "||estimate - LOO|| / ||LOO||"),
        "leave_one_out_ratio": (of_average(_removal_ratio), "error with pairs / error of beta"),
        "helps_from": (array(_helps_from(orders, removal)), "least p from which on pairs bring beta nearer to leave-one-out"),
        "row_sum_error": (array(row_sums, p=p_values), "||sum_j beta_ij - d beta/dp|| / ||d beta/dp||"),
    }
    errors, reason = _average_errors(config, learner, samples[: config.n_average_seeds].mean(axis=0), progress)
    if errors:
        text = "||average second derivative - pairs|| / ||pairs||"
        variables["average_error"] = (array(list(errors.values()), average_p=list(errors)), text)
    left_out = json.dumps({} if errors else {"average_error": reason})
    return labelled("pairs", config, variables).assign_attrs(n_seeds=config.n_seeds, kinks=int(config.kinks), left_out=left_out)


def _average_errors(config: PairsConfig, learner: Learner, mean: Array, progress: bool) -> tuple[dict[float, float], str]:
    """Return the error of the average second derivative at every p of `average_at`, and a reason where there is none."""
    errors, seeds = dict[float, float](), tuple(range(config.n_average_seeds))
    if not isinstance(learner, DifferentiableLearner):
        return errors, f"{type(learner).__name__} has no weight_jacobian"
    for p in config.average_at:
        show = progress_bar(f"second derivatives, p = {p:g}", progress)
        try:
            average = average_second_derivative(learner, Bernoulli(p), seeds, config.nodes, progress=show)
        except ArithmeticError as unsettled:
            return {}, str(unsettled)
        errors[p] = relative_error(average, optimal_pair_datamodel(mean, Bernoulli(p)).pairs)
    return errors, "the average second derivative is left out: it takes too many derivatives"


def _row_sum_error(model: PairDatamodel, slope: Array) -> float:
    """Return ||sum_j beta_ij - d beta/dp|| / ||d beta/dp||; NaN (undefined) where F has no interactions, so that both are 0."""
    additive = np.linalg.norm(slope) <= _NO_INTERACTION * np.linalg.norm(model.coefficients)
    return np.nan if additive else relative_error(model.pairs.sum(axis=1), slope)


def _slope_in_p(orders: Array, p: float) -> Array:
    """Return d beta/dp = sum_k k (p - 1)^(k - 1) orders[:, k], for beta = sum_k (p - 1)^k orders[:, k] (T3); shape (N, M)."""
    factors = np.array([k * (p - 1.0) ** (k - 1) for k in range(1, orders.shape[1])])
    return np.asarray(np.tensordot(factors, orders[:, 1:], axes=(0, 1)), dtype=np.float64)


def _helps_from(orders: Array, removal: Array) -> float:
    """Return the least p = 0.01, 0.02, .. from which on beta + (1 - p) d beta/dp is nearer to leave-one-out than beta; else 1."""
    least = 1.0
    for p in np.arange(99, 0, -1) / 100.0:
        missing = removal - np.tensordot(np.array([(p - 1.0) ** k for k in range(orders.shape[1])]), orders, axes=(0, 1))
        if not np.linalg.norm(missing - (1.0 - p) * _slope_in_p(orders, p)) < np.linalg.norm(missing):
            break
        least = float(p)
    return least


def _r_squared(responses: Array, p: float) -> Array:
    """Return R^2 of degrees 1 and 2, pooled over outputs, as shares of the Walsh mass (T8); NaN if F does not vary."""
    mass = degree_mass(responses, p)[1:].sum(axis=1)
    varies = (np.ptp(responses, axis=0) > 1e-12 * np.abs(responses).max(axis=0)).any()
    return np.cumsum(mass)[[0, min(1, len(mass) - 1)]] / mass.sum() if varies else np.full(2, np.nan)


def _rank_correlation(responses: Array, p: float) -> list[float]:
    """Return the rank correlations of the predictions of degrees 1 and 2 with F, over all subsets."""
    masks, law = all_masks(len(responses).bit_length() - 1), Bernoulli(p)
    return [lds(fit(responses, law).predict(masks), responses) for fit in (optimal_datamodel, optimal_pair_datamodel)]


def _removal_errors(responses: Array, p: float) -> list[float]:
    """Return the relative errors of the two `ESTIMATES` of leave-one-out."""
    model, removal = optimal_pair_datamodel(responses, Bernoulli(p)), leave_one_out(responses)
    return [relative_error(estimate, removal) for estimate in (model.coefficients, model.leave_one_out())]


def _removal_ratio(responses: Array, p: float) -> float:
    """Return the error with pairs, divided by that of beta; NaN (undefined) where beta has none but rounding."""
    alone, both = _removal_errors(responses, p)
    return both / alone if alone > _NO_INTERACTION else np.nan


def _sampled(responses: Array) -> Array:
    """Return R^2 and LDS (degree, measure) of datamodels fitted to drawn subsets, on as many others."""
    n = len(responses).bit_length() - 1
    law, count = Bernoulli(0.5), 4 * (1 + n + n * (n - 1) // 2)
    fitted, other = (independent(law, n_subsets=count, n_points=n, seed=seed).masks for seed in (0, 1))
    drawn, actual = (responses[(masks @ 2.0 ** np.arange(n)).astype(np.int64)] for masks in (fitted, other))
    found: list[list[float]] = []
    for fit in (fit_sampled, fit_sampled_pairs):
        predicted = fit(fitted, drawn, law=law).predict(other)
        found.append([float(np.mean(r_squared(predicted, actual))), lds(predicted, actual)])
    return np.array(found)


_SPECTOR = Problem("spector", "logistic", l2=0.1)
_LONGLEY = Problem("longley", "least_squares", l2=0.1)
_NETWORK: dict[str, Any] = {"hidden": (3,), "learning_rate": 0.3, "l2": 0.01}
_RELU: dict[str, Any] = {"activation": "relu", **_NETWORK}


def _network(data: str, options: dict[str, Any], steps: int, **settings: Any) -> PairsConfig:
    return PairsConfig(Problem(data, "mlp", **options, steps=steps, n_points=6, n_queries=4), **settings)


def _averaged(problem: Problem) -> tuple[float, ...]:
    """Return where second derivatives are averaged on users' data: only where that takes seconds."""
    return (0.5,) if problem.learner in CONVEX and (problem.n_points or 0) <= 8 else ()


_TABLES = 16
"""Peak of memory in tables of all subsets, seeds and outputs; 14.3 were measured with one seed at 2^14 subsets."""

EXPERIMENT = Experiment(
    name="pairs",
    question="What do pairs of points add to a linear datamodel, and when do they give leave-one-out?",
    cases=(
        PairsConfig(replace(_SPECTOR, n_points=16)),
        PairsConfig(_LONGLEY),
        PairsConfig(replace(_SPECTOR, n_points=10), average_at=(0.5, 0.9)),
        PairsConfig(replace(_LONGLEY, n_points=6), average_at=(0.5, 0.9)),
        _network("xor", _NETWORK, 30, n_seeds=8, average_at=(0.5,)),
        _network("xor", _NETWORK, 1000, n_seeds=8),
        _network("two_moons", _NETWORK, 30, n_seeds=8),
        _network("two_moons", _NETWORK, 1000, n_seeds=8),
        _network("xor", _RELU, 30, n_seeds=8, average_at=(0.5,), nodes=12, kinks=True),
        _network("xor", _RELU, 1000, n_seeds=8),
    ),
    small=(
        PairsConfig(replace(_SPECTOR, n_points=8), average_at=(0.5,)),
        PairsConfig(Problem("xor", "mlp", **_NETWORK, steps=20, n_points=4, n_queries=2), n_seeds=2, average_at=(0.5,)),
    ),
    run=run,
    user_case=user_case(lambda problem, small: PairsConfig(problem, average_at=_averaged(problem))),
)
