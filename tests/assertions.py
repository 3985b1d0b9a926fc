"""The assertions of the suite: value, expected, and what was called, so that a failure explains itself."""

import dataclasses

import numpy as np

from sims.testing.laws import assert_close, assert_identical

__all__ = ["arrays_of", "assert_close", "assert_identical"]


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
