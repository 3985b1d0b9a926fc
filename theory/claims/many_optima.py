"""The module judges whether influence is ill-defined where there are many optima and the Hessian has no inverse."""

import json
from collections.abc import Sequence

import numpy as np
import xarray as xr

from theory.claims.registry import Claim, OtherMeasure, Results, claim
from theory.claims.verdict import CLOSE, Evidence, Status, Verdict
from theory.intervals import half_width, median_doubt, share_doubt

__all__: list[str] = []

_PRACTICE = "cut-off 1e-06"
"""The choice that decides where one had to be fixed in advance."""

_ESSAY = "Overparameterised models have many optima and singular Hessians, so that influence functions are ill-defined."
_SOURCES = ("Koh & Liang 2017, section 4.2", "Basu et al. 2021", "Schioppa et al. 2023")


def _penalised(ds: xr.Dataset) -> bool:
    """Say whether the case has a penalty: it then has isolated optima, where influence is D(1) by the theorem behind C1."""
    return float(json.loads(str(ds.attrs["options"])).get("l2", "0")) > 0.0


def _name(ds: xr.Dataset) -> str:
    """Return a short name of the case: data, loss and penalty."""
    options = json.loads(str(ds.attrs["options"]))
    return f"{ds.attrs['data']} {options.get('loss', 'logistic')} l2={options.get('l2', '0')}"


def _chosen(ds: xr.Dataset, measure: str = "error") -> str:
    """Return the cut-off or damping with the least median on the first half of the seeds."""
    medians = np.nan_to_num(ds[measure].values[:, : ds.sizes["seed"] // 2], nan=np.inf)
    return str(ds.choice.values[int(np.median(medians, axis=1).argmin())])


def _judged(ds: xr.Dataset, measure: str, choice: str) -> "np.ndarray":
    """Return the measure of a choice on the second half of the seeds; an undefined score counts as infinitely wrong."""
    values = ds[measure].sel(choice=choice).values if "choice" in ds[measure].dims else ds[measure].values
    return np.minimum(np.nan_to_num(values[ds.sizes["seed"] // 2 :], nan=np.inf), _UNDEFINED)


_UNDEFINED = 1e3
"""Errors above this are not told apart."""


def _of_best_choice(results: Results, this: Claim, measure: str) -> list[Evidence]:
    """Return the median of a measure over the second half of seeds, by the choice that is best on the first half."""
    found: list[Evidence] = []
    for ds in results["optima"]:
        values = _judged(ds, measure, _chosen(ds, measure) if "choice" in ds[measure].dims else "")
        figure, doubt = float(np.median(values)), median_doubt(values, this.tolerance)
        found.append(Evidence(str(ds.attrs["case"]), figure, doubt, control=_penalised(ds)))
    return found


def _by_direction(this: Claim, results: Results) -> Verdict:
    evidence = _of_best_choice(results, this, "direction_error")
    return this.decide(evidence, holds=Status.HOLDS_WHEN, must_exceed=True, condition="by the direction of the scores")


def _by_dependence(this: Claim, results: Results) -> Verdict:
    evidence = _of_best_choice(results, this, "dependence")
    return this.decide(evidence, holds=Status.HOLDS_WHEN, must_exceed=True, condition="by the difference between cut-offs")


def _by_difference(this: Claim, results: Results) -> Verdict:
    evidence = _of_best_choice(results, this, "difference")
    return this.decide(evidence, holds=Status.HOLDS_WHEN, must_exceed=True, condition="by the same, beside D(1)")


@claim(
    "C2",
    "where Hessians have no usable inverse, influence functions are ill-defined",
    plain="Hessians without an inverse leave influence undefined",
    experiments=("optima",),
    measure="median ||influence - D(1)|| / ||D(1)|| of held-out models, by the cut-off or damping that is best on other models "
    "(must exceed)",
    tolerance=CLOSE,
    other_measures=(
        OtherMeasure("least error of a multiple of influence, same choice", CLOSE, _by_direction),
        OtherMeasure("largest difference between two cut-offs / largest norm of a score, median", CLOSE, _by_dependence),
        OtherMeasure("largest difference between two cut-offs / ||D(1)||, median", CLOSE, _by_difference),
    ),
    essay=_ESSAY,
    idea="With one output per point and more parameters than the N points, the Gauss-Newton part of H has rank at most N; the "
    "rest carries the residuals and vanishes where every point is fitted. Which eigenvalues a pseudo-inverse cuts off, or how "
    "large a damping is, is then a choice, and the score changes with it. Where residuals vanish so do the grad l_i, and scores "
    "tend to 0: too small, whatever their direction. D_i(1), differentiated through training itself, needs no choice. With a "
    "penalty and at an isolated optimum, influence is D_i(1) (C1): such cases are controls.",
    sources=_SOURCES,
)
def influence_is_ill_defined(this: Claim, results: Results) -> Verdict:
    """Choose a cut-off or a damping on the first half of the seeds and take the median error on the second half.

    Error, slope and the least error of a multiple are those of one model against D(1) of the same model. Cases with a penalty
    are controls.
    """
    notes: list[str] = []
    for ds in results["optima"]:
        if _penalised(ds):
            continue
        choice = _chosen(ds)
        all_medians = np.median(np.nan_to_num(ds.error.values, nan=np.inf), axis=1)
        held_out = ds.sel(choice=choice).isel(seed=slice(ds.sizes["seed"] // 2, None))
        slope, angle = float(held_out.slope.median()), float(held_out.direction_error.median())
        notes.append(
            f"{_name(ds)}: {choice}, slope {slope:.2g}, wrong in direction by {angle:.2g}, gradient "
            f"{float(ds.gradient_ratio.median()):.0e} of the start, all choices {all_medians.min():.2g} to "
            f"{min(all_medians.max(), _UNDEFINED):.2g}"
        )
    return this.decide(
        _of_best_choice(results, this, "error"),
        holds=Status.HOLDS_WHEN,
        must_exceed=True,
        condition="more parameters than points and no penalty; logistic and softmax losses then have no optimum where "
        f"all points are fitted, and training never converges. {'; '.join(notes)}",
    )


def _share(results: Results, this: Claim, name: str) -> list[Evidence]:
    """Return the share of models with at least one eigenvalue that is counted as zero."""
    found: list[Evidence] = []
    for ds in results["optima"]:
        count, total = int((ds[name] > 0).sum()), int(ds.sizes["seed"])
        found.append(
            Evidence(str(ds.attrs["case"]), count / total, share_doubt(count, total, this.tolerance), control=_penalised(ds))
        )
    return found


def _by_cut_off(this: Claim, results: Results) -> Verdict:
    return this.decide(_share(results, this, "near_null"), must_exceed=True, deciding="most", condition="by a cut-off of 1e-6")


@claim(
    "C2 singular",
    "overparameterised models that were trained have singular Hessians",
    plain="overparameterised models have singular Hessians",
    experiments=("optima",),
    measure="share of trained models whose Hessian is singular to working precision (must exceed)",
    tolerance=0.5,
    other_measures=(OtherMeasure("share with an eigenvalue below 1e-6 of the largest", 0.5, _by_cut_off),),
    essay=_ESSAY,
    idea="Without a penalty the Hessian at a model that fits every point has rank at most N. Gradient descent comes near such a "
    "model, and as long as residuals are left, so is their share of the Hessian: small eigenvalues of both signs, and an inverse "
    "that exists and means nothing. With a penalty l2 the small eigenvalues move to l2: such cases are controls.",
    sources=_SOURCES,
)
def hessians_are_singular(this: Claim, results: Results) -> Verdict:
    """Count the models that have an eigenvalue of at most P eps times the largest, P parameters; intervals are binomial."""
    notes = [
        f"{_name(ds)} ({int(ds.attrs['n_params'])} parameters): condition {float(ds.condition.median()):.0e}, "
        f"{float((ds.least_eigenvalue < 0).mean()):.0%} indefinite, gradient {float(ds.gradient_ratio.median()):.0e} of the start"
        for ds in results["optima"]
    ]
    return this.decide(
        _share(results, this, "null_space"), must_exceed=True, deciding="most", condition=f"medians: {'; '.join(notes)}"
    )


_ONE_FUNCTION = 0.01
"""Converged models whose outputs F deviate by less than this share of their mean count as one function."""


def _spreads(results: Results, of: str) -> list[Evidence]:
    """Return the spread of an effect between converged optima, of the cases in which four fifths of the seeds converged.

    Cases in which all starts lead to one function do not have many optima: controls.
    """
    found: list[Evidence] = []
    for ds in _with_optima(results["optima"]):
        at = {"of": of}
        doubt = half_width(float(ds.spread_error.sel(at)), _n_converged(ds) - 1)
        one = float(ds.spread.sel(of="F")) < _ONE_FUNCTION
        found.append(Evidence(str(ds.attrs["case"]), float(ds.spread.sel(at)), doubt, control=one))
    return found


def _n_converged(ds: xr.Dataset) -> int:
    return int((ds.gradient_ratio <= float(ds.attrs["converged"])).sum())


def _with_optima(cases: Sequence[xr.Dataset]) -> list[xr.Dataset]:
    return [ds for ds in cases if _n_converged(ds) >= 0.8 * ds.sizes["seed"]]


def _by_derivative(this: Claim, results: Results) -> Verdict:
    return this.decide(_spreads(results, "D(1)"), holds=Status.HOLDS_WHEN, must_exceed=True, deciding="most", condition="by D(1)")


def _by_damped(this: Claim, results: Results) -> Verdict:
    return this.decide(
        _spreads(results, "damping 0.01"),
        holds=Status.HOLDS_WHEN,
        must_exceed=True,
        deciding="most",
        condition="by damped influence",
    )


@claim(
    "C2 optima",
    "with many optima, the influence of a point depends on which optimum was found",
    plain="influence depends on which optimum was found",
    experiments=("optima",),
    measure="deviation of influence between converged optima / norm of their mean (must exceed)",
    tolerance=CLOSE,
    other_measures=(
        OtherMeasure("deviation of D(1) between converged optima / norm of their mean", CLOSE, _by_derivative),
        OtherMeasure("deviation of influence with damping 0.01 between converged optima / norm of their mean", CLOSE, _by_damped),
    ),
    too_small="with 12 models on one data set the deviation is not known well enough",
    essay=_ESSAY,
    idea="Influence is a property of one optimum. Where all starts lead to the same function it is the same for all of them; "
    "where they lead to several, each has its own. That is no fault of influence: D(1), the derivative through training, depends "
    "on the start as well, and only its average over starts belongs to the learner.",
    sources=_SOURCES,
)
def influence_depends_on_the_optimum(this: Claim, results: Results) -> Verdict:
    """Compute the deviation between converged models of the pseudo-inverse influence with cut-off 1e-6, relative to the mean.

    A model counts as converged where its gradient is at most 1e-4 of that at the start. A case counts where four fifths of its
    seeds have converged. Standard errors come from the jackknife over models. Where outputs deviate by less than 1% all starts
    lead to one function, and there are not many optima: controls.
    """
    left = [_name(ds) for ds in results["optima"] if not _with_optima([ds])]
    kept = _with_optima(results["optima"])
    notes = [", ".join(f"{float(ds.spread.sel(of=of)):.2g}" for of in ("F", "D(1)")) + f" ({_name(ds)})" for ds in kept]
    return this.decide(
        _spreads(results, _PRACTICE),
        holds=Status.HOLDS_WHEN,
        must_exceed=True,
        deciding="most",
        condition=f"where starts lead to several functions; F and D(1) of the same models deviate by {'; '.join(notes)}"
        + (f"; not converged, nothing said: {', '.join(left)}" if left else ""),
    )
