"""`python -m sims`, but `verify` runs three experiments, and a table of 2^N subsets has blocks of eight.

So a run has every stage of the main job (training, saving, judging, drawing, the report) and takes seconds.
"""

import sims.experiments
import sims.experiments.shared.cases
from sims.__main__ import main
from sims.learners import LeastSquares

EXPERIMENTS = ("normalisation", "leverage", "expansion")

_everything = sims.experiments.all_experiments


def few() -> dict[str, sims.experiments.Experiment]:
    """Return the experiments that take a moment."""
    return {name: experiment for name, experiment in _everything().items() if name in EXPERIMENTS}


def small_blocks() -> None:
    """Let ridge regression have blocks of eight subsets, in this process."""
    LeastSquares.block_rows = 8


def run() -> None:
    """Run the command line with these experiments."""
    small_blocks()
    sims.experiments.all_experiments = sims.experiments.shared.cases.all_experiments = few
    main()


if __name__ == "__main__":
    run()
elif __name__ == "__mp_main__":  # a process that a run has started
    small_blocks()
