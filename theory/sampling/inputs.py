"""Check the arguments of a fit to sampled subsets: every error says what was got, what was expected and what to do."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.inputs import as_numbers, require_finite, shown
from theory.laws import Bernoulli, FixedSize
from theory.response import Array
from theory.sampling import regression
from theory.sampling.designs import Design

__all__ = [
    "Observations",
    "alike",
    "as_groups",
    "as_omega",
    "as_responses",
    "as_subsets",
    "from_design",
    "require_presence",
    "require_rows",
    "require_sizes",
]


@dataclass(frozen=True)
class Observations:
    """Observations are m subsets and their responses, already checked."""

    subsets: Array  # (m, N)
    responses: Array  # (m, M)
    omega: Array  # row weights (m,), of mean 1
    groups: NDArray[np.intp] | None  # labels (m,) 0, 1, ..; None: every row is its own group
    law: Bernoulli | FixedSize | None  # of the subsets; None if unknown

    @property
    def rows(self) -> regression.Rows:
        return regression.centred(self.subsets, self.responses, self.omega)

    @property
    def one_size(self) -> bool:
        """Return whether every subset has the same number of points, which leaves the coefficients a free constant (T7)."""
        return isinstance(self.law, FixedSize)

    @property
    def n_coefficients(self) -> int:
        """Return how many coefficients can be identified, the intercept included."""
        return self.subsets.shape[1] + (0 if self.one_size else 1)

    @property
    def n_groups(self) -> int:
        return len(self.subsets) if self.groups is None else int(self.groups.max()) + 1

    @property
    def variance(self) -> Array:
        """Return Var F (M,), unbiased for independent rows of equal weight; 0 where F is constant up to rounding."""
        left = self.responses - self.responses[0]
        spread = (self.omega[:, None] * (left - self.omega @ left / len(left)) ** 2).sum(axis=0) / max(len(left) - 1, 1)
        constant = np.ptp(left, axis=0) <= 8 * np.finfo(np.float64).eps * np.abs(self.responses).max(axis=0)
        return np.where(constant, 0.0, spread)


def from_design(
    masks: ArrayLike | Design, law: Bernoulli | FixedSize | None, groups: ArrayLike | None
) -> tuple[ArrayLike, Bernoulli | FixedSize | None, ArrayLike | None]:
    """Return the masks, law and groups of a Design, which must come without law and groups, else the arguments unchanged."""
    if not isinstance(masks, Design):
        return masks, law, groups
    beside = [f"{name}=" for name, value in (("law", law), ("groups", groups)) if value is not None]
    if beside:
        raise ValueError(
            f"got {' and '.join(beside)} beside a Design, which has its own law and groups: leave them out, or pass design.masks"
        )
    return masks.masks, masks.law, masks.groups


def as_subsets(masks: ArrayLike) -> Array:
    """Return the subsets as rows (m, N) of 0.0 and 1.0; ValueError for lists of indices and integer masks."""
    how = "a row per subset, 1 where the point is in it; theory.subsets.all_masks(N)[mask] is the row of an integer mask"
    values = as_numbers("masks", masks, how)
    if values.ndim != 2 or 0 in values.shape:
        raise ValueError(f"masks has shape {values.shape}, expected (m, N): {how}")
    wrong = (values != 0.0) & (values != 1.0)
    if wrong.any():
        row, column = (int(k) for k in np.argwhere(wrong)[0])
        raise ValueError(
            f"masks[{row}, {column}] is {values[row, column]:g}, expected 0 or 1: {how}; a list of indices is not a mask"
        )
    return values


def as_responses(responses: ArrayLike) -> Array:
    """Return the responses as finite numbers (m, M); ValueError otherwise."""
    values = as_numbers("responses", responses, "(m, M), a column per output")
    if values.ndim != 2 or 0 in values.shape:
        hint = ": pass responses[:, None]" if values.ndim == 1 else ""
        raise ValueError(f"responses has shape {values.shape}, expected (m, M), a column per output{hint}")
    if not np.isfinite(values).all():
        row, column = (int(k) for k in np.argwhere(~np.isfinite(values))[0])
        raise ValueError(f"responses[{row}, {column}] is {values[row, column]}, expected a finite response")
    return values


def as_groups(groups: ArrayLike | None, n_rows: int) -> NDArray[np.intp] | None:
    """Return the labels (m,) as 0, 1, ..; None where every row is its own group."""
    if groups is None:
        return None
    try:
        labels = np.asarray(groups)
    except ValueError as error:
        raise ValueError(f"groups is no array ({error}), expected one label per subset") from error
    if isinstance(groups, np.ma.MaskedArray) or labels.dtype.kind not in "biufUS":
        raise ValueError(f"groups is {shown(groups)} of {labels.dtype}, expected numbers or text, one label per subset")
    if labels.dtype.kind == "f":
        require_finite(labels.astype(np.float64), "groups")
    if labels.shape != (n_rows,):
        raise ValueError(f"groups has shape {labels.shape}, expected ({n_rows},): one label per subset")
    names, index = np.unique(labels, return_inverse=True)
    if len(names) < 2:
        raise ValueError("all subsets are in one group, expected two or more: errors come from the spread between groups")
    return None if len(names) == n_rows else index.astype(np.intp)


def require_sizes(subsets: Array, law: Bernoulli | FixedSize | None) -> None:
    """Raise an error if the numbers of points in the subsets do not agree with the law."""
    sizes, n = subsets.sum(axis=1), subsets.shape[1]
    if isinstance(law, FixedSize):
        law.check(n)
        wrong = np.flatnonzero(sizes != law.k)
        if wrong.size:
            raise ValueError(f"masks[{wrong[0]}] has {sizes[wrong[0]]:g} points, expected the {law.k} of {law}")
        return
    if law is not None and not isinstance(law, Bernoulli):
        raise TypeError(f"law = {shown(law)} is not a law of subsets, expected Bernoulli or FixedSize")
    if len(sizes) > 1 and n > 1 and (sizes == sizes[0]).all():
        raise ValueError(
            f"every subset has {sizes[0]:g} points, so that only differences of coefficients are identified; "
            f"pass law=FixedSize({sizes[0]:g})"
        )


def require_presence(subsets: Array) -> None:
    """Raise ValueError if a point is in none or in all of the subsets."""
    for wrong, where in (((subsets == 0.0).all(axis=0), "no"), ((subsets == 1.0).all(axis=0), "every")):
        points = np.flatnonzero(wrong)
        if points.size:
            raise ValueError(
                f"point {points[0]} is in {where} subset of the {len(subsets)} ({points.size} such points): its coefficient is "
                "not identified; draw more subsets, or use p further from 0 and 1"
            )


def require_rows(data: Observations) -> None:
    """Raise ValueError if there are fewer distinct subsets than coefficients."""
    distinct, needed = len(np.unique(data.subsets, axis=0)), data.n_coefficients
    if distinct < needed:
        repeated = "" if distinct == len(data.subsets) else f" ({distinct} distinct ones)"
        raise ValueError(
            f"{len(data.subsets)} subsets{repeated} for {needed} coefficients, the intercept included: least squares needs at "
            f"least {needed} distinct subsets, and {needed + 1} for standard errors; draw more, or use method='ridge' or 'lasso'"
        )


def alike(subsets: Array) -> str:
    """Name two points that are always or never together; an empty text if there are none."""
    columns, first = np.unique(np.concatenate([subsets.T, 1.0 - subsets.T]), axis=0, return_inverse=True)
    if len(columns) == 2 * subsets.shape[1]:
        return ""
    label = first.ravel()
    pair = next((i, j) for j in range(len(label)) for i in range(j) if label[i] == label[j])
    i, j = (k % subsets.shape[1] for k in pair)
    return f" (points {min(i, j)} and {max(i, j)} are always or never together)"


def as_omega(row_weights: ArrayLike | None, n_rows: int) -> Array:
    """Return the row weights (m,) scaled to mean 1; all 1 where none are given."""
    if row_weights is None:
        return np.ones(n_rows)
    omega = as_numbers("row_weights", row_weights, "one per subset")
    if omega.shape != (n_rows,) or not (np.isfinite(omega) & (omega > 0.0)).all():
        raise ValueError(f"row_weights has shape {omega.shape}, expected ({n_rows},) finite numbers > 0")
    return omega / omega.mean()
