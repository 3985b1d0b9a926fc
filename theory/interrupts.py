"""Answer Ctrl-C, SIGTERM and SIGHUP once, in one line, however often they come, and never halfway through what must be whole."""

import _thread
import signal
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

__all__ = ["ended_in_order", "interrupts_held_back"]


def ended_in_order(command: Callable[[], int], kept: str) -> int:
    """Run the command of a program that ends after it; return its exit status, 128 + the signal's number where one ends it.

    The first signal raises KeyboardInterrupt, whose message says what is stored (without one, `kept` does). All further ones are
    ignored from then on, and so are those that come when the command has ended: the process has nothing to do but to leave.
    A signal that was ignored at the start, as SIGHUP is under nohup, stays ignored.
    """
    came = _answer_once()
    try:
        return command()
    except BaseException as end:
        if not came and not isinstance(end, KeyboardInterrupt):
            raise
        what = str(end) if isinstance(end, KeyboardInterrupt) else ""
        with suppress(OSError):  # the terminal is gone
            print(f"Interrupted: {what or kept}. Run the same command to resume.", file=sys.stderr, flush=True)
        return 128 + (came[0] if came else signal.SIGINT)
    finally:
        for number in _heeded():
            signal.signal(number, signal.SIG_IGN)


def _answer_once() -> list[int]:
    """Raise KeyboardInterrupt at the first signal, which ends in the list, and ignore all others.

    Python drops an exception where it cannot raise it, as while it deletes an object: the signal is then given again.
    """
    heeded, came = _heeded(), list[int]()

    def answer(number: int, frame: FrameType | None) -> None:
        for other in heeded:
            signal.signal(other, _nothing)  # not SIG_IGN: Python complains where it finds that for a signal that came before
        came.append(number)
        raise KeyboardInterrupt

    def dropped(what: "UnraisableHookArgs") -> None:
        if not came or not issubclass(what.exc_type, KeyboardInterrupt):
            return sys.__unraisablehook__(what)
        signal.signal(came[0], answer)
        again = threading.Timer(_MOMENT, _thread.interrupt_main, came[:1])
        again.daemon = True
        came.clear()
        return again.start()

    sys.unraisablehook = dropped
    for number in heeded:
        signal.signal(number, answer)
    return came


@contextmanager
def interrupts_held_back() -> Generator[None]:
    """Let Ctrl-C, SIGTERM and SIGHUP wait until the end of this block; a process started inside never hears of them.

    For short blocks that must not end halfway: starting, locking, storing. The mask is for that process, which inherits it; the
    handlers are for this one, where another thread may take the signal.
    """
    held = dict[int, None]()
    mask = _mask(_SIGNALS)
    handlers = {number: signal.getsignal(number) for number in _heeded()}
    try:
        for number in handlers:
            signal.signal(number, lambda number, _: held.setdefault(number))
        yield
    finally:
        try:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            for number in held:
                signal.raise_signal(number)
        finally:  # a handler may have raised: the signal came through another thread
            if mask is not None:
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _heeded() -> list[signal.Signals]:
    """Return the signals that are not ignored, and whose handlers this thread may change."""
    if threading.current_thread() is not threading.main_thread():
        return []
    return [number for number in _SIGNALS if signal.getsignal(number) not in (signal.SIG_IGN, None)]


def _nothing(number: int, frame: FrameType | None) -> None:
    """Do nothing about a signal."""


def _mask(signals: list[signal.Signals]) -> set[int] | None:
    """Block signals in this thread, and return what was blocked before; Windows has no such thing."""
    return set(signal.pthread_sigmask(signal.SIG_BLOCK, signals)) if hasattr(signal, "pthread_sigmask") else None


_SIGNALS = [getattr(signal, name) for name in ("SIGHUP", "SIGTERM", "SIGINT") if hasattr(signal, name)]  # the last one raises
_MOMENT = 0.02
"""Seconds."""
