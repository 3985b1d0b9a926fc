"""Judge attribution scores against a truth: what they estimate, with which sign and scale, and what went wrong."""

from collections.abc import Generator, Iterable
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sims.referee import candidates
from sims.referee.candidates import Candidate
from sims.referee.matching import Mask, Match, best, best_damping, factor, matched, reordered, with_factors
from sims.referee.report import NAMES, Finding, Report
from sims.referee.truth import TARGETS, Target, Truth
from theory.inputs import as_numbers, one_of, shown
from theory.metrics import spearman
from theory.response import Array

__all__ = ["EXACT", "SINGLE", "judge_scores"]

EXACT = 1e-6
"""Scores in double precision that agree with a candidate to this relative error are taken for it."""

SINGLE = 1e-4
"""The same for scores in single precision."""

ROUGH, ROUGHER = 0.05, 0.5
"""Up to these relative errors after the best factor, scores are called an approximation, and a rough one."""

ORDERED = 0.99
"""From this rank correlation on, scores that are no approximation are said to have the right order."""


def judge_scores(scores: ArrayLike, truth: Truth, target: Target = "margin", *, seed: int | None = None) -> Report:
    """Say what scores (N, M) or (M, N) estimate, with which sign and scale, and what went wrong.

    The scores are compared with everything that they could be (`sims.referee.candidates`), on margins and on losses: the four
    exact effects, influence with the right and with other curvatures, penalties and batches. The first that they equal up to one
    factor is what they estimate. Else a damping is fitted, queries and points are put in another order, and a factor is given to
    every query or point. Else they are an approximation, or not right at all. `seed` compares with one model in place of the mean
    over all seeds of the truth.

    >>> from sims.learners import LeastSquares
    >>> learner = LeastSquares([[1.0], [2.0]], [2.0, 3.0], [[1.0]], l2=1.0)
    >>> truth = Truth.of(learner, y_query=[1.0])
    >>> report = judge_scores(-2.0 * truth.D1, truth)  # N = 2 points
    >>> report.estimates, report.sign, report.scale, report.causes
    ('D1', -1, -2.0, ('sign', 'times N'))
    """
    from sims.referee.measures import lds_by_probability, measured  # with all of `theory.datamodel`

    if not isinstance(truth, Truth):
        raise TypeError(f"truth = {shown(truth)}, expected a Truth, such as load_truth('logistic_spector')")
    one_of("target", target, TARGETS)
    truth = truth if seed is None else truth.seed(seed)
    truth.effect("D1", target)  # refuses a target that the truth does not have
    values, single = _as_scores(scores, truth)
    findings = list[Finding]()
    views, tolerance = _views(values, truth), SINGLE if single else EXACT
    readings = [_Reading.of(view, name, target, truth, tolerance) for view, name in views]
    reading = min(readings, key=lambda r: (not r.explained, r.match.mismatch))
    if len(views) > 1:
        findings.append(Finding("square", f"There are as many points as queries; the scores fit as {reading.orientation}"))
    findings += _of_entries(reading.scores, reading.kept)
    findings += reading.findings()
    if single and reading.explained:
        findings.append(Finding("single precision", f"They are single-precision numbers, right to {reading.match.mismatch:.1g}"))
    sign = -1 if reading.match.factor < 0.0 else 1
    exact = candidates.exact(truth, target)
    return Report(
        truth=truth.name,
        target=target,
        orientation=reading.orientation,
        sign=sign,
        scale=factor(reading.scores[reading.kept], exact[0].scores[reading.kept]),
        estimates=reading.match.candidate.name,
        explained=reading.explained,
        factor=reading.match.factor,
        mismatch=reading.match.mismatch,
        findings=tuple(findings),
        measures={c.name: measured(reading.scores, c, truth, target, reading.kept) for c in exact},
        lds=lds_by_probability(sign * np.where(reading.kept, reading.scores, 0.0), truth, target),
    )


@dataclass(frozen=True, eq=False)
class _Reading:
    """Scores (N, M) in one orientation, and what they are: a match, explained if it is one, with other causes beside it."""

    scores: Array
    orientation: str
    kept: Mask  # the entries that are compared: finite, and not in a row or column of zeros
    truth: Truth
    target: Target
    match: Match
    other_target: bool = False
    explained: bool = True
    causes: tuple[Finding, ...] = ()

    @classmethod
    def of(cls, scores: Array, orientation: str, target: Target, truth: Truth, tolerance: float) -> "_Reading":
        """Read the scores: the first explanation within the tolerance, else the nearest of the exact effects and influence."""
        kept = np.isfinite(scores)
        clean = np.where(kept, scores, 0.0)
        kept &= (clean != 0.0).any(axis=1, keepdims=True) & (clean != 0.0).any(axis=0, keepdims=True)
        base = cls(scores, orientation, kept, truth, target, Match(candidates.exact(truth, target)[0], 0.0, 1.0))
        if not kept.any() or (kept.sum() > 1 and np.ptp(clean[kept]) == 0.0):
            nothing = Candidate("nothing", "nothing that is known", "", np.zeros_like(clean))
            cause = Finding("constant", *_CONSTANT)
            return replace(base, match=Match(nothing, 0.0, 1.0), explained=False, causes=(cause,))
        for found in base._explanations(tolerance):
            return found
        matches = [matched(clean, c, kept) for c in base._main(target)]
        last = matches[-1]  # influence is named only if it is clearly nearer: often it is D(1) but for rounding
        nearest = min(matches, key=lambda m: m.mismatch * (2.0 if m is last and last.candidate.name == "influence" else 1.0))
        return replace(base, match=nearest, explained=False)

    def _main(self, target: Target) -> Iterable[Candidate]:
        """Return the exact effects, and influence."""
        influence = (c for c in candidates.approximations(self.truth, target) if c.name == "influence")
        return chain(candidates.exact(self.truth, target), influence)

    def _explanations(self, tolerance: float) -> Generator["_Reading"]:
        """Yield explanations within the tolerance, the simplest first."""
        clean = np.where(self.kept, self.scores, 0.0)
        both: list[Target] = [self.target, self._other()] if self.truth.loss_function else [self.target]
        for kind in (candidates.exact, candidates.approximations):
            for target in both:
                if found := best((matched(clean, c, self.kept) for c in kind(self.truth, target)), tolerance):
                    yield replace(self, match=found, other_target=target != self.target)
        for target in both:
            for curve in candidates.damped(self.truth, target):
                damping, missed = best_damping(clean, curve, self.kept)
                if missed <= tolerance:
                    yield self._damped(curve, damping, target)
        for target in both:
            yield from self._arranged(clean, target, tolerance)

    def _damped(self, curve: candidates.Damped, damping: float, target: Target) -> "_Reading":
        """Return the reading of influence with a fitted damping."""
        of = "" if curve.name == "hessian" else f" and the {curve.words} in place of the Hessian"
        times = f" ({damping / self.truth.l2:.4g} times l2)" if self.truth.l2 else ""
        remedy = "set the damping to 0: the penalty is in the Hessian already"
        if curve.name != "hessian":
            remedy += f", and {candidates.remedy_of(curve.name)}"
        words = f"Hessian influence with the damping {damping:.4g}{times} beside the penalty{of}"
        candidate = Candidate(f"damping {damping:.4g}", words, remedy, curve.scores(damping))
        return replace(self, match=matched(self.scores, candidate, self.kept), other_target=target != self.target)

    def _arranged(self, clean: Array, target: Target, tolerance: float) -> Generator["_Reading"]:
        """Yield readings of scores whose queries or points have another order, or a factor each."""
        other = target != self.target
        for candidate in self._main(target):
            for axis, what in ((1, "queries"), (0, "points")):
                if not self.kept.all():
                    break
                order, missed = reordered(clean, candidate.scores, axis)
                if missed <= tolerance:
                    again = replace(candidate, scores=candidate.scores[:, order] if axis else candidate.scores[order])
                    shown_order = f"{', '.join(map(str, order[:8]))}{', ..' if len(order) > 8 else ''}"
                    words = f"The {what} are in another order: theirs are numbers {shown_order} of the truth"
                    cause = Finding(f"order of {what}", words, f"give the {what} in the order of the truth, without shuffling")
                    yield replace(self, match=matched(clean, again, self.kept), other_target=other, causes=(cause,))
            for axis, what in ((0, "query"), (1, "point")):
                if clean.shape[axis] > 1 and with_factors(clean, candidate.scores, self.kept, axis) <= tolerance:
                    each = (clean * candidate.scores).sum(axis=axis) / np.square(candidate.scores).sum(axis=axis)
                    words = f"Every {what} has a factor of its own, from {each.min():.4g} to {each.max():.4g}"
                    cause = Finding(f"factor per {what}", words, "leave out the normalisation, such as by norms or probabilities")
                    yield replace(self, match=matched(clean, candidate, self.kept), other_target=other, causes=(cause,))

    def findings(self) -> list[Finding]:
        """Return what the scores are and what is wrong with them, in sentences."""
        if any(cause.cause == "constant" for cause in self.causes):
            return list(self.causes)
        match, n = self.match, self.truth.n_points
        found = [self._identity()]
        of = self._other() if self.other_target else self.target
        if self.other_target:
            words = f"They are scores for the {of} of the queries, and were asked to be for the {self.target}"
            found.append(Finding("other target", words, f"differentiate the {self.target}, or judge them with --target {of}"))
        if not self.explained and match.mismatch > ROUGH:
            return found
        if match.factor < 0.0:
            words = f"The sign is turned: a positive score lowers the {of}"
            found.append(Finding("sign", words, "multiply by -1, or read them as the change on removal"))
        if not any(cause.cause.startswith("factor per") for cause in self.causes):
            fitted = match.candidate.name.startswith("damping")  # then another whole factor is chance
            found += _of_factor(abs(match.factor), n, max(match.mismatch, EXACT), counts=not fitted)
        return [*found, *self.causes]

    def _other(self) -> Target:
        """Return the target that was not asked for."""
        return "loss" if self.target == "margin" else "margin"

    def _identity(self) -> Finding:
        """Say what the scores are, or what they are nearest to."""
        match = self.match
        name = NAMES.get(match.candidate.name, match.candidate.words)
        if self.explained:
            words = f"They are {match.factor:.6g} times {name}, to a relative error of {match.mismatch:.1g}"
            return Finding(match.candidate.name.split(" ")[0], words, match.candidate.remedy)
        missed = f"after the factor {match.factor:.4g} a relative error of {match.mismatch:.2g} is left"
        if match.mismatch <= ROUGH:
            return Finding("approximation", f"They are nearest to {name}: {missed}", "see what is approximated or drawn")
        ranks, of = max((abs(spearman(self.scores[self.kept], c.scores[self.kept])), c.words) for c in self._main(self.target))
        if ranks >= ORDERED:
            words = f"Only the order is right: the rank correlation with {of} is {ranks:.3f}, and {missed}"
            return Finding("only ranks", words, "use them to order points, and do not add them up")
        if match.mismatch <= ROUGHER:
            words = f"They are a rough estimate of {name}: {missed}"
            return Finding(
                "rough", words, "use more draws or seeds if it draws, or else look at its curvature and its approximations"
            )
        words = f"They are none of what is known here; the nearest is {name}: {missed}"
        return Finding("not right", words, "run the method on logistic_spector first, where every right method agrees")


_CONSTANT = (
    "All scores are the same number, or none is finite",
    "see whether the gradients reach the training points and the parameters",
)


def _of_factor(size: float, n: int, tolerance: float, *, counts: bool) -> list[Finding]:
    """Name a factor: N, 1/N, a number of points in a batch, or a number."""
    near = 10.0 * tolerance
    if abs(size - 1.0) <= near:
        return []
    named = {
        float(n): ("times N", f"They are N = {n} times too large", "divide by N: the loss of a point has the factor 1/N"),
        1.0 / n: ("divided by N", f"They are N = {n} times too small", "multiply by N: the factor 1/N was taken twice"),
        float(n) ** 2: ("times N^2", f"They are N^2 = {n**2} times too large", "divide by N^2"),
    }
    for value, finding in named.items():
        if abs(size / value - 1.0) <= near:
            return [Finding(*finding)]
    whole, part = round(size), round(1.0 / size) if size else 0
    if counts and whole > 1 and abs(size / whole - 1.0) <= near:
        of = f"the size of a batch, or their number, is {whole}" if n % whole == 0 or whole < n else "it is a count of something"
        return [Finding("times a count", f"They are {whole} times too large: perhaps {of}", f"divide by {whole}")]
    if counts and part > 1 and abs(size * part - 1.0) <= near:
        return [
            Finding("divided by a count", f"They are {part} times too small: perhaps a mean over {part}", f"multiply by {part}")
        ]
    return [Finding("scale", f"Their scale is {size:.6g} times the right one", f"divide by {size:.6g}")]


def _of_entries(scores: Array, kept: Mask) -> list[Finding]:
    """Name rows and columns that are not finite or are zero."""
    found = list[Finding]()
    if not np.isfinite(scores).all():
        rows, columns = (np.flatnonzero(~np.isfinite(scores).all(axis=axis)) for axis in (1, 0))
        words = (
            f"{int((~np.isfinite(scores)).sum())} scores are not finite, at points {_listed(rows)} and queries {_listed(columns)}"
        )
        found.append(Finding("not finite", f"{words}; the others are judged", "look for a division by 0, or too many iterations"))
    for axis, what in ((1, "points"), (0, "queries")):
        zero = np.flatnonzero((scores == 0.0).all(axis=axis))
        if zero.size and zero.size < scores.shape[1 - axis]:
            words = f"All scores of the {what} {_listed(zero)} are exactly 0; the others are judged"
            found.append(Finding("zeros", words, "ask for fewer queries at once, and see whether these were ever filled"))
    return found


def _listed(numbers: Any) -> str:
    return f"{', '.join(map(str, numbers[:6]))}{', ..' if len(numbers) > 6 else ''}"


def _views(values: Array, truth: Truth) -> list[tuple[Array, str]]:
    """Return the scores as (N, M), in every orientation that their shape allows."""
    shape = (truth.n_points, truth.n_queries)
    views = [(values, "train x query")] if values.shape == shape else []
    return views + ([(values.T, "query x train")] if values.shape == shape[::-1] else [])


def _as_scores(scores: Any, truth: Truth) -> tuple[Array, bool]:
    """Return scores as float64, and whether they are in single precision; ValueError for what cannot be scores of the truth."""
    if hasattr(scores, "detach"):
        scores = scores.detach().cpu().numpy()
    if isinstance(getattr(scores, "mean", None), np.ndarray):  # an Attribution
        scores = scores.mean
    as_numbers("scores", scores, "train x query")  # refuses what is none
    given = np.asarray(scores)
    if given.dtype.kind == "b":
        raise ValueError("scores are True and False, expected an array of real numbers")
    n, m = truth.n_points, truth.n_queries
    if given.ndim == 1 and m == 1:
        given = given[:, None]
    if given.shape not in ((n, m), (m, n)):
        raise ValueError(
            f"scores have shape {given.shape}, expected ({n}, {m}), train x query, or ({m}, {n}): {truth.name} has {n} points "
            f"and {m} queries"
        )
    values = given.astype(np.float64)
    single = given.dtype.itemsize < 8 or bool((values == values.astype(np.float32)).all() and (values % 1.0 != 0.0).any())
    return values, given.dtype.kind == "f" and single
