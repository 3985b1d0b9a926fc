"""Judge the claims on a learner of your own, from its table of all subsets."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from numpy.typing import ArrayLike

from sims.ledger.text import ledger_text, missing_text
from sims.retrain import Responses, engine, response_table
from theory.answers import require_learner
from theory.claims import Ledger, judge
from theory.inputs import as_count, as_seeds, shown
from theory.response import DifferentiableLearner, Learner

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Study", "judge_learner"]

MOST_POINTS = 20
"""Limit of 2^20 retrainings; for more points draw subsets (`theory.datamodel.fit_sampled`)."""

MOST_POINTS_AVERAGED = 10
"""Limit for the average derivative, which takes N 2^(N-1) Jacobians per node; it is left out with more points."""

MOST_DERIVATIVES, MOST_TRAININGS = 500_000, 500_000
"""Limits of what is spent on the average derivative and on the search for jumps, beside the table; then edges are drawn."""


@dataclass(frozen=True, repr=False)
class Study(Ledger):
    """The ledger of a learner, with the results by experiment that it was judged on; printed, it shows all evidence."""

    results: "dict[str, list[xr.Dataset]]" = field(kw_only=True)

    def __str__(self) -> str:
        return f"{ledger_text(self.verdicts)}\n{missing_text(self.not_judged)}"


def judge_learner(
    learner: Learner,
    n_seeds: int = 1,
    *,
    name: str | None = None,
    unit: str = "units of the output",
    store: Path | str | None = None,
    executor: engine.Executor | int | None = None,
    progress: bool = False,
) -> Study:
    """Retrain on all subsets with seeds 0 .. n_seeds - 1 and judge the claims that the learner can answer.

    Any learner gives beta, leave-one-out and R^2 at every p. If its response is smooth in weights near 1, it also gives D(1), by
    differences where it has no weight_jacobian; weight_jacobian adds the average derivative and the search for jumps (T2, T16),
    linearize adds Hessian influence. A learner that is constant between jumps, such as nearest neighbours, has weight_jacobian 0.
    The ledger names the claims that are not judged and what they lack. `store`, `executor` and `progress` are those of
    `response_table`.
    """
    from sims.experiments import all_experiments, identity, spectrum
    from sims.experiments.shared.problem import GivenLearner

    require_learner(learner)
    n_seeds = as_count("n_seeds", n_seeds)
    for argument, text in (("name", name), ("unit", unit)):
        if not isinstance(text, str | None) or text == "":
            raise ValueError(f"{argument} = {shown(text)}, expected a text")
    if learner.n_points > MOST_POINTS:
        raise ValueError(
            f"{learner.n_points} training points have 2**{learner.n_points} subsets, expected at most {MOST_POINTS} points: draw "
            "subsets with theory.sampling.designs and fit theory.datamodel.fit_sampled"
        )
    seeds, problem = as_seeds(range(n_seeds)), GivenLearner(learner, name or f"{type(learner).__name__}-{learner.n_points}", unit)
    table = response_table(learner, seeds, store=store, executor=executor, progress=progress)

    def retrain(learner: Learner, seeds: Sequence[int], *, part: str = "", weights: ArrayLike | None = None) -> Responses:
        return table  # both experiments need this one

    averaged = learner.n_points <= MOST_POINTS_AVERAGED
    config = identity.IdentityConfig(
        problem,
        scales=(0.0625, 0.03125),
        seeds=seeds,
        most_derivatives=MOST_DERIVATIVES if averaged else 0,
        most_trainings=MOST_TRAININGS,
    )
    found = identity.run(config, retrain=retrain, progress=progress)
    if not averaged and isinstance(learner, DifferentiableLearner):
        reason = f"the average derivative is left out with more than {MOST_POINTS_AVERAGED} points"
        left_out = {**json.loads(found.attrs["left_out"]), "average_derivative": reason}
        found = found.assign_attrs(left_out=json.dumps(left_out))
    linear = spectrum.run(spectrum.SpectrumConfig(problem, n_seeds=n_seeds), retrain=retrain)
    results = {"identity": [found], "spectrum": [linear]}
    ledger = judge(results, dict.fromkeys(all_experiments(), "needs more than the table of one learner"))
    return Study(ledger.verdicts, ledger.not_judged, ledger.faults, results=results)
