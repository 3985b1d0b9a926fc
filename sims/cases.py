"""Run the cases of experiments, several at a time, and store each as soon as it is done."""

import multiprocessing
import signal
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import click
import xarray as xr
from threadpoolctl import threadpool_limits

from sims.experiments import Experiment, all_experiments
from sims.results import save

__all__ = ["run_cases"]

Job = tuple[str, int, bool]
"""Experiment name, index of the case, whether of the small ones."""


def run_cases(
    experiments: Sequence[Experiment], *, small: bool, out: Path, workers: int = 1, quiet: bool = False
) -> dict[str, list[xr.Dataset]]:
    """The results of every case by experiment, in the order of the cases; each is on disk as soon as it is done.

    With more than one worker the cases run in spawned processes. What a case computes does not depend on the workers.
    """
    jobs: list[Job] = [(e.name, k, small) for e in experiments for k in range(len(_cases(e, small)))]
    done: dict[Job, xr.Dataset] = {}
    for job, result, seconds in _run_all(jobs, workers, quiet):
        save(result, out)
        done[job] = result
        if not quiet:
            click.echo(f"[{len(done)}/{len(jobs)}] {job[0]}: {result.attrs['case']}, {seconds:.1f} s", err=True)
    return {e.name: [done[job] for job in jobs if job[0] == e.name] for e in experiments}


def _run_all(jobs: Sequence[Job], workers: int, quiet: bool) -> Iterator[tuple[Job, xr.Dataset, float]]:
    if workers == 1:
        for job in jobs:
            yield job, *_run(job, progress=not quiet)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(jobs)), mp_context=context, initializer=_die_on_interrupt) as pool:
        futures = {pool.submit(_run, job): job for job in jobs}
        try:
            for future in as_completed(futures):
                yield futures[future], *future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for child in multiprocessing.active_children():
                child.terminate()
            raise


def _run(job: Job, *, progress: bool = False) -> tuple[xr.Dataset, float]:
    name, index, small = job
    experiment = all_experiments()[name]
    start = time.perf_counter()
    with threadpool_limits(1):  # small matrices: a second BLAS thread only adds waiting
        result = experiment.run(_cases(experiment, small)[index], progress=progress)
    return result, time.perf_counter() - start


def _cases(experiment: Experiment, small: bool) -> Sequence[object]:
    return experiment.small if small else experiment.cases


def _die_on_interrupt() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C is answered once, by the coordinator
