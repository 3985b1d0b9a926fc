"""One damaged file of every kind in a results folder: is it named, does a reader give another number, is every bit restored?"""

import os
import random
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from faults.frame import Bench, Outcome, Study, Trial, batches, one_line
from faults.job import OUT, Job

from figures.results import read_all, retrainings
from sims.folder_check import check_folder
from sims.ledger.explain import claims_by_id, explanation, overview
from sims.ledger.text import ledger_text, missing_text
from sims.retrain import store
from theory.claims import all_claims, judge
from theory.storage import ResultsFolder, experiments_in, read

BATCH = 10
"""Faults that are repaired together, by one run: it takes longer than all else."""

EXEMPT = ("lock",)
"""A lock holds the number of the process that last held it. Nothing reads it but the message that another process writes."""


@dataclass(frozen=True)
class Damage:
    """What is done to a file, or to two: a byte flipped, the file removed or cut off, or swapped with another of its kind."""

    what: str
    file: str
    other: str = ""
    place: int = 0
    bits: int = 1

    def __str__(self) -> str:
        return f"{self.file} {self.what}" + (
            f" with {self.other}" if self.other else f" at byte {self.place}" * (not self.removed)
        )

    @property
    def removed(self) -> bool:
        """Whether the file is gone."""
        return self.what == "removed"

    @property
    def files(self) -> tuple[str, ...]:
        """The files that are no longer what they were."""
        return (self.file, self.other) if self.other else (self.file,)

    def do(self, out: Path) -> None:
        """Damage the files in a results folder."""
        file = out / self.file
        if self.removed:
            file.unlink()
        elif self.other:
            aside = file.with_name("aside")
            os.rename(file, aside)
            os.rename(out / self.other, file)
            os.rename(aside, out / self.other)
        elif self.what == "cut off":
            os.truncate(file, self.place)
        else:
            content = bytearray(file.read_bytes())
            content[self.place] ^= self.bits
            file.write_bytes(content)


def kind(name: str) -> str:
    """Return the kind of a file in a results folder: what it is of, and what it holds."""
    path = Path(name)
    if ".table/" in name:
        within = name.partition(".table/")[2]
        return f"table {'chunk' if path.name.startswith('c.0.') else within}"
    if ".zarr/" in name:
        return "result metadata" if path.name == "zarr.json" else "result chunk"
    return path.suffix if path.parent.name == "figures" else path.name


def owner(name: str) -> str:
    """Return the table or the result that a file belongs to; of other files, the file."""
    parts = Path(name).parts
    return next(("/".join(parts[: k + 1]) for k, part in enumerate(parts) if part.endswith((".table", ".zarr"))), name)


def drawn(rng: random.Random, out: Path, taken: set[str]) -> Damage:
    """Draw a damage: first the kind of the file, then the file, then what happens to it. One of every table and result at most.

    The settings of a table and their copy, both damaged, leave nothing that says what the table is of: that is for a person.
    """
    kinds: dict[str, list[str]] = defaultdict(list)
    for path in sorted(out.rglob("*")):
        name = path.relative_to(out).as_posix()
        if path.is_file() and path.name not in EXEMPT and owner(name) not in taken:
            kinds[kind(name)].append(name)
    names = kinds[rng.choice(sorted(kinds))]
    file, what = rng.choice(names), rng.choice(("a byte flipped", "removed", "cut off", "swapped"))
    size = (out / file).stat().st_size
    others = [name for name in names if owner(name) != owner(file) and (out / name).read_bytes() != (out / file).read_bytes()]
    if what == "swapped" and others:
        return Damage(what, file, rng.choice(others))
    if what in ("removed", "cut off"):
        return Damage(what, file, place=rng.randrange(size))
    return Damage("a byte flipped", file, place=rng.randrange(size), bits=rng.randrange(1, 256))


def readers(out: Path) -> Mapping[str, Callable[[], object]]:
    """Return everything that makes numbers of a results folder, by name."""

    def judged() -> str:
        ledger = judge(read_all(out))
        return ledger_text(ledger.verdicts) + missing_text(ledger.not_judged)

    return {
        "the ledger": judged,
        "explain": lambda: overview(all_claims(), out),
        "explain T10": lambda: explanation(*claims_by_id(["T10"]), out),
        "the report": lambda: retrainings(out),
        "rows": lambda: ResultsFolder(out).get("d.csv-5.rows.json"),
        **{f"results of {name}": partial(_values, out, name) for name in experiments_in(out)},
        **{f"table {path.relative_to(out)}": partial(_table, path) for path in store.find_stores(out)},
    }


def _values(out: Path, experiment: str) -> object:
    return [result.to_dict() for result in read(out, experiment)]


def _table(path: Path) -> object:
    return store.load(path).to_dict()


def run(bench: Bench) -> Iterator[Trial]:
    """Damage one file at a time, then several at once and repair them together."""
    clean = bench.job.finished("damage-clean")
    answers = {name: repr(reader()) for name, reader in readers(clean / OUT).items()}
    for number, count in enumerate(batches(bench.trials, BATCH)):
        damages: list[Damage] = []
        trials: list[Trial] = []
        for _ in range(count):
            damage = drawn(bench.rng, clean / OUT, {owner(file) for each in damages for file in each.files})
            damages.append(damage)
            trials.append(_alone(bench.job, clean, damage, answers))
        if fault := _repaired(bench.job, f"damage-{number}", damages):
            alone = [_repaired(bench.job, f"damage-{number}-{k}", [damage]) for k, damage in enumerate(damages)]
            together = "" if any(alone) else f"; {', '.join(map(str, damages))}, together: {fault}"
            trials = [
                Trial(Outcome.LOST, trial.message, f"{damage}: {each}{together}") if each or together else trial
                for trial, damage, each in zip(trials, damages, alone, strict=True)
            ]
        yield from trials


def _alone(job: Job, clean: Path, damage: Damage, answers: Mapping[str, str]) -> Trial:
    """Damage a clean folder, check it, let everything read it, and put back what was there."""
    out = clean / OUT
    damage.do(out)
    try:
        said = [fault for part in check_folder(out) for fault in part.faults]
        crashes, other = [], []
        try:
            found = readers(out)
        except OSError:
            found = {}
        for name, reader in found.items():
            try:
                if repr(reader()) != answers.get(name):
                    other.append(name)
            except (OSError, ValueError):
                continue
            except Exception as error:
                crashes.append(f"{name}: {type(error).__name__}: {error}")
    except Exception as error:
        return Trial(Outcome.UNTIDY, found=f"{damage}: {type(error).__name__}: {error}")
    finally:
        for file in damage.files:
            (out / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(job.reference / OUT / file, out / file)
    if unnamed := [file for file in damage.files if not any(str(out / owner(file)) in fault for fault in said)]:
        return Trial(Outcome.SILENT, found=f"{damage}: check does not name {', '.join(unnamed)}")
    if other:
        return Trial(Outcome.SILENT, found=f"{damage}: another answer without a word: {', '.join(other)}")
    if crashes:
        return Trial(Outcome.UNTIDY, found=f"{damage}: {crashes[0]}")
    return Trial(Outcome.NAMED, one_line(next(fault for fault in said if str(out / owner(damage.file)) in fault), clean))


def _repaired(job: Job, name: str, damages: list[Damage]) -> str:
    """Say what repair and the same command do not bring back; nothing is the empty text."""
    place = job.finished(name)
    for damage in damages:
        damage.do(place / OUT)
    list(check_folder(place / OUT, repair=True))
    if left := [fault for part in check_folder(place / OUT) for fault in part.faults]:
        return f"after a repair check still says: {one_line(left[0], place)}"
    said = job.run(place, workers=1)  # a pool would take longer than the work; the bits are the same
    if said.status:
        return f"after a repair the same command ends: {one_line(said.error or said.text[-300:], place)}"
    if wrong := job.wrong(place):
        return f"repair and the same command leave {', '.join(wrong[:3])} different"
    shutil.rmtree(place)
    return ""


STUDIES = (Study("damage", "a byte flipped; a file removed, cut off or swapped with another", trials=500, short=1, run=run),)
