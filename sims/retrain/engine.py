"""Run independent pieces of work in order of completion: here, in spawned processes, or on any executor.

A piece is named by a plain value (a block number, a case). The same function of the same piece gives the same bits wherever it
runs; engines only decide where and when.
"""

import multiprocessing
import os
import re
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Hashable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from importlib import import_module
from multiprocessing import resource_tracker
from shutil import rmtree
from typing import Any, Protocol, TypeVar

import numpy as np
from threadpoolctl import ThreadpoolController

from sims.retrain.handover import NoRoomError, received, run_folders, semaphores_named_after, sent
from theory.interrupts import interrupts_held_back
from theory.memory import share_memory

__all__ = [
    "Executor",
    "NoRoomError",
    "SpawnedPool",
    "WorkerDeathError",
    "completed",
    "dask_executor",
    "interrupts_held_back",
    "keep_freed_memory",
    "physical_cores",
    "process_pool",
]

Piece = TypeVar("Piece", bound=Hashable)
Result = TypeVar("Result")


class Executor(Protocol):
    """Anything that runs a function elsewhere, as in `concurrent.futures`."""

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> "Future[Any]":
        """Start fn(*args)."""
        ...


class SpawnedPool(ProcessPoolExecutor):
    """The pool of `process_pool`: its workers write their results into files in memory."""


class WorkerDeathError(ChildProcessError):
    """Pieces that killed the process they ran in, twice, alone in it; all others were completed."""

    def __init__(self, pieces: Sequence[Any]) -> None:
        super().__init__(f"{', '.join(map(str, pieces))} killed the worker process, twice each")
        self.pieces = tuple(pieces)


def completed(
    function: Callable[[tuple[Piece, ...]], Sequence[Result]],
    pieces: Sequence[Piece],
    *,
    executor: Executor | int | None = None,
    per_task: int = 1,
) -> Generator[dict[Piece, Result]]:
    """Results of function(pieces) by piece, a few at a time, in the order in which they come.

    executor: None or 1 runs here, a number that many spawned processes, anything else is asked to `submit`. Tasks of `per_task`
    pieces; at most two tasks per worker are in flight. An exception of `function` ends the run. A process that dies does not:
    what it may have been working on is run again, one piece at a time, and `WorkerDeathError` names the guilty at the end.
    """
    tasks = deque(tuple(pieces[start : start + per_task]) for start in range(0, len(pieces), per_task))
    if executor is None or executor == 1:
        for task in tasks:
            yield dict(zip(task, _single_threaded(function, task), strict=True))
    elif isinstance(executor, int):
        yield from _in_processes(function, tasks, executor)
    elif isinstance(executor, SpawnedPool):
        yield from _in_flight(function, tasks, executor, 2 * _capacity(executor), {}, _sent, received)
    else:
        yield from _elsewhere(function, tasks, executor)


def _in_flight(
    function: Callable[[tuple[Piece, ...]], Sequence[Result]],
    tasks: "deque[tuple[Piece, ...]]",
    executor: Executor,
    window: int,
    running: "dict[Future[Any], tuple[Piece, ...]]",
    run: Callable[..., Any],
    unpack: Callable[[Any], Sequence[Result]],
    died: "list[tuple[Piece, ...]] | None" = None,
) -> Generator[dict[Piece, Result]]:
    """Keep `window` tasks on the executor until none is left; `running` shows the caller what is there when that fails.

    `died` gets the tasks whose worker died, where the executor says so of a task and goes on.
    """
    try:
        while tasks or running:
            while tasks and len(running) < window:
                with interrupts_held_back():
                    running[executor.submit(run, function, tasks[0])] = tasks[0]
                tasks.popleft()
            for future in _first_done(running):
                if died is not None and type(future.exception()).__name__ == "KilledWorker":  # of dask
                    died.append(running.pop(future))
                    continue
                results = unpack(future.result())
                yield dict(zip(running.pop(future), results, strict=True))
    except BaseException:
        if not isinstance(executor, SpawnedPool):  # whose thread fails where a process is killed that a cancelled task waits for
            for future in running:
                future.cancel()
        raise


def _first_done(futures: "Iterable[Future[Any]]") -> "set[Future[Any]]":
    """Those that are done, once one is. Ctrl-C waits a moment: inside `wait` it could leave futures locked for ever."""
    done: set[Future[Any]] = set()
    while not done:
        with interrupts_held_back():
            done = wait(futures, timeout=_MOMENT, return_when=FIRST_COMPLETED).done
    return done


def _elsewhere(
    function: Callable[[tuple[Piece, ...]], Sequence[Result]], tasks: "deque[tuple[Piece, ...]]", executor: Executor
) -> Generator[dict[Piece, Result]]:
    """On the workers of others, who start them again. What may have killed them is run again at the end, piece by piece alone."""
    died: list[tuple[Piece, ...]] = []
    guilty: list[tuple[Piece, ...]] = []
    try:
        yield from _in_flight(function, tasks, executor, 2 * _capacity(executor), {}, _single_threaded, list[Result], died)
        suspects = deque((piece,) for task in died for piece in task)
        yield from _in_flight(function, suspects, executor, 1, {}, _single_threaded, list[Result], guilty)
    except CancelledError as error:
        raise ConnectionError("the executor has given up its tasks: it, or its scheduler, was shut down") from error
    if guilty:
        raise WorkerDeathError([piece for task in guilty for piece in task])


def _in_processes(
    function: Callable[[tuple[Piece, ...]], Sequence[Result]], tasks: "deque[tuple[Piece, ...]]", workers: int
) -> Generator[dict[Piece, Result]]:
    """The same in spawned processes, started again when one of them dies."""
    deaths: dict[Piece, int] = {}
    guilty: list[Piece] = []
    suspects: deque[tuple[Piece, ...]] = deque()
    while tasks or suspects:
        running: dict[Future[Any], tuple[Piece, ...]] = {}
        alone = bool(suspects)
        with process_pool(1 if alone else min(workers, len(tasks))) as pool:
            try:
                window = 1 if alone else 2 * workers
                yield from _in_flight(function, suspects if alone else tasks, pool, window, running, _sent, received)
            except BrokenProcessPool:
                for future, task in running.items():
                    if future.done() and not future.cancelled() and future.exception() is None:
                        yield dict(zip(task, received(future.result()), strict=True))
                        continue
                    for piece in task:
                        deaths[piece] = deaths.get(piece, 0) + alone
                        if deaths[piece] < 2:
                            suspects.append((piece,))
                        else:
                            guilty.append(piece)
    if guilty:
        raise WorkerDeathError(guilty)


@contextmanager
def process_pool(workers: int) -> Generator[SpawnedPool]:
    """Start spawned processes, an executor for many tables. They end with this block, and with this process, whatever ends it."""
    with ExitStack() as stack:
        with interrupts_held_back():
            folders = stack.enter_context(run_folders())
            pool = stack.enter_context(_ending(_pool(workers, folders)))
        yield pool


def _pool(workers: int, folders: Sequence[str]) -> SpawnedPool:
    resource_tracker.ensure_running()  # which unblocks signals here where it starts: later, workers would start without the mask
    with interrupts_held_back(), semaphores_named_after(folders[0]):
        try:
            context = multiprocessing.get_context("spawn")
            return SpawnedPool(workers, mp_context=context, initializer=_start_worker, initargs=(folders, workers))
        except OSError as error:
            raise NoRoomError(
                f"worker processes cannot be started ({error}): make room for their semaphores in /dev/shm, or take one worker"
            ) from error


@contextmanager
def _ending(pool: SpawnedPool) -> Generator[SpawnedPool]:
    """End the processes of a pool with this block: at once where it ends with an error."""
    try:
        yield pool
    except BaseException:
        with interrupts_held_back():
            processes = list((pool._processes or {}).values())  # type: ignore[reportPrivateUsage] # public from Python 3.14 on
            for process in processes:
                process.kill()
            for process in processes:
                process.join()
        raise
    finally:
        with interrupts_held_back():
            pool.shutdown(wait=True, cancel_futures=True)


def _start_worker(folders: Sequence[str], workers: int) -> None:
    """Prepare a worker process. It was started with Ctrl-C, SIGTERM and SIGHUP held back: the coordinator answers them.

    SIGTERM is what the pool itself ends its processes with.
    """
    global _folders  # one per worker process
    _folders = folders
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from tqdm import tqdm

    tqdm.set_lock(threading.RLock())  # its own lock is a semaphore, which a worker that is killed leaves behind
    share_memory(workers)
    keep_freed_memory()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        for folder in _folders:
            rmtree(folder, ignore_errors=True)  # already gone, unless the parent was killed
        os._exit(1)


def _single_threaded(function: Callable[[tuple[Piece, ...]], Sequence[Result]], task: tuple[Piece, ...]) -> Sequence[Result]:
    with _threads(len(sys.modules)).limit(limits=1):  # small matrices: a second BLAS thread only waits, and changes last bits
        return function(task)


def _sent(function: Callable[[tuple[Piece, ...]], Sequence[Result]], task: tuple[Piece, ...]) -> str:
    """Compute in a worker process, and hand the results over."""
    return sent(_single_threaded(function, task), _folders)


_folders: Sequence[str] = ()


@lru_cache(maxsize=1)
def _threads(n_modules: int) -> ThreadpoolController:
    """Return the control of all thread pools, looked for again once more modules are loaded: they may have brought another."""
    import_module("scipy.linalg")  # loads the BLAS of scipy: only what is loaded by now is limited

    return ThreadpoolController()  # looks at every loaded library: milliseconds


def keep_freed_memory() -> None:
    """Let glibc keep what is freed: it returns large arrays to the system at once, and every new one costs page faults.

    Freeing one large array raises its threshold to that size (mallopt(3), M_MMAP_THRESHOLD, dynamic adjustment).
    """
    np.empty(2**25 - 2**16, dtype=np.uint8)


def physical_cores() -> int:
    """Cores that this process may use, hyper-threads not counted where Linux tells."""
    usable = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
    siblings: set[str] = set()
    for cpu in usable:
        try:
            with open(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list") as file:
                siblings.add(file.read())
        except OSError:
            siblings.add(str(cpu))
    return len(siblings)


@contextmanager
def dask_executor(address: str) -> Generator[Executor]:
    """The workers of a running dask scheduler, such as tcp://localhost:8786 (extra `dask`)."""
    if not re.fullmatch(r"inproc://\S+|(tcp|tls|ucx|wss?)://\S+:\d+", address):
        raise ValueError(f"dask scheduler {address!r}, expected an address such as tcp://localhost:8786")
    try:
        from dask.distributed import Client  # type: ignore[reportMissingTypeStubs]
    except ImportError as error:
        raise ValueError("--dask needs dask.distributed: pip install 'dfdw[dask]'") from error
    with Client(address, timeout="10s", set_as_default=False) as client:
        yield client.get_executor(pure=False)


def _capacity(executor: Executor) -> int:
    """How many workers an executor has; as many as there are cores here, where it does not say."""
    client = getattr(executor, "_client", None)
    if client is not None:
        return max(1, sum(client.ncores().values()))
    return getattr(executor, "_max_workers", None) or physical_cores()


_MOMENT = 0.1
"""Seconds."""
