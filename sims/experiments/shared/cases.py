"""Run the cases of experiments, several at a time, and store each as soon as it is done."""

import importlib
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import xarray as xr
from numpy.typing import ArrayLike

from sims.experiments import Experiment, all_experiments
from sims.experiments.shared.changes import Changes, case_name, changed_cases
from sims.experiments.shared.costs import expected_seconds, is_measured
from sims.experiments.shared.kinks import crossing_warning
from sims.experiments.shared.labels import with_warnings
from sims.experiments.shared.problem import Problem
from sims.experiments.shared.progress import Progress, announced
from sims.experiments.shared.results import save, table_folder
from sims.retrain import Responses, engine, response_table
from theory.response import Learner
from theory.storage import staying

__all__ = ["Job", "experiment_of", "jobs_of", "run_cases", "user_jobs"]


@dataclass(frozen=True)
class Job:
    """A job is one case of an experiment. One of a `small` run marks its result: some claims cannot be judged on it.

    `name` is that of the case, by default the name of its problem. `changed` says what was changed from outside. `repeats` names
    the case that this one repeats on other data ("" for none), if it is not the one that the problem names. An experiment that is
    not one of the package is found in the module `module`.
    """

    experiment: str
    config: Any
    small: bool = False
    name: str = ""
    changed: str = ""
    repeats: str | None = None
    module: str = ""

    def __str__(self) -> str:
        return f"{self.experiment}: {self.case}"

    @property
    def case(self) -> str:
        """Return the name of the case, under which its results and tables are stored."""
        return self.name or self.config.problem.name

    @property
    def attributes(self) -> dict[str, Any]:
        """Return what the result records of the job, beside its config."""
        return {
            "case": self.case,
            **({"changed": self.changed} if self.changed else {}),
            **({"repeats": self.repeats} if self.repeats is not None else {}),
            **({"small": True} if self.small else {}),
        }


def jobs_of(
    experiments: Sequence[Experiment], *, small: bool = False, changes: Changes | None = None, module: str = ""
) -> list[Job]:
    """Return the jobs of every case, or of the small cases, of the given experiments, with `changes` made in each.

    A case that cannot have the changes is left out with a message. Raises ValueError if no case is left. No two jobs have the
    same name, and a changed case never has the name of a case of the experiment that differs from it.
    """
    if not changes:
        return [
            Job(experiment.name, config, small, module=module)
            for experiment in experiments
            for config in (experiment.small if small else experiment.cases)
        ]
    jobs = list[Job]()
    for experiment in experiments:
        configs, left_out = changed_cases(experiment, changes, small=small)
        for line in left_out:
            click.echo(f"{experiment.name}: {line}", err=True)
        names = {config: case_name(experiment, config) for config in configs}
        for config, name in names.items():
            repeats = _first(names, config) if config.problem.data_seed else None
            jobs.append(Job(experiment.name, config, small, name, str(changes), repeats, module))
    if not jobs:
        raise ValueError(f"no case of {', '.join(e.name for e in experiments)} can have {changes}")
    return jobs


def _first(names: Mapping[Any, str], config: Any) -> str:
    """Return the name of the case whose problem differs only by data of seed 0, or an empty text."""
    problem = replace(config.problem, data_seed=0)
    return next((name for other, name in names.items() if other.problem == problem), "")


def user_jobs(problem: Problem, *, small: bool = False) -> tuple[list[Job], dict[str, str]]:
    """Return the jobs for a learner on a user's own data, and for every other experiment the reason why it has no case."""
    jobs, left_out = list[Job](), dict[str, str]()
    for experiment in all_experiments().values():
        case = experiment.user_case(problem, small) if experiment.user_case else "needs a learner of its own"
        if isinstance(case, str):
            left_out[experiment.name] = case
        else:
            cases = case if isinstance(case, tuple) else (case,)
            jobs += [Job(experiment.name, one, small) for one in cases]
    return jobs, left_out


def run_cases(
    jobs: Sequence[Job],
    *,
    out: Path,
    executor: engine.Executor | int = 1,
    quiet: bool = False,
    on_done: Callable[[Job, float], None] | None = None,
) -> dict[str, list[xr.Dataset]]:
    """Run the jobs and return their results by experiment, in the order of the jobs; store each result as soon as it is done.

    If `executor` is a number of processes and there are several jobs, each process runs whole cases. Otherwise the executor
    shares the blocks of each table. Tables of responses are stored beside the results, so that an interrupted run can resume.
    The executor does not change any bit of a result. Raises ValueError, with the name of the job, if a case fails. Standard error
    shows the progress unless the run is `quiet`; a job that has finished is given to `on_done`, with its seconds.
    """
    by_case = isinstance(executor, int) and len(jobs) > 1
    work = partial(_run, out=out, executor=1 if by_case else executor, progress=not quiet and len(jobs) == 1)
    done: dict[Job, xr.Dataset] = {}
    with ExitStack() as stack:
        require_folder = stack.enter_context(staying(out))
        progress = None if quiet else _progress(jobs, stack, executor if by_case and isinstance(executor, int) else 1)
        results = stack.enter_context(closing(engine.completed(work, jobs, executor=executor if by_case else 1)))
        for finished in results:
            for job, (result, seconds) in finished.items():
                require_folder()
                with engine.interrupts_held_back():
                    save(result, out)
                done[job] = result
                if progress:
                    progress.done(jobs.index(job), seconds)
                if on_done:
                    on_done(job, seconds)
    return {name: [done[job] for job in jobs if job.experiment == name] for name in dict.fromkeys(job.experiment for job in jobs)}


def _progress(jobs: Sequence[Job], stack: ExitStack, processes: int) -> Progress | None:
    """Say what the jobs cost, and open the bar of several; a single one has the bar of its table."""
    names, seconds = [str(job) for job in jobs], [expected_seconds(str(job), small=job.small) for job in jobs]
    processes = min(processes, len(jobs))
    guessed = not all(is_measured(str(job), small=job.small) for job in jobs)
    click.echo(announced(names, seconds, processes, guessed=guessed), err=True)
    return stack.enter_context(Progress(names, seconds, processes)) if len(jobs) > 1 else None


def _run(jobs: tuple[Job, ...], *, out: Path, executor: engine.Executor | int, progress: bool) -> list[tuple[xr.Dataset, float]]:
    """Run jobs one after the other; return the result of each and its time in seconds."""
    results: list[tuple[xr.Dataset, float]] = []
    for job in jobs:
        start, trained = time.perf_counter(), list[tuple[Learner, Sequence[int]]]()
        experiment = experiment_of(job)

        def retrain(
            learner: Learner,
            seeds: Sequence[int],
            *,
            part: str = "",
            weights: ArrayLike | None = None,
            job: Job = job,
            trained: list[tuple[Learner, Sequence[int]]] = trained,
        ) -> Responses:
            trained.append((learner, seeds))
            store = table_folder(out, job.experiment, job.case, part)
            return response_table(learner, seeds, weights=weights, store=store, executor=executor, progress=progress)

        try:
            result = experiment.run(job.config, retrain=retrain, progress=progress)
        except (ValueError, ArithmeticError) as error:
            raise ValueError(f"{job}: {error}") from error
        result = with_warnings(result, [crossing_warning(*each) for each in trained])
        results.append((result.assign_attrs(job.attributes), time.perf_counter() - start))
    return results


def experiment_of(job: Job) -> Experiment:
    """Return the experiment of a job, also in a worker process: one of the package, or that of its module."""
    return importlib.import_module(job.module).EXPERIMENT if job.module else all_experiments()[job.experiment]
