"""Transforms of tables, against sums over sets, Hadamard matrices and exact fractions; == where integers keep it exact."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import strategies
from assertions import assert_close, assert_identical
from hypothesis import find, given, settings
from hypothesis import strategies as st
from scipy import linalg

from theory import transforms, values
from theory.subsets import all_masks, sizes

FIXED = settings(derandomize=True, database=None, deadline=None)
TABLES = strategies.integer_tables()
SCALED = strategies.integer_tables(multiple_of=64)
"""Every entry a multiple of 2^6, N <= 6: coefficients at p = 1/2 are integers."""


def count(table):
    return len(table).bit_length() - 1


def subsets_of(mask):
    return [sub for sub in range(mask + 1) if sub & mask == sub]


def exact_extension(column, q):
    """Ftilde(q) in fractions, by its definition."""
    total = Fraction(0)
    for mask, response in enumerate(column):
        weight = math.prod(q[i] if mask >> i & 1 else 1 - q[i] for i in range(len(q)))
        total += Fraction(response) * weight
    return total


@given(TABLES)
def test_moebius_is_the_alternating_sum_over_subsets(table):
    expected = [sum((-1) ** (mask ^ sub).bit_count() * table[sub] for sub in subsets_of(mask)) for mask in range(len(table))]
    assert_identical(transforms.moebius(table), expected)


@given(TABLES)
def test_inverse_moebius_is_the_sum_over_subsets(table):
    assert_identical(
        transforms.inverse_moebius(table), [sum(table[sub] for sub in subsets_of(mask)) for mask in range(len(table))]
    )


@given(TABLES)
def test_moebius_inversion_returns_the_table(table):
    assert_identical(transforms.inverse_moebius(transforms.moebius(table)), table)
    assert_identical(transforms.moebius(transforms.inverse_moebius(table)), table)


def test_moebius_without_its_sign_does_not_invert():
    table = find(
        TABLES, lambda t: not np.array_equal(transforms.inverse_moebius(transforms.inverse_moebius(t)), t), settings=FIXED
    )
    assert count(table) >= 1


@given(TABLES)
def test_mixed_differences_are_alternating_removals_from_the_full_set(table):
    full = len(table) - 1
    expected = [sum((-1) ** u.bit_count() * table[full - u] for u in subsets_of(mask)) for mask in range(len(table))]
    assert_identical(transforms.mixed_differences(table), expected)


@given(TABLES)
def test_mixed_differences_of_single_points_are_leave_one_out(table):
    assert_identical(transforms.mixed_differences(table)[2 ** np.arange(count(table))], values.leave_one_out(table))


@given(SCALED)
def test_walsh_is_the_hadamard_transform_with_present_points_positive(table):
    n = count(table)
    sign = (-1.0) ** sizes(n)[:, None]
    assert_identical(transforms.walsh(table), sign * (linalg.hadamard(2**n) @ table) / 2**n)


def test_walsh_has_the_opposite_sign_of_hadamard_on_odd_sets():
    table = np.array([[0.0], [2.0]])
    assert_identical(transforms.walsh(table), [[1.0], [1.0]])
    assert_identical(linalg.hadamard(2) @ table / 2, [[1.0], [-1.0]])


@given(strategies.tables(), strategies.PROBABILITIES)
def test_walsh_is_the_expectation_against_normalised_characters(table, p):
    n = count(table)
    masks = all_masks(n)
    probabilities = np.prod(np.where(masks == 1.0, p, 1.0 - p), axis=1)
    standard = (masks - p) / math.sqrt(p * (1.0 - p))
    characters = np.stack([np.prod(standard[:, list(chosen)], axis=1) for chosen in map(np.flatnonzero, masks)])
    expected = (characters * probabilities) @ table
    largest = np.abs(characters).max()  # the rare subset's character, up to (p / q)^(N / 2)
    scale = np.abs(table).max() * (np.abs(characters) @ probabilities).max()
    assert_close(transforms.walsh(table, p), expected, atol=1e-14 * scale * max(1.0, math.log(largest + 1.0)))


@given(SCALED)
def test_parseval_is_exact_on_integers(table):
    assert_identical((transforms.walsh(table) ** 2).sum(axis=0), (table**2).mean(axis=0))


@given(strategies.tables(), strategies.PROBABILITIES)
def test_parseval_holds_for_every_p(table, p):
    n = count(table)
    probabilities = np.array([p ** m.bit_count() * (1.0 - p) ** (n - m.bit_count()) for m in range(2**n)])
    second_moment = probabilities @ table**2
    assert_close((transforms.walsh(table, p) ** 2).sum(axis=0), second_moment, rtol=1e-13)


@pytest.mark.parametrize("p", [0.2, 0.8])
def test_parseval_fails_under_another_law_than_that_of_the_coefficients(p):
    find(
        SCALED,
        lambda t: np.any(np.abs((transforms.walsh(t, p) ** 2).sum(axis=0) / np.maximum((t**2).mean(axis=0), 1.0) - 1.0) > 0.1),
        settings=FIXED,
    )


@given(strategies.tables(), strategies.PROBABILITIES)
def test_degree_mass_sums_to_the_variance_and_starts_with_the_squared_mean(table, p):
    n = count(table)
    mass = transforms.degree_mass(table, p)
    probabilities = np.array([p ** m.bit_count() * (1.0 - p) ** (n - m.bit_count()) for m in range(2**n)])
    mean = probabilities @ table
    scale = (probabilities @ table**2).max()
    assert mass.shape == (n + 1, table.shape[1])
    assert_close(mass[0], mean**2, atol=1e-13 * scale)
    assert_close(mass[1:].sum(axis=0), probabilities @ (table - mean) ** 2, atol=1e-13 * scale)


@given(st.integers(1, 6), st.data())
def test_a_single_character_has_all_its_mass_at_its_degree(n, data):
    chosen = data.draw(st.integers(0, 2**n - 1), label="mask")
    character = np.array([[(-1.0) ** (chosen & ~mask).bit_count()] for mask in range(2**n)])
    assert_identical(transforms.degree_mass(character)[:, 0], np.arange(n + 1) == chosen.bit_count())


@given(TABLES, st.data())
def test_the_extension_at_a_corner_is_the_table(table, data):
    row = data.draw(st.integers(0, len(table) - 1), label="row")
    assert_identical(transforms.multilinear_extension(table, all_masks(count(table))[row]), table[row])


@given(strategies.integer_tables(max_points=4), st.data())
def test_the_extension_is_its_definition_in_fractions(table, data):
    q = [data.draw(strategies.DYADIC_PROBABILITIES, label="q_i") for _ in range(count(table))]
    expected = [float(exact_extension(column, [Fraction(x) for x in q])) for column in table.T]
    assert_identical(transforms.multilinear_extension(table, q), expected)


@given(strategies.integer_tables(max_points=4), st.data())
def test_the_gradient_is_the_extension_at_q_i_one_minus_at_q_i_zero(table, data):
    """Ftilde is affine in every q_i: this difference is its derivative."""
    q = np.array([data.draw(strategies.DYADIC_PROBABILITIES, label="q_i") for _ in range(count(table))])
    gradient = transforms.multilinear_gradient(table, q)
    for i in range(len(q)):
        present, absent = np.where(np.arange(len(q)) == i, 1.0, q), np.where(np.arange(len(q)) == i, 0.0, q)
        difference = transforms.multilinear_extension(table, present) - transforms.multilinear_extension(table, absent)
        assert_identical(gradient[i], difference)


@given(strategies.integer_tables(), strategies.DYADIC_PROBABILITIES)
def test_russo_margulis_the_coefficients_sum_to_the_derivative_in_p(table, p):
    """d/dp sum_S F(S) p^|S| (1 - p)^(N - |S|), differentiated by hand in fractions (T8)."""
    n, x = count(table), Fraction(p)
    slope = [
        k * x ** (k - 1) * (1 - x) ** (n - k) - (n - k) * x**k * (1 - x) ** (n - k - 1) if 0 < k < n
        else (n * x ** (n - 1) if k == n else -n * (1 - x) ** (n - 1))
        for k in range(n + 1)
    ]  # fmt: skip
    expected = [float(sum(Fraction(f) * slope[m.bit_count()] for m, f in enumerate(column))) for column in table.T]
    assert_identical(values.banzhaf(table, p).sum(axis=0), expected)


@given(TABLES, strategies.DYADIC_PROBABILITIES)
def test_coefficients_are_a_polynomial_in_mixed_differences_at_the_full_set(table, p):
    """T3: beta_i = sum_{T not containing i} (-q)^|T| D_{T+i} F(D)."""
    n, q = count(table), 1.0 - p
    differences = transforms.mixed_differences(table)
    expected = [
        sum((-q) ** mask.bit_count() * differences[mask | 1 << i] for mask in range(2**n) if not mask >> i & 1) for i in range(n)
    ]
    assert_identical(values.banzhaf(table, p), expected)


@given(TABLES, strategies.DYADIC_PROBABILITIES)
def test_difference_sums_are_the_coefficients_of_that_polynomial(table, p):
    n, sums = count(table), transforms.difference_sums(table)
    assert sums.shape == (n, n, table.shape[1])
    assert_identical(sums[:, 0], values.leave_one_out(table))
    assert_identical(sum((p - 1.0) ** k * sums[:, k] for k in range(n)), values.banzhaf(table, p))


def test_the_polynomial_fails_with_the_other_sign_of_its_interactions():
    def wrong(table, q=0.25):
        return sum(q**k * transforms.difference_sums(table)[:, k] for k in range(count(table)))

    find(TABLES, lambda t: not np.array_equal(wrong(t), values.banzhaf(t, 0.75)), settings=FIXED)


@given(TABLES)
def test_coefficients_tend_to_leave_one_out_as_p_tends_to_one(table):
    """beta - LOO = -q sum_j D_ij + O(q^2): with q = 2^-k the quotient by q tends to the sum of interactions."""
    loo, sums = values.leave_one_out(table), transforms.difference_sums(table)
    assert_identical(values.banzhaf(table, 1.0), loo)
    for k in (4, 8, 12):
        q = 2.0**-k
        rest = sum((-q) ** j * sums[:, j] for j in range(2, count(table)))
        interactions = -q * sums[:, 1] if count(table) > 1 else 0.0
        rounding = 1e-13 * np.abs(table).max(initial=1.0)
        assert_close(values.banzhaf(table, 1.0 - q) - loo, interactions + rest + np.zeros_like(loo), atol=rounding)
        bound = q * sum(q ** (j - 1) * np.abs(sums[:, j]) for j in range(1, count(table)))
        assert (np.abs(values.banzhaf(table, 1.0 - q) - loo) <= bound + rounding).all()


@given(SCALED)
def test_leave_one_out_exceeds_the_coefficient_by_twice_its_higher_walsh_coefficients(table):
    """T5: LOO_i - beta_i = 2 sum_{A contains i, |A| >= 2} Fhat(A)."""
    n, fourier = count(table), transforms.walsh(table)
    higher = [
        sum((fourier[a] for a in range(2**n) if a >> i & 1 and a.bit_count() >= 2), np.zeros(table.shape[1])) for i in range(n)
    ]
    assert_identical(values.leave_one_out(table) - values.banzhaf(table), 2.0 * np.array(higher))
    assert_identical(values.banzhaf(table), 2.0 * fourier[2 ** np.arange(n)])


def test_leave_one_out_without_that_factor_two_is_wrong():
    """F = 4 for {0, 1}, else 0: every Walsh coefficient is 1, LOO = 4, beta = 2."""
    table = np.array([[0.0], [0.0], [0.0], [4.0]])
    assert_identical(transforms.walsh(table), np.ones((4, 1)))
    assert_identical(values.leave_one_out(table), [[4.0], [4.0]])
    assert_identical(values.banzhaf(table), [[2.0], [2.0]])


@given(st.integers(1, 3), st.integers(2, 4), strategies.SEEDS)
def test_level_means_are_conditional_expectations_on_a_grid(n, k, seed):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(k), size=n)
    table = rng.standard_normal((k**n, 2))
    joint, expected = np.zeros(k**n), np.zeros((n, k, 2))
    for levels in itertools.product(range(k), repeat=n):
        row = sum(level * k**i for i, level in enumerate(levels))
        joint[row] = math.prod(probabilities[i, level] for i, level in enumerate(levels))
        for i, level in enumerate(levels):
            others = math.prod(probabilities[j, x] for j, x in enumerate(levels) if j != i)
            expected[i, level] += others * table[row]
    means, overall = transforms.level_means(table, probabilities)
    scale = np.abs(table).max()
    assert_close(transforms.product_probabilities(probabilities), joint, rtol=1e-14)
    assert_close(means, expected, atol=1e-14 * scale)
    assert_close(overall, joint @ table, atol=1e-14 * scale)


@given(TABLES, st.data())
def test_split_separates_the_subsets_without_a_point_from_those_with_it(table, data):
    i = data.draw(st.integers(0, count(table) - 1), label="i")
    present = all_masks(count(table))[:, i] == 1.0
    absent_rows, present_rows = transforms.split(table, i)
    assert_identical(absent_rows, table[~present])
    assert_identical(present_rows, table[present])


@given(TABLES)
def test_sum_by_size_adds_the_subsets_of_each_size(table):
    expected = [table[sizes(count(table)) == k].sum(axis=0) for k in range(count(table) + 1)]
    assert_identical(transforms.sum_by_size(table), expected)


TRANSFORMS = [
    transforms.walsh,
    transforms.moebius,
    transforms.inverse_moebius,
    transforms.mixed_differences,
    transforms.degree_mass,
    transforms.difference_sums,
]
each_transform = pytest.mark.parametrize("transform", TRANSFORMS, ids=lambda f: f.__name__)


@each_transform
@given(table=TABLES)
def test_outputs_are_transformed_independently_and_the_input_is_kept(transform, table):
    before = table.copy()
    together = transform(table)
    columns = [transform(table[:, [m]])[..., 0] for m in range(table.shape[1])]
    assert_identical(together, np.stack(columns, axis=-1))
    assert_identical(table, before)


@each_transform
def test_a_list_of_lists_of_integers_is_a_table(transform):
    assert_identical(transform([[1], [2], [3], [7]]), transform(np.array([[1.0], [2.0], [3.0], [7.0]])))


@each_transform
@pytest.mark.parametrize(
    ("table", "message"),
    [
        (np.zeros(4), r"table has shape \(4,\), expected \(2\*\*N, M\): one row per subset"),
        (np.zeros((2, 2, 1)), r"table has shape \(2, 2, 1\), expected \(2\*\*N, M\)"),
        (np.zeros((4, 0)), r"table has shape \(4, 0\), expected \(2\*\*N, M\)"),
        (np.zeros((1, 1)), r"table has 1 rows, expected 2\*\*N with N >= 1"),
        (np.zeros((0, 1)), r"table has 0 rows, expected 2\*\*N with N >= 1"),
        (np.zeros((7, 2)), r"table has 7 rows, expected 2\*\*N with N >= 1: .* the empty one included"),
        ([[0.0, 1.0], [2.0, math.nan]], r"table\[1, 1\] is nan.*finite"),
        ([[0.0, -math.inf], [2.0, 1.0]], r"table\[0, 1\] is -inf.*finite"),
    ],
)
def test_what_is_not_a_table_is_refused(transform, table, message):
    with pytest.raises(ValueError, match=message):
        transform(table)


@pytest.mark.parametrize("p", [0.0, 1.0, -0.5, 2.0, math.nan])
@pytest.mark.parametrize("transform", [transforms.walsh, transforms.degree_mass])
def test_a_p_outside_the_open_interval_is_refused(transform, p):
    with pytest.raises(ValueError, match=f"p = {p}, expected 0 < p < 1"):
        transform(np.zeros((4, 1)), p)


@pytest.mark.parametrize("function", [transforms.multilinear_extension, transforms.multilinear_gradient])
def test_probabilities_that_do_not_fit_the_table_are_refused(function):
    table = np.zeros((4, 1))
    with pytest.raises(ValueError, match=r"q has shape \(3,\), expected \(2,\): one probability per point"):
        function(table, [0.5, 0.5, 0.5])
    with pytest.raises(ValueError, match=r"q has shape \(\), expected \(2,\)"):
        function(table, 0.5)
    for wrong in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match=r"q = \[.*\] leaves \[0, 1\]: q_i is the probability that point i is present"):
            function(table, [0.5, wrong])
