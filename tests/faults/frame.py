"""What every study of faults shares: trials and their outcomes, the record, and the table made of it."""

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from faults.job import Job

MARKS = ("<!-- faults: from record.json -->", "<!-- end of faults -->")
"""Comments around the table in README.md."""


class Outcome(StrEnum):
    """How a trial ended."""

    NAMED = "named"  # the fault was reported, and nothing wrong was used
    HARMLESS = "harmless"  # no message, and every bit is right
    SILENT = "silent"  # a wrong or partial answer was used, and nobody said so
    LOST = "lost"  # finished work is gone that the fault did not destroy, or repair and the same command do not restore every bit
    UNTIDY = "untidy"  # a traceback in place of a line, or something stays behind: a process, a file, memory


BAD = (Outcome.LOST, Outcome.SILENT, Outcome.UNTIDY)


@dataclass(frozen=True)
class Trial:
    """How one trial ended, what the user reads then, and, where it ended badly, what was done and found."""

    outcome: Outcome
    message: str = ""
    found: str = ""


class NotHere(Exception):  # noqa: N818 it is no error
    """What a study needs is not there; the text says what."""


@dataclass(frozen=True)
class Bench:
    """What a study works with: an empty folder, a random generator of its own, how many trials, and the job that it attacks."""

    folder: Path
    rng: random.Random
    trials: int
    job: Job


@dataclass(frozen=True)
class Study:
    """One kind of fault, tried many times."""

    name: str
    fault: str  # as the table calls it
    trials: int  # of the long form
    short: int  # trials of the short form; 0 leaves it to the long one
    run: Callable[[Bench], Iterator[Trial]]


def tried(trials: Iterable[Trial]) -> dict[str, Any]:
    """Count the outcomes; keep a typical message, and what was found in trials that ended badly."""
    ended = list(trials)
    messages = Counter(trial.message for trial in ended if trial.message)
    counts = Counter(trial.outcome for trial in ended)
    return {
        "trials": len(ended),
        **{outcome.value: counts[outcome] for outcome in Outcome},
        "message": messages.most_common(1)[0][0] if messages else "",
        "found": list(dict.fromkeys(f"{trial.outcome}: {trial.found}" for trial in ended if trial.outcome in BAD)),
    }


def table(record: Mapping[str, Any]) -> str:
    """Return the Markdown table of a record, and below it what was found in trials that ended badly."""
    lines = ["| fault | trials | lost | silent | untidy | what the user reads |", "|---|---|---|---|---|---|"]
    for name in record["studies"]:
        study = record["studies"][name]
        counts = " | ".join(str(study[column]) for column in ("trials", "lost", "silent", "untidy"))
        message = study["message"].replace("|", "\\|")
        lines.append(f"| {study['fault']} | {counts} | {f'`{message}`' if message else 'nothing: the work goes on'} |")
    made = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    lines += ["", f"{record['date']}, seed {record['seed']}; {made}."]
    found = [f"- {study['fault']}: {text}" for study in record["studies"].values() for text in study["found"]]
    return "\n".join([*lines, *(["", "Found:", "", *found] if found else [])])


def short_table(record: Mapping[str, Any]) -> str:
    """Return the Markdown table of a record as the README of the project shows it: counts only."""
    lines = ["| fault | trials | work lost | wrong in silence |", "|---|---|---|---|"]
    lines += [f"| {one['fault']} | {one['trials']:,} | {one['lost']} | {one['silent']} |" for one in record["studies"].values()]
    return "\n".join(lines)


def put_table(page: str, text: str) -> str:
    """Return a Markdown page with the text between its marks."""
    before, _, rest = page.partition(MARKS[0])
    return f"{before}{MARKS[0]}\n\n{text}\n\n{MARKS[1]}{rest.partition(MARKS[1])[2]}"


def one_line(message: str, folder: Path, most: int = 240) -> str:
    """Return a message without line breaks, long names of folders and what differs from run to run."""
    text = " ".join(message.replace(f"{folder}/", "").replace(str(folder), ".").split())
    text = re.sub(r"process \d+", "process 123", re.sub(r"[0-9a-f]{32}", "..", text))
    return text if len(text) <= most else f"{text[: most - 2]}.."


def batches(count: int, size: int) -> Sequence[int]:
    """Return the sizes of batches that add up to a count."""
    return [min(size, count - start) for start in range(0, count, size)]
