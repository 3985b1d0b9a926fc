"""The project's identities (theory T1-T10), judged on the same results as the essay's claims."""

import numpy as np

from theory.claims.verdict import Evidence, Results, Status, Verdict, claim, decide
from theory.metrics import relative_error

__all__: list[str] = []

ROUNDING = 1e-9
"""Identities between numbers that were each computed to rounding, through sums over up to 2^20 subsets."""


@claim("T1", "beta^(p) is the gradient of the multilinear extension at p 1", experiments=("identity",))
def datamodel_is_optimal(results: Results) -> Verdict:
    """The gradient satisfies the normal equations of the least-squares problem that defines beta, on every table."""
    evidence = [Evidence(ds.attrs["case"], float(ds.optimality.max())) for ds in results["identity"]]
    return decide("largest normal equation / sd F, all p", ROUNDING, evidence, holds=Status.HOLDS, condition="any learner")


@claim(
    "T2",
    "beta is the derivative averaged over the datamodel's own law (zero-bias in w_i)",
    experiments=("identity",),
    needs=("average_derivative",),
)
def datamodel_is_an_average_derivative(results: Results) -> Verdict:
    """The repaired form of C6. Where F jumps at w_i = 0, the mean jump is what the average derivative misses."""
    evidence: list[Evidence] = []
    decays: list[str] = []
    jumps: list[str] = []
    for ds in results["identity"]:
        jump = np.linalg.norm(ds.average_jump, axis=(1, 2)).max() / np.linalg.norm(ds.beta)
        repaired = [relative_error(ds.average_derivative[k] + ds.average_jump[k], ds.beta[k]) for k in range(ds.sizes["p"])]
        evidence.append(Evidence(ds.attrs["case"], max(repaired)))
        if jump > 1e-6:
            jumps.append(f"{float(ds.average_derivative_error[-1].max()):.2f} without the jump on {ds.attrs['case']}")
        else:
            first, last = (float(ds.average_derivative_error[k].max()) for k in (0, -1))
            decays.append(f"{first:.0e} -> {last:.0e} from {int(ds.nodes[0])} to {int(ds.nodes[-1])} nodes")
    return decide(
        "||average derivative + average jump - beta|| / ||beta||, largest over p",
        1e-6,
        evidence,
        holds=Status.HOLDS_WHEN,
        condition=f"F absolutely continuous in each w_i (error {', '.join(decays)}), else the average jump of F at w_i = 0 "
        f"is added: error {', '.join(jumps) or 'nowhere in this run'}",
    )


@claim(
    "T2 local",
    "as the weights' law shrinks to 1 the optimal datamodel tends to D(1), with error O(s^2)",
    experiments=("identity",),
    needs=("local_error",),
)
def local_datamodel_is_the_derivative(results: Results) -> Verdict:
    """Weights 1 - s or 1 + s: the order is measured between the two smallest scales. This is where the essay is right."""
    cases = results["identity"]
    evidence = [Evidence(ds.attrs["case"], abs(_order(ds.scale.values[-2:], ds.local_error.values[-2:]) - 2.0)) for ds in cases]
    smallest = ", ".join(f"{float(ds.local_error[-1]):.1e}" for ds in cases)
    return decide(
        "|order of ||beta - D(1)|| in s - 2|",
        0.1,
        evidence,
        holds=Status.HOLDS,
        condition=f"relative error {smallest} at s = {float(cases[0].scale[-1]):g}",
    )


@claim("T3", "beta^(p) is a polynomial in 1 - p that starts with leave-one-out", experiments=("expansion",))
def expansion_starts_at_leave_one_out(results: Results) -> Verdict:
    """All orders add up to beta; the first alone is leave-one-out, and beta tends to it, not to D(1), as p -> 1."""
    cases = results["expansion"]
    evidence = [Evidence(ds.attrs["case"], float(ds.truncation_error[:, -1].max())) for ds in cases]
    first = ", ".join(f"{float(ds.truncation_error[-1, 0]):.1e}" for ds in cases)
    return decide(
        "||sum of all orders - beta|| / ||beta||, largest over p",
        ROUNDING,
        evidence,
        holds=Status.HOLDS,
        condition=f"leave-one-out alone is off by {first} at p = {float(cases[0].p[-1]):g}",
    )


@claim("T4", "leave-one-out is D_i(1) minus the curvature on the path w_i: 1 -> 0", experiments=("expansion",))
def leave_one_out_is_derivative_minus_curvature(results: Results) -> Verdict:
    """The curvature term comes from derivatives on the path, leave-one-out from the table."""
    evidence = [
        Evidence(ds.attrs["case"], relative_error(ds.derivative - ds.curvature, ds.leave_one_out)) for ds in results["expansion"]
    ]
    return decide(
        "||D(1) - curvature - LOO|| / ||LOO||", ROUNDING, evidence, holds=Status.HOLDS, condition="F smooth on the path"
    )


@claim("T5", "at p = 1/2, beta = D(1) - interaction - curvature: the essay is right iff they cancel", experiments=("expansion",))
def gap_is_interaction_plus_curvature(results: Results) -> Verdict:
    """Walsh coefficients give the interaction, derivatives the curvature; neither uses beta."""
    cases = results["expansion"]
    evidence = [
        Evidence(ds.attrs["case"], relative_error(ds.derivative - ds.interaction - ds.curvature, ds.beta)) for ds in cases
    ]
    sizes = ", ".join(
        f"{float(np.linalg.norm(ds.interaction) / np.linalg.norm(ds.derivative)):.2f} and "
        f"{float(np.linalg.norm(ds.curvature) / np.linalg.norm(ds.derivative)):.2f}"
        for ds in cases
    )
    return decide(
        "||D(1) - interaction - curvature - beta|| / ||beta||",
        ROUNDING,
        evidence,
        holds=Status.HOLDS,
        condition=f"interaction and curvature measure {sizes} of ||D(1)||: they do not cancel",
    )


@claim("T6", "without penalty beta is about 1/p times D(1); weights of mean 1 remove the factor", experiments=("scale",))
def scale_is_one_over_p(results: Results) -> Verdict:
    """Slope on D(1) over the predicted one, where the design has at most d/N = 0.05 columns per point: 1 + O(1/N)."""
    cases = [ds for ds in results["scale"] if float(ds.columns_per_point) <= 0.05]
    evidence: list[Evidence] = []
    errors: list[float] = []
    for ds in cases:
        ratio = np.abs(ds.slope / ds.predicted - 1.0)
        evidence += [Evidence(f"{ds.attrs['case']} {law}", float(ratio.sel(law=law).max())) for law in ds.law.values]
        errors.append(float((ds.standard_error / ds.predicted).max()))
    half = ", ".join(
        f"{float(s):.3f} +- {float(e):.3f}"
        for ds in cases
        for s, e in zip(ds.slope.sel(law="Bernoulli(0.5)"), ds.standard_error.sel(law="Bernoulli(0.5)"), strict=True)
    )
    others = ", ".join(
        f"{float(ds.slope.sel(law='Bernoulli(0.5)').mean()):.2f} ({ds.attrs['case']})"
        for ds in results["scale"]
        if float(ds.columns_per_point) > 0.05
    )
    return decide(
        "|slope of beta on D(1) / predicted - 1|, largest over laws and outputs",
        0.1,
        evidence,
        holds=Status.HOLDS_WHEN,
        condition=f"d/N small and no penalty: slope {half} at p = 1/2; with a penalty or d/N not small it is {others}",
        uncertainty=2.0 * max(errors),
    )


@claim(
    "T6 penalty",
    "with a penalty, D(p1; l2) = (1/p) D(1; l2/p): the derivative at the centre carries the factor",
    experiments=("scale",),
)
def penalty_scales_with_p(results: Results) -> Verdict:
    """Exact for every p; how near beta comes to it is a matter of interactions and is reported as a slope."""
    evidence = [Evidence(ds.attrs["case"], float(ds.rescaling_error.max())) for ds in results["scale"]]
    slopes = ", ".join(
        f"{float(ds.slope_at_mean.sel(law='Bernoulli(0.5)').mean()):.2f} ({ds.attrs['case']})" for ds in results["scale"]
    )
    return decide(
        "||D(p1; l2) - (1/p) D(1; l2/p)|| / ||D(p1; l2)||",
        ROUNDING,
        evidence,
        holds=Status.HOLDS,
        condition=f"mean slope of beta on it at p = 1/2: {slopes}",
    )


@claim("T8", "Parseval and Russo-Margulis: masses add up to Var F, coefficients to d/dp E F", experiments=("expansion",))
def masses_add_up(results: Results) -> Verdict:
    """Both against numbers that the datamodel does not use."""
    cases = results["expansion"]
    evidence = [Evidence(ds.attrs["case"], max(float(ds.parseval_error), float(ds.russo_margulis_error.max()))) for ds in cases]
    linear = ", ".join(f"{float(ds.r_squared[0].min()):.3f} to {float(ds.r_squared[0].max()):.3f}" for ds in cases)
    return decide(
        "relative error of either",
        ROUNDING,
        evidence,
        holds=Status.HOLDS,
        condition=f"degree 1 holds R^2 = {linear} of Var F at p = 1/2",
    )


@claim(
    "T10", "dF/deps = N dF/dw; sum with N l2 is mean with l2; 1/sum w centres D; 1/|supp w| jumps", experiments=("normalisation",)
)
def normalisation_is_a_choice(results: Results) -> Verdict:
    """Each relation against its own retraining; the derivative in eps by differences of order 4."""
    cases = results["normalisation"]
    evidence: list[Evidence] = []
    for ds in cases:
        factor = abs(float(ds.eps_over_w) / ds.sizes["point"] - 1.0)
        exact = max(float(ds.sum_error), float(ds.weight_sum_error), float(ds.support_error))
        evidence.append(Evidence(ds.attrs["case"], max(factor, exact)))
    jumps = ", ".join(
        f"{float(ds.jump.sel(normalization='support')):.2f} of LOO against {float(ds.jump.sel(normalization='n_points')):.0e}"
        for ds in cases
    )
    return decide(
        "relative error of the worst relation",
        1e-7,
        evidence,
        holds=Status.HOLDS,
        condition=f"jump at w_i = 0 under 1/|supp w|: {jumps} under 1/N",
    )


def _order(scales: np.ndarray, errors: np.ndarray) -> float:
    """The exponent k in error ~ s^k between two scales."""
    return float(np.log(errors[0] / errors[1]) / np.log(scales[0] / scales[1]))
