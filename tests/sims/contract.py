"""The contract every learner passes, as plain functions of a learner and weights; each raises AssertionError where it is broken.

Nothing here knows pytest or hypothesis: give any learner that is a dataclass over X, y, X_query and l2. Two fits of one
optimum along different paths (other summation order, other block) agree to rounding, eps times the square of the Hessian's
condition number: RTOL = 1e-9 serves conditions up to 1e3, and callers draw problems below that.
"""

import dataclasses

import numpy as np
from assertions import assert_close, assert_identical

from theory.derivatives import finite_difference
from theory.response import mean_response, weight_derivative

RTOL = 1e-9
ATOL = 1e-12  # outputs that cancel to 0 are exact only to eps times the terms, here of order 1
DERIVATIVE_RTOL = 1e-8


def on_rows(learner, rows, weights):
    """The same learner on other rows of its data, repeats allowed, with weights (N,) carried along: (learner, weights).

    The penalty must weigh against the data as before. "n_points" divides the data term by the number of rows of the data set,
    which changes from N to N': l2 is rescaled by N / N'. "support" divides by the number of positive weights and is rescaled
    likewise; "sum" and "weight_sum" do not change.
    """
    rows = np.asarray(rows)
    moved = weights[rows]
    scale = {
        "n_points": learner.n_points / len(rows),
        "support": np.count_nonzero(weights) / np.count_nonzero(moved),
    }.get(learner.normalization, 1.0)
    return dataclasses.replace(learner, X=learner.X[rows], y=learner.y[rows], l2=learner.l2 * scale), moved


def check_weight_zero_is_deletion(learner, weights, point, seeds=(0,)):
    """A point of weight 0 might as well not be in the data, for the response and for the derivative in the other weights."""
    weights = np.where(np.arange(learner.n_points) == point, 0.0, weights)
    rest = np.flatnonzero(np.arange(learner.n_points) != point)
    smaller, kept = on_rows(learner, rest, weights)
    _assert_same(learner, weights, smaller, kept, seeds, columns=rest, call=f"point {point} at weight 0 against its deletion")


def check_weight_two_is_duplicate(learner, weights, point, seeds=(0,)):
    """A point of weight 2 v might as well be in the data twice with weight v; each copy has the derivative of the one point."""
    rows = np.append(np.arange(learner.n_points), point)
    larger, halves = on_rows(learner, rows, np.asarray(weights))
    doubled = np.where(np.arange(learner.n_points) == point, 2.0 * weights, weights)
    _assert_same(larger, halves, learner, doubled, seeds, expected_columns=rows, call=f"point {point} twice against weight 2")


def check_order_of_points_is_free(learner, weights, order, seeds=(0,)):
    """Points in another order: the same response, and the columns of the Jacobian in that order."""
    shuffled, moved = on_rows(learner, order, weights)
    _assert_same(shuffled, moved, learner, weights, seeds, expected_columns=order, call=f"points in order {order}")


def check_batch_equals_singles(learner, weights, seeds=(0, 1)):
    """Row b of a batch (B, N) is what that row gives alone; also a batch of no rows is an empty answer."""
    for name in ("respond", "weight_jacobian"):
        method = getattr(learner, name)
        singles = np.concatenate([method(row[None], seeds) for row in weights])
        assert_close(method(weights, seeds), singles, rtol=RTOL, atol=ATOL, call=f"{name} of a batch against single rows")
        empty = method(weights[:0], seeds)
        assert empty.shape == (0, *singles.shape[1:]), f"{name} of no rows has shape {empty.shape}"


def check_blocks_do_not_matter(learner, weights, block, seeds=(0,)):
    """The same rows before, across and after a block boundary of a long batch give the same answers."""
    copies = block // len(weights) + 2
    for name in ("respond", "weight_jacobian"):
        method = getattr(learner, name)
        long = method(np.tile(weights, (copies, 1)), seeds)
        expected = np.tile(method(weights, seeds), (copies, *[1] * (long.ndim - 1)))
        assert_close(long, expected, rtol=RTOL, atol=ATOL, call=f"{name} of {len(long)} rows against {len(weights)} at a time")


def check_derivative(learner, weights, seeds=(0,), rtol=DERIVATIVE_RTOL):
    """The Jacobian is the derivative of the response at weights (N,); where it is NaN, the response jumps as w_i leaves 0.

    The tolerance is rtol of the largest derivative plus what differences cannot see, the rounding of F over steps of 1e-2.
    """
    weights = np.asarray(weights, dtype=np.float64)
    derivative = weight_derivative(learner, weights, seeds)
    defined = np.isfinite(derivative)
    tolerance = (
        rtol * np.abs(derivative[defined]).max(initial=0.0) + 1e-12 * np.abs(mean_response(learner, weights[None], seeds)).max()
    )
    error, expected = np.full(derivative.shape, np.inf), np.full(derivative.shape, np.nan)
    for initial_step in (0.25, 0.02, 2e-3, 2e-4, 2e-5, 2e-6):  # small where the response turns sharply at w_i = 0
        numerical = finite_difference(learner, weights, seeds, rtol=0.0, atol=0.1 * tolerance, initial_step=initial_step)
        better = numerical.error < error
        error, expected = np.where(better, numerical.error, error), np.where(better, numerical.derivative, expected)
        if (error[defined] <= tolerance).all():
            break
    else:
        raise AssertionError(f"finite differences at {weights} did not converge to {tolerance:.1e}: {error}")
    assert_close(derivative[defined], expected[defined], atol=tolerance, call=f"derivative at {weights}")
    assert np.array_equal(~defined, ~defined & response_jumps(learner, weights, seeds)), (
        f"the derivative at {weights} is NaN at {np.argwhere(~defined).tolist()}, where the response does not jump"
    )


def response_jumps(learner, weights, seeds=(0,), step=1e-9):
    """Whether output m jumps as w_i leaves 0, (N, M): a step of 1e-9 moves it by more than a slope of 1e3 could."""
    absent = weights == 0.0
    moved = np.where(np.eye(len(weights), dtype=bool) & absent, step, weights)
    change = np.abs(mean_response(learner, moved, seeds) - mean_response(learner, weights[None], seeds))
    return change > 1e3 * step


def check_inputs_are_left_alone(learner, weights, seeds=(0,)):
    """No caller's array is written to or kept: what the caller does to it afterwards changes nothing. Same for the answers."""
    theirs = {name: np.array(getattr(learner, name)) for name in ("X", "y", "X_query")}
    before = {name: array.copy() for name, array in theirs.items()}
    fresh, rows = dataclasses.replace(learner, **theirs), np.array(weights)
    first = [method(rows, seeds) for method in (fresh.respond, fresh.weight_jacobian)]
    kept = [answer.copy() for answer in first]
    assert_identical(rows, weights, call="weights after respond and weight_jacobian")
    for name, array in theirs.items():
        assert_identical(array, before[name], call=f"{name} after respond and weight_jacobian")
    for array in (*theirs.values(), *first, rows):
        array[...] = 7.0
    again = [method(weights, seeds) for method in (fresh.respond, fresh.weight_jacobian)]
    for answer, expected in zip(again, kept, strict=True):
        assert_identical(answer, expected, call="the answer after the caller changed every array in reach")


def check_seeds(learner, weights, seeds=(5, 0, 3)):
    """One entry per seed, in the order given; the same seed gives the same bits, alone or among others; shapes as promised."""
    b, r, m, n = len(weights), len(seeds), learner.n_outputs, learner.n_points
    for method, shape in ((learner.respond, (b, r, m)), (learner.weight_jacobian, (b, r, m, n))):
        answer = method(weights, seeds)
        assert answer.shape == shape, f"{method.__name__} has shape {answer.shape}, expected {shape}"
        assert answer.dtype == np.float64, f"{method.__name__} is {answer.dtype}, expected float64"
        assert_identical(method(weights, seeds), answer, call=f"{method.__name__} a second time")
        for k, seed in enumerate(seeds):
            assert_identical(method(weights, (seed,))[:, 0], answer[:, k], call=f"{method.__name__} with seed {seed} alone")


def _assert_same(learner, weights, expected, expected_weights, seeds, *, columns=None, expected_columns=None, call):
    every = slice(None)
    mine, theirs = weights[None], expected_weights[None]
    assert_close(learner.respond(mine, seeds), expected.respond(theirs, seeds), rtol=RTOL, atol=ATOL, call=f"response: {call}")
    jacobian = learner.weight_jacobian(mine, seeds)[..., every if columns is None else columns]
    wanted = expected.weight_jacobian(theirs, seeds)[..., every if expected_columns is None else expected_columns]
    assert_close(jacobian, wanted, rtol=RTOL, atol=ATOL, call=f"Jacobian: {call}")
