"""How far rounding alone can move the responses and derivatives of a trained network."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import xarray as xr

from sims.experiments.base import Variables
from sims.learners.mlp import MLP
from theory.datamodel import optimal_datamodel
from theory.response import Array
from theory.subsets import all_masks

__all__ = ["OF", "amplified", "conditioning", "warn"]

OF = ("F", "D(1)", "beta")
"""What `rounding` is given of: F(1), dF/dw at w = 1, the datamodel of uniform subsets."""

_TOLERANCE = 1e-6
_SOME_SEEDS = 4


def conditioning(
    learner: MLP, seeds: Sequence[int], samples: Array, derivative: Array, *, times: Sequence[int], jitter: float = 2.0**-40
) -> Variables:
    """`amplification` by seed, and `rounding` of `OF`, at some of the learner's snapshots.

    `rounding` is the relative change when every start moves by `jitter`, scaled to eps sqrt(time), one rounding per step, and at
    least eps: the largest over seeds, for beta over the first 4. `samples` (R, 2^N, K M) and `derivative` (R, N, K M) are the
    learner's own.
    """
    moved, ones, some = dataclasses.replace(learner, jitter=jitter), np.ones((1, learner.n_points)), tuple(seeds)[:_SOME_SEEDS]
    tables = moved.respond(all_masks(learner.n_points), some).swapaxes(0, 1)
    changes = [
        (samples[:, -1:], moved.respond(ones, seeds).swapaxes(0, 1)),
        (derivative, moved.weight_jacobian(ones, seeds)[0].swapaxes(1, 2)),
        (_datamodels(samples[: len(some)]), _datamodels(tables)),
    ]
    kept = [learner.snapshots.index(time) for time in times]
    scale = np.finfo(np.float64).eps / jitter * np.sqrt(times)
    rounding = [scale * _change(*pair, len(learner.snapshots))[kept] for pair in changes]
    return {
        "amplification": (
            ("time", "seed"),
            learner.amplification(ones, seeds)[0].T[kept],
            "||product of the Jacobians of all steps|| at w = 1",
        ),
        "rounding": (
            ("of", "time"),
            np.maximum(rounding, np.finfo(np.float64).eps),
            "relative change that rounding alone can make",
        ),
    }


def warn(result: xr.Dataset) -> xr.Dataset:
    """The same with an attribute `warning` where rounding alone can move the result by more than 1e-6."""
    worst = result["rounding"].max("of")
    if float(worst.max()) <= _TOLERANCE:
        return result
    first = int(result.time[int(np.argmax(worst.values > _TOLERANCE))])
    of = ", ".join(str(name) for name in result["of"].values if float(result["rounding"].sel(of=name).max()) > _TOLERANCE)
    return result.assign_attrs(warning=f"from step {first} on rounding alone can move {of} by more than 1e-6 (see `rounding`)")


def amplified(result: xr.Dataset, learners: Sequence[object], seeds: Sequence[int]) -> xr.Dataset:
    """The same with the attribute `amplification`, for a result whose derivatives at w = 1 are those of these networks.

    It is the largest ||product of the Jacobians of all steps|| over networks, seeds and snapshots. Derivatives of outputs feel up
    to its square, so that T roundings can move them by about eps sqrt(T) amplification^2; above 1e-6 there is a `warning`.
    Learners of other kinds are not trained in steps, and add nothing.
    """
    networks = [learner for learner in learners if isinstance(learner, MLP)]
    if not networks:
        return result
    largest = np.array([learner.amplification(np.ones((1, learner.n_points)), seeds).max() for learner in networks])
    steps = np.array([learner.steps for learner in networks])
    moved = float((np.finfo(np.float64).eps * np.sqrt(steps) * largest**2).max())
    result = result.assign_attrs(amplification=float(largest.max()))
    if moved <= _TOLERANCE:
        return result
    text = (
        f"training amplifies a change of its start up to {largest.max():.2g} times: rounding alone can move D(1) by {moved:.1g}"
    )
    return result.assign_attrs(warning=text)


def _datamodels(samples: Array) -> Array:
    """beta of every seed, (R, N, K M), from tables (R, 2^N, K M)."""
    return np.stack([optimal_datamodel(table).coefficients for table in samples])


def _change(before: Array, after: Array, times: int) -> Array:
    """||after - before|| / ||before|| of effects (R, N, K M) at every time, the largest over seeds: (K,)."""
    split = [x.reshape(*x.shape[:2], times, -1) for x in (after - before, before)]
    moved, size = (np.linalg.norm(x, axis=(1, 3)) for x in split)
    relative = np.divide(moved, size, out=np.full_like(moved, np.inf), where=size > 0.0)
    return np.where(moved > 0.0, relative, 0.0).max(axis=0)
