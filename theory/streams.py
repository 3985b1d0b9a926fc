"""Make random streams that never overlap and never change: one counter-based generator per (purpose, seed)."""

import hashlib
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from theory.inputs import as_seed

__all__ = ["normals", "stream"]


def stream(purpose: str, seed: int) -> np.random.Generator:
    """Return the generator of a purpose and a seed: Philox, keyed by 64 bits of sha256(purpose) and the seed.

    0 <= seed < 2^63. Streams of different purposes are independent, however many numbers each of them has drawn.
    Source: Salmon et al. 2011.
    """
    word = int.from_bytes(hashlib.sha256(purpose.encode()).digest()[:8], "little")
    return np.random.Generator(np.random.Philox(key=np.array([word, as_seed(seed)], dtype=np.uint64)))


@lru_cache(maxsize=8)
def normals(purpose: str, seeds: tuple[int, ...]) -> NDArray[np.float64]:
    """Draw one standard normal number per seed, each from its own stream; a read-only array (R,)."""
    values = np.array([stream(purpose, seed).standard_normal() for seed in seeds])
    values.flags.writeable = False
    return values
