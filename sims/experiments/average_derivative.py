"""The experiment checks the average-derivative identity (T2) on networks at any training time, for several laws of weights.

The networks need not have reached an optimum.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr

from sims.experiments.shared.conditioning import conditioning, with_rounding_warning
from sims.experiments.shared.experiment import Experiment, Retrain, in_memory
from sims.experiments.shared.labels import Variables, array, effect_coords, labelled, progress_bar
from sims.experiments.shared.problem import Problem
from sims.experiments.shared.user_cases import NETWORKS, user_case
from sims.learners.mlp import MLP
from theory.datamodel import optimal_datamodel, quadrature_datamodel
from theory.derivatives import average_derivatives
from theory.laws import Bernoulli, Gaussian, ProductLaw, TwoPoint
from theory.metrics import relative_error
from theory.response import Array

__all__ = ["EXPERIMENT", "AverageDerivativeConfig", "run"]

LAWS: dict[str, Callable[[float], ProductLaw]] = {"Bernoulli": Bernoulli, "TwoPoint": TwoPoint, "Gaussian": Gaussian}


@dataclass(frozen=True)
class AverageDerivativeConfig:
    """A config sets the network, the training times, the laws with their parameters, the numbers of Gauss nodes and of seeds.

    `nodes` are in increasing order.
    """

    problem: Problem
    times: tuple[int, ...] = (1, 50, 500)
    laws: tuple[tuple[str, float], ...] = (("Bernoulli", 0.5), ("TwoPoint", 0.5))
    nodes: tuple[int, ...] = (2, 4, 8)
    n_seeds: int = 2


def run(config: AverageDerivativeConfig, *, retrain: Retrain = in_memory, progress: bool = False) -> xr.Dataset:
    """Measure the relative error of the average derivative against the optimal datamodel, by law, nodes and training time.

    Both are means over the same seeds, so no value has a standard error. For laws other than Bernoulli the datamodel itself is a
    quadrature with the largest number of nodes. `node_change` shows how far the quadrature of the average derivative has
    converged; it does not use beta. `essay_error` is ||D(1) - beta|| / ||beta||.
    """
    learner = config.problem.build(snapshots=config.times, steps=max(config.times))
    assert isinstance(learner, MLP)
    seeds, ones = tuple(range(config.n_seeds)), np.ones(learner.n_points)
    responses = retrain(learner, seeds)
    derivative = learner.weight_jacobian(ones[None], seeds)[0].swapaxes(1, 2)
    table, essay = responses.mean, derivative.mean(axis=0)
    betas: list[Array] = []
    averages: list[list[Array]] = []
    for name, parameter in config.laws:
        law = LAWS[name](parameter)
        if isinstance(law, Bernoulli):
            betas.append(optimal_datamodel(table, law).coefficients)
        else:
            betas.append(quadrature_datamodel(learner, law, seeds, nodes=max(config.nodes)).coefficients)
        averages.append(
            [
                average_derivatives(learner, [law], seeds, k, progress=progress_bar(f"{law}, {k} nodes", progress))[0]
                for k in config.nodes
            ]
        )

    def errors(estimate: Array, beta: Array) -> list[float]:
        """Return one relative error per training time."""
        split = [np.split(x, len(config.times), axis=1) for x in (estimate, beta)]
        return [relative_error(*pair) for pair in zip(*split, strict=True)]

    law, time = {"law": [f"{name}({parameter:g})" for name, parameter in config.laws]}, {"time": config.times}
    effect = {**law, **effect_coords(betas[0])}
    error = [[errors(average, beta) for average in row] for row, beta in zip(averages, betas, strict=True)]
    variables: Variables = {
        "beta": (array(betas, **effect), "optimal datamodel coefficient; outputs of one time after the other"),
        "average_derivative": (array([row[-1] for row in averages], **effect), "E D_i, w_i of the zero-bias law"),
        "error": (array(error, **law, nodes=config.nodes, **time), "||average derivative - beta|| / ||beta||"),
        "node_change": (
            array([errors(row[-2], row[-1]) for row in averages], **law, **time),
            "relative change of the average derivative from the last but one to the last number of nodes",
        ),
        "essay_error": (array([errors(essay, beta) for beta in betas], **law, **time), "||D(1) - beta|| / ||beta||"),
        **conditioning(learner, seeds, responses.samples, derivative, times=config.times),
    }
    return with_rounding_warning(labelled("average_derivative", config, variables))


_NETWORK = (("hidden", (3,)), ("learning_rate", 0.2))


def _user_case(problem: Problem, small: bool) -> AverageDerivativeConfig:
    return AverageDerivativeConfig(problem, times=(1, 50) if small else (1, 50, 500), nodes=(2, 4, 8) if small else (4, 8, 16))


EXPERIMENT = Experiment(
    name="average_derivative",
    question="Is beta the derivative averaged over the datamodel's law for networks too, however long they are trained?",
    cases=(
        AverageDerivativeConfig(Problem("two_moons", "mlp", (*_NETWORK, ("l2", 0.01)), n_points=6), nodes=(4, 8, 16, 32)),
        AverageDerivativeConfig(Problem("xor", "mlp", _NETWORK, n_points=6), nodes=(2, 4, 8, 12)),
        AverageDerivativeConfig(Problem("xor", "mlp", _NETWORK, n_points=4), laws=(("Gaussian", 0.1),), nodes=(2, 3, 4, 5)),
    ),
    small=(AverageDerivativeConfig(Problem("xor", "mlp", _NETWORK, n_points=5), times=(1, 50), nodes=(2, 4, 8)),),
    run=run,
    user_case=user_case(_user_case, learners=NETWORKS, at_most=8),
)
