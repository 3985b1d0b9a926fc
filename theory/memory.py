"""Refuse a computation that needs more memory than the machine has free."""

import os
import sys
from pathlib import Path

__all__ = ["available_bytes", "require_memory", "share_memory"]


def available_bytes() -> int:
    """Return the bytes that can be allocated without swapping: MemAvailable on Linux, all physical memory on macOS.

    Windows does not say, and is asked for nothing: the largest number.
    """
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    if not hasattr(os, "sysconf"):
        return sys.maxsize
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def share_memory(n_processes: int) -> None:
    """Let this process count on its share of what is free only: as many processes ask at the same time."""
    global _sharers
    _sharers = n_processes


def require_memory(n_bytes: int, what: str, remedy: str) -> None:
    """Raise MemoryError when `what` needs more than four fifths of the memory that is free, or of this process's share of it."""
    free = available_bytes() // _sharers
    if n_bytes > 0.8 * free:
        shared = f" to each of {_sharers} processes" if _sharers > 1 else ""
        raise MemoryError(f"{what} needs {n_bytes / 2**30:,.1f} GiB, {free / 2**30:,.1f} GiB are free{shared}: {remedy}")


_sharers = 1
