"""Make a problem of a CSV file and the options of the command line; print and store what was chosen."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict, Unpack

import click

from sims.command_line.check import counted
from sims.datasets.cost import require_affordable
from sims.datasets.features import Fill
from sims.datasets.user_file import UserData, as_user_data
from sims.datasets.user_record import in_words, write_down
from sims.experiments.shared.made import MadeLearner, load_function
from sims.experiments.shared.problem import Problem
from sims.experiments.shared.user_cases import CONVEX, ENUMERABLE, n_parameters, user_problem, why_not_enumerable
from sims.ledger.cases import MOST_POINTS, PATIENCE, Cases, cases_of

__all__ = ["Reading", "described_learner", "described_problem"]


_USUAL = {"two classes": "logistic", "classes": "softmax_regression", "number": "least_squares"}
"""The learner of each kind of target, where none is chosen."""


class Reading(TypedDict):
    """The options that say how a file is read, and which of its rows are taken."""

    target: str | None
    positive: str | None
    drop: Sequence[str]
    categories: Sequence[str]
    fill: Fill | None
    decimal: str | None
    queries: int | None
    seed: int | None


def described_problem(
    file: Path,
    out: Path | None,
    *,
    small: bool,
    learner: str | None,
    points: int | None,
    l2: float | None,
    **reading: Unpack[Reading],
) -> tuple[Path, Problem]:
    """Return the folder for results and the learner on the file; every bad option or file raises an error here."""
    if learner is not None and ":" in learner:
        raise ValueError(
            f"--learner {learner}: expected logistic, least_squares, softmax_regression or mlp here; verify takes MODULE:FUNCTION"
        )
    data = _read(file, learner, reading)
    chosen = learner or _USUAL[data.task]
    few, many = (6, 8) if chosen == "mlp" else (8, 12)
    problem = user_problem(data, chosen, points or (few if small else many), l2)
    n_points, folder = len(problem.load().X), out or Path("results") / "user" / data.label
    if chosen in CONVEX:
        _require_affordable(problem)
    problem.build()
    if chosen in CONVEX and problem.number("l2") == 0.0 and not why_not_enumerable(problem):
        raise ValueError("--l2 0: without a penalty small subsets have no single optimum, and all are retrained on: take l2 > 0")
    values = {"two classes": "two classes", "classes": "several classes", "number": "numbers"}[data.task]
    hint = "" if learner else f" (for a target of {values}; or --learner mlp)"
    _say(data, n_points, folder, f"{problem.name}{hint}")
    if why_not_enumerable(problem):
        click.echo(
            f"{n_points} points are too many for all their subsets (at most {ENUMERABLE[chosen]} with {chosen}): subsets are "
            "drawn, and experiments that need all of them are left out"
        )
    return folder, problem


def described_learner(
    file: Path,
    out: Path | None,
    *,
    small: bool,
    learner: str,
    points: int | None,
    l2: float | None,
    **reading: Unpack[Reading],
) -> tuple[Path, Cases]:
    """Return the folder for results and the cases of a learner MODULE:FUNCTION on the file, as `described_problem` does."""
    if l2 is not None:
        raise ValueError(f"--l2 {l2:g} is for the project's own learners: set the penalty of {learner} in its module")
    load_function(learner)
    data = _read(file, learner, reading)
    problem = MadeLearner(data, learner, points or (6 if small else 8))
    if problem.n_points > MOST_POINTS:
        raise ValueError(f"--points {problem.n_points}: all 2^N subsets are retrained on, expected at most {MOST_POINTS}")
    folder = out or Path("results") / "user" / f"{data.label} {problem.learner}"
    cases = cases_of(problem, 1, patience=PATIENCE)
    _say(data, problem.n_points, folder, problem.name)
    click.echo(cases.cost)
    return folder, cases


def _read(file: Path, learner: str | None, reading: Reading) -> UserData:
    """Return the description of the file; ValueError if it cannot be used."""
    return as_user_data(
        file,
        reading["target"],
        learner=learner,
        n_queries=8 if reading["queries"] is None else reading["queries"],
        seed=reading["seed"] or 0,
        drop=reading["drop"],
        categories=reading["categories"],
        fill=reading["fill"],
        positive=reading["positive"],
        decimal=reading["decimal"],
    )


def _say(data: UserData, n_points: int, folder: Path, name: str) -> None:
    """Write down the rows that were drawn, and print what was done to the file, and the problem's name."""
    written, drawn = write_down(data, n_points, folder), data.drawn(n_points)
    for line in in_words(drawn):
        click.echo(line)
    click.echo(f"{name}; {counted(len(drawn.data.X_query), 'query', 'queries')}; rows: {written}")


def _require_affordable(problem: Problem) -> None:
    """Refuse fits of so many columns on so many subsets that they would not end."""
    n_points, n_columns = problem.n_points or 0, n_parameters(problem)
    most = ENUMERABLE[problem.learner]
    fewer = f", or take fewer points: --points {n_points - 1}" if n_points <= most else ""
    require_affordable(
        n_columns, 2 ** min(n_points, most), f"{problem.label}, {n_points} points", f"leave out columns with --drop{fewer}"
    )
