"""Models written in JAX, for tests: functions of a module, so that worker processes can have them."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from sims.learners import MLP

X = np.array([[0.3, -1.2], [1.1, 0.4], [-0.7, 0.9], [0.2, 0.5], [-1.5, -0.3], [0.8, -0.6]])
Y = np.array([0.0, 1.0, 0.0, 1.0, 1.0, 0.0])
X_QUERY = np.array([[0.5, 0.5], [-1.0, 0.2], [0.1, -0.9]])
OPTIONS = {"steps": 100, "learning_rate": 0.5, "l2": 0.01}
NETWORK = MLP(X, Y, X_QUERY, hidden=(3,), **OPTIONS)


def init(key):
    """The start that the project's own network has for the seed of this key."""
    seed = int(jax.random.key_data(key)[-1])
    theta = jnp.asarray(NETWORK.initial_params((seed,))[0])
    return [(theta[:6].reshape(2, 3), theta[6:9]), (theta[9:12].reshape(3, 1), theta[12:13])]


def output(params, x):
    (W, b), (V, c) = params
    return (jnp.tanh(x @ W + b) @ V + c)[0]


def loss(params, x, y):
    return jnp.logaddexp(0.0, -(2.0 * y - 1.0) * output(params, x))


def momentum(params, weights, X, y):
    """The steps of MLP(momentum=0.5), by hand."""

    def objective(params):
        data = weights @ jax.vmap(loss, (None, 0, 0))(params, X, y) / len(X)
        return data + 0.5 * OPTIONS["l2"] * sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(params))

    def step(state, _):
        params, velocity = state
        velocity = jax.tree.map(lambda v, g: 0.5 * v + g, velocity, jax.grad(objective)(params))
        return (jax.tree.map(lambda p, v: p - OPTIONS["learning_rate"] * v, params, velocity), velocity), None

    still = jax.tree.map(jnp.zeros_like, params)
    return lax.scan(step, (params, still), length=OPTIONS["steps"])[0][0]


def linear_init(key):
    return jnp.zeros(2)


def linear_output(theta, x):
    return x @ theta


def linear_loss(theta, x, y):
    return jnp.logaddexp(0.0, x @ theta) - y * (x @ theta)


def noisy_step(theta, weights, X, y, key):
    """One step from a start that is drawn here."""
    return theta + 0.1 * (weights * y) @ X + jax.random.normal(key, theta.shape)
