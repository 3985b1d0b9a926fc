"""What the engine is timed against: the same fits by other libraries, each used as its users would."""

import warnings
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np

Problem = tuple[np.ndarray, np.ndarray, np.ndarray, float]
"""X (N, d), y (N,), X_query (M, d), l2."""

GRADIENT_TOLERANCE = 1e-10


def installed(package: str) -> bool:
    """Whether a peer can be timed here (extra `bench`)."""
    return find_spec(package) is not None


def jax_newton(problem: Problem) -> Callable[[np.ndarray], np.ndarray]:
    """jit(vmap(Newton)): margins (B, M) for masks (B, N), every fit to ||grad L|| <= 1e-10 in float64."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    X, y, queries, l2 = (jnp.asarray(part) for part in problem)
    n, d = X.shape

    def gradient(theta, w):
        return X.T @ (w * (jax.nn.sigmoid(X @ theta) - y)) / n + l2 * theta

    def unfinished(state):
        return (jnp.linalg.norm(state[1]) > GRADIENT_TOLERANCE) & (state[2] < 50)

    def fit(w):
        def step(state):
            theta, g, k = state
            p = jax.nn.sigmoid(X @ theta)
            hessian = (X.T * (w * p * (1.0 - p))) @ X / n + l2 * jnp.eye(d)
            theta = theta - jnp.linalg.solve(hessian, g)
            return theta, gradient(theta, w), k + 1

        theta = jnp.zeros(d)
        theta, _, _ = jax.lax.while_loop(unfinished, step, (theta, gradient(theta, w), 0))
        return queries @ theta

    compiled = jax.jit(jax.vmap(fit))
    return lambda masks: np.asarray(compiled(masks))


def sklearn_loop(problem: Problem) -> Callable[[np.ndarray], np.ndarray]:
    """One LogisticRegression per subset; every mask must hold both classes, which it asks for."""
    from sklearn.linear_model import LogisticRegression

    X, y, queries, l2 = problem

    def fit(mask: np.ndarray) -> np.ndarray:
        present = mask > 0.0
        model = LogisticRegression(
            C=1.0 / (l2 * len(X)), fit_intercept=False, solver="newton-cholesky", tol=GRADIENT_TOLERANCE, max_iter=200
        )
        return queries @ model.fit(X[present], y[present]).coef_[0]

    def margins(masks: np.ndarray) -> np.ndarray:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns where its line search ends at rounding
            return np.stack([fit(mask) for mask in masks])

    return margins
