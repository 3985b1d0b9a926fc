"""Check a learner against every law of the contract, and report which laws it breaks, where, and the likely cause.

    report = check_learner(MyLearner(X, y, X_query))
    print(report)                    # laws that passed, that are broken, and that were skipped, with the reason
    report.raise_if_broken()

The laws are in `sims.testing.laws`.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sims.testing import laws as contract
from theory.answers import named, require_learner
from theory.inputs import as_number, as_seeds, shown
from theory.memory import require_memory
from theory.response import BLOCK, Array, Learner, block_rows_of, takes_masks_only
from theory.streams import stream

__all__ = ["Finding", "Report", "check_learner"]

PATIENCE = 30.0
"""The number of seconds that the check of long batches may take."""


@dataclass(frozen=True)
class Finding:
    """A law with the reason why it is broken or was skipped."""

    law: str
    reason: str

    def __str__(self) -> str:
        return f"{self.law}: {self.reason}"


@dataclass(frozen=True)
class Report:
    """The result of `check_learner`: the laws that passed, that are broken, and that were skipped."""

    learner: str
    passed: tuple[str, ...]
    broken: tuple[Finding, ...]
    skipped: tuple[Finding, ...]

    def __str__(self) -> str:
        found = [f"  passed   {law}" for law in self.passed]
        found += [f"  BROKEN   {finding}" for finding in self.broken]
        found += [f"  skipped  {finding}" for finding in self.skipped]
        return "\n".join([self.learner, *(line.replace("\n", "\n           ") for line in found)])

    def raise_if_broken(self) -> None:
        """Raise AssertionError with the whole report if a law is broken."""
        if self.broken:
            raise AssertionError(str(self))


def check_learner(
    learner: Learner,
    *,
    seeds: Sequence[int] = (5, 0, 3),
    rtol: float = contract.RTOL,
    rebuild: contract.Rebuild | None = None,
    leave_out: Sequence[str] = (),
) -> Report:
    """Check every law at a few weight vectors, which are the same in every run.

    The weights are between 1/2 and 3/2; for a learner with `masks_only`, all weights are 1 except a single 0. `rtol` is the
    accuracy with which the learner solves its problem, relative to its largest output. `rebuild(rows)` makes the same learner on
    other rows of its data; a dataclass with fields X and y does not need it. `leave_out` names laws that are known not to hold,
    which are reported as skipped. An example is "order is free" for a forest whose bootstrap draws rows by position.
    """
    require_learner(learner)
    block_rows_of(learner)
    require_memory(64 * int(learner.n_points), f"the check of {named(learner)}", "give it fewer points")
    n, seeds, rtol = (
        learner.n_points,
        as_seeds(seeds),
        as_number("rtol", rtol, "a number with 0 < rtol < 1", above=0.0, below=1.0),
    )
    if rebuild is not None and not callable(rebuild):
        raise ValueError(f"rebuild is a {type(rebuild).__name__}, expected a function of rows that returns a learner")
    if isinstance(leave_out, str) or not isinstance(leave_out, Iterable):
        raise ValueError(f"leave_out = {shown(leave_out)}, expected names of laws in a list, such as ['order is free']")
    unknown = set(leave_out) - set(_LIKELY)
    if unknown:
        raise ValueError(f"leave_out names {sorted(unknown)}, expected laws: {', '.join(_LIKELY)}")
    rows = stream("check_learner weights", 0).uniform(0.5, 1.5, (4, n))
    weights: Array = (1.0 - np.eye(n))[np.arange(4) % n] if takes_masks_only(learner) else rows
    w, order = weights[0], np.roll(np.arange(n)[::-1], 2)
    tolerance: dict[str, Any] = {"rtol": rtol}
    other_rows: dict[str, Any] = {"rtol": rtol, "rebuild": rebuild}
    laws: dict[str, Callable[[], None]] = {
        "answers are finite": lambda: contract.check_answers(learner, weights, seeds),
        "seeds decide": lambda: contract.check_seeds(learner, weights, seeds),
        "batch is its rows": lambda: contract.check_batch_equals_singles(learner, weights, seeds, **tolerance),
        "place in a long batch is free": lambda: contract.check_blocks_do_not_matter(
            learner, weights, _block_in_patience(learner, weights, seeds), seeds, **tolerance
        ),
        "inputs are left alone": lambda: contract.check_inputs_are_left_alone(learner, weights, seeds),
        "data are copied": lambda: contract.check_data_are_copied(learner, weights, seeds),
        "weight 0 is deletion": lambda: _at_some_point(
            n, lambda point: contract.check_weight_zero_is_deletion(learner, w, point, seeds, **other_rows)
        ),
        "weight 2 is a duplicate": lambda: contract.check_weight_two_is_duplicate(learner, w, n - 1, seeds, **other_rows),
        "order is free": lambda: contract.check_order_of_points_is_free(learner, w, order, seeds, **other_rows),
        "Jacobian is the derivative": lambda: contract.check_derivative(learner, w, seeds, max(rtol, contract.DERIVATIVE_RTOL)),
        "linearization is consistent": lambda: contract.check_linearization(learner, w, seeds, rtol=max(rtol, 1e-6)),
    }
    passed: list[str] = []
    broken: list[Finding] = []
    skipped: list[Finding] = []
    for law, ask in laws.items():
        if law in leave_out:
            skipped.append(Finding(law, "left out by the caller"))
            continue
        try:
            ask()
        except contract.CannotAskError as reason:
            skipped.append(Finding(law, str(reason)))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a learner may fail in any way
            what = str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
            told = f"\n{_IF_MEANT[law].format(law)}" if law in _IF_MEANT else ""
            broken.append(Finding(law, f"{what}\nlikely cause: {_LIKELY[law]}{told}"))
        else:
            passed.append(law)
    return Report(named(learner), tuple(passed), tuple(broken), tuple(skipped))


_EARLY = "or a fit that stops early (pass rtol=, or tighten it)"
_DIVISOR = "or the data term is not divided by the fixed N (say normalization = 'sum', 'weight_sum' or 'support')"

_LIKELY = {
    "answers are finite": "an optimum that does not exist, a diverged fit, an array that was never filled, axes in another order",
    "seeds decide": "numbers from a generator that is not made of the seed alone, a clock, or state that one call leaves for the "
    "next",
    "batch is its rows": f"something that rows of a batch share: a mean over rows, a warm start, one stopping rule; {_EARLY}",
    "place in a long batch is free": "a block that is filled or cut off wrongly, or something that its rows share",
    "inputs are left alone": "an array of the caller is written to, or one that is used again is handed out: copy it; or "
    "np.random.seed, in place of np.random.default_rng",
    "data are copied": "the caller's X, y or X_query are written to, or kept: copy them when the learner is made",
    "weight 0 is deletion": "the point still enters somewhere without its weight (a mean, a scaler, a count, a batch order); "
    f"{_DIVISOR}; {_EARLY}",
    "weight 2 is a duplicate": "the weight does not multiply the loss of its point (squared, normalised, used to resample); "
    f"{_DIVISOR}; {_EARLY}",
    "order is free": f"rows are drawn or visited by position (bootstrap, minibatches, coordinate descent); {_EARLY}",
    "Jacobian is the derivative": "a factor N, 1/N or 2, a sign, points in another order, or the derivative of an optimum that "
    "training had not reached",
    "linearization is consistent": "derivatives of another objective than (1/N) sum_i w_i l_i + (l2/2) ||theta||^2: a factor N, "
    "a penalty left out, point gradients with their weights",
}


_SKIP = "check_learner(.., leave_out=[{!r}]) skips the law"

_NORMALIZATION = (
    "normalization says what divides the sum of weighted losses: 'n_points' (the default) the number of rows of X, as in (1/N) "
    "sum_i w_i l_i + penalty; 'sum' nothing, as in scikit-learn and in counts; 'weight_sum' sum_i w_i, as in a weighted mean or "
    "vote; 'support' the number of rows with w_i > 0. Set the attribute of this name on "
    "your class; the laws then scale the weights on other rows as it says"
)

_IF_MEANT = {
    "weight 0 is deletion": f"{_NORMALIZATION}. If it is by design: {_SKIP}, but subsets are then no smaller training sets",
    "weight 2 is a duplicate": f"{_NORMALIZATION}. If it is by design, as where a neighbour counts once whatever its weight, or "
    f"a bootstrap draws rows: {_SKIP}, and no claim that is judged on subsets needs it; or say masks_only = True",
    "order is free": f"if it is by design, as in a random forest, whose bootstrap draws rows by position: {_SKIP}",
    "batch is its rows": f"if it is the fit that stops early: pass rtol=, the accuracy of the fit; {_SKIP}",
}


def _at_some_point(n: int, ask: Callable[[int], None]) -> None:
    """Check the first point without which the learner has an answer; raise CannotAskError if there is no such point."""
    refused = ""
    for point in range(n):
        try:
            return ask(point)
        except (ValueError, ArithmeticError) as error:
            refused = str(error)
    raise contract.CannotAskError(f"the learner refuses to do without any one point: {refused}")


def _block_in_patience(learner: Learner, weights: Array, seeds: Sequence[int]) -> int:
    """Return the number of rows of the engine's blocks, at most BLOCK; raise CannotAskError if they would take too long."""
    block, start = min(block_rows_of(learner), BLOCK), time.perf_counter()
    for method in contract.methods(learner).values():
        method(weights, seeds)
    seconds = (time.perf_counter() - start) * (block / len(weights) + 2)
    if seconds > PATIENCE:
        raise contract.CannotAskError(
            f"{block} rows would take about {seconds:.0f} s: give a slow learner `block_rows`, a small power of two"
        )
    return block
