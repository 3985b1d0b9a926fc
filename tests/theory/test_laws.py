"""Laws and their zero-bias laws, against scipy.stats, direct sums over the probabilities and integrals of the density."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
from assertions import assert_close
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from theory.laws import Bernoulli, FixedSize, Gaussian, Poisson, ProductLaw, TwoLevelLaw, TwoPoint

LAWS = [Bernoulli(0.2), Bernoulli(0.5), Bernoulli(0.8), TwoPoint(0.3), TwoPoint(1.0), Gaussian(0.1), Gaussian(0.02), Poisson()]
COUNTS = np.arange(80)
POISSON_PMF = stats.poisson(1.0).pmf(COUNTS)
GRID = np.arange(-96, 97) / 8.0
EPS = np.finfo(float).eps

each_law = pytest.mark.parametrize("law", LAWS, ids=repr)


def expectation(law, g):
    """E g(w) without any code of ours: sums over the support; for the normal law the trapezoid rule, exact to rounding."""
    match law:
        case Bernoulli(p):
            return (1.0 - p) * g(0.0) + p * g(1.0)
        case TwoPoint(scale):
            return 0.5 * g(1.0 - scale) + 0.5 * g(1.0 + scale)
        case Gaussian(sigma):
            return math.fsum(stats.norm.pdf(GRID) / 8.0 * g(1.0 + sigma * GRID))
        case Poisson():
            return float(POISSON_PMF @ g(COUNTS.astype(float)))
    raise AssertionError(law)


def zero_bias_density(law, t):
    """k(t) = E[(w - m) 1{w > t}] / s^2, the definition."""
    return expectation(law, lambda w: (w - law.mean) * (w > t)) / law.variance


def apply(rule, g):
    return float(rule.probabilities @ g(rule.points))


FUNCTIONS = {f"w^{k}": (lambda w, k=k: w**k, lambda w, k=k: k * w ** (k - 1)) for k in range(1, 9)}
FUNCTIONS |= {f"exp({t} w)": (lambda w, t=t: np.exp(t * w), lambda w, t=t: t * np.exp(t * w)) for t in (-1.0, 0.5, 1.0)}
each_function = pytest.mark.parametrize("name", FUNCTIONS)


@each_law
def test_mean_and_variance_are_those_of_the_law(law):
    mean = expectation(law, lambda w: w)
    assert_close(law.mean, mean, rtol=1e-12)
    assert_close(law.variance, expectation(law, lambda w: (w - mean) ** 2), rtol=1e-12)


@each_law
@pytest.mark.parametrize("nodes", [1, 2, 3, 5, 8])
def test_both_rules_are_probabilities_on_weights_that_a_learner_accepts(law, nodes):
    for rule in (law.quadrature(nodes), law.zero_bias_quadrature(nodes)):
        assert_close(rule.probabilities.sum(), 1.0, atol=1e-14)
        assert (rule.probabilities > 0.0).all()
        assert (rule.points >= 0.0).all()


def test_poisson_nodes_are_never_negative_however_many():
    negative = {nodes: low for nodes in range(1, 41) if (low := Poisson().quadrature(nodes).points.min()) < 0.0}
    assert not negative, f"a learner refuses weights below 0, got (nodes: lowest) {negative}"


@each_law
@each_function
def test_quadrature_gives_expectations(law, name):
    g, _ = FUNCTIONS[name]
    assert_close(apply(law.quadrature(12), g), expectation(law, g), rtol=1e-12, call=f"{law} {name}")


@each_law
@each_function
def test_stein_identity_defines_the_zero_bias_law(law, name):
    g, derivative = FUNCTIONS[name]
    covariance = expectation(law, lambda w: (w - law.mean) * g(w))
    rounding = 4 * EPS * expectation(law, lambda w: np.abs(g(w)))  # of w - m
    stein = law.variance * apply(law.zero_bias_quadrature(12), derivative)
    assert_close(stein, covariance, rtol=1e-11, atol=rounding, call=f"{law} {name}")


@each_law
def test_stein_identity_fails_when_the_weight_itself_replaces_its_zero_bias_unless_it_is_gaussian(law):
    g, derivative = FUNCTIONS["w^3"]
    covariance = expectation(law, lambda w: (w - law.mean) * g(w))
    with_the_weight_itself = law.variance * expectation(law, derivative)
    assert (abs(with_the_weight_itself / covariance - 1.0) < 1e-9) == isinstance(law, Gaussian)


@pytest.mark.parametrize("law", [law for law in LAWS if not isinstance(law, Gaussian)], ids=repr)
@each_function
def test_zero_bias_rule_is_the_integral_against_the_tail_density(law, name):
    g, _ = FUNCTIONS[name]
    edges = np.arange(0.0, 31.0) if isinstance(law, Poisson) else np.array(law.levels)
    pieces = [
        zero_bias_density(law, 0.5 * (low + high)) * integrate.quad(g, low, high, epsabs=0.0, epsrel=1e-13)[0]
        for low, high in itertools.pairwise(edges)
    ]
    assert_close(apply(law.zero_bias_quadrature(12), g), math.fsum(pieces), rtol=1e-11, call=f"{law} {name}")


@pytest.mark.parametrize("t", [0.8, 0.95, 1.0, 1.1, 1.25])
def test_the_tail_density_of_a_gaussian_is_its_own_density(t):
    sigma = 0.1
    tail = integrate.quad(lambda w: (w - 1.0) * stats.norm.pdf(w, 1.0, sigma), t, 1.0 + 12 * sigma, epsabs=0.0, epsrel=1e-12)[0]
    assert_close(tail / sigma**2, stats.norm.pdf(t, 1.0, sigma), rtol=1e-9)


@pytest.mark.parametrize("count", range(8))
def test_the_tail_density_of_poisson_is_its_mass_at_the_integer_below(count):
    for t in (count, count + 0.3, count + 0.999):
        assert_close(zero_bias_density(Poisson(), t), stats.poisson(1.0).pmf(count), rtol=1e-12)


@pytest.mark.parametrize("nodes", range(1, 9))
def test_gauss_rules_are_exact_to_degree_2k_minus_1_and_miss_degree_2k_by_the_norm_of_the_orthogonal_polynomial(nodes):
    """E w^2K - rule = ||pi_K||^2: K! (Charlier, a = 1), sigma^2K K! (Hermite), (K!)^4 / ((2K)!^2 (2K + 1)) (Legendre)."""
    sigma, factorial = 0.1, math.factorial(nodes)
    uniform = (factorial**2 / math.factorial(2 * nodes)) ** 2 / (2 * nodes + 1)
    for rule, centre, expected, norm in [
        (Poisson().quadrature(nodes), 0.0, lambda k: float(POISSON_PMF @ COUNTS.astype(float) ** k), float(factorial)),
        (
            Gaussian(sigma).quadrature(nodes),
            1.0,
            lambda k: stats.norm(0.0, sigma).moment(k) if k else 1.0,
            sigma ** (2 * nodes) * factorial,
        ),
        (Bernoulli(0.3).zero_bias_quadrature(nodes), 0.0, lambda k: 1.0 / (k + 1), uniform),
    ]:
        largest = expected(2 * nodes)
        for degree in range(2 * nodes):
            scale = apply(rule, lambda w, k=degree, c=centre: np.abs(w - c) ** k)
            assert_close(apply(rule, lambda w, k=degree, c=centre: (w - c) ** k), expected(degree), atol=1e-12 * scale)
        missed = largest - apply(rule, lambda w, c=centre: (w - c) ** (2 * nodes))
        assert_close(missed, norm, rtol=1e-10, atol=1e-13 * largest)


@given(st.floats(0.01, 0.99), st.integers(0, 2**32 - 1))
def test_stein_identity_for_every_p_and_random_polynomials(p, seed):
    polynomial = np.polynomial.Polynomial(np.random.default_rng(seed).standard_normal(8))
    covariance = expectation(Bernoulli(p), lambda w: (w - p) * polynomial(w))
    scale = p * (1.0 - p) * np.abs(polynomial.coef).sum()
    assert_close(
        p * (1.0 - p) * apply(Bernoulli(p).zero_bias_quadrature(4), polynomial.deriv()), covariance, atol=1e-14 * scale + 1e-15
    )


@each_law
def test_draws_have_the_mean_variance_and_independence_of_the_law(law):
    w = law.draw(n_subsets=50_000, n_points=4, rng=np.random.default_rng(20250101))
    assert w.shape == (50_000, 4)
    assert w.dtype == np.float64
    centred = w - law.mean
    fourth = expectation(law, lambda x: (x - law.mean) ** 4)
    z_mean = centred.mean(axis=0) / np.sqrt(law.variance / len(w))
    z_correlation = (centred.T @ centred / law.variance / np.sqrt(len(w)))[np.triu_indices(4, 1)]
    assert np.abs(z_mean).max() < 4.5
    assert np.abs(z_correlation).max() < 4.5
    spread = np.sqrt((fourth - law.variance**2) / w.size)  # 0 where |w - m| is constant
    assert abs((centred**2).mean() - law.variance) <= 4.5 * spread + 1e-13


@each_law
def test_draws_follow_the_distribution(law):
    w = law.draw(n_subsets=20_000, n_points=1, rng=np.random.default_rng(7))[:, 0]
    match law:
        case Gaussian(sigma):
            assert stats.kstest(w, stats.norm(1.0, sigma).cdf).pvalue > 1e-5
        case Poisson():
            observed = np.bincount(w.astype(int), minlength=6)
            expected = np.append(POISSON_PMF[:5], POISSON_PMF[5:].sum()) * len(w)
            assert stats.chisquare(np.append(observed[:5], observed[5:].sum()), expected).pvalue > 1e-5
        case _:
            assert set(np.unique(w)) == set(law.levels)


@each_law
def test_equal_seeds_draw_equal_weights_and_other_seeds_do_not(law):
    first, again, other = (law.draw(n_subsets=20, n_points=5, rng=np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("k", [1, 2, 4])
def test_fixed_size_draws_every_subset_of_k_points_equally_often(k):
    w = FixedSize(k).draw(n_subsets=20_000, n_points=5, rng=np.random.default_rng(3))
    assert (w.sum(axis=1) == k).all()
    assert set(np.unique(w)) == {0.0, 1.0}
    counts = np.bincount((w @ 2 ** np.arange(5)).astype(int), minlength=32)
    chosen = counts[[mask.bit_count() == k for mask in range(32)]]
    assert chosen.sum() == len(w)
    assert stats.chisquare(chosen).pvalue > 1e-5


@each_law
def test_only_laws_on_two_levels_are_two_level_laws(law):
    assert isinstance(law, ProductLaw)
    assert isinstance(law, TwoLevelLaw) == isinstance(law, Bernoulli | TwoPoint)
    assert not isinstance(FixedSize(2), ProductLaw)


@each_law
def test_laws_are_frozen_and_equal_by_value(law):
    assert law == dataclasses.replace(law)
    assert hash(law) == hash(dataclasses.replace(law))


@pytest.mark.parametrize("p", [0.0, 1.0, -0.1, 1.5, math.nan, math.inf])
def test_bernoulli_refuses_a_p_outside_the_open_interval(p):
    with pytest.raises(ValueError, match=rf"p = {p}, expected 0 < p < 1"):
        Bernoulli(p)


@pytest.mark.parametrize("scale", [0.0, -0.5, 1.01, math.nan])
def test_two_point_refuses_a_scale_with_negative_or_equal_weights(scale):
    with pytest.raises(ValueError, match=rf"scale = {scale}, expected 0 < scale <= 1"):
        TwoPoint(scale)


@pytest.mark.parametrize("sigma", [0.0, -1.0, math.inf, math.nan])
def test_gaussian_refuses_a_sigma_that_is_not_finite_and_positive(sigma):
    with pytest.raises(ValueError, match=rf"sigma = {sigma}, expected a finite number > 0"):
        Gaussian(sigma)


@pytest.mark.parametrize("k", [0, -3, 2.5, math.nan])
def test_fixed_size_refuses_a_k_that_is_not_a_count_of_points(k):
    with pytest.raises((ValueError, TypeError), match=rf"k = {k}, expected"):
        FixedSize(k)


def test_fixed_size_refuses_all_points_when_it_draws():
    with pytest.raises(ValueError, match="k = 5 with N = 5 points, expected 1 <= k <= N - 1 = 4"):
        FixedSize(5).draw(n_subsets=1, n_points=5, rng=np.random.default_rng(0))


def test_gaussian_refuses_nodes_with_negative_weights_and_names_the_lowest():
    lowest = 1.0 - 0.5 * math.sqrt(5.0 + math.sqrt(10.0))  # the fifth Hermite polynomial, He_5
    with pytest.raises(ValueError, match=rf"sigma=0.5\) with 5 nodes has a node at {lowest:.3g}.*use fewer nodes"):
        Gaussian(0.5).quadrature(5)


@pytest.mark.parametrize("rule", [Gaussian(0.1).quadrature, Poisson().quadrature, Bernoulli().zero_bias_quadrature])
@pytest.mark.parametrize("nodes", [0, -1])
def test_a_rule_without_nodes_is_refused(rule, nodes):
    with pytest.raises(ValueError, match=f"nodes = {nodes}, expected a whole number >= 1"):
        rule(nodes)
