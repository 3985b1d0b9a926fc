"""Compute the error budget: the size and sign of each approximation between one effect and another.

A chain of effects a_0 -> a_1 -> .. -> a_K, each (R, N, M) for the same seeds, has the steps d_k = a_{k-1} - a_k, which telescope:
sum_k d_k = a_0 - a_K exactly. Each step has

    size_k  = ||d_k|| / ||a_0||                      its relative size
    share_k = <d_k, a_0 - a_K> / ||a_0 - a_K||^2     its part of the whole gap; negative if it reduces the gap;

shares add up to 1. Effects are means over seeds, norms Euclidean over points and outputs, standard errors jackknife over seeds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from theory.inputs import as_numbers
from theory.metrics import Comparison, compare, jackknife, jackknife_errors
from theory.response import Array

__all__ = ["Budget", "Step", "Trust", "error_budget", "trust"]


@dataclass(frozen=True)
class Step:
    """A step of a chain has the names of the effects before and after it, and their difference."""

    before: str
    after: str
    difference: Array  # (N, M), before - after, mean over seeds
    size: float
    size_error: float
    share: float
    share_error: float
    measured: Comparison  # of `after` as an estimate of `before`
    measured_error: Comparison


@dataclass(frozen=True)
class Budget:
    """A budget has the steps of a chain in their order."""

    steps: tuple[Step, ...]
    total: Array  # (N, M), first minus last effect, mean over seeds
    first: Array  # (N, M)

    @property
    def closure(self) -> float:
        """Return ||sum of the steps - total|| / ||first||, which is 0 up to rounding."""
        return _ratio(sum((step.difference for step in self.steps), start=-self.total), self.first)


def error_budget(chain: Mapping[str, Array]) -> Budget:
    """Compute the budget of a chain of named effects (R, N, M), in the order of the mapping.

    Shares are NaN (undefined) where the whole gap is 0, sizes where the first effect is 0. ValueError if an effect is not finite.

    >>> chain = {"beta": np.full((1, 2, 1), 4.0), "D(1)": np.full((1, 2, 1), 2.0), "score": np.full((1, 2, 1), 1.0)}
    >>> for step in error_budget(chain).steps:
    ...     print(step.before, "->", step.after, step.size, round(step.share, 3))
    beta -> D(1) 0.5 0.667
    D(1) -> score 0.25 0.333
    """
    if not isinstance(chain, Mapping):
        raise TypeError(f"chain is a {type(chain).__name__}, expected a mapping of names to effects (R, N, M), such as a dict")
    names, effects = tuple(chain), tuple(as_numbers(f"chain[{name!r}]", effect, "(R, N, M)") for name, effect in chain.items())
    if len(names) < 2 or len({effect.shape for effect in effects}) > 1 or effects[0].ndim != 3 or 0 in effects[0].shape:
        shapes = {name: effect.shape for name, effect in zip(names, effects, strict=True)}
        raise ValueError(f"chain has shapes {shapes}, expected two or more effects of one shape (R, N, M)")
    undefined = [name for name, effect in zip(names, effects, strict=True) if not np.isfinite(effect).all()]
    if undefined:
        raise ValueError(f"the effects {undefined} are not finite: leave them out of the chain")
    first, last = effects[0], effects[-1]
    steps = [
        Step(
            before=names[k],
            after=names[k + 1],
            difference=(effects[k] - effects[k + 1]).mean(axis=0),
            size=_ratio((effects[k] - effects[k + 1]).mean(axis=0), first.mean(axis=0)),
            size_error=float(jackknife(_ratio, effects[k] - effects[k + 1], first)),
            share=_share((effects[k] - effects[k + 1]).mean(axis=0), (first - last).mean(axis=0)),
            share_error=float(jackknife(_share, effects[k] - effects[k + 1], first - last)),
            measured=compare(effects[k + 1].mean(axis=0), effects[k].mean(axis=0)),
            measured_error=jackknife_errors(effects[k + 1], effects[k]),
        )
        for k in range(len(effects) - 1)
    ]
    return Budget(tuple(steps), (first - last).mean(axis=0), first.mean(axis=0))


class Trust(StrEnum):
    """The levels of trust say what an estimate of effects may be used for."""

    TRUST = "trust"
    RANK_ONLY = "rank only"
    DO_NOT_TRUST = "do not trust"
    UNDEFINED = "undefined"


TRUSTED_ERROR, TRUSTED_RANK = 0.1, 0.9


def trust(measured: Comparison) -> Trust:
    """Return TRUST if the relative error is at most 0.1, else RANK_ONLY if Spearman is at least 0.9, else DO_NOT_TRUST.

    UNDEFINED if the relative error is NaN; a Spearman correlation that is NaN counts as less than 0.9.

    >>> from theory.metrics import compare
    >>> trust(compare([2.0, 4.0, 6.0], [1.0, 2.0, 3.0])).value  # right order, wrong size
    'rank only'
    """
    if np.isnan(measured.relative_error):
        return Trust.UNDEFINED
    if measured.relative_error <= TRUSTED_ERROR:
        return Trust.TRUST
    return Trust.RANK_ONLY if measured.spearman >= TRUSTED_RANK else Trust.DO_NOT_TRUST


def _ratio(part: Array, whole: Array) -> float:
    size = np.linalg.norm(whole)
    return float(np.linalg.norm(part) / size) if size else float("nan")


def _share(part: Array, whole: Array) -> float:
    square = np.vdot(whole, whole)
    return float(np.vdot(part, whole) / square) if square else float("nan")
