"""Modules and losses written in PyTorch, for tests: of a file, so that worker processes and stores can have them."""

from itertools import pairwise

import numpy as np
import torch
from torch import nn

from sims.learners import MLP

N, D, M = 6, 2, 3
RNG = np.random.default_rng(5)
X, X_QUERY = RNG.standard_normal((N, D)), RNG.standard_normal((M, D))
LABELS, CLASSES, Y_QUERY = np.array([0, 1, 0, 1, 1, 0]), np.array([0, 1, 2, 0, 1, 2]), np.array([2, 0, 1])


class FromMLP(nn.Module):
    """The network of an MLP of this project, with its own start for the seed."""

    def __init__(self, network):
        super().__init__()
        start = torch.tensor(network.initial_params((torch.initial_seed(),))[0])
        sizes = (network.X.shape[1], *network.hidden, network.n_classes)
        self.layers, used = nn.ModuleList(), 0
        for a, b in pairwise(sizes):
            layer = nn.Linear(a, b)
            layer.weight.data = start[used : used + a * b].reshape(a, b).T.contiguous()
            layer.bias.data = start[used + a * b : used + a * b + b].clone()
            self.layers.append(layer)
            used += a * b + b
        self.activation = {"tanh": torch.tanh, "gelu": nn.functional.gelu}[network.activation]

    def forward(self, x):
        *inner, last = self.layers
        for layer in inner:
            x = self.activation(layer(x))
        return last(x)


def network(**options):
    """The MLP that TorchLearner and JaxLearner are held against."""
    if options.get("loss") == "softmax":
        return MLP(X, CLASSES, X_QUERY, hidden=(3,), activation="gelu", y_query=Y_QUERY, **options)
    return MLP(X, LABELS, X_QUERY, hidden=(3,), **options)


def mlp_order(network):
    """Where each parameter of FromMLP stands in the MLP's vector: W (out, in) there is W (in, out) here."""
    places, used, sizes = [], 0, (network.X.shape[1], *network.hidden, network.n_classes)
    for a, b in pairwise(sizes):
        places += [used + np.arange(a * b).reshape(a, b).T.ravel(), used + a * b + np.arange(b)]
        used += a * b + b
    return np.concatenate(places)


def small():
    return nn.Sequential(nn.Linear(D, 3), nn.LayerNorm(3), nn.GELU(), nn.Linear(3, 1))


def linear():
    return nn.Linear(D, 1)


def logistic(f, y):
    return nn.functional.binary_cross_entropy_with_logits(f, y.double(), reduction="none")


def own_descent(params, weights, X, y):
    """Momentum 0.5 by hand, with the penalty 0.3."""

    def objective(params):
        losses = logistic(torch.func.functional_call(LINEAR, params, (X,))[:, 0], y)
        return weights @ losses / len(X) + 0.15 * sum((p**2).sum() for p in params.values())

    velocity = {name: torch.zeros_like(p) for name, p in params.items()}
    for _ in range(120):
        gradient = torch.func.grad(objective)(params)
        velocity = {name: 0.5 * velocity[name] + gradient[name] for name in params}
        params = {name: params[name] - 0.7 * velocity[name] for name in params}
    return params


LINEAR = linear().double()


class Broken(nn.Module):
    """A linear module that does one more thing."""

    def __init__(self, kind):
        super().__init__()
        self.kind, self.line = kind, nn.Linear(D, 1)
        if kind == "integer parameter":
            self.count = nn.Parameter(torch.tensor([1, 2]), requires_grad=False)
        if kind == "buffer that changes":
            self.register_buffer("seen", torch.zeros(()))
        if kind == "noise":
            self.scale = 0.1
        if kind == "numpy start":
            self.line.weight.data = torch.tensor(np.random.default_rng().standard_normal((1, D)))  # another one every time

    def forward(self, x):
        kind = self.kind
        if kind == "buffer that changes":
            self.seen += 1.0
        if kind == "data in place":
            x.mul_(2.0)
        f = self.line(x)
        if kind == "write into a part":
            f = torch.cat([f, f], 1)
            f[:, 0] = 3.0 * f[:, 0]
            return f[:, :1]
        if kind == "asks for a value":
            return f if f.sum() < 1e9 else -f
        if kind == "mean over rows":
            return f - f.mean(0)
        if kind == "noise":
            return f + self.scale * torch.randn_like(f)
        if kind == "other shape":
            return f.T
        if kind == "rows forgotten":
            return self.line.bias
        if kind == "float32":
            return f.float()
        if kind == "not finite":
            return torch.log(f - f)
        return f
