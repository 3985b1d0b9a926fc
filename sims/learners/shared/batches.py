"""Draw the minibatches of gradient descent, the same for every learner that is trained with them."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from theory.streams import stream

__all__ = ["batch_numbers", "n_epochs"]


def n_epochs(n_points: int, size: int, steps: int) -> int:
    """Return how many orders of the points are drawn; one is enough if a batch has all points, because it is always the same.

    >>> n_epochs(5, 2, steps=7), n_epochs(5, 5, steps=7)  # an epoch has the batches of 2, 2 and 1 points
    (3, 1)
    """
    per_epoch = -(-n_points // size)
    return 1 if per_epoch == 1 else -(-steps // per_epoch)


@lru_cache(maxsize=256)
def batch_numbers(seed: int, n_points: int, size: int, epochs: int) -> NDArray[np.integer]:
    """Draw for every epoch the number of the batch that contains each point; shape (epochs, N).

    The batches are consecutive parts of a random order of all points. The array must not be changed.
    """
    order = stream("MLP batch order", seed).permuted(np.tile(np.arange(n_points), (epochs, 1)), axis=1)
    return (np.argsort(order, axis=1) // size).astype(np.min_scalar_type(n_points))
