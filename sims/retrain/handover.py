"""Hand results of worker processes over in files, in memory where there is room, and sweep what killed runs have left.

A run has a folder in memory and one for temporary files, `dfdw-<process>-<random>`, and holds the lock of the file `alive` in
each. The lock ends with the process, whatever ends it: a folder whose lock can be had is a dead run's, and the next run removes
it, with the semaphores that are named after it. Process numbers are no such sign: they are used again.
"""

import multiprocessing
import os
import pickle
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path
from shutil import rmtree
from typing import Any, Literal, TextIO, cast

__all__ = ["NoRoomError", "received", "run_folders", "semaphores_named_after", "sent"]


class NoRoomError(OSError):
    """Results of a worker that fit into no folder: disks, or memory for files, are full."""


@contextmanager
def run_folders() -> Generator[list[str]]:
    """Make the folders of this run, the one to try first first; they go with the block."""
    places = [place for place in dict.fromkeys([_MEMORY, tempfile.gettempdir()]) if os.access(place, os.W_OK)]
    for place in places:
        _sweep(Path(place))
    folders, reasons = list[str](), list[str]()
    with ExitStack() as stack:
        for place in places:
            try:
                folders.append(str(stack.enter_context(_live_folder(Path(place)))))
            except OSError as error:
                reasons.append(str(error))
        if not folders:
            raise NoRoomError(f"worker processes need a folder for results: {'; '.join(reasons)}. Make room, or take one worker")
        yield folders


def sent(results: Sequence[Any], folders: Sequence[str]) -> str:
    """Write results into the first folder that has room for them, and return the path of the file.

    The message through the pool's pipe is then so short that it is written whole or not at all: a process that is killed while it
    writes a long one leaves the reader waiting for ever.
    """
    name, reasons = f"{os.getpid()}-{next(_MESSAGES)}", list[str]()
    for folder in folders:
        path = os.path.join(folder, name)
        try:
            with open(path, "xb") as file:
                pickle.dump(results, file, protocol=5)  # arrays go to the file and come from it without a copy
        except OSError as error:
            with suppress(OSError):
                os.unlink(path)
            reasons.append(f"{os.path.dirname(folder)} ({error.strerror or error})")
        else:
            return path
    where = " or ".join(reasons)
    raise NoRoomError(f"results of a worker do not fit into {where}: make room there, or set TMPDIR to a folder that has it")


def received(path: str) -> Sequence[Any]:
    """Read what `sent` has written, and remove the file."""
    with open(path, "rb") as file:
        results = pickle.load(file)
    os.unlink(path)
    return results


@contextmanager
def semaphores_named_after(folder: str) -> Generator[None]:
    """Name the semaphores that are made in this block after the folder of the run, so that they are swept with it."""
    config = cast(dict[str, Any], multiprocessing.current_process()._config)  # type: ignore[reportAttributeAccessIssue] # there is no other way
    before = str(config["semprefix"])
    config["semprefix"] = f"/{os.path.basename(folder)}"
    try:
        yield
    finally:
        config["semprefix"] = before


@contextmanager
def _live_folder(place: Path) -> Generator[Path]:
    """Make a folder and hold its lock. Another run's sweep may have it first, between the two: then make another."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=place))
        if (lock := _lock(folder, "x")) is not None:
            break
    try:
        yield folder
    finally:
        rmtree(folder, ignore_errors=True)
        lock.close()


def _lock(folder: Path, mode: Literal["x", "r+"]) -> TextIO | None:
    """Return the locked file of a folder, None where another process has it or has removed it."""
    import portalocker  # loads more than all else that a table needs

    try:
        file = (folder / _ALIVE).open(mode)
    except FileNotFoundError:
        return None
    try:
        portalocker.lock(file, portalocker.LOCK_EX | portalocker.LOCK_NB)
    except portalocker.AlreadyLocked:
        file.close()
        return None
    except portalocker.LockException as error:
        file.close()
        rmtree(folder, ignore_errors=True)
        raise OSError(f"{folder.parent} has files that cannot be locked ({error})") from error
    if (folder / _ALIVE).exists():
        return file
    file.close()
    return None


def _sweep(place: Path) -> None:
    """Remove what runs have left whose process is dead; what is not ours to remove stays."""
    for folder in place.glob(f"{_PREFIX}*-*"):
        with suppress(OSError):
            lock = _lock(folder, "r+")
            if lock is None and ((folder / _ALIVE).exists() or time.time() - folder.stat().st_mtime < _YOUNG):
                continue
            for semaphore in place.glob(f"sem.{folder.name}-*"):
                semaphore.unlink()
            rmtree(folder, ignore_errors=True)
            if lock is not None:
                lock.close()


_MEMORY = "/dev/shm"  # files that are never written to a disk
_PREFIX, _ALIVE = "dfdw-", "alive"
_YOUNG = 60.0  # seconds in which a folder surely has got its lock
_MESSAGES = count()
