"""The experiment puts the scores of the field side by side: each is an average of dF/dw_i, and they differ in where (T13).

It measures how far each score is from the answers to four questions, and how well it predicts the response over random subsets.
"""

from dataclasses import astuple, dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from sims.experiments.shared.experiment import Config, Experiment, Retrain, in_memory
from sims.experiments.shared.labels import MEASURES, Variables, array, effect_coords, labelled, progress_bar, table
from sims.experiments.shared.problem import AnyProblem, Problem
from sims.experiments.shared.user_cases import NETWORKS, user_case
from theory.datamodel import optimal_datamodel, quadrature_datamodel
from theory.edges import AGREED, split_coefficients
from theory.influence import hessian_influence
from theory.laws import Bernoulli, BetaShapley, EdgeLaw, FixedSize, LeaveOneOut, Shapley, TwoPoint
from theory.metrics import compare, relative_error
from theory.response import Array, DifferentiableLearner, LinearizableLearner, weight_derivative
from theory.transforms import degree_mass
from theory.values import semivalue

__all__ = ["EXPERIMENT", "LAWS", "QUESTIONS", "OneLawConfig", "run"]

LAWS: dict[str, EdgeLaw] = {
    "leave-one-out": LeaveOneOut(),
    "Beta Shapley(1, 16)": BetaShapley(1, 16),
    "datamodel, p = 0.9": Bernoulli(0.9),
    "Beta Shapley(1, 4)": BetaShapley(1, 4),
    "datamodel, p = 0.5": Bernoulli(0.5),
    "Shapley": Shapley(),
    "Beta Shapley(4, 1)": BetaShapley(4, 1),
    "Beta Shapley(16, 1)": BetaShapley(16, 1),
}
"""The semivalues, from large training sets to small ones. A datamodel over Bernoulli(0.5) subsets is the Banzhaf value."""

QUESTIONS = ("D(1)", "leave-one-out", "datamodel, p = 0.5", "Shapley")
"""The scores that answer a question of their own: a small change of a weight, one removal, random halves, fair shares."""

LOCAL_SCALE = 0.25


@dataclass(frozen=True)
class OneLawConfig:
    """A config sets the problem, the seeds, the inclusion probabilities of the predicted subsets, and what may be spent."""

    problem: AnyProblem
    n_seeds: int = 1
    probabilities: tuple[float, ...] = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
    most_derivatives: int = 2**24
    most_trainings: int = 2_000_000


def run(config: OneLawConfig, *, retrain: Retrain = in_memory, progress: bool = False) -> xr.Dataset:
    """Compute every score from the table of all subsets and as an average of dF/dw_i, and compare the scores.

    Scores have dimensions (score, point, output), in units of the output per unit of weight. `error` is the relative error of
    T13, one per law; FixedSize has the representative with sum 0. `against` compares each score with the answer to each question.
    `r_squared` is the share of the variance of F over Bernoulli(p) subsets, all outputs together, that the best intercept plus
    sum_i score_i w_i explains; the datamodel for this p has the largest, `best_r_squared`. Nothing is sampled. Where edges were
    taken apart one by one, `resolution` says how well the search for jumps knows an average.
    """
    learner, seeds = config.problem.build(), tuple(range(config.n_seeds))
    if not isinstance(learner, DifferentiableLearner):
        raise TypeError(f"{type(learner).__name__} has no weight_jacobian, expected a learner with derivatives")
    n, ones = learner.n_points, np.ones(learner.n_points)
    responses = retrain(learner, seeds).mean
    half = FixedSize(max(1, n // 2))
    laws = {**LAWS, f"subsets of {half.k} points": half}
    values = [
        optimal_datamodel(responses, law).coefficients if isinstance(law, FixedSize) else semivalue(responses, law)
        for law in laws.values()
    ]
    split = split_coefficients(
        learner,
        list(laws.values()),
        seeds,
        values,
        agreed=1e-9,
        most_derivatives=config.most_derivatives,
        most_trainings=config.most_trainings,
        progress=progress_bar("average derivatives", progress),
    )
    total = split.average + split.jumps
    scores = {
        "D(1)": weight_derivative(learner, ones, seeds),
        **_hessian_influence(learner, seeds),
        f"local datamodel, 1 ± {LOCAL_SCALE:g}": quadrature_datamodel(
            learner, TwoPoint(LOCAL_SCALE), seeds, nodes=2
        ).coefficients,
        **dict(zip(LAWS, values, strict=False)),
    }
    effect = effect_coords(values[0])
    sizes = [law.size_probabilities(n) for law in LAWS.values()]
    variables: Variables = {
        "from_table": (array(values, law=laws, **effect), "the score from the table of all subsets"),
        "average_derivative": (array(split.average, law=laws, **effect), "E D_i between jumps, over the law of the score"),
        "average_jump": (array(split.jumps, law=laws, **effect), "E of the sum of jumps of F in w_i"),
        "error": (
            array([_error(*pair) for pair in zip(total, values, strict=True)], law=laws),
            "relative error of T13; NaN where a law needs all edges and too few were taken apart",
        ),
        "n_jumps": (array(split.n_jumps), "jumps of F that were found, over edges and seeds"),
        "size_probability": (array(sizes, semivalue=LAWS, size=range(n)), "probability that k other points are present"),
        "attribution": (array(list(scores.values()), score=scores, **effect), "the score of every point for every output"),
        "against": (
            table(
                lambda score, question: array(astuple(compare(scores[score], scores[question])), measure=MEASURES),
                score=scores,
                question=QUESTIONS,
            ),
            "a score measured against the answer to a question",
        ),
        **_predictions(responses, scores, config.probabilities),
    }
    result = labelled("one_law", config, variables)
    result = result if split.nodes else result.assign_attrs(resolution=AGREED)
    return result.assign_attrs(not_judged=split.reason) if split.reason else result


def _error(average: Array, score: Array) -> float:
    """Return the relative error of an average, or NaN for one that could not be computed."""
    return relative_error(average, score) if np.isfinite(average).all() else float("nan")


def _hessian_influence(learner: object, seeds: tuple[int, ...]) -> dict[str, Array]:
    """Return Hessian influence at w = 1, or nothing where the learner has no parameters, no objective, or a singular Hessian."""
    if not isinstance(learner, LinearizableLearner):
        return {}
    try:
        return {"Hessian influence": hessian_influence(learner.linearize(np.ones(learner.n_points), seeds))}
    except (np.linalg.LinAlgError, ValueError):
        return {}


def _predictions(responses: Array, scores: dict[str, Array], probabilities: tuple[float, ...]) -> Variables:
    """Compute how well each score predicts F over Bernoulli(p) subsets, for every p.

    With the best intercept, E (F - g)^2 = B_2 + B_3 + .. + p (1 - p) sum_i (score_i - beta_i^(p))^2 (T8).
    """
    betas = {p: semivalue(responses, Bernoulli(p)) for p in probabilities}
    masses = {p: degree_mass(responses, p)[1:].sum(axis=1) for p in probabilities}  # degrees 1, 2, .., outputs together

    def explained(score: str, p: float) -> xr.DataArray:
        excess = p * (1.0 - p) * ((scores[score] - betas[p]) ** 2).sum()
        return array((masses[p][0] - excess) / masses[p].sum())

    def distance(score: str, p: float) -> xr.DataArray:
        return array(relative_error(scores[score], betas[p]))

    best = [masses[p][0] / masses[p].sum() for p in probabilities]
    return {
        "r_squared": (
            table(explained, score=scores, p=probabilities),
            "share of Var F that intercept + sum_i score_i w_i explains",
        ),
        "best_r_squared": (array(best, p=probabilities), "the same for the datamodel fitted at p"),
        "distance": (table(distance, score=scores, p=probabilities), "||score - beta^(p)|| / ||beta^(p)||"),
    }


_RELU: dict[str, Any] = {"hidden": (3,), "activation": "relu", "steps": 60, "learning_rate": 0.2}
_TANH: dict[str, Any] = {"hidden": (3,), "l2": 0.01, "learning_rate": 0.2}
_SPECTOR = Problem("spector", "logistic", l2=0.1)
_LONGLEY = Problem("longley", "least_squares", l2=0.1)


def _user_case(problem: Problem, small: bool) -> Config | str:
    """Make a case of at most 12 points, or 8 for networks, whose derivatives cost more: about a minute."""
    most = 8 if problem.learner in NETWORKS else 12
    return user_case(lambda problem, small: OneLawConfig(problem, most_trainings=200_000), at_most=most)(problem, small)


EXPERIMENT = Experiment(
    name="one_law",
    question="Are all attribution scores averages of one derivative, and how far apart are they?",
    cases=(
        OneLawConfig(replace(_SPECTOR, n_points=12)),
        OneLawConfig(replace(_LONGLEY, n_points=12)),
        OneLawConfig(Problem("two_moons", "mlp", **_TANH, steps=20, n_points=5), n_seeds=2),
        OneLawConfig(Problem("two_moons", "mlp", **_TANH, steps=500, n_points=5), n_seeds=2),
        OneLawConfig(Problem("xor", "mlp", **_RELU, n_points=4, n_queries=2)),
    ),
    small=(
        OneLawConfig(replace(_SPECTOR, n_points=8)),
        OneLawConfig(Problem("xor", "mlp", **_RELU, n_points=4, n_queries=2)),
    ),
    run=run,
    user_case=_user_case,
    most_points=lambda config: 14,
)
