"""Ask a learner along edges of the cube, for one seed: the response, its derivative and the branch of training.

A place on an edge is a whole number k from 0 to 2^53; it stands for t = k 2^-53, so that neighbouring places are neighbouring
floats just below 1, and half-way places are exact.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from theory.answers import answer_of
from theory.response import BLOCK, Array, Branches, DifferentiableLearner, branch_of, weight_jacobian_column

__all__ = ["END", "Bundle", "Indices", "Meter"]

Indices = NDArray[np.int64]

END = 2**53
"""The place of t = 1."""


@dataclass
class Meter:
    """The number of trainings that were asked for; a derivative counts as one too."""

    spent: int = 0


@dataclass(frozen=True)
class Bundle:
    """E edges for one seed: on edge e, weight `points[e]` is low + (high - low) t, and the others stay at `rest[e]` (N,)."""

    learner: DifferentiableLearner
    seed: int
    points: Indices  # (E,)
    rest: Array  # (E, N); the entry of the moving point is not used
    levels: tuple[float, float]
    meter: Meter = field(default_factory=Meter)

    @property
    def n_outputs(self) -> int:
        """Return M."""
        return self.learner.n_outputs

    def weights(self, edge: Indices, t: Array) -> Array:
        """Return the weights (B, N) at t (B,) on the edges (B,)."""
        low, high = self.levels
        rows = self.rest[edge]
        rows[np.arange(len(edge)), self.points[edge]] = np.where(t < 1.0, low + (high - low) * t, high)
        return rows

    def respond(self, edge: Indices, place: Indices) -> Array:
        """Return F for this seed at places (B,) of edges (B,); shape (B, M)."""
        rows = self._counted(edge, place / END)
        parts = [answer_of(self.learner, part, (self.seed,))[:, 0] for part in _blocks(rows)]
        return np.concatenate([np.empty((0, self.n_outputs)), *parts])

    def branch(self, edge: Indices, place: Indices) -> Branches | None:
        """Return the branch that training took, (B, K), or None where the learner does not say."""
        if not hasattr(self.learner, "branch"):
            return None
        rows = self._counted(edge, place / END)
        parts = [branch_of(self.learner, part, (self.seed,)) for part in _blocks(rows)]
        return np.concatenate([part[:, 0] for part in parts if part is not None]) if parts else np.empty((0, 1), np.int64)

    def slope(self, edge: Indices, t: Array) -> Array:
        """Return dF/dt, which is (high - low) D_i, at t (B,) on edges (B,); shape (B, M)."""
        rows, slopes = self._counted(edge, t), np.empty((len(edge), self.n_outputs))
        for point in np.unique(self.points[edge]):
            (mine,) = np.nonzero(self.points[edge] == point)
            for part in np.array_split(mine, -(-len(mine) // BLOCK)):
                slopes[part] = weight_jacobian_column(self.learner, rows[part], (self.seed,), int(point))[:, 0]
        return (self.levels[1] - self.levels[0]) * slopes

    def _counted(self, edge: Indices, t: Array) -> Array:
        self.meter.spent += len(edge)
        return self.weights(edge, t)


def _blocks(rows: Array) -> list[Array]:
    return [rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK)]
