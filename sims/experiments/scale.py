"""The experiment measures the factor between the datamodel coefficient and the derivative (T6).

It tests the 1/p law, the l2/p law, and laws of weights with mean 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import comb

import numpy as np
import xarray as xr

from sims.experiments.shared.digits import SOFTMAX_DIGITS, SOFTMAX_IRIS
from sims.experiments.shared.experiment import Experiment, Retrain, in_memory
from sims.experiments.shared.labels import Variables, array, labelled, table
from sims.experiments.shared.problem import ParametricLearner, Problem
from sims.experiments.shared.user_cases import CONVEX, user_case
from theory.datamodel import quadrature_datamodel
from theory.laws import Bernoulli, Poisson, ProductLaw, TwoPoint
from theory.metrics import relative_error, slope
from theory.response import BLOCK, Array, mean_response, weight_derivative
from theory.streams import stream

__all__ = ["EXPERIMENT", "ScaleConfig", "run"]


@dataclass(frozen=True)
class ScaleConfig:
    """A config sets the problem, the inclusion probabilities, the weight vectors drawn per law (0: all of them) and the seeds."""

    problem: Problem
    probabilities: tuple[float, ...] = (0.25, 0.5, 0.75, 0.9)
    draws: int = 0
    seeds: tuple[int, ...] = (0,)


def run(config: ScaleConfig, *, retrain: Retrain = in_memory, progress: bool = False) -> xr.Dataset:
    """Measure the slope of beta on D(1) for every law and output, and compare it with the slope that T6 predicts.

    The laws are Bernoulli(p), weights {0, 2} (mean 1) and, if weights are drawn, Poisson(1). Without penalty T6 predicts 1/p at
    leading order in 1/N; with a penalty it predicts slope 1 on (1/p) D(1; l2/p) = D(p1; l2). Slopes from all weight vectors have
    standard error 0; those from drawn ones have the error of OLS with HC3 covariances (MacKinnon & White 1985).
    """
    learner = config.problem.build()
    laws: dict[str, ProductLaw] = {f"Bernoulli({p:g})": Bernoulli(p) for p in config.probabilities}
    laws["weights {0, 2}"] = TwoPoint(1.0)
    if config.draws:
        laws["Poisson(1)"] = Poisson()
    ones = np.ones(learner.n_points)
    derivative = weight_derivative(learner, ones, config.seeds)
    at_mean = {name: weight_derivative(learner, law.mean * ones, config.seeds) for name, law in laws.items()}
    slopes = table(lambda name: _slopes(learner, laws[name], derivative, at_mean[name], config, name), law=laws)
    l2 = config.problem.number("l2")
    rescaled = [
        relative_error(at_mean[name], weight_derivative(config.problem.build(l2=l2 / law.mean), ones, config.seeds) / law.mean)
        for name, law in laws.items()
    ]
    variables: Variables = {
        "slope": (slopes["slope"], "slope of beta on D(1)"),
        "standard_error": (slopes["standard_error"], "of the slope (0: enumerated)"),
        "slope_at_mean": (slopes["slope_at_mean"], "slope of beta on D at w = E w, which is D(1; l2/p)/p"),
        "standard_error_at_mean": (slopes["standard_error_at_mean"], "of that slope"),
        "predicted": (array([1.0 / law.mean for law in laws.values()], law=laws), "leading-order slope on D(1) without penalty"),
        "miss": (slopes["miss"], "||beta - predicted D(1)||^2 / ||predicted D(1)||^2, less what errors of beta add to it"),
        "miss_error": (slopes["miss_error"], "its standard error"),
        "rescaling_error": (array(rescaled, law=laws), "D(p1; l2) against (1/p) D(1; l2/p)"),
        "columns_per_point": (array(config.problem.load().X.shape[1] / learner.n_points), "d / N"),
    }
    return labelled("scale", config, variables).assign_attrs(l2=l2)


def _slopes(
    learner: ParametricLearner, law: ProductLaw, derivative: Array, at_mean: Array, config: ScaleConfig, name: str
) -> xr.Dataset:
    """Compute the slopes of beta on D(1) and on D(E w) with their standard errors, for every output."""
    if not config.draws:
        beta = quadrature_datamodel(learner, law, config.seeds, nodes=2).coefficients
        on_one, on_mean = ([slope(*pair) for pair in zip(beta.T, d.T, strict=True)] for d in (derivative, at_mean))
        zero = [0.0] * learner.n_outputs
        return _labelled_slopes(on_one, zero, on_mean, zero, *_misses(beta, derivative / law.mean, []))
    import statsmodels.api as sm  # only now: it takes as long as all other imports together

    weights = law.draw(n_subsets=config.draws, n_points=learner.n_points, rng=stream(f"scale {name}", config.seeds[0]))
    blocks = [mean_response(learner, weights[start : start + BLOCK], config.seeds) for start in range(0, len(weights), BLOCK)]
    outputs, design = np.concatenate(blocks), np.column_stack([np.ones(len(weights)), weights])
    slopes: tuple[list[float], ...] = ([], [], [], [])
    beta, covariances = list[Array](), list[Array]()
    for response, d_one, d_mean in zip(outputs.T, derivative.T, at_mean.T, strict=True):
        fit = sm.OLS(response, design).fit(method="qr", cov_type="HC3")
        beta.append(fit.params[1:])
        covariances.append(fit.cov_params()[1:, 1:])
        for k, d in ((0, d_one), (2, d_mean)):
            test = fit.t_test(np.concatenate([[0.0], d / (d @ d)]))  # <beta, d> / <d, d>
            slopes[k].append(test.effect.item())
            slopes[k + 1].append(test.sd.item())
    return _labelled_slopes(*slopes, *_misses(np.array(beta).T, derivative / law.mean, covariances))


def _misses(beta: Array, predicted: Array, covariances: Sequence[Array]) -> tuple[list[float], list[float]]:
    """Return ||beta - c||^2 / ||c||^2 less what errors of beta with covariance V add, tr V, and its standard error, by output.

    The numerator has the variance 4 r^T V r + 2 tr V^2, r the expectation of beta - c. On average (beta - c)^T V (beta - c) is
    r^T V r + tr V^2: 4 times it less 2 tr V^2 estimates that variance. Without covariances beta has no errors.
    """
    values, errors = list[float](), list[float]()
    for k, (b, c) in enumerate(zip(beta.T, predicted.T, strict=True)):
        rest, v = b - c, covariances[k] if covariances else np.zeros((len(c), len(c)))
        values.append(float((rest @ rest - np.trace(v)) / (c @ c)))
        square = 2.0 * (v * v).sum()
        errors.append(float(np.sqrt(max(4.0 * rest @ v @ rest - square, square)) / (c @ c)))
    return values, errors


def _labelled_slopes(*slopes: list[float]) -> xr.Dataset:
    names = ("slope", "standard_error", "slope_at_mean", "standard_error_at_mean", "miss", "miss_error")
    return xr.Dataset({name: array(values, output=range(len(values))) for name, values in zip(names, slopes, strict=True)})


_LINE = Problem("noisy_line", "least_squares", l2=0.0)


def _user_case(problem: Problem, small: bool) -> ScaleConfig:
    return ScaleConfig(problem, draws=0 if (problem.n_points or 0) <= 12 else 2**11 if small else 2**13)


def _why_not(config: ScaleConfig) -> str | None:
    """Return a reason if a subset without a single optimum would be drawn or enumerated."""
    if config.problem.number("l2") > 0.0 or dict(config.problem.options).get("undefined") == "min_norm":
        return None
    data = config.problem.load()
    (n, d), p = data.X.shape, min(config.probabilities)
    fewer = sum(comb(n, k) * p**k * (1.0 - p) ** (n - k) for k in range(d))  # the chance of a subset of fewer than d points
    if not config.draws or config.draws * fewer > _UNLIKELY:
        return (
            f"with N = {n} and p = {p:g} some subsets have fewer than {d} points, and no single optimum without penalty: "
            "take more points, a larger p, or l2 > 0"
        )
    return None


_UNLIKELY = 0.01  # expected number of such subsets

EXPERIMENT = Experiment(
    name="scale",
    question="How large is the datamodel coefficient beside the derivative, and which factor explains it?",
    cases=(
        ScaleConfig(_LINE, draws=2**14),
        ScaleConfig(replace(_LINE, n_points=128), draws=2**13),
        ScaleConfig(replace(_LINE, data_seed=1), draws=2**13),
        ScaleConfig(Problem("spector", "logistic", l2=0.001)),
        ScaleConfig(Problem("spector", "logistic", l2=0.01)),
        ScaleConfig(Problem("spector", "logistic", l2=0.1)),
        ScaleConfig(Problem("spector", "logistic", l2=1.0)),
        ScaleConfig(Problem("longley", "least_squares", l2=0.1)),
        ScaleConfig(SOFTMAX_DIGITS),
        ScaleConfig(SOFTMAX_IRIS),
    ),
    small=(ScaleConfig(_LINE, draws=2**12), ScaleConfig(Problem("spector", "logistic", l2=0.1, n_points=8))),
    run=run,
    user_case=user_case(_user_case, learners=CONVEX, at_most=128),
    why_not=_why_not,
    most_points=lambda config: None if config.draws else 20,
)
