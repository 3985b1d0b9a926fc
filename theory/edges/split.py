"""Split datamodel coefficients into an average derivative and average jumps (T2, T16), or say why that could not be done."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from theory.derivatives import levels_of, settled_average_derivatives
from theory.edges.decompose import Edges, chosen_edges, decompose_edges
from theory.inputs import as_numbers, as_seeds
from theory.laws import EdgeLaw, FixedSize, TwoLevelLaw
from theory.metrics import relative_error
from theory.response import Array, DifferentiableLearner
from theory.streams import stream

__all__ = ["AGREED", "SplitCoefficients", "split_coefficients"]

AGREED = 1e-6
"""Relative error up to which the average derivative alone is taken for beta, without a search for jumps on every edge."""


@dataclass(frozen=True)
class SplitCoefficients:
    """E[int D_i dt] and E[sum of jumps] for L laws, (L, N, M) each, beside beta.

    `error` (L,) is ||average + jumps - beta|| / ||beta||; where edges were taken apart it is at least `Edges.gap`, in which
    errors of different edges don't cancel, and where edges were drawn it is that gap on the drawn edges. `standard_error`
    (L, N, M) is that of drawn edges, else 0. `nodes` is the number of Gauss nodes if one quadrature did for all edges, else 0.
    `reason` says why nothing can be judged; it is empty where the numbers have converged. Where edges were drawn, laws that need
    all of them (semivalues, FixedSize) have NaN, and `reason` names one.
    """

    average: Array
    jumps: Array
    error: Array
    standard_error: Array
    n_jumps: int
    edges: int
    n_edges: int
    nodes: int
    reason: str

    @property
    def settled(self) -> bool:
        """Return whether the identity can be judged."""
        return not self.reason


def split_coefficients(
    learner: DifferentiableLearner,
    laws: Sequence[EdgeLaw | FixedSize],
    seeds: Sequence[int],
    beta: ArrayLike,
    *,
    most_derivatives: int = 2**24,
    most_trainings: int = 2_000_000,
    agreed: float = AGREED,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> SplitCoefficients:
    """Compute both parts of beta (L, N, M) for laws with the same two levels; beta itself decides only how much is looked for.

    One edge of every point is taken apart first. If F does not jump there, the average derivative is computed with as many nodes
    as it needs (`settled_average_derivatives`), at no more than `most_derivatives`. Only if F jumps, or the average derivative
    does not settle, or misses beta by more than `agreed`, all edges are taken apart, or as many random ones as `most_trainings`
    allow.

    >>> from sims.learners import LeastSquares
    >>> from theory.laws import Bernoulli
    >>> learner = LeastSquares([[1.0]], [1.0], [[1.0]], undefined="min_norm")  # F(0) = 0, else 1
    >>> parts = split_coefficients(learner, [Bernoulli(0.5)], [0], [[[1.0]]])
    >>> parts.average.tolist(), parts.jumps.tolist(), parts.n_jumps, parts.settled
    ([[[0.0]]], [[[1.0]]], 1, True)
    """
    seeds, expected = as_seeds(seeds), as_numbers("beta", beta, "(L, N, M), one datamodel for each law")
    shape = (len(laws), learner.n_points, learner.n_outputs)
    if expected.shape != shape:
        raise ValueError(f"beta has shape {expected.shape}, expected {shape}: one datamodel for each law")
    levels, rng = levels_of(laws), stream("edges of the cube, split", 0)
    n = learner.n_points
    subsets = (rng.random((n, n)) < 0.5) & ~np.eye(n, dtype=np.bool_)
    pilot = chosen_edges(learner, seeds, range(n), subsets.astype(np.float64), levels=levels, most_trainings=most_trainings // 4)
    why = ""
    if not pilot.has_jumps:
        settled = settled_average_derivatives(
            learner, laws, seeds, tolerance=1e-2 * agreed, most_derivatives=most_derivatives, progress=progress
        )
        why = settled.reason
        if settled.average is not None:
            error = np.array([relative_error(*pair) for pair in zip(settled.average, expected, strict=True)])
            none = np.zeros(shape)
            if (error <= agreed).all():
                n_edges = n * 2 ** (n - 1)
                return SplitCoefficients(settled.average, none, error, none, 0, n_edges, n_edges, settled.nodes, "")
    edges = decompose_edges(learner, seeds, levels=levels, most_trainings=most_trainings)
    return _of_edges(edges, laws, expected, why)


def _of_edges(edges: Edges, laws: Sequence[EdgeLaw | FixedSize], beta: Array, why: str) -> SplitCoefficients:
    need_all = [law for law in laws if edges.sampled and not isinstance(law, TwoLevelLaw)]
    none = (np.full(beta.shape[1:], np.nan),) * 2
    whole, jumps = (
        [none if law in need_all else part(law) for law in laws] for part in (edges.coefficients, edges.average_jumps)
    )
    total, standard_error, jump = (
        np.stack([value for value, _ in whole]),
        np.stack([error for _, error in whole]),
        np.stack([value for value, _ in jumps]),
    )
    errors = [
        np.nan if law in need_all else edges.gap if edges.sampled else float(np.max([relative_error(*pair), edges.gap]))
        for law, *pair in zip(laws, total, beta, strict=True)
    ]
    reason = ""
    if need_all:
        few = f"{len(edges.points)} edges of {edges.n_edges} were drawn, and {need_all[0]} needs all: allow more trainings"
        reason = f"{few}; {why}" if why else few
    elif not edges.finished.all():
        share = 1.0 - float(edges.finished.mean())
        reason = f"{edges.trainings} trainings left {share:.0%} of {len(edges.points)} edges unfinished" + (
            f"; {why}" if why else ""
        )
    elif AGREED < edges.gap <= 8.0 * edges.rounding:
        reason = f"rounding of the learner moves F by {edges.rounding:.1g} of its changes right beside jumps"
    return SplitCoefficients(
        total - jump,
        jump,
        np.array(errors),
        standard_error,
        len(edges.jump_table),
        len(edges.points),
        edges.n_edges,
        0,
        reason,
    )
