"""The experiment on all parts of a data set: closed forms, brute force by retraining each part, and what a wrong formula does."""

import dataclasses
import json
from math import comb

import numpy as np
import pytest
from assertions import assert_close, assert_identical

from sims import datasets
from sims.experiments import identity, no_go
from sims.experiments.no_go import NoGoConfig
from sims.experiments.shared.problem import Problem
from sims.retrain import response_table
from theory.claims import NothingToJudgeError, Status, all_claims
from theory.inclusion import inclusion_differences
from theory.subsets import all_masks, points_of, sizes

FREE = Problem("noisy_line", "least_squares", l2=0.0, undefined="min_norm", n_points=5)
RIDGE = Problem("noisy_line", "least_squares", l2=0.1, n_points=4)
NETWORK = Problem("xor", "mlp", hidden=(2,), learning_rate=0.1, steps=5, l2=0.01, n_points=4)


@pytest.fixture(scope="module")
def free():
    return no_go.run(NoGoConfig(FREE, n_draws=2000))


@pytest.fixture(scope="module")
def ridge():
    return no_go.run(NoGoConfig(RIDGE, n_draws=2000))


@pytest.fixture(scope="module")
def network():
    return no_go.run(NoGoConfig(NETWORK, seeds=(0, 1), n_draws=2000))


def claim(identifier):
    return next(c for c in all_claims() if c.id == identifier)


def test_every_part_is_what_a_learner_on_its_points_alone_gives(ridge):
    """Each part is made a data set of its own; l2 is scaled so that the fixed N of the objective stays that of all points."""
    data, learner = datasets.by_name("noisy_line", 4), RIDGE.build()
    found = no_go.effects_of_parts(learner, (0,), response_table(learner, (0,)).mean)
    error, learnt, violation = [], [], []
    for part in range(1, 16):
        points = list(points_of(part))
        a = len(points)
        alone = dataclasses.replace(learner, X=data.X[points], y=data.y[points], l2=0.1 * 4 / a)
        table = alone.respond(all_masks(a), (0,))[:, 0]
        beta = np.linalg.lstsq(np.column_stack([np.ones(2**a), all_masks(a)]), table, rcond=None)[0][1:]
        derivative = alone.weight_jacobian(np.ones((1, a)), (0,))[0, 0].T
        for effect, expected in zip(found, (beta, derivative), strict=True):
            assert_close(effect[part, points], expected, rtol=1e-9)
            assert not np.delete(effect[part], points, axis=0).any()
        error.append(np.linalg.norm(beta - derivative) / np.linalg.norm(beta))
        learnt.append(table.max(axis=0) - table.min(axis=0))
        violation.append(np.abs(beta.sum(axis=0) - derivative.sum(axis=0)))
    for k in range(1, 5):
        rows, at = sizes(4)[1:] == k, ridge.sel(size=k)
        assert_close(at.error_by_size, np.quantile(np.array(error)[rows], [0.1, 0.5, 0.9]), rtol=1e-9)
        assert_close(at.learnt, np.array(learnt)[rows].mean(axis=0), rtol=1e-9)
        assert_close(at.mean_violation, np.array(violation)[rows].mean(axis=0), rtol=1e-9)
    assert_close(ridge.violation, np.sum(violation, axis=0), rtol=1e-9)
    assert_close([ridge.typical_error, ridge.least_error], [np.median(error), np.min(error)], rtol=1e-9)


def test_one_point_without_penalty_has_no_derivative_and_is_missed_entirely(free):
    learner = FREE.build()
    beta, derivative = no_go.effects_of_parts(learner, (0,), response_table(learner, (0,)).mean)
    table, single = response_table(learner, (0,)).mean, 2 ** np.arange(5)
    assert_close(beta[single].sum(axis=1), table[single], rtol=1e-12)  # F({i}) - F({}), and F({}) = 0
    assert_close(derivative[single], np.zeros((5, 5, 2)), atol=1e-12)
    assert_close(free.error_by_size.sel(size=1), np.ones(3), rtol=1e-12)


def test_a_part_whose_effects_are_all_zero_keeps_the_identity_and_a_datamodel_of_zero_alone_does_not():
    effects, references = np.array([[[0.0]], [[1.0]], [[3.0]]]), np.array([[[0.0]], [[0.0]], [[2.0]]])
    assert_identical(no_go._relative_norms(effects, references), np.array([0.0, np.inf, 1.5]))


def test_without_penalty_derivatives_add_up_to_zero_on_every_part_so_that_nothing_is_allowed(free, ridge, network):
    assert float(free.derivative_sum.max()) < 1e-9 * float(free.learnt.max())
    assert float(free.allowed.max()) < 1e-9 * float(free.learnt.max())
    for other in (ridge, network):
        assert float(other.allowed[-1].min()) > 0.1 * float(other.learnt[-1].min())


def test_the_identity_would_allow_a_network_most_of_what_it_learns_early_and_less_of_what_it_learns_late(network):
    late = no_go.run(NoGoConfig(NETWORK.changed(steps=1000), seeds=(0, 1), n_draws=10))
    early, end = (float((result.allowed[-1] / result.learnt[-1]).mean()) for result in (network, late))
    assert abs(early - 1.0) < 0.1
    assert end < 0.7


def test_the_total_violation_is_the_sum_over_parts_and_more_than_the_least(free, ridge, network):
    for result in (free, ridge, network):
        n = result.sizes["size"]
        count = np.array([comb(n, k) for k in range(1, n + 1)])
        assert_close(result.violation, count @ result.mean_violation.values, rtol=1e-12)
        assert (result.violation > 2.0 * result.least_violation).all()
    assert_close(free.least_violation, 5 * 2.0**-4 * free.learnt[-1], rtol=1e-9)


def test_both_parts_of_the_sum_of_a_network_matter(network):
    gap = network.euler_sum - network.from_rate - network.from_penalty
    assert float((np.abs(gap) / network.euler_size).max()) < 1e-12
    for part in (network.from_rate, network.from_penalty):
        assert float((np.abs(part) / network.euler_size).max()) > 1e-4


def test_a_learner_without_all_optima_has_the_sum_of_derivatives_only_and_says_why():
    problem = Problem("two_moons", "logistic", l2=0.0, n_points=8)
    result = no_go.run(NoGoConfig(problem, parts=False))
    assert set(result.data_vars) == {
        *("euler_sum", "euler_size", "from_rate", "from_rate_error", "from_penalty", "from_penalty_error"),
    }
    reasons = json.loads(result.attrs["left_out"])
    assert set(reasons.values()) == {
        "some subsets have no optimum without a penalty, so that the datamodels of parts do not exist"
    }
    assert set(reasons) == set(no_go._OF_PARTS)
    with pytest.raises(NothingToJudgeError, match="no_go: some subsets have no optimum"):
        claim("T14").judge({"no_go": [result]})
    assert claim("T14 sums").judge({"no_go": [result]}).status is Status.HOLDS
    with pytest.raises(ValueError, match="no optimum exists with l2 = 0"):
        no_go.run(NoGoConfig(problem))


def test_what_is_left_out_without_parts_is_all_that_parts_add(ridge):
    euler = ("euler", "from_")
    assert set(no_go._OF_PARTS) == {name for name in ridge.data_vars if not str(name).startswith(euler)}


def test_the_claims_hold_on_real_learners_and_see_a_wrong_factor(free, ridge, network, monkeypatch):
    results = [free, ridge, network]
    assert claim("T14").judge({"no_go": results}).status is Status.HOLDS
    assert claim("T14 sums").judge({"no_go": results}).status is Status.HOLDS
    assert claim("T14 parts").judge({"no_go": results}).status is Status.HOLDS
    right = no_go.euler_sum
    monkeypatch.setattr(no_go, "euler_sum", lambda *given: 1.01 * right(*given))
    wrong = no_go.run(NoGoConfig(RIDGE, n_draws=10))
    assert claim("T14 sums").judge({"no_go": [wrong]}).status is Status.FAILS


def test_datamodels_of_parts_that_do_not_add_up_to_what_their_tables_say_are_seen(monkeypatch):
    right = no_go.part_datamodels
    monkeypatch.setattr(no_go, "part_datamodels", lambda table: (1.0 + 1e-6) * right(table))
    wrong = no_go.run(NoGoConfig(RIDGE, n_draws=10))
    assert claim("T14 sums").judge({"no_go": [wrong]}).status is Status.FAILS


def test_the_reading_as_inclusion_is_judged_on_both_experiments_and_says_how_far_drawn_subsets_are(free, ridge, monkeypatch):
    one_point = identity.run(identity.IdentityConfig(Problem("one_point", "least_squares", l2=1.0), most_derivatives=0))
    verdict = claim("T15").judge({"identity": [one_point], "no_go": [free, ridge]})
    assert verdict.status is Status.HOLDS
    assert [item.case.split()[0] for item in verdict.evidence] == ["one_point-1", "noisy_line-5", "noisy_line-4"]
    distance = float(verdict.condition.partition("within ")[2].split()[0])
    assert 0.5 < distance < 4.5
    assert f"largest of {2 * 3 * (5 + 4)} coefficients" in verdict.condition
    monkeypatch.setattr(no_go, "inclusion_differences", lambda table, p: inclusion_differences(table, min(p + 0.01, 1.0)))
    wrong = no_go.run(NoGoConfig(RIDGE, n_draws=10))
    assert claim("T15").judge({"identity": [one_point], "no_go": [wrong]}).status is Status.FAILS


def test_parts_that_are_interpolated_do_not_count_for_the_typical_error(free):
    """Two columns: parts of one or two points are interpolated, and their D(1_A) is 0."""
    learner = FREE.build()
    beta, derivative = no_go.effects_of_parts(learner, (0,), response_table(learner, (0,)).mean)
    rows = sizes(5) > 2
    error = [np.linalg.norm(b - d) / np.linalg.norm(b) for b, d in zip(beta[rows], derivative[rows], strict=True)]
    assert_close(free.typical_error, np.median(error), rtol=1e-12)
    assert_close(free.least_error, np.min(error), rtol=1e-12)
    assert_close(claim("T14 parts").judge({"no_go": [free]}).figure, np.median(error), rtol=1e-12)


def test_without_a_case_free_of_a_penalty_the_typical_error_is_not_judged(ridge):
    with pytest.raises(NothingToJudgeError, match="no case without penalty at its optimum"):
        claim("T14 parts").judge({"no_go": [ridge]})
    assert "the identity on all parts would allow, of the range of F" in claim("T14").judge({"no_go": [ridge]}).condition


def test_users_have_a_case_up_to_ten_points():
    assert isinstance(no_go.EXPERIMENT.user_case(RIDGE, True), NoGoConfig)
    assert "N = 11 is more than 10" in no_go.EXPERIMENT.user_case(dataclasses.replace(RIDGE, n_points=11), False)
