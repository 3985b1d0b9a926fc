"""What a script imports of this package leaves everything heavy for when it is used."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = {"numba", "zarr", "xarray", "pandas", "statsmodels", "matplotlib", "dask", "scipy.stats", "scipy.special", "scipy.linalg"}
IMPORTS = [
    "from sims.learners import MLP",
    "from sims.retrain import response_table",
    "from sims.testing import check_learner",
    "from theory.datamodel import optimal_datamodel",
]


def loaded(code):
    """The modules that a fresh process has loaded after the code."""
    program = f"{code}\nimport sys\nprint(*sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=120)
    assert process.returncode == 0, process.stderr
    return set(process.stdout.split())


@pytest.mark.parametrize("code", IMPORTS)
def test_an_import_loads_nothing_heavy(code):
    modules = loaded(code)
    assert "numpy" in modules
    assert not modules & HEAVY


def test_a_heavy_module_would_be_seen():
    call = "LeastSquares([[1.0]], [1.0], [[1.0]]).respond([[1.0]], [0])"
    assert "numba" in loaded(f"from sims.learners import LeastSquares\n{call}")
