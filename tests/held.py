"""Learners that hold values in a field, in an attribute that is none, and in a slot: for tests of what a store is told."""

import functools
from dataclasses import dataclass

import numpy as np


@dataclass
class Held:
    """A learner that holds a value."""

    value: object = 0
    n_points: int = 3
    n_outputs: int = 1
    block_rows = 4

    def respond(self, weights, seeds):
        return np.asarray(weights).sum(axis=1)[:, None, None] + np.zeros((1, len(seeds), 1))

    @property
    def constant(self):
        return 1.0

    @functools.cached_property
    def kept(self):
        return object()


@dataclass
class Heir(Held):
    """Has attributes that are no fields."""

    def __post_init__(self):
        self.extra = 1.0


class Slotted:
    __slots__ = ("scale",)
    n_points, n_outputs = 3, 1
    respond = Held.respond

    def __init__(self, scale):
        self.scale = scale


class Trusted(Held):
    """Says itself what decides its answers."""

    def fingerprint(self):
        return {"value": "trusted"}
