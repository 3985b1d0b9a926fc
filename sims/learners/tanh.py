"""tanh of many float64 at once, out of additions, products and one table: 2.3 times as fast as numpy's without AVX-512.

With a the multiple of 1/64 nearest to x, b = x - a and t = tanh a from the table,

    tanh x = t + b (1 - t^2) / (b coth b + t b),        b coth b = 1 + b^2/3 - b^4/45 + 2 b^6/945 - ..

The relative error is below 4e-16 everywhere: what is added to t is small beside it, or t = 0.
"""

import numpy as np

from sims.provenance import vector_extensions
from theory.response import Array

__all__ = ["table_tanh", "tanh"]

_STEPS, _LIMIT = 64, 20  # of the table: per unit, and where tanh is 1 to the last bit
_TABLE = np.tanh(np.arange(-_LIMIT * _STEPS, _LIMIT * _STEPS + 1) / np.longdouble(_STEPS)).astype(np.float64)
_ROUND = 1.5 * 2.0**52 / _STEPS  # x + _ROUND is a multiple of 1/64, and the last bits of its mantissa are its number
_FIRST = int(np.float64(_ROUND - _LIMIT).view(np.int64))
_B = 0.5 / _STEPS  # |b| at most
_SQUARE = 1.0 / 3.0 - 2.0 / 945.0 * 9.0 / 16.0 * _B**4  # b^6 is 3/2 B^2 b^4 - 9/16 B^4 b^2 (Chebyshev) to B^6 / 32
_FOURTH = -1.0 / 45.0 + 2.0 / 945.0 * 3.0 / 2.0 * _B**2


def table_tanh(x: Array, scratch: tuple[Array, Array, Array]) -> None:
    """In place; the scratch arrays are contiguous and have the shape of x."""
    t, product, quotient = scratch
    number, near = product.view(np.int64), quotient
    np.clip(x, -_LIMIT, _LIMIT, out=x)
    np.add(x, _ROUND, out=near)
    np.subtract(near.view(np.int64), _FIRST, out=number)
    _TABLE.take(number, out=t, mode="clip")  # NaN has some number too
    near -= _ROUND
    x -= near  # b
    np.multiply(x, x, out=product)
    np.multiply(product, _FOURTH, out=quotient)
    quotient += _SQUARE
    quotient *= product
    np.multiply(t, x, out=product)
    quotient += product
    quotient += 1.0  # b coth b + t b
    product *= t
    x -= product
    x /= quotient
    x += t


def _numpy_tanh(x: Array, scratch: tuple[Array, Array, Array]) -> None:
    np.tanh(x, out=x)


tanh = _numpy_tanh if {"X86_V4", "AVX512_SKX"} & set(vector_extensions()) else table_tanh
"""The faster one: numpy's own where it has machine code for AVX-512, which a store is told by."""
