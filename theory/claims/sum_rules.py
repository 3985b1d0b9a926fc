"""The module judges what effects add up to (T14 sums), and the reading of weights as probabilities of inclusion (T15)."""

import numpy as np
import xarray as xr

from theory.claims.registry import Claim, Results, claim
from theory.claims.verdict import ROUNDING, Evidence, Verdict
from theory.metrics import relative_error

__all__: list[str] = []


@claim(
    "T14 sums",
    "w D(w) adds up to eta dF/deta - l2 dF/dl2, beta^(p) to d/dp E_p F, Shapley values to F(1) - F(0)",
    plain="effects add up as three sum rules say",
    experiments=("no_go",),
    measure="largest difference of the two sides of a rule, relative to the sum of absolute values of its terms or of F",
    tolerance=ROUNDING,
    essay="Not in the essay: influence scores of a model trained without a penalty add up to 0, whatever was learnt; datamodels "
    "and Shapley values add up to changes of F.",
    idea="A step of gradient descent with weights c w is a step with rate c eta and penalty l2 / c: F(c w; eta, l2) = F(w; c "
    "eta, l2 / c). The derivative in c at 1 gives sum_i w_i D_i = eta dF/deta - l2 dF/dl2; at an optimum eta does not matter, "
    "and without a penalty nothing remains. The chain rule on Ftilde(p 1) gives sum_i beta_i^(p) (T1, Russo). Shapley values "
    "average F(S + i) - F(S) over orders of the points, and along each order these add up to F(1) - F(0).",
    sources=("Russo 1981", "Owen 1972", "own derivation from Euler's theorem on homogeneous functions"),
    kind="identity",
)
def effects_add_up(this: Claim, results: Results) -> Verdict:
    """Compare both sides of every rule: derivatives of training with differences of retraining, datamodels with a polynomial.

    The sums of the datamodels of all parts are compared with what T14 says that they are. The differences' own estimate of their
    error is the doubt of a case.
    """
    cases = results["no_go"]
    evidence: list[Evidence] = []
    for ds in cases:
        size = ds.euler_size.max("output")
        miss = np.abs(ds.euler_sum - ds.from_rate - ds.from_penalty).max("output") / size
        doubt = (ds.from_rate_error + ds.from_penalty_error).max("output") / size
        evidence.append(Evidence(f"{ds.attrs['case']} D", float(miss.max()), float(doubt.max())))
        if "beta_sum" in ds:
            by_p = [relative_error(ds.beta_sum.sel(p=p), ds.inclusion_slope.sel(p=p)) for p in ds.p.values]
            evidence.append(Evidence(f"{ds.attrs['case']} beta", max(*by_p, float(ds.part_sum_error))))
            evidence.append(Evidence(f"{ds.attrs['case']} Shapley", relative_error(ds.shapley_sum, ds.gain)))
    return this.decide(evidence, condition=f"D(1) adds up to {', '.join(map(_share, cases))}")


def _share(ds: xr.Dataset) -> str:
    """Return what D(1) adds up to, for the output where that is most, and which part of it the rate gives."""
    at = ds.sel(at="w = 1")
    k = int(np.abs(at.euler_sum.values).argmax())
    total, rate, penalty = (float(x[k]) for x in (at.euler_sum, at.from_rate, at.from_penalty))
    parts = [f"{x:.2g} from the {name}" for x, name in ((rate, "rate"), (penalty, "penalty")) if x]
    return f"{total:.2g}{' = ' if parts else ''}{' + '.join(parts)} ({ds.attrs['case']})"


@claim(
    "T15",
    "if w_i is the probability that point i is included, beta^(p) = dF/dw at w = p 1; at w = 1 dF/dw is leave-one-out",
    plain="for inclusion probabilities beta is dF/dw at p 1",
    experiments=("identity", "no_go"),
    measure="||difference quotient in the probabilities - beta|| / ||beta||, all p, and at w = 1 the same for leave-one-out",
    tolerance=ROUNDING,
    essay="The reading of the essay under which its identity is nearest to true: r also draws the subset, and w_i is the "
    "probability that point i is in it. Wrong is then only the point: not w = 1, but the centre of the datamodel's own law.",
    idea="Then F(w) = E_{S~w} F(1_S) = sum_S F(1_S) prod_{j in S} w_j prod_{j not in S} (1 - w_j) is affine in every w_i, for "
    "any learner, smooth or not: its derivative is E[F | i in S] - E[F | i not in S], which is beta_i^(p) at w = p 1 (T1). At w "
    "= 1 all other points are in S, and the difference is F(1) - F(1 - e_i).",
    sources=("Owen 1972", "own derivation from T1"),
    kind="identity",
)
def inclusion_derivative_is_the_datamodel(this: Claim, results: Results) -> Verdict:
    """Compare beta with differences of mean responses between probabilities p + h and p - h of a point; they use no T1.

    The cases of `identity` only show that two codes for one formula agree, on larger data and on a learner that jumps; T1 checks
    there that beta is optimal. The condition gives the largest distance in standard errors from estimates with subsets drawn at
    these probabilities.
    """
    evidence = [
        Evidence(ds.attrs["case"], max(relative_error(ds.inclusion_derivative.sel(p=p), ds.beta.sel(p=p)) for p in ds.p.values))
        for ds in results["identity"]
        if "inclusion_derivative" in ds
    ]
    tried = [ds for ds in results["no_go"] if "inclusion_difference" in ds]
    for ds in tried:
        by_p = [relative_error(ds.inclusion_difference.sel(p=p), ds.beta.sel(p=p)) for p in ds.p.values]
        removal = relative_error(ds.inclusion_difference_at_one, ds.leave_one_out)
        evidence.append(Evidence(f"{ds.attrs['case']} differences", max(*by_p, removal)))
    distances = [np.abs(ds.inclusion_drawn - ds.beta) / ds.inclusion_drawn_error for ds in tried]
    drawn = max((float(z.max()) for z in distances), default=float("nan"))
    count = sum(z.size for z in distances)
    return this.decide(
        evidence,
        condition=f"any learner; subsets drawn at p + h and p - h give beta within {drawn:.2g} standard errors, the largest of "
        f"{count} coefficients",
    )
