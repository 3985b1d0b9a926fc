"""Check an attribution method against every law that effects of training points keep, and report which it breaks, and why.

    report = check_attribution(attribute)  # attribute(problem) returns scores (N, M)
    print(report)
    test_mine = conformance(attribute)     # the same as a test for pytest: a line of a test file

Where a method cannot do what a law needs, such as weights of points, `attribute` raises NotImplementedError: the law is skipped.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike

from sims.testing.attribution_problems import PROBLEMS, AttributionProblem, problem
from sims.testing.laws import CannotAskError
from sims.testing.report import Finding, Report
from theory.inputs import as_number, shown
from theory.response import Array

__all__ = ["ATTRIBUTION_LAWS", "Attribute", "check_attribution", "conformance"]

Attribute = Callable[[AttributionProblem], ArrayLike]
"""A method as it is checked: a function from a problem to scores (N, M)."""

SINGLE_RTOL = 1e-3
"""The relative error that is allowed in single precision; a well-conditioned problem of this size needs 1e-5."""


@dataclass(frozen=True)
class _Ask:
    """A method and a problem, asked for scores of the right shape."""

    attribute: Attribute
    problem: AttributionProblem
    rtol: float

    def scores(self, of: AttributionProblem | None = None) -> Array:
        """Return the scores (N, M) for a problem; AssertionError for another shape or for what is not a number."""
        asked = self.problem if of is None else of
        try:
            given = np.asarray(self.attribute(asked))
        except NotImplementedError as reason:
            raise CannotAskError(f"the method says that it cannot: {reason}") from None
        shape = (asked.n_points, len(asked.X_query))
        if given.shape != shape:
            told = ", which is query x train: transpose them" if given.shape == shape[::-1] != shape else ""
            raise AssertionError(f"scores have shape {given.shape}, expected {shape}, train x query{told}")
        if given.dtype.kind not in "fiu" or not np.isfinite(given).all():
            raise AssertionError(f"scores have dtype {given.dtype}, and {int((~np.isfinite(given)).sum())} are not finite")
        return given.astype(np.float64)

    def close(self, found: Array, expected: Array, what: str, rtol: float | None = None) -> None:
        """Raise AssertionError unless the arrays agree to `rtol`, relative to the largest entry expected."""
        allowed = (self.rtol if rtol is None else rtol) * float(np.abs(expected).max(initial=0.0))
        worst = np.unravel_index(np.abs(found - expected).argmax(), found.shape)
        if abs(found[worst] - expected[worst]) > allowed:
            at = ", ".join(map(str, worst))
            raise AssertionError(f"{what} differ: {found[worst]:.6g} and {expected[worst]:.6g} at [{at}], allowed {allowed:.1g}")

    def proportional(self, found: Array, exact: Array, what: str) -> None:
        """Raise AssertionError unless scores are a positive or negative multiple of the exact ones."""
        self.close(found, float((found * exact).sum() / (exact * exact).sum()) * exact, f"{what}, but for a factor,")


def _exactness(ask: _Ask) -> None:
    exact, found = ask.problem.exact(), ask.scores()
    try:
        ask.close(found, exact, "scores and dF/dw at w = 1")
    except AssertionError as error:
        raise AssertionError(f"{error}\n{_judged(ask.problem, found)}") from None


def _judged(of: AttributionProblem, scores: Array) -> str:
    """Say in the judge's words what scores are."""
    from sims.referee import Truth, judge_scores

    report = judge_scores(scores, Truth.of(of.learner, y_query=of.y_query, name="problem"))
    return "the judge: " + " ".join(report.diagnosis)


def _sign(ask: _Ask) -> None:
    likeness = float((ask.scores() * ask.problem.exact()).sum())
    if likeness <= 0.0:
        raise AssertionError(
            f"the product of scores and dF/dw is {likeness:.3g}, expected > 0: a positive score raises the output"
        )


def _scale(ask: _Ask) -> None:
    twice = ask.problem.rows(np.tile(np.arange(ask.problem.n_points), 2))
    found, once = ask.scores(twice), ask.scores()
    kept = np.abs(once) > 0.1 * np.abs(once).max()
    ratio = float(np.median(found[: ask.problem.n_points][kept] / once[kept])) if kept.any() else float("nan")
    if abs(ratio - 0.5) > max(ask.rtol, 1e-6) * 10.0:
        raise AssertionError(
            f"with every point twice, scores are {ratio:.6g} times those before, expected 1/2: 1/N for each copy"
        )


def _batches(ask: _Ask) -> None:
    whole = ask.scores()
    for size in (1, 5, ask.problem.n_points):
        ask.close(ask.scores(replace(ask.problem, batch_size=size)), whole, f"scores in batches of {size} and all at once")


def _order(ask: _Ask) -> None:
    order = np.roll(np.arange(ask.problem.n_points)[::-1], 3)
    ask.close(ask.scores(ask.problem.rows(order)), ask.scores()[order], "scores of points in another order")


def _duplicates(ask: _Ask) -> None:
    n = ask.problem.n_points
    found = ask.scores(ask.problem.rows([*range(n), 2]))
    ask.close(found[n], found[2], "scores of two equal points")


def _weight_zero(ask: _Ask) -> None:
    weights = np.ones(ask.problem.n_points)
    weights[4] = 0.0
    of = ask.problem.changed(weights=weights)
    ask.proportional(ask.scores(of), of.exact(), "scores where a point has weight 0, and dF/dw there")


def _queries(ask: _Ask) -> None:
    whole = ask.scores()
    for q in range(len(ask.problem.X_query)):
        of = ask.problem.changed(X_query=ask.problem.X_query[q : q + 1], y_query=ask.problem.y_query[q : q + 1])
        ask.close(ask.scores(of), whole[:, q : q + 1], f"scores of query {q} alone and among others")


def _linearity(ask: _Ask) -> None:
    X = ask.problem.X_query
    mixed = np.stack([2.0 * X[0], X[0] - 3.0 * X[1]])
    found = ask.scores(ask.problem.changed(X_query=mixed, y_query=ask.problem.y_query[:2]))
    s = ask.scores()
    expected = np.stack([2.0 * s[:, 0], s[:, 0] - 3.0 * s[:, 1]], axis=1)
    ask.close(found, expected, "scores of 2 f_0 and f_0 - 3 f_1, and the same of the scores,")


def _penalty(ask: _Ask) -> None:
    for l2 in (0.02, 0.7):
        of = ask.problem.changed(l2=l2)
        ask.proportional(ask.scores(of), of.exact(), f"scores with l2 = {l2:g} and dF/dw")


def _single(ask: _Ask) -> None:
    ask.close(ask.scores(ask.problem.single()), ask.scores(), "scores in single and in double precision", SINGLE_RTOL)


def _determinism(ask: _Ask) -> None:
    first, second = ask.scores(), ask.scores()
    if not np.array_equal(first, second):
        raise AssertionError(f"scores of two calls differ by {np.abs(first - second).max():.3g}, expected the same bits")


def _inputs(ask: _Ask) -> None:
    names = ("X", "y", "X_query", "y_query", "weights", "theta")
    before = {name: getattr(ask.problem, name).copy() for name in names}
    ask.scores()
    for name, values in before.items():
        if not np.array_equal(getattr(ask.problem, name), values):
            raise AssertionError(f"{name} was changed by a call")


ATTRIBUTION_LAWS: dict[str, tuple[Callable[[_Ask], None], str]] = {
    "scores are exact": (_exactness, "see what the judge says"),
    "the sign is right": (_sign, "the change on removal, or of the loss, in place of the change of the output on inclusion"),
    "scores have the factor 1/N": (_scale, "the loss of a point without its factor 1/N, or a Hessian that is a sum"),
    "batches do not matter": (_batches, "a sum or a mean over batches of what is not linear, such as inverses"),
    "order is free": (_order, "scores in the order of a shuffled loader, or sorted by size"),
    "equal points have equal scores": (_duplicates, "points that are looked up by their content, or scores by number of draws"),
    "weight 0 is deletion": (_weight_zero, "weights of points that do not enter the Hessian, or enter the gradient of a score"),
    "queries do not matter to each other": (_queries, "a solver or a normalisation over all queries at once"),
    "scores are linear in the output": (_linearity, "the derivative of a probability or of a loss, or a normalised gradient"),
    "the penalty is in the Hessian once": (
        _penalty,
        "a penalty that is left out, added twice, or in the gradient of every point",
    ),
    "single precision is enough": (_single, "an inverse without the penalty, or accuracy lost in sums"),
    "scores are the same in every call": (_determinism, "random projections or samples without a fixed seed"),
    "inputs are left alone": (_inputs, "an array of the caller that is written to: copy it"),
}
"""Every law, by its name: what checks it, and the likely cause where it is broken."""


def check_attribution(
    attribute: Attribute,
    *,
    problems: Sequence[str] = PROBLEMS,
    rtol: float = 1e-6,
    leave_out: Iterable[str] = (),
    name: str = "",
) -> Report:
    """Check scores of `attribute(problem)`, (N, M), against dF/dw and against each other on convex problems solved exactly.

    `problems` are losses, "logistic" and "squared". `rtol` is the accuracy of the method relative to its largest score.
    `leave_out` names laws that are known not to hold, and are reported as skipped.

    >>> def influence(problem):  # -(1/N) grad f^T H^-1 grad l_i
    ...     f = problem.X @ problem.theta
    ...     p = 1.0 / (1.0 + np.exp(-f)) if problem.loss == "logistic" else f
    ...     c = problem.weights * (p * (1.0 - p) if problem.loss == "logistic" else 1.0)
    ...     H = problem.X.T * c @ problem.X / len(f) + problem.l2 * np.eye(len(problem.theta))
    ...     return -((p - problem.y)[:, None] * problem.X) @ np.linalg.solve(H, problem.X_query.T) / len(f)
    >>> len(check_attribution(influence).passed)
    13
    >>> check_attribution(lambda problem: -influence(problem)).broken[1].law
    'the sign is right'
    """
    problems, left, rtol = _checked(attribute, problems, rtol, leave_out)
    passed, broken, skipped = list[str](), list[Finding](), list[Finding]()
    for law in ATTRIBUTION_LAWS:
        if law in left:
            skipped.append(Finding(law, "left out by the caller"))
            continue
        try:
            for loss in problems:
                _check(law, attribute, loss, rtol)
        except CannotAskError as reason:
            skipped.append(Finding(law, str(reason)))
        except AssertionError as error:
            broken.append(Finding(law, str(error)))
        else:
            passed.append(law)
    return Report(name or getattr(attribute, "__name__", repr(attribute)), tuple(passed), tuple(broken), tuple(skipped))


def conformance(attribute: Attribute, *, problems: Sequence[str] = PROBLEMS, rtol: float = 1e-6) -> Callable[..., None]:
    """Return a test for pytest that checks every law of `check_attribution`; give it a name that begins with test_.

    test_mine = conformance(attribute)
    """
    import pytest

    problems, _, rtol = _checked(attribute, problems, rtol, ())

    @pytest.mark.parametrize("loss", problems)
    @pytest.mark.parametrize("law", ATTRIBUTION_LAWS)
    def test(law: str, loss: str) -> None:
        try:
            _check(law, attribute, loss, rtol)
        except CannotAskError as reason:
            pytest.skip(str(reason))

    return test


def _checked(attribute: Any, problems: Any, rtol: Any, leave_out: Any) -> tuple[tuple[str, ...], set[str], float]:
    """Return the arguments of a check, or raise ValueError."""
    if not callable(attribute):
        raise ValueError(f"attribute is a {type(attribute).__name__}, expected a function that returns scores (N, M)")
    listed = [*cast("Sequence[Any]", problems)] if isinstance(problems, list | tuple) else []
    if not listed or not all(isinstance(name, str) and name in PROBLEMS for name in listed):
        raise ValueError(f"problems = {shown(problems)}, expected some of {', '.join(PROBLEMS)} in a list")
    left = [*cast("Iterable[Any]", leave_out)] if isinstance(leave_out, list | tuple | set) else [leave_out]
    if unknown := [law for law in left if not isinstance(law, str) or law not in ATTRIBUTION_LAWS]:
        raise ValueError(f"leave_out names {shown(unknown)}, expected laws in a list: {', '.join(ATTRIBUTION_LAWS)}")
    return tuple(listed), set(left), as_number("rtol", rtol, "a number with 0 < rtol < 1", above=0.0, below=1.0)


def _check(law: str, attribute: Attribute, loss: str, rtol: float) -> None:
    """Check one law on one problem; AssertionError with the likely cause if it is broken, whatever the method raises."""
    check, cause = ATTRIBUTION_LAWS[law]
    try:
        check(_Ask(attribute, problem(loss), rtol))
    except CannotAskError:
        raise
    except Exception as error:
        what: Any = error if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
        raise AssertionError(f"{loss} loss: {what}\nlikely cause: {cause}") from None
