"""The network of `sims.learners.MLP` and its training as plain loops, for real and for complex numbers alike.

F(w + i h e_j) = F(w) + i h dF/dw_j + O(h^2): one run at h = 1e-30 gives a derivative to rounding, with no difference taken
(Squire & Trapp 1998). Everything here is analytic, or piecewise so (relu), in weights and in parameters. `net` is anything with
the fields of `MLP`; initial parameters (R, P) and batch membership (R, steps, N) are given by the caller.
"""

from itertools import pairwise

import numpy as np

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


ACTIVATIONS = {
    "tanh": (np.tanh, lambda z: 1.0 - np.tanh(z) ** 2),
    "softplus": (softplus, sigmoid),
    "relu": (lambda z: np.where(np.real(z) > 0.0, z, 0.0), lambda z: np.where(np.real(z) > 0.0, 1.0, 0.0)),
    "identity": (lambda z: z, lambda z: np.ones_like(z)),
}
"""Name: (activation, derivative)."""

LOSSES = {
    "logistic": (lambda f, y: softplus(-(2.0 * y - 1.0) * f), lambda f, y: sigmoid(f) - y),
    "squared": (lambda f, y: (f - y) ** 2 / 2.0, lambda f, y: f - y),
}
"""Name: (loss of output f and target y, derivative in f)."""


def n_params(net):
    """P: every layer has a matrix (in, out) and a vector (out,)."""
    widths = (net.X.shape[1], *net.hidden, 1)
    return sum((inputs + 1) * outputs for inputs, outputs in pairwise(widths))


def layers(net, params):
    """[(W, b), ..] from params (P,): layer after layer, W (in, out) row by row and then b (out,)."""
    found, start, widths = [], 0, (net.X.shape[1], *net.hidden, 1)
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
        entering.append(ACTIVATIONS[net.activation][0](leaving[-1]))
    return entering[:-1], leaving


def output(net, params, x):
    """f(x), the last layer without activation."""
    return forward(net, params, x)[1][-1][0]


def point_loss(net, params, i):
    """l_i(theta)."""
    return LOSSES[net.loss][0](output(net, params, net.X[i]), net.y[i])


def point_gradient(net, params, i):
    """grad l_i(theta) (P,), by the chain rule from the last layer to the first."""
    entering, leaving = forward(net, params, net.X[i])
    delta, pieces = LOSSES[net.loss][1](leaving[-1], net.y[i]), []
    for k, (W, _) in reversed(list(enumerate(layers(net, params)))):
        pieces = [np.outer(entering[k], delta).ravel(), delta, *pieces]
        if k > 0:
            delta = (W @ delta) * ACTIVATIONS[net.activation][1](leaving[k - 1])
    return np.concatenate(pieces)


def objective(net, params, weights):
    """L(theta; w) = (1/N) sum_i w_i l_i(theta) + (l2/2) ||theta||^2."""
    data = sum(w * point_loss(net, params, i) for i, w in enumerate(weights)) / len(weights)
    return data + net.l2 / 2.0 * (params @ params)


def objective_gradient(net, params, weights, members=None):
    """(1/|batch|) sum_{i in batch} w_i grad l_i + l2 theta; the batch is every point unless `members` (N,) says who is in."""
    batch = range(len(weights)) if members is None else np.flatnonzero(members)
    return sum(weights[i] * point_gradient(net, params, i) for i in batch) / len(batch) + net.l2 * params


def learning_rates(net):
    """eta_t for t = 0 .. steps - 1."""
    if net.schedule == "constant":
        return [net.learning_rate] * net.steps
    return [net.learning_rate * (1.0 + np.cos(np.pi * t / net.steps)) / 2.0 for t in range(net.steps)]


def train(net, weights, params, members):
    """theta after 0, 1, .., steps steps: v <- momentum v + g, theta <- theta - eta v, for members (steps, N)."""
    path, velocity = [params], 0.0
    for rate, batch in zip(learning_rates(net), members, strict=True):
        velocity = net.momentum * velocity + objective_gradient(net, path[-1], weights, batch)
        path.append(path[-1] - rate * velocity)
    return path


def one_response(net, weights, params, members):
    """Outputs (M,) of one replica: all queries after the first snapshot, then after the second, ..; else after the last step."""
    path = train(net, weights, params, members)
    return np.array([output(net, path[t], x) for t in net.snapshots or (net.steps,) for x in net.X_query])


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
    return complex_step(lambda theta: np.array([output(net, theta, x) for x in net.X_query]), params)


def propagator(net, weights, params, members):
    """d theta_T / d theta_0 (P, P) with v_0 = 0 fixed."""
    return complex_step(lambda theta: train(net, weights, theta, members)[-1], params)
