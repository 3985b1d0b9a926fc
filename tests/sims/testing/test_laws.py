"""Every learner passes the contract under every normalisation, and the contract sees a derivative that is wrong by a factor."""

import numpy as np
import pytest
import strategies
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sims.learners import LeastSquares, Logistic
from sims.learners.linear.erm import NORMALIZATIONS
from sims.testing import laws as contract
from theory.response import BLOCK, DifferentiableLearner, LinearizableLearner


def _ridge(X, X_query, rng, **options):
    return LeastSquares(X, rng.standard_normal(len(X)), X_query, l2=10.0 ** rng.integers(-2, 1), **options)


def _least_squares(X, X_query, rng, **options):
    return LeastSquares(X, rng.standard_normal(len(X)), X_query, l2=0.0, **options)


def _min_norm(X, X_query, rng, **options):
    """Fewer directions than columns, and more points than directions: no interpolation, the optimum depends on the weights."""
    embed = np.linalg.qr(rng.standard_normal((X.shape[1] + 2, X.shape[1])))[0].T
    y = rng.standard_normal(len(X))
    return LeastSquares(X @ embed, y, rng.standard_normal((len(X_query), embed.shape[1])), undefined="min_norm", **options)


def _penalised_logistic(X, X_query, rng, **options):
    y = (rng.random(len(X)) < 0.5).astype(float)
    y[:4] = 0.0, 1.0, 0.0, 1.0  # both classes survive the deletion of a point
    return Logistic(X, y, X_query, l2=10.0 ** rng.integers(-2, 1), **options)


def _logistic(X, X_query, rng, **options):
    """Every row of X with both labels: no direction separates, whatever the positive weights and whichever point is deleted."""
    y = np.repeat([0.0, 1.0], len(X))
    return Logistic(np.concatenate([X, X]), y, X_query, l2=0.0, **options)


KINDS = {f.__name__[1:]: f for f in (_ridge, _least_squares, _min_norm, _penalised_logistic, _logistic)}
every_kind = pytest.mark.parametrize("kind", KINDS)


@st.composite
def learners(draw, kind, normalizations=NORMALIZATIONS):
    """A learner whose Hessian has condition number below 1e3, with any one point deleted too (see contract.RTOL)."""
    X, X_query, rng = draw(strategies.designs(min_points=5))
    deletions = [np.delete(X, i, axis=0) for i in range(len(X))]
    assume(max(np.linalg.cond(rows) for rows in (X, *deletions)) < 10.0)  # weights 0.2 to 2 add sqrt(10)
    return KINDS[kind](X, X_query, rng, normalization=draw(st.sampled_from(normalizations)))


def weights_for(data, learner, rows=None):
    """Drawn weights (N,), or (rows, N), between 0.2 and 2."""
    shape = learner.n_points if rows is None else rows * learner.n_points
    drawn = data.draw(strategies.interior_weights(shape), label="weights")
    return drawn if rows is None else drawn.reshape(rows, -1)


@every_kind
@given(data=st.data())
def test_weight_zero_equals_deletion(kind, data):
    learner = data.draw(learners(kind))
    contract.check_weight_zero_is_deletion(
        learner, weights_for(data, learner), data.draw(st.integers(0, learner.n_points - 1), label="point")
    )


@every_kind
@given(data=st.data())
def test_weight_two_equals_a_duplicate_row(kind, data):
    learner = data.draw(learners(kind))
    contract.check_weight_two_is_duplicate(
        learner, weights_for(data, learner), data.draw(st.integers(0, learner.n_points - 1), label="point")
    )


@every_kind
@given(data=st.data())
def test_order_of_points_changes_nothing_but_the_order_of_the_jacobian(kind, data):
    learner = data.draw(learners(kind))
    order = data.draw(st.permutations(range(learner.n_points)), label="order")
    contract.check_order_of_points_is_free(learner, weights_for(data, learner), order)


@every_kind
@settings(max_examples=20)
@given(data=st.data())
def test_batch_equals_stacked_single_rows_and_no_rows_give_no_answers(kind, data):
    learner = data.draw(learners(kind))
    contract.check_batch_equals_singles(learner, weights_for(data, learner, rows=5))


@every_kind
@settings(max_examples=3)
@given(data=st.data())
def test_answers_do_not_depend_on_the_position_in_a_batch_longer_than_a_block(kind, data):
    learner = data.draw(learners(kind))
    contract.check_blocks_do_not_matter(learner, weights_for(data, learner, rows=7), BLOCK)


@every_kind
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@settings(max_examples=15)
@given(data=st.data())
def test_derivative_equals_finite_differences_at_interior_weights(kind, normalization, data):
    learner = data.draw(learners(kind, [normalization]))
    contract.check_derivative(learner, weights_for(data, learner))


@every_kind
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@settings(max_examples=15)
@given(data=st.data())
def test_derivative_is_one_sided_where_a_weight_is_zero(kind, normalization, data):
    learner = data.draw(learners(kind, [normalization]))
    weights = weights_for(data, learner)
    points = range(learner.n_points)
    some = st.lists(st.sampled_from(points), min_size=1, max_size=2 if learner.l2 > 0.0 else 1, unique=True)
    every = st.just(list(points))
    weights[data.draw(some | every if learner.l2 > 0.0 else some, label="absent")] = 0.0
    contract.check_derivative(learner, weights)


@every_kind
@settings(max_examples=20)
@given(data=st.data())
def test_inputs_are_neither_modified_nor_kept(kind, data):
    learner = data.draw(learners(kind))
    contract.check_inputs_are_left_alone(learner, weights_for(data, learner, rows=data.draw(st.integers(1, 3))))
    contract.check_data_are_copied(learner, weights_for(data, learner, rows=data.draw(st.integers(1, 3))))


@every_kind
@settings(max_examples=20)
@given(data=st.data())
def test_each_seed_has_its_entry_and_always_the_same_bits(kind, data):
    learner = data.draw(learners(kind))
    contract.check_seeds(learner, weights_for(data, learner, rows=2))


@every_kind
@settings(max_examples=5)
@given(data=st.data())
def test_learners_are_what_theory_calls_differentiable_and_linearizable(kind, data):
    learner = data.draw(learners(kind))
    assert isinstance(learner, DifferentiableLearner)
    assert isinstance(learner, LinearizableLearner)


class _WrongDerivative:
    """A learner whose Jacobian is off by a factor, everything else being right."""

    def __init__(self, learner, factor):
        self.learner, self.factor = learner, factor
        self.n_points, self.n_outputs, self.respond = learner.n_points, learner.n_outputs, learner.respond

    def weight_jacobian(self, weights, seeds):
        return self.factor * self.learner.weight_jacobian(weights, seeds)


@every_kind
@pytest.mark.parametrize("factor", [2.0, 6.0, 1.0 / 6.0, -1.0, 1.0 + 1e-7])
def test_contract_sees_a_derivative_off_by_2_or_n_or_the_sign(kind, factor):
    rng = np.random.default_rng(3)
    X, X_query = rng.standard_normal((2, 6, 2))
    learner = KINDS[kind](X, X_query, rng)
    weights = rng.uniform(0.5, 1.5, learner.n_points)
    contract.check_derivative(_WrongDerivative(learner, 1.0), weights)
    with pytest.raises(AssertionError, match="differs by"):
        contract.check_derivative(_WrongDerivative(learner, factor), weights)


@every_kind
def test_contract_sees_a_jacobian_whose_points_are_rotated(kind):
    rng = np.random.default_rng(3)
    X, X_query = rng.standard_normal((2, 6, 2))
    learner = KINDS[kind](X, X_query, rng)
    rotated = _WrongDerivative(learner, 1.0)
    rotated.weight_jacobian = lambda weights, seeds: np.roll(learner.weight_jacobian(weights, seeds), 1, axis=-1)
    with pytest.raises(AssertionError, match="differs by"):
        contract.check_derivative(rotated, np.ones(learner.n_points))
