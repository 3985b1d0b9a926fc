"""How far a run of many cases is: one bar on a terminal, else a line after every tenth of the work."""

import shutil
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Any

__all__ = ["Progress", "announced", "clock", "roughly"]


class Progress:
    """The progress of cases that `processes` run in their order, weighted by the seconds that each is expected to take.

    What is left is corrected by how long the finished cases took. Of a case that runs, at most nine tenths count as done.
    """

    def __init__(self, names: Sequence[str], seconds: Sequence[float], processes: int = 1) -> None:
        self._names, self._expected, self._processes = list(names), list(seconds), max(1, processes)
        self._unfinished = dict.fromkeys(range(len(self._names)))  # in the order of their start
        self._began: dict[int, float] = {}
        self._taken = self._start = 0.0
        self._told = 0
        self._stack, self._ended, self._bar = ExitStack(), threading.Event(), None

    def __enter__(self) -> "Progress":
        self._start = time.monotonic()
        self._note_running()
        if sys.stderr.isatty():
            from tqdm import tqdm

            tqdm.set_lock(threading.RLock())  # its own lock is a semaphore, which a run that is killed leaves behind
            self._bar = tqdm(total=1.0, bar_format="{percentage:3.0f}%|{bar}| {desc}", file=sys.stderr, dynamic_ncols=True)
            self._show()
            ticker = threading.Thread(target=self._tick, daemon=True)
            ticker.start()
            self._stack.callback(ticker.join, 5.0)
            self._stack.callback(self._ended.set)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()
        if self._bar is not None:
            with suppress(OSError):  # the terminal is gone
                self._show()
                self._bar.close()

    def done(self, position: int, seconds: float) -> None:
        """Note that the case at this position has finished, after so many seconds."""
        del self._unfinished[position]
        self._taken += seconds
        self._note_running()
        if self._bar is None:
            self._tell()
        else:
            self._show()

    @property
    def _running(self) -> list[int]:
        """The first unfinished cases, one for each process."""
        return list(self._unfinished)[: self._processes]

    def _note_running(self) -> None:
        for position in self._running:
            self._began.setdefault(position, time.monotonic())

    def share(self) -> float:
        """Return the share of the work that is done, in expected seconds."""
        whole = sum(self._expected)
        return 1.0 - self._left_expected() / whole if whole and self._unfinished else 1.0

    def left(self) -> float:
        """Return the seconds that are left: those of all unfinished work over the processes, or of the longest case that runs."""
        longest = max((self._expected[k] - self._gone(k) for k in self._running), default=0.0)
        return self._speed() * max(self._left_expected() / self._processes, longest)

    def _left_expected(self) -> float:
        return sum(self._expected[k] for k in self._unfinished) - sum(map(self._gone, self._running))

    def _gone(self, position: int) -> float:
        """Return what counts as done of a case that runs, in the seconds that it was expected to take."""
        return min(0.9 * self._expected[position], (time.monotonic() - self._began[position]) / self._speed())

    def _speed(self) -> float:
        """Seconds taken for each that was expected, by the finished cases; the expectation itself counts as `_PRIOR` seconds."""
        finished = sum(self._expected) - sum(self._expected[k] for k in self._unfinished)
        return (self._taken + _PRIOR) / (finished + _PRIOR)

    def _times(self) -> str:
        elapsed = clock(time.monotonic() - self._start)
        return f"{elapsed} elapsed, about {clock(self.left())} left" if self._unfinished else f"in {elapsed}"

    def _show(self) -> None:
        """Draw the bar, with the experiments that run where there is room for their names."""
        bar: Any = self._bar
        n, unfinished = len(self._names), len(self._unfinished)
        text = f"{n - unfinished}/{n} cases{',' if unfinished else ''} {self._times()}"
        now = ", ".join(dict.fromkeys(self._names[k].partition(":")[0] for k in self._running))
        room = shutil.get_terminal_size().columns - len(text) - _LEAST_BAR
        if now and len(now) + 2 <= room:
            text = f"{text}: {now}"
        bar.n = min(round(self.share(), 4), 0.99) if self._unfinished else 1.0
        bar.set_description_str(text, refresh=True)

    def _tick(self) -> None:
        with suppress(OSError, ValueError):  # the terminal is gone
            while not self._ended.wait(1.0):
                self._show()

    def _tell(self) -> None:
        """Write a line where there is no terminal: after the first case, after every tenth of the work, and after the last."""
        finished, tenth = len(self._names) - len(self._unfinished), int(10.0 * self.share() + 1e-9)
        if finished == 1 or tenth > self._told or not self._unfinished:
            self._told = max(tenth, self._told)
            print(f"[{finished}/{len(self._names)}] {self.share():.0%} of the work, {self._times()}", file=sys.stderr, flush=True)


_PRIOR = 10.0
"""Seconds."""

_LEAST_BAR = 20
"""Columns for the bar, its frame and the percentage."""


def announced(names: Sequence[str], seconds: Sequence[float], processes: int = 1, *, guessed: bool = False) -> str:
    """Say how many cases there are and about how long they take: a guess where some were never measured.

    >>> announced(["a"] * 188, [8.0] * 188, 2)
    '188 cases, about 13 minutes on 2 processes; resumes if interrupted'
    """
    time_needed = roughly(max(sum(seconds) / processes, *seconds))
    cases, where = f"{len(names)} case{'s' * (len(names) != 1)}", f" on {processes} processes" if processes > 1 else ""
    guess = " (a guess)" if guessed else ""
    return f"{cases}, about {time_needed}{where}{guess}; resumes if interrupted"


def clock(seconds: float) -> str:
    """Return a time as minutes and seconds, with hours where there are some.

    >>> clock(65.2), clock(3601.0)
    ('1:05', '1:00:01')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def roughly(seconds: float) -> str:
    """Return a time as people say it.

    >>> roughly(3.2), roughly(47.0), roughly(800.0), roughly(7000.0)
    ('5 seconds', '50 seconds', '13 minutes', '2 hours')
    """
    if seconds < 55.0:
        return f"{max(5, 5 * round(seconds / 5.0))} seconds" if seconds < 20.0 else f"{10 * round(seconds / 10.0)} seconds"
    if seconds < 5400.0:
        minutes = max(1, round(seconds / 60.0))
        return f"{minutes} minute{'s' * (minutes != 1)}"
    return f"{round(seconds / 3600.0)} hours"
