"""`import dfdw`: every name is there, comes from where it is defined, and costs nothing before it is used."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import dfdw

ROOT = Path(__file__).parents[2]
OPTIONAL = {
    "JaxLearner": "jax",
    "SklearnLearner": "sklearn",
    "TorchLearner": "torch",
}  # names whose library is an extra, which they import
HEAVY = {"numba", "llvmlite", "zarr", "xarray", "pandas", "statsmodels", "matplotlib", "dask", "sklearn", "jax", "torch"}

TIMED = """
import sys, time
start = time.process_time()
import dfdw
value = dfdw.{name}
print(time.process_time() - start, *(name for name in sys.modules if "." not in name))
"""


def imported(name):
    """CPU seconds until a name is there in a fresh process, and the modules that it has loaded by then."""
    process = subprocess.run(
        [sys.executable, "-c", TIMED.format(name=name)], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True
    )
    seconds, *modules = process.stdout.split()
    return float(seconds), set(modules)


def test_the_block_of_imports_has_the_names_of_all_and_no_others():
    assert sorted(dfdw._homes()) == sorted(dfdw.__all__)
    assert set(dfdw.__all__) <= set(dir(dfdw))


@pytest.mark.parametrize("name", dfdw.__all__)
def test_a_name_is_what_its_module_has(name):
    if name in OPTIONAL:
        pytest.importorskip(OPTIONAL[name])
    module, attribute = dfdw._homes()[name]
    assert getattr(dfdw, name) is getattr(importlib.import_module(module), attribute)


ONE_OF_EACH_MODULE = list({module: name for name, (module, _) in dfdw._homes().items() if name not in OPTIONAL}.values())
"""A name of every module that names come from: its other names cost the same import."""


@pytest.mark.parametrize("name", ONE_OF_EACH_MODULE)
def test_a_name_loads_nothing_heavy_in_a_fresh_process_and_costs_less_than_a_third_of_a_second(name):
    seconds, modules = imported(name)
    assert not modules & HEAVY
    limit = 0.3
    for _ in range(4):
        if seconds < limit:
            break
        limit = max(0.3, 2.5 * imported("__name__; import numpy")[0])  # on a slow machine, or beside other work
        seconds = min(seconds, imported(name)[0])
    assert seconds < limit


@pytest.mark.parametrize(("name", "library"), OPTIONAL.items())
def test_a_learner_of_another_library_loads_that_library_and_no_other(name, library):
    pytest.importorskip(library)
    _, modules = imported(name)
    assert library in modules
    assert not modules & set(OPTIONAL.values()) - {library}


def test_a_heavy_import_would_be_seen():
    _, modules = imported("__name__; import xarray")
    assert "xarray" in modules


def test_a_name_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(AttributeError, match=r"has no attribute 'Logit', expected one of MLP, .*Logistic"):
        dfdw.Logit  # noqa: B018


def test_it_is_the_command_line_too():
    command = [sys.executable, "-m", "dfdw", "--help"]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert process.stdout.startswith("Usage: python -m dfdw")
    assert "verify" in process.stdout
