"""Run experiments case by case, storing each as soon as it is done."""

import time
from collections.abc import Sequence
from pathlib import Path

import click
import xarray as xr
from threadpoolctl import threadpool_limits

from sims.experiments.base import Experiment
from sims.results import save

__all__ = ["run_cases"]


def run_cases(experiments: Sequence[Experiment], *, small: bool, out: Path, quiet: bool = False) -> dict[str, list[xr.Dataset]]:
    """The results of every case by experiment, in order; each is on disk before the next one starts."""
    results: dict[str, list[xr.Dataset]] = {}
    for experiment in experiments:
        results[experiment.name] = []
        for config in experiment.small if small else experiment.cases:
            start = time.perf_counter()
            with threadpool_limits(1):  # small matrices: a second BLAS thread only adds waiting
                result = experiment.run(config, progress=not quiet)
            save(result, out)
            results[experiment.name].append(result)
            if not quiet:
                click.echo(f"{experiment.name}: {config.problem.name}, {time.perf_counter() - start:.1f} s", err=True)
    return results
