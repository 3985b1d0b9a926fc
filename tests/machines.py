"""make test-machines: the numeric tests with the arithmetic of other processors, one line for each.

    python tests/machines.py [--short] [PYTEST ARGUMENTS]

numpy, numba and OpenBLAS choose their instructions by the processor, and sums in another order, or a product and a sum rounded
once, end in other last bits. A tolerance that is derived holds for all of them. --short varies numpy and numba only, on the most
sensitive tests, and leaves OpenBLAS as it is: a minute on two cores. BLAS=Nehalem (Haswell, Zen, SkylakeX) in the environment
gives OpenBLAS the kernels of that processor in every run. The exit status is 1 when a test fails.
"""

import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
NUMERIC = ("tests/theory", "tests/sims/learners")
SENSITIVE = (
    "tests/theory/test_derivatives.py",
    "tests/theory/test_transforms.py",
    "tests/theory/datamodel/test_blockwise.py",
    "tests/theory/influence/test_inverse.py",
    "tests/sims/learners/test_batched.py",
    "tests/sims/learners/test_kernels.py",
    "tests/sims/learners/test_least_squares.py",
    "tests/sims/learners/test_logistic.py",
    "tests/sims/learners/test_one_step.py",
)
KERNELS = {"Nehalem": (), "Haswell": ("X86_V3", "AVX2"), "Zen": ("X86_V3", "AVX2"), "SkylakeX": ("X86_V4", "AVX512_SKX")}
"""OpenBLAS's kernels and what numpy calls the instructions that they need: its name today, and before 2.4."""


@dataclass(frozen=True)
class Arithmetic:
    """Environment variables under which the tests run, or what the processor lacks for them."""

    name: str
    variables: dict[str, str] = field(default_factory=dict)
    lacks: str = ""


def of_numpy(found: Sequence[str]) -> list[Arithmetic]:
    """Numpy without the AVX-512 instructions, and without all that it chooses by the processor, from those that it found."""
    wide = [name for name in found if name.startswith(("AVX512", "X86_V4"))]
    groups = {"numpy without AVX-512": wide, "numpy without chosen instructions": list(found)}
    return [
        Arithmetic(name, {"NPY_DISABLE_CPU_FEATURES": " ".join(group)})
        if group
        else Arithmetic(name, lacks=f"numpy finds no such instructions here, only {', '.join(found) or 'its baseline'}")
        for name, group in groups.items()
    ]


def of_numba(machine: str) -> Arithmetic:
    """Numba for the oldest x86 processors of today: neither AVX nor a product and a sum in one instruction."""
    name = "numba for x86-64-v2"
    if machine not in ("x86_64", "AMD64"):
        return Arithmetic(name, lacks=f"the processor is {machine}")
    return Arithmetic(name, {"NUMBA_CPU_NAME": "x86-64-v2", "NUMBA_CPU_FEATURES": ""})


def of_blas(kernels: str, found: Sequence[str]) -> Arithmetic:
    """OpenBLAS with the kernels of another processor."""
    if kernels not in KERNELS:
        raise ValueError(f"BLAS = {kernels!r}, expected one of {', '.join(KERNELS)}")
    needed = KERNELS[kernels]
    if needed and not set(needed) & set(found):
        return Arithmetic(kernels, lacks=f"OpenBLAS's {kernels} kernels need {needed[0]}, numpy finds {', '.join(found)}")
    return Arithmetic(kernels, {"OPENBLAS_CORETYPE": kernels})


def arithmetics(found: Sequence[str], machine: str, *, short: bool) -> list[Arithmetic]:
    """What to run, in this order; the short form leaves out what `make test` runs and what concerns OpenBLAS."""
    others = [*of_numpy(found), of_numba(machine)]
    if short:
        return others
    threads = [Arithmetic(f"{n} BLAS thread{'s' * (n > 1)}", {"BLAS_THREADS": str(n)}) for n in (1, 2)]
    return [*threads, *others]


def outcome(output: str) -> str:
    """What the last line of pytest counts, such as "1 failed, 3 passed"."""
    return ", ".join(re.findall(r"\d+ (?:passed|failed|errors?)", output.strip().rpartition("\n")[2])) or "no test ran"


def other_kernels(wanted: str, used: str) -> str:
    """What is wrong when OpenBLAS uses other kernels than those wanted; builds without kernels for Zen use Haswell's."""
    same = {wanted, "Haswell"} if wanted == "Zen" else {wanted}
    return "" if used in same else f"OpenBLAS uses the kernels {used or 'of another library'}"


def passes(arithmetic: Arithmetic, arguments: Sequence[str], inherited: dict[str, str]) -> bool:
    """Run pytest in the environment and print its outcome, and all that it said where a test failed."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as cache:  # machine code for another processor is kept apart, and not for long
        apart = {"NUMBA_CACHE_DIR": cache} if "NUMBA_CPU_NAME" in arithmetic.variables else {}
        environment = {"HYPOTHESIS_PROFILE": "ci", **inherited, **apart, **arithmetic.variables}
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-n", "0", *arguments]
        run = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(f"{arithmetic.name:34} {outcome(run.stdout)} in {time.monotonic() - start:.0f} s", flush=True)
    if run.returncode:
        print(f"{run.stdout}\n{arithmetic.name}: pytest ended with exit status {run.returncode}", flush=True)
    return run.returncode == 0


def kernels_in_use(environment: dict[str, str]) -> str:
    """The kernels that OpenBLAS says it uses: a name that it does not know it ignores without a word."""
    code = "import numpy, threadpoolctl; print(*{library['architecture'] for library in threadpoolctl.threadpool_info()})"
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    ).stdout.strip()


def main(arguments: Sequence[str]) -> int:
    import numpy as np

    short = "--short" in arguments
    found = np.show_config(mode="dicts")["SIMD Extensions"]["found"]
    environment = dict(os.environ)
    if kernels := environment.get("BLAS"):
        blas = of_blas(kernels, found)
        environment |= blas.variables
        lacks = blas.lacks or other_kernels(kernels, kernels_in_use(environment))
        if lacks:
            print(f"NOT TESTED with BLAS={kernels}: {lacks}")
            return 1
    chosen = [argument for argument in arguments if argument != "--short"] or list(SENSITIVE if short else NUMERIC)
    runs = arithmetics(found, platform.machine(), short=short)
    print(f"pytest {' '.join(chosen)}\nOpenBLAS: {kernels_in_use(environment) or 'not in use'}")
    for arithmetic in runs:
        settings = " ".join(f"{name}={value!r}" for name, value in arithmetic.variables.items())
        print(f"{arithmetic.name:34} {f'NOT TESTED: {arithmetic.lacks}' if arithmetic.lacks else settings}", flush=True)
    print(flush=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        passed = list(pool.map(lambda run: passes(run, chosen, environment), [run for run in runs if not run.lacks]))
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
