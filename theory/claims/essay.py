"""The module judges claims of the essay (Karchmer, January 2025) on the exact experiments with convex learners."""

from theory.claims.registry import Claim, Results, claim
from theory.claims.verdict import Evidence, Status, Verdict
from theory.metrics import relative_error, slope

__all__: list[str] = []


@claim(
    "C6",
    "the optimal datamodel coefficient is dF/dw_i at w = 1, exactly",
    experiments=("identity",),
    needs=("derivative",),
    measure="slope of beta on D(1), uniform subsets, where 1 was claimed",
    tolerance=1e-6,
    essay="The coefficient beta_i of the optimal linear datamodel is the influence of point i: the derivative dF/dw_i at w = 1.",
    idea="beta_i compares training with and without point i, averaged over random subsets of the others; D_i(1) is a slope at "
    "the full set. By T2, beta_i is the slope averaged over all those training sets. The two agree for every i iff interaction "
    "and curvature cancel (T5), for instance where F is affine in w. One point, ridge, x = y = l2 = 1: F(w) = w/(w + 1), so "
    "beta = F(1) - F(0) = 1/2, D(1) = 1/4.",
    sources=(
        "Karchmer 2025",
        "Ilyas et al. 2022",
        "Goldstein & Reinert 1997",
    ),
)
def datamodel_is_the_derivative(this: Claim, results: Results) -> Verdict:
    """Compare beta of uniform subsets with D(1). The largest relative error decides; the slope shows the size of a failure.

    The slope shown is that of the case with the smallest error: if the identity fails there, it fails in every case.
    """
    cases = {ds.attrs["case"]: ds.beta_against.sel(p=0.5, reference="D(1)") for ds in results["identity"]}
    slopes, errors = ({case: float(m.sel(measure=name)) for case, m in cases.items()} for name in ("slope", "relative_error"))
    mildest = min(errors, key=errors.__getitem__)
    smallest = min(results["identity"], key=lambda ds: ds.sizes["point"])
    beta, derivative = float(smallest.beta.sel(p=0.5)[0, 0]), float(smallest.derivative[0, 0])
    return this.verdict(
        Status.HOLDS if max(errors.values()) <= this.tolerance else Status.FAILS,
        Evidence(mildest, slopes[mildest]),
        [Evidence(case, figure) for case, figure in slopes.items()],
        condition=(
            f"relative errors {', '.join(f'{error:.2g}' for error in errors.values())}; smallest counterexample "
            f"{smallest.attrs['case']}: beta = {beta:.4g}, D(1) = {derivative:.4g}. True iff T5; repaired by T2; "
            "exact for local datamodels"
        ),
    )


@claim(
    "C7",
    "the datamodel's leave-one-out prediction is the Taylor polynomial F(1) - (1/N) dF/dw_i",
    experiments=("normalisation",),
    measure="||beta - (1/N) dF/dw|| / ||(1/N) dF/dw||",
    tolerance=1e-6,
    essay='The datamodel\'s prediction for a removed point, "F(1_{D-i}) ~ F(1_D) - (1/N) dF/dw_i", is the Taylor polynomial of '
    "degree 1.",
    idea="Removal takes w_i from 1 to 0, a step of -1, so that Taylor's polynomial is F(1) - dF/dw_i. With eps l_i added to the "
    "mean loss, w_i = 1 + N eps: dF/deps = N dF/dw_i and removal is eps = -1/N, which gives F(1) - (1/N) dF/deps. The essay's "
    "formula mixes the two and is too small by N. The datamodel itself predicts the change -beta_i, which differs from Taylor's "
    "by the gap of C6.",
    sources=("Karchmer 2025", "Koh & Liang 2017, section 2.1"),
)
def prediction_is_taylor(this: Claim, results: Results) -> Verdict:
    """Compare beta with (1/N) dF/dw. They differ by the factor N (1/N belongs to eps, not to w, T10) and by the gap of C6."""
    cases = results["normalisation"]
    rules = {name: [ds.prediction.sel(rule=name) for ds in cases] for name in ("(1/N) dF/dw", "(1/N) dF/deps", "datamodel beta")}
    pairs = list(zip(rules["datamodel beta"], rules["(1/N) dF/dw"], rules["(1/N) dF/deps"], strict=True))
    evidence = [
        Evidence(ds.attrs["case"], relative_error(beta, taylor)) for ds, (beta, taylor, _) in zip(cases, pairs, strict=True)
    ]
    in_w = ", ".join(f"{slope(beta, taylor):.1f}" for beta, taylor, _ in pairs)
    in_eps = ", ".join(f"{slope(beta, taylor):.2f}" for beta, _, taylor in pairs)
    factor = ", ".join(f"{float(ds.eps_over_w):.0f}" for ds in cases)
    return this.decide(
        evidence,
        condition=(
            f"the factor is 1 in w and 1/N in eps (dF/deps = {factor} dF/dw): slope of beta on (1/N) dF/dw is {in_w}, on "
            f"(1/N) dF/deps {in_eps}, which is the gap of C6"
        ),
    )
