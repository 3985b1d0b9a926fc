"""The error budget: what each approximation on the way from one effect to another costs, in size and sign.

A chain of effects a_0 -> a_1 -> .. -> a_K, each (R, N, M) for the same seeds, is cut into its steps d_k = a_{k-1} - a_k, which
telescope: sum_k d_k = a_0 - a_K exactly. Of each step

    size_k  = ||d_k|| / ||a_0||                      how large it is
    share_k = <d_k, a_0 - a_K> / ||a_0 - a_K||^2     how much of the whole gap it makes, or takes back where negative;

shares add up to 1. All for means over seeds, Euclidean over points and outputs, with jackknife standard errors over seeds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from theory.metrics import Comparison, compare, jackknife, jackknife_errors
from theory.response import Array

__all__ = ["Budget", "Step", "Trust", "error_budget", "trust"]


@dataclass(frozen=True)
class Step:
    """One step of a chain: the effects before and after it, and how they differ."""

    before: str
    after: str
    difference: Array  # (N, M), before - after, mean over seeds
    size: float
    size_error: float
    share: float
    share_error: float
    measured: Comparison  # after against before
    measured_error: Comparison


@dataclass(frozen=True)
class Budget:
    """The steps of a chain in their order."""

    steps: tuple[Step, ...]
    total: Array  # (N, M), first minus last effect, mean over seeds
    first: Array  # (N, M)

    @property
    def closure(self) -> float:
        """||sum of the steps - total|| / ||first||: 0 up to rounding."""
        return _ratio(sum((step.difference for step in self.steps), start=-self.total), self.first)


def error_budget(chain: Mapping[str, Array]) -> Budget:
    """The budget of named effects (R, N, M), in the order of the mapping.

    Shares are NaN (undefined) where the whole gap is 0, sizes where the first effect is. Every effect must be finite: one that is
    not defined does not belong into a chain.

    >>> chain = {"beta": np.full((1, 2, 1), 4.0), "D(1)": np.full((1, 2, 1), 2.0), "score": np.full((1, 2, 1), 1.0)}
    >>> for step in error_budget(chain).steps:
    ...     print(step.before, "->", step.after, step.size, round(step.share, 3))
    beta -> D(1) 0.5 0.667
    D(1) -> score 0.25 0.333
    """
    names, effects = tuple(chain), tuple(np.asarray(effect, dtype=np.float64) for effect in chain.values())
    if len(names) < 2 or len({effect.shape for effect in effects}) > 1 or effects[0].ndim != 3:
        shapes = {name: effect.shape for name, effect in zip(names, effects, strict=True)}
        raise ValueError(f"chain has shapes {shapes}, expected two or more effects of one shape (R, N, M)")
    undefined = [name for name, effect in zip(names, effects, strict=True) if not np.isfinite(effect).all()]
    if undefined:
        raise ValueError(f"{undefined} of the chain are not finite: leave these effects out of the chain")
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
    """What an estimate of effects may be used for."""

    TRUST = "trust"
    RANK_ONLY = "rank only"
    DO_NOT_TRUST = "do not trust"
    UNDEFINED = "undefined"


TRUSTED_ERROR, TRUSTED_RANK = 0.1, 0.9


def trust(measured: Comparison) -> Trust:
    """The rule of the maps: relative error at most 0.1: trust; else Spearman at least 0.9: rank only; else do not trust.

    Undefined where the error is; an undefined rank correlation ranks nothing.

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
