"""What the compiled loops of this project rely on: IEEE arithmetic in order, and code that is kept where it can be."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba.core import caching

from theory.compiled import compiled, inner

ROOT = Path(__file__).parents[2]


@inner
def quotient(a, b):
    return a / b


@compiled
def quotients(a, b, out):
    for k in range(len(out)):
        out[k] = quotient(a[k], b[k])


@compiled
def total(values):
    result = 0.0
    for k in range(len(values)):
        result += values[k]
    return result


@compiled
def fused(a, b, c):
    return a * b + c


def test_division_by_zero_is_infinity_or_nan():
    out = np.empty(4)
    quotients(np.array([1.0, -1.0, 0.0, np.nan]), np.array([0.0, 0.0, 0.0, 1.0]), out)
    np.testing.assert_array_equal(out, [np.inf, -np.inf, np.nan, np.nan])


def test_sums_keep_their_order():
    values = np.random.default_rng(0).standard_normal(1001) * 10.0 ** np.arange(-500, 501).clip(-8, 8)
    assert total(values) == np.add.accumulate(values)[-1]
    assert total(np.array([1e100, 1.0, -1e100])) == 0.0


def test_a_product_and_a_sum_have_one_rounding_or_two_and_no_other_freedom():
    a = 1.0 + 2.0**-30
    assert fused(a, a, -1.0 - 2.0**-29) in (2.0**-60, 0.0)


def test_without_a_folder_to_write_to_it_compiles_in_every_process(monkeypatch):
    def double(x):
        return 2.0 * x

    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    with pytest.raises(RuntimeError, match="no locator"):
        caching.FunctionCache(double)
    assert compiled(double)(3.0) == 6.0


def test_stored_code_is_that_of_all_modules_of_the_folder(tmp_path, monkeypatch):
    """A kernel is compiled again after an edit of a module that it takes a function from, and not otherwise."""
    imports = "from theory.compiled import compiled\nfrom folder_of_kernels.part import part\n\n\n"
    kernel = imports + "@compiled\ndef kernel(x):\n    return part(x)\n"
    part = "from theory.compiled import inner\n\n\n@inner\ndef part(x):\n    return {} * x\n"
    program = "from folder_of_kernels.kernel import kernel\nprint(kernel(1.0), sum(kernel.dispatcher.stats.cache_hits.values()))"
    folder = tmp_path / "folder_of_kernels"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "kernel.py").write_text(kernel)
    found = []
    for factor in (2.0, 2.0, 3.0):
        (folder / "part.py").write_text(part.format(factor))
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
        found.append(subprocess.check_output([sys.executable, "-c", program], env=environment, text=True).split())
    assert found == [["2.0", "0"], ["2.0", "1"], ["3.0", "0"]]


def test_an_inner_function_is_compiled_for_types_and_not_for_constants():
    @inner
    def doubled(x):
        return 2 * x

    @compiled
    def several(x):
        return doubled(1) + doubled(2) + doubled(x)

    assert several(3) == 12
    assert len(doubled.dispatcher.signatures) == 1
    assert doubled(5) == 10, "Python may call it, too"
