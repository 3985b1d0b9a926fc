"""Define Attribution, the type in which every method returns its scores."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from theory.display import Displayed, span
from theory.response import Array

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["DIMENSIONS", "Attribution"]

DIMENSIONS = ("seed", "point", "output")
"""These are the axes of scores (R, N, M)."""


@dataclass(frozen=True, repr=False)
class Attribution(Displayed):
    """An attribution has the scores of every training point for every output and seed, and diagnostics of their quality.

    A diagnostic has one number per seed, (R,), or per seed and point, (R, N).

    >>> found = Attribution(np.array([[[1.0], [2.0]], [[3.0], [2.0]]]), "exact", {"residual": np.array([0.0, 1e-16])})
    >>> found
    Attribution(method=exact, n_seeds=2, n_points=2, n_outputs=1, residual=0 to 1e-16)
    >>> found.mean.tolist()
    [[2.0], [2.0]]
    """

    scores: Array  # (R, N, M), named by DIMENSIONS
    method: str
    diagnostics: Mapping[str, NDArray[Any]] = field(default_factory=dict[str, NDArray[Any]])

    def __post_init__(self) -> None:
        if np.ndim(self.scores) != 3:
            raise ValueError(f"scores has shape {np.shape(self.scores)}, expected (seeds, points, outputs)")
        for name, values in self.diagnostics.items():
            if not values.ndim or values.shape != self.scores.shape[: values.ndim]:
                raise ValueError(
                    f"diagnostic {name!r} has shape {values.shape}, expected {self.scores.shape[:1]}, one number per seed, "
                    f"or {self.scores.shape[:2]}, one per seed and point"
                )

    @property
    def mean(self) -> Array:
        """Return the mean of the scores over seeds: (N, M)."""
        return self.scores.mean(axis=0)

    def facts(self) -> dict[str, object]:
        """Return the method, the shape of the scores and the range of every diagnostic."""
        shape = dict(zip(("n_seeds", "n_points", "n_outputs"), self.scores.shape, strict=True))
        return {"method": self.method, **shape, **{name: span(values) for name, values in self.diagnostics.items()}}

    def to_xarray(self) -> "xr.Dataset":
        """Return scores and diagnostics, with the dimensions seed, point and output."""
        import xarray as xr

        variables: dict[str, NDArray[Any]] = {"scores": self.scores, **self.diagnostics}
        labelled = {name: (DIMENSIONS[: values.ndim], values) for name, values in variables.items()}
        coords = {name: range(size) for name, size in zip(DIMENSIONS, self.scores.shape, strict=True)}
        return xr.Dataset(labelled, coords=coords, attrs={"method": self.method})
