"""Retrain a learner on all 2^N subsets of its training points, for every seed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from theory.memory import require_memory
from theory.response import BLOCK, Array, Learner
from theory.subsets import mask_rows, name_subset

__all__ = ["Responses", "response_table"]


@dataclass(frozen=True)
class Responses:
    """f(Phi(r; 1_S)) for every seed r and subset S."""

    samples: Array  # (R, 2**N, M), row = mask of S

    @property
    def mean(self) -> Array:
        """F(1_S), the mean over seeds: shape (2**N, M)."""
        return self.samples.mean(axis=0)

    @property
    def standard_error(self) -> Array:
        """Of the mean over seeds, shape (2**N, M): sample standard deviation / sqrt(R); NaN (undefined) for one seed."""
        n_seeds = len(self.samples)
        if n_seeds == 1:
            return np.full(self.samples.shape[1:], np.nan)
        return self.samples.std(axis=0, ddof=1) / np.sqrt(n_seeds)


def response_table(learner: Learner, seeds: Sequence[int], *, progress: bool = False) -> Responses:
    """Retrain on every subset with every seed; the same seeds serve every subset.

    Refuses a table that does not fit into memory before training anything, and a response that is not finite by naming the
    subset, seed and output. `progress` shows a bar on a terminal.
    """
    n, n_seeds, n_outputs = learner.n_points, len(seeds), learner.n_outputs
    what = f"the table of {n_seeds} seeds x 2**{n} subsets x {n_outputs} outputs"
    require_memory(2 * 8 * n_seeds * 2**n * n_outputs, what, "take fewer training points, seeds or queries")
    samples = np.empty((n_seeds, 2**n, n_outputs))
    starts = range(0, 2**n, BLOCK)
    with threadpool_limits(1), tqdm(total=2**n, unit="subset", unit_scale=True, disable=None if progress else True) as bar:
        for start in starts:
            stop = min(start + BLOCK, 2**n)
            weights = mask_rows(start, stop, n)
            block = learner.respond(weights, seeds)
            _check_block(block, weights, seeds, n_outputs, learner)
            samples[:, start:stop] = block.transpose(1, 0, 2)
            bar.update(stop - start)
    return Responses(samples)


def _check_block(block: Array, weights: Array, seeds: Sequence[int], n_outputs: int, learner: Learner) -> None:
    expected = (len(weights), len(seeds), n_outputs)
    if block.shape != expected:
        raise ValueError(f"{learner!r}.respond returned shape {block.shape}, expected (subsets, seeds, outputs) = {expected}")
    if not np.isfinite(block).all():
        row, seed, output = (int(k) for k in np.argwhere(~np.isfinite(block))[0])
        raise ArithmeticError(
            f"{learner!r} answered {block[row, seed, output]} on {name_subset(weights[row])}, seed {seeds[seed]}, output {output}"
        )
