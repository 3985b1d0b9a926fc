"""The engines that are timed: ours, and the same fits by other libraries, each used as its users would."""

import time
import warnings
from collections.abc import Callable, Sequence
from functools import cache, partial
from importlib.util import find_spec

import numpy as np

from sims.learners import MLP, Logistic
from sims.retrain import response_table
from theory.subsets import mask_rows

Problem = tuple[np.ndarray, np.ndarray, np.ndarray, float]
"""X (N, d), y (N,), X_query (M, d), l2."""

Margins = tuple[np.ndarray, np.ndarray]
"""Masks that were fitted, as integers (B,), and their margins (B, M)."""

L2 = 1e-2
GRADIENT_TOLERANCE = 1e-10
SAMPLED = 50
"""Subsets that scikit-learn is timed on; its time for all of them is extrapolated."""


def problem(n: int) -> Problem:
    """W1: standard normal columns, noisy labels, N = n."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 5))
    y = (X[:, 0] + rng.standard_normal(n) > 0.0).astype(float)
    y[:2] = 0.0, 1.0
    return X, y, rng.standard_normal((8, 5)), L2


def timed(engine: str, n: int) -> float:
    """Seconds for all 2^n subsets."""
    run = _ready(engine, n)
    start = time.perf_counter()
    masks, _ = run()
    return (time.perf_counter() - start) * 2**n / len(masks)


def margins(engine: str, n: int, masks: np.ndarray | None = None) -> Margins:
    """What an engine answers, on the subsets that it fits or on those of them that are given."""
    fitted, values = _ready(engine, n)()
    return (fitted, values) if masks is None else (masks, values[masks])


@cache
def _ready(engine: str, n: int) -> Callable[[], Margins]:
    return ENGINES[engine](problem(n))


def available() -> list[str]:
    """Engines that are installed here (extra `bench`)."""
    needs = {"JAX vmap(Newton)": "jax", "scikit-learn loop": "sklearn"}
    return [name for name in ENGINES if name not in needs or find_spec(needs[name])]


def ours(problem: Problem) -> Callable[[], Margins]:
    """`response_table` in one process."""
    X, y, queries, l2 = problem
    learner = Logistic(X, y, queries, l2=l2)
    return lambda: (np.arange(2 ** len(X)), response_table(learner, [0]).samples[0])


def jax_newton(problem: Problem) -> Callable[[], Margins]:
    """jit(vmap(Newton)), every fit to ||grad L|| <= 1e-10 in float64, in pieces that fit its memory."""
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

    compiled, step = jax.jit(jax.vmap(fit)), min(2**16, 2**n)

    def run() -> Margins:
        pieces = [np.asarray(compiled(mask_rows(start, start + step, n))) for start in range(0, 2**n, step)]
        return np.arange(2**n), np.concatenate(pieces)

    return run


def sklearn_loop(problem: Problem) -> Callable[[], Margins]:
    """One LogisticRegression per subset, on a sample of those that hold both classes, which it asks for."""
    from sklearn.linear_model import LogisticRegression

    X, y, queries, l2 = problem
    masks = np.random.default_rng(1).permutation(2 ** len(X))
    present = (masks[: 8 * SAMPLED, None] >> np.arange(len(X)) & 1).astype(bool)
    both = np.flatnonzero((present & (y > 0.0)).any(axis=1) & (present & (y == 0.0)).any(axis=1))[:SAMPLED]

    def fit(rows: np.ndarray) -> np.ndarray:
        C = 1.0 / (l2 * len(X))
        model = LogisticRegression(C=C, fit_intercept=False, solver="newton-cholesky", tol=GRADIENT_TOLERANCE, max_iter=200)
        return queries @ model.fit(X[rows], y[rows]).coef_[0]

    def run() -> Margins:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns where its line search ends at rounding
            return masks[both], np.stack([fit(present[row]) for row in both])

    return run


OURS = "dfdw, 1 process"
ENGINES: dict[str, Callable[[Problem], Callable[[], Margins]]] = {
    OURS: ours,
    "JAX vmap(Newton)": jax_newton,
    "scikit-learn loop": sklearn_loop,
}


STEPS, POINTS = 500, 10
"""Of W2 and W3: a network 4-8-1, gradient descent with learning rate 0.2."""


def network() -> MLP:
    """W2 and W3: standard normal columns, labels in turn, 8 queries."""
    rng = np.random.default_rng(0)
    X, queries = rng.standard_normal((POINTS, 4)), rng.standard_normal((8, 4))
    return MLP(X, np.arange(POINTS) % 2, queries, hidden=(8,), steps=STEPS, learning_rate=0.2)


def timed_network(engine: str, work: str, seeds: int) -> float:
    """Seconds for the second call of an engine, compiled by the first."""
    run = _ready_network(engine, work, seeds)
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def network_answer(engine: str, work: str, seeds: int) -> np.ndarray:
    """What an engine computes: outputs (B, R, M) or derivatives (R, M, N)."""
    return _ready_network(engine, work, seeds)()


@cache
def _ready_network(engine: str, work: str, seeds: int) -> Callable[[], np.ndarray]:
    run = NETWORK_ENGINES[engine](work, seeds)
    run()
    return run


def our_network(work: str, seeds: int) -> Callable[[], np.ndarray]:
    """`response_table` and `weight_jacobian`, in this process."""
    if work == "table":
        learner = network()
        return lambda: response_table(learner, range(seeds)).samples.swapaxes(0, 1)
    return lambda: derivatives([tuple(range(seeds))])[0]


def derivatives(shares: Sequence[tuple[int, ...]]) -> list[np.ndarray]:
    """W3 for every share of the seeds, (R, M, N)."""
    return [network().weight_jacobian(np.ones((1, POINTS)), seeds)[0] for seeds in shares]


def jax_network(work: str, seeds: int, mode: str = "") -> Callable[[], np.ndarray]:
    """jit(vmap(..)) over subsets and seeds; derivatives by jacfwd or jacrev through all steps. It may use every core."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    learner = network()
    X, queries, sign = jnp.asarray(learner.X), jnp.asarray(learner.X_query), jnp.asarray(2.0 * learner.y - 1.0)
    d, h = X.shape[1], learner.hidden[0]
    starts = jnp.asarray(learner.initial_params(range(seeds)))

    def output(theta, x):
        hidden = jnp.tanh(x @ theta[: d * h].reshape(d, h) + theta[d * h : (d + 1) * h])
        return hidden @ theta[(d + 1) * h : (d + 2) * h] + theta[-1]

    def loss(theta, w):
        return jnp.sum(w * jnp.logaddexp(0.0, -sign * output(theta, X))) / POINTS

    def train(w, theta):
        step = lambda theta, _: (theta - 0.2 * jax.grad(loss)(theta, w), None)  # noqa: E731
        return output(jax.lax.scan(step, theta, None, length=STEPS)[0], queries)

    if work == "table":
        compiled, masks = jax.jit(jax.vmap(jax.vmap(train, (None, 0)), (0, None))), jnp.asarray(mask_rows(0, 2**POINTS, POINTS))
        return lambda: np.asarray(compiled(masks, starts))
    derivative = {"forward": jax.jacfwd, "reverse": jax.jacrev}[mode](train)
    compiled, ones = jax.jit(jax.vmap(derivative, (None, 0))), jnp.ones(POINTS)
    return lambda: np.asarray(compiled(ones, starts))


NETWORK_ENGINES: dict[str, Callable[[str, int], Callable[[], np.ndarray]]] = {
    OURS: our_network,
    "JAX vmap": jax_network,
    "JAX jacfwd": partial(jax_network, mode="forward"),
    "JAX jacrev": partial(jax_network, mode="reverse"),
}


def wide_network(optimizer: str) -> MLP:
    """W5: a network 64-32-10 with softmax, 16 points of 10 classes, 8 queries, 100 steps."""
    rng = np.random.default_rng(0)
    X, queries = rng.standard_normal((16, 64)), rng.standard_normal((8, 64))
    options = {"loss": "softmax", "y_query": np.arange(8), "hidden": (32,), "steps": 100}
    rate = {"sgd": 0.1, "adam": 0.01}[optimizer]
    return MLP(X, np.arange(16) % 10, queries, optimizer=optimizer, learning_rate=rate, **options)


def wide_weights() -> np.ndarray:
    """256 of the 2^16 subsets, (256, 16)."""
    return np.random.default_rng(1).integers(0, 2, (256, 16)).astype(np.float64)


WIDE_SEEDS = (0, 1, 2, 3)


def wide_shares(shares: Sequence[tuple[str, int, int]]) -> list[np.ndarray]:
    """Outputs (B, R, M) of W5 for rows start .. stop - 1 of the weights, by the optimiser that each share names."""
    return [wide_network(name).respond(wide_weights()[start:stop], WIDE_SEEDS) for name, start, stop in shares]


def our_wide(optimizer: str) -> Callable[[], np.ndarray]:
    """`respond` in this process."""
    return lambda: wide_shares([(optimizer, 0, 256)])[0]


def jax_wide(optimizer: str) -> Callable[[], np.ndarray]:
    """jit(vmap(vmap)) over subsets and seeds. It may use every core."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    learner = wide_network(optimizer)
    X, queries, labels = jnp.asarray(learner.X), jnp.asarray(learner.X_query), jnp.asarray(learner.y, dtype=int)
    classes, (d, h, c) = jnp.asarray(learner.y_query, dtype=int), (64, 32, 10)
    starts = jnp.asarray(learner.initial_params(WIDE_SEEDS))
    rate, (first, second) = learner.learning_rate, learner.betas

    def logits(theta, x):
        hidden = jnp.tanh(x @ theta[: d * h].reshape(d, h) + theta[d * h : (d + 1) * h])
        rest = theta[(d + 1) * h :]
        return hidden @ rest[: h * c].reshape(h, c) + rest[h * c :]

    def loss(theta, w):
        f = logits(theta, X)
        return jnp.sum(w * (jax.nn.logsumexp(f, axis=1) - f[jnp.arange(16), labels])) / 16

    def sgd(theta, w):
        step = lambda theta, _: (theta - rate * jax.grad(loss)(theta, w), None)  # noqa: E731
        return jax.lax.scan(step, theta, None, length=learner.steps)[0]

    def adam(theta, w):
        def step(state, t):
            theta, m, v = state
            g = jax.grad(loss)(theta, w)
            m, v = first * m + (1.0 - first) * g, second * v + (1.0 - second) * g * g
            size = jnp.sqrt(v / (1.0 - second**t)) + learner.eps
            return (theta - rate / (1.0 - first**t) * m / size, m, v), None

        zero = jnp.zeros_like(theta)
        return jax.lax.scan(step, (theta, zero, zero), jnp.arange(1.0, learner.steps + 1.0))[0][0]

    def margins(w, theta):
        f, every = logits({"sgd": sgd, "adam": adam}[optimizer](theta, w), queries), jnp.arange(8)
        return f[every, classes] - jax.nn.logsumexp(f.at[every, classes].set(-jnp.inf), axis=1)

    compiled, weights = jax.jit(jax.vmap(jax.vmap(margins, (None, 0)), (0, None))), jnp.asarray(wide_weights())
    return lambda: np.asarray(compiled(weights, starts))


WIDE_ENGINES: dict[str, Callable[[str], Callable[[], np.ndarray]]] = {OURS: our_wide, "JAX vmap": jax_wide}


@cache
def _ready_wide(engine: str, optimizer: str) -> Callable[[], np.ndarray]:
    run = WIDE_ENGINES[engine](optimizer)
    run()
    return run


def timed_wide(engine: str, optimizer: str) -> float:
    """Seconds for the second call of an engine, compiled by the first."""
    run = _ready_wide(engine, optimizer)
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def wide_answer(engine: str, optimizer: str) -> np.ndarray:
    """What an engine computes for W5: outputs (B, R, M)."""
    return _ready_wide(engine, optimizer)()
