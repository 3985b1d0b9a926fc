"""The module judges claims about training that jumps in the weights: two wells, moving thresholds, interpolators."""

from theory.claims.registry import Claim, Results, claim
from theory.claims.verdict import Evidence, Status, Verdict

__all__: list[str] = []


@claim(
    "C12",
    "the seed average helps especially in pathological cases",
    experiments=("jumps", "interpolation"),
    measure="|slope of differences of the seed average on dF/dw - 1|, learners that jump",
    tolerance=0.1,
    essay="Averaging over the randomness of training helps especially in adversarial or pathological cases.",
    idea="If training from a given start jumps as w moves, f(r; w) is a step in w for every seed r and has no useful "
    "derivative, while F, the average, is smooth: its derivative is the jump times the density of starts at the threshold times "
    "the threshold's speed (T9), and differences of F find it. Minimum-norm interpolators are the other case: theta is the same "
    "for all w > 0 whatever the seed, and averaging zeros gives zero (T11).",
    sources=("Karchmer 2025", "Mlodozeniec et al. 2025"),
)
def seed_average_helps(this: Claim, results: Results) -> Verdict:
    """Check that differences of the seed average F give dF/dw for learners that jump, where no single seed has this derivative.

    For interpolators, averaging does not help; the condition shows this. The verdict is inconclusive if path-wise derivatives
    also give dF/dw, or if there are too few seeds.
    """
    evidence: list[Evidence] = []
    paths: list[float] = []
    for ds in results["jumps"]:
        at = ds.isel(n_seeds=-1)
        slope, error = (float(x.sel(quantity="difference of F")) for x in (at.slope, at.slope_error))
        evidence.append(Evidence(f"jumps: {ds.attrs['case']}", abs(slope - 1.0), 2.0 * error))
        paths.append(float(at.slope.sel(quantity="path-wise derivative")))
    ratios = [float(ds["size"].sel(effect="D(1)")[-1] / ds["size"].sel(effect="LOO")[-1]) for ds in results["interpolation"]]
    error = max(item.doubt for item in evidence) / 2.0
    no_jump = any(abs(path - 1.0) <= this.tolerance for path in paths)
    return this.decide(
        evidence,
        holds=Status.INCONCLUSIVE if no_jump else Status.HOLDS_WHEN,
        condition=f"the start decides by a jump (standard error {error:.2f}): the mean of path-wise derivatives has "
        f"slope {', '.join(f'{path:.2f}' for path in paths)} instead; it fails for interpolators: "
        f"||D(1)|| / ||LOO|| = {', '.join(f'{r:.0e}' for r in ratios)} "
        "whatever is averaged",
    )


@claim(
    "T9",
    "the derivative of the average is the average of derivatives plus a boundary term",
    experiments=("jumps",),
    measure="|slope of differences of F on the closed form - 1| in standard errors",
    tolerance=3.0,
    essay="The essay's seed-averaged response can have a derivative that no trained model has; the two must not be exchanged.",
    idea="F(w) = int f(r; w) rho(r) dr. If f jumps by J where r crosses a threshold t(w), the derivative of the integral is E "
    "df/dw plus a boundary term of size |J| rho(t) |dt/dw| (Leibniz). For f = sign(r + a.w) the first is 0 and dF/dw_i = 2 "
    "rho(-a.w) a_i.",
    sources=("Glasserman 2004",),
)
def average_has_a_boundary_term(this: Claim, results: Results) -> Verdict:
    """Check that differences of F agree with the closed form within 3 standard errors, and that path-wise derivatives do not."""
    cases, unsure = results["jumps"], False
    evidence: list[Evidence] = []
    for ds in cases:
        at = ds.isel(n_seeds=-1)
        gap = abs(float(at.slope.sel(quantity="difference of F")) - 1.0) - float(ds.difference_bias)
        evidence.append(Evidence(ds.attrs["case"], max(gap, 0.0) / float(at.slope_error.sel(quantity="difference of F"))))
        missed = abs(float(at.slope.sel(quantity="path-wise derivative")) - 1.0)
        unsure |= missed < 3.0 * float(at.slope_error.sel(quantity="path-wise derivative"))
    missed = ", ".join(f"{float(ds.relative_error.sel(quantity='path-wise derivative')):.2f}" for ds in cases)
    return this.decide(
        evidence,
        holds=Status.INCONCLUSIVE if unsure else Status.HOLDS,
        condition=f"path-wise derivatives miss {missed} of ||dF/dw||, however many seeds",
    )


@claim(
    "T11",
    "interpolators: D(1) = 0, while beta and leave-one-out are not",
    experiments=("interpolation",),
    measure="||D(1)|| / ||beta||",
    tolerance=1e-9,
    essay="A case in which the essay's two sides have nothing in common, and averaging over seeds (C12) does not help.",
    idea="A minimum-norm interpolator fits every point of positive weight exactly, whatever the weight: theta depends on which "
    "weights are positive, not on their size. So D(1) = 0, while leaving a point out changes the interpolant, and beta is the "
    "mean jump of F at w_i = 0.",
    sources=("Hastie et al. 2022",),
)
def interpolators_have_no_derivative(this: Claim, results: Results) -> Verdict:
    """Compare the norms of D(1) and beta at the largest width, without penalty, for the average over seeds."""
    cases = results["interpolation"]
    evidence = [
        Evidence(ds.attrs["case"], float(ds["size"].sel(effect="D(1)")[-1] / ds["size"].sel(effect="beta")[-1])) for ds in cases
    ]
    sizes = ", ".join(
        f"{float(ds['size'].sel(effect='beta')[-1]):.2f} and {float(ds['size'].sel(effect='LOO')[-1]):.2f}" for ds in cases
    )
    narrow = ", ".join(f"{float(ds['size'].sel(effect='D(1)')[0]):.2f} at width {int(ds['width'][0])}" for ds in cases)
    return this.decide(
        evidence,
        holds=Status.HOLDS_WHEN,
        condition=f"width >= N and l2 = 0: ||beta||, ||LOO|| = {sizes}; ||D(1)|| is {narrow}",
    )
