"""Hypothesis strategies: tables, weights and small learning problems. Their own tests are in tests/meta/test_strategies.py."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sims.learners import LeastSquares, Logistic

PROBABILITIES = st.floats(0.05, 0.95)
DYADIC_PROBABILITIES = st.sampled_from([0.125, 0.25, 0.5, 0.75, 0.875])
"""Probabilities whose powers and products with small integers are exact in float64."""


@st.composite
def integer_tables(draw, min_points=1, max_points=6, multiple_of=1, max_outputs=3):
    """Tables (2**N, M) of small integers, on which sums, differences and dyadic products are exact: compare with ==."""
    n, m = draw(st.integers(min_points, max_points)), draw(st.integers(1, max_outputs))
    entries = hnp.arrays(np.int64, (2**n, m), elements=st.integers(-50, 50))
    return multiple_of * draw(entries).astype(np.float64)


@st.composite
def tables(draw, min_points=1, max_points=6, max_outputs=3):
    """Tables (2**N, M) of dense random reals of any scale, with interactions of every order."""
    n, m = draw(st.integers(min_points, max_points)), draw(st.integers(1, max_outputs))
    rng, scale = np.random.default_rng(draw(SEEDS)), 10.0 ** draw(st.integers(-3, 3))
    return scale * (rng.standard_normal((2**n, m)) + draw(st.sampled_from([0.0, 10.0])))


SEEDS = st.integers(0, 2**32 - 1)


def interior_weights(n, low=0.2, high=2.0):
    """Weight vectors (n,) away from 0."""
    return SEEDS.map(lambda seed: np.random.default_rng(seed).uniform(low, high, n))


@st.composite
def designs(draw, min_points=4, max_points=8, max_columns=3):
    """Well-scaled random designs (N, d) with an intercept, and queries (M, d)."""
    n, d, m = draw(st.integers(min_points, max_points)), draw(st.integers(1, max_columns)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(SEEDS))
    X, X_query = rng.standard_normal((n, d)), rng.standard_normal((m, d))
    X[:, 0] = X_query[:, 0] = 1.0
    return X, X_query, rng


@st.composite
def least_squares(draw, **sizes):
    """Ridge regressions: every subset has an optimum."""
    X, X_query, rng = draw(designs(**sizes))
    return LeastSquares(X, rng.standard_normal(len(X)), X_query, l2=draw(st.sampled_from([1e-2, 1e-1, 1.0])))


@st.composite
def logistics(draw, **sizes):
    """Penalised logistic regressions, separable ones included."""
    X, X_query, rng = draw(designs(**sizes))
    y = (rng.random(len(X)) < 0.5).astype(float)
    y[:2] = 0.0, 1.0
    return Logistic(X, y, X_query, l2=draw(st.sampled_from([1e-2, 1e-1, 1.0])))
