"""The module judges the essay's identity on a data set and all its parts (T14, T14 parts)."""

import xarray as xr

from theory.claims.registry import Claim, OtherMeasure, Results, claim
from theory.claims.verdict import CLOSE, ROUNDING, Evidence, NothingToJudgeError, Verdict

__all__: list[str] = []


@claim(
    "T14",
    "without a penalty the essay's identity cannot hold on a data set and all its parts unless nothing was learnt",
    plain="were C6 true on all parts, nothing would be learnt",
    experiments=("no_go",),
    needs=("violation", "least_violation", "allowed", "derivative_sum"),
    measure="N 2^(1-N) (max F - min F) / sum over parts A of |sum of beta^A - sum of D(1_A)|, largest over outputs, F less what "
    "the sums of D(1_A) allow",
    tolerance=1.0,
    essay="The essay's identity is meant for every training set, and every subset of a training set is one.",
    idea="F(c w) = F(w) makes sum_i D_i(1_A) = 0 on every part A (Euler). If beta^A = D(1_A), then sum_i beta^A_i = 2^(1-|A|) "
    "sum_{T in A} (2|T| - |A|) F(T) = 0 for every nonempty A. One point gives F({i}) = F({}). By induction F(T) = F({}) for all "
    "proper subsets of A, so 2^(1-|A|) |A| (F(A) - F({})) = 0. Sums that are not 0 determine F up to a constant, and max F - "
    "min F is convex in them: their absolute sum is at least N 2^(1-N) (max F - min F). A penalty or early stopping lets the "
    "sums of D(1_A) differ from 0; then F less the table that has these sums takes the place of F.",
    sources=("own derivation from Euler's theorem on homogeneous functions",),
    kind="identity",
)
def identity_on_all_parts_means_nothing_learnt(this: Claim, results: Results) -> Verdict:
    """Compare the total violation of the summed identity over all parts with the least that the theorem allows.

    The condition gives, where there is no penalty, what was learnt and the total violation, each for the output with most to
    learn; and for the other cases the share of the range of F that the identity on all parts would allow.
    """
    cases = results["no_go"]
    evidence = [Evidence(ds.attrs["case"], float((ds.least_violation / ds.violation).max())) for ds in cases]
    found = [
        f"max F - min F = {float(ds.learnt[-1, k]):.3g}, total violation {float(ds.violation[k]):.3g}, at least "
        f"{float(ds.least_violation[k]):.2g} ({ds.attrs['case']})"
        for ds in cases
        if _is_scale_free(ds)
        for k in [int(ds.learnt.values[-1].argmax())]
    ]
    allowed = ", ".join(
        f"{float((ds.allowed[-1] / ds.learnt[-1]).mean()):.0%} ({ds.attrs['case']})" for ds in cases if not _is_scale_free(ds)
    )
    others = [f"with a penalty or before convergence the identity on all parts would allow, of the range of F, {allowed}"]
    return this.decide(evidence, condition="; ".join(found + others * bool(allowed)))


def _is_scale_free(ds: xr.Dataset) -> bool:
    """Say whether the derivatives of every part add up to 0, as they do where F(c w) = F(w)."""
    return float(ds.derivative_sum.max()) <= ROUNDING * float(ds.learnt.max())


def _mildest_part(this: Claim, results: Results) -> Verdict:
    """Judge the part with the smallest error, among those on which D(1_A) is not 0."""
    evidence = [Evidence(ds.attrs["case"], float(ds.least_error)) for ds in results["no_go"] if _is_scale_free(ds)]
    return this.decide(evidence, must_exceed=True, condition="mildest part")


@claim(
    "T14 parts",
    "without a penalty the essay's identity is off by more than 5% on most parts of a data set",
    plain="C6 is off by over 5% on most parts of a data set",
    experiments=("no_go",),
    needs=("typical_error", "least_error", "derivative_sum"),
    measure="median over parts A of ||beta^A - D(1_A)|| / ||beta^A||, where D(1_A) is not 0",
    tolerance=CLOSE,
    essay="T14 forbids the identity on all parts together; it could still be nearly true on most of them, and very wrong on one.",
    idea="By T6, beta^A tends to twice D(1_A) as A grows: an error of one half. On small parts it is larger, since D(1_A) tends "
    "to 0 as the fit interpolates them (T11), while beta^A also counts subsets that leave out what only one point shows.",
    sources=("own derivation from T6 and T11",),
    other_measures=(OtherMeasure("the same on the part with the smallest error", CLOSE, _mildest_part),),
)
def identity_misses_most_parts(this: Claim, results: Results) -> Verdict:
    """Take the median relative error over the parts of each case in which training has no penalty and has converged.

    Parts that are interpolated don't count, since D(1_A) = 0 there (T11). The condition gives the other cases.
    """
    cases = results["no_go"]
    evidence = [Evidence(ds.attrs["case"], float(ds.typical_error)) for ds in cases if _is_scale_free(ds)]
    others = ", ".join(f"{float(ds.typical_error):.2g} ({ds.attrs['case']})" for ds in cases if not _is_scale_free(ds))
    if not evidence:
        raise NothingToJudgeError("no_go has no case without penalty at its optimum, where F(c w) = F(w)")
    return this.decide(
        evidence,
        must_exceed=True,
        condition="F(c w) = F(w)" + (f"; with a penalty or before convergence the median is {others}" if others else ""),
    )
