"""Claims about practical scores: every status that they can reach, on made-up results."""

import numpy as np
import pytest
import xarray as xr

from theory.claims import Status, all_claims

MEASURES = ["slope", "relative_error", "pearson", "spearman"]
SCORES = ["exact H", "damped GN by CG"]
STEPS = ["pseudo-inverse -> damped H", "damped H -> damped GN", "damped GN -> damped GN by CG"]
TARGETS = ["all subsets", "1 or 2 removed"]


def judged(identifier, **results):
    return next(c for c in all_claims() if c.id == identifier).judge(results)


def budget(exact=0.0, practical=0.2, spread=0.0, beta=((0.9, 0.9), (0.9, 0.9)), best=((0.5, 0.5), (0.5, 0.5)), lds_error=0.0):
    """A `budget` result at two times: relative errors at the last one; LDS of beta and of the best score by (time, target)."""
    errors = np.ones((2, 2, 1, 4))
    errors[1, :, 0, 1] = exact, practical
    lds = np.full((2, 2, 3, 2), -0.5)  # target, time, estimate, quality
    lds[:, :, 0, 0], lds[:, :, 1, 0] = np.transpose(beta), np.transpose(best)
    return xr.Dataset(
        {
            "measured": (("time", "estimate", "reference", "measure"), np.concatenate([np.ones((2, 1, 1, 4)), errors], axis=1)),
            "measured_error": (("time", "estimate", "reference", "measure"), np.full((2, 3, 1, 4), spread)),
            "budget": (("time", "step", "column"), np.full((2, 3, 1), 0.25)),
            "prediction": (("target", "time", "estimate", "quality"), lds),
            "prediction_error": (("target", "time", "estimate", "quality"), np.full_like(lds, lds_error)),
        },
        {
            "time": [1, 1000],
            "estimate": ["beta", *SCORES],
            "reference": ["D(1)"],
            "measure": MEASURES,
            "step": STEPS,
            "column": ["size"],
            "target": TARGETS,
            "quality": ["lds", "relative_error"],
        },
        {"case": "made up", "hessian_based": SCORES},
    )


def damping():
    errors = np.zeros((1, 2, 2, 1, 4))
    errors[0, :, :, 0, 1] = [[9.0, 0.0], [0.5, 0.3]]  # (damping, time)
    return xr.Dataset(
        {"measured": (("curvature", "damping", "time", "reference", "measure"), errors)},
        {"curvature": ["hessian"], "damping": [0.0, 2.0], "time": [1, 1000], "reference": ["D(1)"], "measure": MEASURES},
        {"learning_rate": 0.5},
    )


def solver():
    errors = np.zeros((2, 2, 2, 1, 4))
    errors[1, :, :, 0, 1] = [[0.2, 0.01], [0.9, 0.8]]  # (solver, products) of the worse conditioned
    return xr.Dataset(
        {
            "measured": (("l2", "solver", "products", "reference", "measure"), errors),
            "condition": (("l2",), [3.0, 1000.0]),
        },
        {
            "l2": [1.0, 0.1],
            "solver": ["conjugate_gradients", "lissa"],
            "products": [1, 7],
            "reference": ["D(1)"],
            "measure": MEASURES,
        },
    )


@pytest.mark.parametrize(
    ("practical", "spread", "status"),
    [(0.2, 0.01, Status.HOLDS_WHEN), (1e-9, 0.0, Status.FAILS), (0.2, 0.3, Status.INCONCLUSIVE)],
)
def test_c4_asks_what_is_added_to_the_error_of_the_exact_hessian(practical, spread, status):
    verdict = judged(
        "C4", budget=[budget(0.0, 0.9), budget(0.0, practical, spread)], damping_map=[damping()], solver_map=[solver()]
    )
    assert verdict.status is status
    assert verdict.figure == practical


def test_c4_takes_the_pseudo_inverse_where_the_hessian_is_singular():
    singular = budget(np.nan, 0.2)
    inverse = budget(0.15).sel(estimate=["exact H"]).assign_coords(estimate=["pseudo-inverse"])
    result = xr.concat([singular, inverse], "estimate", data_vars="minimal", combine_attrs="override")
    verdict = judged("C4", budget=[result], damping_map=[damping()], solver_map=[solver()])
    assert verdict.status is Status.HOLDS_WHEN
    assert verdict.figure == pytest.approx(0.05)


def test_c4_says_where_the_error_is_from_and_when_damping_helps():
    condition = judged("C4", budget=[budget()], damping_map=[damping()], solver_map=[solver()]).condition
    assert "0.25 + 0.25 + 0.25" in condition
    assert "error 9, 0.5 with damping 2 after 1 steps (1 / (rate x steps) = 2)" in condition
    assert "error 0, 0 with damping 0 after 1000 steps" in condition
    assert "condition 1e+03: conjugate_gradients 7, lissa more than 7" in condition


def test_practical_scores_are_judged_without_the_maps_that_tell_more_of_them():
    alone, with_maps = (
        judged("C4", budget=[budget()]),
        judged("C4", budget=[budget()], damping_map=[damping()], solver_map=[solver()]),
    )
    assert (alone.status, alone.figure) == (with_maps.status, with_maps.figure)
    assert "damping takes error away" not in alone.condition
    assert with_maps.condition.startswith(alone.condition)
