"""kill -9 of a run at a random moment of every stage, and then the same command once more."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from faults.frame import Bench, Outcome, Study, Trial
from faults.job import OUT, Job, living

STAGES = ("", "rows:", "saving", "[1/", "[3/3]", "ledger:", "drawing")
"""A stage begins with a line that has this mark; "saving" is while some file is being written."""


def run(bench: Bench) -> Iterator[Trial]:
    """Kill the process, or its whole group, in each stage in turn."""
    order = bench.rng.sample(STAGES, len(STAGES))
    for k in range(bench.trials):
        stage, whole = order[k % len(order)], bench.rng.random() < 0.5
        place = bench.job.fresh(f"kill-{k}")
        process = bench.job.start(place)
        when = _wait(process, place, stage, bench)
        (os.killpg if whole else os.kill)(process.pid, signal.SIGKILL)
        process.communicate()
        yield _resumed(bench.job, place, process.pid, f"{'group' if whole else 'process'} killed {when}")


def _wait(process: "subprocess.Popen[str]", place: Path, stage: str, bench: Bench) -> str:
    """Wait for a random moment of a stage; say which."""
    if stage == "saving":
        left = sightings = bench.rng.randrange(12)
        while left >= 0 and process.poll() is None:
            left -= any(place.rglob(".*.partial"))
        return f"while it wrote a file, seen for the {sightings + 1}. time"
    assert process.stdout is not None
    moments = list(bench.job.moments)
    begins, ends = bench.job.moments[stage], bench.job.moments[moments[moments.index(stage) + 1]]
    delay = bench.rng.uniform(0.0, ends - begins)
    while stage and stage not in (line := process.stdout.readline()) and line:
        pass
    time.sleep(delay)
    return f"{delay:.2f} s after {stage or 'its start'}"


def _resumed(job: Job, place: Path, killed: int, what: str) -> Trial:
    finished = _finished_blocks(place / OUT)
    process = job.start(place)
    text, _ = process.communicate(timeout=600)
    if process.returncode:
        return Trial(Outcome.LOST, found=f"{what}: the same command ends with status {process.returncode}: {text[-300:]}")
    if wrong := job.wrong(place):
        strange = [name for name in wrong if name not in job.wanted]
        return Trial(Outcome.UNTIDY if strange == wrong else Outcome.LOST, found=f"{what}: {', '.join(wrong[:3])} differ")
    if again := {name for name, mark in _finished_blocks(place / OUT).items() if finished.get(name, mark) != mark}:
        return Trial(Outcome.LOST, found=f"{what}: {', '.join(sorted(again))} computed again")
    if left := _left_behind(killed, process.pid):
        return Trial(Outcome.UNTIDY, found=f"{what}: {left}")
    return Trial(Outcome.HARMLESS)


def _finished_blocks(out: Path) -> dict[str, tuple[int, int]]:
    """Return every chunk of a table whose journal has as many lines as there are chunks: what file it is, and since when."""
    blocks: dict[str, tuple[int, int]] = {}
    for journal in out.glob("*/*.table/journal.jsonl"):
        chunks = sorted(journal.parent.glob("responses*.zarr/responses/c.0.*.0"))
        for chunk in chunks[: journal.read_bytes().count(b"\n")]:
            status = chunk.stat()
            blocks[f"{journal.parent.name}/{chunk.name}"] = status.st_ino, status.st_mtime_ns
    return blocks


def _left_behind(*groups: int) -> str:
    """Say which processes of the groups still run, and what they left in memory; wait a little for those about to end."""
    for _ in range(50):
        running = [process for group in groups for process in living(group)]
        memory = [str(path) for group in groups for path in Path("/dev/shm").glob(f"*dfdw-{group}-*")]
        if not running and not memory:
            return ""
        time.sleep(0.1)
    named = [*(f"process {process} still runs" for process in running), *(f"{path} stays" for path in memory)]
    return ", ".join(named)


STUDIES = (Study("kills", "kill -9 of a run, or of all its processes, in any stage", trials=100, short=0, run=run),)
