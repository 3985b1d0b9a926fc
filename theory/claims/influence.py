"""The module judges the essay's claims about practical influence scores, compared with exact scores and with datamodels."""

import numpy as np
import xarray as xr

from theory.claims.registry import Claim, Results, claim
from theory.claims.verdict import Evidence, Status, Verdict

__all__: list[str] = []


@claim(
    "C10",
    "datamodels are empirically much better than influence functions",
    experiments=("budget", "lds"),
    measure="LDS of beta - LDS of the best Hessian-based score, worst regime",
    tolerance=0.0,
    essay="Hence datamodels are empirically much better than influence functions.",
    idea="LDS is the rank correlation of predicted and true outputs over subsets. beta is fitted to just such subsets: with all "
    "2^N of them no linear predictor has a smaller mean squared error. Near the full set that is the wrong law (C8), and D(1) "
    "or a Newton step is nearer. And exact beta costs 2^N retrainings, while influence costs one; fitted to draws, beta has a "
    "variance that falls as 1 over their number.",
    sources=("Karchmer 2025", "Park et al. 2023 (TRAK, LDS)", "Bae et al. 2024 (SOURCE)"),
)
def datamodels_predict_better(this: Claim, results: Results) -> Verdict:
    """Subtract the LDS of the best Hessian-based score, chosen in hindsight, from that of exact beta, in every regime and case.

    A regime predicts F of all subsets, or of those with at most two points removed, at the first or the last training time. The
    claim holds if beta has the larger LDS in every regime. It holds only for F of all subsets if beta has the larger LDS there.
    """
    evidence: list[Evidence] = []
    errors: list[float] = []
    notes: list[str] = []
    for ds in results["budget"]:
        for k in sorted({0, ds.sizes["time"] - 1}):
            for target in ds.target.values:
                at, spread = (values.isel(time=k).sel(target=target) for values in (ds.prediction, ds.prediction_error))
                rivals = at.sel(estimate=ds.attrs["hessian_based"], quality="lds")
                rival = str(rivals.estimate[int(rivals.argmax("estimate"))].item())
                margin = float(at.sel(estimate="beta", quality="lds") - rivals.sel(estimate=rival))
                time = f" after {int(ds.time[k])} steps" if int(ds.time[k]) else ""
                evidence.append(Evidence(f"{ds.attrs['case']}: {target}{time}", margin))
                pair = spread.sel(estimate=["beta", rival], quality="lds")
                errors.append(float(np.linalg.norm(np.nan_to_num(pair))))  # one seed: nothing is sampled
                wrong = at.sel(estimate=["beta", rival], quality="relative_error").values
                notes.append(f"{wrong[0]:.2g} against {wrong[1]:.2g} ({rival})")
    worst = min(evidence, key=lambda item: item.figure)
    names, figures, doubt = [e.case for e in evidence], np.array([e.figure for e in evidence]), 2.0 * np.array(errors)
    lost, won = (figures < -doubt), (figures > doubt)
    halves = np.array([": all subsets" in name for name in names])
    status = Status.INCONCLUSIVE
    if won.all():
        status = Status.HOLDS
    elif lost[halves].any():
        status = Status.FAILS
    elif won[halves].all() and lost.any():
        status = Status.HOLDS_WHEN
    return this.verdict(
        status,
        worst,
        evidence,
        condition=f"F of all subsets is predicted{'' if won[halves].all() else ' (not everywhere)'}; beta loses in "
        f"{lost.sum()} of {len(lost)} ({'; '.join(name for name, bad in zip(names, lost, strict=True) if bad)}). Relative "
        f"errors of the predictions, beta against the rival, in the order of the cases: {', '.join(notes)}. That is beta "
        f"from all 2^N retrainings; fitted to draws it takes {'; '.join(map(_retrainings, results['lds']))}",
    )


def _retrainings(ds: xr.Dataset) -> str:
    """Describe how many retrainings per point a datamodel at p = 1/2 needs to match the best Hessian-based score.

    Both predict F of fresh subsets.
    """
    lds, n = {"quality": "lds"}, int(ds.attrs["n_points"])
    notes: list[str] = []
    for target in ds.target.values:
        best = float(ds.score.sel(target=target, estimate=ds.attrs["hessian_based"], **lds).max())
        enough = (ds.datamodel.sel(target=target, p=0.5, **lds) >= best).values
        most = float(ds.retrainings[-1]) / n
        needed = f"{float(ds.retrainings[enough][0]) / n:.2g}" if enough.any() else f"more than {most:.2g}"
        notes.append(f"{needed} ({target})")
    return f"{', '.join(notes)} retrainings per point on {ds.attrs['case']}"
