"""Ask for the memory that an experiment takes at its peak, once, before anything is trained."""

from theory.memory import require_memory
from theory.response import Learner

__all__ = ["require_per_subset"]


def require_per_subset(learner: Learner, numbers: int, experiment: str) -> None:
    """Refuse an experiment on all subsets whose peak, `numbers` float64 numbers per subset, does not fit into memory."""
    n, m = learner.n_points, learner.n_outputs
    require_memory(8 * numbers * 2**n, f"{experiment} on 2**{n} subsets x {m} outputs", "take fewer training points or queries")
