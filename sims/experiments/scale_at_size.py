"""The experiment tests the scale laws of T6 on hundreds to thousands of real points.

There beta can only be estimated from sampled subsets.
"""

from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from sims.experiments.shared.experiment import Experiment, Retrain, in_memory
from sims.experiments.shared.labels import Variables, array, labelled, progress_bar, table
from sims.experiments.shared.problem import Problem
from sims.experiments.shared.settings import setting
from sims.experiments.shared.user_cases import CONVEX, ENUMERABLE, why_not_enumerable
from theory.laws import Bernoulli
from theory.memory import require_memory
from theory.metrics import relative_error
from theory.response import Array, TwiceDifferentiableLearner, weight_derivative
from theory.sampling import regression
from theory.sampling.designs import independent
from theory.sampling.surrogates import Prices, Quadratic, taylor_surrogate

__all__ = ["EXPERIMENT", "ScaleAtSizeConfig", "run", "second_order_slope"]

ESTIMATORS = ("OLS", "control variate")

PRICES, EVALUATION = Prices(jacobian=5.0, hessian=240.0), 0.2
"""Costs in retrainings of a first and a second weight derivative, and of the surrogate on one subset.

They were measured on one core (`measured_prices`) and rounded up over the cases below."""


@dataclass(frozen=True)
class ScaleAtSizeConfig:
    """A config sets a problem with second weight derivatives, the inclusion probabilities, and the subsets drawn for each."""

    problem: Problem
    probabilities: tuple[float, ...] = (0.25, 0.5, 0.75, 0.9)
    draws: int = setting("subsets that are drawn for every p", 10_000, within="[2, inf)")


def run(config: ScaleAtSizeConfig, *, retrain: Retrain = in_memory, progress: bool = False) -> xr.Dataset:
    """Measure the slope <beta, D> / <D, D> of beta^(p) on D(1) and on D(p 1) = (1/p) D(1; l2/p), for every p and output.

    beta is estimated twice from the same independent draws: by OLS, and with a control variate. The control variate is the
    second-order expansion about p 1 (`taylor_surrogate`): OLS fits what it leaves of F, and its own datamodel is known. T6
    predicts 1/p for the first slope without a penalty, and 1 for the second slope, corrected by `second_order_slope`. `gain` is
    the variance of OLS over that of the control variate, summed over points, at equal cost; all costs of the surrogate are
    counted in retrainings. Standard errors are HC3. They are conservative unless m is many times N (variances by
    1/(1 - N/m)); `unexplained` subtracts HC2 variances, which are not. Raises TypeError if the learner has no second weight
    derivatives, and ValueError if some output depends on no training point.
    """
    learner = config.problem.build()
    if not isinstance(learner, TwiceDifferentiableLearner):
        raise TypeError(f"{config.problem.name} has no weight_hessian: choose learner 'logistic' or 'least_squares'")
    n, l2, ones, seeds = learner.n_points, config.problem.number("l2"), np.ones(learner.n_points), (0,)
    at_one = weight_derivative(learner, ones, seeds)
    if not at_one.any(axis=0).all():
        fixed = int(at_one.any(axis=0).argmin())
        raise ValueError(f"output {fixed} of {config.problem.name} depends on no training point: there is no slope on D(1)")
    found, predicted, rescaling = dict[float, xr.Dataset](), list[Array](), list[float]()
    for k in progress_bar("scale at size", progress)(range(len(config.probabilities))):
        p = config.probabilities[k]
        masks = independent(Bernoulli(p), n_subsets=config.draws, n_points=n, seed=0).masks
        responses = retrain(learner, seeds, part=f"p{p:g}", weights=masks).mean
        surrogate = taylor_surrogate(learner, p, seeds)
        at_mean = surrogate.gradient
        found[p] = _slopes_and_gain(masks, responses, surrogate, p, at_one)
        predicted.append(second_order_slope(learner, surrogate, p))
        rescaled = weight_derivative(config.problem.build(l2=l2 / p), ones, seeds) / p
        rescaling.append(relative_error(at_mean, rescaled))
    p_values, outputs = config.probabilities, range(learner.n_outputs)
    by_p, second_order = table(found.__getitem__, p=p_values), array(predicted, p=p_values, output=outputs)
    variables: Variables = {
        **{name: (by_p[name], text) for name, text in _TEXTS.items()},
        "one_over_p": (array([1.0 / p for p in p_values], p=p_values), "leading-order slope on D(1) without penalty"),
        "second_order": (second_order, "slope on D(p1) that second and third derivatives predict"),
        "rescaling_error": (array(rescaling, p=p_values), "D(p1; l2) against (1/p) D(1; l2/p)"),
        "columns_per_point": (array(config.problem.load().X.shape[1] / n), "d / N"),
    }
    return labelled("scale_at_size", config, variables).assign_attrs(l2=l2, draws=config.draws)


_TEXTS = {
    "slope": "slope of beta on D(1)",
    "standard_error": "of that slope (HC3)",
    "slope_at_mean": "slope of beta on D(p1), which is D(1; l2/p) / p",
    "standard_error_at_mean": "of that slope (HC3)",
    "unexplained": "||beta - slope D(p1)||^2 / ||beta||^2, less what the errors of beta add to it",
    "unexplained_error": "its standard error",
    "gain": "variance of OLS over that of the control variate at equal cost, summed over points",
    "gain_error": "its standard error",
}


def second_order_slope(learner: TwiceDifferentiableLearner, surrogate: Quadratic, p: float, *, step: float = 0.02) -> Array:
    """Predict the slope of beta^(p) on D = D(p 1), (M,), up to terms of relative order 1/N^2 (T6).

    The expansion about p 1, with any penalty, gives

        1 + [(1/2 - p) sum_i D_i d_i^2 F + (p (1 - p) / 2) sum_i D_i d_i sum_j d_j^2 F] / sum_i D_i^2     at p 1.

    `surrogate` is the expansion at p 1. The last sum is the derivative of tr Q along D, by a central difference over weights
    that move by at most `step` p: its error is of the order step^2.
    """
    derivative, own = surrogate.gradient, surrogate.hessian.diagonal
    along = np.empty(learner.n_outputs)
    for m, d in enumerate(derivative.T):
        unit = step * p / np.abs(d).max()
        ahead, behind = (learner.weight_hessian(p + sign * unit * d, (0,)).diagonal[:, m].sum() for sign in (1.0, -1.0))
        along[m] = (ahead - behind) / (2.0 * unit)
    second = (0.5 - p) * (derivative * own).sum(axis=0) + 0.5 * p * (1.0 - p) * along
    return 1.0 + second / (derivative**2).sum(axis=0)


def _slopes_and_gain(masks: Array, responses: Array, surrogate: Quadratic, p: float, at_one: Array) -> xr.Dataset:
    """Compute the variables of `_TEXTS`, by estimator and output.

    Both estimators are linear in the values y that they fit, with the same matrix A: beta = A^T y.
    """
    n_rows, (n, k) = len(masks), at_one.shape
    require_memory(8 * 6 * n_rows * n, f"least squares on {n_rows} subsets of {n} points", "draw fewer subsets")
    rows = regression.centred(masks, np.hstack([responses, responses - surrogate(masks)]), np.ones(n_rows))
    solution = regression.least_squares(rows, singular_along_one=False)
    without = regression.without_own_row(rows, solution)
    length = np.square(solution.operator).sum(axis=1)[:, None]  # of the rows of A
    hc3, hc2 = ((s[:, :k], s[:, k:]) for s in (length * without**2, length * without * solution.residuals))  # sum_i se_i^2
    known = np.hstack([np.zeros_like(at_one), surrogate.datamodel(Bernoulli(p))[1]])
    beta_of, u_of = (np.split(a, 2, axis=1) for a in (solution.coefficients + known, without))
    fitted: dict[str, tuple[Array, Array, Array]] = dict(zip(ESTIMATORS, zip(beta_of, u_of, hc2, strict=True), strict=True))

    def slopes(estimator: str) -> xr.Dataset:
        beta, u, noise = fitted[estimator]
        total = (beta**2).sum(axis=0)

        def error(directions: Array) -> Array:
            """Compute the standard error of sum_i c_i beta_i for c (N, M), one direction per output."""
            return np.sqrt(np.square(solution.operator @ directions * u).sum(axis=0))

        (slope, spread), (slope_at_mean, spread_at_mean) = (
            ((c * beta).sum(axis=0), error(c)) for c in map(_per_slope, (at_one, surrogate.gradient))
        )
        rest = beta - slope_at_mean * surrogate.gradient
        unexplained = ((rest**2).sum(axis=0) - noise.sum(axis=0)) / total
        values = (slope, spread, slope_at_mean, spread_at_mean, unexplained, 2.0 * error(rest) / total)
        return xr.Dataset({name: array(row, output=range(k)) for name, row in zip(_TEXTS, values, strict=False)})

    gain, gain_error = (array(x, output=range(k)) for x in _gain(*hc3, surrogate.cost.retrainings(PRICES) / n_rows))
    return table(slopes, estimator=ESTIMATORS).assign(gain=gain, gain_error=gain_error)


def _per_slope(derivative: Array) -> Array:
    """Return c = D / <D, D>, (N, M), for which <c, beta> is the slope of beta on D."""
    return derivative / (derivative**2).sum(axis=0)


def _gain(ols: Array, variate: Array, cost_per_row: float) -> tuple[Array, Array]:
    """Return sum_r ols_r / sum_r variate_r at equal cost, and its standard error, for summands (m, M) from independent rows r."""
    ratio = ols.sum(axis=0) / variate.sum(axis=0)
    error = np.sqrt(len(ols)) * (ols - ratio * variate).std(axis=0, ddof=1) / variate.sum(axis=0)
    cost = 1.0 + EVALUATION + cost_per_row
    return ratio / cost, error / cost


def _fair(n_points: int, l2: float, draws: int) -> ScaleAtSizeConfig:
    return ScaleAtSizeConfig(Problem("fair", "logistic", l2=l2, n_points=n_points, n_queries=4), draws=draws)


def _user_case(problem: Problem, small: bool) -> ScaleAtSizeConfig | str:
    """Make a case if the problem has too many points to use all subsets; `scale` covers smaller problems."""
    if problem.learner not in CONVEX:
        return f"is for --learner {' or '.join(CONVEX)}"
    if not why_not_enumerable(problem):
        return f"is for more than {ENUMERABLE[problem.learner]} points"
    draws = max(2_000 if small else 10_000, 8 * (problem.n_points or 0))
    return ScaleAtSizeConfig(replace(problem, n_queries=4), draws=draws)


EXPERIMENT = Experiment(
    name="scale_at_size",
    question="Do the laws of scale hold on real data at realistic size, and what does a control variate save there?",
    cases=(
        _fair(200, 1e-6, 50_000),
        _fair(500, 1e-6, 20_000),
        _fair(1000, 1e-6, 20_000),
        _fair(2000, 1e-6, 10_000),
        _fair(500, 1e-3, 10_000),
        _fair(500, 1e-2, 10_000),
        _fair(500, 1e-1, 10_000),
    ),
    small=(_fair(300, 1e-2, 2_000),),
    run=run,
    user_case=_user_case,
    most_points=lambda config: None,
)
