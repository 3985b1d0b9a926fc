"""The experiment compares upweighting by w and by eps, and objectives whose data term has different divisors (T10)."""

from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from sims.experiments.shared.digits import SOFTMAX_DIGITS, SOFTMAX_IRIS
from sims.experiments.shared.experiment import Experiment, Retrain, in_memory
from sims.experiments.shared.labels import Variables, array, effect_coords, labelled
from sims.experiments.shared.problem import Problem
from sims.experiments.shared.user_cases import CONVEX, user_case
from sims.learners.linear.erm import NORMALIZATIONS
from theory.datamodel import optimal_datamodel
from theory.metrics import relative_error, slope
from theory.response import Array, Learner, mean_response, weight_derivative
from theory.values import leave_one_out

__all__ = ["EXPERIMENT", "NormalisationConfig", "run"]


@dataclass(frozen=True)
class NormalisationConfig:
    """A config sets the problem, the step of the difference quotient in eps, and the seeds."""

    problem: Problem
    step: float = 1e-3
    seeds: tuple[int, ...] = (0,)


def run(config: NormalisationConfig, *, retrain: Retrain = in_memory, progress: bool = False) -> xr.Dataset:
    """Compare first-order predictions of removing a point, in w and in eps, with the truth, and compare four objectives.

    eps upweights one point: theta_eps = argmin (1/N) sum_j l_j + eps l_i + penalty, so that w_i = 1 + N eps and removal is
    eps = -1/N. `removal_slope` is the slope of each prediction on the true F(1) - F(1 - e_i): 1 is right, 1/N is too small by the
    factor N.
    """
    learner, seeds, n = config.problem.build(), config.seeds, config.problem.build().n_points
    table = retrain(learner, seeds).mean
    loo, model = leave_one_out(table), optimal_datamodel(table)
    in_w = weight_derivative(learner, np.ones(n), seeds)
    in_eps, coarser = (_derivative_in_eps(learner, step, seeds) for step in (config.step, 2.0 * config.step))
    predictions = {"(1/N) dF/dw": in_w / n, "dF/dw": in_w, "(1/N) dF/deps": in_eps / n, "datamodel beta": model.coefficients}
    variants = {name: config.problem.build(normalization=name) for name in NORMALIZATIONS}
    derivatives = {name: weight_derivative(variant, np.ones(n), seeds) for name, variant in variants.items()}
    removals = {name: _removal(variant, seeds) for name, variant in variants.items()}
    as_sum = config.problem.build(normalization="sum", l2=n * config.problem.number("l2"))
    projected = derivatives["n_points"] - derivatives["n_points"].mean(axis=0)
    effect, rule, normalization = effect_coords(loo), {"rule": predictions}, {"normalization": NORMALIZATIONS}
    slopes, errors = ([measure(x, loo) for x in predictions.values()] for measure in (slope, relative_error))
    on_derivative = [slope(removals[name], derivatives[name]) for name in NORMALIZATIONS]
    jumps = [_jump(variant, seeds) for variant in variants.values()]
    offset = model.predict(np.ones((1, n)))[0] - table[-1]
    with_sum = weight_derivative(as_sum, np.ones(n), seeds)
    variables: Variables = {
        "leave_one_out": (array(loo, **effect), "F(1) - F(1 - e_i)"),
        "prediction": (array(list(predictions.values()), **rule, **effect), "predicted F(1) - F(1 - e_i)"),
        "offset": (array(offset, output=effect["output"]), "g(1) - F(1), g the datamodel of uniform subsets"),
        "removal_slope": (array(slopes, **rule), "slope of prediction on leave-one-out"),
        "removal_error": (array(errors, **rule), "relative error against leave-one-out"),
        "eps_over_w": (array(slope(in_eps, in_w)), "slope of dF/deps on dF/dw"),
        "eps_change": (array(relative_error(coarser, in_eps)), "relative change of dF/deps from its step to twice the step"),
        "derivative": (
            array(list(derivatives.values()), **normalization, **effect),
            "D(1), by what divides the data term",
        ),
        "removal": (array(list(removals.values()), **normalization, **effect), "F(1) - F(1 - e_i), likewise"),
        "removal_on_derivative": (array(on_derivative, **normalization), "slope of leave-one-out on D(1)"),
        "jump": (array(jumps, **normalization), "||F(w_i = 0+) - F(w_i = 0)|| / ||leave-one-out||"),
        "sum_error": (array(relative_error(with_sum, in_w)), "sum with l2 N against mean with l2"),
        "weight_sum_error": (
            array(relative_error(derivatives["weight_sum"], projected)),
            "D under 1/sum w against D - mean D",
        ),
        "support_error": (array(relative_error(derivatives["support"], in_w)), "D under 1/|supp w| against D under 1/N"),
    }
    return labelled("normalisation", config, variables)


def _derivative_in_eps(learner: Learner, step: float, seeds: tuple[int, ...]) -> Array:
    """Compute dF/deps at eps = 0 by a difference quotient of order 4, one point at a time: (N, M)."""
    n = learner.n_points
    eps, stencil = step / n * np.array([-2.0, -1.0, 1.0, 2.0]), np.array([1.0, -8.0, 8.0, -1.0]) / (12.0 * step / n)
    weights = 1.0 + n * np.multiply.outer(np.eye(n), eps).transpose(0, 2, 1)  # (N, 4, N)
    return np.tensordot(stencil, mean_response(learner, weights.reshape(-1, n), seeds).reshape(n, 4, -1), axes=(0, 1))


def _removal(learner: Learner, seeds: tuple[int, ...]) -> Array:
    """Compute F(1) - F(1 - e_i) by N + 1 retrainings: (N, M)."""
    n = learner.n_points
    outputs = mean_response(learner, np.vstack([np.ones(n), 1.0 - np.eye(n)]), seeds)
    return outputs[0] - outputs[1:]


def _jump(learner: Learner, seeds: tuple[int, ...], nearly: float = 1e-10) -> float:
    """Return ||F(w_i = nearly) - F(w_i = 0)|| relative to leave-one-out, over all points; it is about 0 if F is continuous."""
    n = learner.n_points
    absent, almost = (mean_response(learner, 1.0 - (1.0 - w) * np.eye(n), seeds) for w in (0.0, nearly))
    return float(np.linalg.norm(almost - absent) / np.linalg.norm(_removal(learner, seeds)))


_SPECTOR = Problem("spector", "logistic", l2=0.1)
_LONGLEY = Problem("longley", "least_squares", l2=0.1)

EXPERIMENT = Experiment(
    name="normalisation",
    question="Which factor turns a derivative into a removal, and what changes if the loss is divided by N, sum w or |supp w|?",
    cases=tuple(map(NormalisationConfig, (_SPECTOR, _LONGLEY, SOFTMAX_DIGITS, SOFTMAX_IRIS))),
    small=(NormalisationConfig(replace(_SPECTOR, n_points=8)), NormalisationConfig(replace(_LONGLEY, n_points=8))),
    run=run,
    user_case=user_case(lambda problem, small: NormalisationConfig(problem), learners=CONVEX),
    varies={"normalization": "the experiment itself"},
)
