"""The part of the experiment `identity` for too many points to use all subsets: beta is estimated from subsets that are drawn."""

import json
from dataclasses import astuple, dataclass
from functools import partial

import numpy as np
import xarray as xr

from sims.experiments.shared.experiment import Retrain, in_memory
from sims.experiments.shared.labels import MEASURES, Measured, Variables, array, effect_coords, labelled, measured, table
from sims.experiments.shared.problem import GivenLearner, Problem
from theory.datamodel import fit_sampled
from theory.derivatives import finite_difference
from theory.laws import Bernoulli
from theory.metrics import compare
from theory.response import Array, DifferentiableLearner, weight_derivative
from theory.sampling.blocks import fit_without_blocks, jackknifed
from theory.sampling.designs import independent

__all__ = ["DrawnIdentityConfig", "run_drawn"]

NEEDS_ALL = (
    "optimality",
    "inclusion_derivative",
    "derivative_at_p",
    "average_derivative",
    "local_error",
    "hessian_influence",
    "finite_difference",
    "finite_difference_error",
    "parameter_influence",
    "parameter_difference",
    "parameter_difference_error",
)


@dataclass(frozen=True)
class DrawnIdentityConfig:
    """A config sets the problem, the subsets drawn for each inclusion probability, the seeds, and the blocks for errors."""

    problem: Problem | GivenLearner
    draws: int
    probabilities: tuple[float, ...] = (0.5, 0.9)
    seeds: tuple[int, ...] = (0,)
    n_blocks: int = 20


def run_drawn(config: DrawnIdentityConfig, *, retrain: Retrain = in_memory, progress: bool = False) -> xr.Dataset:
    """Compare beta^(p), estimated by least squares from independent subsets, with D(1) and with leave-one-out.

    `beta_error` has HC3 errors. Noise in beta adds its variance to the squared distance from a reference. `beta_against`,
    with the measures of `compare`, and `squared_distance`, which is ||beta - reference||^2 / ||reference||^2, are therefore
    corrected for bias, and have errors, by the jackknife over `n_blocks` blocks of subsets (`jackknifed`). The relative error in
    `beta_against` is the square root of the squared distance, or 0 where that is negative; its error is the half of the distance
    between the square roots of the squared distance one standard error up and down. D(1) and leave-one-out are exact for the
    given seeds. A learner without weight_jacobian has D(1) by differences.
    """
    learner, seeds, p_values = config.problem.build(), config.seeds, config.probabilities
    n, ones = learner.n_points, np.ones(learner.n_points)
    removals = retrain(learner, seeds, part="leave-one-out", weights=np.vstack([ones, 1.0 - np.eye(n)])).mean
    loo = removals[0] - removals[1:]
    if isinstance(learner, DifferentiableLearner):
        derivative, how = weight_derivative(learner, ones, seeds), "D(1): dF/dw at w = 1"
    else:
        derivative, how = finite_difference(learner, ones, seeds).derivative, "D(1): dF/dw at w = 1, by differences"
    known = {"D(1)": derivative, "LOO": loo}
    betas, compared = dict[float, Measured](), dict[tuple[float, str], xr.Dataset]()
    for p in p_values:
        design = independent(Bernoulli(p), n_subsets=config.draws, n_points=n, seed=0)
        responses = retrain(learner, seeds, part=f"p={p:g}", weights=design.masks).mean
        fit = fit_sampled(design, responses)
        betas[p] = measured(fit.coefficients, fit.standard_errors, errors_over="subsets", **effect_coords(loo))
        blocks = fit_without_blocks(design.masks, responses, n_blocks=config.n_blocks).coefficients
        compared |= {(p, name): _against(blocks, reference) for name, reference in known.items()}

    def part(name: str, p: float, reference: str) -> Measured:
        found = compared[p, reference]
        return xr.Dataset({"value": found[name], "error": found[f"{name}_error"]})

    effect = effect_coords(loo)
    variables: Variables = {
        "beta": (table(betas.__getitem__, p=p_values), "least squares on drawn subsets, Bernoulli(p)"),
        "leave_one_out": (array(loo, **effect), "F(1) - F(1 - e_i)"),
        "derivative": (array(derivative, **effect), how),
        "beta_against": (
            table(partial(part, "against"), p=p_values, reference=known),
            "beta measured against each reference, corrected for bias",
        ),
        "squared_distance": (
            table(partial(part, "squared"), p=p_values, reference=known),
            "||beta - reference||^2 / ||reference||^2, corrected for bias",
        ),
    }
    reason = f"beta is estimated from {config.draws} drawn subsets, this needs all"
    return labelled("identity", config, variables).assign_attrs(
        draws=config.draws, draw_blocks=config.n_blocks, left_out=json.dumps(dict.fromkeys(NEEDS_ALL, reason))
    )


def _against(blocks: Array, reference: Array) -> xr.Dataset:
    """Measure the betas (G + 1, N, M) of `fit_without_blocks` against a reference (N, M), with jackknife errors."""
    size = float(np.square(reference).sum())
    squares = np.square(blocks - reference).sum(axis=(1, 2)) / size if size else np.full(len(blocks), np.nan)
    square, square_error = map(float, jackknifed(squares))
    values, errors = jackknifed([astuple(compare(beta, reference)) for beta in blocks])
    low, high = (np.sqrt(max(square + sign * square_error, 0.0)) for sign in (-1.0, 1.0))
    k = MEASURES.index("relative_error")
    values[k], errors[k] = (np.sqrt(max(square, 0.0)), 0.5 * (high - low)) if size else (np.nan, np.nan)
    return xr.Dataset(
        {
            "against": array(values, measure=MEASURES),
            "against_error": array(errors, measure=MEASURES),
            "squared": array(square),
            "squared_error": array(square_error),
        }
    )
