"""Define the base classes of exact and estimated datamodels: what all have, and those that are linear in the training weights."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from numpy.typing import ArrayLike

from theory.display import Displayed, span
from theory.inputs import as_numbers
from theory.laws import FixedSize, ProductLaw
from theory.response import Array

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["FittedDatamodel", "LinearDatamodel"]


@dataclass(frozen=True, repr=False)
class FittedDatamodel(Displayed):
    """A fitted datamodel g predicts M outputs F from the weights of N training points."""

    intercept: Array  # (M,)
    coefficients: Array  # (N, M)
    residual_variance: Array  # (M,), E (F - g)^2
    r_squared: Array  # (M,), 1 - residual_variance / Var F; NaN (undefined) where F is constant
    # The law of the weights, None if unknown. FixedSize identifies the coefficients only up to a common constant.
    law: ProductLaw | FixedSize | None

    def facts(self) -> dict[str, object]:
        """Return the shape, the law and the range of R^2."""
        n_points, n_outputs = self.coefficients.shape
        return {"n_points": n_points, "n_outputs": n_outputs, "law": self.law, "r_squared": span(self.r_squared)}

    def to_xarray(self) -> "xr.Dataset":
        """Return coefficients, intercept, residual variance and R^2, with the dimensions point and output."""
        import xarray as xr

        n_points, n_outputs = self.coefficients.shape
        per_output = {name: ("output", getattr(self, name)) for name in ("intercept", "residual_variance", "r_squared")}
        return xr.Dataset(
            {"coefficients": (("point", "output"), self.coefficients), **per_output},
            coords={"point": range(n_points), "output": range(n_outputs)},
            attrs={"law": repr(self.law)},
        )

    def _checked(self, weights: ArrayLike) -> Array:
        """Return weights as numbers (B, N); raise ValueError for anything else."""
        values, n = as_numbers("weights", weights, "one column per training point", finite=True), len(self.coefficients)
        if values.ndim != 2 or values.shape[1] != n:
            raise ValueError(f"weights has shape {values.shape}, expected (B, {n}): one column per training point")
        return values


@dataclass(frozen=True, repr=False)
class LinearDatamodel(FittedDatamodel):
    """A linear datamodel predicts M outputs by g(w) = intercept + sum_i coefficients[i] w_i."""

    def predict(self, weights: ArrayLike) -> Array:
        """Predict the outputs at weights (B, N): g(w), shape (B, M)."""
        return self.intercept + self._checked(weights) @ self.coefficients
