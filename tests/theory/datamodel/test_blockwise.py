"""Datamodels of a table that comes block by block: those of the whole table, whatever the blocks and their order."""

import numpy as np
import pytest
import statsmodels.api as sm
from assertions import assert_close, assert_identical
from hypothesis import given
from hypothesis import strategies as st

from theory.datamodel import optimal_datamodel, streamed_datamodels
from theory.datamodel.blockwise import StreamedTable
from theory.laws import Bernoulli, Gaussian, TwoPoint
from theory.subsets import all_masks
from theory.transforms import product_probabilities
from theory.values import banzhaf, leave_one_out

LAWS = (Bernoulli(0.5), Bernoulli(0.2), Bernoulli(0.97), TwoPoint(0.25))


@st.composite
def tables(draw, integers=False):
    """A random table (2^N, M) and a block size."""
    n, n_outputs = draw(st.integers(1, 8)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    shape = (2**n, n_outputs)
    table = rng.integers(-9, 10, shape).astype(float) if integers else rng.standard_normal(shape) + 100.0 * draw(st.booleans())
    return table, 2 ** draw(st.integers(0, n))


def streamed(table, rows, laws=LAWS, order=None):
    n = len(table).bit_length() - 1
    stream = StreamedTable(n, table.shape[1], laws, rows)
    for block in range(len(table) // rows) if order is None else order:
        stream.add(int(block), table[block * rows : (block + 1) * rows])
    return stream


def direct(table, law):
    """beta and E (F - g)^2 by their definition, one coordinate at a time."""
    n = len(table).bit_length() - 1
    low, high = law.levels
    weights = np.where(all_masks(n) > 0.0, high, low)
    probabilities = product_probabilities(np.tile(law.quadrature(2).probabilities, (n, 1)))
    centred = table - probabilities @ table
    beta = ((weights - law.mean) * probabilities[:, None]).T @ centred / law.variance
    return beta, probabilities @ (centred - (weights - law.mean) @ beta) ** 2


@given(given_table=tables())
def test_blocks_give_the_datamodels_and_leave_one_out_of_the_whole_table(given_table):
    table, rows = given_table
    stream = streamed(table, rows)
    for model, law in zip(streamed_datamodels(stream), LAWS, strict=True):
        beta, residual = direct(table, law)
        assert_close(model.coefficients, beta, rtol=1e-11, atol=1e-11, call=f"{law}, rows = {rows}")
        assert_close(model.residual_variance, residual, rtol=1e-11, atol=1e-13, call=f"{law}, rows = {rows}")
    assert_identical(stream.leave_one_out(), leave_one_out(table))


@pytest.mark.parametrize(("n", "n_outputs"), [(1, 257), (4, 600), (9, 100), (11, 8), (13, 1)])
def test_few_and_many_outputs(n, n_outputs):
    """Between them, all groups of bits that are read together have none and some."""
    table = np.random.default_rng(n).standard_normal((2**n, n_outputs))
    for model, law in zip(streamed_datamodels(streamed(table, 2**n)), LAWS, strict=True):
        beta, residual = direct(table, law)
        assert_close(model.coefficients, beta, rtol=1e-11, atol=1e-11, call=f"{law}, n = {n}")
        assert_close(model.residual_variance, residual, rtol=1e-11, atol=1e-13, call=f"{law}, n = {n}")


@given(given_table=tables(integers=True))
def test_integer_tables_are_exact_at_one_half(given_table):
    table, rows = given_table
    (model,) = streamed_datamodels(streamed(table, rows, [Bernoulli(0.5)]))
    assert_identical(model.coefficients, banzhaf(table))


@given(given_table=tables(), seed=st.integers(0, 100))
def test_the_order_of_blocks_does_not_change_a_bit(given_table, seed):
    table, rows = given_table
    order = np.random.default_rng(seed).permutation(len(table) // rows)
    models = zip(streamed_datamodels(streamed(table, rows)), streamed_datamodels(streamed(table, rows, order=order)), strict=True)
    for one, other in models:
        for field in ("intercept", "coefficients", "residual_variance", "r_squared"):
            assert_identical(getattr(one, field), getattr(other, field), call=field)


@pytest.mark.parametrize("rows", [1, 8, 1024])
@pytest.mark.parametrize("p", [0.5, 0.9])
def test_the_residual_of_a_nearly_additive_table_keeps_its_digits(rows, p):
    """F = linear + 1e-7 w_0 w_1: the residual variance is 1e-14 p^2 (1 - p)^2, which a difference of variances would lose."""
    masks = all_masks(10)
    table = masks @ np.arange(1.0, 11.0)[:, None] + 1e-7 * masks[:, :1] * masks[:, 1:2]
    (model,) = streamed_datamodels(streamed(table, rows, [Bernoulli(p)]))
    assert_close(model.residual_variance, [1e-14 * (p * (1.0 - p)) ** 2], rtol=1e-6)


@pytest.mark.parametrize("p", [0.5, 0.8])
@pytest.mark.parametrize("offset", [0.0, 1e4])
@pytest.mark.parametrize("slope", [0.0, 3.0, 30.0, 3e3])
def test_residuals_keep_their_digits_on_both_sides_of_the_switch_to_summing_them(p, offset, slope):
    """Noise, the same noise on a steep plane (R^2 up to 1 - 1e-8), and a constant whose square overflows, in one table."""
    masks, law = all_masks(9), Bernoulli(p)
    noise = np.random.default_rng(6).integers(-4, 5, (2**9, 1)).astype(float)
    table = np.column_stack([noise, noise + slope * masks.sum(axis=1, keepdims=True) + offset, np.full(2**9, 1e160)])
    (model,) = streamed_datamodels(streamed(table, 2**9, [law]))
    beta, residual = direct(noise, law)
    assert_close(model.coefficients[:, 1:2], beta + slope, rtol=1e-11, atol=1e-14 * offset)
    assert_close(model.residual_variance, [*residual, *residual, 0.0], rtol=1e-12)


def test_weighted_least_squares_of_statsmodels_agrees():
    rng = np.random.default_rng(4)
    table, law = rng.standard_normal((2**9, 1)), Bernoulli(0.3)
    probabilities = product_probabilities(np.tile([0.7, 0.3], (9, 1)))
    fit = sm.WLS(table[:, 0], sm.add_constant(all_masks(9)), weights=probabilities).fit()
    (model,) = streamed_datamodels(streamed(table, 64, [law]))
    assert_close(np.r_[model.intercept, model.coefficients[:, 0]], fit.params, rtol=1e-12)
    assert_close(model.r_squared, [fit.rsquared], rtol=1e-12)


def test_tables_of_more_than_one_tile_are_those_of_small_blocks():
    """One block of four tiles, two of two tiles, and 256 of less than one."""
    table = np.random.default_rng(5).standard_normal((2**17, 2))
    whole = optimal_datamodel(table, Bernoulli(0.4))
    for rows in (2**16, 512):
        (pieces,) = streamed_datamodels(streamed(table, rows, [Bernoulli(0.4)]))
        assert_close(pieces.coefficients, whole.coefficients, rtol=1e-12)
        assert_close(pieces.residual_variance, whole.residual_variance, rtol=1e-13)


def test_a_constant_output_has_no_r_squared():
    (model,) = streamed_datamodels(streamed(np.full((16, 1), 0.1), 4, [Bernoulli(0.5)]))
    assert np.isnan(model.r_squared).all()


def test_moments_that_do_not_fit_are_refused_before_they_are_allocated(monkeypatch):
    with pytest.raises(MemoryError, match=r"the moments of 1099511627776 tiles needs .*: use fewer laws, outputs"):
        StreamedTable(40, 1, [Bernoulli(0.5)], 1)
    monkeypatch.setattr("theory.memory.available_bytes", lambda: 100)
    with pytest.raises(MemoryError, match="the moments of 4 tiles"):
        StreamedTable(4, 2, [Bernoulli(0.5)], 4)


def test_what_cannot_be_right_is_refused_by_name():
    stream = StreamedTable(4, 2, [Bernoulli(0.5)], 4)
    stream.add(2, np.zeros((4, 2)))
    with pytest.raises(ValueError, match="block 2 was added twice"):
        stream.add(2, np.zeros((4, 2)))
    with pytest.raises(ValueError, match="block 4 was added, expected 0 to 3"):
        stream.add(4, np.zeros((4, 2)))
    with pytest.raises(ValueError, match=r"block 1 has shape \(4, 1\), expected \(rows, outputs\) = \(4, 2\)"):
        stream.add(1, np.zeros((4, 1)))
    with pytest.raises(ValueError, match=r"table\[6, 1\] is nan"):
        stream.add(1, np.array([[0, 0], [0, 0], [0, np.nan], [0, 0]]))
    with pytest.raises(ValueError, match="3 of 4 blocks are missing, the first of them block 0"):
        stream.moments()
    with pytest.raises(ValueError, match="rows = 3, expected a power of two"):
        StreamedTable(4, 2, [Bernoulli(0.5)], 3)
    with pytest.raises(TypeError, match="expected one or more of Bernoulli and TwoPoint"):
        StreamedTable(4, 2, [Gaussian(1.0)], 4)
