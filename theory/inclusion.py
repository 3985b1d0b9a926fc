"""Read the weight of a point as the probability that training includes it (T15): derivatives from mean responses alone.

If r also draws the subset, the response at weights q is Ftilde(q) = E_{S~q} F(1_S); S contains point i with probability q_i.
Ftilde is affine in every q_i, so that a difference over any step is the derivative. At q = p 1 the derivative is beta_i^(p) (T1),
for every learner, smooth or not; at q = 1 it is leave-one-out.
"""

import numpy as np
from numpy.typing import ArrayLike

from theory.inputs import as_count, as_number, as_seed
from theory.response import Array, as_table
from theory.streams import stream
from theory.transforms import multilinear_extension

__all__ = ["drawn_inclusion_differences", "inclusion_differences"]


def inclusion_differences(table: ArrayLike, p: float, step: float = 0.25) -> Array:
    """Compute the difference quotient of Ftilde in every q_i at q = p 1, shape (N, M).

    It is (Ftilde(q + h e_i) - Ftilde(q - h e_i)) / 2h; the upper end of the step is 1 at most, and the lower end 0 at least.

    >>> inclusion_differences([[0], [1], [1], [4]], 0.5).tolist()  # q_0 + q_1 + 2 q_0 q_1
    [[2.0], [2.0]]
    >>> inclusion_differences([[0], [1], [1], [4]], 1.0).tolist()  # leave-one-out
    [[3.0], [3.0]]
    """
    values, n = as_table(table)
    low, high = _ends(p, step)
    at = np.full((n, n), float(p))

    def moved(end: float) -> Array:
        return np.stack([multilinear_extension(values, q) for q in np.where(np.eye(n) > 0.0, end, at)])

    return (moved(high) - moved(low)) / (high - low)


def drawn_inclusion_differences(
    table: ArrayLike, p: float, n_draws: int, seed: int = 0, step: float = 0.25
) -> tuple[Array, Array]:
    """Estimate the difference quotients of `inclusion_differences` from drawn subsets, with standard errors; both (N, M).

    Point i is included where a uniform number U_i is below its probability. For every draw and point, the response with the
    probability at the upper end of the step is compared with that at the lower end, for the same U: they differ if U_i lies
    between the ends. The responses are those in the table, which hold retrainings on every subset.

    >>> mean, error = drawn_inclusion_differences([[0], [1], [1], [4]], 0.5, n_draws=1000)
    >>> bool((abs(mean - 2.0) < 4.0 * error).all()), bool((error < 0.1).all())
    (True, True)
    """
    values, n = as_table(table)
    low, high = _ends(p, step)
    count = as_count("n_draws", n_draws, ": standard errors need two draws", least=2)
    uniform = stream("drawn inclusion", as_seed(seed)).random((count, n))
    bits = 2 ** np.arange(n)
    rest = (uniform < p) @ bits
    mean, error = np.empty((2, n, values.shape[1]))
    for i in range(n):
        without = rest & ~bits[i]
        changed = ((uniform[:, i] >= low) & (uniform[:, i] < high))[:, None]
        quotient = changed * (values[without | bits[i]] - values[without]) / (high - low)
        mean[i], error[i] = quotient.mean(axis=0), quotient.std(axis=0, ddof=1) / np.sqrt(count)
    return mean, error


def _ends(p: float, step: float) -> tuple[float, float]:
    """Return the ends of the step, within [0, 1]."""
    at = as_number("p", p, "a probability, 0 <= p <= 1", least=0.0, most=1.0)
    h = as_number("step", step, "a number > 0 and <= 1", above=0.0, most=1.0)
    return max(at - h, 0.0), min(at + h, 1.0)
