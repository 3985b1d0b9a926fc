"""The problems of several classes that many experiments have: handwritten digits and irises, by networks and softmax regression.

The networks have one hidden layer of 16 units: 16 blocks of pixels, 16 units, 3 classes, 323 parameters on 12 points. Steps and
rates were chosen by whether training works, and numbers of points, steps and seeds by what they cost. By descent with momentum
at rate 0.3 the loss falls from 1.1 to 0.25 in 10 steps, when all training points are in their classes for the first time, and in
300 steps to the optimum that the penalty leaves (0.04, the gradient at a three hundredth of its start, 8 of 12 queries right).
adam at rate 0.02 comes as far in as many steps if its rate falls along a cosine; at a constant rate it goes on moving around the
optimum.
"""

from sims.experiments.shared.problem import Problem

__all__ = ["BY_ADAM", "CONVERGED", "NETWORK", "SOFTMAX_DIGITS", "SOFTMAX_IRIS", "TEN_DIGITS", "YOUNG"]

YOUNG, CONVERGED = 10, 300
"""Training steps of a network that was stopped early, and of one that hardly moves any more."""

NETWORK = Problem("digits_pooled", "mlp", hidden=(16,), loss="softmax", l2=0.01, learning_rate=0.3, momentum=0.9, n_points=12)
"""16-16-3, by gradient descent with momentum."""

BY_ADAM = NETWORK.changed("momentum", optimizer="adam", learning_rate=0.02, schedule="cosine")
"""The same network by adam."""

SOFTMAX_DIGITS = Problem("digits_pooled", "softmax_regression", l2=0.01, n_points=14)
SOFTMAX_IRIS = Problem("iris", "softmax_regression", l2=0.01, n_points=14)

TEN_DIGITS = Problem(
    "digits",
    "mlp",
    hidden=(32,),
    loss="softmax",
    l2=0.001,
    learning_rate=0.3,
    momentum=0.9,
    batch_size=50,
    steps=30,
    n_points=500,
)
"""64-32-10 on 500 points, three epochs of ten batches: 96% of the queries are right, after training on random halves 85%."""
