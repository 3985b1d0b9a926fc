"""A disk that is full, a folder that may not be written or that vanishes: one clear line, and the same command goes on later."""

import os
import resource
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from faults.frame import Bench, NotHere, Outcome, Study, Trial, batches, one_line
from faults.job import OUT, Said

BATCH = 5
"""Faults one after the other in one folder, before a run that nothing disturbs."""


def study(name: str, fault: str, attack: Callable[[Bench, Path], Said], trials: int, short: int) -> Study:
    """Make a study of an attack on a run in a place."""

    def run(bench: Bench) -> Iterator[Trial]:
        for number, count in enumerate(batches(bench.trials, BATCH)):
            place = bench.job.fresh(f"{name}-{number}")
            trials = [_outcome(bench, place, attack(bench, place)) for _ in range(count)]
            said = bench.job.run(place)
            if said.status or (wrong := bench.job.wrong(place)):
                found = said.error or said.text[-300:] if said.status else ", ".join(wrong[:3])
                trials[-1] = Trial(Outcome.LOST, trials[-1].message, f"the same command later: {one_line(found, place)}")
            yield from trials

    return Study(name, fault, trials, short, run)


def _outcome(bench: Bench, place: Path, said: Said) -> Trial:
    if said.status == 0:
        wrong = bench.job.wrong(place)
        return Trial(
            Outcome.SILENT if wrong else Outcome.HARMLESS, found=f"status 0, but {', '.join(wrong[:3])} differ" * bool(wrong)
        )
    if not said.error:
        return Trial(Outcome.UNTIDY, found=f"no clear line: {one_line(said.text[-300:], place, 300)}")
    return Trial(Outcome.NAMED, one_line(said.error, place))


def full_disk(bench: Bench, place: Path) -> Said:
    """Let every call fail that changes the folder, from a random one on."""
    return bench.job.run(place, module=("faults.failing_disk", str(bench.rng.randrange(1, 500))), workers=1)


def small_files(bench: Bench, place: Path) -> Said:
    """Allow files of a random size at most."""
    size = int(10 ** bench.rng.uniform(2.0, 5.0))
    return bench.job.run(place, prepare=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)))


def small_disk(bench: Bench, place: Path) -> Said:
    """Put the folder on a disk with a random size left, which only this run sees; keep what it wrote."""
    script = (
        'mount -t tmpfs -o size="$0" tmpfs out && cp -a kept/. out; "$@"; status=$?; rm -rf kept && cp -a out kept; exit $status'
    )
    kept, out = place / "kept", place / OUT
    if out.exists():
        os.rename(out, kept)
    for folder in (kept, out):
        folder.mkdir(exist_ok=True)
    used = sum(path.stat().st_blocks // 2 + 4 for path in kept.rglob("*"))
    said = bench.job.run(place, before=_apart(script, f"{used + int(2 ** bench.rng.uniform(5.0, 10.0))}k"))
    out.rmdir()
    os.rename(kept, out)
    return said


def small_memory(bench: Bench, place: Path) -> Said:
    """Give the run a /dev/shm of a random small size."""
    return bench.job.run(
        place, before=_apart('mount -t tmpfs -o size="$0" tmpfs /dev/shm && "$@"', f"{4 * bench.rng.randrange(1, 24)}k")
    )


def _apart(script: str, word: str) -> list[str]:
    """Return the words before a command that let it run in a script with mounts of its own."""
    try:
        subprocess.run(["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        raise NotHere("it needs the right to mount") from None
    return ["unshare", "--mount", "sh", "-c", script, word]


def read_only(bench: Bench, place: Path) -> Said:
    """Take away the right to write into the folder, or into one folder of it."""
    target = bench.rng.choice([place, *(path for path in (place / OUT, *place.glob(f"{OUT}/*")) if path.is_dir())])
    before = {path: path.stat().st_mode for path in (target, *target.rglob("*"))}
    for path, mode in before.items():
        path.chmod(mode & ~0o222)
    try:
        return bench.job.run(place, before=_without_privileges())
    finally:
        for path, mode in before.items():
            path.chmod(mode)


def _without_privileges() -> list[str]:
    """Return the words before a command that let permissions bind it, also where the administrator runs it."""
    if os.geteuid():
        return []
    if not shutil.which("setpriv"):
        raise NotHere("permissions do not bind the administrator, and there is no setpriv")
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner"]


def vanished(bench: Bench, place: Path) -> Said:
    """Remove the folder at a random moment of the run."""
    process = bench.job.start(place)
    while not (place / OUT / "manifest.json").exists() and process.poll() is None:
        time.sleep(0.01)
    time.sleep(bench.rng.uniform(0.0, 0.3) * bench.job.moments["report:"])
    if process.poll() is None:  # what is removed after the end is no fault of the run
        shutil.rmtree(place / OUT, ignore_errors=True)
    text, _ = process.communicate()
    return Said(process.returncode, text)


STUDIES = (
    study("full-disk", "a disk that is full from some call on", full_disk, 30, 0),
    study("small-files", "no file may be larger than some size", small_files, 10, 0),
    study("small-disk", "a results folder on a disk with 32 to 1,024 KiB left", small_disk, 10, 0),
    study("small-memory", "a full /dev/shm", small_memory, 10, 0),
    study("read-only", "a folder that may not be written", read_only, 10, 0),
    study("vanished", "a folder that is removed while it is written", vanished, 10, 0),
)
