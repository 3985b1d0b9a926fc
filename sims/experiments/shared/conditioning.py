"""How far rounding alone can move the responses and derivatives of a trained network."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import xarray as xr

from sims.experiments.shared.labels import Variables, array
from sims.learners.mlp import MLP
from theory.datamodel import optimal_datamodel
from theory.response import Array
from theory.subsets import all_masks

__all__ = ["CONDITIONED", "conditioning", "with_conditioning", "with_rounding_warning"]

CONDITIONED = ("F", "D(1)", "beta")
"""Quantities whose `rounding` is measured: F(1), dF/dw at w = 1, the datamodel of uniform subsets."""

_TOLERANCE = 1e-6
_N_DATAMODEL_SEEDS = 4
_JITTER = 2.0**-40


def conditioning(
    learner: MLP, seeds: Sequence[int], samples: Array, derivative: Array, *, times: Sequence[int], jitter: float = _JITTER
) -> Variables:
    """`amplification` by seed, and `rounding` of `CONDITIONED`, at some of the learner's snapshots.

    `rounding` is the relative change when every start moves by `jitter`, scaled to eps sqrt(time), one rounding per step, and at
    least eps: the largest over seeds, for beta over the first 4. `samples` (R, 2^N, K M) and `derivative` (R, N, K M) are the
    learner's own.
    """
    moved, ones, first = (
        dataclasses.replace(learner, jitter=jitter),
        np.ones((1, learner.n_points)),
        tuple(seeds)[:_N_DATAMODEL_SEEDS],
    )
    tables = moved.respond(all_masks(learner.n_points), first).swapaxes(0, 1)
    changes = [
        (samples[:, -1:], moved.respond(ones, seeds).swapaxes(0, 1)),
        (derivative, moved.weight_jacobian(ones, seeds)[0].swapaxes(1, 2)),
        (_datamodels(samples[: len(first)]), _datamodels(tables)),
    ]
    kept = [learner.snapshots.index(time) for time in times]
    amplification = array(learner.amplification(ones, seeds)[0].T[kept], time=times, seed=seeds)
    rounding = array(_rounding(changes, learner.snapshots, jitter)[:, kept], of=CONDITIONED, time=times)
    return {
        "amplification": (amplification, "||product of the Jacobians of all steps|| at w = 1"),
        "rounding": (rounding, "relative change that rounding alone can make"),
    }


def with_rounding_warning(result: xr.Dataset) -> xr.Dataset:
    """The same with an attribute `warning` where rounding alone can move the result by more than 1e-6."""
    worst = result["rounding"].max("of")
    if float(worst.max()) <= _TOLERANCE:
        return result
    first = int(result.time[int(np.argmax(worst.values > _TOLERANCE))])
    of = ", ".join(str(name) for name in result["of"].values if float(result["rounding"].sel(of=name).max()) > _TOLERANCE)
    return result.assign_attrs(warning=f"from step {first} on rounding alone can move {of} by more than 1e-6 (see `rounding`)")


def with_conditioning(result: xr.Dataset, learners: Sequence[object], seeds: Sequence[int]) -> xr.Dataset:
    """The same with attributes that say how far to trust derivatives at w = 1, where these are networks.

    `amplification` is the largest ||product of the Jacobians of all steps||, `rounding` what rounding alone can change of F(1) or
    D(1) of a seed, relative and measured as in `conditioning`: the largest over networks, seeds and snapshots. The second can be
    large where the first is not, since training may forget in the end what it has amplified before. Above 1e-6 there is a
    `warning`. Learners of other kinds are not trained in steps, and add nothing.
    """
    networks = [learner for learner in learners if isinstance(learner, MLP)]
    if not networks:
        return result
    ones = [np.ones((1, network.n_points)) for network in networks]
    norms = [network.amplification(w, seeds).max() for network, w in zip(networks, ones, strict=True)]
    rounding = np.array([_of_derivatives(network, w, seeds) for network, w in zip(networks, ones, strict=True)])
    result = result.assign_attrs(amplification=float(np.max(norms)), rounding=float(rounding.max()))
    if rounding.max() <= _TOLERANCE:
        return result
    worst = networks[int(rounding.max(axis=1).argmax())]
    largest = " and ".join(f"{of} by {x:.1g}" for of, x in zip(CONDITIONED, rounding.max(axis=0), strict=False) if x > _TOLERANCE)
    text = (
        f"rounding alone can change {largest} (relative), most with hidden layers {worst.hidden} and l2 = {worst.l2:g}: "
        f"training is not stable, a learning rate below {worst.learning_rate:g} may be"
    )
    return result.assign_attrs(warning=text)


def _of_derivatives(learner: MLP, ones: Array, seeds: Sequence[int]) -> list[float]:
    """Rounding of F(1) and of D(1), the largest over snapshots."""
    moved = dataclasses.replace(learner, jitter=_JITTER)
    changes = [
        (learner.respond(ones, seeds).swapaxes(0, 1), moved.respond(ones, seeds).swapaxes(0, 1)),
        (learner.weight_jacobian(ones, seeds)[0].swapaxes(1, 2), moved.weight_jacobian(ones, seeds)[0].swapaxes(1, 2)),
    ]
    times = learner.snapshots or (learner.steps,)
    return _rounding(changes, times, _JITTER).max(axis=1).tolist()


def _rounding(changes: Sequence[tuple[Array, Array]], times: Sequence[int], jitter: float) -> Array:
    """Relative changes of pairs by a start that moved by `jitter`, scaled to one rounding per step and at least eps: (of, K)."""
    scale = np.finfo(np.float64).eps / jitter * np.sqrt(times)
    return np.maximum([scale * _change(*pair, len(times)) for pair in changes], np.finfo(np.float64).eps)


def _datamodels(samples: Array) -> Array:
    """beta of every seed, (R, N, K M), from tables (R, 2^N, K M)."""
    return np.stack([optimal_datamodel(table).coefficients for table in samples])


def _change(before: Array, after: Array, times: int) -> Array:
    """||after - before|| / ||before|| of effects (R, N, K M) at every time, the largest over seeds: (K,)."""
    split = [x.reshape(*x.shape[:2], times, -1) for x in (after - before, before)]
    moved, size = (np.linalg.norm(x, axis=(1, 3)) for x in split)
    relative = np.divide(moved, size, out=np.full_like(moved, np.inf), where=size > 0.0)
    return np.where(moved > 0.0, relative, 0.0).max(axis=0)
