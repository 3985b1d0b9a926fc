"""A saver beside readers, and several runs at once on one folder."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import xarray as xr
from faults.frame import Bench, Outcome, Study, Trial, one_line
from faults.job import Said

from theory.storage import read, save

SAVER = """
import itertools, pathlib, sys
from faults.beside import version
from theory.storage import save
for number in itertools.count():
    save(version(number), pathlib.Path(sys.argv[1]))
    print(number, flush=True)
"""


def version(number: int) -> xr.Dataset:
    """Return a result that has its number everywhere, and other sizes for other numbers."""
    sizes = {f"v{k}": (f"d{k}", np.full(10 + 1000 * (number % 3), float(number))) for k in range(6)}
    return xr.Dataset(sizes, attrs={"experiment": "beside", "case": "saved again and again", "number": number})


def reads(bench: Bench) -> Iterator[Trial]:
    """Read while another process saves: every read must be one version as a whole."""
    save(version(0), bench.folder)
    saver = subprocess.Popen(
        [sys.executable, "-c", SAVER, str(bench.folder)], env=bench.job.environment, stdout=subprocess.PIPE, text=True
    )
    assert saver.stdout is not None
    try:
        for _ in range(bench.trials):
            saver.stdout.readline()  # so that every read meets another version
            try:
                (found,) = read(bench.folder, "beside")
            except OSError as error:
                yield Trial(Outcome.LOST, found=f"a sound result was refused: {one_line(str(error), bench.folder)}")
                continue
            whole = found.identical(version(int(found.attrs["number"])))
            yield Trial(Outcome.HARMLESS if whole else Outcome.SILENT, found="" if whole else "parts of two versions")
    finally:
        saver.kill()
        saver.communicate()


def runs(bench: Bench) -> Iterator[Trial]:
    """Start four runs at once on one folder, fresh and finished in turn; one more run must then complete it."""
    for k in range(bench.trials):
        place = bench.job.finished(f"runs-{k}") if k % 2 else bench.job.fresh(f"runs-{k}")
        started = [bench.job.start(place) for _ in range(4)]
        texts = [process.communicate()[0] for process in started]
        ended = [Said(process.returncode, text) for process, text in zip(started, texts, strict=True)]
        yield _outcome(bench, place, ended)
        shutil.rmtree(place, ignore_errors=True)


def _outcome(bench: Bench, place: Path, ended: list[Said]) -> Trial:
    refusals = [said.error for said in ended if said.status]
    message = one_line(next(filter(None, refusals), ""), place)
    last = bench.job.run(place)
    if last.status or bench.job.wrong(place):
        return Trial(Outcome.LOST, message, f"one more run ends with {last.status}: {last.error or bench.job.wrong(place)[:3]}")
    if unclear := [said.text[-400:] for said in ended if said.status and "is being written by process" not in said.error]:
        return Trial(Outcome.UNTIDY, message, one_line(unclear[0], place, 400))
    return Trial(Outcome.NAMED if message else Outcome.HARMLESS, message)


STUDIES = (
    Study("readers", "reading while another process saves", trials=200, short=10, run=reads),
    Study("runs", "four runs at once on one folder", trials=30, short=0, run=runs),
)
