"""The experiment fits datamodels on all subsets of one size, and asks what such a design identifies (T7)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from sims.experiments.shared.experiment import Experiment, Retrain, in_memory
from sims.experiments.shared.labels import Variables, array, labelled
from sims.experiments.shared.memory import require_per_subset
from sims.experiments.shared.problem import AnyProblem, Problem
from sims.experiments.shared.settings import setting
from sims.experiments.shared.user_cases import user_case
from theory.datamodel import optimal_datamodel
from theory.laws import Bernoulli, FixedSize
from theory.metrics import relative_error
from theory.response import Array
from theory.subsets import all_masks, sizes

__all__ = ["EXPERIMENT", "FixedSizeConfig", "run"]


@dataclass(frozen=True)
class FixedSizeConfig:
    """A config sets the problem, the sizes k of subsets as shares of N, and the number of seeds."""

    problem: AnyProblem
    shares: tuple[float, ...] = setting("sizes of subsets as shares of N", (0.25, 0.5, 0.75), within="(0, 1)")
    n_seeds: int = 1


def run(config: FixedSizeConfig, *, retrain: Retrain = in_memory, progress: bool = False) -> xr.Dataset:
    """Fit F(S) ~ b + beta . 1_S by least squares on all S with |S| = k, and compare with what T7 says, for every k.

    The fit is the minimum-norm solution by singular values, which knows nothing of T7: only what it has in common with all other
    solutions counts, the coefficients less their mean. `swap_error` compares these with (N - 1)/N (E[F | i in S] - E[F | i not in
    S]); `covariance_error` compares the covariance of 1_S with v N/(N - 1) (I - 1 1^T/N), v = k (N - k)/N^2, whose only null
    direction is 1; `shift_error` is the change of all predictions when beta becomes beta + 1 and b becomes b - k.
    `bernoulli_gap` is how far the differences are from those of subsets that take every point with probability k/N.
    """
    learner = config.problem.build()
    require_per_subset(learner, learner.n_outputs * (config.n_seeds + 3) + learner.n_points, "fixed_size")
    responses = retrain(learner, tuple(range(config.n_seeds))).samples.mean(axis=0)
    n = learner.n_points
    chosen = tuple(sorted({min(max(round(share * n), 1), n - 1) for share in config.shares}))
    found = [_at_size(responses, n, k) for k in chosen]
    texts = {
        "swap_error": "||beta - mean of least squares - T7's|| / ||T7's||",
        "covariance_error": "||Cov 1_S - v N/(N-1) (I - 11^T/N)|| / ||Cov 1_S||",
        "shift_error": "change of predictions by (beta + 1, b - k), relative to the standard deviation of F",
        "bernoulli_gap": "||beta(|S| = k) - beta(p = k/N)|| / ||beta(p = k/N)||, both less their means",
    }
    variables: Variables = {name: (array([at[name] for at in found], subset_size=chosen), text) for name, text in texts.items()}
    return labelled("fixed_size", config, variables).assign_attrs(n_seeds=config.n_seeds)


def _at_size(responses: Array, n: int, k: int) -> dict[str, float]:
    """Return the four numbers of `run` at subset size k; those of effects are NaN (undefined) where F has none but rounding."""
    rows = sizes(n) == k
    masks, values = all_masks(n)[rows], responses[rows]
    solution: Array = np.linalg.lstsq(np.column_stack([np.ones(len(masks)), masks]), values, rcond=1e-10)[0].astype(np.float64)
    intercept, beta = solution[0], solution[1:]
    fixed = optimal_datamodel(responses, FixedSize(k)).coefficients
    bernoulli = optimal_datamodel(responses, Bernoulli(k / n)).coefficients
    covariance = np.cov(masks.T, bias=True)
    predicted = k * (n - k) / n**2 * n / (n - 1) * (np.eye(n) - 1.0 / n)
    shifted = (intercept - k) + masks @ (beta + 1.0)
    change, spread = np.abs(shifted - (intercept + masks @ beta)).max(), values.std(axis=0).max()
    varies = spread > 1e-12 * np.abs(values).max() and np.linalg.norm(_centred(fixed)) > 1e-9 * spread
    return {
        "swap_error": relative_error(_centred(beta), _centred(fixed)) if varies else np.nan,
        "covariance_error": relative_error(covariance, predicted),
        "shift_error": float(change / values.std()) if varies else np.nan,
        "bernoulli_gap": relative_error(_centred(fixed), _centred(bernoulli)) if varies else np.nan,
    }


def _centred(beta: Array) -> Array:
    return beta - beta.mean(axis=0)


def _user_case(problem: Problem, small: bool) -> FixedSizeConfig:
    return FixedSizeConfig(problem, n_seeds=1 if problem.learner != "mlp" else 2 if small else 8)


_NETWORK: dict[str, Any] = {"hidden": (4,), "l2": 0.01, "learning_rate": 0.5, "steps": 100}

EXPERIMENT = Experiment(
    name="fixed_size",
    question="What does a datamodel on subsets of one size identify?",
    cases=(
        FixedSizeConfig(Problem("spector", "logistic", l2=0.1, n_points=12)),
        FixedSizeConfig(Problem("longley", "least_squares", l2=0.1, n_points=12, n_queries=4)),
        FixedSizeConfig(Problem("two_moons", "mlp", **_NETWORK, n_points=8), n_seeds=4),
        FixedSizeConfig(Problem("two_moons", "mlp", **_NETWORK, n_points=8, data_seed=1), n_seeds=4),
    ),
    small=(FixedSizeConfig(Problem("spector", "logistic", l2=0.1, n_points=8)),),
    run=run,
    user_case=user_case(_user_case),
)
