"""Compute optimal linear datamodels from a table of responses, in memory or larger, that is read once, block by block.

A block holds `rows` = 2^c consecutive masks: the low c bits run through it, the high N - c bits name it. Under a product law the
low and the high weights are independent, so that F - g splits into three parts that are orthogonal to each other,

    F - g = [F - m_h - sum_low c_hi (w_i - m)]  +  [sum_low (c_hi - beta_i)(w_i - m)]  +  [m_h - E F - sum_high beta_i (w_i - m)],

m_h the mean of block h and c_hi its own optimal coefficients: beta_i = E_h c_hi for low points, E_h[(w_i - m) m_h] / s^2 for
high ones, and E (F - g)^2 is the sum of the three mean squares. As no nearly equal numbers are subtracted, the residual is
accurate even when the fit is nearly perfect. The result does not depend on the order of the blocks.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from theory.compiled import compiled, inner
from theory.inputs import shown
from theory.laws import TwoLevelLaw
from theory.memory import require_memory
from theory.response import Array
from theory.subsets import mask_rows
from theory.transforms import product_probabilities

__all__ = ["Moments", "StreamedTable"]


@dataclass(frozen=True)
class Moments:
    """Moments of F under one law give its optimal linear datamodel g = mean + sum_i beta_i (w_i - E w_i)."""

    mean: Array  # (M,), E F
    coefficients: Array  # (N, M), beta
    residual_variance: Array  # (M,), E (F - g)^2
    variance: Array  # (M,), Var F


class StreamedTable:
    """A streamed table reads a table (2**N, M) block by block, for datamodels and leave-one-out; memory O(2**N / rows).

    `laws` are the laws of the datamodels; `rows`, a power of two up to 2**N, is the number of rows of a block.
    """

    def __init__(self, n_points: int, n_outputs: int, laws: Sequence[TwoLevelLaw], rows: int) -> None:
        given = list(laws) if isinstance(laws, Iterable) else []
        if not given or any(not isinstance(law, TwoLevelLaw) or isinstance(law, type) for law in given):
            raise TypeError(f"laws is {shown(laws)}, expected one or more of Bernoulli and TwoPoint")
        if rows < 1 or rows & (rows - 1) or rows > 2**n_points:
            raise ValueError(f"rows = {rows}, expected a power of two from 1 to 2**{n_points}")
        self.n_points, self.n_outputs, self.laws, self.rows = n_points, n_outputs, tuple(laws), rows
        tile = min(rows, _TILE)
        self._low = tile.bit_length() - 1
        n_tiles = 2**n_points // tile
        size = 8 * len(laws) * n_tiles * (self._low + 2) * n_outputs
        require_memory(2 * size, f"the moments of {n_tiles} tiles", "use fewer laws, outputs or training points")
        self._kernels = [_Kernel(law, self._low, n_outputs) for law in laws]
        self._fits = np.empty((len(laws), n_tiles, 1 + self._low, n_outputs))  # tile mean, then coefficients of the low bits
        self._residuals = np.empty((len(laws), n_tiles, n_outputs))
        self._missing = np.ones(2**n_points // rows, dtype=np.bool_)
        self._last = np.empty((n_points + 1, n_outputs))  # F(1), then F(1 - e_i)
        full = 2**n_points - 1
        self._last_rows = np.array([full, *(full - 2 ** np.arange(n_points))])

    def add(self, block: int, responses: Array) -> None:
        """Read block number `block`, rows block * rows, .. of the table, (rows, M): every block once, in any order."""
        if not 0 <= block < len(self._missing):
            raise ValueError(f"block {block} was added, expected 0 to {len(self._missing) - 1}")
        if not self._missing[block]:
            raise ValueError(f"block {block} was added twice")
        values = np.ascontiguousarray(responses, dtype=np.float64)
        if values.shape != (self.rows, self.n_outputs):
            raise ValueError(f"block {block} has shape {values.shape}, expected (rows, outputs) = {self.rows, self.n_outputs}")
        tiles = self.rows // 2**self._low
        here = slice(block * tiles, (block + 1) * tiles)
        for kernel, fits, residuals in zip(self._kernels, self._fits, self._residuals, strict=True):
            with np.errstate(invalid="ignore"):  # what is not finite is refused below
                kernel(values.reshape(tiles, -1, self.n_outputs), fits[here], residuals[here])
        if not np.isfinite(self._residuals[:, here]).all() and not np.isfinite(values).all():
            row, column = (int(k) for k in np.argwhere(~np.isfinite(values))[0])
            raise ValueError(
                f"table[{block * self.rows + row}, {column}] is {values[row, column]}, expected a finite response; the row is "
                "the mask of the subset"
            )
        for k in np.flatnonzero(self._last_rows // self.rows == block):
            self._last[k] = values[self._last_rows[k] % self.rows]
        self._missing[block] = False

    def moments(self) -> list[Moments]:
        """Return the moments under every law, once every block has been added."""
        self._require_all()
        return [self._moments(*parts) for parts in zip(self.laws, self._fits, self._residuals, strict=True)]

    def leave_one_out(self) -> Array:
        """Return F(1) - F(1 - e_i), shape (N, M), once every block has been added."""
        self._require_all()
        return self._last[0] - self._last[1:]

    def _moments(self, law: TwoLevelLaw, fits: Array, within: Array) -> Moments:
        high = self.n_points - self._low
        probabilities, contrasts = _weights(law, high)
        origin = fits[0, 0]
        means, own = fits[:, 0] - origin, fits[:, 1:]
        mean, between = probabilities @ means, contrasts / law.variance @ means
        common = np.tensordot(probabilities, own, axes=1)
        fitted = mean + _centred(law, high) @ between
        within_variance = probabilities @ within
        spread = probabilities @ ((own - common) ** 2).sum(axis=1) * law.variance
        lack = probabilities @ (means - fitted) ** 2
        residual = within_variance + spread + lack
        coefficients = np.concatenate([common, between])
        return Moments(origin + mean, coefficients, residual, residual + law.variance * (coefficients**2).sum(axis=0))

    def _require_all(self) -> None:
        if self._missing.any():
            blocks = np.flatnonzero(self._missing)
            raise ValueError(f"{len(blocks)} of {len(self._missing)} blocks are missing, the first of them block {blocks[0]}")


class _Kernel:
    """A kernel computes mean, coefficients and residual variance of a tile (2^c, M) in one pass.

    The bits of a row fall into three groups, high, middle and low. The coefficient of w_i needs only the mean of F given the bits
    of its own group, so that E[F | high], E[F | middle] and E[F | low] suffice. The sums of the pass, rows over all low bits and
    outputs, must fit into the nearest cache: hence few middle bits, and as many low bits as make a row of about _WIDTH numbers.
    """

    def __init__(self, law: TwoLevelLaw, bits: int, n_outputs: int) -> None:
        middle = min(2, bits)
        low = min(bits - middle, max(_WIDTH // n_outputs, 1).bit_length() - 1)
        groups = (bits - middle - low, middle, low)
        self._variance, self._chances = law.variance, law.quadrature(2).probabilities
        weights = (_weights(law, group) for group in groups)
        self._weights = [np.vstack([probabilities, contrasts / law.variance]) for probabilities, contrasts in weights]
        self._centred = [_centred(law, group) for group in groups]
        self._given = [np.empty((2**group, n_outputs)) for group in groups]
        self._scratch = np.empty((2**bits, n_outputs))

    def __call__(self, tiles: Array, fits: Array, residuals: Array) -> None:
        """Write E F and c_i, lowest bit first, of tiles (K, 2^c, M) into fits (K, 1 + c, M), residual variances into (K, M).

        The residual variance is E F^2 - (E F)^2 - s^2 sum c_i^2 (Parseval), unless cancellation spoils that difference. Rounding
        moves each mean by at most u sqrt(E F^2), as (w_i - m) / s has mean square 1, and so the difference by at most
        u (3 + 2 sqrt(c)) E F^2 < 11 u E F^2, u a few eps. Above _CANCELLED of E F^2 this is a relative error of 1e-12; outputs
        below it (a nearly perfect fit, a mean far above the spread) have their squared residuals summed.
        """
        squares = np.empty_like(residuals)
        for tile, fit, square in zip(tiles, fits, squares, strict=True):
            self._fit(tile, fit, square)
        with np.errstate(over="ignore", invalid="ignore"):
            np.subtract(squares, fits[:, 0] ** 2 + self._variance * (fits[:, 1:] ** 2).sum(axis=1), out=residuals)
            cancelled = ~(residuals >= _CANCELLED * squares)
        for k in np.flatnonzero(cancelled.any(axis=1)):
            fit, residual = self._summed(tiles[k])
            fits[k], residuals[k] = np.where(cancelled[k], fit, fits[k]), np.where(cancelled[k], residual, residuals[k])

    def _summed(self, values: Array) -> tuple[Array, Array]:
        """Fit one tile relative to values[0], then sum the squares of the residuals of that fit."""
        high, middle, low = self._centred
        left = self._scratch.reshape(len(high), len(middle), -1)  # long, contiguous rows: all low bits and outputs
        np.subtract(values.reshape(left.shape), np.tile(values[0], len(low)), out=left)
        fit, squares = np.empty((1 + sum(part.shape[1] for part in self._centred), values.shape[1])), np.empty(values.shape[1])
        self._fit(self._scratch, fit, squares)
        own_low, own_middle, own_high = np.split(fit[1:], np.cumsum([low.shape[1], middle.shape[1]]))
        left -= ((middle @ own_middle)[:, None] + (fit[0] + low @ own_low)).reshape(left.shape[1:])
        left -= np.tile(high @ own_high, len(low))[:, None]
        self._fit(self._scratch, np.empty_like(fit), squares)
        fit[0] += values[0]
        return fit, squares

    def _fit(self, values: Array, fit: Array, squares: Array) -> None:
        """Write E F and c_i of one tile into fit (1 + c, M), E F^2 into squares (M,)."""
        (high, middle, low), (given_high, given_middle, given_low) = self._weights, self._given
        tile = values.reshape(high.shape[1], middle.shape[1], low.shape[1] * values.shape[1])
        _read(tile, high[0], middle[0], self._chances, given_high, given_middle, given_low, squares)
        fit[: len(low)] = low @ given_low
        fit[len(low) :] = np.concatenate([middle[1:] @ given_middle, high[1:] @ given_high])


@compiled
def _read(
    values: Array,
    high: Array,
    middle: Array,
    chances: Array,
    given_high: Array,
    given_middle: Array,
    given_low: Array,
    squares: Array,
) -> None:
    """Write E[F | high] (2^h, M), E[F | middle] and E[F | low] into the arrays given_.., E F^2 into squares (M,).

    The inputs are values (2^h, 2^m, 2^l M) and the probabilities of the high and of the middle bits. The rows of `sums` are
    E[F | middle, low], E[F | high, low] at one h, E[F | low] and E[F^2 | low].
    """
    parts, width = values.shape[1], values.shape[2]
    sums = np.zeros((parts + 3, width + _PADDING))  # numba aligns arrays made here to 32 bytes; one passed in took twice the time
    by_high, by_low, of_squares = sums[parts], sums[parts + 1], sums[parts + 2]
    for h in range(values.shape[0]):
        by_high[:] = 0.0
        for m in range(parts):
            p, q = high[h], middle[m]
            for x in range(width):
                f = values[h, m, x]
                sums[m, x] += p * f
                by_high[x] += q * f
                of_squares[x] += p * q * f * f
        _average_bits(by_high[:width], chances, given_high[h])
    for m in range(parts):
        q = middle[m]
        for x in range(width):
            by_low[x] += q * sums[m, x]
        _average_bits(sums[m, :width], chances, given_middle[m])
    given_low[:] = by_low[:width].reshape(given_low.shape)
    _average_bits(of_squares[:width], chances, squares)


@inner
def _average_bits(row: Array, chances: Array, out: Array) -> None:
    """Write the mean of row (2^c M,) over its c bits into out (M,); chances are P(absent), P(present); row is overwritten."""
    size, absent, present = len(row), chances[0], chances[1]
    while size > len(out):
        size //= 2
        for x in range(size):
            row[x] = absent * row[x] + present * row[size + x]
    out[:] = row[:size]


@lru_cache(maxsize=64)
def _weights(law: TwoLevelLaw, bits: int) -> tuple[Array, Array]:
    """Return P(S) (2^bits,) and P(S) (w_i - E w_i) (bits, 2^bits) for all subsets of `bits` points."""
    probabilities = product_probabilities(np.tile(law.quadrature(2).probabilities, (bits, 1)))
    return probabilities, _centred(law, bits).T * probabilities


@lru_cache(maxsize=64)
def _centred(law: TwoLevelLaw, bits: int) -> Array:
    """Return w_i - E w_i for all subsets of `bits` points: (2^bits, bits)."""
    absent, present = law.levels
    if bits == 0:
        return np.empty((1, 0))
    return np.where(mask_rows(0, 2**bits, bits) > 0.0, present, absent) - law.mean


_TILE = 2**16
_WIDTH = 256
_PADDING = 72  # between rows of sums: if all rows began at the same offset in a page, the processor would mistake one for another
_CANCELLED = 1e-2
