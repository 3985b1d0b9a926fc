"""The main job's small run, made once for a whole run of the suite: `python -m sims verify --small` and what it answered.

`SMALL_RESULTS` names the folder that all processes of the suite share. Where this file was run as a program before the suite,
with the same folder, the suite makes no run of its own.
"""

import fcntl
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

RESULTS = "my results"


@dataclass(frozen=True)
class SmallRun:
    """The folder of the run, with its results in `RESULTS` and `ledger.json`, and what the command answered."""

    folder: Path
    returncode: int
    stdout: str
    stderr: str


def small_run():
    """The run, made by the process that asks first; others wait for it."""
    shared = Path(os.environ["SMALL_RESULTS"])
    (shared / "run").mkdir(exist_ok=True)
    with (shared / "answer.json").open("a+") as kept:
        fcntl.flock(kept, fcntl.LOCK_EX)
        if kept.seek(0, os.SEEK_END) == 0:  # nobody has made it, also not while this process waited
            json.dump(asdict(_verified(shared / "run")), kept, default=str)
        kept.seek(0)
        answer = json.load(kept)
    return SmallRun(**{**answer, "folder": Path(answer["folder"])})


def is_made():
    """Whether some process makes the run now or has made it."""
    return Path(os.environ["SMALL_RESULTS"], "answer.json").exists()


def _verified(folder):
    command = [sys.executable, "-m", "sims", "verify", "--small", "--workers", "2", "--out", RESULTS, "--json", "ledger.json"]
    process = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=400)
    return SmallRun(folder, process.returncode, process.stdout, process.stderr)


if __name__ == "__main__":
    made = small_run()
    print(made.stdout, made.stderr, sep="\n")
    sys.exit(made.returncode)
