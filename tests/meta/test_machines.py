"""What `make test-machines` runs on which processor, what it skips by name, and how it reads pytest's last line."""

import platform
import subprocess
import sys

import machines
import numpy as np
import pytest
from machines import ROOT, arithmetics, of_blas, of_numba, of_numpy, other_kernels, outcome

ZEN4 = ["X86_V3", "X86_V4", "AVX512_ICL"]
HASWELL = ["X86_V3"]
BEFORE_NUMPY_2_4 = ["SSSE3", "SSE41", "AVX", "FMA3", "AVX2", "AVX512F", "AVX512CD", "AVX512_SKX"]


@pytest.mark.parametrize(("found", "wide"), [(ZEN4, "X86_V4 AVX512_ICL"), (BEFORE_NUMPY_2_4, "AVX512F AVX512CD AVX512_SKX")])
def test_numpy_runs_without_its_wide_instructions_and_without_all_it_found(found, wide):
    without_wide, without_all = of_numpy(found)
    assert without_wide.variables == {"NPY_DISABLE_CPU_FEATURES": wide}
    assert without_all.variables == {"NPY_DISABLE_CPU_FEATURES": " ".join(found)}


def test_what_the_processor_lacks_is_skipped_by_name():
    wide, everything = of_numpy(HASWELL)
    assert (wide.variables, wide.lacks) == ({}, "numpy finds no such instructions here, only X86_V3")
    assert not everything.lacks
    assert [run.lacks for run in of_numpy([])] == ["numpy finds no such instructions here, only its baseline"] * 2
    assert of_numba("aarch64").lacks == "the processor is aarch64"
    assert of_numba("x86_64").variables == {"NUMBA_CPU_NAME": "x86-64-v2", "NUMBA_CPU_FEATURES": ""}


def test_the_short_form_leaves_openblas_and_its_threads_alone():
    short, whole = (arithmetics(ZEN4, "x86_64", short=short) for short in (True, False))
    assert [run.name for run in short] == ["numpy without AVX-512", "numpy without chosen instructions", "numba for x86-64-v2"]
    assert whole[2:] == short
    assert [run.variables for run in whole[:2]] == [{"BLAS_THREADS": "1"}, {"BLAS_THREADS": "2"}]
    assert not any("BLAS" in name for run in short for name in run.variables)


KERNELS_AND_FOUND = [("Nehalem", []), ("Haswell", HASWELL), ("Zen", BEFORE_NUMPY_2_4), ("SkylakeX", ZEN4)]


@pytest.mark.parametrize(("kernels", "found"), KERNELS_AND_FOUND)
def test_kernels_of_openblas_that_the_processor_can_run_are_chosen(kernels, found):
    assert of_blas(kernels, found).variables == {"OPENBLAS_CORETYPE": kernels}


def test_kernels_of_openblas_that_the_processor_cannot_run_are_named():
    assert of_blas("SkylakeX", HASWELL).lacks == "OpenBLAS's SkylakeX kernels need X86_V4, numpy finds X86_V3"
    with pytest.raises(ValueError, match="BLAS = 'Pentium', expected one of Nehalem, Haswell, Zen, SkylakeX"):
        of_blas("Pentium", ZEN4)


def test_kernels_that_openblas_ignores_are_no_test_of_them():
    assert other_kernels("Zen", "Haswell") == other_kernels("Haswell", "Haswell") == ""
    assert other_kernels("Haswell", "SkylakeX") == "OpenBLAS uses the kernels SkylakeX"
    assert other_kernels("Nehalem", "") == "OpenBLAS uses the kernels of another library"


@pytest.mark.parametrize(
    ("last", "counts"),
    [
        ("56 passed in 21.54s", "56 passed"),
        ("1 failed, 55 passed, 2 skipped in 3.10s", "1 failed, 55 passed"),
        ("2 errors in 0.31s", "2 errors"),
        ("no tests ran in 0.01s", "no test ran"),
    ],
)
def test_the_last_line_of_pytest_is_counted(last, counts):
    assert outcome(f"F..  [100%]\nE  7 failed and 3 passed\n{last}\n") == counts


def test_every_arithmetic_is_named_before_it_runs_and_a_failure_in_one_is_exit_status_1(tmp_path):
    (tmp_path / "test_one.py").write_text("import os\ndef test_one():\n    assert 'NPY_DISABLE_CPU_FEATURES' in os.environ\n")
    command = [sys.executable, machines.__file__, "--short", "--rootdir", str(tmp_path), "-c", "/dev/null", str(tmp_path)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    said, _, results = run.stdout.partition("\n\n")
    runs = arithmetics(np.show_config(mode="dicts")["SIMD Extensions"]["found"], platform.machine(), short=True)
    assert [line[:34].strip() for line in said.splitlines()[2:]] == [run.name for run in runs]
    assert said.count("NOT TESTED") == sum(bool(run.lacks) for run in runs)
    for each in runs:
        wanted = "1 failed in" if "NUMBA_CPU_NAME" in each.variables else "1 passed in"
        assert each.lacks or f"{each.name:34} {wanted}" in results, run.stdout + run.stderr
    assert run.returncode == int(any("NUMBA_CPU_NAME" in each.variables for each in runs))
