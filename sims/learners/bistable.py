"""Define gradient descent on a double well from a random start; for a given start the result jumps as the weights change."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import scipy
from numpy.typing import ArrayLike

from sims.learners.shared import checks
from sims.learners.shared.representation import short_repr
from theory.response import Array
from theory.streams import normals
from theory.subsets import name_subset

__all__ = ["Bistable"]


@dataclass(frozen=True, eq=False)
class Bistable:
    """A model f_m = x_qm0 theta with one parameter theta, after `steps` steps of gradient descent on a double well.

    The objective is L = (1/N) sum_i w_i ((theta^2 - 1)^2 / 4 - y_i x_i0 theta) + (l2/2) theta^2, where x_i0 is the first column
    of X. The seed draws the start, which is init_scale times standard normal.

    As steps -> infinity, theta ends in the left or the right well, depending on the side of the barrier on which it starts. The
    barrier moves with w, so that the derivative of F(w), the mean over all starts, has a part that the derivative for a single
    start lacks (T9). The methods `limit_*` give that limit in closed form. They assume that no step crosses the barrier. With
    r = learning_rate * depth, without tilt and penalty, a start beyond sqrt(1 + 1/r) steps over the barrier, and a start beyond
    sqrt(1 + 2/r) diverges and raises an error. At r = 0.2 these are 1 in 70 and 1 in 1100 of standard normal starts; at r = 0.05
    they are about 1 in 2 * 10^5 and 1 in 7 * 10^9.

    >>> learner = Bistable([[0.0]], [1.0], [[1.0]])  # no tilt: wells at -1 and 1
    >>> sorted(set(learner.respond([[1.0]], seeds=range(8)).round(6).ravel().tolist()))
    [-1.0, 1.0]
    """

    X: Array = field(repr=False)
    y: Array = field(repr=False)
    X_query: Array = field(repr=False)
    steps: int = 200
    learning_rate: float = 0.2
    init_scale: float = 1.0
    l2: float = 0.0

    block_rows = 8

    __repr__ = short_repr

    def __post_init__(self) -> None:
        X = checks.as_design(self.X)
        checks.store(self, X=X, y=checks.as_targets(self.y, len(X)), X_query=checks.as_queries(self.X_query, X.shape[1]))
        checks.store(self, steps=checks.as_count("steps", self.steps), l2=checks.as_penalty(self.l2))
        checks.store(self, learning_rate=checks.as_positive("learning_rate", self.learning_rate))
        checks.store(self, init_scale=checks.as_positive("init_scale", self.init_scale))

    @property
    def n_points(self) -> int:
        return len(self.X)

    @property
    def n_outputs(self) -> int:
        return len(self.X_query)

    @property
    def _tilts(self) -> Array:
        """Compute y_i x_i0, shape (N,)."""
        return self.y * self.X[:, 0]

    def respond(self, weights: ArrayLike, seeds: Sequence[int]) -> Array:
        """Compute f (B, R, M) after training with weights (B, N)."""
        values = checks.as_weights(weights, self.n_points)
        theta = self._trained(values, checks.as_seeds(seeds), derivatives=False)[0]
        return theta[:, :, None] * self.X_query[:, 0]

    def weight_jacobian(self, weights: ArrayLike, seeds: Sequence[int]) -> Array:
        """Compute df/dw (B, R, M, N) for given starts, through every step; it does not include jumps."""
        values = checks.as_weights(weights, self.n_points)
        _, by_depth, by_tilt = self._trained(values, checks.as_seeds(seeds), derivatives=True)
        moved = (by_depth[:, :, None] + by_tilt[:, :, None] * self._tilts) / self.n_points  # (B, R, N)
        return moved[:, :, None] * self.X_query[:, :1]

    def _trained(self, weights: Array, seeds: tuple[int, ...], *, derivatives: bool) -> Array:
        """Train theta and, if `derivatives`, its derivatives in depth and tilt; shape (3, B, R).

        Training depends on w only through depth = sum w / N and tilt = sum w_i y_i x_i0 / N.
        """
        start = self.init_scale * normals("Bistable start", seeds)
        results = np.empty((3, len(weights), len(seeds)))
        for row, (depth, tilt) in enumerate(zip(*self._depth_and_tilt(weights), strict=True)):
            for first in range(0, len(seeds), _TILE):
                tile = slice(first, first + _TILE)
                state = _at_start(start[tile])
                for _ in range(self.steps):
                    self._step(state, depth, tilt, derivatives=derivatives)
                bad = np.flatnonzero(~np.isfinite(state).all(axis=0))
                if bad.size:
                    place = first + int(bad[0])
                    step = self._first_bad_step(start[place : place + 1], depth, tilt, derivatives=derivatives)
                    raise ArithmeticError(
                        f"{self!r} diverged on {name_subset(weights[row])}, seed {seeds[place]}, at step {step}: theta "
                        f"{'or its derivative ' if derivatives else ''}is not finite; take a smaller learning_rate or init_scale"
                    )
                results[:, row, tile] = state
        return results

    def _depth_and_tilt(self, weights: Array) -> tuple[Array, Array]:
        """Compute sum w / N and sum w_i y_i x_i0 / N for weights (B, N), shape (B,) each.

        The bits of a row do not depend on the other rows.
        """
        rows = np.ascontiguousarray(weights)
        return rows.sum(axis=1) / self.n_points, np.einsum("bn,n->b", rows, self._tilts) / self.n_points

    def _step(self, state: Array, depth: float, tilt: float, *, derivatives: bool) -> None:
        """Do one step on the state (3, R) in place: theta and, if `derivatives`, its derivatives in depth and tilt.

        theta <- theta - rate (depth (theta^3 - theta) - tilt + l2 theta).
        """
        theta, by_depth, by_tilt = state
        with np.errstate(over="ignore", invalid="ignore"):  # divergence is found later, as values that are not finite
            square = theta * theta
            well = theta * (square - 1.0)
            if derivatives:
                bend = depth * (3.0 * square - 1.0) + self.l2
                by_depth -= self.learning_rate * (bend * by_depth + well)
                by_tilt -= self.learning_rate * (bend * by_tilt - 1.0)
            theta -= self.learning_rate * (depth * well - tilt + self.l2 * theta)

    def _first_bad_step(self, start: Array, depth: float, tilt: float, *, derivatives: bool) -> int:
        """Return the number of steps after which a diverged path is first not finite, by training it again in the same way."""
        state, step = _at_start(start), 0
        while np.isfinite(state).all() and step < self.steps:
            self._step(state, depth, tilt, derivatives=derivatives)
            step += 1
        return step

    def stationary_points(self, weights: ArrayLike) -> tuple[float, float, float]:
        """Return the left well, the barrier and the right well for weights (N,); raise ValueError if there is only one well.

        They are the real roots of depth (theta^3 - theta) - tilt + l2 theta.
        """
        w = checks.as_weight_vector(weights, self.n_points)
        depth, tilt = w.sum() / self.n_points, w @ self._tilts / self.n_points
        roots = np.roots(np.array([depth, 0.0, self.l2 - depth, -tilt]))
        real = np.sort(roots[np.abs(roots.imag) < 1e-9].real)
        if len(real) != 3 or np.diff(real).min() < 1e-6:
            raise ValueError(
                f"{name_subset(w)} has one well only (depth {depth:g}, tilt {tilt:g}, l2 {self.l2:g}), expected two and a "
                "barrier: take smaller y or l2"
            )
        return float(real[0]), float(real[1]), float(real[2])

    def limit_response(self, weights: ArrayLike) -> Array:
        """Compute F, the mean over all starts, as steps -> infinity, for weights (N,); shape (M,)."""
        left, barrier, right = self.stationary_points(weights)
        below = scipy.special.ndtr(barrier / self.init_scale)
        return self.X_query[:, 0] * (left * below + right * (1.0 - below))

    def limit_pathwise_derivative(self, weights: ArrayLike) -> Array:
        """Compute the mean over starts of the derivative for a given start, as steps -> infinity; shape (N, M)."""
        left, barrier, right = self.stationary_points(weights)
        below = scipy.special.ndtr(barrier / self.init_scale)
        moved = below * self._speed(left, weights) + (1.0 - below) * self._speed(right, weights)
        return np.multiply.outer(moved, self.X_query[:, 0])

    def limit_derivative(self, weights: ArrayLike) -> Array:
        """Compute dF/dw as steps -> infinity, shape (N, M).

        It is the path-wise derivative plus (left - right) * (density of starts at the barrier) * (speed of the barrier).
        """
        left, barrier, right = self.stationary_points(weights)
        density = np.exp(-0.5 * (barrier / self.init_scale) ** 2) / np.sqrt(2.0 * np.pi) / self.init_scale
        boundary = (left - right) * density * self._speed(barrier, weights)
        return self.limit_pathwise_derivative(weights) + np.multiply.outer(boundary, self.X_query[:, 0])

    def _speed(self, theta: float, weights: ArrayLike) -> Array:
        """Compute d theta / d w_i of a stationary point theta by the implicit function theorem; shape (N,)."""
        depth = checks.as_weight_vector(weights, self.n_points).sum() / self.n_points
        return -(theta**3 - theta - self._tilts) / self.n_points / (depth * (3.0 * theta**2 - 1.0) + self.l2)


def _at_start(start: Array) -> Array:
    """Return the state (3, R) before training: theta is the start, and its derivatives are 0."""
    return np.stack([start, *np.zeros((2, len(start)))])


_TILE = 2**13
"""The number of starts that are trained at once: few enough for their state to stay in the cache."""


LEARNER = Bistable
