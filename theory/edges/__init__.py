"""Take edges of the cube of weights apart into an integral of the derivative and jumps (T16)."""

from theory.edges.decompose import Edges, JumpTable, chosen_edges, decompose_edges
from theory.edges.split import AGREED, SplitCoefficients, split_coefficients

__all__ = ["AGREED", "Edges", "JumpTable", "SplitCoefficients", "chosen_edges", "decompose_edges", "split_coefficients"]
