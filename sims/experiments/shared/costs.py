"""How long a case takes, from a table of measured seconds: `python -m sims.experiments.shared.costs` measures them anew.

The seconds are those of one process, with every core at work, on the machine that measured them; those of small cases include the
compilation for which the first cases wait. They weigh the cases of a run, whose own speed corrects them while it runs.
"""

import json
from functools import cache
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

__all__ = ["expected_seconds", "is_measured", "measure"]

_TABLE = Path(__file__).with_name("seconds.json")
"""{"full" or "small": {"EXPERIMENT: CASE": seconds}}"""

_LEAST = 0.1
"""Seconds: the precision of the table, below which a case would weigh nothing."""


def expected_seconds(case: str, *, small: bool = False) -> float:
    """Return the seconds of the case "EXPERIMENT: CASE"; one that was never measured counts as the median of its experiment.

    >>> expected_seconds("seeds: a case of your own") == expected_seconds("seeds: another")
    True
    """
    known = _table()["small" if small else "full"]
    if case in known:
        return max(known[case], _LEAST)
    experiment = case.partition(": ")[0]
    like = [seconds for name, seconds in known.items() if name.partition(": ")[0] == experiment]
    return max(median(like or known.values()), _LEAST)


def is_measured(case: str, *, small: bool = False) -> bool:
    """Return whether the table has the seconds of this very case."""
    return case in _table()["small" if small else "full"]


@cache
def _table() -> dict[str, dict[str, float]]:
    return json.loads(_TABLE.read_text(encoding="utf-8"))


def measure(file: Path = _TABLE) -> None:
    """Run every case, full and small, in a folder that is removed afterwards, and write the seconds that each took."""
    from sims.experiments import all_experiments
    from sims.experiments.shared.cases import Job, jobs_of, run_cases
    from sims.retrain import engine

    found: dict[str, dict[str, float]] = {}
    for size in ("full", "small"):
        seconds: dict[str, float] = {}

        def note(job: Job, taken: float, seconds: dict[str, float] = seconds) -> None:
            seconds[str(job)] = round(taken, 1)

        with TemporaryDirectory() as folder:
            jobs = jobs_of(list(all_experiments().values()), small=size == "small")
            run_cases(jobs, out=Path(folder), executor=engine.physical_cores(), on_done=note)
        found[size] = dict(sorted(seconds.items()))
    file.write_text(json.dumps(found, indent=0) + "\n", encoding="utf-8")


if __name__ == "__main__":
    measure()
