"""Compute the scores of shapiq: exact and estimated values of the game of retraining, from the table of a truth."""

import numpy as np
import shapiq
from problem import Run, main

INDEX = {"shapley": "SV", "banzhaf": "BV"}


def game_of(truth, query, target):
    """Return the game of one query: a coalition of training points is worth what the model trained on it gives."""
    table = truth.arrays["table_loss" if target == "loss" else "table"][:, query]
    places = 1 << np.arange(truth.n)
    return lambda coalitions: table[(np.atleast_2d(coalitions).astype(np.int64) @ places)]


def values_of(found, n):
    return np.array([found[(i,)] for i in range(n)])


def exact(truth, index, target):
    """Return exact values (train, query)."""
    columns = []
    for query in range(truth.m):
        computer = shapiq.ExactComputer(game_of(truth, query, target), n_players=truth.n)
        columns.append(values_of(computer(INDEX[index], order=1), truth.n))
    return np.stack(columns, axis=1)


def estimated(truth, approximator, budget, target, index="shapley"):
    """Return estimated values (train, query)."""
    columns = []
    for query in range(truth.m):
        kind = getattr(shapiq.approximator, approximator)
        more = {"index": INDEX[index], "max_order": 1} if approximator == "SHAPIQ" else {}
        method = kind(n=truth.n, random_state=0, **more)
        found = method.approximate(budget=budget, game=game_of(truth, query, target))
        columns.append(values_of(found, truth.n))
    return np.stack(columns, axis=1)


EXACT = ("Computes a variety of game-theoretic values exactly.", "docstring of ExactComputer")
ESTIMATED = ("for estimating the Shapley value", "docstrings of the approximators")


def runs():
    for target in ("margin", "loss"):
        for index in INDEX:
            yield Run("ExactComputer", exact, {"index": index, "target": target}, target, *EXACT)
    for approximator in ("KernelSHAP", "PermutationSamplingSV", "SVARM", "StratifiedSamplingSV"):
        for budget in (100, 256):
            options = {"approximator": approximator, "budget": budget, "target": "margin"}
            yield Run("approximator", estimated, options, "margin", *ESTIMATED)


main("shapiq", list(runs()), ("two_moons_converged", "two_moons_young"))
