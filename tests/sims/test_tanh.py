"""tanh from a table against long double, which carries 11 more bits, and at what is not an ordinary number."""

import numpy as np
import pytest
from assertions import assert_identical

from sims.learners.tanh import table_tanh, tanh
from sims.provenance import vector_extensions


def applied(x, function=table_tanh):
    values = np.array(x, dtype=np.float64)
    function(values, (np.empty_like(values), np.empty_like(values), np.empty_like(values)))
    return values


def error(values, x):
    """Relative, in units of 1e-16."""
    expected = np.tanh(np.asarray(x, dtype=np.longdouble))
    return float((np.abs(values - expected) / np.abs(expected)).max() / 1e-16)


@pytest.mark.parametrize("scale", [1e-300, 1e-8, 1e-3, 0.02, 0.3, 1.0, 5.0, 100.0])
def test_relative_error_is_below_4e_16_at_every_scale(scale):
    x = scale * np.random.default_rng(0).standard_normal(400_000)
    assert error(applied(x), x) < 4.0


def test_relative_error_is_below_4e_16_around_every_change_of_the_table_entry():
    halfway = (np.arange(-1300, 1300) + 0.5) / 64.0
    x = np.concatenate([halfway, np.nextafter(halfway, np.inf), np.nextafter(halfway, -np.inf), 2.0 * halfway[halfway != 0.0]])
    assert error(applied(x), x) < 4.0


def test_tanh_is_odd_and_rises():
    x = np.linspace(0.0, 20.5, 1_000_001)
    assert_identical(applied(-x), -applied(x), call="tanh(-x)")
    assert (np.diff(applied(np.arange(20.0 * 64.0) / 64.0)) >= 0.0).all()


def test_zero_infinity_nan_and_the_smallest_and_largest_numbers():
    tiny, huge = np.finfo(float).smallest_subnormal, np.finfo(float).max
    assert_identical(applied([0.0, tiny, -tiny, 19.1, huge, -huge]), [0.0, tiny, -tiny, 1.0, 1.0, -1.0], call="tanh")
    assert_identical(applied([np.inf, -np.inf]), [1.0, -1.0], call="tanh of infinity")
    assert np.isnan(applied([np.nan, -np.nan])).all()


def test_an_entry_depends_on_nothing_around_it():
    x = np.random.default_rng(1).standard_normal((7, 3, 50))
    whole = applied(x)
    assert_identical(whole[2, 1, 7:11], applied(x[2, 1, 7:11]), call="a few entries alone")
    strided = np.ones((7, 4, 50))
    strided[:, :-1] = x
    table_tanh(strided[:, :-1], (np.empty_like(x), np.empty_like(x), np.empty_like(x)))
    assert_identical(strided[:, :-1], whole, call="entries of a larger array")
    assert (strided[:, -1] == 1.0).all()


def test_numpy_is_used_where_it_has_avx_512():
    wide = any(name in ("X86_V4", "AVX512_SKX") for name in vector_extensions())
    assert (tanh is table_tanh) != wide
    x = np.linspace(-3.0, 3.0, 1000)
    assert error(applied(x, tanh), x) < 4.0
