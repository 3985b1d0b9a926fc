"""The command `judge`."""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:  # loaded where something is computed: --help is quick
    from numpy.typing import ArrayLike

    from sims.referee import Report, Truth
    from sims.referee.truth import Target

__all__ = ["judge"]

TARGETS = ("margin", "loss")


@click.command(short_help="Say how right attribution scores are, and what went wrong.")
@click.argument("scores", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--truth", "of", required=True, help="Name of an exact problem (see `truth`), or its file NAME.npz.")
@click.option("--target", type=click.Choice(TARGETS), default="margin", show_default=True, help="What was attributed.")
@click.option("--seed", type=int, help="The scores are those of the one model of this seed.  [default: mean over all seeds]")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--figure", type=click.Path(path_type=Path, dir_okay=False), help="Picture of the scores against the truths.")
def judge(scores: Path, of: str, target: "Target", seed: int | None, as_json: bool, figure: Path | None) -> None:
    """Judge the scores in a file (.npy, .npz, .csv or .pt), one row per training point and one column per query, or the reverse.

    The report says what the scores estimate, their sign and scale, what went wrong if something did, and how they compare with
    D(1), leave-one-out, beta and Shapley values.
    """
    import json

    from sims.referee import judge_scores, load_truth
    from sims.referee.scores_file import read_scores

    values, truth = read_scores(scores), load_truth(of, progress=not as_json)
    report = judge_scores(values, truth, target, seed=seed)
    click.echo(json.dumps(report.to_json(), indent=2) if as_json else str(report))
    if figure is not None:
        _draw(values, truth if seed is None else truth.seed(seed), report, figure)
        click.echo(f"figure: {figure}", err=as_json)


def _draw(values: "ArrayLike", truth: "Truth", report: "Report", figure: Path) -> None:
    """Draw the scores against the four exact effects, in a process of its own: nothing here imports `figures`."""
    import numpy as np

    from sims.referee.truth import QUANTITIES

    oriented = np.asarray(values, dtype=np.float64)
    oriented = oriented.T if report.orientation == "query x train" else oriented
    arrays = {quantity: truth.effect(quantity, report.target) for quantity in QUANTITIES}
    errors = {f"{quantity}_error": truth.error(quantity, report.target) for quantity in QUANTITIES}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "scores.npz"
        words = {"title": np.array(f"{truth.name}: {report.headline}"), "unit": np.array(report.target)}
        np.savez(file, allow_pickle=False, scores=oriented, **words, **arrays, **errors)
        subprocess.run([sys.executable, "-m", "figures.scores", str(file), str(figure)], check=True)
