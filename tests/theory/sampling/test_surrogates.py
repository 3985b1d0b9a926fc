"""Control variates: closed forms against exact tables, Taylor expansions against differences, and what they save."""

import numpy as np
import pytest
import strategies
from assertions import assert_close, assert_identical
from hypothesis import given, settings
from hypothesis import strategies as st

from sims.learners import MLP, Bistable, LeastSquares, Logistic, OneStep
from sims.retrain import response_table
from theory.datamodel import fit_sampled, optimal_datamodel
from theory.derivatives import finite_difference
from theory.laws import Bernoulli, FixedSize
from theory.response import WeightHessian, mean_response, weight_derivative
from theory.sampling.designs import antithetic, independent
from theory.sampling.surrogates import Cost, Prices, Quadratic, fit_with_surrogate, measured_prices, taylor_surrogate
from theory.subsets import all_masks


@st.composite
def quadratics(draw, min_points=1, max_points=6):
    n, m, k = draw(st.integers(min_points, max_points)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(strategies.SEEDS))
    hessian = WeightHessian(rng.standard_normal((m, n, k)), rng.standard_normal((n, k)))
    return Quadratic(rng.uniform(0.0, 1.0, n), rng.standard_normal(m), rng.standard_normal((n, m)), hessian)


def small_learners():
    rng = np.random.default_rng(3)
    X, y = rng.standard_normal((6, 2)), np.arange(6) % 2
    X[:, 0] = 1.0
    yield Logistic(X, y, X[:2], l2=0.1)
    yield Logistic(X, y, X[:2], l2=0.1, normalization="weight_sum")
    yield LeastSquares(X, y + X[:, 1], X[:2], l2=0.1)
    yield LeastSquares(X, y + X[:, 1], X[:2], l2=0.1, normalization="weight_sum")


def population(n_points, n_columns, l2, seed=0):
    """A converged logistic regression on data from a logistic model, with 8 queries."""
    rng = np.random.default_rng(seed)
    X, X_query = rng.standard_normal((n_points, n_columns)), rng.standard_normal((8, n_columns))
    X[:, 0] = X_query[:, 0] = 1.0
    y = (rng.random(n_points) < 1.0 / (1.0 + np.exp(-X @ rng.standard_normal(n_columns)))).astype(float)
    return Logistic(X, y, X_query, l2=l2)


# --- the exact datamodel of a quadratic -----------------------------------------------------------------------------------------


@given(quadratics(), strategies.PROBABILITIES)
def test_the_datamodel_of_a_quadratic_is_that_of_its_table(quadratic, p):
    exact = optimal_datamodel(quadratic(all_masks(len(quadratic.centre))), Bernoulli(p))
    intercept, coefficients = quadratic.datamodel(Bernoulli(p))
    assert_close(coefficients, exact.coefficients, atol=1e-11)
    assert_close(intercept, exact.intercept, atol=1e-11)


@given(quadratics(min_points=2), st.data())
def test_the_datamodel_of_a_quadratic_on_subsets_of_one_size_is_that_of_its_table(quadratic, data):
    n = len(quadratic.centre)
    law = FixedSize(data.draw(st.integers(1, n - 1), label="k"))
    exact = optimal_datamodel(quadratic(all_masks(n)), law)
    intercept, coefficients = quadratic.datamodel(law)
    assert_close(coefficients, exact.coefficients, atol=1e-11)
    assert_close(intercept, exact.intercept, atol=1e-11)


@given(quadratics(), strategies.SEEDS)
def test_a_hessian_in_factors_is_the_dense_one(quadratic, seed):
    v, dense = np.random.default_rng(seed).standard_normal((5, len(quadratic.centre))), quadratic.hessian.dense
    assert_identical(dense, dense.swapaxes(1, 2))
    assert_close(quadratic.hessian.form(v), np.einsum("bi,mij,bj->bm", v, dense, v), atol=1e-11)
    assert_close(quadratic.hessian.times(v[0]), (dense @ v[0]).T, atol=1e-11)
    assert_close(quadratic.hessian.diagonal, np.diagonal(dense, axis1=1, axis2=2).T, atol=1e-12)


def test_around_p_the_curvature_of_a_point_itself_moves_beta_unless_p_is_one_half():
    """The closed form by hand: beta_i = gradient_i + (1 - 2p) Q_ii / 2 where c = p 1."""
    hessian = WeightHessian(np.full((1, 2, 1), 0.5), np.ones((2, 1)))  # Q_ij = 1
    for p in (0.25, 0.5):
        quadratic = Quadratic(np.full(2, p), np.zeros(1), np.zeros((2, 1)), hessian)
        assert_identical(quadratic.datamodel(Bernoulli(p))[1], np.full((2, 1), 0.5 - p))


# --- Taylor expansions ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("learner", small_learners(), ids=lambda x: f"{type(x).__name__} {x.normalization}")
def test_second_derivatives_in_closed_form_are_the_derivatives_of_the_jacobian(learner):
    """Richardson differences (scipy) of every D_i, whose own error bounds the disagreement."""
    at = np.random.default_rng(0).uniform(0.3, 1.5, 6)

    class Derivative:
        n_points, n_outputs = 6, 12

        def respond(self, weights, seeds):
            return learner.weight_jacobian(weights, seeds).reshape(len(weights), len(seeds), 12)

    numerical = finite_difference(Derivative(), at, [0], initial_step=0.1)
    expected = numerical.derivative.T.reshape(2, 6, 6)
    assert_close(learner.weight_hessian(at, [0]).dense, expected, atol=1e-8 * np.abs(expected).max())


@pytest.mark.parametrize("learner", small_learners(), ids=lambda x: f"{type(x).__name__} {x.normalization}")
@pytest.mark.parametrize("p", [0.5, 0.9])
def test_a_taylor_surrogate_is_right_to_third_order(learner, p):
    surrogate = taylor_surrogate(learner, p, [0])
    direction = np.random.default_rng(1).standard_normal(6)

    def miss(h):
        w = (p + h * direction)[None]
        return np.abs(surrogate(w) - mean_response(learner, w, [0])).max()

    assert miss(0.02) / miss(0.01) == pytest.approx(8.0, rel=0.15)
    assert_identical(surrogate.gradient, weight_derivative(learner, np.full(6, p), [0]))


def network(**options):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((8, 2))
    return MLP(X, (X[:, 0] * X[:, 1] > 0).astype(float), X[:3], hidden=(4,), **{"steps": 60, **options})


def test_without_a_closed_form_second_derivatives_come_from_differences_of_jacobians():
    learner = network()
    surrogate = taylor_surrogate(learner, 0.5, range(3))
    dense = surrogate.hessian.dense
    expected = np.zeros_like(dense)
    h = 1e-4
    for j in range(8):
        moved = [weight_derivative(learner, np.full(8, 0.5) + s * h * np.eye(8)[j], range(3)).T for s in (1.0, -1.0)]
        expected[:, :, j] = (moved[0] - moved[1]) / (2.0 * h)
    assert_close(dense, expected, rtol=1e-4)
    assert surrogate.asymmetry < 1e-4
    assert surrogate.cost == Cost(responses=1, jacobians=17, hessians=0)
    assert surrogate.cost.retrainings(Prices(jacobian=4.0)) == 69.0


def test_blocks_of_differences_do_not_change_them():
    whole, parts = taylor_surrogate(network(), 0.5, [0]), taylor_surrogate(network(), 0.5, [0], block=3)
    assert_close(parts.hessian.dense, whole.hessian.dense, atol=1e-9)


def test_differences_at_weight_zero_are_one_sided():
    centre = np.array([0.0, 1.0, 0.5, 0.0, 1.0, 1.0, 1.0, 1.0])
    dense = taylor_surrogate(network(), centre, [0], step=1e-4).hessian.dense
    inside = taylor_surrogate(network(), centre + 5e-5, [0], step=1e-5).hessian.dense
    assert_close(dense, inside, rtol=1e-2)


def test_prices_are_in_retrainings_of_the_same_learner():
    prices = measured_prices(population(40, 3, 0.1), independent(Bernoulli(0.5), n_subsets=256, n_points=40, seed=0).masks, [0])
    assert prices.jacobian > 0.1
    assert prices.hessian > 0.1
    assert np.isnan(measured_prices(network(), all_masks(8)[:64], [0]).hessian)


# --- fits -----------------------------------------------------------------------------------------------------------------------


@given(quadratics(min_points=3), strategies.PROBABILITIES, strategies.SEEDS)
@settings(max_examples=25)
def test_a_quadratic_response_is_found_exactly_from_its_own_surrogate(quadratic, p, seed):
    n = len(quadratic.centre)
    masks = np.concatenate([all_masks(n), independent(Bernoulli(p), n_subsets=20, n_points=n, seed=seed).masks])
    fitted = fit_with_surrogate(masks, quadratic(masks), quadratic, law=Bernoulli(p))
    exact = optimal_datamodel(quadratic(all_masks(n)), Bernoulli(p))
    assert_close(fitted.coefficients, exact.coefficients, atol=1e-10)
    assert_close(fitted.intercept, exact.intercept, atol=1e-10)


@pytest.mark.parametrize("law", [Bernoulli(0.5), FixedSize(4)], ids=repr)
@pytest.mark.parametrize("scale", ["one", "fitted"])
@given(seed=strategies.SEEDS)
@settings(max_examples=15)
def test_on_all_subsets_any_surrogate_gives_the_exact_datamodel(law, scale, seed):
    """Even a wrong one, of other curvature: what it adds is what it takes."""
    rng = np.random.default_rng(seed)
    table = rng.standard_normal((2**6, 2))
    chosen = all_masks(6).sum(axis=1) == 4 if isinstance(law, FixedSize) else slice(None)
    hessian = WeightHessian(rng.standard_normal((2, 6, 2)), rng.standard_normal((6, 2)))
    wrong = Quadratic(np.full(6, 0.3), rng.standard_normal(2), rng.standard_normal((6, 2)), hessian)
    fitted = fit_with_surrogate(all_masks(6)[chosen], table[chosen], wrong, law=law, scale=scale)
    exact = optimal_datamodel(table, law)
    assert_close(fitted.coefficients, exact.coefficients, atol=1e-11)
    assert_close(fitted.residual_variance, exact.residual_variance, atol=1e-11)
    assert_close(fitted.r_squared, exact.r_squared, atol=1e-11)


def test_the_fitted_scale_of_twice_the_surrogate_is_one_half():
    learner = population(20, 3, 0.1)
    masks = independent(Bernoulli(0.5), n_subsets=100, n_points=20, seed=0).masks
    responses, t = mean_response(learner, masks, [0]), taylor_surrogate(learner, 0.5, [0])
    twice = Quadratic(t.centre, 2 * t.value, 2 * t.gradient, WeightHessian(2 * t.hessian.left, t.hessian.right))
    one, half = (fit_with_surrogate(masks, responses, s, law=Bernoulli(0.5), scale="fitted") for s in (t, twice))
    assert_close(half.coefficients, one.coefficients, rtol=1e-10)
    assert_close(half.standard_errors, one.standard_errors, rtol=1e-8)


@pytest.mark.parametrize("scale", ["one", "fitted"])
def test_intervals_with_a_surrogate_cover_the_exact_beta(scale):
    rng = np.random.default_rng(1)
    X, y = rng.standard_normal((8, 2)), np.arange(8) % 2
    X[:, 0] = 1.0
    learner = Logistic(X, y, X[:2], l2=1e-2)
    table, surrogate = response_table(learner, [0]).mean, taylor_surrogate(learner, 0.5, [0])
    beta, hits = optimal_datamodel(table).coefficients, []
    for seed in range(130):
        masks = independent(Bernoulli(0.5), n_subsets=160, n_points=8, seed=seed).masks
        responses = table[(masks @ 2 ** np.arange(8)).astype(int)]
        low, high = fit_with_surrogate(masks, responses, surrogate, law=Bernoulli(0.5), scale=scale).confidence_interval()
        hits.append((low <= beta) & (beta <= high))
    assert np.size(hits) >= 2000
    assert 0.93 <= np.mean(hits) <= 0.97


def test_at_one_half_pairs_of_complements_have_cancelled_the_surrogate_already():
    learner = population(12, 3, 0.1)
    design = antithetic(Bernoulli(0.5), n_subsets=80, n_points=12, seed=0)
    responses = mean_response(learner, design.masks, [0])
    plain = fit_sampled(design.masks, responses, groups=design.groups)
    surrogate = taylor_surrogate(learner, 0.5, [0])
    helped = fit_with_surrogate(design, responses, surrogate)
    by_hand = fit_with_surrogate(design.masks, responses, surrogate, law=design.law, groups=design.groups)
    assert_identical(helped.coefficients, by_hand.coefficients)
    assert_identical(helped.standard_errors, by_hand.standard_errors)
    assert_close(helped.coefficients, plain.coefficients, atol=1e-12)
    assert_close(helped.standard_errors, plain.standard_errors, rtol=1e-9)


PRICE = Prices(jacobian=30.0, hessian=300.0)
"""More than was measured in batches of this learner: a single fit costs as much as some hundred in a batch."""


@pytest.mark.parametrize(("p", "gain", "m"), [(0.9, 10.0, 500), (0.5, 5.0, 800)])
def test_on_a_converged_logistic_regression_a_surrogate_saves_most_retrainings(p, gain, m):
    """N = 200, d = 5, l2 = 0.01: less error than OLS on `gain` times as many subsets, the surrogate's own cost counted."""
    learner = population(200, 5, 1e-2)
    surrogate = taylor_surrogate(learner, p, [0])
    spent = m + surrogate.cost.retrainings(PRICE)
    many = independent(Bernoulli(p), n_subsets=int(gain * spent), n_points=200, seed=0).masks
    responses = mean_response(learner, many, [0])
    alone = fit_sampled(many, responses)
    helped = fit_with_surrogate(many[:m], responses[:m], surrogate, law=Bernoulli(p), errors="hc2")
    assert np.square(helped.standard_errors).mean() < np.square(alone.standard_errors).mean()
    apart = np.abs(helped.coefficients - alone.coefficients) / np.hypot(helped.standard_errors, alone.standard_errors)
    assert np.quantile(apart, 0.95) == pytest.approx(1.96, rel=0.15)  # the errors are those of the difference of both


def gain_on_the_same_subsets(learner, seeds, p=0.5, m=160, scale="one"):
    """Variance of OLS over that with a surrogate, on the exact table and the same draws."""
    n = learner.n_points
    table, surrogate = response_table(learner, seeds).mean, taylor_surrogate(learner, p, seeds)
    beta, errors = optimal_datamodel(table, Bernoulli(p)).coefficients, []
    for seed in range(60):
        masks = independent(Bernoulli(p), n_subsets=m, n_points=n, seed=seed).masks
        responses = table[(masks @ 2 ** np.arange(n)).astype(int)]
        fits = fit_sampled(masks, responses), fit_with_surrogate(masks, responses, surrogate, law=Bernoulli(p), scale=scale)
        errors.append([np.square(fit.coefficients - beta).mean() for fit in fits])
    alone, helped = np.mean(errors, axis=0)
    return alone / helped


def test_a_surrogate_of_a_network_helps_early_in_training_and_hardly_at_its_end():
    early, late = network(steps=10, learning_rate=0.1), network(steps=300)
    assert gain_on_the_same_subsets(early, range(2)) > 50.0
    plain, scaled = (gain_on_the_same_subsets(late, range(2), scale=scale) for scale in ("one", "fitted"))
    assert 0.9 < plain < 1.5
    assert plain < scaled < 2.0


# --- what is refused --------------------------------------------------------------------------------------------------------


def test_a_learner_without_a_jacobian_is_refused():
    class Closed:
        n_points, n_outputs = 3, 1

        def respond(self, weights, seeds):
            return np.zeros((len(weights), len(seeds), 1))

    with pytest.raises(TypeError, match="Closed has no weight_jacobian: a Taylor expansion needs the derivative"):
        taylor_surrogate(Closed(), 0.5, [0])


def test_a_least_squares_fit_without_unique_optimum_has_no_second_derivative():
    learner = LeastSquares(np.ones((3, 2)), np.arange(3.0), np.ones((1, 2)), l2=0.0, undefined="min_norm")
    with pytest.raises(ValueError, match="has no unique optimum with l2 = 0: use l2 > 0 for second derivatives"):
        taylor_surrogate(learner, 0.5, [0])


def test_fits_that_make_no_sense_are_refused():
    learner = population(6, 2, 0.1)
    surrogate, design = taylor_surrogate(learner, 0.5, [0]), independent(Bernoulli(0.5), n_subsets=30, n_points=6, seed=0)
    masks = design.masks
    responses = mean_response(learner, masks, [0])
    with pytest.raises(ValueError, match=r"the surrogate has \(points, outputs\) = \(6, 8\), the data \(6, 3\)"):
        fit_with_surrogate(masks, responses[:, :3], surrogate, law=Bernoulli(0.5))
    with pytest.raises(ValueError, match="got masks without law=, expected the law that they were drawn from, or a Design"):
        fit_with_surrogate(masks, responses, surrogate)
    with pytest.raises(ValueError, match="got law= beside a Design"):
        fit_with_surrogate(
            independent(Bernoulli(0.5), n_subsets=30, n_points=6, seed=0), responses, surrogate, law=Bernoulli(0.5)
        )
    with pytest.raises(ValueError, match="takes neither method nor row_weights"):
        fit_with_surrogate(masks, responses, surrogate, law=Bernoulli(0.5), method="lasso")
    with pytest.raises(ValueError, match="scale 'two' is unknown, expected 'one' or 'fitted'"):
        fit_with_surrogate(masks, responses, surrogate, law=Bernoulli(0.5), scale="two")


@pytest.mark.parametrize("learner", [OneStep, Bistable], ids=lambda x: x.__name__)
def test_learners_without_second_derivatives_are_not_taken_for_such(learner):
    assert not hasattr(learner, "weight_hessian")
