"""Check the parameters of laws, and the sizes of draws."""

import numpy as np

from theory.inputs import as_count
from theory.memory import require_memory

__all__ = ["draw_shape", "keep"]


def keep(law: object, **values: float) -> None:
    """Set checked fields of a frozen law."""
    for name, value in values.items():
        object.__setattr__(law, name, value)


def draw_shape(n_subsets: int, n_points: int, rng: np.random.Generator) -> tuple[int, int]:
    """Return the shape of a draw; raise ValueError unless both sizes are whole numbers >= 1, and rng is a generator."""
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng is a {type(rng).__name__}, expected a generator: np.random.default_rng(seed)")
    rows, columns = as_count("n_subsets", n_subsets), as_count("n_points", n_points)
    require_memory(16 * rows * columns, f"a draw of n_subsets = {rows} of n_points = {columns}", "take fewer subsets")
    return rows, columns
