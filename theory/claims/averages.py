"""The module judges whether the average over seeds is easier to predict than one trained model."""

import xarray as xr

from theory.claims.registry import Claim, Judgement, OtherMeasure, Results, claim
from theory.claims.verdict import CLOSE, Evidence, Verdict
from theory.intervals import half_width

__all__: list[str] = []


def _gain(ds: xr.Dataset, pairing: str, measure: str) -> tuple[float, float]:
    """Return the gain by averaging and half the width of its 95% interval, by the jackknife over seeds or pairs of seeds."""
    at = {"pairing": pairing, "measure": measure, "models": "gain"}
    observations = int(ds.attrs["n_seeds"]) // (2 if pairing == "other seeds" else 1)
    return float(ds.gain.sel(**at)), half_width(float(ds.gain_error.sel(**at)), observations - 1)


def _judgement(measure: str = "relative_error") -> Judgement:
    """Return the judgement of C11 by one measure of prediction."""

    def judged(this: Claim, results: Results) -> Verdict:
        evidence: list[Evidence] = []
        notes: list[str] = []
        for ds in results["seeds"]:
            case = ds.attrs["case"]
            evidence.append(Evidence(f"{case}, same seeds", *_gain(ds, "same seeds", measure)))
            evidence.append(Evidence(f"{case}, other seeds", *_gain(ds, "other seeds", measure), control=True))
            one, average, _ = ds.gain.sel(pairing="same seeds", measure="relative_error").values
            ranks = ds.gain.sel(pairing="same seeds", measure="lds").values
            notes.append(f"{one:.3f} -> {average:.3f} with {ds.attrs['n_seeds']}, LDS {ranks[0]:.3f} -> {ranks[1]:.3f}")
        condition = (
            "beta of a model predicts this model, so what its seed adds is known; that other seeds are harder to predict by what "
            f"seeds disagree on is a theorem. Relative errors, one seed -> average: {'; '.join(notes)}"
        )
        return this.decide(evidence, must_exceed=True, condition=condition)

    return judged


@claim(
    "C11",
    "counterfactuals of the seed average are easier to predict than those of one trained model",
    plain="averages over seeds are easier to predict",
    experiments=("seeds",),
    measure="relative error of beta of one seed on this seed - that of the average on the average, worst case (must exceed)",
    tolerance=0.0,
    essay="Counterfactuals of the output averaged over the randomness of training are easier to predict than those of one "
    "trained model.",
    idea="Over subsets F_r = F + e_r, and beta leaves of both what is not linear. The average is easier if what seeds disagree "
    "on is less linear in the points than what they share. Predicting another seed is another matter: e_r is then unknown to any "
    "predictor, the expected squared error is larger by its variance, and averaging R seeds divides that by R, whatever the "
    "learner. beta is linear in F: beta of the average is the average of the betas.",
    sources=(
        "Karchmer 2025",
        "Ilyas et al. 2022 (datamodels)",
        "Mlodozeniec et al. 2025 (distributional data attribution)",
        "Efron & Stein 1981 (jackknife)",
    ),
    other_measures=(
        OtherMeasure("the same, and by more than 0.05", CLOSE, _judgement()),
        OtherMeasure("mean over seeds of relative errors - that of the average", 0.0, _judgement("mean_relative_error")),
        OtherMeasure("LDS of the average - mean LDS of seeds", 0.0, _judgement("lds")),
    ),
)
def averages_are_easier(this: Claim, results: Results) -> Verdict:
    """Subtract the relative error over all subsets of beta of the average over all seeds from that of beta of one seed.

    Each predicts the model that it was fitted to. The error of one seed pools the seeds: sqrt(sum_r ||e_r||^2 / sum_r
    ||f_r||^2), where f_r is F of seed r minus its mean over subsets and e_r what beta leaves of it. Intervals are by the
    jackknife over all seeds. Beta that predicts other seeds is shown, and does not decide.
    """
    return _judgement()(this, results)
