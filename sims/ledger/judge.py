"""Judge the claims on a learner of your own, from its table of all subsets."""

import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from sims.ledger.cases import MOST_POINTS, NEEDS_MORE, PATIENCE, Cases, cases_of
from sims.ledger.text import ledger_text, missing_text
from theory.answers import require_learner
from theory.claims import Claim, Ledger, Verdict, judge
from theory.inputs import as_count, as_number, as_seeds, shown
from theory.response import Learner

if TYPE_CHECKING:
    import xarray as xr

    from sims.retrain import Responses, engine

__all__ = ["Study", "judge_learner"]


@dataclass(frozen=True, repr=False)
class Study(Ledger):
    """The ledger of a learner, with the results by experiment that it was judged on; printed, it shows all evidence."""

    results: "dict[str, list[xr.Dataset]]" = field(kw_only=True)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return what the results warn of, such as a derivative that is exact and useless."""
        return tuple(
            dict.fromkeys(str(ds.attrs["warning"]) for found in self.results.values() for ds in found if "warning" in ds.attrs)
        )

    def __str__(self) -> str:
        warned = "".join(f"\nWarning: {text}\n" for text in self.warnings)
        return f"{warned}{ledger_text(self.verdicts)}\n{missing_text(self.not_judged)}"

    def _repr_html_(self) -> str:
        """Return the ledger for a notebook: a row per claim that unfolds to its evidence, then what was not judged."""
        warned = "".join(f"<p><b>Warning</b>: {escape(text)}</p>" for text in self.warnings)
        rows = "".join(_row_html(claim, verdict) for claim, verdict in self.verdicts)
        head = "".join(f'<th style="text-align:left">{name}</th>' for name in ("Claim", "Verdict", "Statement"))
        missing = "".join(f"<li>{escape(claim.id)}: {escape(reason)}</li>" for claim, reason in self.not_judged)
        return (
            f"{warned}<p>{escape(self._count())}</p><table><tr>{head}</tr>{rows}</table>"
            f"<details><summary>Not judged: {len(self.not_judged)} claims</summary><ul>{missing}</ul></details>"
        )


def _row_html(claim: Claim, verdict: Verdict) -> str:
    """Return the table row of a claim; its evidence is folded."""
    evidence = "".join(f"<li>{escape(str(item))}</li>" for item in verdict.evidence)
    why = (
        f"<p>{escape(verdict.measure)}: {verdict.figure:.3g} (tolerance {verdict.tolerance:g})</p>"
        f"<ul>{evidence}</ul><p>{escape(verdict.condition)}</p>"
    )
    cells = (
        escape(claim.id),
        escape(verdict.status.value),
        f"<details><summary>{escape(claim.statement)}</summary>{why}</details>",
    )
    return "".join(["<tr>", *(f'<td style="text-align:left;vertical-align:top">{cell}</td>' for cell in cells), "</tr>"])


def judge_learner(
    learner: Learner,
    n_seeds: int = 1,
    *,
    name: str | None = None,
    unit: str = "units of the output",
    store: Path | str | None = None,
    executor: "engine.Executor | int | None" = None,
    progress: bool | None = None,
    patience: float = PATIENCE,
) -> Study:
    """Retrain on all subsets with seeds 0 .. n_seeds - 1 and judge the claims that the learner can answer.

    Any learner gives beta, its expansion, pairs, leave-one-out and R^2 at every p. If its response is smooth in weights near 1,
    it also gives D(1), by differences where it has no weight_jacobian; weight_jacobian adds the average derivatives and the
    search for jumps (T2, T4, T5, T13, T16), linearize adds Hessian influence. A learner that is constant between jumps, such as
    nearest neighbours, has weight_jacobian 0. The ledger names the claims that are not judged and what they lack.

    `store` and `executor` are those of `response_table`. `progress` says what the study will cost and shows a bar; by default on
    a terminal. Averages of derivatives that would take longer than `patience` seconds are left out.
    """
    from sims.experiments import all_experiments
    from sims.experiments.shared.problem import GivenLearner
    from sims.retrain import response_table

    require_learner(learner)
    n_seeds, patience = as_count("n_seeds", n_seeds), as_number("patience", patience, "seconds, a number >= 0", least=0.0)
    for argument, text in (("name", name), ("unit", unit)):
        if not isinstance(text, str | None) or text == "":
            raise ValueError(f"{argument} = {shown(text)}, expected a text")
    if learner.n_points > MOST_POINTS:
        raise ValueError(
            f"{learner.n_points} training points have 2**{learner.n_points} subsets, expected at most {MOST_POINTS} points: draw "
            "subsets with theory.sampling.designs and fit theory.datamodel.fit_sampled"
        )
    shows = sys.stderr.isatty() if progress is None else progress
    problem = GivenLearner(learner, name or f"{type(learner).__name__}-{learner.n_points}", unit)
    cases = cases_of(problem, n_seeds, patience=patience)
    if shows:
        print(cases.cost, file=sys.stderr)
    table = response_table(learner, as_seeds(range(n_seeds)), store=store, executor=executor, progress=shows)
    results = _results(cases, table, shows)
    ledger = judge(results, {**dict.fromkeys(all_experiments(), NEEDS_MORE), **cases.left_out})
    return Study(ledger.verdicts, ledger.not_judged, ledger.faults, results=results)


def _results(cases: Cases, table: "Responses", shows: bool) -> "dict[str, list[xr.Dataset]]":
    """Run every case on one table, with one bar over the cases."""
    from tqdm import tqdm  # imports its own command line

    from sims.experiments import all_experiments

    def retrain(learner: Learner, seeds: Sequence[int], *, part: str = "", weights: ArrayLike | None = None) -> "Responses":
        return table  # all experiments need this one

    experiments, results = all_experiments(), dict[str, list["xr.Dataset"]]()
    configs: Mapping[str, Any] = cases.configs
    with closing(tqdm(total=len(configs), unit="part", leave=False, disable=None if shows else True)) as bar:
        for experiment, config in configs.items():
            bar.set_description(experiment.replace("_", " "))
            with np.errstate(
                divide="ignore", invalid="ignore", over="ignore"
            ):  # of a constant F, say: the claims say "undefined"
                results[experiment] = [experiments[experiment].run(config, retrain=retrain)]
            bar.update()
    return results
