"""Say how right attribution scores are: exact truths as plain files, and a judge of scores.

`truth` defines what is known of a trained model, `computing` computes it, `files` writes it, and `problems` names those on which
everyone can compare. `judge` finds out what scores are: `candidates` lists what they could be, `matching` compares, `measures`
measures, and `report` says it.
"""

from sims.referee.judge import judge_scores
from sims.referee.problems import PROBLEMS, load_truth
from sims.referee.report import Finding, Report
from sims.referee.truth import Truth

__all__ = ["PROBLEMS", "Finding", "Report", "Truth", "judge_scores", "load_truth"]
