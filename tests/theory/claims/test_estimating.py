"""T20: which part decides, and what it says of every case."""

from by_hand.estimating import estimated, results

from theory.claims import Status, all_claims

T20 = next(claim for claim in all_claims() if claim.id == "T20")


def test_it_fails_where_subsets_are_as_near_and_where_intervals_always_cover():
    assert T20.judge(results(error=0.3)).status is Status.FAILS
    assert T20.judge(results(coverage=1.0)).status is Status.FAILS


def test_the_figure_is_the_larger_of_ratio_and_coverage():
    near, honest = T20.judge_once({"estimating_influence": [estimated(error=0.1)]}), T20.judge_once(results())
    assert abs(near.figure - 0.1 / 0.2) < 1e-12
    assert abs(honest.figure - 0.01 / 0.04) < 1e-12


def test_coverage_counts_at_every_number_of_retrainings_and_the_error_with_most():
    ds = estimated(error=0.1)
    ds.influence.loc[{"way": "fold-over, two scales", "m": 96, "quality": "error"}] = 9.0
    assert T20.judge_once({"estimating_influence": [ds]}).figure == 0.5
    ds.influence.loc[{"way": "fold-over, two scales", "m": 96, "quality": "coverage"}] = 0.5
    assert T20.judge_once({"estimating_influence": [ds]}).status is Status.FAILS


def test_the_best_way_with_subsets_is_the_rival():
    ds = estimated(error=0.1)
    ds.influence.loc[{"way": "subsets of two p, l2 p", "quality": "error"}] = 0.05
    verdict = T20.judge_once({"estimating_influence": [ds]})
    assert verdict.status is Status.FAILS
    assert "subsets at best 0.05" in verdict.condition
