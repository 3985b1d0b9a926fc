"""Run the job on a disk that is full from the k-th call that changes something in its folder: failing_disk.py K ARGUMENTS."""

import builtins
import errno
import io
import os
import sys
from collections.abc import Callable
from typing import Any

from faults import small_verify


class FullDisk:
    """Counts the calls that change something in a folder, and lets all from the k-th on fail with ENOSPC."""

    def __init__(self, folder: str, first: int) -> None:
        self.left, self.folder, self.ours = first, folder, set[int]()
        for module, name in ((os, "open"), (io, "open"), (builtins, "open"), (os, "replace"), (os, "rename"), (os, "mkdir")):
            setattr(module, name, self.by_path(getattr(module, name)))
        os.write, os.fsync = self.by_descriptor(os.write), self.by_descriptor(os.fsync)

    def call(self, what: str) -> None:
        """Count a call, and let it fail if the disk is full by now."""
        self.left -= 1
        if self.left <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), what)

    def by_path(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Count calls that name a path in the folder, unless they open a file for reading."""

        def wrapped(path: Any, *how: Any, **more: Any) -> Any:
            ours = not isinstance(path, int) and os.path.abspath(os.fspath(path)).startswith(self.folder)
            mode = more.get("mode", how[0] if how else "r")
            reads = function.__name__ == "open" and (mode in ("r", "rb") or mode == os.O_RDONLY)
            if ours and not reads:
                self.call(str(path))
            result = function(path, *how, **more)
            if ours and isinstance(result, int):
                self.ours.add(result)
            return result

        wrapped.__name__ = function.__name__
        return wrapped

    def by_descriptor(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Count calls on descriptors of the folder."""

        def wrapped(descriptor: int, *how: Any) -> Any:
            if descriptor in self.ours:
                self.call(os.readlink(f"/proc/self/fd/{descriptor}"))
            return function(descriptor, *how)

        return wrapped


if __name__ == "__main__":
    FullDisk(os.path.abspath("out"), int(sys.argv.pop(1)))
    small_verify.run()
