"""The module judges the boundary term by which the derivative of an average differs from the average of derivatives."""

from theory.claims.registry import Claim, OtherMeasure, Results, claim
from theory.claims.verdict import Evidence, Verdict
from theory.intervals import half_width

__all__: list[str] = []


def _difference_of_average(this: Claim, results: Results) -> Verdict:
    """Judge T9 by the relative error of differences of F on dF/dw, the noise of the seeds included."""
    evidence = [Evidence(ds.attrs["case"], float(ds.relative_error.sel(quantity="difference of F"))) for ds in results["jumps"]]
    return this.decide(evidence, condition="")


@claim(
    "T9",
    "the derivative of the average is the average of derivatives plus a boundary term",
    plain="where F jumps, its average has a boundary term",
    experiments=("jumps",),
    measure="|slope of (difference of F - mean of path-wise derivatives) on the boundary term in closed form - 1|",
    tolerance=0.2,
    essay="The essay's seed-averaged response can have a derivative that no trained model has; the two must not be exchanged.",
    idea="F(w) = int f(r; w) rho(r) dr. If f jumps by J where r crosses a threshold t(w), the derivative of the integral is E "
    "df/dw plus a boundary term of size |J| rho(t) |dt/dw| (Leibniz). For f = sign(r + a.w) the first is 0 and dF/dw_i = 2 "
    "rho(-a.w) a_i.",
    sources=("Glasserman 2004, section 7.2",),
    kind="identity",
    other_measures=(OtherMeasure("||difference of F - dF/dw|| / ||dF/dw||", 0.1, _difference_of_average),),
)
def average_has_a_boundary_term(this: Claim, results: Results) -> Verdict:
    """Compare what path-wise derivatives lack of differences of the seed average with the boundary term, with all seeds.

    Where nothing jumps, the boundary term is 0 and the slope undefined: the claim is then open. Intervals are over seeds.
    """
    evidence: list[Evidence] = []
    for ds in results["jumps"]:
        slope, error = float(ds.boundary[-1]), float(ds.boundary_error[-1])
        evidence.append(Evidence(ds.attrs["case"], abs(slope - 1.0), half_width(error, int(ds.n_seeds[-1]) - 1)))
    missed = ", ".join(f"{float(ds.relative_error.sel(quantity='path-wise derivative')):.2f}" for ds in results["jumps"])
    steps = ", ".join(f"{float(ds.difference_bias):.1g}" for ds in results["jumps"])
    return this.decide(
        evidence,
        condition=f"path-wise derivatives miss {missed} of ||dF/dw||, however many seeds; the finite step of the differences "
        f"makes {steps} of the error",
    )
