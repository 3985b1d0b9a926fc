"""The module says which score answers which question, at which cost, and what it misses of the others, from measured numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Decision", "decisions"]


@dataclass(frozen=True)
class Decision:
    """A question about training points, the score that answers it, its cost, and how far it is from the answers to others."""

    question: str
    score: str
    cost: str
    misses: str


_ROWS = (
    (
        "How does the output move if a point counts a little more or less?",
        "D(1) = dF/dw_i at w = 1; Hessian influence is D(1) where training has converged to an isolated optimum",
        "one training and its derivative, or 11 N to 15 N retrainings near 1 (`finite_difference`; with noise `for_influence`)",
        "D(1)",
        ("leave-one-out", "datamodel, p = 0.5"),
    ),
    (
        "What if this point had not been there?",
        "leave-one-out, F(1) - F(1 - e_i)",
        "N + 1 retrainings (`for_leave_one_out`)",
        "leave-one-out",
        ("D(1)", "datamodel, p = 0.5"),
    ),
    (
        "What would the model say after training on other subsets?",
        "the datamodel fitted at the share p of points that they have",
        "retrainings on random subsets (`fit_sampled`); 20 N of them where C10 judges it",
        "datamodel, p = 0.5",
        ("D(1)", "leave-one-out"),
    ),
    (
        "How is F(1) - F(0) shared fairly among the points?",
        "Shapley value",
        "16 N - 8 retrainings or more on subsets of all sizes (`for_shapley`)",
        "Shapley",
        ("leave-one-out", "datamodel, p = 0.5"),
    ),
)
"""Question, score, cost, the name of the score in the experiment `one_law`, and the other questions that it is tried on."""

_SHORT = {"D(1)": "D(1)", "leave-one-out": "leave-one-out", "datamodel, p = 0.5": "the datamodel on random halves"}


def decisions(evidence: Sequence[tuple[str, float]]) -> list[Decision]:
    """Return the table from the evidence (case, figure) of claim `T13 places`; no rows without evidence.

    >>> one, *_ = decisions([("a: D(1) for leave-one-out", 0.25), ("a: D(1) for datamodel, p = 0.5", 0.5)])
    >>> one.misses
    'off from leave-one-out by 0.25 of its size, from the datamodel on random halves by 0.5'
    """
    rows: list[Decision] = []
    for question, score, cost, name, others in _ROWS:
        parts = [(_SHORT[other], _range(evidence, f": {name} for {other}")) for other in others]
        (first, size), *rest = [(other, size) for other, size in parts if size] or [("", "")]
        if size:
            misses = f"off from {first} by {size} of its size" + "".join(f", from {other} by {found}" for other, found in rest)
            rows.append(Decision(question, score, cost, misses))
    return rows


def _range(evidence: Sequence[tuple[str, float]], ending: str) -> str:
    """Return the least and the largest figure of the cases with this ending, or an empty text without such a case."""
    found = sorted(figure for case, figure in evidence if case.endswith(ending))
    ends = [f"{figure:.2g}" for figure in found[:: max(len(found) - 1, 1)]]
    return " to ".join(dict.fromkeys(ends))
