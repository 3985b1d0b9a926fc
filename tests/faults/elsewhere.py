"""Studies that are ordinary tests: each test is a trial, and one that fails is a wrong answer without a word."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from xml.etree import ElementTree

from faults.frame import Bench, NotHere, Outcome, Study, Trial
from faults.job import ROOT


def run(bench: Bench, module: str, select: Sequence[str] = ()) -> Iterator[Trial]:
    """Run a test module and count its tests; skipped ones are no trials."""
    if not (ROOT / module).exists():
        raise NotHere(f"{module} is not there")
    report = bench.folder / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", f"--junitxml={report}", module, *select]
    said = subprocess.run(command, cwd=ROOT, env=bench.job.environment, capture_output=True, text=True, check=False).stdout
    if not report.exists():
        raise NotHere(f"pytest {module} made no report: {said[-200:]}")
    for case in ElementTree.parse(report).iter("testcase"):
        faults = [part for kind in ("failure", "error") for part in case.iter(kind)]
        if faults:
            yield Trial(Outcome.SILENT, found=f"{case.get('name')}: {' '.join(str(faults[0].get('message')).split())[:200]}")
        elif case.find("skipped") is None:
            yield Trial(Outcome.NAMED)


_OTHER_PROGRAMS = "another_program or another_source or settings_of_the_compiler"

STUDIES = (
    Study(
        "other-workers",
        "workers with other code, versions, BLAS or settings",
        trials=0,
        short=0,
        run=partial(
            run,
            module="tests/sims/retrain/test_provenance.py",
            select=("-k", "another_program or another_source or settings_of_the_compiler"),
        ),
    ),
    Study(
        "learners",
        "learners that misbehave",
        trials=0,
        short=0,
        run=partial(run, module="tests/sims/testing/test_hostile_learners.py"),
    ),
    Study("calls", "bad calls of the public API", trials=0, short=0, run=partial(run, module="tests/meta/test_bad_calls.py")),
)
