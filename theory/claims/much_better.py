"""The module judges whether datamodels are much better than influence functions, on fresh subsets and at equal budgets."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import xarray as xr

from theory.claims.margins import MUCH, crossing_of_halves, margin
from theory.claims.registry import Claim, Judgement, OtherMeasure, Results, claim
from theory.claims.verdict import Evidence, NothingToJudgeError, Status, Verdict
from theory.intervals import half_width, mean_and_error
from theory.response import Array

__all__: list[str] = []

_BUDGET, _SMALL_BUDGET = 20.0, 5.0
_LDS, _ERROR = (0,), (1,)


def _judgement(*, budget: float = _BUDGET, rows: Sequence[int] = (0, 1), every_score: bool = False) -> Judgement:
    """Return the judgement of C10 at a number of retrainings per point, by some rows of the margin, against some scores."""

    def judged(this: Claim, results: Results) -> Verdict:
        cases = [ds for ds in results["lds"] if int(ds.attrs["n_outputs"]) > 1]
        if not cases:
            raise NothingToJudgeError("one output: the best score is chosen on one half of the outputs and judged on the other")
        regimes: dict[str, list[Evidence]] = {}
        notes: list[str] = []
        for target in map(str, cases[0].target.values):
            for ds in cases:
                scores = [str(name) for name in ds.estimate.values if name != "LOO"] if every_score else ds.attrs["hessian_based"]
                found = margin(ds, target, _nearest(ds, budget), scores)
                regimes.setdefault(target, []).append(Evidence(f"{ds.attrs['case']}: {target}", *found.larger(rows)))
                gain, ratio = found.by_design.mean(axis=1)
                notes.append(
                    f"{MUCH * gain:+.3f}, x {2.0**-ratio:.2g}, {found.slopes[0]:.2f} and {found.slopes[1]:.2f} "
                    f"({', '.join(found.rivals)})"
                )
        alone = {target: this.decide(items, must_exceed=True, condition="") for target, items in regimes.items()}
        of = {status: [t for t, verdict in alone.items() if verdict.status is status] for status in Status}
        everywhere = len(of[Status.HOLDS]) == len(regimes)
        decide = of[Status.HOLDS] or of[Status.INCONCLUSIVE] or of[Status.FAILS]
        verdict = this.decide(
            [item for target in decide for item in regimes[target]],
            holds=Status.HOLDS if everywhere else Status.HOLDS_WHEN,
            must_exceed=True,
            condition=f"F of these subsets is predicted: {', '.join(of[Status.HOLDS]) or 'none'} (much better beyond doubt in "
            f"{_sure(this, regimes)} of {sum(map(len, regimes.values()))} cases). "
            f"Retrainings per point until random halves are ranked as well: {'; '.join(map(_crossings, cases))}. Gain in LDS, "
            f"factor of the relative error, slopes of datamodel and rival, in the order of the cases: {'; '.join(notes)}",
        )
        return replace(verdict, evidence=tuple(item for items in regimes.values() for item in items))

    return judged


def _sure(this: Claim, regimes: Mapping[str, Sequence[Evidence]]) -> int:
    """Return the number of cases in which datamodels are much better beyond doubt."""
    return sum(item.figure - item.doubt > this.tolerance for items in regimes.values() for item in items)


def _nearest(ds: xr.Dataset, budget: float) -> int:
    """Return the number of retrainings that is nearest to a budget per point."""
    counts = ds.retrainings.values
    return int(counts[np.abs(counts / int(ds.attrs["n_points"]) - budget).argmin()])


def _crossings(ds: xr.Dataset) -> str:
    """Describe the crossing with exact influence, and with the best Hessian-based score, each with its 95% interval."""
    exact = "exact H" if np.isfinite(ds.score.sel(estimate="exact H", quality="lds")).all() else "pseudo-inverse"
    notes = [
        f"{_with_interval(crossing_of_halves(ds, rivals), float(ds.retrainings[0]) / int(ds.attrs['n_points']))} ({name})"
        for name, rivals in ((exact, [exact]), ("best score", ds.attrs["hessian_based"]))
    ]
    return f"{' and '.join(notes)} on {ds.attrs['case']}"


def _with_interval(crossings: Array, least: float) -> str:
    if not np.isfinite(crossings).all():
        return f"more than the most in {np.isinf(crossings).sum()} of {len(crossings)} designs"
    if (crossings == least).all():
        return f"at most {least:.3g}"
    mean, error = mean_and_error(crossings)
    return f"{mean:.3g} ± {half_width(error, len(crossings) - 1):.2g}"


@claim(
    "C10",
    "datamodels are empirically much better than influence functions",
    plain="datamodels are much better than influence",
    experiments=("lds",),
    measure="the larger of gain in LDS / 0.1 and log2 of the ratio of relative errors, worst case of a regime (must exceed)",
    tolerance=1.0,
    essay="Hence datamodels are empirically much better than influence functions.",
    idea="LDS is the rank correlation of predicted and true outputs over subsets. With all 2^N subsets no linear predictor has a "
    "smaller mean squared error on such subsets than beta; fitted to m of them, it has a variance that falls as 1 / m. Influence "
    "ranks almost as well and is too small by about p (T6), which rank correlations do not see and relative errors do. Near the "
    "full set random halves are the wrong law (C8), and D(1) or a Newton step is nearer.",
    sources=("Karchmer 2025", "Park et al. 2023 (TRAK, LDS)", "Bae et al. 2024 (SOURCE)"),
    other_measures=(
        OtherMeasure("gain in LDS / 0.1", 1.0, _judgement(rows=_LDS)),
        OtherMeasure("log2 of the ratio of relative errors", 1.0, _judgement(rows=_ERROR)),
        OtherMeasure("the same with 5 retrainings per point", 1.0, _judgement(budget=_SMALL_BUDGET)),
        OtherMeasure("the same against every score that needs no retraining", 1.0, _judgement(every_score=True)),
    ),
)
def datamodels_are_much_better(this: Claim, results: Results) -> Verdict:
    """Compare datamodels of 20 retrainings per point, or the most there are, with the best Hessian-based score, in every regime.

    A regime is a kind of fresh subsets whose F is predicted: random halves, subsets at p = 0.9, or one to three points removed.
    Better is much better if the LDS is larger by 0.1 or the relative error half as large. Score and p of the datamodel are
    chosen by each of both on one half of the outputs and judged on the other. A score needs no retraining, so any budget is
    equal or larger. Intervals are over independent designs and over seeds. The claim holds if it holds in every case of every
    regime, holds when F of some kinds of subsets is predicted if it does in these, and fails if it fails in all.
    """
    return _judgement()(this, results)
