"""Retrain a learner on all 2^N subsets of its training points, or on weights that were drawn, for every seed."""

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from sims.retrain import engine
from sims.retrain import store as stores
from sims.retrain.provenance import for_workers, require_same, settings_of
from theory.datamodel.blockwise import StreamedTable
from theory.display import Displayed
from theory.laws import TwoLevelLaw
from theory.memory import require_memory
from theory.response import Array, Learner, block_rows_of
from theory.subsets import mask_rows, name_subset

if TYPE_CHECKING:  # imported where they are used: they take longer than all else that a table needs
    import xarray as xr

__all__ = ["Responses", "response_table", "retrain_blocks", "streamed_table", "table_shape"]


@dataclass(frozen=True, repr=False)
class Responses(Displayed):
    """f(Phi(r; 1_S)) for every seed r and subset S, or f(Phi(r; w)) for every w of a sample."""

    samples: Array  # (R, 2**N, M), row = mask of S; or (R, B, M), row = that of the weights

    def facts(self) -> dict[str, int]:
        """The sizes of the table."""
        return dict(zip(("seeds", "subsets", "outputs"), self.samples.shape, strict=True))

    @property
    def mean(self) -> Array:
        """F, the mean over seeds: shape (2**N, M)."""
        return self.samples.mean(axis=0)

    @property
    def standard_error(self) -> Array:
        """Of the mean over seeds, shape (2**N, M): sample standard deviation / sqrt(R); NaN (undefined) for one seed."""
        n_seeds = len(self.samples)
        if n_seeds == 1:
            return np.full(self.samples.shape[1:], np.nan)
        return self.samples.std(axis=0, ddof=1) / np.sqrt(n_seeds)

    def to_xarray(self) -> "xr.Dataset":
        """The samples as `response`, with dimensions seed, subset and output, each numbered from 0."""
        import xarray as xr

        dims = ("seed", "subset", "output")
        return xr.Dataset(
            {"response": (dims, self.samples)}, {dim: range(size) for dim, size in zip(dims, self.samples.shape, strict=True)}
        )


def response_table(
    learner: Learner,
    seeds: Sequence[int],
    *,
    weights: ArrayLike | None = None,
    store: Path | str | None = None,
    executor: engine.Executor | int | None = None,
    progress: bool = False,
) -> Responses:
    """Retrain on every subset, or on every row of `weights` (B, N), with every seed; the same seeds serve every row.

    `store` is a folder in which every finished block is kept, so that the same call resumes; `executor` a number of processes or
    anything with `submit`. Neither changes a bit of the table. Refuses a table that does not fit into memory before training
    anything, and a response that is not finite by naming subset, seed and output. `progress` shows a bar on a terminal.

    It asks for twice the table, for it and its `mean`: measured, the peak is 1.3 to 1.4 tables while it is filled, and
    2.3 with the mean over one seed (2^20 subsets x 16 outputs, blocks included).

    >>> from sims.learners import KernelSum
    >>> learner = KernelSum([[0.0], [0.0]], [1.0, 3.0], [[0.0]])  # F = (w_0 + 3 w_1) / 2
    >>> response_table(learner, seeds=[0]).mean.tolist()  # {}, {0}, {1}, {0, 1}
    [[0.0], [0.5], [1.5], [2.0]]
    >>> response_table(learner, seeds=[0], weights=[[2.0, 0.0]]).mean.tolist()
    [[1.0]]
    """
    rows = None if weights is None else _as_rows(weights, learner.n_points)
    shape = table_shape(learner, seeds, rows)
    count = f"2**{learner.n_points}" if rows is None else f"{len(rows)}"
    what = f"the table of {len(seeds)} seeds x {count} subsets x {shape.n_outputs} outputs"
    size = 8 * len(seeds) * shape.n_subsets * shape.n_outputs
    require_memory(2 * size, what, "take fewer training points, seeds or queries")
    samples = np.empty((len(seeds), shape.n_subsets, shape.n_outputs))

    def fill(block: int, values: Array) -> None:
        samples[:, shape.subsets(block)] = values

    retrain_blocks(learner, seeds, fill, weights=rows, store=store, executor=executor, progress=progress)
    return Responses(samples)


def _as_rows(weights: ArrayLike, n_points: int) -> Array:
    """(B, N) as given; the learner checks each weight."""
    rows = np.ascontiguousarray(weights, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] != n_points or not len(rows):
        raise ValueError(f"weights has shape {rows.shape}, expected (B, {n_points}) with at least one row")
    return rows


def streamed_table(
    learner: Learner,
    seeds: Sequence[int],
    laws: Sequence[TwoLevelLaw],
    *,
    store: Path | str | None = None,
    executor: engine.Executor | int | None = None,
    progress: bool = False,
) -> StreamedTable:
    """The same retraining for a table too large to hold: what the given laws need of F, and leave-one-out, are kept.

    `theory.datamodel.streamed_datamodels` makes the optimal datamodels of it. Otherwise as `response_table`.

    >>> from sims.learners import KernelSum
    >>> from theory.datamodel import streamed_datamodels
    >>> from theory.laws import Bernoulli
    >>> learner = KernelSum([[0.0], [0.0]], [1.0, 3.0], [[0.0]])  # F = (w_0 + 3 w_1) / 2
    >>> streamed = streamed_table(learner, [0], [Bernoulli(0.5)])
    >>> streamed_datamodels(streamed)[0].coefficients.tolist(), streamed.leave_one_out().tolist()
    ([[0.5], [1.5]], [[0.5], [1.5]])
    """
    streamed = StreamedTable(learner.n_points, learner.n_outputs, laws, table_shape(learner, seeds).block_rows)

    def add(block: int, values: Array) -> None:
        streamed.add(block, values.mean(axis=0))

    retrain_blocks(learner, seeds, add, store=store, executor=executor, progress=progress)
    return streamed


def table_shape(learner: Learner, seeds: Sequence[int], weights: Array | None = None) -> stores.TableShape:
    """The table of all subsets, or weights, and its canonical blocks: subset s is row s % block_rows of block s // block_rows."""
    rows = block_rows_of(learner)
    if rows < 1 or rows & (rows - 1):
        raise ValueError(f"{type(learner).__name__}.block_rows is {rows}, expected a power of two: blocks share their high bits")
    count = 2**learner.n_points if weights is None else len(weights)
    return stores.TableShape(tuple(int(seed) for seed in seeds), count, learner.n_outputs, min(rows, count))


def retrain_blocks(
    learner: Learner,
    seeds: Sequence[int],
    on_block: Callable[[int, Array], None],
    *,
    weights: Array | None = None,
    store: Path | str | None = None,
    executor: engine.Executor | int | None = None,
    progress: bool = False,
) -> None:
    """Call on_block(block, values (R, rows, M)) for every block of `table_shape`, once each, in any order.

    For tables that are too large to keep: blocks are what is in memory, on disk where a `store` is given. Otherwise as
    `response_table`.
    """
    from tqdm import tqdm  # imports its own command line

    shape = table_shape(learner, seeds, weights)
    engine.keep_freed_memory()
    with ExitStack() as stack:
        bar = stack.enter_context(tqdm(total=shape.n_subsets, unit="subset", unit_scale=True, disable=None if progress else True))
        with engine.interrupts_held_back():
            kept = stack.enter_context(_opened(store, learner, shape, weights))
        try:
            for block in sorted(kept.done):
                with engine.interrupts_held_back():
                    values = kept.read(block)
                on_block(block, values)
            bar.update(shape.n_rows(kept.done))
            bar.unpause()
            missing = sorted(set(range(shape.n_blocks)) - kept.done)
            for blocks in stack.enter_context(closing(_computed(learner, shape, weights, missing, executor))):
                with engine.interrupts_held_back():
                    kept.write(blocks)
                for block, values in blocks.items():
                    on_block(block, values)
                bar.update(shape.n_rows(blocks))
        except KeyboardInterrupt:
            raise KeyboardInterrupt(kept.progress) from None
        except engine.WorkerDeathError as death:
            names = ", ".join(shape.name(block) for block in death.pieces)
            raise ChildProcessError(f"{names} of {learner!r} killed the worker process, twice each; {kept.progress}") from death
        except engine.NoRoomError as error:
            raise OSError(f"{error}; {kept.progress}, the same command resumes") from error
        kept.finish()


def _opened(
    store: Path | str | None, learner: Learner, shape: stores.TableShape, weights: Array | None
) -> AbstractContextManager[stores.BlockStore | stores.NotStored]:
    if store is None:
        return nullcontext(stores.NotStored())
    return stores.open_store(Path(store), settings_of(learner, weights), shape)


def _computed(
    learner: Learner,
    shape: stores.TableShape,
    weights: Array | None,
    blocks: Sequence[int],
    executor: engine.Executor | int | None,
) -> Generator[dict[int, Array]]:
    """The given blocks, in tasks of about _TASK_SECONDS. Processes are not started where that takes longer than the work."""
    if not blocks:
        return
    if len(blocks) == 1:
        executor = None if isinstance(executor, int) else executor
    seconds = _seconds_per_subset(learner, shape) * shape.block_rows if len(blocks) > 1 else _TASK_SECONDS
    if isinstance(executor, int) and seconds * len(blocks) < _WORTH_PROCESSES:
        executor = None
    per_task = int(np.clip(_TASK_SECONDS / seconds, 1, -(-len(blocks) // 8)))
    expected = "" if executor is None or executor == 1 else for_workers(learner)
    compute = partial(_compute, learner, shape, weights, expected)
    yield from engine.completed(compute, blocks, executor=executor, per_task=per_task)


def _compute(
    learner: Learner, shape: stores.TableShape, weights: Array | None, expected: str, blocks: tuple[int, ...]
) -> list[Array]:
    """Values (R, rows, M) of every block. A learner always sees whole canonical blocks, so that its rounding is always the same.

    On a worker, `expected` is what `for_workers` says there must be: one table would else hold the results of two programs.
    """
    if expected:
        require_same(learner, expected)
    results: list[Array] = []
    for block in blocks:
        subsets = shape.subsets(block)
        rows = mask_rows(subsets.start, subsets.stop, learner.n_points) if weights is None else weights[subsets]
        values = learner.respond(rows, shape.seeds)
        _check(values, rows, shape, learner)
        results.append(np.ascontiguousarray(values.transpose(1, 0, 2)))
    return results


def _check(values: Array, weights: Array, shape: stores.TableShape, learner: Learner) -> None:
    expected = (len(weights), len(shape.seeds), shape.n_outputs)
    if values.shape != expected:
        raise ValueError(f"{learner!r}.respond returned shape {values.shape}, expected (subsets, seeds, outputs) = {expected}")
    if not np.isfinite(values).all():
        row, seed, output = (int(k) for k in np.argwhere(~np.isfinite(values))[0])
        raise ArithmeticError(
            f"{learner!r} answered {values[row, seed, output]} on {name_subset(weights[row])}, seed {shape.seeds[seed]}, "
            f"output {output}"
        )


def _seconds_per_subset(learner: Learner, shape: stores.TableShape) -> float:
    """A rough cost of one more subset, from training on all points once and, if that is quick, many times in one call."""

    def seconds(copies: int) -> float:
        start = time.perf_counter()
        learner.respond(np.ones((copies, learner.n_points)), shape.seeds)
        return time.perf_counter() - start

    single, many = seconds(1), 256
    if single < 0.1:
        single = seconds(1)  # the first call may also do what is done once
    return single if single > 0.01 else max((seconds(many) - single) / (many - 1), 1e-8)


_TASK_SECONDS = 0.1
_WORTH_PROCESSES = 1.0
