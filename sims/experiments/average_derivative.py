"""The experiment checks the average-derivative identity (T2, T16) on networks at any training time, for several laws of weights.

The networks need not have reached an optimum, and may jump in the weights (relu). It also measures what the seed average costs:
how much beta depends on the law of the randomness that it averages over.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from sims.experiments.shared.conditioning import conditioning, with_rounding_warning
from sims.experiments.shared.digits import BY_ADAM, NETWORK, YOUNG
from sims.experiments.shared.experiment import Experiment, Retrain, in_memory
from sims.experiments.shared.labels import Variables, array, effect_coords, labelled, progress_bar, table
from sims.experiments.shared.law_of_r import law_of_r
from sims.experiments.shared.problem import Problem
from sims.experiments.shared.settings import setting
from sims.experiments.shared.user_cases import NETWORKS, user_case
from sims.learners.mlp import MLP
from theory.datamodel import optimal_datamodel, quadrature_datamodel
from theory.derivatives import average_derivative
from theory.edges import SplitCoefficients, split_coefficients
from theory.laws import Bernoulli, Gaussian, ProductLaw, TwoLevelLaw, TwoPoint
from theory.metrics import relative_error
from theory.response import Array, mean_response
from theory.subsets import all_masks

__all__ = ["EXPERIMENT", "AverageDerivativeConfig", "run"]

GAUSSIAN_NODES = (2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24)
"""The numbers of nodes per weight that are tried for laws without levels; with more, Gaussian(0.1) has nodes below 0."""

LAWS: dict[str, Callable[[float], ProductLaw]] = {"Bernoulli": Bernoulli, "TwoPoint": TwoPoint, "Gaussian": Gaussian}


@dataclass(frozen=True)
class AverageDerivativeConfig:
    """A config sets the network, the training times, the laws with their parameters, the numbers of seeds, and what may be spent.

    At each time at most `most_derivatives` are computed for the average derivative, and `most_trainings` to find jumps.
    `n_price_seeds` seeds show how much beta depends on the law of r; with 0 that is left out.
    """

    problem: Problem
    times: tuple[int, ...] = (1, 50, 500)
    laws: tuple[tuple[str, float], ...] = (("Bernoulli", 0.5), ("TwoPoint", 0.5))
    n_seeds: int = 2
    n_price_seeds: int = setting("seeds that show how much beta depends on the law of r; 0: left out", 0, within="[0, inf)")
    most_derivatives: int = 2**18
    most_trainings: int = 2_000_000


def run(config: AverageDerivativeConfig, *, retrain: Retrain = in_memory, progress: bool = False) -> xr.Dataset:
    """Measure the relative error of the average derivative, with the jumps, against the datamodel, by law and training time.

    Both are means over the same seeds, so no value has a standard error, except where edges were drawn (`edges` says how many).
    Derivatives are integrated until more nodes change nothing; a time at which this fails has its reason in the attribute
    `not_judged`. For laws other than Bernoulli the datamodel itself is a sum or quadrature over the law. `essay_error` is
    ||D(1) - beta|| / ||beta||.
    """
    learner = config.problem.build(snapshots=config.times, steps=max(config.times))
    assert isinstance(learner, MLP)
    seeds, ones = tuple(range(config.n_seeds)), np.ones(learner.n_points)
    responses = retrain(learner, seeds)
    derivative = learner.weight_jacobian(ones[None], seeds)[0].swapaxes(1, 2)
    tables, essays = (np.split(x, len(config.times), axis=-1) for x in (responses.mean, derivative.mean(axis=0)))
    single = [replace(learner, snapshots=(), steps=time) for time in config.times]
    laws = {f"{name}({parameter:g})": LAWS[name](parameter) for name, parameter in config.laws}

    def at(law: str, time: int) -> xr.Dataset:
        k = config.times.index(time)
        return _compared(single[k], laws[law], seeds, tables[k], essays[k], config, progress)

    found = table(at, law=laws, time=config.times)
    reasons = {
        f"{law}, {time} steps": str(found.not_judged.sel(law=law, time=time).item())
        for law in laws
        for time in config.times
        if found.not_judged.sel(law=law, time=time).item()
    }
    variables: Variables = {name: (found[name], text) for name, text in _TEXTS.items()}
    if config.n_price_seeds:
        longest = config.problem.build(steps=max(config.times))
        assert isinstance(longest, MLP)
        variables |= law_of_r(longest, tuple(range(config.n_price_seeds)))
    variables |= conditioning(learner, seeds, responses.samples, derivative, times=config.times)
    result = with_rounding_warning(labelled("average_derivative", config, variables))
    return result.assign_attrs(not_judged=json.dumps(reasons))


_TEXTS = {
    "beta": "optimal datamodel coefficient",
    "average_derivative": "E D_i between jumps, w_i of the zero-bias law",
    "average_jump": "E of the sum of jumps of F in w_i",
    "error": "||average derivative + average jump - beta|| / ||beta||",
    "average_derivative_error": "||average derivative - beta|| / ||beta||",
    "essay_error": "||D(1) - beta|| / ||beta||",
    "n_jumps": "jumps of F that were found, over edges and seeds",
    "edges": "edges of the cube",
    "nodes": "Gauss nodes on every edge; 0 where edges were taken apart one by one",
}


def _compared(
    learner: MLP,
    law: ProductLaw,
    seeds: tuple[int, ...],
    table: Array,
    essay: Array,
    config: AverageDerivativeConfig,
    progress: bool,
) -> xr.Dataset:
    """Compare beta with both averages for one law, at the end of training."""
    if isinstance(law, TwoLevelLaw):
        low, high = law.levels
        rows = low + (high - low) * all_masks(learner.n_points)
        values = table if isinstance(law, Bernoulli) else mean_response(learner, rows, seeds)
        beta = optimal_datamodel(values, law).coefficients
        split = split_coefficients(
            learner,
            [law],
            seeds,
            beta[None],
            most_derivatives=config.most_derivatives,
            most_trainings=config.most_trainings,
            progress=progress_bar(f"{law}, {learner.steps} steps", progress),
        )
    else:
        beta, split = _smooth(learner, law, seeds)
    effect = effect_coords(beta)
    return xr.Dataset(
        {
            "beta": array(beta, **effect),
            "average_derivative": array(split.average[0], **effect),
            "average_jump": array(split.jumps[0], **effect),
            "error": array(split.error[0]),
            "average_derivative_error": array(relative_error(split.average[0], beta)),
            "essay_error": array(relative_error(essay, beta)),
            "n_jumps": array(split.n_jumps),
            "edges": array([split.edges, split.n_edges], part=("taken", "of")),
            "nodes": array(split.nodes),
            "not_judged": xr.DataArray(np.array(split.reason, dtype=object)),
        }
    )


def _smooth(learner: MLP, law: ProductLaw, seeds: tuple[int, ...]) -> tuple[Array, SplitCoefficients]:
    """Compute beta and the average derivative of a law without edges, with more nodes until neither changes by 1e-7."""
    n_edges = learner.n_points * 2 ** (learner.n_points - 1)
    before: list[Array] = []
    change, nodes, now = np.inf, 0, before
    for nodes in GAUSSIAN_NODES:
        now = [
            quadrature_datamodel(learner, law, seeds, nodes=nodes).coefficients,
            average_derivative(learner, law, seeds, nodes),
        ]
        change = max((relative_error(*pair) for pair in zip(before, now, strict=True)), default=np.inf) if before else np.inf
        if change <= 1e-7:
            break
        before = now
    beta, average = now
    none, reason = (
        np.zeros((1, *beta.shape)),
        "" if change <= 1e-7 else f"{nodes} nodes per weight still change it by {change:.1g}",
    )
    error = np.array([relative_error(average, beta)])
    return beta, SplitCoefficients(average[None], none, error, none, 0, n_edges, n_edges, nodes, reason)


_NETWORK: dict[str, Any] = {"hidden": (3,), "learning_rate": 0.2}
_UNIFORM = (("Bernoulli", 0.5),)
_RELU: dict[str, Any] = {"hidden": (3,), "activation": "relu"}


def _jumping(data: str, learning_rate: float) -> AverageDerivativeConfig:
    """Make a case of a relu network; after 200 steps its jumps are tens of thousands, so that edges may have to be drawn."""
    problem = Problem(data, "mlp", **_RELU, learning_rate=learning_rate, n_points=4, n_queries=2)
    return AverageDerivativeConfig(problem, (1, 20, 60, 200), _UNIFORM, n_seeds=1, most_trainings=1_500_000)


def _of_digits(problem: Problem, times: tuple[int, ...], n_points: int = 4) -> AverageDerivativeConfig:
    """Make a case of digits with few points and queries.

    A step of adam is nearly rate sign(g) where eps is below the gradient g of a weight: an edge then has a steep place for every
    weight whose gradient changes sign on it, and edges are taken apart. eps = 1e-3 leaves these places as wide as floats resolve.
    """
    return AverageDerivativeConfig(replace(problem, n_points=n_points, n_queries=6), times, _UNIFORM, n_seeds=1)


def _user_case(problem: Problem, small: bool) -> AverageDerivativeConfig:
    return AverageDerivativeConfig(problem, times=(1, 50) if small else (1, 50, 500))


EXPERIMENT = Experiment(
    name="average_derivative",
    question="Is beta the derivative averaged over the datamodel's law for networks too, however long they are trained?",
    cases=(
        AverageDerivativeConfig(Problem("two_moons", "mlp", **_NETWORK, l2=0.01, n_points=6), n_price_seeds=64),
        AverageDerivativeConfig(Problem("xor", "mlp", **_NETWORK, n_points=6), laws=(("Bernoulli", 0.5),), n_price_seeds=64),
        AverageDerivativeConfig(Problem("two_moons", "mlp", **_NETWORK, l2=0.01, n_points=4), laws=(("Gaussian", 0.1),)),
        _of_digits(NETWORK, (1, YOUNG, 30, 100)),
        _of_digits(NETWORK.changed(batch_size=3), (1, YOUNG, 30), n_points=6),
        _of_digits(BY_ADAM.changed(eps=1e-3), (1, YOUNG)),
        _of_digits(NETWORK.changed(activation="relu"), (1, YOUNG, 20)),
        _jumping("xor", 0.1),
        _jumping("two_moons", 0.05),
    ),
    small=(AverageDerivativeConfig(Problem("xor", "mlp", **_NETWORK, n_points=5), times=(1, 50)),),
    run=run,
    user_case=user_case(_user_case, learners=NETWORKS, at_most=8),
    most_points=lambda config: 10,
    varies={"steps": "times", "snapshots": "times"},
)
