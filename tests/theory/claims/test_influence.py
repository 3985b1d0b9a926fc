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


def sampled():
    """An `lds` result of 10 points: the best score has 0.9, datamodels 0.8 and 0.95 with 20 and 80 retrainings."""
    return xr.Dataset(
        {
            "score": (("target", "estimate", "quality"), [[[0.7], [0.9]], [[0.7], [0.99]]]),
            "datamodel": (("p", "retrainings", "target", "quality"), [[[[0.8], [0.8]], [[0.95], [0.95]]]]),
        },
        {"target": ["p = 0.5", "few"], "estimate": SCORES, "quality": ["lds"], "p": [0.5], "retrainings": [20, 80]},
        {"case": "made up", "n_points": 10, "hessian_based": SCORES},
    )


@pytest.mark.parametrize(
    ("beta", "error", "status", "figure"),
    [
        (((0.9, 0.9), (0.9, 0.9)), 0.0, Status.HOLDS, 0.4),
        (((0.9, 0.9), (0.9, 0.3)), 0.0, Status.HOLDS_WHEN, -0.2),
        (((0.9, 0.9), (0.4, 0.9)), 0.0, Status.FAILS, -0.1),
        (((0.9, 0.9), (0.6, 0.9)), 0.2, Status.INCONCLUSIVE, 0.1),
        (((0.9, 0.9), (0.9, 0.3)), 0.2, Status.INCONCLUSIVE, -0.2),
    ],
)
def test_c10_needs_beta_to_win_everywhere_or_holds_when_all_subsets_are_predicted(beta, error, status, figure):
    """beta by (time, target), targets all subsets and few removed; the best score has LDS 0.5 throughout."""
    verdict = judged("C10", budget=[budget(beta=beta, lds_error=error)], lds=[sampled()])
    assert verdict.status is status
    assert verdict.figure == pytest.approx(figure)
    assert len(verdict.evidence) == 4
    if status is Status.HOLDS_WHEN:
        assert verdict.case == "made up: 1 or 2 removed after 1000 steps"
        assert "beta loses in 1 of 4 (made up: 1 or 2 removed after 1000 steps)" in verdict.condition


def test_c10_takes_the_best_score_of_every_regime_in_hindsight():
    result = budget(best=((0.5, 0.95), (0.5, 0.5)))
    verdict = judged("C10", budget=[result], lds=[sampled()])
    assert verdict.figure == pytest.approx(-0.05)
    assert verdict.case == "made up: 1 or 2 removed after 1 steps"
    assert "(exact H)" in verdict.condition


def test_c10_says_what_it_costs_to_match_the_best_score():
    condition = judged("C10", budget=[budget()], lds=[sampled()]).condition
    assert "8 (p = 0.5), more than 8 (few) retrainings per point on made up" in condition
