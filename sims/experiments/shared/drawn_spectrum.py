"""The part of the experiment `spectrum` for too many points to use all subsets: R^2 is estimated from chains of drawn subsets."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from sims.experiments.shared.experiment import Retrain, in_memory
from sims.experiments.shared.labels import Measured, Variables, labelled, measured, table
from sims.experiments.shared.problem import ParametricLearner, Problem
from theory.laws import Bernoulli
from theory.response import Array, weight_derivative
from theory.sampling.blocks import jackknifed
from theory.sampling.stability import NoiseDesign, noise_design, noise_residual

__all__ = ["DrawnSpectrumConfig", "run_drawn"]


@dataclass(frozen=True)
class DrawnSpectrumConfig:
    """A config sets the learner, the chains of four subsets that are drawn at each p, the seeds, and the blocks for errors."""

    problem: Problem
    draws: int
    probabilities: tuple[float, ...] = (0.5, 0.9)
    n_seeds: int = 4
    n_blocks: int = 20


def run_drawn(config: DrawnSpectrumConfig, *, retrain: Retrain = in_memory, progress: bool = False) -> xr.Dataset:
    """Estimate R^2 = 1 - B_{>=2} / Var_p F of the optimal linear datamodel, outputs pooled, without fitting one.

    `theory.sampling.stability` estimates B_{>=2} from how F changes along chains of four subsets, after D(p 1) was subtracted as
    a control. With N points a fit takes many more than N subsets, this takes `draws` chains. Standard errors are over chains, by
    the jackknife over blocks, and over seeds; `degrees_of_freedom` are those of the part with fewest. Degrees above 1 are not
    told apart, and no datamodel is there whose ranks could be compared.
    """
    learner, seeds = config.problem.build(), tuple(range(config.n_seeds))

    def at(p: float) -> Measured:
        design = noise_design(Bernoulli(p), n_chains=config.draws, n_points=learner.n_points, seed=0)
        samples = retrain(learner, seeds, part=f"p={p:g}", weights=design.masks).samples
        return measured(*_r_squared(learner, design, samples, seeds, config), errors_over="chains of subsets and seeds")

    variables: Variables = {
        "r_squared": (table(at, p=config.probabilities), "R^2 of the optimal linear datamodel, estimated from noise stability"),
    }
    degrees = min([config.n_blocks - 1, *([config.n_seeds - 1] if config.n_seeds > 1 else [])])
    return labelled("spectrum", config, variables).assign_attrs(
        n_seeds=config.n_seeds, control=0, draws=4 * config.draws, degrees_of_freedom=degrees
    )


def _r_squared(
    learner: ParametricLearner, design: NoiseDesign, samples: Array, seeds: tuple[int, ...], config: DrawnSpectrumConfig
) -> tuple[float, float]:
    """Return R^2 of the mean over seeds of responses (R, 4 C, M), corrected for the bias of a ratio, and its standard error."""
    mean_weights = design.law.p * np.ones(learner.n_points)
    linear = weight_derivative(learner, mean_weights, seeds)
    number = np.arange(len(design.chains)) % config.n_blocks

    def of(responses: Array, kept: "np.ndarray") -> float:
        part = NoiseDesign(design.chains[kept], design.correlations, design.law)
        values = responses.reshape(len(design.chains), -1, responses.shape[-1])[kept]
        left, whole = noise_residual(part, values, linear=linear), noise_residual(part, values)
        return 1.0 - float(left.residual.sum() / whole.variance.sum())

    every, mean = np.ones(len(number), dtype=bool), samples.mean(axis=0)
    value, error = (float(x) for x in jackknifed([of(mean, every), *(of(mean, number != g) for g in range(config.n_blocks))]))
    without = [of(np.delete(samples, r, axis=0).mean(axis=0), every) for r in range(len(seeds))] if len(seeds) > 1 else [value]
    return value, float(np.hypot(error, np.sqrt((len(without) - 1) * np.var(without))))
