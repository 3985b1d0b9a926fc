"""Every learner of the package in a table: a line here, and tests/sims/testing/test_every_learner.py asks it for every law.

A factory takes points X (N, d), queries X_query (M, d) with a first column of ones, a generator for all else, and options.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sims.learners import MLP, Bistable, Interpolator, KernelSum, LeastSquares, Logistic, MovingJump, OneStep, SoftmaxRegression
from sims.learners.linear.erm import NORMALIZATIONS


@dataclass(frozen=True)
class Registered:
    """A factory, and which laws the learner cannot be asked for."""

    make: Callable[..., Any]
    options: tuple[dict[str, Any], ...] = ({},)
    """The laws are asked with each of them."""
    other_rows: bool = True
    """Whether the laws on other rows of the data have a meaning: deletion, duplicates, order."""
    smooth: bool = True
    """Whether finite differences see the derivative: not where the response jumps."""
    may_be_absent: int | None = None
    """How many points may have weight 0 at once with a derivative that is defined; None: all of them."""
    linearizes: bool = True
    """Whether it has `linearize`."""
    same_bits: bool = False
    """Whether a row of weights gives the same bits alone, in a batch, and in any memory layout."""


def targets(X, rng):
    return rng.standard_normal(len(X))


def labels(X, rng):
    """Both classes survive the deletion of any one point."""
    y = (rng.random(len(X)) < 0.5).astype(float)
    y[:4] = 0.0, 1.0, 0.0, 1.0
    return y


def classes(X, rng):
    """Three classes, or two if there are fewer than six points; all of them survive the deletion of any one point."""
    count = 3 if len(X) >= 6 else 2
    y = rng.integers(0, count, len(X)).astype(float)
    y[: 2 * count] = np.arange(2 * count) % count
    return y


def penalty(rng):
    return 10.0 ** rng.integers(-2, 1)


def _min_norm(X, X_query, rng, **options):
    """Fewer directions than columns, and more points than directions: no interpolation, the optimum depends on the weights."""
    embed = np.linalg.qr(rng.standard_normal((X.shape[1] + 2, X.shape[1])))[0].T
    y = targets(X, rng)
    return LeastSquares(X @ embed, y, rng.standard_normal((len(X_query), embed.shape[1])), undefined="min_norm", **options)


def _logistic(X, X_query, rng, **options):
    """Every row of X with both labels: no direction separates, whatever the positive weights and whichever point is deleted."""
    return Logistic(np.concatenate([X, X]), np.repeat([0.0, 1.0], len(X)), X_query, l2=0.0, **options)


def _softmax(X, X_query, rng, **options):
    """Three classes, each of which survives the deletion of any one point; every query is of one of them."""
    twice, asked = np.concatenate([X, X]), rng.integers(0, 3, len(X_query))
    return SoftmaxRegression(twice, np.arange(len(twice)) % 3, X_query, y_query=asked, **{"l2": penalty(rng), **options})


def _unpenalised_softmax(X, X_query, rng, **options):
    """Every row of X with all labels: no direction separates."""
    thrice, asked = np.concatenate([X, X, X]), rng.integers(0, 3, len(X_query))
    return SoftmaxRegression(thrice, np.repeat([0, 1, 2], len(X)), X_query, l2=0.0, y_query=asked, **options)


def _linear(kind, of, **fixed):
    """One of the classes that take X, y and X_query, with the targets of a function of X and a generator."""
    return lambda X, X_query, rng, **options: kind(X, of(X, rng), X_query, **fixed, **options)


def _penalised(kind, of, **fixed):
    """The same with a penalty that is drawn."""
    return lambda X, X_query, rng, **options: kind(X, of(X, rng), X_query, l2=penalty(rng), **fixed, **options)


EVERY_NORMALIZATION = tuple({"normalization": name} for name in NORMALIZATIONS)

REGISTRY = {
    "ridge": Registered(_penalised(LeastSquares, targets), EVERY_NORMALIZATION),
    "least squares": Registered(_linear(LeastSquares, targets), EVERY_NORMALIZATION, may_be_absent=1),
    "least squares of minimum norm": Registered(_min_norm, EVERY_NORMALIZATION, may_be_absent=1),
    "penalised logistic": Registered(_penalised(Logistic, labels), EVERY_NORMALIZATION),
    "logistic": Registered(_logistic, EVERY_NORMALIZATION, may_be_absent=1),
    "penalised softmax": Registered(_softmax, (*EVERY_NORMALIZATION, {"output": "log_probability"}, {"output": 2})),
    "softmax": Registered(_unpenalised_softmax, may_be_absent=1),
    "network": Registered(_linear(MLP, labels, hidden=(3,), steps=30, l2=0.01)),
    "network with momentum": Registered(
        _linear(MLP, targets, hidden=(), steps=20, loss="squared", momentum=0.5, schedule="cosine", snapshots=(20,))
    ),
    "network on minibatches": Registered(_linear(MLP, labels, hidden=(3,), steps=30, batch_size=4), other_rows=False),
    "network with classes": Registered(
        lambda X, X_query, rng, **options: MLP(
            X, classes(X, rng), X_query, loss="softmax", y_query=np.arange(len(X_query)) % 2, hidden=(3,), steps=20, **options
        ),
        ({}, {"output": "log_probability", "activation": "gelu"}),
    ),
    "network by adam": Registered(
        lambda X, X_query, rng, **options: MLP(
            X,
            classes(X, rng),
            X_query,
            loss="softmax",
            output=1,
            activation="softplus",
            hidden=(3,),
            steps=10,
            learning_rate=0.02,
            optimizer="adam",
            eps=0.1,
            **options,
        ),
    ),
    "kernel sum": Registered(_linear(KernelSum, targets), linearizes=False, same_bits=True),
    "one step": Registered(_penalised(OneStep, labels), linearizes=False, same_bits=True),
    "one step of squared loss": Registered(_linear(OneStep, targets, loss="squared"), linearizes=False, same_bits=True),
    "two wells": Registered(
        _linear(Bistable, lambda X, rng: 0.3 * targets(X, rng), steps=40, learning_rate=0.1, init_scale=0.6),
        linearizes=False,
        same_bits=True,
    ),
    "two penalised wells": Registered(
        _linear(Bistable, lambda X, rng: 0.3 * targets(X, rng), steps=5, init_scale=0.6, l2=0.1), linearizes=False, same_bits=True
    ),
    "moving jump": Registered(_linear(MovingJump, targets), smooth=False, linearizes=False, same_bits=True),
    "penalised interpolator": Registered(_linear(Interpolator, targets, width=16, l2=0.1)),
}
"""Name: learner. Adding one is a line here."""
