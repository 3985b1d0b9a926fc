"""Locks on files, which end with the process that holds them, on every operating system."""

import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["is_locked", "locked"]


@contextmanager
def locked(file: Path, what: str, *, patience: float = 1.0) -> Generator[None]:
    """Hold the lock of a file while this block runs. Where another process keeps it longer than `patience` seconds, name it."""
    import portalocker

    with file.open("a+") as handle:
        end = time.monotonic() + patience
        while True:
            try:
                portalocker.lock(handle, portalocker.LOCK_EX | portalocker.LOCK_NB)
                break
            except portalocker.AlreadyLocked:
                if time.monotonic() > end:
                    handle.seek(0)
                    raise BlockingIOError(
                        f"{what} is being written by process {handle.read() or '?'}: wait for it, or stop it"
                    ) from None
                time.sleep(_MOMENT)
            except portalocker.LockException as error:
                raise OSError(f"{file} cannot be locked ({error}): choose a folder on a disk that knows locks") from error
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        try:
            yield
        finally:
            portalocker.unlock(handle)


def is_locked(file: Path) -> bool:
    """Return whether a process holds the lock of a file. Nothing is written."""
    import portalocker

    try:
        with file.open() as handle:
            portalocker.lock(handle, portalocker.LOCK_SH | portalocker.LOCK_NB)
            portalocker.unlock(handle)
    except portalocker.AlreadyLocked:
        return True
    except (OSError, portalocker.LockException):  # there is none, or nobody can lock it
        return False
    return False


_MOMENT = 0.02
"""Seconds."""
