"""Train a transformer of one layer on (a + b) mod 5, and judge the essay's claim on pairs that it was trained on.

    python examples/tiny_transformer.py

It needs PyTorch: pip install 'dfdw[torch]'. The training set has `N` pairs (a, b), the queries are pairs that are not in it, and
an answer is the margin of the true sum. With a few points all subsets are retrained, and `judge_learner` prints the ledger.
"""

import numpy as np
import torch
from torch import nn

from dfdw import TorchLearner, judge_learner

MODULUS, WIDTH, N = 5, 6, 6


class Transformer(nn.Module):
    """One block of attention with one head, and one of a small network, on the tokens a, b and `=`; logits of the sum (n, 5)."""

    def __init__(self):
        super().__init__()
        self.token, self.place = nn.Embedding(MODULUS + 1, WIDTH), nn.Parameter(0.3 * torch.randn(3, WIDTH))
        self.before, self.between = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.heads, self.mix = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.network = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH))
        self.read = nn.Linear(WIDTH, MODULUS)

    def forward(self, pairs):
        ends = torch.full_like(pairs[:, :1], MODULUS)
        x = self.token(torch.cat([pairs, ends], dim=1)) + self.place
        query, key, value = self.heads(self.before(x)).chunk(3, dim=-1)
        x = x + self.mix(nn.functional.scaled_dot_product_attention(query, key, value))
        x = x + self.network(self.between(x))
        return self.read(x[:, -1])


def learner(n=N, **options):
    """The transformer on n pairs that contain every sum, by Adam."""
    pairs = np.array([(a, b) for a in range(MODULUS) for b in range(MODULUS)])
    pairs = pairs[np.random.default_rng(1).permutation(len(pairs))]
    sums = pairs.sum(axis=1) % MODULUS
    chosen = [int(np.flatnonzero(sums == k)[0]) for k in range(MODULUS)]
    rest = [k for k in range(len(pairs)) if k not in chosen]
    train, ask = [*chosen, *rest[: n - MODULUS]], rest[n - MODULUS : n - MODULUS + 2]
    given = {"steps": 30, "learning_rate": 0.01, "optimizer": "adam", "eps": 1e-3, "l2": 1e-3, "y_query": sums[ask], **options}
    return TorchLearner(Transformer, "softmax", pairs[train], sums[train], pairs[ask], **given)


if __name__ == "__main__":
    print(judge_learner(learner(), n_seeds=2, name="transformer on (a + b) mod 5"))
