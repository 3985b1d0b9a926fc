"""The experiment measures how many retrainings an estimated datamodel needs.

It compares every estimator and design with the exact beta of the same learner.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from sims.experiments.shared.experiment import Experiment, Retrain, in_memory
from sims.experiments.shared.labels import Measured, Variables, array, labelled, measured, progress_bar, table
from sims.experiments.shared.problem import Problem
from sims.experiments.shared.settings import setting
from sims.experiments.shared.user_cases import CONVEX, why_not_enumerable
from theory.datamodel import optimal_datamodel
from theory.laws import Bernoulli
from theory.metrics import relative_error, slope
from theory.response import Array
from theory.sampling.designs import Design, antithetic, fold_over, independent
from theory.sampling.fit import Method, SampledDatamodel, fit_sampled
from theory.sampling.stability import noise_design, noise_residual
from theory.sampling.surrogates import Prices, Quadratic, fit_with_surrogate, taylor_surrogate
from theory.transforms import degree_mass

__all__ = ["EXPERIMENT", "EstimatorsConfig", "run"]

ESTIMATORS = ("OLS", "difference of means", "ridge", "LASSO", "control variate", "antithetic pairs", "fold-over")
PENALISED = ("ridge", "LASSO")
RESIDUALS = ("noise stability", "OLS")
"""Estimators of B_{>=2}, the variance that the best linear datamodel leaves: `theory.sampling.stability`, and OLS residuals."""

QUALITIES = ("relative_error", "slope", "coverage")
"""||estimate - exact|| / ||exact||; <estimate, exact> / ||exact||^2; the share of exact values inside their 95% intervals."""

LEAST_PRESENCE = 10.0
"""Least expected number of subsets with a point, and without it; no design is drawn if fewer are expected."""


@dataclass(frozen=True)
class EstimatorsConfig:
    """A config sets the learner, the inclusion probabilities, the numbers m of subsets, the seeds and the numbers of designs.

    `sizes` are multiples of 32, and F is averaged over `n_seeds` seeds. Ridge and LASSO choose their penalty by cross-validation,
    which is slow, so they get `penalised_designs` designs only. `prices` are the costs of a first and of a second weight
    derivative in retrainings, by measured times where all are batched (`theory.sampling.surrogates.measured_prices`).
    """

    problem: Problem
    probabilities: tuple[float, ...] = (0.5, 0.9)
    sizes: tuple[int, ...] = setting("numbers m of subsets, multiples of 32", (32, 64, 128, 256, 512, 1024), within="[32, inf)")
    n_seeds: int = 1
    designs: int = setting("designs over which errors are averaged", 100, within="[2, inf)")
    penalised_designs: int = setting("designs for ridge and LASSO, which are slow", 10, within="[2, inf)")
    prices: tuple[float, float] = setting(
        "costs of a first and of a second derivative, in retrainings", (1.0, 1.0), within="[0, inf)"
    )


@dataclass(frozen=True)
class _Exact:
    """The exact values at one p come from the whole table; they are stored with the surrogate at p 1."""

    table: Array  # F (2**N, M)
    p: float
    beta: Array  # (N, M)
    residual: Array  # B_{>=2} (M,)
    surrogate: Quadratic

    def responses(self, masks: Array) -> Array:
        """Look up F on subsets (.., N) in the table, without retraining. A subset that is drawn twice counts twice in m."""
        return self.table[(masks @ 2.0 ** np.arange(masks.shape[-1])).astype(np.intp)]


def run(config: EstimatorsConfig, *, retrain: Retrain = in_memory, progress: bool = False) -> xr.Dataset:
    """Measure estimates of beta^(p) and of B_{>=2} from m responses by `QUALITIES`: means over independent designs.

    Outputs are pooled, and standard errors are over designs. A value is NaN if the estimator has no design for m and p, or no
    interval (ridge, LASSO, one replicate of a fold-over). Independent draws need m >= 2N and `LEAST_PRESENCE`. Antithetic pairs
    need p = 1/2 and m >= 4N. A fold-over needs p = 1/2 and an m that is a multiple of 2 n; the order n of its matrix is the least
    power of 2 that is at least N and at least 16. Noise stability uses m/4 chains of 4 subsets, and D(p 1) as its linear
    function.
    """
    learner, seeds = config.problem.build(), tuple(range(config.n_seeds))
    responses = retrain(learner, seeds).mean
    designs = {name: config.penalised_designs if name in PENALISED else config.designs for name in ESTIMATORS}
    quality, residual, costs = dict[float, Measured](), dict[float, Measured](), list[float]()
    for k in progress_bar("estimators", progress)(range(len(config.probabilities))):
        p = config.probabilities[k]
        surrogate = taylor_surrogate(learner, p, seeds)
        beta = optimal_datamodel(responses, Bernoulli(p)).coefficients
        exact = _Exact(responses, p, beta, degree_mass(responses, p)[2:].sum(axis=0), surrogate)

        def of_coefficients(estimator: str, m: int, exact: _Exact = exact) -> Measured:
            return _mean_over_designs(partial(_coefficient_qualities, exact, estimator, m), designs[estimator])

        def of_residual(estimator: str, m: int, exact: _Exact = exact) -> Measured:
            return _mean_over_designs(partial(_residual_qualities, exact, estimator, m), config.designs)

        quality[p] = table(of_coefficients, estimator=ESTIMATORS, m=config.sizes)
        residual[p] = table(of_residual, residual_estimator=RESIDUALS, m=config.sizes)
        costs.append(surrogate.cost.retrainings(Prices(*config.prices)))
    variables: Variables = {
        "measured": (
            table(quality.__getitem__, p=config.probabilities),
            "of estimated against exact coefficients, mean over designs",
        ),
        "residual": (
            table(residual.__getitem__, p=config.probabilities),
            "of estimated against exact B_{>=2}, mean over designs",
        ),
        "surrogate_cost": (
            array(costs, p=config.probabilities),
            "retrainings that the surrogate of the control variate costs by itself",
        ),
    }
    counts = {"designs": config.designs, "n_seeds": config.n_seeds, "n_outputs": learner.n_outputs}
    return labelled("estimators", config, variables).assign_attrs(counts)


def _mean_over_designs(qualities: Callable[[int], list[float]], designs: int) -> Measured:
    """Average the `QUALITIES` that `qualities(seed)` returns over designs with the seeds 0, 1, .., designs - 1."""
    each = np.array([qualities(seed) for seed in range(designs)])
    error = each.std(axis=0, ddof=1) / np.sqrt(designs)
    return measured(each.mean(axis=0), error, errors_over="designs", quality=QUALITIES)


def _coefficient_qualities(exact: _Exact, estimator: str, m: int, seed: int) -> list[float]:
    design = _draw_design(exact, estimator, m, seed)
    if design is None:
        return [np.nan] * len(QUALITIES)
    fitted = _fit(exact, estimator, design)
    one_replicate = estimator == "fold-over" and design.groups is None  # nothing in it is independent
    covered = np.nan if estimator in PENALISED or one_replicate else _coverage(*fitted.confidence_interval(), exact.beta)
    return [relative_error(fitted.coefficients, exact.beta), slope(fitted.coefficients, exact.beta), covered]


def _draw_design(exact: _Exact, estimator: str, m: int, seed: int) -> Design | None:
    """Draw a design of m subsets; return None if that kind has no design for m and p, or if m is too small for N points."""
    n, law = len(exact.beta), Bernoulli(exact.p)
    if estimator == "antithetic pairs":
        return antithetic(law, n_subsets=m, n_points=n, seed=seed) if exact.p == 0.5 and m >= 4 * n else None
    if estimator == "fold-over":
        order = max(16, 1 << (n - 1).bit_length())
        replicates, left_over = divmod(m, 2 * order)
        possible = exact.p == 0.5 and not left_over
        return fold_over(n_replicates=replicates, n_points=n, seed=seed, order=order) if possible else None
    enough = m >= 2 * n and min(exact.p, 1.0 - exact.p) * m >= LEAST_PRESENCE
    return independent(law, n_subsets=m, n_points=n, seed=seed) if enough else None


def _fit(exact: _Exact, estimator: str, design: Design) -> SampledDatamodel:
    responses = exact.responses(design.masks)
    if estimator == "control variate":
        return fit_with_surrogate(design, responses, exact.surrogate)
    return fit_sampled(design, responses, _METHODS.get(estimator, "ols"))


def _residual_qualities(exact: _Exact, estimator: str, m: int, seed: int) -> list[float]:
    if estimator == "OLS":
        design = _draw_design(exact, "OLS", m, seed)
        if design is None:
            return [np.nan] * len(QUALITIES)
        found, covered = _fit(exact, "OLS", design).residual_variance, np.nan
    else:
        chains = noise_design(Bernoulli(exact.p), n_chains=m // 4, n_points=len(exact.beta), seed=seed)
        estimate = noise_residual(chains, exact.responses(chains.masks), linear=exact.surrogate.gradient)
        found, covered = estimate.residual, _coverage(*estimate.interval(), exact.residual)
    return [relative_error(found, exact.residual), slope(found, exact.residual), covered]


def _coverage(low: Array, high: Array, value: Array) -> float:
    """Return the share of values that lie in their intervals, or NaN if some interval is NaN."""
    inside = ((low <= value) & (value <= high)).astype(np.float64)
    return float(np.where(np.isnan(low + high), np.nan, inside).mean())


_METHODS: dict[str, Method] = {"difference of means": "difference_of_means", "ridge": "ridge", "LASSO": "lasso"}

_NETWORK: dict[str, Any] = {"hidden": (4,), "l2": 0.01, "learning_rate": 0.5}


def _user_case(problem: Problem, small: bool) -> EstimatorsConfig | str:
    """Make a case with fixed prices, those of the cases below; measured prices would change the results from run to run."""
    chosen, convex = replace(problem, n_queries=6), problem.learner in CONVEX
    designs: dict[str, Any] = {"sizes": (32, 128), "designs": 10, "penalised_designs": 2} if small else {"designs": 50}
    if convex:
        prices = (60.0, 1100.0) if problem.learner == "logistic" else (40.0, 1000.0)
        return why_not_enumerable(problem, 14) or EstimatorsConfig(chosen, prices=prices, **designs)
    chosen = chosen.changed(steps=100 if small else 500)
    return why_not_enumerable(problem) or EstimatorsConfig(chosen, n_seeds=2 if small else 8, prices=(7.0, 0.0), **designs)


EXPERIMENT = Experiment(
    name="estimators",
    question="How many retrainings does a datamodel need with each estimator and design, and do its intervals cover the truth?",
    cases=(
        EstimatorsConfig(Problem("spector", "logistic", l2=0.1, n_points=14, n_queries=6), prices=(60.0, 1100.0)),
        EstimatorsConfig(Problem("spector", "logistic", l2=0.001, n_points=14, n_queries=6), prices=(75.0, 1150.0)),
        EstimatorsConfig(Problem("longley", "least_squares", l2=0.1, n_points=14, n_queries=6), prices=(40.0, 1000.0)),
        EstimatorsConfig(
            Problem("two_moons", "mlp", **_NETWORK, steps=500, n_points=10, n_queries=6), n_seeds=8, prices=(7.0, 0.0)
        ),
    ),
    small=(
        EstimatorsConfig(
            Problem("spector", "logistic", l2=0.01, n_points=8, n_queries=2),
            sizes=(32, 128),
            designs=10,
            penalised_designs=2,
            prices=(60.0, 1100.0),
        ),
    ),
    run=run,
    user_case=_user_case,
)
