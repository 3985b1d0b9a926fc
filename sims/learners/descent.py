"""Gradient descent on a network for many (weights, seed) replicas at once, and the exact derivatives of what it computes.

With the objective's gradient g_t = (1/|batch_t|) sum_{i in batch_t} w_i grad l_i(theta_t) + l2 theta_t, a step is

    v_{t+1} = momentum v_t + g_t,        theta_{t+1} = theta_t - rate_t v_{t+1},        v_0 = 0.

A change of w moves theta by tangents that obey the differentiated steps (forward mode), a change of theta_t moves an output by
adjoints that obey their transpose (reverse mode). Both need H_t times a direction, never H_t. Replicas are trained in tiles that
stay in the cache; b * S + s is the replica of weights b and seed s.
"""

import dataclasses
import math
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sims.learners.network import LOSSES, Network, Pass
from theory.response import Array, Fit, Layer, Linearization

__all__ = ["Batches", "Descent", "DivergedError"]

Flags, Indices = NDArray[np.bool_], NDArray[np.int64]


class DivergedError(ArithmeticError):
    """Training of row b of the weights with seed number s left the finite numbers at a step."""

    def __init__(self, row: int, seed: int, step: int) -> None:
        super().__init__(f"row {row}, seed number {seed}, step {step}")
        self.row, self.seed, self.step = row, seed, step


class Batches(NamedTuple):
    """Step t of training is on batch t mod K of epoch t // K, K = len(sizes)."""

    numbers: NDArray[np.integer]  # (epochs, N, S): the batch of the epoch that a point is in, for every seed
    sizes: tuple[int, ...]


class State(NamedTuple):
    """Parameters and velocity (P, R) before a step; changed in place by it."""

    params: Array
    velocity: Array


@dataclass(frozen=True, eq=False)
class Descent:
    """What is trained and how: N points, M queries, T steps with their rates, outputs after each of `snapshots` (last: T)."""

    network: Network
    X: Array  # (N, d)
    y: Array  # (N,)
    X_query: Array  # (M, d)
    loss: str
    rates: Array  # (T,)
    l2: float
    momentum: float
    snapshots: tuple[int, ...]

    def outputs(self, weights: Array, initial: Array, batches: Batches | None) -> Array:
        """Outputs (B, S, K M) for weights (B, N) and initial parameters (P, S), K snapshots: snapshot-major."""
        size = (len(self.snapshots) * len(self.X_query),)
        return self._in_tiles(_outputs, weights, initial, batches, size)

    def parameters(self, weights: Array, initial: Array, batches: Batches | None) -> Array:
        """Parameters (B, S, K, P) at the snapshots."""
        size = (len(self.snapshots), self.network.n_params)
        return self._in_tiles(_parameters, weights, initial, batches, size)

    def jacobian(self, weights: Array, initial: Array, batches: Batches | None) -> Array:
        """d outputs / d w, shape (B, S, K M, N), by the cheaper mode.

        Forward: N products of a Hessian with a direction for every step. Reverse: M for every step before each snapshot, and
        every step a second time, which costs about as much as `_REVISIT` products.
        """
        (n, m), size = (len(self.X), len(self.X_query)), (len(self.snapshots) * len(self.X_query), len(self.X))
        if n * self.snapshots[-1] <= (m + _REVISIT) * sum(self.snapshots):
            return self._in_tiles(partial(_forward_jacobian, moved=n), weights, initial, batches, size, directions=n, moved=n)
        return self._in_tiles(_reverse_jacobian, weights, initial, batches, size, directions=m, kept=3 * self.stride, moved=n)

    def jacobian_column(self, weights: Array, initial: Array, batches: Batches | None, point: int) -> Array:
        """d outputs / d w_point, shape (B, S, K M): forward mode in that direction only, for a fraction of the Jacobian."""
        order = np.argsort(np.arange(len(self.X)) != point, kind="stable")  # it comes first
        if batches is not None:
            batches = Batches(batches.numbers[:, order], batches.sizes)
        ordered, size = dataclasses.replace(self, X=self.X[order], y=self.y[order]), (len(self.snapshots) * len(self.X_query), 1)
        work = partial(_forward_jacobian, moved=1)
        return ordered._in_tiles(work, weights[:, order], initial, batches, size, moved=1)[..., 0]

    @property
    def stride(self) -> int:
        """Steps between the states that the reverse mode keeps when it cannot keep all: sqrt(T)."""
        return math.isqrt(self.snapshots[-1])

    def amplification(self, weights: Array, initial: Array, batches: Batches | None) -> Array:
        """||d theta_t / d theta_0||, the spectral norm of the product of the steps' Jacobians, at the snapshots t: (B, S, K)."""
        size = (len(self.snapshots),)
        return self._in_tiles(_amplification, weights, initial, batches, size, directions=self.network.n_params)

    def at(self, params: Array, weights: Array) -> Linearization:
        """Of the full-batch objective with weights (N,), at parameters (P, R)."""
        size, replicas = params.shape
        tile = _Tile(self, np.repeat(weights[:, None], replicas, axis=1), params, 1.0 / len(self.X), None, np.arange(0))
        gradient, hessian = tile.gradient(params, 0).copy(), np.empty((size, size, replicas))
        step = max(1, _CACHE_ENTRIES // (replicas * max(self.network.widths) * len(self.X)))
        for start in range(0, size, step):
            unit = np.eye(size)[start : start + step, :, None]
            hessian[start : start + step] = tile.gradient_tangents(np.repeat(unit, replicas, axis=2), 0)
        fit = tile.fit(weights)
        return Linearization(
            params=params.T,
            hessian=(0.5 * (hessian + hessian.transpose(1, 0, 2))).transpose(2, 0, 1),
            point_gradients=fit.gradients * fit.slopes[:, :, None],
            output_gradients=tile.query_gradients(params).transpose(2, 0, 1),
            gradient_norm=np.linalg.norm(gradient, axis=0),
            fit=fit,
        )

    def _in_tiles(
        self,
        work: "Callable[[_Tile], Array]",
        weights: Array,
        initial: Array,
        batches: Batches | None,
        size: tuple[int, ...],
        *,
        directions: int = 1,
        kept: int = 0,
        moved: int = 0,
    ) -> Array:
        """work(tile) (*size, R) for tiles whose buffers stay in the cache, put together as (B, S, *size).

        What `kept` parameter vectors and some per direction take of memory is bounded too. Points that no replica of a tile has
        are left out, which changes no sum, but for the first `moved` ones: the derivative in their weights is asked for.
        """
        b, s = len(weights), initial.shape[1]
        per_replica = directions * len(self.X) * max(1, sum(self.network.widths[1:-1]))
        replicas = max(_SMALLEST_TILE, _CACHE_ENTRIES * min(directions, 2) // per_replica)
        replicas = max(1, min(replicas, _TRAJECTORY_BYTES // (8 * self.network.n_params * (kept + 4 * directions))))
        seeds, rows = -(-s // -(-s // replicas)), 2 ** int(math.log2(max(1, replicas // s)))  # 2^k masks in a row share top bits
        results = np.empty((b, s, *size))
        for row in range(0, b, rows):
            for seed in range(0, s, seeds):
                some, who = weights[row : row + rows], slice(seed, seed + seeds)
                starts = initial[:, who]
                present: Flags = np.logical_or.reduce(some, axis=0)
                present[:moved] = True
                present[0] |= not present.any()  # a network at no points has no shape; the one kept has weight 0
                orders = None if batches is None else Batches(batches.numbers[:, present, who], batches.sizes)
                try:
                    values = self._tile(work, some, starts, orders, present)
                except DivergedError as error:
                    raise DivergedError(row + error.row, seed + error.seed, error.step) from None
                count = len(some) * starts.shape[1]
                results[row : row + rows, who] = np.moveaxis(values[..., :count], -1, 0).reshape(len(some), -1, *size)
        return results

    def _tile(
        self, work: "Callable[[_Tile], Array]", weights: Array, initial: Array, batches: Batches | None, present: Flags
    ) -> Array:
        """work on one tile of the points that are present."""
        b, s = len(weights), initial.shape[1]
        # at least 2 replicas: a product with one column is another routine, with other rounding
        replica = np.resize(np.arange(b * s, dtype=np.int64), max(b * s, 2))
        rows, seeds = replica // s, replica % s
        fewer = self if present.all() else dataclasses.replace(self, X=self.X[present], y=self.y[present])
        with np.errstate(over="ignore", invalid="ignore"):  # divergence shows in what is not finite
            tile = _Tile(fewer, weights[rows].T[present], initial[:, seeds], 1.0 / len(self.X), batches, seeds)
            values = work(tile)
            if not np.isfinite(values).all():
                place, step = tile.first_divergence(values)
                raise DivergedError(place // s, place % s, step)
        return values


class _Tile:
    """Replicas that are trained together: their weights, starts and buffers.

    A point counts share x w_i in the gradient of a step: 1/N, or 1/|batch| in the batch of that step for the seed seeds[r] of a
    replica r.
    """

    def __init__(
        self, plan: Descent, weights: Array, initial: Array, share: float, batches: Batches | None, seeds: Indices
    ) -> None:
        self.plan, self._weights = plan, np.ascontiguousarray(weights)
        self.initial: Array = np.ascontiguousarray(initial)
        self._share, self._batches, self._seeds = share, batches, seeds
        self._loss, self._targets = LOSSES[plan.loss], plan.y[:, None]
        self._fixed = self._weights * share
        self._gradient, self._scratch = np.empty_like(self.initial), np.empty_like(self.initial)
        self._tangents = np.empty(0)
        self.points = Pass(plan.network, plan.X, initial.shape[1])
        self.queries = Pass(plan.network, plan.X_query, initial.shape[1])
        self.slopes = np.empty_like(weights)

    def start(self) -> State:
        """Before the first step."""
        return State(self.initial.copy(), np.zeros_like(self.initial))

    def share(self, t: int) -> Array | float:
        """What multiplies w_i grad l_i in step t: a number or (N, R)."""
        if self._batches is None:
            return self._share
        epoch, number = divmod(t, len(self._batches.sizes))
        return (self._batches.numbers[epoch][:, self._seeds] == number) / self._batches.sizes[number]

    def _weighted(self, t: int) -> Array:
        """share(t) times the weights: (N, R)."""
        return self._fixed if self._batches is None else self._weights * self.share(t)

    def visit(self, params: Array, t: int) -> None:
        """Outputs and their derivatives at the points, for step t; leaves dl/df (N, R) in `slopes`."""
        self.slopes = self._loss.slope(self.points.outputs(params), self._targets)
        self.points.backward(self.slopes * self._weighted(t))

    def gradient(self, params: Array, t: int) -> Array:
        """g_t (P, R), with a visit."""
        self.visit(params, t)
        self.points.gradient(self._gradient)
        if self.plan.l2:
            self._gradient += np.multiply(params, self.plan.l2, out=self._scratch)
        return self._gradient

    def gradient_tangents(self, directions: Array, t: int, *, of_weights: bool = False) -> Array:
        """H_t times the directions (K, P, R), after a visit; leaves df of the points (K, N, R) in `moved`.

        `of_weights`: direction i moves w_i as well, at unit speed, for the first K points.
        """
        self.moved = self.points.output_tangents(directions)
        moved_delta = self.moved * (self._loss.curvature(self.slopes) * self._weighted(t))
        if of_weights:
            k = len(directions)
            own = np.einsum("nnr->nr", moved_delta[:, :k])  # a view
            own += (self.slopes * self.share(t))[:k]
        if self._tangents.shape != directions.shape:
            self._tangents = np.empty_like(directions)
        self.points.gradient_tangents(moved_delta, self._tangents)
        if self.plan.l2:
            self._tangents += self.plan.l2 * directions
        return self._tangents

    def step(self, state: State, t: int, gradient: Array | None = None) -> None:
        """From t to t + 1, in place."""
        gradient = self.gradient(state.params, t) if gradient is None else gradient
        _descend(state.params, state.velocity, gradient, self.plan.rates[t], self.plan.momentum, self._scratch)

    def fit(self, weights: Array) -> Fit:
        """The model at its training points, after a visit."""
        slopes, outputs = self.slopes, self.points.last_outputs
        gradients, factors = self.points.point_gradients(), self.points.point_factors()
        return Fit(
            gradients=gradients.transpose(2, 0, 1),
            slopes=slopes.T,
            curvatures=self._loss.curvature(slopes).T,
            fisher=self._loss.fisher(outputs).T,
            layers=tuple(Layer(*(part.transpose(2, 0, 1).copy() for part in pair)) for pair in factors),
            weights=weights,
            penalty=self.plan.l2,
        )

    def query_gradients(self, params: Array) -> Array:
        """Gradients of the outputs: (M, P, R)."""
        self.queries.outputs(params)
        return self.queries.point_gradients()

    def at_snapshots(self) -> Generator[Array]:
        """Train, and stop at every snapshot with the parameters (P, R)."""
        state = self.start()
        for t in range(self.plan.snapshots[-1]):
            self.step(state, t)
            if t + 1 in self.plan.snapshots:
                yield state.params

    def push(self, tangents: Array, *, of_weights: bool) -> Generator[tuple[Array, Array]]:
        """Train, and move tangents (K, P, R) of the parameters along; stop at every snapshot with parameters and tangents."""
        state, velocity, scratch = self.start(), np.zeros_like(tangents), np.empty_like(tangents)
        for t in range(self.plan.snapshots[-1]):
            gradient = self.gradient(state.params, t)
            moved = self.gradient_tangents(tangents, t, of_weights=of_weights)
            _descend(tangents, velocity, moved, self.plan.rates[t], self.plan.momentum, scratch)
            self.step(state, t, gradient)
            if t + 1 in self.plan.snapshots:
                yield state.params, tangents

    def backwards(self, kept: list[State], stride: int, stop: int) -> Generator[tuple[int, Array]]:
        """(t, parameters before step t) for t = stop - 1 .. 0, from states kept at every stride-th step."""
        for start in range((stop - 1) // stride * stride, -1, -stride):
            state = State(*(part.copy() for part in kept[start // stride]))
            segment = [state.params.copy()]
            for t in range(start, min(start + stride, stop) - 1):
                self.step(state, t)
                segment.append(state.params.copy())
            for k in range(len(segment) - 1, -1, -1):
                yield start + k, segment[k]

    def first_divergence(self, values: Array) -> tuple[int, int]:
        """The replica whose parameters first left the finite numbers, and after how many steps.

        If none did: the first replica with an entry of `values` (.., R) that is not finite, and the last step.
        """
        state = self.start()
        for t in range(self.plan.snapshots[-1]):
            self.step(state, t)
            bad = np.flatnonzero(~np.isfinite(state.params).all(axis=0))
            if bad.size:
                return int(bad[0]), t + 1
        finite = np.isfinite(values).reshape(-1, values.shape[-1]).all(axis=0)
        return int(np.flatnonzero(~finite)[0]), self.plan.snapshots[-1]


def _descend(params: Array, velocity: Array, gradient: Array, rate: float, momentum: float, scratch: Array) -> None:
    """One step in place, of the parameters or of their tangents."""
    if momentum:
        velocity *= momentum
        velocity += gradient
        gradient = velocity
    params -= np.multiply(gradient, rate, out=scratch)


def _outputs(tile: _Tile) -> Array:
    """(K M, R)."""
    return np.concatenate([tile.queries.outputs(params).copy() for params in tile.at_snapshots()])


def _parameters(tile: _Tile) -> Array:
    """(K, P, R)."""
    return np.stack([params.copy() for params in tile.at_snapshots()])


def _forward_jacobian(tile: _Tile, moved: int) -> Array:
    """(K M, moved, R)."""
    tangents = np.zeros((moved, *tile.initial.shape))
    return np.concatenate(
        [np.einsum("mpr,kpr->mkr", tile.query_gradients(params), along) for params, along in tile.push(tangents, of_weights=True)]
    )


def _reverse_jacobian(tile: _Tile) -> Array:
    """(K M, N, R), from states kept at every step, or at every sqrt(T)-th where that takes too much memory."""
    plan, steps = tile.plan, tile.plan.snapshots[-1]
    stride = 1 if 2 * steps * tile.initial.nbytes <= _TRAJECTORY_BYTES else plan.stride
    kept: list[State] = []
    ends: list[Array] = []
    state = tile.start()
    for t in range(steps):
        if t % stride == 0:
            kept.append(State(*(part.copy() for part in state)))
        tile.step(state, t)
        if t + 1 in plan.snapshots:
            ends.append(state.params.copy())
    jacobian = np.zeros((len(ends), len(plan.X_query), len(plan.X), tile.initial.shape[1]))
    for end, stop, result in zip(ends, plan.snapshots, jacobian, strict=True):
        adjoint = tile.query_gradients(end)  # of theta_{t+1}
        velocity, scratch = np.zeros_like(adjoint), np.empty_like(adjoint)  # of v_{t+1}
        for t, params in tile.backwards(kept, stride, stop):
            tile.visit(params, t)
            moved = np.multiply(adjoint, -plan.rates[t], out=scratch)
            velocity = velocity * plan.momentum + moved if plan.momentum else moved
            adjoint += tile.gradient_tangents(velocity, t)
            result += tile.moved * (tile.slopes * tile.share(t))
    return jacobian.reshape(-1, *jacobian.shape[2:])


def _amplification(tile: _Tile) -> Array:
    """(K, R)."""
    size, replicas = tile.initial.shape
    norms: list[Array] = []
    for _, moved in tile.push(np.eye(size)[:, :, None] * np.ones(replicas), of_weights=False):
        finite = np.flatnonzero(np.isfinite(moved).all(axis=(0, 1)))
        norms.append(np.nan * np.ones(replicas))
        norms[-1][finite] = np.linalg.norm(np.moveaxis(moved[:, :, finite], -1, 0), 2, axis=(1, 2))
    return np.stack(norms)


_CACHE_ENTRIES = 80_000  # of the largest buffers, in float64; twice as many for directions
_SMALLEST_TILE = 16
_REVISIT = 2
_TRAJECTORY_BYTES = 2**27  # of what one tile keeps of its way, and of its directions
