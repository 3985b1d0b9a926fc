"""kill -9 of one of two processes while they train."""

import dataclasses
import hashlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from faults.frame import Bench, Outcome, Study, Trial
from wavy import Wavy

from sims.retrain import response_table, store

LEARNER, SEEDS = Wavy(n_points=10), (0, 3)


def run(bench: Bench) -> Iterator[Trial]:
    """Kill a worker at a random moment; the table must be the same, and every block computed at most once more."""
    wanted = response_table(LEARNER, SEEDS).samples
    for k in range(bench.trials):
        folder = bench.folder / str(k)
        slow = dataclasses.replace(LEARNER, delay=0.02, log=str(bench.folder / f"{k}.log"))
        killer = threading.Thread(target=_kill_one, args=(slow, bench.rng.randrange(1, 24), bench.rng.randrange(2)))
        killer.start()
        try:
            found = response_table(slow, SEEDS, store=folder, executor=2).samples
        except OSError as error:
            yield Trial(Outcome.LOST, str(error), f"the run ended: {error}")
            continue
        finally:
            killer.join()
        same = hashlib.sha256(found.tobytes()).digest() == hashlib.sha256(wanted.tobytes()).digest()
        sound = store.check(folder) == ([], 0)
        yield Trial(Outcome.HARMLESS if same and sound else Outcome.SILENT, found="" if same and sound else "another table")


def _kill_one(learner: Wavy, after: int, which: int) -> None:
    """Kill a worker once a number of blocks were begun."""
    while len(learner.computed()) < after:
        time.sleep(0.001)
    workers = sorted({int(line.split()[1]) for line in Path(learner.log).read_text().splitlines()})
    children = {child.pid for child in multiprocessing.active_children()}
    with suppress(ProcessLookupError):
        os.kill([worker for worker in workers if worker in children][which % len(workers)], signal.SIGKILL)


STUDIES = (Study("workers", "kill -9 of one of two processes that train", trials=20, short=0, run=run),)
