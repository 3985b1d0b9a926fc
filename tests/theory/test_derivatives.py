"""The average-derivative identity (T2), its limits, and finite differences, against closed forms and whole grids."""

import itertools
import math
import os
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import strategies
from assertions import assert_close, assert_identical
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sims.learners import LeastSquares, Logistic
from theory import derivatives, values
from theory.datamodel import optimal_datamodel, quadrature_datamodel
from theory.derivatives import average_derivative, average_derivatives, finite_difference
from theory.laws import Bernoulli, Gaussian, Poisson, TwoPoint
from theory.response import mean_response, weight_derivative
from theory.subsets import all_masks
from theory.transforms import walsh

SEEDS = [0]
EPS = np.finfo(float).eps


@dataclass(frozen=True)
class ClosedForm:
    """A learner that is a formula and its gradient: value(w, r) of shape (B, M), slope(w, r) of shape (B, M, N)."""

    n_points: int
    n_outputs: int
    value: Callable
    slope: Callable

    def respond(self, weights, seeds):
        return np.stack([self.value(np.asarray(weights), seed) for seed in seeds], axis=1)

    def weight_jacobian(self, weights, seeds):
        return np.stack([self.slope(np.asarray(weights), seed) for seed in seeds], axis=1)


def waves(n, m, seed):
    """sum of a sine and an exponential of linear forms: smooth, not convex, with interactions of every order."""
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((2, m, n))
    return ClosedForm(
        n,
        m,
        lambda w, r: np.sin(w @ a.T + r) + np.exp(0.5 * w @ b.T),
        lambda w, r: np.cos(w @ a.T + r)[..., None] * a + 0.5 * np.exp(0.5 * w @ b.T)[..., None] * b,
    )


def logistic(n, l2=0.1):
    rng = np.random.default_rng(7)
    X, y = rng.standard_normal((n, 3)), np.arange(n) % 2
    X[:, 0] = 1.0
    return Logistic(X, y, rng.standard_normal((2, 3)), l2=l2)


def ridge(n, l2, normalization="n_points"):
    rng = np.random.default_rng(5)
    return LeastSquares(
        rng.standard_normal((n, 2)), rng.standard_normal(n), rng.standard_normal((2, 2)), l2=l2, normalization=normalization
    )


def distance(value, expected):
    return np.abs(value - expected).max() / np.abs(expected).max()


def on_table(learner, law):
    low, high = law.levels
    return optimal_datamodel(mean_response(learner, low + (high - low) * all_masks(learner.n_points), SEEDS), law).coefficients


def covariance_on_grid(learner, points, probabilities, mean, variance):
    """Cov(F, w_i) / s^2 by summing over every vector of points, without any code of theory."""
    n = learner.n_points
    grid = np.array(list(itertools.product(points, repeat=n)))
    joint = np.array([math.prod(chosen) for chosen in itertools.product(probabilities, repeat=n)])
    responses = np.concatenate([mean_response(learner, block, SEEDS) for block in np.array_split(grid, 8)])
    return ((grid - mean) * joint[:, None]).T @ responses / variance


# T2: the optimal datamodel is the average derivative


@pytest.mark.parametrize("law", [Bernoulli(0.5), Bernoulli(0.8), TwoPoint(0.3)], ids=repr)
def test_logistic_datamodel_on_two_levels_is_its_average_derivative_and_the_error_falls_geometrically(law):
    learner = logistic(8)
    beta = on_table(learner, law)
    errors = [distance(average_derivative(learner, law, SEEDS, nodes), beta) for nodes in (2, 4, 6, 8, 12, 16)]
    rounding = 1e-13
    assert errors[-1] < rounding
    above = [error for error in errors if error > rounding]
    assert len(above) >= 3
    assert all(later < 0.2 * earlier for earlier, later in itertools.pairwise(above)), errors


def test_logistic_datamodel_under_gaussian_weights_converges_to_its_average_derivative():
    """The largest grid is 7^6; every further node takes at least a factor 10."""
    learner, law = logistic(6), Gaussian(0.1)
    errors = [
        distance(average_derivative(learner, law, SEEDS, nodes), quadrature_datamodel(learner, law, SEEDS, nodes).coefficients)
        for nodes in range(2, 8)
    ]
    assert all(later < 0.1 * earlier for earlier, later in itertools.pairwise(errors)), errors
    assert errors[-1] < 1e-11


def test_logistic_datamodel_of_eight_points_under_gaussian_weights_is_its_average_derivative():
    learner, law = logistic(8), Gaussian(0.1)
    average = average_derivative(learner, law, SEEDS, 5)
    assert distance(average, quadrature_datamodel(learner, law, SEEDS, 5).coefficients) < 1e-9


def test_logistic_datamodel_under_poisson_weights_converges_to_its_average_derivative():
    learner, law = logistic(4), Poisson()
    errors = [
        distance(average_derivative(learner, law, SEEDS, nodes), quadrature_datamodel(learner, law, SEEDS, nodes).coefficients)
        for nodes in (4, 6, 8, 10, 12)
    ]
    assert all(later < 0.1 * earlier for earlier, later in itertools.pairwise(errors)), errors
    assert errors[-1] < 1e-9


def test_both_sides_agree_with_a_sum_over_poisson_counts():
    """Counts above 17 have probability 6e-17 in each coordinate."""
    learner, counts = logistic(3), np.arange(18.0)
    expected = covariance_on_grid(learner, counts, stats.poisson(1.0).pmf(counts), 1.0, 1.0)
    assert distance(quadrature_datamodel(learner, Poisson(), SEEDS, 14).coefficients, expected) < 1e-9
    assert distance(average_derivative(learner, Poisson(), SEEDS, 14), expected) < 1e-9


def test_both_sides_agree_with_a_trapezoid_sum_over_gaussian_weights():
    """The trapezoid rule with step sigma/2 on +-8 sigma errs by exp(-2 pi^2 4) and 1e-15."""
    learner, sigma = logistic(3), 0.1
    z = np.arange(-16, 17) / 2.0
    expected = covariance_on_grid(learner, 1.0 + sigma * z, stats.norm.pdf(z) / 2.0, 1.0, sigma**2)
    assert distance(quadrature_datamodel(learner, Gaussian(sigma), SEEDS, 8).coefficients, expected) < 1e-9
    assert distance(average_derivative(learner, Gaussian(sigma), SEEDS, 8), expected) < 1e-9


@settings(max_examples=15)
@given(strategies.least_squares(max_points=6), strategies.PROBABILITIES)
def test_ridge_datamodel_is_its_average_derivative_for_every_p(learner, p):
    """F is rational in w_i with its pole at w_i = -1 / x_i A^-1 x_i: the further away, the faster the nodes converge."""
    law, errors = Bernoulli(p), []
    beta = on_table(learner, law)
    for nodes in (10, 40, 160):
        errors.append(distance(average_derivative(learner, law, SEEDS, nodes), beta))
        if errors[-1] < 1e-9:
            return
    raise AssertionError(f"errors {errors} with 10, 40, 160 nodes")


@pytest.mark.parametrize("law", [Bernoulli(0.3), TwoPoint(0.5), Gaussian(0.1), Poisson()], ids=repr)
@pytest.mark.parametrize("seeds", [[0], [0, 1, 5]])
def test_identity_needs_no_convexity_and_holds_for_the_mean_over_seeds(law, seeds):
    learner = waves(2, 3, seed=2)
    beta = quadrature_datamodel(learner, law, seeds, 24 if isinstance(law, Poisson) else 12)
    average = average_derivative(learner, law, seeds, 24 if isinstance(law, Poisson) else 12)
    assert average.shape == (2, 3)
    assert_close(average, beta.coefficients, rtol=1e-9)


def test_identity_holds_for_a_single_training_point():
    learner = waves(1, 2, seed=0)
    low, high = mean_response(learner, [[0.0], [1.0]], SEEDS)
    assert_close(average_derivative(learner, Bernoulli(0.3), SEEDS, 12), (high - low)[None], rtol=1e-12)


def test_derivative_at_one_or_averaged_over_the_weight_itself_is_not_the_datamodel():
    """Wrong versions of T2: D(1) (the essay's), D averaged over w_i in {0, 1}, the average times p, and times 1/N."""
    learner, law = logistic(8), Bernoulli(0.5)
    beta = on_table(learner, law)
    averaged_over_subsets = learner.weight_jacobian(all_masks(8), SEEDS)[:, 0].mean(axis=0).T
    average = average_derivative(learner, law, SEEDS, 16)
    at_one = weight_derivative(learner, np.ones(8), SEEDS)
    for wrong in (at_one, averaged_over_subsets, law.p * average, average / 8, -average):
        assert distance(wrong, beta) > 0.01
    assert distance(at_one, beta) > 0.2


def test_average_derivative_of_a_jump_is_zero_where_the_datamodel_is_not():
    """T9: f = sign(w_0 - 1/2) has derivative 0 almost everywhere; T2 needs absolute continuity."""
    learner = ClosedForm(2, 1, lambda w, r: np.sign(w[:, :1] - 0.5), lambda w, r: np.zeros((len(w), 1, 2)))
    assert_identical(average_derivative(learner, Bernoulli(0.5), SEEDS, 8), np.zeros((2, 1)))
    assert_close(on_table(learner, Bernoulli(0.5)), [[2.0], [0.0]], rtol=1e-15)


def test_several_laws_at_once_are_the_single_laws_stacked():
    learner, laws = logistic(5), [Bernoulli(p) for p in (0.1, 0.5, 0.9)]
    single = [average_derivative(learner, law, SEEDS, 6) for law in laws]
    assert_close(average_derivatives(learner, laws, SEEDS, 6), single, rtol=1e-14)


@pytest.mark.parametrize("block", [1, 7, 64])
def test_the_average_does_not_depend_on_how_its_grid_is_cut_into_blocks(monkeypatch, block):
    learner, law = waves(3, 2, seed=1), Gaussian(0.1)
    whole = average_derivative(learner, law, SEEDS, 5)
    monkeypatch.setattr(derivatives, "BLOCK", block)
    assert_close(average_derivative(learner, law, SEEDS, 5), whole, rtol=1e-13)


def test_progress_sees_every_training_point_once():
    seen = []

    def record(points):
        for i in points:
            seen.append(i)
            yield i

    average_derivatives(logistic(4), [Bernoulli()], SEEDS, 2, progress=record)
    assert seen == [0, 1, 2, 3]


# Limits: small perturbations, p -> 1, scale


@pytest.mark.parametrize("learner", [logistic(6), ridge(6, l2=0.05)], ids=["logistic", "ridge"])
def test_local_datamodel_tends_to_the_derivative_at_one_with_order_two(learner):
    at_one = weight_derivative(learner, np.ones(6), SEEDS)
    errors = np.array([distance(on_table(learner, TwoPoint(2.0**-k)), at_one) for k in range(1, 9)])
    orders = np.log2(errors[:-1] / errors[1:])
    assert errors[-1] > 1e-9  # rounding, eps / s relative to F, is still far away
    assert ((orders[-4:] > 1.9) & (orders[-4:] < 2.1)).all(), orders


def test_gaussian_local_datamodel_tends_to_the_derivative_at_one_with_order_two():
    learner = logistic(5)
    at_one = weight_derivative(learner, np.ones(5), SEEDS)
    errors = [distance(quadrature_datamodel(learner, Gaussian(2.0**-k), SEEDS, 4).coefficients, at_one) for k in range(5, 9)]
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert ((orders > 1.9) & (orders < 2.1)).all(), orders


def test_the_uniform_datamodel_does_not_tend_to_the_derivative_at_one_as_p_tends_to_one():
    """T3: its limit is leave-one-out, reached with order one in q = 1 - p."""
    learner = ridge(6, l2=0.02)
    table = mean_response(learner, all_masks(6), SEEDS)
    loo, at_one = values.leave_one_out(table), weight_derivative(learner, np.ones(6), SEEDS)
    errors = np.array([distance(values.banzhaf(table, 1.0 - 2.0**-k), loo) for k in range(8, 13)])
    orders = np.log2(errors[:-1] / errors[1:])
    assert ((orders > 0.9) & (orders < 1.1)).all(), orders
    assert distance(at_one, loo) > 0.05
    assert distance(values.banzhaf(table, 1.0 - 2.0**-12), at_one) > 0.05


@given(strategies.least_squares())
def test_leave_one_out_of_least_squares_is_the_derivative_over_one_minus_leverage(learner):
    """T4, exact for every penalty: A = X'X + N l2 I, h_i = x_i' A^-1 x_i."""
    n, X = learner.n_points, learner.X
    loo = np.vstack([mean_response(learner, [np.ones(n) - e], SEEDS) for e in np.eye(n)])
    loo = mean_response(learner, [np.ones(n)], SEEDS) - loo
    leverage = np.einsum("ij,ij->i", X, np.linalg.solve(X.T @ X + n * learner.l2 * np.eye(X.shape[1]), X.T).T)
    at_one = weight_derivative(learner, np.ones(n), SEEDS)
    assert_close(loo, at_one / (1.0 - leverage)[:, None], rtol=1e-9, atol=1e-11)
    assert distance(at_one, loo) > 1e-6 or np.abs(loo).max() < 1e-6


@given(strategies.SEEDS)
def test_curvature_and_interactions_separate_the_derivative_at_one_from_the_datamodel(seed):
    """T4 and T5 for F = exp(a.w), d_i^2 F = a_i^2 F.

    LOO_i = D_i(1) - int_0^1 (1 - t) d_i^2 F(1 - t e_i) dt, and D_i(1) - beta_i is that integral plus 2 sum_{A contains i,
    |A| >= 2} Fhat(A).
    """
    n, a = 4, 0.3 * np.random.default_rng(seed).standard_normal(4)
    learner = ClosedForm(n, 1, lambda w, r: np.exp(w @ a)[:, None], lambda w, r: np.exp(w @ a)[:, None, None] * a)
    table = mean_response(learner, all_masks(n), SEEDS)
    loo, beta, fourier = values.leave_one_out(table)[:, 0], values.banzhaf(table)[:, 0], walsh(table)[:, 0]
    higher = [sum(fourier[mask] for mask in range(2**n) if mask >> i & 1 and mask.bit_count() >= 2) for i in range(n)]
    t, weights = np.polynomial.legendre.leggauss(20)
    t, weights = 0.5 * (t + 1.0), 0.5 * weights
    remainder = np.array([weights @ ((1.0 - t) * a_i**2 * np.exp(a.sum() - t * a_i)) for a_i in a])
    at_one = weight_derivative(learner, np.ones(n), SEEDS)[:, 0]
    assert_close(at_one - remainder, loo, atol=1e-13 * math.exp(np.abs(a).sum()))
    assert_close(at_one - beta, 2.0 * np.array(higher) + remainder, atol=1e-13 * math.exp(np.abs(a).sum()))


@given(strategies.interior_weights(6), st.floats(0.1, 10.0))
def test_unpenalised_least_squares_is_scale_free(w, c):
    """T6: F(c w) = F(w), sum_i w_i D_i(w) = 0 (Euler) and D(c w) = D(w) / c."""
    learner = ridge(6, l2=0.0)
    scale = np.abs(learner.weight_jacobian(w[None], SEEDS)).max()
    at_w, at_cw = weight_derivative(learner, w, SEEDS), weight_derivative(learner, c * w, SEEDS)
    condition = np.linalg.cond(learner.X.T @ (w[:, None] * learner.X))
    assert_close(mean_response(learner, [c * w], SEEDS), mean_response(learner, [w], SEEDS), rtol=1e-13 * condition)
    assert_close(w @ at_w, np.zeros(2), atol=1e-13 * condition * scale * w.sum())
    assert_close(at_cw, at_w / c, rtol=1e-13 * condition)


def test_euler_fails_with_a_penalty_and_without_the_weights():
    w = np.random.default_rng(1).uniform(0.2, 2.0, 6)
    for learner, wrong in [(ridge(6, l2=0.1), w), (ridge(6, l2=0.0), np.ones(6))]:
        at_w = weight_derivative(learner, w, SEEDS)
        assert np.abs(wrong @ at_w).max() > 0.01 * np.abs(at_w).max()


@given(strategies.interior_weights(6), st.floats(0.1, 10.0))
def test_scaling_the_weights_of_ridge_divides_its_penalty(w, c):
    """T6: F(c w; l2) = F(w; l2 / c)."""
    assert_close(mean_response(ridge(6, 0.1), [c * w], SEEDS), mean_response(ridge(6, 0.1 / c), [w], SEEDS), rtol=1e-12)


@pytest.mark.parametrize("p", [0.5, 0.8])
def test_scale_free_coefficients_expand_around_the_derivative_at_one_over_p(p):
    """T6 for the weighted mean F = a.w / b.w: p beta = D + (1-2p)/2p d_i^2 F + (1-p)/2p sum_j d_i d_j^2 F + O(N^-3)."""
    left, leading = [], []
    for n in (8, 16):
        rng = np.random.default_rng(1)
        a, b = rng.standard_normal(n), rng.uniform(0.5, 1.5, n)
        totals = all_masks(n)[1:] @ np.c_[a, b]
        table = np.concatenate([[a.sum() / b.sum()], totals[:, 0] / totals[:, 1]])[:, None]
        A, B = a.sum(), b.sum()
        first, second = a / B - A * b / B**2, -2.0 * a * b / B**2 + 2.0 * A * b**2 / B**3
        third = (2.0 * np.outer(a, b**2) + 4.0 * np.outer(b, a * b)) / B**3 - 6.0 * A * np.outer(b, b**2) / B**4
        expansion = first + (1 - 2 * p) / (2 * p) * second + (1 - p) / (2 * p) * third.sum(axis=1)
        left.append(np.abs(p * values.banzhaf(table, p)[:, 0] - expansion).max())
        leading.append(np.abs(values.banzhaf(table, p)[:, 0] - first).max() / np.abs(first).max())
    assert left[1] < left[0] / 2**3 * 1.5  # order 3
    assert leading[1] > 0.9 * (1.0 / p - 1.0)  # beta is about D(1) / p, not D(1)


# Finite differences


# Rounding of a difference quotient sum_k c_k F(x_k) / h is at most sum_k |c_k| / h times the error of one F(x_k): 13.5 / h
# times for central differences, 979 / h times for one-sided ones. In units of u = EPS/2 that error is, for F = scale
# (sin(a.x) + exp(b.x / 2)): (n + 1) |a|.|x| in the argument a.x, from n products, n - 1 sums and x itself, which is w + h
# rounded; the same of b.x / 2, which exp multiplies by its value; of either value 8 for the function (4 ulp: what vector
# libraries promise), 2 for the last sum and the scale, 10 for the products and sums of the quotient and its c_k.
CENTRAL = np.concatenate(
    [-(2.0 ** -np.arange(4.0)), [0.0], 2.0 ** -np.arange(4.0)]
)  # nodes in units of h, as scipy documents them
FORWARD = np.concatenate([[0.0], 2.0 ** (-0.5 * np.arange(8.0))])


def amplification(nodes):
    """sum |c_k| / h in units of 1 / (the smallest step), where sum_k c_k F(x + h nodes_k) / h is exact for polynomials."""
    coefficients = np.linalg.solve(np.vander(nodes, increasing=True).T, np.eye(len(nodes))[1])
    return np.abs(coefficients).sum() * np.abs(nodes[nodes != 0.0]).min()


def rounding_of_differences(n, m, seed, scale, w, asked):
    """The bound above for `scale` times `waves(n, m, seed)` at w, differences taken at the rows of `asked`: shape (n, m)."""
    a, b = np.abs(np.random.default_rng(seed).standard_normal((2, m, n)))
    value_of_exp = np.exp(0.5 * asked @ np.random.default_rng(seed).standard_normal((2, m, n))[1].T)
    one_value = 0.5 * EPS * scale * ((n + 1) * asked @ a.T + 20 + ((n + 1) * 0.5 * asked @ b.T + 20) * value_of_exp)
    return rounding_of_quotients(w, asked, one_value.max(axis=0))


def rounding_of_quotients(w, asked, one_value):
    """The bound above at w, differences taken at the rows of `asked`, where one F(x) errs by `one_value` (m,): shape (n, m)."""
    steps = np.abs(asked - w)
    smallest = np.where(steps > 0.0, steps, np.inf).min(axis=0)
    return np.outer(np.where(w > 0.0, amplification(CENTRAL), amplification(FORWARD)) / smallest, one_value)


def recorded(learner):
    """A learner that answers the same, and the rows that it was asked for."""
    asked = []

    def value(w, r):
        asked.append(w)
        return learner.value(w, r)

    return ClosedForm(learner.n_points, learner.n_outputs, value, learner.slope), asked


def test_finite_differences_recover_a_closed_form_and_report_an_honest_error():
    """The last two estimates differ by no less than the last one errs, and by as little as was asked for, but for rounding."""
    for seed in range(int(os.environ.get("FINITE_DIFFERENCE_SEEDS", "200"))):
        rng = np.random.default_rng(seed)
        n, m, scale = int(rng.integers(1, 6)), int(rng.integers(1, 4)), 10.0 ** rng.integers(-3, 4)
        smooth = waves(n, m, seed)
        learner, asked = recorded(ClosedForm(n, m, lambda w, r, scale=scale, smooth=smooth: scale * smooth.value(w, r), None))
        w = np.where(rng.random(n) < 0.3, 0.0, rng.uniform(0.2, 2.0, n))
        got = finite_difference(learner, w, SEEDS)
        true = np.abs(got.derivative - scale * weight_derivative(smooth, w, SEEDS))
        rounding = rounding_of_differences(n, m, seed, scale, w, np.concatenate(asked))
        tolerance = 1e-12 + 1e-10 * np.abs(got.derivative)
        assert got.derivative.shape == got.error.shape == (n, m)
        assert got.converged == (got.error < tolerance).all()
        assert (true <= got.error + rounding).all(), f"seed {seed}"
        assert (got.error <= tolerance + 1.5 * rounding).all(), f"seed {seed}"  # the estimate before has twice the step


@pytest.mark.parametrize("rtol", [1e-2, 1e-4, 1e-6])
def test_the_reported_error_bounds_the_true_one_while_it_is_above_rounding(rtol):
    for seed in range(20):
        learner, asked = recorded(waves(3, 2, seed))
        w = np.random.default_rng(seed).uniform(0.3, 2.0, 3)
        got = finite_difference(learner, w, SEEDS, rtol=rtol, atol=0.0, initial_step=1.0)
        true = np.abs(got.derivative - weight_derivative(learner, w, SEEDS))
        assert got.converged
        rounding = rounding_of_differences(3, 2, seed, 1.0, w, np.concatenate(asked))
        assert (true <= got.error + rounding).all(), f"seed {seed}"


def test_finite_difference_at_weight_zero_is_one_sided_and_asks_for_no_negative_weight():
    """In units of u: 1 for each w + h, 2 products, a sum, 10 for the quotient, each at most u times the largest F."""
    learner, asked = recorded(ClosedForm(2, 1, lambda w, r: (np.abs(w) @ [2.0, 3.0])[:, None], None))
    got = finite_difference(learner, [0.0, 1.0], SEEDS)
    rows = np.concatenate(asked)
    rounding = rounding_of_quotients(np.array([0.0, 1.0]), rows, 0.5 * EPS * 15 * (rows @ [2.0, 3.0]).max(keepdims=True))
    assert (np.abs(got.derivative - [[2.0], [3.0]]) <= rounding).all()
    assert rows.min() == 0.0


@given(st.floats(0.01, 3.0), strategies.SEEDS)
def test_finite_difference_never_asks_for_a_negative_weight(smallest, seed):
    """In units of u: w_i for each w + h, 8 for each sine, 6 for sums of at most 3, 30 for the quotient."""
    learner, asked = recorded(ClosedForm(3, 1, lambda w, r: np.sin(w).sum(axis=1, keepdims=True), None))
    w = np.append(smallest, np.random.default_rng(seed).uniform(0.01, 3.0, 2))
    got = finite_difference(learner, w, SEEDS, initial_step=5.0)
    rows = np.concatenate(asked)
    rounding = rounding_of_quotients(w, rows, 0.5 * EPS * (rows.sum(axis=1) + 60).max(keepdims=True))
    assert rows.min() >= 0.0
    assert (np.abs(got.derivative - np.cos(w)[:, None]) <= got.error + rounding).all()


def test_finite_difference_of_a_jump_does_not_claim_to_have_converged():
    learner = ClosedForm(1, 1, lambda w, r: np.sign(w - 1.0), None)
    assert not finite_difference(learner, [1.0], SEEDS).converged


def test_finite_difference_averages_over_seeds():
    learner, w = waves(3, 2, seed=3), np.array([0.5, 1.0, 1.5])
    each = [weight_derivative(learner, w, [seed]) for seed in (0, 1, 2)]
    assert_close(finite_difference(learner, w, [0, 1, 2]).derivative, np.mean(each, axis=0), rtol=1e-9)
    assert_close(weight_derivative(learner, w, [0, 1, 2]), np.mean(each, axis=0), rtol=1e-14)


@pytest.mark.parametrize("learner", [logistic(5), ridge(5, 0.1)], ids=["logistic", "ridge"])
@settings(max_examples=10)
@given(w=strategies.interior_weights(5))
def test_weight_derivatives_of_learners_equal_finite_differences(learner, w):
    got = finite_difference(learner, w, SEEDS)
    assert_close(weight_derivative(learner, w, SEEDS), got.derivative, rtol=1e-9)


# Refusals


def test_a_learner_without_derivatives_is_refused_by_name():
    class Blind:
        n_points, n_outputs = 2, 1

        def respond(self, weights, seeds):
            return np.zeros((len(weights), len(seeds), 1))

    with pytest.raises(TypeError, match="Blind has no weight_jacobian"):
        average_derivative(Blind(), Bernoulli(), SEEDS, 4)


@pytest.mark.parametrize(
    "laws", [(Bernoulli(0.5), TwoPoint(0.3)), (Bernoulli(0.5), Gaussian(0.1)), (Gaussian(0.1), Gaussian(0.2))]
)
def test_laws_on_different_points_are_not_averaged_together(laws):
    with pytest.raises(ValueError, match="do not share their points and zero-bias law: average them one by one"):
        average_derivatives(logistic(3), laws, SEEDS, 2)


@pytest.mark.parametrize("weights", [[1.0, 1.0], [[1.0, 1.0, 1.0]], 1.0])
def test_finite_difference_refuses_weights_of_another_shape(weights):
    with pytest.raises(ValueError, match=r"weights has shape \(.*\), expected \(3,\): one weight per training point"):
        finite_difference(logistic(3), weights, SEEDS)


@pytest.mark.parametrize("nodes", [0, -2])
def test_an_average_over_no_nodes_is_refused(nodes):
    with pytest.raises(ValueError, match=f"nodes = {nodes}, expected a whole number >= 1"):
        average_derivative(logistic(3), Bernoulli(), SEEDS, nodes)


def test_gaussian_weights_below_zero_are_refused_before_any_training():
    with pytest.raises(ValueError, match="has a node at -"):
        average_derivative(logistic(3), Gaussian(0.6), SEEDS, 5)
