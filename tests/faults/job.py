"""The job that is attacked: a small `verify` of a CSV file, what it must leave on the disk, and what it says."""

import hashlib
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
OUT = "out"
VERIFY = ("verify", "--data", "d.csv", "--target", "y", "--points", "5", "--queries", "2", "--out", OUT)
MARKS = ("rows:", "[1/", "[3/3]", "ledger:", "drawing", "report:")
"""Where the output of a run passes from one stage to the next."""


@dataclass(frozen=True)
class Said:
    """How a run ended, and what it wrote on both channels."""

    status: int
    text: str

    @property
    def error(self) -> str:
        """The line that names the error, without "Error: "; empty unless there is exactly one, and no traceback."""
        lines = [line for line in self.text.splitlines() if line.startswith("Error: ")]
        return lines[0].removeprefix("Error: ") if len(lines) == 1 and self.status == 1 and self.clear else ""

    @property
    def clear(self) -> bool:
        """Whether nothing in it is a traceback or a warning of Python's."""
        return not any(mark in self.text for mark in ("Traceback (most recent", "Exception ignored", "Warning: "))


@dataclass(frozen=True)
class Job:
    """A folder with the CSV file, and the result of a run that nothing disturbed."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which this package and these studies are found."""
        return {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tests")))}

    def fresh(self, name: str) -> Path:
        """Make a place where nothing has run yet."""
        place = self.folder / name
        place.mkdir(parents=True)
        rng = random.Random(1)
        rows = [(rng.gauss(0, 1), rng.gauss(0, 1), rng.gauss(0, 1)) for _ in range(12)]
        (place / "d.csv").write_text("a,b,y\n" + "".join(f"{a:.3f},{b:.3f},{a - b + 0.3 * c:.3f}\n" for a, b, c in rows))
        return place

    def finished(self, name: str) -> Path:
        """Copy the undisturbed run to a place of its own."""
        place = self.folder / name
        shutil.copytree(self.reference, place)
        return place

    def start(
        self,
        place: Path,
        *,
        module: Sequence[str] = ("faults.small_verify",),
        workers: int = 2,
        before: Sequence[str] = (),
        prepare: Callable[[], None] | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> "subprocess.Popen[str]":
        """Start the job in a place, as the leader of a process group of its own."""
        command = [*before, sys.executable, "-m", *module, *VERIFY, "--json", f"{OUT}/ledger.json", "--workers", str(workers)]
        return subprocess.Popen(
            command,
            cwd=place,
            env={**self.environment, **(variables or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=prepare,
        )

    def run(self, place: Path, **how: object) -> Said:
        """Run the job in a place to its end."""
        process = self.start(place, **how)  # type: ignore[arg-type]
        text, _ = process.communicate(timeout=600)
        return Said(process.returncode, text)

    @cached_property
    def reference(self) -> Path:
        """The place of the undisturbed run."""
        return self._undisturbed[0]

    @cached_property
    def moments(self) -> Mapping[str, float]:
        """Seconds from the start of the undisturbed run to the first line with each mark."""
        return self._undisturbed[1]

    @cached_property
    def wanted(self) -> Mapping[str, str]:
        """What the undisturbed run left on the disk."""
        return state(self.reference / OUT)

    @cached_property
    def _undisturbed(self) -> tuple[Path, Mapping[str, float]]:
        place, start = self.fresh("reference"), time.monotonic()
        moments, text = {"": 0.0}, list[str]()
        with self.start(place) as process:
            assert process.stdout is not None
            for line in process.stdout:
                text.append(line)
                moments |= {mark: time.monotonic() - start for mark in MARKS if mark in line and mark not in moments}
        if process.returncode or set(moments) != {"", *MARKS}:
            raise ChildProcessError(f"the undisturbed run failed:\n{''.join(text)}")
        return place, moments

    def wrong(self, place: Path) -> list[str]:
        """Return the files in a place that are not, bit for bit, those of the undisturbed run."""
        found = state(place / OUT)
        return sorted(name for name in {*found, *self.wanted} if found.get(name) != self.wanted.get(name))


def state(out: Path) -> dict[str, str]:
    """Return the sha256 of every file of a results folder by its path.

    A lock holds the number of the process that last held it, and no bit of a result. The lines of a journal have no order.
    """

    def content(file: Path) -> bytes:
        read = file.read_bytes()
        return b"".join(sorted(read.splitlines(keepends=True))) if file.name == "journal.jsonl" else read

    files = [file for file in out.rglob("*") if file.is_file() and file.name != "lock"]
    return {file.relative_to(out).as_posix(): hashlib.sha256(content(file)).hexdigest() for file in files}


def living(group: int) -> Iterator[int]:
    """Yield the processes of a process group that have not ended."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state_of, _, of_group = stat.read_text().rpartition(")")[2].split()[:3]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(of_group) == group and state_of != "Z":
            yield int(stat.parent.name)
