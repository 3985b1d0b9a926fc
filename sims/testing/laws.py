"""Define the contract of learners: one function per law, which raises AssertionError if a learner breaks the law.

Two fits of the same optimum along different paths (other summation order, other block) agree up to rounding, which is eps times
the square of the Hessian's condition number. RTOL = 1e-9 is enough for condition numbers up to 1e3. A learner that stops its fit
earlier needs its own `rtol`.

Laws that use other rows of the data keep 1/N fixed, as the project's objective does: a learner on N' rows gets weights times
N' / N. A learner with another normalisation declares it by its attribute `normalization`, and one that accepts only weights 0 and
1 by `masks_only = True` (`theory.response`). `sims.testing.check_learner` checks all laws.
"""

import dataclasses
import random
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.answers import called, checked
from theory.derivatives import finite_difference
from theory.inputs import as_numbers
from theory.response import (
    Array,
    DifferentiableLearner,
    Learner,
    LinearizableLearner,
    Linearization,
    mean_response,
    normalization_of,
    takes_masks_only,
    weight_derivative,
    weight_jacobian_column,
)

__all__ = [
    "DERIVATIVE_RTOL",
    "RTOL",
    "CannotAskError",
    "Rebuild",
    "assert_close",
    "assert_identical",
    "check_answers",
    "check_batch_equals_singles",
    "check_blocks_do_not_matter",
    "check_data_are_copied",
    "check_derivative",
    "check_inputs_are_left_alone",
    "check_linearization",
    "check_order_of_points_is_free",
    "check_seeds",
    "check_weight_two_is_duplicate",
    "check_weight_zero_is_deletion",
    "methods",
    "response_jumps",
]

RTOL = 1e-9
ATOL = 1e-12  # outputs that cancel to 0 are exact only up to eps times their terms, which are of order 1 here
DERIVATIVE_RTOL = 1e-8


_OTHER_OBJECTIVE = "OtherObjectiveError"
"""The error of a learner whose training minimises another objective than the one that it states."""


class Rebuild(Protocol):
    """A function that makes the same learner on other rows of its data; rows may be repeated."""

    def __call__(self, rows: NDArray[np.intp], /) -> Learner: ...


class CannotAskError(Exception):
    """An error that says why a law cannot be checked for a learner."""


def check_answers(learner: Learner, weights: Array, seeds: Sequence[int] = (0,)) -> None:
    """Check that answers are finite, float64 and of the right shape: respond (B, R, M), weight_jacobian (B, R, M, N)."""
    for name in methods(learner):
        answer: Any = called(learner, name, np.array(weights), tuple(seeds))
        values = checked(learner, answer, weights, seeds, name)
        _require(type(answer) is np.ndarray, f"{name} is a {type(answer).__name__}, expected a numpy array")
        _require(answer.dtype == np.float64, f"{name} is {answer.dtype}, expected float64")
        bad = np.argwhere(~np.isfinite(values))
        _require(not len(bad), f"{name} is not finite at {_name(weights[bad[0][0]]) if len(bad) else ''}: {answer}")


def check_seeds(learner: Learner, weights: Array, seeds: Sequence[int] = (5, 0, 3)) -> None:
    """Check that there is one entry per seed, in the given order, and that the same seed gives the same bits.

    The bits must be the same at a second call, whatever the state of the global generators of numbers is then, and with the seed
    alone or among others.
    """
    check_answers(learner, weights, seeds)
    for name, method in methods(learner).items():
        with _global_generators(1):
            answer = method(weights, seeds)
        with _global_generators(2):
            assert_identical(method(weights, seeds), answer, call=f"{name} a second time")
        for k, seed in enumerate(seeds):
            assert_identical(method(weights, (seed,))[:, 0], answer[:, k], call=f"{name} with seed {seed} alone")


def check_batch_equals_singles(learner: Learner, weights: Array, seeds: Sequence[int] = (0, 1), *, rtol: float = RTOL) -> None:
    """Check that row b of a batch (B, N) gets the same answer as alone, and that a batch of no rows gets an empty answer."""
    for name, method in methods(learner).items():
        singles = np.concatenate([method(row[None], seeds) for row in weights])
        assert_close(method(weights, seeds), singles, rtol=rtol, atol=ATOL, call=f"{name} of a batch against single rows")
        empty = method(weights[:0], seeds)
        _require(empty.shape == (0, *singles.shape[1:]), f"{name} of no rows has shape {empty.shape}")


def check_blocks_do_not_matter(
    learner: Learner, weights: Array, block: int, seeds: Sequence[int] = (0,), *, rtol: float = RTOL
) -> None:
    """Check that the same rows get the same answers before, across and after a block boundary of a long batch."""
    copies = block // len(weights) + 2
    for name, method in methods(learner).items():
        long = method(np.tile(weights, (copies, 1)), seeds)
        expected = np.tile(method(weights, seeds), (copies, *[1] * (long.ndim - 1)))
        assert_close(long, expected, rtol=rtol, atol=ATOL, call=f"{name} of {len(long)} rows against {len(weights)} at a time")


def check_weight_zero_is_deletion(
    learner: Learner,
    weights: Array,
    point: int,
    seeds: Sequence[int] = (0,),
    *,
    rtol: float = RTOL,
    rebuild: Rebuild | None = None,
) -> None:
    """Check that weight 0 for a point gives the same as data without it: the response, and its derivative in other weights."""
    absent = np.arange(learner.n_points) == point
    rest = np.flatnonzero(~absent)
    at = np.where(absent, 0.0, weights)
    mine = _answers(learner, at, seeds, np.arange(learner.n_points))
    without = _answers_on_rows(learner, rest, at, seeds, rebuild)
    _assert_same(mine, without, rest, np.arange(len(rest)), rtol, f"point {point} at weight 0 against its deletion, {_name(at)}")


def check_weight_two_is_duplicate(
    learner: Learner,
    weights: Array,
    point: int,
    seeds: Sequence[int] = (0,),
    *,
    rtol: float = RTOL,
    rebuild: Rebuild | None = None,
) -> None:
    """Check that a point of weight 2 v gives the same response as two copies of it with weight v.

    The derivative in the weight of each copy must equal the derivative in the weight of the one point.
    """
    if takes_masks_only(learner):
        raise CannotAskError("the learner takes weights 0 and 1 only (masks_only)")
    rows = np.append(np.arange(learner.n_points), point)
    doubled = np.where(np.arange(learner.n_points) == point, 2.0 * weights, weights)
    twice = _answers_on_rows(learner, rows, np.asarray(weights), seeds, rebuild)
    mine = _answers(learner, doubled, seeds, rows)
    all_columns = np.arange(len(rows))
    call = f"point {point} at weight 2 v against twice at v, {_name(doubled)}"
    _assert_same(mine, twice, all_columns, all_columns, rtol, call)


def check_order_of_points_is_free(
    learner: Learner,
    weights: Array,
    order: ArrayLike,
    seeds: Sequence[int] = (0,),
    *,
    rtol: float = RTOL,
    rebuild: Rebuild | None = None,
) -> None:
    """Check that points in another order give the same response, and the columns of the Jacobian in that order."""
    rows = np.asarray(order)
    shuffled, all_columns = _answers_on_rows(learner, rows, weights, seeds, rebuild), np.arange(len(rows))
    call = f"points in order {rows}, {_name(weights)}"
    _assert_same(_answers(learner, weights, seeds, rows), shuffled, all_columns, all_columns, rtol, call)


def check_derivative(learner: Learner, weights: ArrayLike, seeds: Sequence[int] = (0,), rtol: float = DERIVATIVE_RTOL) -> None:
    """Check that the Jacobian is the derivative of the response at weights (N,).

    Where the Jacobian is NaN, the response must jump as w_i leaves 0. The tolerance is `rtol` times the largest derivative, plus
    the rounding of F over steps of 1e-2, which finite differences cannot resolve. Where the differences do not reach this
    tolerance, the law is broken only if the derivative is off by more than 10 times their own error. If the learner has
    `weight_jacobian_column`, it must equal the column of the Jacobian.
    """
    if not isinstance(learner, DifferentiableLearner):
        raise CannotAskError("the learner has no weight_jacobian: the ledger judges what needs none")
    at = np.asarray(weights, dtype=np.float64)
    derivative = weight_derivative(learner, at, seeds)
    defined = np.isfinite(derivative)
    if hasattr(learner, "weight_jacobian_column"):
        each = [weight_jacobian_column(learner, at[None], seeds, i)[0] for i in range(learner.n_points)]
        columns = np.stack([column.mean(axis=0) for column in each])
        assert_close(columns[defined], derivative[defined], rtol=RTOL, call=f"weight_jacobian_column at {_name(at)}")
    scale = 1e-12 * np.abs(mean_response(learner, at[None], seeds)).max()
    tolerance = rtol * np.abs(derivative[defined]).max(initial=0.0) + scale
    error, expected = np.full(derivative.shape, np.inf), np.full(derivative.shape, np.nan)
    for initial_step in (0.25, 0.02, 2e-3, 2e-4, 2e-5, 2e-6):  # small where the response turns sharply at w_i = 0
        numerical = finite_difference(learner, at, seeds, rtol=0.0, atol=0.1 * tolerance, initial_step=initial_step)
        better = numerical.error < error
        error, expected = np.where(better, numerical.error, error), np.where(better, numerical.derivative, expected)
        if (error[defined] <= tolerance).all() and (np.abs(derivative - expected)[defined] <= tolerance).all():
            break  # two estimates of one kind can agree by chance and be wrong: where the Jacobian differs, look again
    worst = error[defined].max(initial=0.0)
    if np.isfinite(worst):
        slope = _slope(derivative[defined], expected[defined], learner.n_points)
        allowed = max(tolerance, 10.0 * worst)
        assert_close(derivative[defined], expected[defined], atol=allowed, call=f"derivative at {_name(at)}{slope}")
    if (error[defined] > tolerance).any():
        raise CannotAskError(
            f"finite differences at {_name(at)} are known to {worst:.1e} only, too little to check a derivative to "
            f"{tolerance:.1e} (it agrees as far as they go): the response is not smooth there, or a fit stops early"
        )
    jumps = response_jumps(learner, at, seeds)
    _require(
        bool((defined | jumps).all()),
        f"the derivative at {_name(at)} is NaN at {np.argwhere(~defined).tolist()}, where the response does not jump",
    )


def response_jumps(learner: Learner, weights: Array, seeds: Sequence[int] = (0,), step: float = 1e-9) -> NDArray[np.bool_]:
    """Return whether output m jumps as w_i leaves 0, shape (N, M).

    It jumps if a step of 1e-9 changes it by more than a slope of 1e3 could.
    """
    absent = weights == 0.0
    moved = np.where(np.eye(len(weights), dtype=bool) & absent, step, weights)
    change = np.abs(mean_response(learner, moved, seeds) - mean_response(learner, weights[None], seeds))
    return change > 1e3 * step


def check_linearization(learner: Learner, weights: Array, seeds: Sequence[int] = (0,), *, rtol: float = 1e-6) -> None:
    """Check the shapes of a linearization, the symmetry of its Hessian, and that -(1/N) grad f^T H^-1 grad l_i is D(w).

    The last check needs training that has converged to an isolated optimum of the project's objective.
    """
    if not isinstance(learner, LinearizableLearner):
        raise CannotAskError("the learner has no linearize: Hessian influence is not judged")
    try:
        found: Any = called(learner, "linearize", np.array(weights), tuple(seeds))
    except ValueError as error:
        if type(error.__cause__).__name__ == _OTHER_OBJECTIVE:
            raise AssertionError(str(error.__cause__)) from error
        raise CannotAskError(f"the learner refuses: {error}") from error
    r, m, n = len(seeds), learner.n_outputs, learner.n_points
    p = np.shape(getattr(found, "params", ()))[-1:]
    shapes = {
        "params": (r, *p),
        "hessian": (r, *p, *p),
        "point_gradients": (r, n, *p),
        "output_gradients": (r, m, *p),
        "gradient_norm": (r,),
    }
    for name, shape in shapes.items():
        _require(hasattr(found, name), f"linearize returned a {type(found).__name__} without {name}, expected a Linearization")
        values = as_numbers(f"{name} of linearize", getattr(found, name), f"shape {shape}", finite=True)
        _require(values.shape == shape, f"{name} has shape {values.shape}, expected {shape}")
    at: Linearization = found
    assert_close(at.hessian, at.hessian.swapaxes(1, 2), rtol=1e-10, call=f"hessian against its transpose, {_name(weights)}")
    eigenvalues = np.linalg.eigvalsh(at.hessian)
    isolated = bool((eigenvalues[:, 0] > 1e-6 * eigenvalues[:, -1]).all()) and bool((at.gradient_norm < 1e-8).all())
    if not isolated or normalization_of(learner) != "n_points" or takes_masks_only(learner):
        raise CannotAskError(
            "shapes and symmetry are right; influence is D(w) only at a converged, isolated optimum of the objective divided by N"
        )
    moved = np.linalg.solve(at.hessian, at.point_gradients.swapaxes(1, 2))
    influence = -(at.output_gradients @ moved).mean(axis=0).T / n
    numerical = finite_difference(learner, weights, seeds)
    allowed = rtol * np.abs(numerical.derivative).max() + 10.0 * numerical.error.max()
    slope = _slope(influence, numerical.derivative, n)
    call = f"-(1/N) grad f^T H^-1 grad l_i against finite differences, {_name(weights)}{slope}"
    assert_close(influence, numerical.derivative, atol=allowed, call=call)


def check_inputs_are_left_alone(learner: Learner, weights: Array, seeds: Sequence[int] = (0,)) -> None:
    """Check that the learner writes to nothing but its answer, and that later changes of weights or answers have no effect.

    It must leave alone the weights, its own public arrays and the global generators of numbers. Two answers must not share their
    memory with each other, with the weights or with the learner.
    """
    public = _public_arrays(learner)
    before = {name: array.copy() for name, array in public.items()}
    for name in (*methods(learner), *(("linearize",) if hasattr(learner, "linearize") else ())):
        one = name == "linearize"
        rows = np.array(weights[0] if one else weights)
        with _global_generators(1) as state:
            unchanged = state()
            try:
                first = called(learner, name, rows, tuple(seeds))
            except ValueError:
                if not one:
                    raise
                first = None  # a learner may refuse to linearise; `check_linearization` says why
            _require(
                state() == unchanged, f"{name} changed a global generator of numbers: make one of the seed, default_rng(seed)"
            )
        assert_identical(rows, weights[0] if one else weights, call=f"weights after {name}")
        for field, array in before.items():
            assert_identical(public[field], array, call=f"the learner's {field} after {name}")
        if one or first is None:
            continue
        kept = checked(learner, first, weights, seeds, name).copy()
        second = called(learner, name, np.array(weights), tuple(seeds))
        for other, what in ((second, "its next answer"), (rows, "the weights"), *((a, f"its {f}") for f, a in public.items())):
            _require(not np.may_share_memory(first, other), f"an answer of {name} shares its memory with {what}")
        if first.flags.writeable:
            first[...] = 7.0
        rows[...] = 7.0
        again = called(learner, name, np.array(weights), tuple(seeds))
        assert_identical(again, kept, call=f"{name} after the caller changed its answer and the weights")


def check_data_are_copied(learner: Learner, weights: Array, seeds: Sequence[int] = (0,)) -> None:
    """Check that the learner copies its data: it neither writes to the caller's arrays nor reads them later."""
    names = [name for name in ("X", "y", "X_query") if name in _field_names(learner)]
    if not names:
        raise CannotAskError("no dataclass with fields X, y or X_query: the learner cannot be made again from copies")
    theirs = {name: np.array(getattr(learner, name)) for name in names}
    before = {name: array.copy() for name, array in theirs.items()}
    fresh = dataclasses.replace(learner, **theirs)  # type: ignore[reportArgumentType]
    kept = {name: method(weights, seeds).copy() for name, method in methods(fresh).items()}
    for name, array in theirs.items():
        assert_identical(array, before[name], call=f"{name} after respond and weight_jacobian")
        array[...] = array.flat[0]
    for name, method in methods(fresh).items():
        assert_identical(method(weights, seeds), kept[name], call=f"{name} after the caller changed {', '.join(theirs)}")


# --- helpers of the laws ----------------------------------------------------------------------------------------------------


def assert_close(value: Any, expected: Any, *, rtol: float = 0.0, atol: float = 0.0, call: str = "") -> None:
    """Raise AssertionError unless every entry is within atol + rtol * max|expected|.

    The largest entry of the whole array sets the scale, because rounding errors have this scale too.
    """
    value, expected = np.asarray(value), np.asarray(expected)
    _require(value.shape == expected.shape, f"{call}: shape {value.shape}, expected {expected.shape}")
    _require(bool(np.isfinite(value).all()), f"{call}: not finite: {value}")
    allowed = atol + rtol * np.abs(expected).max(initial=0.0)
    worst = np.abs(value - expected).max(initial=0.0)
    _require(worst <= allowed, f"{call}: differs by {worst:.3e}, allowed {allowed:.3e}\nvalue    {value}\nexpected {expected}")


def assert_identical(value: Any, expected: Any, *, call: str = "") -> None:
    """Raise AssertionError unless both have the same shape and equal entries, without a tolerance."""
    value, expected = np.asarray(value), np.asarray(expected)
    _require(value.shape == expected.shape, f"{call}: shape {value.shape}, expected {expected.shape}")
    _require(np.array_equal(value, expected), f"{call}: not identical\nvalue    {value}\nexpected {expected}")


def _require(condition: bool, message: str) -> None:
    """Raise AssertionError with the message unless the condition holds."""
    if not condition:
        raise AssertionError(message)


def methods(learner: Any) -> dict[str, Callable[[Array, Sequence[int]], Array]]:
    """Return the methods to check by name: `respond`, and `weight_jacobian` if the learner has it.

    Each gets copies, so that no law sees what a learner wrote elsewhere; its answers are checked, but for their values.
    """
    return {name: partial(_asked, learner, name) for name in ("respond", "weight_jacobian") if hasattr(learner, name)}


def _asked(learner: Any, method: str, weights: Array, seeds: Sequence[int]) -> Array:
    """Return the answer of a method to copies of weights and seeds, of the right type and shape."""
    answer = called(learner, method, np.array(weights), tuple(seeds))
    return checked(learner, answer, weights, tuple(seeds), method)


def _public_arrays(learner: Any) -> dict[str, NDArray[Any]]:
    """Return the arrays that a learner shows to others: attributes without an underscore."""
    found: dict[str, Any] = getattr(learner, "__dict__", {})
    return {name: value for name, value in found.items() if isinstance(value, np.ndarray) and not name.startswith("_")}


@contextmanager
def _global_generators(seed: int) -> Generator[Callable[[], str]]:
    """Give the generators that all programs share another state for a while, and yield a function that returns it as text."""
    kept, kept_by_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield lambda: f"{random.getstate()} {[str(part) for part in np.random.get_state()]}"  # noqa: NPY002
    finally:
        random.setstate(kept)
        np.random.set_state(kept_by_numpy)  # noqa: NPY002


def _field_names(learner: Any) -> set[str]:
    """Return the names of a dataclass's fields, or none for another class."""
    return {f.name for f in dataclasses.fields(learner)} if dataclasses.is_dataclass(learner) else set()


def _name(weights: Array) -> str:
    """Describe weights for an error message."""
    return f"weights {np.array2string(np.asarray(weights), precision=4, threshold=24, separator=', ')}"


def _answers(
    learner: Any, weights: Array, seeds: Sequence[int], columns: NDArray[np.intp], scale: float = 1.0
) -> dict[str, Array]:
    """Return by method name the response and the chosen columns of its derivative in `weights`.

    The learner gets `scale` times these weights.
    """
    answers = {name: method(scale * weights[None], seeds) for name, method in methods(learner).items()}
    return {name: answer if name == "respond" else scale * answer[..., columns] for name, answer in answers.items()}


def _answers_on_rows(
    learner: Any, rows: NDArray[np.intp], weights: Array, seeds: Sequence[int], rebuild: Rebuild | None
) -> dict[str, Array]:
    """Return the answers of the same learner on other rows of its data; each row keeps its weight, and 1/N stays fixed."""
    moved = weights[rows]
    ratio = {
        "n_points": len(rows) / len(weights),
        "support": np.count_nonzero(moved) / max(np.count_nonzero(weights), 1),
    }.get(normalization_of(learner), 1.0)
    other = _rebuilt(learner, rows) if rebuild is None else rebuild(rows)
    return _answers(other, moved, seeds, np.arange(len(rows)), ratio)


def _rebuilt(learner: Any, rows: NDArray[np.intp]) -> Learner:
    """Return the same learner on other rows of its data; raise CannotAskError if this is not possible."""
    if not _field_names(learner) >= {"X", "y"}:
        raise CannotAskError(
            "the learner is no dataclass with fields X and y: pass rebuild=lambda rows: MyLearner(X[rows], y[rows])"
        )
    if getattr(learner, "batch_size", None) is not None:
        raise CannotAskError("minibatches are drawn for N points by position: on other rows they are other batches")
    return dataclasses.replace(learner, X=learner.X[rows], y=learner.y[rows])


def _assert_same(
    mine: dict[str, Array],
    theirs: dict[str, Array],
    columns: NDArray[np.intp],
    their_columns: NDArray[np.intp],
    rtol: float,
    call: str,
) -> None:
    """Raise AssertionError unless the responses and the given columns of the Jacobians are equal up to rounding."""
    assert_close(mine["respond"], theirs["respond"], rtol=rtol, atol=ATOL, call=f"respond: {call}")
    if "weight_jacobian" in mine:
        value, expected = mine["weight_jacobian"][..., columns], theirs["weight_jacobian"][..., their_columns]
        assert_close(value, expected, rtol=rtol, atol=ATOL, call=f"weight_jacobian: {call}")


def _slope(value: Array, expected: Array, n: int) -> str:
    """Return the slope of a derivative on the expected one as text; the text names the mistake if the slope is a usual one."""
    if not value.size or not np.isfinite(expected).all() or not expected.any():
        return ""
    slope = float((value * expected).sum() / (expected * expected).sum())
    usual = {
        "the sign": -1.0,
        "a factor N": n,
        "a factor 1/N": 1 / n,
        "a factor 2/N": 2 / n,
        "a factor 2": 2.0,
        "a factor 1/2": 0.5,
    }
    named = [name for name, factor in usual.items() if factor != 1.0 and abs(slope / factor - 1.0) < 1e-3]
    return f" (slope {slope:.6g} where 1 is right{': ' if named else ''}{' or '.join(named)})"
