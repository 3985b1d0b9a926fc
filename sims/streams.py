"""Random numbers of learners and data sets, by `theory.streams`."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from theory.streams import stream

__all__ = ["normals", "stream"]


@lru_cache(maxsize=8)
def normals(purpose: str, seeds: tuple[int, ...]) -> NDArray[np.float64]:
    """One standard normal number per seed, each from its own stream: (R,), not to be written to."""
    values = np.array([stream(purpose, seed).standard_normal() for seed in seeds])
    values.flags.writeable = False
    return values
