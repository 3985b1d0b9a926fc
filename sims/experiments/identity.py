"""The experiment asks whether the optimal datamodel coefficient is the derivative of the response in the data weights."""

import json
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from functools import cached_property, partial

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from sims.datasets.user_file import LEAST_POINTS
from sims.experiments.shared.digits import NETWORK, SOFTMAX_DIGITS, SOFTMAX_IRIS, TEN_DIGITS, YOUNG
from sims.experiments.shared.drawn_identity import DrawnIdentityConfig, run_drawn
from sims.experiments.shared.experiment import Config, Experiment, Retrain, in_memory, with_points
from sims.experiments.shared.kinks import difference_warning
from sims.experiments.shared.labels import (
    MEASURES,
    Variables,
    array,
    effect_coords,
    labelled,
    progress_bar,
    table,
    with_warnings,
)
from sims.experiments.shared.memory import require_per_subset
from sims.experiments.shared.problem import AnyProblem, Problem
from sims.experiments.shared.user_cases import CONVEX, first_points, n_parameters, why_not_enumerable
from theory.datamodel import Datamodel, optimal_datamodel, quadrature_datamodel
from theory.derivatives import FiniteDifference, finite_difference
from theory.edges import split_coefficients
from theory.influence import hessian_influence
from theory.laws import Bernoulli, TwoPoint
from theory.metrics import compare, relative_error
from theory.response import (
    Array,
    DifferentiableLearner,
    Learner,
    LinearizableLearner,
    Linearization,
    mean_response,
    normalization_of,
    takes_masks_only,
    weight_derivative,
)
from theory.subsets import all_masks
from theory.transforms import product_probabilities
from theory.values import banzhaf, leave_one_out

__all__ = ["EXPERIMENT", "IdentityConfig", "run"]


@dataclass(frozen=True)
class IdentityConfig:
    """A config sets the problem, the inclusion probabilities, the scales of local datamodels, the seeds, and what may be spent.

    The average derivative, with the jumps of F where it has some, is left out unless `most_derivatives` is positive; it takes at
    most that many derivatives, and `most_trainings` where edges are taken apart. `why_not_averaged` is the reason that is given.
    """

    problem: AnyProblem
    probabilities: tuple[float, ...] = (0.2, 0.5, 0.8, 0.9, 0.99)
    scales: tuple[float, ...] = (0.5, 0.25, 0.125, 0.0625, 0.03125)
    seeds: tuple[int, ...] = (0,)
    most_derivatives: int = 2**24
    most_trainings: int = 2_000_000
    why_not_averaged: str = "no average derivative was asked for: it would take too long"


def run(config: IdentityConfig | DrawnIdentityConfig, *, retrain: Retrain = in_memory, progress: bool = False) -> xr.Dataset:
    """Compare beta^(p) with D(1), D(p1), leave-one-out, Hessian influence and the average derivative, for every p.

    The learner is retrained on all subsets. Effects have dimensions (.., point, output), in units of the output per unit of
    weight. Nothing is sampled, except edges where there are too many of them (`edges` says how many were taken): `optimality`,
    `finite_difference_error` and `identity_error` show how exact the numbers are. A variable that the learner cannot give is left
    out, and the attribute `left_out` gives the reason for each; `not_judged` says why an average derivative proves nothing.
    `exploded` says so where D(1) is exact and useless, `warning` what to do about it. Where the error of local datamodels does
    not yet fall as s^2 at the last two of the scales, smaller ones are added until it does. With a `DrawnIdentityConfig`, subsets
    are drawn: see `run_drawn`.
    """
    if isinstance(config, DrawnIdentityConfig):
        return run_drawn(config, retrain=retrain, progress=progress)
    learner, seeds, p_values = config.problem.build(), config.seeds, config.probabilities
    require_per_subset(learner, _numbers_per_subset(learner), "identity")
    responses = retrain(learner, seeds).mean
    models = [optimal_datamodel(responses, Bernoulli(p)) for p in p_values]
    beta, loo = np.stack([model.coefficients for model in models]), leave_one_out(responses)
    optimality = [_normal_equation_error(responses, model, p) for p, model in zip(p_values, models, strict=True)]
    effect, left_out, not_judged = effect_coords(loo), dict[str, str](), list[str]()
    variables: Variables = {
        "beta": (array(beta, p=p_values, **effect), "optimal datamodel coefficient, Bernoulli(p) subsets"),
        "leave_one_out": (array(loo, **effect), "F(1) - F(1 - e_i)"),
        "inclusion_derivative": (
            array([banzhaf(responses, p) for p in p_values], p=p_values, **effect),
            "dE F/dw_i at w = p1 if w_i is the probability that a subset contains point i",
        ),
        **_derivatives_near_one(learner, config, left_out),
        **_derivatives_inside(learner, config, beta, left_out, not_judged, progress),
        **_hessian_influence(learner, seeds, left_out),
        "r_squared": (
            array([model.r_squared for model in models], p=p_values, output=effect["output"]),
            "R^2 of the optimal linear datamodel",
        ),
        "optimality": (array(optimality, p=p_values), "largest normal equation / sd F"),
    }
    known = {name: variables[variable][0] for name, variable in _REFERENCES.items() if variable in variables}

    def accuracy(p: float, reference: str) -> xr.DataArray:
        effects = [np.asarray(x.sel(p=p) if "p" in x.dims else x) for x in (variables["beta"][0], known[reference])]
        return array(astuple(compare(*effects)), measure=MEASURES)

    variables["beta_against"] = (table(accuracy, p=p_values, reference=known), "beta measured against each reference")
    result = labelled("identity", config, variables)
    if "derivative" in variables and (useless := _exploded(np.asarray(known["D(1)"]), responses)):
        result = result.assign_attrs(exploded=useless, warning=f"{useless}. {_IF_EXPLODED}")
    elif isinstance(learner, DifferentiableLearner) and "derivative" in variables:
        at = partial(mean_response, learner, seeds=seeds)
        result = with_warnings(result, [difference_warning(at, np.asarray(known["D(1)"]))])
    result = result.assign_attrs(not_judged="; ".join(not_judged)) if not_judged else result
    return result.assign_attrs(left_out=json.dumps(left_out)) if left_out else result


_REFERENCES = {
    "D(1)": "derivative",
    "D(p1)": "derivative_at_p",
    "LOO": "leave_one_out",
    "average derivative": "average_derivative",
}


def _derivatives_near_one(learner: Learner, config: IdentityConfig, left_out: dict[str, str]) -> Variables:
    """Compute the variables that need weights near 1: D(1), exact or by converged differences, and local datamodels."""
    seeds, ones = config.seeds, np.ones(learner.n_points)
    if takes_masks_only(learner):
        names = ("finite_difference", "finite_difference_error", "derivative", "local_beta", "local_error")
        left_out |= dict.fromkeys(names, f"{type(learner).__name__} takes weights 0 and 1 only")
        return {}
    numerical = finite_difference(learner, ones, seeds)
    effect = effect_coords(numerical.derivative)
    exact = weight_derivative(learner, ones, seeds) if isinstance(learner, DifferentiableLearner) else None
    scales, local = _local_datamodels(learner, config, numerical, exact)
    variables: Variables = {
        "finite_difference": (array(numerical.derivative, **effect), "dF/dw at w = 1 by extrapolated differences"),
        "finite_difference_error": (array(numerical.error, **effect), "its own estimate of its error"),
        "local_beta": (array(local, scale=scales, **effect), "optimal datamodel coefficient, weights 1 - s or 1 + s"),
    }
    if exact is not None:
        derivative, how = exact, "D(1): dF/dw at w = 1"
    elif reason := _why_not_trusted(numerical, local, scales):
        left_out |= dict.fromkeys(("derivative", "local_error"), f"{type(learner).__name__} has no weight_jacobian, and {reason}")
        return variables
    else:
        derivative, how = numerical.derivative, "D(1): dF/dw at w = 1, by differences"
    variables["derivative"] = (array(derivative, **effect), how)
    errors = array([relative_error(b, derivative) for b in local], scale=scales)
    variables["local_error"] = (errors, "||local beta - D(1)|| / ||D(1)||")
    return variables


def _local_datamodels(
    learner: Learner, config: IdentityConfig, numerical: FiniteDifference, exact: Array | None
) -> tuple[list[float], Array]:
    """Return the scales and the local datamodels on them (K, N, M): those of the config, then halves while they are needed.

    beta(s) = D(1) + O(s^2), so that the error falls by 4 from s to s/2 once s is small enough. Halves are added until the last
    two orders are within 0.1 of 2, rounding of F makes more than a thousandth of the error, or the trainings are too many.
    Nothing is added where F is not smooth near w = 1, or where one scale was asked for.
    """
    scales, seeds = list(config.scales), config.seeds

    def fitted(scale: float) -> Array:
        return quadrature_datamodel(learner, TwoPoint(scale), seeds, nodes=2).coefficients

    local = [fitted(scale) for scale in scales]
    derivative, trainings = numerical.derivative if exact is None else exact, 2**learner.n_points * len(seeds)
    if len(scales) < 2 or not relative_error(numerical.derivative, derivative) <= SMOOTH or _jumps_near_one(numerical):
        return scales, np.stack(local)
    size = float(np.linalg.norm(derivative))
    level = float(np.abs(mean_response(learner, np.ones((1, learner.n_points)), seeds)).max())
    for added in range(1, _MOST_HALVINGS + 1):
        errors = [relative_error(b, derivative) for b in local[-3:]]
        orders = np.diff(-np.log(errors)) / np.diff(-np.log(scales[-3:])) if min(errors) > 0.0 else np.zeros(2)
        rounding = np.finfo(np.float64).eps * level / scales[-1] / size if size else np.inf
        if (np.abs(orders - 2.0) <= _SETTLED).all() and len(orders) == 2:
            break
        if errors[-1] <= 1e3 * rounding or added * trainings > _MOST_ADDED_TRAININGS:
            break
        scales.append(scales[-1] / 2.0)
        local.append(fitted(scales[-1]))
    return scales, np.stack(local)


SMOOTH = 1e-3
"""Largest relative difference of D(1) and differences of F where F is taken for smooth near w = 1."""

_SETTLED = 0.1  # the tolerance of T2 local
_MOST_HALVINGS, _MOST_ADDED_TRAININGS = 12, 2**17


def _jumps_near_one(numerical: FiniteDifference) -> bool:
    """Say whether differences do not converge, so that no local datamodel could."""
    return not float(np.linalg.norm(numerical.error)) <= SMOOTH * float(np.linalg.norm(numerical.derivative))


def _exploded(derivative: Array, responses: Array) -> str:
    """Return a text that says so where D(1) is too large to mean anything, else an empty one.

    At such a slope a change of one weight by 1 / MOST_SLOPE would move F by as much as all subsets do.
    """
    largest, whole = float(np.abs(derivative).max()), float(np.ptp(responses, axis=0).max())
    if not largest > MOST_SLOPE * whole:
        return ""
    return f"D(1) is as large as {largest:.1e}, while F differs by {whole:.2g} between all subsets"


MOST_SLOPE = 1e4

_IF_EXPLODED = (
    "It is the exact derivative of the steps that were computed, and useless: it holds for changes of a weight that are smaller "
    "than rounding lets through, because training amplifies every change. Take fewer steps, a smaller learning rate or a larger "
    "penalty"
)


def _why_not_trusted(numerical: FiniteDifference, local: Array, scales: Sequence[float]) -> str:
    """Return the reason why differences may not give D(1) to a relative error of 1e-7, or an empty text if they do.

    The differences must also agree with the limit of local datamodels. An iterative fit is smooth in w while it takes the same
    number of steps, so small differences converge, but it jumps where it takes one more step. Local datamodels have beta(s) =
    D(1) + O(s^2); one extrapolation leaves O(s^4).
    """
    size = np.linalg.norm(numerical.derivative)
    if not np.isfinite(numerical.error).all() or not np.linalg.norm(numerical.error) <= 1e-7 * size:
        worst = np.linalg.norm(numerical.error) / size if size else np.inf
        return f"differences give D(1) to a relative error of {worst:.1g} only: F jumps near w = 1, or fits stop early"
    if not size:
        return "every difference is 0: F does not change with w near 1, or in steps"
    ratio = (scales[-2] / scales[-1]) ** 2
    limit = (ratio * local[-1] - local[-2]) / (ratio - 1.0)
    gap = relative_error(limit, numerical.derivative)
    return f"differences and local datamodels disagree by {gap:.1g}: F jumps near w = 1, or fits stop early" if gap > 1e-3 else ""


def _derivatives_inside(
    learner: Learner,
    config: IdentityConfig,
    beta: Array,
    left_out: dict[str, str],
    not_judged: list[str],
    progress: bool,
) -> Variables:
    """Compute exact derivatives away from w = 1: at w = p1, and averaged over the law of every p, with the jumps of F."""
    if not isinstance(learner, DifferentiableLearner):
        left_out |= dict.fromkeys(("derivative_at_p", "average_derivative"), f"{type(learner).__name__} has no weight_jacobian")
        return {}
    seeds, laws = config.seeds, [Bernoulli(p) for p in config.probabilities]
    at_p = np.stack([weight_derivative(learner, p * np.ones(learner.n_points), seeds) for p in config.probabilities])
    p = {"p": config.probabilities}
    effect = {**p, **effect_coords(at_p[0])}
    variables: Variables = {"derivative_at_p": (array(at_p, **effect), "D(p1): dF/dw at w = p1")}
    if not config.most_derivatives:
        left_out["average_derivative"] = config.why_not_averaged
        return variables
    bar = progress_bar("average derivative", progress)
    split = split_coefficients(
        learner,
        laws,
        seeds,
        beta,
        most_derivatives=config.most_derivatives,
        most_trainings=config.most_trainings,
        progress=bar,
    )
    not_judged += [split.reason] if split.reason else []
    without = [relative_error(a, b) for a, b in zip(split.average, beta, strict=True)]
    return {
        **variables,
        "average_derivative": (array(split.average, **effect), "E D_i between jumps, w_i of the zero-bias law"),
        "average_jump": (array(split.jumps, **effect), "E of the sum of jumps of F in w_i"),
        "average_derivative_error": (array(without, **p), "||average derivative - beta|| / ||beta||"),
        "identity_error": (array(split.error, **p), "||average derivative + average jump - beta|| / ||beta||"),
        "n_jumps": (array(split.n_jumps), "jumps of F that were found, over edges and seeds"),
        "edges": (array([split.edges, split.n_edges], part=("taken", "of")), "edges of the cube"),
        "nodes": (array(split.nodes), "Gauss nodes on every edge; 0 where edges were taken apart one by one"),
    }


def _hessian_influence(learner: Learner, seeds: Sequence[int], left_out: dict[str, str]) -> Variables:
    """Compute Hessian influence at w = 1, the least eigenvalue of the Hessian and the norm of the gradient."""
    if not isinstance(learner, LinearizableLearner):
        left_out |= dict.fromkeys(_OF_HESSIAN, f"{type(learner).__name__} has no linearize")
        return {}
    if (divisor := normalization_of(learner)) != "n_points":
        reason = f"{type(learner).__name__} has normalization = {divisor!r}, and Hessian influence is that of a loss divided by N"
        left_out |= dict.fromkeys((*_OF_HESSIAN, "least_eigenvalue", "gradient_norm"), reason)
        return {}
    try:
        at = learner.linearize(np.ones(learner.n_points), seeds)
    except ValueError as error:
        left_out |= dict.fromkeys((*_OF_HESSIAN, "least_eigenvalue", "gradient_norm"), f"linearize refuses: {error}")
        return {}
    variables: Variables = {
        "least_eigenvalue": (array(np.linalg.eigvalsh(at.hessian).min()), "least eigenvalue of the Hessian at w = 1"),
        "gradient_norm": (array(at.gradient_norm.max()), "||grad L|| at w = 1"),
    }
    try:
        influence = hessian_influence(at)
    except np.linalg.LinAlgError as error:
        left_out |= dict.fromkeys(_OF_HESSIAN, str(error))
        return variables
    text = "-(1/N) grad f^T H^-1 grad l_i at w = 1"
    found: Variables = {"hessian_influence": (array(influence, **effect_coords(influence)), text)}
    return {**found, **variables, **_parameter_influence(learner, at, seeds, left_out)}


_OF_HESSIAN = ("hessian_influence", "parameter_influence", "parameter_difference", "parameter_difference_error")


def _parameter_influence(
    learner: LinearizableLearner, at: Linearization, seeds: Sequence[int], left_out: dict[str, str]
) -> Variables:
    """Compute -(1/N) H^-1 grad l_i, (N, P), and the same derivative by differences of the parameters of retrained models."""
    if takes_masks_only(learner):
        left_out |= dict.fromkeys(_OF_HESSIAN[1:], f"{type(learner).__name__} takes weights 0 and 1 only")
        return {}
    solved = np.linalg.solve(at.hessian, at.point_gradients.swapaxes(1, 2)).mean(axis=0).T
    numerical = finite_difference(_Parameters(learner), np.ones(learner.n_points), seeds)
    of: dict[str, Sequence[int]] = {"point": range(learner.n_points), "parameter": range(solved.shape[1])}
    return {
        "parameter_influence": (array(-solved / learner.n_points, **of), "-(1/N) H^-1 grad l_i at w = 1"),
        "parameter_difference": (array(numerical.derivative, **of), "d theta / dw at w = 1 by extrapolated differences"),
        "parameter_difference_error": (array(numerical.error, **of), "its own estimate of its error"),
    }


@dataclass(frozen=True)
class _Parameters:
    """The learner whose outputs are the parameters of a learner."""

    learner: LinearizableLearner

    @property
    def n_points(self) -> int:
        return self.learner.n_points

    @property
    def n_outputs(self) -> int:
        return self._n_params

    @cached_property
    def _n_params(self) -> int:
        return self.learner.linearize(np.ones(self.n_points), (0,)).params.shape[1]

    def respond(self, weights: ArrayLike, seeds: Sequence[int]) -> Array:
        return np.stack([self.learner.linearize(w, seeds).params for w in np.asarray(weights, dtype=np.float64)])


def _numbers_per_subset(learner: Learner) -> int:
    """Count the numbers that `_normal_equation_error`, the peak of this experiment, holds per subset.

    N of the masks and N of masks - p; M of the table and M of the weighted residuals; 4 of probabilities and their products.
    Fitted to peaks at 2^20 subsets, with 1 and with 16 outputs: 2 N + 2 M + 3.3.
    """
    return 2 * (learner.n_points + learner.n_outputs) + 4


def _normal_equation_error(table: Array, model: Datamodel, p: float) -> float:
    """Return the largest of |E[residual]| and |E[residual (w_i - p)]| / sd(w_i), relative to sd(F).

    It is 0 for the optimal linear predictor. Outputs that are the same on all subsets do not count; NaN if none is left.
    """
    masks = all_masks(len(model.coefficients))
    probabilities = product_probabilities(np.tile([1.0 - p, p], (masks.shape[1], 1)))
    weighted = probabilities[:, None] * (table - model.predict(masks))
    spread = np.sqrt(probabilities @ (table - probabilities @ table) ** 2)
    equations = np.vstack([weighted.sum(axis=0), (masks - p).T @ weighted / np.sqrt(p * (1.0 - p))])
    varies = np.ptp(table, axis=0) > 0.0
    return float((np.abs(equations[:, varies]) / spread[varies]).max()) if varies.any() else np.nan


def _resized(config: IdentityConfig | DrawnIdentityConfig, n_points: int) -> IdentityConfig | DrawnIdentityConfig:
    """Return the config for `n_points` points; above 16 without the average derivative and with one local scale only.

    The average derivative would take about N 2^(N-1) weight Jacobians per node. A moving threshold needs many seeds, and stays
    with the points that it has.
    """
    if config.problem.learner == "moving_jump":
        raise ValueError("moving_jump needs many seeds, expected no other number of points")
    if isinstance(config, DrawnIdentityConfig):
        return with_points(config, n_points)
    cheap = config if n_points <= 16 else replace(config, most_derivatives=0, scales=config.scales[-1:])
    return with_points(cheap, n_points)


_MIN_NORM = Problem("longley", "least_squares", l2=0.0, undefined="min_norm")
_SPECTOR = Problem("spector", "logistic", l2=0.1)
_LONGLEY = Problem("longley", "least_squares", l2=0.1)
_ONE_POINT = IdentityConfig(Problem("one_point", "least_squares", l2=1.0))
_STEEP = IdentityConfig(Problem("one_point", "least_squares", l2=1e-3))  # F rises within a thousandth of the edge
_THRESHOLD = IdentityConfig(Problem("xor", "moving_jump", n_points=6), seeds=tuple(range(16)))


_EXACT, _FIRST = 20, 12
"""Most points for which beta uses all subsets, and most for which the average derivative is computed beside a larger problem."""


def _user_case(problem: Problem, small: bool) -> Config | tuple[Config, ...] | str:
    """Make the case of all points, and where these are too many for the average derivative, one of the first few of them.

    The first case uses all subsets up to 20 points, and drawn ones above; networks are left to `training_time` where all subsets
    can be used. The second case has as many of the points as the average derivative can have, 12 at most (`first_points`): its
    name says so, and so does `left_out` of the first case.
    """
    n = problem.n_points or 0
    if problem.learner not in CONVEX:
        drawn = DrawnIdentityConfig(problem, draws=(20 if small else 40) * n, seeds=tuple(range(4)))
        return drawn if why_not_enumerable(problem) else f"is for --learner {' or '.join(CONVEX)}, or for more points"
    most = int(1e9 / n_parameters(problem) ** 2)  # derivatives: about half a minute
    fit = max((k for k in range(LEAST_POINTS, _EXACT + 1) if _derivatives(k) <= most), default=LEAST_POINTS)
    if n <= min(fit, _EXACT):
        return _exact(problem, most)
    if n <= _EXACT:
        whole = _exact(problem, 0)
    else:
        whole = DrawnIdentityConfig(problem, draws=max(5 * n, min(20_000, (10 if small else 100) * n)))
    few, least = min(fit, 6 if small else _FIRST), 2 * len(problem.load().labels)  # two points of each class
    return (whole, _exact(first_points(problem, few), most)) if few >= least else whole


def _derivatives(n: int) -> int:
    """Return the derivatives that the average derivative of n points takes with 24 nodes on every edge."""
    return 24 * n * 2 ** (n - 1)


def _exact(problem: Problem, most_derivatives: int) -> IdentityConfig:
    """Make a case with scales that are small enough to show the order of the local error on any problem.

    Derivatives and trainings are bounded so that they take about a minute.
    """
    return IdentityConfig(
        problem,
        scales=(0.25, 1 / 16, 1 / 64, 1 / 256),
        most_derivatives=min(most_derivatives, 2**24),
        most_trainings=min(2_000_000, max(50_000, most_derivatives // 32)),
    )


def _most_points(config: IdentityConfig | DrawnIdentityConfig) -> int | None:
    """Return the points up to which all subsets are retrained in minutes: a network takes a hundred times as long as a fit."""
    if isinstance(config, DrawnIdentityConfig):
        return None
    return {"mlp": 12, "softmax_regression": 16}.get(config.problem.learner, 20)


EXPERIMENT = Experiment(
    name="identity",
    question="Is the optimal datamodel coefficient the derivative of the response in the data weights?",
    cases=(
        IdentityConfig(_SPECTOR),
        IdentityConfig(_LONGLEY),
        IdentityConfig(_MIN_NORM, most_trainings=50_000),  # near-collinear subsets: steep, and edges are drawn
        IdentityConfig(replace(_MIN_NORM, n_points=8)),
        IdentityConfig(replace(SOFTMAX_IRIS, n_points=12)),
        IdentityConfig(SOFTMAX_DIGITS, most_derivatives=0),
        IdentityConfig(NETWORK.changed(steps=YOUNG), scales=(1 / 16, 1 / 32), seeds=tuple(range(8)), most_derivatives=0),
        DrawnIdentityConfig(TEN_DIGITS, draws=1500, probabilities=(0.5,), seeds=tuple(range(4))),
        _THRESHOLD,
        _STEEP,
        _ONE_POINT,
    ),
    small=(
        IdentityConfig(replace(_SPECTOR, n_points=8)),
        IdentityConfig(replace(_LONGLEY, n_points=8)),
        IdentityConfig(replace(_MIN_NORM, data="two_moons", n_points=6)),
        _ONE_POINT,
    ),
    run=run,
    resize=_resized,
    user_case=_user_case,
    most_points=_most_points,
)
