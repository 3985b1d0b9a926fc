"""The options that describe a problem on a user's own CSV file, shared by all commands that take one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

__all__ = ["user_options"]


class _Learner(click.Choice[str]):
    """One of the project's learners, or MODULE:FUNCTION."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value if ":" in str(value) else super().convert(value, param, ctx)


_USER_OPTIONS = (
    click.option(
        "--data",
        "file",
        metavar="FILE.csv",
        type=click.Path(path_type=Path),
        help="Your own CSV file, instead of the project's data sets.",
    ),
    click.option("--target", metavar="COLUMN", help="What is predicted: a column of numbers, or of classes."),
    click.option(
        "--positive",
        metavar="VALUE",
        help="The target's value that is class 1 [default: the larger one of two]; all others are class 0.",
    ),
    click.option("--drop", metavar="COLUMN", multiple=True, help="Leave out a column of the file; repeat for more."),
    click.option(
        "--categories",
        metavar="COLUMN",
        multiple=True,
        help="Take the different texts of a column as categories: one column of 0 and 1 for each but the first.",
    ),
    click.option(
        "--fill",
        type=click.Choice(["median", "mode"]),
        help="Fill gaps from the training rows (categories: with the mode) [default: rows with gaps are skipped].",
    ),
    click.option(
        "--decimal",
        type=click.Choice([".", ","]),
        help="The decimal mark; the other one may separate thousands [default: what the file's numbers have].",
    ),
    click.option(
        "--learner",
        type=_Learner(["logistic", "least_squares", "softmax_regression", "mlp"]),
        metavar="NAME",
        help="What is retrained: logistic, least_squares, softmax_regression, mlp, or, by verify, your own model, "
        "MODULE:FUNCTION, called as make(X, y, X_query) and returns a learner [default: logistic for two classes, "
        "softmax_regression for more, least_squares for numbers].",
    ),
    click.option("--points", type=click.IntRange(4), help="Training points N [default: 12, mlp 8; with --small 8, mlp 6]."),
    click.option("--queries", type=click.IntRange(1), help="Other rows whose outputs are explained [default: 8]."),
    click.option("--l2", type=click.FloatRange(0.0), help="Penalty [default: 0.1, mlp 0.01]."),
    click.option("--seed", type=click.IntRange(0, 2**63 - 1), help="Draws which rows train and which are queries [default: 0]."),
)


def user_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Return `command` with the options of `_USER_OPTIONS`; all but `--data` are the keywords of `described_problem`."""
    for option in reversed(_USER_OPTIONS):
        command = option(command)
    return command
