"""Take edges of the cube of weights apart into an integral of the derivative and jumps (T16)."""

from theory.edges.decompose import Edges, JumpTable, decompose_edges, grid_edges

__all__ = ["Edges", "JumpTable", "decompose_edges", "grid_edges"]
