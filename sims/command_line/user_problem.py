"""Make a problem of a CSV file and the options of the command line; print and store what was chosen."""

from pathlib import Path

import click

from sims.datasets.user_file import Task, as_user_data, write_down
from sims.experiments.shared.problem import Problem
from sims.experiments.shared.user_cases import CONVEX, ENUMERABLE, user_problem, why_not_enumerable

__all__ = ["described_problem"]


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
    written = write_down(data, len(used.X), folder)
    classes = ", ".join(f"{k} = {label!r}" for k, label in enumerate(used.labels))
    click.echo(f"{file}: {len(used.columns) - 1} features, target {data.target!r}{f' ({classes})' if classes else ''}")
    why = "" if learner else " (two values: --learner mlp is another)" if classes else " (numbers: --learner mlp is another)"
    click.echo(f"{problem.name}{why}; {len(used.X_query)} queries; rows: {written}")
    if why_not_enumerable(problem):
        click.echo(
            f"{len(used.X)} points are too many for all their subsets (at most {ENUMERABLE[chosen]} with {chosen}): subsets are "
            "drawn, and experiments that need all of them are left out"
        )
    return folder, problem
