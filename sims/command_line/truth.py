"""The command `truth`."""

from pathlib import Path

import click

from sims.command_line.options import DASK, FOLDER, WORKERS, executor_of

__all__ = ["truth"]


@click.command(short_help="List exact problems, or write one as a plain file.")
@click.argument("name", required=False)
@click.option("--out", type=FOLDER, default=Path("truths"), show_default=True, help="Folder for NAME.npz and NAME.json.")
@WORKERS
@DASK
def truth(name: str | None, out: Path, workers: int | None, dask: str | None) -> None:
    """List the problems whose exact effects are known, or write one, NAME, as a file that numpy alone can read.

    NAME.npz has the data, the trained parameters, D(1), leave-one-out, beta and Shapley values on margins and losses, F on
    subsets, and derivatives at the trained models. NAME.json says what they mean and how they were made.
    """
    from sims.referee import PROBLEMS, load_truth

    if name is None:
        width = max(map(len, PROBLEMS))
        for key, found in PROBLEMS.items():
            seeds = "1 seed" if found.n_seeds == 1 else f"{found.n_seeds} seeds"
            subsets = "all subsets" if found.n_drawn is None else f"{found.n_drawn:,} drawn subsets"
            click.echo(f"{key:{width}}  {found.what}; {found.problem.size} points, {seeds}, {subsets}")
        click.echo("write one: truth NAME --out DIR; judge scores against it: judge SCORES.npy --truth NAME")
        return
    with executor_of(workers or (None if dask else 1), dask, small=False) as executor:
        path = load_truth(name, executor=executor, progress=True).save(out)
    click.echo(f"{path}\n{path.with_suffix('.json')}")
