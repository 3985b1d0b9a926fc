"""Estimate the error, and the bias, of any measure of a sampled datamodel by leaving out blocks of its subsets.

`fit_sampled` gives the standard error of every coefficient. A measure of all of them together, such as a relative error or a rank
correlation, is no linear function of them: noise in beta also moves its expectation. The delete-a-block jackknife gives both.
"""

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike

from theory.inputs import as_count
from theory.response import Array
from theory.sampling.inputs import as_responses, as_subsets

__all__ = ["BlockFits", "fit_without_blocks", "jackknifed"]


@dataclass(frozen=True)
class BlockFits:
    """Least-squares fits on all subsets, entry 0, and without each of G blocks, entries 1 .. G."""

    intercepts: Array  # (G + 1, M)
    coefficients: Array  # (G + 1, N, M)

    def predict(self, masks: Array) -> Array:
        """Return what each fit predicts for subsets (B, N): (G + 1, B, M)."""
        return self.intercepts[:, None] + np.einsum("bn,gnm->gbm", masks, self.coefficients, optimize=True)


def fit_without_blocks(masks: ArrayLike, responses: ArrayLike, *, n_blocks: int = 20) -> BlockFits:
    """Fit a linear datamodel to subsets (m, N) and responses (m, M) by least squares, on all rows and without each block of rows.

    Rows r, r + G, r + 2 G, .. are a block, so that each has m/G of the rows or one more. Rows must be independent. Raises
    ValueError for fewer than two blocks, and LinAlgError where the rows left do not tell the points apart.

    >>> from theory.subsets import all_masks
    >>> masks = np.tile(all_masks(2), (3, 1))
    >>> fits = fit_without_blocks(masks, 1.0 + masks @ [[1.0], [2.0]], n_blocks=3)
    >>> fits.coefficients.round(9)[:, :, 0].tolist(), fits.intercepts.round(9).ravel().tolist()
    ([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0], [1.0, 2.0]], [1.0, 1.0, 1.0, 1.0])
    """
    subsets, y = as_subsets(masks), as_responses(responses)
    if len(y) != len(subsets):
        raise ValueError(f"masks has {len(subsets)} rows and responses {len(y)}, expected one response per subset")
    n_blocks = as_count("n_blocks", n_blocks, ": the error is a spread over blocks", least=2)
    if len(subsets) < n_blocks:
        raise ValueError(f"{len(subsets)} subsets in n_blocks = {n_blocks}, expected a subset or more in each: draw more subsets")
    shift = y.mean(axis=0)
    rows, y = np.column_stack([np.ones(len(subsets)), subsets - subsets.mean(axis=0)]), y - shift
    gram, moments = rows.T @ rows, rows.T @ y
    solved: list[Array] = []
    for block in (slice(0, 0), *(slice(g, None, n_blocks) for g in range(n_blocks))):
        left = gram - rows[block].T @ rows[block]
        rank = int(np.linalg.matrix_rank(left, hermitian=True))
        if rank < len(left):
            raise np.linalg.LinAlgError(f"without a block the subsets identify {rank} of {len(left)} coefficients: draw more")
        solved.append(np.asarray(scipy.linalg.solve(left, moments - rows[block].T @ y[block], assume_a="pos"), dtype=np.float64))
    fits = np.array(solved)
    coefficients = fits[:, 1:]
    return BlockFits(shift + fits[:, 0] - subsets.mean(axis=0) @ coefficients, coefficients)


def jackknifed(values: ArrayLike) -> tuple[Array, Array]:
    """Correct a measure for its bias of order 1/m, and estimate its standard error, from its values (G + 1, ..).

    Entry 0 is the measure m on all rows, entry g is m_(g), that without block g. With the mean m_(.) of the latter

        corrected = G m - (G - 1) m_(.),    error^2 = (G - 1)/G sum_g (m_(g) - m_(.))^2,

    with G - 1 degrees of freedom. Sources: Quenouille 1956; Efron & Stein 1981.

    >>> x = np.array([1.0, 3.0, 5.0])  # the square of the mean, 9, is too large by the variance of the mean, 4/3
    >>> value, error = jackknifed([9.0, 16.0, 9.0, 4.0])
    >>> round(float(value), 9), round(float(error), 9)
    (7.666666667, 6.960204339)
    """
    all_values = np.asarray(values, dtype=np.float64)
    first, rest = all_values[0], all_values[1:]
    n_blocks = len(rest)
    mean = rest.mean(axis=0)
    return n_blocks * first - (n_blocks - 1) * mean, np.sqrt((n_blocks - 1) / n_blocks * np.square(rest - mean).sum(axis=0))
