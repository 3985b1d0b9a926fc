"""Choose the experiments that one table of all subsets answers for any learner, and say what they will cost."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from theory.inputs import as_seeds
from theory.response import (
    Array,
    DifferentiableLearner,
    Learner,
    LinearizableLearner,
    block_rows_of,
    mean_response,
    takes_masks_only,
    weight_jacobian_column,
)

if TYPE_CHECKING:  # importing it takes longer than all else here
    from sims.experiments.shared.problem import AnyProblem

__all__ = ["MOST_POINTS", "NEEDS_MORE", "PATIENCE", "Cases", "cases_of"]

Ask = Callable[[Array], Array]
"""A question to a learner, for rows of weights."""

MOST_POINTS = 20
"""Limit of 2^20 retrainings; for more points draw subsets (`theory.datamodel.fit_sampled`)."""

PATIENCE = 600.0
"""Seconds that average derivatives may take."""

NEEDS_MORE = "needs more than the table of one learner"

MOST_POINTS_AVERAGED = 10
"""Limit for average derivatives, which take N 2^(N-1) derivatives per node; they are left out with more points."""

MOST_POINTS_TABLE = 16
"""Limit for the experiments on all interactions, pairs and subsets of one size, which need several tables of memory."""

MOST_DERIVATIVES, MOST_TRAININGS = 500_000, 500_000
"""Limits of what is spent on average derivatives and on the search for jumps, beside the table; then edges are drawn."""

SCALES = (0.125, 0.0625, 0.03125)
"""Scales of local datamodels; `identity` adds smaller ones while the order of the error has not settled."""

NODES_PER_EDGE, NODES_ON_PATH = 12, 40


@dataclass(frozen=True)
class Cases:
    """One case of every experiment that can be run, the reasons why others cannot, and a line that says what they cost."""

    configs: Mapping[str, Any]
    left_out: Mapping[str, str]
    cost: str


def cases_of(problem: "AnyProblem", n_seeds: int, *, patience: float) -> Cases:
    """Return a case of every experiment that needs nothing but the table of all subsets and the learner itself.

    A few trainings and derivatives are timed. Averages of derivatives that would take longer than `patience` seconds are left
    out, with the reason.
    """
    from sims.experiments.expansion import ExpansionConfig
    from sims.experiments.fixed_size import FixedSizeConfig
    from sims.experiments.identity import IdentityConfig
    from sims.experiments.one_law import OneLawConfig
    from sims.experiments.pairs import PairsConfig
    from sims.experiments.spectrum import SpectrumConfig

    learner, seeds = problem.build(), as_seeds(range(n_seeds))
    n, kind = learner.n_points, type(learner).__name__
    training, derivative = _seconds(learner, seeds)
    edges = n * 2 ** (n - 1)
    averaged = min(NODES_PER_EDGE * edges, MOST_DERIVATIVES) * derivative
    why_not = ""
    if not isinstance(learner, DifferentiableLearner):
        why_not = f"{kind} has no weight_jacobian"
    elif n > MOST_POINTS_AVERAGED:
        why_not = f"the average derivative is left out with more than {MOST_POINTS_AVERAGED} points"
    elif 2 * averaged > patience:
        why_not = f"the average derivative would take about {_time(2 * averaged)}, more than patience = {patience:g} seconds"
    most = 0 if why_not else MOST_DERIVATIVES
    most_trainings = int(min(MOST_TRAININGS, max(1_000.0, patience / max(training, derivative, 1e-9))))
    on_path = n * n * (NODES_ON_PATH * 3 // 2) * derivative
    left_out, configs = dict[str, str](), dict[str, Any]()
    configs["identity"] = IdentityConfig(
        problem, scales=SCALES, seeds=seeds, most_derivatives=most, most_trainings=most_trainings, why_not_averaged=why_not
    )
    configs["spectrum"] = SpectrumConfig(problem, n_seeds=n_seeds)
    if n < 2 or n > MOST_POINTS_TABLE:
        reason = f"is for 2 to {MOST_POINTS_TABLE} points here"
        left_out |= dict.fromkeys(("expansion", "pairs", "fixed_size"), reason)
    else:
        configs["expansion"] = ExpansionConfig(problem, seeds=seeds, nodes=NODES_ON_PATH if on_path <= patience else 0)
        configs["pairs"] = PairsConfig(problem, n_seeds=n_seeds)
        configs["fixed_size"] = FixedSizeConfig(problem, n_seeds=n_seeds)
    if why_not or n < 2:
        left_out["one_law"] = f"is left out: {why_not or 'one point has no other points'}"
    else:
        configs["one_law"] = OneLawConfig(
            problem, n_seeds=n_seeds, most_derivatives=MOST_DERIVATIVES, most_trainings=most_trainings
        )
    near_one = 0 if takes_masks_only(learner) else len(SCALES) * 2**n + _AROUND_ONE * n
    near_one += _AROUND_ONE * n if isinstance(learner, LinearizableLearner) else 0
    derivatives = 0 if why_not else 2 * min(NODES_PER_EDGE * edges, MOST_DERIVATIVES)
    total = (2**n + near_one) * training + derivatives * derivative
    rest = f" and {derivatives:,} derivatives" if derivatives else ""
    cost = (
        f"{problem.name}: {2**n:,} subsets x {n_seeds} seed{'' if n_seeds == 1 else 's'}, then about {near_one:,} more weight "
        f"vectors{rest}: about "
        f"{_time(total)} in one process"
        + (f", up to {_time(total + 2 * most_trainings * training)} where F jumps" if derivatives else "")
    )
    return Cases(configs, left_out, cost)


_AROUND_ONE = 100  # weight vectors per point for differences


def _seconds(learner: Learner, seeds: tuple[int, ...]) -> tuple[float, float]:
    """Return the time in seconds of one training and of one derivative in one weight, for all seeds; 0 for no derivative.

    A first call, which may compile, does not count. As many rows are timed at once as the learner asks for by `block_rows`.
    """
    n = learner.n_points
    rows = 1.0 - np.eye(n)[np.arange(64) % n] if n > 1 else np.ones((64, 1))

    def timed(ask: Ask, most: int) -> float:
        ask(rows[:1])
        alone = _clocked(ask, rows[:1])
        count = 64 if alone < 0.05 else most if alone < 10.0 else 1
        return alone if count == 1 else _clocked(ask, rows[:count]) / count

    at_once = min(block_rows_of(learner), 64) if hasattr(learner, "block_rows") else 4
    training = timed(partial(mean_response, learner, seeds=seeds), at_once)
    if not isinstance(learner, DifferentiableLearner):
        return training, 0.0
    return training, timed(partial(weight_jacobian_column, learner, seeds=seeds, point=0), 4)


def _clocked(ask: Ask, rows: Array) -> float:
    start = time.perf_counter()
    ask(rows)
    return time.perf_counter() - start


def _time(seconds: float) -> str:
    """Return a time as a person would say it.

    >>> _time(0.2), _time(90.0), _time(7200.0)
    ('1 s', '2 minutes', '2.0 hours')
    """
    if seconds < 60.0:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60.0)} minutes" if seconds < 3600.0 else f"{seconds / 3600.0:.1f} hours"
