"""Run studies and make the record of them."""

import datetime
import platform
import random
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from faults.frame import Bench, NotHere, Study, tried
from faults.job import Job
from tqdm import tqdm

PACKAGES = ("numpy", "scipy", "numba", "xarray", "zarr", "matplotlib")


def recorded(
    chosen: Sequence[Study], seed: int, trials: Callable[[Study], int], before: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Run the studies, each with a random generator of its own, and return the record; `before` has studies to keep.

    A study that needs what is not there is named and left out.
    """
    done = dict(before or {})
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        job = Job(folder / "job")
        for study in chosen:
            place = folder / study.name
            place.mkdir()
            bench = Bench(place, random.Random(f"{seed} {study.name}"), trials(study), job)
            try:
                done[study.name] = {"fault": study.fault, **tried(tqdm(study.run(bench), study.name, bench.trials))}
            except NotHere as lack:
                print(f"{study.name} NOT TRIED: {lack}")
                done.pop(study.name, None)
    return {
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "seed": seed,
        "versions": {"Python": platform.python_version(), **{package: version(package) for package in PACKAGES}},
        "studies": done,
    }
