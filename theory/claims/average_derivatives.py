"""The module judges the average-derivative identity (T2, T16), and what the essay makes of it (C9)."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import xarray as xr

from theory.claims.registry import Claim, Results, claim
from theory.claims.verdict import Evidence, NothingToJudgeError, Status, Verdict

__all__: list[str] = []


@dataclass(frozen=True)
class _Case:
    """One case of the identity: its error, the error without the jumps, how many jumps there are, why it proves nothing."""

    name: str
    error: float
    without_jumps: float
    n_jumps: int
    edges: str
    not_judged: str


def _of_identity(results: Iterable[xr.Dataset]) -> list[_Case]:
    return [
        _Case(
            ds.attrs["case"],
            float(ds.identity_error.max(skipna=False)),
            float(ds.average_derivative_error.max()),
            int(ds.n_jumps),
            _edges(*ds.edges.values),
            ds.attrs.get("not_judged", ""),
        )
        for ds in results
    ]


def _of_training(results: Iterable[xr.Dataset]) -> list[_Case]:
    """Return a case for every law and training time of `average_derivative`."""
    cases: list[_Case] = []
    for ds in results:
        reasons: dict[str, str] = json.loads(ds.attrs["not_judged"])
        for law in ds.law.values:
            for time in ds.time.values:
                at = ds.sel(law=law, time=time)
                cases.append(
                    _Case(
                        f"{ds.attrs['case']}, {law}, {int(time)} steps",
                        float(at.error),
                        float(at.average_derivative_error),
                        int(at.n_jumps),
                        _edges(*at.edges.values),
                        reasons.get(f"{law}, {int(time)} steps", ""),
                    )
                )
    return cases


def _edges(taken: int, of: int) -> str:
    return "" if taken == of else f", {int(taken)} of {int(of)} edges drawn"


def _left_out(cases: Iterable[_Case]) -> str:
    """Return a text that lists the cases that were not judged, with their errors, or an empty text."""
    left = [f"{case.name} ({case.not_judged}; error {case.error:.1g})" for case in cases if case.not_judged]
    return f"; not judged, and not counted: {', '.join(left)}" if left else ""


@claim(
    "T2",
    "beta is the derivative averaged over the datamodel's own law (zero-bias in w_i)",
    plain="beta is dF/dw averaged over the datamodel's own law",
    experiments=("identity",),
    needs=("average_derivative",),
    measure="||average derivative - beta|| / ||beta||, largest over p, where F has no jumps",
    tolerance=1e-6,
    essay="Takes the place of the essay's identity (C6): the derivative is not taken at w = 1 but averaged over the datamodel's "
    "training sets.",
    idea="For a weight w of mean m and variance s^2, put g(w) = g(a) + int g'(t) 1{w > t} dt, a the least weight, into E[(w - "
    "m) g(w)]: it is s^2 E g'(w*), where w* has density E[(w - m) 1{w > t}] / s^2 (zero bias; uniform on (0, 1) for 0/1 "
    "weights). With g = F in coordinate i, the others held, beta_i = Cov(F, w_i) / s^2 = E D_i(w_1, .., w_i*, .., w_N). F must "
    "be absolutely continuous in w_i; where it jumps, T16 takes the place of T2.",
    sources=("Goldstein & Reinert 1997",),
)
def datamodel_is_an_average_derivative(this: Claim, results: Results) -> Verdict:
    """Compare beta with the average derivative on the cases where no jump of F was found; this is the corrected form of C6.

    A case whose quadrature has not converged is listed with the reason, and never counts, whatever its error.
    """
    cases = _of_identity(results["identity"])
    smooth = [case for case in cases if not case.n_jumps]
    evidence = [Evidence(case.name + case.edges, case.error) for case in smooth if not case.not_judged]
    jumping = ", ".join(f"{case.without_jumps:.2g} on {case.name}" for case in cases if case.n_jumps)
    if not evidence:
        raise NothingToJudgeError(f"no case without jumps whose average derivative has converged{_left_out(cases)}")
    return this.decide(
        evidence,
        holds=Status.HOLDS_WHEN,
        condition="F absolutely continuous in each w_i"
        + (f"; where F jumps, the average derivative alone misses {jumping} (T16)" if jumping else "")
        + _left_out(smooth),
    )


@claim(
    "T16",
    "where F jumps in a weight, beta is the average derivative plus the average of the jumps",
    plain="where F jumps, beta is average derivative plus jumps",
    experiments=("identity",),
    also=("average_derivative",),
    needs=("average_derivative",),
    measure="||average derivative + average jumps - beta|| / ||beta||, largest over p, where F jumps",
    tolerance=1e-6,
    essay="The derivative in the essay's identity does not exist at a jump; what beta sees there, no influence function can.",
    idea="For fixed other weights let t -> F(t) be of bounded variation on [0, 1]. Then F(1) - F(0) is the integral of its "
    "derivative plus the sum of its jumps, if it has no Cantor part, and beta_i^(p) is the mean of F(1) - F(0) over subsets of "
    "the other points (T1). Jumps at t = 0 (minimum norm), inside (relu, thresholds) and at t = 1 count alike. The code finds "
    "every jump by bisection to neighbouring floats, by the branch that training takes or by what the integral leaves "
    "unexplained. What is left over is never called a jump: a derivative that is wrong by 1% misses beta by 1%.",
    sources=("Folland 1999, section 3.5", "Goldstein & Reinert 1997"),
)
def datamodel_is_an_average_derivative_plus_jumps(this: Claim, results: Results) -> Verdict:
    """Compare beta with the sum of both averages on the cases with jumps, of learners in `identity` and of trained networks.

    Where edges are drawn, the error is that on the drawn edges. That beta equals the sum checks the code; how much the derivative
    alone misses is a finding. A case that is not finished is listed with the reason, and never counts.
    """
    cases = [*_of_identity(results["identity"]), *_of_training(results.get("average_derivative", ()))]
    jumping = [case for case in cases if case.n_jumps]
    evidence = [Evidence(case.name + case.edges, case.error) for case in jumping if not case.not_judged]
    if not evidence:
        raise NothingToJudgeError(f"no case has a jump of F that was found{_left_out(jumping)}")
    missed = ", ".join(
        f"{case.without_jumps:.2g} on {case.name}, {case.n_jumps} jumps" for case in jumping if not case.not_judged
    )
    return this.decide(
        evidence,
        condition=f"F of bounded variation in each w_i; the average derivative alone misses {missed}{_left_out(jumping)}",
    )


@claim(
    "C9",
    "datamodels bypass non-uniqueness, non-convergence and singular Hessians",
    plain="datamodels bypass non-convexity and bad Hessians",
    experiments=("training_time", "average_derivative"),
    measure="||average derivative + average jumps - beta|| / ||beta||, every training time",
    tolerance=1e-6,
    essay="Datamodels need no unique optimum, no convergence and no inverse Hessian, and so escape what breaks influence "
    "functions.",
    idea="beta is a difference of two means of F (T1) and exists whenever training ends. The proofs of T2 and T16 use neither "
    "optimum nor convexity, so that beta is an average derivative plus jumps at every training time, for relu too. The price: "
    "non-uniqueness is averaged over the law of r, not removed, and beta changes with that law.",
    sources=(
        "Karchmer 2025",
        "Ilyas et al. 2022",
        "Goldstein & Reinert 1997",
    ),
)
def datamodels_are_defined_everywhere(this: Claim, results: Results) -> Verdict:
    """Check that beta is finite at every time, and that it is the average derivative plus jumps at every time, in every case.

    One case that has not converged makes the verdict inconclusive, unless another one fails. The condition sets how much beta
    changes with the law of r beside how much influence and beta of single seeds change between optima.
    """
    finite = all(bool(np.isfinite(ds.beta).all()) for ds in results["training_time"])
    cases = _of_training(results["average_derivative"])
    evidence = [Evidence(case.name + case.edges, case.error) for case in cases if not case.not_judged]
    condition = (
        "beta needs no Hessian and no optimum, and is the average of T2 and T16, not D(1)"
        + _price(results["average_derivative"])
        + _left_out(cases)
    )
    if not evidence:
        status = Status.INCONCLUSIVE if finite else Status.FAILS
        return this.verdict(status, Evidence("no case has converged", float("nan")), (), condition=condition)
    is_open = any(case.not_judged for case in cases)
    holds = Status.FAILS if not finite else Status.INCONCLUSIVE if is_open else Status.HOLDS_WHEN
    return this.decide(evidence, holds=holds, condition=condition)


def _price(results: Iterable[xr.Dataset]) -> str:
    """Return a text on how much beta depends on the law of r, case by case."""
    texts: list[str] = []
    for ds in results:
        if "beta_change" in ds:
            changes = ", ".join(
                f"{float(ds.beta_change.sel(law_of_r=name)):.2f} +- {float(ds.beta_change_error.sel(law_of_r=name)):.2f} ({name})"
                for name in ds.law_of_r.values
            )
            spreads = ", ".join(f"{float(ds.seed_spread.sel(score=name)):.2f} ({name})" for name in ds.score.values)
            texts.append(f"{ds.attrs['case']}: beta changes by {changes}; between seeds {spreads}")
    return f"; the price is the law of r, relative to beta: {'; '.join(texts)}" if texts else ""
