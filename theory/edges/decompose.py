"""Take the edges of the cube {low, high}^N apart into the integral of the derivative and the jumps of F (T16)."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from theory.answers import require_learner
from theory.derivatives import levels_of
from theory.edges.line import END, Bundle, Indices, Meter
from theory.edges.pieces import MARKS, Findings
from theory.edges.walk import walk
from theory.inputs import as_count, as_number, as_seed, as_seeds, shown
from theory.laws import EdgeLaw, FixedSize, TwoLevelLaw
from theory.memory import require_memory
from theory.response import Array, DifferentiableLearner, takes_masks_only
from theory.streams import stream
from theory.subsets import mask_rows

__all__ = ["Edges", "JumpTable", "chosen_edges", "decompose_edges"]


@dataclass(frozen=True)
class JumpTable:
    """J jumps of F for single seeds: on edge `edge`, for seed number `seed`, between t and the next float; size (J, M)."""

    edge: Indices
    seed: Indices
    t: Array
    size: Array

    def __len__(self) -> int:
        return len(self.edge)


@dataclass(frozen=True)
class Edges:
    """What makes F change along E edges, for R seeds and on K equal intervals of each edge: arrays (E, R, K, M).

    On edge e, weight `points[e]` goes from the low to the high level, t from 0 to 1, and the points of `subsets[e]` (N,) are at
    the high level, the others at the low one. Where D is the derivative of F, change = integral + jumps up to the tolerance. The
    `integral` is that of dF/dt between the jumps; a jump lies between neighbouring floats (`jump_table`). `finished` (E, R) is
    False where the trainings did not suffice. `n_edges` is the number of edges of the cube; if E is less, they were drawn at
    random, equally many for each point.
    """

    points: Indices
    subsets: Array
    levels: tuple[float, float]
    n_edges: int
    change: Array
    integral: Array
    jumps: Array
    noise: Array  # (E, R, M)
    finished: NDArray[np.bool_]
    jump_table: JumpTable
    trainings: int

    @property
    def sampled(self) -> bool:
        """Return whether the edges are a sample."""
        return len(self.points) < self.n_edges

    @property
    def has_jumps(self) -> bool:
        """Return whether F jumps on any of the edges, for any of the seeds."""
        return len(self.jump_table) > 0

    @property
    def gap(self) -> float:
        """Return ||change - integral - jumps|| / ||change||, over all edges, intervals and outputs, for the mean over seeds.

        Errors of different edges or intervals don't cancel in it. It is NaN where F does not change at all.
        """
        change, integral, jumps = (x.mean(axis=1) for x in (self.change, self.integral, self.jumps))
        size = np.linalg.norm(change)
        return float(np.linalg.norm(change - integral - jumps) / size) if size else float("nan")

    @property
    def rounding(self) -> float:
        """Return how far F moves right beside its jumps, relative to ||change||: no gap can be expected below it."""
        size = np.linalg.norm(self.change.mean(axis=1))
        return float(np.linalg.norm(self.noise.mean(axis=1)) / size) if size else 0.0

    def coefficients(self, law: EdgeLaw | FixedSize) -> tuple[Array, Array]:
        """Compute E[int D dt] + E[sum of jumps], which is beta_i(law) by T16, and its standard error; both (N, M).

        For Shapley() and other semivalues it is their value, by T13. The expectation is over the other weights, and F is the mean
        over seeds. The error is that of drawn edges, 0 if all are there. Raises ValueError for a law with other levels, and for
        a semivalue where edges were drawn: drawn edges may miss the sizes that it counts.
        """
        return self._mean(self.integral + self.jumps, law)

    def average_jumps(self, law: EdgeLaw | FixedSize) -> tuple[Array, Array]:
        """Compute E[sum of jumps of F], the part of beta_i(law) that the derivative misses, and its standard error; (N, M)."""
        return self._mean(self.jumps, law)

    def _mean(self, values: Array, law: EdgeLaw | FixedSize) -> tuple[Array, Array]:
        levels = levels_of([law])
        if self.sampled and not isinstance(law, TwoLevelLaw):
            raise ValueError(f"{law} with {len(self.points)} drawn edges of {self.n_edges}, expected all: allow more trainings")
        low, high = self.levels
        if levels != self.levels:
            raise ValueError(f"{law} has the levels {levels}, expected {self.levels}: those of the edges")
        n, totals = self.subsets.shape[1], values.mean(axis=1).sum(axis=1) / (high - low)  # (E, M)
        if isinstance(law, FixedSize):
            exact = law.edge_weights(self.points, self.subsets) @ totals
            return exact, np.zeros_like(exact)
        per_set = law.size_probabilities(n) / [math.comb(n - 1, k) for k in range(n)]
        weighted = totals * 2.0 ** (n - 1) * per_set[self.subsets.sum(axis=1).astype(np.int64), None]
        of_point = [weighted[self.points == i] for i in range(n)]
        if (fewest := min(map(len, of_point))) < (2 if self.sampled else 1):
            raise ValueError(
                f"some point has {fewest} of the {len(self.points)} edges, expected two at least for a mean and its error"
            )
        left = 1.0 - len(self.points) / self.n_edges
        errors = [part.std(axis=0, ddof=1) * np.sqrt(left / len(part)) if self.sampled else part[0] * 0.0 for part in of_point]
        return np.stack([part.mean(axis=0) for part in of_point]), np.stack(errors)


def decompose_edges(
    learner: DifferentiableLearner,
    seeds: Sequence[int],
    *,
    levels: tuple[float, float] = (0.0, 1.0),
    tolerance: float = 1e-9,
    most_trainings: int = 2_000_000,
    seed: int = 0,
) -> Edges:
    """Find all jumps of F along the edges of the cube {low, high}^N, and integrate D_i between them; every seed by itself.

    By T16, beta_i^(p) = E[int_0^1 D_i dt] + E[sum of the jumps of F in t on [0, 1]]: the optimal datamodel coefficient of a
    learner that jumps, at weight 0 (minimum norm), inside (relu, thresholds) or at weight 1. `theory.edges.walk` says how jumps
    are found, and why a wrong derivative cannot pass. `tolerance` bounds the error of the integral along one edge, as a share of
    the range of F. A learner with a method `branch` (see `theory.response.branch_of`) is searched faster.

    If all edges would take more than `most_trainings`, as judged by one edge of every point, edges are drawn at random with
    `seed`, at least two of every point. The trainings can then still run out: see `Edges.finished`.

    >>> from sims.learners import LeastSquares
    >>> from theory.laws import Bernoulli
    >>> learner = LeastSquares([[1.0], [1.0]], [1.0, 3.0], [[1.0]], undefined="min_norm")  # F(0, 0) = 0, else a mean
    >>> edges = decompose_edges(learner, [0])
    >>> edges.coefficients(Bernoulli(0.5))[0].round(6).tolist()  # (1 + 2 - 3) / 2 and (3 + 2 - 1) / 2
    [[0.0], [2.0]]
    >>> edges.average_jumps(Bernoulli(0.5))[0].round(6).tolist()  # F(1, 0) - F(0, 0) = 1 and F(0, 1) - F(0, 0) = 3, half the time
    [[0.5], [1.5]]
    """
    seeds, low_high = _checked(learner, seeds, levels)
    tolerance = as_number("tolerance", tolerance, "a number > 0 and < 1", above=0.0, below=1.0)
    most, rng = as_count("most_trainings", most_trainings), stream("edges of the cube", as_seed(seed))
    n = learner.n_points
    per_point = 2 ** (n - 1)
    require_memory(8 * n * per_point * (n + 3 * len(seeds) * MARKS * learner.n_outputs), "all edges", "take fewer points")
    order = np.stack([rng.permutation(per_point) for _ in range(n)])  # (N, 2^(N-1)), the edges of each point in random order
    pilot = _walked(learner, seeds, low_high, order[:, :1], tolerance, most // 2)
    affordable = int(n * max(1.0, (most - pilot.trainings) / max(1, pilot.trainings))) // n
    count = per_point if affordable >= per_point - 1 else max(1, affordable)
    if per_point == 1:
        return pilot
    rest = _walked(learner, seeds, low_high, order[:, 1 : count + 1], tolerance, most)
    return _joined(pilot, rest)


def chosen_edges(
    learner: DifferentiableLearner,
    seeds: Sequence[int],
    points: Sequence[int],
    subsets: Array,
    *,
    levels: tuple[float, float] = (0.0, 1.0),
    tolerance: float = 1e-9,
    most_trainings: int = 2_000_000,
) -> Edges:
    """Take chosen edges apart: edge e moves weight `points[e]`, with `subsets[e]` (N,) at the high level; see `decompose_edges`.

    >>> from sims.learners import MovingJump
    >>> learner = MovingJump([[1.0], [1.0]], [1.0, 1.0], [[1.0]])  # f = sign(r + (w_0 + w_1) / 2)
    >>> edges = chosen_edges(learner, range(32), [0], np.array([[0.0, 1.0]]))
    >>> len(edges.jump_table), edges.gap  # r is in (-1, -1/2] for some seeds
    (3, 0.0)
    """
    seeds, low_high = _checked(learner, seeds, levels)
    moved, others = np.asarray(points, dtype=np.int64), np.array(subsets, dtype=np.float64)
    if others.shape != (len(moved), learner.n_points) or not np.isin(others, (0.0, 1.0)).all():
        raise ValueError(f"subsets has shape {others.shape}, expected ({len(moved)}, {learner.n_points}) of zeros and ones")
    tolerance = as_number("tolerance", tolerance, "a number > 0 and < 1", above=0.0, below=1.0)
    return _decomposed(learner, seeds, low_high, moved, others, tolerance, as_count("most_trainings", most_trainings))


def _checked(learner: object, seeds: Sequence[int], levels: tuple[float, float]) -> tuple[tuple[int, ...], tuple[float, float]]:
    require_learner(learner)
    if not isinstance(learner, DifferentiableLearner):
        raise TypeError(
            f"{type(learner).__name__} has no weight_jacobian, expected a learner with derivatives; where F is constant between "
            "jumps, weight_jacobian returns zeros (B, R, M, N)"
        )
    if takes_masks_only(learner):
        raise ValueError(f"{type(learner).__name__} takes weights 0 and 1 only, expected a learner with weights between them")
    if len(levels) != 2 or not 0.0 <= levels[0] < levels[1] < np.inf:
        raise ValueError(f"levels = {shown(levels)}, expected two weights 0 <= low < high")
    return as_seeds(seeds), (float(levels[0]), float(levels[1]))


def _walked(
    learner: DifferentiableLearner,
    seeds: tuple[int, ...],
    levels: tuple[float, float],
    masks: Indices,
    tolerance: float,
    most: int,
) -> Edges:
    """Take the edges apart that are given by masks (N, E) of the other points."""
    n = learner.n_points
    points = np.repeat(np.arange(n), masks.shape[1])
    others = np.concatenate([mask_rows(0, 2 ** (n - 1), n - 1)[row] for row in masks]) if n > 1 else np.empty((len(points), 0))
    subsets = np.stack([np.insert(row, i, 0.0) for row, i in zip(others, points, strict=True)])
    return _decomposed(learner, seeds, levels, points, subsets, tolerance, most)


def _decomposed(
    learner: DifferentiableLearner,
    seeds: tuple[int, ...],
    levels: tuple[float, float],
    points: Indices,
    subsets: Array,
    tolerance: float,
    most: int,
) -> Edges:
    low, high = levels
    spent, found = 0, list[Findings]()
    for done, one in enumerate(seeds):
        meter = Meter()
        share = (most - spent) // (len(seeds) - done)  # what earlier seeds did not use is left to later ones
        found.append(
            walk(Bundle(learner, one, points, low + (high - low) * subsets, levels, meter), tolerance=tolerance, most=share)
        )
        spent += meter.spent
    counts = [sum(map(len, one.jump_edges)) for one in found]
    places = np.concatenate([np.empty(0), *(place for one in found for place in one.jump_places)])
    table = JumpTable(
        np.concatenate([np.empty(0, np.int64), *(edge for one in found for edge in one.jump_edges)]),
        np.repeat(np.arange(len(seeds)), counts),
        places / END,
        np.concatenate([np.empty((0, learner.n_outputs)), *(size for one in found for size in one.jump_sizes)]),
    )
    return Edges(
        points,
        subsets,
        levels,
        learner.n_points * 2 ** (learner.n_points - 1),
        **{name: np.stack([getattr(one, name) for one in found], axis=1) for name in ("change", "integral", "jumps", "noise")},
        finished=~np.stack([one.unfinished for one in found], axis=1),
        jump_table=table,
        trainings=spent,
    )


def _joined(one: Edges, two: Edges) -> Edges:
    """Return the edges of both."""
    a, b = one.jump_table, two.jump_table
    edge = np.concatenate([a.edge, b.edge + len(one.points)])
    table = JumpTable(edge, **{name: np.concatenate([getattr(a, name), getattr(b, name)]) for name in ("seed", "t", "size")})
    names = ("points", "subsets", "change", "integral", "jumps", "noise", "finished")
    arrays = {name: np.concatenate([getattr(one, name), getattr(two, name)]) for name in names}
    return dataclasses.replace(one, **arrays, jump_table=table, trainings=one.trainings + two.trainings)
