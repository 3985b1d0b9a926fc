"""Retrain a learner on all 2^N subsets of its training points, or on weights that were drawn, for every seed."""

import pickle
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures.process import BrokenProcessPool
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
from theory.answers import answer_of, named, require_learner
from theory.datamodel.blockwise import StreamedTable
from theory.display import Displayed
from theory.inputs import as_executor, as_folder, as_seeds
from theory.laws import TwoLevelLaw
from theory.memory import require_memory
from theory.response import Array, Learner, as_weight_rows, block_rows_of
from theory.subsets import mask_rows

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
    require_learner(learner)
    seeds, rows = as_seeds(seeds), None if weights is None else _as_rows(weights, learner)
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


def _as_rows(weights: ArrayLike, learner: Learner) -> Array:
    """Return weights (B, N), one row at least."""
    rows = np.ascontiguousarray(as_weight_rows(learner, weights))
    if not len(rows):
        raise ValueError(f"weights has shape {rows.shape}, expected (B, {learner.n_points}) with at least one row")
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
    require_learner(learner)
    seeds = as_seeds(seeds)
    streamed = StreamedTable(learner.n_points, learner.n_outputs, laws, table_shape(learner, seeds).block_rows)

    def add(block: int, values: Array) -> None:
        streamed.add(block, values.mean(axis=0))

    retrain_blocks(learner, seeds, add, store=store, executor=executor, progress=progress)
    return streamed


def table_shape(learner: Learner, seeds: Sequence[int], weights: Array | None = None) -> stores.TableShape:
    """The table of all subsets, or weights, and its canonical blocks: subset s is row s % block_rows of block s // block_rows."""
    rows = block_rows_of(learner)
    if weights is None and learner.n_points > MOST_POINTS:
        raise MemoryError(
            f"{named(learner)} has {learner.n_points} points and so 2**{learner.n_points} subsets, expected at most "
            f"{MOST_POINTS} points: pass the weights to retrain on"
        )
    count = 2**learner.n_points if weights is None else len(weights)
    return stores.TableShape(as_seeds(seeds), count, learner.n_outputs, min(rows, count))


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

    require_learner(learner)
    executor, folder = as_executor(executor), None if store is None else as_folder("store", store)
    shape = table_shape(learner, seeds, weights)
    engine.keep_freed_memory()
    with ExitStack() as stack:
        bar = stack.enter_context(
            tqdm(total=shape.n_subsets, unit="subset", unit_scale=True, leave=False, disable=None if progress else True)
        )
        with engine.interrupts_held_back():
            kept = stack.enter_context(_opened(folder, learner, shape, weights))
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
        except BrokenProcessPool as broken:
            raise ChildProcessError(
                f"a worker process of the executor died while it trained {named(learner)}; {kept.progress}: make a new executor, "
                "or give a number of processes, which finds the block that ends its process"
            ) from broken
        kept.finish()


def _opened(
    store: Path | None, learner: Learner, shape: stores.TableShape, weights: Array | None
) -> AbstractContextManager[stores.BlockStore | stores.NotStored]:
    if store is None:
        return nullcontext(stores.NotStored())
    return stores.open_store(store, settings_of(learner, weights), shape)


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
    if executor != 1 and isinstance(executor, int | engine.SpawnedPool):
        _require_picklable(learner)
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
        rows = mask_rows(subsets.start, subsets.stop, learner.n_points) if weights is None else np.array(weights[subsets])
        rows.flags.writeable = False
        values = answer_of(learner, rows, shape.seeds, where=shape.name(block))
        results.append(np.array(values.transpose(1, 0, 2), order="C"))  # never the learner's own memory, which it may use again
    return results


def _require_picklable(learner: Learner) -> None:
    """Raise ValueError unless the learner can be sent to another process."""
    try:
        pickle.dumps(learner, protocol=5)
    except Exception as error:
        raise ValueError(
            f"{named(learner)} cannot be sent to other processes ({type(error).__name__}: {error}), expected a class of a module "
            "with plain fields: define it in a file, or leave out the executor"
        ) from error


def _seconds_per_subset(learner: Learner, shape: stores.TableShape) -> float:
    """A rough cost of one more subset, from training on all points once and, if that is quick, many times in one call."""

    def seconds(copies: int) -> float:
        start = time.perf_counter()
        answer_of(learner, np.ones((copies, learner.n_points)), shape.seeds)
        return time.perf_counter() - start

    single, many = seconds(1), 256
    if single < 0.1:
        single = seconds(1)  # the first call may also do what is done once
    return single if single > 0.01 else max((seconds(many) - single) / (many - 1), 1e-8)


MOST_POINTS = 62
"""A subset is one mask of 64 bits."""

_TASK_SECONDS = 0.1
_WORTH_PROCESSES = 1.0
