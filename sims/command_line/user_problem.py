"""Make a problem of a CSV file and the options of the command line; print and store what was chosen."""

from pathlib import Path

import click

from sims.datasets.cost import require_affordable
from sims.datasets.features import Fill
from sims.datasets.user_file import as_user_data
from sims.datasets.user_record import in_words, write_down
from sims.experiments.shared.problem import Problem
from sims.experiments.shared.user_cases import CONVEX, ENUMERABLE, user_problem, why_not_enumerable

__all__ = ["described_problem"]


def described_problem(
    file: Path,
    out: Path | None,
    *,
    small: bool,
    target: str | None,
    positive: str | None,
    drop: tuple[str, ...],
    categories: tuple[str, ...],
    fill: Fill | None,
    decimal: str | None,
    learner: str | None,
    points: int | None,
    queries: int | None,
    l2: float | None,
    seed: int | None,
) -> tuple[Path, Problem]:
    """Return the folder for results and the learner on the file; every bad option or file raises an error here."""
    data = as_user_data(
        file,
        target,
        learner=learner,
        n_queries=8 if queries is None else queries,
        seed=seed or 0,
        drop=drop,
        categories=categories,
        fill=fill,
        positive=positive,
        decimal=decimal,
    )
    chosen = learner or ("logistic" if data.task == "two classes" else "least_squares")
    few, many = (6, 8) if chosen == "mlp" else (8, 12)
    problem = user_problem(data, chosen, points or (few if small else many), l2)
    drawn, folder = data.drawn(problem.n_points), out or Path("results") / "user" / data.label
    used = drawn.data
    if chosen in CONVEX:
        _require_affordable(problem)
    problem.build()
    if chosen in CONVEX and problem.number("l2") == 0.0 and not why_not_enumerable(problem):
        raise ValueError("--l2 0: without a penalty small subsets have no single optimum, and all are retrained on: take l2 > 0")
    written = write_down(data, len(used.X), folder)
    for line in in_words(drawn):
        click.echo(line)
    values = "two values" if data.task == "two classes" else "numbers"
    why = "" if learner else f" ({values}: --learner mlp is another)"
    click.echo(f"{problem.name}{why}; {len(used.X_query)} queries; rows: {written}")
    if why_not_enumerable(problem):
        click.echo(
            f"{len(used.X)} points are too many for all their subsets (at most {ENUMERABLE[chosen]} with {chosen}): subsets are "
            "drawn, and experiments that need all of them are left out"
        )
    return folder, problem


def _require_affordable(problem: Problem) -> None:
    """Refuse fits of so many columns on so many subsets that they would not end."""
    n_points, n_columns = problem.n_points or 0, problem.load().X.shape[1]
    most = ENUMERABLE[problem.learner]
    fewer = f", or take fewer points: --points {n_points - 1}" if n_points <= most else ""
    require_affordable(
        n_columns, 2 ** min(n_points, most), f"{problem.label}, {n_points} points", f"leave out columns with --drop{fewer}"
    )
