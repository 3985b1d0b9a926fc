"""T13: all attribution scores are averages of one derivative; what that leaves of using one score for another's question."""

from itertools import permutations

import numpy as np
import xarray as xr

from theory.claims.registry import Claim, OtherMeasure, Results, claim
from theory.claims.verdict import CLOSE, ROUNDING, Evidence, NothingToJudgeError, Verdict

__all__ = ["scores_answer_their_own_question", "scores_are_one_average"]


@claim(
    "T13",
    "leave-one-out, datamodels, Shapley and Beta Shapley are averages of the same dF/dw_i; they differ only in where",
    plain="the attribution scores all average the same dF/dw",
    experiments=("one_law",),
    measure="||average of dF/dw_i, with its jumps, - score|| / ||score||, largest over the scores",
    tolerance=ROUNDING,
    essay="What is right in the essay, in its general form: attribution by retraining is an averaged influence function. The "
    "place of the average is what the essay has wrong.",
    idea="A semivalue is the mean of F(S + i) - F(S) over sets S of other points, with weights by their number. Each difference "
    "is the integral of dF/dw_i as w_i goes from 0 to 1 with S present, plus the jumps of F (T16). Shapley is the mean of the "
    "datamodels over p ~ Uniform(0, 1), Beta Shapley(a, b) over p ~ Beta(b, a), leave-one-out the limit p -> 1.",
    sources=("Owen 1972", "Dubey, Neyman & Weber 1981", "Kwon & Zou 2022", "own derivation"),
    kind="identity",
)
def scores_are_one_average(this: Claim, results: Results) -> Verdict:
    """Compare every score from the table of all subsets with its average derivative, where that has converged.

    Where edges were taken apart one by one, a larger error is in doubt by what the search for jumps can resolve.
    """
    cases = [ds for ds in results["one_law"] if not ds.attrs.get("not_judged")]
    left = [f"{ds.attrs['case']}: {ds.attrs['not_judged']}" for ds in results["one_law"] if ds.attrs.get("not_judged")]
    if not cases:
        raise NothingToJudgeError(f"one_law: {'; '.join(left)}")
    jumps = {ds.attrs["case"]: int(ds.n_jumps) for ds in cases if int(ds.n_jumps)}
    return this.decide(
        [_of_average(this, ds) for ds in cases],
        condition=f"{cases[0].sizes['law']} laws, from leave-one-out to Beta Shapley(16, 1) and subsets of one size"
        + (f"; with {', '.join(f'{n:,} jumps of F on {case}' for case, n in jumps.items())}" if jumps else "")
        + (f"; not judged, and not counted: {'; '.join(left)}" if left else ""),
    )


def _of_average(this: Claim, ds: xr.Dataset) -> Evidence:
    error = float(ds.error.max())
    return Evidence(ds.attrs["case"], error, float(ds.attrs.get("resolution", 0.0)) if error > this.tolerance else 0.0)


def _pairs(ds: xr.Dataset) -> list[Evidence]:
    """Return the relative error of each score that has a question of its own against the answer to each other question."""
    questions = [str(name) for name in ds.question.values]
    errors = ds.against.sel(measure="relative_error")
    return [
        Evidence(f"{ds.attrs['case']}: {score} for {question}", float(errors.sel(score=score, question=question)))
        for score, question in permutations(questions, 2)
    ]


def _every_pair(this: Claim, results: Results) -> Verdict:
    evidence = [item for ds in results["one_law"] for item in _pairs(ds)]
    return this.decide(evidence, must_exceed=True, condition="every pair of scores is compared")


@claim(
    "T13 places",
    "of D(1), leave-one-out, datamodel and Shapley value, most are more than 5% off as the answer to another's question",
    plain="most scores miss another's answer by more than 5%",
    experiments=("one_law",),
    measure="||score - answer|| / ||answer|| for pairs of scores, median",
    tolerance=CLOSE,
    essay="The essay takes the datamodel for D(1), and both for the effect of a removal; each answers a question of its own.",
    idea="The scores average one function, dF/dw_i, at different places of the cube of weights: near the full set, on its last "
    "edge, at random halves, along the diagonal. Where F is affine in the weights they agree; the more dF/dw_i changes from "
    "place to place, the less.",
    sources=("own derivation",),
    other_measures=(OtherMeasure("the pair that differs least", CLOSE, _every_pair),),
)
def scores_answer_their_own_question(this: Claim, results: Results) -> Verdict:
    """Compare each of the four scores with the other three; most pairs must differ by more than the tolerance."""
    evidence = [item for ds in results["one_law"] for item in _pairs(ds)]
    close = [item.case for item in evidence if item.figure <= this.tolerance]
    slopes = [ds.against.sel(measure="slope", score="datamodel, p = 0.5", question="D(1)") for ds in results["one_law"]]
    return this.decide(
        evidence,
        must_exceed=True,
        deciding="most",
        condition=f"the slope of the datamodel at p = 1/2 on D(1) is {np.min(slopes):.2f} to {np.max(slopes):.2f}; "
        + (f"within the tolerance are {', '.join(close)}" if close else "no pair is within the tolerance"),
    )
