"""The experiment that puts all scores side by side: scores, explained variances and distances against brute force."""

import dataclasses

import numpy as np
import pytest
from assertions import assert_close, assert_identical
from stored import computed

from sims.experiments.one_law import EXPERIMENT, LAWS, QUESTIONS, run
from sims.experiments.shared.problem import Problem
from sims.retrain import response_table
from theory.claims import all_claims
from theory.claims.verdict import NothingToJudgeError
from theory.metrics import compare
from theory.response import weight_derivative
from theory.subsets import all_masks
from theory.values import leave_one_out, shapley


@pytest.fixture(scope="module", params=[0, 1], ids=["logistic", "relu network"])
def case(request):
    config, result = EXPERIMENT.small[request.param], computed("one_law")[request.param]
    learner = config.problem.build()
    return result, learner, response_table(learner, range(config.n_seeds)).mean


def test_scores_are_those_of_the_table_and_of_the_derivative(case):
    result, learner, table = case
    assert_identical(result.attribution.sel(score="leave-one-out").values, leave_one_out(table))
    assert_close(result.attribution.sel(score="Shapley"), shapley(table), rtol=1e-12, atol=1e-14)
    assert_identical(result.attribution.sel(score="D(1)").values, weight_derivative(learner, np.ones(learner.n_points), [0]))
    assert_close(result.size_probability.sum("size"), np.ones(len(LAWS)), rtol=1e-12)


def test_every_score_is_an_average_of_the_derivative_and_of_the_jumps(case):
    result, learner, _ = case
    assert float(result.error.max()) <= 1e-9
    assert "not_judged" not in result.attrs
    if type(learner).__name__ == "MLP":
        assert int(result.n_jumps) > 100
        assert np.linalg.norm(result.average_jump) > 1e-3 * np.linalg.norm(result.from_table)


def test_too_few_trainings_for_all_edges_leave_a_case_that_is_not_judged():
    """As on a user's network that jumps: Shapley needs all edges, and T13 says nothing of the case."""
    result = run(dataclasses.replace(EXPERIMENT.small[1], most_trainings=4_000))
    assert "needs all: allow more trainings" in result.attrs["not_judged"]
    assert np.isnan(result.error.sel(law="Shapley"))
    assert np.isfinite(result.attribution).all()
    claim = next(claim for claim in all_claims() if claim.id == "T13")
    with pytest.raises(NothingToJudgeError, match="needs all"):
        claim.judge_once({"one_law": [result]})


def test_the_explained_variance_is_that_of_the_score_with_the_best_intercept(case):
    result, learner, table = case
    masks = all_masks(learner.n_points)
    for p in (0.1, 0.5, 0.95):
        chances = (p**masks * (1.0 - p) ** (1.0 - masks)).prod(axis=1)

        def variance(x, chances=chances):
            return float((chances @ (x - chances @ x) ** 2).sum())

        for score in result.score.values:
            left = table - masks @ result.attribution.sel(score=score).values
            expected = 1.0 - variance(left) / variance(table)
            assert float(result.r_squared.sel(score=score, p=p)) == pytest.approx(expected, rel=1e-9, abs=1e-9)
        rows = np.sqrt(chances)[:, None]
        design = rows * np.column_stack([np.ones(len(masks)), masks])
        residual = rows * table - design @ np.linalg.lstsq(design, rows * table, rcond=None)[0]
        assert float(result.best_r_squared.sel(p=p)) == pytest.approx(1.0 - (residual**2).sum() / variance(table), abs=1e-9)


def test_scores_are_compared_with_the_answer_to_every_question(case):
    result, _, _ = case
    for question in QUESTIONS:
        answer = result.attribution.sel(score=question).values
        for score in result.score.values:
            found = compare(result.attribution.sel(score=score).values, answer)
            at = result.against.sel(score=score, question=question)
            assert_identical(at.sel(measure=["slope", "relative_error"]).values, np.array([found.slope, found.relative_error]))


def test_the_best_score_for_a_law_is_its_own_datamodel(case):
    result, _, _ = case
    assert float(result.distance.sel(score="datamodel, p = 0.5", p=0.5)) == 0.0
    assert (result.r_squared <= result.best_r_squared + 1e-12).all()
    for p in (0.5, 0.9):
        best = result.r_squared.sel(p=p).values.argmax()
        assert result.score.values[best] == f"datamodel, p = {p:g}"


@pytest.mark.parametrize(
    ("learner", "n_points", "fits"), [("logistic", 12, True), ("logistic", 13, False), ("mlp", 8, True), ("mlp", 9, False)]
)
def test_own_data_have_a_case_where_it_takes_about_a_minute(learner, n_points, fits):
    case = EXPERIMENT.user_case(Problem("spector", learner, n_points=n_points), False)
    assert isinstance(case, str) != fits
    assert fits or f"N = {n_points} is more than" in case
