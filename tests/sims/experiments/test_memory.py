"""What guards ask for is what is taken at the peak, measured in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sims.experiments import all_experiments
from theory import memory

ROOT = Path(__file__).parents[3]
MEASURE = """
import sys
import numpy as np
import scipy.linalg, scipy.stats, xarray
from sims.experiments import all_experiments
from sims.retrain import response_table
from theory import memory
from theory.datamodel import optimal_datamodel
asked, require = [], memory.require_memory
for module in list(sys.modules.values()):
    if getattr(module, "require_memory", None) is require:
        module.require_memory = lambda n_bytes, *_: asked.append(n_bytes)
def peak():
    with open("/proc/self/status") as file:  # ru_maxrss would be that of the process that started this one, if it was larger
        return 1024 * next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
def of_experiment(n):
    experiment = all_experiments()[sys.argv[1]]
    experiment.run(experiment.resize(experiment.cases[0], n))
def table(n):
    class Cheap:
        n_points, n_outputs, block_rows = n, 16, 2**12
        def respond(self, weights, seeds):
            return np.repeat(np.asarray(weights).sum(axis=1)[:, None, None], 16, axis=2)
    response_table(Cheap(), [0]).mean
job, n = table if sys.argv[1] == "table" else of_experiment, int(sys.argv[2])
job(8)  # compiles, and takes what does not depend on n
before = peak()
asked.clear()
job(n)
print(asked[0], max(asked), peak() - before)
"""


@pytest.mark.parametrize(("job", "n"), [("identity", 18), ("table", 20), ("spectrum", 14)])
def test_the_first_guard_asks_for_the_peak_of_the_whole_job(job, n):
    if sys.platform != "linux":
        pytest.skip("the peak is read from /proc")
    process = subprocess.run(
        [sys.executable, "-c", MEASURE, job, str(n)],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    first, most, peak = map(int, process.stdout.split())
    assert first == most
    assert peak <= first + _BASE
    assert peak >= first / 2


def test_an_experiment_that_does_not_fit_is_refused_before_anything_is_trained(monkeypatch):
    experiment = all_experiments()["identity"]
    monkeypatch.setattr(memory, "available_bytes", lambda: 2**20)
    with pytest.raises(MemoryError, match=r"identity on 2\*\*16 subsets x 16 outputs needs .* take fewer training points"):
        experiment.run(experiment.cases[0], retrain=lambda *_, **__: pytest.fail("trained before asking"))


def test_processes_that_ask_at_once_share_what_is_free(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 1000)
    memory.require_memory(800, "a table", "take less")
    monkeypatch.setattr(memory, "_sharers", 4)
    memory.require_memory(200, "a table", "take less")
    with pytest.raises(MemoryError, match="are free to each of 4 processes: take less"):
        memory.require_memory(201, "a table", "take less")


_BASE = 64 * 2**20
"""Bytes of a block and what training takes, which do not grow with the number of subsets."""
