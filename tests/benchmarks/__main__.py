"""make bench: the time of exhaustive retraining and of an exact datamodel beside other libraries, in one run.

W1   l2-regularised logistic regression on all 2^N subsets (d = 5, l2 = 0.01, ||grad L|| <= 1e-10, margins at 8 queries)
W4   the exact Bernoulli(1/2) datamodel from a table of 2^20 subsets and 8 outputs

Rounds are interleaved and medians reported: on a busy machine only the ratios mean something.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import click
import numpy as np
import peers
import xarray as xr
from threadpoolctl import threadpool_limits

from sims import engine
from sims.learners import Logistic
from sims.provenance import environment, hardware
from sims.results import save
from sims.retrain import response_table
from theory.datamodel import optimal_datamodel
from theory.subsets import all_masks, mask_rows

SIZES = (12, 14, 16, 18, 20)
L2 = 1e-2
OURS, OURS_ALL, JAX, SKLEARN = "dfdw, 1 process", "dfdw, all cores", "JAX vmap(Newton)", "scikit-learn loop"


def problem(n: int) -> peers.Problem:
    """W1: standard normal columns, noisy labels, N = n."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 5))
    y = (X[:, 0] + rng.standard_normal(n) > 0.0).astype(float)
    y[:2] = 0.0, 1.0
    return X, y, rng.standard_normal((8, 5)), L2


def seconds(function: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def interleaved(functions: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Times of every function, one round after the other so that a slow minute hits all of them; a first round is not counted."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for count in range(rounds + 1):
        for name, function in functions.items():
            elapsed = seconds(function)
            if count:
                times[name].append(elapsed)
    return times


def in_pieces(function: Callable[[np.ndarray], np.ndarray], n: int, rows: int = 2**16) -> np.ndarray:
    """A peer on all subsets, in pieces that fit its memory."""
    step = min(rows, 2**n)
    return np.concatenate([function(mask_rows(start, start + step, n)) for start in range(0, 2**n, step)])


def w1(n: int, rounds: int, pool: ProcessPoolExecutor, sampled: int) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Seconds per round for all 2^n subsets, and the largest difference of margins, by engine."""
    X, y, queries, l2 = problem(n)
    learner = Logistic(X, y, queries, l2=l2)
    ours = response_table(learner, [0]).mean
    engines: dict[str, Callable[[], object]] = {
        OURS: lambda: response_table(learner, [0]),
        OURS_ALL: lambda: response_table(learner, [0], executor=pool),
    }
    differences = {OURS: 0.0, OURS_ALL: float(np.abs(response_table(learner, [0], executor=pool).mean - ours).max())}
    scale: dict[str, float] = {}
    if peers.installed("jax"):
        newton = peers.jax_newton((X, y, queries, l2))
        differences[JAX] = float(np.abs(in_pieces(newton, n) - ours).max())
        engines[JAX] = lambda: in_pieces(newton, n)
    if peers.installed("sklearn"):
        rows = np.random.default_rng(1).permutation(2**n)[: 8 * sampled]
        masks = (rows[:, None] >> np.arange(n) & 1).astype(float)
        both = (masks @ y > 0.0) & (masks @ (1.0 - y) > 0.0)
        rows, masks = rows[both][:sampled], masks[both][:sampled]
        loop = peers.sklearn_loop((X, y, queries, l2))
        differences[SKLEARN] = float(np.abs(loop(masks) - ours[rows]).max())
        engines[SKLEARN], scale[SKLEARN] = (lambda: loop(masks)), 2**n / len(rows)
    times = interleaved(engines, rounds)
    return {name: [t * scale.get(name, 1.0) for t in ts] for name, ts in times.items()}, differences


def limit(n: int) -> float:
    """Seconds that one core needs for the exponentials and products of 2^n fits at the best rates measured now.

    Five float32 Newton steps and two float64 gradients per fit, which is what most fits take, at N/2 points present + the rows
    that a block cannot leave out: N exponentials, N (2 d + d (d + 1)/2) multiply-adds.
    """
    products, total = n * (10 + 15), 0.0
    for kind, evaluations in ((np.float32, 5), (np.float64, 2)):
        a, b, x = np.ones((256, 256), kind), np.ones((256, 4096), kind), np.linspace(-1, 1, 2**16).astype(kind)
        out, image = np.empty_like(x), np.empty((256, 4096), kind)
        exp = min(seconds(lambda x=x, out=out: np.exp(x, out=out)) for _ in range(50)) / x.size
        gemm = min(seconds(lambda a=a, b=b, image=image: np.matmul(a, b, out=image)) for _ in range(10)) / (256 * 256 * 4096)
        total += evaluations * (n * exp + products * gemm)
    return total * 2**n


def peak_memory(n: int) -> float:
    """MiB that retraining on 2^n subsets takes beside its table, in a process of its own."""
    code = (
        "import resource, runpy, sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        f"bench = runpy.run_path({__file__!r}, run_name='bench')\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024\n"
        "def fit(n):\n"
        "    X, y, queries, l2 = bench['problem'](n)\n"
        "    return bench['response_table'](bench['Logistic'](X, y, queries, l2=l2), [0])\n"
        f"fit(12); before = peak(); table = fit({n}); print(peak() - before - table.samples.nbytes / 2**20)\n"
    )
    return float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)


def w4(rounds: int) -> dict[str, list[float]]:
    """Seconds per round for the datamodel of a table (2^20, 8)."""
    n = 20
    table = np.random.default_rng(2).standard_normal((2**n, 8))
    engines: dict[str, Callable[[], object]] = {OURS: lambda: optimal_datamodel(table)}
    design = np.column_stack([np.ones(2**n), all_masks(n)])
    engines["numpy lstsq"] = lambda: np.linalg.lstsq(design, table, rcond=None)
    return interleaved(engines, rounds)


@click.command()
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("results"), show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True)
@click.option("--sizes", default=",".join(map(str, SIZES)), show_default=True, help="N of W1, separated by commas.")
@click.option("--sampled", type=click.IntRange(1), default=50, show_default=True, help="Subsets that scikit-learn is timed on.")
def main(out: Path, rounds: int, sizes: str, sampled: int) -> None:
    """Time W1 and W4, print the table and store it for the figure `cost`."""
    points = [int(size) for size in sizes.split(",")]
    workers = engine.physical_cores()
    measured: dict[int, tuple[dict[str, list[float]], dict[str, float]]] = {}
    limits: list[float] = []
    with threadpool_limits(1), engine.process_pool(workers) as pool:
        for n in points:
            measured[n] = w1(n, rounds, pool, sampled)
            limits.append(limit(n))
            report(n, *measured[n], limits[-1])
        other = w4(rounds)
    medians = {name: float(np.median(times)) for name, times in other.items()}
    click.echo(
        f"W4 (2^20, 8): {', '.join(f'{name} {1e3 * t:.1f} ms' for name, t in medians.items())}, "
        f"ratio {medians['numpy lstsq'] / medians[OURS]:.0f}"
    )
    memory = peak_memory(max(points))
    click.echo(f"memory beside the table at N = {max(points)}: {memory:.0f} MiB")
    names = list(measured[points[0]][0])
    result = xr.Dataset(
        {
            "seconds": (("n_points", "engine", "round"), [[measured[n][0][name] for name in names] for n in points]),
            "difference": (("n_points", "engine"), [[measured[n][1][name] for name in names] for n in points]),
            "limit": (("n_points",), limits),
            "memory": ((), memory),
            "datamodel_seconds": (("method", "round"), list(other.values())),
        },
        {"n_points": points, "engine": np.array(names, object), "method": np.array(list(other), object)},
        {
            "experiment": "benchmark",
            "case": "retraining",
            "workers": workers,
            "hardware": json.dumps(hardware()),
            **environment(),
        },
    )
    click.echo(f"results: {save(result, out)}")


def report(n: int, times: dict[str, list[float]], differences: dict[str, float], best: float) -> None:
    """One block of the table."""
    ours = np.median(times[OURS])
    click.echo(f"W1, N = {n}: {2**n:,} fits")
    for name, rounds in times.items():
        median = np.median(rounds)
        click.echo(
            f"    {name:<20}{median:10.4g} s {1e6 * median / 2**n:10.3g} us/fit   {median / ours:8.3g} x   "
            f"largest difference {differences[name]:.1e}" + ("   (sampled, extrapolated)" if name == SKLEARN else "")
        )
    click.echo(f"    {best / ours:.0%} of one core's limit")


if __name__ == "__main__":
    main()
