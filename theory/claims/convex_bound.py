"""The module judges the bound on leave-one-out less its linear approximation in strongly convex problems (T12)."""

from theory.claims.registry import Claim, OtherMeasure, Results, claim
from theory.claims.verdict import Evidence, Verdict

__all__: list[str] = []


def _by_outputs(this: Claim, results: Results) -> Verdict:
    """Judge |F_LOO - F_IJ| against ||grad F|| times the bound."""
    evidence = [
        Evidence(ds.attrs["case"], float(ds.output_share.max(skipna=False)), float((ds.output_share * ds.bound_change).max()))
        for ds in results["convex_bound"]
    ]
    return this.decide(evidence, condition="")


@claim(
    "T12",
    "where training is mu-strongly convex, leave-one-out is the derivative's prediction up to b G / mu^2 + L3 G^2 / (2 mu^3)",
    plain="convex: D(1) predicts leave-one-out within a bound",
    experiments=("convex_bound",),
    measure="||theta_LOO - theta_IJ|| / bound, largest over points",
    tolerance=1.0,
    essay="When the derivative may stand for a removal (C7): the gap falls as 1/N^2 where mu grows with N, the effect as "
    "1/N. It says nothing of datamodels.",
    idea="On w_i = 1 - t, H theta' = grad l_i, and once more H theta'' = 2 Hess l_i theta' - D^3[theta', theta'], H and D^3 of "
    "the objective with sums. So ||theta'|| <= G/mu and ||theta''|| <= 2 b G/mu^2 + L3 G^2/mu^3. theta_LOO - theta_IJ = int_0^1 "
    "(1 - t) theta'' dt is at most half of that.",
    sources=("own derivation", "Jaeckel 1972 (the linear approximation)"),
    kind="identity",
    other_measures=(OtherMeasure("|F_LOO - F_IJ| / (||grad F|| bound), largest over points and outputs", 1.0, _by_outputs),),
)
def the_gap_is_within_the_bound(this: Claim, results: Results) -> Verdict:
    """Divide ||theta_LOO - theta_IJ|| by the bound, for every point; its constants are the worst on the path of w_i from 1 to 0.

    The doubt is the share by which the bound still grows with the number of nodes on the path. The condition compares the bound
    with the effect of removing the point.
    """
    evidence: list[Evidence] = []
    useful: list[str] = []
    for ds in results["convex_bound"]:
        ratio = ds.gap / ds.bound
        worst = int(ratio.values.argmax())
        evidence.append(Evidence(ds.attrs["case"], float(ratio.max(skipna=False)), float(ratio[worst] * ds.bound_change[worst])))
        relative = ds.bound / ds.effect
        useful.append(f"{float(relative.min()):.2g} to {float(relative.max()):.2g} ({ds.attrs['case']})")
    return this.decide(
        evidence,
        condition=f"objective with sums, constants on the path; the bound is {', '.join(useful)} times the effect of a removal",
    )
