"""The command `attribute`, and the file that `verify --data` writes beside its results."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sims.command_line.options import DASK, FOLDER, SMALL, WORKERS, executor_of
from sims.command_line.user_options import user_options

if TYPE_CHECKING:  # loaded where something is computed: --help is quick
    from sims.experiments.shared.problem import Problem
    from sims.retrain import engine

__all__ = ["attribute", "write_attributions"]


@click.command(short_help="Score the rows of your own CSV file; judge nothing.")
@user_options
@SMALL
@click.option("--out", type=FOLDER, help="Folder for attributions.csv [default: results/user/FILE.csv].")
@WORKERS
@DASK
def attribute(file: Path | None, out: Path | None, small: bool, workers: int | None, dask: str | None, **user: Any) -> None:
    """Attribute the outputs of a learner to the rows of your own CSV file that it was trained on, and write attributions.csv.

    A line for every training row and query row has the datamodel coefficient beta, the derivative D(1), leave-one-out, the
    Shapley value and Hessian influence, with standard errors where subsets are drawn. attributions.json says what the columns
    hold. Nothing is judged: that is `verify --data`.
    """
    if file is None:
        raise click.UsageError("--data is missing: give your own data with --data FILE.csv --target COLUMN")
    from sims.command_line.user_problem import described_problem

    out, problem = described_problem(file, out, small=small, **user)
    with executor_of(workers or (None if dask else 1), dask, small) as executor:
        click.echo(write_attributions(problem, out, executor))


def write_attributions(problem: "Problem", out: Path, executor: "engine.Executor | int") -> str:
    """Write attributions.csv and attributions.json into a results folder; return the summary that a terminal shows."""
    from sims.experiments.shared.user_cases import CONVEX, ENUMERABLE
    from sims.ledger import attributions
    from theory.storage import ResultsFolder

    data, folder = problem.load(), ResultsFolder.made(out)
    found = attributions.attribute(
        problem.build(),
        1 if problem.learner in CONVEX else 4,
        most_exact=ENUMERABLE[problem.learner],
        executor=executor,
    )
    rows = data.train_rows, data.query_rows
    output = f"{data.unit} of {data.labels[1]!r}" if len(data.labels) == 2 else data.unit
    output = f"{data.unit} of the query's own class" if len(data.labels) > 2 else output
    about = {"case": problem.name, **{k: v for k, v in problem.facts().items() if k not in ("train_rows", "query_rows")}}
    path = folder.put("attributions.csv", attributions.attributions_csv(found, *rows).encode())
    folder.put("attributions.json", attributions.columns_json(found, about).encode())
    return f"\n{attributions.attributions_text(found, *rows, output)}\nattributions: {path}"
