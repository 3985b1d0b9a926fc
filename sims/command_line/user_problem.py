"""Make a problem of a CSV file and the options of the command line; print and store what was chosen."""

from pathlib import Path

import click

from sims.datasets import DataSet
from sims.datasets.user_file import Task, UserData, as_user_data, write_down
from sims.experiments.shared.made import MadeLearner, load_function
from sims.experiments.shared.problem import Problem
from sims.experiments.shared.user_cases import CONVEX, ENUMERABLE, user_problem, why_not_enumerable
from sims.ledger.cases import MOST_POINTS, PATIENCE, Cases, cases_of

__all__ = ["described_learner", "described_problem"]


def described_problem(
    file: Path,
    out: Path | None,
    *,
    small: bool,
    target: str | None,
    drop: tuple[str, ...],
    learner: str | None,
    points: int | None,
    queries: int | None,
    l2: float | None,
    seed: int | None,
) -> tuple[Path, Problem]:
    """Return the folder for results and the learner on the file; every bad option or file raises an error here."""
    if learner is not None and ":" in learner:
        raise ValueError(f"--learner {learner}: expected logistic, least_squares or mlp here; verify takes MODULE:FUNCTION")
    tasks: dict[str | None, Task | None] = {"logistic": "two classes", "least_squares": "number"}
    data = as_user_data(
        file,
        target,
        task=tasks.get(learner),
        n_queries=8 if queries is None else queries,
        seed=seed or 0,
        drop=drop,
    )
    chosen = learner or ("logistic" if data.task == "two classes" else "least_squares")
    few, many = (6, 8) if chosen == "mlp" else (8, 12)
    problem = user_problem(data, chosen, points or (few if small else many), l2)
    used, folder = problem.load(), out or Path("results") / "user" / data.label
    problem.build()
    if chosen in CONVEX and problem.number("l2") == 0.0 and not why_not_enumerable(problem):
        raise ValueError("--l2 0: without a penalty small subsets have no single optimum, and all are retrained on: take l2 > 0")
    written, classes = write_down(data, len(used.X), folder), _say_features(file, data, used)
    why = "" if learner else " (two values: --learner mlp is another)" if classes else " (numbers: --learner mlp is another)"
    click.echo(f"{problem.name}{why}; {len(used.X_query)} queries; rows: {written}")
    if why_not_enumerable(problem):
        click.echo(
            f"{len(used.X)} points are too many for all their subsets (at most {ENUMERABLE[chosen]} with {chosen}): subsets are "
            "drawn, and experiments that need all of them are left out"
        )
    return folder, problem


def described_learner(
    file: Path,
    out: Path | None,
    *,
    small: bool,
    target: str | None,
    drop: tuple[str, ...],
    learner: str,
    points: int | None,
    queries: int | None,
    l2: float | None,
    seed: int | None,
) -> tuple[Path, Cases]:
    """Return the folder for results and the cases of a learner MODULE:FUNCTION on the file, as `described_problem` does."""
    if l2 is not None:
        raise ValueError(f"--l2 {l2:g} is for the project's own learners: set the penalty of {learner} in its module")
    load_function(learner)
    data = as_user_data(file, target, n_queries=8 if queries is None else queries, seed=seed or 0, drop=drop)
    problem = MadeLearner(data, learner, points or (6 if small else 8))
    if problem.n_points > MOST_POINTS:
        raise ValueError(f"--points {problem.n_points}: all 2^N subsets are retrained on, expected at most {MOST_POINTS}")
    used, folder = problem.load(), out or Path("results") / "user" / f"{data.label} {problem.learner}"
    cases = cases_of(problem, 1, patience=PATIENCE)
    written = write_down(data, len(used.X), folder)
    _say_features(file, data, used)
    click.echo(f"{problem.name}; {len(used.X_query)} queries; rows: {written}")
    click.echo(cases.cost)
    return folder, cases


def _say_features(file: Path, data: UserData, used: DataSet) -> str:
    """Print the features and the target; return its classes as text, empty for numbers."""
    classes = ", ".join(f"{k} = {label!r}" for k, label in enumerate(used.labels))
    click.echo(f"{file}: {len(used.columns) - 1} features, target {data.target!r}{f' ({classes})' if classes else ''}")
    return classes
