"""The judge names the cause of every distortion of exact scores, and none where there is none."""

import dataclasses
import json
from functools import cache

import numpy as np
import pytest
from distortions import distortions, inverse_products
from hypothesis import given
from hypothesis import strategies as st

from sims.learners import KernelSum, LeastSquares, Logistic
from sims.referee import PROBLEMS, Truth, judge_scores, load_truth
from sims.referee.matching import mismatch, reordered
from theory.influence import influence


@cache
def truth_of(name):
    """Two of the named problems, the second with fewer points, and one more."""
    if name == "small":
        return small()
    if name == "iris":
        problem = dataclasses.replace(PROBLEMS["softmax_iris"].problem, n_points=9)
        return Truth.of(problem.build(), y_query=problem.load().y_query, name="iris")
    found = PROBLEMS[name]
    problem = dataclasses.replace(found.problem, n_queries=6)
    return Truth.of(problem.build(), range(4), y_query=problem.load().y_query[:6], name=name)


def test_scores_with_as_many_points_as_queries_are_read_both_ways():
    truth = load_truth("xor_young")
    for scores, expected in ((truth.D1, "train x query"), (-8.0 * truth.D1.T, "query x train")):
        report = judge_scores(scores, truth)
        assert report.orientation == expected
        assert "There are as many points as queries" in str(report)
        assert report.estimates == "D1"


@cache
def small():
    rng = np.random.default_rng(5)
    X = np.column_stack([np.ones(7), rng.standard_normal((7, 2))])
    return Truth.of(Logistic(X, [0, 1, 0, 1, 1, 0, 1], X[:4] + 0.3, l2=0.1), y_query=[0, 1, 1, 0], name="small")


KINDS = [what for what, *_ in distortions(small(), np.random.default_rng(0))]
CASES = [(name, what) for name in ("small", "two_moons_young", "iris") for what in KINDS]


@pytest.mark.parametrize(("name", "what"), CASES)
def test_the_cause_of_a_distortion_is_named_and_no_other(name, what):
    truth = truth_of(name)
    made = {w: (s, c) for w, s, c in distortions(truth, np.random.default_rng(1))}
    if what not in made:
        pytest.skip("the inverse is rounding, because the matrix is singular")
    scores, expected = made[what]
    assert set(judge_scores(scores, truth).causes) == expected


@pytest.mark.parametrize("number", [0.0, 0.3, np.nan])
def test_constant_scores_estimate_nothing(number):
    report = judge_scores(np.full((7, 4), number), small())
    assert (report.estimates, report.explained) == ("nothing", False)
    assert "constant" in report.causes
    json.loads(json.dumps(report.to_json(), allow_nan=False))


def test_right_scores_are_right_by_every_measure():
    report = judge_scores(small().D1, small())
    assert (report.estimates, report.orientation, report.sign, report.causes) == ("D1", "train x query", 1, ())
    measure = report.measures["D1"]
    assert (measure.slope, measure.relative_error, measure.error_after_scaling, measure.spearman) == (1.0, 0.0, 0.0, 1.0)
    assert report.scale == 1.0


@pytest.mark.parametrize("quantity", ["D1", "loo", "beta", "shapley"])
@pytest.mark.parametrize("target", ["margin", "loss"])
def test_every_exact_effect_is_recognised_on_margins_and_losses(quantity, target):
    report = judge_scores(small().effect(quantity, target), small(), target)
    assert (report.estimates, report.causes, report.mismatch) == (quantity, (), 0.0)


@given(
    factor=st.floats(1e-3, 1e3),
    turned=st.booleans(),
    transposed=st.booleans(),
    quantity=st.sampled_from(["D1", "loo", "beta", "shapley"]),
    target=st.sampled_from(["margin", "loss"]),
    other=st.booleans(),
)
def test_any_factor_sign_orientation_and_target_are_found_together(factor, turned, transposed, quantity, target, other):
    truth = small()
    asked = {"margin": "loss", "loss": "margin"}[target] if other else target
    scores = (-factor if turned else factor) * truth.effect(quantity, target)
    report = judge_scores(scores.T if transposed else scores, truth, asked)
    assert report.estimates == quantity
    assert report.orientation == ("query x train" if transposed else "train x query")
    np.testing.assert_allclose(report.factor, -factor if turned else factor, rtol=1e-12)
    assert ("other target" in report.causes) == other
    assert ("sign" in report.causes) == turned
    assert report.sign == (-1 if turned else 1)


@given(damping=st.floats(1e-3, 10.0), factor=st.sampled_from([1.0, -7.0]))
def test_a_damping_is_found_and_its_size_is_told(damping, factor):
    truth = small()
    matrices = truth.model.hessian + damping * np.eye(truth.model.hessian.shape[1])
    report = judge_scores(factor * inverse_products(truth, matrices), truth)
    if abs(damping - truth.l2) > 1e-6:
        assert "damping" in report.causes
        assert float(report.estimates.split()[1]) == pytest.approx(damping, rel=1e-3)


def test_scores_of_one_seed_are_judged_by_its_own_truth():
    truth = truth_of("two_moons_young")
    own = truth.effects["D1"][3]
    assert judge_scores(own, truth, seed=3).causes == ()
    assert judge_scores(own, truth).mismatch > 0.05


def test_an_attribution_of_the_project_is_judged_as_it_is():
    learner = LeastSquares([[1.0], [2.0], [0.5]], [2.0, 3.0, 1.0], [[1.0], [2.0]], l2=1.0)
    report = judge_scores(influence(learner.linearize(np.ones(3), (0,))), Truth.of(learner))
    assert (report.estimates, report.causes) == ("D1", ())


def test_the_errors_of_a_drawn_truth_enter_its_measures():
    rng = np.random.default_rng(0)
    X = np.column_stack([np.ones(12), rng.standard_normal(12)])
    learner = Logistic(X, np.arange(12) % 2, X[:3], l2=0.1)
    drawn, exact = (Truth.of(learner, most_exact=most, n_retrainings=400) for most in (0, 12))
    measure = judge_scores(exact.beta, drawn).measures["beta"]
    assert 0.0 < measure.errors[0] < 0.1
    assert abs(measure.slope - 1.0) < 6.0 * measure.errors[0] + 0.02
    assert judge_scores(exact.beta, exact).measures["beta"].errors == (0.0,) * 5


def test_the_errors_over_seeds_are_those_of_means_over_all_seeds_but_one():
    truth, scores = truth_of("two_moons_young"), truth_of("two_moons_young").loo
    each = truth.effects["D1"]
    found = judge_scores(scores, truth).measures["D1"]
    without = [each[[k for k in range(len(each)) if k != r]].mean(axis=0) for r in range(len(each))]
    slopes = [float((scores * d).sum() / (d * d).sum()) for d in without]
    spread = sum((slope - sum(slopes) / len(slopes)) ** 2 for slope in slopes)
    assert found.errors[0] == pytest.approx(((len(each) - 1) / len(each) * spread) ** 0.5, rel=1e-9)  # Efron & Stein 1981


def test_the_lds_is_that_of_the_scores_with_the_right_sign():
    right, turned = (judge_scores(sign * small().D1, small()) for sign in (1.0, -3.0))
    assert right.lds == turned.lds
    assert min(own for own, _ in right.lds.values()) > 0.0


def test_the_lds_of_all_subsets_is_what_many_drawn_subsets_estimate():
    truth, rng, p = small(), np.random.default_rng(3), 0.75
    masks = rng.random((40_000, 7)) < p
    rows = masks @ (1 << np.arange(7))
    from theory.metrics import lds

    drawn = lds(masks @ truth.D1, truth.table[rows])
    assert abs(judge_scores(truth.D1, truth).lds[p][0] - drawn) < 0.01


def test_no_factor_leaves_less_than_the_mismatch():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 5, 3))
    steps = np.linspace(-3.0, 3.0, 60_001)
    least = min(np.linalg.norm(a - c * b) for c in steps) / np.linalg.norm(a)
    assert mismatch(a, b) == pytest.approx(least, rel=1e-6)


def test_an_order_is_found_for_scores_of_either_sign():
    rng = np.random.default_rng(0)
    b, order = rng.standard_normal((6, 5)), np.array([3, 0, 4, 1, 2])
    for sign in (1.0, -1.0):
        found, left = reordered(sign * b[:, order], b, axis=1)
        assert found.tolist() == order.tolist()
        assert left < 1e-15


def test_a_report_prints_converts_and_is_json():
    report = judge_scores(-7.0 * small().D1.T, small())
    assert "They are N = 7 times too large" in str(report)
    assert "sign, times N" in repr(report)
    assert report.to_dataframe()["effect"].tolist() == ["D1", "loo", "beta", "shapley"]
    assert json.loads(json.dumps(report.to_json()))["factor"] == -7.0
    assert report.headline == "the scores are -7 times D(1)"


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        (np.zeros((3, 3)), r"scores have shape \(3, 3\), expected \(7, 4\)"),
        (np.zeros((7, 3)), "has 7 points and 4 queries"),
        (np.full((7, 4), "a"), "not an array of numbers but of text"),
        (np.zeros((7, 4), dtype=complex), "but of complex numbers"),
        (np.zeros((7, 4), dtype=object), "but of objects"),
        (np.zeros((7, 4), dtype=bool), "expected an array of real numbers"),
        (np.ma.masked_equal(np.ones((7, 4)), 1.0), "masked"),
        (None, "not an array of numbers"),
        (np.zeros((2, 7, 4)), "scores have shape"),
    ],
)
def test_what_cannot_be_scores_is_refused_by_name(scores, words):
    with pytest.raises(ValueError, match=words):
        judge_scores(scores, small())


def test_a_truth_without_losses_or_derivatives_is_enough_for_margins():
    learner = KernelSum([[0.0], [1.0], [2.0]], [1.0, 3.0, -1.0], [[0.0], [1.5]])
    with pytest.raises(ValueError, match="has no l2"):
        Truth.of(learner)
    truth = dataclasses.replace(small(), model=None)
    assert judge_scores(-truth.D1, truth).causes == ("sign",)
    bare = Truth.of(Logistic([[1.0], [1.0]], [1, 0], [[1.0]], l2=0.5))
    with pytest.raises(ValueError, match="has no losses"):
        judge_scores(bare.D1, bare, "loss")


def test_a_network_that_was_stopped_early_tells_influence_from_the_derivative():
    truth = truth_of("two_moons_young")
    found = judge_scores(inverse_products(truth, truth.model.hessian), truth)
    assert (found.estimates, found.causes) == ("influence", ())
