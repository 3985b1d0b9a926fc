"""Run a module in a process of its own, as `python -m` does, that ends when this process ends, whatever ends it.

The process reads from a pipe to which nobody writes: the system closes the pipe with the last process that holds it.
"""

import _thread
import os
import runpy
import signal
import subprocess
import sys
import threading
import time

from theory.interrupts import interrupts_held_back

__all__ = ["run_bound"]


def run_bound(module: str, *arguments: str) -> tuple[int, str]:
    """Run `python -m module arguments`; return its exit status, and what it wrote to standard error."""
    with interrupts_held_back():  # the process never hears of them: the pipe ends it
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, module, *arguments], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    assert process.stdin is not None
    assert process.stderr is not None
    try:
        said = process.stderr.read()
        return process.wait(), said
    except BaseException:
        with interrupts_held_back():
            process.stdin.close()
            process.wait()
        raise
    finally:
        process.stdin.close()
        process.stderr.close()


def _end_with_input() -> None:
    """Interrupt the main thread at the end of input, and end the process if it does not end by itself."""
    os.read(0, 1)
    _thread.interrupt_main()
    time.sleep(_PATIENCE)
    os._exit(1)


_PATIENCE = 3.0
"""Seconds."""

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # where it was ignored, as in the background of a shell script
    threading.Thread(target=_end_with_input, daemon=True).start()
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
