"""Train a network by gradient descent for many (weights, seed) replicas at once, and differentiate the training exactly.

With the objective's gradient g_t = (1/|batch_t|) sum_{i in batch_t} w_i grad l_i(theta_t) + l2 theta_t, a step is

    v_{t+1} = momentum v_t + g_t,        theta_{t+1} = theta_t - rate_t v_{t+1},        v_0 = 0.

`kernels.optimizers` has the step of adam, too. Tangents are derivatives of theta_t in w; they obey the differentiated steps
(forward mode). Adjoints are derivatives of an output in theta_t; they obey the transposed steps (reverse mode). Both need
products of the Hessian H_t with a direction, never H_t itself. Replicas are trained in tiles that stay in the cache; b * S + s
is the replica of weights b and seed s.
"""

import dataclasses
import math
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sims.learners.network import kernels
from sims.learners.network.crossings import Crossings, Watch
from sims.learners.network.passes import LOSSES, Network, Readout, contiguous, softmax
from theory.response import Array, Classes, Fit, Layer, Linearization

__all__ = ["Batches", "Descent", "DivergedError", "Optimizer"]

Indices = NDArray[np.int64]

_NO_CODES: kernels.Codes = np.empty(0, np.uint64)
_NO_MOVES: Array = np.empty((0, 0))


class DivergedError(ArithmeticError):
    """An error: training with weights number `row` and seed number `seed` is no longer finite at step `step`."""

    def __init__(self, row: int, seed: int, step: int) -> None:
        super().__init__(f"row {row}, seed number {seed}, step {step}")
        self.row, self.seed, self.step = row, seed, step


class Batches(NamedTuple):
    """The minibatches: step t uses batch t mod K of epoch t // K, K = len(sizes); after the last epoch comes the first."""

    numbers: NDArray[np.integer]  # (epochs, N, S): the batch of the epoch that a point is in, for every seed
    sizes: Indices  # (K,)


class State(NamedTuple):
    """The parameters (P, R) and the optimiser's memory (P or 2 P, R) before a step, which changes both in place."""

    params: Array
    memory: Array

    def copy(self) -> "State":
        return State(self.params.copy(), self.memory.copy())


@dataclass(frozen=True)
class Optimizer:
    """How a gradient becomes a step: `sgd` with momentum, or `adam` and `adamw`, whose step `kernels.optimizers` defines.

    l2 multiplies theta in the gradient; for adamw it shrinks theta by rate l2 in every step instead (decoupled decay).
    """

    name: str = "sgd"
    l2: float = 0.0
    momentum: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8

    @property
    def penalty(self) -> float:
        """Return the multiple of theta that is part of the gradient."""
        return 0.0 if self.name == "adamw" else self.l2

    @property
    def memories(self) -> int:
        """Return the number of vectors (P,) that it keeps from step to step."""
        return 1 if self.name == "sgd" else 2

    @property
    def code(self) -> kernels.Rule:
        """Return the last field of `kernels.Job`."""
        decay, number = self.l2 - self.penalty, kernels.OPTIMIZERS.index(self.name)
        return kernels.Rule(self.penalty, decay, number, self.momentum, self.betas, self.eps)


@dataclass(frozen=True, eq=False)
class Descent:
    """The training of one network on N points: T steps with their rates, and outputs for M queries after each of `snapshots`.

    The last snapshot is T. S is the number of seeds, and K is the number of snapshots.
    """

    network: Network
    X: Array  # (N, d)
    y: Array  # (N,)
    X_query: Array  # (M, d)
    readout: Readout
    loss: str
    rates: Array  # (T,)
    optimizer: Optimizer
    snapshots: tuple[int, ...]
    crossings: bool = False  # whether derivatives are corrected where relu units change (`crossings`)

    def outputs(self, weights: Array, initial: Array, batches: Batches) -> Array:
        """Compute the outputs (B, S, K M) for weights (B, N) and initial parameters (P, S).

        Output k M + m belongs to snapshot k and query m.
        """
        return self._in_tiles(_outputs, weights, initial, batches, (len(self.snapshots) * len(self.X_query),), single=True)

    def branches(self, weights: Array, initial: Array, batches: Batches) -> Array:
        """Compute a hash of the activation pattern of the whole training, as two integers below 2^32; shape (B, S, 2).

        The pattern says which hidden units are on (positive), at each step for each point with a share in it, and at each
        snapshot for each query.
        """
        return self._in_tiles(_branches, weights, initial, batches, (2,))

    def crossing_counts(self, weights: Array, initial: Array, batches: Batches) -> Array:
        """Count the crossings of kinks in the whole training, and those after which it slides; shape (B, S, 2)."""
        return dataclasses.replace(self, crossings=True)._in_tiles(_crossing_counts, weights, initial, batches, (2,))

    def parameters(self, weights: Array, initial: Array, batches: Batches) -> Array:
        """Compute the parameters (B, S, K, P) at the snapshots."""
        size = len(self.snapshots), self.network.n_params
        return self._in_tiles(_parameters, weights, initial, batches, size, single=True)

    def jacobian(self, weights: Array, initial: Array, batches: Batches) -> Array:
        """Compute d outputs / d w, shape (B, S, K M, N), by the cheaper mode.

        Forward mode needs N products of a Hessian with a direction for every step. Reverse mode needs M products for every step
        before each snapshot, and repeats every step, which costs about as much as one product. In forward mode with few replicas
        each is there once for every weight: vector instructions need several replicas. This changes no bit, because replicas know
        nothing of each other. The mode must not depend on the number of replicas, which would.
        """
        (n, m), size = (len(self.X), len(self.X_query)), (len(self.snapshots) * len(self.X_query), len(self.X))
        if n * self.snapshots[-1] <= (m + 1) * sum(self.snapshots):
            if len(weights) * initial.shape[1] > _FEW:
                return self._in_tiles(partial(_forward_jacobian, moved=n), weights, initial, batches, size, directions=n)
            return self._jacobian_of_few(weights, initial, batches)
        kept = (1 + self.optimizer.memories + _TRAIL[self.optimizer.name]) * math.isqrt(self.snapshots[-1])
        return self._in_tiles(_reverse_jacobian, weights, initial, batches, size, directions=m, kept=kept, single=True)

    def _jacobian_of_few(self, weights: Array, initial: Array, batches: Batches) -> Array:
        """Compute the Jacobian by forward mode, where every replica is there once for each weight."""
        (b, s), n, size = (len(weights), initial.shape[1]), len(self.X), len(self.snapshots) * len(self.X_query)
        part = _AT_ONCE // math.gcd(_AT_ONCE, b * s)
        lanes = -(-n // part) * part  # so that lanes times replicas is a multiple of _AT_ONCE
        starts, repeated = np.repeat(initial, lanes, axis=1), Batches(np.repeat(batches.numbers, lanes, axis=2), batches.sizes)
        try:
            found = self._in_tiles(lambda tile: _forward_lanes(tile, lanes), weights, starts, repeated, (size,), directions=1)
        except DivergedError as error:
            raise DivergedError(error.row, error.seed // lanes, error.step) from None
        return found.reshape(b, s, lanes, size)[:, :, :n].swapaxes(2, 3)

    def jacobian_column(self, weights: Array, initial: Array, batches: Batches, point: int) -> Array:
        """Compute d outputs / d w_point, shape (B, S, K M), by forward mode in this direction only.

        The cost is a fraction of that of the Jacobian.
        """
        order = np.argsort(np.arange(len(self.X)) != point, kind="stable")  # the point comes first
        ordered = dataclasses.replace(self, X=self.X[order], y=self.y[order])
        shuffled = Batches(batches.numbers[:, order], batches.sizes)
        size = (len(self.snapshots) * len(self.X_query), 1)
        return ordered._in_tiles(partial(_forward_jacobian, moved=1), weights[:, order], initial, shuffled, size, directions=1)[
            ..., 0
        ]

    def amplification(self, weights: Array, initial: Array, batches: Batches) -> Array:
        """Compute ||d theta_t / d theta_0||_2, the norm of the product of all steps' Jacobians, at snapshots t: (B, S, K)."""
        size = (len(self.snapshots),)
        return self._in_tiles(_amplification, weights, initial, batches, size, directions=self.network.n_params)

    def at(self, params: Array, weights: Array) -> Linearization:
        """Linearize the full-batch objective with weights (N,) at parameters (P, R)."""
        size, replicas = params.shape
        f, shares = self.network.outputs(params, self.X), np.repeat(weights[:, None] / len(self.X), replicas, axis=1)
        if self.loss == "softmax":
            slopes, curvatures = softmax(f, self.y)
            fit = self._fit_of_classes(params, weights, f, slopes, curvatures[:, :-2])
            points = self.network.point_gradients(params, self.X, slopes).transpose(2, 0, 1)
            curvatures[:, -2] = shares
            pushes = slopes * shares[:, None]
        else:
            fit = self._fit(params, weights, f[:, 0])
            points, slopes = fit.gradients * fit.slopes[:, :, None], fit.slopes.T
            pushes, curvatures = (slopes * shares)[:, None], (LOSSES[self.loss].curvature(slopes) * shares)[:, None]
        gradient, hessian = self._gradient_and_hessian(params, pushes, curvatures)
        penalty = self.optimizer.penalty
        return Linearization(
            params=params.T,
            hessian=(0.5 * (hessian + hessian.swapaxes(0, 1))).transpose(2, 0, 1) + penalty * np.eye(size),
            point_gradients=points,
            output_gradients=self.query_gradients(params).transpose(2, 0, 1),
            gradient_norm=np.linalg.norm(contiguous((gradient + penalty * params).T), axis=1),  # the same bits for a seed alone
            fit=fit,
        )

    def _gradient_and_hessian(self, params: Array, slope: Array, curvature: Array) -> tuple[Array, Array]:
        """Compute the gradient (P, R) and the Hessian (P, P, R) of sum_i phi_i(f_i), as `Network.products` does.

        With few replicas, each is there once for every column of a part of its Hessian: vector instructions need several.
        """
        size, replicas = params.shape
        if replicas >= _AT_ONCE:
            unit = np.repeat(np.eye(size)[:, :, None], replicas, axis=2)
            return self.network.products(params, self.X, slope, curvature, unit)
        gradient, hessian = np.empty((size, replicas)), np.empty((size, size, replicas))
        for r in range(replicas):
            for start in range(0, size, _COLUMNS):
                columns = np.eye(size)[:, start : start + _COLUMNS]
                theta, phi, bend = (np.repeat(part[..., [r]], columns.shape[1], axis=-1) for part in (params, slope, curvature))
                found, along = self.network.products(theta, self.X, phi, bend, columns[None])
                gradient[:, r], hessian[start : start + _COLUMNS, :, r] = found[:, 0], along[0].T
        return gradient, hessian

    def _fit(self, params: Array, weights: Array, f: Array) -> Fit:
        """Return the derivatives at the training points of a network with the one output f (N, R)."""
        loss, network = LOSSES[self.loss], self.network
        slopes = loss.slope(f, self.y)
        return Fit(
            gradients=network.point_gradients(params, self.X).transpose(2, 0, 1),
            slopes=slopes.T,
            curvatures=loss.curvature(slopes).T,
            fisher=loss.fisher(f).T,
            layers=self._layers(params),
            weights=weights,
            penalty=self.optimizer.penalty,
        )

    def _fit_of_classes(self, params: Array, weights: Array, f: Array, slopes: Array, probabilities: Array) -> Fit:
        """Return the derivatives at the training points for softmax: logits f, dl/df and probabilities p are (N, C, R).

        One scalar stands for the C outputs: the margin m = f_y - log sum_{c != y} exp f_c of a point's own class y, of which the
        loss is log(1 + exp(-m)), with slope p_y - 1 and curvature p_y (1 - p_y). `classes` has the derivatives of all log p_c.
        """
        labels, each = self.y.astype(np.int64), np.arange(len(f))
        slope = slopes[each, labels].T
        spread = -slope * probabilities[each, labels].T
        margins = self._layers(params, Readout("margin", labels)(f)[1])
        by_class = [self._layers(params, axis[:, None] - probabilities) for axis in np.eye(f.shape[1])]  # d log p_c / df
        layers = tuple(
            Layer(inputs=of_layer[0].inputs, deltas=np.stack([part.deltas for part in of_layer], axis=2))
            for of_layer in zip(*by_class, strict=True)
        )
        return Fit(
            gradients=_outer_products(margins),
            slopes=slope,
            curvatures=spread,
            fisher=spread,
            layers=margins,
            weights=weights,
            penalty=self.optimizer.penalty,
            classes=Classes(probabilities.transpose(2, 0, 1).copy(), _outer_products(layers), layers),
        )

    def _layers(self, params: Array, pushes: Array | None = None) -> tuple[Layer, ...]:
        """Return every layer's factors of grad phi_n, where d phi_n/df = pushes (N, C, R); without them phi = f."""
        factors = self.network.point_factors(params, self.X, pushes)
        return tuple(Layer(*(part.transpose(2, 0, 1).copy() for part in pair)) for pair in factors)

    def query_outputs(self, params: Array) -> Array:
        """Compute what the queries ask (M, R) at parameters (P, R)."""
        return self.readout(self.network.outputs(params, self.X_query))[0]

    def query_gradients(self, params: Array) -> Array:
        """Compute the gradients (M, P, R) of what the queries ask, at parameters (P, R)."""
        pushes = self.readout(self.network.outputs(params, self.X_query))[1]
        return self.network.point_gradients(params, self.X_query, pushes)

    def _in_tiles(
        self,
        work: "Callable[[_Tile], Array]",
        weights: Array,
        initial: Array,
        batches: Batches,
        size: tuple[int, ...],
        *,
        directions: int = 0,
        kept: int = 0,
        single: bool = False,
    ) -> Array:
        """Compute work(tile), shape (*size, R), for all tiles, and put the results together as (B, S, *size).

        A tile is so small that its buffers stay in the cache. The memory of `kept` parameter vectors, and of the vectors for each
        of `directions`, is bounded too. With `single`, each of a few replicas is a tile: one alone has faster loops.
        """
        (b, s), vector = (len(weights), initial.shape[1]), self.network.n_params
        replicas = min(_LARGEST_TILE, max(_SMALLEST_TILE, _CACHE_ENTRIES // (vector * (1 + 2 * directions))))
        replicas = max(1, min(replicas, _TRAJECTORY_BYTES // (8 * vector * (kept + 4 * directions + 4))))
        if single and b * s <= _FEW:
            replicas = 1
        seeds, rows = -(-s // -(-s // replicas)), 2 ** int(math.log2(max(1, replicas // s)))  # 2^k masks in a row share top bits
        results = np.empty((b, s, *size))
        for row in range(0, b, rows):
            for seed in range(0, s, seeds):
                who = slice(row, row + rows), slice(seed, seed + seeds)
                tile_weights, starts = weights[who[0]], initial[:, who[1]]
                of_row, of_seed = (place.ravel() for place in np.indices((len(tile_weights), starts.shape[1])))
                with np.errstate(over="ignore", invalid="ignore"):  # divergence is found below, as values that are not finite
                    tile = _Tile(self, tile_weights[of_row].T, starts[:, of_seed], batches, seed + of_seed)
                    values = work(tile)
                    if not np.isfinite(values).all():
                        place, step = tile.first_divergence(values)
                        raise DivergedError(row + int(of_row[place]), seed + int(of_seed[place]), step)
                results[who] = np.moveaxis(values, -1, 0).reshape(len(tile_weights), -1, *size)
        return results


Done = tuple[Array, list[Crossings]]
"""What `_Tile.train` wrote and returned for all steps."""


class _Tile:
    """Replicas that are trained together.

    They have weights (N, R), initial parameters (P, R), and `seeds` (R,), which are the numbers of their seeds in `batches`.
    """

    def __init__(self, plan: Descent, weights: Array, initial: Array, batches: Batches, seeds: Indices) -> None:
        self.plan, self.initial, self.seeds = plan, np.ascontiguousarray(initial), seeds
        self._job = kernels.Job(
            *plan.network.code,
            kernels.LOSSES.index(plan.loss),
            contiguous(plan.X),
            contiguous(plan.y),
            contiguous(weights),
            batches.numbers,
            seeds % batches.numbers.shape[2],
            batches.sizes,
            plan.optimizer.code,
        )

    @property
    def stride(self) -> int:
        """Return the number of steps between the states that reverse mode stores, sqrt(T) rounded down, or all T."""
        T, numbers = self.plan.snapshots[-1], _TRAIL[self.plan.optimizer.name] * self.initial.size
        return T if len(self.seeds) == 1 and 8 * T * numbers <= _SMALL_TRAIL_BYTES else math.isqrt(T)

    def trail(self, steps: int) -> Array:
        """Make room for what reverse mode needs of so many steps, (steps, P or 4 P, R)."""
        size, replicas = self.initial.shape
        return np.empty((steps, _TRAIL[self.plan.optimizer.name] * size, replicas))

    def start(self) -> State:
        """Return the state before the first step."""
        size, replicas = self.initial.shape
        return State(self.initial.copy(), np.zeros((self.plan.optimizer.memories * size, replicas)))

    def watch(self) -> Watch | None:
        """Return what finds the crossings of kinks, if the plan asks for them and the network has kinks."""
        plan = self.plan
        if not plan.crossings or plan.network.activation != "relu" or len(plan.network.widths) < 3:
            return None
        return Watch(plan.network, plan.X, plan.y, plan.loss, self._job.weights)

    def crossings(self, watch: Watch, params: Array, step: int) -> Crossings:
        """Return the crossings between the last gradients at all points and those that the step with this number takes."""
        (numbers, sizes), plan = (self._job.numbers, self._job.sizes), self.plan
        epoch, number = divmod(step, len(sizes))
        members = numbers[epoch % len(numbers)][:, self._job.seeds] == number
        return watch.crossings(params, members / sizes[number], plan.rates[step], plan.optimizer.momentum)

    def train(
        self,
        state: State,
        first: int,
        stop: int,
        trail: Array | None = None,
        codes: kernels.Codes = _NO_CODES,
        watch: Watch | None = None,
    ) -> list[Crossings]:
        """Do steps first .. stop - 1 on the state in place; write what `pull` needs into trail (stop - first, P or 4 P, R).

        `codes` (R,) are updated by the activation pattern of these steps, if there are any. Return what `watch` found before
        each step.
        """
        kept = np.empty((0, 0, 0)) if trail is None else trail
        if watch is None:
            self._descend(state, first, stop, kept, codes)
            return []
        found = list[Crossings]()
        for t in range(first, stop):
            found.append(self.crossings(watch, state.params, t))
            self._descend(state, t, t + 1, kept[t - first : t - first + 1], codes)
        return found

    def _descend(self, state: State, first: int, stop: int, trail: Array, codes: kernels.Codes) -> None:
        """Do the steps by the loops that are fastest for the number of replicas."""
        if len(self.seeds) == 1 and not len(codes):
            kernels.descend_single(self._job, self._rates(first, stop), first, *state, trail)
        else:
            kernels.descend(self._job, self._rates(first, stop), first, *state, trail, codes)

    def at_snapshots(self) -> Generator[Array]:
        """Train, and yield the parameters (P, R) at every snapshot."""
        state = self.start()
        for first, stop in pairwise((0, *self.plan.snapshots)):
            self.train(state, first, stop)
            yield state.params

    def push(self, tangents: Array, *, of_weights: int = 0, moves: Array = _NO_MOVES) -> Generator[tuple[Array, Array]]:
        """Train together with K tangents (K, P, R), and yield the parameters and the tangents at every snapshot.

        The first `of_weights` tangents are derivatives in the weights of the points with the same numbers. With `moves` (N, R)
        there is one, along which the weights of replica r move by moves[:, r].
        """
        state, watch = self.start(), self.watch()
        memories = np.zeros((len(tangents), *state.memory.shape))
        for first, stop in pairwise((0, *self.plan.snapshots)):
            if watch is None:
                kernels.push(self._job, self._rates(first, stop), first, *state, tangents, memories, of_weights, moves)
            else:
                for t in range(first, stop):
                    self.crossings(watch, state.params, t).correct(tangents, memories)
                    kernels.push(self._job, self._rates(t, t + 1), t, *state, tangents, memories, of_weights, moves)
            yield state.params, tangents

    def pull(self, adjoint: Array, kept: dict[int, tuple[State, Watch | None]], stop: int, done: Done | None = None) -> Array:
        """Carry adjoints (K, P, R) of the parameters back from before step `stop` to the start.

        Return the derivatives in the weights (K, N, R). The steps are repeated in pieces, from the states in `kept`; each was
        stored before the step with its number, and step 0 is one of them. With `done`, which has all steps, none is repeated.
        """
        size, replicas = self.initial.shape
        memories = np.zeros((len(adjoint), self.plan.optimizer.memories * size, replicas))
        result = np.zeros((len(adjoint), len(self.plan.X), replicas))
        pull = kernels.pull_single if replicas == 1 else kernels.pull
        for first in sorted((t for t in kept if t < stop), reverse=True):
            state, watch = kept[first]
            if done is None:
                trail = self.trail(stop - first)
                found = self.train(state.copy(), first, stop, trail, watch=watch.copy() if watch else None)
            else:
                trail, found = done[0][first:stop], done[1][first:stop]
            if watch is None:
                pull(self._job, self._rates(first, stop), first, trail, adjoint, memories, result)
            for t in range(stop - 1, first - 1, -1) if found else ():
                piece = trail[t - first : t - first + 1]
                pull(self._job, self._rates(t, t + 1), t, piece, adjoint, memories, result)
                found[t - first].correct(adjoint, memories, backwards=True)
            stop = first
        return result

    def _rates(self, first: int, stop: int) -> Array:
        return contiguous(self.plan.rates[first:stop])

    def first_divergence(self, values: Array) -> tuple[int, int]:
        """Return the replica whose parameters first were not finite, and the number of steps after which they were not.

        If the parameters of all replicas stay finite, return the first replica with an entry of `values` (.., R) that is not
        finite, and the last step.
        """
        state = self.start()
        for t in range(self.plan.snapshots[-1]):
            self.train(state, t, t + 1)
            bad = np.flatnonzero(~np.isfinite(state.params).all(axis=0))
            if bad.size:
                return int(bad[0]), t + 1
        finite = np.isfinite(values).reshape(-1, values.shape[-1]).all(axis=0)
        return int(np.flatnonzero(~finite)[0]), self.plan.snapshots[-1]


def _outer_products(layers: tuple[Layer, ...]) -> Array:
    """Compute gradients (R, N, .., P) from the inputs (R, N, in) and the deltas (R, N, .., out) of every layer."""
    products = [np.einsum("rni,rn...o->rn...io", layer.inputs, layer.deltas) for layer in layers]
    return np.concatenate([part.reshape(*part.shape[:-2], -1) for part in products], axis=-1)


def _outputs(tile: _Tile) -> Array:
    """Compute the outputs (K M, R)."""
    return np.concatenate([tile.plan.query_outputs(params) for params in tile.at_snapshots()])


def _branches(tile: _Tile) -> Array:
    """Compute the two halves of the hash of the activation pattern (2, R), as whole numbers."""
    plan, state = tile.plan, tile.start()
    codes = np.zeros(state.params.shape[1], np.uint64)
    for first, stop in pairwise((0, *plan.snapshots)):
        tile.train(state, first, stop, codes=codes)
        kernels.patterns(*plan.network.code, contiguous(plan.X_query), contiguous(state.params), codes)
    return np.stack([codes >> np.uint64(32), codes & np.uint64(2**32 - 1)]).astype(np.float64)


def _crossing_counts(tile: _Tile) -> Array:
    """Count the crossings and those after which training slides, (2, R)."""
    counts, state, watch = np.zeros((2, tile.initial.shape[1])), tile.start(), tile.watch()
    if watch is None:
        return counts
    for t in range(tile.plan.snapshots[-1]):
        on, seen = watch.last > 0.0, watch.seen.copy()
        tile.train(state, t, t + 1, watch=watch)
        crossed = seen[:, None] & (on != (watch.last > 0.0))
        counts += crossed.sum(axis=(0, 1)), (crossed & (watch.bands > 0.0)).sum(axis=(0, 1))
    return counts


def _parameters(tile: _Tile) -> Array:
    """Compute the parameters (K, P, R) at the snapshots."""
    return np.stack([params.copy() for params in tile.at_snapshots()])


def _forward_jacobian(tile: _Tile, moved: int) -> Array:
    """Compute the derivatives (K M, moved, R) in the weights of the first `moved` points by forward mode."""
    tangents = np.zeros((moved, *tile.initial.shape))
    return np.concatenate(
        [
            np.einsum("mpr,kpr->mkr", tile.plan.query_gradients(params), along)
            for params, along in tile.push(tangents, of_weights=moved)
        ]
    )


def _forward_lanes(tile: _Tile, lanes: int) -> Array:
    """Compute the derivative (K M, R) of every replica in the weight with its number seeds[r] mod `lanes`, if there is one."""
    moves = np.equal(np.arange(len(tile.plan.X))[:, None], tile.seeds % lanes).astype(np.float64)
    ends = tile.push(np.zeros((1, *tile.initial.shape)), moves=moves)
    return np.concatenate([np.einsum("mpr,pr->mr", tile.plan.query_gradients(params), along[0]) for params, along in ends])


def _reverse_jacobian(tile: _Tile) -> Array:
    """Compute the derivatives (K M, N, R) in all weights by reverse mode, with a state stored every `stride` steps."""
    plan, kept, ends = tile.plan, dict[int, tuple[State, Watch | None]](), list[Array]()
    state, watch, before = tile.start(), tile.watch(), 0
    T, stride = plan.snapshots[-1], tile.stride
    done: Done | None = (tile.trail(T), []) if stride == T else None
    for stop in sorted({*range(0, T, stride), *plan.snapshots}):
        found = tile.train(state, before, stop, done[0][before:stop] if done else None, watch=watch)
        if done:
            done[1].extend(found)
        if stop % stride == 0:
            kept[stop] = state.copy(), watch.copy() if watch else None
        if stop in plan.snapshots:
            ends.append(state.params.copy())
        before = stop
    adjoints = (plan.query_gradients(end) for end in ends)
    return np.concatenate([tile.pull(adjoint, kept, last, done) for adjoint, last in zip(adjoints, plan.snapshots, strict=True)])


def _amplification(tile: _Tile) -> Array:
    """Compute the spectral norms (K, R) of d theta_t / d theta_0; NaN where a derivative is not finite."""
    size, replicas = tile.initial.shape
    norms: list[Array] = []
    for _, moved in tile.push(np.eye(size)[:, :, None] * np.ones(replicas), of_weights=0):
        finite = np.flatnonzero(np.isfinite(moved).all(axis=(0, 1)))
        norms.append(np.nan * np.ones(replicas))
        norms[-1][finite] = np.linalg.norm(np.moveaxis(moved[:, :, finite], -1, 0), 2, axis=(1, 2))
    return np.stack(norms)


_TRAIL = {"sgd": 1, "adam": 4, "adamw": 4}  # vectors (P,) that reverse mode stores for every step
_FEW = 8  # replicas, up to which each is a tile, or in forward mode has replicas for every weight
_AT_ONCE = 16  # numbers that a loop over replicas takes at once (four vectors of four); the others cost as much one by one
_COLUMNS = 32  # of a Hessian that are computed at once
_CACHE_ENTRIES = 60_000  # float64 numbers of a tile's parameters and directions
_SMALLEST_TILE, _LARGEST_TILE = 32, 64
_SMALL_TRAIL_BYTES = 2**22  # what reverse mode may store of all steps of one replica
_TRAJECTORY_BYTES = 2**27  # bytes of the states that one tile stores, and of its directions
