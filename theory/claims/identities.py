"""The module judges the project's identities (T1-T5, T8, T10) on the same results as the essay's claims."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from theory.claims.registry import Claim, Results, claim
from theory.claims.verdict import ROUNDING, Evidence, NothingToJudgeError, Verdict
from theory.metrics import relative_error

__all__: list[str] = []


@claim(
    "T1",
    "beta^(p) is the gradient of the multilinear extension at p 1",
    plain="beta at p is the multilinear extension's gradient",
    experiments=("identity",),
    needs=("optimality",),
    measure="largest normal equation / sd F, all p",
    tolerance=ROUNDING,
    essay="The essay defines beta as the best linear predictor over random subsets; this is that predictor in closed form.",
    idea="Under Bernoulli(p) the coordinates are independent, so that least squares gives beta_i = Cov(F, S_i) / (p (1 - p)) = "
    "E[F | i in S] - E[F | i not in S]. Ftilde(q) = sum_S F(1_S) prod_{j in S} q_j prod_{j not in S} (1 - q_j) is affine in "
    "every q_i, and its derivative in q_i at q = p 1 is that difference. At p = 1/2 it is the Banzhaf value, and twice the "
    "Walsh coefficient of {i}.",
    sources=(
        "Owen 1972",
        "Hammer & Holzman 1992",
        "Wang & Jia 2023",
        "Saunshi et al. 2022",
        "Marichal & Mathonet 2011 (other p)",
        "Li & Yu 2023 (other p)",
    ),
    kind="identity",
)
def datamodel_is_optimal(this: Claim, results: Results) -> Verdict:
    """Check on every table that the gradient satisfies the normal equations of the least-squares problem that defines beta."""
    evidence = [Evidence(ds.attrs["case"], float(ds.optimality.max())) for ds in results["identity"]]
    return this.decide(evidence, condition="any learner")


@claim(
    "T2 local",
    "as the weights' law shrinks to 1 the optimal datamodel tends to D(1), with error O(s^2)",
    plain="datamodels on weights near 1 tend to D(1)",
    experiments=("identity",),
    needs=("local_error",),
    measure="|order of ||beta - D(1)|| in s - 2|",
    tolerance=0.1,
    essay="The sense in which the essay's identity is right: a datamodel of small changes of the weights, not of subsets.",
    idea="For weights 1 - s or 1 + s, each with probability 1/2, w_i* is uniform on (1 - s, 1 + s). In T2 expand D_i about 1: "
    "by symmetry odd terms vanish, and beta_i = D_i(1) + (s^2/2) (sum_{j != i} d_j^2 D_i + d_i^2 D_i / 3) + O(s^4).",
    sources=("Goldstein & Reinert 1997", "own derivation from T2"),
)
def local_datamodel_is_the_derivative(this: Claim, results: Results) -> Verdict:
    """Measure the order in s of ||beta - D(1)||, for weights 1 - s or 1 + s, between the two smallest scales s.

    In the limit s -> 0 the essay is right. Cases in which F is not smooth near w = 1, as of relu networks, are left out.
    """
    found = [ds for ds in results["identity"] if ds.sizes["scale"] > 1 and float(ds.local_error[-1]) > ROUNDING]
    smooth = [ds for ds in found if _is_smooth_near_one(ds)]
    cases = [ds for ds in smooth if _has_settled(ds)]
    kinks = ", ".join(ds.attrs["case"] for ds in found if not _is_smooth_near_one(ds))
    open_ = "; ".join(_why_open(ds) for ds in smooth if not _has_settled(ds))
    left = [f"F is not smooth near w = 1: its differences are not D(1) on {kinks}"] if kinks else []
    left += [open_] if open_ else []
    if not cases:
        raise NothingToJudgeError("; ".join(left) or "identity has no two scales at which the error is more than rounding")
    evidence = [Evidence(ds.attrs["case"], abs(_order(ds.scale.values[-2:], ds.local_error.values[-2:]) - 2.0)) for ds in cases]
    smallest = ", ".join(f"{float(ds.local_error[-1]):.1e}" for ds in cases)
    return this.decide(
        evidence,
        condition=f"F smooth near w = 1; relative error {smallest} at s = {float(cases[0].scale[-1]):g}"
        + (f"; not smooth, and not judged: {kinks}" if kinks else "")
        + (f"; not judged: {open_}" if open_ else ""),
    )


def _orders(ds: xr.Dataset) -> np.ndarray:
    """Return the order of the error in s between every scale and the next one."""
    return np.diff(-np.log(ds.local_error.values)) / np.diff(-np.log(ds.scale.values))


def _has_settled(ds: xr.Dataset) -> bool:
    """Say whether the order of the error at the smallest scales is that of the limit s -> 0.

    It is if the last two orders are near 2, or if the last three agree, at a power of s or where the error of D(1) itself
    explains what is left. Two scales have one order, which is taken as it is. Kinks of F nearer to w = 1 than s give any order.
    """
    orders = _orders(ds)
    if len(orders) < 2 or (np.abs(orders[-2:] - 2.0) <= 0.2).all():
        return True
    agree = len(orders) > 2 and float(np.ptp(orders[-3:])) <= 0.1
    own = relative_error(ds.finite_difference, ds.derivative) if "finite_difference" in ds else np.inf
    return agree and (orders[-1] > 0.5 or own > 0.1 * float(ds.local_error[-1]))


def _why_open(ds: xr.Dataset) -> str:
    orders = ", ".join(f"{order:.2f}" for order in _orders(ds)[-3:])
    return (
        f"the order of the error has not settled on {ds.attrs['case']}: {orders} down to s = {float(ds.scale[-1]):.2g}, where "
        f"the error is {float(ds.local_error[-1]):.1g}: F has kinks or bends sharply nearer to w = 1, or rounding takes over"
    )


def _is_smooth_near_one(ds: xr.Dataset) -> bool:
    """Say whether differences of F, which use no derivative, agree with D(1) to 1e-3."""
    return "finite_difference" not in ds or relative_error(ds.finite_difference, ds.derivative) <= 1e-3


@claim(
    "T3",
    "beta^(p) is a polynomial in 1 - p that starts with leave-one-out",
    plain="beta is leave-one-out plus powers of 1 - p",
    experiments=("expansion",),
    measure="||sum of all orders - beta|| / ||beta||, largest over p",
    tolerance=ROUNDING,
    essay="Not in the essay: near the full set (p -> 1) the datamodel tends to leave-one-out, not to the derivative at w = 1.",
    idea="Leave each point out with probability q = 1 - p. About the full set, F(D - R) = sum_{T in R} (-1)^|T| D_T F(D), with "
    "D_T the mixed discrete difference, and P(T in R) = q^|T|. T1's difference in point i is then beta_i = sum_{T without i} "
    "(-q)^|T| D_{T+i} F(D) = LOO_i - q sum_j D_{ij} F(D) + .. : a polynomial of degree N - 1 in q.",
    sources=("Owen 1972", "own derivation from T1"),
    kind="identity",
)
def expansion_starts_at_leave_one_out(this: Claim, results: Results) -> Verdict:
    """Compare the sum of all orders with beta. The first order is leave-one-out: beta tends to it, not to D(1), as p -> 1."""
    cases = results["expansion"]
    evidence = [Evidence(ds.attrs["case"], float(ds.truncation_error[:, -1].max())) for ds in cases]
    first = ", ".join(f"{float(ds.truncation_error[-1, 0]):.1e}" for ds in cases)
    return this.decide(
        evidence,
        condition=f"leave-one-out alone is off by {first} at p = {float(cases[0].p[-1]):g}",
    )


@claim(
    "T4",
    "leave-one-out is D_i(1) minus the curvature on the path w_i: 1 -> 0",
    plain="leave-one-out is D(1) minus curvature on its path",
    experiments=("expansion",),
    needs=("curvature",),
    measure="||D(1) - curvature - LOO|| / ||LOO||",
    tolerance=ROUNDING,
    essay="Not in the essay, which takes the derivative at w = 1 for the effect of a removal: what lies between the two.",
    idea="Taylor with the remainder as an integral, for F(1 - t e_i) in t from 0 to 1: F(1 - e_i) = F(1) - D_i(1) + int_0^1 (1 "
    "- t) d_i^2 F(1 - t e_i) dt. So LOO_i = D_i(1) - curvature. For least squares the whole series sums to LOO_i = D_i(1) / (1 "
    "- h_i), h_i the leverage.",
    sources=("Cook 1977", "Pregibon 1981"),
    kind="identity",
)
def leave_one_out_is_derivative_minus_curvature(this: Claim, results: Results) -> Verdict:
    """Compare D(1) - curvature with leave-one-out: curvature comes from derivatives on the path, leave-one-out from the table.

    The change of the quadrature on the path from half the nodes to all is the doubt of a case.
    """
    cases = results["expansion"]
    changes = [float(ds.node_change) for ds in cases]
    evidence = [
        Evidence(ds.attrs["case"], relative_error(ds.derivative - ds.curvature, ds.leave_one_out), _doubt(this, change))
        for ds, change in zip(cases, changes, strict=True)
    ]
    return this.decide(
        evidence,
        condition=f"F smooth on the path{_unresolved(this, cases, changes, _NODES)}",
    )


@claim(
    "T5",
    "at p = 1/2, beta = D(1) - interaction - curvature: the essay is right iff they cancel",
    plain="at p = 1/2 beta is D(1) - interaction - curvature",
    experiments=("expansion",),
    needs=("curvature",),
    measure="||D(1) - interaction - curvature - beta|| / ||beta||",
    tolerance=ROUNDING,
    essay="Says exactly when the essay's identity (C6) holds for uniform subsets.",
    idea="F = sum_A Fhat(A) chi_A with chi_A = prod_{j in A} (2 S_j - 1). Removing i from the full set changes the sign of "
    "every chi_A with i in A, so LOO_i = 2 sum_{A with i} Fhat(A), whose term A = {i} is beta_i (T1). With T4: beta_i = D_i(1) "
    "- interaction - curvature, the interaction being 2 sum_{A with i, |A| >= 2} Fhat(A). Affine F has neither.",
    sources=("Saunshi et al. 2022", "own derivation from T1 and T4"),
    kind="identity",
)
def gap_is_interaction_plus_curvature(this: Claim, results: Results) -> Verdict:
    """Compare D(1) - interaction - curvature with beta.

    The interaction comes from Walsh coefficients, the curvature from derivatives; neither uses beta. The change of the quadrature
    on the path from half the nodes to all, in units of ||beta||, is the doubt of a case.
    """
    cases = results["expansion"]
    changes = [
        float(ds.node_change) * float(np.linalg.norm(ds.derivative - ds.curvature) / np.linalg.norm(ds.beta)) for ds in cases
    ]
    evidence = [
        Evidence(ds.attrs["case"], relative_error(ds.derivative - ds.interaction - ds.curvature, ds.beta), _doubt(this, change))
        for ds, change in zip(cases, changes, strict=True)
    ]
    sizes = ", ".join(
        f"{float(np.linalg.norm(ds.interaction) / np.linalg.norm(ds.derivative)):.2f} and "
        f"{float(np.linalg.norm(ds.curvature) / np.linalg.norm(ds.derivative)):.2f}"
        for ds in cases
    )
    return this.decide(
        evidence,
        condition=f"interaction and curvature measure {sizes} of ||D(1)||: they do not cancel"
        f"{_unresolved(this, cases, changes, _NODES)}",
    )


def _doubt(this: Claim, change: float) -> float:
    """Return the change of a numerical reference as doubt; one above the tolerance has not settled: it could be anything."""
    return change if change <= this.tolerance else float("inf")


def _unresolved(this: Claim, cases: Sequence[xr.Dataset], changes: Sequence[float], meaning: str) -> str:
    """Return a text that names the cases whose numerical reference still changes by more than the tolerance."""
    left = [f"{ds.attrs['case']}: {x:.0e} {meaning}" for ds, x in zip(cases, changes, strict=True) if x > this.tolerance]
    return f"; not resolved numerically: {', '.join(left)}" if left else ""


@claim(
    "T8",
    "Parseval and Russo-Margulis: masses add up to Var F, coefficients to d/dp E F",
    plain="masses of the expansion add up to the variance of F",
    experiments=("expansion",),
    measure="relative error of either",
    tolerance=ROUNDING,
    essay="Not in the essay: how much of F a linear datamodel holds, and what its coefficients add up to.",
    idea="Walsh functions are orthonormal under Bernoulli(p), so Var F = sum of B_k over k >= 1, B_k the squared coefficients "
    "of degree k; the best linear predictor has R^2 = B_1 / Var F with B_1 = p (1 - p) sum_i beta_i^2. By the chain rule d/dp "
    "Ftilde(p 1) = sum_i d_i Ftilde(p 1), which is sum_i beta_i (T1).",
    sources=("O'Donnell 2014", "Russo 1981"),
    kind="identity",
)
def masses_add_up(this: Claim, results: Results) -> Verdict:
    """Compare the sum of masses with Var F, and the sum of coefficients with d/dp E F, which do not use the datamodel."""
    cases = results["expansion"]
    evidence = [Evidence(ds.attrs["case"], max(float(ds.parseval_error), float(ds.russo_margulis_error.max()))) for ds in cases]
    linear = ", ".join(f"{float(ds.r_squared[0].min()):.3f} to {float(ds.r_squared[0].max()):.3f}" for ds in cases)
    return this.decide(
        evidence,
        condition=f"degree 1 holds R^2 = {linear} of Var F at p = 1/2",
    )


@claim(
    "T10",
    "dF/deps = N dF/dw; sum with N l2 is mean with l2; 1/sum w centres D; 1/|supp w| jumps",
    plain="dF/deps is N dF/dw; normalisations convert exactly",
    experiments=("normalisation",),
    measure="relative error of the worst relation",
    tolerance=1e-7,
    essay="The essay's factor 1/N (C7) belongs to eps, not to w; every other normalisation of the loss has its own derivative "
    "too.",
    idea="(1/N) sum_j l_j + eps l_i is w_i = 1 + N eps, so dF/deps = N dF/dw_i. sum_j l_j with penalty N l2 is N times the mean "
    "with l2: the same optimum. Dividing by sum_j w_j is F(N w / sum_j w_j), whose derivative at 1 is D_i - (1/N) sum_j D_j. "
    "Dividing by the number of nonzero weights changes the loss by a jump as w_i leaves 0, which no derivative sees.",
    sources=("Koh & Liang 2017, section 2.1", "own derivation"),
    kind="identity",
)
def normalisation_is_a_choice(this: Claim, results: Results) -> Verdict:
    """Compare each relation with its own retraining; the derivative in eps comes from differences of order 4.

    Their change from the step to twice the step is the doubt of that relation.
    """
    cases = results["normalisation"]
    factors = [abs(float(ds.eps_over_w) / ds.sizes["point"] - 1.0) for ds in cases]
    changes = [float(ds.eps_change) for ds in cases]
    evidence = [
        Evidence(f"{ds.attrs['case']} dF/deps", factor, _doubt(this, change))
        for ds, factor, change in zip(cases, factors, changes, strict=True)
    ]
    exact = [max(float(ds.sum_error), float(ds.weight_sum_error), float(ds.support_error)) for ds in cases]
    evidence += [Evidence(ds.attrs["case"], error) for ds, error in zip(cases, exact, strict=True)]
    jumps = ", ".join(
        f"{float(ds.jump.sel(normalization='support')):.2f} of LOO against {float(ds.jump.sel(normalization='n_points')):.0e}"
        for ds in cases
    )
    return this.decide(
        evidence,
        condition=f"jump at w_i = 0 under 1/|supp w|: {jumps} under 1/N"
        f"{_unresolved(this, cases, changes, 'of dF/deps from its step to twice the step')}",
    )


_NODES = "of the quadrature on the path from half the nodes to all"


def _order(scales: np.ndarray, errors: np.ndarray) -> float:
    """Return the exponent k in error ~ s^k between two scales."""
    return float(np.log(errors[0] / errors[1]) / np.log(scales[0] / scales[1]))
