"""The residual from noise stability, against the Walsh spectrum of exact tables and enumerated noise."""

import numpy as np
import pytest
import strategies
from assertions import assert_close, assert_identical
from hypothesis import given, settings
from scipy import stats

from sims.learners import MLP, Bistable, KernelSum, LeastSquares, Logistic, MovingJump
from sims.retrain import response_table
from theory.datamodel import optimal_datamodel
from theory.laws import Bernoulli
from theory.response import weight_derivative
from theory.sampling.stability import noise_design, noise_residual
from theory.subsets import all_masks
from theory.transforms import degree_mass


def count(table):
    return len(table).bit_length() - 1


def rows_of(table, masks):
    return table[(masks @ 2 ** np.arange(count(table))).astype(int)]


def estimate(table, p, n_chains, seed, **options):
    correlations = options.pop("correlations", (0.15, 0.3))
    design = noise_design(Bernoulli(p), n_chains=n_chains, n_points=count(table), seed=seed, correlations=correlations)
    return noise_residual(design, rows_of(table, design.masks), **options)


@given(strategies.tables(max_points=4), strategies.PROBABILITIES)
@settings(max_examples=20)
def test_noise_stability_is_the_polynomial_of_the_masses(table, p):
    """h(rho) = E F(w) F(w_rho), every pair of subsets enumerated, is sum_k rho^k B_k: the identity that the estimator uses."""
    n, masks = count(table), all_masks(count(table))
    probability = np.prod(np.where(masks == 1.0, p, 1.0 - p), axis=1)
    for rho in (0.0, 0.3, 1.0):
        fresh = np.where(masks == 1.0, p, 1.0 - p)  # of the coordinate of the copy
        stays = masks[:, None] == masks[None]
        transition = np.prod(rho * stays + (1.0 - rho) * fresh[None], axis=2)
        enumerated = np.einsum("a,ab,am,bm->m", probability, transition, table, table)
        assert_close(enumerated, rho ** np.arange(n + 1) @ degree_mass(table, p), rtol=1e-10, atol=1e-12 * np.square(table).max())


def test_copies_have_the_law_and_the_correlations_of_the_design():
    design = noise_design(Bernoulli(0.3), n_chains=20_000, n_points=4, seed=0, correlations=(0.2, 0.7))
    assert design.chains.shape == (20_000, 4, 4)
    assert_close(design.chains.mean(axis=0), np.full((4, 4), 0.3), atol=5.0 * np.sqrt(0.21 / 20_000))
    for copy, rho in enumerate((1.0, 0.2, 0.7, 0.0)):
        for i in range(4):
            correlation = np.corrcoef(design.chains[:, 0, i], design.chains[:, copy, i])[0, 1]
            assert correlation == pytest.approx(rho, abs=5.0 / np.sqrt(20_000))


def test_the_same_seed_gives_the_same_chains_and_more_of_them_begin_with_these():
    short, longer = (noise_design(Bernoulli(0.5), n_chains=n, n_points=5, seed=3) for n in (10, 30))
    assert_identical(short.chains, longer.chains[:10])
    assert_identical(short.masks, short.chains.reshape(40, 5))
    assert (short.chains != noise_design(Bernoulli(0.5), n_chains=10, n_points=5, seed=4).chains).any()


@pytest.mark.parametrize(("correlations", "p"), [((0.15, 0.3), 0.5), ((0.2,), 0.5), ((0.2, 0.4, 0.6), 0.8)])
def test_the_mean_of_the_estimates_is_the_residual_with_the_bias_of_the_rule(correlations, p):
    """On a table with mass at every degree: the mean over 400 designs is R less sum_{j > K} B_j sum_k a_k rho_k^j."""
    table = np.random.default_rng(0).standard_normal((2**6, 1))
    mass = degree_mass(table, p)[:, 0]
    rho, k = np.array(correlations), len(correlations)
    a = np.linalg.lstsq(rho ** np.arange(1, k + 1)[:, None], np.eye(k)[0], rcond=None)[0]
    expected = mass[2:].sum() - sum(mass[j] * (a @ rho**j) for j in range(k + 1, 7))
    estimates = [estimate(table, p, 200, seed, correlations=correlations) for seed in range(400)]
    values = np.array([e.residual[0] for e in estimates])
    assert values.mean() == pytest.approx(expected, abs=4.0 * stats.sem(values))
    assert abs(expected - mass[2:].sum()) <= estimates[0].relative_bias * mass[2:].sum()
    stated = np.sqrt(np.mean([e.standard_error[0] ** 2 for e in estimates]))
    assert stated == pytest.approx(values.std(), rel=0.1)
    assert np.mean([e.variance[0] for e in estimates]) == pytest.approx(mass[1:].sum(), rel=0.05)


def test_few_chains_have_no_bias_of_their_own():
    """Three chains of an additive response, R = 0: means over the chain itself would take a third of B_1 for residual."""
    table = all_masks(3) @ np.array([[3.0], [-2.0], [1.0]])
    values = np.array([estimate(table, 0.5, 3, seed, correlations=(0.6,)).residual[0] for seed in range(3000)])
    assert abs(values.mean()) <= 4.0 * stats.sem(values)
    assert 4.0 * stats.sem(values) < 0.5 * degree_mass(table)[1, 0] / 3.0


def test_the_bias_is_zero_where_the_table_has_no_degree_beyond_the_rule():
    assert estimate(np.random.default_rng(0).standard_normal((4, 1)), 0.5, 5, 0).relative_bias == 0.0
    assert estimate(np.random.default_rng(0).standard_normal((64, 1)), 0.5, 5, 0).relative_bias == pytest.approx(2 * 0.15**2)


def learners():
    rng = np.random.default_rng(1)
    X, y = rng.standard_normal((8, 2)), np.arange(8) % 2
    X[:, 0] = 1.0
    return {
        "logistic": (Logistic(X, y, X[:2], l2=1e-2), [0]),
        "least squares": (LeastSquares(X, y + X[:, 1], X[:2], l2=0.1), [0]),
        "network": (MLP(X, y, X[:2], hidden=(3,), steps=200), range(2)),
        "bistable": (Bistable(X, y - 0.5, X[:2]), range(4)),
        "moving jump": (MovingJump(X, y - 0.5, X[:2], init_scale=0.1), range(50)),
        "kernel sum": (KernelSum(X, y, X[:2]), [0]),
    }


LEARNERS = learners()


@pytest.mark.parametrize("p", [0.5, 0.8])
@pytest.mark.parametrize("name", LEARNERS)
def test_the_estimate_is_within_its_stated_error_of_the_exact_residual(name, p):
    """99.9% intervals, sampling error and bias together; and 4 standard errors plus the bias."""
    learner, seeds = LEARNERS[name]
    table = response_table(learner, seeds).mean
    exact = degree_mass(table, p)[2:].sum(axis=0)
    for linear in (None, weight_derivative(learner, np.full(8, p), seeds)):
        found = estimate(table, p, 2000, 7, linear=linear)
        low, high = found.interval(0.999)
        rounding = 1e-12 * np.square(table).max()
        assert (low <= exact + rounding).all(), name
        assert (exact <= high + rounding).all(), name
        error = 4.0 * found.standard_error + found.relative_bias * exact + rounding
        assert (np.abs(found.residual - exact) <= error).all(), name


def test_an_affine_response_less_its_derivative_has_no_residual_and_no_error():
    learner, seeds = LEARNERS["kernel sum"]
    found = estimate(response_table(learner, seeds).mean, 0.5, 50, 0, linear=weight_derivative(learner, np.ones(8), seeds))
    assert_close(found.residual, np.zeros(2), atol=1e-30)
    assert_close(found.standard_error, np.zeros(2), atol=1e-30)


def test_a_linear_function_subtracted_changes_the_error_and_not_the_residual():
    learner, seeds = LEARNERS["logistic"]
    table = response_table(learner, seeds).mean
    exact = degree_mass(table)[2:].sum(axis=0)
    linears = {
        "none": None,
        "best": optimal_datamodel(table).coefficients,
        "wrong": np.random.default_rng(0).standard_normal((8, 2)),
    }
    errors = {}
    for name, linear in linears.items():
        found = [estimate(table, 0.5, 200, seed, linear=linear) for seed in range(200)]
        values = np.array([e.residual for e in found])
        bias = np.abs(values.mean(axis=0) - exact)
        assert (bias <= 4.0 * stats.sem(values) + found[0].relative_bias * exact).all(), name
        errors[name] = values.std(axis=0).mean()
    assert errors["best"] < 0.25 * errors["none"]
    assert errors["wrong"] > errors["none"]


def test_intervals_cover_the_exact_residual_at_their_level():
    table = response_table(*LEARNERS["logistic"]).mean
    exact = degree_mass(table)[2:].sum(axis=0)
    intervals = [estimate(table, 0.5, 400, seed, linear=optimal_datamodel(table).coefficients).interval() for seed in range(300)]
    share = np.mean([(low <= exact) & (exact <= high) for low, high in intervals])
    assert 0.93 <= share <= 1.0


def test_chains_of_responses_may_come_flat_or_stacked_and_shifts_do_not_matter():
    table = np.random.default_rng(0).standard_normal((32, 2))
    design = noise_design(Bernoulli(0.5), n_chains=40, n_points=5, seed=0)
    flat = rows_of(table, design.masks)
    plain, stacked = noise_residual(design, flat), noise_residual(design, flat.reshape(40, 4, 2))
    assert_identical(plain.residual, stacked.residual)
    assert_close(noise_residual(design, flat + 1e4).residual, plain.residual, atol=1e-9)


def test_what_makes_no_chain_is_refused():
    design = noise_design(Bernoulli(0.5), n_chains=10, n_points=5, seed=0)
    for correlations in ((), (0.2, 0.2), (0.0, 0.2), (0.3, 1.0)):
        with pytest.raises(ValueError, match="expected one or more different numbers between 0 and 1"):
            noise_design(Bernoulli(0.5), n_chains=10, n_points=5, seed=0, correlations=correlations)
    with pytest.raises(ValueError, match=r"correlations = \(0.9, 0.95\): the bias may be 2.2 times the residual; take smaller"):
        noise_design(Bernoulli(0.5), n_chains=10, n_points=5, seed=0, correlations=(0.9, 0.95))
    with pytest.raises(ValueError, match="n_chains = 1, expected a whole number >= 2"):
        noise_design(Bernoulli(0.5), n_chains=1, n_points=5, seed=0)
    with pytest.raises(ValueError, match=r"responses has shape \(39, 1\), expected \(10, 4, M\) or \(40, M\)"):
        noise_residual(design, np.zeros((39, 1)))
    with pytest.raises(ValueError, match="responses must be finite"):
        noise_residual(design, np.full((40, 1), np.nan))
    with pytest.raises(ValueError, match=r"linear has shape \(5,\), expected \(5, 1\): one effect per point"):
        noise_residual(design, np.zeros((40, 1)), linear=np.zeros(5))
    with pytest.raises(ValueError, match="level = 2, expected 0 < level < 1"):
        noise_residual(design, np.zeros((40, 1))).interval(2)
