"""Say how right attribution scores are: exact truths as plain files, and a judge of scores.

`truth` defines what is known of a trained model, `computing` computes it, `files` writes it, and `problems` names those on which
everyone can compare. `judge` finds out what scores are: `candidates` lists what they could be, `matching` compares, `measures`
measures, and `report` says it. A name is imported from its module when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sims.referee.files import load_truth
    from sims.referee.judge import judge_scores
    from sims.referee.problems import PROBLEMS
    from sims.referee.report import Finding, Report
    from sims.referee.truth import Truth

__all__ = ["PROBLEMS", "Finding", "Report", "Truth", "judge_scores", "load_truth"]

_HOMES = {
    "load_truth": "files",
    "PROBLEMS": "problems",
    "Finding": "report",
    "Report": "report",
    "Truth": "truth",
    "judge_scores": "judge",
}


def __getattr__(name: str) -> Any:
    """Import a name of `__all__` from its module."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}, expected one of {', '.join(__all__)}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value
