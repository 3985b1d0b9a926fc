"""The module measures how far rounding alone can move the responses and derivatives of a trained network."""

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
"""Quantities whose `rounding` is measured: F(1), dF/dw at w = 1, and the datamodel of uniform subsets."""

_TOLERANCE = 1e-6
_N_DATAMODEL_SEEDS = 4
_JITTER = 2.0**-40
_FEW_PARAMETERS, _N_AMPLIFIED = 100, 1
_MANY_PARAMETERS = 1000


def conditioning(
    learner: MLP, seeds: Sequence[int], samples: Array, derivative: Array, *, times: Sequence[int], jitter: float = _JITTER
) -> Variables:
    """Measure `amplification` of every seed, and `rounding` of the quantities `CONDITIONED`, at some of the learner's snapshots.

    `amplification` is the norm of the product of the Jacobians of all steps. It takes as many directions as there are parameters;
    networks of more than 100 have it for the first seed only, of more than 1000 for none (NaN for the others). `rounding` is the
    relative change of a quantity when every start moves by `jitter`, scaled to a move by eps sqrt(time) (one rounding per step),
    and at least eps. It is the largest over seeds; for beta, over the first 4 seeds. `samples` (R, 2^N, K M) and `derivative`
    (R, N, K M) are those of the learner.
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
    norms = np.full((len(seeds), len(kept)), np.nan)
    few = _amplified(learner, seeds)
    if few:
        norms[: len(few)] = learner.amplification(ones, few)[0][:, kept]
    amplification = array(norms.T, time=times, seed=seeds)
    rounding = array(_rounding(changes, learner.snapshots, jitter)[:, kept], of=CONDITIONED, time=times)
    return {
        "amplification": (amplification, "||product of the Jacobians of all steps|| at w = 1"),
        "rounding": (rounding, "relative change that rounding alone can make"),
    }


def with_rounding_warning(result: xr.Dataset) -> xr.Dataset:
    """Return the result, with an attribute `warning` if rounding alone can move it by more than 1e-6."""
    worst = result["rounding"].max("of")
    if float(worst.max()) <= _TOLERANCE:
        return result
    first = int(result.time[int(np.argmax(worst.values > _TOLERANCE))])
    of = ", ".join(str(name) for name in result["of"].values if float(result["rounding"].sel(of=name).max()) > _TOLERANCE)
    return result.assign_attrs(warning=f"from step {first} on rounding alone can move {of} by more than 1e-6 (see `rounding`)")


def with_conditioning(result: xr.Dataset, learners: Sequence[object], seeds: Sequence[int]) -> xr.Dataset:
    """Return the result, with attributes that tell how far rounding affects F(1) and D(1) if some learners are networks.

    `amplification` is the largest ||product of the Jacobians of all steps||. `rounding` is the largest relative change of F(1) or
    D(1) of a seed that rounding alone can make. Both are measured as in `conditioning`, the largest over networks, seeds and
    snapshots. `amplification` is NaN for more than 1000 parameters. `rounding` can be large where it is not, since
    later steps may shrink a change that earlier steps amplified. If `rounding` is above 1e-6, there is also a `warning`. Learners
    that are not networks add nothing.
    """
    networks = [learner for learner in learners if isinstance(learner, MLP)]
    if not networks:
        return result
    ones = [np.ones((1, network.n_points)) for network in networks]
    norms = [
        network.amplification(w, few).max()
        for network, w in zip(networks, ones, strict=True)
        if (few := _amplified(network, seeds))
    ]
    rounding = np.array([_rounding_at_one(network, w, seeds) for network, w in zip(networks, ones, strict=True)])
    result = result.assign_attrs(amplification=float(max(norms, default=np.nan)), rounding=float(rounding.max()))
    if rounding.max() <= _TOLERANCE:
        return result
    worst = networks[int(rounding.max(axis=1).argmax())]
    largest = " and ".join(f"{of} by {x:.1g}" for of, x in zip(CONDITIONED, rounding.max(axis=0), strict=False) if x > _TOLERANCE)
    text = (
        f"rounding alone can change {largest} (relative), most with hidden layers {worst.hidden} and l2 = {worst.l2:g}: "
        f"training is not stable, a learning rate below {worst.learning_rate:g} may be"
    )
    return result.assign_attrs(warning=text)


def _amplified(learner: MLP, seeds: Sequence[int]) -> Sequence[int]:
    """Return the seeds whose `amplification` is measured."""
    n_params = learner.initial_params((0,)).shape[1]
    if n_params > _MANY_PARAMETERS:
        return seeds[:0]
    return seeds if n_params <= _FEW_PARAMETERS else seeds[:_N_AMPLIFIED]


def _rounding_at_one(learner: MLP, ones: Array, seeds: Sequence[int]) -> list[float]:
    """Return the rounding of F(1) and of D(1), the largest over snapshots."""
    moved = dataclasses.replace(learner, jitter=_JITTER)
    changes = [
        (learner.respond(ones, seeds).swapaxes(0, 1), moved.respond(ones, seeds).swapaxes(0, 1)),
        (learner.weight_jacobian(ones, seeds)[0].swapaxes(1, 2), moved.weight_jacobian(ones, seeds)[0].swapaxes(1, 2)),
    ]
    times = learner.snapshots or (learner.steps,)
    return _rounding(changes, times, _JITTER).max(axis=1).tolist()


def _rounding(changes: Sequence[tuple[Array, Array]], times: Sequence[int], jitter: float) -> Array:
    """Return the relative changes of pairs (before, after) when the start moves by `jitter`: (of, K).

    They are scaled to one rounding per step, and are at least eps.
    """
    scale = np.finfo(np.float64).eps / jitter * np.sqrt(times)
    return np.maximum([scale * _relative_change(*pair, len(times)) for pair in changes], np.finfo(np.float64).eps)


def _datamodels(samples: Array) -> Array:
    """Compute beta of every seed, (R, N, K M), from tables (R, 2^N, K M)."""
    return np.stack([optimal_datamodel(table).coefficients for table in samples])


def _relative_change(before: Array, after: Array, times: int) -> Array:
    """Return ||after - before|| / ||before|| of effects (R, N, K M) at every time, the largest over seeds: (K,)."""
    split = [x.reshape(*x.shape[:2], times, -1) for x in (after - before, before)]
    moved, size = (np.linalg.norm(x, axis=(1, 3)) for x in split)
    relative = np.divide(moved, size, out=np.full_like(moved, np.inf), where=size > 0.0)
    return np.where(moved > 0.0, relative, 0.0).max(axis=0)
