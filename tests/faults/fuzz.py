"""Random CSV files, and random bytes in random files of a results folder."""

import csv
import io
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from faults.damage import EXEMPT, readers
from faults.frame import Bench, Outcome, Study, Trial, one_line
from faults.job import OUT
from hypothesis import HealthCheck, Phase, given, settings, strategies
from hypothesis import seed as seeded

from sims.datasets.user_file import as_user_data
from sims.datasets.user_record import in_words
from sims.folder_check import check_folder

ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252", "utf-32")
NUMBERS = strategies.floats(width=32).map(str) | strategies.integers().map(str)
CELLS = (
    NUMBERS
    | strategies.sampled_from(["", "nan", "inf", "-1e999", "1_0", "0x1", "\u0661", '"', "NA", "1,5", "\0", "=1+1", "1.234,5"])
    | strategies.text()
)
HEADERS = strategies.sampled_from(["y", "a", "b", "", "Unnamed: 0", "y ", "\ufeffy", "a,b"]) | strategies.text(max_size=5)
OPTIONS = strategies.fixed_dictionaries(
    {},
    optional={
        "categories": strategies.sampled_from([("a",), ("b",), ("c",)]),
        "drop": strategies.sampled_from([("b",), ("",)]),
        "fill": strategies.sampled_from(["median", "mode"]),
        "positive": strategies.sampled_from(["0", "1", ""]),
        "decimal": strategies.sampled_from([".", ","]),
        "learner": strategies.sampled_from(["logistic", "least_squares", "mlp"]),
    },
)


@strategies.composite
def tables(draw: Callable[..., Any]) -> bytes:
    """Tables that are nearly right: numbers with a few other cells, rows of any length, quoted or not, in any encoding."""
    width = draw(strategies.integers(2, 5))
    kinds = strategies.sampled_from(["header", "cells", "huge", "end", "encoding"])
    damage = draw(strategies.sets(kinds, max_size=2))
    numbers = NUMBERS | strategies.floats(-10.0, 10.0).map(str)
    header = draw(strategies.lists(HEADERS, min_size=width, max_size=width)) if "header" in damage else list("yabcd"[:width])
    rows = draw(strategies.lists(strategies.lists(numbers, min_size=width, max_size=width), min_size=8, max_size=20))
    if draw(strategies.booleans()):
        rows = [[str(k % 2), *row[1:]] for k, row in enumerate(rows)]
    if draw(strategies.booleans()):
        rows = [[*row[:-1], draw(strategies.sampled_from(["", "Oslo", "Bern", "1,234"]))] for row in rows]
    for row in draw(strategies.lists(strategies.integers(0, len(rows) - 1), max_size=3)) if "cells" in damage else []:
        rows[row] = draw(strategies.lists(CELLS, max_size=width + 1))
    if "huge" in damage:
        rows[0] = ["9" * draw(strategies.sampled_from([400, 200_000]))] * width
    if draw(strategies.booleans()):
        header, rows = ["", *header], [[str(k), *row] for k, row in enumerate(rows)]
    if draw(strategies.booleans()):
        rows = [[cell.replace(".", ",") for cell in row] for row in rows]
    text = io.StringIO()
    csv.writer(text, delimiter=draw(strategies.sampled_from(",,;\t|")), quoting=draw(strategies.sampled_from([0, 1]))).writerows(
        [header, *rows]
    )
    end = draw(strategies.sampled_from(['"', "\r", "\x1a", ",", "<html>"])) if "end" in damage else ""
    encodings = ENCODINGS if "encoding" in damage else ENCODINGS[:3]
    return (text.getvalue() + end).encode(draw(strategies.sampled_from(encodings)), errors="replace")


def examples(bench: Bench, strategy: strategies.SearchStrategy[Any], attempt: Callable[[Any], Trial]) -> list[Trial]:
    """Try as many examples of a strategy as the bench has trials, none of them from an earlier run."""
    trials: list[Trial] = []

    @seeded(bench.rng.randrange(2**32))
    @settings(
        max_examples=bench.trials,
        database=None,
        deadline=None,
        derandomize=False,
        phases=[Phase.generate],
        suppress_health_check=HealthCheck,
    )
    @given(strategy)
    def each(example: Any) -> None:
        trials.append(attempt(example))

    each()
    return trials


def files(bench: Bench) -> Iterator[Trial]:
    """Read random CSV files: numbers that are there, or an error with a message that says what is wrong."""
    file = bench.folder / "f.csv"

    def attempt(example: tuple[bytes, dict[str, Any]]) -> Trial:
        content, options = example
        file.write_bytes(content)
        try:
            drawn = as_user_data(file, "y", n_queries=2, **options).drawn(4)
            data, said = drawn.data, [*in_words(drawn)]
        except (ValueError, OSError) as error:
            message = one_line(str(error), bench.folder)
            return Trial(Outcome.NAMED if message else Outcome.UNTIDY, message, f"{content[:80]!r} {options}: no message")
        except Exception as error:
            return Trial(Outcome.UNTIDY, found=f"{content[:200]!r} {options}: {type(error).__name__}: {error}")
        sound = all(np.isfinite(part).all() for part in (data.X, data.y, data.X_query)) and all("\n" not in line for line in said)
        return Trial(
            Outcome.HARMLESS if sound else Outcome.SILENT,
            found="" if sound else f"{content[:200]!r} {options}: not finite, or not said",
        )

    yield from examples(bench, strategies.tuples(tables() | tables() | strategies.binary(max_size=200), OPTIONS), attempt)


def folders(bench: Bench) -> Iterator[Trial]:
    """Write random bytes into random files of a results folder, and let everything read it."""
    clean = bench.job.finished("fuzz-clean")
    out, sound = clean / OUT, bench.job.reference / OUT
    names = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file() and path.name not in EXEMPT)
    answers = {name: repr(reader()) for name, reader in readers(out).items()}
    contents = strategies.binary(max_size=100) | strategies.sampled_from([b"{}", b"[]", b"null", b"0", b'{"files": 0}', b"\n"])
    damages = strategies.dictionaries(strategies.sampled_from(names), contents, min_size=1, max_size=3)

    def attempt(damage: dict[str, bytes]) -> Trial:
        for name, content in damage.items():
            (out / name).write_bytes(content)
        try:
            return _read(out, answers, str(damage), clean)
        finally:
            for name in damage:
                shutil.copy2(sound / name, out / name)

    yield from examples(bench, damages, attempt)


def _read(out: Path, answers: dict[str, str], what: str, clean: Path) -> Trial:
    try:
        said = [fault for part in check_folder(out) for fault in part.faults]
        try:
            found = readers(out)
        except OSError:
            found = {}
        for name, reader in found.items():
            try:
                if repr(reader()) != answers[name]:
                    return Trial(Outcome.SILENT, found=f"{what}: another answer without a word: {name}")
            except (OSError, ValueError):
                continue
    except Exception as error:
        return Trial(Outcome.UNTIDY, found=f"{what}: {type(error).__name__}: {error}")
    return Trial(Outcome.NAMED, one_line(said[0], clean)) if said else Trial(Outcome.SILENT, found=f"{what}: check says nothing")


STUDIES = (
    Study("csv", "random CSV files", trials=2000, short=60, run=files),
    Study("bytes", "random bytes in one to three files of a results folder", trials=500, short=3, run=folders),
)
