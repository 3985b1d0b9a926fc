"""The experiments behind the claims about scale, fixed size and the convex bound: closed forms, brute force, simulation."""

import dataclasses

import numpy as np
import pytest
import statsmodels.api as sm
from assertions import assert_close, assert_identical

from sims import datasets
from sims.experiments import convex_bound, fixed_size, scale, scale_at_size, scale_by_size
from sims.experiments.shared.problem import Problem
from sims.retrain import response_table
from theory.subsets import all_masks, sizes

# --- scale by size -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sizes_of_anes():
    problem = Problem("anes96", "logistic", l2=0.1, n_points=90, n_queries=3)
    return scale_by_size.run(scale_by_size.ScaleBySizeConfig(problem, (60, 90), probabilities=(0.5, 0.9)))


def test_each_size_is_the_experiment_at_that_size_averaged_over_outputs(sizes_of_anes):
    problem = Problem("anes96", "logistic", l2=0.1, n_points=60, n_queries=3)
    one = scale_at_size.run(scale_at_size.ScaleAtSizeConfig(problem, (0.5, 0.9), 2000)).sel(estimator="control variate")
    at = sizes_of_anes.sel(sample_size=60)
    assert_close(at.excess, one.slope_at_mean.mean("output") - 1.0, rtol=1e-12)
    assert_close(at.excess_error, one.standard_error_at_mean.mean("output"), rtol=1e-12)
    assert_close(at.second_order, one.second_order.mean("output") - 1.0, rtol=1e-12)
    assert_close(sizes_of_anes.columns_per_point, [10 / 60, 10 / 90], rtol=1e-12)
    assert float(sizes_of_anes.excess.min()) > 0.0


def test_every_size_and_p_has_a_table_of_its_own():
    parts = []

    def recorded(learner, seeds, *, part="", weights=None):
        parts.append((part, weights.shape[1]))
        return response_table(learner, seeds, weights=weights)

    problem = Problem("fair_anew", "logistic", l2=0.1, n_points=50, n_queries=2)
    config = scale_by_size.ScaleBySizeConfig(problem, (40, 50), probabilities=(0.9,))
    scale_by_size.run(config, retrain=recorded)
    assert parts == [("N40p0.9", 40), ("N50p0.9", 50)]


def test_it_has_sizes_of_its_own_and_refuses_others_by_name():
    with pytest.raises(ValueError, match="its sizes are 60, 90, 130, 200, not 12"):
        scale_by_size.EXPERIMENT.resize(scale_by_size.EXPERIMENT.small[0], 12)


# --- what beta misses of the predicted effect --------------------------------------------------------------------------------


def test_the_miss_of_an_enumerated_datamodel_is_its_squared_relative_error():
    problem = Problem("two_moons", "logistic", l2=0.1, n_points=6, n_queries=2)
    result = scale.run(scale.ScaleConfig(problem, probabilities=(0.75,))).sel(law="Bernoulli(0.75)")
    learner, masks = problem.build(), all_masks(6)
    weights = np.prod(np.where(masks > 0.0, 0.75, 0.25), axis=1)
    table = response_table(learner, (0,)).mean
    beta = sm.WLS(table, sm.add_constant(masks), weights=weights).fit().params[1:]
    predicted = learner.weight_jacobian(np.ones((1, 6)), (0,))[0, 0].T / 0.75
    assert_close(result.miss, ((beta - predicted) ** 2).sum(axis=0) / (predicted**2).sum(axis=0), rtol=1e-8)
    assert not result.miss_error.any()


@pytest.mark.parametrize(("noise", "most"), [(0.003, 0.98), (0.01, 0.98), (0.04, 1.0)])
def test_intervals_of_the_miss_cover(noise, most):
    """beta = c + r + noise with covariance V: the truth is ||r||^2 / ||c||^2. They are too wide where tr V is 5 ||r||^2."""
    rng, n, repeats = np.random.default_rng(0), 30, 400
    c, r = rng.standard_normal(n), 0.1 * rng.standard_normal(n)
    factor = noise * rng.standard_normal((n, n))
    v = factor @ factor.T
    beta = (c + r + rng.standard_normal((repeats, n)) @ factor.T).T
    found, errors = scale._misses(beta, np.repeat(c[:, None], repeats, axis=1), [v] * repeats)
    truth = (r @ r) / (c @ c)
    inside = np.abs(np.array(found) - truth) <= 1.96 * np.array(errors)
    assert 0.90 <= inside.mean() <= most
    assert abs(np.mean(found) - truth) < 4.0 * np.std(found) / np.sqrt(repeats)


# --- fixed size --------------------------------------------------------------------------------------------------------------

MOONS = Problem("two_moons", "logistic", l2=0.1, n_points=6, n_queries=2)


def test_the_gap_to_bernoulli_subsets_is_that_of_two_regressions():
    result = fixed_size.run(fixed_size.FixedSizeConfig(MOONS, shares=(0.5,))).sel(subset_size=3)
    table, masks = response_table(MOONS.build(), (0,)).mean, all_masks(6)
    rows = sizes(6) == 3
    solved = np.linalg.pinv(sm.add_constant(masks[rows], has_constant="add")) @ table[rows]
    uniform = sm.OLS(table, sm.add_constant(masks)).fit().params
    centred = [b[1:] - b[1:].mean(axis=0) for b in (solved, uniform)]
    assert_close(result.bernoulli_gap, np.linalg.norm(centred[0] - centred[1]) / np.linalg.norm(centred[1]), rtol=1e-8)
    assert float(result.swap_error) < 1e-12
    assert float(result.covariance_error) < 1e-12


def test_a_formula_without_its_factor_is_caught(monkeypatch):
    """T7 with E[F | i in S] - E[F | i not in S] instead of (N - 1)/N times it is off by 1/N of itself."""
    right = fixed_size.optimal_datamodel

    def wrong(table, law):
        model = right(table, law)
        factor = 6.0 / 5.0 if isinstance(law, fixed_size.FixedSize) else 1.0
        return dataclasses.replace(model, coefficients=factor * model.coefficients)

    monkeypatch.setattr(fixed_size, "optimal_datamodel", wrong)
    result = fixed_size.run(fixed_size.FixedSizeConfig(MOONS, shares=(0.5,)))
    assert_close(result.swap_error, [1.0 / 6.0], rtol=1e-9)


def test_shares_become_sizes_between_one_and_all_but_one():
    problem = dataclasses.replace(MOONS, n_points=4)
    result = fixed_size.run(fixed_size.FixedSizeConfig(problem, shares=(0.01, 0.5, 0.99)))
    assert_identical(result.subset_size.values, [1, 2, 3])


# --- convex bound ------------------------------------------------------------------------------------------------------------


def on_one_column(monkeypatch, x, y):
    base = datasets.by_name("noisy_line", len(x))
    data = dataclasses.replace(base, X=x[:, None], y=y, X_query=np.ones((1, 1)), columns=("x",))
    monkeypatch.setattr(datasets, "by_name", lambda *_: data)
    return Problem("noisy_line", "least_squares", l2=0.0, n_points=len(x))


def test_on_one_column_the_bound_is_missed_by_the_squared_share_of_the_other_points(monkeypatch):
    """gap / bound = (1 - h_i)^2 with leverage h_i = x_i^2 / sum x^2, and theta_LOO - theta_IJ = -h_i^2 e_i / (x_i (1 - h_i))."""
    x, y = np.array([1.0, 2.0, -1.0, 0.5]), np.array([1.0, 1.0, 0.5, 2.0])
    result = convex_bound.run(convex_bound.ConvexBoundConfig(on_one_column(monkeypatch, x, y)))
    h, e = x**2 / (x @ x), y - x * (x @ y) / (x @ x)
    assert_close(result.gap / result.bound, (1.0 - h) ** 2, rtol=1e-9)
    assert_close(result.gap, np.abs(h**2 * e / (x * (1.0 - h))), rtol=1e-9)
    assert_close(result.effect, np.abs(h * e / (x * (1.0 - h))), rtol=1e-9)
    assert_close(result.output_share, (1.0 - h) ** 2, rtol=1e-9)
    assert_close(result.bound_change, np.zeros(4), atol=1e-12)


def test_a_bound_with_half_its_first_term_is_exceeded(monkeypatch):
    """Where leverages are small the bound is nearly reached, so that a smaller one fails: the test is not empty."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(60)
    problem = on_one_column(monkeypatch, x, x + rng.standard_normal(60))
    result = convex_bound.run(convex_bound.ConvexBoundConfig(problem, nodes=3))
    assert float((result.gap / result.bound).max()) > 0.99
    assert float((result.gap / (0.5 * result.bound)).max()) > 1.0


def test_the_constants_of_logistic_regression_bound_finite_differences():
    learner = Problem("spector", "logistic", l2=0.1, n_points=10).build()
    at = learner.linearize(np.ones(10), (0,))
    mu, g, b, third = convex_bound._constants(at, 2, "logistic")
    x, y, theta = learner.X, learner.y, at.params[0]

    def hessian(parameters, weights):
        chance = 1.0 / (1.0 + np.exp(-x @ parameters))
        return x.T @ ((weights * chance * (1.0 - chance))[:, None] * x) + (10 * 0.1) * np.eye(len(theta))

    chance = 1.0 / (1.0 + np.exp(-x @ theta))
    only = np.eye(10)[2]
    assert_close(mu, np.linalg.eigvalsh(hessian(theta, np.ones(10)))[0], rtol=1e-9)
    assert_close(g, np.linalg.norm((chance[2] - y[2]) * x[2]), rtol=1e-9)
    assert_close(b, np.linalg.eigvalsh(hessian(theta, only))[-1] - 1.0, rtol=1e-9)
    rng, worst = np.random.default_rng(0), 0.0
    for _ in range(200):
        u, v = (w / np.linalg.norm(w) for w in rng.standard_normal((2, len(theta))))
        change = (hessian(theta + 1e-5 * u, np.ones(10)) - hessian(theta - 1e-5 * u, np.ones(10))) / 2e-5
        worst = max(worst, abs(v @ change @ v))
    assert 0.2 * third < worst <= third * (1.0 + 1e-6)


def test_the_linear_approximation_is_the_derivative_of_the_outputs():
    problem = Problem("spector", "logistic", l2=0.1, n_points=8, n_queries=2)
    result, learner = convex_bound.run(convex_bound.ConvexBoundConfig(problem, nodes=5)), problem.build()
    everything = np.ones((1, 8))
    for point in (0, 5):
        removed = everything - np.eye(8)[point]
        change = learner.respond(everything, (0,))[0, 0] - learner.respond(removed, (0,))[0, 0]
        slope = learner.weight_jacobian(everything, (0,))[0, 0, :, point]
        reach = np.linalg.norm(learner.X_query, axis=1) * float(result.bound[point])
        assert_close(result.output_share[point], (np.abs(change - slope) / reach).max(), rtol=1e-6)


def test_a_learner_without_third_derivatives_is_refused_by_name():
    problem = Problem("xor", "mlp", hidden=(2,), steps=5)
    with pytest.raises(
        ValueError, match=r"xor-8 mlp .* has no third derivatives here, expected the learner logistic or least_squares"
    ):
        convex_bound.run(convex_bound.ConvexBoundConfig(problem))
