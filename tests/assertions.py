"""The assertions of the suite: value, expected, and what was called, so that a failure explains itself."""

import dataclasses

import numpy as np


def assert_close(value, expected, *, rtol=0.0, atol=0.0, call=""):
    """Every entry within atol + rtol * max|expected|: the norm of the whole array sets the scale, as rounding does."""
    value, expected = np.asarray(value), np.asarray(expected)
    assert value.shape == expected.shape, f"{call}: shape {value.shape}, expected {expected.shape}"
    assert np.isfinite(value).all(), f"{call}: not finite: {value}"
    allowed = atol + rtol * np.abs(expected).max(initial=0.0)
    worst = np.abs(value - expected).max(initial=0.0)
    assert worst <= allowed, f"{call}: differs by {worst:.3e}, allowed {allowed:.3e}\nvalue    {value}\nexpected {expected}"


def assert_identical(value, expected, *, call=""):
    """Equal to the last bit, shape included."""
    value, expected = np.asarray(value), np.asarray(expected)
    assert value.shape == expected.shape, f"{call}: shape {value.shape}, expected {expected.shape}"
    assert np.array_equal(value, expected), f"{call}: not identical\nvalue    {value}\nexpected {expected}"


def arrays_of(instance, prefix=""):
    """Every array of a dataclass, those of its own dataclasses included, by a dotted name."""
    found = {}
    for field in dataclasses.fields(instance):
        value, name = getattr(instance, field.name), f"{prefix}{field.name}"
        for k, part in enumerate(value if isinstance(value, tuple) else [value]):
            if dataclasses.is_dataclass(part):
                found |= arrays_of(part, f"{name}.{k}." if isinstance(value, tuple) else f"{name}.")
            elif part is not None:
                found[name] = np.asarray(part)
    return found
