"""Second derivatives and their averages, against pairs of the table (T17), closed forms, and differences with their errors."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from assertions import assert_close, assert_identical

from sims.learners import MLP, KernelSum, LeastSquares, Logistic
from sims.learners.linear.erm import NORMALIZATIONS
from sims.retrain import response_table
from theory.datamodel import optimal_datamodel, optimal_pair_datamodel, quadrature_datamodel
from theory.laws import Bernoulli, FixedSize, Gaussian, TwoPoint
from theory.response import mean_response, weight_second_derivative
from theory.second_derivatives import average_second_derivative, second_difference
from theory.subsets import all_masks

RNG = np.random.default_rng(5)


def data(n, d=3):
    X = RNG.standard_normal((n, d))
    X[:, 0] = 1.0
    return X, np.arange(n) % 2.0, X[:2] + 0.3


LOGISTIC = Logistic(*data(8), l2=0.1)
SMALL = Logistic(*data(4), l2=0.1)
RIDGE = LeastSquares(*data(4), l2=0.1)
NETWORK = MLP(*data(5, 2), hidden=(2,), steps=15, learning_rate=0.3, l2=0.01)


@dataclass(frozen=True)
class FirstOnly:
    """A learner that hides its second derivatives."""

    of: object
    seen: list = field(default_factory=list)

    n_points = property(lambda self: self.of.n_points)
    n_outputs = property(lambda self: self.of.n_outputs)

    def respond(self, weights, seeds):
        return self.of.respond(weights, seeds)

    def weight_jacobian(self, weights, seeds):
        self.seen.append(len(weights))
        return self.of.weight_jacobian(weights, seeds)


class HessianOnly(FirstOnly):
    """A learner with `weight_hessian` alone."""

    def weight_hessian(self, weights, seeds):
        return self.of.weight_hessian(weights, seeds)


def relative(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


# --- T17 ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.5, 0.8])
def test_the_average_is_the_pair_coefficient_of_logistic_regression(p):
    pairs = optimal_pair_datamodel(response_table(LOGISTIC, [0]).mean, Bernoulli(p)).pairs
    assert relative(average_second_derivative(LOGISTIC, Bernoulli(p), [0]), pairs) <= 1e-8


def test_the_average_is_the_pair_coefficient_of_a_network():
    pairs = optimal_pair_datamodel(response_table(NETWORK, [3]).mean, Bernoulli(0.6)).pairs
    assert relative(average_second_derivative(NETWORK, Bernoulli(0.6), [3], nodes=8), pairs) <= 1e-8


def test_the_average_is_over_seeds_too():
    one = MLP(*data(3, 2), hidden=(2,), steps=5)
    each = [average_second_derivative(one, Bernoulli(0.5), [seed], nodes=4) for seed in (0, 1)]
    assert_close(average_second_derivative(one, Bernoulli(0.5), [0, 1], nodes=4), np.mean(each, axis=0), rtol=1e-10)


@pytest.mark.parametrize("learner", [SMALL, RIDGE], ids=["logistic", "ridge"])
def test_laws_of_two_other_levels_have_their_own_zero_bias_law(learner):
    law = TwoPoint(0.5)
    table = mean_response(learner, 0.5 + all_masks(4), [0])
    assert relative(average_second_derivative(learner, law, [0]), optimal_pair_datamodel(table, law).pairs) <= 1e-8


def test_gaussian_weights_give_the_second_derivative_at_one_in_the_limit():
    """E d_i d_j F (1 + s z) = d_i d_j F(1) + O(s^2): the error falls by 4 as s is halved."""
    dense = np.moveaxis(SMALL.weight_hessian(np.ones(4), [0]).dense, 0, 2) * (1.0 - np.eye(4))[:, :, None]
    errors = [relative(average_second_derivative(SMALL, Gaussian(s), [0], nodes=4), dense) for s in (0.04, 0.02)]
    assert errors[1] < 1e-2
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.05)
    assert quadrature_datamodel(SMALL, Gaussian(0.02), [0], nodes=4).coefficients.shape == (4, 2)


@pytest.mark.parametrize("p", [0.3, 0.9])
def test_row_sums_are_the_slope_of_beta_in_p(p):
    """Central differences of beta^(p), a polynomial of degree 7 in p, with two steps extrapolated."""
    table = response_table(LOGISTIC, [0]).mean

    def slope(h):
        ahead, behind = (optimal_datamodel(table, Bernoulli(p + sign * h)).coefficients for sign in (1, -1))
        return (ahead - behind) / (2.0 * h)

    expected = (4.0 * slope(5e-3) - slope(1e-2)) / 3.0
    assert relative(average_second_derivative(LOGISTIC, Bernoulli(p), [0], nodes=8).sum(axis=1), expected) <= 1e-6


def test_an_additive_response_has_no_pairs():
    average = average_second_derivative(KernelSum(*data(3)), Bernoulli(0.5), [0])
    assert_identical(average, np.zeros((3, 3, 2)))


def test_one_point_has_no_pairs():
    assert_identical(
        average_second_derivative(LeastSquares([[1.0]], [1.0], [[1.0]], l2=1.0), Bernoulli(0.5), [0]), np.zeros((1, 1, 1))
    )


def test_it_is_symmetric_with_an_empty_diagonal():
    average = average_second_derivative(SMALL, Bernoulli(0.5), [0], nodes=4)
    assert_identical(average, average.swapaxes(0, 1))
    assert not np.diagonal(average).any()


# --- where second derivatives come from -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("of", [FirstOnly, HessianOnly])
def test_every_source_of_second_derivatives_gives_the_same_average(of):
    expected = average_second_derivative(SMALL, Bernoulli(0.7), [0], nodes=3)
    assert_close(average_second_derivative(of(SMALL), Bernoulli(0.7), [0], nodes=3), expected, rtol=1e-7)


@pytest.mark.parametrize("normalization", [name for name in NORMALIZATIONS if name != "support"])
@pytest.mark.parametrize("kind", [Logistic, LeastSquares])
def test_the_batched_second_derivative_is_an_entry_of_the_hessian(kind, normalization):
    learner = kind(*data(5), l2=0.2, normalization=normalization)
    weights = np.random.default_rng(0).uniform(0.1, 1.5, (3, 5))
    hessians = np.stack([learner.weight_hessian(w, [0]).dense for w in weights])
    for i, j in ((0, 1), (4, 2), (3, 3)):
        found = learner.weight_second_derivative(weights, [0, 1], i, j)
        assert found.shape == (3, 2, 2)
        assert_identical(found[:, 0], found[:, 1])
        assert_close(found[:, 0], hessians[:, :, i, j], rtol=1e-9, atol=1e-12 * np.abs(hessians).max())


def test_differences_know_their_own_error():
    """Inside, at a small weight, and at weight 0 from above; the truth is in closed form."""
    learner = LeastSquares([[1.0]], [1.0], [[1.0]], l2=1.0)  # F'' = -2 / (w + 1)^3
    w = np.array([[0.0], [1e-3], [0.1], [1.0]])
    found = second_difference(learner, w, [0], 0, 0)
    miss = np.abs(found.derivative + 2.0 / (w + 1.0) ** 3)
    assert (miss <= 10.0 * found.error + 1e-13).all()
    assert miss.max() < 1e-7
    mixed = second_difference(SMALL, np.full((1, 4), 0.5), [0], 1, 2)
    assert_close(mixed.derivative, SMALL.weight_second_derivative(np.full((1, 4), 0.5), [0], 1, 2)[:, 0], rtol=1e-9)


@pytest.mark.parametrize("learner", [SMALL, RIDGE, NETWORK], ids=["logistic", "ridge", "network"])
def test_points_that_are_none_are_refused(learner):
    for pair, name in (((0, 9), "other"), ((-1, 0), "point"), ((0, 1.5), "other")):
        with pytest.raises(ValueError, match=f"{name} = .*expected a"):
            learner.weight_second_derivative(np.ones((1, learner.n_points)), [0], *pair)


@pytest.mark.parametrize(("pair", "name"), [((0, 4), "other"), ((-1, 0), "point"), ((0, 1.5), "other")])
def test_differences_refuse_points_that_are_none(pair, name):
    with pytest.raises(ValueError, match=f"{name} = .*expected a"):
        second_difference(SMALL, np.ones((1, 4)), [0], *pair)


def test_an_optimum_that_is_not_unique_is_named():
    learner = LeastSquares(*data(4), l2=0.0, undefined="min_norm")
    with pytest.raises(ValueError, match=r"subset \{0, 1\} .* no unique optimum"):
        learner.weight_second_derivative([[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 0.0, 0.0]], [0], 0, 1)


# --- what is refused ------------------------------------------------------------------------------------------------------------


class Rough(FirstOnly):
    """D_0 = cos(10^5 w_1): no step is small enough."""

    def weight_jacobian(self, weights, seeds):
        jacobian = np.zeros((len(weights), len(seeds), self.n_outputs, self.n_points))
        jacobian[..., 0] = np.cos(1e5 * np.asarray(weights)[:, 1])[:, None, None]
        return jacobian


def test_differences_that_do_not_converge_are_refused():
    with pytest.raises(ArithmeticError, match=r"differences of the weight_jacobian of Rough"):
        average_second_derivative(Rough(SMALL), Bernoulli(0.5), [0], nodes=16)


class Jumping(FirstOnly):
    """d_0 d_1 F = 1 where w_1 > 1/3, else 0: no number of nodes integrates it."""

    def weight_second_derivative(self, weights, seeds, point, other):
        jump = (np.asarray(weights)[:, 1] > 1.0 / 3.0).astype(float)
        return np.broadcast_to(jump[:, None, None], (len(weights), len(seeds), self.n_outputs))


def test_a_quadrature_that_does_not_settle_is_refused_and_given_nodes_are_used():
    with pytest.raises(ArithmeticError, match=r"still changes by .* at 48 nodes, expected"):
        average_second_derivative(Jumping(SMALL), Bernoulli(0.5), [0])
    found = average_second_derivative(Jumping(SMALL), Bernoulli(0.5), [0], nodes=48)
    assert found[0, 1, 0] == pytest.approx(2.0 / 3.0, abs=0.02)


@pytest.mark.parametrize("law", [FixedSize(2), Bernoulli, None])
def test_laws_that_are_no_product_laws_are_refused(law):
    with pytest.raises(TypeError, match="expected a product law"):
        average_second_derivative(SMALL, law, [0])


def test_laws_without_levels_need_nodes():
    with pytest.raises(ValueError, match="nodes is missing"):
        average_second_derivative(SMALL, Gaussian(0.1), [0])


def test_a_learner_without_derivatives_is_refused():
    class Plain:
        n_points, n_outputs = 2, 1

        def respond(self, weights, seeds):
            return np.ones((len(weights), len(seeds), 1))

    with pytest.raises(TypeError, match="Plain has no weight_jacobian, expected"):
        average_second_derivative(Plain(), Bernoulli(0.5), [0])


def test_a_learner_answers_in_the_right_shape_or_is_named():
    class Wrong(FirstOnly):
        def weight_second_derivative(self, weights, seeds, point, other):
            return np.ones((len(weights), 1))

    with pytest.raises(ValueError, match=r"Wrong.*weight_second_derivative returned shape"):
        weight_second_derivative(Wrong(SMALL), np.ones((2, 4)), [0], 0, 1)
