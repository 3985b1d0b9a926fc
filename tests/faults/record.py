"""Run studies and make the record of them."""

import datetime
import platform
import random
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from faults.frame import Bench, NotHere, Study, tried
from faults.job import Job
from tqdm import tqdm

PACKAGES = ("numpy", "scipy", "numba", "xarray", "zarr", "matplotlib")


def attacked(study: Study, job: Job, folder: Path, seed: int, trials: int) -> dict[str, Any]:
    """Run one study in an empty folder of its own, with a random generator of its own, and return its part of the record."""
    folder.mkdir()
    bench = Bench(folder, random.Random(f"{seed} {study.name}"), trials, job)
    return {"fault": study.fault, **tried(tqdm(study.run(bench), study.name, trials or None))}


def records(
    chosen: Sequence[Study], seed: int, trials: Callable[[Study], int], before: Mapping[str, Any] | None = None
) -> Iterator[dict[str, Any]]:
    """Run the studies and yield the record after each; `before` has studies to keep. One that lacks something is left out."""
    done = dict(before or {})
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        job = Job(Path(name) / "job")
        for study in chosen:
            try:
                done[study.name] = attacked(study, job, Path(name) / study.name, seed, trials(study))
            except NotHere as lack:
                print(f"{study.name} NOT TRIED: {lack}")
                done.pop(study.name, None)
            yield {
                "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
                "seed": seed,
                "versions": {"Python": platform.python_version(), **{package: version(package) for package in PACKAGES}},
                "studies": dict(done),
            }
