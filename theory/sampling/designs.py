"""Draw designs, the subsets to retrain on; dependent subsets can need fewer retrainings for the same error.

Every row of a design has the design's law. `groups` says which rows depend on each other; `fit_sampled` needs it for the standard
errors, so pass it the whole design. Draws come from `theory.streams`: the same seed gives the same bits, and a longer design of
the same kind begins with the shorter one.

Who wants influence, leave-one-out or Shapley values, and not a datamodel, asks for them by name: `for_influence`,
`for_leave_one_out` and `for_shapley` (`theory.sampling.plans`) return the weights to retrain with and the estimate made of them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from theory.inputs import as_count, shown
from theory.laws import Bernoulli, FixedSize
from theory.memory import require_memory
from theory.response import Array
from theory.sampling.hadamard import hadamard, hadamard_orders
from theory.sampling.plans import Estimate, Plan, for_influence, for_leave_one_out, for_shapley
from theory.streams import stream

__all__ = [
    "Design",
    "Estimate",
    "Plan",
    "antithetic",
    "fold_over",
    "for_influence",
    "for_leave_one_out",
    "for_shapley",
    "hadamard",
    "hadamard_orders",
    "independent",
]


@dataclass(frozen=True)
class Design:
    """A design has the subsets masks (m, N) of 0 and 1, each of which has the given law."""

    name: str
    masks: Array
    law: Bernoulli | FixedSize
    groups: NDArray[np.intp] | None = None  # (m,), equal for rows that were drawn together; None: all rows are independent


def independent(law: Bernoulli | FixedSize, *, n_subsets: int, n_points: int, seed: int) -> Design:
    """Draw m independent subsets from a law: Bernoulli(p), or FixedSize(k) as in Ilyas et al. 2022.

    >>> independent(FixedSize(2), n_subsets=3, n_points=4, seed=0).masks.sum(axis=1).tolist()
    [2.0, 2.0, 2.0]
    """
    masks = _law(law).draw(n_subsets=n_subsets, n_points=n_points, rng=stream("design independent", seed))
    return Design("independent", masks, law)


def antithetic(law: Bernoulli | FixedSize, *, n_subsets: int, n_points: int, seed: int) -> Design:
    """Draw pairs (S, complement of S), rows 2k and 2k + 1, with independent S (Hammersley & Morton 1956).

    F(S) - F(complement) has no terms of even degree in the Walsh expansion: at p = 1/2 beta has variance 8 (B_3 + B_5 + ..) / m
    for large m, against 4 (B_2 + B_3 + ..) / m of independent draws (T8). It is smaller if B_2 + B_4 + .. > B_3 + B_5 + ..;
    m/2 > N is required. The residuals of a pair are dependent: HC3 would include the even part, and half of the odd one.
    `groups` are the pairs.

    >>> design = antithetic(Bernoulli(0.5), n_subsets=4, n_points=3, seed=0)
    >>> (design.masks[0] + design.masks[1]).tolist(), design.groups.tolist()
    ([1.0, 1.0, 1.0], [0, 0, 1, 1])
    """
    n_points, n_subsets = as_count("n_points", n_points), as_count("n_subsets", n_subsets, ", an even number")
    if n_subsets % 2:
        raise ValueError(f"n_subsets = {n_subsets}, expected an even number >= 2: subsets come in pairs")
    _require_symmetric(_law(law), n_points)
    half = law.draw(n_subsets=n_subsets // 2, n_points=n_points, rng=stream("design antithetic", seed))
    masks = np.stack([half, 1.0 - half], axis=1).reshape(n_subsets, n_points)
    return Design("antithetic", masks, law, _pairs(n_subsets))


def fold_over(*, n_replicates: int, n_points: int, seed: int, order: int | None = None) -> Design:
    """Take rows of a Hadamard matrix and their negatives, at p = 1/2: 2 n subsets per replicate, n = `order` >= N.

    Plackett & Burman 1946, folded over as by Box & Wilson 1951: presence columns are orthogonal to each other and to all products
    of two. Even degrees therefore cancel exactly and odd ones from 3 up remain, as for pairs of complements, but without the
    chance correlations between points. Each replicate assigns the points to a random N of the n columns, each with a random
    sign: every subset is then uniform, and beta exactly unbiased. By default n is the least order >= N of `hadamard_orders`.

    `groups` are the pairs of complements, rows 2k and 2k + 1. Pairs of one replicate are not independent, but as columns are
    assigned at random, the unused columns and the other replicates show the error of the used ones: errors need n > N or several
    replicates R, and hold with errors="hc2" (the jackknife is conservative, by the factor R n / (R n - N)).

    >>> signs = 2.0 * fold_over(n_replicates=1, n_points=3, seed=0).masks - 1.0
    >>> (signs.T @ signs).tolist()  # orthogonal columns
    [[8.0, 0.0, 0.0], [0.0, 8.0, 0.0], [0.0, 0.0, 8.0]]
    """
    n_points, n_replicates = as_count("n_points", n_points), as_count("n_replicates", n_replicates)
    order = None if order is None else as_count("order", order)
    n_bytes = 16 * n_replicates * max(n_points, order or 0) ** 2
    require_memory(n_bytes, f"{n_replicates} replicates of {n_points} points, order {order}", "take fewer")
    orders = hadamard_orders(2 * max(n_points, order or 0, 4))
    n = next(k for k in orders if k >= n_points) if order is None else order
    if n not in orders or n < n_points:
        fitting = [k for k in orders if k >= n_points]
        raise ValueError(f"order = {order}, expected a constructed order >= N = {n_points}, such as {fitting[:6]}")
    matrix, rng = hadamard(n), stream("design fold-over", seed)
    replicates = list[Array]()
    for _ in range(n_replicates):
        columns, signs = rng.permutation(n)[:n_points], rng.integers(0, 2, n_points) * 2.0 - 1.0
        half = matrix[:, columns] * signs
        replicates.append(np.stack([half, -half], axis=1).reshape(2 * n, n_points))
    masks = (np.concatenate(replicates) + 1.0) / 2.0
    return Design("fold-over", masks, Bernoulli(0.5), _pairs(len(masks)))


def _pairs(n_rows: int) -> NDArray[np.intp]:
    return np.arange(n_rows, dtype=np.intp) // 2


def _require_symmetric(law: Bernoulli | FixedSize, n_points: int) -> None:
    if isinstance(law, FixedSize):
        if 2 * law.k != n_points:
            raise ValueError(f"law {law} with N = {n_points}: complements have {n_points - law.k} points, expected k = N/2")
    elif law.p != 0.5:
        raise ValueError(f"law {law}: complements have p = {1.0 - law.p:g}, expected p = 1/2; use a control variate instead")


def _law(law: Bernoulli | FixedSize) -> Bernoulli | FixedSize:
    """Return a law of subsets; raise TypeError for anything else."""
    if not isinstance(law, Bernoulli | FixedSize):
        raise TypeError(f"law = {shown(law)}, expected a law of subsets: Bernoulli(p) or FixedSize(k)")
    return law
