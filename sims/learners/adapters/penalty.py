"""Find out whether a training function of the user's own minimises another penalty than the one that is stated."""

from collections.abc import Mapping, Sequence

import numpy as np

from theory.response import Array

__all__ = ["Leaves", "OtherObjectiveError", "other_penalty"]

Leaves = Mapping[str, tuple[Array, Array]]
"""Name of an array of parameters -> the gradient of the stated objective in it at the trained model, and its values."""

_CONVERGED, _PARALLEL, _AGREE = 1e-6, 1e-3, 1e-2


class OtherObjectiveError(ValueError):
    """Raised where the gradient of the stated objective shows that training minimised another one."""


def other_penalty(models: Sequence[tuple[Leaves, float]], l2: float) -> dict[str, float]:
    """Return the penalty on every array of parameters that training has minimised, or nothing if it may be the stated one.

    `models` are trained with different weights; each has the gradient g of the stated objective, with penalty `l2`, and the size
    of the gradients of its losses. At a minimum with another penalty mu, g = (l2 - mu) theta in every array. Training that has
    only stopped early has no such gradient, or another mu for other weights. Own derivation.

    >>> trained = {"theta": (np.array([-0.2, 0.1]), np.array([2.0, -1.0]))}
    >>> other_penalty([(trained, 1.0), (trained, 1.0)], l2=0.0)
    {'theta': 0.1}
    """
    found: list[dict[str, float]] = []
    for leaves, size in models:
        total = float(np.sqrt(sum(float(np.vdot(g, g)) for g, _ in leaves.values())))
        if total <= _CONVERGED * size:
            return {}  # at a minimum of the stated objective
        extra = {name: -float(np.vdot(g, t)) / float(np.vdot(t, t)) if t.any() else 0.0 for name, (g, t) in leaves.items()}
        rest = np.sqrt(sum(float(np.linalg.norm(g + extra[name] * t)) ** 2 for name, (g, t) in leaves.items()))
        if rest > _PARALLEL * total:
            return {}
        found.append({name: l2 + value for name, value in extra.items()})
    scale = max(max(map(abs, of.values())) for of in found)
    same = all(abs(of[name] - found[0][name]) <= _AGREE * scale for of in found for name in found[0])
    return (
        {name: round(value, 12) for name, value in found[0].items()} if same and min(found[0].values()) > -_AGREE * scale else {}
    )
