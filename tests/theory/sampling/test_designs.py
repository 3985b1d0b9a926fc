"""Designs: the law of every row, exact cancellation on integer tables, and variance against independent draws on exact tables."""

import numpy as np
import pytest
import strategies
from assertions import assert_close, assert_identical
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import linalg, stats

from sims.learners import Logistic
from sims.retrain import response_table
from theory import transforms
from theory.datamodel import fit_sampled, optimal_datamodel
from theory.laws import Bernoulli, FixedSize
from theory.sampling.designs import antithetic, fold_over, hadamard, hadamard_orders, independent
from theory.subsets import all_masks, sizes

HALF = Bernoulli(0.5)
MAKERS = {
    "independent": lambda m, seed: independent(Bernoulli(0.3), n_subsets=m, n_points=6, seed=seed),
    "fixed size": lambda m, seed: independent(FixedSize(2), n_subsets=m, n_points=6, seed=seed),
    "antithetic": lambda m, seed: antithetic(HALF, n_subsets=m, n_points=6, seed=seed),
    "antithetic of one size": lambda m, seed: antithetic(FixedSize(3), n_subsets=m, n_points=6, seed=seed),
    "fold-over": lambda m, seed: fold_over(n_replicates=m // 16, n_points=6, seed=seed),
}


def count(table):
    return len(table).bit_length() - 1


def rows_of(table, masks):
    return table[(masks @ 2 ** np.arange(count(table))).astype(int)]


def only_degrees(table, keep):
    """The part of an integer table of the given Walsh degrees, times 2**N: integers again, exactly."""
    n = count(table)
    signs = 2.0 * all_masks(n) - 1.0
    characters = np.stack([signs[:, all_masks(n)[a] == 1.0].prod(axis=1) for a in range(2**n)], axis=1)
    coefficients = characters.T @ table
    return characters[:, keep(sizes(n))] @ coefficients[keep(sizes(n))]


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_the_same_seed_gives_the_same_bits_and_a_longer_design_begins_with_the_shorter(make):
    short, again, longer, other = make(32, 5), make(32, 5), make(96, 5), make(32, 6)
    assert_identical(short.masks, again.masks)
    assert_identical(short.masks, longer.masks[:32])
    assert (short.masks != other.masks).any()
    assert short.masks.shape == (32, 6)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_every_row_has_the_law_of_the_design(make):
    """Presence of every point and of every pair, over many seeds and row by row, within 5 standard errors."""
    draws = np.array([make(32, seed).masks for seed in range(400)])
    law = make(32, 0).law
    single = law.k / 6 if isinstance(law, FixedSize) else law.p
    double = law.k * (law.k - 1) / 30 if isinstance(law, FixedSize) else law.p**2
    assert np.abs(draws.mean(axis=0) - single).max() < 5.0 * np.sqrt(single * (1.0 - single) / 400)
    pairs = np.einsum("sri,srj->rij", draws, draws) / 400
    assert np.abs(pairs[:, ~np.eye(6, dtype=bool)] - double).max() < 5.0 * np.sqrt(double * (1.0 - double) / 400)


def test_designs_of_different_kinds_do_not_share_their_draws():
    assert (
        independent(HALF, n_subsets=16, n_points=6, seed=0).masks != antithetic(HALF, n_subsets=32, n_points=6, seed=0).masks[::2]
    ).any()


# --- Hadamard matrices --------------------------------------------------------------------------------------------------------


def test_hadamard_matrices_are_orthogonal_matrices_of_signs():
    for n in hadamard_orders(130):
        matrix = hadamard(n)
        assert_identical(np.abs(matrix), np.ones((n, n)), call=n)
        assert_identical(matrix @ matrix.T, n * np.eye(n), call=n)


def test_hadamard_matrices_of_powers_of_two_are_those_of_scipy():
    for n in (1, 2, 4, 64):
        assert_identical(hadamard(n), linalg.hadamard(n).astype(float))


def test_known_orders_are_constructed():
    assert hadamard_orders(48) == [1, 2, 4, 8, 12, 16, 20, 24, 32, 40, 44, 48]


# --- what cancels exactly -----------------------------------------------------------------------------------------------------


@given(strategies.integer_tables(min_points=2, max_points=6), strategies.SEEDS)
def test_pairs_cancel_every_even_degree_exactly(table, seed):
    even = only_degrees(table, lambda k: k % 2 == 0)
    responses = rows_of(even, antithetic(HALF, n_subsets=40, n_points=count(table), seed=seed).masks)
    assert_identical(responses[0::2], responses[1::2])


@given(strategies.integer_tables(min_points=2, max_points=6), strategies.SEEDS)
def test_pairs_keep_odd_degrees_with_their_sign(table, seed):
    odd = only_degrees(table, lambda k: k % 2 == 1)
    responses = rows_of(odd, antithetic(HALF, n_subsets=40, n_points=count(table), seed=seed).masks)
    assert_identical(responses[0::2], -responses[1::2])


@pytest.mark.parametrize("order", [8, 12])
@given(table=strategies.integer_tables(min_points=2, max_points=6), seed=strategies.SEEDS)
def test_fold_over_cancels_even_degrees_exactly_in_every_effect(order, table, seed):
    n = count(table)
    even = only_degrees(table, lambda k: k % 2 == 0)
    design = fold_over(n_replicates=2, n_points=n, seed=seed, order=order)
    effects = (2.0 * design.masks - 1.0).T @ rows_of(even, design.masks)
    assert_identical(effects, np.zeros_like(effects))


@given(table=strategies.integer_tables(min_points=2, max_points=6), seed=strategies.SEEDS)
def test_fold_over_gives_beta_exactly_where_no_odd_degree_from_three_is_present(table, seed):
    n = count(table)
    assume((np.ptp(table, axis=0) > 0).all())
    mixed = only_degrees(table, lambda k: (k % 2 == 0) | (k == 1))
    design = fold_over(n_replicates=1, n_points=n, seed=seed, order=8)
    fitted = fit_sampled(design.masks, rows_of(mixed, design.masks), "difference_of_means")
    assert_close(fitted.coefficients, optimal_datamodel(mixed).coefficients, rtol=1e-13, atol=1e-13 * np.abs(mixed).max())


@given(strategies.SEEDS, st.integers(1, 30))
def test_fold_over_presence_is_orthogonal_to_presence_and_to_products_of_two(seed, n):
    design = fold_over(n_replicates=1, n_points=n, seed=seed)
    signs = 2.0 * design.masks - 1.0
    m = len(signs)
    assert m == 2 * min(k for k in hadamard_orders(200) if k >= n)
    assert_identical(signs.T @ signs, m * np.eye(n))
    products = np.einsum("ri,rj->rij", signs, signs).reshape(m, -1)
    assert_identical(signs.T @ products, np.zeros((n, n * n)))
    assert_identical(signs[0::2], -signs[1::2])


def test_fold_over_takes_every_column_of_its_matrix_equally_often():
    """Errors rest on it: what the columns left over show is what reaches those taken."""
    taken = [fold_over(n_replicates=1, n_points=1, seed=seed, order=8).masks[::2, 0] for seed in range(400)]
    columns = [tuple(half if half[0] else 1.0 - half) for half in taken]  # up to the random sign of the point
    counts = np.unique(columns, axis=0, return_counts=True)[1]
    assert len(counts) == 8
    assert stats.chisquare(counts).pvalue > 1e-3


def test_an_interaction_of_three_is_not_cancelled():
    """The negative control: degree 3 reaches the effects of pairs and of one replicate, with a sign that changes by seed."""
    table = (2.0 * all_masks(4)[:, :3] - 1.0).prod(axis=1)[:, None]
    effects = []
    for seed in range(40):
        design = fold_over(n_replicates=1, n_points=4, seed=seed, order=4)
        effects.append((2.0 * design.masks[:, 3] - 1.0) @ rows_of(table, design.masks)[:, 0] / len(design.masks))
    assert set(effects) == {-1.0, 1.0}


# --- variance per retraining --------------------------------------------------------------------------------------------------


def logistic_table():
    rng = np.random.default_rng(1)
    X, y = rng.standard_normal((8, 2)), np.arange(8) % 2
    X[:, 0] = 1.0
    return response_table(Logistic(X, y, X[:2], l2=1e-2), [0]).mean


def mean_squared_error(table, designs, method="ols"):
    beta = optimal_datamodel(table).coefficients
    fits = (fit_sampled(d, rows_of(table, d.masks), method).coefficients for d in designs)
    return np.mean([np.square(fit - beta) for fit in fits])


@pytest.mark.parametrize("table", ["logistic", "noise"])
def test_pairs_and_fold_over_gain_what_the_masses_of_the_table_say(table):
    """Against OLS on m independent draws: (B_2 + B_3 + ..) / (2 (B_3 + B_5 + ..)), on a real table and on one without order."""
    values = logistic_table() if table == "logistic" else np.random.default_rng(0).standard_normal((256, 2))
    mass = transforms.degree_mass(values).sum(axis=1)
    predicted = mass[2:].sum() / (2.0 * mass[3::2].sum())
    m, seeds = 320, range(150)
    alone = mean_squared_error(values, (independent(HALF, n_subsets=m, n_points=8, seed=seed) for seed in seeds))
    pairs = mean_squared_error(values, (antithetic(HALF, n_subsets=m, n_points=8, seed=seed) for seed in seeds))
    folded = mean_squared_error(values, (fold_over(n_replicates=m // 16, n_points=8, seed=seed) for seed in seeds))
    assert alone / pairs == pytest.approx(predicted, rel=0.15)
    assert alone / folded == pytest.approx(predicted, rel=0.15)
    assert (predicted > 3.0) == (table == "logistic")


def test_least_squares_beats_the_difference_of_means_by_the_linear_part():
    """var(OLS) / var(difference of means) is residual / Var F: the fair rival of a design is OLS."""
    table = logistic_table()
    mass = transforms.degree_mass(table).sum(axis=1)
    designs = [independent(HALF, n_subsets=320, n_points=8, seed=seed) for seed in range(150)]
    ratio = mean_squared_error(table, designs, "difference_of_means") / mean_squared_error(table, designs)
    assert ratio == pytest.approx((mass[1:].sum() - mass[1] / 8) / mass[2:].sum(), rel=0.15)


def test_pairs_of_small_designs_pay_for_the_degrees_of_freedom_that_they_lose_and_fold_over_does_not():
    """m/2 = 20 differences for 8 coefficients: m/2 / (m/2 - N - 1) more variance; replicates of order 20 are orthogonal."""
    table, seeds = logistic_table(), range(120)
    pairs = mean_squared_error(table, (antithetic(HALF, n_subsets=40, n_points=8, seed=seed) for seed in seeds))
    folded = mean_squared_error(table, (fold_over(n_replicates=1, n_points=8, seed=seed, order=20) for seed in seeds))
    assert pairs > 1.5 * folded


# --- what is refused ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: antithetic(Bernoulli(0.9), n_subsets=10, n_points=6, seed=0),
            r"complements have p = 0\.1, expected p = 1/2; use a control variate",
        ),
        (
            lambda: antithetic(FixedSize(2), n_subsets=10, n_points=6, seed=0),
            r"FixedSize\(k=2\) with N = 6: complements have 4 points, expected k = N/2",
        ),
        (
            lambda: antithetic(HALF, n_subsets=11, n_points=6, seed=0),
            "n_subsets = 11, expected an even number >= 2: subsets come in pairs",
        ),
        (lambda: independent(HALF, n_subsets=0, n_points=6, seed=0), "n_subsets = 0, expected a whole number >= 1"),
        (lambda: independent(FixedSize(6), n_subsets=9, n_points=6, seed=0), "k = 6 with N = 6 points"),
        (
            lambda: fold_over(n_replicates=1, n_points=9, seed=0, order=8),
            r"order = 8, expected a constructed order >= N = 9, such as \[12, 16",
        ),
        (lambda: fold_over(n_replicates=1, n_points=9, seed=0, order=28), r"order = 28, expected a constructed order >= N = 9"),
        (lambda: fold_over(n_replicates=0, n_points=9, seed=0), "n_replicates = 0, expected a whole number >= 1"),
        (lambda: hadamard(28), r"order = 28, expected 2\^a \(q \+ 1\)"),
        (lambda: independent(HALF, n_subsets=9, n_points=6, seed=-1), r"seed = -1, expected 0 <= seed < 2\*\*63"),
    ],
)
def test_a_design_that_cannot_be_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
