"""Options that several commands have, and where models are trained."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

__all__ = ["DASK", "FOLDER", "OUT", "SMALL", "WORKERS", "executor_of"]


class _Folder(click.Path):
    """A folder; an empty name is refused, which would be the current one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not str(value).strip():
            self.fail("the name of the folder is empty, expected a path: . is the current folder", param, ctx)
        return super().convert(value, param, ctx)


FOLDER = _Folder(file_okay=False, path_type=Path)

OUT = click.option(
    "--out",
    type=FOLDER,
    default=Path("results"),
    show_default=True,
    help="Folder for results.",
)
SMALL = click.option("--small", is_flag=True, help="A few training points: seconds instead of a minute.")

WORKERS = click.option("--workers", type=click.IntRange(1), help="Processes [default: one per physical core; 1 with --small].")
DASK = click.option("--dask", metavar="ADDRESS", help="A running dask scheduler that trains instead, such as tcp://host:8786.")


@contextmanager
def executor_of(workers: int | None, dask: str | None, small: bool) -> Generator[Any]:
    """Choose where models are trained: by a dask scheduler, or in a number of processes."""
    from sims.retrain import engine

    if dask is None:
        yield workers or (1 if small else engine.physical_cores())
    elif workers is not None:
        raise click.UsageError("--workers and --dask exclude each other")
    else:
        with engine.dask_executor(dask) as executor:
            yield executor
