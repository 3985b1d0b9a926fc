"""The module judges whether the coefficient of the optimal datamodel is a derivative at w = 1 (C6, C6 networks)."""

import json
from collections.abc import Sequence

import xarray as xr

from theory.claims.registry import Claim, Judgement, OtherMeasure, Results, claim
from theory.claims.verdict import CLOSE, Evidence, NothingToJudgeError, Status, Verdict
from theory.intervals import half_width, root_and_doubt
from theory.metrics import relative_error

__all__: list[str] = []


def _measured(ds: xr.Dataset, measure: str = "relative_error", reference: str = "D(1)") -> float:
    """Return how beta of uniform subsets compares with a reference."""
    return float(ds.beta_against.sel(p=0.5, reference=reference, measure=measure))


def _evidence(
    ds: xr.Dataset, measure: str = "relative_error", reference: str = "D(1)", *, off: float = 0.0, control: bool = False
) -> Evidence:
    """Return |measure - off| as evidence; where beta is estimated from drawn subsets, with half its 95% interval as doubt.

    The interval of a relative error is that of its square (`squared_distance`), whose error is that of a sum of squares.
    """
    case, figure, drawn = ds.attrs["case"], abs(_measured(ds, measure, reference) - off), ds.attrs.get("draw_blocks", 0)
    if not drawn:
        return Evidence(case, figure, control=control)
    at = {"p": 0.5, "reference": reference}
    if measure == "relative_error":
        half = half_width(float(ds.squared_distance_error.sel(at)), drawn - 1)
        figure, doubt = root_and_doubt(float(ds.squared_distance.sel(at)), half)
    else:
        doubt = half_width(float(ds.beta_against_error.sel({**at, "measure": measure})), drawn - 1)
    return Evidence(f"{case}, {ds.attrs['draws']} subsets drawn", figure, doubt, control)


def _made(ds: xr.Dataset) -> bool:
    """Say whether a case was made as a counterexample in closed form: it is shown, and decides nothing."""
    return ds.attrs.get("data") == "one_point"


def _no_slope(ds: xr.Dataset) -> bool:
    """Say whether training amplifies every change so much that D(1), though exact, is no slope that could be observed."""
    return bool(ds.attrs.get("exploded"))


def _shown(ds: xr.Dataset) -> bool:
    """Say whether a case is shown only."""
    return _made(ds) or _no_slope(ds)


def _off_by(measure: str) -> Judgement:
    """Judge how far a measure that is 1 for equal effects is from 1."""

    def judgement(this: Claim, results: Results) -> Verdict:
        evidence = [_evidence(ds, measure, off=1.0, control=_shown(ds)) for ds in results["identity"]]
        return this.decide(evidence, condition=measure)

    return judgement


def _in_the_mildest_case(this: Claim, results: Results) -> Verdict:
    """Judge the case with the smallest error; a learner whose D(1) is 0, so that no error is defined, cannot be the mildest."""
    evidence = [_evidence(ds, control=_shown(ds) or not bool(ds.derivative.any())) for ds in results["identity"]]
    return this.decide(evidence, condition="mildest", deciding="mildest", holds=Status.HOLDS_WHEN)


def _by_inclusion(this: Claim, results: Results) -> Verdict:
    """Judge the other reading of w_i: at w = 1 the derivative in the probabilities of inclusion is leave-one-out."""
    evidence = [_evidence(ds, reference="LOO", control=_shown(ds)) for ds in results["identity"]]
    return this.decide(evidence, condition="inclusion")


@claim(
    "C6",
    "the optimal datamodel coefficient is dF/dw_i at w = 1, exactly",
    plain="beta_i is dF/dw_i at w = 1, exactly",
    experiments=("identity",),
    needs=("derivative",),
    measure="||beta - D(1)|| / ||D(1)||, uniform subsets",
    tolerance=1e-6,
    essay="The coefficient beta_i of the optimal linear datamodel is the influence of point i: the derivative dF/dw_i at w = 1.",
    idea="beta_i compares training with and without point i, averaged over random subsets of the others; D_i(1) is a slope at "
    "the full set. By T2, beta_i is the slope averaged over all those training sets. The two agree for every i iff interaction "
    "and curvature cancel (T5), for instance where F is affine in w. One point, ridge, x = y = l2 = 1: F(w) = w/(w + 1), so "
    "beta = F(1) - F(0) = 1/2, D(1) = 1/4. Without penalty it cannot hold on a data set and all its parts: F(c w) = F(w) makes "
    "sum_i D_i(1) = 0 on each part (Euler), then sum_i beta_i = 0 as well, and by induction on the size F is the same on all "
    "subsets: nothing was learnt. If w_i is read as the probability that point i is included, beta_i^(p) is the derivative of "
    "the mean response at w = p 1, exactly and for any learner (T1); at w = 1 that derivative is leave-one-out, not beta.",
    sources=(
        "Karchmer 2025",
        "Ilyas et al. 2022",
        "Goldstein & Reinert 1997",
        "Owen 1972",
    ),
    other_measures=(
        OtherMeasure("||beta - LOO|| / ||LOO||: w_i as the probability of inclusion", 1e-6, _by_inclusion),
        OtherMeasure("|slope of beta on D(1) - 1|", CLOSE, _off_by("slope")),
        OtherMeasure("1 - rank correlation of beta and D(1)", CLOSE, _off_by("spearman")),
        OtherMeasure("the same within 5%, mildest case", CLOSE, _in_the_mildest_case),
    ),
)
def datamodel_is_the_derivative(this: Claim, results: Results) -> Verdict:
    """Compare beta of uniform subsets with D(1), the weight of a point being that of its loss, as the essay writes it.

    The relative error decides. Where subsets are drawn, it is corrected for the noise in beta, and says nothing if its interval
    has the tolerance inside. The example of one point, made to be wrong, is a control. The condition gives the slopes, what the
    other reading gives, w_i as the probability that point i is included, and the sums of D(1) and of beta over points where there
    is no penalty.
    """
    useless = "; ".join(f"{ds.attrs['case']}: {ds.attrs['exploded']}" for ds in results["identity"] if _no_slope(ds))
    cases = [ds for ds in results["identity"] if not _no_slope(ds)]
    if not cases:
        raise NothingToJudgeError(f"D(1) is no slope of F that could be observed: {useless}")
    evidence = [_evidence(ds, control=_made(ds)) for ds in cases]
    slopes = ", ".join(map(_slope, cases))
    removals = ", ".join(f"{_measured(ds, reference='LOO'):.2g}" for ds in cases)
    inside = max((relative_error(ds.beta, ds.inclusion_derivative) for ds in cases if "inclusion_derivative" in ds), default=None)
    reading = "derivative at w = p 1" + ("" if inside is None else f" to {inside:.0e}")
    smallest = min(cases, key=lambda ds: ds.sizes["point"])
    beta, derivative = float(smallest.beta.sel(p=0.5)[0, 0]), float(smallest.derivative[0, 0])
    return this.decide(
        evidence,
        condition=f"slope of beta on D(1): {slopes}; at its smallest, {smallest.attrs['case']}, beta = {beta:.4g} and D(1) = "
        f"{derivative:.4g}; true iff T5, repaired by T2.{_sums(cases)} With w_i as the probability of inclusion, beta is the "
        f"{reading}; at w = 1 that is leave-one-out, from which beta differs by {removals}"
        + (f"; not judged, and not counted: {useless}" if useless else ""),
    )


def _slope(ds: xr.Dataset) -> str:
    """Return the slope of beta on D(1) as text, with half its 95% interval where subsets are drawn."""
    doubt = _evidence(ds, "slope").doubt
    return f"{_measured(ds, 'slope'):.3g}{f' ± {doubt:.2g}' if doubt else ''}"


def _sums(cases: Sequence[xr.Dataset]) -> str:
    """Say what the effects add up to where there is no penalty: D(1) to 0, so that a beta which does not is no D(1)."""
    free = [ds for ds in cases if json.loads(ds.attrs.get("options", "{}")).get("l2") == "0"]
    if not free:
        return ""
    derivative, beta = (max(map(_share, effects)) for effects in ([ds.derivative for ds in free], [_uniform(ds) for ds in free]))
    return f" Without penalty D(1) adds up to {derivative:.0e} of its absolute sum, beta to {beta:.2g}."


def _uniform(ds: xr.Dataset) -> xr.DataArray:
    return ds.beta.sel(p=0.5)


def _share(effect: xr.DataArray) -> float:
    """Return |sum over points| / sum over points of |effect|, the largest over outputs."""
    return float((abs(effect.sum("point")) / abs(effect).sum("point")).max())


_ESSAY, _REMOVAL = "beta on D(1)", "beta on LOO"


def _at_the_end(ds: xr.Dataset, pair: str = _ESSAY) -> Evidence:
    """Return the relative error of a pair at the end of training as evidence."""
    last = {"pair": pair, "measure": "relative_error", "time": ds.time[-1]}
    return Evidence(
        ds.attrs["case"], float(ds.measured.sel(last)), half_width(float(ds.measured_error.sel(last)), ds.sizes["seed"] - 1)
    )


def _at_the_start(ds: xr.Dataset) -> Evidence:
    """Return the relative error of beta on D(1) at the first training time, as a control."""
    first = {"pair": _ESSAY, "measure": "relative_error", "time": ds.time[0]}
    return Evidence(f"{ds.attrs['case']}, step {int(ds.time[0])}", float(ds.measured.sel(first)), control=True)


def _is_adaptive(ds: xr.Dataset) -> bool:
    """Say whether steps are no multiples of the gradient, so that one step is not affine in w."""
    return json.loads(ds.attrs.get("options", "{}")).get("optimizer", "sgd") != "sgd"


def _early(plain: Sequence[Evidence], adaptive: Sequence[Evidence]) -> str:
    """Say how far beta is from D(1) at the first training time, of descent and of adam."""
    texts: list[str] = []
    if plain:
        figures = ", ".join(f"{item.figure:.1g}" for item in plain)
        texts.append(f"early in training it is {figures}: the identity holds while F is nearly affine in w")
    if adaptive:
        figures = ", ".join(f"{item.figure:.2g}" for item in adaptive)
        texts.append(
            f"after one step of adam it is {figures}: such a step depends on the sign of a gradient and hardly on its size"
        )
    return "; ".join(texts)


def _slopes_at_the_end(this: Claim, results: Results) -> Verdict:
    evidence: list[Evidence] = []
    for ds in results["training_time"]:
        last = {"pair": _ESSAY, "measure": "slope", "time": ds.time[-1]}
        doubt = half_width(float(ds.measured_error.sel(last)), ds.sizes["seed"] - 1)
        evidence.append(Evidence(ds.attrs["case"], abs(float(ds.measured.sel(last)) - 1.0), doubt))
    return this.decide(evidence, condition="slope", deciding="most")


def _removals_at_the_end(this: Claim, results: Results) -> Verdict:
    evidence = [_at_the_end(ds, _REMOVAL) for ds in results["training_time"]]
    return this.decide(evidence, condition="inclusion", deciding="most")


def _mildest_network(this: Claim, results: Results) -> Verdict:
    evidence = [_at_the_end(ds) for ds in results["training_time"]]
    return this.decide(evidence, condition="mildest", deciding="mildest", holds=Status.HOLDS_WHEN)


@claim(
    "C6 networks",
    "the optimal datamodel coefficient is dF/dw_i at w = 1, for networks too",
    plain="beta_i is dF/dw_i at w = 1, for networks too",
    experiments=("training_time",),
    measure="||beta - D(1)|| / ||D(1)|| at the end of training, most networks",
    tolerance=CLOSE,
    essay="The same, meant for networks trained by gradient descent, where Hessian influence is in doubt.",
    idea="One step gives theta = theta_0 - eta grad L(theta_0; w), affine in w; F is then affine up to the curvature of f over "
    "one small step, and beta is close to D(1). Later gradients depend on earlier weights, F bends, and beta remains the "
    "average of D over the subsets while D(1) belongs to the full set: the slope of one on the other leaves 1 (T6 time).",
    sources=("Karchmer 2025", "Ilyas et al. 2022"),
    other_measures=(
        OtherMeasure("||beta - LOO|| / ||LOO||: w_i as the probability of inclusion", CLOSE, _removals_at_the_end),
        OtherMeasure("|slope of beta on D(1) - 1|", CLOSE, _slopes_at_the_end),
        OtherMeasure("the same, mildest network", CLOSE, _mildest_network),
    ),
)
def network_datamodel_is_the_derivative(this: Claim, results: Results) -> Verdict:
    """Compare beta with D(1) at the end of training, in more than half of the networks.

    Controls are the errors at the first training time, where F is nearly affine in w. The condition gives the slopes at the end,
    and how far beta is from leave-one-out, which is the derivative at w = 1 if w_i is the probability that point i is included.
    """
    cases = results["training_time"]
    early = [_at_the_start(ds) for ds in cases]
    adaptive = [item for ds, item in zip(cases, early, strict=True) if _is_adaptive(ds)]
    plain = [item for ds, item in zip(cases, early, strict=True) if not _is_adaptive(ds)]
    slopes = ", ".join(f"{float(ds.measured.sel(pair=_ESSAY, measure='slope')[-1]):.2f}" for ds in cases)
    removals = ", ".join(f"{_at_the_end(ds, _REMOVAL).figure:.2g}" for ds in cases)
    return this.decide(
        [_at_the_end(ds) for ds in cases] + early,
        deciding="most",
        condition=f"{_early(plain, adaptive)}; at the end slopes {slopes} (a slope near 1 beside such an error is chance, not "
        f"agreement). With w_i as the probability of inclusion the derivative at w = 1 is leave-one-out: beta is off by "
        f"{removals}",
    )
