"""The network of `sims.learners.MLP` and its training as plain loops, for real and for complex numbers alike.

F(w + i h e_j) = F(w) + i h dF/dw_j + O(h^2): one run at h = 1e-30 gives a derivative to rounding, with no difference taken
(Squire & Trapp 1998). Everything here is analytic, or piecewise so (relu), in weights and in parameters. `net` is anything with
the fields of `MLP`; initial parameters (R, P) and batch membership (R, steps, N) are given by the caller.
"""

from itertools import pairwise

import numpy as np
import scipy

H = 1e-30


def _decay(z):
    """(Re z >= 0, exp(-|z|) with the sign of Re z for the absolute value): exponentials that cannot overflow."""
    positive = np.real(z) >= 0.0
    return positive, np.exp(np.where(positive, -z, z))


def sigmoid(z):
    """1 / (1 + exp(-z))."""
    positive, decay = _decay(z)
    return np.where(positive, 1.0, decay) / (1.0 + decay)


def softplus(z):
    """log(1 + exp(z))."""
    positive, decay = _decay(z)
    return np.where(positive, z, 0.0) + np.log(1.0 + decay)


def normal_distribution(z):
    """Phi(z), also for complex z."""
    return scipy.special.erfc(-np.asarray(z) / np.sqrt(2.0)) / 2.0


def normal_density(z):
    """The derivative of Phi."""
    return np.exp(-(z**2) / 2.0) / np.sqrt(2.0 * np.pi)


ACTIVATIONS = {
    "gelu": (lambda z: z * normal_distribution(z), lambda z: normal_distribution(z) + z * normal_density(z)),
    "tanh": (np.tanh, lambda z: 1.0 - np.tanh(z) ** 2),
    "softplus": (softplus, sigmoid),
    "relu": (lambda z: np.where(np.real(z) > 0.0, z, 0.0), lambda z: np.where(np.real(z) > 0.0, 1.0, 0.0)),
    "leaky_relu": (lambda z: np.where(np.real(z) > 0.0, z, 0.01 * z), lambda z: np.where(np.real(z) > 0.0, 1.0, 0.01)),
    "identity": (lambda z: z, lambda z: np.ones_like(z)),
}
"""Name: (activation, derivative)."""


def activation_of(net):
    """The activation of a network and its derivative; softplus has a sharpness."""
    activation, slope = ACTIVATIONS[net.activation]
    s = net.sharpness if net.activation == "softplus" else 1.0
    return lambda z: activation(s * z) / s, lambda z: slope(s * z)


def log_sum_exp(f):
    """log sum_k exp f_k for f (C,)."""
    most = np.real(f).max()
    return most + np.log(np.exp(f - most).sum())


def of_class(f, y):
    """1 for the entry of f (C,) that belongs to class y, else 0."""
    return np.arange(len(f)) == y


LOSSES = {
    "softmax": (
        lambda f, y: log_sum_exp(f) - f[int(np.real(y))],
        lambda f, y: np.exp(f - log_sum_exp(f)) - of_class(f, y),
    ),
    "logistic": (lambda f, y: softplus(-(2.0 * y - 1.0) * f), lambda f, y: sigmoid(f) - y),
    "squared": (lambda f, y: (f - y) ** 2 / 2.0, lambda f, y: f - y),
}
"""Name: (loss of output f and target y, derivative in f); f has one entry (1,), or one per class (C,)."""


def n_outputs(net):
    """C: one, or one per class."""
    return int(np.max(net.y)) + 1 if net.loss == "softmax" else 1


def n_params(net):
    """P: every layer has a matrix (in, out) and a vector (out,)."""
    widths = (net.X.shape[1], *net.hidden, n_outputs(net))
    return sum((inputs + 1) * outputs for inputs, outputs in pairwise(widths))


def layers(net, params):
    """[(W, b), ..] from params (P,): layer after layer, W (in, out) row by row and then b (out,)."""
    found, start, widths = [], 0, (net.X.shape[1], *net.hidden, n_outputs(net))
    for inputs, outputs in pairwise(widths):
        middle, stop = start + inputs * outputs, start + (inputs + 1) * outputs
        found.append((params[start:middle].reshape(inputs, outputs), params[middle:stop]))
        start = stop
    return found


def forward(net, params, x):
    """What enters every layer, and what leaves it before the activation, for one point x (d,)."""
    entering, leaving = [x], []
    for W, b in layers(net, params):
        leaving.append(entering[-1] @ W + b)
        entering.append(activation_of(net)[0](leaving[-1]))
    return entering[:-1], leaving


def output(net, params, x):
    """f(x), the last layer without activation, of a network with one output."""
    return forward(net, params, x)[1][-1][0]


def answer(net, params, q):
    """What query q asks: f, or of several outputs the logit of one class, a margin or a log-probability."""
    f = forward(net, params, net.X_query[q])[1][-1]
    if net.loss != "softmax":
        return f[0]
    if not isinstance(net.output, str):
        return f[net.output]
    own = of_class(f, net.y_query[q])
    return (f[own] - log_sum_exp(f[~own] if net.output == "margin" else f))[0]


def answers(net, params):
    """What all queries ask (M,)."""
    return np.array([answer(net, params, q) for q in range(len(net.X_query))])


def point_loss(net, params, i):
    """l_i(theta)."""
    f = forward(net, params, net.X[i])[1][-1]
    return LOSSES[net.loss][0](f if net.loss == "softmax" else f[0], net.y[i])


def point_gradient(net, params, i):
    """grad l_i(theta) (P,), by the chain rule from the last layer to the first."""
    entering, leaving = forward(net, params, net.X[i])
    delta, pieces = LOSSES[net.loss][1](leaving[-1], net.y[i]), []
    for k, (W, _) in reversed(list(enumerate(layers(net, params)))):
        pieces = [np.outer(entering[k], delta).ravel(), delta, *pieces]
        if k > 0:
            delta = (W @ delta) * activation_of(net)[1](leaving[k - 1])
    return np.concatenate(pieces)


def penalty(net):
    """The multiple of theta in the gradient of L: l2, but for adamw."""
    return 0.0 if net.optimizer == "adamw" else net.l2


def objective(net, params, weights):
    """L(theta; w) = (1/N) sum_i w_i l_i(theta) + (penalty/2) ||theta||^2."""
    data = sum(w * point_loss(net, params, i) for i, w in enumerate(weights)) / len(weights)
    return data + penalty(net) / 2.0 * (params @ params)


def objective_gradient(net, params, weights, members=None):
    """(1/|batch|) sum_{i in batch} w_i grad l_i + penalty theta; the batch is every point, or `members` (N,)."""
    batch = range(len(weights)) if members is None else np.flatnonzero(members)
    return sum(weights[i] * point_gradient(net, params, i) for i in batch) / len(batch) + penalty(net) * params


def learning_rates(net):
    """eta_t for t = 0 .. steps - 1."""
    if net.schedule == "constant":
        return [net.learning_rate] * net.steps
    return [net.learning_rate * (1.0 + np.cos(np.pi * t / net.steps)) / 2.0 for t in range(net.steps)]


def train(net, weights, params, members):
    """theta after 0, 1, .., steps steps, for members (steps, N): v <- momentum v + g, theta <- theta - eta v, or adam."""
    path, velocity, square = [params], 0.0, 0.0
    for t, (rate, batch) in enumerate(zip(learning_rates(net), members, strict=True), 1):
        g = objective_gradient(net, path[-1], weights, batch)
        if net.optimizer == "sgd":
            velocity = net.momentum * velocity + g
            path.append(path[-1] - rate * velocity)
            continue
        first, second = net.betas
        velocity, square = first * velocity + (1.0 - first) * g, second * square + (1.0 - second) * g**2
        size = np.sqrt(square / (1.0 - second**t)) + net.eps
        kept = path[-1] * (1.0 - rate * net.l2) if net.optimizer == "adamw" else path[-1]
        path.append(kept - rate * velocity / (1.0 - first**t) / size)
    return path


def one_response(net, weights, params, members):
    """Outputs (M,) of one replica: all queries after the first snapshot, then after the second, ..; else after the last step."""
    path = train(net, weights, params, members)
    return np.concatenate([answers(net, path[t]) for t in net.snapshots or (net.steps,)])


def responses(net, weights, params, members):
    """f at X_query for weights (B, N), initial params (R, P) and members (R, steps, N): shape (B, R, M)."""
    return np.array([[one_response(net, w, p, m) for p, m in zip(params, members, strict=True)] for w in weights])


def complex_step(function, at):
    """d function / d at for at (K,): shape (.., K)."""
    return np.stack([np.imag(function(at + 1j * H * direction)) / H for direction in np.eye(len(at))], axis=-1)


def weight_jacobian(net, weights, params, members):
    """d response / d w, shape (B, R, M, N)."""

    def replica(w, p, m):
        return complex_step(lambda v: one_response(net, v, p, m), w)

    return np.array([[replica(w, p, m) for p, m in zip(params, members, strict=True)] for w in weights])


def hessian(net, params, weights):
    """Of the full objective at params (P,): shape (P, P)."""
    return complex_step(lambda theta: objective_gradient(net, theta, weights), params)


def output_gradients(net, params):
    """Of every query at params (P,): shape (n_queries, P)."""
    return complex_step(lambda theta: answers(net, theta), params)


def propagator(net, weights, params, members):
    """d theta_T / d theta_0 (P, P) with v_0 = 0 fixed."""
    return complex_step(lambda theta: train(net, weights, theta, members)[-1], params)
