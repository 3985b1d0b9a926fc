"""Write the truths that the libraries are run on: one seed, and few subsets, so that they are small files."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sims.referee import Truth
from sims.referee.problems import PROBLEMS
from sims.referee.truth import Subsets
from theory.streams import stream

__all__ = ["NAMES", "N_SUBSETS", "TRUTHS", "slim", "write"]

TRUTHS = Path(__file__).parent / "truths"
"""The folder of the stored truths."""

NAMES = ("logistic_spector", "ridge_longley", "softmax_iris", "two_moons_converged", "two_moons_young")
"""The named problems."""

N_SUBSETS = 256
"""Subsets of a truth that are kept."""


def slim(truth: Truth) -> Truth:
    """Return a truth with `N_SUBSETS` of its subsets, drawn without replacement; one that has no more is returned unchanged."""
    found = truth.subsets
    if len(found.masks) <= N_SUBSETS:
        return truth
    rows = sorted(stream("subsets of a peers' truth", 0).choice(len(found.masks), N_SUBSETS, replace=False).tolist())
    responses = {key: values[rows] for key, values in found.responses.items()}
    how = f"{truth.about.get('how', '')}, of which {N_SUBSETS} are in the file"
    return replace(truth, subsets=Subsets(found.masks[rows], responses, complete=False), about={**truth.about, "how": how})


def write(folder: Path = TRUTHS, names: Sequence[str] = NAMES) -> list[Path]:
    """Compute the truths of the first seed and write them; minutes."""
    made = ((name, replace(PROBLEMS[name], n_seeds=1)) for name in names)
    return [slim(problem.truth(name)).save(folder) for name, problem in made]
