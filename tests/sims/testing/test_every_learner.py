"""Every learner of the registry keeps every law of the contract, and the contract sees a derivative that is wrong by a factor."""

import numpy as np
import pytest
import strategies
from assertions import assert_identical
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from learner_registry import REGISTRY

import sims.learners
from sims.testing import check_learner
from sims.testing import laws as contract
from sims.testing import report as testing
from theory.response import DifferentiableLearner, LinearizableLearner

MANY = (5, 0, 3)
FEW = settings(max_examples=max(2, settings.default.max_examples // 5))  # of each of many learners
every_kind = pytest.mark.parametrize("kind", REGISTRY)
every_kind_on_other_rows = pytest.mark.parametrize("kind", [kind for kind, entry in REGISTRY.items() if entry.other_rows])
every_kind_with_its_options = pytest.mark.parametrize(
    ("kind", "options"),
    [
        pytest.param(kind, options, id=", ".join([kind, *map(str, options.values())]))
        for kind, entry in REGISTRY.items()
        for options in entry.options
        if entry.smooth
    ],
)


@st.composite
def learners(draw, kind, options=None):
    """A learner whose Hessian has condition number below 1e3, with any one point deleted too (see contract.RTOL)."""
    X, X_query, rng = draw(strategies.designs(min_points=5))
    deletions = [np.delete(X, i, axis=0) for i in range(len(X))]
    assume(max(np.linalg.cond(rows) for rows in (X, *deletions)) < 10.0)  # weights 0.2 to 2 add sqrt(10)
    return REGISTRY[kind].make(X, X_query, rng, **(draw(st.sampled_from(REGISTRY[kind].options)) if options is None else options))


def fixed_learner(kind):
    """One of the kind, on six points and two queries."""
    X, X_query = np.random.default_rng(0).standard_normal((2, 6, 2))
    return REGISTRY[kind].make(X, X_query[:2], np.random.default_rng(1))


def weights_for(data, learner, rows=None):
    """Drawn weights (N,), or (rows, N), between 0.2 and 2."""
    shape = learner.n_points if rows is None else rows * learner.n_points
    drawn = data.draw(strategies.interior_weights(shape), label="weights")
    return drawn if rows is None else drawn.reshape(rows, -1)


def test_every_learner_that_the_package_exports_is_registered():
    registered = {type(fixed_learner(kind)).__name__ for kind in REGISTRY}
    assert registered == set(sims.learners.__all__)


@every_kind
def test_every_learner_passes_what_users_ask_their_own_for(kind, monkeypatch):
    monkeypatch.setattr(testing, "PATIENCE", np.inf)  # no law is skipped on a busy machine
    report = check_learner(fixed_learner(kind))
    report.raise_if_broken()
    always = {"answers are finite", "seeds decide", "place in a long batch is free", "Jacobian is the derivative"}
    assert always <= set(report.passed)
    assert ("weight 0 is deletion" in report.passed) == REGISTRY[kind].other_rows
    assert len(report.passed) + len(report.skipped) == len(testing._LIKELY)
    assert all(finding.reason for finding in report.skipped)


@every_kind_on_other_rows
@FEW
@given(data=st.data())
def test_weight_zero_equals_deletion(kind, data):
    learner = data.draw(learners(kind))
    contract.check_weight_zero_is_deletion(
        learner, weights_for(data, learner), data.draw(st.integers(0, learner.n_points - 1), label="point")
    )


@every_kind_on_other_rows
@FEW
@given(data=st.data())
def test_weight_two_equals_a_duplicate_row(kind, data):
    learner = data.draw(learners(kind))
    contract.check_weight_two_is_duplicate(
        learner, weights_for(data, learner), data.draw(st.integers(0, learner.n_points - 1), label="point")
    )


@every_kind_on_other_rows
@FEW
@given(data=st.data())
def test_order_of_points_changes_nothing_but_the_order_of_the_jacobian(kind, data):
    learner = data.draw(learners(kind))
    order = data.draw(st.permutations(range(learner.n_points)), label="order")
    contract.check_order_of_points_is_free(learner, weights_for(data, learner), order)


@every_kind
@FEW
@given(data=st.data())
def test_batch_equals_stacked_single_rows_and_no_rows_give_no_answers(kind, data):
    learner = data.draw(learners(kind))
    contract.check_batch_equals_singles(learner, weights_for(data, learner, rows=5))


@every_kind_with_its_options
@FEW
@given(data=st.data())
def test_derivative_equals_finite_differences_at_interior_weights(kind, options, data):
    learner = data.draw(learners(kind, options))
    contract.check_derivative(learner, weights_for(data, learner), MANY)


@every_kind_with_its_options
@FEW
@given(data=st.data())
def test_derivative_is_one_sided_where_a_weight_is_zero(kind, options, data):
    learner, most = data.draw(learners(kind, options)), REGISTRY[kind].may_be_absent
    weights, points = weights_for(data, learner), range(learner.n_points)
    absent = st.lists(st.sampled_from(points), min_size=1, max_size=most or 2, unique=True)
    weights[data.draw(absent if most else absent | st.just(list(points)), label="absent")] = 0.0
    contract.check_derivative(learner, weights, MANY)


@every_kind
@FEW
@given(data=st.data())
def test_inputs_are_neither_modified_nor_kept(kind, data):
    learner = data.draw(learners(kind))
    contract.check_inputs_are_left_alone(learner, weights_for(data, learner, rows=data.draw(st.integers(1, 3))))
    contract.check_data_are_copied(learner, weights_for(data, learner, rows=data.draw(st.integers(1, 3))))


@every_kind
@FEW
@given(data=st.data())
def test_each_seed_has_its_entry_and_always_the_same_bits(kind, data):
    learner = data.draw(learners(kind))
    contract.check_seeds(learner, weights_for(data, learner, rows=2))


@pytest.mark.parametrize("kind", [kind for kind, entry in REGISTRY.items() if entry.same_bits])
@FEW
@given(data=st.data(), rows=st.integers(1, 40))
def test_a_row_gives_the_same_bits_alone_in_a_batch_and_in_any_memory_layout(kind, data, rows):
    learner = data.draw(learners(kind))
    weights = weights_for(data, learner, rows)
    for method in contract.methods(learner).values():
        answers = method(weights, MANY)
        assert_identical(np.concatenate([method(row[None], MANY) for row in weights]), answers, call="rows alone")
        assert_identical(method(np.asfortranarray(weights), MANY), answers, call="one point after the other in memory")


@every_kind
def test_learners_are_what_theory_calls_differentiable_and_linearizable(kind):
    learner = fixed_learner(kind)
    assert isinstance(learner, DifferentiableLearner)
    assert isinstance(learner, LinearizableLearner) == REGISTRY[kind].linearizes


@every_kind
@pytest.mark.parametrize("method", ["respond", "weight_jacobian"])
def test_weights_of_another_shape_or_sign_and_unusable_seeds_are_refused(kind, method):
    learner = fixed_learner(kind)
    ask, n = getattr(learner, method), learner.n_points
    with pytest.raises(ValueError, match=rf"weights has shape \(1, {n + 1}\), expected \(B, {n}\)"):
        ask(np.ones((1, n + 1)), (0,))
    with pytest.raises(ValueError, match="expected >= 0"):
        ask(-np.ones((1, n)), (0,))
    with pytest.raises(ValueError, match="must be distinct"):
        ask(np.ones((1, n)), (1, 1))
    with pytest.raises(ValueError, match="seeds is empty"):
        ask(np.ones((1, n)), ())


class _WrongDerivative:
    """A learner whose Jacobian is off by a factor, everything else being right."""

    def __init__(self, learner, factor):
        self.learner, self.factor = learner, factor
        self.n_points, self.n_outputs, self.respond = learner.n_points, learner.n_outputs, learner.respond

    def weight_jacobian(self, weights, seeds):
        return self.factor * self.learner.weight_jacobian(weights, seeds)


every_smooth_kind = pytest.mark.parametrize("kind", [kind for kind, entry in REGISTRY.items() if entry.smooth])


@every_smooth_kind
@pytest.mark.parametrize("factor", [2.0, 6.0, 1.0 / 6.0, -1.0, 1.0 + 1e-7])
def test_contract_sees_a_derivative_off_by_2_or_n_or_the_sign(kind, factor):
    learner = fixed_learner(kind)
    weights = np.random.default_rng(3).uniform(0.5, 1.5, learner.n_points)
    contract.check_derivative(_WrongDerivative(learner, 1.0), weights)
    with pytest.raises(AssertionError, match="differs by"):
        contract.check_derivative(_WrongDerivative(learner, factor), weights)


@every_smooth_kind
def test_contract_sees_a_jacobian_whose_points_are_rotated(kind):
    learner = fixed_learner(kind)
    rotated = _WrongDerivative(learner, 1.0)
    rotated.weight_jacobian = lambda weights, seeds: np.roll(learner.weight_jacobian(weights, seeds), 1, axis=-1)
    with pytest.raises(AssertionError, match="differs by"):
        contract.check_derivative(rotated, np.ones(learner.n_points))
