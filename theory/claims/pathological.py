"""The module judges whether averaging over seeds helps especially where training is pathological."""

from typing import Literal

import xarray as xr

from theory.claims.registry import Claim, Judgement, OtherMeasure, Results, claim
from theory.claims.verdict import CLOSE, Evidence, Verdict
from theory.intervals import half_width, sum_of_errors

__all__: list[str] = []


def _judgement(
    measure: str = "relative_error", pairing: str = "same seeds", deciding: Literal["worst", "most"] = "worst"
) -> Judgement:
    """Return the judgement of C12 by one measure of prediction, of the same or of other seeds."""

    def judged(this: Claim, results: Results) -> Verdict:
        evidence = [
            Evidence(f"{ds.attrs['pathology']}: {ds.attrs['case']}", *_more(ds, pairing, measure)) for ds in results["pathology"]
        ]
        at = {"pairing": pairing, "measure": measure, "models": "gain"}
        notes = [
            f"{ds.attrs['pathology']} {float(ds.gain.sel(kind='pathological', **at)):.2g} against "
            f"{float(ds.gain.sel(kind='benign', **at)):.1g}"
            for ds in results["pathology"]
        ]
        condition = f"gains by averaging, pathological against benign: {', '.join(notes)}"
        return this.decide(evidence, must_exceed=True, condition=condition, deciding=deciding)

    return judged


def _more(ds: xr.Dataset, pairing: str, measure: str) -> tuple[float, float]:
    """Return the pathological gain minus the benign one, and half the width of its 95% interval; their seeds differ."""
    at = {"pairing": pairing, "measure": measure, "models": "gain"}
    degrees = int(ds.attrs["n_seeds"]) // (2 if pairing == "other seeds" else 1) - 1
    gains, errors = ds.gain.sel(**at), ds.gain_error.sel(**at)
    doubt = half_width(*sum_of_errors(*((float(error), degrees) for error in errors)))
    return float(gains.sel(kind="pathological") - gains.sel(kind="benign")), doubt


@claim(
    "C12",
    "the seed average helps especially in pathological cases",
    plain="averages over seeds help most in pathological cases",
    experiments=("pathology",),
    measure="gain of C11 in a pathological case - that in its benign twin, worst case (must exceed)",
    tolerance=0.0,
    essay="Averaging over the randomness of training helps especially in adversarial or pathological cases.",
    idea="If the start decides by a jump, f(r; w) is a step in w for every seed r, whose interactions between points are large, "
    "while F, the average, is smooth in w (T9). So averaging takes away much of what is not linear. Wrong labels and triggers "
    "are in the data: every seed sees the same, seeds agree, and there is little to average.",
    sources=("Karchmer 2025", "Mlodozeniec et al. 2025 (distributional data attribution)", "Gu et al. 2017 (backdoors)"),
    too_small="16 seeds do not tell gains of a few thousandths apart",
    other_measures=(
        OtherMeasure("the same, more than 0.05", CLOSE, _judgement()),
        OtherMeasure("the same, more than 0.05 in most cases", CLOSE, _judgement(deciding="most")),
        OtherMeasure("the same, other seeds predicted", 0.0, _judgement(pairing="other seeds")),
    ),
)
def averages_help_in_pathological_cases(this: Claim, results: Results) -> Verdict:
    """Subtract the gain by averaging in a benign twin from that in each pathological case, as in C11 with the same seeds.

    Pathological are two wells, a moving threshold, a chaotic learning rate, mislabelled points and a planted trigger; a twin
    lacks nothing else. The twin of the threshold is a sum without seeds, whose gain is 0. Intervals are by the jackknife over
    the seeds of both, which differ.
    """
    return _judgement()(this, results)
