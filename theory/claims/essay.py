"""The essay's claims (Karchmer, January 2025), judged on the exact experiments of convex learners."""

import numpy as np
import xarray as xr

from theory.claims.verdict import Evidence, Results, Status, Verdict, claim, decide
from theory.metrics import relative_error, slope

__all__: list[str] = []


@claim(
    "C1",
    "-H^-1 grad l is the derivative of the optimum in the upweighting of a point",
    experiments=("identity",),
    needs=("hessian_influence", "finite_difference"),
)
def influence_is_the_derivative(results: Results) -> Verdict:
    """Hessian influence against dF/dw by finite differences, which know nothing of the Hessian."""
    cases = results["identity"]
    evidence = [Evidence(ds.attrs["case"], relative_error(ds.hessian_influence, ds.finite_difference)) for ds in cases]
    eigenvalue, gradient = min(float(ds.least_eigenvalue) for ds in cases), max(float(ds.gradient_norm) for ds in cases)
    return decide(
        "||Hessian influence - finite difference|| / ||finite difference|| at w = 1",
        1e-6,
        evidence,
        holds=Status.HOLDS_WHEN,
        condition=f"where strictly convex and converged; here eigenvalues of H >= {eigenvalue:.1e}, ||grad L|| <= {gradient:.1e}",
        uncertainty=max(_relative_norm(ds.finite_difference_error, ds.finite_difference) for ds in cases),
    )


@claim("C6", "the optimal datamodel coefficient is dF/dw_i at w = 1, exactly", experiments=("identity",), needs=("derivative",))
def datamodel_is_the_derivative(results: Results) -> Verdict:
    """The essay's identity for uniform subsets. The relative error decides, the slope says how large the failure is.

    The mildest case is the one reported: a failure there is a failure everywhere.
    """
    cases = {ds.attrs["case"]: ds.beta_against.sel(p=0.5, reference="D(1)") for ds in results["identity"]}
    slopes, errors = ({case: float(m.sel(measure=name)) for case, m in cases.items()} for name in ("slope", "relative_error"))
    mildest = min(errors, key=errors.__getitem__)
    smallest = min(results["identity"], key=lambda ds: ds.sizes["point"])
    beta, derivative = float(smallest.beta.sel(p=0.5)[0, 0]), float(smallest.derivative[0, 0])
    return Verdict(
        status=Status.HOLDS if max(errors.values()) <= 1e-6 else Status.FAILS,
        figure=slopes[mildest],
        measure="slope of beta on D(1), uniform subsets, where 1 was claimed",
        tolerance=1e-6,
        condition=(
            f"relative errors {', '.join(f'{error:.2g}' for error in errors.values())}; smallest counterexample "
            f"{smallest.attrs['case']}: beta = {beta:.4g}, D(1) = {derivative:.4g}. True iff T5; repaired by T2; "
            "exact for local datamodels"
        ),
        case=mildest,
        evidence=tuple(Evidence(case, figure) for case, figure in slopes.items()),
    )


@claim(
    "C7", "the datamodel's leave-one-out prediction is the Taylor polynomial F(1) - (1/N) dF/dw_i", experiments=("normalisation",)
)
def prediction_is_taylor(results: Results) -> Verdict:
    """Two factors: 1 in w but 1/N in eps (T10), and then the gap of C6 between beta and dF/dw."""
    cases = results["normalisation"]
    rules = {name: [ds.prediction.sel(rule=name) for ds in cases] for name in ("(1/N) dF/dw", "(1/N) dF/deps", "datamodel beta")}
    pairs = list(zip(rules["datamodel beta"], rules["(1/N) dF/dw"], rules["(1/N) dF/deps"], strict=True))
    evidence = [
        Evidence(ds.attrs["case"], relative_error(beta, taylor)) for ds, (beta, taylor, _) in zip(cases, pairs, strict=True)
    ]
    in_w = ", ".join(f"{slope(beta, taylor):.1f}" for beta, taylor, _ in pairs)
    in_eps = ", ".join(f"{slope(beta, taylor):.2f}" for beta, _, taylor in pairs)
    factor = ", ".join(f"{float(ds.eps_over_w):.0f}" for ds in cases)
    return decide(
        "||beta - (1/N) dF/dw|| / ||(1/N) dF/dw||",
        1e-6,
        evidence,
        holds=Status.HOLDS,
        condition=(
            f"the factor is 1 in w and 1/N in eps (dF/deps = {factor} dF/dw): slope of beta on (1/N) dF/dw is {in_w}, on "
            f"(1/N) dF/deps {in_eps}, which is the gap of C6"
        ),
    )


def _relative_norm(error: xr.DataArray, reference: xr.DataArray) -> float:
    return float(np.linalg.norm(error) / np.linalg.norm(reference))
