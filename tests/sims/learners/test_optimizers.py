"""Training by every optimiser against PyTorch's own optimisers, step by step in float64, and against JAX.

PyTorch is no dependency of the project, not even of its tests: without it these tests are skipped. To run them, install torch
into the environment.
"""

import numpy as np
import plain_mlp as plain
import pytest
from assertions import assert_close

from sims.learners import MLP

SEEDS = (3, 8)
N, D, M = 6, 3, 3
OPTIMIZERS = {
    "sgd": {"learning_rate": 0.3},
    "momentum": {"learning_rate": 0.1, "momentum": 0.6, "l2": 0.03},
    "adam": {"optimizer": "adam", "learning_rate": 0.02, "l2": 0.03},
    "adam with other betas": {"optimizer": "adam", "learning_rate": 0.02, "betas": (0.7, 0.95), "eps": 1e-4},
    "adamw": {"optimizer": "adamw", "learning_rate": 0.02, "l2": 0.1},
}
TRAINING = {"full batch": {}, "minibatches": {"batch_size": 4}, "cosine": {"schedule": "cosine", "batch_size": 4}}


def network(loss, activation, **options):
    rng = np.random.default_rng(0)
    X, X_query = rng.standard_normal((N, D)), rng.standard_normal((M, D))
    y = {"softmax": np.arange(N) % 3, "logistic": np.arange(N) % 2, "squared": rng.standard_normal(N)}[loss]
    if loss == "softmax":
        options["y_query"] = np.arange(M) % 3
    return MLP(X, y, X_query, loss=loss, activation=activation, hidden=(4, 3), steps=30, **options)


def weights():
    w = np.random.default_rng(1).uniform(0.2, 2.0, N)
    w[4] = 0.0
    return w


def by_torch(torch, learner, w, seed, times):
    """Parameters (P,) after each of `times` steps."""
    (start,), (members,) = learner.initial_params((seed,)), learner.batches((seed,))
    parts = [
        torch.tensor(part, dtype=torch.float64, requires_grad=True) for pair in plain.layers(learner, start) for part in pair
    ]
    X, y, shares = (torch.tensor(np.array(array)) for array in (learner.X, learner.y, w))
    rate, l2 = learner.learning_rate, learner.l2
    if learner.optimizer == "sgd":
        optimizer = torch.optim.SGD(parts, lr=rate, momentum=learner.momentum, weight_decay=l2)
    else:
        kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[learner.optimizer]
        optimizer = kind(parts, lr=rate, betas=learner.betas, eps=learner.eps, weight_decay=l2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, learner.steps)
    act, nn = getattr(torch, learner.activation, None), torch.nn.functional
    act, found = act or getattr(nn, learner.activation), []
    for t, batch in enumerate(members, 1):
        inside = torch.tensor(np.flatnonzero(batch))
        f = X[inside]
        for k in range(0, len(parts), 2):
            f = f @ parts[k] + parts[k + 1]
            f = act(f) if k + 2 < len(parts) else f
        if learner.loss == "softmax":
            losses = nn.cross_entropy(f, y[inside].long(), reduction="none")
        elif learner.loss == "logistic":
            losses = nn.binary_cross_entropy_with_logits(f[:, 0], y[inside], reduction="none")
        else:
            losses = 0.5 * (f[:, 0] - y[inside]) ** 2
        optimizer.zero_grad()
        ((shares[inside] * losses).sum() / len(inside)).backward()
        optimizer.step()
        if learner.schedule == "cosine":
            schedule.step()
        if t in times:
            found.append(np.concatenate([part.detach().numpy().ravel() for part in parts]))
    return np.array(found)


@pytest.mark.parametrize("training", TRAINING)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(
    ("loss", "activation"), [("softmax", "gelu"), ("logistic", "tanh"), ("squared", "softplus"), ("softmax", "relu")]
)
def test_parameters_equal_those_of_torch_after_every_step(loss, activation, optimizer, training):
    torch = pytest.importorskip("torch")
    times = (*range(1, 11), 20, 30)
    learner = network(loss, activation, snapshots=times, **OPTIMIZERS[optimizer], **TRAINING[training])
    found = [at.params for at in learner.linearizations(weights(), SEEDS)]
    for r, seed in enumerate(SEEDS):
        expected = by_torch(torch, learner, weights(), seed, times)
        assert_close(np.array([params[r] for params in found]), expected, rtol=1e-11, atol=1e-12, call=f"{optimizer} by torch")


@pytest.mark.parametrize(("optimizer", "output"), [("adam", "log_probability"), ("adamw", "margin")])
def test_derivatives_equal_those_of_jax(optimizer, output):
    jax = pytest.importorskip("jax")
    learner = network("softmax", "gelu", output=output, schedule="cosine", **OPTIMIZERS[optimizer])
    with jax.enable_x64(True):
        respond = jax.jit(by_jax(jax, learner))
        jacobian = jax.jit(jax.jacfwd(by_jax(jax, learner)))
        for seed in SEEDS:
            start = learner.initial_params((seed,))[0]
            expected, moved = np.asarray(respond(weights(), start)), np.asarray(jacobian(weights(), start))
            assert_close(learner.respond(weights()[None], (seed,))[0, 0], expected, rtol=1e-11, atol=1e-12, call="respond")
            found = learner.weight_jacobian(weights()[None], (seed,))[0, 0]
            assert_close(found, moved, rtol=1e-9, atol=1e-11 * np.abs(moved).max(), call="weight_jacobian")


def by_jax(jax, learner):
    """Full-batch training: weights (N,), initial parameters (P,) -> answers (M,)."""
    jnp, rates = jax.numpy, np.array(plain.learning_rates(learner))

    def f(theta, x):
        *inner, (W, b) = plain.layers(learner, theta)
        for V, c in inner:
            x = jax.nn.gelu(x @ V + c, approximate=False)
        return x @ W + b

    def objective(theta, w):
        z = f(theta, learner.X)
        own = z[jnp.arange(N), learner.y.astype(int)]
        penalty = 0.5 * plain.penalty(learner) * (theta @ theta)
        return jnp.mean(w * (jax.nn.logsumexp(z, axis=1) - own)) + penalty

    def step(state, at, w):
        (theta, m, v), (t, rate) = state, at
        g = jax.grad(objective)(theta, w)
        if learner.optimizer == "sgd":
            m = learner.momentum * m + g
            return (theta - rate * m, m, v), None
        first, second = learner.betas
        m, v = first * m + (1.0 - first) * g, second * v + (1.0 - second) * g**2
        kept = theta * (1.0 - rate * learner.l2) if learner.optimizer == "adamw" else theta
        move = m / (1.0 - first**t) / (jnp.sqrt(v / (1.0 - second**t)) + learner.eps)
        return (kept - rate * move, m, v), None

    def respond(w, theta):
        zero, times = jnp.zeros_like(theta), jnp.arange(1.0, learner.steps + 1.0)
        theta = jax.lax.scan(lambda state, at: step(state, at, w), (theta, zero, zero), (times, rates))[0][0]
        z, queries = f(theta, learner.X_query), jnp.arange(M)
        classes = learner.y_query.astype(int)
        own, others = z[queries, classes], z.at[queries, classes].set(-jnp.inf)
        return own - jax.nn.logsumexp(others if learner.output == "margin" else z, axis=1)

    return respond
