"""Integrate a derivative over many short pieces of edges, and say what the response should be inside each."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from theory.edges.line import END, Bundle, Indices
from theory.response import Array

__all__ = ["Rule", "integrate"]


@dataclass(frozen=True)
class Rule:
    """The derivative at n Gauss-Legendre nodes of B pieces: `slopes` (n, B, M) and the pieces' widths in t (B,)."""

    slopes: Array
    widths: Array

    @property
    def integral(self) -> Array:
        """Return the integrals over the pieces, (B, M)."""
        _, weights = _nodes(len(self.slopes))
        return np.einsum("n,nbm,b->bm", weights, self.slopes, 0.5 * self.widths)

    @property
    def shares(self) -> Array:
        """Return the places of the nodes as shares of a piece, (n,)."""
        return 0.5 * (_nodes(len(self.slopes))[0] + 1.0)

    def up_to(self, share: Array) -> Array:
        """Return the integral from the start of each piece up to the given share of it (B,); shape (B, M).

        It is exact for the polynomial through the nodes: with Legendre coefficients c_k = (k + 1/2) sum_j w_j P_k(x_j) g_j.
        """
        primitive = np.polynomial.legendre.legint(self._coefficients(), lbnd=-1, axis=0)
        at = np.broadcast_to((2.0 * share - 1.0)[:, None], primitive.shape[1:])
        return 0.5 * self.widths[:, None] * np.polynomial.legendre.legval(at, primitive, tensor=False)

    def take(self, which: Indices) -> "Rule":
        """Return the rule on some of the pieces."""
        return Rule(self.slopes[:, which], self.widths[which])

    def _coefficients(self) -> Array:
        n = len(self.slopes)
        nodes, weights = _nodes(n)
        matrix = (np.arange(n)[:, None] + 0.5) * np.polynomial.legendre.legvander(nodes, n - 1).T * weights
        return np.tensordot(matrix, self.slopes, axes=1)


def integrate(bundle: Bundle, edge: Indices, low: Indices, high: Indices, n: int) -> Rule:
    """Ask for the derivative at the n nodes of the pieces (low, high) of edges (B,)."""
    nodes, _ = _nodes(n)
    start, width = low / END, (high - low) / END
    t = start + width * (0.5 * (nodes[:, None] + 1.0))
    slopes = bundle.slope(np.tile(edge, n), t.ravel())
    return Rule(slopes.reshape(n, len(edge), -1), width)


@lru_cache(maxsize=16)
def _nodes(n: int) -> tuple[Array, Array]:
    nodes, weights = np.polynomial.legendre.leggauss(n)
    return nodes, weights
