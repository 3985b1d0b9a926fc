"""make bench: the time of exhaustive retraining and of an exact datamodel beside other libraries, in one run.

W1   l2-regularised logistic regression on all 2^N subsets (d = 5, l2 = 0.01, ||grad L|| <= 1e-10, margins at 8 queries)
W2   a network 4-8-1 by 500 steps of gradient descent on all 2^10 subsets, 32 seeds
W3   the exact derivative of 8 outputs in 10 weights through these 500 steps, 32, 128 and 1 seeds (--seeds)
W4   the exact Bernoulli(1/2) datamodel from a table of 2^20 subsets and 8 outputs
W5   a network 64-32-10 with softmax by 100 steps of sgd and of adam on 2^8 subsets of 16 points, 4 seeds

Rounds are interleaved and medians reported: on a busy machine only the ratios mean something.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import click
import numpy as np
import peers
import xarray as xr
from threadpoolctl import threadpool_limits

from sims.experiments.shared.results import save
from sims.learners import Logistic
from sims.retrain import engine, response_table
from sims.retrain.provenance import environment, hardware
from theory.datamodel import optimal_datamodel
from theory.response import Array
from theory.subsets import all_masks

SIZES = (12, 14, 16, 18, 20)
OURS_ALL = "dfdw, all cores"


def seconds(function: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def interleaved(functions: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Times of every function, one round after the other so that a slow minute hits all of them; a first round is not counted."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for count in range(rounds + 1):
        for name, function in functions.items():
            elapsed = function()
            if count:
                times[name].append(elapsed)
    return times


def w1(n: int, rounds: int, pools: dict[str, engine.SpawnedPool]) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Seconds per round for all 2^n subsets, and the largest difference of margins from ours, by engine."""
    X, y, queries, l2 = peers.problem(n)
    learner, workers = Logistic(X, y, queries, l2=l2), pools[OURS_ALL]
    reference = response_table(learner, [0], executor=workers).samples[0]
    times: dict[str, Callable[[], float]] = {}
    differences = {OURS_ALL: 0.0}
    for name in peers.available():
        times[name] = lambda pool=pools[name], name=name: pool.submit(peers.timed, name, n).result()
        masks, margins = pools[name].submit(peers.margins, name, n).result()
        differences[name] = float(np.abs(margins - reference[masks]).max())
        if name == peers.OURS:
            times[OURS_ALL] = lambda: seconds(lambda: response_table(learner, [0], executor=workers))
    return interleaved(times, rounds), differences


def limit(n: int) -> float:
    """Seconds that one core needs for the exponentials and products of 2^n fits at the best rates measured now.

    Three float32 Newton steps and two float64 gradients per fit, which is what most fits take after a first step without
    exponentials, at N/2 points present + the rows that a block cannot leave out: N exponentials, N (2 d + d (d + 1)/2)
    multiply-adds.
    """
    products, total = n * (10 + 15), 0.0
    for kind, evaluations in ((np.float32, 3), (np.float64, 2)):
        a, b, x = np.ones((256, 256), kind), np.ones((256, 4096), kind), np.linspace(-1, 1, 2**16).astype(kind)
        out, image = np.empty_like(x), np.empty((256, 4096), kind)
        exp = min(seconds(lambda x=x, out=out: np.exp(x, out=out)) for _ in range(50)) / x.size
        gemm = min(seconds(lambda a=a, b=b, image=image: np.matmul(a, b, out=image)) for _ in range(10)) / (256 * 256 * 4096)
        total += evaluations * (n * exp + products * gemm)
    return total * 2**n


def peak_memory(n: int) -> float:
    """MiB that retraining on 2^n subsets takes at its peak beside the table and what N = 12 takes, in a process of its own."""
    code = (
        "import pathlib, peers\n"
        "def peak(n):\n"
        "    peers.margins(peers.OURS, n)\n"
        "    status = pathlib.Path('/proc/self/status').read_text()\n"
        "    return int(status.split('VmHWM:')[1].split()[0]) / 1024\n"
        f"print(-peak(12) + peak({n}))"
    )
    places = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    run = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": places},
    )
    return float(run.stdout) - 2**n * 8 * 8 / 2**20


def w4(rounds: int) -> dict[str, list[float]]:
    """Seconds per round for the datamodel of a table (2^20, 8)."""
    n = 20
    table = np.random.default_rng(2).standard_normal((2**n, 8))
    design = np.column_stack([np.ones(2**n), all_masks(n)])
    return interleaved(
        {
            peers.OURS: lambda: seconds(lambda: optimal_datamodel(table)),
            "numpy lstsq": lambda: seconds(lambda: np.linalg.lstsq(design, table, rcond=None)),
        },
        rounds,
    )


def spread_table(seeds: int, workers: engine.SpawnedPool) -> Array:
    """Outputs (B, R, M) of W2 by all processes."""
    return response_table(peers.network(), range(seeds), executor=workers).samples.swapaxes(0, 1)


def spread_derivative(seeds: int, workers: engine.SpawnedPool) -> Array:
    """Derivatives (R, M, N) of W3 by all processes: every one of them takes its share of the seeds."""
    shares = [tuple(map(int, share)) for share in np.array_split(np.arange(seeds), min(seeds, engine.physical_cores()))]
    found = {
        share: part for done in engine.completed(peers.derivatives, shares, executor=workers) for share, part in done.items()
    }
    return np.concatenate([found[share] for share in shares])


def networks(rounds: int, counts: list[int]) -> None:
    """Print W2 for the first number of seeds and W3 for all: medians, ratios to ours, largest difference.

    Every engine runs in a process of its own, JAX on every core.
    """
    jax = [name for name in peers.NETWORK_ENGINES if name.startswith("JAX")] if find_spec("jax") else []
    with ExitStack() as stack:
        pools = {name: stack.enter_context(engine.process_pool(1)) for name in (peers.OURS, *jax)}
        workers = stack.enter_context(engine.process_pool(engine.physical_cores()))
        for title, work, seeds in (("W2", "table", counts[0]), *(("W3", "derivative", count) for count in counts)):
            names = [name for name in pools if name == peers.OURS or ("vmap" in name) == (work == "table")]
            answers = {name: pools[name].submit(peers.network_answer, name, work, seeds).result() for name in names}
            functions: dict[str, Callable[[], float]] = {
                name: lambda name=name, work=work, seeds=seeds: (
                    pools[name].submit(peers.timed_network, name, work, seeds).result()
                )
                for name in names
            }
            spread = partial(spread_table if work == "table" else spread_derivative, seeds, workers)
            answers[OURS_ALL] = spread()
            functions[OURS_ALL] = lambda spread=spread: seconds(spread)
            medians = {name: float(np.median(times)) for name, times in interleaved(functions, rounds).items()}
            best = min(value for name, value in medians.items() if name.startswith("dfdw"))
            click.echo(f"{title}, {seeds} seeds{'':20}times our best   largest difference")
            for name, median in medians.items():
                difference = f"{np.abs(answers[name] - answers[peers.OURS]).max():.1e}" if name in answers else ""
                click.echo(f"    {name:<20}{median:10.4g} s {median / best:10.3g} {difference:>18}")


def spread_wide(optimizer: str, workers: engine.SpawnedPool) -> Array:
    """Outputs (B, R, M) of W5 by all processes, each with a share of the subsets."""
    cuts = np.linspace(0, 256, engine.physical_cores() + 1).astype(int)
    shares = [(optimizer, int(a), int(b)) for a, b in pairwise(cuts)]
    found = {
        share: part for done in engine.completed(peers.wide_shares, shares, executor=workers) for share, part in done.items()
    }
    return np.concatenate([found[share] for share in shares])


def wide(rounds: int) -> None:
    """Print W5 for both optimisers: medians, ratios to ours, largest difference. Every engine has a process of its own."""
    with ExitStack() as stack:
        names = [name for name in peers.WIDE_ENGINES if name == peers.OURS or find_spec("jax")]
        pools = {name: stack.enter_context(engine.process_pool(1)) for name in names}
        workers = stack.enter_context(engine.process_pool(engine.physical_cores()))
        functions: dict[str, Callable[[], float]] = {}
        answers: dict[str, Array] = {}
        for optimizer in ("sgd", "adam"):
            for name in names:
                answers[f"{optimizer}, {name}"] = pools[name].submit(peers.wide_answer, name, optimizer).result()
                functions[f"{optimizer}, {name}"] = lambda name=name, optimizer=optimizer: (
                    pools[name].submit(peers.timed_wide, name, optimizer).result()
                )
            spread = partial(spread_wide, optimizer, workers)
            answers[f"{optimizer}, {OURS_ALL}"] = spread()
            functions[f"{optimizer}, {OURS_ALL}"] = lambda spread=spread: seconds(spread)
        medians = {name: float(np.median(times)) for name, times in interleaved(functions, rounds).items()}
    click.echo(f"W5, 256 subsets, 4 seeds{'':15}times our best   largest difference")
    for name, median in medians.items():
        optimizer = name.split(",")[0]
        best = min(value for other, value in medians.items() if other.startswith(f"{optimizer}, dfdw"))
        difference = np.abs(answers[name] - answers[f"{optimizer}, {peers.OURS}"]).max()
        click.echo(f"    {name:<26}{median:10.4g} s {median / best:10.3g} {difference:>18.1e}")


@click.command()
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("results"), show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True)
@click.option("--sizes", default=",".join(map(str, SIZES)), show_default=True, help="N of W1, separated by commas.")
@click.option(
    "--seeds", default="32,128,1", show_default=True, help="Numbers of seeds of W2 (the first) and W3, separated by commas."
)
def main(out: Path, rounds: int, sizes: str, seeds: str) -> None:
    """Time W1 to W5, print the table and store W1 for the figure `cost`."""
    points = [int(size) for size in sizes.split(",")]
    workers = engine.physical_cores()
    measured: dict[int, tuple[dict[str, list[float]], dict[str, float]]] = {}
    limits: list[float] = []
    with ExitStack() as stack:
        stack.enter_context(threadpool_limits(1))
        pools = {name: stack.enter_context(engine.process_pool(1)) for name in peers.available()}
        pools[OURS_ALL] = stack.enter_context(engine.process_pool(workers))
        for n in points:
            measured[n] = w1(n, rounds, pools)
            limits.append(limit(n))
            report(n, *measured[n], limits[-1])
    networks(rounds, [int(count) for count in seeds.split(",")])
    wide(rounds)
    with threadpool_limits(1):
        other = w4(rounds)
    medians = {name: float(np.median(times)) for name, times in other.items()}
    timings = ", ".join(f"{name} {1e3 * t:.1f} ms" for name, t in medians.items())
    click.echo(f"W4, datamodel of a table (2^20, 8): {timings}, ratio {medians['numpy lstsq'] / medians[peers.OURS]:.0f}")
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
    medians = {name: float(np.median(rounds)) for name, rounds in times.items()}
    click.echo(f"W1, N = {n}: {2**n:,} fits{'':24}us/fit   times ours (1 process, all cores)   largest difference")
    for name, median in medians.items():
        ratios = f"{median / medians[peers.OURS]:9.3g}, {median / medians[OURS_ALL]:.3g}"
        note = f"   (from {peers.SAMPLED} subsets)" if name.startswith("scikit") else ""
        click.echo(f"    {name:<20}{median:12.4g} s {1e6 * median / 2**n:12.3g} {ratios:>24} {differences[name]:22.1e}{note}")
    click.echo(f"    one core's limit is {best / medians[peers.OURS]:.0%} of our time in 1 process")


if __name__ == "__main__":
    main()
